//! Signature algorithms and who can make signatures.

use std::fmt;

use crate::key::{Curve, KeyType, MlDsa, PublicKey};
use crate::{Error, Oid, asn1};

/// The hashes used in signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The length of the digest in bits, which is also the value of `signature_bits`.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Sha256 => 256,
            Self::Sha384 => 384,
            Self::Sha512 => 512,
        }
    }

    /// The hash that `signature_bits` names; 0 is SHA-256.
    ///
    /// # Errors
    /// Any number but 0, 256, 384, 512.
    pub const fn from_signature_bits(bits: u32) -> Result<Self, Error> {
        match bits {
            0 | 256 => Ok(Self::Sha256),
            384 => Ok(Self::Sha384),
            512 => Ok(Self::Sha512),
            _ => Err(Error::SignatureBits(bits)),
        }
    }
}

/// A signature algorithm of X.509 (RFC 4055, RFC 5758, RFC 8410, RFC 9881).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 on the same hash and a salt as long as the hash.
    RsaPss(Hash),
    /// ECDSA.
    Ecdsa(Hash),
    /// Pure Ed25519.
    Ed25519,
    /// Pure ML-DSA with an empty context.
    MlDsa(MlDsa),
}

/// The result of [`SignatureAlgorithm::choose`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What to sign with.
    pub algorithm: SignatureAlgorithm,
    /// For the reply, when a wish could not be met.
    pub warning: Option<String>,
}

