//! When to renew: a share of the certificate's life, spread over the fleet,
//! within the hours that are allowed, and again after a failure.

use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::Certificate;

use crate::enroll::{Due, Standing};

const DAY: i64 = 86_400;
/// Pauses after a failure that may pass by itself, such as a sealed server.
const SOON: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// Pauses after one that somebody must see to, such as a policy.
const LATER: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(1800));

/// The hours of the day, in UTC, in which renewals are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Seconds of the day.
    from: i64,
    /// Seconds of the day; before `from` when midnight lies between.
    until: i64,
}

impl FromStr for Window {
    type Err = &'static str;

    /// Reads `HH:MM-HH:MM`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const BAD: &str = "two times of day in UTC, such as 02:00-05:30";
        let time = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            ((0..24).contains(&hours) && (0..60).contains(&minutes))
                .then_some(hours * 3600 + minutes * 60)
        };
        let (from, until) = text.split_once('-').ok_or(BAD)?;
        let (from, until) = time(from).zip(time(until)).ok_or(BAD)?;
        if from == until {
            return Err("a window needs a length: from and until are the same");
        }
        Ok(Self { from, until })
    }
}

impl Window {
    /// The first moment at or after `at` that lies in the window.
    fn first_from(self, at: Timestamp) -> Timestamp {
        let second = at.as_second().rem_euclid(DAY);
        let inside = if self.from < self.until {
            (self.from..self.until).contains(&second)
        } else {
            second >= self.from || second < self.until
        };
        if inside {
            return at;
        }
        let wait = (self.from - second).rem_euclid(DAY);
        at.checked_add(SignedDuration::from_secs(wait))
            .unwrap_or(at)
    }
}

/// When to renew next.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// When a certificate is due.
    pub due: Due,
    /// Up to this much later, by chance, so that a fleet that was enrolled
    /// together does not renew together; a tenth of the life at most.
    pub jitter: Duration,
    /// The allowed hours. They give way when half of the time between due and
    /// end is gone: a late renewal is better than none.
    pub window: Option<Window>,
    share: f64,
    failures: u32,
    retry: Option<Timestamp>,
}

impl Schedule {
    /// A schedule with neither jitter nor window.
    pub const fn new(due: Due) -> Self {
        Self {
            due,
            jitter: Duration::ZERO,
            window: None,
            share: 0.0,
            failures: 0,
            retry: None,
        }
    }

    /// The moment of the next attempt; it may have passed.
    pub fn next(&self, standing: &Standing, now: Timestamp) -> Timestamp {
        let planned = match standing {
            Standing::Good(leaf) | Standing::Due(leaf) => self.planned(leaf),
            Standing::Unusable(_) => now,
        };
        self.retry.map_or(planned, |retry| planned.max(retry))
    }

    /// The moment of the next attempt at what is wanted in any case.
    pub fn again(&self, now: Timestamp) -> Timestamp {
        self.retry.unwrap_or(now)
    }

    /// Draws a new place within the jitter; `share` is from 0 to 1.
    pub const fn succeeded(&mut self, share: f64) {
        self.share = share;
        self.failures = 0;
        self.retry = None;
    }

