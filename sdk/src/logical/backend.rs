//! The trait that a plugin implements.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use super::{
    Auth, Cx, Error, LeaseContext, Login, Response, Storage, SystemView, Table, Wal, WalEntry,
};

/// What a plugin is mounted as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MountKind {
    /// A secrets engine.
    #[default]
    Secret,
    /// An auth method.
    Auth,
}

/// One mount of a secrets engine or an auth method.
///
/// The host makes one value for each mount, and runs its requests concurrently: state is shared behind `Arc<Self>` and
/// guards itself. Several mounts live in one process, so nothing of a mount may be global.
pub trait Backend: Sized + Send + Sync + 'static {
    /// What it is mounted as.
    const KIND: MountKind = MountKind::Secret;

    /// Makes the state of one mount. The host refuses storage writes here (reads work): first writes belong in
    /// [`Backend::initialize`]. It also runs in short-lived processes that only register the plugin, so it must have no
    /// side effects.
    fn new(setup: Setup) -> impl Future<Output = Result<Self, Error>> + Send;

    /// The paths of the engine. Called once per process.
    fn table() -> Table<Self>;

    /// Runs after the mount is set up, and again after an unseal; may write storage on an active node.
    fn initialize(self: Arc<Self>) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Periodic work, about once a minute on the active node (operation `rollback`, deadline 90 seconds).
    fn periodic(self: Arc<Self>) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Renews a lease. The response should carry a lease with the new time to live; without one it stays unrenewed.
    fn renew(
        self: Arc<Self>,
        cx: Cx,
        lease: LeaseContext,
    ) -> impl Future<Output = Result<Response, Error>> + Send {
        let _ = (cx, lease);
        async { Err(Error::UnsupportedOperation) }
    }

    /// Revokes a lease. An error makes the host try again, up to six times. It is also called at once for a lease whose client has gone before the
    /// answer: the host never knows of that one, so its id is empty.
    fn revoke(
        self: Arc<Self>,
        cx: Cx,
        lease: LeaseContext,
    ) -> impl Future<Output = Result<Response, Error>> + Send {
        let _ = (cx, lease);
        async { Err(Error::UnsupportedOperation) }
    }

    /// Renews the token of a login. The answer is what the method says of it now: mostly [`Login::auth`], after a look whether whoever logged in may
    /// still do so. An error leaves the token as it is, to end at its time; revocation needs no word of the method.
    fn renew_login(
        self: Arc<Self>,
        cx: Cx,
        login: Login,
    ) -> impl Future<Output = Result<Auth, Error>> + Send {
        let _ = (cx, login);
        async { Err(Error::UnsupportedOperation) }
    }

    /// The write-ahead log, if the engine has one. Its entries are undone after [`Backend::initialize`] and before [`Backend::periodic`].
    fn wal(&self) -> Option<&Wal> {
        None
    }

    /// Undoes what an entry of the write-ahead log says, whether it was done or not. An error leaves the entry for another time.
    fn undo(self: Arc<Self>, entry: WalEntry) -> impl Future<Output = Result<(), Error>> + Send {
        let _ = entry;
        async { Err(Error::UnsupportedOperation) }
    }

    /// Another node wrote this storage key: drop what is cached of it. Must be quick.
    fn invalidate(&self, key: &str) {
        let _ = key;
    }

    /// The mount goes away: stop its tasks. Called at least once, perhaps more often.
    fn cleanup(&self) {}
}

/// What a mount gets from its host.
#[derive(Clone)]
pub struct Setup {
    /// The storage of this mount; keys are relative to it.
    pub storage: Arc<dyn Storage>,
    /// Questions to the host.
    pub system: Arc<dyn SystemView>,
    /// Mount options, and `plugin_name`, `plugin_type`, `plugin_version`. Empty when the plugin is only registered.
    pub config: HashMap<String, String>,
    /// The mount's identifier; empty when the plugin is only registered.
    pub uuid: String,
}
