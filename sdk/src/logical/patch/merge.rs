//! A patch of a whole entry.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use crate::logical::schema::Kind;
use crate::logical::secret::{notice, noticing, to_value, wipe};
use crate::logical::{Decoder, Error, KeyValues, RequestData, Result, Sent};

/// What a PATCH sends for an entry of type `T`, which is what a POST takes too. See the page of [this module](super).
pub struct MergePatch<T> {
    sent: Map<String, Value>,
    of: PhantomData<fn() -> T>,
}

impl<T: RequestData + Serialize> MergePatch<T> {
    /// The entry with what was sent in it.
    ///
    /// # Errors
    /// Those of a POST of the result.
    pub fn apply(self, entry: &T) -> Result<T> {
        let decoder = Decoder::<T>::default();
        let (changed, secret) = noticing(|| to_value(entry));
        let mut changed =
            changed.map_err(|error| Error::internal("the entry cannot be changed", error))?;
        for (name, value) in self.sent {
            let first = changed
                .as_object()
                .and_then(|entry| decoder.first_name(&name, entry));
            let name = first.unwrap_or(name);
            let value = match decoder.kind(&name) {
                Kind::KeyValues => members(value),
                _ => value,
            };
            let sent = Value::Object(Map::from_iter([(name, value)]));
            merge(&mut changed, sent);
        }
        let mut text = changed.to_string();
        let done = decoder.decode(&text);
        if secret {
            wipe(&mut changed);
            text.zeroize();
        }
        done
    }
}

/// Pairs as the object that they stand for. What is none is left for the decoder to refuse.
fn members(value: Value) -> Value {
    match &value {
        Value::String(_) | Value::Array(_) => match KeyValues::deserialize(&value) {
            Ok(KeyValues(pairs)) => pairs.into_iter().collect(),
            Err(_) => value,
        },
        _ => value,
    }
}

/// Puts a JSON merge patch into a document, as RFC 7396 section 2 says.
pub fn merge(document: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        // What is replaced may have been a secret.
        wipe(document);
        *document = patch;
        return;
    };
    if !document.is_object() {
        wipe(document);
        *document = Value::Object(Map::new());
    }
    let Value::Object(members) = document else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            if let Some(mut former) = members.remove(&name) {
                wipe(&mut former);
            }
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The names: what was sent may be secret.
impl<T> fmt::Debug for MergePatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sent.keys()).finish()
    }
}

impl<'de, T> Deserialize<'de> for MergePatch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // It is not known yet what of it is secret.
        notice();
        let Sent(sent) = Sent::deserialize(deserializer)?;
        Ok(Self {
            sent,
            of: PhantomData,
        })
    }
}

/// The schema of the entry, of which nothing need be sent.
impl<T: JsonSchema> JsonSchema for MergePatch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MergePatch_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<T>();
        schema.remove("required");
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        for property in properties.into_iter().flat_map(Map::values_mut) {
            if let Some(property) = property.as_object_mut() {
                // What is not sent stays.
                property.remove("default");
            }
        }
        schema
    }
}
