//! Seal migrations to and from the plugin.

use serde_json::json;

use super::host::{Host, fake, seal};
use crate::support::{Release, Server};

fn migrate(host: &Host, key: &str) {
    host.client()
        .call(
            "PUT",
            "sys/unseal",
            Some(json!({"key": key, "migrate": true})),
        )
        .ok();
    host.await_active();
}

#[test]
fn from_key_shares_and_back() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, "");
    host.init_shamir();
    let share = host.recovery_key.clone();
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": share})))
        .ok();
    host.await_active();
    host.write_secret("shares");
    host.stop();

    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    migrate(&host, &share);
    assert_eq!(host.secret(), "shares");
    host.stop();
    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "shares");
    host.stop();

    host.start(
        Release::Current,
        &(host.plugin("") + &seal(&fake, "disabled = true")),
    );
    migrate(&host, &share);
    host.stop();
    host.start(Release::Current, "");
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": share})))
        .ok();
    host.await_active();
    assert_eq!(host.secret(), "shares");
}

#[test]
fn from_transit() {
    let fake = fake();
    let keeper = Server::bare_dev(Release::Current);
    let client = keeper.client();
    client
        .write("sys/mounts/transit", json!({"type": "transit"}))
        .ok();
    client.write("transit/keys/unseal", json!({})).ok();
    let transit = |more: &str| {
        format!(
            "seal \"transit\" {{\n  address = \"{}\"\n  token = \"{}\"\n  key_name = \"unseal\"\n  mount_path = \"transit\"\n  \
             disable_renewal = \"true\"\n  {more}\n}}\n",
            client.address(),
            client.token()
        )
    };
    let mut host = Host::new();
    host.start(Release::Current, &transit(""));
    host.init();
    host.write_secret("transit");
    host.stop();

    let config = host.plugin("") + &seal(&fake, "");
    host.start(
        Release::Current,
        &(config.clone() + &transit("disabled = true")),
    );
    migrate(&host, &host.recovery_key.clone());
    assert_eq!(host.secret(), "transit");
    // During a migration the server shows the new seal the old one's blobs.
    let calls = fake.calls();
    assert!(calls.iter().all(|call| call.failed.is_none()), "{calls:?}");
    host.stop();

    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "transit");
}

#[test]
fn the_name_of_the_stanza_may_change_and_its_type_stays() {
    let fake = fake();
    let mut host = Host::new();
    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("renamed");
    host.stop();
    host.start(
        Release::Current,
        &config.replace("\"awskms\"", "\"unseal2\""),
    );
    host.await_active();
    assert_eq!(host.secret(), "renamed");
}
