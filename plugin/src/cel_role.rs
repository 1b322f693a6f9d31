//! A CEL role as the mount keeps it: the stored entry, and its program once it was parsed.

use std::sync::{Arc, OnceLock};

use landfast_cel::{Compiled, Fault};
use landfast_sdk::logical::Error;

use crate::Mount;
use crate::entry::cel::CelRoleEntry;
use crate::store::Entry;

/// A CEL role.
pub(crate) struct CelRole {
    /// As stored.
    pub(crate) entry: CelRoleEntry,
    compiled: OnceLock<Result<Compiled, Fault>>,
}

impl CelRole {
    /// The program, parsed at the first use. It takes long.
    ///
    /// # Errors
    /// It is larger than what is taken here: another product stored it.
    pub(crate) fn compiled(&self) -> Result<&Compiled, Fault> {
        let made = || self.entry.validation_program.program().compile();
        self.compiled
            .get_or_init(made)
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl Entry for CelRole {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, String> {
        Ok(Self {
            entry: CelRoleEntry::decode(key, bytes)?,
            compiled: OnceLock::new(),
        })
    }
}

/// The CEL role `name`.
///
/// # Errors
/// When there is none.
pub(crate) async fn load(mount: &Mount, name: &str) -> Result<Arc<CelRole>, Error> {
    match mount.load::<CelRole>(&CelRoleEntry::key(name)).await? {
        Some(role) => Ok(role),
        None => Err(mount.absent(Error::failed("CEL role not found")).await),
    }
}
