//! What a caller has signed or verified: the digest of a message, or the message itself where the key is an ML-DSA key.

use std::borrow::Cow;

use crate::crypto::{self, MlDsaKey};
use crate::error::Error;
use crate::keys::key::{KmsSigner, SigningScheme};

/// What is signed, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signed<'a> {
    /// A digest, by a scheme of the key.
    Digest(SigningScheme, Vec<u8>),
    /// A message. Whoever verifies ML-DSA wants all of it; the service gets its representative.
    Message(Cow<'a, [u8]>),
}

impl Signed<'_> {
    /// Has it signed by the key, with one call.
    pub(crate) async fn by(&self, signer: &dyn KmsSigner) -> Result<Vec<u8>, Error> {
        match self {
            Self::Digest(scheme, digest) => signer.sign_digest(*scheme, digest).await,
            Self::Message(message) => {
                let key = MlDsaKey::of(signer.public_key_der()).ok_or_else(|| {
                    Error::Config(format!(
                        "the public key of {} is no ML-DSA key",
                        signer.key_id()
                    ))
                })?;
                let representative = key.representative(message);
                signer
                    .sign_digest(SigningScheme::MlDsa, &representative)
                    .await
            }
        }
    }

    /// Whether `signature` is one of it by the key. Calls nobody.
    pub(crate) fn verifies(&self, signer: &dyn KmsSigner, signature: &[u8]) -> bool {
        let public = signer.public_key_der();
        match self {
            Self::Digest(scheme, digest) => crypto::verifies(public, *scheme, digest, signature),
            Self::Message(message) => {
                MlDsaKey::of(public).is_some_and(|key| key.verifies(message, signature))
            }
        }
    }
}
