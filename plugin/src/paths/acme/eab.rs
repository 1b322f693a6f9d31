//! `new-eab` and `eab`: external accounts, for operators.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landfast_pki::Secret;
use landfast_sdk::logical::{Cx, Error, NoFields, Page, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::answer::time;
use crate::acme::directory::Place;
use crate::acme::eab::{self, Bound};
use crate::mount::Shared;
use crate::paths::answer::Shown;

/// Which external account.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct KeyId {
    /// The id of the external account.
    key_id: String,
}

/// A new external account. Its key is shown here and never again.
#[derive(Serialize)]
struct Made {
    id: String,
    key_type: String,
    key: Shown,
    acme_directory: String,
    created_on: String,
}

/// `POST new-eab` of a directory.
pub(crate) async fn make(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    let place = Place::of(&cx.path).ok_or(Error::UnsupportedPath)?;
    let made = eab::make(&mount, place.directory).await?;
    let key = made.entry.private_bytes.expose();
    Response::data(&Made {
        key: Shown::new(Secret::new(URL_SAFE_NO_PAD.encode(key))),
        acme_directory: directory(&made),
        created_on: time(made.entry.created_on.0),
        key_type: made.entry.key_type,
        id: made.id,
    })
}

/// `LIST eab`, in pages: those that no account was bound to yet.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let (mut ids, mut info, mut warnings) = (Vec::new(), Map::new(), Vec::new());
    let stored = mount.storage();
    for id in stored
        .list_page(eab::PREFIX, &page.after, page.limit())
        .await?
    {
        match eab::load(&mount, &id).await {
            Ok(Some(found)) => {
                info.insert(
                    id.clone(),
                    json!({
                        "key_type": found.entry.key_type,
                        "acme_directory": directory(&found),
                        "created_on": time(found.entry.created_on.0),
                    }),
                );
                ids.push(id);
            }
            Ok(None) => {}
            Err(error) => warnings.push(format!("failed loading eab entry {id}: {error}")),
        }
    }
    Ok(Response::list_info(ids, info).warn_all(warnings))
}

/// `DELETE eab/ID`.
pub(crate) async fn delete(mount: Shared, _cx: Cx, id: KeyId) -> Result<Response, Error> {
    let id = id.key_id;
    let _alone = mount.acme.accounts.lock().await;
    if eab::load(&mount, &id).await?.is_none() {
        return Ok(Response::null().warn(format!("No key id found with id: {id}")));
    }
    mount.delete(eab::key(&id)).await?;
    Ok(Response::null())
}

fn directory(bound: &Bound) -> String {
    format!("{}directory", bound.entry.acme_directory)
}
