//! What a host keeps and gives back, and what time and crashes do to it.

use std::time::{Duration, UNIX_EPOCH};

use super::Harness;
use crate::logical::{Backend, LeaseContext, Login, SystemView, WalEntry};
use crate::testing::HttpReply;

impl<B: Backend> Harness<B> {
    /// The lease of a reply as a host gives it back: to [`Harness::renew`] and [`Harness::revoke`]. It was issued now.
    ///
    /// # Panics
    /// When the reply has none.
    #[must_use]
    pub fn lease_of(&self, reply: &HttpReply) -> LeaseContext {
        let lease = reply.lease.as_ref().expect("a lease");
        LeaseContext {
            id: "test/00000000".to_owned(),
            ttl: lease.ttl,
            max_ttl: lease.max_ttl,
            renewable: lease.renewable,
            increment: Duration::ZERO,
            issued_at: Some(self.seconds()),
            internal: serde_json::from_str(&lease.internal_data).expect("a JSON object"),
        }
    }

    /// The login of a reply as a host gives it back: to [`Harness::renew_login`]. It was made now, with the policies that the method said.
    ///
    /// # Panics
    /// When the reply has none.
    #[must_use]
    pub fn login_of(&self, reply: &HttpReply) -> Login {
        let auth = reply.auth.clone().expect("a login");
        Login {
            token_policies: auth.policies.clone(),
            issued_at: Some(self.seconds()),
            ..Login::from(auth)
        }
    }

    /// Makes it so much later, by the clock of the host: that of [`Cx::now`](crate::logical::Cx::now), of leases and of
    /// [`Wal::of`](crate::logical::Wal::of).
    pub fn later(&self, by: Duration) {
        self.system.later(by);
    }

    /// What is on record in the write-ahead log, in the order of its names.
    #[must_use]
    pub fn wal_entries(&self) -> Vec<WalEntry> {
        let all = self.storage.memory().snapshot();
        let entries = all.into_iter();
        entries
            .filter_map(|(key, value)| WalEntry::stored(key, &value))
            .collect()
    }

    /// The process dies and another takes its place: the backend is not told, what waits is dropped half way, and storage works again. See
    /// [`FaultyStorage::fail_at`] for where it dies.
    ///
    /// # Panics
    /// When the backend does not start again.
    pub async fn crash(self) -> Self {
        self.storage.heal();
        self.start_again().await
    }

    fn seconds(&self) -> i64 {
        let since = self.system.now().duration_since(UNIX_EPOCH);
        i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
    }
}
