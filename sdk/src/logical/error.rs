//! What can go wrong in a handler.

use super::StorageError;

/// Result of handlers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was not served, by the answer the caller gets.
///
/// The host knows two channels, and clients depend on which one is used: an error *response* is status 400 with the bare
/// text, an error *value* is status 500, wrapped in `1 error occurred: ...` when the request carried a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bad input: 400 with this text.
    #[error("{0}")]
    BadRequest(String),
    /// An error value: 500 with this text.
    #[error("{0}")]
    Failed(String),
    /// Something broke: 500 with a short public text; the cause goes to the log only.
    #[error("{public}")]
    Internal {
        /// What the caller may read.
        public: String,
        /// What the log gets. Must hold no secret.
        log: String,
    },
    /// 404 with this text. A read that finds nothing better answers [`super::Response::none`].
    #[error("{0}")]
    NotFound(String),
    /// 403 with this text.
    #[error("{0}")]
    PermissionDenied(String),
    /// 404 `unsupported path`: there is no such path.
    #[error("unsupported path")]
    UnsupportedPath,
    /// 405 `unsupported operation`: the path does not serve this operation.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// A chosen status with a text, for example 409, 412, 429 or 503.
    #[error("{message}")]
    Status {
        /// HTTP status, 100 to 599.
        code: u16,
        /// What the caller may read.
        message: String,
    },
    /// Storage failed. A read-only refusal passes to the host unchanged, which then forwards the request to the active node.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Error {
    /// Bad input: 400 with this text.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
    }

    /// An error value: 500 with this text.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Nobody may: 403 with this text.
    pub fn denied(text: impl Into<String>) -> Self {
        Self::PermissionDenied(text.into())
    }

    /// Something broke: `public` for the caller, `log` for the log only.
    pub fn internal(public: impl Into<String>, log: impl std::fmt::Display) -> Self {
        Self::Internal {
            public: public.into(),
            log: log.to_string(),
        }
    }
}
