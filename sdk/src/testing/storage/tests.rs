//! Storage for tests must fail as the real one does.

use super::*;
use crate::logical::Write;

async fn begin(storage: &dyn Storage) -> Box<dyn Transaction> {
    storage
        .begin()
        .await
        .unwrap()
        .expect("memory has transactions")
}

#[tokio::test]
async fn lists_show_direct_children_in_order() {
    let storage = MemoryStorage::new();
    for key in ["a", "b/1", "b/2/x", "b-", "c"] {
        storage.put(key, Vec::new()).await.unwrap();
    }
    assert_eq!(storage.list("").await.unwrap(), ["a", "b-", "b/", "c"]);
    assert_eq!(storage.list("b/").await.unwrap(), ["1", "2/"]);
    assert_eq!(storage.list("none/").await.unwrap(), Vec::<String>::new());
    assert_eq!(
        storage.list_page("", "a", Some(2)).await.unwrap(),
        ["b-", "b/"]
    );
    assert!(storage.get("a/../b").await.is_err());
}

#[tokio::test]
async fn a_transaction_is_alone_until_it_commits() {
    let storage = MemoryStorage::new();
    storage.put("old", vec![1]).await.unwrap();
    let transaction = begin(&storage).await;
    transaction.put("new", vec![2]).await.unwrap();
    transaction.delete("old").await.unwrap();
    assert_eq!(transaction.list("").await.unwrap(), ["new"]);
    assert_eq!(storage.list("").await.unwrap(), ["old"]);
    transaction.commit().await.unwrap();
    assert_eq!(storage.list("").await.unwrap(), ["new"]);
    let dropped = begin(&storage).await;
    dropped.delete("new").await.unwrap();
    dropped.rollback().await;
    assert_eq!(storage.get("new").await.unwrap(), Some(vec![2]));
}

#[tokio::test]
async fn a_transaction_fails_when_what_it_read_has_changed() {
    let storage = MemoryStorage::new();
    let (by_value, by_list) = (begin(&storage).await, begin(&storage).await);
    by_value.get("key").await.unwrap();
    by_list.list("").await.unwrap();
    storage.put("key", vec![1]).await.unwrap();
    assert_eq!(by_value.commit().await, Err(StorageError::Conflict));
    assert_eq!(by_list.commit().await, Err(StorageError::Conflict));
}

#[tokio::test]
async fn writes_that_belong_together_survive_together() {
    let writes = || {
        vec![
            Write::put("a", [1]),
            Write::put("b", [2]),
            Write::delete("old"),
        ]
    };
    // With transactions there is one step, and it is done or not done.
    for (fault, kept) in [(Fault::Before, vec!["old"]), (Fault::After, vec!["a", "b"])] {
        let storage = FaultyStorage::new();
        storage.put("old", vec![0]).await.unwrap();
        storage.fail_at(1, fault);
        assert!(storage.apply(writes()).await.is_err());
        assert_eq!(storage.list("").await.unwrap(), kept);
    }
    // Without, they happen in order.
    for (at, kept) in [
        (1, vec!["old"]),
        (2, vec!["a", "old"]),
        (3, vec!["a", "b", "old"]),
    ] {
        let storage = FaultyStorage::over(MemoryStorage::new().without_transactions());
        storage.put("old", vec![0]).await.unwrap();
        storage.fail_at(at, Fault::Before);
        assert!(storage.apply(writes()).await.is_err());
        assert_eq!(storage.list("").await.unwrap(), kept);
        assert!(storage.struck());
        storage.heal();
        storage.apply(writes()).await.unwrap();
        assert_eq!(storage.list("").await.unwrap(), ["a", "b"]);
    }
}

#[tokio::test]
async fn a_single_write_takes_no_transaction() {
    let storage = FaultyStorage::new();
    storage.apply(vec![Write::put("a", [1])]).await.unwrap();
    let one = Calls {
        puts: 1,
        ..Calls::default()
    };
    assert_eq!(storage.calls(), one);
    storage
        .apply(vec![Write::put("a", [1]), Write::delete("b")])
        .await
        .unwrap();
    assert_eq!(
        storage.calls(),
        Calls {
            staged: 2,
            commits: 1,
            ..one
        }
    );
    assert_eq!((storage.calls().writes(), storage.calls().total()), (2, 4));
    storage.reset_calls();
    assert_eq!(storage.calls(), Calls::default());
}

#[tokio::test]
async fn a_standby_refuses_with_the_hosts_text() {
    let storage = FaultyStorage::new();
    storage.read_only(true);
    let refused = Err(StorageError::ReadOnly(
        "cannot write to readonly storage".to_owned(),
    ));
    assert_eq!(storage.put("a", Vec::new()).await, refused);
    assert_eq!(
        storage
            .apply(vec![Write::delete("a"), Write::delete("b")])
            .await,
        refused
    );
    assert_eq!(storage.get("a").await, Ok(None));
}

/// Fails the first commits as if another had been quicker.
struct Contended {
    inner: MemoryStorage,
    left: Arc<Mutex<usize>>,
}

struct Contender(Box<dyn Transaction>, Arc<Mutex<usize>>);

#[async_trait]
impl Storage for Contended {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.inner.get(key).await
    }
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.inner.put(key, value).await
    }
    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.inner.delete(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.inner.list(prefix).await
    }
    async fn begin(&self) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        let inner = begin(&self.inner).await;
        Ok(Some(Box::new(Contender(inner, Arc::clone(&self.left)))))
    }
}

#[async_trait]
impl Storage for Contender {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.get(key).await
    }
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.0.put(key, value).await
    }
    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.0.delete(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.0.list(prefix).await
    }
}

#[async_trait]
impl Transaction for Contender {
    async fn commit(self: Box<Self>) -> Result<(), StorageError> {
        {
            let mut left = self.1.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return Err(StorageError::Conflict);
            }
        }
        self.0.commit().await
    }
    async fn rollback(self: Box<Self>) {
        self.0.rollback().await;
    }
}

#[tokio::test]
async fn writes_are_tried_again_when_another_was_quicker() {
    for (conflicts, outcome) in [(4, Ok(())), (5, Err(StorageError::Conflict))] {
        let inner = MemoryStorage::new();
        let storage = Contended {
            inner: inner.clone(),
            left: Arc::new(Mutex::new(conflicts)),
        };
        let writes = vec![Write::put("a", [1]), Write::put("b", [2])];
        assert_eq!(storage.apply(writes).await, outcome);
        assert_eq!(inner.snapshot().len(), if outcome.is_ok() { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_write_that_is_held_waits_and_takes_effect_later() {
    let storage = FaultyStorage::new();
    storage.hold_at(2);
    storage.put("a", Vec::new()).await.unwrap();
    tokio::select! {
        done = storage.delete("a") => panic!("{done:?}"),
        () = storage.held() => {}
    }
    assert!(storage.memory().snapshot().contains_key("a"));
    let (deleted, ()) = tokio::join!(storage.delete("a"), async {
        storage.held().await;
        storage.release();
    });
    deleted.unwrap();
    assert!(storage.memory().snapshot().is_empty());
}
