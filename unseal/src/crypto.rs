//! The only file that names aws-lc-rs: AES-256-GCM, digests, signature verification.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, signature};
use der::Decode as _;
use landfast_base::{Secret, fill, hex, hmac_sha256, ml_dsa_representative, random};
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use zeroize::Zeroize;

use crate::error::Error;
use crate::keys::key::{Digest, SigningScheme};

/// Bytes of a data key.
pub(crate) const KEY_LEN: usize = 32;

/// Bytes of a GCM nonce (NIST SP 800-38D section 8.2).
pub(crate) const NONCE_LEN: usize = 12;

/// Bytes of a GCM tag.
pub(crate) const TAG_LEN: usize = 16;

/// A new data key.
pub(crate) fn random_key() -> Result<Secret<Vec<u8>>, Error> {
    let mut key = Secret::new(vec![0; KEY_LEN]);
    fill(key.expose_mut())?;
    Ok(key)
}

/// A new nonce. A data key of ours encrypts one blob, so a random one cannot meet another.
pub(crate) fn random_nonce() -> Result<[u8; NONCE_LEN], Error> {
    Ok(random()?)
}

/// Encrypts; the tag ends the result.
pub(crate) fn seal(
    key: &Secret<Vec<u8>>,
    nonce: [u8; NONCE_LEN],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut data = Vec::with_capacity(plaintext.len() + TAG_LEN);
    data.extend_from_slice(plaintext);
    let sealed = cipher(key)?.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(aad),
        &mut data,
    );
    if sealed.is_err() {
        data.zeroize();
        return Err(Error::Crypto("encryption failed"));
    }
    Ok(data)
}

/// Decrypts nonce, ciphertext and tag in one piece.
pub(crate) fn open(
    key: &Secret<Vec<u8>>,
    sealed: &[u8],
    aad: &[u8],
) -> Result<Secret<Vec<u8>>, Error> {
    let (nonce, ciphertext) = sealed
        .split_at_checked(NONCE_LEN)
        .ok_or(Error::Authentication)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Authentication)?;
    let mut data = ciphertext.to_vec();
    let length = cipher(key)?
        .open_in_place(nonce, Aad::from(aad), &mut data)
        .map_err(|_| Error::Authentication)?
        .len();
    data.truncate(length);
    Ok(Secret::new(data))
}

/// A public name for a secret key: it says nothing about the key but tells keys apart.
pub(crate) fn fingerprint(key: &Secret<Vec<u8>>, label: &str) -> String {
    hex(&hmac_sha256(key.expose(), label.as_bytes())[..8])
}

/// Hashes a message.
pub(crate) fn hash(digest: Digest, message: &[u8]) -> Vec<u8> {
    digest::digest(algorithm(digest), message).as_ref().to_vec()
}

/// Whether `signature` is one of the digest by the key of a SubjectPublicKeyInfo. Never for ML-DSA: see [`MlDsaKey::verifies`].
pub(crate) fn verifies(
    public_key_der: &[u8],
    scheme: SigningScheme,
    digest: &[u8],
    signature: &[u8],
) -> bool {
    let (Some(hash), Some(verifier)) = (scheme.digest(), verifier(scheme)) else {
        return false;
    };
    let Ok(digest) = digest::Digest::import_less_safe(digest, algorithm(hash)) else {
        return false;
    };
    let key = signature::ParsedPublicKey::new(verifier, public_key_der);
    key.is_ok_and(|key| key.verify_digest_sig(&digest, signature).is_ok())
}

/// The public half of an ML-DSA key (RFC 9881 section 4).
pub(crate) struct MlDsaKey<'a> {
    set: usize,
    octets: &'a [u8],
}

impl<'a> MlDsaKey<'a> {
    /// Reads a SubjectPublicKeyInfo; none if it holds a key of another kind, or has parameters.
    pub(crate) fn of(public_key_der: &'a [u8]) -> Option<Self> {
        let spki = SubjectPublicKeyInfoRef::from_der(public_key_der).ok()?;
        let set = ML_DSA
            .iter()
            .position(|(_, id, _)| *id == spki.algorithm.oid)?;
        let octets = spki.subject_public_key.as_bytes()?;
        spki.algorithm
            .parameters
            .is_none()
            .then_some(Self { set, octets })
    }

