//! The keys that sign sessions. The only file of this crate that
//! names aws-lc-rs.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::encoding::{AsDer, AsRawBytes};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaKeyPair,
};

use landfast_base::Secret;
use landfast_rolesanywhere::sigv4::Algorithm;
use zeroize::Zeroizing;

/// The hash under a passphrase that is stretched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1: old, but HMAC with it is not broken.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A key of `length` octets out of a passphrase (PBKDF2, RFC 8018 section
/// 5.2), unless there are no rounds.
pub fn stretch(
    digest: Digest,
    passphrase: &[u8],
    salt: &[u8],
    rounds: u32,
    length: usize,
) -> Option<Secret<Vec<u8>>> {
    let algorithm = match digest {
        Digest::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
        Digest::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        Digest::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
        Digest::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut key = vec![0; length];
    pbkdf2::derive(
        algorithm,
        NonZeroU32::new(rounds)?,
        salt,
        passphrase,
        &mut key,
    );
    Some(Secret::new(key))
}

/// Decrypts AES-CBC with PKCS#7 padding; the key's length chooses the cipher.
/// None when the lengths or the padding are not right.
pub fn decrypt_cbc(key: &[u8], iv: [u8; 16], data: &[u8]) -> Option<Secret<Vec<u8>>> {
    let cipher = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return None,
    };
    let key = UnboundCipherKey::new(cipher, key).ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
    let mut buffer = Zeroizing::new(data.to_vec());
    let context = DecryptionContext::Iv128(FixedLength::from(&iv));
    let plain = key.decrypt(&mut buffer, context).ok()?;
    Some(Secret::new(plain.to_vec()))
}

/// A private key that can sign a session request.
pub struct SessionKey(Kind);

enum Kind {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    MlDsa(Box<PqdsaKeyPair>),
}

/// Why a key cannot be used, or a signature not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// None of the accepted encodings or types.
    #[error(
        "the private key is none of RSA (2048 bits or more), P-256, P-521 and ML-DSA in PKCS#8, PKCS#1 or SEC1"
    )]
    Unsupported,
    /// P-384, for which the crypto library makes no SHA-256 signature.
    #[error(
        "P-384 keys cannot sign here: Roles Anywhere wants ECDSA with SHA-256 on every curve, which the crypto library offers for P-256 and P-521; renew with a P-256 key"
    )]
    P384,
    /// A digest that this kind of key makes no signature with.
    #[error(
        "the crypto library makes no signature with that digest and this key: P-256 signs with SHA256, P-384 with SHA384, P-521 and RSA with each"
    )]
    Digest,
    /// The signature could not be made.
    #[error("the private key could not sign")]
    Sign,
}

/// The ML-DSA parameter sets.
const ML_DSA: [&PqdsaSigningAlgorithm; 3] = [
    &signature::ML_DSA_44_SIGNING,
    &signature::ML_DSA_65_SIGNING,
    &signature::ML_DSA_87_SIGNING,
];

/// The expanded form (FIPS 204 section 7.2) of an ML-DSA key in PKCS#8; `None` for whatever else.
pub(crate) fn expanded(der: &[u8]) -> Option<Secret<Vec<u8>>> {
    let pair = ML_DSA
        .into_iter()
        .find_map(|signing| PqdsaKeyPair::from_pkcs8(signing, der).ok())?;
    let octets = pair.private_key().as_raw_bytes().ok()?;
    Some(Secret::new(octets.as_ref().to_vec()))
}

impl SessionKey {
    /// Reads a key in DER: PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`], or [`KeyError::P384`].
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(pair) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Ok(Self(Kind::Rsa(Box::new(pair))));
        }
        let curves: [&'static EcdsaSigningAlgorithm; 2] = [
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
        ];
        for curve in curves {
            if let Some(pair) = ecdsa(curve, der) {
                return Ok(Self(Kind::Ecdsa(pair)));
            }
        }
        if ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, der).is_some() {
            return Err(KeyError::P384);
        }
        for signing in ML_DSA {
            if let Ok(pair) = PqdsaKeyPair::from_pkcs8(signing, der) {
                return Ok(Self(Kind::MlDsa(Box::new(pair))));
            }
        }
        Err(KeyError::Unsupported)
    }

    /// The algorithm that this key signs with.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Rsa(_) => Algorithm::Rsa,
            Kind::Ecdsa(_) => Algorithm::Ecdsa,
            Kind::MlDsa(_) => Algorithm::MlDsa,
        }
    }

    /// The public key as a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] when the library cannot encode it.
    pub fn public_key(&self) -> Result<Vec<u8>, KeyError> {
        let der = match &self.0 {
            Kind::Rsa(pair) => pair.public_key().as_der().map(|der| der.as_ref().to_vec()),
            Kind::Ecdsa(pair) => pair.public_key().as_der().map(|der| der.as_ref().to_vec()),
            Kind::MlDsa(pair) => pair.public_key().as_der().map(|der| der.as_ref().to_vec()),
        };
        der.map_err(|_| KeyError::Unsupported)
    }

    /// Signs the bytes of a string to sign.
    ///
    /// # Errors
    /// [`KeyError::Sign`] when the library refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        match &self.0 {
            Kind::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out)
                    .map_err(|_| KeyError::Sign)?;
                Ok(out)
            }
            Kind::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Sign),
            Kind::MlDsa(pair) => {
                let mut out = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut out).map_err(|_| KeyError::Sign)?;
                out.truncate(length);
                Ok(out)
            }
        }
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({})", self.algorithm().name())
    }
}

/// Signs with a digest other than that of sessions, as far as the library has
/// it for the key; ML-DSA has none and signs the message. RSA signs by PKCS#1
/// version 1.5.
///
/// # Errors
/// [`KeyError::Digest`], or [`KeyError::Unsupported`] for what is no key.
pub fn sign_with(der: &[u8], digest: Digest, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    let random = SystemRandom::new();
    match SessionKey::from_der(der) {
        Ok(SessionKey(Kind::Rsa(pair))) => {
            let padding = match digest {
                Digest::Sha256 => &signature::RSA_PKCS1_SHA256,
                Digest::Sha384 => &signature::RSA_PKCS1_SHA384,
                Digest::Sha512 => &signature::RSA_PKCS1_SHA512,
                Digest::Sha1 => return Err(KeyError::Digest),
            };
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &random, message, &mut out)
                .map_err(|_| KeyError::Sign)?;
            return Ok(out);
        }
        Ok(key @ SessionKey(Kind::MlDsa(_))) => return key.sign(message),
        Ok(SessionKey(Kind::Ecdsa(_))) | Err(KeyError::P384) => {}
        Err(error) => return Err(error),
    }
    let curves: &[&'static EcdsaSigningAlgorithm] = match digest {
        Digest::Sha256 => &[
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
        ],
        Digest::Sha384 => &[
            &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            &signature::ECDSA_P521_SHA384_ASN1_SIGNING,
        ],
        Digest::Sha512 => &[&signature::ECDSA_P521_SHA512_ASN1_SIGNING],
        Digest::Sha1 => &[],
    };
    let pair = curves
        .iter()
        .find_map(|curve| ecdsa(curve, der))
        .ok_or(KeyError::Digest)?;
    let signature = pair.sign(&random, message).map_err(|_| KeyError::Sign)?;
    Ok(signature.as_ref().to_vec())
}

/// An EC key in PKCS#8 or SEC1, if it is on this curve.
fn ecdsa(curve: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(curve, der)
        .or_else(|_| EcdsaKeyPair::from_private_key_der(curve, der))
        .ok()
}
