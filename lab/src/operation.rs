//! What the operations of the control plane share.

use jiff::Timestamp;
use landfast_base::arn::Arn;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::request::{Request, decode_query};
use crate::state::ControlError;

/// A page, when the request does not say.
const PAGE: usize = 50;

/// What an operation answers: its status and its body.
pub(crate) type Answer = Result<(u16, Value), ControlError>;

/// Tags and aliases would be forgotten, so they are refused.
pub(crate) fn refuse_extras(rest: &Map<String, Value>) -> Result<(), ControlError> {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match rest.iter().find(|(_, value)| !empty(value)) {
        None => Ok(()),
        // A switch at rest says nothing.
        Some((_, Value::Bool(false))) => Ok(()),
        Some((name, _)) => Err(invalid(&format!("the lab knows no {name}"))),
    }
}

pub(crate) fn input<T: DeserializeOwned>(request: &Request) -> Result<T, ControlError> {
    serde_json::from_slice(&request.body)
        .map_err(|error| invalid(&format!("the body is not this operation's: {error}")))
}

/// The place of a resource that is named by its id or its ARN.
pub(crate) fn find<T>(
    all: &[T],
    arn: impl Fn(&T) -> &Arn,
    id: &str,
    what: &'static str,
) -> Result<usize, ControlError> {
    all.iter()
        .position(|one| arn(one).name() == id || arn(one).to_string() == id)
        .ok_or(ControlError::NotFound(what))
}

/// One page of a list.
pub(crate) fn page(request: &Request, member: &str, all: Vec<Value>) -> Answer {
    let query = decode_query(&request.query).unwrap_or_default();
    let number = |name: &str| -> Result<Option<usize>, ControlError> {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.parse())
            .transpose()
            .map_err(|_| invalid(&format!("{name} is not one that the lab gave")))
    };
    let start = number("nextToken")?.unwrap_or(0);
    let size = number("pageSize")?.unwrap_or(PAGE).clamp(1, PAGE);
    let end = start.saturating_add(size);
    let mut body = json!({ member: all.iter().skip(start).take(size).collect::<Vec<_>>() });
    if end < all.len() {
        body["nextToken"] = end.to_string().into();
    }
    Ok((200, body))
}

/// A moment as the API writes it.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn invalid(text: &str) -> ControlError {
    ControlError::Validation(text.to_owned())
}
