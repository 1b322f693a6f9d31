//! The storage of a mount, kept by the host.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::Uri;
use landfast_proto::pb::{self, storage_client::StorageClient};
use tonic::{Code, Status};

use super::{HostChannel, LARGEST_MESSAGE, unread::Unread};
use crate::logical::{Storage, StorageError, Transaction, Write, page};

/// Deletions of a transaction that are under way at a time: few enough that what others ask the host for meanwhile hardly waits.
const TOGETHER: usize = 16;

/// Octets of a value: several longer ones on their way at a time would do harm.
const SHORT: usize = 16 << 10;

/// Storage over the brokered connection, plain or within one transaction.
#[derive(Clone)]
pub(crate) struct HostStorage {
    client: StorageClient<HostChannel>,
    /// For answers that may be large.
    unread: Unread,
    offers: Arc<Offers>,
    /// Names the transaction; empty outside of one.
    txn: String,
}

/// What this host has shown to offer. Vault has neither, older OpenBao servers lack some.
#[derive(Default)]
struct Offers {
    transactions: OnceLock<bool>,
    no_pages: AtomicBool,
}

/// A transaction of the host that is rolled back when it is dropped: the host would keep it in memory otherwise.
struct HostTransaction {
    storage: HostStorage,
    ended: bool,
}

impl HostStorage {
    pub(crate) fn new(channel: HostChannel) -> Self {
        let unread = Unread::new(channel.clone());
        let client = StorageClient::with_origin(channel, Uri::from_static("http://localhost"))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Self {
            client,
            unread,
            offers: Arc::default(),
            txn: String::new(),
        }
    }

    /// The clone is cheap, and a call needs a client of its own.
    fn client(&self) -> StorageClient<HostChannel> {
        self.client.clone()
    }

    async fn put_bytes(&self, key: &str, value: Bytes) -> Result<(), StorageError> {
        check_key(key)?;
        let args = pb::StoragePutArgs {
            entry: Some(pb::StorageEntry {
                key: key.to_owned(),
                value,
                seal_wrap: false,
            }),
            txn: self.txn.clone(),
        };
        let reply = self.unread.ask("/pb.Storage/Put", args).await;
        let reply: pb::StoragePutReply = reply.map_err(refused)?;
        host(reply.err)
    }

    async fn offers_transactions(&self) -> Result<bool, StorageError> {
        if let Some(known) = self.offers.transactions.get() {
            return Ok(*known);
        }
        let offered = match self.client().is_transactional(pb::Empty {}).await {
            Ok(reply) => reply.into_inner().transactional,
            Err(status) if status.code() == Code::Unimplemented => false,
            Err(status) => return Err(transport(&status)),
        };
        Ok(*self.offers.transactions.get_or_init(|| offered))
    }
}

#[async_trait]
impl Storage for HostStorage {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check_key(key)?;
        let args = pb::StorageGetArgs {
            key: key.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.unread.ask("/pb.Storage/Get", args).await;
        let reply: pb::StorageGetReply = reply.map_err(refused)?;
        host(reply.err)?;
        Ok(reply.entry.map(|entry| entry.value.into()))
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.put_bytes(key, value.into()).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        check_key(key)?;
        let args = pb::StorageDeleteArgs {
            key: key.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.client().delete(args).await.map_err(refused)?;
        host(reply.into_inner().err)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let args = pb::StorageListArgs {
            prefix: prefix.to_owned(),
            txn: self.txn.clone(),
        };
        let reply = self.unread.ask("/pb.Storage/List", args).await;
        let reply: pb::StorageListReply = reply.map_err(refused)?;
        host(reply.err)?;
        Ok(reply.keys)
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, StorageError> {
        // The wire's "all" is zero.
        if limit == Some(0) {
            return Ok(Vec::new());
        }
        if !self.offers.no_pages.load(Ordering::Relaxed) {
            let args = pb::StorageListPageArgs {
                prefix: prefix.to_owned(),
                after: after.to_owned(),
                limit: limit.map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX)),
                txn: self.txn.clone(),
            };
            let reply = self.unread.ask("/pb.Storage/ListPage", args).await;
            match reply {
                Ok(pb::StorageListReply { keys, err }) => {
                    host(err)?;
                    return Ok(keys);
                }
                Err(status) if status.code() == Code::Unimplemented => {
                    self.offers.no_pages.store(true, Ordering::Relaxed);
                }
                Err(status) => return Err(transport(&status)),
            }
        }
        Ok(page(self.list(prefix).await?, after, limit))
    }

