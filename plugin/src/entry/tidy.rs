//! `landfast/tidy`: when the mount was last tidied, and how far a run is. The built-in engine has no such entry and looks at none below `landfast/`.

use serde::{Deserialize, Serialize};

use super::jobs::AutoTidyConfig;
use super::other::Other;
use super::time::StoredTime;

/// What outlives the process of tidying.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TidyEntry {
    /// When a run last began or ended: the interval of periodic runs counts from here.
    #[serde(default)]
    pub last: StoredTime,
    /// The run that is under way, or that a crash interrupted.
    #[serde(default)]
    pub run: Option<TidyRun>,
    /// Whether CRLs list what a run that came to no good end deleted: whoever tidies next builds them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuild: bool,
}

/// A run and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TidyRun {
    /// What is to be done.
    pub plan: AutoTidyConfig,
    /// When it began.
    pub started: StoredTime,
    /// What it is at.
    pub stage: Stage,
    /// The last name that this stage is done with; empty at its beginning.
    #[serde(default)]
    pub after: String,
    /// Whether CRLs list what is gone.
    #[serde(default)]
    pub rebuild: bool,
    /// What was done up to here.
    #[serde(default)]
    pub counts: Counts,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// The parts of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Stored certificates.
    Certificates,
    /// Revocations.
    Revocations,
    /// The CRLs, of what was deleted.
    Crls,
    /// Expired issuers.
    Issuers,
    /// The bundle of old servers.
    Bundle,
    /// Accounts and orders of ACME.
    Acme,
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Certificates deleted.
    pub certificates: u64,
    /// Revocations deleted.
    pub revocations: u64,
    /// Revocations that named no issuer of the mount.
    pub without_issuer: u64,
    /// Accounts of ACME that were looked at.
    pub acme_accounts: u64,
    /// Accounts of ACME revoked.
    pub acme_revoked: u64,
    /// Accounts of ACME deleted.
    pub acme_deleted: u64,
    /// Orders of ACME deleted.
    pub acme_orders: u64,
}

impl TidyEntry {
    /// Storage key.
    pub const KEY: &str = "landfast/tidy";
}

impl TidyRun {
    /// A run that begins at `now`.
    pub fn new(plan: AutoTidyConfig, now: StoredTime) -> Self {
        Self {
            plan,
            started: now,
            stage: Stage::Certificates,
            after: String::new(),
            rebuild: false,
            counts: Counts::default(),
            other: Other::default(),
        }
    }
}
