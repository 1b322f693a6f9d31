//! A mount with the certificate authority of the recordings.

use std::sync::Arc;
use std::time::Duration;

use landfast_pki::Certificate;
use landfast_plugin::{FixedClock, Mount};
use landfast_sdk::testing::{FixedSystem, Harness, HttpReply};
use serde_json::{Value, json};

/// Certificate and key (P-256) of the authority; made for the tests, and valid until 2126.
pub(crate) const CA: &str = include_str!("../data/ca.pem");

/// A CSR for `csr.example.com` with a P-256 key.
pub(crate) const CSR: &str = include_str!("../data/csr.pem");

/// An empty mount whose clock stands still, on a host that allows ten years.
pub(crate) async fn empty() -> Harness<Mount> {
    on(system()).await
}

pub(crate) fn system() -> FixedSystem {
    let hour = Duration::from_secs(3600);
    FixedSystem::new().lease_ttls(768 * hour, 87_600 * hour)
}

pub(crate) async fn on(system: FixedSystem) -> Harness<Mount> {
    let mount = Harness::<Mount>::builder()
        .system(system)
        .start()
        .await
        .unwrap();
    stop_clock(&mount);
    mount
}

pub(crate) fn stop_clock(mount: &Harness<Mount>) {
    mount.backend().use_clock(Arc::new(FixedClock(
        "2026-11-22T15:00:00Z".parse().unwrap(),
    )));
}

/// As [`empty`], with the authority as default issuer.
pub(crate) async fn with_ca() -> Harness<Mount> {
    let mount = empty().await;
    import(&mount).await;
    mount
}

pub(crate) async fn import(mount: &Harness<Mount>) {
    let reply = mount.update("config/ca", json!({"pem_bundle": CA})).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
}

/// Writes the role `r`: any name, P-256, one hour; `more` wins.
pub(crate) async fn role(mount: &Harness<Mount>, more: Value) {
    let mut fields =
        json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h", "max_ttl": "24h"});
    let Value::Object(more) = more else {
        panic!("a role is an object")
    };
    fields.as_object_mut().unwrap().extend(more);
    let reply = mount.update("roles/r", fields).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
}

pub(crate) async fn issue(mount: &Harness<Mount>, fields: Value) -> HttpReply {
    mount.update("issue/r", fields).await
}

/// The certificate of a granted request.
pub(crate) fn certificate(reply: &HttpReply) -> Certificate {
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    Certificate::from_pem(reply.data["certificate"].as_str().unwrap().as_bytes()).unwrap()
}
