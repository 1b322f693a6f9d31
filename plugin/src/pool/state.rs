//! The keys that are ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use landfast_pki::PrivateKey;

use crate::entry::config::KeyPoolConfig;

/// The keys of one mount, by bits.
#[derive(Default)]
pub(crate) struct Pool {
    keys: Mutex<BTreeMap<u32, Vec<PrivateKey>>>,
    /// Whether keys are being made.
    pub(super) filling: AtomicBool,
    closed: AtomicBool,
}

impl Pool {
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
