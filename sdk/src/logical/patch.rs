//! PATCH: JSON merge patches (RFC 7396), field by field or as a whole.
//!
//! A client sends what shall change and nothing else, with the content type `application/merge-patch+json`:
//!
//! ```text
//! bao patch ports/range ttl=2h labels=team=web
//! curl -X PATCH -H "X-Vault-Token: $BAO_TOKEN" -H 'Content-Type: application/merge-patch+json' \
//!     -d '{ "ttl": null, "labels": { "team": null } }' $BAO_ADDR/v1/ports/range
//! ```
//!
//! The rules are the same for every type of field:
//!
//! | sent | means |
//! | --- | --- |
//! | nothing | the field stays as it is |
//! | null | the field is removed: it gets the default that it has in a POST without it; a field that a POST needs cannot be removed |
//! | an object, for a map | its members are changed one by one by these rules, and others stay |
//! | `a=b`, or a list of them, for [`KeyValues`] | as the object `{ "a": "b" }`: so the command line sends pairs |
//! | anything else | the field has this value; a list replaces a list |
//!
//! The command line has no word for null: `bao patch ports/range ttl=null` sends the text `null`. It reads JSON from a file or from its
//! input, though: `echo '{ "ttl": null }' | bao patch ports/range -`.
//!
//! # The whole entry
//!
//! Where the type of an entry is also what a POST takes, [`MergePatch`] is all that is needed. It puts what was sent into the entry, and decodes the
//! result as a POST of it, so that defaults, checks and texts of errors are those of the POST:
//!
//! ```
//! use std::sync::Arc;
//!
//! use landfast_sdk::logical::patch::MergePatch;
//! use landfast_sdk::logical::{
//!     Backend, Cx, Error, Json, KeyValues, NoFields, Result, Setup, Storage, Table, Ttl, path,
//! };
//! use landfast_sdk::testing::Harness;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! struct Lamp(Arc<dyn Storage>);
//!
//! #[derive(Deserialize, Serialize, JsonSchema)]
//! struct Settings {
//!     /// The room that it is in.
//!     room: String,
//!     /// When it goes out by itself.
//!     #[serde(default = "hour")]
//!     ttl: Ttl,
//!     /// What else is known of it.
//!     #[serde(default)]
//!     labels: KeyValues,
//! }
//!
//! fn hour() -> Ttl {
//!     Ttl::from_secs(3600)
//! }
//!
//! impl Backend for Lamp {
//!     async fn new(setup: Setup) -> Result<Self> {
//!         Ok(Self(setup.storage))
//!     }
//!
//!     fn table() -> Table<Self> {
//!         let lamp = path("lamp", "The lamp.").read(Self::read).update(Self::write);
//!         Table::new(vec![lamp.patch(Self::patch)])
//!     }
//! }
//!
//! impl Lamp {
//!     async fn settings(&self) -> Result<Settings> {
//!         let settings = self.0.read("lamp").await?;
//!         settings.ok_or_else(|| Error::NotFound("there is no lamp yet".to_owned()))
//!     }
//!
//!     async fn read(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Json<Settings>> {
//!         Json::of(&self.settings().await?)
//!     }
//!
//!     async fn write(self: Arc<Self>, _: Cx, settings: Settings) -> Result<()> {
//!         self.0.write("lamp", &settings).await
//!     }
//!
//!     async fn patch(self: Arc<Self>, cx: Cx, patch: MergePatch<Settings>) -> Result<()> {
//!         let settings = patch.apply(&self.settings().await?)?;
//!         self.write(cx, settings).await
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let lamp = Harness::<Lamp>::new().await;
//! lamp.update("lamp", json!({ "room": "hall", "ttl": "5m", "labels": { "a": "1", "b": "2" } })).await;
//! lamp.patch("lamp", json!({ "ttl": null, "labels": { "a": null, "c": "3" } })).await;
//! let settings = json!({ "room": "hall", "ttl": 3600, "labels": { "b": "2", "c": "3" } });
//! assert_eq!(lamp.read("lamp").await.data, settings);
//! // As the command line sends it.
//! lamp.patch("lamp", json!({ "ttl": "1m", "labels": ["c=4"] })).await;
//! assert_eq!(lamp.read("lamp").await.data["labels"], json!({ "b": "2", "c": "4" }));
//! let reply = lamp.patch("lamp", json!({ "room": null })).await;
//! assert_eq!((reply.status, reply.error()), (400, "missing required field \"room\""));
//! # });
//! ```
//!
//! # Field by field
//!
//! Where an entry is stored in another form, a request type of its own has a [`Patch`] for each field, and a [`MapPatch`] for each map:
//!
//! ```
//! # use landfast_sdk::logical::{patch::{MapPatch, Patch}, KeyValues, Ttl};
//! # use schemars::JsonSchema;
//! # use serde::Deserialize;
//! #[derive(Deserialize, JsonSchema)]
//! struct Changes {
//!     /// When it goes out by itself.
//!     #[serde(default)]
//!     ttl: Patch<Ttl>,
//!     /// What else is known of it.
//!     #[serde(default)]
//!     labels: MapPatch,
//! }
//!
//! # fn change(changes: Changes, ttl: &mut Ttl, labels: &mut KeyValues) {
//! changes.ttl.apply_or(ttl, Ttl::from_secs(3600));
//! changes.labels.apply(labels);
//! # }
//! ```
//!
//! A field of an ordinary type does not tell null from its zero value, as the built-in engines do not: in a struct of `Option`s, null is
//! `Some` of nothing, and for a [`Ttl`](super::Ttl) it is `None`, as if nothing was sent.

