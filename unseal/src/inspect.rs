//! Which key wrapped what in a copy of a server's storage. Reads names only: nothing is decrypted, and no service is asked.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::blob::{Blob, BlobInfo, DIRECT, ENVELOPE};
use crate::error::Error;

mod bolt;

/// Storage entries that a seal wraps, and those that say which seal it is.
const WRAPPED: [&str; 2] = ["core/hsm/barrier-unseal-keys", "core/recovery-key"];
const PLAIN: [&str; 2] = ["core/seal-config", "core/recovery-config"];

/// What starts a gzip file (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The seal type of a server whose key is split among people.
const SHARES: &str = "shamir";

/// Larger files are no storage entry of a seal.
const ENTRY_LIMIT: u64 = 1 << 20;

/// The layout of what key shares open.
const BY_SHARES: &str = "encrypted by the key that the key shares make";

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// The seal type that the server persisted.
    pub seal_type: Option<String>,
    /// The type of the recovery keys, or of the key shares of a server without auto-unseal.
    pub recovery_type: Option<String>,
    /// The wrapped entries.
    pub entries: Vec<Entry>,
}

/// A wrapped entry.
#[derive(Debug)]
pub struct Entry {
    /// Its path in the storage.
    pub path: &'static str,
    /// What can be said of it, or why it cannot be read.
    pub blob: Result<Facts, String>,
}

/// What a blob says of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// The key that wrapped it: for AWS KMS its ARN. `None` when the blob does not name it, as with key shares.
    pub key_id: Option<String>,
    /// How it was wrapped, in words.
    pub layout: &'static str,
    /// Bytes stored.
    pub size: usize,
}

impl Report {
    /// Whether people open the seal with their key shares, and no key service does.
    pub fn is_of_shares(&self) -> bool {
        self.seal_type.as_deref() == Some(SHARES)
    }
}

/// Looks into a storage: the folder of raft or file storage, or the file `vault.db` of the former.
///
/// # Errors
/// Nothing there can be read as such a storage.
pub fn storage(path: &Path) -> Result<Report, Error> {
    let metadata = fs::metadata(path).map_err(|error| refuse(path, &error.to_string()))?;
    if metadata.is_file() {
        return raft(path);
    }
    let database = path.join("vault.db");
    if database.is_file() {
        return raft(&database);
    }
    if path.join("core").is_dir() {
        return Ok(report(|name| file_entry(path, name)));
    }
    Err(refuse(
        path,
        "holds neither raft storage (vault.db) nor file storage (core/)",
    ))
}

/// Describes one blob.
///
/// # Errors
/// The bytes are no blob.
pub fn blob(bytes: &[u8]) -> Result<Facts, Error> {
    let blob = BlobInfo::from_bytes(bytes)?;
    if blob.ciphertext.is_empty() {
        return Err(Error::Blob("it holds no ciphertext"));
    }
    let layout = match (blob.mechanism(), blob.is_transit()) {
        (_, true) => "transit seal",
        (ENVELOPE, _) if blob.iv.is_empty() => "envelope with the nonce in front (OpenBao 2.5.0)",
        (ENVELOPE, _) => "envelope",
        (DIRECT, _) => "encrypted by the key service itself",
        _ => "unknown",
    };
    Ok(Facts {
        key_id: blob.key_id().map(str::to_owned),
        layout,
        size: bytes.len(),
    })
}

fn raft(path: &Path) -> Result<Report, Error> {
    let bytes = fs::read(path).map_err(|error| refuse(path, &error.to_string()))?;
    if bytes.starts_with(&GZIP) {
        return Err(refuse(
            path,
            "is compressed, as a raft snapshot is, which is not looked into: give the storage folder of a server, or of one that the snapshot was \
             restored to",
        ));
    }
    let database = bolt::Database::open(&bytes)
        .ok_or_else(|| refuse(path, "is not a raft storage database, or is damaged"))?;
    Ok(report(|name| {
        Ok(database.value(b"data", name.as_bytes()).map(<[u8]>::to_vec))
    }))
}

fn report(read: impl Fn(&str) -> Result<Option<Vec<u8>>, Error>) -> Report {
    let kind = |name: &str| {
        let config: Value = serde_json::from_slice(&read(name).ok()??).ok()?;
        Some(config.get("type")?.as_str()?.to_owned())
    };
    let seal_type = kind(PLAIN[0]);
    let shares = seal_type.as_deref() == Some(SHARES);
    let entry = |path: &'static str| {
        let found = read(path).map_err(|error| error.to_string()).transpose()?;
        let facts = |bytes: Vec<u8>| {
            let mut facts = blob(&bytes).map_err(|error| error.to_string())?;
            // Such a blob looks like one of a key service that was not named.
            if shares && facts.key_id.is_none() {
                facts.layout = BY_SHARES;
            }
            Ok(facts)
        };
        Some(Entry {
            path,
            blob: found.and_then(facts),
        })
    };
    Report {
        seal_type,
        recovery_type: kind(PLAIN[1]),
        entries: WRAPPED.into_iter().filter_map(entry).collect(),
    }
}

/// File storage keeps an entry as JSON in a file whose name starts with an underscore.
fn file_entry(root: &Path, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let path: PathBuf = root.join(folder).join(format!("_{file}"));
    if !path.is_file() {
        return Ok(None);
    }
    let mut text = Vec::new();
    let opened =
        fs::File::open(&path).and_then(|file| file.take(ENTRY_LIMIT).read_to_end(&mut text));
    opened.map_err(|error| refuse(&path, &error.to_string()))?;
    let value: Option<Value> = serde_json::from_slice(&text).ok();
    let encoded = value
        .as_ref()
        .and_then(|value| value.get("Value")?.as_str());
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded
        .map(Some)
        .ok_or_else(|| refuse(&path, "is not an entry of file storage"))
}

fn refuse(path: &Path, reason: &str) -> Error {
    Error::File {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::local::LocalKey;

    #[tokio::test]
    async fn file_storage_tells_its_seal_and_its_key() {
        let directory = tempfile::tempdir().expect("temporary directory");
        assert!(storage(directory.path()).is_err());
        let seal = LocalKey::create(&directory.path().join("key"))
            .expect("creates")
            .into_seal();
        let stored = seal
            .encrypt(b"root key", b"")
            .await
            .expect("encrypts")
            .to_bytes();
        let write = |name: &str, value: &[u8]| {
            let path = directory.path().join("core").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
            let json = serde_json::json!({"Key": name, "Value": STANDARD.encode(value)});
            fs::write(path, json.to_string()).expect("writes");
        };
        write("_seal-config", br#"{"type":"awskms","secret_shares":1}"#);
        write("hsm/_barrier-unseal-keys", &stored);
        write("_recovery-key", b"\xff\xff");
        let report = storage(directory.path()).expect("reads");
        assert_eq!(
            (report.seal_type.as_deref(), report.recovery_type),
            (Some("awskms"), None)
        );
        let facts = report.entries[0].blob.as_ref().expect("a blob");
        assert_eq!(
            (facts.key_id.clone(), facts.layout),
            (Some(seal.key_id()), "envelope")
        );
        assert!(report.entries[1].blob.is_err());
    }

    #[test]
    fn layouts_are_told_apart() {
        let transit = BlobInfo {
            ciphertext: b"vault:v3:AAAA".to_vec(),
            ..BlobInfo::default()
        };
        assert_eq!(
            blob(&transit.to_bytes()).expect("a blob").layout,
            "transit seal"
        );
        assert!(blob(b"").is_err());
    }
}
