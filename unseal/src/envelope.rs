//! The envelope of a seal: a data key per blob, AES-256-GCM over the data, the data key wrapped by a key service.

use std::collections::BTreeMap;
use std::sync::Arc;

use landfast_base::Secret;

use crate::blob::{Blob, BlobInfo, DIRECT, ENVELOPE, KeyInfo};
use crate::crypto;
use crate::error::Error;
use crate::keys::key::{Context, KeyEncryptionKey};

/// A seal over any key-encryption key, in the layout of the old awskms wrapper.
#[derive(Debug)]
pub struct Envelope<K: ?Sized = dyn KeyEncryptionKey> {
    key: Arc<K>,
    kind: &'static str,
    metadata: BTreeMap<String, String>,
    context: Context,
    strict_key: bool,
}

impl<K: KeyEncryptionKey + 'static> Envelope<K> {
    /// The same seal for whoever need not know the kind of its key.
    pub fn of_any_kind(self) -> Envelope {
        Envelope {
            key: self.key,
            kind: self.kind,
            metadata: self.metadata,
            context: self.context,
            strict_key: self.strict_key,
        }
    }
}

impl<K: KeyEncryptionKey + ?Sized> Envelope<K> {
    /// A seal of type `kind` that shows `metadata` in the server's banner.
    pub fn new(key: Arc<K>, kind: &'static str, metadata: BTreeMap<String, String>) -> Self {
        Self {
            key,
            kind,
            metadata,
            context: Context::none(),
            strict_key: false,
        }
    }

    /// Whether a data key may be opened only by the key that the blob names. Off, the key service may use any key it
    /// finds, which is how the old wrapper survives a moved alias.
    #[must_use]
    pub fn strict_key(mut self, strict: bool) -> Self {
        self.strict_key = strict;
        self
    }

    /// Binds the data keys to a context. A seal's have none: with one, its predecessors could not open them.
    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// The key underneath.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The seal type that the server persists. It must never change for stored data to stay reachable.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The key that a fresh blob would name. The server rewraps every blob that names another.
    pub fn key_id(&self) -> String {
        self.key.key_id()
    }

    /// Facts for the server's start-up banner. No secrets.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.clone()
    }

    /// Wraps `plaintext`, which may be empty. `aad` is bound to the result but not stored in it.
    ///
    /// # Errors
    /// The key service could not be used.
    pub async fn encrypt(&self, plaintext: &[u8], aad: &[u8]) -> Result<BlobInfo, Error> {
        let data_key = self.key.data_key(&self.context).await;
        let data_key = data_key.map_err(|e| e.at("error encrypting data"))?;
        let nonce = crypto::random_nonce()?;
        let ciphertext = crypto::seal(&data_key.plaintext, nonce, plaintext, aad)
            .map_err(|e| e.at("error wrapping data"))?;
        Ok(BlobInfo {
            ciphertext,
            iv: nonce.to_vec(),
            key_info: Some(KeyInfo {
                mechanism: ENVELOPE,
                key_id: data_key.wrapped.key_id,
                wrapped_key: data_key.wrapped.ciphertext,
            }),
        })
    }

    /// Opens what [`Envelope::encrypt`], or a predecessor, made.
    ///
    /// # Errors
    /// The key service could not be used, or the blob is not one that this seal can open.
    pub async fn decrypt(&self, blob: &BlobInfo, aad: &[u8]) -> Result<Secret<Vec<u8>>, Error> {
        if blob.is_transit() {
            return Err(Error::Blob(
                "the blob was written by a transit seal, not by this one: a seal migration opens it with the old seal",
            ));
        }
        match (blob.mechanism(), &blob.key_info) {
            (DIRECT, _) => self.open_direct(blob).await,
            (ENVELOPE, Some(info)) => self.open_envelope(blob, info, aad).await,
            (other, _) => Err(Error::Mechanism(other)),
        }
    }

    async fn open_direct(&self, blob: &BlobInfo) -> Result<Secret<Vec<u8>>, Error> {
        if blob.ciphertext.is_empty() {
            return Err(Error::Blob("the blob holds no ciphertext"));
        }
        let pin = self.pin(blob)?;
        let opened = self.key.unwrap(&blob.ciphertext, &self.context, pin).await;
        opened.map_err(|e| e.at("error decrypting data"))
    }

    async fn open_envelope(
        &self,
        blob: &BlobInfo,
        info: &KeyInfo,
        aad: &[u8],
    ) -> Result<Secret<Vec<u8>>, Error> {
        if info.wrapped_key.is_empty() {
            return Err(Error::Blob("the blob holds no wrapped data key"));
        }
        // OpenBao 2.5.0 put the nonce in front of the ciphertext and left its field empty: joined, both layouts read alike.
        let sealed = [blob.iv.as_slice(), blob.ciphertext.as_slice()].concat();
        if sealed.len() < crypto::NONCE_LEN + crypto::TAG_LEN {
            return Err(Error::Blob(
                "the blob's ciphertext is shorter than a nonce and a tag",
            ));
        }
        let pin = self.pin(blob)?;
        let data_key = self
            .key
            .open_data_key(&info.wrapped_key, &self.context, pin)
            .await;
        let data_key = data_key.map_err(|e| e.at("error decrypting data encryption key"))?;
        crypto::open(&data_key, &sealed, aad).map_err(|e| e.at("error decrypting data"))
    }

    fn pin<'a>(&self, blob: &'a BlobInfo) -> Result<Option<&'a str>, Error> {
        match (self.strict_key, blob.key_id()) {
            (false, _) => Ok(None),
            (true, Some(key_id)) => Ok(Some(key_id)),
            (true, None) => Err(Error::Blob("strict_key is set and the blob names no key")),
        }
    }
}

#[cfg(test)]
#[path = "envelope/tests.rs"]
mod tests;
