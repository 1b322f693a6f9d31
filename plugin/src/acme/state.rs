//! What a mount holds of ACME: nonces, the validations under way, and locks.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex as Short, OnceLock, PoisonError};

use async_trait::async_trait;
use landfast_acme::nonces::Nonces;
use landfast_acme::problem::Problem;
use landfast_sdk::logical::Error;
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::acme::recent::Recent;
use crate::fault;

/// Whether the environment of the process turns ACME off for who has no external account. Of several names any will do, as of the built-in engine.
pub(crate) static PUBLIC_IS_DISABLED: LazyLock<bool> = LazyLock::new(|| {
    let set = |name| std::env::var(name).is_ok_and(|value| !is_false(&value));
    set(DISABLE_PUBLIC) || set("VAULT_DISABLE_PUBLIC_ACME")
});

/// The variable by that the environment turns ACME off for who has no external account.
pub(crate) const DISABLE_PUBLIC: &str = "BAO_DISABLE_PUBLIC_ACME";

/// What cannot be read means yes: who sets it wants it off.
fn is_false(value: &str) -> bool {
    ["0", "f", "F", "false", "False", "FALSE"].contains(&value)
}

/// The state of ACME of one mount.
pub(crate) struct Acme {
    /// What requests may be signed over.
    nonces: OnceLock<Nonces>,
    /// Held while accounts are made, change or go: one external account, and one key, is for one account.
    pub(crate) accounts: Mutex<()>,
    /// See [`Self::writing`].
    writing: [Mutex<()>; WRITTEN_AT_A_TIME],
    /// Places for validations that are tried at a time.
    pub(crate) trying: Semaphore,
    under_way: Short<HashSet<String>>,
    closed: AtomicBool,
    /// Wakes validations out of their pauses when the mount is closed.
    pub(crate) end: Notify,
    hints: Hints,
    /// Accounts and orders of recent requests.
    pub(crate) recent: Recent,
    /// What stands in for the network, in tests.
    pub(crate) validator: OnceLock<Arc<dyn Validate>>,
}

/// Who asks whether a client controls a name.
#[async_trait]
pub trait Validate: Send + Sync {
    /// Asks in the way `challenge` for `name`, which is to show `token` with `thumbprint`.
    ///
    /// # Errors
    /// What the client is told.
    async fn check(
        &self,
        challenge: &str,
        name: &str,
        token: &str,
        thumbprint: &str,
    ) -> Result<(), Problem>;
}

/// What tells that the host drops the header with nonces.
#[derive(Debug, Default)]
struct Hints {
    asked: AtomicU64,
    came_back: AtomicBool,
    said: AtomicBool,
}

/// Orders and authorizations that change at a time.
const WRITTEN_AT_A_TIME: usize = 32;

/// Validations that are tried at a time.
const TRIED_AT_A_TIME: usize = 16;

/// Nonces asked for before it is strange that none came back.
const STRANGE: u64 = 3;

impl Default for Acme {
    fn default() -> Self {
        Self {
            nonces: OnceLock::new(),
            accounts: Mutex::default(),
            writing: std::array::from_fn(|_| Mutex::default()),
            trying: Semaphore::new(TRIED_AT_A_TIME),
            under_way: Short::default(),
            closed: AtomicBool::new(false),
            end: Notify::new(),
            hints: Hints::default(),
            recent: Recent::default(),
            validator: OnceLock::new(),
        }
    }
}

impl Acme {
    /// The nonces; made at the first use.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn nonces(&self) -> Result<&Nonces, Error> {
        if let Some(nonces) = self.nonces.get() {
            return Ok(nonces);
        }
        let made = Nonces::new().map_err(|error| fault::failed(error.into()))?;
        Ok(self.nonces.get_or_init(|| made))
    }

    /// Held while the order or authorization with this id changes. Others wait for it now and then only.
    pub(crate) fn writing(&self, id: &str) -> &Mutex<()> {
        // Ids are random.
        let sum = id.bytes().fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        &self.writing[sum % WRITTEN_AT_A_TIME]
    }

    /// Takes a validation on, unless it is under way or the mount is closed.
    pub(crate) fn begin(&self, name: &str) -> bool {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !self.is_closed() && under_way.insert(name.to_owned())
    }

    /// Notes that a validation is no longer under way.
    pub(crate) fn end(&self, name: &str) {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Stops the validations, which are on record and go on elsewhere or later.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.end.notify_waiters();
        self.recent.clear();
    }

    /// Whether the mount is closed here.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Notes that a nonce was asked for by itself, which clients do once; says whether it is time to tell why it may get lost.
    pub(crate) fn nonce_asked(&self) -> bool {
        let asked = self.hints.asked.fetch_add(1, Ordering::Relaxed) + 1;
        asked >= STRANGE
            && !self.hints.came_back.load(Ordering::Relaxed)
            && !self.hints.said.swap(true, Ordering::Relaxed)
    }

    /// Notes that a nonce came back.
    pub(crate) fn nonce_came_back(&self) {
        self.hints.came_back.store(true, Ordering::Relaxed);
    }

    /// Whether nonces seem to get lost on their way to clients.
    pub(crate) fn loses_nonces(&self) -> bool {
        self.hints.asked.load(Ordering::Relaxed) >= STRANGE
            && !self.hints.came_back.load(Ordering::Relaxed)
    }
}

/// What is said where nonces seem to get lost.
pub(crate) const TUNE: &str = "nonces of ACME do not come back: the server seems to drop the headers of answers. Let it pass them: \
     bao secrets tune -allowed-response-headers=Replay-Nonce -allowed-response-headers=Link -allowed-response-headers=Location \
     -allowed-response-headers=Retry-After MOUNT";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validation_is_under_way_once() {
        let acme = Acme::default();
        assert!(acme.begin("a"));
        assert!(!acme.begin("a"));
        assert!(acme.begin("b"));
        acme.end("a");
        assert!(acme.begin("a"));
        acme.close();
        acme.end("a");
        assert!(!acme.begin("a"));
    }

    #[test]
    fn lost_nonces_are_told_once() {
        let acme = Acme::default();
        let told: Vec<bool> = (0..5).map(|_| acme.nonce_asked()).collect();
        assert_eq!(told, [false, false, true, false, false]);
        assert!(acme.loses_nonces());
        let fine = Acme::default();
        fine.nonce_came_back();
        assert!((0..5).all(|_| !fine.nonce_asked()));
        assert!(!fine.loses_nonces());
    }
}
