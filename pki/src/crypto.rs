//! The primitives: key pairs, signatures, digests. The only file that names aws-lc-rs. What that lacks, keys on P-224, is below.

mod p224;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsBigEndian, AsDer, AsRawBytes, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair,
    PqdsaSigningAlgorithm, RsaEncoding, UnparsedPublicKey, VerificationAlgorithm,
};

use landfast_base::ml_dsa_representative;

use crate::asn1::{self, Writer};
use crate::key::{Curve, KeySpec, KeyType, MlDsa, PublicKey};
use crate::sign::{Hash, SignatureAlgorithm};
use crate::{Error, Secret};

/// What `algorithm` would sign in place of the message, for a remote key that takes no messages: the digest, or the representative of
/// 64 octets that FIPS 204 calls mu.
///
/// None for Ed25519, which signs whole messages, and for ML-DSA of another parameter set than the key's.
pub fn digest_for(
    algorithm: SignatureAlgorithm,
    key: &PublicKey,
    message: &[u8],
) -> Option<Vec<u8>> {
    match algorithm {
        SignatureAlgorithm::MlDsa(set) => (key.ml_dsa() == Some(set))
            .then(|| ml_dsa_representative(key.key_bits(), message).to_vec()),
        other => Some(digest(other.hash()?, message)),
    }
}

/// The digest of `data`.
pub(crate) fn digest(hash: Hash, data: &[u8]) -> Vec<u8> {
    let hash = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    digest::digest(hash, data).as_ref().to_vec()
}

/// A private key as the library keeps it; it wipes its own memory.
pub(crate) enum KeyPair {
    Rsa(Box<RsaKeyPair>),
    Ec(Curve, Box<EcdsaKeyPair>),
    P224(Box<p224::Pair>),
    Ed25519(Box<Ed25519KeyPair>),
    MlDsa(MlDsa, Box<PqdsaKeyPair>),
}

