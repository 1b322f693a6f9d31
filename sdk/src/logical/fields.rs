//! Types for the fields of requests. Each decodes as Vault does, and documents itself in the OpenAPI document.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

pub use self::bytes::Base64;
pub use self::pairs::KeyValues;
pub(crate) use self::pairs::pairs;
use super::duration::parse_duration;

mod bytes;
mod pairs;

/// No fields besides those of the path.
#[derive(Debug, Clone, Copy, Default, serde::Deserialize, JsonSchema)]
pub struct NoFields {}

/// The parameter `name` of the path, and no fields besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize, Serialize, JsonSchema)]
pub struct Named {
    /// Name of what the path is of.
    pub name: String,
}

/// One page of a list.
#[derive(Debug, Clone, Default, serde::Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Page {
    /// Show only the entries after this one, which need not exist.
    pub after: String,
    /// Show at most this many entries; 0 or less for all.
    pub limit: i64,
}

impl Page {
    /// The limit; zero and less mean no limit.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        usize::try_from(self.limit).ok().filter(|limit| *limit > 0)
    }

    /// Cuts this page out of a sorted list.
    #[must_use]
    pub fn cut(&self, entries: Vec<String>) -> Vec<String> {
        super::page(entries, &self.after, self.limit())
    }
}

/// A list of texts: a JSON list as it is, or one text split at commas. Blanks around elements go, empty elements stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CommaList(pub Vec<String>);

/// A time to live in whole seconds: `60`, `"60"`, `"1h30m"` or `"1d"`; nothing is zero, less is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(pub Duration);

/// All that was sent, each value as it stands in the request and the parameters of the path over it: for rows that take fields by any name.
#[derive(Clone, Default, PartialEq)]
pub struct Sent(pub serde_json::Map<String, serde_json::Value>);

/// The names: what was sent may be secret.
impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Names by which the weak deserializer knows the newtypes.
pub(crate) const COMMA_LIST: &str = "landfast::CommaList";
pub(crate) const TTL: &str = "landfast::Ttl";
pub(crate) const KEY_VALUES: &str = "landfast::KeyValues";
pub(crate) const PATCH: &str = "landfast::Patch";
pub(crate) const SENT: &str = "landfast::Sent";

impl CommaList {
    /// True when there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl zeroize::Zeroize for CommaList {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for CommaList {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl From<Vec<String>> for CommaList {
    fn from(list: Vec<String>) -> Self {
        Self(list)
    }
}

impl<'a> FromIterator<&'a str> for CommaList {
    fn from_iter<I: IntoIterator<Item = &'a str>>(items: I) -> Self {
        Self(items.into_iter().map(str::to_owned).collect())
    }
}

impl Serialize for CommaList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CommaList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = CommaList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("string")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<CommaList, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_unit<E: de::Error>(self) -> Result<CommaList, E> {
                Ok(CommaList::default())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CommaList, E> {
                Ok(if text.is_empty() {
                    CommaList::default()
                } else {
                    text.split(',').map(str::trim).collect()
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<CommaList, A::Error> {
                let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(1024));
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(CommaList(list))
            }
        }
        deserializer.deserialize_newtype_struct(COMMA_LIST, List)
    }
}

impl JsonSchema for CommaList {
    fn schema_name() -> Cow<'static, str> {
        "CommaList".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string" }, "x-kind": "comma-list" })
    }
}

impl Ttl {
    /// So many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// True for no time at all, which mostly means "not set".
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_secs())
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Time;
        impl<'de> Visitor<'de> for Time {
            type Value = Ttl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("duration")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Ttl, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Ttl, E> {
                Ok(Ttl::default())
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Ttl, E> {
                Ok(Ttl::from_secs(seconds))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Ttl, E> {
                u64::try_from(seconds).map(Ttl::from_secs).map_err(|_| {
                    E::custom(format_args!("cannot provide negative value '{seconds}'"))
                })
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ttl, E> {
                parse_duration(text)
                    .map(|time| Ttl::from_secs(time.as_secs()))
                    .map_err(E::custom)
            }
        }
        deserializer.deserialize_newtype_struct(TTL, Time)
    }
}

impl JsonSchema for Ttl {
    fn schema_name() -> Cow<'static, str> {
        "Ttl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "seconds", "x-kind": "ttl" })
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Sent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Sent, A::Error> {
                let mut all = serde_json::Map::new();
                while let Some((name, value)) = members.next_entry()? {
                    all.insert(name, value);
                }
                Ok(Sent(all))
            }
        }
        deserializer.deserialize_newtype_struct(SENT, All)
    }
}

impl JsonSchema for Sent {
    fn schema_name() -> Cow<'static, str> {
        "Sent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}
