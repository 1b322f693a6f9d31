//! What is about to be made outside, on record before it is: the engine was written before the SDK had a log for that.

use std::sync::Arc;

use landfast_sdk::logical::{Result, Storage, Write};

use crate::outside::random;

const BEGUN: &str = "begun/";

pub(crate) struct Journal {
    storage: Arc<dyn Storage>,
}

impl Journal {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    pub(crate) async fn begin(&self, account: &str) -> Result<String> {
        let id = random(16)?;
        let key = format!("{BEGUN}{id}");
        self.storage.put(&key, account.as_bytes().to_vec()).await?;
        Ok(id)
    }

    /// The account is on record as one with a lease, in the same step.
    pub(crate) async fn keep(&self, id: &str, account: &str) -> Result<()> {
        let writes = vec![
            Write::put(format!("made/{account}"), id),
            Write::delete(format!("{BEGUN}{id}")),
        ];
        Ok(self.storage.apply(writes).await?)
    }

    pub(crate) async fn end(&self, id: &str) -> Result<()> {
        Ok(self.storage.delete(&format!("{BEGUN}{id}")).await?)
    }

    /// Ids and accounts.
    pub(crate) async fn begun(&self) -> Result<Vec<(String, String)>> {
        let mut begun = Vec::new();
        for id in self.storage.list(BEGUN).await? {
            if let Some(account) = self.storage.get(&format!("{BEGUN}{id}")).await? {
                begun.push((id, String::from_utf8_lossy(&account).into_owned()));
            }
        }
        Ok(begun)
    }
}
