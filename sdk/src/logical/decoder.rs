//! Decodes what is no request as the fields of one.

use std::marker::PhantomData;

use serde_json::{Map, Value, json};

use super::schema::{Field, FieldSet, Kind, SchemaOf, schema_of};
use super::secret::noticing;
use super::weak::{Input, names_of, twice};
use super::{Error, RequestData, json as document};

/// Decodes what is no request as the fields of one are decoded: the settings of a connection, for example.
pub(crate) struct Decoder<R> {
    fields: FieldSet,
    of: PhantomData<fn() -> R>,
}

impl<R: RequestData> Default for Decoder<R> {
    fn default() -> Self {
        Self {
            fields: FieldSet::new([schema_of::<R> as SchemaOf]),
            of: PhantomData,
        }
    }
}

impl<R: RequestData> Decoder<R> {
    /// How a field decodes.
    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.fields.get(name).map_or(Kind::Any, |field| field.kind)
    }

    /// The name that a field goes by in `entry`, which is what was decoded once: the same, or the one that it is an alias of.
    pub(crate) fn first_name(&self, name: &str, entry: &Map<String, Value>) -> Option<String> {
        if let Some(field) = self.fields.get(name) {
            return field.alias_of.clone();
        }
        if !names_of::<R>().contains(&name) {
            return None;
        }
        // Serde does not tell which field an alias is of, but that a field was there twice.
        let is_twice = |field: &&Field| {
            let twice = twice(&field.name);
            entry.get(&field.name).is_some_and(|value| {
                let both = json!({ &field.name: value, name: value }).to_string();
                let decoded = self.decode(&both);
                matches!(decoded, Err(Error::BadRequest(text)) if text.ends_with(&twice))
            })
        };
        self.fields
            .iter()
            .find(is_twice)
            .map(|field| field.name.clone())
    }

    /// Decodes JSON text of an object.
    pub(crate) fn decode(&self, text: &str) -> Result<R, Error> {
        let mut data =
            document::parse_object(text).map_err(|why| Error::BadRequest(why.to_string()))?;
        let input = Input {
            captures: &[],
            data: &data,
            fields: &self.fields,
            asked: None,
        };
        let (decoded, secret) = noticing(|| input.decode());
        if secret {
            data.wipe();
        }
        decoded.map_err(Error::BadRequest)
    }
}