/// Makes signatures with a key that is at hand.
///
/// A key in a remote service does not implement this: its signature is awaited between
/// [`Template::prepare`](crate::Template::prepare) and [`Unsigned::finish`](crate::Unsigned::finish).
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message` (not its digest). ECDSA signatures are DER, as X.509 wants them.
    ///
    /// # Errors
    /// The key cannot make this kind of signature.
    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, Error>;
}

impl SignatureAlgorithm {
    /// All of them, RSA first.
    pub const ALL: [Self; 13] = [
        Self::RsaPkcs1(Hash::Sha256),
        Self::RsaPkcs1(Hash::Sha384),
        Self::RsaPkcs1(Hash::Sha512),
        Self::RsaPss(Hash::Sha256),
        Self::RsaPss(Hash::Sha384),
        Self::RsaPss(Hash::Sha512),
        Self::Ecdsa(Hash::Sha256),
        Self::Ecdsa(Hash::Sha384),
        Self::Ecdsa(Hash::Sha512),
        Self::Ed25519,
        Self::MlDsa(MlDsa::MlDsa44),
        Self::MlDsa(MlDsa::MlDsa65),
        Self::MlDsa(MlDsa::MlDsa87),
    ];

    /// The algorithm for a key, given a role's `signature_bits` (0: the default) and `use_pss`.
    ///
    /// RSA takes SHA-256 unless told otherwise. An EC key always signs with the hash of its curve: the cryptography
    /// library binds the two, so another wish is answered with a warning. Ed25519 and ML-DSA have no choice.
    ///
    /// # Errors
    /// `signature_bits` names no hash; the key is of a kind that cannot sign.
    pub fn choose(key: &PublicKey, signature_bits: u32, use_pss: bool) -> Result<Chosen, Error> {
        let plain = |algorithm| {
            Ok(Chosen {
                algorithm,
                warning: None,
            })
        };
        match (key.key_type(), key.curve()) {
            (KeyType::Rsa, _) => {
                let hash = Hash::from_signature_bits(signature_bits)?;
                plain(if use_pss {
                    Self::RsaPss(hash)
                } else {
                    Self::RsaPkcs1(hash)
                })
            }
            (KeyType::Ec, Some(curve)) => {
                let own = curve.hash();
                let algorithm = Self::Ecdsa(own);
                let differs =
                    signature_bits != 0 && Hash::from_signature_bits(signature_bits)? != own;
                let warning = differs.then(|| {
                    format!(
                        "signature_bits {signature_bits} was not used: a key on {curve} signs with {algorithm}"
                    )
                });
                Ok(Chosen { algorithm, warning })
            }
            (KeyType::Ed25519, _) => plain(Self::Ed25519),
            (KeyType::MlDsa, _) => match key.ml_dsa() {
                Some(set) => plain(Self::MlDsa(set)),
                None => Err(key.unsupported()),
            },
            _ => Err(key.unsupported()),
        }
    }

    /// Whether a signature by this algorithm can be made with the key.
    ///
    /// # Errors
    /// It cannot, in the words of the built-in engine.
    pub fn fits(self, key: &PublicKey) -> Result<(), Error> {
        let fits = match self {
            Self::RsaPkcs1(_) | Self::RsaPss(_) => key.key_type() == KeyType::Rsa,
            Self::Ecdsa(hash) => key.curve().is_some_and(|curve| curve.hash() == hash),
            Self::Ed25519 => key.key_type() == KeyType::Ed25519,
            Self::MlDsa(set) => key.ml_dsa() == Some(set),
        };
        let kind = match key.key_type() {
            KeyType::Rsa => "RSA",
            KeyType::Ec => "ECDSA",
            KeyType::Ed25519 => "Ed25519",
            KeyType::MlDsa => "ML-DSA",
            KeyType::Other => return Err(key.unsupported()),
        };
        if fits {
            Ok(())
        } else {
            Err(Error::AlgorithmMismatch {
                key: kind,
                algorithm: self.display_name(),
            })
        }
    }

    /// The hash, where the algorithm has one of its own.
    pub const fn hash(self) -> Option<Hash> {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => Some(hash),
            Self::Ed25519 | Self::MlDsa(_) => None,
        }
    }

    /// The name in the API (`revocation_signature_algorithm`), as answers spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => "SHA256WithRSA",
            Self::RsaPkcs1(Hash::Sha384) => "SHA384WithRSA",
            Self::RsaPkcs1(Hash::Sha512) => "SHA512WithRSA",
            Self::RsaPss(Hash::Sha256) => "SHA256WithRSAPSS",
            Self::RsaPss(Hash::Sha384) => "SHA384WithRSAPSS",
            Self::RsaPss(Hash::Sha512) => "SHA512WithRSAPSS",
            Self::Ecdsa(Hash::Sha256) => "ECDSAWithSHA256",
            Self::Ecdsa(Hash::Sha384) => "ECDSAWithSHA384",
            Self::Ecdsa(Hash::Sha512) => "ECDSAWithSHA512",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa(MlDsa::MlDsa44) => "MLDSA44",
            Self::MlDsa(MlDsa::MlDsa65) => "MLDSA65",
            Self::MlDsa(MlDsa::MlDsa87) => "MLDSA87",
        }
    }

    /// Reads an API name, in any case; `pureed25519` is Ed25519 too.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("pureed25519") {
            return Some(Self::Ed25519);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The number under which an issuer's storage entry keeps the algorithm (`x509.SignatureAlgorithm` of Go).
    pub const fn storage_number(self) -> u32 {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => 4,
            Self::RsaPkcs1(Hash::Sha384) => 5,
            Self::RsaPkcs1(Hash::Sha512) => 6,
            Self::Ecdsa(Hash::Sha256) => 10,
            Self::Ecdsa(Hash::Sha384) => 11,
            Self::Ecdsa(Hash::Sha512) => 12,
            Self::RsaPss(Hash::Sha256) => 13,
            Self::RsaPss(Hash::Sha384) => 14,
            Self::RsaPss(Hash::Sha512) => 15,
            Self::Ed25519 => 16,
            Self::MlDsa(MlDsa::MlDsa44) => 17,
            Self::MlDsa(MlDsa::MlDsa65) => 18,
            Self::MlDsa(MlDsa::MlDsa87) => 19,
        }
    }

    /// The algorithm with this [`storage_number`](Self::storage_number); 0 and unknown ones are none.
    pub fn from_storage_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.storage_number() == number)
    }

    /// The encoded AlgorithmIdentifier.
    pub const fn identifier(self) -> &'static [u8] {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => &RSA_SHA256,
            Self::RsaPkcs1(Hash::Sha384) => &RSA_SHA384,
            Self::RsaPkcs1(Hash::Sha512) => &RSA_SHA512,
            Self::RsaPss(Hash::Sha256) => &PSS_SHA256,
            Self::RsaPss(Hash::Sha384) => &PSS_SHA384,
            Self::RsaPss(Hash::Sha512) => &PSS_SHA512,
            Self::Ecdsa(Hash::Sha256) => &ECDSA_SHA256,
            Self::Ecdsa(Hash::Sha384) => &ECDSA_SHA384,
            Self::Ecdsa(Hash::Sha512) => &ECDSA_SHA512,
            Self::Ed25519 => &ED25519,
            Self::MlDsa(MlDsa::MlDsa44) => &ML_DSA_44,
            Self::MlDsa(MlDsa::MlDsa65) => &ML_DSA_65,
            Self::MlDsa(MlDsa::MlDsa87) => &ML_DSA_87,
        }
    }

    /// Reads an encoded AlgorithmIdentifier.
    ///
    /// For PKCS#1 an absent parameter counts as NULL, as RFC 4055 section 5 asks of readers.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] for any other algorithm.
    pub fn from_identifier(der: &[u8]) -> Result<Self, Error> {
        if let Some(found) = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.identifier() == der)
        {
            return Ok(found);
        }
        let oid = asn1::decode(der, |r| {
            let body = asn1::value(r, asn1::SEQUENCE)?;
            let mut inner = der::SliceReader::new(body)?;
            let oid = asn1::oid(&mut inner)?;
            Ok((oid, der::Reader::is_finished(&inner)))
        });
        let (oid, bare) = oid.map_err(|why| Error::malformed("algorithm identifier", why))?;
        match oid {
            SHA256_WITH_RSA if bare => Ok(Self::RsaPkcs1(Hash::Sha256)),
            SHA384_WITH_RSA if bare => Ok(Self::RsaPkcs1(Hash::Sha384)),
            SHA512_WITH_RSA if bare => Ok(Self::RsaPkcs1(Hash::Sha512)),
            _ => Err(Error::UnsupportedAlgorithm {
                what: "signature",
                oid: oid.to_string(),
            }),
        }
    }

    /// The name in texts, as Go prints it.
    pub const fn display_name(self) -> &'static str {
        match self {
            Self::RsaPkcs1(Hash::Sha256) => "SHA256-RSA",
            Self::RsaPkcs1(Hash::Sha384) => "SHA384-RSA",
            Self::RsaPkcs1(Hash::Sha512) => "SHA512-RSA",
            Self::RsaPss(Hash::Sha256) => "SHA256-RSAPSS",
            Self::RsaPss(Hash::Sha384) => "SHA384-RSAPSS",
            Self::RsaPss(Hash::Sha512) => "SHA512-RSAPSS",
            Self::Ecdsa(Hash::Sha256) => "ECDSA-SHA256",
            Self::Ecdsa(Hash::Sha384) => "ECDSA-SHA384",
            Self::Ecdsa(Hash::Sha512) => "ECDSA-SHA512",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa(MlDsa::MlDsa44) => "ML-DSA-44",
            Self::MlDsa(MlDsa::MlDsa65) => "ML-DSA-65",
            Self::MlDsa(MlDsa::MlDsa87) => "ML-DSA-87",
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.display_name())
    }
}

impl Curve {
    /// The hash that signatures with a key on this curve use.
    pub const fn hash(self) -> Hash {
        match self {
            Self::P224 | Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }
}

const SHA256_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.13");

const RSA_SHA256: [u8; 15] = rsa_identifier(11);
const RSA_SHA384: [u8; 15] = rsa_identifier(12);
const RSA_SHA512: [u8; 15] = rsa_identifier(13);
const PSS_SHA256: [u8; 67] = pss_identifier(1, 32);
const PSS_SHA384: [u8; 67] = pss_identifier(2, 48);
const PSS_SHA512: [u8; 67] = pss_identifier(3, 64);
const ECDSA_SHA256: [u8; 12] = ecdsa_identifier(2);
const ECDSA_SHA384: [u8; 12] = ecdsa_identifier(3);
const ECDSA_SHA512: [u8; 12] = ecdsa_identifier(4);
const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const ML_DSA_44: [u8; 13] = ml_dsa_identifier(17);
const ML_DSA_65: [u8; 13] = ml_dsa_identifier(18);
const ML_DSA_87: [u8; 13] = ml_dsa_identifier(19);

/// `sha…WithRSAEncryption` with a NULL parameter (RFC 4055 section 5).
const fn rsa_identifier(last_arc: u8) -> [u8; 15] {
    [
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last_arc, 0x05,
        0x00,
    ]
}

/// `ecdsa-with-SHA…` without parameters (RFC 5758 section 3.2).
const fn ecdsa_identifier(last_arc: u8) -> [u8; 12] {
    [
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last_arc,
    ]
}

/// `id-ml-dsa-…` without parameters (RFC 9881 section 2).
const fn ml_dsa_identifier(last_arc: u8) -> [u8; 13] {
    [
        0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, last_arc,
    ]
}

/// `id-RSASSA-PSS` with hash, MGF1 on the same hash, and salt length (RFC 4055 section 3.1).
const fn pss_identifier(hash_arc: u8, salt: u8) -> [u8; 67] {
    [
        0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34,
        0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
        hash_arc, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
        0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
        0x02, hash_arc, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, salt,
    ]
}
