//! A node's certificate and key, as they lie on disk.

use std::path::Path;

use landfast_base::Secret;
use landfast_pki::{Certificate, pem};

use crate::crypto::{KeyError, SessionKey};
use crate::encrypted::{self, OpenError};
use crate::files::{self, FileError, Opened};
use crate::form::{self, Wanted};
use crate::pair;
use crate::session::Identity;

/// What is wrong with a certificate or key file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The node has none yet.
    #[error(
        "{path}: No such file; this machine has no certificate and key yet: get them by `landfast enroll`, or name them by --certificate and --private-key"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// No certificate in it, or a broken one.
    #[error("{path}: {cause}; expected the node's certificate in PEM")]
    Certificate {
        /// The file.
        path: String,
        /// What the parser says.
        cause: landfast_pki::Error,
    },
    /// No intermediates in the file that should hold them.
    #[error("{path}: {cause}; expected intermediate certificates in PEM")]
    Intermediates {
        /// The file.
        path: String,
        /// What the parser says.
        cause: landfast_pki::Error,
    },
    /// A CA in the place of a node.
    #[error(
        "{path}: the certificate is a CA's, which gets no session; name the node's own certificate"
    )]
    Authority {
        /// The file.
        path: String,
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
    /// A key under a passphrase, and no passphrase.
    #[error(
        "{path}: the private key is encrypted; put its passphrase into a file of mode 0600 and name that with --pkcs8-password-file"
    )]
    Encrypted {
        /// The file.
        path: String,
    },
    /// A key under a passphrase in the form of old.
    #[error(
        "{path}: the private key is encrypted in the traditional form; bring it into PKCS#8 with `openssl pkcs8 -topk8 -in {path} -out FILE`"
    )]
    Traditional {
        /// The file.
        path: String,
    },
    /// A key under a passphrase that stays closed.
    #[error("{path}: {cause}")]
    Closed {
        /// The file.
        path: String,
        /// Why.
        cause: OpenError,
    },
    /// Another form than PEM.
    #[error("{path}: {other}")]
    Form {
        /// The file.
        path: String,
        /// What it is, and how PEM is made of it.
        other: String,
    },
    /// A key that lies in a device.
    #[error(
        "{path}: keys in PKCS#11 tokens and TPMs cannot be used; name a file in PEM, or keep aws_signing_helper for this node"
    )]
    Device {
        /// What was named.
        path: String,
    },
    /// A key that cannot be used.
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

/// The files of an identity.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// The certificate in PEM, leaf first.
    pub certificate: &'a Path,
    /// Its private key in PEM.
    pub key: &'a Path,
    /// Further chain certificates.
    pub intermediates: Option<&'a Path>,
    /// The passphrase of the key, when it is encrypted.
    pub passphrase: Option<&'a Path>,
}

impl<'a> Files<'a> {
    /// A pair without further files.
    pub const fn pair(certificate: &'a Path, key: &'a Path) -> Self {
        Self {
            certificate,
            key,
            intermediates: None,
            passphrase: None,
        }
    }
}

/// The certificates of a file: the leaf, then what follows it.
///
/// # Errors
/// [`IdentityError`] when there is none, the CA comes first or two leaves are in it.
pub fn certificates(path: &Path) -> Result<(Certificate, Vec<Certificate>), IdentityError> {
    certificates_of(path, &files::read_secret(path)?)
}

