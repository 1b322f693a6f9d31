//! Sealed CA keys: the private half is stored wrapped by a key outside of the server, and opened once a process.
//!
//! `config/seal` names what wraps. From then on new keys are stored sealed; [`migrate`] brings the stored ones to the same state, in either
//! direction. A sealed key's record stands in its entry in place of the PEM, so that one write replaces the one by the other: at no moment is the
//! key in both forms or in neither.

mod migrate;
mod opened;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use landfast_pki::{PrivateKey, PublicKey};
use landfast_sdk::logical::Error;
use landfast_unseal::KeyEncryptionKey;
use landfast_unseal::keys::{self as services, Kind, Place};
use landfast_unseal::sealed::{Binding, Keyring, SealedKey, Wrap};
use zeroize::Zeroizing;

use crate::entry::key::KeyEntry;
use crate::entry::seal::{SealConfig, SealWrapper};
use crate::fault::internal;
use crate::keys::{self, Keys};
use crate::mount::Mount;

pub(crate) use migrate::{periodic, start, try_out};
use opened::status;
use state::KEY_DIRECTORY;
pub(crate) use state::Seal;

impl Mount {
    /// Lets the mount use the key files in `folder`, for tests. Elsewhere an environment variable of the process says which. Only the first
    /// call counts.
    pub fn use_key_directory(&self, folder: impl Into<PathBuf>) {
        let _ = self.seal.key_directory.set(folder.into());
    }
}

/// The mount's settings.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<SealConfig>, Error> {
    mount.load_or_default(SealConfig::KEY).await
}

/// The private half of the sealed key `id`: from memory, else by asking the key service, which is done once at a time and not again right after
/// it failed.
///
/// # Errors
/// 503 while the key service cannot be used, with what to do; 500 when the record cannot be this key's.
pub(crate) async fn open(
    mount: &Mount,
    id: &str,
    record: &SealedKey,
) -> Result<Arc<PrivateKey>, Error> {
    let slot = mount.seal.opened.slot(id, record.public_key());
    if let Some(known) = slot.known() {
        return known;
    }
    let ring = ring(mount, record).await?;
    let binding = binding(mount, id)?;
    // Apart, so that those whose key is open do not carry the room for it.
    Box::pin(slot.open(&binding, record, &ring)).await
}

/// Opens what is not opened yet, so that an outage of the key service finds the keys in memory. During one, the first failure stands for all.
pub(crate) async fn warm(mount: &Mount) -> Result<(), Error> {
    for key in keys::all(mount).await?.iter() {
        let Some(record) = key.sealed() else { continue };
        if let Err(error) = open(mount, &key.id, record).await {
            tracing::warn!(key = %key.id, %error, "a sealed CA key cannot be opened");
            if matches!(error, Error::Status { code: 503, .. }) {
                break;
            }
        }
    }
    Ok(())
}

/// Whether the key `id` is sealed and not opened yet.
pub(crate) fn is_closed(mount: &Mount, keys: &Keys, id: &str) -> bool {
    let record = keys.find(id).and_then(|key| key.sealed());
    record.is_some_and(|record| {
        let slot = mount.seal.opened.slot(id, record.public_key());
        !slot.is_open()
    })
}

/// Seals those of `entries` that hold a private half, by the mount's settings. To be called before they are stored. The answer is for
/// [`remember`] afterwards.
///
/// # Errors
/// The key service cannot be used; then nothing may be stored.
pub(crate) async fn seal_new<'a>(
    mount: &Mount,
    entries: impl Iterator<Item = &'a mut KeyEntry>,
) -> Result<Vec<(String, Arc<PrivateKey>)>, Error> {
    let config = config(mount).await?;
    let mut done = Vec::new();
    if config.wrappers.is_empty() {
        return Ok(done);
    }
    let mut keys = None;
    for entry in entries {
        if entry.expose().is_empty() || entry.is_sealed() {
            continue;
        }
        if keys.is_none() {
            keys = Some(wrapping_keys(mount, &config.wrappers).await?);
        }
        let keys = keys.as_deref().unwrap_or_default();
        let (text, key) = sealed(mount, entry, keys).await?;
        entry.set_private(text);
        done.push((entry.id.clone(), key));
    }
    Ok(done)
}

