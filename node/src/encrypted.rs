//! Private keys under a passphrase: PKCS#8 with PBES2.
//!
//! Source: RFC 5958 section 3 (`EncryptedPrivateKeyInfo`), RFC 8018 section 6.2.

use der::asn1::OctetStringRef;
use der::{Decode as _, Header, Reader as _, Sequence, SliceReader, Tag};
use landfast_base::Secret;
use pkcs5::pbes2::{EncryptionScheme as Cipher, Kdf, PBES2_OID, Parameters, Pbkdf2Prf};
use spki::AlgorithmIdentifierRef;

use crate::crypto::{self, Digest};

/// More rounds than this only keep the caller waiting: it takes seconds.
const MAX_ROUNDS: u32 = 10_000_000;

#[derive(Sequence)]
struct EncryptedPrivateKeyInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    data: &'a OctetStringRef,
}

/// Why a key stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the structure that its label promises.
    #[error("the encrypted private key is damaged")]
    Damaged,
    /// A scheme that this program has no code for.
    #[error(
        "the private key is encrypted by a scheme other than PBKDF2 with AES-CBC; encrypt it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    Scheme,
    /// Not the passphrase of this key.
    #[error("the passphrase does not open the private key")]
    Passphrase,
}

/// Opens an `EncryptedPrivateKeyInfo` in DER; the answer is PKCS#8 in DER.
///
/// # Errors
/// [`OpenError`].
pub fn open(der: &[u8], passphrase: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
    let info = EncryptedPrivateKeyInfo::from_der(der).map_err(|_| OpenError::Damaged)?;
    // What is not PBES2 has a structure of its own: PBES1, and the schemes of PKCS#12.
    if info.algorithm.oid != PBES2_OID {
        return Err(OpenError::Scheme);
    }
    let parameters = info.algorithm.parameters.ok_or(OpenError::Damaged)?;
    let parameters = parameters
        .decode_as::<Parameters>()
        .map_err(|error| match error.kind() {
            der::ErrorKind::OidUnknown { .. } => OpenError::Scheme,
            _ => OpenError::Damaged,
        })?;
    let Kdf::Pbkdf2(kdf) = parameters.kdf else {
        return Err(OpenError::Scheme);
    };
    let digest = match kdf.prf {
        Pbkdf2Prf::HmacWithSha1 => Digest::Sha1,
        Pbkdf2Prf::HmacWithSha256 => Digest::Sha256,
        Pbkdf2Prf::HmacWithSha384 => Digest::Sha384,
        Pbkdf2Prf::HmacWithSha512 => Digest::Sha512,
        _ => return Err(OpenError::Scheme),
    };
    let (Cipher::Aes128Cbc { iv } | Cipher::Aes192Cbc { iv } | Cipher::Aes256Cbc { iv }) =
        parameters.encryption
    else {
        return Err(OpenError::Scheme);
    };
    if !(1..=MAX_ROUNDS).contains(&kdf.iteration_count) {
        return Err(OpenError::Damaged);
    }
    let key = crypto::stretch(
        digest,
        passphrase,
        kdf.salt.as_ref(),
        kdf.iteration_count,
        parameters.encryption.key_size(),
    )
    .ok_or(OpenError::Damaged)?;
    let opened =
        crypto::decrypt_cbc(key.expose(), iv, info.data.as_bytes()).ok_or(OpenError::Passphrase)?;
    // One wrong key in 256 leaves padding that looks right.
    if is_sequence(opened.expose()) {
        Ok(opened)
    } else {
        Err(OpenError::Passphrase)
    }
}

fn is_sequence(der: &[u8]) -> bool {
    let Ok(mut reader) = SliceReader::new(der) else {
        return false;
    };
    Header::decode(&mut reader).is_ok_and(|header| {
        header.tag() == Tag::Sequence && header.length() == reader.remaining_len()
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use landfast_pki::pem;
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::SessionKey;

    /// What openssl makes of a test key under the passphrase `pass phrase`.
    fn sealed(key: &str, options: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(["pkcs8", "-topk8", "-passout", "pass:pass phrase", "-in"])
            .arg(format!("tests/data/pki/{key}"))
            .args(options)
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
        pem::blocks(&output.stdout)
            .pop()
            .expect("a block")
            .contents
            .to_vec()
    }

    #[test]
    fn what_openssl_seals_is_opened() {
        for (key, options) in [
            ("ec-leaf.key", &[][..]),
            ("rsa-leaf.key", &["-v2", "aes-128-cbc"]),
            (
                "ec-leaf.key",
                &["-v2", "aes192", "-v2prf", "hmacWithSHA512"],
            ),
            ("ec-leaf.key", &["-v2prf", "hmacWithSHA1", "-iter", "7"]),
        ] {
            let der = sealed(key, options);
            let opened = open(&der, b"pass phrase").unwrap();
            assert!(SessionKey::from_der(opened.expose()).is_ok(), "{options:?}");
            assert!(matches!(
                open(&der, b"pass-phrase"),
                Err(OpenError::Passphrase)
            ));
        }
    }

    #[test]
    fn other_schemes_are_told_apart_from_damage() {
        let scheme = |options: &[&str]| open(&sealed("ec-leaf.key", options), b"pass phrase");
        assert!(matches!(scheme(&["-scrypt"]), Err(OpenError::Scheme)));
        assert!(matches!(scheme(&["-v2", "des3"]), Err(OpenError::Scheme)));
        for old in ["PBE-SHA1-3DES", "PBE-MD5-DES", "PBE-SHA1-DES"] {
            let told = scheme(&["-v1", old, "-provider", "legacy", "-provider", "default"]);
            assert!(matches!(told, Err(OpenError::Scheme)), "{old}");
        }
        assert!(matches!(open(b"junk", b""), Err(OpenError::Damaged)));
    }

    /// CBC has no seal of its own: a changed octet may stay unseen, and in the initialisation vector it may change what no reader
    /// of the key looks at. A key of another public key may not come out.
    fn changed_octet(at: usize, flip: u8) {
        let original = include_bytes!("../tests/data/sealed.der");
        let public = |der: &[u8]| {
            SessionKey::from_der(der)
                .and_then(|key| key.public_key())
                .ok()
        };
        let key = open(original, b"pass phrase").unwrap();
        let key = public(key.expose());
        assert!(key.is_some());
        let mut der = original.to_vec();
        let at = at % der.len();
        der[at] ^= flip;
        if let Ok(opened) = open(&der, b"pass phrase") {
            let opened = public(opened.expose());
            assert!(opened.is_none() || opened == key, "octet {at}");
        }
    }

    #[test]
    fn another_version_of_the_same_key_is_the_same_key() {
        changed_octet(80, 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open(&bytes, b"x").is_err());
        }

        #[test]
        fn a_changed_octet_never_opens_to_another_key(at in 0_usize..200, flip in 1_u8..=255) {
            // Few rounds, or this test would take minutes.
            changed_octet(at, flip);
        }
    }
}
