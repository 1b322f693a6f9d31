//! Entries in JSON, written and read as Go programs do.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroize;

use super::other;
use crate::store::Entry;

/// The bytes of an entry: compact JSON and a line feed, as the built-in engine writes, and what means something in HTML escaped.
pub(crate) fn encode(entry: &impl Serialize) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec(entry).expect("entries have text keys and no failing serialiser");
    bytes.push(b'\n');
    if !bytes.iter().any(|octet| SPECIAL.contains(octet)) {
        return bytes;
    }
    let escaped = escape(&bytes);
    bytes.zeroize();
    escaped
}

/// `<`, `>`, `&`, and the octet that the two separators of lines begin with.
const SPECIAL: [u8; 4] = [b'<', b'>', b'&', 0xe2];

/// None of these stands outside of a text.
fn escape(bytes: &[u8]) -> Vec<u8> {
    // Enough room from the start: growing would leave copies behind, and an entry may hold a secret.
    let mut escaped = Vec::with_capacity(bytes.len() * 6);
    let mut rest = bytes;
    while let Some(octet) = rest.first() {
        let (text, length): (&[u8], usize) = match octet {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            _ if rest.starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            _ if rest.starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            _ => (&rest[..1], 1),
        };
        escaped.extend_from_slice(text);
        rest = &rest[length..];
    }
    escaped
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
