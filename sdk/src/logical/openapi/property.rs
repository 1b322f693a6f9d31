//! Schemas of today's JSON Schema in the words of OpenAPI 3.0.

use serde_json::{Map, Value, json};

use super::one_line;
use crate::logical::schema::{ALIASES, KIND, PATCH, SchemaOf, answer_generator};

/// The schema of a field of a request.
pub(super) fn property(schema: &Map<String, Value>) -> Map<String, Value> {
    worded(schema, Side::Request)
}

/// The schema of an answer. What may be null says so, and counts as missing for those who lose the word, as the server's own gathered document
/// does.
pub(super) fn of_answer(schema: SchemaOf) -> Value {
    let schema = schema(&mut answer_generator());
    let worded = schema
        .as_object()
        .map(|schema| worded(schema, Side::Answer));
    Value::Object(worded.unwrap_or_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Answer,
}

fn worded(schema: &Map<String, Value>, side: Side) -> Map<String, Value> {
    let property = |schema: &Map<String, Value>| worded(schema, side);
    let mut out = Map::new();
    // An optional type of its own is that type or null.
    let variants = schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array);
    if let Some(variants) = variants {
        let real: Vec<_> = variants
            .iter()
            .filter(|variant| variant["type"] != "null")
            .collect();
        let constants: Vec<_> = real.iter().flat_map(|variant| constants(variant)).collect();
        if side == Side::Answer && real.len() < variants.len() {
            out.insert("nullable".to_owned(), json!(true));
        }
        match real.as_slice() {
            [Value::Object(only)] => out.extend(property(only)),
            _ if !constants.is_empty() => {
                out.insert("type".to_owned(), json!("string"));
                out.insert("enum".to_owned(), json!(constants));
            }
            _ => {}
        }
    }
    for (name, value) in schema {
        match (name.as_str(), value) {
            ("type", Value::Array(types)) => {
                if let Some(kind) = types.iter().find(|kind| *kind != "null") {
                    out.insert(name.clone(), kind.clone());
                }
                if side == Side::Answer && types.iter().any(|kind| kind == "null") {
                    out.insert("nullable".to_owned(), json!(true));
                }
            }
            ("const", value) => {
                out.insert("enum".to_owned(), json!([value]));
            }
            ("enum", Value::Array(values)) => {
                let values: Vec<_> = values.iter().filter(|value| !value.is_null()).collect();
                out.insert(name.clone(), json!(values));
            }
            ("description", Value::String(text)) => {
                out.insert(name.clone(), json!(one_line(text)));
            }
            ("default", value) if is_zero(value) => {}
            // Widths of Rust's numbers mean nothing to a client.
            ("format", Value::String(format))
                if format.starts_with("int") || format.starts_with("uint") => {}
            ("items", Value::Object(items)) => {
                out.insert(name.clone(), Value::Object(property(items)));
            }
            ("additionalProperties", Value::Object(members)) if side == Side::Answer => {
                out.insert(name.clone(), Value::Object(property(members)));
            }
            // An answer has no defaults: it is what is.
            ("default", _) if side == Side::Answer => {}
            ("properties", Value::Object(members)) => {
                let inner = |value: &Value| value.as_object().map(property).unwrap_or_default();
                let members: Map<_, _> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), Value::Object(inner(value))))
                    .collect();
                out.insert(name.clone(), Value::Object(members));
            }
            (
                "type" | "format" | "required" | "pattern" | "default" | "example" | "deprecated",
                _,
            ) => {
                out.insert(name.clone(), value.clone());
            }
            (name, _) if name.starts_with("x-") && ![KIND, PATCH, ALIASES].contains(&name) => {
                out.insert(name.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    let nullable = |name: &Value| {
        let member = out["properties"].get(name.as_str().unwrap_or_default());
        member.is_some_and(|member| member["nullable"] == true)
    };
    if side == Side::Answer
        && let Some(required) = out.get("required").and_then(Value::as_array)
    {
        let kept: Vec<_> = required
            .iter()
            .filter(|name| !nullable(name))
            .cloned()
            .collect();
        match kept.as_slice() {
            [] => out.remove("required"),
            _ => out.insert("required".to_owned(), json!(kept)),
        };
    }
    if out.get("type") == Some(&json!("object"))
        && !out.contains_key("format")
        && !out.contains_key("properties")
    {
        out.insert("format".to_owned(), json!("map"));
    }
    out
}

fn constants(schema: &Value) -> Vec<&Value> {
    match (
        schema.get("const"),
        schema.get("enum").and_then(Value::as_array),
    ) {
        (Some(constant), _) => vec![constant],
        (None, Some(values)) => values.iter().collect(),
        (None, None) => Vec::new(),
    }
}

/// What a field has anyway when it is not sent.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
