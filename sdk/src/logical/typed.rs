//! Answers with types, by which the OpenAPI document describes them.

use std::marker::PhantomData;
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::schema::{SchemaOf, schema_of};
use super::{Error, Lease, Response, Result};

pub(crate) type Reply<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// What a handler may answer.
///
/// | type | answers | in the OpenAPI document |
/// | --- | --- | --- |
/// | [`Response`] | anything | nothing, unless [`Table::answers`](super::Table::answers) says it |
/// | [`Json<T>`](Json) | `data` with the members of `T` | the schema of `T` |
/// | [`Option<Json<T>>`](Json) | the same, or 404 to a read where it is `None` | the schema of `T` |
/// | [`Keys`] | a list | `keys`, a list of texts |
/// | `()` | 204 to a write or delete | 204 |
///
/// The test harness holds every answer against its schema.
pub trait IntoResponse: Sized + Send + 'static {
    /// The response.
    fn into_response(self) -> Response;

    /// What the type tells of the answer.
    #[doc(hidden)]
    fn told() -> Told {
        Told::Nothing
    }

    /// Runs a handler.
    #[doc(hidden)]
    fn reply<F>(handler: F) -> Reply<Response>
    where
        F: Future<Output = Result<Self, Error>> + Send + 'static,
    {
        Box::pin(async move { handler.await.map(Self::into_response) })
    }
}

/// What a type tells of an answer.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Told {
    /// That it is one.
    Nothing,
    /// 204.
    Done,
    /// A list.
    Keys,
    /// The schema of `data`.
    Data(SchemaOf),
}

impl IntoResponse for Response {
    fn into_response(self) -> Self {
        self
    }

    fn reply<F>(handler: F) -> Reply<Self>
    where
        F: Future<Output = Result<Self, Error>> + Send + 'static,
    {
        // As it is: nothing is put around what costs nothing.
        Box::pin(handler)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::none()
    }

    fn told() -> Told {
        Told::Done
    }
}

/// The fields of a struct, by which the OpenAPI document describes the answer.
///
/// ```
/// # use landfast_sdk::logical::{Json, Lease, Result};
/// # use schemars::JsonSchema;
/// # use serde::Serialize;
/// #[derive(Serialize, JsonSchema)]
/// struct Held {
///     /// The port, yours until the lease ends.
///     port: u16,
/// }
///
/// fn answer(port: u16, lease: Lease) -> Result<Json<Held>> {
///     Ok(Json::of(&Held { port })?.lease(lease))
/// }
/// # assert!(answer(7000, Lease::default()).is_ok());
/// ```
pub struct Json<T> {
    response: Response,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize> Json<T> {
    /// The fields of a value.
    ///
    /// # Errors
    /// When it does not serialize to a JSON object.
    pub fn of(value: &T) -> Result<Self> {
        Ok(Self {
            response: Response::data(value)?,
            of: PhantomData,
        })
    }
}

impl<T> Json<T> {
    /// Adds what only a [`Response`] can have: `Json::of(&value)?.with(|response| response.header("Etag", tag))`.
    #[must_use]
    pub fn with(self, more: impl FnOnce(Response) -> Response) -> Self {
        Self {
            response: more(self.response),
            ..self
        }
    }

    /// Issues a lease with the data.
    #[must_use]
    pub fn lease(self, lease: Lease) -> Self {
        self.with(|response| response.lease(lease))
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(self, text: impl Into<String>) -> Self {
        self.with(|response| response.warn(text))
    }
}

impl<T> std::fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.response.fmt(f)
    }
}

impl<T: JsonSchema + 'static> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        self.response
    }

    fn told() -> Told {
        Told::Data(schema_of::<T>)
    }
}

impl<T: JsonSchema + 'static> IntoResponse for Option<Json<T>> {
    fn into_response(self) -> Response {
        self.map_or_else(Response::none, Json::into_response)
    }

    fn told() -> Told {
        Json::<T>::told()
    }
}

/// The answer to a list. An empty list becomes 404, as everywhere in Vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(pub Vec<String>);

impl IntoResponse for Keys {
    fn into_response(self) -> Response {
        Response::list(self.0)
    }

    fn told() -> Told {
        Told::Keys
    }
}

#[cfg(test)]
mod tests;
