//! Whole trees of storage: every key below a prefix, and their end.

use super::{Error, Storage, Write};

/// Keys that are asked for at a time, in each folder.
const PAGE: usize = 256;
/// Keys that are deleted in one transaction.
const TOGETHER: usize = 64;

impl dyn Storage {
    /// All keys below a folder, those in its folders among them, in the order of lists. It asks for a page at a time, so that memory holds one for
    /// each level of folders, however many keys there are. (A host without pages, as Vault, answers with a folder as a whole.)
    ///
    /// ```
    /// # use landfast_sdk::{logical::{Error, Storage}, testing::MemoryStorage};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let memory = MemoryStorage::new();
    /// # let storage: &dyn Storage = &memory;
    /// # storage.write("roles/team/web", &1).await?;
    /// let mut keys = storage.below("roles/");
    /// while let Some(key) = keys.next().await? {
    ///     assert_eq!(key, "roles/team/web");
    /// }
    /// # Ok::<_, Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn below(&self, folder: &str) -> Below<'_> {
        let folder = match folder {
            "" => String::new(),
            folder => format!("{}/", folder.trim_end_matches('/')),
        };
        Below {
            storage: self,
            within: vec![Folder::new(folder)],
        }
    }

    /// Deletes all keys below a folder, 64 at a time in a transaction where the host has them, and says how many. What was deleted before an error
    /// is gone, and another call goes on with the rest. What somebody writes there meanwhile may stay.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn delete_below(&self, folder: &str) -> Result<usize, Error> {
        let mut keys = self.below(folder);
        let mut deleted = 0;
        loop {
            let mut writes = Vec::new();
            while writes.len() < TOGETHER
                && let Some(key) = keys.next().await?
            {
                writes.push(Write::delete(key));
            }
            if writes.is_empty() {
                return Ok(deleted);
            }
            let together = writes.len();
            self.apply(writes).await?;
            deleted += together;
        }
    }
}

/// The keys below a folder; see [`Storage`]'s `below`.
pub struct Below<'s> {
    storage: &'s (dyn Storage + 'static),
    /// Where the walk is, the innermost folder last.
    within: Vec<Folder>,
}

struct Folder {
    prefix: String,
    /// The rest of the last page.
    page: std::vec::IntoIter<String>,
    /// The last entry that was handed out or gone into.
    after: String,
    /// There is no other page.
    ends: bool,
}

impl Folder {
    fn new(prefix: String) -> Self {
        Self {
            prefix,
            page: Vec::new().into_iter(),
            after: String::new(),
            ends: false,
        }
    }
}

impl Below<'_> {
    /// Begins after a key that this gave before, which may be gone: another request goes on where one has stopped.
    #[must_use]
    pub fn after(mut self, key: &str) -> Self {
        let root = self.within.swap_remove(0).prefix;
        self.within.clear();
        let mut prefix = root;
        let rest = key.strip_prefix(&*prefix).unwrap_or_default().to_owned();
        for part in rest.split_inclusive('/') {
            let mut folder = Folder::new(prefix.clone());
            part.clone_into(&mut folder.after);
            self.within.push(folder);
            prefix.push_str(part);
        }
        if self.within.is_empty() {
            self.within.push(Folder::new(prefix));
        }
        self
    }

    /// The next key; `None` after the last. After an error it can be asked again.
    ///
    /// # Errors
    /// When storage fails.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        while let Some(folder) = self.within.last_mut() {
            let Some(entry) = folder.page.next() else {
                if folder.ends {
                    self.within.pop();
                    continue;
                }
                let (prefix, after) = (&folder.prefix, &folder.after);
                let page = self.storage.list_page(prefix, after, Some(PAGE)).await?;
                folder.ends = page.len() < PAGE;
                folder.page = page.into_iter();
                continue;
            };
            let key = format!("{}{entry}", folder.prefix);
            folder.after = entry;
            if !key.ends_with('/') {
                return Ok(Some(key));
            }
            self.within.push(Folder::new(key));
        }
        Ok(None)
    }
}

impl std::fmt::Debug for Below<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.within.last().map(|folder| &folder.prefix);
        f.debug_struct("Below")
            .field("at", &at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fault, FaultyStorage, MemoryStorage};

    async fn all(mut keys: Below<'_>) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(key) = keys.next().await.unwrap() {
            found.push(key);
        }
        found
    }

    async fn with(keys: &[&str]) -> MemoryStorage {
        let memory = MemoryStorage::new();
        for key in keys {
            memory.put(key, Vec::new()).await.unwrap();
        }
        memory
    }

    #[tokio::test]
    async fn every_key_below_a_folder_comes_once() {
        let keys = ["a", "a/b", "a/b/c", "a/d/e/f", "a/g", "b", "c/a"];
        let memory = with(&keys).await;
        let storage: &dyn Storage = &memory;
        assert_eq!(all(storage.below("")).await, keys);
        for folder in ["a", "a/"] {
            assert_eq!(all(storage.below(folder)).await, keys[1..5]);
        }
        assert_eq!(all(storage.below("x")).await, [""; 0]);
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(all(storage.below("").after(key)).await, keys[at + 1..]);
            memory.delete(key).await.unwrap();
            assert_eq!(all(storage.below("").after(key)).await, keys[at + 1..]);
        }
    }

    #[tokio::test]
    async fn pages_follow_each_other() {
        let memory = MemoryStorage::new();
        for at in 0..3 * PAGE {
            memory.put(&format!("n/{at:05}"), Vec::new()).await.unwrap();
            memory
                .put(&format!("n/{at:05}/x"), Vec::new())
                .await
                .unwrap();
        }
        let storage: &dyn Storage = &memory;
        let found = all(storage.below("n")).await;
        assert_eq!(found.len(), 6 * PAGE);
        assert!(found.is_sorted());
    }

    #[tokio::test]
    async fn what_an_error_has_left_is_deleted_by_another_call() {
        let storage = FaultyStorage::new();
        for at in 0..3 * TOGETHER {
            let key = format!("n/{}/{at}", at % 7);
            storage.put(&key, Vec::new()).await.unwrap();
        }
        storage.put("other", Vec::new()).await.unwrap();
        storage.fail_at(2, Fault::Before);
        let all: &dyn Storage = &storage;
        assert!(all.delete_below("n/").await.is_err());
        storage.heal();
        assert_eq!(all.delete_below("n/").await.unwrap(), 2 * TOGETHER);
        let left: Vec<_> = storage.memory().snapshot().into_keys().collect();
        assert_eq!(left, ["other"]);
    }
}
