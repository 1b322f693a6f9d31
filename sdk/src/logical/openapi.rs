//! The OpenAPI 3.0.2 document of a table.
//!
//! The host decodes it into structs of its own and loses what these do not have. It loses `$ref` too, so that schemas are
//! written out where they are used. A list is a GET with the query parameter `list`, as in the documents of the host.

use std::cell::OnceCell;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::path::{Path, Slot};
use super::route::Segment;
use super::schema::{Field, FieldSet};
use super::typed::Told;
use super::{Operation, Table};

mod property;

use property::{of_answer, property};

/// The document of one row, or of all.
pub(crate) fn document<B: Send + Sync + 'static>(
    table: &Table<B>,
    prefix: &str,
    only: Option<&Path<B>>,
) -> Value {
    let prefix = dashed(prefix);
    let mut ids = HashSet::new();
    let mut paths = Map::new();
    // Ids are given to all rows in any case, so that those of one row do not depend on what was asked for.
    for row in table.rows.iter().filter(|row| !row.hidden) {
        let item = path_item(row, &prefix, &mut ids);
        if only.is_none_or(|only| std::ptr::eq(only, row)) {
            paths.insert(key(row), item);
        }
    }
    let mut document = json!({
        "openapi": "3.0.2",
        "info": {
            "title": if prefix.is_empty() { "Secrets engine" } else { &prefix },
            "description": one_line(table.help),
            "version": table.version,
        },
        "paths": paths,
        "components": { "schemas": {} },
    });
    let (name, url) = table.license;
    if !name.is_empty() {
        document["info"]["license"] = json!({ "name": name, "url": url });
    }
    document
}

fn key<B>(row: &Path<B>) -> String {
    format!("/{}", row.pattern.replace("{*", "{"))
}

fn path_item<B: Send + Sync + 'static>(
    row: &Path<B>,
    prefix: &str,
    ids: &mut HashSet<String>,
) -> Value {
    let mut item = Map::new();
    item.insert("description".to_owned(), json!(one_line(row.help)));
    let mut names: Vec<_> = row.parsed.parameters().collect();
    names.sort_unstable();
    if !names.is_empty() {
        let parameters: Vec<_> = names
            .iter()
            .map(|name| path_parameter(row.fields(), name))
            .collect();
        item.insert("parameters".to_owned(), json!(parameters));
    }
    if row.unauthenticated {
        item.insert("x-vault-unauthenticated".to_owned(), json!(true));
    }
    if row.sudo {
        item.insert("x-vault-sudo".to_owned(), json!(true));
    }
    if row.existence_check().is_some() {
        item.insert("x-vault-createSupported".to_owned(), json!(true));
    }
    let written = OnceCell::new();
    let mut writer = OperationWriter {
        row,
        prefix,
        ids,
        written: &written,
    };
    if let Some(get) = writer.get() {
        item.insert("get".to_owned(), get);
    }
    let write = row
        .slot(Operation::Update)
        .or_else(|| row.slot(Operation::Create));
    if let Some(slot) = write {
        item.insert(
            "post".to_owned(),
            writer.with_body(slot, Operation::Update, "write"),
        );
    }
    if let Some(slot) = row.slot(Operation::Patch) {
        item.insert(
            "patch".to_owned(),
            writer.with_body(slot, Operation::Patch, "patch"),
        );
    }
    if let Some(slot) = row.slot(Operation::Delete) {
        let queries = writer.queries(slot);
        let mut delete = writer.operation(Operation::Delete, "delete", queries);
        if !row.documents(Operation::Delete) {
            delete["responses"] = json!({ "204": { "description": "empty body" } });
        }
        item.insert("delete".to_owned(), delete);
    }
    Value::Object(item)
}

struct OperationWriter<'a, B> {
    row: &'a Path<B>,
    prefix: &'a str,
    ids: &'a mut HashSet<String>,
    /// What the row takes in a write, gathered at the first use.
    written: &'a OnceCell<FieldSet>,
}

