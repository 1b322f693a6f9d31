//! Entries in JSON, written and read as Go programs do.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::other;
use crate::store::Entry;

/// The bytes of an entry: compact JSON and a line feed, as the built-in engine writes.
pub(crate) fn encode(entry: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec(entry).expect("entries have text keys and no failing serialiser");
    bytes.push(b'\n');
    bytes
}

/// Reads an entry as Go programs read JSON: a field that is missing or null has its default. Which default that is, each entry says itself.
///
/// # Errors
/// The bytes are not JSON of that shape. The parser's text may quote a value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|first| {
        let mut value: Value = serde_json::from_slice(bytes)?;
        if !drop_nulls(&mut value) {
            other::wipe(&mut value);
            return Err(first);
        }
        serde_json::from_value(value)
    })
}

/// Takes the members that are null out of every object; says whether there was one.
fn drop_nulls(value: &mut Value) -> bool {
    let mut dropped = false;
    match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|_, member| !member.is_null());
            dropped = members.len() < before;
            for member in members.values_mut() {
                dropped |= drop_nulls(member);
            }
        }
        Value::Array(list) => {
            for member in list {
                dropped |= drop_nulls(member);
            }
        }
        _ => {}
    }
    dropped
}

/// An entry whose JSON is its serde form, readable through [`crate::mount::Mount::load`].
pub(crate) trait JsonEntry: DeserializeOwned + Send + Sync + 'static {
    /// Brings an entry of an older layout, found at `key`, up to date.
    fn modernise(&mut self, _key: &str) {}
}

impl<T: JsonEntry> Entry for T {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, String> {
        let mut entry: Self = decode(bytes).map_err(|error| error.to_string())?;
        entry.modernise(key);
        Ok(entry)
    }
}
