//! What is written of things that strangers cause: the first ones in full, of the others how many there were.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::limit::Bucket;

/// Different addresses are counted up to here, so that their number takes no memory.
const ADDRESSES: usize = 64;

/// A budget of lines, filled steadily.
#[derive(Debug)]
pub struct Budget {
    bucket: Bucket,
    unwritten: Mutex<Option<Unwritten>>,
}

/// What was not written.
#[derive(Debug, PartialEq, Eq)]
pub struct Unwritten {
    /// How many things.
    pub count: u64,
    /// When the first of them happened.
    pub since: Timestamp,
    addresses: HashSet<IpAddr>,
}

impl Unwritten {
    /// From how many addresses they came, counted to 64.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// The line that tells of it, as it would be written now. `operation` is what stands in the place of a request's.
    pub fn sum(&self, operation: &'static str) -> Sum {
        Sum {
            time: Timestamp::now().to_string(),
            operation,
            requests: self.count,
            addresses: self.addresses(),
            since: self.since.to_string(),
        }
    }
}

/// The line of an audit log that stands for those that have none of their own.
#[derive(Debug, Serialize)]
pub struct Sum {
    /// When it was written: RFC 3339, UTC.
    time: String,
    operation: &'static str,
    /// How many requests.
    requests: u64,
    /// From how many addresses, counted to 64.
    addresses: usize,
    /// When the first of them came.
    since: String,
}

/// What is to be done about one thing.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write it, and before it how many were not written.
    Write(Option<Unwritten>),
    /// It is counted.
    Count,
}

impl Budget {
    /// This many at once, and so many a minute on.
    pub fn new(at_once: u32, per_minute: u32, now: Instant) -> Self {
        Self {
            bucket: Bucket::new(at_once, per_minute, now),
            unwritten: Mutex::new(None),
        }
    }

    /// Spends a line on something that this address caused, or counts it.
    pub fn spend(&self, address: IpAddr, now: Instant) -> Decision {
        if self.bucket.take(now).is_ok() {
            return Decision::Write(self.settle());
        }
        let mut unwritten = self.lock();
        let unwritten = unwritten.get_or_insert_with(|| Unwritten {
            count: 0,
            since: Timestamp::now(),
            addresses: HashSet::new(),
        });
        unwritten.count += 1;
        if unwritten.addresses.len() < ADDRESSES {
            unwritten.addresses.insert(address);
        }
        Decision::Count
    }

    /// What was not written so far; from now on it counts as told.
    pub fn settle(&self) -> Option<Unwritten> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unwritten>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_sum() {
        let start = Instant::now();
        let budget = Budget::new(3, 60, start);
        let from = |number: u32| IpAddr::from((0x0a00_0000 + number).to_be_bytes());
        for number in 0..3 {
            assert_eq!(budget.spend(from(number), start), Decision::Write(None));
        }
        for number in 0..100_000 {
            assert_eq!(budget.spend(from(number), start), Decision::Count);
        }
        let later = start + Duration::from_secs(1);
        let Decision::Write(Some(unwritten)) = budget.spend(from(0), later) else {
            panic!("a second has brought one line");
        };
        assert_eq!(
            (unwritten.count, unwritten.addresses()),
            (100_000, ADDRESSES)
        );
        assert_eq!(budget.settle(), None, "it is told once");
        assert_eq!(budget.spend(from(7), later), Decision::Count);
        let rest = budget.settle().expect("one");
        assert_eq!((rest.count, rest.addresses()), (1, 1));
    }
}