    /// 44, 65 or 87.
    pub(crate) fn bits(&self) -> u32 {
        ML_DSA[self.set].0
    }

    /// What a service signs in place of the message (`EXTERNAL_MU` of AWS KMS).
    pub(crate) fn representative(&self, message: &[u8]) -> [u8; 64] {
        ml_dsa_representative(self.octets, message)
    }

    /// Whether `signature` is one of the message, with an empty context.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature::UnparsedPublicKey::new(ML_DSA[self.set].2, self.octets)
            .verify(message, signature)
            .is_ok()
    }
}

/// The parameter sets: name, identifier (RFC 9881 section 2) and verifier.
static ML_DSA: [(u32, ObjectIdentifier, &dyn signature::VerificationAlgorithm); 3] = [
    (
        44,
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17"),
        &signature::ML_DSA_44,
    ),
    (
        65,
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"),
        &signature::ML_DSA_65,
    ),
    (
        87,
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19"),
        &signature::ML_DSA_87,
    ),
];

fn algorithm(digest: Digest) -> &'static digest::Algorithm {
    match digest {
        Digest::Sha256 => &digest::SHA256,
        Digest::Sha384 => &digest::SHA384,
        Digest::Sha512 => &digest::SHA512,
    }
}

/// The library ties a verifier to a curve; AWS KMS ties each digest to one curve too.
fn verifier(scheme: SigningScheme) -> Option<&'static dyn signature::VerificationAlgorithm> {
    Some(match scheme {
        SigningScheme::Ecdsa(Digest::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        SigningScheme::Ecdsa(Digest::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        SigningScheme::Ecdsa(Digest::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
        SigningScheme::RsaPkcs1(Digest::Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        SigningScheme::RsaPkcs1(Digest::Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        SigningScheme::RsaPkcs1(Digest::Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        SigningScheme::RsaPss(Digest::Sha256) => &signature::RSA_PSS_2048_8192_SHA256,
        SigningScheme::RsaPss(Digest::Sha384) => &signature::RSA_PSS_2048_8192_SHA384,
        SigningScheme::RsaPss(Digest::Sha512) => &signature::RSA_PSS_2048_8192_SHA512,
        SigningScheme::MlDsa => return None,
    })
}

fn cipher(key: &Secret<Vec<u8>>) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM, key.expose())
        .map_err(|_| Error::Blob("the data key is not 32 bytes long"))?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_data_opens_only_with_the_same_key_and_additional_data() {
        let (key, other) = (random_key().expect("random"), random_key().expect("random"));
        let nonce = random_nonce().expect("random");
        let mut sealed = nonce.to_vec();
        sealed.extend(seal(&key, nonce, b"root key", b"mount").expect("seals"));
        assert_eq!(
            open(&key, &sealed, b"mount").expect("opens").expose(),
            b"root key"
        );
        assert!(matches!(
            open(&key, &sealed, b"other"),
            Err(Error::Authentication)
        ));
        assert!(matches!(
            open(&other, &sealed, b"mount"),
            Err(Error::Authentication)
        ));
        assert!(matches!(
            open(&key, &sealed[..11], b"mount"),
            Err(Error::Authentication)
        ));
    }

    #[test]
    fn a_data_key_of_another_length_is_refused() {
        let short = Secret::new(vec![0; 16]);
        assert!(matches!(open(&short, &[0; 40], b""), Err(Error::Blob(_))));
    }

    #[test]
    fn fingerprints_tell_keys_apart() {
        let (key, other) = (random_key().expect("random"), random_key().expect("random"));
        assert_eq!(fingerprint(&key, "a"), fingerprint(&key, "a"));
        assert_ne!(fingerprint(&key, "a"), fingerprint(&other, "a"));
        assert_eq!(fingerprint(&key, "a").len(), 16);
    }
}
