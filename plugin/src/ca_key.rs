//! What signs for a CA, wherever the private half is.

use std::sync::Arc;

use landfast_pki::{Certificate, Crl, Csr, Prepared, PreparedCrl, PreparedCsr};
use landfast_pki::{Error as PkiError, PrivateKey, PublicKey, SignatureAlgorithm};
use landfast_sdk::logical::Error;

use crate::{Mount, pki};

/// A key of the mount, ready to sign.
#[derive(Clone)]
pub(crate) enum CaKey {
    /// The private half is in this process.
    Local(Arc<PrivateKey>),
}

/// What lacks nothing but its signature.
pub(crate) trait Unsigned: Send {
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
        }
    }

    /// Signs a certificate, a request or a CRL.
    ///
    /// # Errors
    /// When the key cannot sign so.
    pub(crate) async fn sign<T: Unsigned>(
        &self,
        _mount: &Mount,
        prepared: T,
    ) -> Result<T::Signed, Error> {
        match self {
            Self::Local(key) => {
                let signature =
                    landfast_pki::Signer::sign(&**key, prepared.algorithm(), prepared.tbs());
                prepared
                    .finish(&signature.map_err(pki::failed)?)
                    .map_err(pki::failed)
            }
        }
    }
}

impl From<PrivateKey> for CaKey {
    fn from(key: PrivateKey) -> Self {
        Self::Local(Arc::new(key))
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
