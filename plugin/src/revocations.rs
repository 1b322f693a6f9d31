//! `revoked/<serial>`: the revocations on record.

use landfast_pki::SerialNumber;
use landfast_sdk::logical::{Error, Write};

use crate::entry;
use crate::entry::revoked::{PREFIX, RevokedEntry, key};
use crate::fault::internal;
use crate::mount::Mount;

/// What is to be written so that the revocation is on record.
pub(crate) fn write(serial: &SerialNumber, entry: &RevokedEntry) -> Write {
    Write::put(key(serial), entry::encode(entry))
}

/// The revocation of the certificate with this serial number.
///
/// # Errors
/// When storage fails, or the record cannot be read.
pub(crate) async fn load(
    mount: &Mount,
    serial: &SerialNumber,
) -> Result<Option<RevokedEntry>, Error> {
    named(mount, &serial.dash()).await
}

/// As [`load`], for a name that a listing gave.
///
/// # Errors
/// As [`load`].
pub(crate) async fn named(mount: &Mount, name: &str) -> Result<Option<RevokedEntry>, Error> {
    let Some(bytes) = stored(mount, name).await? else {
        return Ok(None);
    };
    entry::decode(&bytes).map(Some).map_err(|cause| {
        internal(
            "a stored revocation could not be read",
            format_args!("{PREFIX}{name}: {cause}"),
        )
    })
}

/// The record as it is stored, for a name that a listing gave.
///
/// # Errors
/// When storage fails.
pub(crate) async fn stored(mount: &Mount, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(mount.storage().get(&format!("{PREFIX}{name}")).await?)
}
