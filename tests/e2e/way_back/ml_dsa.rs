//! ML-DSA keys of a mount that is taken over and given back: each engine goes on with the keys of the other.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Client, MlDsa, Release, Server, TakeOver, until};

const SIZES: [u32; 3] = [44, 65, 87];

/// Roots of each size, an intermediate below each, and a key without an issuer.
fn make(client: &Client, who: &str) {
    let post = |path: &str, body: Value| client.write(&format!("pki/{path}"), body).ok();
    for size in SIZES {
        let name = format!("{who}-{size}");
        let kind =
            json!({"key_type": "mldsa", "key_bits": size, "common_name": name, "ttl": "8000h"});
        let mut root = kind.clone();
        root["issuer_name"] = json!(name);
        root["key_name"] = json!(name);
        post("root/generate/internal", root);
        let csr = post("intermediate/generate/internal", kind).text("csr");
        let body = json!({"csr": csr, "common_name": format!("{name} low"), "ttl": "4000h"});
        let signed = post(&format!("issuer/{name}/sign-intermediate"), body);
        let body = json!({"certificate": signed.text("certificate")});
        let set = post("intermediate/set-signed", body).texts("imported_issuers");
        let low = json!({"issuer_name": format!("{name}-low")});
        post(&format!("issuer/{}", set[0]), low);
        let body =
            json!({"key_type": "mldsa", "key_bits": size, "key_name": format!("{name}-spare")});
        post("keys/generate/internal", body);
    }
}

/// Issues, revokes and rotates under everything that [`make`] made, and has it read by others.
fn works(client: &Client, others: &MlDsa, who: &str, now: &str) {
    let post = |path: &str, body: Value| client.write(&format!("pki/{path}"), body).ok();
    for size in SIZES {
        for issuer in [format!("{who}-{size}"), format!("{who}-{size}-low")] {
            let role = format!("{now}-{issuer}");
            let body = json!({"key_type": "mldsa", "key_bits": size, "allow_any_name": true, "ttl": "2h",
                "issuer_ref": issuer, "key_usage": "DigitalSignature"});
            post(&format!("roles/{role}"), body);
            let name = json!({"common_name": "a.example.com"});
            let leaf = post(&format!("issue/{role}"), name);
            post(
                "revoke",
                json!({"serial_number": leaf.text("serial_number")}),
            );
            client.read("pki/crl/rotate").ok();
            let ca = client.read(&format!("pki/issuer/{issuer}")).ok();
            let crl = client.read(&format!("pki/issuer/{issuer}/crl")).ok();
            let said = others.check(
                &ca.text("certificate"),
                &[
                    leaf.text("certificate").as_bytes(),
                    crl.text("crl").as_bytes(),
                ],
            );
            assert!(!said.contains("0 revoked"), "{said}");
        }
        // A spare key takes a certificate, and a new name.
        let spare = format!("{who}-{size}-spare");
        let body =
            json!({"key_ref": spare, "common_name": format!("{now} {spare}"), "ttl": "8000h"});
        post("root/generate/existing", body);
        post(
            &format!("key/{spare}"),
            json!({"key_name": format!("{now}-{spare}")}),
        );
        post(&format!("key/{now}-{spare}"), json!({"key_name": spare}));
    }
}

/// The stored entries of keys by name: what of them does not differ from key to key, and the private key without its seed.
fn stored(client: &Client) -> Vec<(String, Value, Vec<u8>)> {
    let mounts = client.read("sys/mounts/pki").ok();
    let folder = format!("sys/raw/logical/{}/config/key/", mounts.text("uuid"));
    let ids = client.list(&folder).ok().texts("keys");
    let entry = |id: &String| {
        let read = client.read(&format!("{folder}{id}")).ok();
        let mut entry: Value = serde_json::from_str(&read.text("value")).expect("JSON");
        assert_eq!(entry["id"], json!(id));
        entry["id"] = Value::Null;
        let name = entry["name"].take().as_str().expect("a name").to_owned();
        let pem = entry["private_key"].take();
        let pem = pem.as_str().expect("PEM");
        let body = pem
            .strip_prefix("-----BEGIN PRIVATE KEY-----\n")
            .and_then(|rest| rest.strip_suffix("\n-----END PRIVATE KEY-----\n"))
            .unwrap_or_else(|| panic!("{}", pem.lines().next().unwrap_or_default()));
        let mut der = STANDARD.decode(body.replace('\n', "")).expect("base64");
        der.truncate(der.len() - 32);
        (name, entry, der)
    };
    ids.iter().map(entry).collect()
}

#[test]
fn ml_dsa_keys_go_over_and_come_back() {
    let server = Server::bare_dev_on("raw_storage_endpoint = true\n");
    let mount = TakeOver::mount(&server);
    let (client, others) = (server.client(), MlDsa::new());
    make(&client, "theirs");
    works(&client, &others, "theirs", "before");

    mount.to_ours(&server);
    works(&client, &others, "theirs", "ours");
    make(&client, "ours");
    works(&client, &others, "ours", "ours");
    let entries = stored(&client);
    let of = |start: &str, size: u32| {
        let mut found: Vec<_> = entries
            .iter()
            .filter(|(name, ..)| {
                *name == format!("{start}-{size}") || *name == format!("{start}-{size}-spare")
            })
            .map(|(_, entry, der)| (entry.clone(), der.clone()))
            .collect();
        assert_eq!(found.len(), 2, "{start} {size}");
        found.dedup();
        assert_eq!(found.len(), 1, "{start} {size}: {found:?}");
        found.remove(0)
    };
    for size in SIZES {
        assert_eq!(of("ours", size), of("theirs", size), "{size}");
    }

    mount.back(&server);
    until("the plugin's process ends", Duration::from_secs(20), || {
        server.plugins().is_empty().then_some(())
    });
    works(&client, &others, "ours", "back");
    works(&client, &others, "theirs", "back");
}

/// The built-in engine of OpenBao 2.6.2 knows no such key: what stops there, and what an operator does about it.
#[test]
fn a_server_that_knows_no_ml_dsa_wants_them_gone() {
    let server = Server::bare_dev(Release::Previous);
    let mount = TakeOver::mount(&server);
    let client = server.client();
    let post = |path: &str, body: Value| client.write(&format!("pki/{path}"), body);
    mount.to_ours(&server);
    for kind in ["ec", "mldsa"] {
        let body = json!({"common_name": kind, "key_type": kind, "issuer_name": kind, "key_name": kind, "ttl": "8000h"});
        post("root/generate/internal", body).ok();
    }
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h", "issuer_ref": "ec"});
    post("roles/one", role).ok();

    mount.back(&server);
    let name = json!({"common_name": "a.example.com"});
    let new = json!({"common_name": "New", "key_type": "ec"});
    post("issue/one", name.clone()).ok();
    client.read("pki/issuer/mldsa").ok();
    assert_eq!(client.read("pki/key/mldsa").status, 500);
    assert_eq!(post("issuer/mldsa/issue/one", name.clone()).status, 500);
    assert_eq!(post("root/generate/internal", new.clone()).status, 500);
    assert_eq!(client.read("pki/crl/rotate").status, 500);
    client.delete("pki/issuer/mldsa").ok();
    client.delete("pki/key/mldsa").ok();
    client.read("pki/crl/rotate").ok();
    post("root/generate/internal", new).ok();
    post("issue/one", name).ok();
}
