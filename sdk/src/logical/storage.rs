//! The storage of a mount.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, secret};

/// Key-value storage of one mount. Keys are relative to the mount and separated by `/`.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Reads a value; `None` when there is none.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes a value.
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), StorageError>;

    /// Deletes a value. Deleting nothing is no error.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;

    /// Direct children of a prefix, sorted; a folder ends in `/`. The empty prefix lists the root.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError>;

    /// As [`Storage::list`], only the entries after `after` (which need not exist), at most `limit` of them.
    async fn list_page(
        &self,
        prefix: &str,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<String>, StorageError> {
        Ok(page(self.list(prefix).await?, after, limit))
    }

    /// Starts a transaction; `None` when the host offers none (Vault, and some OpenBao backends).
    async fn begin(&self) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        Ok(None)
    }

    /// Writes all or nothing where the host offers transactions (tried again on a conflict), else in the given order: put
    /// what may be left over by a crash first.
    async fn apply(&self, writes: Vec<Write>) -> Result<(), StorageError> {
        let mut attempts = 0;
        loop {
            let transaction = if writes.len() > 1 {
                self.begin().await?
            } else {
                None
            };
            let Some(transaction) = transaction else {
                for write in writes {
                    match write {
                        Write::Put { key, value } => self.put(&key, value.into()).await?,
                        Write::Delete { key } => self.delete(&key).await?,
                    }
                }
                return Ok(());
            };
            if let Err(error) = transaction.stage(&writes).await {
                transaction.rollback().await;
                return Err(error);
            }
            attempts += 1;
            match transaction.commit().await {
                Err(StorageError::Conflict) if attempts < 5 => {}
                outcome => return outcome,
            }
        }
    }
}

impl dyn Storage {
    /// Reads a JSON value; `None` when there is none.
    ///
    /// # Errors
    /// When storage fails, or holds something else.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.get(key).await? else {
            return Ok(None);
        };
        let broken =
            |why| Error::internal("a stored entry cannot be read", format!("{key}: {why}"));
        secret::from_vec(bytes).map(Some).map_err(broken)
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn write<T: Serialize + Sync>(&self, key: &str, value: &T) -> Result<(), Error> {
        let broken =
            |error| Error::internal("an entry cannot be stored", format!("{key}: {error}"));
        Ok(self
            .put(key, secret::to_vec(value).map_err(broken)?)
            .await?)
    }
}

/// An open transaction: its writes are seen by itself only until [`Transaction::commit`]. Always end it by one of the two
/// calls, for the host keeps an abandoned one in memory.
#[async_trait]
pub trait Transaction: Storage {
    /// Takes several writes. Where two are of one key the later one holds.
    ///
    /// # Errors
    /// When the host refuses one of them; the others may be taken or not, so drop the transaction.
    async fn stage(&self, writes: &[Write]) -> Result<(), StorageError> {
        for write in writes {
            match write {
                Write::Put { key, value } => self.put(key, value.to_vec()).await?,
                Write::Delete { key } => self.delete(key).await?,
            }
        }
        Ok(())
    }

    /// Makes the writes take effect.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when something that was read has changed: do the whole transaction again.
    async fn commit(self: Box<Self>) -> Result<(), StorageError>;

    /// Drops the writes.
    async fn rollback(self: Box<Self>);
}

/// One write of [`Storage::apply`].
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Write a value.
    Put {
        /// Where.
        key: String,
        /// What. A copy of it is cheap.
        value: Bytes,
    },
    /// Delete a value.
    Delete {
        /// Where.
        key: String,
    },
}

/// Where and how much, without the value.
impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Put { key, value } => {
                f.debug_tuple("Put").field(key).field(&value.len()).finish()
            }
            Self::Delete { key } => f.debug_tuple("Delete").field(key).finish(),
        }
    }
}

impl Write {
    /// Writes a value.
    pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self::Put {
            key: key.into(),
            value: Bytes::from(value.into()),
        }
    }

    /// Deletes a value.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::Delete { key: key.into() }
    }

    /// Where.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }

    /// Octets of the value; none where it is deleted.
    #[must_use]
    pub fn octets(&self) -> usize {
        match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } => 0,
        }
    }
}

/// Why storage did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// This node may not write. Holds the host's exact text, by which it recognises that the request belongs to the active
    /// node: pass it on unchanged.
    #[error("{0}")]
    ReadOnly(String),
    /// A transaction lost against another.
    #[error("transaction commit failed")]
    Conflict,
    /// The host's storage refused, with its text.
    #[error("{0}")]
    Host(String),
    /// The host could not be reached.
    #[error("storage is unreachable: {0}")]
    Transport(String),
}

impl StorageError {
    /// Sorts an error text of the host. The phrases are those by which hosts recognise each other.
    #[must_use]
    pub fn from_host(text: String) -> Self {
        const READ_ONLY: [&str; 4] = [
            "cannot write to readonly storage",
            "please forward to the active node",
            "node is not the leader",
            "Vault is in standby mode",
        ];
        if READ_ONLY.iter().any(|phrase| text.contains(phrase)) {
            Self::ReadOnly(text)
        } else if text.contains("transaction commit failed") {
            Self::Conflict
        } else {
            Self::Host(text)
        }
    }
}

/// One page of a sorted list: the entries after `after`, at most `limit` of them.
#[must_use]
pub fn page(mut entries: Vec<String>, after: &str, limit: Option<usize>) -> Vec<String> {
    if !after.is_empty() {
        let start = entries.partition_point(|entry| entry.as_str() <= after);
        entries.drain(..start);
    }
    if let Some(limit) = limit {
        entries.truncate(limit);
    }
    entries
}
