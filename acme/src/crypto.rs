//! Signatures and message authentication codes of JWS. The only file of this crate that names aws-lc-rs.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use landfast_base::Secret;
use landfast_pki::{Curve, KeyType, PublicKey};

use crate::algorithm::Algorithm;

/// Whether `signature` is that of the key over the message, and the algorithm one for such a key.
///
/// ECDSA signatures are the two numbers side by side, each as long as the field (RFC 7518 section 3.4).
pub(crate) fn verify(
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    rules(algorithm, key).is_some_and(|rules| {
        UnparsedPublicKey::new(rules, key.key_bits())
            .verify(message, signature)
            .is_ok()
    })
}

/// How a signature by this algorithm is checked with such a key; none where the algorithm is for keys of another kind or curve.
pub(crate) fn rules(
    algorithm: Algorithm,
    key: &PublicKey,
) -> Option<&'static dyn VerificationAlgorithm> {
    let (kind, curve, rules): (_, _, &'static dyn VerificationAlgorithm) = match algorithm {
        Algorithm::Rs256 => (KeyType::Rsa, None, &signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => (KeyType::Rsa, None, &signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => (KeyType::Rsa, None, &signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => (KeyType::Rsa, None, &signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => (KeyType::Rsa, None, &signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => (KeyType::Rsa, None, &signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 => (
            KeyType::Ec,
            Some(Curve::P256),
            &signature::ECDSA_P256_SHA256_FIXED,
        ),
        Algorithm::Es384 => (
            KeyType::Ec,
            Some(Curve::P384),
            &signature::ECDSA_P384_SHA384_FIXED,
        ),
        Algorithm::Es512 => (
            KeyType::Ec,
            Some(Curve::P521),
            &signature::ECDSA_P521_SHA512_FIXED,
        ),
        Algorithm::EdDsa => (KeyType::Ed25519, None, &signature::ED25519),
    };
    (key.key_type() == kind && key.curve() == curve).then_some(rules)
}

/// A message authentication code of JWS (RFC 7518 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mac {
    Hs256,
    Hs384,
    Hs512,
}

impl Mac {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "HS384" => Some(Self::Hs384),
            "HS512" => Some(Self::Hs512),
            _ => None,
        }
    }

    /// Whether the tag is this key's over the message; compared in constant time.
    pub(crate) fn verify(self, key: &Secret<Vec<u8>>, message: &[u8], tag: &[u8]) -> bool {
        let algorithm = match self {
            Self::Hs256 => hmac::HMAC_SHA256,
            Self::Hs384 => hmac::HMAC_SHA384,
            Self::Hs512 => hmac::HMAC_SHA512,
        };
        hmac::verify(&hmac::Key::new(algorithm, key.expose()), message, tag).is_ok()
    }
}
