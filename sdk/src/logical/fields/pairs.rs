//! Names with values in a field.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use zeroize::Zeroize;

use super::KEY_VALUES;

/// Names with values: a JSON object of texts, or a list of `name=value`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyValues(pub BTreeMap<String, String>);

impl Serialize for KeyValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The values; the map is empty then.
impl Zeroize for KeyValues {
    fn zeroize(&mut self) {
        for (mut name, mut value) in std::mem::take(&mut self.0) {
            name.zeroize();
            value.zeroize();
        }
    }
}

impl<'de> Deserialize<'de> for KeyValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer).map(Self)
    }
}

impl JsonSchema for KeyValues {
    fn schema_name() -> Cow<'static, str> {
        "KeyValues".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "format": "kvpairs", "x-kind": "key-values" })
    }
}

/// Reads names with values: texts, or texts that may be null in an object.
pub(crate) fn pairs<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de> + From<String>,
{
    deserializer.deserialize_newtype_struct(KEY_VALUES, Pairs(PhantomData))
}

struct Pairs<V>(PhantomData<fn() -> V>);

fn pair<V: From<String>, E: de::Error>(
    into: &mut BTreeMap<String, V>,
    text: &str,
) -> Result<(), E> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            into.insert(name.to_owned(), value.to_owned().into());
            Ok(())
        }
        _ => Err(E::custom("invalid key pair: expected name=value")),
    }
}

impl<'de, V: Deserialize<'de> + From<String>> Visitor<'de> for Pairs<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut pairs = BTreeMap::new();
        if !text.is_empty() {
            pair(&mut pairs, text)?;
        }
        Ok(pairs)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some(item) = items.next_element::<String>()? {
            pair(&mut pairs, &item)?;
        }
        Ok(pairs)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut pairs = BTreeMap::new();
        while let Some((name, value)) = members.next_entry()? {
            pairs.insert(name, value);
        }
        Ok(pairs)
    }
}
