//! Secrets in requests, in storage and in answers.
//!
//! [`Secret`] is the type of a field that holds one:
//!
//! | where | how |
//! | --- | --- |
//! | a request | `token: Secret<String>` takes what a `String` takes; in the OpenAPI document it has `x-vault-displayAttrs: { sensitive: true }`, so that the server's console hides it |
//! | an entry of storage | `#[serde(serialize_with = "stored")]` on the field, see [`stored`]; without it the type does not serialize, and with it only `write` of [`Storage`](super::Storage), leases, logins and the write-ahead log can |
//! | an answer | `#[serde(serialize_with = "shown")]`, see [`shown`], or [`Secret::into_reply`] |
//! | the log | `Debug` prints `[secret]`; errors of decoding name the field, never the value |
//!
//! It is wiped when it is dropped, and cannot be cloned. [`Secret::expose`] reads it, [`Secret::matches`] compares it in constant time. It is for
//! whatever can be wiped: `String`, `Vec<u8>`, [`Base64`](super::Base64), [`KeyValues`](super::KeyValues), and types of your own that implement
//! `Zeroize` of the crate `zeroize`.
//!
//! ```
//! use std::sync::Arc;
//!
//! use landfast_sdk::logical::{Backend, Cx, Json, NoFields, Result, Secret, Setup, Storage, Table, path, shown, stored};
//! use landfast_sdk::testing::Harness;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! struct Robots(Arc<dyn Storage>);
//!
//! #[derive(Deserialize, Serialize, JsonSchema)]
//! struct Account {
//!     /// Name of the account.
//!     user: String,
//!     /// Its password.
//!     #[serde(serialize_with = "stored")]
//!     password: Secret<String>,
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Made {
//!     /// A token for the account.
//!     #[serde(serialize_with = "shown")]
//!     token: Secret<String>,
//! }
//!
//! impl Backend for Robots {
//!     async fn new(setup: Setup) -> Result<Self> {
//!         Ok(Self(setup.storage))
//!     }
//!
//!     fn table() -> Table<Self> {
//!         Table::new(vec![
//!             path("account", "The account of all robots.").read(Self::read).update(Self::write),
//!             path("token", "A token for a robot.").read(Self::token),
//!         ])
//!     }
//! }
//!
//! impl Robots {
//!     async fn write(self: Arc<Self>, _: Cx, account: Account) -> Result<()> {
//!         self.0.write("account", &account).await
//!     }
//!
//!     // A mistake: what is stored is not what is shown. It is an error, not a leak.
//!     async fn read(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Option<Json<Account>>> {
//!         self.0.read("account").await?.map(|account| Json::of(&account)).transpose()
//!     }
//!
//!     async fn token(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Json<Made>> {
//!         Json::of(&Made { token: Secret::new("t-1".to_owned()) })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let robots = Harness::<Robots>::new().await;
//! let account = json!({ "user": "robot", "password": "hunter2" });
//! assert_eq!(robots.update("account", account).await.status, 204);
//! assert_eq!(robots.read("account").await.status, 500);
//! assert_eq!(robots.read("token").await.data, json!({ "token": "t-1" }));
//! # });
//! ```
//!
//! # What is wiped
//!
//! The value itself, the text of the request that it was read from and the copies that decoding made of it, and the bytes of an entry that
//! was read. What the host and the transport hold (messages of gRPC and TLS) is not, and neither is what you copy out of it, or what
//! `#[serde(flatten)]` and untagged enums gather: keep secrets in structs that are not flattened.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroize;

pub use landfast_base::{Passed, Secret, shown, stored};
pub(crate) use landfast_base::{notice, noticing, storing};

/// Encodes an entry of storage.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Growing(Vec::with_capacity(128));
    storing(|| serde_json::to_writer(&mut text, value)).0?;
    Ok(text.0)
}

/// Encodes what the host stores with a lease or a login.
pub(crate) fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, serde_json::Error> {
    storing(|| serde_json::to_value(value)).0
}

/// Decodes what was stored, and wipes it if a secret was in it. An error then tells the place, not the value.
pub(crate) fn from_vec<T: DeserializeOwned>(mut bytes: Vec<u8>) -> Result<T, String> {
    let (read, secret) = noticing(|| serde_json::from_slice(&bytes));
    if secret {
        bytes.zeroize();
    }
    read.map_err(|error| untold(&error, secret))
}

/// As [`from_vec`], of what the host has stored.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    let (read, secret) = noticing(|| serde_json::from_value(value));
    read.map_err(|error| untold(&error, secret))
}

/// Why something does not decode. The words of the library hold the value.
fn untold(error: &serde_json::Error, secret: bool) -> String {
    if secret {
        let (line, column) = (error.line(), error.column());
        format!("it holds a secret and does not decode at line {line} column {column}")
    } else {
        error.to_string()
    }
}

/// Bytes that leave nothing of a secret behind where they grow.
struct Growing(Vec<u8>);

impl std::io::Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let wanted = self.0.len() + bytes.len();
        if wanted > self.0.capacity() && landfast_base::passed() {
            let mut larger = Vec::with_capacity(wanted.max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            std::mem::replace(&mut self.0, larger).zeroize();
        }
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Wipes the texts of a value.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
