//! Why a value does not decode, in the words of the built-in engines.

use serde::de::{self, Expected, Unexpected};

use crate::logical::json::Json;

/// Why a value does not decode. Texts name the field and the wanted type, never the value.
#[derive(Debug)]
pub(crate) enum Refusal {
    Text(String),
    /// Already names its field.
    Field(String),
    Missing(&'static str),
}

impl Refusal {
    pub(super) fn unconvertible(wanted: &dyn Expected, value: &Json<'_>) -> Self {
        Self::Text(format!(
            "'' expected type '{wanted}', got unconvertible type '{}'",
            value.go_type()
        ))
    }

    pub(super) fn unparsable(wanted: &str, why: &str) -> Self {
        Self::Text(format!("'' cannot parse value as '{wanted}': {why}"))
    }

    /// Names the element of a list that is wrong.
    pub(super) fn of_element(self, at: usize) -> Self {
        match self {
            Self::Text(text) => Self::Text(match text.strip_prefix("''") {
                Some(rest) => format!("1 error(s) decoding:\n\n* '[{at}]'{rest}"),
                None => text,
            }),
            other => other,
        }
    }

    /// Names the field that is wrong.
    pub(super) fn of_field(self, name: &str) -> Self {
        match self {
            Self::Text(text) => {
                Self::Field(format!("error converting input for field {name:?}: {text}"))
            }
            Self::Missing(inner) => Self::Field(format!(
                "error converting input for field {name:?}: missing required field {inner:?}"
            )),
            named @ Self::Field(_) => named,
        }
    }
}

/// What is said of a field that came under two of its names.
pub(crate) fn twice(field: &str) -> String {
    format!("field {field:?} was sent twice under different names")
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) | Self::Field(text) => f.write_str(text),
            Self::Missing(field) => write!(f, "missing required field {field:?}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Text(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "bool",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "json.Number",
            Unexpected::Str(_) | Unexpected::Char(_) => "string",
            Unexpected::Seq => "[]interface {}",
            Unexpected::Unit | Unexpected::Option => "nil",
            _ => "map[string]interface {}",
        };
        Self::Text(format!(
            "'' expected type '{expected}', got unconvertible type '{found}'"
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => {
                Self::unparsable("int", "strconv.ParseInt: value out of range")
            }
            _ => Self::Text(format!("'' expected {expected}")),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Text(format!("'' expected one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Text(twice(field))
    }
}
