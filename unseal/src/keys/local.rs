//! A key-encryption key in a file: for laptops and tests.
//!
//! Whoever reads the file opens the seal, so it protects nothing against the machine's owner or a copied disk. Every use says so
//! in the log.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfast_base::Secret;

use crate::check::Report;
use crate::crypto;
use crate::envelope::Envelope;
use crate::error::{Class, Error, ServiceError};
use crate::keys::key::{Context, KeyEncryptionKey, WrappedKey};
use crate::stanza::is_of_the_server;

/// Stanza key of the local wrapper.
pub(crate) const STANZA_KEY: &str = "local_key_file";

/// The seal type of the local wrapper.
pub const KIND: &str = "landfast-local";

/// What starts a local key's lasting name.
pub(crate) const ID: &str = "local:";

/// What whoever seals by a key file is told.
pub(crate) const WARNING: &str = "the seal's key lies in a file on this machine: that protects against nothing but a lost copy of the storage, and is \
     meant for tests";

/// What starts a key file, so that another file is not taken for one.
const HEADER: &str = "landfast-local-key-v1:";

/// What starts a wrapped key.
const FORMAT: u8 = 1;

/// A key in a file.
#[derive(Debug)]
pub struct LocalKey {
    material: Secret<Vec<u8>>,
    id: String,
}

impl LocalKey {
    /// Makes a new key and writes it to a file that must not exist yet, readable by its owner only.
    ///
    /// # Errors
    /// The file exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let material = crypto::random_key()?;
        let text = Secret::new(format!("{HEADER}{}\n", STANDARD.encode(material.expose())));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(text.expose().as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::File {
                path: path.to_owned(),
                reason: "is there already; a key file is never replaced, for what it wrapped would be lost: give another name"
                    .to_owned(),
            },
            _ => file_error(path, &error),
        })?;
        Ok(Self::new(material))
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// The file cannot be read, is not a key file, or is open to others than its owner.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::File {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
        if !metadata.is_file() {
            return Err(refuse("is not a file"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(refuse(
                "is open to other users than its owner; run chmod 600 on it",
            ));
        }
        let mut text = Secret::new(String::new());
        let file = fs::File::open(path).map_err(|error| file_error(path, &error))?;
        file.take(1024)
            .read_to_string(text.expose_mut())
            .map_err(|error| file_error(path, &error))?;
        let encoded = text.expose().trim().strip_prefix(HEADER);
        let encoded = encoded.ok_or_else(|| refuse("is not a key file made by init-key"))?;
        let material = STANDARD.decode(encoded).map(Secret::new);
        let material = material.map_err(|_| refuse("is damaged: its key is not base64"))?;
        if material.expose().len() != crypto::KEY_LEN {
            return Err(refuse("is damaged: its key is not 32 bytes long"));
        }
        Ok(Self::new(material))
    }

    /// The key file that a stanza names, if it is one of the local wrapper.
    ///
    /// # Errors
    /// The stanza has other keys too, which would have no meaning.
    pub fn of_stanza(stanza: &BTreeMap<String, String>) -> Result<Option<PathBuf>, Error> {
        let Some(path) = stanza.get(STANZA_KEY) else {
            return Ok(None);
        };
        let other = |key: &&String| *key != STANZA_KEY && !is_of_the_server(key);
        match stanza.keys().find(other) {
            Some(other) => Err(Error::Config(format!(
                "{other} has no meaning together with {STANZA_KEY}"
            ))),
            None => Ok(Some(PathBuf::from(path))),
        }
    }

    /// The seal over this key.
    pub fn into_seal(self) -> Envelope<Self> {
        let metadata = BTreeMap::from([("key_id".to_owned(), self.id.clone())]);
        Envelope::new(Arc::new(self), KIND, metadata)
    }

    fn new(material: Secret<Vec<u8>>) -> Self {
        let id = format!(
            "{ID}{}",
            crypto::fingerprint(&material, "landfast local key id")
        );
        Self { material, id }
    }

    fn refusal(&self, code: &str, message: &str) -> Error {
        Error::from(ServiceError {
            class: Class::Data,
            operation: "Decrypt",
            code: code.to_owned(),
            message: message.to_owned(),
            key: Some(self.id.clone()),
            region: None,
            endpoint: None,
            principal: None,
            next_step: None,
            attempts: 1,
        })
    }
}

#[async_trait]
impl KeyEncryptionKey for LocalKey {
    fn key_id(&self) -> String {
        self.id.clone()
    }