/// Remembers the private half of a key that was just stored, so that it need not be opened.
pub(crate) fn remember(mount: &Mount, id: &str, key: &Arc<PrivateKey>) {
    let slot = mount.seal.opened.slot(id, key.public_key().spki_der());
    slot.fill(Arc::clone(key));
}

/// The record of the entry's key, as text, which opens by each of `keys`.
async fn sealed(
    mount: &Mount,
    entry: &KeyEntry,
    keys: &[Arc<dyn KeyEncryptionKey>],
) -> Result<(String, Arc<PrivateKey>), Error> {
    let private = entry.expose().as_bytes();
    let key = PrivateKey::from_pem(private).map_err(|cause| {
        internal(
            "a stored key could not be read",
            format_args!("{}: {cause}", entry.id),
        )
    })?;
    let binding = binding(mount, &entry.id)?;
    let refused = |error| not_sealed(&entry.id, &error);
    let record = SealedKey::seal(keys, binding.clone(), key.public_key().spki_der(), private)
        .await
        .map_err(refused)?;
    let ring = ring(mount, &record).await?;
    record.verify(&binding, &ring).await.map_err(refused)?;
    Ok((record.encode(), Arc::new(key)))
}

/// What a sealed key of this mount is bound to.
fn binding(mount: &Mount, id: &str) -> Result<Binding, Error> {
    if mount.uuid().is_empty() {
        return Err(Error::failed(
            "the server told this mount no id, which sealed keys are bound to",
        ));
    }
    Ok(Binding::ca_key(mount.uuid(), id))
}

/// The keys of `wrappers`, ready to wrap.
///
/// # Errors
/// A wrapper that is named wrongly or is not there.
pub(crate) async fn wrapping_keys(
    mount: &Mount,
    wrappers: &[SealWrapper],
) -> Result<Vec<Arc<dyn KeyEncryptionKey>>, Error> {
    let mut keys: Vec<Arc<dyn KeyEncryptionKey>> = Vec::with_capacity(wrappers.len());
    for wrapper in wrappers {
        keys.push(match wrapper.kind {
            Kind::Local => key_file(mount, &wrapper.name)?,
            kind => {
                let place = Place::of(kind, &wrapper.name)
                    .map_err(|error| Error::bad_request(error.to_string()))?;
                service_key(mount, &place).await?
            }
        });
    }
    Ok(keys)
}

/// A key of the service that `config/kms` reaches.
async fn service_key(mount: &Mount, place: &Place) -> Result<Arc<dyn KeyEncryptionKey>, Error> {
    let session = mount.kms_session(place.region()).await;
    // A connection that cannot be made is a fault of the settings.
    let session = session.map_err(|error| match error {
        Error::Failed(text) => Error::BadRequest(text),
        other => other,
    })?;
    let key = session.wrapping_key(place);
    key.map_err(|error| Error::bad_request(error.to_string()))
}

/// Reads a key file. Whoever may write `config/seal` need not be allowed to read the server's files: only plain names in one folder are taken, and
/// the folder is not theirs to choose.
fn key_file(mount: &Mount, name: &str) -> Result<Arc<dyn KeyEncryptionKey>, Error> {
    let Some(folder) = mount.seal.key_directory() else {
        return Err(Error::bad_request(format!(
            "key files are not allowed here: {KEY_DIRECTORY} in the environment of the server names their folder"
        )));
    };
    if !is_file_name(name) {
        return Err(Error::bad_request(format!(
            "key_file must be the name of a file in {KEY_DIRECTORY}, of letters, digits, '-', '_' and '.', not a path"
        )));
    }
    services::key_file(&folder.join(name)).map_err(|error| match error {
        // Where the folder is, is the business of whoever runs the server.
        landfast_unseal::Error::File { reason, .. } => {
            Error::bad_request(format!("the key file {name}: {reason}"))
        }
        other => Error::bad_request(other.to_string()),
    })
}

fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// The keys that can open one record.
struct Ring(BTreeMap<String, Result<Arc<dyn KeyEncryptionKey>, String>>);

