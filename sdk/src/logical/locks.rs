//! A lock for each key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Lets one at a time be at a key: the look whether something is there and the write that follows are one step then, for this process. Requests
/// on other keys go on meanwhile.
///
/// Whoever holds one lock and waits for another must take them in an order that all keep, the keys' own for example.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Debug, Default)]
struct Entry {
    lock: Arc<tokio::sync::Mutex<()>>,
    /// How many hold it, or wait for it.
    users: usize,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
#[must_use = "the lock is held as long as this lives"]
pub struct Locked {
    /// Released first.
    held: Option<OwnedMutexGuard<()>>,
    used: Used,
}

/// Counts one in, and out when it is dropped: the last one takes the entry with it.
#[derive(Debug)]
struct Used {
    locks: Locks,
    key: String,
}

impl Locks {
    /// Waits until nobody is at the key.
    pub async fn lock(&self, key: impl Into<String>) -> Locked {
        let key = key.into();
        let lock = {
            let mut entries = self.entries();
            let entry = entries.entry(key.clone()).or_default();
            entry.users += 1;
            Arc::clone(&entry.lock)
        };
        let used = Used {
            locks: self.clone(),
            key,
        };
        Locked {
            held: Some(lock.lock_owned().await),
            used,
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locked {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.used.key
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.held = None;
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        let mut entries = self.locks.entries();
        if let Some(entry) = entries.get_mut(&self.key) {
            entry.users -= 1;
            if entry.users == 0 {
                entries.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_is_at_a_key_and_nothing_is_left() {
        let locks = Locks::default();
        let (at, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || async {
            let locked = locks.lock("a").await;
            assert_eq!(locked.key(), "a");
            let now = at.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            at.fetch_sub(1, Ordering::Relaxed);
        };
        tokio::join!(work(), work(), work(), work());
        assert_eq!(most.into_inner(), 1);
        assert!(locks.entries().is_empty());
    }

    #[tokio::test]
    async fn keys_do_not_wait_for_each_other_and_who_gives_up_leaves_nothing() {
        let locks = Locks::default();
        let a = locks.lock("a").await;
        drop(locks.lock("b").await);
        {
            let waits = locks.lock("a");
            tokio::pin!(waits);
            assert!(
                std::future::poll_fn(|cx| std::task::Poll::Ready(waits.as_mut().poll(cx)))
                    .await
                    .is_pending()
            );
            assert_eq!(locks.entries()["a"].users, 2);
        }
        assert_eq!(locks.entries()["a"].users, 1);
        drop(a);
        assert!(locks.entries().is_empty());
    }
}
