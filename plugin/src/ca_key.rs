//! What signs for a CA, wherever the private half is.

use std::sync::Arc;

use landfast_pki::{KeyType, PrivateKey, PublicKey, Signer, ToBeSigned, Unsigned};
use landfast_sdk::logical::Error;

use crate::kms::{self, KmsKey};
use crate::metrics::Tally;
use crate::{Mount, fault};

/// A key of the mount, ready to sign.
#[derive(Clone)]
pub(crate) enum CaKey {
    /// The private half is in this process.
    Local(Arc<PrivateKey>, Tally),
    /// AWS KMS keeps it.
    Kms(Arc<KmsKey>, Tally),
}

impl CaKey {
    /// The public half.
    pub(crate) fn public_key(&self) -> &PublicKey {
        match self {
            Self::Local(key, _) => key.public_key(),
            Self::Kms(key, _) => &key.public,
        }
    }

    /// Where its signatures are counted.
    pub(crate) fn tally(&self) -> &Tally {
        match self {
            Self::Local(_, tally) | Self::Kms(_, tally) => tally,
        }
    }

    /// The same key, with its signatures counted there from now on.
    pub(crate) fn counted_by(self, tally: Tally) -> Self {
        match self {
            Self::Local(key, _) => Self::Local(key, tally),
            Self::Kms(key, _) => Self::Kms(key, tally),
        }
    }

    /// Signs a certificate, a request, a CRL or an OCSP answer. With a local key nothing is waited for, but for a turn of those that take
    /// their time.
    ///
    /// # Errors
    /// When the key cannot sign so, or AWS KMS cannot be used.
    pub(crate) async fn sign<T: ToBeSigned>(
        &self,
        mount: &Mount,
        prepared: Unsigned<T>,
    ) -> Result<T::Signed, Error> {
        let (algorithm, tbs) = (prepared.algorithm(), prepared.tbs());
        let signature = match self {
            Self::Local(key, _) if is_slow(key.public_key()) => {
                let sign = || Signer::sign(&**key, algorithm, tbs);
                let signed = Box::pin(mount.heavy.run(sign)).await;
                signed.map_err(fault::failed)?
            }
            Self::Local(key, _) => Signer::sign(&**key, algorithm, tbs).map_err(fault::failed)?,
            // Apart, so that those who sign here do not carry the room for it.
            Self::Kms(key, _) => Box::pin(kms::sign(mount, key, algorithm, tbs)).await?,
        };
        self.tally().count();
        prepared.finish(&signature).map_err(fault::failed)
    }

    /// As [`Self::sign`], for whoever needs no token: a local RSA key takes turns, of which strangers get only a part.
    ///
    /// # Errors
    /// As [`Self::sign`], and 503 when too many wait.
    pub(crate) async fn sign_for_stranger<T: ToBeSigned>(
        &self,
        mount: &Mount,
        prepared: Unsigned<T>,
    ) -> Result<T::Signed, Error> {
        let key = match self {
            Self::Local(key, _) if key.public_key().key_type() == KeyType::Rsa => key,
            _ => return self.sign(mount, prepared).await,
        };
        let sign = || Signer::sign(&**key, prepared.algorithm(), prepared.tbs());
        let signed = Box::pin(mount.heavy.for_stranger(sign)).await?;
        let signature = signed.map_err(fault::failed)?;
        self.tally().count();
        prepared.finish(&signature).map_err(fault::failed)
    }
}

/// Whether a signature takes milliseconds: RSA, whose cost grows with the third power of the size (2048 bits take less than one).
fn is_slow(key: &PublicKey) -> bool {
    key.key_type() == KeyType::Rsa && key.bits() >= 3072
}

impl From<PrivateKey> for CaKey {
    fn from(key: PrivateKey) -> Self {
        Self::from(Arc::new(key))
    }
}

impl From<Arc<PrivateKey>> for CaKey {
    fn from(key: Arc<PrivateKey>) -> Self {
        Self::Local(key, Tally::default())
    }
}

impl From<KmsKey> for CaKey {
    fn from(key: KmsKey) -> Self {
        Self::Kms(Arc::new(key), Tally::default())
    }
}

impl std::fmt::Debug for CaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CaKey({:?})", self.public_key())
    }
}