    async fn wrap(&self, key: &[u8], context: &Context) -> Result<WrappedKey, Error> {
        let nonce = crypto::random_nonce()?;
        let sealed = crypto::seal(&self.material, nonce, key, &context.canonical())?;
        let ciphertext = [&[FORMAT], nonce.as_slice(), &sealed].concat();
        Ok(WrappedKey {
            key_id: self.id.clone(),
            ciphertext,
        })
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Secret<Vec<u8>>, Error> {
        if let Some(pin) = pin.filter(|pin| *pin != self.id) {
            return Err(self.refusal(
                "IncorrectKey",
                &format!("the data key was wrapped by {pin}"),
            ));
        }
        let sealed = wrapped.strip_prefix(&[FORMAT]);
        let sealed = sealed
            .ok_or_else(|| self.refusal("InvalidCiphertext", "not wrapped by a local key"))?;
        crypto::open(&self.material, sealed, &context.canonical()).map_err(|_| {
            self.refusal(
                "InvalidCiphertext",
                "wrapped by another key or for another context, or damaged",
            )
        })
    }
}

/// Tries the key file of a stanza.
pub(crate) async fn check(report: &mut Report, path: &Path) {
    let load = async { Ok(LocalKey::load(path)?.into_seal()) };
    let say = |seal: &Envelope<LocalKey>| format!("{} holds {}", path.display(), seal.key_id());
    if let Some(seal) = report.run("key file", load, say).await {
        report.warnings.push(WARNING.to_owned());
        report.round_trip(&seal).await;
    }
}

fn file_error(path: &Path, error: &io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::Blob;

    fn key_file() -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("key");
        (directory, path)
    }

    #[tokio::test]
    async fn a_key_file_opens_what_it_sealed_before() {
        let (_directory, path) = key_file();
        let sealed = LocalKey::create(&path).expect("creates").into_seal();
        let blob = sealed.encrypt(b"root key", b"").await.expect("encrypts");
        let again = LocalKey::load(&path).expect("loads").into_seal();
        assert_eq!(
            again.decrypt(&blob, b"").await.expect("decrypts").expose(),
            b"root key"
        );
        assert_eq!(blob.key_id(), Some(again.key_id().as_str()));
        assert_eq!(again.kind(), KIND);
    }

    #[tokio::test]
    async fn another_key_another_context_and_another_pin_are_refused() {
        let (_directory, path) = key_file();
        let key = LocalKey::create(&path).expect("creates");
        let context = Context::none().with("mount", "a");
        let wrapped = key.wrap(&[1; 32], &context).await.expect("wraps");
        assert_eq!(
            key.unwrap(&wrapped.ciphertext, &context, None)
                .await
                .expect("unwraps")
                .expose(),
            &[1; 32]
        );
        assert!(
            key.unwrap(&wrapped.ciphertext, &context, Some(&wrapped.key_id))
                .await
                .is_ok()
        );

        let other = LocalKey::create(&path.with_extension("2")).expect("creates");
        let elsewhere = Context::none().with("mount", "b");
        for refused in [
            other.unwrap(&wrapped.ciphertext, &context, None).await,
            key.unwrap(&wrapped.ciphertext, &elsewhere, None).await,
            key.unwrap(&wrapped.ciphertext, &context, Some("local:0"))
                .await,
            key.unwrap(b"", &context, None).await,
            key.unwrap(&wrapped.ciphertext[1..], &context, None).await,
        ] {
            assert_eq!(refused.expect_err("refused").class(), Class::Data);
        }
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let (_directory, path) = key_file();
        fs::write(&path, "precious").expect("writes");
        let error = LocalKey::create(&path).expect_err("refused").to_string();
        assert!(error.contains("give another name"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("reads"), "precious");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_never_quoted() {
        let (_directory, path) = key_file();
        LocalKey::create(&path).expect("creates");
        assert_eq!(
            fs::metadata(&path).expect("metadata").permissions().mode() & 0o777,
            0o600
        );
        let text = fs::read_to_string(&path).expect("reads");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = LocalKey::load(&path).expect_err("refused").to_string();
        assert!(error.contains("chmod 600"), "{error}");

        fs::write(&path, text.replace(HEADER, "")).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        let error = LocalKey::load(&path).expect_err("refused").to_string();
        assert!(
            !error.contains(text.trim().trim_start_matches(HEADER)),
            "{error}"
        );
    }
}
