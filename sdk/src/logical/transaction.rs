//! Reads and writes as one step.

use std::ops::Deref;
use std::sync::Arc;

use super::{Error, Storage, StorageError, Transaction};

/// How often a transaction is tried.
const ATTEMPTS: u32 = 5;

/// Storage as the work of a transaction sees it. It ends with the work.
pub struct Tx<'s>(On<'s>);

enum On<'s> {
    Transaction(Arc<Box<dyn Transaction>>),
    /// Of a host without transactions.
    Storage(&'s (dyn Storage + 'static)),
}

impl Deref for Tx<'_> {
    type Target = dyn Storage;

    fn deref(&self) -> &(dyn Storage + 'static) {
        match &self.0 {
            On::Transaction(transaction) => &***transaction,
            On::Storage(storage) => *storage,
        }
    }
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl dyn Storage {
    /// Reads and writes as one step, in a transaction where the host offers them: when something that was read has changed meanwhile, all of
    /// the work is done again, at most five times. Elsewhere the work is done on storage itself, so put first what may be left over by a crash,
    /// and take a lock ([`Locks`](super::Locks)) if requests may be at the same keys.
    ///
    /// ```
    /// # use landfast_sdk::{logical::{Error, Storage}, testing::MemoryStorage};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let memory = MemoryStorage::new();
    /// # let storage: &dyn Storage = &memory;
    /// let number = storage.transaction(|tx| async move {
    ///     let last: u64 = tx.read("number").await?.unwrap_or_default();
    ///     tx.write("number", &(last + 1)).await?;
    ///     Ok(last + 1)
    /// }).await?;
    /// # assert_eq!(number, 1);
    /// # Ok::<_, Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the work, after which nothing has changed where there are transactions; and of storage.
    pub async fn transaction<'s, T, F>(&'s self, work: impl Fn(Tx<'s>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut attempts = 0;
        loop {
            let Some(transaction) = self.begin().await? else {
                return work(Tx(On::Storage(self))).await;
            };
            let transaction = Arc::new(transaction);
            let done = work(Tx(On::Transaction(Arc::clone(&transaction)))).await;
            let Some(transaction) = Arc::into_inner(transaction) else {
                return Err(Error::internal(
                    "storage is not available",
                    "a transaction was kept beyond its work",
                ));
            };
            let done = match done {
                Ok(done) => done,
                Err(error) => {
                    transaction.rollback().await;
                    return Err(error);
                }
            };
            attempts += 1;
            match transaction.commit().await {
                Ok(()) => return Ok(done),
                Err(StorageError::Conflict) if attempts < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::testing::MemoryStorage;

    /// Counts on, and has somebody else count too before each of the first `others` commits.
    async fn count(memory: &MemoryStorage, others: u32) -> (Result<u32, Error>, u32) {
        let counted = AtomicU32::new(0);
        let tries = &counted;
        let storage: &dyn Storage = memory;
        // As a handler's future must be.
        fn send<F: Send>(future: F) -> F {
            future
        }
        let done = send(storage.transaction(|tx| async move {
            let before: u32 = tx.read("count").await?.unwrap_or_default();
            if tries.fetch_add(1, Ordering::Relaxed) < others {
                let outside: &dyn Storage = memory;
                outside.write("count", &(before + 10)).await?;
            }
            tx.write("count", &(before + 1)).await?;
            tx.write("other", &before).await?;
            Ok(before + 1)
        }));
        (done.await, tries.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_transaction_is_done_again_when_what_it_read_has_changed() {
        let memory = MemoryStorage::new();
        let (counted, tries) = count(&memory, 0).await;
        assert_eq!((counted.unwrap(), tries), (1, 1));
        let (counted, tries) = count(&memory, 4).await;
        assert_eq!((counted.unwrap(), tries), (42, 5));
        let (counted, tries) = count(&memory, 5).await;
        assert!(matches!(
            counted,
            Err(Error::Storage(StorageError::Conflict))
        ));
        assert_eq!(tries, 5);
    }

    #[tokio::test]
    async fn what_fails_changes_nothing() {
        let memory = MemoryStorage::new();
        let storage: &dyn Storage = &memory;
        let failed = storage.transaction(|tx| async move {
            tx.write("count", &1).await?;
            Err::<(), _>(Error::bad_request("no"))
        });
        assert!(failed.await.is_err());
        assert!(memory.snapshot().is_empty());
        // Without transactions the work is done all the same.
        let memory = MemoryStorage::new().without_transactions();
        let (counted, _) = count(&memory, 0).await;
        assert_eq!(counted.unwrap(), 1);
    }
}
