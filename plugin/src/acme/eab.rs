//! `acme/eab/ID`: external accounts (RFC 8555 section 7.3.4), each for one account of one directory.

use landfast_base::Secret;
use landfast_sdk::logical::Error;

use crate::acme::accounts::is_id;
use crate::acme::stored::read;
use crate::authority::new_id;
use crate::entry::acme::EabEntry;
use crate::entry::other::Other;
use crate::entry::time::StoredTime;
use crate::{Mount, entry, fault};

/// Storage prefix.
pub(crate) const PREFIX: &str = "acme/eab/";

/// What the text of a key begins with, decoded: `vault-eab-0-`, so that none begins with a dash, which programs take for an option.
const FRONT: [u8; 9] = [0xbd, 0xab, 0xa5, 0xb7, 0xe7, 0x9a, 0x6f, 0xed, 0x3e];

/// An external account that is on record.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Its id.
    pub(crate) id: String,
    /// As stored.
    pub(crate) entry: EabEntry,
}

/// Where it is stored.
pub(crate) fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The external account with this id.
///
/// # Errors
/// When storage fails.
pub(crate) async fn load(mount: &Mount, id: &str) -> Result<Option<Bound>, Error> {
    if !is_id(id) {
        return Ok(None);
    }
    let entry = read::<EabEntry>(mount, &key(id)).await?;
    Ok(entry.map(|entry| Bound {
        id: id.to_owned(),
        entry,
    }))
}

/// Makes one for the directory at `path`.
///
/// # Errors
/// When there is no randomness, or storage fails.
pub(crate) async fn make(mount: &Mount, path: &str) -> Result<Bound, Error> {
    let mut bytes = Secret::new(vec![0; FRONT.len() + 32]);
    bytes.expose_mut()[..FRONT.len()].copy_from_slice(&FRONT);
    landfast_base::fill(&mut bytes.expose_mut()[FRONT.len()..])
        .map_err(|error| fault::failed(error.into()))?;
    let bound = Bound {
        id: new_id()?,
        entry: EabEntry {
            key_type: "hs".to_owned(),
            private_bytes: bytes,
            acme_directory: path.to_owned(),
            created_on: StoredTime(mount.now()),
            other: Other::default(),
        },
    };
    mount
        .put(key(&bound.id), entry::encode(&bound.entry))
        .await?;
    Ok(bound)
}
