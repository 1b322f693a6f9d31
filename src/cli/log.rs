//! What the commands tell on standard error while they work: one form for all.

use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::Failure;

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What somebody should see to.
    Warnings,
    /// What goes well, too.
    Steps,
    /// What helps to find a fault.
    All,
}

impl Detail {
    fn filter(self) -> &'static str {
        match self {
            // What the AWS libraries warn of comes back as an error, in our words.
            Self::Warnings => "warn,aws_config=error",
            // The names of all our crates begin so.
            Self::Steps => "landfast=info,warn,aws_config=error",
            Self::All => "landfast=debug,hyper_util=debug,aws_config=debug,warn",
        }
    }
}

/// Sends what the crates below tell to standard error: time, level, text. The
/// journal has the time already. `LANDFAST_LOG` overrides `detail`.
pub(super) fn to_stderr(detail: Detail) {
    let filter =
        EnvFilter::try_from_env("LANDFAST_LOG").unwrap_or_else(|_| EnvFilter::new(detail.filter()));
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // A second call has nothing to do.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        format.without_time().try_init()
    } else {
        format.try_init()
    };
}

/// Tells of something that a command which stays will try again: one line, as all of its log has.
pub(super) fn trouble(failure: &Failure, pause: Duration) {
    let text = failure.to_string();
    let parts: Vec<&str> = text.lines().map(str::trim).collect();
    tracing::warn!(
        "{}; trying again in {} s",
        parts.join("; "),
        pause.as_secs()
    );
}
