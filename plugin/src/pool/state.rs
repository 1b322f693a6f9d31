//! The keys that are ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use landfast_pki::PrivateKey;

use crate::entry::config::KeyPoolConfig;

/// The keys of one mount, by bits.
#[derive(Default)]
pub(crate) struct Pool {
    keys: Mutex<BTreeMap<u32, Vec<PrivateKey>>>,
    /// How often keys were asked for since the task that makes them last rested; zero while there is none.
    asked: AtomicUsize,
    closed: AtomicBool,
}

impl Pool {
    /// Asks for what is missing; true for whoever has to start the task that makes it.
    pub(super) fn ask(&self) -> bool {
        self.asked.fetch_add(1, Ordering::AcqRel) == 0
    }

    /// How often it was asked, to be read before looking for what is missing.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }

    /// Ends the task that found nothing missing after it was asked so `often`; false when somebody asked since, who relies on it to look again.
    pub(super) fn rest(&self, often: usize) -> bool {
        let rested = self
            .asked
            .compare_exchange(often, 0, Ordering::AcqRel, Ordering::Acquire);
        rested.is_ok()
    }

    /// Ends the task although keys may be missing: the next who asks starts another.
    pub(super) fn give_up(&self) {
        self.asked.store(0, Ordering::Release);
    }

    /// A key, which nobody else gets.
    pub(super) fn take(&self, bits: u32) -> Option<PrivateKey> {
        self.lock().get_mut(&bits)?.pop()
    }

    /// How many keys of a size are ready.
    pub(crate) fn ready(&self, bits: u32) -> usize {
        self.lock().get(&bits).map_or(0, Vec::len)
    }

    /// Whether no more keys are made.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Drops all keys, which wipes them, and makes no more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.lock().clear();
    }

    /// Adds a key, unless the pool was closed meanwhile.
    pub(super) fn add(&self, bits: u32, key: PrivateKey) {
        let mut keys = self.lock();
        if !self.is_closed() {
            keys.entry(bits).or_default().push(key);
        }
    }

    /// Drops keys beyond what is wanted.
    pub(super) fn trim(&self, config: &KeyPoolConfig) {
        for (&bits, keys) in &mut *self.lock() {
            keys.truncate(config.wanted(bits));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<PrivateKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_while_the_task_comes_to_its_end_is_heard() {
        let pool = Pool::default();
        assert!(pool.ask(), "nobody is at it");
        assert!(!pool.ask(), "one at a time");
        let often = pool.asked();
        // The task looked, and nothing was missing. Then a key is taken.
        assert!(!pool.ask());
        assert!(!pool.rest(often), "it looks again");
        assert!(pool.rest(pool.asked()));
        assert!(pool.ask(), "the next starts a task");
        pool.give_up();
        assert!(pool.ask());
    }
}
