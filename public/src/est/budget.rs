//! Passwords that were wrong, by where they came from: whoever guesses is not served at the pace of guessing, and does not keep the server busy with it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures of one neighbourhood at once.
const MOST: u32 = 20;

/// One of them is forgotten in this time.
const FORGOTTEN: Duration = Duration::from_secs(3);

/// Neighbourhoods that are remembered.
const PLACES: usize = 4096;

/// Failed logins. A neighbourhood is what `landfast_listen::neighbourhood` makes of an address.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    failures: u32,
    since: Instant,
}

impl Count {
    /// What is left of it at a time.
    fn at(self, now: Instant) -> Self {
        let passed = now.saturating_duration_since(self.since).as_secs() / FORGOTTEN.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        Self {
            failures: self.failures.saturating_sub(passed),
            since: self.since + FORGOTTEN.saturating_mul(passed.min(self.failures)),
        }
    }
}

impl Failures {
    /// Whether a password from there is looked at.
    pub(crate) fn allow(&self, place: IpAddr, now: Instant) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .get(&place)
            .is_none_or(|count| count.at(now).failures < MOST)
    }

    /// Notes one that was wrong.
    pub(crate) fn note(&self, place: IpAddr, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= PLACES && !counts.contains_key(&place) {
            counts.retain(|_, count| count.at(now).failures > 0);
            if counts.len() >= PLACES {
                // Guesses from everywhere: then the server's own lockout is what is left.
                return;
            }
        }
        let none = Count {
            failures: 0,
            since: now,
        };
        let count = counts.entry(place).or_insert(none);
        *count = count.at(now);
        if count.failures == 0 {
            count.since = now;
        }
        count.failures = count.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn too_many_failures_wait_and_are_forgotten_one_by_one() {
        let (failures, start) = (Failures::default(), Instant::now());
        for _ in 0..MOST {
            assert!(failures.allow(PLACE, start));
            failures.note(PLACE, start);
        }
        assert!(!failures.allow(PLACE, start));
        assert!(failures.allow("192.0.2.1".parse().unwrap(), start));
        let later = start + FORGOTTEN;
        assert!(failures.allow(PLACE, later));
        failures.note(PLACE, later);
        assert!(!failures.allow(PLACE, later));
        assert!(failures.allow(PLACE, later + FORGOTTEN * MOST));
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..2 * PLACES {
            let place = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            failures.note(place, now);
        }
        assert_eq!(failures.0.lock().unwrap().len(), PLACES);
        // Those that are forgotten make room.
        failures.note(PLACE, now + FORGOTTEN);
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
