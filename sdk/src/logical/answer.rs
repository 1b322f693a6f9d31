//! What operations answer, for the OpenAPI document: generated clients decode by it, and the test harness holds every answer against it.

use serde_json::{Map, Value, json};

/// What an operation answers when it succeeds.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// `data` with the members of these lists.
    Data(&'static [&'static [Member]]),
    /// `data` with the fields that the row takes in a write, and what else these lists have; a list wins over a field.
    Settings {
        /// Fields of the write that are not shown.
        without: &'static [&'static str],
        /// What is shown besides, or otherwise.
        more: &'static [Member],
    },
    /// A list: `keys`, and with members also `key_info`, which has them for each key.
    Keys(&'static [Member]),
    /// A body of this content type, not JSON in the frame of the server.
    Body(&'static str),
    /// 200 with `data` null.
    Done,
    /// 202 with `data` null: what was asked for goes on after the answer.
    Accepted,
    /// 204.
    Nothing,
}

/// One member of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    name: &'static str,
    shape: Shape,
    about: &'static str,
    always: bool,
    null: bool,
}

/// The type of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// Texts by name.
    Map,
}

impl Member {
    /// A member that every answer has.
    #[must_use]
    pub const fn new(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self {
            name,
            shape,
            about,
            always: true,
            null: false,
        }
    }

    /// A member that some answers have.
    #[must_use]
    pub const fn maybe(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self {
            always: false,
            ..Self::new(name, shape, about)
        }
    }

    /// A member that may be null.
    #[must_use]
    pub const fn or_null(mut self) -> Self {
        self.null = true;
        self
    }

    fn schema(&self) -> Value {
        let mut schema = match self.shape {
            Shape::Text => json!({ "type": "string" }),
            Shape::Integer => json!({ "type": "integer" }),
            Shape::Flag => json!({ "type": "boolean" }),
            Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Shape::Map => {
                json!({ "type": "object", "format": "map", "additionalProperties": { "type": "string" } })
            }
        };
        schema["description"] = json!(self.about);
        if self.null {
            schema["nullable"] = json!(true);
        }
        schema
    }
}

impl Answer {
    /// The `responses` of an operation. `written` has the schemas of the fields that the row takes in a write.
    pub(crate) fn responses(&self, written: impl Fn() -> Map<String, Value>) -> Value {
        match self {
            Self::Nothing => json!({ "204": { "description": "empty body" } }),
            Self::Done => json!({ "200": { "description": "OK" } }),
            Self::Accepted => json!({ "202": { "description": "Accepted" } }),
            Self::Body(kind) => {
                let body = json!({ "schema": { "type": "string", "format": "binary" } });
                json!({ "200": { "description": "OK", "content": { *kind: body } } })
            }
            _ => data(self.schema(written)),
        }
    }

    /// The schema of `data`.
    fn schema(&self, written: impl Fn() -> Map<String, Value>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let mut add = |member: &Member| {
            properties.insert(member.name.to_owned(), member.schema());
            // Null counts as missing for those who lose the word `nullable`, as the server's own gathered document does.
            if member.always && !member.null {
                required.push(json!(member.name));
            }
        };
        match self {
            Self::Data(lists) => lists.iter().flat_map(|list| list.iter()).for_each(add),
            Self::Settings { without, more } => {
                more.iter().for_each(&mut add);
                for (name, mut schema) in written() {
                    if !without.contains(&name.as_str()) && !properties.contains_key(&name) {
                        for key in ["default", "x-vault-displayAttrs", "enum"] {
                            schema.as_object_mut().map(|schema| schema.remove(key));
                        }
                        properties.insert(name, schema);
                    }
                }
            }
            Self::Keys(info) => {
                add(&Member::new("keys", Shape::Texts, "What is there."));
                if !info.is_empty() {
                    let inner = of_members(info);
                    properties.insert(
                        "key_info".to_owned(),
                        json!({ "type": "object", "format": "map", "additionalProperties": inner,
                            "description": "More of each key." }),
                    );
                }
            }
            Self::Body(_) | Self::Done | Self::Accepted | Self::Nothing => {}
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = Value::Array(required);
        }
        schema
    }
}

/// The `responses` of an operation that answers with data of this schema.
pub(crate) fn data(schema: Value) -> Value {
    json!({ "200": { "description": "OK", "content": { "application/json": { "schema": schema } } } })
}

fn of_members(members: &[Member]) -> Value {
    let properties: Map<_, _> = members
        .iter()
        .map(|member| (member.name.to_owned(), member.schema()))
        .collect();
    json!({ "type": "object", "properties": properties })
}

/// Holds a value against a schema of an OpenAPI document: every member is known and of its type, and none that is required is missing.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn fits(schema: &Value, value: &Value) -> Result<(), String> {
    check(schema, value, "data")
}

fn check(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    let good = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => {
            for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                check(&schema["items"], item, &format!("{place}[{at}]"))?;
            }
            value.is_array()
        }
        Some("object") => {
            for required in schema["required"].as_array().into_iter().flatten() {
                if value.get(required.as_str().unwrap_or_default()).is_none() {
                    return Err(format!("{place}.{required} is missing"));
                }
            }
            let known = schema["properties"].as_object();
            for (name, item) in value.as_object().into_iter().flatten() {
                let inner = known
                    .and_then(|known| known.get(name))
                    .or_else(|| schema.get("additionalProperties"));
                let place = format!("{place}.{name}");
                match inner {
                    Some(inner) => check(inner, item, &place)?,
                    // The gathered document of the server has lost what a map is of.
                    None if known.is_none() => {}
                    None => return Err(format!("{place} is not in the document")),
                }
            }
            value.is_object()
        }
        _ => true,
    };
    if good {
        Ok(())
    } else {
        Err(format!("{place} is no {}: {value}", schema["type"]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: Answer = Answer::Data(&[&[
        Member::new("name", Shape::Text, "Its name."),
        Member::maybe("size", Shape::Integer, "Its size."),
        Member::new("parts", Shape::Texts, "Its parts.").or_null(),
    ]]);

    #[test]
    fn a_value_fits_or_the_place_is_told() {
        let schema = ANSWER.schema(Map::new);
        for good in [
            json!({ "name": "a", "parts": null }),
            json!({ "name": "a", "size": 1, "parts": ["b"] }),
        ] {
            assert_eq!(fits(&schema, &good), Ok(()), "{good}");
        }
        for (bad, why) in [
            (json!({ "parts": null }), "data.\"name\" is missing"),
            (json!({ "name": 1 }), "data.name is no \"string\": 1"),
            (
                json!({ "name": "a", "parts": [1] }),
                "data.parts[0] is no \"string\": 1",
            ),
            (
                json!({ "name": "a", "other": 1 }),
                "data.other is not in the document",
            ),
            (json!([]), "data.\"name\" is missing"),
        ] {
            assert_eq!(fits(&schema, &bad).unwrap_err(), why, "{bad}");
        }
    }
}
