//! Decoded storage entries, kept until somebody says that they changed.
//!
//! There is one map for all kinds of entries, keyed by storage key, so that the host's InvalidateKey and our own writes drop the
//! right thing without knowing what it is. What is derived from a whole folder (an index of issuer names, say) is kept under the
//! folder's key and goes when any entry in the folder goes.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A storage entry that the mount keeps decoded.
pub(crate) trait Entry: Sized + Send + Sync + 'static {
    /// Reads the bytes found at `key`. The error text goes to the log, never to a caller, and names no stored value.
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, String>;
}

/// The map. A value that was read before an invalidation is never stored after it: see [`Ticket`].
#[derive(Default)]
pub(crate) struct Cache {
    entries: RwLock<HashMap<Box<str>, Kept>>,
    generation: AtomicU64,
}

struct Kept {
    value: Arc<dyn Any + Send + Sync>,
    size: usize,
}

/// Taken before storage is read, shown when the result is stored. An invalidation in between voids it.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

impl Cache {
    /// The value under `key`, when one of type `T` is there.
    pub(crate) fn find<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        self.find_sized(key).map(|(value, _)| value)
    }

    /// As [`Self::find`], with the bytes that were read for it.
    pub(crate) fn find_sized<T: Send + Sync + 'static>(
        &self,
        key: &str,
    ) -> Option<(Arc<T>, usize)> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let kept = entries.get(key)?;
        Some((Arc::clone(&kept.value).downcast().ok()?, kept.size))
    }

    /// To be taken before reading storage.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.generation.load(Ordering::Acquire))
    }

    /// Stores what was read since `ticket` was taken, unless something was invalidated meanwhile.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, ticket: Ticket, key: &str, value: &Arc<T>) {
        self.keep_sized(ticket, key, value, 0);
    }

    /// As [`Self::keep`], for what `size` bytes were read for.
    pub(crate) fn keep_sized<T: Send + Sync + 'static>(
        &self,
        ticket: Ticket,
        key: &str,
        value: &Arc<T>,
        size: usize,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if self.generation.load(Ordering::Acquire) != ticket.0 {
            return;
        }
        if entries.len() >= MOST {
            entries.clear();
        }
        let value = Arc::<T>::clone(value);
        entries.insert(key.into(), Kept { value, size });
    }

    /// Gives up the entry at `key`, which is true still.
    pub(crate) fn release(&self, key: &str) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(key);
    }

    /// Forgets the entry at `key` and whatever was derived from the folders that it lies in.
    pub(crate) fn invalidate(&self, key: &str) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.remove(key);
        for (slash, _) in key.match_indices('/') {
            entries.remove(&key[..=slash]);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.clear();
    }
}

/// Entries kept at most; a mount with more roles than this reads some of them again.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_value_is_found_by_key_and_type() {
        let cache = Cache::default();
        cache.keep(cache.ticket(), "role/a", &Arc::new(7_u32));
        assert_eq!(cache.find::<u32>("role/a").as_deref(), Some(&7));
        assert_eq!(cache.find::<u64>("role/a"), None);
        assert_eq!(cache.find::<u32>("role/b"), None);
    }

    #[test]
    fn a_value_read_before_an_invalidation_is_not_kept() {
        let cache = Cache::default();
        let ticket = cache.ticket();
        cache.invalidate("role/a");
        cache.keep(ticket, "role/a", &Arc::new(7_u32));
        assert_eq!(cache.find::<u32>("role/a"), None);
    }

    #[test]
    fn invalidation_drops_the_entry_and_what_its_folders_gave() {
        let cache = Cache::default();
        for key in [
            "config/issuer/1",
            "config/issuer/2",
            "config/issuer/",
            "config/",
            "urls",
        ] {
            cache.keep(cache.ticket(), key, &Arc::new(0_u8));
        }
        cache.invalidate("config/issuer/1");
        let left: Vec<_> = [
            "config/issuer/1",
            "config/issuer/2",
            "config/issuer/",
            "config/",
            "urls",
        ]
        .into_iter()
        .filter(|key| cache.find::<u8>(key).is_some())
        .collect();
        assert_eq!(left, ["config/issuer/2", "urls"]);
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::default();
        for i in 0..=MOST {
            cache.keep(cache.ticket(), &i.to_string(), &Arc::new(i));
        }
        assert!(cache.entries.read().unwrap().len() <= MOST);
        assert_eq!(
            cache.find::<usize>(&MOST.to_string()).as_deref(),
            Some(&MOST)
        );
    }
}
