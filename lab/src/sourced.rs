//! What trust anchors and revocation lists have in common: the calls on a single one.

use jiff::Timestamp;
use landfast_base::arn::Arn;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, find, input, refuse_extras};
use crate::request::Request;
use crate::state::{ControlError, State, Times, check_name};

/// A resource with a name, a switch, and a source that can be replaced.
pub(crate) trait Sourced: Sized {
    /// What an error calls it.
    const WHAT: &'static str;
    /// The member of an answer that holds it.
    const MEMBER: &'static str;
    /// What an update says.
    type Input: DeserializeOwned;

    /// All of the account.
    fn all(state: &mut State) -> &mut Vec<Self>;

    /// Its ARN.
    fn arn(&self) -> &Arn;

    /// Its name, whether it takes part, and since when it is there.
    fn general(&mut self) -> (&mut String, &mut bool, &mut Times);

    /// As an answer shows it.
    fn body(&self) -> Value;

    /// The new name in an update, and the members that are not known.
    fn name_and_rest(given: &Self::Input) -> (Option<&String>, &Map<String, Value>);

    /// Takes the new source of an update over, if it has one; nothing changes when it is wrong.
    fn replace(
        state: &mut State,
        id: &str,
        given: &Self::Input,
        now: Timestamp,
    ) -> Result<(), ControlError>;

    /// Takes away what went with it.
    fn follow(self, _state: &mut State) {}
}

/// A call on the one that `id` names.
pub(crate) fn one<T: Sourced>(
    state: &mut State,
    request: &Request,
    (id, rest): (&str, &[&str]),
    now: Timestamp,
) -> Answer {
    let method = request.method.as_str();
    let index = find(T::all(state), T::arn, id, T::WHAT)?;
    match (method, rest) {
        ("GET", []) => {}
        ("PATCH", []) => {
            let given: T::Input = input(request)?;
            let (name, rest) = T::name_and_rest(&given);
            refuse_extras(rest)?;
            if let Some(name) = name {
                check_name(name)?;
            }
            let id = T::all(state)[index].arn().name().to_owned();
            T::replace(state, &id, &given, now)?;
            if let Some(name) = name {
                T::all(state)[index].general().0.clone_from(name);
            }
        }
        ("POST", [switch @ ("enable" | "disable")]) => {
            *T::all(state)[index].general().1 = *switch == "enable";
        }
        ("DELETE", []) => {
            let gone = T::all(state).remove(index);
            let body = gone.body();
            gone.follow(state);
            return Ok((200, json!({ T::MEMBER: body })));
        }
        _ => return Err(ControlError::Operation),
    }
    let one = &mut T::all(state)[index];
    if method != "GET" {
        one.general().2.updated = now;
    }
    Ok((200, json!({ T::MEMBER: one.body() })))
}
