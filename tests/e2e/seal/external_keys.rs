//! The server's own engines with keys that AWS KMS keeps.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake_aws::{ACCESS_KEY, FakeAws, REGION};
use super::host::{Host, fake, kill, seal};
use crate::support::{Client, Openssl, Release, until};

pub(super) fn host_with_keys(fake: &FakeAws) -> Host {
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(fake, "")));
    host.init();
    let client = host.client();
    let config = json!({
        "plugin": "awskms", "region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "not-for-eyes",
    });
    client.write("sys/external-keys/configs/aws", config).ok();
    for (name, alias) in [
        ("p256", "alias/ca-p256"),
        ("p384", "alias/ca-p384"),
        ("rsa", "alias/ca-rsa"),
        ("data", "alias/bao-unseal-2"),
        ("mldsa44", "alias/ca-mldsa-44"),
        ("mldsa65", "alias/ca-mldsa-65"),
        ("mldsa87", "alias/ca-mldsa-87"),
    ] {
        client
            .write(
                &format!("sys/external-keys/configs/aws/keys/{name}"),
                json!({"name": alias}),
            )
            .ok();
        for mount in ["pki", "transit"] {
            client
                .write(
                    &format!("sys/external-keys/configs/aws/keys/{name}/grants/{mount}"),
                    json!({}),
                )
                .ok();
        }
    }
    client
        .write(
            "sys/mounts/pki",
            json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}}),
        )
        .ok();
    client
        .write("sys/mounts/transit", json!({"type": "transit"}))
        .ok();
    host
}

fn root(client: &Client, key: &str, more: &Value) -> String {
    let mut body = json!({"common_name": format!("Root {key}"), "external_key_ref": format!("aws:{key}"), "ttl": "8760h"});
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let reply = client.write("pki/issuers/generate/root/kms", body).ok();
    reply.body["data"]["certificate"]
        .as_str()
        .expect("a certificate")
        .to_owned()
}

#[test]
fn the_built_in_engine_signs_with_keys_in_aws_kms() {
    let fake = fake();
    let host = host_with_keys(&fake);
    let client = host.client();
    client
        .write(
            "pki/roles/web",
            json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec"}),
        )
        .ok();
    for (key, more) in [
        ("p256", json!({})),
        ("p384", json!({})),
        ("rsa", json!({})),
        ("rsa", json!({"use_pss": true})),
    ] {
        let openssl = Openssl::new();
        let root = root(&client, key, &more);
        let issuer = client.read("pki/issuer/default").ok().body["data"]["issuer_id"]
            .as_str()
            .map(str::to_owned);
        let issuers = client.list("pki/issuers").ok().body["data"]["keys"].clone();
        let newest = issuers.as_array().expect("issuers").iter().find(|id| {
            let read = client
                .read(&format!("pki/issuer/{}", id.as_str().expect("an id")))
                .ok();
            read.body["data"]["certificate"].as_str().map(str::trim) == Some(root.trim())
        });
        let newest = newest
            .and_then(Value::as_str)
            .or(issuer.as_deref())
            .expect("an issuer")
            .to_owned();
        let leaf = client
            .write(
                &format!("pki/issuer/{newest}/issue/web"),
                json!({"common_name": "node.example"}),
            )
            .ok();
        let leaf = leaf.body["data"]["certificate"]
            .as_str()
            .expect("a certificate")
            .to_owned();
        let crl = client.read(&format!("pki/issuer/{newest}/crl/pem")).bytes;
        let (root, leaf, crl) = (
            openssl.file("root.pem", root),
            openssl.file("leaf.pem", leaf),
            openssl.file("crl.pem", crl),
        );
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("openssl")
                .args(arguments)
                .output()
                .expect("openssl runs");
            let said = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert!(
                output.status.success() && !said.contains("failure"),
                "{key} {more}: openssl {arguments:?}: {said}"
            );
        };
        let text = |path: &std::path::Path| path.to_str().expect("a path of ours").to_owned();
        run(&[
            "verify",
            "-x509_strict",
            "-CAfile",
            &text(&root),
            &text(&root),
        ]);
        run(&[
            "verify",
            "-x509_strict",
            "-CAfile",
            &text(&root),
            &text(&leaf),
        ]);
        run(&["crl", "-noout", "-CAfile", &text(&root), "-in", &text(&crl)]);
    }

    // A plugin that dies is started again, with its configurations and keys. A request that meets the death itself may fail.
    host.plugins().into_iter().for_each(kill);
    let body = json!({"common_name": "Root again", "external_key_ref": "aws:p256", "ttl": "8760h"});
    until(
        "a signature by the plugin's successor",
        Duration::from_secs(20),
        || {
            let reply = client.write("pki/issuers/generate/root/kms", body.clone());
            (reply.status == 200).then_some(())
        },
    );
}

#[test]
fn transit_signs_verifies_and_encrypts_and_configurations_hide_their_secrets() {
    let fake = fake();
    let host = host_with_keys(&fake);
    let client = host.client();
    for key in ["p256", "p384", "rsa", "data"] {
        let body = json!({"type": "external-key", "external_key_ref": format!("aws:{key}")});
        client.write(&format!("transit/keys/{key}"), body).ok();
    }
    for key in ["p256", "p384", "rsa"] {
        let signed = client
            .write(&format!("transit/sign/{key}"), json!({"input": "aGVsbG8="}))
            .ok();
        let signature = signed.body["data"]["signature"].clone();
        let verify = |input: &str| {
            let body = json!({"input": input, "signature": signature});
            client
                .write(&format!("transit/verify/{key}"), body)
                .ok()
                .body["data"]["valid"]
                .clone()
        };
        assert_eq!(
            (verify("aGVsbG8="), verify("b3RoZXI=")),
            (json!(true), json!(false)),
            "{key}"
        );
    }
    let sealed = client
        .write("transit/encrypt/data", json!({"plaintext": "aGVsbG8="}))
        .ok()
        .body["data"]["ciphertext"]
        .clone();
    let opened = client
        .write("transit/decrypt/data", json!({"ciphertext": sealed}))
        .ok()
        .body["data"]["plaintext"]
        .clone();
    assert_eq!(opened, json!("aGVsbG8="));

    let read = client.read("sys/external-keys/configs/aws").ok();
    assert!(
        !String::from_utf8_lossy(&read.bytes).contains("not-for-eyes"),
        "{:?}",
        read.body
    );
    let refused = client.write(
        "sys/external-keys/configs/other",
        json!({"plugin": "awskms", "region": REGION}),
    );
    assert!(
        String::from_utf8_lossy(&refused.bytes).contains("credentials must be configured"),
        "{:?}",
        refused.body
    );
}
