//! Ends of certificates that no entry has yet.

use std::sync::{MutexGuard, PoisonError};

use landfast_pki::Certificate;
use tokio::sync::Mutex;

use crate::entry::ends::{End, MOST};

/// What a mount remembers of ends between two writes: nothing while no certificate is stored.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    unwritten: std::sync::Mutex<Vec<End>>,
    /// Held while entries are written or put together anew. No entry up to this number takes more: a run of tidying has read it.
    pub(super) writing: Mutex<u32>,
}

impl Ends {
    /// Notes when a stored certificate ends; true once there is enough for an entry. What is too much while none can be written is forgotten: the next
    /// run of tidying reads these certificates.
    pub(super) fn note(&self, certificate: &Certificate) -> bool {
        let mut unwritten = self.lock();
        if unwritten.len() < 2 * MOST {
            unwritten.extend(End::of(certificate));
        }
        unwritten.len() >= MOST
    }

    /// Takes what is to be written.
    pub(super) fn take(&self) -> Vec<End> {
        std::mem::take(&mut *self.lock())
    }

    /// Takes back what could not be written.
    pub(super) fn give_back(&self, ends: Vec<End>) {
        let mut unwritten = self.lock();
        let room = (2 * MOST).saturating_sub(unwritten.len());
        unwritten.extend(ends.into_iter().take(room));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<End>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
