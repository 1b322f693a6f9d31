//! What a request says of a role: decoded and documented by the rows of [`crate::entry::role::ROWS`].

use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use landfast_pki::Settings;
use landfast_pki::profile::split_policy_identifiers;
use landfast_sdk::logical::{CommaList, Error, Ttl};

use crate::entry::role::{At, KEY_TYPES, Kind, ROWS, Row};
use crate::{fault, names};

/// The fields that were sent.
pub(crate) struct Sent(Vec<Change>);

/// Puts one field into a role.
type Change = Box<dyn Fn(&mut Settings) + Send + Sync>;

impl Sent {
    /// Puts what was sent into `role`.
    ///
    /// # Errors
    /// A network that is none. All else is in the role all the same.
    pub(super) fn apply(&self, role: &mut Settings) -> Result<(), Error> {
        self.0.iter().for_each(|change| change(role));
        if role.issuer.is_empty() {
            role.issuer = names::DEFAULT.to_owned();
        }
        role.normalise_networks().map_err(fault::refusal)
    }
}

/// The rows that a request may say.
fn rows() -> impl Iterator<Item = (&'static Row, &'static str)> {
    ROWS.iter()
        .filter_map(|row| row.about().map(|about| (row, about)))
}

/// Their names, in the order in which they are decoded: the first fault is the one that is told.
static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let mut names: Vec<_> = rows().map(|(row, _)| row.name).collect();
    names.sort_unstable();
    names
});

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Sent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the fields of a role")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sent, A::Error> {
                let mut changes = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    match rows().find(|(row, _)| row.name == name) {
                        Some((row, _)) => changes.push(change(&row.kind, &mut map)?),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Sent(changes))
            }
        }

        deserializer.deserialize_struct("Sent", &NAMES, Fields)
    }
}

/// Decodes the value that comes next.
fn change<'de, A: MapAccess<'de>>(kind: &'static Kind, map: &mut A) -> Result<Change, A::Error> {
    fn put<T: Clone + Send + Sync + 'static>(at: &'static At<T>, value: T) -> Change {
        Box::new(move |role| at.put(role, value.clone()))
    }

    Ok(match kind {
        Kind::Flag(at) | Kind::Switch(at) | Kind::Mark(at) => put(at, map.next_value()?),
        Kind::Number(at) => put(at, map.next_value()?),
        Kind::Text(at) | Kind::KeyType(at) => put(at, map.next_value()?),
        Kind::List(at) | Kind::Networks(at) => put(at, map.next_value::<CommaList>()?.0),
        Kind::Policies(at) => put(at, map.next_value::<Policies>()?.0),
        Kind::Time(at) => put(at, map.next_value::<Ttl>()?.0),
        Kind::FormerText | Kind::FormerFlag => {
            map.next_value::<IgnoredAny>()?;
            Box::new(|_| ())
        }
    })
}

impl JsonSchema for Sent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fresh = Settings::default();
        let mut fields = Map::new();
        for (row, about) in rows() {
            let mut schema = match row.kind {
                Kind::Flag(_) | Kind::Switch(_) | Kind::Mark(_) | Kind::FormerFlag => {
                    generator.subschema_for::<Option<bool>>()
                }
                Kind::Number(_) => generator.subschema_for::<Option<i64>>(),
                Kind::Text(_) | Kind::KeyType(_) | Kind::FormerText => {
                    generator.subschema_for::<Option<String>>()
                }
                Kind::List(_) | Kind::Networks(_) => generator.subschema_for::<Option<CommaList>>(),
                Kind::Policies(_) => generator.subschema_for::<Option<Policies>>(),
                Kind::Time(_) => generator.subschema_for::<Option<Ttl>>(),
            };
            schema.insert("description".to_owned(), about.into());
            if let Some(default) = row.shown(&fresh).filter(|_| row.told) {
                schema.insert("default".to_owned(), default);
            }
            if matches!(row.kind, Kind::KeyType(_)) {
                schema.insert("enum".to_owned(), Value::from(KEY_TYPES.as_slice()));
            }
            fields.insert(row.name.to_owned(), schema.into());
        }
        schemars::json_schema!({ "type": "object", "properties": fields })
    }
}

/// `policy_identifiers`: a list as other fields take it, or one text holding a JSON array of objects, which becomes one element an
/// object.
#[derive(Debug)]
struct Policies(Vec<String>);

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = Policies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of policies")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Policies, E> {
                Ok(Policies(split_policy_identifiers(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Policies, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element::<String>()? {
                    list.push(element.trim().to_owned());
                }
                Ok(Policies(list))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Policies, E> {
                Ok(Policies(Vec::new()))
            }

            /// An empty object is an empty list, as for other lists.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policies, A::Error> {
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(Policies(Vec::new())),
                    // It is taken for a list of one element, which is none.
                    Some(_) => Err(de::Error::custom(
                        "1 error(s) decoding:\n\n* '[0]' expected type 'string', got unconvertible type 'map[string]interface {}'",
                    )),
                }
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

impl JsonSchema for Policies {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policies".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // The kind keeps the request decoder from splitting the text, which may be JSON, at its commas.
        schemars::json_schema!({ "type": "array", "items": { "type": "string" }, "x-kind": "policies" })
    }

    fn inline_schema() -> bool {
        true
    }
}
