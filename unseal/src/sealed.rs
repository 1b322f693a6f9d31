//! A private key in storage, sealed by envelope.
//!
//! Each record has a data key of its own, which AES-256-GCM uses once, over the private key. The data key is stored beside it, wrapped by one
//! or more keys of a key service, any of which opens it. Both steps are bound to what the record is ([`Binding`]): the key service is told by
//! its context, the cipher by additional data. So a record that is copied to another mount, or to another key's place, opens nowhere.
//!
//! The text of a record is JSON and holds nothing secret: names, the public key, and ciphertexts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfast_base::{Secret, hex, sha256};
use serde::{Deserialize, Serialize};

use crate::crypto::{self, NONCE_LEN, TAG_LEN};
use crate::error::{Class, Error, ServiceError};
use crate::keys::Place;
use crate::keys::key::{Context, KeyEncryptionKey, WrappedKey};

/// The version of the record that this code writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// Wraps that one record may have.
pub const MOST_WRAPS: usize = 8;

/// How long one wrapping key may take while others could open the record too.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 4_000 });

/// How long opening may take altogether.
const LIMIT: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 15_000 });

/// What starts the text of a record. No private key in PEM starts so.
const START: &str = "{\"landfast\":\"sealed key\",";

/// A record is some kilobytes long; the longest key (RSA-8192) gives less than this.
const MOST_TEXT: usize = 64 << 10;

/// What a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    mount: String,
    key: String,
    purpose: String,
}

impl Binding {
    /// The private key `key` of the certificate authority at the mount with the id `mount`.
    pub fn ca_key(mount: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            mount: mount.into(),
            key: key.into(),
            purpose: "ca-key".to_owned(),
        }
    }

    /// What the key service is told, and for AWS KMS what its log and its key policy see as encryption context.
    pub fn context(&self) -> Context {
        Context::none()
            .with("app", "landfast")
            .with("mount", &self.mount)
            .with("key", &self.key)
            .with("purpose", &self.purpose)
            .with("format", FORMAT.to_string())
    }

    /// What the cipher is told: the same, the layout of this very list, and the public key.
    fn additional_data(&self, public_key_sha256: &str) -> Vec<u8> {
        self.context()
            .with("version", "1")
            .with("public_key_sha256", public_key_sha256)
            .canonical()
    }
}

/// A data key wrapped by one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The wrapping key's lasting name: an ARN, or `local:` and a fingerprint.
    pub key_id: String,
    /// The Region of an ARN.
    pub region: Option<String>,
    /// The wrapped data key.
    pub data_key: Vec<u8>,
}

impl From<WrappedKey> for Wrap {
    fn from(wrapped: WrappedKey) -> Self {
        let place = Place::parse(&wrapped.key_id).ok();
        Self {
            region: place.and_then(|place| place.region().map(str::to_owned)),
            key_id: wrapped.key_id,
            data_key: wrapped.ciphertext,
        }
    }
}

/// Finds what can open a wrap.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// The key that `wrap` names.
    ///
    /// # Errors
    /// It is not known here, or its service cannot be prepared.
    async fn find(&self, wrap: &Wrap) -> Result<Arc<dyn KeyEncryptionKey>, Error>;
}

/// A sealed private key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKey {
    binding: Binding,
    public_key: Vec<u8>,
    wraps: Vec<Wrap>,
    nonce: [u8; NONCE_LEN],
    ciphertext: Vec<u8>,
}

impl SealedKey {
    /// Seals `private`, whose public half is `public_key` (SubjectPublicKeyInfo in DER), with each of `keys`; the first makes the data key.
    ///
    /// # Errors
    /// There are no keys or too many, or one of them could not be used.
    pub async fn seal(
        keys: &[Arc<dyn KeyEncryptionKey>],
        binding: Binding,
        public_key: &[u8],
        private: &[u8],
    ) -> Result<Self, Error> {
        let (first, more) = keys
            .split_first()
            .ok_or_else(|| Error::Config("no wrapping key is configured".to_owned()))?;
        if keys.len() > MOST_WRAPS {
            return Err(Error::Config(format!(
                "more than {MOST_WRAPS} wrapping keys"
            )));
        }
        let context = binding.context();
        let data_key = first.generate_data_key(&context).await?;
        let mut wraps = vec![Wrap::from(data_key.wrapped)];
        for key in more {
            let wrapped = key.wrap(data_key.plaintext.expose(), &context).await?;
            wraps.push(wrapped.into());
        }
        let nonce = crypto::random_nonce()?;
        let aad = binding.additional_data(&fingerprint(public_key));
        let ciphertext = crypto::seal(&data_key.plaintext, nonce, private, &aad)?;
        Ok(Self {
            binding,
            public_key: public_key.to_vec(),
            wraps,
            nonce,
            ciphertext,
        })
    }

