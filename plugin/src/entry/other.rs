//! What an entry holds besides the fields that this version knows.

use std::fmt;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// The fields of an entry that this version does not know: a newer server wrote them, and whoever reads the mount after us wants them back.
///
/// Each entry, and each object in one, has this as its last, flattened field, and every write carries it on. It may hold a secret: it is wiped
/// when it goes, and Debug shows names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Other(Map<String, Value>);

impl Other {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the member `name` out; missing or null is the default, as Go programs read JSON.
    ///
    /// # Errors
    /// The member is of another type. The text may quote its value.
    pub(super) fn take<T: DeserializeOwned + Default>(
        &mut self,
        name: &str,
    ) -> serde_json::Result<T> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => serde_json::from_value(value)
                .map_err(|cause| de::Error::custom(format_args!("{name}: {cause}"))),
        }
    }

    /// Whether there is a member `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there is a member `name` that says something: neither null, nor what a Go program stores for nothing.
    pub(super) fn says(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        }
    }

    /// The members, in the order in which they are written.
    pub(super) fn members(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Takes over what `before` has and this lacks: for an entry that is written anew in the place of another.
    pub fn keep(&mut self, before: &Self) {
        for (name, value) in &before.0 {
            if !self.0.contains_key(name) {
                self.0.insert(name.clone(), value.clone());
            }
        }
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Overwrites every text in `value`.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}
