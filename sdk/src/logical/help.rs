//! The help operation: texts for people, and an OpenAPI document for the UI and generators.

use std::fmt::Write as _;

use serde_json::{Map, json};

use super::path::Path;
use super::{Error, RawRequest, Response, Table, openapi};

/// Answers a help request, for a path or for the mount as a whole. The host needs a response in every case but an unknown
/// path: without one its own handler breaks.
pub(crate) fn answer<B: Send + Sync + 'static>(
    table: &Table<B>,
    request: &RawRequest,
) -> Result<Response, Error> {
    let path = request.path.strip_suffix('/').unwrap_or(&request.path);
    let prefix = operation_prefix(request);
    let (text, document) = if path.is_empty() {
        (mount_text(table), openapi::document(table, &prefix, None))
    } else {
        let (row, _) = table.find(path).ok_or(Error::UnsupportedPath)?;
        (
            row_text(row, path),
            openapi::document(table, &prefix, Some(row)),
        )
    };
    let mut data = Map::new();
    data.insert("help".to_owned(), json!(text));
    data.insert("see_also".to_owned(), json!(null));
    data.insert("openapi".to_owned(), document);
    Ok(Response::map(data))
}

/// What operation ids begin with: the host says it when it gathers the OpenAPI document of all mounts.
fn operation_prefix(request: &RawRequest) -> String {
    let asked = serde_json::from_str::<serde_json::Value>(&request.data).ok();
    asked
        .as_ref()
        .and_then(|data| data["requestResponsePrefix"].as_str())
        .unwrap_or(&request.mount_type)
        .to_owned()
}

fn mount_text<B>(table: &Table<B>) -> String {
    let mut text = format!(
        "## DESCRIPTION\n\n{}\n\n## PATHS\n\nThe following paths are supported by this backend. To view help for\nany of the paths below, use the help command with any route matching\nthe path pattern. Note that depending on the policy of your auth token,\nyou may or may not be able to access certain paths.\n",
        table.help.trim()
    );
    for row in &table.rows {
        let _ = write!(text, "\n    ^{}$\n        {}\n", row.pattern, row.help);
    }
    text
}

fn row_text<B: Send + Sync + 'static>(row: &Path<B>, path: &str) -> String {
    let mut text = format!(
        "Request:        {path}\nMatching Route: {}\n\n{}\n",
        row.pattern, row.help
    );
    let fields = row.fields();
    if fields.iter().next().is_some() {
        text.push_str("\n## PARAMETERS\n");
        for field in fields.iter() {
            let kind = field
                .schema
                .get("type")
                .and_then(|kind| kind.as_str())
                .unwrap_or("any");
            let description = field
                .schema
                .get("description")
                .and_then(|d| d.as_str())
                .unwrap_or_default();
            let _ = write!(
                text,
                "\n    {} ({kind})\n        {description}\n",
                field.name
            );
        }
    }
    if !row.description.is_empty() {
        let _ = write!(text, "\n## DESCRIPTION\n\n{}\n", row.description.trim());
    }
    text
}
