//! A node's certificate and key, as they lie on disk.

use std::path::Path;

use landfast_pki::{Certificate, Secret, pem};

use crate::crypto::{KeyError, SessionKey};
use crate::files::{self, FileError};
use crate::session::Identity;

/// What is wrong with a certificate or key file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// No certificate in it, or a broken one.
    #[error("{path}: {cause}; expected the node's certificate in PEM")]
    Certificate {
        /// The file.
        path: String,
        /// What the parser says.
        cause: landfast_pki::Error,
    },
    /// The CA comes first: the service reads the first certificate only.
    #[error(
        "{path}: the first certificate is a CA's; put the node's own certificate first, then the intermediates"
    )]
    CaFirst {
        /// The file.
        path: String,
    },
    /// Two end-entity certificates: which one is meant?
    #[error("{path}: holds two end-entity certificates; keep the current one")]
    TwoLeaves {
        /// The file.
        path: String,
    },
    /// No private key in the file.
    #[error("{path}: no private key in PEM")]
    NoKey {
        /// The file.
        path: String,
    },
    /// A key under a passphrase.
    #[error(
        "{path}: the private key is encrypted; decrypt it once with `openssl pkcs8 -in {path} -out FILE` into a file of mode 0600"
    )]
    Encrypted {
        /// The file.
        path: String,
    },
    /// A key that can't be used.
    #[error("{path}: {cause}")]
    Key {
        /// The file.
        path: String,
        /// Why.
        cause: KeyError,
    },
    /// Certificate and key are strangers.
    #[error(
        "{certificate} and {key} do not belong together; was one of them renewed without the other?"
    )]
    Mismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
}

/// The certificates of a file: the leaf, then what follows it.
///
/// # Errors
/// [`IdentityError`] when there is none, the CA comes first or two leaves are in it.
pub fn certificates(path: &Path) -> Result<(Certificate, Vec<Certificate>), IdentityError> {
    let shown = path.display().to_string();
    let text = files::read_secret(path)?;
    let mut all = Certificate::all_from_pem(text.expose())
        .map_err(|cause| IdentityError::Certificate {
            path: shown.clone(),
            cause,
        })?
        .into_iter();
    let leaf = all.next().ok_or_else(|| IdentityError::Certificate {
        path: shown.clone(),
        cause: landfast_pki::Error::Pem,
    })?;
    let rest: Vec<Certificate> = all.filter(|other| other.der() != leaf.der()).collect();
    if leaf.is_ca() && rest.iter().any(|other| !other.is_ca()) {
        return Err(IdentityError::CaFirst { path: shown });
    }
    if !leaf.is_ca() && rest.iter().any(|other| !other.is_ca()) {
        return Err(IdentityError::TwoLeaves { path: shown });
    }
    Ok((leaf, rest))
}

/// The private key of a file, in DER.
///
/// # Errors
/// [`IdentityError`] when there is none or it is encrypted.
pub fn key_der(path: &Path) -> Result<Secret<Vec<u8>>, IdentityError> {
    let shown = || path.display().to_string();
    let text = files::read_secret(path)?;
    let blocks = pem::blocks(text.expose());
    let encrypted = blocks
        .iter()
        .any(|block| block.label == "ENCRYPTED PRIVATE KEY")
        || contains(text.expose(), b"Proc-Type: 4,ENCRYPTED");
    if encrypted {
        return Err(IdentityError::Encrypted { path: shown() });
    }
    blocks
        .into_iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .map(|block| Secret::new(block.contents.to_vec()))
        .ok_or_else(|| IdentityError::NoKey { path: shown() })
}

/// Reads certificate, chain and key, and makes sure that they belong together.
///
/// `intermediates` names a file of further chain certificates.
///
/// # Errors
/// [`IdentityError`].
pub fn load(
    certificate: &Path,
    key: &Path,
    intermediates: Option<&Path>,
) -> Result<(Identity, Certificate), IdentityError> {
    let (leaf, mut chain) = certificates(certificate)?;
    if let Some(path) = intermediates {
        let text = files::read_secret(path)?;
        let more = Certificate::all_from_pem(text.expose()).map_err(|cause| {
            IdentityError::Certificate {
                path: path.display().to_string(),
                cause,
            }
        })?;
        chain.extend(more);
    }
    // A root proves nothing that the anchor does not know, and takes a place of five.
    chain.retain(|certificate| !certificate.is_self_issued());
    let der = key_der(key)?;
    let session_key = SessionKey::from_der(der.expose()).map_err(|cause| IdentityError::Key {
        path: key.display().to_string(),
        cause,
    })?;
    if session_key.public_key().ok().as_deref() != Some(leaf.public_key().spki_der()) {
        return Err(IdentityError::Mismatch {
            certificate: certificate.display().to_string(),
            key: key.display().to_string(),
        });
    }
    let identity = Identity {
        leaf: leaf.der().to_vec(),
        chain: chain.iter().map(|ca| ca.der().to_vec()).collect(),
        serial: leaf.serial().as_bytes().to_vec(),
        key: session_key,
    };
    Ok((identity, leaf))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn data(name: &str) -> PathBuf {
        Path::new("tests/data/pki").join(name)
    }

    #[test]
    fn a_pair_is_read_with_its_chain_and_without_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let chain = directory.path().join("chain.pem");
        let mut text = std::fs::read(data("rsa-int.crt")).unwrap();
        text.extend(std::fs::read(data("rsa-root.crt")).unwrap());
        std::fs::write(&chain, text).unwrap();
        let (identity, leaf) =
            load(&data("rsa-leaf.crt"), &data("rsa-leaf.key"), Some(&chain)).unwrap();
        assert_eq!(identity.chain.len(), 1);
        assert_eq!(identity.leaf, leaf.der());
    }

    #[test]
    fn the_order_in_the_file_is_checked() {
        let error = certificates(&data("rsa-chain-ca-first.pem")).unwrap_err();
        assert!(matches!(error, IdentityError::CaFirst { .. }), "{error}");
        assert!(certificates(&data("rsa-chain-leaf-first.pem")).is_ok());
        let directory = tempfile::tempdir().unwrap();
        let two = directory.path().join("two.pem");
        let mut text = std::fs::read(data("rsa-leaf.crt")).unwrap();
        text.extend(std::fs::read(data("ec-leaf.crt")).unwrap());
        std::fs::write(&two, text).unwrap();
        assert!(matches!(
            certificates(&two),
            Err(IdentityError::TwoLeaves { .. })
        ));
    }

    #[test]
    fn strangers_are_told_apart() {
        let error = load(&data("rsa-leaf.crt"), &data("ec-leaf.key"), None).unwrap_err();
        assert!(matches!(error, IdentityError::Mismatch { .. }), "{error}");
    }

    #[test]
    fn bad_key_files_say_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for (content, expected) in [
            ("", "no private key"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "openssl pkcs8",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "openssl pkcs8",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "none of RSA",
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = load(&data("rsa-leaf.crt"), &path, None).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
