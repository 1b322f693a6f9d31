//! What a mount remembers of CRLs and revocations between requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use landfast_pki::SerialNumber;
use tokio::sync::Mutex;

use super::figures::Known;
use super::revocations::Revocations;
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
    /// How often the host said that another node changed a CRL.
    pub(super) changes: AtomicU64,
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

    /// Whether this one is on record, if all that are were read and nobody said since that others came.
    pub(crate) fn knows(&self, serial: &SerialNumber) -> Option<bool> {
        let kept = self.index.lock();
        let revoked = kept.revoked.as_ref();
        revoked.map(|revoked| revoked.contains(serial))
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
            self.changes.fetch_add(1, Ordering::AcqRel);
            self.figures.forget();
        }
    }
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
            Arc::make_mut(revoked).insert(serial, entry, known);
        }
    }

    /// Takes out revocations that were deleted. Should one still be stored after all, its certificate is past its end, and no CRL need list it.
    pub(super) fn remove(&self, gone: &[SerialNumber]) {
        self.covered.store(false, Ordering::Release);
        let mut kept = self.lock();
        kept.generation += 1;
        if let Some(revoked) = &mut kept.revoked {
            Arc::make_mut(revoked).remove(gone);
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
