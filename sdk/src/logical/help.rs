//! The help operation: texts for people, and an OpenAPI document for the UI and for generators.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::path::Path;
use super::schema::{Field, Kind};
use super::{Error, RawRequest, Response, Table, openapi};

/// Answers a help request, for a path or for the mount as a whole. The host needs a response in every case but that of an
/// unknown path: without one its own handler breaks.
pub(crate) fn answer<B: Send + Sync + 'static>(
    table: &Table<B>,
    request: &RawRequest,
) -> Result<Response, Error> {
    let path = request.path.as_str();
    let prefix = operation_prefix(request);
    let (text, document) = if path.is_empty() {
        (mount_text(table), openapi::document(table, &prefix, None))
    } else {
        let row = table.find_any(path)?;
        (
            row_text(row, path),
            openapi::document(table, &prefix, Some(row)),
        )
    };
    let mut data = Map::new();
    data.insert("help".to_owned(), Value::String(text));
    data.insert("see_also".to_owned(), Value::Null);
    data.insert("openapi".to_owned(), document);
    Ok(Response::map(data))
}

/// What operation ids begin with: the host says it when it gathers the documents of all mounts.
fn operation_prefix(request: &RawRequest) -> String {
    let asked = serde_json::from_str::<Value>(&request.data).unwrap_or_default();
    asked["requestResponsePrefix"]
        .as_str()
        .unwrap_or(&request.mount_type)
        .to_owned()
}

fn mount_text<B>(table: &Table<B>) -> String {
    let mut rows: Vec<_> = table.rows.iter().filter(|row| !row.hidden).collect();
    rows.sort_by_key(|row| row.pattern);
    let mut text = format!("## DESCRIPTION\n\n{}\n\n## PATHS\n\n", table.help.trim());
    text.push_str(
        "These paths are served here. Ask for the help of any path that fits one of them\n",
    );
    text.push_str("to read more; whether you may use it is up to your policies.\n");
    for row in rows {
        let _ = write!(text, "\n    {}\n", shown(row.pattern));
        wrap(&mut text, row.help, 8);
    }
    text
}

fn row_text<B: Send + Sync + 'static>(row: &Path<B>, path: &str) -> String {
    let mut text = format!(
        "Request:        {path}\nMatching Route: {}\n\n",
        shown(row.pattern)
    );
    wrap(&mut text, row.help, 0);
    let fields: Vec<_> = row.fields().iter().collect();
    if !fields.is_empty() {
        text.push_str("\n## PARAMETERS\n");
    }
    for field in fields {
        let _ = write!(text, "\n    {} ({})\n", field.name, kind_name(field));
        if let Some(description) = field.schema.get("description").and_then(Value::as_str) {
            text.push('\n');
            wrap(&mut text, description, 8);
        }
    }
    if !row.description.is_empty() {
        let _ = write!(text, "\n## DESCRIPTION\n\n{}\n", row.description.trim());
    }
    text
}

fn shown(pattern: &str) -> &str {
    if pattern.is_empty() { "/" } else { pattern }
}

/// The name of a field's type, as the command-line clients show it.
fn kind_name(field: &Field) -> &'static str {
    match field.kind {
        Kind::Bool => "bool",
        Kind::Integer => "int",
        Kind::Number => "float",
        Kind::Text | Kind::TextOrNull => "string",
        Kind::List | Kind::Texts | Kind::CommaList => "slice",
        Kind::Ttl => "duration (sec)",
        Kind::KeyValues | Kind::MapPatch => "keypair",
        Kind::Any if field.schema.get("type") == Some(&json!("object")) => "map",
        Kind::Any => "any",
    }
}

/// Writes a paragraph in lines of about 80 characters.
fn wrap(text: &mut String, paragraph: &str, indent: usize) {
    let mut width = 0;
    for word in paragraph.split_whitespace() {
        if width == 0 {
            text.extend(std::iter::repeat_n(' ', indent));
            width = indent;
        } else if width + 1 + word.len() > 80 {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            width = indent;
        } else {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += word.len();
    }
    text.push('\n');
}
