//! `config/cluster`: where this cluster is reachable.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::entry;
use crate::entry::config::ClusterConfig;
use crate::mount::Shared;
use crate::url::is_url;

/// The addresses to set; one that is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ClusterRequest {
    /// URL of this mount on this cluster, such as `https://vault.example:8200/v1/pki`.
    path: Option<String>,
    /// URL of this mount, or of a server of static files, for AIA documents; plain HTTP is usual here (RFC 5280 section 8).
    aia_path: Option<String>,
}

/// `GET config/cluster`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    describe(
        &*mount
            .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
            .await?,
    )
}

/// `POST config/cluster`.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    request: ClusterRequest,
) -> Result<Response, Error> {
    let mut config = (*mount
        .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
        .await?)
        .clone();
    for (name, address, sent) in [
        ("path", &mut config.path, request.path),
        ("aia_path", &mut config.aia_path, request.aia_path),
    ] {
        let Some(sent) = sent else { continue };
        if !is_url(&sent) {
            return Err(Error::Failed(format!(
                "invalid, non-URL {name} given to cluster: {sent}"
            )));
        }
        *address = sent;
    }
    mount
        .put(ClusterConfig::KEY, entry::encode(&config))
        .await?;
    describe(&config)
}

fn describe(config: &ClusterConfig) -> Result<Response, Error> {
    Response::data(&json!({ "path": config.path, "aia_path": config.aia_path }))
}