    async fn begin(&self) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        // Transactions do not nest.
        if !self.txn.is_empty() || !self.offers_transactions().await? {
            return Ok(None);
        }
        let reply = match self.client().begin_tx(pb::Empty {}).await {
            Ok(reply) => reply.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => return Err(transport(&status)),
        };
        host(reply.err)?;
        if reply.txn.is_empty() {
            // Without a name the calls would act on plain storage.
            return Err(StorageError::Host(
                "the host began a transaction without a name".into(),
            ));
        }
        Ok(Some(Box::new(HostTransaction {
            storage: Self {
                txn: reply.txn,
                ..self.clone()
            },
            ended: false,
        })))
    }
}

#[async_trait]
impl Storage for HostTransaction {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage.get(key).await
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError> {
        self.storage.put(key, value).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.storage.delete(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.storage.list(prefix).await
    }

    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, StorageError> {
        self.storage.list_page(prefix, after, limit).await
    }
}

#[async_trait]
impl Transaction for HostTransaction {
    /// Writes of different keys are asked for together: one after the other, each would wait for the host and wake it up again.
    async fn stage(&self, writes: &[Write]) -> Result<(), StorageError> {
        let mut writes = writes;
        while !writes.is_empty() {
            let mut keys = HashSet::new();
            let together = writes
                .iter()
                .take(TOGETHER)
                .take_while(|write| write.octets() <= SHORT && keys.insert(write.key()));
            let (now, later) = writes.split_at(together.count().max(1));
            let calls = now.iter().map(|write| -> Asked<'_> {
                match write {
                    Write::Put { key, value } => {
                        Box::pin(self.storage.put_bytes(key, value.clone()))
                    }
                    Write::Delete { key } => self.delete(key),
                }
            });
            all(calls.collect()).await?;
            writes = later;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let args = pb::StorageCommitTxArgs {
            txn: self.storage.txn.clone(),
        };
        let reply = self.storage.client().commit(args).await.map_err(refused)?;
        // A commit that was answered has ended the transaction, whatever the answer.
        self.ended = true;
        host(reply.into_inner().err)
    }

    async fn rollback(mut self: Box<Self>) {
        self.ended = true;
        roll_back(self.storage.clone()).await;
    }
}

impl Drop for HostTransaction {
    fn drop(&mut self) {
        if !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(roll_back(self.storage.clone()));
        }
    }
}

/// A call of the host that is under way.
type Asked<'a> = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send + 'a>>;

/// Waits for all calls; gives the first failure, if there is one.
async fn all(mut calls: Vec<Asked<'_>>) -> Result<(), StorageError> {
    let mut outcome = Ok(());
    std::future::poll_fn(|cx| {
        calls.retain_mut(|call| match Pin::new(call).poll(cx) {
            Poll::Pending => true,
            Poll::Ready(done) => {
                if outcome.is_ok() {
                    outcome = done;
                }
                false
            }
        });
        if calls.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outcome
}

async fn roll_back(storage: HostStorage) {
    let txn = storage.txn.clone();
    // Nothing can be done about a failure: the host drops the transaction with the mount at the latest.
    let _ = storage
        .client()
        .rollback(pb::StorageRollbackTxArgs { txn })
        .await;
}

/// The host would store under an empty key, where no list shows it.
fn check_key(key: &str) -> Result<(), StorageError> {
    if key.is_empty() {
        Err(StorageError::Host("storage key is empty".into()))
    } else {
        Ok(())
    }
}

/// Errors of storage come as texts.
fn host(err: String) -> Result<(), StorageError> {
    if err.is_empty() {
        Ok(())
    } else {
        Err(StorageError::from_host(err))
    }
}

fn refused(status: Status) -> StorageError {
    transport(&status)
}

fn transport(status: &Status) -> StorageError {
    StorageError::Transport(status.message().to_owned())
}
