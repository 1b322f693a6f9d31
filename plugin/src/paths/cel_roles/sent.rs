//! A program as it is sent, read as Go's `mapstructure` reads it: names in any case, numbers as texts, what is not known left out.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::entry::cel::{ProgramEntry, VariableEntry};

/// The field `cel_program`.
#[derive(Debug, Default)]
pub(crate) struct SentProgram(Map<String, Value>);

impl SentProgram {
    /// Changes the parts of a program that were sent.
    ///
    /// # Errors
    /// Names each part that is of another type.
    pub(super) fn apply(&self, program: &mut ProgramEntry) -> Result<(), String> {
        let mut faults = Vec::new();
        if let Some(value) = member(&self.0, "variables") {
            variables(value, &mut program.variables, &mut faults);
        }
        if let Some(value) = member(&self.0, "expression") {
            text(value, &mut program.expression, "Expression", &mut faults);
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!(
            "failed to decode 'cel_program': decoding failed due to the following error(s):\n\n{}",
            faults.join("\n")
        ))
    }
}

/// A member by its name; in another case where there is none in this one. Null is as if it were not there.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let other = || {
        members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let found = members
        .get(name)
        .or_else(|| other().map(|(_, value)| value));
    found.filter(|value| !value.is_null())
}

fn text(value: &Value, into: &mut String, place: &str, faults: &mut Vec<String>) {
    match value {
        Value::String(text) => into.clone_from(text),
        Value::Number(number) => *into = number.to_string(),
        other => faults.push(format!(
            "'{place}' expected type 'string', got unconvertible type '{}'",
            go_type(other)
        )),
    }
}

fn variables(value: &Value, into: &mut Vec<VariableEntry>, faults: &mut Vec<String>) {
    let Value::Array(items) = value else {
        faults.push(format!(
            "'Variables' source data must be an array or slice, got {}",
            kind(value)
        ));
        return;
    };
    into.resize_with(items.len(), VariableEntry::default);
    for (at, (item, variable)) in items.iter().zip(into).enumerate() {
        match item {
            Value::Null => {}
            Value::Object(members) => {
                if let Some(value) = member(members, "name") {
                    text(
                        value,
                        &mut variable.name,
                        &format!("Variables[{at}].Name"),
                        faults,
                    );
                }
                if let Some(value) = member(members, "expression") {
                    let place = format!("Variables[{at}].Expression");
                    text(value, &mut variable.expression, &place, faults);
                }
            }
            other => faults.push(format!(
                "'Variables[{at}]' expected a map or struct, got \"{}\"",
                kind(other)
            )),
        }
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        other => kind(other),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) | Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

impl<'de> Deserialize<'de> for SentProgram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = SentProgram;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("map[string]interface {}")
            }

            fn visit_unit<E>(self) -> Result<SentProgram, E> {
                Ok(SentProgram::default())
            }

            fn visit_some<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<SentProgram, D::Error> {
                deserializer.deserialize_any(self)
            }

            // A list stands for its maps one over the other.
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SentProgram, A::Error> {
                let mut all = Map::new();
                while let Some(item) = items.next_element::<Value>()? {
                    let Value::Object(members) = item else {
                        return Err(A::Error::custom("'[0]' expected a map"));
                    };
                    all.extend(members);
                }
                Ok(SentProgram(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<SentProgram, A::Error> {
                let mut all = Map::new();
                while let Some((name, value)) = members.next_entry()? {
                    all.insert(name, value);
                }
                Ok(SentProgram(all))
            }
        }
        deserializer.deserialize_any(Members)
    }
}

impl JsonSchema for SentProgram {
    fn schema_name() -> Cow<'static, str> {
        "SentProgram".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
