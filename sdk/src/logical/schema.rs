//! What is known of a row's fields before any request: names for the warnings, kinds for decoding, schemas for the help.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Marks the schema of a newtype whose decoding its JSON type does not tell.
pub(crate) const KIND: &str = "x-kind";
/// Marks the schema of a field that tells null from its zero value.
pub(crate) const PATCH: &str = "x-patch";
/// In the schema of a request type, names that are told as unknown although the type takes them.
const UNTOLD: &str = "x-untold";
/// In the schema of a field, other names that it goes by: for fields behind `#[serde(flatten)]`, whose aliases nothing else tells.
pub(crate) const ALIASES: &str = "x-aliases";

/// How a field decodes when its own type is out of sight, which is the case behind `#[serde(flatten)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Bool,
    Integer,
    Number,
    Text,
    List,
    Texts,
    CommaList,
    Ttl,
    KeyValues,
    MapPatch,
    /// A value of a [`Kind::MapPatch`].
    TextOrNull,
}

/// The fields of one row or of one operation.
#[derive(Debug, Default)]
pub(crate) struct FieldSet {
    /// Sorted by name.
    fields: Vec<Field>,
    /// Whether the row takes fields by any name.
    pub(crate) arbitrary: bool,
    /// Names that are told as unknown although a type takes them.
    pub(crate) untold: Vec<String>,
}

/// One field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) schema: Map<String, Value>,
    pub(crate) required: bool,
    /// Whether null is told from the zero value.
    pub(crate) patch: bool,
    /// For another name of a field, which documents pass over: the first one.
    pub(crate) alias_of: Option<String>,
}

/// Makes the schema of a request type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

pub(crate) fn schema_of<R: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<R>()
}

pub(crate) fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.into_generator()
}

/// As [`generator`], for what is answered: of what is left out now and then, nothing is required.
pub(crate) fn answer_generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.inline_subschemas = true;
    settings.into_generator()
}

impl FieldSet {
    pub(crate) const EMPTY: Self = Self {
        fields: Vec::new(),
        arbitrary: false,
        untold: Vec::new(),
    };

    /// Gathers the fields of request types; a field that several have is taken from the first.
    pub(crate) fn new(schemas: impl IntoIterator<Item = SchemaOf>) -> Self {
        let mut generator = generator();
        let mut set = Self::default();
        for schema in schemas {
            let schema = schema(&mut generator);
            set.collect(schema.as_value());
        }
        set.fields.sort_by(|a, b| a.name.cmp(&b.name));
        set.fields.dedup_by(|later, kept| later.name == kept.name);
        set
    }

    fn collect(&mut self, schema: &Value) {
        let Value::Object(schema) = schema else {
            self.arbitrary |= *schema == Value::Bool(true);
            return;
        };
        if schema.is_empty() {
            self.arbitrary = true;
        }
        let untold = schema.get(UNTOLD).and_then(Value::as_array);
        let untold = untold.into_iter().flatten().filter_map(Value::as_str);
        self.untold.extend(untold.map(str::to_owned));
        let required = schema.get("required").and_then(Value::as_array);
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let field = Field {
                name: name.clone(),
                kind: Kind::of(property),
                schema: property.as_object().cloned().unwrap_or_default(),
                required: required.is_some_and(|list| list.iter().any(|item| item == name)),
                patch: property[PATCH] == true,
                alias_of: None,
            };
            for alias in property[ALIASES].as_array().into_iter().flatten() {
                self.fields.push(Field {
                    name: alias.as_str().unwrap_or_default().to_owned(),
                    alias_of: Some(name.clone()),
                    ..field.clone()
                });
            }
            self.fields.push(field);
        }
        for part in ["prefixItems", "allOf", "anyOf", "oneOf"] {
            for inner in schema
                .get(part)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.collect(inner);
            }
        }
        self.arbitrary |= schema
            .get("additionalProperties")
            .is_some_and(|value| *value != Value::Bool(false));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.fields
            .binary_search_by(|field| field.name.as_str().cmp(name))
            .ok()
            .map(|at| &self.fields[at])
    }

    /// All of them, each by its first name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.alias_of.is_none())
    }
}

impl Kind {
    fn of(schema: &Value) -> Self {
        if let Some(kind) = schema.get(KIND).and_then(Value::as_str) {
            return match kind {
                "comma-list" => Self::CommaList,
                "ttl" => Self::Ttl,
                "key-values" => Self::KeyValues,
                "map-patch" => Self::MapPatch,
                _ => Self::Any,
            };
        }
        let kind_of = |name: &str| match name {
            "boolean" => Some(Self::Bool),
            "integer" => Some(Self::Integer),
            "number" => Some(Self::Number),
            "string" => Some(Self::Text),
            "array" => Some(Self::List),
            _ => None,
        };
        match schema.get("type") {
            _ if schema["items"]["type"] == "string" => Self::Texts,
            Some(Value::String(name)) => kind_of(name).unwrap_or(Self::Any),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .find_map(kind_of)
                .unwrap_or(Self::Any),
            // Option of a type with a schema of its own: either that or null.
            _ => schema
                .get("anyOf")
                .and_then(Value::as_array)
                .and_then(|variants| variants.iter().find(|variant| variant["type"] != "null"))
                .map_or(Self::Any, Self::of),
        }
    }
}