    /// The private key, if this record is the one of `binding`. Wraps are tried in their order.
    ///
    /// # Errors
    /// The record belongs elsewhere or was changed, or none of its wrapping keys could be used; then the error is that of the first.
    pub async fn open(
        &self,
        binding: &Binding,
        keyring: &dyn Keyring,
    ) -> Result<Secret<Vec<u8>>, Error> {
        let data_key = self.data_key(binding, keyring).await?;
        let sealed = [self.nonce.as_slice(), &self.ciphertext].concat();
        // By the place where the record was found, not by what it says of itself.
        let aad = binding.additional_data(&fingerprint(&self.public_key));
        crypto::open(&data_key, &sealed, &aad)
    }

    /// The same record with its data key wrapped by `keys` instead. The ciphertext stays as it is.
    ///
    /// # Errors
    /// As [`SealedKey::open`] and [`SealedKey::seal`].
    pub async fn rewrap(
        &self,
        binding: &Binding,
        keyring: &dyn Keyring,
        keys: &[Arc<dyn KeyEncryptionKey>],
    ) -> Result<Self, Error> {
        if keys.is_empty() || keys.len() > MOST_WRAPS {
            return Err(Error::Config(format!(
                "a record has 1 to {MOST_WRAPS} wrapping keys"
            )));
        }
        let data_key = self.data_key(binding, keyring).await?;
        let context = binding.context();
        let mut wraps = Vec::with_capacity(keys.len());
        for key in keys {
            wraps.push(key.wrap(data_key.expose(), &context).await?.into());
        }
        Ok(Self {
            wraps,
            ..self.clone()
        })
    }

    /// Makes sure that each wrap by itself opens the record, before anything else that holds the key is let go. The cipher authenticates: what
    /// opens is what was sealed.
    ///
    /// # Errors
    /// As [`SealedKey::open`], for the first wrap that fails.
    pub async fn verify(&self, binding: &Binding, keyring: &dyn Keyring) -> Result<(), Error> {
        for wrap in &self.wraps {
            let alone = Self {
                wraps: vec![wrap.clone()],
                ..self.clone()
            };
            alone.open(binding, keyring).await?;
        }
        Ok(())
    }

    /// SubjectPublicKeyInfo in DER. Nothing vouches for it before the record was opened.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The wraps of the data key.
    pub fn wraps(&self) -> &[Wrap] {
        &self.wraps
    }

    /// Whether the data key is wrapped by just these keys.
    pub fn is_wrapped_by(&self, key_ids: &[String]) -> bool {
        let wanted: BTreeSet<_> = key_ids.iter().map(String::as_str).collect();
        let have: BTreeSet<_> = self.wraps.iter().map(|wrap| wrap.key_id.as_str()).collect();
        wanted == have
    }

    /// Whether a text is meant to be a record, of whatever version.
    pub fn is_record(text: &str) -> bool {
        text.starts_with(START)
    }

    /// The text to store.
    pub fn encode(&self) -> String {
        let stored = Stored {
            landfast: MARK.to_owned(),
            format: FORMAT,
            app: APP.to_owned(),
            mount: self.binding.mount.clone(),
            key: self.binding.key.clone(),
            purpose: self.binding.purpose.clone(),
            public_key: STANDARD.encode(&self.public_key),
            public_key_sha256: fingerprint(&self.public_key),
            data_keys: self
                .wraps
                .iter()
                .map(|wrap| StoredWrap {
                    wrapped_by: wrap.key_id.clone(),
                    region: wrap.region.clone(),
                    data_key: STANDARD.encode(&wrap.data_key),
                })
                .collect(),
            nonce: STANDARD.encode(self.nonce),
            ciphertext: STANDARD.encode(&self.ciphertext),
        };
        serde_json::to_string(&stored).expect("text fields serialise")
    }

