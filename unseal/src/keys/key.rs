//! The traits that the rest of landfast sees: what wraps keys, what signs.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use landfast_base::Secret;

use crate::error::Error;

/// Public facts that are bound to a wrapped key: AWS calls them encryption context and shows them in CloudTrail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// The context of a seal's blobs, which have none.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a pair; the last value of a name wins.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One byte string for one set of pairs, for use as additional authenticated data: each name and value preceded by its
    /// length as eight big-endian bytes, in order of the names.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in self.0.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// A data key in wrapped form, and the key that wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The wrapping key's lasting name: for AWS KMS its ARN.
    pub key_id: String,
    /// Opaque to everybody but the key service.
    pub ciphertext: Vec<u8>,
}

/// A key that encrypts data here, together with its wrapped form.
#[derive(Debug, Clone)]
pub struct DataKey {
    /// The key itself. Shared, so that keeping it does not mean copying it.
    pub plaintext: Arc<Secret<Vec<u8>>>,
    /// What is stored beside the data.
    pub wrapped: WrappedKey,
}

/// A key-encryption key that never leaves its home: it wraps and unwraps other keys of at most 4096 bytes.
#[async_trait]
pub trait KeyEncryptionKey: Debug + Send + Sync {
    /// The name of the key as well as it is known so far.
    fn key_id(&self) -> String;

    /// Wraps a data key, bound to `context`.
    ///
    /// # Errors
    /// The key service could not be used.
    async fn wrap(&self, key: &[u8], context: &Context) -> Result<WrappedKey, Error>;

    /// Opens a wrapped data key. With `pin`, only the named key may do so; without, any key that the service finds.
    ///
    /// # Errors
    /// The key service could not be used, or refuses these bytes, this context or this pin.
    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Secret<Vec<u8>>, Error>;

    /// A data key for fresh data: a new one each time, unless the implementation says otherwise.
    ///
    /// # Errors
    /// As [`KeyEncryptionKey::wrap`].
    async fn data_key(&self, context: &Context) -> Result<DataKey, Error> {
        made_here(self, context).await
    }

    /// A data key for one record, always a new one, made where the key service makes such keys (`GenerateDataKey` of AWS KMS). Seals use
    /// [`KeyEncryptionKey::data_key`] instead, whose calls operators have allowed since long ago.
    ///
    /// # Errors
    /// As [`KeyEncryptionKey::wrap`].
    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, Error> {
        made_here(self, context).await
    }

    /// Opens a data key of stored data.
    ///
    /// # Errors
    /// As [`KeyEncryptionKey::unwrap`].
    async fn open_data_key(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Arc<Secret<Vec<u8>>>, Error> {
        self.unwrap(wrapped, context, pin).await.map(Arc::new)
    }
}

/// A data key that is made here and wrapped by `key`.
async fn made_here<K: KeyEncryptionKey + ?Sized>(
    key: &K,
    context: &Context,
) -> Result<DataKey, Error> {
    let plaintext = Arc::new(crate::crypto::random_key()?);
    let wrapped = key.wrap(plaintext.expose(), context).await?;
    Ok(DataKey { plaintext, wrapped })
}

/// Digests that a key service signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digest {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl Digest {
    /// Length in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Signature schemes with their digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigningScheme {
    /// ECDSA; the signature is the ASN.1 DER sequence of r and s.
    Ecdsa(Digest),
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    RsaPkcs1(Digest),
    /// RSASSA-PSS (RFC 8017 section 8.1) with a salt as long as the digest and MGF1 on the same digest.
    RsaPss(Digest),
    /// ML-DSA of the key's own parameter set (FIPS 204), with an empty context. In place of a digest stands the message representative mu.
    MlDsa,
}

impl SigningScheme {
    /// The digest that is signed; none for ML-DSA.
    pub fn digest(self) -> Option<Digest> {
        match self {
            Self::Ecdsa(digest) | Self::RsaPkcs1(digest) | Self::RsaPss(digest) => Some(digest),
            Self::MlDsa => None,
        }
    }

    /// Octets of what is signed in place of the message.
    pub fn input_octets(self) -> usize {
        /// FIPS 204 section 5.2.
        const MU: usize = 64;
        self.digest().map_or(MU, Digest::size)
    }
}

/// A private key that stays in a key service and signs there.
#[async_trait]
pub trait KmsSigner: Debug + Send + Sync {
    /// The key's lasting name: for AWS KMS its ARN.
    fn key_id(&self) -> &str;

    /// SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7).
    fn public_key_der(&self) -> &[u8];

    /// The schemes that this key can be used with.
    fn schemes(&self) -> &[SigningScheme];

    /// Signs a digest that the caller computed, or the message representative of ML-DSA.
    ///
    /// # Errors
    /// The digest has the wrong length, the key does not do this scheme, or the service could not be used.
    async fn sign_digest(&self, scheme: SigningScheme, digest: &[u8]) -> Result<Vec<u8>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_context_depends_on_pairs_and_not_on_their_order() {
        let one = Context::none().with("mount", "a").with("key", "b");
        let two = Context::none().with("key", "b").with("mount", "a");
        assert_eq!(one.canonical(), two.canonical());
        assert!(Context::none().is_empty() && Context::none().canonical().is_empty());
    }

    #[test]
    fn shifting_a_character_between_name_and_value_changes_the_canonical_form() {
        assert_ne!(
            Context::none().with("ab", "c").canonical(),
            Context::none().with("a", "bc").canonical()
        );
    }
}
