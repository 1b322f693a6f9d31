//! What lies in storage: one file a noun, serde structs in the layout of the built-in engine.

use serde::Serialize;

pub mod config;
pub mod crl;
pub mod issuer;
pub mod key;
pub mod revoked;
pub mod role;
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
