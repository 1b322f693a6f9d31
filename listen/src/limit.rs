//! How often a client may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::room::neighbourhood;

/// Hosts that have a bucket of their own. Those beyond share one.
const HOSTS: usize = 16_384;

/// Between two looks at all of them.
const SWEEP: Duration = Duration::from_secs(1);

/// A token bucket: full at first, refilled steadily.
#[derive(Debug)]
pub struct Bucket {
    size: f64,
    per_second: f64,
    level: Mutex<(f64, Instant)>,
}

impl Bucket {
    /// So many a minute, and as many at once.
    pub fn per_minute(requests: u32, now: Instant) -> Self {
        Self::new(requests, requests, now)
    }

    /// This many at once, and so many a minute on.
    pub fn new(at_once: u32, per_minute: u32, now: Instant) -> Self {
        let size = f64::from(at_once);
        Self {
            size,
            per_second: f64::from(per_minute) / 60.0,
            level: Mutex::new((size, now)),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long to wait, if there is none.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
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

    fn is_full(&self, now: Instant) -> bool {
        let level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(level.1).as_secs_f64();
        level.0 + since * self.per_second >= self.size
    }
}

/// A bucket for each host that asks, all of one size.
#[derive(Debug)]
pub struct Buckets {
    per_minute: u32,
    hosts: usize,
    own: Mutex<Own>,
    shared: Bucket,
}

#[derive(Debug)]
struct Own {
    buckets: HashMap<IpAddr, Bucket>,
    swept: Instant,
}

impl Buckets {
    /// So many a minute for each host, and as many at once.
    pub fn per_minute(requests: u32, now: Instant) -> Self {
        Self {
            per_minute: requests,
            hosts: HOSTS,
            own: Mutex::new(Own {
                buckets: HashMap::new(),
                swept: now,
            }),
            shared: Bucket::per_minute(requests, now),
        }
    }

    /// Takes one of the host that has this address, with all others that it has for the asking.
    ///
    /// # Errors
    /// How long to wait, if there is none.
    pub fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let host = neighbourhood(address);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = own.buckets.get(&host) {
            return bucket.take(now);
        }
        if own.buckets.len() >= self.hosts && now.saturating_duration_since(own.swept) >= SWEEP {
            // A full one is as good as a new one.
            own.buckets.retain(|_, bucket| !bucket.is_full(now));
            own.swept = now;
        }
        if own.buckets.len() >= self.hosts {
            return self.shared.take(now);
        }
        let bucket = Bucket::per_minute(self.per_minute, now);
        let taken = bucket.take(now);
        own.buckets.insert(host, bucket);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_own_and_their_number_has_an_end() {
        let start = Instant::now();
        let buckets = Buckets {
            hosts: 2,
            ..Buckets::per_minute(1, start)
        };
        let take = |address: &str, now| buckets.take(address.parse().expect("an address"), now);
        assert!(take("192.0.2.1", start).is_ok() && take("192.0.2.1", start).is_err());
        assert!(take("2001:db8::1", start).is_ok());
        assert!(take("2001:db8::2", start).is_err(), "one host");
        // Two more share what is left.
        assert!(take("192.0.2.3", start).is_ok() && take("192.0.2.4", start).is_err());
        let later = start + Duration::from_secs(60);
        assert!(take("192.0.2.5", later).is_ok() && take("192.0.2.6", later).is_ok());
        assert_eq!(buckets.own.lock().expect("no panic").buckets.len(), 2);
    }

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
