//! Storage in memory, and storage that fails when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::logical::{Storage, StorageError, Transaction};

/// Storage in memory with transactions, as a development server has it. Clones share their content.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    entries: Arc<Mutex<Entries>>,
    without_transactions: bool,
}

type Entries = BTreeMap<String, Vec<u8>>;

impl MemoryStorage {
    /// Empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers no transactions, as Vault.
    #[must_use]
    pub fn without_transactions(mut self) -> Self {
        self.without_transactions = true;
        self
    }

    /// A copy of all entries, by key.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    /// Replaces all entries.
    pub fn restore(&self, entries: BTreeMap<String, Vec<u8>>) {
        *self.lock() = entries;
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check(key)?;
        Ok(self.lock().get(key).cloned())
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        check(key)?;
        self.lock().insert(key.to_owned(), value);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        check(key)?;
        self.lock().remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        check(prefix)?;
        Ok(children(&self.lock(), prefix))
    }

    async fn begin(&self) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        if self.without_transactions {
            return Ok(None);
        }
        let view = self.lock().clone();
        Ok(Some(Box::new(MemoryTransaction {
            storage: self.clone(),
            log: Mutex::new(Log {
                view,
                ..Log::default()
            }),
        })))
    }
}

/// An optimistic transaction: what it read must still hold when it commits.
struct MemoryTransaction {
    storage: MemoryStorage,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    view: Entries,
    read: BTreeMap<String, Option<Vec<u8>>>,
    listed: BTreeMap<String, Vec<String>>,
    written: BTreeMap<String, Option<Vec<u8>>>,
}

impl MemoryTransaction {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for MemoryTransaction {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check(key)?;
        let mut log = self.lock();
        let value = log.view.get(key).cloned();
        if !log.written.contains_key(key) {
            log.read.insert(key.to_owned(), value.clone());
        }
        Ok(value)
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        check(key)?;
        let mut log = self.lock();
        log.view.insert(key.to_owned(), value.clone());
        log.written.insert(key.to_owned(), Some(value));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        check(key)?;
        let mut log = self.lock();
        log.view.remove(key);
        log.written.insert(key.to_owned(), None);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        check(prefix)?;
        let mut log = self.lock();
        let found = children(&log.view, prefix);
        if log.written.is_empty() {
            log.listed.insert(prefix.to_owned(), found.clone());
        }
        Ok(found)
    }
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let log = self
            .log
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut entries = self.storage.lock();
        let unchanged = log
            .read
            .iter()
            .all(|(key, value)| entries.get(key) == value.as_ref())
            && log
                .listed
                .iter()
                .all(|(prefix, found)| children(&entries, prefix) == *found);
        if !unchanged {
            return Err(StorageError::Conflict);
        }
        for (key, value) in log.written {
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(())
    }

    async fn rollback(self: Box<Self>) {}
}

/// Memory storage that counts calls, and fails or waits at a chosen write. Clones share everything.
///
/// A write is a put, a delete, or the commit of a transaction: the steps at which a crash can leave something behind.
#[derive(Debug, Clone, Default)]
pub struct FaultyStorage {
    memory: MemoryStorage,
    state: Arc<Mutex<State>>,
    gate: watch::Sender<Gate>,
}

/// Where a write waits.
#[derive(Debug, Default)]
struct Gate {
    /// Writes until the one that waits, itself included; 0 for none.
    writes: usize,
    /// Whether it has come.
    reached: bool,
}

/// When a write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Before it took effect.
    Before,
    /// After it took effect: the answer was lost.
    After,
}

/// How often storage was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Reads of a value.
    pub gets: usize,
    /// Lists.
    pub lists: usize,
    /// Puts outside of transactions.
    pub puts: usize,
    /// Deletes outside of transactions.
    pub deletes: usize,
    /// Puts and deletes in transactions.
    pub staged: usize,
    /// Commits.
    pub commits: usize,
}

impl Calls {
    /// Steps that change what is stored.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.puts + self.deletes + self.commits
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> usize {
        self.gets + self.lists + self.staged + self.writes()
    }
}

#[derive(Debug, Default)]
struct State {
    calls: Calls,
    plan: Option<(usize, Fault)>,
    /// Once a fault has struck, every write fails: the process is taken for dead until the plan is cleared.
    dead: bool,
    read_only: bool,
    panic_at_list: bool,
}

impl FaultyStorage {
    /// Storage without faults so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same over given memory.
    #[must_use]
    pub fn over(memory: MemoryStorage) -> Self {
        Self {
            memory,
            ..Self::default()
        }
    }

    /// The memory behind, free of faults.
    #[must_use]
    pub fn memory(&self) -> &MemoryStorage {
        &self.memory
    }

    /// Lets the write number `at`, counted from 1 and from now, fail; after it all writes fail until [`Self::heal`].
    pub fn fail_at(&self, at: usize, fault: Fault) {
        let mut state = self.lock();
        state.plan = Some((state.calls.writes() + at, fault));
        state.dead = false;
    }

