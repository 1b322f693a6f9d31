//! What is known of CRLs in numbers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use landfast_pki::crl::Crl;

/// One CRL in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// When it was made.
    pub(crate) this_update: Timestamp,
    /// When it runs out, if it says so.
    pub(crate) next_update: Option<Timestamp>,
    /// Octets of its DER.
    pub(crate) size: usize,
    /// Certificates on it.
    pub(crate) entries: usize,
    /// How long it took to encode and sign, where this process did that.
    pub(crate) took: Option<Duration>,
}

impl Figures {
    /// Those of a CRL with so many entries.
    pub(super) fn of(crl: &Crl, entries: usize, took: Option<Duration>) -> Self {
        Self {
            this_update: crl.this_update(),
            next_update: crl.next_update(),
            size: crl.der().len(),
            entries,
            took,
        }
    }
}

/// The figures that are known, by the storage key of the CRL.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Kept>);

/// Taken before a CRL is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

#[derive(Debug, Default)]
struct Kept {
    /// Moves with each change, so that what was read meanwhile is not kept.
    generation: u64,
    figures: HashMap<String, Figures>,
}

impl Known {
    /// Keeps those of CRLs that were built and stored just now, and forgets what `is_kept` does not know.
    pub(super) fn built(
        &self,
        is_kept: impl Fn(&str) -> bool,
        new: impl IntoIterator<Item = (String, Figures)>,
    ) {
        let mut kept = self.lock();
        kept.generation += 1;
        kept.figures.retain(|key, _| is_kept(key));
        kept.figures.extend(new);
    }

    /// Forgets all, after another node changed a CRL, or a build failed half way.
    pub(super) fn forget(&self) {
        let mut kept = self.lock();
        kept.generation += 1;
        kept.figures.clear();
    }

    /// Those of the CRL at `key`, if they are known, and what to [`keep`](Self::keep) them with else.
    pub(super) fn find(&self, key: &str) -> Result<Figures, Ticket> {
        let kept = self.lock();
        let known = kept.figures.get(key).copied();
        known.ok_or(Ticket(kept.generation))
    }

    /// Keeps what was read since `ticket` was taken, unless something changed meanwhile.
    pub(super) fn keep(&self, ticket: Ticket, key: String, figures: Figures) {
        let mut kept = self.lock();
        if kept.generation == ticket.0 {
            kept.figures.insert(key, figures);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
