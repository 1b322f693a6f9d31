//! Data keys that were opened a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use landfast_base::Secret;

type Kept = (Arc<Secret<Vec<u8>>>, Instant);

/// Opened data keys by their wrapped form, each for a limited time. Those that are dropped are wiped.
#[derive(Debug)]
pub(crate) struct Recent {
    life: Duration,
    limit: usize,
    keys: Mutex<HashMap<Vec<u8>, Kept>>,
}

impl Recent {
    /// Keeps at most `limit` keys, each for `life`.
    pub(crate) fn new(life: Duration, limit: usize) -> Self {
        Self {
            life,
            limit,
            keys: Mutex::default(),
        }
    }

    /// Keeps a key. The one that ends first makes room for it.
    pub(crate) fn keep(&self, wrapped: &[u8], key: Arc<Secret<Vec<u8>>>) {
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, (_, until)| now < *until);
        if keys.len() >= self.limit {
            let oldest = keys
                .iter()
                .min_by_key(|(_, (_, until))| *until)
                .map(|(wrapped, _)| wrapped.clone());
            oldest.and_then(|oldest| keys.remove(&oldest));
        }
        keys.insert(wrapped.to_vec(), (key, now + self.life));
    }

    /// The key, if it is still kept.
    pub(crate) fn find(&self, wrapped: &[u8]) -> Option<Arc<Secret<Vec<u8>>>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, until) = keys.get(wrapped)?;
        if Instant::now() < *until {
            return Some(key.clone());
        }
        keys.remove(wrapped);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Arc<Secret<Vec<u8>>> {
        Arc::new(Secret::new(vec![byte]))
    }

    #[test]
    fn keys_end_with_their_time_and_make_room_for_younger_ones() {
        let recent = Recent::new(Duration::from_secs(60), 2);
        for byte in 1..=3 {
            recent.keep(&[byte], key(byte));
        }
        assert!(recent.find(&[1]).is_none(), "the oldest made room");
        assert_eq!(recent.find(&[3]).expect("kept").expose(), &[3]);
        let over = Recent::new(Duration::ZERO, 2);
        over.keep(&[1], key(1));
        assert!(over.find(&[1]).is_none());
        assert!(over.keys.lock().expect("no panic").is_empty());
    }
}
