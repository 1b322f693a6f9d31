//! `config/acme-validation`: where validation may connect to. Ours: the built-in engine connects wherever clients send it.

use landfast_acme::Networks;
use landfast_sdk::logical::{CommaList, Cx, Error, NoFields, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::acme::validation;
use crate::entry;
use crate::entry::acme::ValidationConfig;
use crate::mount::Shared;

/// Where to.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Wish {
    /// `public` addresses, `private` ones, or networks such as `10.0.0.0/8`. Addresses of the node itself and of the link are reached only where a
    /// network of theirs is named, such as `127.0.0.1/32`.
    #[schemars(extend("default" = ["public"]))]
    networks: Option<CommaList>,
}

/// `GET config/acme-validation`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    show(&validation::networks(&mount).await?)
}

/// `POST config/acme-validation`.
pub(crate) async fn write(mount: Shared, _cx: Cx, wish: Wish) -> Result<Response, Error> {
    let Some(asked) = wish.networks else {
        return show(&validation::networks(&mount).await?);
    };
    let networks = Networks::parse(&asked.0)
        .map_err(|why| Error::BadRequest(format!("invalid networks: {why}")))?;
    let known = mount
        .load::<ValidationConfig>(ValidationConfig::KEY)
        .await?;
    let mut config = known.as_deref().cloned().unwrap_or_default();
    config.networks = networks.items();
    mount
        .put(ValidationConfig::KEY, entry::encode(&config))
        .await?;
    show(&networks)
}

fn show(networks: &Networks) -> Result<Response, Error> {
    Response::data(&json!({ "networks": networks.items() }))
}
