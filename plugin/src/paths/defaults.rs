//! `config/issuers`, `config/keys` and `root/replace`: which issuer and key are meant when none is named.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::authority::Change;
use crate::mount::Shared;
use crate::names;
use crate::{crl, issuers, keys};

/// `GET config/issuers`.
pub(crate) async fn read_issuer(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let config = issuers::config(&mount).await?;
    Response::data(&json!({
        "default": config.default,
        "default_follows_latest_issuer": config.default_follows_latest_issuer,
    }))
}

/// The issuer that `default` means.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IssuerRequest {
    /// Issuer by id or name.
    #[serde(default)]
    default: String,
    /// Whether an issuer that is made or imported becomes the default.
    #[schemars(extend("default" = false))]
    default_follows_latest_issuer: Option<bool>,
}

/// `POST config/issuers`.
pub(crate) async fn write_issuer(
    mount: Shared,
    _cx: Cx,
    request: IssuerRequest,
) -> Result<Response, Error> {
    set_default(
        &mount,
        &request.default,
        request.default_follows_latest_issuer,
    )
    .await
}

/// The issuer that takes over.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ReplaceRequest {
    /// Issuer by id or name.
    #[serde(default = "next")]
    default: String,
}

/// `POST root/replace`: makes an issuer the default, by default the one that `root/rotate` made.
pub(crate) async fn replace(
    mount: Shared,
    _cx: Cx,
    request: ReplaceRequest,
) -> Result<Response, Error> {
    set_default(&mount, &request.default, None).await
}

/// `GET config/keys`.
pub(crate) async fn read_key(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Response::data(&json!({ "default": keys::config(&mount).await?.default }))
}

/// The key that `default` means.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct KeyRequest {
    /// Key by id or name.
    #[serde(default)]
    default: String,
}

/// `POST config/keys`.
pub(crate) async fn write_key(
    mount: Shared,
    _cx: Cx,
    request: KeyRequest,
) -> Result<Response, Error> {
    let reference = request.default.as_str();
    if reference.is_empty() || reference == names::DEFAULT {
        return Err(Error::bad_request(
            "Invalid key specification; must be non-empty and can't be 'default'.",
        ));
    }
    let mut change = Change::begin(&mount).await?;
    let key = match keys::load(&mount, reference).await {
        Ok(key) => key,
        // The built-in engine says "issuer" here too.
        Err(Error::Failed(text)) => {
            return Err(Error::bad_request(format!(
                "Error resolving issuer reference: {text}"
            )));
        }
        Err(other) => return Err(other),
    };
    change.set_default_key(&key.id);
    change.commit(&[], &[]).await?;
    Response::data(&json!({ "default": key.id }))
}

async fn set_default(
    mount: &Shared,
    reference: &str,
    follow: Option<bool>,
) -> Result<Response, Error> {
    if reference.is_empty() || reference == names::DEFAULT {
        return Err(Error::bad_request(
            "Invalid issuer specification; must be non-empty and can't be 'default'.",
        ));
    }
    let mut change = Change::begin(mount).await?;
    let Some(issuer) = change.issuers.find(reference).cloned() else {
        return Err(Error::bad_request(format!(
            "Error resolving issuer reference: {}",
            issuers::unknown(reference)
        )));
    };
    change.set_default_issuer(issuer.id());
    if let Some(follow) = follow {
        change.set_follow_latest(follow);
    }
    let config = change.issuers_config.clone();
    let moves = change.moves_default();
    change.commit(&[], &[]).await?;
    let mut warnings = Vec::new();
    if moves {
        warnings = crl::default_moved(mount).await?;
    }
    let response = Response::data(&json!({
        "default": config.default,
        "default_follows_latest_issuer": config.default_follows_latest_issuer,
    }))?
    .warn_all(warnings);
    Ok(if issuer.entry.key_id.is_empty() {
        response.warn(
            "This selected default issuer has no key associated with it. Some operations like issuing certificates and signing CRLs will be unavailable with the requested default issuer until a key is imported or the default issuer is changed.",
        )
    } else {
        response
    })
}

fn next() -> String {
    "next".into()
}
