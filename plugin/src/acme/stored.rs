//! How entries of ACME are read: from memory where a request of a moment ago had them, see [`Recent`](crate::acme::recent::Recent).

use std::sync::Arc;

use landfast_sdk::logical::Error;

use crate::Mount;
use crate::acme::recent::ACCOUNTS;
use crate::entry;
use crate::fault::internal;

/// An entry of ACME, decoded; none where there is none.
///
/// # Errors
/// When storage fails, or the entry cannot be read.
pub(crate) async fn read<T: serde::de::DeserializeOwned>(
    mount: &Mount,
    key: &str,
) -> Result<Option<T>, Error> {
    // The keys of external accounts stay in memory no longer than needed.
    let found = match key.starts_with(ACCOUNTS) {
        true => bytes(mount, key).await?,
        false => mount.storage().get(key).await?.map(Arc::from),
    };
    found.map(|bytes| decoded(key, &bytes)).transpose()
}

/// As [`read`], but as storage has it now, whatever a request of a moment ago had: for what is deleted by it, and for what somebody waits for.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_stored<T: serde::de::DeserializeOwned>(
    mount: &Mount,
    key: &str,
) -> Result<Option<T>, Error> {
    mount.acme.recent.forget(key);
    read(mount, key).await
}

fn decoded<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    entry::decode(bytes).map_err(|cause| {
        // The parser's text may quote a value.
        internal(
            "a stored entry of ACME could not be read",
            format_args!("{key}: {:?}", cause.classify()),
        )
    })
}

/// What is stored at `key`, from memory where a request of a moment ago had it.
///
/// # Errors
/// When storage fails.
pub(crate) async fn bytes(mount: &Mount, key: &str) -> Result<Option<Arc<[u8]>>, Error> {
    if let Some(kept) = mount.acme.recent.find(key) {
        return Ok(Some(kept));
    }
    let turn = mount.acme.recent.reading(key);
    let Some(bytes) = mount.storage().get(key).await? else {
        return Ok(None);
    };
    let bytes = bytes.into();
    turn.end(&bytes);
    Ok(Some(bytes))
}
