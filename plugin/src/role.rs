//! A role as the mount keeps it: the stored entry, and the profile that the rules of `landfast-pki` work from.

use std::sync::Arc;
use std::time::Duration;

use landfast_pki::validity::MountTtl;
use landfast_pki::{Profile, Refusal, Settings};
use landfast_sdk::logical::Error;

use crate::entry::role::RoleEntry;
use crate::store::Entry;
use crate::{Mount, fault};

/// A role, read and compiled once.
pub(crate) struct Role {
    /// As stored.
    pub(crate) entry: RoleEntry,
    /// What certificates are made by; a role that another product stored may have parts that cannot be used here, and then reads
    /// but does not issue.
    profile: Result<Profile, Refusal>,
}

impl Role {
    /// Compiles an entry.
    pub(crate) fn new(entry: RoleEntry) -> Self {
        Self {
            profile: Profile::new(entry.settings.clone()),
            entry,
        }
    }

    /// What certificates are made by.
    ///
    /// # Errors
    /// When the role has parts that cannot be used here.
    pub(crate) fn profile(&self) -> Result<&Profile, Error> {
        self.profile
            .as_ref()
            .map_err(|refusal| fault::refusal(refusal.clone()))
    }

    /// The mount's lifetimes, as far as they matter to a request that asks for one.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(crate) async fn lifetimes(
        &self,
        mount: &Mount,
        asked: Duration,
    ) -> Result<MountTtl, Error> {
        let Settings { ttl, max_ttl, .. } = self.entry.settings;
        mount.lifetimes_beside(asked, ttl, max_ttl).await
    }
}

impl Entry for Role {
    fn decode(_key: &str, bytes: &[u8]) -> Result<Self, String> {
        RoleEntry::decode(bytes)
            .map(Self::new)
            .map_err(|cause| cause.to_string())
    }
}

/// The role `name`.
///
/// # Errors
/// When there is none.
pub(crate) async fn load(mount: &Mount, name: &str) -> Result<Arc<Role>, Error> {
    match mount.load::<Role>(&RoleEntry::key(name)).await? {
        Some(role) => Ok(role),
        None => Err(mount
            .absent(Error::BadRequest(format!("unknown role: {name}")))
            .await),
    }
}
