//! Paths of the built-in engine that are not here yet: each says so, and what to do instead.

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::mount::Shared;

/// `cel/`.
pub(crate) async fn cel(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Err(missing(
        "this engine has no CEL roles yet. Write a role below `roles/`: its name rules, templates and bounds cover most of what CEL is used for",
    ))
}

/// 404, as where a server lacks the path, with a text of its own.
fn missing(text: &str) -> Error {
    Error::NotFound(text.to_owned())
}
