//! Data keys kept in memory for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::error::Error;
use crate::secret::Secret;
use crate::wrapper::{Context, DataKey, KeyEncryptionKey, WrappedKey};

/// Data keys kept per key. A client's stored blobs are two; health checks and snapshots share the current data key.
const KEPT: usize = 256;

/// Uses of one data key. Its nonces are random, so that it stays far below the 2^32 of NIST SP 800-38D section 8.3.
const USES: u32 = 1 << 20;

/// A key whose data keys serve more than once, so that AWS KMS may be away for a while.
#[derive(Debug)]
pub(super) struct CachedKey {
    inner: Arc<dyn KeyEncryptionKey>,
    life: Duration,
    current: tokio::sync::Mutex<Option<Current>>,
    /// Opened data keys by their wrapped form, and until when they are kept.
    opened: Mutex<HashMap<Vec<u8>, Kept>>,
}

type Kept = (Arc<Secret<Vec<u8>>>, Instant);

#[derive(Debug)]
struct Current {
    key: DataKey,
    until: Instant,
    uses: u32,
}

impl CachedKey {
    /// All calls have to bring the same context: a cached answer does not check it.
    pub(super) fn new(inner: Arc<dyn KeyEncryptionKey>, life: Duration) -> Self {
        Self {
            inner,
            life,
            current: tokio::sync::Mutex::new(None),
            opened: Mutex::default(),
        }
    }

    fn keep(&self, wrapped: &[u8], key: Arc<Secret<Vec<u8>>>) {
        let now = Instant::now();
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.len() >= KEPT {
            opened.retain(|_, (_, until)| now < *until);
        }
        if opened.len() >= KEPT {
            let oldest = opened
                .iter()
                .min_by_key(|(_, (_, until))| *until)
                .map(|(wrapped, _)| wrapped.clone());
            oldest.and_then(|oldest| opened.remove(&oldest));
        }
        opened.insert(wrapped.to_vec(), (key, now + self.life));
    }

    fn kept(&self, wrapped: &[u8]) -> Option<Arc<Secret<Vec<u8>>>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, until) = opened.get(wrapped)?;
        if Instant::now() < *until {
            return Some(key.clone());
        }
        opened.remove(wrapped);
        None
    }
}

#[async_trait]
impl KeyEncryptionKey for CachedKey {
    fn key_id(&self) -> String {
        self.inner.key_id()
    }

    async fn wrap(&self, key: &[u8], context: &Context) -> Result<WrappedKey, Error> {
        self.inner.wrap(key, context).await
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Secret<Vec<u8>>, Error> {
        self.inner.unwrap(wrapped, context, pin).await
    }

    async fn data_key(&self, context: &Context) -> Result<DataKey, Error> {
        let mut current = self.current.lock().await;
        if let Some(held) = current
            .as_mut()
            .filter(|held| held.uses < USES && Instant::now() < held.until)
        {
            held.uses += 1;
            return Ok(held.key.clone());
        }
        let key = self.inner.data_key(context).await?;
        self.keep(&key.wrapped.ciphertext, key.plaintext.clone());
        *current = Some(Current {
            key: key.clone(),
            until: Instant::now() + self.life,
            uses: 1,
        });
        Ok(key)
    }

    async fn open_data_key(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Arc<Secret<Vec<u8>>>, Error> {
        if let Some(key) = self.kept(wrapped) {
            return Ok(key);
        }
        let key = self.inner.open_data_key(wrapped, context, pin).await?;
        self.keep(wrapped, key.clone());
        Ok(key)
    }
}
