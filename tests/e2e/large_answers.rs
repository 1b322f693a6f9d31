//! A CRL of several MB through a real server: the whole of it, each time, at once.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use landfast_pki::crl::{CrlTemplate, RevokedEntries};
use landfast_pki::{Certificate, KeySpec, PrivateKey, SerialNumber, SignatureAlgorithm};
use serde_json::json;

use crate::support::{Client, PLUGIN_NAME, Server, private_memory};

/// How often the CRL is read. The environment variable `LANDFAST_ROUNDS` has another number.
const ROUNDS: usize = 20;
/// An answer that hangs comes when something else is written on its connection, after most of a minute. One that is only slow comes before this.
const LATE: Duration = Duration::from_secs(20);
/// What a plugin may keep of it all: the CRL as it is sent, some 7 MiB, and what it has without one.
const HELD: usize = 20 << 20;
/// Revocations, of which each takes some 38 bytes of a CRL.
const REVOKED: u64 = 140_000;

#[test]
fn a_crl_of_five_megabytes_comes_each_time() {
    let rounds = std::env::var("LANDFAST_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let server = Server::dev_on("raw_storage_endpoint = true\n");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    let root = client.write("pki/root/generate/internal", root).ok();
    let crl = large_crl(&root.text("certificate"));
    assert!(crl.len() > 5_000_000, "{}", crl.len());

    // To revoke as many would take minutes; the plugin reads what lies there when it starts anew.
    let folder = folder(&client, "pki");
    put(
        &client,
        &format!("{folder}{}", crl_key(&client, &folder)),
        &crl,
    );
    reload(&client, "pki");

    let anybody = client.with_token("");
    for round in 0..rounds {
        let asked = Instant::now();
        let reply = anybody.read("pki/crl").ok();
        let took = asked.elapsed();
        assert!(took < LATE, "round {round} took {took:?}");
        assert!(reply.bytes == crl, "round {round} brought something else");
    }

    // Eight at a time, as after a change that all nodes hear of.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| anybody.read("pki/crl").ok());
        }
    });
    let held: Vec<_> = server.plugins().into_iter().map(private_memory).collect();
    assert!(!held.is_empty(), "no plugin is left");
    assert!(held.iter().all(|held| *held < HELD), "{held:?}");
}

/// Where the storage of a mount lies under `sys/raw`.
pub(crate) fn folder(client: &Client, mount: &str) -> String {
    let uuid = client
        .read(&format!("sys/mounts/{mount}"))
        .ok()
        .text("uuid");
    format!("sys/raw/logical/{uuid}/")
}

/// The storage key of a mount's only complete CRL.
pub(crate) fn crl_key(client: &Client, folder: &str) -> String {
    let names = client.list(&format!("{folder}crls/")).ok().texts("keys");
    let mut names = names.into_iter();
    let id = names.find(|name| *name != "config" && !name.ends_with("-delta"));
    format!("crls/{}", id.expect("a root has a CRL"))
}

/// Stores bytes behind the engine's back.
pub(crate) fn put(client: &Client, key: &str, bytes: &[u8]) {
    let stored = json!({"value": STANDARD.encode(bytes), "encoding": "base64"});
    client.write(key, stored).ok();
}

/// Makes the plugin forget what it has read of a mount.
pub(crate) fn reload(client: &Client, mount: &str) {
    let mounts = json!({"mounts": [format!("{mount}/")]});
    client.write("sys/plugins/reload/backend", mounts).ok();
}

/// A CRL of the CA, as far as a reader of bytes can tell.
pub(crate) fn large_crl(root: &str) -> Vec<u8> {
    let root = Certificate::from_pem(root.as_bytes()).expect("a certificate");
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).expect("offered")).expect("a key");
    let now = Timestamp::now();
    let mut entries = RevokedEntries::new();
    for number in 0..REVOKED {
        let mut serial = [0x11; 20];
        serial[12..].copy_from_slice(&number.to_be_bytes());
        entries.push(&SerialNumber::from_bytes(&serial), now);
    }
    let template = CrlTemplate {
        issuer: root.subject().clone(),
        authority_key_id: root.ski().expect("a root has one").to_vec(),
        number: 2,
        this_update: now,
        next_update: now + SignedDuration::from_hours(72),
        delta_base: None,
        freshest: Vec::new(),
        more: Vec::new(),
    };
    let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false).expect("one fits");
    let signed = template.prepare(entries, algorithm.algorithm).sign(&key);
    signed.expect("a local key signs").der().to_vec()
}
