//! `config/key-pool`: RSA keys made ahead.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::entry;
use crate::entry::config::KeyPoolConfig;
use crate::mount::Shared;
use crate::pool;

/// How many keys are kept ready in each process that serves the mount; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct KeyPoolRequest {
    /// RSA keys of 2048 bits, 100 at most.
    #[schemars(extend("default" = 0))]
    rsa_2048: Option<i64>,
    /// RSA keys of 3072 bits, 100 at most.
    #[schemars(extend("default" = 0))]
    rsa_3072: Option<i64>,
    /// RSA keys of 4096 bits, 100 at most.
    #[schemars(extend("default" = 0))]
    rsa_4096: Option<i64>,
}

/// `GET config/key-pool`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let config = pool::config(&mount).await?;
    show(&mount, &config)
}

/// `POST config/key-pool`.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    request: KeyPoolRequest,
) -> Result<Response, Error> {
    let mut config = KeyPoolConfig::clone(&*pool::config(&mount).await?);
    for (name, number, sent) in [
        ("rsa_2048", &mut config.rsa_2048, request.rsa_2048),
        ("rsa_3072", &mut config.rsa_3072, request.rsa_3072),
        ("rsa_4096", &mut config.rsa_4096, request.rsa_4096),
    ] {
        let Some(sent) = sent else { continue };
        *number = u32::try_from(sent)
            .ok()
            .filter(|sent| *sent <= MOST)
            .ok_or_else(|| {
                Error::bad_request(format!("{name} must be from 0 to {MOST}; got: {sent}"))
            })?;
    }
    mount
        .put(KeyPoolConfig::KEY, entry::encode(&config))
        .await?;
    pool::fill(&mount);
    show(&mount, &config)
}

fn show(mount: &Shared, config: &KeyPoolConfig) -> Result<Response, Error> {
    Response::data(&json!({
        "rsa_2048": config.rsa_2048,
        "rsa_3072": config.rsa_3072,
        "rsa_4096": config.rsa_4096,
        "rsa_2048_ready": mount.pool.ready(2048),
        "rsa_3072_ready": mount.pool.ready(3072),
        "rsa_4096_ready": mount.pool.ready(4096),
    }))
}

/// Keys of a size at most.
const MOST: u32 = 100;