pub(crate) fn certificates_of(
    path: &Path,
    text: &Secret<Vec<u8>>,
) -> Result<(Certificate, Vec<Certificate>), IdentityError> {
    refuse_form(path, text, Wanted::Certificates)?;
    let shown = path.display().to_string();
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

/// The intermediate certificates of a file.
///
/// # Errors
/// [`IdentityError`] when there is none, or a broken one.
pub fn intermediates(path: &Path) -> Result<Vec<Certificate>, IdentityError> {
    let text = files::read_secret(path)?;
    refuse_form(path, &text, Wanted::Certificates)?;
    let wrong = |cause| IdentityError::Intermediates {
        path: path.display().to_string(),
        cause,
    };
    let found = Certificate::all_from_pem(text.expose()).map_err(wrong)?;
    if found.is_empty() {
        return Err(wrong(landfast_pki::Error::Pem));
    }
    Ok(found)
}

/// The private key of a file, in DER; `passphrase` names the file with its
/// passphrase.
///
/// # Errors
/// [`IdentityError`] when there is none or it cannot be opened.
pub fn key_der(path: &Path, passphrase: Option<&Path>) -> Result<Secret<Vec<u8>>, IdentityError> {
    key_of(path, &files::read_secret(path)?, passphrase)
}

pub(crate) fn key_of(
    path: &Path,
    text: &Secret<Vec<u8>>,
    passphrase: Option<&Path>,
) -> Result<Secret<Vec<u8>>, IdentityError> {
    refuse_form(path, text, Wanted::PrivateKey)?;
    let shown = || path.display().to_string();
    let blocks = pem::blocks(text.expose());
    if blocks.iter().any(|block| block.encrypted) {
        return Err(IdentityError::Traditional { path: shown() });
    }
    let Some(block) = blocks
        .iter()
        .find(|block| block.label.ends_with("PRIVATE KEY"))
    else {
        return Err(IdentityError::NoKey { path: shown() });
    };
    if block.label.starts_with("TSS2") {
        return Err(IdentityError::Device { path: shown() });
    }
    if block.label != "ENCRYPTED PRIVATE KEY" {
        return Ok(Secret::new(block.contents.to_vec()));
    }
    let passphrase = passphrase.ok_or_else(|| IdentityError::Encrypted { path: shown() })?;
    let passphrase = Opened::open(passphrase)?;
    passphrase.tell_if_open();
    let passphrase = passphrase.read()?;
    let line = passphrase.expose();
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    encrypted::open(&block.contents, line).map_err(|cause| IdentityError::Closed {
        path: shown(),
        cause,
    })
}

/// Whether a file in PEM holds a private key, as one that has the certificate as well.
pub fn holds_key(path: &Path) -> bool {
    files::read_secret(path).is_ok_and(|text| {
        let blocks = pem::blocks(text.expose());
        blocks
            .iter()
            .any(|block| block.label.ends_with("PRIVATE KEY"))
    })
}

/// Refuses a file in another form than PEM with the way to PEM.
fn refuse_form(path: &Path, text: &Secret<Vec<u8>>, wanted: Wanted) -> Result<(), IdentityError> {
    match form::other(path, text.expose(), wanted) {
        Some(other) => Err(IdentityError::Form {
            path: path.display().to_string(),
            other,
        }),
        None => Ok(()),
    }
}

/// Tells of a file that is not there, unless the other one of the pair explains it: a
/// PKCS#12 file holds both, and who has one names it once.
fn missing(error: FileError, others: [(&Path, Wanted); 2]) -> IdentityError {
    if !error.is_not_found() {
        return error.into();
    }
    for (path, wanted) in others {
        let both = |text: &Secret<Vec<u8>>| form::is_pkcs12(text.expose());
        let explained = files::read_secret(path)
            .ok()
            .filter(both)
            .map(|text| refuse_form(path, &text, wanted));
        if let Some(Err(explained)) = explained {
            return explained;
        }
    }
    IdentityError::Missing {
        path: error.path.display().to_string(),
    }
}

/// Reads certificate, chain and key, and makes sure that they belong together.
///
/// # Errors
/// [`IdentityError`].
pub fn load(files: &Files<'_>) -> Result<(Identity, Certificate), IdentityError> {
    let (certificate, key) = (files.certificate, files.key);
    let device = key
        .to_str()
        .is_some_and(|key| key.starts_with("pkcs11:") || key.starts_with("handle:"));
    if device {
        return Err(IdentityError::Device {
            path: key.display().to_string(),
        });
    }
    let (certificate_text, key_text) = pair::read_both(certificate, key).map_err(|error| {
        let others = [
            (certificate, Wanted::Certificates),
            (key, Wanted::PrivateKey),
        ];
        missing(error, others)
    })?;
    load_texts(files, &certificate_text, &key_text)
}

/// As [`load`], of what was read already.
pub(crate) fn load_texts(
    files: &Files<'_>,
    certificate_text: &Secret<Vec<u8>>,
    key_text: &Secret<Vec<u8>>,
) -> Result<(Identity, Certificate), IdentityError> {
    let (certificate, key) = (files.certificate, files.key);
    let (leaf, mut chain) = certificates_of(certificate, certificate_text)?;
    if leaf.is_ca() {
        return Err(IdentityError::Authority {
            path: certificate.display().to_string(),
        });
    }
    if let Some(path) = files.intermediates {
        chain.extend(intermediates(path)?);
    }
    // A root proves nothing that the anchor does not know, and takes a place of five.
    chain.retain(|certificate| !certificate.is_self_issued());
    let der = key_of(key, key_text, files.passphrase)?;
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn data(name: &str) -> PathBuf {
        Path::new("tests/data/pki").join(name)
    }

    #[test]
    fn a_machine_without_a_certificate_is_told_how_to_get_one() {
        let none = data("none.pem");
        let error = load(&Files::pair(&none, &data("rsa-leaf.key"))).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("none.pem") && text.contains("landfast enroll"),
            "{text}"
        );
    }

    #[test]
    fn a_pkcs12_file_is_told_with_the_way_out_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let pfx = directory.path().join("node.p12");
        let made = std::process::Command::new("openssl")
            .args(["pkcs12", "-export", "-passout", "pass:"])
            .arg("-in")
            .arg(data("ec-leaf.crt"))
            .arg("-inkey")
            .arg(data("ec-leaf.key"))
            .arg("-out")
            .arg(&pfx)
            .status()
            .expect("openssl runs");
        assert!(made.success());
        let certificate = data("ec-leaf.crt");
        let none = data("none.pem");
        for files in [
            Files::pair(&pfx, &pfx),
            Files::pair(&certificate, &pfx),
            Files::pair(&pfx, &data("ec-leaf.key")),
            // One flag alone: the other file is the usual one, which need not be there.
            Files::pair(&pfx, &none),
            Files::pair(&none, &pfx),
        ] {
            let error = load(&files).unwrap_err().to_string();
            assert!(error.contains("openssl pkcs12 -in"), "{error}");
            assert!(error.contains("node.p12: "), "{error}");
        }
    }

    #[test]
    fn files_in_der_are_told_with_the_way_to_pem() {
        let directory = tempfile::tempdir().unwrap();
        let der = |name: &str| {
            let path = directory.path().join(name);
            let blocks = pem::blocks(&std::fs::read(data(name)).unwrap());
            std::fs::write(&path, &blocks[0].contents[..]).unwrap();
            path
        };
        let (certificate, key) = (der("ec-leaf.crt"), der("ec-leaf.key"));
        let text = |files: Files<'_>| load(&files).unwrap_err().to_string();
        let told = text(Files::pair(&certificate, &data("ec-leaf.key")));
        assert!(told.contains("openssl x509 -inform DER -in"), "{told}");
        let told = text(Files::pair(&data("ec-leaf.crt"), &key));
        assert!(told.contains("openssl pkey -inform DER -in"), "{told}");
        let told = text(Files {
            intermediates: Some(&der("rsa-int.crt")),
            ..Files::pair(&data("rsa-leaf.crt"), &data("rsa-leaf.key"))
        });
        assert!(told.contains("openssl x509 -inform DER -in"), "{told}");
    }

    #[test]
    fn one_file_may_hold_both() {
        let directory = tempfile::tempdir().unwrap();
        let both = directory.path().join("both.pem");
        let mut text = std::fs::read(data("ec-leaf.crt")).unwrap();
        std::fs::write(&both, &text).unwrap();
        assert!(!holds_key(&both));
        text.extend(std::fs::read(data("ec-leaf.key")).unwrap());
        std::fs::write(&both, text).unwrap();
        assert!(holds_key(&both));
        assert!(load(&Files::pair(&both, &both)).is_ok());
        assert!(!holds_key(Path::new("/nonexistent")));
    }

    #[test]
    fn a_pair_is_read_with_its_chain_and_without_the_root() {
        let directory = tempfile::tempdir().unwrap();
        let chain = directory.path().join("chain.pem");
        let mut text = std::fs::read(data("rsa-int.crt")).unwrap();
        text.extend(std::fs::read(data("rsa-root.crt")).unwrap());
        std::fs::write(&chain, text).unwrap();
        let (identity, leaf) = load(&Files {
            intermediates: Some(&chain),
            ..Files::pair(&data("rsa-leaf.crt"), &data("rsa-leaf.key"))
        })
        .unwrap();
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
    fn a_ca_is_no_node_and_junk_is_no_chain() {
        let error = load(&Files::pair(&data("rsa-int.crt"), &data("rsa-leaf.key"))).unwrap_err();
        assert!(matches!(error, IdentityError::Authority { .. }), "{error}");
        let error = load(&Files {
            intermediates: Some(&data("rsa-leaf.key")),
            ..Files::pair(&data("rsa-leaf.crt"), &data("rsa-leaf.key"))
        })
        .unwrap_err();
        assert!(
            error.to_string().contains("intermediate certificates"),
            "{error}"
        );
    }

    #[test]
    fn strangers_are_told_apart() {
        let error = load(&Files::pair(&data("rsa-leaf.crt"), &data("ec-leaf.key"))).unwrap_err();
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
                "--pkcs8-password-file",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "openssl pkcs8 -topk8",
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "none of RSA",
            ),
            (
                "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n",
                "PKCS#11 tokens",
            ),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = load(&Files::pair(&data("rsa-leaf.crt"), &path)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let token = Path::new("pkcs11:token=t;object=o");
        let error = load(&Files::pair(&data("rsa-leaf.crt"), token)).unwrap_err();
        assert!(matches!(error, IdentityError::Device { .. }), "{error}");
    }

    #[test]
    fn an_encrypted_key_opens_with_the_file_of_its_passphrase() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let sealed = pem::encode(
            "ENCRYPTED PRIVATE KEY",
            include_bytes!("../tests/data/sealed.der"),
        );
        std::fs::write(path("key"), sealed).unwrap();
        let (certificate, key) = (data("ec-leaf.crt"), path("key"));
        let with = |passphrase: &str| {
            let file = path("passphrase");
            std::fs::write(&file, passphrase).unwrap();
            load(&Files {
                passphrase: Some(&file),
                ..Files::pair(&certificate, &key)
            })
        };
        for good in ["pass phrase", "pass phrase\n", "pass phrase\r\n"] {
            assert!(with(good).is_ok(), "{good:?}");
        }
        let error = with("secret").unwrap_err().to_string();
        assert!(error.contains("does not open"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