impl KeyPair {
    pub(crate) fn generate(spec: KeySpec) -> Result<Self, Error> {
        match spec.kind {
            KeyType::Rsa => {
                let size = match spec.bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    8192 => KeySize::Rsa8192,
                    bits if bits < 2048 => return Err(Error::RsaTooSmall(bits.into())),
                    bits => {
                        let bits = bits.into();
                        return Err(Error::KeyBits { kind: "RSA", bits });
                    }
                };
                let pair = RsaKeyPair::generate(size).map_err(|_| Error::Crypto)?;
                Ok(Self::Rsa(Box::new(pair)))
            }
            KeyType::Ec => {
                let curve = Curve::from_bits(spec.bits.into())?;
                let Some(rules) = signing(curve) else {
                    return Ok(Self::P224(Box::new(p224::Pair::generate()?)));
                };
                let pair = EcdsaKeyPair::generate(rules).map_err(|_| Error::Crypto)?;
                Ok(Self::Ec(curve, Box::new(pair)))
            }
            KeyType::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| Error::Crypto)?;
                Ok(Self::Ed25519(Box::new(pair)))
            }
            KeyType::MlDsa => {
                let set = MlDsa::from_bits(spec.bits.into())?;
                let pair =
                    PqdsaKeyPair::generate(ml_dsa_signing(set)).map_err(|_| Error::Crypto)?;
                Ok(Self::MlDsa(set, Box::new(pair)))
            }
            KeyType::Other => Err(Error::UnknownKeyType(spec.kind.as_str().to_owned())),
        }
    }

    /// From an RSAPrivateKey of RFC 8017. The library checks that the parts fit each other.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, Error> {
        let pair = RsaKeyPair::from_der(der)
            .map_err(|_| Error::PrivateKey("RSA key refused; 2048 to 8192 bits are supported"))?;
        Ok(Self::Rsa(Box::new(pair)))
    }

    /// From a scalar as long as the field of its curve.
    pub(crate) fn from_scalar(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        let Some(rules) = signing(curve) else {
            return Ok(Self::P224(Box::new(p224::Pair::from_scalar(scalar)?)));
        };
        // An ECPrivateKey of RFC 5915 that names its curve.
        let mut w = Writer::with_capacity(scalar.len() + 64);
        w.sequence(|w| {
            w.number(1);
            w.octet_string(scalar);
            w.nested(asn1::context_constructed(0), |w| w.oid(&curve.oid()));
        });
        let der = Secret::new(w.finish());
        let pair = EcdsaKeyPair::from_private_key_der(rules, der.expose())
            .map_err(|_| Error::PrivateKey("EC key refused"))?;
        Ok(Self::Ec(curve, Box::new(pair)))
    }

    pub(crate) fn from_ed25519_seed(seed: &[u8]) -> Result<Self, Error> {
        if seed.len() != 32 {
            return Err(Error::PrivateKey("an Ed25519 seed has 32 octets"));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::PrivateKey("Ed25519 key refused"))?;
        Ok(Self::Ed25519(Box::new(pair)))
    }

    /// From the seed, of 32 octets.
    pub(crate) fn from_ml_dsa_seed(set: MlDsa, seed: &[u8]) -> Result<Self, Error> {
        let pair = PqdsaKeyPair::from_seed(ml_dsa_signing(set), seed)
            .map_err(|_| Error::PrivateKey("ML-DSA key refused"))?;
        Ok(Self::MlDsa(set, Box::new(pair)))
    }

    /// Whether these octets are the expanded form of an ML-DSA key (FIPS 204 section 7.2).
    pub(crate) fn expands_to(&self, expanded: &[u8]) -> bool {
        self.expanded()
            .is_ok_and(|own| verify_slices_are_equal(own.expose(), expanded).is_ok())
    }

    /// The expanded form of an ML-DSA key (FIPS 204 section 7.2).
    pub(crate) fn expanded(&self) -> Result<Secret<Vec<u8>>, Error> {
        match self {
            Self::MlDsa(_, pair) => {
                let octets = pair.private_key().as_raw_bytes();
                let octets = octets.map_err(|_| Error::Crypto)?;
                Ok(Secret::new(octets.as_ref().to_vec()))
            }
            _ => Err(Error::Crypto),
        }
    }

    /// The public key as it stands in the bit string of a SubjectPublicKeyInfo.
    pub(crate) fn public_bits(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(_, pair) => pair.public_key().as_ref(),
            Self::P224(pair) => pair.point(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
            Self::MlDsa(_, pair) => pair.public_key().as_ref(),
        }
    }

    /// The curve of an EC key.
    pub(crate) fn curve(&self) -> Option<Curve> {
        match self {
            Self::Ec(curve, _) => Some(*curve),
            Self::P224(_) => Some(Curve::P224),
            Self::Rsa(_) | Self::Ed25519(_) | Self::MlDsa(..) => None,
        }
    }

    /// The secret: an RSAPrivateKey, a scalar as long as the field, or a seed.
    pub(crate) fn private_bits(&self) -> Result<Secret<Vec<u8>>, Error> {
        match self {
            Self::Rsa(pair) => {
                let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&**pair).map_err(|_| Error::Crypto)?;
                Ok(Secret::new(enclosed(pkcs8.as_ref())?.to_vec()))
            }
            Self::Ec(_, pair) => {
                let private = pair.private_key();
                let scalar: EcPrivateKeyBin<'_> =
                    private.as_be_bytes().map_err(|_| Error::Crypto)?;
                Ok(Secret::new(scalar.as_ref().to_vec()))
            }
            Self::P224(pair) => Ok(pair.scalar()),
            Self::Ed25519(pair) => {
                let seed = pair.seed().map_err(|_| Error::Crypto)?;
                let seed = seed.as_be_bytes().map_err(|_| Error::Crypto)?;
                Ok(Secret::new(seed.as_ref().to_vec()))
            }
            Self::MlDsa(_, pair) => {
                // The library gives the seed out in PKCS#8 alone. Every pair here was made from one.
                let pkcs8 = pair.private_key().as_der().map_err(|_| Error::Crypto)?;
                let seed = asn1::decode(enclosed(pkcs8.as_ref())?, |r| {
                    asn1::value(r, asn1::context(0))
                });
                Ok(Secret::new(seed.map_err(|_| Error::Crypto)?.to_vec()))
            }
        }
    }

    pub(crate) fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let unspecified = |_| Error::Crypto;
        match (self, algorithm) {
            (Self::Rsa(pair), SignatureAlgorithm::RsaPkcs1(hash)) => {
                rsa_sign(pair, pkcs1(hash), message)
            }
            (Self::Rsa(pair), SignatureAlgorithm::RsaPss(hash)) => {
                rsa_sign(pair, pss(hash), message)
            }
            (Self::Ec(curve, pair), SignatureAlgorithm::Ecdsa(hash)) if curve.hash() == hash => {
                let signature = pair
                    .sign(&SystemRandom::new(), message)
                    .map_err(unspecified)?;
                Ok(signature.as_ref().to_vec())
            }
            (Self::P224(pair), SignatureAlgorithm::Ecdsa(hash)) if Curve::P224.hash() == hash => {
                pair.sign(&digest(hash, message))
            }
            (Self::Ed25519(pair), SignatureAlgorithm::Ed25519) => Ok(pair
                .try_sign(message)
                .map_err(unspecified)?
                .as_ref()
                .to_vec()),
            (Self::MlDsa(own, pair), SignatureAlgorithm::MlDsa(set)) if *own == set => {
                let mut signature = vec![0; set.signature_octets()];
                let length = pair.sign(message, &mut signature).map_err(unspecified)?;
                signature.truncate(length);
                Ok(signature)
            }
            _ => {
                let key = match self {
                    Self::Rsa(_) => "RSA",
                    Self::Ec(..) | Self::P224(_) => "ECDSA",
                    Self::Ed25519(_) => "Ed25519",
                    Self::MlDsa(..) => "ML-DSA",
                };
                Err(Error::AlgorithmMismatch {
                    key,
                    algorithm: algorithm.display_name(),
                })
            }
        }
    }
}

