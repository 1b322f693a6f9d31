//! A write-ahead log: what is done outside of storage is on record before it is done, so that a crash loses nothing.
//!
//! An engine that makes a user in a database does two things that no transaction holds together: the user, and the lease that ends it. A
//! [`Wal`] makes a crash between them harmless:
//!
//! ```text
//! wal.guard(..)     1 an entry says what is about to be done
//!                   2 it is done; on an error it is undone at once
//! begun.lease(..)   3 the entry becomes one that lives as long as the lease may
//!                   4 the answer goes out, and the server stores the lease
//! wal.settle(..)    5 the lease is revoked: it is undone, and the entry goes
//! ```
//!
//! Whoever dies before 3 has not answered, and the entry is undone by [`Backend::undo`] in the next process or in its periodic work, once it has
//! the minimum age. Whoever dies between 3 and 4 leaves something without a lease: nobody can tell that from a lease that the server did store,
//! so it is undone a minimum age after the last moment that the lease could have had. A lease never outlives what it is of, since the server ends
//! it at [`Lease::max_ttl`](super::Lease::max_ttl), which 3 sets, and no renewal changes that. A `max_ttl` of hours rather than weeks keeps this
//! rest small.
//!
//! A client that goes away while its user is made gets no lease either: the server drops the answer. The framework sees that, and has
//! [`Backend::revoke`] end the lease at once. And when a mount is disabled, all that is still on record is undone, whatever its age.
//!
//! What is undone must not mind to be undone twice, nor what is revoked: a crash can also come between the undoing and the end of its entry.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landfast_base::{hex, random};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Backend, Error, Lease, LeaseContext, Result, Setup, Storage, StorageError, SystemView, Write,
    secret,
};

/// Entries of what has no lease yet.
const BEGUN: &str = "wal/begun/";
/// Entries of what has one.
const LEASED: &str = "wal/leased/";
/// Where a lease keeps its entry.
const OF_LEASE: &str = "wal";
/// How old an entry is before it is undone, unless it is said otherwise: longer than a request lives.
const MIN_AGE: Duration = Duration::from_secs(600);
/// Entries that are asked for at a time. Those that are due come first.
const PAGE: usize = 256;
/// Digits of a time in a name, so that names are in the order of their times.
const DIGITS: usize = 12;

/// The write-ahead log of a mount, below `wal/` in its storage. Give it to the framework by [`Backend::wal`].
pub struct Wal {
    storage: Arc<dyn Storage>,
    min_age: Duration,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Names of what this process is about.
    running: Mutex<HashSet<String>>,
    /// One look at the entries at a time.
    turn: tokio::sync::Mutex<()>,
}

/// What was begun, and may have been done.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// Its name in the log.
    pub id: String,
    /// What the engine calls it.
    pub kind: String,
    /// What the engine wrote of it.
    pub data: Value,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    kind: String,
    data: Value,
    /// How often it was tried to undo it.
    #[serde(default)]
    tried: u32,
}

/// Something that is done and has no lease yet. Dropped, it is left to be undone.
#[must_use = "it is undone later unless it gets a lease, or is said to be done"]
pub struct Begun<'w> {
    wal: &'w Wal,
    name: String,
    stored: Stored,
}

/// Its names, without what was written of it, which may be secret.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// The entry under a key of storage; `None` for what is none.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn stored(id: String, value: &[u8]) -> Option<Self> {
        if !id.starts_with(BEGUN) && !id.starts_with(LEASED) {
            return None;
        }
        let Stored { kind, data, .. } = serde_json::from_slice(value).ok()?;
        Some(Self { id, kind, data })
    }

    /// What the engine wrote of it, as a type of its own.
    ///
    /// # Errors
    /// It wrote something else.
    pub fn data_as<T: DeserializeOwned>(&self) -> Result<T> {
        secret::from_value(self.data.clone()).map_err(|error| {
            Error::internal(
                "an entry of the write-ahead log cannot be read",
                format_args!("{}: {error}", self.id),
            )
        })
    }
}

impl Wal {
    /// The log of a mount, with the clock of its host. Its entries are undone when they are ten minutes old.
    #[must_use]
    pub fn of(setup: &Setup) -> Self {
        let system = Arc::clone(&setup.system);
        Self::new(Arc::clone(&setup.storage)).clock(move || system.now())
    }

    /// The log of a mount with this storage. Its entries are undone when they are ten minutes old.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self {
            storage,
            min_age: MIN_AGE,
            now: Box::new(SystemTime::now),
            running: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Sets the age at which an entry is undone, and how long after the end of a lease. It should be longer than what is done outside may take:
    /// another process of the server may still be about it, and what a dead one has sent may still be on its way.
    #[must_use]
    pub fn min_age(self, min_age: Duration) -> Self {
        Self { min_age, ..self }
    }

