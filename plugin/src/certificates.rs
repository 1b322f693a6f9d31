//! `certs/<serial>`: the certificates on record, as DER.

use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::{Error, Write};

use crate::ends;
use crate::fault::{self, internal};
use crate::mount::Mount;

/// Storage prefix; the rest of the key is the serial number with dashes.
pub(crate) const PREFIX: &str = "certs/";

/// What is to be written so that the certificate is on record.
pub(crate) fn write(certificate: &Certificate) -> Write {
    Write::put(
        key(&certificate.serial().dash()),
        certificate.der().to_vec(),
    )
}

/// Puts the certificate on record at once, and notes when it ends. The cache keeps no certificate, and so need not learn of it.
///
/// # Errors
/// When storage fails.
pub(crate) async fn store(mount: &Mount, certificate: &Certificate) -> Result<(), Error> {
    let key = key(&certificate.serial().dash());
    mount
        .storage()
        .put(&key, certificate.der().to_vec())
        .await?;
    ends::note(mount, certificate).await;
    Ok(())
}

/// DER of the certificate with this serial number.
///
/// # Errors
/// When storage fails.
pub(crate) async fn der(mount: &Mount, serial: &SerialNumber) -> Result<Option<Vec<u8>>, Error> {
    named(mount, &serial.dash()).await
}

/// As [`der`], for a name that a listing gave.
///
/// # Errors
/// When storage fails.
pub(crate) async fn named(mount: &Mount, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(mount.storage().get(&key(name)).await?)
}

/// The certificate with this serial number.
///
/// # Errors
/// When storage fails, or what it has is no certificate.
pub(crate) async fn load(
    mount: &Mount,
    serial: &SerialNumber,
) -> Result<Option<Certificate>, Error> {
    let Some(der) = der(mount, serial).await? else {
        return Ok(None);
    };
    let read = Certificate::from_der(&der).map_err(|cause| {
        internal(
            "a stored certificate could not be read",
            format_args!("{}: {cause}", key(&serial.dash())),
        )
    });
    read.map(Some)
}

/// A serial number for a new certificate.
///
/// # Errors
/// When there is no randomness.
pub(crate) fn new_serial() -> Result<SerialNumber, Error> {
    SerialNumber::random().map_err(fault::failed)
}

/// Where a certificate is stored.
pub(crate) fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}
