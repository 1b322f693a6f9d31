//! What a mount counts for Prometheus, since this process serves it.
//!
//! Counting is one relaxed addition to a number that has its place already: no lock, no allocation, whatever is counted. So each label has few and
//! fixed values, which [`Label`] lists; only the signatures of keys are found by an id, once for each key. `crate::scrape` makes the text of it.
//!
//! Another kind of event is a type with [`Label`], a field of [`Metrics`], and a line in `crate::scrape`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use landfast_pki::Rule;

/// The counters of one mount.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Certificates that were signed and, where they are to be, stored.
    pub(crate) issued: Counts<IssuedBy>,
    /// Requests for a certificate or a CSR that the rules turned down.
    pub(crate) refused: Counts<Rule>,
    /// Certificates and issuers that were put on record as revoked.
    pub(crate) revoked: Counts<RevokedBy>,
    /// Validations of ACME that ended, and attempts that failed.
    pub(crate) validated: Counts<Validated>,
    /// Runs of tidying that ended here.
    pub(crate) tidied: Counts<Tidied>,
    /// What runs of tidying deleted.
    pub(crate) deleted: Counts<Deleted>,
    /// Answers to OCSP clients.
    pub(crate) ocsp: Counts<Ocsp>,
    /// Keys that the pool handed out.
    pub(crate) pool_taken: Counts<PoolSize>,
    /// Keys that the pool should have had and had not.
    pub(crate) pool_missed: Counts<PoolSize>,
    /// Signatures, by key.
    pub(crate) signatures: Signatures,
}

/// What became of an attempt to validate a name for ACME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validated {
    Valid,
    /// It is tried again.
    Failed,
    /// It is not.
    Invalid,
}

impl Label for Validated {
    const ALL: &'static [Self] = &[Self::Valid, Self::Failed, Self::Invalid];

    fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// The values of a label. They are few, fixed, and name nothing that anybody sent.
pub(crate) trait Label: Copy + 'static {
    /// All of them, in the order of their numbers.
    const ALL: &'static [Self];

    /// The value as it is shown.
    fn name(self) -> &'static str;

    /// The place in [`Self::ALL`].
    fn number(self) -> usize;
}

/// A counter for each value of a label.
#[derive(Debug)]
pub(crate) struct Counts<L> {
    counts: Box<[AtomicU64]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Default for Counts<L> {
    fn default() -> Self {
        Self {
            counts: L::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label> Counts<L> {
    /// Counts one.
    pub(crate) fn count(&self, label: L) {
        self.add(label, 1);
    }

    /// Counts several.
    pub(crate) fn add(&self, label: L, several: u64) {
        self.counts[label.number()].fetch_add(several, Ordering::Relaxed);
    }

    /// Each value of the label with its count.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter();
        L::ALL
            .iter()
            .zip(counts)
            .map(|(label, count)| (label.name(), count.load(Ordering::Relaxed)))
    }
}

/// The signatures of one key. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Counts one.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many.
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The tallies of keys by their ids. A key finds its own when it is made ready to sign, and keeps it.
#[derive(Debug, Default)]
pub(crate) struct Signatures(Mutex<BTreeMap<String, Tally>>);

impl Signatures {
    /// The tally of the key with this id.
    pub(crate) fn of(&self, id: &str) -> Tally {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.entry(id.to_owned()).or_default().clone()
    }

    /// Counts what a key has signed before its id was known.
    pub(crate) fn adopt(&self, id: &str, tally: &Tally) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match tallies.get(id) {
            Some(known) if Arc::ptr_eq(&known.0, &tally.0) => {}
            Some(known) => {
                known.0.fetch_add(tally.total(), Ordering::Relaxed);
            }
            None => {
                tallies.insert(id.to_owned(), tally.clone());
            }
        }
    }

    /// Forgets keys that are gone, but for those that somebody still holds.
    pub(crate) fn keep_only(&self, exists: impl Fn(&str) -> bool) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.retain(|id, tally| exists(id) || Arc::strong_count(&tally.0) > 1);
    }
}

/// By which path a certificate was issued.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IssuedBy {
    Issue,
    Sign,
    SignVerbatim,
    Acme,
    Root,
    SignIntermediate,
    SignSelfIssued,
    CelIssue,
    CelSign,
}

