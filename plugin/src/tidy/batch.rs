//! What a run writes for some entries at a time.

use landfast_pki::SerialNumber;
use landfast_sdk::logical::{Error, Write};

use crate::entry;
use crate::entry::revoked::{self, RevokedEntry};
use crate::entry::tidy::{TidyEntry, TidyRun};
use crate::entry::time::StoredTime;
use crate::metrics::Deleted;
use crate::mount::Shared;
use crate::{certificates, revocations};

/// What is to be written, together with how far the run then is.
#[derive(Default)]
pub(super) struct Batch {
    writes: Vec<Write>,
    /// Revocations that go.
    gone: Vec<SerialNumber>,
    /// Revocations that name another issuer now.
    changed: Vec<(SerialNumber, RevokedEntry)>,
}

impl Batch {
    /// Takes a certificate out of storage, and counts it.
    pub(super) fn certificate_goes(&mut self, name: &str, run: &mut TidyRun) {
        self.delete(certificates::PREFIX, name);
        run.counts.certificates += 1;
    }

    /// Takes a certificate out of storage whose revocation is counted.
    pub(super) fn its_certificate_goes(&mut self, name: &str) {
        self.delete(certificates::PREFIX, name);
    }

    /// Takes a revocation out of storage, and off the CRLs that are built next; counts it.
    pub(super) fn revocation_goes(&mut self, name: &str, run: &mut TidyRun) {
        self.delete(revoked::PREFIX, name);
        self.gone.extend(SerialNumber::parse(name));
        run.counts.revocations += 1;
        run.rebuild = true;
    }

    /// Stores a revocation that names another issuer.
    pub(super) fn revocation_changes(&mut self, serial: SerialNumber, record: RevokedEntry) {
        self.writes.push(revocations::write(&serial, &record));
        self.changed.push((serial, record));
    }

    /// How much is to be written.
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    fn delete(&mut self, prefix: &str, name: &str) {
        self.writes.push(Write::delete(format!("{prefix}{name}")));
    }

    /// Writes.
    ///
    /// # Errors
    /// When storage fails; the writes may then have taken effect or not.
    pub(super) async fn carry_out(mut self, mount: &Shared, run: &TidyRun) -> Result<(), Error> {
        if self.writes.is_empty() {
            return Ok(());
        }
        let record = TidyEntry {
            last: StoredTime(mount.now()),
            run: Some(run.clone()),
            ..TidyEntry::default()
        };
        self.writes
            .push(Write::put(TidyEntry::KEY, entry::encode(&record)));
        let deletes = |prefix: &str| {
            let writes = self.writes.iter();
            let under = writes
                .filter(|write| matches!(write, Write::Delete { key } if key.starts_with(prefix)));
            under.count() as u64
        };
        let (certificates, revocations) = (deletes(certificates::PREFIX), deletes(revoked::PREFIX));
        let saved = mount.save(self.writes).await;
        if saved.is_ok() {
            let deleted = &mount.metrics.deleted;
            deleted.add(Deleted::Certificate, certificates);
            deleted.add(Deleted::Revocation, revocations);
        }
        mount.crl.tidied(&self.gone);
        for (serial, entry) in &self.changed {
            mount.crl.note(serial, entry);
        }
        saved
    }
}