    /// Sets the clock, for tests.
    #[must_use]
    pub fn clock(self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let now = Box::new(now);
        Self { now, ..self }
    }

    /// Does something outside so that it is undone unless it is seen through. When `effect` fails, [`Backend::undo`] undoes it before the error
    /// is given back; when that fails too, it is tried again later. An effect that stops waiting for an answer, in a timeout for example, should
    /// fail only when what it has sent can take no effect any more: what comes true after it was undone is on no record.
    ///
    /// # Errors
    /// That of `effect`, or of storage, in which case nothing was done.
    pub async fn guard<'w, B: Backend, T>(
        &'w self,
        backend: &Arc<B>,
        kind: &str,
        data: &impl Serialize,
        effect: impl Future<Output = Result<T>> + Send,
    ) -> Result<(T, Begun<'w>)> {
        let begun = self.begin(kind, data).await?;
        let error = match effect.await {
            Ok(done) => return Ok((done, begun)),
            Err(error) => error,
        };
        let entry = entry(&begun.name, &begun.stored);
        let undone = match Arc::clone(backend).undo(entry).await {
            Ok(()) => begun.done().await,
            Err(error) => Err(error),
        };
        if let Err(error) = undone {
            tracing::warn!(%kind, cause = %cause(&error), "what has failed is not undone yet: {error}");
        }
        Err(error)
    }

    /// Writes an entry of what is about to be done, for who undoes it without [`Wal::guard`].
    ///
    /// # Errors
    /// Storage fails, or the data cannot be encoded.
    pub async fn begin(&self, kind: &str, data: &impl Serialize) -> Result<Begun<'_>> {
        let data = secret::to_value(data)
            .map_err(|error| Error::internal("an entry cannot be stored", error))?;
        let name = format!("{BEGUN}{}", name(self.seconds())?);
        let stored = Stored {
            kind: kind.to_owned(),
            data,
            tried: 0,
        };
        // Before it is there, lest it be found and taken for another's.
        let begun = Begun::new(self, name, stored);
        self.storage.write(&begun.name, &begun.stored).await?;
        Ok(begun)
    }

    /// Ends the entry of a lease, when the lease is revoked and all is undone.
    ///
    /// # Errors
    /// Storage fails.
    pub async fn settle(&self, lease: &LeaseContext) -> Result<()> {
        match lease.internal.get(OF_LEASE).and_then(Value::as_str) {
            Some(name) if name.starts_with(LEASED) => Ok(self.storage.delete(name).await?),
            _ => Ok(()),
        }
    }

    /// Undoes what is due, each entry by itself: one that fails is told in the log, and tried again. `now` passes over the minimum age. On a mount
    /// that goes away everything is due: the server revokes all leases, and what has none would be forgotten with the storage.
    pub(crate) async fn recover<B: Backend>(
        &self,
        backend: &Arc<B>,
        now: bool,
        system: &dyn SystemView,
    ) -> Result<()> {
        let Ok(_turn) = self.turn.try_lock() else {
            return Ok(());
        };
        let at = self.seconds();
        // An entry of this second may be nearly as old as one of the last: the age is at least what was said.
        let age = if now { 0 } else { self.min_age.as_secs() + 1 };
        let mut left = 0;
        let mut goes = None;
        for (folder, due) in [(BEGUN, at.saturating_sub(age)), (LEASED, at)] {
            let mut after = String::new();
            'folder: loop {
                let page = self.storage.list_page(folder, &after, Some(PAGE)).await?;
                // Asked only where there is something to undo: it is a call to the host.
                if !page.is_empty() && goes.is_none() {
                    goes = Some(system.tainted().await.unwrap_or(false));
                }
                for key in &page {
                    // In the order of their times.
                    if goes != Some(true) && time_of(key).is_some_and(|time| time > due) {
                        break 'folder;
                    }
                    match self.recover_one(backend, format!("{folder}{key}")).await {
                        Ok(()) => {}
                        // A node that may not write undoes nothing either.
                        Err(Error::Storage(StorageError::ReadOnly(_))) => return Ok(()),
                        Err(_) => left += 1,
                    }
                }
                match page.last() {
                    Some(last) if page.len() == PAGE => after.clone_from(last),
                    _ => break,
                }
            }
        }
        if left == 0 {
            return Ok(());
        }
        Err(Error::failed(format!(
            "{left} entries of the write-ahead log could not be undone, and are tried again"
        )))
    }

    async fn recover_one<B: Backend>(&self, backend: &Arc<B>, name: String) -> Result<()> {
        if self.running().contains(&name) {
            return Ok(());
        }
        let Some(mut stored) = self.storage.read::<Stored>(&name).await? else {
            return Ok(());
        };
        // Also the proof that this node may write: on another the one that may is about it.
        stored.tried = stored.tried.saturating_add(1);
        self.storage.write(&name, &stored).await?;
        let undone = Arc::clone(backend).undo(entry(&name, &stored)).await;
        let (kind, tried) = (&stored.kind, stored.tried);
        if let Err(error) = undone {
            tracing::error!(id = %name, %kind, tried, cause = %cause(&error), "an entry of the write-ahead log could not be undone: {error}");
            return Err(error);
        }
        self.storage.delete(&name).await?;
        tracing::info!(id = %name, %kind, "what a crash had left was undone");
        Ok(())
    }

    /// Gives a renewed lease what the entry of the former one needs: its name, and an end that comes before it is undone.
    pub(crate) fn keep(&self, former: &LeaseContext, renewed: &mut Lease) {
        let Some(name) = former.internal.get(OF_LEASE) else {
            return;
        };
        renewed.internal.insert(OF_LEASE.to_owned(), name.clone());
        let end = name.as_str().and_then(|name| name.strip_prefix(LEASED));
        let issued = former.issued_at.and_then(|at| u64::try_from(at).ok());
        if let Some(end) = end.and_then(time_of)
            && let Some(issued) = issued
        {
            let last = end.saturating_sub(self.min_age.as_secs());
            // The wire's "the mount's own" is zero.
            let most = Duration::from_secs(last.saturating_sub(issued).max(1));
            renewed.max_ttl = match renewed.max_ttl {
                Duration::ZERO => most,
                own => own.min(most),
            };
        }
    }

    fn seconds(&self) -> u64 {
        let since = (self.now)().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'w> Begun<'w> {
    fn new(wal: &'w Wal, name: String, stored: Stored) -> Self {
        wal.running().insert(name.clone());
        Self { wal, name, stored }
    }

    /// Makes the lease of what is done: renewable, and at an end after `max_ttl` however often it is renewed. As [`Begun::leased`] otherwise.
    ///
    /// # Errors
    /// Those of [`Begun::leased`], and `internal` is not a JSON object.
    pub async fn lease(
        self,
        ttl: Duration,
        max_ttl: Duration,
        internal: &impl Serialize,
    ) -> Result<Lease> {
        let lease = Lease::renewable(ttl, internal)?;
        self.leased(lease.with_max_ttl(max_ttl)).await
    }

    /// Ties what is done to its lease. The entry lives as long as that may, so the lease must have an end; [`Wal::settle`] ends it when the lease is
    /// revoked. Answer with the lease then, and let nothing come in between that can fail.
    ///
    /// # Errors
    /// Its `max_ttl` is zero: that of the mount comes from [`LeaseTimes::grant`](super::LeaseTimes::grant). Storage fails: what is done is undone
    /// later then.
    pub async fn leased(self, mut lease: Lease) -> Result<Lease> {
        if lease.max_ttl.is_zero() {
            return Err(Error::internal(
                "could not make the lease",
                "a lease with an entry in the write-ahead log needs a max_ttl",
            ));
        }
        let end = (self.wal.now)() + lease.max_ttl + self.wal.min_age;
        let end = end.duration_since(UNIX_EPOCH).unwrap_or_default();
        let leased = format!("{LEASED}{}", name(end.as_secs())?);
        let bytes = secret::to_vec(&self.stored)
            .map_err(|error| Error::internal("an entry cannot be stored", error))?;
        let writes = vec![Write::put(&leased, bytes), Write::delete(&self.name)];
        self.wal.storage.apply(writes).await?;
        lease.internal.insert(OF_LEASE.to_owned(), leased.into());
        Ok(lease)
    }

    /// Ends the entry: what was done is on record elsewhere, or undone.
    ///
    /// # Errors
    /// Storage fails: it is undone later then.
    pub async fn done(self) -> Result<()> {
        Ok(self.wal.storage.delete(&self.name).await?)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.wal.running().remove(&self.name);
    }
}

/// A name that begins with a time.
fn name(seconds: u64) -> Result<String> {
    let random = random::<8>()
        .map_err(|error| Error::internal("an entry cannot be stored", error.to_string()))?;
    Ok(format!("{seconds:0DIGITS$}-{}", hex(&random)))
}

fn time_of(name: &str) -> Option<u64> {
    name.get(..DIGITS)?.parse().ok()
}

fn entry(name: &str, stored: &Stored) -> Entry {
    Entry {
        id: name.to_owned(),
        kind: stored.kind.clone(),
        data: stored.data.clone(),
    }
}

/// What only the log may tell of an error.
fn cause(error: &Error) -> &str {
    match error {
        Error::Internal { log, .. } => log,
        _ => "",
    }
}

#[cfg(test)]
mod tests;
