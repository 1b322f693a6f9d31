//! Faults as answers to requests: those of the crate `landfast-pki`, and those of the mount itself.

use landfast_pki::refusal::Channel;
use landfast_pki::{Error as PkiError, Refusal};
use landfast_sdk::logical::Error;
use tokio::task::JoinError;

/// A fault in what the caller sent: 400 with its text. What is not the caller's doing becomes a 500.
pub(crate) fn refused(error: PkiError) -> Error {
    match error {
        PkiError::Crypto => failed(error),
        error => Error::BadRequest(error.to_string()),
    }
}

/// A fault in what the mount itself holds or makes: 500, the cause goes to the log.
pub(crate) fn failed(error: PkiError) -> Error {
    internal("the certificate authority failed to encode or sign", error)
}

/// A refusal by the rules, on the channel where clients expect it.
pub(crate) fn refusal(refusal: Refusal) -> Error {
    match refusal.channel() {
        Channel::Response => Error::BadRequest(refusal.to_string()),
        Channel::Value => Error::Failed(refusal.to_string()),
    }
}

/// An error whose cause is for the log only.
pub(crate) fn internal(public: &str, cause: impl std::fmt::Display) -> Error {
    Error::Internal {
        public: public.to_owned(),
        log: cause.to_string(),
    }
}

/// Whether a failure passes by itself: see [`unavailable`].
pub(crate) fn passes(error: &Error) -> bool {
    matches!(error, Error::Status { code: 503, .. })
}

/// 503: the same request may succeed a little later.
pub(crate) fn unavailable(message: String) -> Error {
    Error::Status { code: 503, message }
}

/// Runs work to its end on a task of its own, so that a panic in it is seen here and does not look like work for ever.
///
/// # Errors
/// The work panicked, or the process is about to end. The text says what was the matter.
pub(crate) async fn caught<F>(work: F) -> Result<F::Output, String>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(work).await.map_err(reason)
}

/// Why a task did not come to its end.
fn reason(stopped: JoinError) -> String {
    let Ok(panic) = stopped.try_into_panic() else {
        return "it was stopped from outside".to_owned();
    };
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.as_deref().unwrap_or("no reason was given");
    format!("a fault of the program: {text}")
}