    /// Has the write number `at`, counted from 1 and from now, wait for [`Self::release`].
    pub fn hold_at(&self, at: usize) {
        let gate = Gate {
            writes: at,
            reached: false,
        };
        self.gate.send_replace(gate);
    }

    /// Waits until a write waits.
    pub async fn held(&self) {
        let _ = self.gate.subscribe().wait_for(|gate| gate.reached).await;
    }

    /// Lets the write that waits go on, and forgets one that never came.
    pub fn release(&self) {
        self.gate.send_replace(Gate::default());
    }

    /// Comes before each write.
    async fn pass(&self) {
        let mut gate = self.gate.subscribe();
        self.gate.send_if_modified(|gate| {
            let counts = gate.writes > 0;
            gate.reached |= gate.writes == 1;
            gate.writes = gate.writes.saturating_sub(1);
            counts
        });
        let _ = gate.wait_for(|gate| !gate.reached).await;
    }

    /// Refuses writes with the text of a standby node.
    pub fn read_only(&self, on: bool) {
        self.lock().read_only = on;
    }

    /// Has whoever lists next panic, once.
    pub fn panic_at_list(&self) {
        self.lock().panic_at_list = true;
    }

    /// Lets everything succeed again.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.plan = None;
        state.dead = false;
        state.read_only = false;
    }

    /// True when the planned fault has struck.
    #[must_use]
    pub fn struck(&self) -> bool {
        self.lock().dead
    }

    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.lock().calls
    }

    /// Counts anew.
    pub fn reset_calls(&self) {
        let mut state = self.lock();
        let plan = state
            .plan
            .map(|(at, fault)| (at.saturating_sub(state.calls.writes()), fault));
        state.plan = plan;
        state.calls = Calls::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a write and tells how it fails.
    fn write(&self, count: impl FnOnce(&mut Calls)) -> Result<Option<Fault>, StorageError> {
        let mut state = self.lock();
        count(&mut state.calls);
        if state.read_only {
            return Err(StorageError::from_host(
                "cannot write to readonly storage".to_owned(),
            ));
        }
        if state.dead {
            return Err(broken());
        }
        let writes = state.calls.writes();
        let fault = state
            .plan
            .filter(|(at, _)| *at == writes)
            .map(|(_, fault)| fault);
        state.dead |= fault.is_some();
        match fault {
            Some(Fault::Before) => Err(broken()),
            other => Ok(other),
        }
    }
}

fn broken() -> StorageError {
    StorageError::Host("injected storage fault".to_owned())
}

fn after(fault: Option<Fault>) -> Result<(), StorageError> {
    fault.map_or(Ok(()), |_| Err(broken()))
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.lock().calls.gets += 1;
        self.memory.get(key).await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.pass().await;
        let fault = self.write(|calls| calls.puts += 1)?;
        self.memory.put(key, value).await?;
        after(fault)
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.pass().await;
        let fault = self.write(|calls| calls.deletes += 1)?;
        self.memory.delete(key).await?;
        after(fault)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let panics = {
            let mut state = self.lock();
            state.calls.lists += 1;
            std::mem::take(&mut state.panic_at_list)
        };
        assert!(!panics, "injected panic");
        self.memory.list(prefix).await
    }

    async fn begin(&self) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        let inner = self.memory.begin().await?;
        Ok(inner.map(|inner| {
            Box::new(FaultyTransaction {
                inner,
                storage: self.clone(),
            }) as Box<dyn Transaction>
        }))
    }
}

struct FaultyTransaction {
    inner: Box<dyn Transaction>,
    storage: FaultyStorage,
}

impl FaultyTransaction {
    fn stage(&self) -> Result<(), StorageError> {
        let mut state = self.storage.lock();
        state.calls.staged += 1;
        match (state.read_only, state.dead) {
            (true, _) => Err(StorageError::from_host(
                "cannot write to readonly storage".to_owned(),
            )),
            (_, true) => Err(broken()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Storage for FaultyTransaction {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.lock().calls.gets += 1;
        self.inner.get(key).await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.stage()?;
        self.inner.put(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.stage()?;
        self.inner.delete(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.storage.lock().calls.lists += 1;
        self.inner.list(prefix).await
    }
}

#[async_trait]
impl Transaction for FaultyTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let Self { inner, storage } = *self;
        storage.pass().await;
        let fault = storage.write(|calls| calls.commits += 1)?;
        inner.commit().await?;
        after(fault)
    }

    async fn rollback(self: Box<Self>) {
        self.inner.rollback().await;
    }
}

/// The host refuses such keys.
fn check(key: &str) -> Result<(), StorageError> {
    if key.contains("..") {
        return Err(StorageError::Host(
            "relative paths not supported".to_owned(),
        ));
    }
    Ok(())
}

/// Direct children of a prefix, folders with a trailing slash.
fn children(entries: &Entries, prefix: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for key in entries
        .range(prefix.to_owned()..)
        .map(|(key, _)| key)
        .take_while(|key| key.starts_with(prefix))
    {
        let rest = &key[prefix.len()..];
        let child = rest.split_inclusive('/').next().unwrap_or_default();
        if !child.is_empty() && found.last().is_none_or(|last| last != child) {
            found.push(child.to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
