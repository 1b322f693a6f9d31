//! A node's key as its file has it.
//!
//! `aws_signing_helper` (1.8) reads an ML-DSA key in one of the three forms of RFC 9881 section 6 only: the seed with the expanded
//! key. What the engine shows, and other programs take, is the seed alone, so that the form is a matter of this file.

use der::asn1::OctetStringRef;
use der::{Decode as _, Encode as _, Sequence};
use landfast_base::Secret;
use landfast_pki::{Error, KeyEncoding, PrivateKey, pem};
use spki::AlgorithmIdentifierRef;

use crate::crypto;

/// PKCS#8, version 1 (RFC 5208 section 5).
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AlgorithmIdentifierRef<'a>,
    private_key: &'a OctetStringRef,
}

/// The seed with the expanded key.
#[derive(Sequence)]
struct Both<'a> {
    seed: &'a OctetStringRef,
    expanded: &'a OctetStringRef,
}

/// What stands before a seed that is alone: its tag and its length.
const SEED_ALONE: [u8; 2] = [0x80, 32];

/// PEM of the key, in PKCS#8, with a final newline.
///
/// # Errors
/// The library would not export the key.
pub(crate) fn to_pem(key: &PrivateKey) -> Result<Secret<String>, Error> {
    if key.public_key().ml_dsa().is_none() {
        return key.to_pem(KeyEncoding::Pkcs8);
    }
    let der = with_expanded(key)?;
    Ok(Secret::new(pem::encode("PRIVATE KEY", der.expose())))
}

fn with_expanded(key: &PrivateKey) -> Result<Secret<Vec<u8>>, Error> {
    let alone = key.to_der(KeyEncoding::Pkcs8)?;
    let alone = alone.expose();
    let expanded = crypto::expanded(alone).ok_or(Error::Crypto)?;
    let whole = || {
        let info = PrivateKeyInfo::from_der(alone)?;
        let held = info.private_key.as_bytes();
        let both = Both {
            seed: OctetStringRef::new(held.strip_prefix(&SEED_ALONE).unwrap_or_default())?,
            expanded: OctetStringRef::new(expanded.expose())?,
        };
        // Each is encoded into as many octets as it takes: nothing grows, and leaves no copy behind.
        let both = Secret::new(both.to_der()?);
        let info = PrivateKeyInfo {
            private_key: OctetStringRef::new(both.expose())?,
            ..info
        };
        info.to_der().map(Secret::new)
    };
    whole().map_err(|_: der::Error| Error::Crypto)
}

#[cfg(test)]
mod tests {
    use landfast_pki::KeySpec;

    use super::*;
    use crate::crypto::SessionKey;

    #[test]
    fn an_ml_dsa_key_is_written_as_aws_helper_reads_it() {
        for (set, octets) in [(44, 2560), (65, 4032), (87, 4896)] {
            let key = PrivateKey::generate(KeySpec::parse("mldsa", set).unwrap()).unwrap();
            let text = to_pem(&key).unwrap();
            let block = pem::blocks(text.expose().as_bytes()).pop().unwrap();
            assert_eq!(block.label, "PRIVATE KEY");
            let info = PrivateKeyInfo::from_der(&block.contents).unwrap();
            let both = Both::from_der(info.private_key.as_bytes()).unwrap();
            let lengths = [both.seed, both.expanded].map(|part| part.as_bytes().len());
            assert_eq!(lengths, [32, octets], "{set}");

            // It is the same key for whoever reads it: the seed and the expanded key are held against each other.
            let again = PrivateKey::from_pem(text.expose().as_bytes()).unwrap();
            assert_eq!(again.public_key(), key.public_key());
            assert!(SessionKey::from_der(&block.contents).is_ok());
            assert_eq!(to_pem(&again).unwrap().expose(), text.expose());
        }
    }

    #[test]
    fn other_keys_are_written_as_ever() {
        let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
        let plain = key.to_pem(KeyEncoding::Pkcs8).unwrap();
        assert_eq!(to_pem(&key).unwrap().expose(), plain.expose());
    }
}
