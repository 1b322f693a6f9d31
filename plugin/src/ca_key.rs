//! What signs for a CA, wherever the private half is.

use std::sync::Arc;

use landfast_pki::{
    Certificate, Crl, Csr, KeyType, Prepared, PreparedCrl, PreparedCsr, PreparedOcsp,
};
use landfast_pki::{Error as PkiError, PrivateKey, PublicKey, SignatureAlgorithm, Signer};
use landfast_sdk::logical::Error;

use crate::kms::{self, KmsKey};
use crate::{Mount, fault};

/// A key of the mount, ready to sign.
#[derive(Clone)]
pub(crate) enum CaKey {
    /// The private half is in this process.
    Local(Arc<PrivateKey>),
    /// AWS KMS keeps it.
    Kms(Arc<KmsKey>),
}

/// What lacks nothing but its signature.
pub(crate) trait Unsigned: Send + Sync {
    /// What it becomes.
    type Signed;

    /// The bytes to sign.
    fn tbs(&self) -> &[u8];

    /// How to sign them.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Joins the signature.
    fn finish(self, signature: &[u8]) -> Result<Self::Signed, PkiError>;
}

impl CaKey {
    /// The public half.
    pub(crate) fn public_key(&self) -> &PublicKey {
        match self {
            Self::Local(key) => key.public_key(),
            Self::Kms(key) => &key.public,
        }
    }

    /// Signs a certificate, a request, a CRL or an OCSP answer. With a local key nothing is waited for, but for a turn of those that take
    /// their time.
    ///
    /// # Errors
    /// When the key cannot sign so, or AWS KMS cannot be used.
    pub(crate) async fn sign<T: Unsigned>(
        &self,
        mount: &Mount,
        prepared: T,
    ) -> Result<T::Signed, Error> {
        let (algorithm, tbs) = (prepared.algorithm(), prepared.tbs());
        let signature = match self {
            Self::Local(key) if is_slow(key.public_key()) => {
                let sign = || Signer::sign(&**key, algorithm, tbs);
                let signed = Box::pin(mount.heavy.run(sign)).await;
                signed.map_err(fault::failed)?
            }
            Self::Local(key) => Signer::sign(&**key, algorithm, tbs).map_err(fault::failed)?,
            // Apart, so that those who sign here do not carry the room for it.
            Self::Kms(key) => Box::pin(kms::sign(mount, key, algorithm, tbs)).await?,
        };
        prepared.finish(&signature).map_err(fault::failed)
    }

    /// As [`Self::sign`], for whoever needs no token: a local RSA key takes turns, of which strangers get only a part.
    ///
    /// # Errors
    /// As [`Self::sign`], and 503 when too many wait.
    pub(crate) async fn sign_for_stranger<T: Unsigned>(
        &self,
        mount: &Mount,
        prepared: T,
    ) -> Result<T::Signed, Error> {
        let key = match self {
            Self::Local(key) if key.public_key().key_type() == KeyType::Rsa => key,
            _ => return self.sign(mount, prepared).await,
        };
        let sign = || Signer::sign(&**key, prepared.algorithm(), prepared.tbs());
        let signed = Box::pin(mount.heavy.for_stranger(sign)).await?;
        let signature = signed.map_err(fault::failed)?;
        prepared.finish(&signature).map_err(fault::failed)
    }
}

/// Whether a signature takes milliseconds: RSA, whose cost grows with the third power of the size (2048 bits take less than one).
fn is_slow(key: &PublicKey) -> bool {
    key.key_type() == KeyType::Rsa && key.bits() >= 3072
}

impl From<PrivateKey> for CaKey {
    fn from(key: PrivateKey) -> Self {
        Self::Local(Arc::new(key))
    }
}

impl From<KmsKey> for CaKey {
    fn from(key: KmsKey) -> Self {
        Self::Kms(Arc::new(key))
    }
}

impl std::fmt::Debug for CaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CaKey({:?})", self.public_key())
    }
}

impl Unsigned for Prepared {
    type Signed = Certificate;

    fn tbs(&self) -> &[u8] {
        self.tbs()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm()
    }

    fn finish(self, signature: &[u8]) -> Result<Certificate, PkiError> {
        Ok(self.finish(signature))
    }
}

impl Unsigned for PreparedCrl {
    type Signed = Crl;

    fn tbs(&self) -> &[u8] {
        self.tbs()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm()
    }

    fn finish(self, signature: &[u8]) -> Result<Crl, PkiError> {
        self.finish(signature)
    }
}

impl Unsigned for PreparedCsr {
    type Signed = Csr;

    fn tbs(&self) -> &[u8] {
        self.tbs()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm()
    }

    fn finish(self, signature: &[u8]) -> Result<Csr, PkiError> {
        self.finish(signature)
    }
}

impl Unsigned for PreparedOcsp {
    type Signed = Vec<u8>;

    fn tbs(&self) -> &[u8] {
        self.tbs()
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm()
    }

    fn finish(self, signature: &[u8]) -> Result<Vec<u8>, PkiError> {
        Ok(self.finish(signature))
    }
}
