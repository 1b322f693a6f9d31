//! All revocations of a mount by serial number, read once.

use std::sync::Arc;

use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::Error;

use super::revocations::{Gathered, Revocations};
use super::state::Index;
use crate::entry::revoked;
use crate::issuers::{self, Issuers};
use crate::mount::Mount;
use crate::revocations;

/// All revocations, from memory or read now, and the generation that they belong to.
pub(super) async fn all(mount: &Mount, index: &Index) -> Result<(Arc<Revocations>, u64), Error> {
    let (kept, generation) = index.kept();
    if let Some(revoked) = kept {
        return Ok((revoked, generation));
    }
    let issuers = issuers::all(mount).await?;
    let revoked = Arc::new(read(mount, &issuers).await?);
    index.keep(generation, &revoked);
    Ok((revoked, generation))
}

/// Puts the issuer on record for revocations that name none, or one that is gone, where an issuer of the mount signed the certificate: an issuer that
/// was deleted and imported again has a new id.
///
/// # Errors
/// When storage fails.
pub(super) async fn associate(mount: &Mount) -> Result<(), Error> {
    let issuers = issuers::all(mount).await?;
    let (revoked, _) = all(mount, &mount.crl.index).await?;
    let strays = revoked.strays().filter_map(|(serial, der)| {
        let certificate = Certificate::from_der(der).ok()?;
        // Issuers stand for themselves.
        if issuers.holding(&certificate).is_some() {
            return None;
        }
        let parent = issuers.parent_of(&certificate)?;
        Some((serial.clone(), parent.entry.id.clone()))
    });
    let strays: Vec<_> = strays.collect();
    for some in strays.chunks(AT_A_TIME) {
        let (mut writes, mut entries) = (Vec::new(), Vec::new());
        for (serial, issuer_id) in some {
            let Some(mut entry) = revocations::load(mount, serial).await? else {
                continue;
            };
            entry.issuer_id.clone_from(issuer_id);
            writes.push(revocations::write(serial, &entry));
            entries.push((serial, entry));
        }
        mount.save(writes).await?;
        for (serial, entry) in entries {
            mount.crl.note(serial, &entry);
        }
    }
    Ok(())
}

async fn read(mount: &Mount, issuers: &Issuers) -> Result<Revocations, Error> {
    let mut read = Gathered::default();
    for name in mount.storage().list(revoked::PREFIX).await? {
        // A name that is no serial number is nothing that a CRL could list.
        let Ok(serial) = SerialNumber::parse(&name) else {
            continue;
        };
        let Some(entry) = revocations::named(mount, &name).await? else {
            continue;
        };
        // An issuer that was deleted and imported again has a new id: its certificates are found by their signature.
        let known = issuers.by_id(&entry.issuer_id).is_some();
        read.add(serial, entry, known);
    }
    Ok(read.complete())
}

/// Entries that are brought up to date in one write.
const AT_A_TIME: usize = 128;
