//! ML-DSA keys (FIPS 204): their sizes, and the forms of their private half in PKCS#8 (RFC 9881).

use std::fmt;

use crate::asn1;
use crate::crypto::KeyPair;
use crate::{Error, Oid};

/// A parameter set of ML-DSA. Each is an algorithm of its own: a key of one set makes no signature of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MlDsa {
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl MlDsa {
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// The set that `key_bits` means: the number in its name.
    ///
    /// # Errors
    /// There is none.
    pub const fn from_bits(bits: i64) -> Result<Self, Error> {
        match bits {
            44 => Ok(Self::MlDsa44),
            65 => Ok(Self::MlDsa65),
            87 => Ok(Self::MlDsa87),
            _ => Err(Error::KeyBits {
                kind: "ML-DSA",
                bits,
            }),
        }
    }

    /// The number in its name, which the API calls `key_bits`. It is no size in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::MlDsa44 => 44,
            Self::MlDsa65 => 65,
            Self::MlDsa87 => 87,
        }
    }

    /// The identifier of keys and of signatures alike (RFC 9881 section 2).
    pub const fn oid(self) -> Oid {
        match self {
            Self::MlDsa44 => Oid::new_unwrap("2.16.840.1.101.3.4.3.17"),
            Self::MlDsa65 => Oid::new_unwrap("2.16.840.1.101.3.4.3.18"),
            Self::MlDsa87 => Oid::new_unwrap("2.16.840.1.101.3.4.3.19"),
        }
    }

    /// The octets of a public key (FIPS 204 section 4, table 2).
    pub const fn public_octets(self) -> usize {
        match self {
            Self::MlDsa44 => 1312,
            Self::MlDsa65 => 1952,
            Self::MlDsa87 => 2592,
        }
    }

    /// The octets of a signature (FIPS 204 section 4, table 2).
    pub const fn signature_octets(self) -> usize {
        match self {
            Self::MlDsa44 => 2420,
            Self::MlDsa65 => 3309,
            Self::MlDsa87 => 4627,
        }
    }

    pub(super) fn from_oid(oid: &Oid) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.oid() == *oid)
    }
}

impl fmt::Display for MlDsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ML-DSA-{}", self.bits())
    }
}

/// The octets of a seed, from which the whole private key follows (FIPS 204 section 6.1).
const SEED: usize = 32;
/// The tag of a seed alone (RFC 9881 section 6).
const SEED_ALONE: u8 = asn1::context(0);

/// What PKCS#8 encloses: the seed alone, as the built-in engine stores it and RFC 9881 prefers it.
pub(super) fn write_private(w: &mut asn1::Writer, seed: &[u8]) {
    w.tlv(SEED_ALONE, seed);
}

/// Reads what PKCS#8 encloses: the seed alone, or with the expanded key, which then has to be that of the seed.
///
/// # Errors
/// Neither, or an expanded key alone: nobody gets the seed back out of it, and the seed is what is stored.
pub(super) fn read_private(set: MlDsa, der: &[u8]) -> Result<KeyPair, Error> {
    const BROKEN: Error = Error::PrivateKey("an ML-DSA key holds a seed of 32 octets");
    let read = asn1::decode(der, |r| {
        Ok(match asn1::peek(r) {
            Some(SEED_ALONE) => (Some(asn1::value(r, SEED_ALONE)?), None),
            Some(asn1::SEQUENCE) => {
                let body = asn1::value(r, asn1::SEQUENCE)?;
                let (seed, expanded) = asn1::decode(body, |r| {
                    let seed = asn1::value(r, asn1::OCTET_STRING)?;
                    Ok((seed, asn1::value(r, asn1::OCTET_STRING)?))
                })?;
                (Some(seed), Some(expanded))
            }
            _ => (None, Some(asn1::value(r, asn1::OCTET_STRING)?)),
        })
    });
    match read.map_err(|_| BROKEN)? {
        (Some(seed), expanded) if seed.len() == SEED => {
            let pair = KeyPair::from_ml_dsa_seed(set, seed)?;
            match expanded {
                Some(expanded) if !pair.expands_to(expanded) => Err(Error::PrivateKey(
                    "the expanded ML-DSA key is not that of the seed",
                )),
                _ => Ok(pair),
            }
        }
        (None, Some(_)) => Err(Error::PrivateKey(
            "an expanded ML-DSA key without its seed; export the key with its seed",
        )),
        _ => Err(BROKEN),
    }
}

#[cfg(test)]
mod tests;
