//! What the plugin says of itself while its server runs: servers tell of a failed seal in words that do not name the cause.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Class, Error};

/// At most one line in this time.
const PAUSE: Duration = Duration::from_secs(60);

/// Warns of failures of the key service, and says when it works again.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    failing: bool,
}

impl Complaints {
    /// Passes an outcome on, and writes about it.
    pub(super) fn hear<T>(&self, outcome: Result<T, Error>, now: Instant) -> Result<T, Error> {
        match &outcome {
            Ok(_) => {
                if std::mem::take(&mut self.lock().failing) {
                    tracing::info!("the key service serves the seal again");
                }
            }
            Err(error) if self.is_worth_a_line(error, now) => {
                tracing::warn!("the seal cannot use its key: {error}");
            }
            Err(_) => {}
        }
        outcome
    }

    /// What is wrong with a blob is the server's to tell, as a migration tries blobs of another seal.
    fn is_worth_a_line(&self, error: &Error, now: Instant) -> bool {
        if error.class() == Class::Data {
            return false;
        }
        let mut state = self.lock();
        state.failing = true;
        let due = state
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if due {
            state.last = Some(now);
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_and_none_for_foreign_blobs() {
        let complaints = Complaints::default();
        let start = Instant::now();
        let failure = || Error::Config("the key is disabled".to_owned());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!complaints.is_worth_a_line(&Error::Authentication, start));
        assert!(complaints.is_worth_a_line(&failure(), start));
        assert!(!complaints.is_worth_a_line(&failure(), after(59)));
        assert!(complaints.is_worth_a_line(&failure(), after(60)));
        // A seal that works in between does not make for more lines.
        complaints.hear(Ok(()), after(61)).expect("passed on");
        assert!(!complaints.lock().failing);
        assert!(!complaints.is_worth_a_line(&failure(), after(62)));
        assert!(complaints.lock().failing);
    }
}
