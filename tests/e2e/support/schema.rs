//! Holds answers against the OpenAPI document that a mount gives of itself.

use landfast_sdk::logical::fits;
use serde_json::Value;

use super::Reply;

/// Fails when an answer that succeeded is not as the document has it.
///
/// # Panics
///
/// With the place of the first member that is not.
#[track_caller]
pub(crate) fn hold(document: &Value, method: &str, path: &str, reply: &Reply) {
    let data = reply.data();
    if reply.status >= 300 || !data.is_object() {
        return;
    }
    let key = match method {
        "GET" | "LIST" => "get",
        "POST" | "PUT" => "post",
        "PATCH" => "patch",
        _ => return,
    };
    let Some(pattern) = pattern_of(document, path) else {
        return;
    };
    let item = &document["paths"][pattern];
    let content = &item[key]["responses"]["200"]["content"]["application/json"];
    let schema = &content["schema"];
    assert!(
        schema.is_object(),
        "{method} {pattern} answered what is not documented: {data}"
    );
    if let Err(why) = fits(schema, data) {
        panic!("{method} {pattern}: not as documented: {why}");
    }
}

/// The pattern of the document that a path means, if any.
pub(crate) fn pattern_of<'a>(document: &'a Value, path: &str) -> Option<&'a str> {
    let path = path.split('?').next().unwrap_or_default();
    let paths = document["paths"].as_object();
    let patterns = paths.expect("a document of paths").keys();
    // Where two patterns fit, the one with more text of its own is meant.
    patterns
        .map(String::as_str)
        .filter(|pattern| is_meant(pattern, path))
        .min_by_key(|pattern| pattern.matches('{').count())
}

fn is_meant(pattern: &str, path: &str) -> bool {
    let pattern: Vec<_> = pattern.trim_matches('/').split('/').collect();
    let path: Vec<_> = path.trim_end_matches('/').split('/').collect();
    pattern.len() == path.len()
        && pattern
            .iter()
            .zip(&path)
            .all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
}
