//! `directory`, `new-nonce` and `renewal-info`: what anybody may read.

use landfast_acme::ari;
use landfast_sdk::logical::{Cx, Error, NoFields, Operation, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, index, time, told, with_nonce};
use crate::acme::directory::Directory;
use crate::acme::{Refused, renewal, state};
use crate::mount::{Mount, Shared};

/// `GET directory` (RFC 8555 section 7.1.1).
pub(crate) async fn read(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    told(show(&mount, &cx.path).await).map(Answer::into_response)
}

async fn show(mount: &Mount, path: &str) -> Result<Answer, Refused> {
    let directory = Directory::load(mount, path).await?;
    let mut meta = json!({ "externalAccountRequired": directory.eab.for_new() });
    let profiles = directory.profiles(mount).await?;
    if !profiles.is_empty() {
        let described = profiles.into_iter().map(|name| {
            let words = format!("certificates by the role {name}");
            (name, Value::String(words))
        });
        meta["profiles"] = Value::Object(described.collect::<Map<_, _>>());
    }
    Ok(Answer::json(
        200,
        &json!({
            "newNonce": directory.url("new-nonce"),
            "newAccount": directory.url("new-account"),
            "newOrder": directory.url("new-order"),
            "revokeCert": directory.url("revoke-cert"),
            "keyChange": directory.url("key-change"),
            "renewalInfo": directory.url("renewal-info"),
            "meta": meta,
        }),
    ))
}

/// `HEAD new-nonce` and `GET new-nonce` (RFC 8555 section 7.2).
pub(crate) async fn nonce(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    told(fresh(&mount, &cx).await).map(Answer::into_response)
}

async fn fresh(mount: &Mount, cx: &Cx) -> Result<Answer, Refused> {
    let directory = Directory::load(mount, &cx.path).await?;
    mount.only_where_written().await?;
    if mount.acme.nonce_asked() {
        tracing::warn!("{}", state::TUNE);
    }
    let status = if cx.operation == Operation::Read {
        204
    } else {
        200
    };
    let answer = Answer::raw(status, "", Vec::new())
        .header("Cache-Control", "no-store")
        .header("Link", index(&directory.url("directory")));
    Ok(with_nonce(mount, answer)?)
}

/// Which certificate.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Named {
    /// The certificate: its authority key identifier and its serial number, each in base64url, with a dot between (RFC 9773 section 4.1).
    cert_id: String,
}

/// `GET renewal-info/ID` (RFC 9773 section 4).
pub(crate) async fn renewal_info(mount: Shared, cx: Cx, named: Named) -> Result<Response, Error> {
    told(suggest(&mount, &cx.path, &named.cert_id).await).map(Answer::into_response)
}

async fn suggest(mount: &Mount, path: &str, id: &str) -> Result<Answer, Refused> {
    let directory = Directory::load(mount, path).await?;
    let (window, retry_after) = renewal::window(mount, &directory, id).await?;
    let ari::Window { start, end } = window;
    let body = json!({ "suggestedWindow": { "start": time(start), "end": time(end) } });
    Ok(Answer::json(200, &body).header("Retry-After", retry_after.to_string()))
}