#[async_trait]
impl Keyring for Ring {
    async fn find(&self, wrap: &Wrap) -> Result<Arc<dyn KeyEncryptionKey>, landfast_unseal::Error> {
        let why = match self.0.get(&wrap.key_id) {
            Some(Ok(key)) => return Ok(Arc::clone(key)),
            Some(Err(why)) => why.clone(),
            None => format!("the wrapping key {} is not known here", wrap.key_id),
        };
        Err(landfast_unseal::Error::Config(why))
    }
}

/// Prepares the keys that `record` names, by their lasting names and whatever the settings say now.
async fn ring(mount: &Mount, record: &SealedKey) -> Result<Ring, Error> {
    let mut known = BTreeMap::new();
    for wrap in record.wraps() {
        let found = match Place::parse(&wrap.key_id) {
            Ok(Place::Local(id)) => find_key_file(mount, &id).await?,
            Ok(place) => service_key(mount, &place)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        known.insert(wrap.key_id.clone(), found);
    }
    Ok(Ring(known))
}

async fn find_key_file(
    mount: &Mount,
    key_id: &str,
) -> Result<Result<Arc<dyn KeyEncryptionKey>, String>, Error> {
    let mut why = Vec::new();
    for name in config(mount).await?.key_files() {
        match key_file(mount, name) {
            Ok(key) if key.key_id() == key_id => return Ok(Ok(key)),
            Ok(_) => why.push(format!("the key file {name} holds another key")),
            Err(error) => why.push(error.to_string()),
        }
    }
    if why.is_empty() {
        why.push("config/seal names no key file".to_owned());
    }
    Ok(Err(format!(
        "the data key was wrapped by the key file {key_id}, and {}: put that file back",
        why.join("; ")
    )))
}

/// Refuses two wrappers that are one key under two names: the second wrap would be no second way to open.
pub(crate) fn are_distinct(wrappers: &[SealWrapper]) -> Result<(), Error> {
    for (at, wrapper) in wrappers.iter().enumerate() {
        let same = |other: &&SealWrapper| other.key_id == wrapper.key_id;
        if let Some(other) = wrappers[..at].iter().find(same) {
            return Err(Error::bad_request(format!(
                "{} and {} are the same key, {}: name each key once",
                other.name, wrapper.name, wrapper.key_id
            )));
        }
    }
    Ok(())
}

/// Why a key could not be sealed, for whoever wanted to store it.
fn not_sealed(id: &str, error: &landfast_unseal::Error) -> Error {
    let message = format!("the CA key {id} could not be sealed and is not stored so: {error}");
    Error::Status {
        code: status(error.class()),
        message,
    }
}

/// The stored text of an opened record, for an entry of the built-in engine.
fn stored_text(text: &[u8]) -> Result<Zeroizing<String>, Error> {
    let text = std::str::from_utf8(text).map_err(|_| internal("a sealed key is no text", ""))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The public half that a record names.
pub(crate) fn public_key(record: &SealedKey) -> Option<PublicKey> {
    PublicKey::from_spki_der(record.public_key()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::other::Other;

    #[test]
    fn only_plain_names_are_key_files() {
        for name in ["ca.key", "a", "A-b_c.9"] {
            assert!(is_file_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "../a",
            "/etc/passwd",
            "a b",
            "a\0",
            "ä",
        ] {
            assert!(!is_file_name(name), "{name:?}");
        }
        assert!(!is_file_name(&"a".repeat(129)));
    }

    #[test]
    fn one_key_under_two_names_is_refused() {
        let wrapper = |name: &str, key_id: &str| SealWrapper {
            kind: Kind::AwsKms,
            name: name.to_owned(),
            key_id: key_id.to_owned(),
            other: Other::default(),
        };
        let (first, second) = (wrapper("alias/a", "arn:1"), wrapper("alias/b", "arn:2"));
        are_distinct(&[]).unwrap();
        are_distinct(&[first.clone(), second.clone()]).unwrap();
        let refused = are_distinct(&[first, second, wrapper("alias/c", "arn:1")]);
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("alias/a and alias/c are the same key, arn:1"),
            "{text}"
        );
    }
}
