//! What lies in storage: one file a noun, serde structs in the layout of the built-in engine.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::mount::Entry;

pub mod config;
pub mod crl;
pub mod issuer;
pub mod jobs;
pub mod key;
pub mod kms;
pub mod revoked;
pub mod role;
pub mod seal;
pub mod time;

#[cfg(test)]
mod tests;

/// The bytes of an entry: compact JSON and a line feed, as the built-in engine writes.
pub(crate) fn encode(entry: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec(entry).expect("entries have text keys and no failing serialiser");
    bytes.push(b'\n');
    bytes
}

/// An entry whose JSON is just its serde form, readable through [`crate::mount::Mount::load`].
trait JsonEntry: DeserializeOwned + Send + Sync + 'static {}

impl<T: JsonEntry> Entry for T {
    fn decode(_key: &str, bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}

impl JsonEntry for config::ClusterConfig {}
impl JsonEntry for config::CrlConfig {}
impl JsonEntry for config::IssuersConfig {}
impl JsonEntry for config::KeysConfig {}
impl JsonEntry for crl::CrlBook {}
impl JsonEntry for issuer::AiaEntry {}
impl JsonEntry for issuer::IssuerEntry {}
impl JsonEntry for jobs::AcmeConfig {}
impl JsonEntry for jobs::AutoTidyConfig {}
impl JsonEntry for kms::KmsConfig {}
impl JsonEntry for revoked::RevokedEntry {}
impl JsonEntry for seal::SealConfig {}
