//! All revocations of a mount by serial number, read once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::{Error, Write};

use crate::entry;
use crate::entry::issuer;
use crate::entry::revoked::{self, RevokedEntry};
use crate::issuers::{self, Issuers};
use crate::mount::{Entry, Mount, internal};

/// Revocations by serial number.
pub(super) type Revocations = BTreeMap<Vec<u8>, Revoked>;

/// A revocation as far as CRLs need it.
#[derive(Clone, Debug)]
pub(super) struct Revoked {
    /// Since when.
    pub(super) time: Timestamp,
    /// Whose CRL lists it, if that is on record.
    pub(super) issuer_id: String,
    /// DER, kept only while the issuer is not known.
    pub(super) certificate: Option<Vec<u8>>,
}

/// What was read of the revocations, and whether the CRLs are known to list all of it.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: Mutex<Kept>,
    covered: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    /// Moves with each change, so that a list read meanwhile is not kept.
    generation: u64,
    revoked: Option<Arc<Revocations>>,
}

impl Index {
    /// Notes a new revocation.
    pub(super) fn note(&self, serial: &SerialNumber, entry: &RevokedEntry) {
        self.covered.store(false, Ordering::Release);
        let mut kept = self.lock();
        kept.generation += 1;
        if let Some(revoked) = &mut kept.revoked {
            let known = !entry.issuer_id.is_empty();
            Arc::make_mut(revoked).insert(
                serial.as_bytes().to_vec(),
                Revoked::new(entry.clone(), known),
            );
        }
    }

    /// Forgets what was read.
    pub(super) fn forget(&self) {
        self.covered.store(false, Ordering::Release);
        let mut kept = self.lock();
        kept.generation += 1;
        kept.revoked = None;
    }

    /// Drops what depends on the storage entry `key`.
    pub(super) fn invalidate(&self, key: &str) {
        if key.starts_with(revoked::PREFIX) || key.starts_with(issuer::PREFIX) {
            self.forget();
        }
    }

    /// Whether the CRLs were seen to list everything since the last change.
    pub(super) fn is_covered(&self) -> bool {
        self.covered.load(Ordering::Acquire)
    }

    /// The CRLs list everything that [`all`] answered with at `generation`.
    pub(super) fn covered(&self, generation: u64) {
        let kept = self.lock();
        if kept.generation == generation {
            self.covered.store(true, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revoked {
    fn new(entry: RevokedEntry, known: bool) -> Self {
        Self {
            time: entry.time(),
            certificate: (!known).then_some(entry.certificate_bytes),
            issuer_id: entry.issuer_id,
        }
    }
}

/// All revocations, from memory or read now, and the generation that they belong to.
pub(super) async fn all(mount: &Mount, index: &Index) -> Result<(Arc<Revocations>, u64), Error> {
    let generation = {
        let kept = index.lock();
        if let Some(revoked) = &kept.revoked {
            return Ok((Arc::clone(revoked), kept.generation));
        }
        kept.generation
    };
    let issuers = issuers::all(mount).await?;
    let revoked = Arc::new(read(mount, &issuers).await?);
    let mut kept = index.lock();
    if kept.generation == generation {
        kept.revoked = Some(Arc::clone(&revoked));
    }
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
    let strays = revoked.iter().filter_map(|(serial, entry)| {
        let certificate = Certificate::from_der(entry.certificate.as_deref()?).ok()?;
        // Issuers stand for themselves.
        if issuers.holding(&certificate).is_some() {
            return None;
        }
        let parent = issuers.parent_of(&certificate)?;
        Some((SerialNumber::from_bytes(serial), parent.entry.id.clone()))
    });
    let strays: Vec<_> = strays.collect();
    for some in strays.chunks(AT_A_TIME) {
        let (mut writes, mut entries) = (Vec::new(), Vec::new());
        for (serial, issuer_id) in some {
            let key = revoked::key(serial);
            let Some(bytes) = mount.storage().get(&key).await? else {
                continue;
            };
            let mut entry = decoded(&key, &bytes)?;
            entry.issuer_id.clone_from(issuer_id);
            writes.push(Write::put(key, entry::encode(&entry)));
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
    let mut revoked = Revocations::new();
    for name in mount.storage().list(revoked::PREFIX).await? {
        // A name that is no serial number is nothing that a CRL could list.
        let Ok(serial) = SerialNumber::parse(&name) else {
            continue;
        };
        let key = format!("{}{name}", revoked::PREFIX);
        let Some(bytes) = mount.storage().get(&key).await? else {
            continue;
        };
        let entry = decoded(&key, &bytes)?;
        // An issuer that was deleted and imported again has a new id: its certificates are found by their signature.
        let known = issuers.by_id(&entry.issuer_id).is_some();
        revoked.insert(serial.as_bytes().to_vec(), Revoked::new(entry, known));
    }
    Ok(revoked)
}

fn decoded(key: &str, bytes: &[u8]) -> Result<RevokedEntry, Error> {
    RevokedEntry::decode(key, bytes).map_err(|cause| {
        internal(
            "a stored revocation could not be read",
            format_args!("{key}: {cause}"),
        )
    })
}

/// Entries that are brought up to date in one write.
const AT_A_TIME: usize = 128;
