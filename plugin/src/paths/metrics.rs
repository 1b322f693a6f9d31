//! `metrics`: figures for Prometheus, and `config/metrics`: whether they are for anybody.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::entry;
use crate::entry::config::MetricsConfig;
use crate::mount::{Mount, Shared};
use crate::scrape;

/// Who may read the figures; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MetricsRequest {
    /// Whether `metrics/public` answers everybody, without a token.
    #[schemars(extend("default" = false))]
    unauthenticated: Option<bool>,
}

/// `GET metrics`, for whoever a policy lets.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    answer(&mount).await
}

/// `GET metrics/public`, for anybody once an operator said so. The host fixes at the plugin's start which paths need no token, so this one is always
/// among them, and refuses by itself.
pub(crate) async fn public(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    if !config(&mount).await?.unauthenticated {
        return Err(Error::Status {
            code: 403,
            message: CLOSED.to_owned(),
        });
    }
    answer(&mount).await
}

/// `GET config/metrics`.
pub(crate) async fn read_config(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    show(&*config(&mount).await?)
}

/// `POST config/metrics`.
pub(crate) async fn write_config(
    mount: Shared,
    _cx: Cx,
    request: MetricsRequest,
) -> Result<Response, Error> {
    let mut config = MetricsConfig::clone(&*config(&mount).await?);
    config.unauthenticated = request.unauthenticated.unwrap_or(config.unauthenticated);
    mount
        .put(MetricsConfig::KEY, entry::encode(&config))
        .await?;
    show(&config)
}

async fn config(mount: &Mount) -> Result<std::sync::Arc<MetricsConfig>, Error> {
    mount.load_or_default(MetricsConfig::KEY).await
}

fn show(config: &MetricsConfig) -> Result<Response, Error> {
    Response::data(&json!({ "unauthenticated": config.unauthenticated }))
}

async fn answer(mount: &Mount) -> Result<Response, Error> {
    let text = scrape::text(mount).await?;
    Ok(Response::raw(200, scrape::CONTENT_TYPE, text.into_bytes()))
}

const CLOSED: &str = "metrics without a token are off on this mount: read metrics with a token, or have an operator set unauthenticated=true at config/metrics";
