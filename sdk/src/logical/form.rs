//! How the console of the server shows a field in a form: a heading, and what the form is filled in with.

use serde_json::{Map, Value, json};

/// One field of a form. The console takes it from `x-vault-displayAttrs` of the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    pub(crate) field: &'static str,
    label: Option<&'static str>,
    value: Option<Filled>,
}

/// What a form is filled in with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Filled {
    /// A box that is ticked, or is not.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(&'static str),
}

impl Form {
    /// A field with a heading of its own, in place of its name.
    #[must_use]
    pub const fn label(field: &'static str, label: &'static str) -> Self {
        Self {
            field,
            label: Some(label),
            value: None,
        }
    }

    /// A field that a form is filled in with.
    #[must_use]
    pub const fn value(field: &'static str, value: Filled) -> Self {
        Self {
            field,
            label: None,
            value: Some(value),
        }
    }

    /// Adds what the form is filled in with.
    #[must_use]
    pub const fn filled(mut self, value: Filled) -> Self {
        self.value = Some(value);
        self
    }

    /// The attributes, in the words of the document.
    pub(crate) fn attributes(&self) -> Map<String, Value> {
        let mut attributes = Map::new();
        if let Some(label) = self.label {
            attributes.insert("name".to_owned(), json!(label));
        }
        if let Some(value) = self.value {
            let value = match value {
                Filled::Flag(flag) => json!(flag),
                Filled::Number(number) => json!(number),
                Filled::Text(text) => json!(text),
            };
            attributes.insert("value".to_owned(), value);
        }
        attributes
    }
}