/// Checks a signature over `message` with the key in `bits`, the content of a SubjectPublicKeyInfo's bit string.
///
/// `curve` is that of an EC key. Any of the three hashes verifies with any curve, because others sign so.
pub(crate) fn verify(
    algorithm: SignatureAlgorithm,
    curve: Option<Curve>,
    bits: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let rules: &'static dyn VerificationAlgorithm = match (algorithm, curve) {
        (SignatureAlgorithm::RsaPkcs1(Hash::Sha256), None) => {
            &signature::RSA_PKCS1_2048_8192_SHA256
        }
        (SignatureAlgorithm::RsaPkcs1(Hash::Sha384), None) => {
            &signature::RSA_PKCS1_2048_8192_SHA384
        }
        (SignatureAlgorithm::RsaPkcs1(Hash::Sha512), None) => {
            &signature::RSA_PKCS1_2048_8192_SHA512
        }
        (SignatureAlgorithm::RsaPss(Hash::Sha256), None) => &signature::RSA_PSS_2048_8192_SHA256,
        (SignatureAlgorithm::RsaPss(Hash::Sha384), None) => &signature::RSA_PSS_2048_8192_SHA384,
        (SignatureAlgorithm::RsaPss(Hash::Sha512), None) => &signature::RSA_PSS_2048_8192_SHA512,
        (SignatureAlgorithm::Ecdsa(hash), Some(curve)) => match ecdsa(curve, hash) {
            Some(rules) => rules,
            None => return p224::verify(bits, &digest(hash, message), signature),
        },
        (SignatureAlgorithm::Ed25519, None) => &signature::ED25519,
        (SignatureAlgorithm::MlDsa(MlDsa::MlDsa44), None) => &signature::ML_DSA_44,
        (SignatureAlgorithm::MlDsa(MlDsa::MlDsa65), None) => &signature::ML_DSA_65,
        (SignatureAlgorithm::MlDsa(MlDsa::MlDsa87), None) => &signature::ML_DSA_87,
        _ => return Err(Error::BadSignature),
    };
    UnparsedPublicKey::new(rules, bits)
        .verify(message, signature)
        .map_err(|_| Error::BadSignature)
}