impl Label for IssuedBy {
    const ALL: &'static [Self] = &[
        Self::Issue,
        Self::Sign,
        Self::SignVerbatim,
        Self::Acme,
        Self::Root,
        Self::SignIntermediate,
        Self::SignSelfIssued,
        Self::CelIssue,
        Self::CelSign,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Sign => "sign",
            Self::SignVerbatim => "sign-verbatim",
            Self::Acme => "acme",
            Self::Root => "root",
            Self::SignIntermediate => "sign-intermediate",
            Self::SignSelfIssued => "sign-self-issued",
            Self::CelIssue => "cel-issue",
            Self::CelSign => "cel-sign",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

impl Label for Rule {
    const ALL: &'static [Self] = &Self::ALL;

    fn name(self) -> &'static str {
        self.name()
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// How a revocation came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RevokedBy {
    Revoke,
    RevokeWithKey,
    /// The lease of a certificate ended, or was revoked.
    Lease,
    Issuer,
    Acme,
}

impl Label for RevokedBy {
    const ALL: &'static [Self] = &[
        Self::Revoke,
        Self::RevokeWithKey,
        Self::Lease,
        Self::Issuer,
        Self::Acme,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::RevokeWithKey => "revoke-with-key",
            Self::Lease => "lease",
            Self::Issuer => "issuer",
            Self::Acme => "acme",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// How a run of tidying ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tidied {
    Finished,
    Cancelled,
    Failed,
    /// The mount was closed here; the run goes on elsewhere or later.
    Interrupted,
}

impl Label for Tidied {
    const ALL: &'static [Self] = &[
        Self::Finished,
        Self::Cancelled,
        Self::Failed,
        Self::Interrupted,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// What tidying deletes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deleted {
    Certificate,
    Revocation,
}

impl Label for Deleted {
    const ALL: &'static [Self] = &[Self::Certificate, Self::Revocation];

    fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Revocation => "revocation",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// What an OCSP client was told (RFC 6960 sections 2.2 and 2.3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ocsp {
    Good,
    Revoked,
    Unknown,
    /// An answer that AWS KMS signed before, whatever it says.
    Kept,
    Malformed,
    Unauthorized,
    TryLater,
    InternalError,
}

impl Label for Ocsp {
    const ALL: &'static [Self] = &[
        Self::Good,
        Self::Revoked,
        Self::Unknown,
        Self::Kept,
        Self::Malformed,
        Self::Unauthorized,
        Self::TryLater,
        Self::InternalError,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
            Self::Kept => "kept",
            Self::Malformed => "malformed",
            Self::Unauthorized => "unauthorized",
            Self::TryLater => "try-later",
            Self::InternalError => "internal-error",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

/// Sizes of RSA keys that can be made ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PoolSize {
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl PoolSize {
    /// By its bits.
    pub(crate) fn of(bits: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|size| size.bits() == bits)
    }

    /// In bits.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }
}

impl Label for PoolSize {
    const ALL: &'static [Self] = &[Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    fn name(self) -> &'static str {
        match self {
            Self::Rsa2048 => "2048",
            Self::Rsa3072 => "3072",
            Self::Rsa4096 => "4096",
        }
    }

    fn number(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order<L: Label>() {
        let mut names = Vec::new();
        for (number, label) in L::ALL.iter().enumerate() {
            assert_eq!(label.number(), number, "{}", label.name());
            names.push(label.name());
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), L::ALL.len());
    }

    #[test]
    fn every_value_has_its_own_number_and_name() {
        in_order::<IssuedBy>();
        in_order::<Rule>();
        in_order::<RevokedBy>();
        in_order::<Validated>();
        in_order::<Tidied>();
        in_order::<Deleted>();
        in_order::<Ocsp>();
        in_order::<PoolSize>();
    }

    #[test]
    fn a_key_counts_on_under_its_id() {
        let signatures = Signatures::default();
        let new = Tally::default();
        new.count();
        signatures.adopt("a", &new);
        signatures.of("a").count();
        assert_eq!(new.total(), 2);

        let known = signatures.of("a");
        signatures.adopt("a", &known);
        assert_eq!(new.total(), 2, "it is counted there already");
        let same = Tally::default();
        same.count();
        signatures.adopt("a", &same);
        assert_eq!(new.total(), 3);

        signatures.of("b").count();
        signatures.keep_only(|_| false);
        assert_eq!(signatures.of("a").total(), 3, "it is in use");
        assert_eq!(signatures.of("b").total(), 0);
    }
}
