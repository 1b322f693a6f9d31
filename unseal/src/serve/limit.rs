//! How often a client may ask.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A token bucket: full at first, refilled steadily.
#[derive(Debug)]
pub(super) struct Bucket {
    size: f64,
    per_second: f64,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// So many a minute, and as many at once.
    pub(super) fn per_minute(requests: u32, now: Instant) -> Self {
        Self::new(requests, requests, now)
    }

    pub(super) fn new(at_once: u32, per_minute: u32, now: Instant) -> Self {
        let size = f64::from(at_once);
        Self {
            size,
            per_second: f64::from(per_minute) / 60.0,
            level: Mutex::new((size, now)),
        }
    }

    /// Takes one, or says how long to wait.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(level.1).as_secs_f64();
        let filled = (level.0 + since * self.per_second).min(self.size);
        if filled >= 1.0 {
            *level = (filled - 1.0, now);
            Ok(())
        } else {
            *level = (filled, now);
            Err(
                Duration::try_from_secs_f64((1.0 - filled) / self.per_second)
                    .unwrap_or(Duration::from_secs(3600)),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_served_and_then_the_steady_rate() {
        let start = Instant::now();
        let bucket = Bucket::per_minute(60, start);
        assert!((0..60).all(|_| bucket.take(start).is_ok()));
        let wait = bucket.take(start).expect_err("empty");
        assert!(
            wait > Duration::from_millis(900) && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        assert!(bucket.take(start + Duration::from_secs(1)).is_ok());
        assert!(bucket.take(start + Duration::from_secs(1)).is_err());
        // Rest does not add up beyond the size.
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| bucket.take(later).is_ok()).count(), 60);
    }

    #[test]
    fn nothing_is_allowed_of_nothing() {
        let start = Instant::now();
        assert_eq!(
            Bucket::per_minute(0, start).take(start),
            Err(Duration::from_secs(3600))
        );
    }
}