    /// Plans the attempt after a failed one, and says when it is.
    pub fn failed(
        &mut self,
        temporary: bool,
        standing: &Standing,
        now: Timestamp,
        share: f64,
    ) -> Timestamp {
        let (first, longest) = if temporary { SOON } else { LATER };
        // What is left of a short life must suffice for several attempts.
        let left = match standing {
            Standing::Good(leaf) | Standing::Due(leaf) => {
                let left = leaf.not_after().duration_since(now);
                Duration::try_from(left).unwrap_or_default() / 4
            }
            Standing::Unusable(_) => longest,
        };
        let pause = first
            .saturating_mul(1 << self.failures.min(16))
            .min(longest)
            .min(left)
            .max(SOON.0)
            .mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0);
        self.failures = self.failures.saturating_add(1);
        let retry = later(now, pause);
        self.retry = Some(retry);
        retry
    }

    /// Failures since the last success.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    fn planned(&self, leaf: &Certificate) -> Timestamp {
        let due = self.due.at(leaf);
        let between = |from: Timestamp, to: Timestamp| {
            Duration::try_from(to.duration_since(from)).unwrap_or_default()
        };
        let life = between(leaf.not_before(), leaf.not_after());
        let latest = later(due, between(due, leaf.not_after()) / 2);
        let at = later(due, self.jitter.min(life / 10).mul_f64(self.share));
        let at = self.window.map_or(at, |window| window.first_from(at));
        at.min(latest)
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certificate with these dates; nothing else of it matters here.
    pub(crate) fn leaf(from: Timestamp, until: Timestamp) -> Certificate {
        let date = |at: Timestamp| {
            rcgen::date_time_ymd(1970, 1, 1)
                + Duration::from_secs(u64::try_from(at.as_second()).unwrap())
        };
        let mut parameters = rcgen::CertificateParams::new(vec!["node-1".into()]).unwrap();
        parameters.not_before = date(from);
        parameters.not_after = date(until);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Certificate::from_pem(certificate.pem().as_bytes()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Noon to noon; due at 04:00, half of the rest is gone at 08:00.
    fn day() -> Standing {
        Standing::Good(leaf(at("2026-09-01T12:00:00Z"), at("2026-09-02T12:00:00Z")))
    }

    fn next(schedule: &Schedule, standing: &Standing) -> String {
        schedule
            .next(standing, at("2026-09-01T13:00:00Z"))
            .to_string()
    }

    #[test]
    fn two_thirds_of_the_life_is_due() {
        let mut schedule = Schedule::new(Due::default());
        assert_eq!(next(&schedule, &day()), "2026-09-02T04:00:00Z");
        schedule.due.fraction = 0.5;
        assert_eq!(next(&schedule, &day()), "2026-09-02T00:00:00Z");
        let gone = Standing::Unusable("no such file".into());
        assert_eq!(next(&schedule, &gone), "2026-09-01T13:00:00Z");
    }

    #[test]
    fn jitter_is_a_tenth_of_the_life_at_most() {
        let mut schedule = Schedule::new(Due::default());
        schedule.jitter = Duration::from_secs(1800);
        schedule.succeeded(0.5);
        assert_eq!(next(&schedule, &day()), "2026-09-02T04:15:00Z");
        schedule.jitter = Duration::from_secs(1_000_000);
        schedule.succeeded(1.0);
        assert_eq!(next(&schedule, &day()), "2026-09-02T06:24:00Z");
    }

    #[test]
    fn a_window_is_waited_for_but_not_too_long() {
        let mut schedule = Schedule::new(Due::default());
        for (window, expected) in [
            ("03:00-05:00", "2026-09-02T04:00:00Z"),
            ("06:30-07:00", "2026-09-02T06:30:00Z"),
            ("22:00-05:00", "2026-09-02T04:00:00Z"),
            // Opens at 20:00, eight hours after the end.
            ("20:00-21:00", "2026-09-02T08:00:00Z"),
            ("22:00-04:00", "2026-09-02T08:00:00Z"),
        ] {
            schedule.window = Some(window.parse().unwrap());
            assert_eq!(next(&schedule, &day()), expected, "{window}");
        }
        for bad in [
            "",
            "02:00",
            "2-3",
            "24:00-01:00",
            "02:60-03:00",
            "01:00-01:00",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pauses_grow_to_an_end_and_start_anew_after_a_success() {
        let mut schedule = Schedule::new(Due::default());
        let standing = Standing::Unusable("ended".into());
        let mut now = at("2026-09-03T00:00:00Z");
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let retry = schedule.failed(true, &standing, now, 1.0);
            assert_eq!(schedule.next(&standing, now), retry);
            pauses.push(retry.duration_since(now).as_secs());
            now = retry;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        schedule.succeeded(0.0);
        assert_eq!(schedule.next(&standing, now), now);
        let retry = schedule.failed(false, &standing, now, 0.0);
        assert_eq!(retry.duration_since(now).as_secs(), 30);
    }

    #[test]
    fn a_short_life_is_not_slept_through() {
        let mut schedule = Schedule::new(Due::default());
        let now = at("2026-09-01T12:50:00Z");
        let standing = Standing::Due(leaf(at("2026-09-01T12:00:00Z"), at("2026-09-01T13:00:00Z")));
        for _ in 0..10 {
            schedule.failed(false, &standing, now, 1.0);
        }
        let retry = schedule.next(&standing, now);
        assert_eq!(retry.duration_since(now).as_secs(), 150);
    }
}