impl<'a, B: Send + Sync + 'static> OperationWriter<'a, B> {
    fn written(&self) -> &'a FieldSet {
        self.written.get_or_init(|| written(self.row))
    }

    /// Read, list and scan share the one GET of OpenAPI.
    fn get(&mut self) -> Option<Value> {
        let read = self.row.slot(Operation::Read);
        let list = self.row.slot(Operation::List);
        let scan = self.row.slot(Operation::Scan);
        let (operation, verb) = match (read, list, scan) {
            (Some(_), _, _) => (Operation::Read, "read"),
            (None, Some(_), _) => (Operation::List, "list"),
            (None, None, Some(_)) => (Operation::Scan, "scan"),
            (None, None, None) => return None,
        };
        let mut parameters = Vec::new();
        let alone = [read, list, scan].iter().flatten().count() == 1;
        for (name, slot) in [("list", list), ("scan", scan)] {
            if slot.is_none() {
                continue;
            }
            let mut schema = json!({ "type": "string" });
            let description = if alone {
                schema["enum"] = json!(["true"]);
                "Must be set to `true`".to_owned()
            } else {
                format!("Return a {name} if `true`")
            };
            parameters.push(json!({
                "name": name, "description": description, "in": "query", "required": alone, "schema": schema,
            }));
        }
        for slot in [read, list, scan].into_iter().flatten() {
            for query in self.queries(slot) {
                if parameters
                    .iter()
                    .all(|known| known["name"] != query["name"])
                {
                    parameters.push(query);
                }
            }
        }
        Some(self.operation(operation, verb, parameters))
    }

    fn with_body(&mut self, slot: &Slot<B>, operation: Operation, verb: &str) -> Value {
        let own;
        let fields = if slot.operation == Operation::Update {
            self.written()
        } else {
            own = FieldSet::new([slot.schema]);
            &own
        };
        let mut operation = self.operation(operation, verb, Vec::new());
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in self.body_fields(fields) {
            let mut schema = property(&field.schema);
            if let Some(form) = self.row.form(&field.name) {
                let attributes = schema
                    .entry("x-vault-displayAttrs")
                    .or_insert_with(|| json!({}));
                if let Some(attributes) = attributes.as_object_mut() {
                    attributes.extend(form.attributes());
                }
            }
            properties.insert(field.name.clone(), Value::Object(schema));
            if field.required {
                required.push(field.name.clone());
            }
        }
        if properties.is_empty() && !fields.arbitrary {
            return operation;
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        operation
    }

    /// The fields of a request without a body, given in the query.
    fn queries(&self, slot: &Slot<B>) -> Vec<Value> {
        let fields = FieldSet::new([slot.schema]);
        let query = |field: &Field| {
            let mut schema = property(&field.schema);
            let description = schema.remove("description").unwrap_or_else(|| json!(""));
            json!({
                "name": field.name, "description": description, "in": "query", "required": field.required,
                "schema": schema,
            })
        };
        self.body_fields(&fields).map(query).collect()
    }

    fn body_fields<'f>(&self, fields: &'f FieldSet) -> impl Iterator<Item = &'f Field> {
        let captured: Vec<_> = self.row.parsed.parameters().collect();
        fields
            .iter()
            .filter(move |field| !captured.contains(&field.name.as_str()))
    }

    fn operation(&mut self, operation: Operation, verb: &str, parameters: Vec<Value>) -> Value {
        let mut operation = json!({
            "summary": one_line(self.row.help),
            "operationId": self.id(operation, verb),
            "tags": ["secrets"],
            "responses": responses_from(self.row, operation, || self.written()),
        });
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        operation
    }

    /// An id that no other operation of the table has: `pki-read-role`.
    fn id(&mut self, operation: Operation, verb: &str) -> String {
        let given = self.row.ids.iter().find(|(of, _)| *of == operation);
        let made = || match self.row.display {
            Some(display) => format!("{verb}-{display}"),
            None => {
                let words = self.row.parsed.segments.iter().map(|segment| {
                    let (Segment::Literal(text) | Segment::Parameter(text) | Segment::Tail(text)) =
                        segment;
                    *text
                });
                format!("{verb}-{}", words.collect::<Vec<_>>().join("-"))
            }
        };
        let name = given.map_or_else(made, |(_, id)| (*id).to_owned());
        let base = dashed(&format!("{}-{name}", self.prefix));
        let mut id = base.clone();
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = format!("{base}-{number}");
        }
        id
    }
}

/// What an operation answers, where the table says it.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn responses<B: Send + Sync + 'static>(row: &Path<B>, operation: Operation) -> Value {
    let fields = OnceCell::new();
    responses_from(row, operation, || fields.get_or_init(|| written(row)))
}

/// The fields of a row's write.
fn written<B>(row: &Path<B>) -> FieldSet
where
    B: Send + Sync + 'static,
{
    FieldSet::new(row.slot(Operation::Update).map(|slot| slot.schema))
}

fn responses_from<'a, B: Send + Sync + 'static>(
    row: &Path<B>,
    operation: Operation,
    written: impl Fn() -> &'a FieldSet,
) -> Value {
    let Some(answer) = row.answer(operation) else {
        return match row.slot(operation).map(|slot| slot.told) {
            None | Some(Told::Nothing) => Answer::Done.responses(Map::new),
            Some(Told::Done) => Answer::Nothing.responses(Map::new),
            Some(Told::Keys) => Answer::Keys(&[]).responses(Map::new),
            Some(Told::Data(schema)) => answer::data(of_answer(schema)),
        };
    };
    answer.responses(|| {
        let captured: Vec<_> = row.parsed.parameters().collect();
        written()
            .iter()
            .filter(|field| !captured.contains(&field.name.as_str()))
            .map(|field| (field.name.clone(), Value::Object(property(&field.schema))))
            .collect()
    })
}

fn path_parameter(fields: &FieldSet, name: &str) -> Value {
    let field = fields.get(name).map(|field| property(&field.schema));
    let known = |key: &str| field.as_ref().and_then(|field| field.get(key)).cloned();
    let mut schema = json!({ "type": "string" });
    for key in ["enum", "default"] {
        if let Some(value) = known(key) {
            schema[key] = value;
        }
    }
    json!({
        "name": name,
        "description": known("description").unwrap_or_else(|| json!("")),
        "in": "path",
        "required": true,
        "schema": schema,
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lower case, with single dashes between words.
fn dashed(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}
