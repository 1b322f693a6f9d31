//! The OpenAPI 3.0.2 document of a table.

use serde_json::{Map, Value, json};

use super::Table;
use super::path::Path;

/// The document of one row, or of all.
pub(crate) fn document<B: Send + Sync + 'static>(
    table: &Table<B>,
    prefix: &str,
    only: Option<&Path<B>>,
) -> Value {
    let _ = prefix;
    let mut paths = Map::new();
    for row in &table.rows {
        if only.is_none_or(|only| only.pattern == row.pattern) {
            paths.insert(
                format!("/{}", row.pattern.replace("{*", "{")),
                json!({ "description": row.help }),
            );
        }
    }
    json!({ "openapi": "3.0.2", "info": { "title": table.help, "version": "" }, "paths": paths, "components": { "schemas": {} } })
}
