//! Verifying a session's signature. The only file of this crate that names
//! aws-lc-rs.

use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, UnparsedPublicKey};

use crate::sigv4::Algorithm;

/// Verifies a session signature against a `SubjectPublicKeyInfo` in DER.
///
/// False as well when the key's type is not the algorithm's, or the ECDSA
/// signature is not in ASN.1 DER.
pub fn verify(algorithm: Algorithm, spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let with_ecdsa = |curve: &'static EcdsaVerificationAlgorithm| {
        UnparsedPublicKey::new(curve, spki)
            .verify(message, signature)
            .is_ok()
    };
    match algorithm {
        Algorithm::Rsa => UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, spki)
            .verify(message, signature)
            .is_ok(),
        Algorithm::Ecdsa => [
            &signature::ECDSA_P256_SHA256_ASN1,
            &signature::ECDSA_P384_SHA256_ASN1,
            &signature::ECDSA_P521_SHA256_ASN1,
        ]
        .into_iter()
        .any(with_ecdsa),
        Algorithm::MlDsa => [
            &signature::ML_DSA_44,
            &signature::ML_DSA_65,
            &signature::ML_DSA_87,
        ]
        .into_iter()
        .any(|verifying| {
            UnparsedPublicKey::new(verifying, spki)
                .verify(message, signature)
                .is_ok()
        }),
    }
}
