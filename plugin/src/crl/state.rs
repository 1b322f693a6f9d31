//! What a mount remembers of CRLs and revocations between requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use landfast_pki::{Reason, SerialNumber};
use tokio::sync::Mutex;

use super::figures::Known;
use crate::entry::issuer;
use crate::entry::revoked::{self, RevokedEntry};

/// What a mount remembers about its CRLs between requests.
#[derive(Debug, Default)]
pub(crate) struct CrlState {
    pub(super) wanted: AtomicU64,
    /// Held while CRLs are built.
    pub(super) served: Mutex<Served>,
    pub(super) index: Index,
    /// What is told of CRLs in numbers.
    pub(super) figures: Known,
}

/// The highest ticket that a finished build has served, and what the build failed with.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) ticket: u64,
    /// AWS KMS could not be used. Whoever waited for that build need not find out again, one after the other.
    pub(super) failure: Option<(u16, String)>,
}

impl CrlState {
    /// Notes a revocation, so that the next build need not read all of them again.
    pub(crate) fn note(&self, serial: &SerialNumber, entry: &RevokedEntry) {
        self.index.note(serial, entry);
    }

    /// Notes that revocations were deleted, or may have been.
    pub(crate) fn tidied(&self, gone: &[SerialNumber]) {
        if !gone.is_empty() {
            self.index.remove(gone);
        }
    }

    /// Forgets what was read, after a change that did not go through [`Self::note`].
    pub(crate) fn forget(&self) {
        self.index.forget();
    }

    /// Drops what depends on the storage entry `key`.
    pub(crate) fn invalidate(&self, key: &str) {
        self.index.invalidate(key);
        if key.starts_with("crls/") {
            self.figures.forget();
        }
    }
}

/// Revocations by serial number.
pub(super) type Revocations = BTreeMap<Vec<u8>, Revoked>;

/// A revocation as far as CRLs need it.
#[derive(Clone, Debug)]
pub(super) struct Revoked {
    /// Since when.
    pub(super) time: Timestamp,
    /// Why, if that is on record.
    pub(super) reason: Option<Reason>,
    /// Whose CRL lists it, if that is on record.
    pub(super) issuer_id: String,
    /// DER, kept only while the issuer is not known.
    pub(super) certificate: Option<Vec<u8>>,
}

/// What was read of the revocations, and whether the CRLs are known to list all of it.
#[derive(Debug, Default)]
pub(super) struct Index {
    kept: std::sync::Mutex<Kept>,
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

    /// Takes out revocations that were deleted. Should one still be stored after all, its certificate is past its end, and no CRL need list it.
    pub(super) fn remove(&self, gone: &[SerialNumber]) {
        self.covered.store(false, Ordering::Release);
        let mut kept = self.lock();
        kept.generation += 1;
        if let Some(revoked) = &mut kept.revoked {
            let revoked = Arc::make_mut(revoked);
            for serial in gone {
                revoked.remove(serial.as_bytes());
            }
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

    /// The CRLs list everything that was revoked at `generation`.
    pub(super) fn covered(&self, generation: u64) {
        let kept = self.lock();
        if kept.generation == generation {
            self.covered.store(true, Ordering::Release);
        }
    }

    /// What is kept, and the generation that it belongs to.
    pub(super) fn kept(&self) -> (Option<Arc<Revocations>>, u64) {
        let kept = self.lock();
        (kept.revoked.clone(), kept.generation)
    }

    /// Keeps what was read at `generation`, unless something changed since.
    pub(super) fn keep(&self, generation: u64, revoked: &Arc<Revocations>) {
        let mut kept = self.lock();
        if kept.generation == generation {
            kept.revoked = Some(Arc::clone(revoked));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revoked {
    /// What is kept of `entry`: its certificate only unless its issuer is `known`.
    pub(super) fn new(entry: RevokedEntry, known: bool) -> Self {
        Self {
            time: entry.time(),
            reason: entry.reason(),
            certificate: (!known).then_some(entry.certificate_bytes),
            issuer_id: entry.issuer_id,
        }
    }
}