mod merge;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Deserialize, Deserializer, Visitor};

pub use self::merge::{MergePatch, merge};
use super::fields::{PATCH, pairs};
use super::{Error, KeyValues, Result, schema};

/// What a PATCH says of one field. It needs a `#[serde(default)]`, for [`Patch::Absent`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing: it stays.
    #[default]
    Absent,
    /// Null: it is removed.
    Null,
    /// It has this value now.
    Value(T),
}

impl<T> Patch<T> {
    /// True when nothing was sent.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Changes a field whose default is that of its type.
    pub fn apply(self, field: &mut T)
    where
        T: Default,
    {
        self.apply_or(field, T::default());
    }

    /// Changes a field that has this default.
    pub fn apply_or(self, field: &mut T, default: T) {
        match self {
            Self::Absent => {}
            Self::Null => *field = default,
            Self::Value(value) => *field = value,
        }
    }

    /// Changes a field that may be without a value.
    pub fn apply_option(self, field: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *field = None,
            Self::Value(value) => *field = Some(value),
        }
    }

    /// Changes a field that has no default.
    ///
    /// # Errors
    /// It was sent as null.
    pub fn apply_required(self, name: &str, field: &mut T) -> Result<()> {
        match self {
            Self::Absent => {}
            Self::Null => {
                return Err(Error::BadRequest(format!(
                    "missing required field {name:?}"
                )));
            }
            Self::Value(value) => *field = value,
        }
        Ok(())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sent<T>(PhantomData<fn() -> T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Sent<T> {
            type Value = Patch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or null")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Patch<T>, D::Error> {
                let sent = Option::<T>::deserialize(deserializer)?;
                Ok(sent.map_or(Patch::Null, Patch::Value))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Patch<T>, E> {
                Ok(Patch::Null)
            }
        }
        deserializer.deserialize_newtype_struct(PATCH, Sent(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Patch<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Patch_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = generator.subschema_for::<T>();
        schema.insert(schema::PATCH.to_owned(), true.into());
        schema
    }
}

/// What a PATCH says of a map of texts: a JSON object whose members are changed one by one, null for one that goes; or pairs `name=value`, which are
/// set. Null as a whole empties the map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MapPatch(pub Patch<BTreeMap<String, Option<String>>>);

impl MapPatch {
    /// Changes the map.
    pub fn apply(self, map: &mut KeyValues) {
        match self.0 {
            Patch::Absent => {}
            Patch::Null => map.0.clear(),
            Patch::Value(members) => {
                for (name, value) in members {
                    match value {
                        Some(value) => map.0.insert(name, value),
                        None => map.0.remove(&name),
                    };
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for MapPatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members(BTreeMap<String, Option<String>>);

        impl<'de> Deserialize<'de> for Members {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                pairs(deserializer).map(Self)
            }
        }
        Ok(Self(match Patch::deserialize(deserializer)? {
            Patch::Absent => Patch::Absent,
            Patch::Null => Patch::Null,
            Patch::Value(Members(members)) => Patch::Value(members),
        }))
    }
}

impl JsonSchema for MapPatch {
    fn schema_name() -> Cow<'static, str> {
        "MapPatch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object", "format": "kvpairs", "x-kind": "map-patch", "x-patch": true,
        })
    }
}

#[cfg(test)]
mod tests;
