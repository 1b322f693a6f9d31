//! Decodes what is no request as the fields of one.

use std::marker::PhantomData;

use super::schema::{FieldSet, SchemaOf, schema_of};
use super::weak::Input;
use super::{Error, RequestData, json};

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
    /// Decodes JSON text of an object.
    pub(crate) fn decode(&self, text: &str) -> Result<R, Error> {
        let data = json::parse_object(text).map_err(|why| Error::BadRequest(why.to_string()))?;
        let input = Input {
            captures: &[],
            data: &data,
            fields: &self.fields,
        };
        input.decode().map_err(Error::BadRequest)
    }
}
