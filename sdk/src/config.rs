//! Configurations between JSON and the form that they have on the wire.

use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Value};

/// A configuration as JSON. The wire knows only doubles: whole numbers become integers again.
pub(crate) fn object(config: Option<Struct>) -> Map<String, Value> {
    let fields = config.unwrap_or_default().fields;
    fields
        .into_iter()
        .map(|(name, value)| (name, json(value)))
        .collect()
}

fn json(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => number_value(number),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::StructValue(object_value)) => Value::Object(object(Some(object_value))),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
    }
}

/// Integers beyond this are not all doubles.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

#[allow(clippy::cast_possible_truncation)]
fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT {
        (number as i64).into()
    } else {
        number.into()
    }
}

/// JSON as a configuration.
pub(crate) fn structure(object: Map<String, Value>) -> Struct {
    let fields = object
        .into_iter()
        .map(|(name, value)| (name, wire(value)))
        .collect();
    Struct { fields }
}

fn wire(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(wire).collect(),
        }),
        Value::Object(object) => Kind::StructValue(structure(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_keep_their_types() {
        let value = |kind| prost_types::Value { kind: Some(kind) };
        let list = vec![value(Kind::NumberValue(-3.0)), value(Kind::BoolValue(true))];
        let fields = [
            ("whole", value(Kind::NumberValue(5.0))),
            ("half", value(Kind::NumberValue(0.5))),
            ("text", value(Kind::StringValue("x".into()))),
            ("list", value(Kind::ListValue(ListValue { values: list }))),
            ("none", prost_types::Value { kind: None }),
        ];
        let config = Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        let json = Value::Object(object(Some(config)));
        let expected = serde_json::json!({
            "whole": 5, "half": 0.5, "text": "x", "list": [-3, true], "none": null
        });
        assert_eq!(json, expected);
        let again = object(Some(structure(json.as_object().unwrap().clone())));
        assert_eq!(Value::Object(again), expected);
        assert_eq!(number_value(f64::NAN), Value::Null);
        assert_eq!(number_value(1e300), serde_json::json!(1e300));
    }
}
