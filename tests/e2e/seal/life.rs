//! What operators do with a server under our seal, besides restarting it.

use std::time::Duration;

use serde_json::{Value, json};

use super::host::{Host, fake, seal};
use crate::support::{Release, until};

#[test]
fn a_sealed_server_stays_sealed_until_somebody_brings_recovery_keys() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    host.write_secret("behind the seal");
    // Both probes of the start are over.
    until("five calls", Duration::from_secs(10), || {
        (fake.calls().len() >= 6).then_some(())
    });
    fake.take_operations();
    host.client().call("PUT", "sys/seal", None).ok();
    assert_eq!(host.health(), Some(503));
    assert_eq!(fake.take_operations(), [""; 0], "sealing asks nobody");
    let key = host.recovery_key.clone();
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": key})))
        .ok();
    host.await_active();
    assert_eq!(host.secret(), "behind the seal");
}

#[test]
fn root_token_recovery_keys_and_root_key_change_and_a_restart_follows() {
    let fake = fake();
    let mut host = Host::new();
    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("rotated");
    let client = host.client();

    // Two operations that the recovery key allows: what starts each says the nonce of its update.
    let by_recovery_key = |start: &str, update: &str, body: Value| {
        let nonce = client.call("PUT", start, Some(body)).ok().text("nonce");
        let body = json!({"key": host.recovery_key, "nonce": nonce});
        let done = client.call("PUT", update, Some(body)).ok();
        assert_eq!(done.data()["complete"], true, "{start}");
        done
    };
    by_recovery_key(
        "sys/generate-root-token/attempt",
        "sys/generate-root-token/update",
        json!({}),
    );
    let fresh = by_recovery_key(
        "sys/rotate/recovery/init",
        "sys/rotate/recovery/update",
        json!({"secret_shares": 1, "secret_threshold": 1}),
    );
    fake.take_operations();
    client.call("PUT", "sys/rotate/root", Some(json!({}))).ok();
    assert!(
        fake.take_operations().contains(&"Encrypt".to_owned()),
        "the new root key is wrapped"
    );
    let fresh = fresh.data()["keys_base64"][0].as_str().map(str::to_owned);
    host.recovery_key = fresh.expect("a new recovery key");
    host.stop();

    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "rotated");
    host.client().call("PUT", "sys/seal", None).ok();
    let key = host.recovery_key.clone();
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": key})))
        .ok();
    host.await_active();
}

#[test]
fn a_snapshot_comes_back() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    host.write_secret("before");
    let snapshot = host.dir().join("snapshot");
    host.curl(&["--output", snapshot.to_str().expect("UTF-8")]);
    host.write_secret("after");
    fake.take_operations();
    let data = format!("@{}", snapshot.display());
    host.curl(&["--request", "PUT", "--data-binary", &data]);
    until("the old value", Duration::from_secs(30), || {
        let reply = host.client().try_call("GET", "kv/secret", None).ok()?;
        (reply.body["data"]["value"] == "before").then_some(())
    });
    assert!(
        fake.take_operations().contains(&"Decrypt".to_owned()),
        "its checksums are under the seal"
    );
}
