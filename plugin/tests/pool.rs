//! RSA keys made ahead. In a process of their own: keys are made while it is idle.

use std::collections::HashSet;
use std::time::Duration;

use landfast_pki::{Certificate, PrivateKey};
use landfast_plugin::Mount;
use landfast_sdk::testing::{Harness, HttpReply};
use serde_json::{Value, json};

async fn with_ca() -> Harness<Mount> {
    let mount = Harness::<Mount>::new().await;
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "700h"});
    assert_eq!(
        mount.update("root/generate/internal", root).await.status,
        200
    );
    mount
}

/// Writes the role `r` with a key of so many bits.
async fn role(mount: &Harness<Mount>, bits: u32, allowed: bool) {
    let role = json!({"allow_any_name": allowed, "key_type": "rsa", "key_bits": bits, "ttl": "1h"});
    assert_eq!(mount.update("roles/r", role).await.status, 200);
}

async fn issue(mount: &Harness<Mount>) -> HttpReply {
    mount.update("issue/r", json!({"common_name": "a.b"})).await
}

async fn ready(mount: &Harness<Mount>) -> u64 {
    mount.read("config/key-pool").await.data["rsa_2048_ready"]
        .as_u64()
        .unwrap()
}

/// Waits until so many keys are ready.
async fn filled(mount: &Harness<Mount>, number: u64) {
    for _ in 0..3_000 {
        if ready(mount).await == number {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the pool is not filled");
}

async fn pair(mount: &Harness<Mount>) -> (Certificate, PrivateKey) {
    let reply = issue(mount).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    let key = reply.data["private_key"].as_str().unwrap();
    (
        Certificate::from_pem(reply.data["certificate"].as_str().unwrap().as_bytes()).unwrap(),
        PrivateKey::from_pem(key.as_bytes()).unwrap(),
    )
}

#[tokio::test]
async fn keys_are_made_ahead_and_handed_out_once() {
    let mount = with_ca().await;
    role(&mount, 2048, true).await;
    assert_eq!(ready(&mount).await, 0, "off unless it is asked for");
    let set = mount
        .update("config/key-pool", json!({"rsa_2048": 2}))
        .await;
    assert_eq!(
        (set.status, &set.data["rsa_2048"], &set.data["rsa_4096"]),
        (200, &json!(2), &json!(0))
    );
    filled(&mount, 2).await;
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let (leaf, key) = pair(&mount).await;
        assert_eq!(leaf.public_key().spki_der(), key.public_key().spki_der());
        assert_eq!(key.public_key().bits(), 2048);
        assert!(
            seen.insert(key.public_key().spki_der().to_vec()),
            "a key twice"
        );
    }
    filled(&mount, 2).await;
    // Another size does not touch it, and CA keys do not come from it.
    role(&mount, 3072, true).await;
    assert_eq!(pair(&mount).await.1.public_key().bits(), 3072);
    let root = json!({"common_name": "R", "key_type": "rsa"});
    assert_eq!(
        mount.update("root/generate/internal", root).await.status,
        200
    );
    assert_eq!(ready(&mount).await, 2);

    // A request that is refused takes none.
    role(&mount, 2048, false).await;
    assert_eq!(issue(&mount).await.status, 400);
    assert_eq!(ready(&mount).await, 2);

    // Four were taken, one found none of its size because none is wanted, and the rest is as the figures say.
    let told = mount.read("metrics").await.text();
    let of = |name: &str| -> u64 {
        let line = format!("landfast_pki_key_pool_{name}{{bits=\"2048\"}} ");
        let at = told.find(&line).unwrap() + line.len();
        told[at..].lines().next().unwrap().parse().unwrap()
    };
    assert_eq!(of("ready"), 2);
    assert!(of("taken_total") >= 2);
    assert_eq!(of("taken_total") + of("misses_total"), 4);
    assert!(told.contains("landfast_pki_key_pool_misses_total{bits=\"3072\"} 0\n"));

    // They do not outlive the process, and the next one makes its own.
    let mount = mount.reload().await;
    filled(&mount, 2).await;
    mount
        .update("config/key-pool", json!({"rsa_2048": 0}))
        .await;
    filled(&mount, 0).await;
}

#[tokio::test]
async fn a_wrong_number_is_refused_and_changes_nothing() {
    let mount = with_ca().await;
    for (body, text) in [
        (
            json!({"rsa_2048": 101}),
            "rsa_2048 must be from 0 to 100; got: 101",
        ),
        (
            json!({"rsa_3072": 1, "rsa_4096": -1}),
            "rsa_4096 must be from 0 to 100; got: -1",
        ),
    ] {
        let reply = mount.update("config/key-pool", body).await;
        assert_eq!((reply.status, reply.error()), (400, text));
    }
    let read = mount.read("config/key-pool").await.data;
    let wanted = ["rsa_2048", "rsa_3072", "rsa_4096"].map(|name| read[name].clone());
    assert_eq!(wanted, [0, 0, 0].map(Value::from));
}
