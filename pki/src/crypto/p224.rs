//! Keys on P-224, which the binding of AWS-LC does not offer: mounts of the built-in engine may hold them. The only file that names p224.
//!
//! The arithmetic is that of RustCrypto, which is written to take the same time whatever the secret is, and which nobody has audited. Digests and
//! randomness come from AWS-LC. A nonce is made of key, message and fresh octets (RFC 6979 section 3.6), so that neither a weak generator nor a fault
//! in one computation gives the key away. Secrets wipe themselves when they are dropped.

use landfast_base::NoRandomness;
use p224::ecdsa::signature::hazmat::{PrehashVerifier as _, RandomizedPrehashSigner as _};
use p224::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p224::elliptic_curve::rand_core::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use crate::{Error, Secret};

/// The octets of a scalar or coordinate.
const OCTETS: usize = 28;

/// A private key with its public half.
pub(crate) struct Pair {
    key: SigningKey,
    /// Uncompressed.
    point: Vec<u8>,
}

impl Pair {
    /// A new key.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn generate() -> Result<Self, Error> {
        loop {
            let mut scalar = Zeroizing::new([0; OCTETS]);
            landfast_base::fill(&mut *scalar)?;
            // Zero, or beyond the order of the curve: one in 2 to the 112.
            if let Ok(pair) = Self::from_scalar(&*scalar) {
                return Ok(pair);
            }
        }
    }

    /// From a scalar of 28 octets.
    ///
    /// # Errors
    /// It is none of this curve.
    pub(crate) fn from_scalar(scalar: &[u8]) -> Result<Self, Error> {
        // The crate takes shorter ones as well.
        if scalar.len() != OCTETS {
            return Err(Error::PrivateKey("EC key refused"));
        }
        let key =
            SigningKey::from_slice(scalar).map_err(|_| Error::PrivateKey("EC key refused"))?;
        let point = key.verifying_key().to_sec1_point(false);
        Ok(Self {
            point: point.as_bytes().to_vec(),
            key,
        })
    }

    /// The public half, as an uncompressed point.
    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }

    /// The secret, in 28 octets.
    pub(crate) fn scalar(&self) -> Secret<Vec<u8>> {
        let scalar = Zeroizing::new(self.key.to_bytes());
        Secret::new(scalar.to_vec())
    }

    /// Signs a digest; the signature is in DER.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Result<DerSignature, _> =
            self.key.sign_prehash_with_rng(&mut Random, digest);
        Ok(signature.map_err(|_| Error::Crypto)?.as_bytes().to_vec())
    }
}

/// Checks a signature in DER over a digest.
///
/// # Errors
/// It is not that of the key at `point`.
pub(crate) fn verify(point: &[u8], digest: &[u8], signature: &[u8]) -> Result<(), Error> {
    let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| Error::BadSignature)?;
    let signature = Signature::from_der(signature).map_err(|_| Error::BadSignature)?;
    key.verify_prehash(digest, &signature)
        .map_err(|_| Error::BadSignature)
}

/// Whether `point` is a point on the curve.
pub(crate) fn on_curve(point: &[u8]) -> bool {
    VerifyingKey::from_sec1_bytes(point).is_ok()
}

/// The randomness of AWS-LC, as the crate wants it.
struct Random;

impl TryRng for Random {
    type Error = NoRandomness;

    fn try_next_u32(&mut self) -> Result<u32, NoRandomness> {
        landfast_base::random().map(u32::from_ne_bytes)
    }

    fn try_next_u64(&mut self) -> Result<u64, NoRandomness> {
        landfast_base::random().map(u64::from_ne_bytes)
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), NoRandomness> {
        landfast_base::fill(octets)
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979 appendix A.2.4: the key, and the public half that belongs to it.
    const SCALAR: &str = "f220266e1105bfe3083e03ec7a3a654651f45e37167e88600bf257c1";
    const POINT: &str = "0400cf08da5ad719e42707fa431292dea11244d64fc51610d94b130d6ceeab6f3debe455e3dbf85416f7030cbd94f34f2d6f232c69f3c1385a";

    fn octets(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn the_public_half_is_that_of_rfc_6979() {
        let pair = Pair::from_scalar(&octets(SCALAR)).unwrap();
        assert_eq!(pair.point(), octets(POINT));
        assert_eq!(pair.scalar().expose(), &octets(SCALAR));
        assert!(on_curve(pair.point()));
    }

    /// RFC 6979 appendix A.2.4, with SHA-256 and the message "sample": r, then s.
    #[test]
    fn the_signature_of_rfc_6979_verifies_and_no_other() {
        let digest = landfast_base::sha256(b"sample");
        let numbers = [
            "61aa3da010e8e8406c656bc477a7a7189895e7e840cdfe8ff42307ba",
            "bc814050dab5d23770879494f9e0a680dc1af7161991bde692b10101",
        ];
        let signature = crate::asn1::encode(|w| {
            w.sequence(|w| {
                for number in numbers {
                    w.unsigned(&octets(number));
                }
            });
        });
        let point = octets(POINT);
        assert_eq!(verify(&point, &digest, &signature), Ok(()));
        let other = landfast_base::sha256(b"simple");
        assert_eq!(verify(&point, &other, &signature), Err(Error::BadSignature));
        for at in [4, signature.len() - 1] {
            let mut wrong = signature.clone();
            wrong[at] ^= 1;
            assert_eq!(verify(&point, &digest, &wrong), Err(Error::BadSignature));
        }
    }

    #[test]
    fn signatures_verify_and_never_repeat() {
        let pair = Pair::generate().unwrap();
        let digest = landfast_base::sha256(b"message");
        let (one, two) = (pair.sign(&digest).unwrap(), pair.sign(&digest).unwrap());
        assert_ne!(one, two);
        for signature in [&one, &two] {
            assert_eq!(verify(pair.point(), &digest, signature), Ok(()));
        }
        let other = Pair::generate().unwrap();
        assert_ne!(pair.point(), other.point());
        assert!(verify(other.point(), &digest, &one).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        // Zero, the order of the curve (FIPS 186-4 section D.1.2.2), and other lengths.
        let order = "ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d";
        for scalar in [vec![0; 28], octets(order), vec![1; 27], vec![1; 29]] {
            assert!(Pair::from_scalar(&scalar).is_err());
        }
        let mut off = octets(POINT);
        off[56] ^= 1;
        assert!(!on_curve(&off));
        assert!(!on_curve(&off[..56]));
        assert!(!on_curve(&[0]));
    }
}