    /// Reads a stored text.
    ///
    /// # Errors
    /// It is no record, one of a later version, or damaged.
    pub fn decode(text: &str) -> Result<Self, Error> {
        const DAMAGED: Error = Error::Blob("the sealed key's record is damaged");
        if text.len() > MOST_TEXT || !Self::is_record(text) {
            return Err(Error::Blob("not a sealed key's record"));
        }
        let version: Version = serde_json::from_str(text).map_err(|_| DAMAGED)?;
        if version.format != FORMAT {
            return Err(Error::Blob(
                "the sealed key's record was written by another version of landfast: use that version",
            ));
        }
        let stored: Stored = serde_json::from_str(text).map_err(|_| DAMAGED)?;
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| DAMAGED);
        let public_key = bytes(&stored.public_key)?;
        let ciphertext = bytes(&stored.ciphertext)?;
        let whole = stored.landfast == MARK
            && stored.app == APP
            && stored.public_key_sha256 == fingerprint(&public_key)
            && (1..=MOST_WRAPS).contains(&stored.data_keys.len())
            && ciphertext.len() > TAG_LEN;
        if !whole {
            return Err(DAMAGED);
        }
        let wraps = stored.data_keys.into_iter().map(|wrap| {
            Ok(Wrap {
                data_key: bytes(&wrap.data_key)?,
                key_id: wrap.wrapped_by,
                region: wrap.region,
            })
        });
        Ok(Self {
            binding: Binding {
                mount: stored.mount,
                key: stored.key,
                purpose: stored.purpose,
            },
            wraps: wraps.collect::<Result<_, Error>>()?,
            nonce: bytes(&stored.nonce)?.try_into().map_err(|_| DAMAGED)?,
            public_key,
            ciphertext,
        })
    }

    async fn data_key(
        &self,
        binding: &Binding,
        keyring: &dyn Keyring,
    ) -> Result<Secret<Vec<u8>>, Error> {
        if self.binding != *binding {
            return Err(Error::Blob(
                "the record was sealed for another mount or another key: it opens only where it was made",
            ));
        }
        let context = binding.context();
        let attempts = async {
            let mut first = None;
            for (at, wrap) in self.wraps.iter().enumerate() {
                let attempt = async {
                    let key = keyring.find(wrap).await?;
                    // Never from a cache, which would not look at the context.
                    key.unwrap(&wrap.data_key, &context, Some(&wrap.key_id))
                        .await
                };
                let more = at + 1 < self.wraps.len();
                let opened = if more {
                    let late = |_| Err(too_late(wrap));
                    tokio::time::timeout(PATIENCE, attempt)
                        .await
                        .unwrap_or_else(late)
                } else {
                    attempt.await
                };
                match opened {
                    Ok(data_key) => return Ok(data_key),
                    Err(error) if more => {
                        tracing::warn!(%error, "a wrapping key cannot be used; the next one is tried");
                        first.get_or_insert(error);
                    }
                    Err(error) => return Err(first.unwrap_or(error)),
                }
            }
            Err(first.unwrap_or(Error::Blob("the sealed key's record has no wraps")))
        };
        match tokio::time::timeout(LIMIT, attempts).await {
            Ok(opened) => opened,
            Err(_) => Err(too_late(&self.wraps[0])),
        }
    }
}

impl fmt::Debug for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKey")
            .field("binding", &self.binding)
            .field("wraps", &self.wraps.len())
            .finish_non_exhaustive()
    }
}

/// Tries a wrapping key with a worthless data key: everything that sealing, opening and rewrapping will ask of it. Answers with the key's lasting name.
///
/// # Errors
/// The key could not be used, or did not give back what it was given.
pub async fn try_out(key: &dyn KeyEncryptionKey, mount: &str) -> Result<String, Error> {
    let context = Binding::ca_key(mount, "trial").context();
    let trial = async {
        let made = key.generate_data_key(&context).await?;
        let wrapped = key.wrap(made.plaintext.expose(), &context).await?;
        for wrapped in [&made.wrapped, &wrapped] {
            let opened = key
                .unwrap(&wrapped.ciphertext, &context, Some(&wrapped.key_id))
                .await?;
            if opened.expose() != made.plaintext.expose() {
                return Err(Error::Crypto(
                    "the wrapping key gave back another data key than it was given",
                ));
            }
        }
        Ok(wrapped.key_id)
    };
    match tokio::time::timeout(LIMIT, trial).await {
        Ok(tried) => tried,
        Err(_) => Err(timeout(&key.key_id(), None)),
    }
}

fn too_late(wrap: &Wrap) -> Error {
    timeout(&wrap.key_id, wrap.region.clone())
}

fn timeout(key_id: &str, region: Option<String>) -> Error {
    Error::from(ServiceError {
        class: Class::Outage,
        operation: "Decrypt",
        code: "timeout".to_owned(),
        message: "no answer in time".to_owned(),
        key: Some(key_id.to_owned()),
        region,
        endpoint: None,
        principal: None,
        next_step: Some("check the network to the key service".to_owned()),
        attempts: 1,
    })
}

fn fingerprint(public_key: &[u8]) -> String {
    hex(&sha256(public_key))
}

const MARK: &str = "sealed key";
const APP: &str = "landfast";

/// The layout. `landfast` comes first: [`START`] is how a record is recognised.
#[derive(Serialize, Deserialize)]
struct Stored {
    landfast: String,
    format: u32,
    app: String,
    mount: String,
    key: String,
    purpose: String,
    public_key: String,
    public_key_sha256: String,
    data_keys: Vec<StoredWrap>,
    nonce: String,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct StoredWrap {
    wrapped_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    data_key: String,
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[cfg(test)]
#[path = "sealed/tests.rs"]
mod tests;