/// Whether `verify_sha1` knows keys on `curve`, or RSA keys where there is none.
pub(crate) fn verifies_sha1(curve: Option<Curve>) -> bool {
    curve == Some(Curve::P224) || sha1_rules(curve).is_some()
}

/// As [`verify`], for signatures over SHA-1, which prove possession of a key and nothing else.
pub(crate) fn verify_sha1(
    curve: Option<Curve>,
    bits: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    if curve == Some(Curve::P224) {
        return p224::verify(bits, &landfast_base::sha1(message), signature);
    }
    let rules = sha1_rules(curve).ok_or(Error::BadSignature)?;
    UnparsedPublicKey::new(rules, bits)
        .verify(message, signature)
        .map_err(|_| Error::BadSignature)
}

/// The library has no rule for P-224 and P-384.
fn sha1_rules(curve: Option<Curve>) -> Option<&'static dyn VerificationAlgorithm> {
    match curve {
        None => Some(&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
        Some(Curve::P256) => Some(&signature::ECDSA_P256_SHA1_ASN1),
        Some(Curve::P521) => Some(&signature::ECDSA_P521_SHA1_ASN1),
        Some(Curve::P224 | Curve::P384) => None,
    }
}

/// Whether `point` is an uncompressed point on the curve.
pub(crate) fn on_curve(curve: Curve, point: &[u8]) -> bool {
    match ecdsa(curve, curve.hash()) {
        Some(rules) => UnparsedPublicKey::new(rules, point).parse().is_ok(),
        None => p224::on_curve(point),
    }
}

/// What a PrivateKeyInfo encloses (RFC 5208 section 5).
fn enclosed(pkcs8: &[u8]) -> Result<&[u8], Error> {
    let inner = asn1::decode(pkcs8, |r| {
        let body = asn1::value(r, asn1::SEQUENCE)?;
        let mut r = der::SliceReader::new(body)?;
        asn1::number(&mut r)?;
        asn1::raw_sequence(&mut r)?;
        asn1::value(&mut r, asn1::OCTET_STRING)
    });
    inner.map_err(|_| Error::Crypto)
}

fn ml_dsa_signing(set: MlDsa) -> &'static PqdsaSigningAlgorithm {
    match set {
        MlDsa::MlDsa44 => &signature::ML_DSA_44_SIGNING,
        MlDsa::MlDsa65 => &signature::ML_DSA_65_SIGNING,
        MlDsa::MlDsa87 => &signature::ML_DSA_87_SIGNING,
    }
}

fn rsa_sign(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| Error::Crypto)?;
    Ok(signature)
}

fn pkcs1(hash: Hash) -> &'static dyn RsaEncoding {
    match hash {
        Hash::Sha256 => &signature::RSA_PKCS1_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_SHA512,
    }
}

fn pss(hash: Hash) -> &'static dyn RsaEncoding {
    match hash {
        Hash::Sha256 => &signature::RSA_PSS_SHA256,
        Hash::Sha384 => &signature::RSA_PSS_SHA384,
        Hash::Sha512 => &signature::RSA_PSS_SHA512,
    }
}

/// None for P-224, which the library does not offer.
fn signing(curve: Curve) -> Option<&'static EcdsaSigningAlgorithm> {
    Some(match curve {
        Curve::P224 => return None,
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    })
}

/// None for P-224, which the library does not offer.
fn ecdsa(curve: Curve, hash: Hash) -> Option<&'static signature::EcdsaVerificationAlgorithm> {
    Some(match (curve, hash) {
        (Curve::P224, _) => return None,
        (Curve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
    })
}
