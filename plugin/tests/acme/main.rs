//! The ACME server through the path table, on memory storage and on storage that fails, with a stand-in for the network.

mod accounts;
mod client;
mod directories;
mod faults;
mod jws;
mod orders;
mod renewal;
mod tidy;
mod validation;

use std::sync::Arc;
use std::time::Duration;

use landfast_acme::{Kind, Problem};
use landfast_plugin::{Mount, Validate};
use landfast_sdk::testing::{FaultyStorage, FixedSystem, Harness};
use serde_json::{Value, json};

use client::ROOT;

/// Everybody controls every name, but for those that begin with `bad`, and those that begin with `slow` take long.
struct StandIn;

#[async_trait::async_trait]
impl Validate for StandIn {
    async fn check(
        &self,
        challenge: &str,
        name: &str,
        token: &str,
        thumbprint: &str,
    ) -> Result<(), Problem> {
        assert!(
            token.len() >= 22 && thumbprint.len() == 43,
            "{token} {thumbprint}"
        );
        if name.starts_with("slow") {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        if name.starts_with("bad") {
            return Err(Problem::new(
                Kind::IncorrectResponse,
                format!("{challenge}: nothing is there"),
            ));
        }
        Ok(())
    }
}

/// A mount with a root, ACME turned on as `more` says.
async fn served(more: Value) -> Harness<Mount> {
    served_on(FaultyStorage::new(), more).await
}

async fn served_on(storage: FaultyStorage, more: Value) -> Harness<Mount> {
    let hour = Duration::from_secs(3600);
    let mount = Harness::<Mount>::builder()
        .system(FixedSystem::new().lease_ttls(768 * hour, 87_600 * hour))
        .storage(storage)
        .start::<landfast_plugin::Mount>()
        .await
        .unwrap();
    mount.backend().use_validator(Arc::new(StandIn));
    let root = json!({ "common_name": "Root", "key_type": "ec", "ttl": "87600h" });
    let reply = mount.update("root/generate/internal", root).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    let role = json!({ "allowed_domains": "example.com", "allow_subdomains": true, "allow_bare_domains": true, "key_type": "any" });
    assert_eq!(mount.update("roles/web", role).await.status, 200);
    assert_eq!(
        mount
            .update("config/cluster", json!({ "path": ROOT }))
            .await
            .status,
        200
    );
    let mut config = more;
    config["enabled"] = true.into();
    let reply = mount.update("config/acme", config).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    mount
}
