//! Data keys kept in memory for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use landfast_base::Secret;

use crate::error::Error;
use crate::keys::key::{Context, DataKey, KeyEncryptionKey, WrappedKey};
use crate::recent::Recent;

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
    opened: Recent,
}

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
            opened: Recent::new(life, KEPT),
        }
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
        self.opened
            .keep(&key.wrapped.ciphertext, key.plaintext.clone());
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
        if let Some(key) = self.opened.find(wrapped) {
            return Ok(key);
        }
        let key = self.inner.open_data_key(wrapped, context, pin).await?;
        self.opened.keep(wrapped, key.clone());
        Ok(key)
    }
}
