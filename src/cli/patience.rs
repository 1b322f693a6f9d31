//! `--wait`: trying again while a server does not answer yet.

use std::time::{Duration, Instant};

use super::Failure;

/// The first rest; each later one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// How long to go on, and how long to rest before the next try.
pub(super) struct Patience {
    until: Option<Instant>,
    rest: Duration,
}

impl Patience {
    /// From now on for `wait`; without it the first failure is the last.
    pub(super) fn new(wait: Option<Duration>) -> Self {
        Self {
            until: wait.map(|wait| Instant::now() + wait),
            rest: FIRST,
        }
    }

    /// Rests before another try, and says so; `false` at once when the time is over.
    pub(super) async fn waits(&mut self, failure: &Failure) -> bool {
        let Some(rest) = self.next(Instant::now()) else {
            return false;
        };
        tracing::warn!("{failure}; trying again in {} s", rest.as_secs_f32().ceil());
        tokio::time::sleep(rest).await;
        true
    }

    /// The rest before the next try, the last one at the very end; `None` when there is none.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        let left = self.until?.checked_duration_since(now)?;
        if left.is_zero() {
            return None;
        }
        let rest = self.rest.min(left);
        self.rest = (self.rest * 2).min(LONGEST);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_the_last_try_is_at_the_end() {
        let start = Instant::now();
        let mut patience = Patience {
            until: Some(start + Duration::from_secs(40)),
            rest: FIRST,
        };
        let (mut now, mut rests) = (start, Vec::new());
        while let Some(rest) = patience.next(now) {
            rests.push(rest.as_secs());
            now += rest;
        }
        assert_eq!(rests, [1, 2, 4, 8, 15, 10]);
        assert_eq!(now, start + Duration::from_secs(40));
    }

    #[test]
    fn without_a_time_there_is_one_try() {
        assert_eq!(Patience::new(None).next(Instant::now()), None);
        let over = Some(Duration::ZERO);
        assert_eq!(Patience::new(over).next(Instant::now()), None);
    }
}
