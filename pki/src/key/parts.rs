//! Public keys from and as their numbers, for formats that are not DER: a JSON Web Key (RFC 7518 section 6) has them so.

use super::{Curve, EC_PUBLIC_KEY, ED25519, KeyType, PublicKey, RSA_ENCRYPTION};
use crate::Error;
use crate::asn1::{self, Writer};

/// What a public key is made of. Numbers are big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts<'a> {
    /// An RSA key: both numbers without zeros in front when read from a key; with or without when one is made.
    Rsa {
        /// The modulus.
        modulus: &'a [u8],
        /// The public exponent.
        exponent: &'a [u8],
    },
    /// A point on a NIST curve: both coordinates in [`Curve::octets`] octets.
    Ec {
        /// The curve.
        curve: Curve,
        /// The first coordinate.
        x: &'a [u8],
        /// The second coordinate.
        y: &'a [u8],
    },
    /// The 32 octets of an Ed25519 key (RFC 8032 section 5.1.5).
    Ed25519(&'a [u8]),
}

impl PublicKey {
    /// The key of these numbers.
    ///
    /// # Errors
    /// They are no key: coordinates of another length or no point of the curve, an even or overlong modulus or exponent, an
    /// Ed25519 key of another length.
    pub fn from_parts(parts: Parts<'_>) -> Result<Self, Error> {
        let wrong = |why: &'static str| Err(Error::malformed("public key", why));
        let bits = match parts {
            Parts::Rsa { modulus, exponent } => asn1::encode(|w| {
                w.sequence(|w| {
                    w.unsigned(modulus);
                    w.unsigned(exponent);
                });
            }),
            Parts::Ec { curve, x, y } => {
                if x.len() != curve.octets() || y.len() != curve.octets() {
                    return wrong("a coordinate is not as long as the curve's field");
                }
                [&[4], x, y].concat()
            }
            Parts::Ed25519(octets) => octets.to_vec(),
        };
        let spki = asn1::encode(|w| {
            w.sequence(|w| {
                w.sequence(|w| algorithm(w, parts));
                w.bit_string(&bits);
            });
        });
        Self::from_spki_der(&spki)
    }

    /// The numbers of the key; none for [`KeyType::MlDsa`], which has none, and for [`KeyType::Other`].
    pub fn parts(&self) -> Option<Parts<'_>> {
        match (self.kind, self.curve) {
            (KeyType::Rsa, _) => {
                let body =
                    asn1::decode(self.key_bits(), |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
                let numbers =
                    asn1::decode(body, |r| Ok((asn1::unsigned(r)?, asn1::unsigned(r)?))).ok()?;
                Some(Parts::Rsa {
                    modulus: numbers.0,
                    exponent: numbers.1,
                })
            }
            (KeyType::Ec, Some(curve)) => {
                let (x, y) = self.key_bits().get(1..)?.split_at_checked(curve.octets())?;
                Some(Parts::Ec { curve, x, y })
            }
            (KeyType::Ed25519, _) => Some(Parts::Ed25519(self.key_bits())),
            _ => None,
        }
    }
}

/// What stands inside of the AlgorithmIdentifier.
fn algorithm(w: &mut Writer, parts: Parts<'_>) {
    match parts {
        Parts::Rsa { .. } => {
            w.oid(&RSA_ENCRYPTION);
            w.raw(&[asn1::NULL, 0]);
        }
        Parts::Ec { curve, .. } => {
            w.oid(&EC_PUBLIC_KEY);
            w.oid(&curve.oid());
        }
        Parts::Ed25519(_) => w.oid(&ED25519),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeySpec, PrivateKey};

    #[test]
    fn a_key_comes_back_from_its_parts() {
        for (kind, bits) in [
            ("rsa", 2048),
            ("ec", 256),
            ("ec", 384),
            ("ec", 521),
            ("ed25519", 0),
        ] {
            let key = PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap();
            let public = crate::Signer::public_key(&key);
            let parts = public.parts().expect("a known kind");
            assert_eq!(
                PublicKey::from_parts(parts).as_ref(),
                Ok(public),
                "{kind} {bits}"
            );
        }
    }

    #[test]
    fn zeros_in_front_of_rsa_numbers_make_no_other_key() {
        let modulus = [&[0xc5], &[0x11; 254][..], &[0x0f]].concat();
        let with_zeros = [&[0, 0], &modulus[..]].concat();
        let key = |modulus: &[u8], exponent: &[u8]| {
            PublicKey::from_parts(Parts::Rsa { modulus, exponent }).unwrap()
        };
        let plain = key(&modulus, &[1, 0, 1]);
        assert_eq!(plain, key(&with_zeros, &[0, 1, 0, 1]));
        assert_eq!(plain.bits(), 2048);
        let Some(Parts::Rsa { modulus: back, .. }) = plain.parts() else {
            panic!("an RSA key");
        };
        assert_eq!(back, modulus);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let curve = Curve::P256;
        for parts in [
            Parts::Ec {
                curve,
                x: &[1; 32],
                y: &[1; 32],
            },
            Parts::Ec {
                curve,
                x: &[1; 31],
                y: &[1; 33],
            },
            Parts::Ec {
                curve,
                x: &[],
                y: &[],
            },
            Parts::Ed25519(&[1; 31]),
            Parts::Rsa {
                modulus: &[2; 256],
                exponent: &[3],
            },
            Parts::Rsa {
                modulus: &[3; 256],
                exponent: &[1],
            },
            Parts::Rsa {
                modulus: &[],
                exponent: &[3],
            },
        ] {
            assert!(PublicKey::from_parts(parts).is_err(), "{parts:?}");
        }
    }
}
