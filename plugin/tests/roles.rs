//! Roles answer as the built-in engine does: exchanges recorded from OpenBao 2.7.2 are replayed in order.

use serde::Deserialize;
use serde_json::{Value, json};

use landfast_plugin::Mount;
use landfast_sdk::logical::Operation;
use landfast_sdk::testing::{Fault, Harness, HttpReply};

#[derive(Deserialize)]
struct Exchange {
    method: String,
    path: String,
    #[serde(default)]
    body: Value,
    status: u16,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

/// Where we differ on purpose: faults of the caller that the built-in engine calls its own, OIDs that it stores although they
/// cannot be encoded, and a text that echoes what was sent.
fn differs(exchange: &Exchange) -> bool {
    let body = &exchange.body;
    let unusable_oid = body["ext_key_usage_oids"] == "1";
    let echo = body["policy_identifiers"] == json!([{"oid": "1.2.3"}]);
    unusable_oid || echo
}

/// OpenBao 2.7.2 does the same when it is asked for a role that an older server stored.
#[tokio::test]
async fn a_role_of_an_older_layout_is_shown_and_stored_as_roles_are_now() {
    use landfast_sdk::logical::Storage;

    let mount = Harness::<Mount>::new().await;
    let role = json!({ "key_type": "ec", "ou": ["a", "b"], "key_usage": "DigitalSignature" });
    assert_eq!(mount.update("roles/old", role).await.status, 200);
    assert_eq!(mount.read("roles/old").await.data["generate_lease"], false);
    let stored = async || -> Value {
        let bytes = mount.storage().get("role/old").await.unwrap().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let mut entry = stored().await;
    entry["ou_list"] = Value::Null;
    entry["ou"] = json!("a,b");
    entry["key_usage_list"] = Value::Null;
    entry["key_usage"] = json!("KeyAgreement");
    entry.as_object_mut().unwrap().remove("generate_lease");
    let bytes = entry.to_string().into_bytes();
    mount.storage().put("role/old", bytes).await.unwrap();

    let shown = mount.read("roles/old").await.data;
    assert_eq!(shown["ou"], json!(["a", "b"]));
    assert_eq!(shown["key_usage"], json!(["KeyAgreement"]));
    assert_eq!(shown["generate_lease"], true);
    let entry = stored().await;
    assert_eq!(entry["ou_list"], json!(["a", "b"]));
    assert_eq!(entry["key_usage_list"], json!(["KeyAgreement"]));
    assert_eq!(entry["generate_lease"], true);
    assert!(
        entry.get("ou").is_none() && entry.get("key_usage").is_none(),
        "{entry}"
    );

    // One that is gone is gone.
    mount.storage().delete("role/old").await.unwrap();
    assert_eq!(mount.read("roles/old").await.status, 404);
}

#[tokio::test]
async fn exchanges_of_the_built_in_engine_replay() {
    let exchanges: Vec<Exchange> =
        serde_json::from_str(include_str!("data/roles-2.7.2.json")).unwrap();
    let mount = Harness::<Mount>::new().await;
    let mut wrong = Vec::new();
    for exchange in exchanges.iter().filter(|exchange| !differs(exchange)) {
        let reply = replay(&mount, exchange).await;
        let status = if exchange.status == 500 {
            400
        } else {
            exchange.status
        };
        let mut expected = exchange.warnings.clone();
        let mut got = reply.warnings.clone();
        expected.sort();
        got.sort();
        let errors_fit = exchange.status == 500
            || exchange
                .errors
                .iter()
                .map(|text| bare(text))
                .eq(reply.errors.iter().map(|text| bare(text)));
        if reply.status != status || reply.data != exchange.data || got != expected || !errors_fit {
            wrong.push(format!(
                "{} {} {}\n  want {} {} {:?} {expected:?}\n  got  {} {} {:?} {got:?}",
                exchange.method,
                exchange.path,
                exchange.body,
                exchange.status,
                exchange.data,
                exchange.errors,
                reply.status,
                reply.data,
                reply.errors,
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn a_new_role_is_stored_as_the_built_in_engine_stores_it() {
    let mount = Harness::<Mount>::new().await;
    let ec = json!({"key_type": "ec", "ttl": "1h", "allowed_domains": "example.com", "allow_subdomains": true});
    assert_eq!(mount.update("roles/ec", ec).await.status, 200);
    let stored = mount
        .storage()
        .memory()
        .snapshot()
        .remove("role/ec")
        .unwrap();
    assert_eq!(
        String::from_utf8(stored).unwrap(),
        include_str!("data/role-ec.json")
    );
}

/// Every member with its default: as bytes, as it is shown, and after nothing but a lifetime changed.
#[tokio::test]
async fn a_role_of_which_nothing_was_said() {
    let mount = Harness::<Mount>::new().await;
    let written = mount.update("roles/r", json!({})).await;
    let stored = |mount: &Harness<Mount>| {
        let bytes = mount.storage().memory().snapshot().remove("role/r");
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    let before = stored(&mount);
    insta::assert_snapshot!("role_stored", before);
    let shown = serde_json::to_string_pretty(&written.data).unwrap();
    insta::assert_snapshot!("role_shown", shown);
    assert_eq!(mount.read("roles/r").await.data, written.data);

    mount
        .request(Operation::Patch, "roles/r", json!({"ttl": "90s"}))
        .await;
    assert_eq!(
        stored(&mount),
        before.replace("\"ttl_duration\":0", "\"ttl_duration\":90000000000")
    );
}

#[tokio::test]
async fn a_role_of_the_built_in_engine_reads_back() {
    let mount = Harness::<Mount>::new().await;
    let mut entries = mount.storage().memory().snapshot();
    entries.insert(
        "role/all".to_owned(),
        include_bytes!("data/role-all.json").to_vec(),
    );
    mount.storage().memory().restore(entries);
    let reply = mount.read("roles/all").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.data["allowed_ip_sans_cidr"], json!(["10.0.0.0/8"]));
    assert_eq!(reply.data["max_ttl"], 172_800);
    assert_eq!(reply.data["not_before_bound"], "duration");
}

#[tokio::test]
async fn a_role_is_shown_from_storage_and_used_from_memory() {
    let mount = Harness::<Mount>::new().await;
    mount.update("roles/r", json!({})).await;
    mount.read("roles/r").await;
    mount.storage().reset_calls();
    assert_eq!(mount.read("roles/r").await.status, 200);
    assert_eq!(mount.storage().calls().gets, 1);
    assert_eq!(mount.patch("roles/r", json!({})).await.status, 200);
    assert_eq!(mount.storage().calls().gets, 1);
    mount.engine().invalidate("role/r");
    assert_eq!(mount.patch("roles/r", json!({})).await.status, 200);
    assert_eq!(mount.storage().calls().gets, 2);
}

#[tokio::test]
async fn a_failed_write_leaves_the_old_role_or_the_new_one() {
    for fault in [Fault::Before, Fault::After] {
        let mount = Harness::<Mount>::new().await;
        mount.update("roles/r", json!({"ttl": 60})).await;
        mount.storage().fail_at(1, fault);
        let reply = mount.update("roles/r", json!({"ttl": 120})).await;
        assert_eq!(reply.status, 500);
        mount.storage().heal();
        // The cache must not say anything else than storage does, whichever of the two it was.
        let cached = mount.read("roles/r").await.data["ttl"].clone();
        let mount = mount.reload().await;
        assert_eq!(mount.read("roles/r").await.data["ttl"], cached);
    }
}

async fn replay(mount: &Harness<Mount>, exchange: &Exchange) -> HttpReply {
    let (path, query) = exchange
        .path
        .split_once('?')
        .unwrap_or((&exchange.path, ""));
    let path = unescaped(path);
    let mut data = exchange.body.clone();
    let mut operation = match exchange.method.as_str() {
        "GET" => Operation::Read,
        "LIST" => Operation::List,
        "POST" => Operation::Update,
        "PATCH" => Operation::Patch,
        "DELETE" => Operation::Delete,
        other => panic!("{other}"),
    };
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if name == "list" {
            operation = Operation::List;
        } else {
            if data.is_null() {
                data = json!({});
            }
            data[name] = value.into();
        }
    }
    mount.request(operation, &path, data).await
}

fn unescaped(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).unwrap()
}

/// The text that the host wraps.
fn bare(text: &str) -> &str {
    text.trim_start_matches("1 error occurred:\n\t* ")
        .trim_end()
}
