//! The public half that the encoding of a private key shows, also for keys that cannot be used here.

use der::SliceReader;

use super::{EC_PUBLIC_KEY, KeyType, PrivateKey, PublicKey, RSA_ENCRYPTION};
use crate::asn1::{self, Writer};
use crate::{Error, pem};

impl PrivateKey {
    /// The public half as the encoding of a private key in PEM has it. Nothing is computed where the encoding has it all: a key of a size or on a
    /// curve that the cryptography library does not offer is read as well.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem).
    pub fn shown_public(text: &[u8]) -> Result<PublicKey, Error> {
        let blocks = pem::blocks(text);
        let key = blocks
            .iter()
            .find(|block| block.label.ends_with("PRIVATE KEY") && !block.is_encrypted());
        match key.and_then(|block| in_der(&block.contents)) {
            Some(spki) => PublicKey::read(&spki),
            None => Self::from_pem(text).map(|key| key.public_key().clone()),
        }
    }
}

impl PublicKey {
    /// Why the cryptography library has no use for the private half of this key; `None` when it has.
    pub fn unusable(&self) -> Option<String> {
        match self.kind {
            KeyType::Rsa if !(2048..=8192).contains(&self.bits) => Some(format!(
                "it is an RSA key of {} bits; 2048 to 8192 are supported",
                self.bits
            )),
            KeyType::Other => Some(format!("{}", self.unsupported())),
            _ => None,
        }
    }
}

/// The SubjectPublicKeyInfo that a private key in DER shows, if it does.
fn in_der(der: &[u8]) -> Option<Vec<u8>> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
    let mut reader = SliceReader::new(body).ok()?;
    asn1::number(&mut reader).ok()?;
    match asn1::peek(&reader)? {
        asn1::INTEGER => rsa(der),
        asn1::OCTET_STRING => ec(der, None),
        asn1::SEQUENCE => {
            let algorithm = asn1::raw_sequence(&mut reader).ok()?;
            let inner = asn1::decode(algorithm, |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
            let oid = asn1::oid(&mut SliceReader::new(inner).ok()?).ok()?;
            let private = asn1::value(&mut reader, asn1::OCTET_STRING).ok()?;
            match oid {
                RSA_ENCRYPTION => rsa(private),
                EC_PUBLIC_KEY => ec(private, Some(algorithm)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// From an RSAPrivateKey (RFC 8017 appendix A.1.2).
fn rsa(der: &[u8]) -> Option<Vec<u8>> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
    let mut reader = SliceReader::new(body).ok()?;
    asn1::number(&mut reader).ok()?;
    let modulus = asn1::unsigned(&mut reader).ok()?;
    let exponent = asn1::unsigned(&mut reader).ok()?;
    let key = asn1::encode(|w| {
        w.sequence(|w| {
            w.unsigned(modulus);
            w.unsigned(exponent);
        });
    });
    Some(spki(&key, |w| {
        w.sequence(|w| {
            w.oid(&RSA_ENCRYPTION);
            w.raw(&[0x05, 0x00]);
        });
    }))
}

/// From an ECPrivateKey (RFC 5915 section 3), whose curve is named by `algorithm` or in itself.
fn ec(der: &[u8], algorithm: Option<&[u8]>) -> Option<Vec<u8>> {
    let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
    let mut reader = SliceReader::new(body).ok()?;
    asn1::number(&mut reader).ok()?;
    asn1::value(&mut reader, asn1::OCTET_STRING).ok()?;
    let curve = asn1::optional(&mut reader, asn1::context_constructed(0)).ok()?;
    let point = asn1::optional(&mut reader, asn1::context_constructed(1)).ok()??;
    let point = asn1::decode(point, asn1::bit_octets).ok()?;
    match (algorithm, curve) {
        (Some(algorithm), _) => Some(spki(point, |w| w.raw(algorithm))),
        (None, Some(curve)) => Some(spki(point, |w| {
            w.sequence(|w| {
                w.oid(&EC_PUBLIC_KEY);
                w.raw(curve);
            });
        })),
        (None, None) => None,
    }
}

fn spki(key: &[u8], algorithm: impl FnOnce(&mut Writer)) -> Vec<u8> {
    asn1::encode(|w| {
        w.sequence(|w| {
            algorithm(w);
            w.bit_string(key);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyEncoding, KeySpec};

    #[test]
    fn what_is_shown_is_what_is_computed() {
        for (kind, bits) in [
            ("ec", 224),
            ("ec", 256),
            ("ec", 521),
            ("rsa", 2048),
            ("ed25519", 0),
            ("mldsa", 65),
        ] {
            let key = PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap();
            for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
                let pem = key.to_pem(encoding).unwrap();
                let shown = PrivateKey::shown_public(pem.expose().as_bytes()).unwrap();
                assert_eq!(&shown, key.public_key());
                assert_eq!(shown.unusable(), None);
            }
        }
    }

    /// Made by openssl 3.0; OpenBao keeps such keys.
    #[test]
    fn keys_that_cannot_be_used_are_told_apart() {
        for (pem, why) in [
            (
                include_str!("../testing/secp256k1.key"),
                "1.2.840.10045.2.1",
            ),
            (include_str!("../testing/rsa1024.key"), "1024 bits"),
        ] {
            let shown = PrivateKey::shown_public(pem.as_bytes()).unwrap();
            let said = shown.unusable().unwrap();
            assert!(said.contains(why), "{said}");
            assert!(PrivateKey::from_pem(pem.as_bytes()).is_err());
        }
        assert!(
            PrivateKey::shown_public(
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
            )
            .is_err()
        );
    }
}
