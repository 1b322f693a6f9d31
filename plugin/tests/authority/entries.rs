//! Entries as other servers leave them: with fields of their own, with keys and issuers that cannot be used here.

use landfast_plugin::Mount;
use landfast_sdk::logical::Storage as _;
use landfast_sdk::testing::Harness;
use serde_json::{Value, json};

use super::support::*;

async fn stored(mount: &Harness<Mount>, key: &str) -> Value {
    let bytes = mount.storage().get(key).await.unwrap();
    serde_json::from_slice(&bytes.unwrap_or_else(|| panic!("no {key}"))).unwrap()
}

async fn put(mount: &Harness<Mount>, key: &str, entry: &Value) {
    let bytes = entry.to_string().into_bytes();
    mount.storage().put(key, bytes).await.unwrap();
}

/// All JSON entries of the mount, but for those that hold no fields.
async fn keys(mount: &Harness<Mount>) -> Vec<String> {
    let mut keys = Vec::new();
    for folder in [
        "config/",
        "config/issuer/",
        "config/key/",
        "role/",
        "revoked/",
        "",
    ] {
        for name in mount.storage().list(folder).await.unwrap() {
            if !name.ends_with('/') {
                keys.push(format!("{folder}{name}"));
            }
        }
    }
    keys.push("crls/config".to_owned());
    keys
}

#[tokio::test]
async fn fields_of_newer_servers_survive_every_write() {
    let mount = mount().await;
    let root = ok(mount
        .update(
            "root/generate/internal",
            json!({"common_name": "R", "key_type": "ec", "issuer_name": "root", "key_name": "k", "ttl": "800h"}),
        )
        .await);
    ok(mount
        .update(
            "config/cluster",
            json!({"path": "https://a/v1/pki", "aia_path": "http://a"}),
        )
        .await);
    ok(mount
        .update("config/urls", json!({"ocsp_servers": "http://a/ocsp"}))
        .await);
    ok(mount.update("config/crl", json!({"expiry": "48h"})).await);
    ok(mount
        .update("roles/r", json!({"key_type": "ec", "allow_any_name": true}))
        .await);
    ok(mount
        .patch(
            "issuer/root",
            json!({"issuing_certificates": "http://a/ca"}),
        )
        .await);
    let leaf = ok(mount
        .update("issue/r", json!({"common_name": "a.b", "ttl": "1h"}))
        .await);
    ok(mount
        .update(
            "revoke",
            json!({"serial_number": leaf.data["serial_number"]}),
        )
        .await);

    let before = keys(&mount).await;
    assert_eq!(before.len(), 10, "{before:?}");
    let mark = json!({"of": "another version"});
    for key in &before {
        let mut entry = stored(&mount, key).await;
        entry["zz_unknown"] = mark.clone();
        if entry["aia_uris"].is_object() {
            entry["aia_uris"]["zz_unknown"] = mark.clone();
        }
        put(&mount, key, &entry).await;
    }
    let mount = at(mount.reload().await, now());
    let issuer = root.data["issuer_id"].as_str().unwrap();
    for (path, body) in [
        ("config/cluster", json!({"path": "https://b/v1/pki"})),
        ("config/urls", json!({"ocsp_servers": "http://b/ocsp"})),
        ("config/crl", json!({"expiry": "47h", "auto_rebuild": true})),
        (
            "roles/r",
            json!({"key_type": "ec", "allow_any_name": true, "ttl": "2h"}),
        ),
        ("key/k", json!({"key_name": "l"})),
        ("issuer/root", json!({"issuer_name": "other"})),
        (
            "root/generate/internal",
            json!({"common_name": "S", "key_type": "ec", "issuer_name": "s"}),
        ),
        (
            "config/issuers",
            json!({"default": "s", "default_follows_latest_issuer": true}),
        ),
        ("config/keys", json!({"default": "l"})),
        ("issuer/other/revoke", json!({})),
    ] {
        ok(mount.update(path, body).await);
    }
    ok(mount.patch("roles/r", json!({"ttl": "3h"})).await);
    ok(mount
        .patch(
            &format!("issuer/{issuer}"),
            json!({"leaf_not_after_behavior": "permit"}),
        )
        .await);
    ok(mount.read("crl/rotate").await);
    for key in &before {
        let entry = stored(&mount, key).await;
        assert_eq!(entry["zz_unknown"], mark, "{key}");
        if key.starts_with("config/issuer/") {
            assert_eq!(entry["aia_uris"]["zz_unknown"], mark, "{key}");
        }
    }
    // What the API shows is not what it stores.
    let shown = ok(mount.read("config/cluster").await);
    assert!(shown.data.get("zz_unknown").is_none(), "{shown:?}");
}

#[tokio::test]
async fn a_key_that_cannot_be_used_holds_up_nobody_else() {
    for (pem, kind, why) in [
        (
            include_str!("../../../pki/src/testing/secp256k1.key"),
            "ec",
            "1.2.840.10045.2.1",
        ),
        (
            include_str!("../../../pki/src/testing/rsa1024.key"),
            "rsa",
            "1024 bits",
        ),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
            "ec",
            "could not be parsed",
        ),
    ] {
        let mount = mount().await;
        let (good, other) = (root("Good"), root("Other"));
        let good_id = adopt(&mount, &good).await;
        let other_id = adopt(&mount, &other).await;
        let issuer = ok(mount.read(&format!("issuer/{other_id}")).await);
        let key = issuer.data["key_id"].as_str().unwrap().to_owned();
        put(
            &mount,
            &format!("config/key/{key}"),
            &json!({"id": key, "name": "odd", "private_key_type": kind, "private_key": pem}),
        )
        .await;
        let mount = at(mount.reload().await, now());
        // Revoking, rotating, new keys, roots, imports: all go on, and the CRL of the good issuer is new.
        let leaf = leaf("leaf", &good);
        let revoked = ok(mount
            .update("revoke", json!({"certificate": leaf.certificate.pem()}))
            .await);
        let rotated = ok(mount.read("crl/rotate").await);
        for reply in [&revoked, &rotated] {
            let said = reply.warnings.join("\n");
            for part in [
                why,
                &format!("id:{key} / name:odd"),
                &format!("id:{other_id}"),
                "usage",
            ] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
        let crl = mount.read(&format!("issuer/{good_id}/crl/der")).await;
        let crl = landfast_pki::Crl::from_der(crl.raw.as_deref().unwrap()).unwrap();
        assert!(crl.find(leaf.certificate.serial()).is_some());
        ok(mount
            .update(
                "root/generate/internal",
                json!({"common_name": "New", "key_type": "ec"}),
            )
            .await);
        ok(mount
            .update("keys/generate/internal", json!({"key_type": "ec"}))
            .await);
        ok(mount
            .update(
                "intermediate/generate/internal",
                json!({"common_name": "I", "key_type": "ec"}),
            )
            .await);
        adopt(&mount, &root("Third")).await;
        // It is rebuilt for nothing no more than for any other.
        let before = stored(&mount, "crls/config").await;
        ok(mount.periodic().await);
        assert_eq!(stored(&mount, "crls/config").await, before);
        // Who wants that very key is told why not.
        let refused = mount.update("issuer/odd/issue/x", json!({})).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        ok(mount
            .update(
                "roles/r",
                json!({"key_type": "ec", "allow_any_name": true, "issuer_ref": other_id}),
            )
            .await);
        let refused = mount.update("issue/r", json!({"common_name": "a.b"})).await;
        assert!(
            refused.status == 500 && refused.error().contains(why),
            "{refused:?}"
        );
        assert_eq!(
            ok(mount.list("keys").await).data["keys"]
                .as_array()
                .unwrap()
                .len(),
            6
        );
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_read_holds_up_nobody_else() {
    let mount = mount().await;
    let (good, other) = (root("Good"), root("Other"));
    adopt(&mount, &good).await;
    let other_id = adopt(&mount, &other).await;
    let key = format!("config/issuer/{other_id}");
    let mut entry = stored(&mount, &key).await;
    entry["certificate"] = json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    put(&mount, &key, &entry).await;
    let book = stored(&mount, "crls/config").await;
    let crl = book["issuer_id_crl_map"][&other_id]
        .as_str()
        .unwrap()
        .to_owned();
    let mount = at(mount.reload().await, now());
    let rotated = ok(mount.read("crl/rotate").await);
    assert!(rotated.warnings.join("").contains(&other_id), "{rotated:?}");
    adopt(&mount, &root("Third")).await;
    assert_eq!(
        ok(mount.list("issuers").await).data["keys"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let refused = mount.read(&format!("issuer/{other_id}")).await;
    assert!(
        refused.status == 500 && refused.error().contains("can not be used"),
        "{refused:?}"
    );
    // Entry and CRL are as they were, for whoever can read them.
    assert_eq!(stored(&mount, &key).await, entry);
    let book = stored(&mount, "crls/config").await;
    assert_eq!(book["issuer_id_crl_map"][&other_id], json!(crl));
    assert!(
        mount
            .storage()
            .get(&format!("crls/{crl}"))
            .await
            .unwrap()
            .is_some()
    );
    ok(mount.delete(&format!("issuer/{other_id}")).await);
    assert_eq!(
        ok(mount.list("issuers").await).data["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn an_issuer_of_before_the_versions_gets_the_usage_of_today() {
    let mount = mount().await;
    let id = adopt(&mount, &root("Root")).await;
    let key = format!("config/issuer/{id}");
    let mut entry = stored(&mount, &key).await;
    entry["usage"] = json!(6);
    entry.as_object_mut().unwrap().remove("version");
    put(&mount, &key, &entry).await;
    let mount = at(mount.reload().await, now());
    assert_eq!(
        ok(mount.read(&format!("issuer/{id}")).await).data["usage"],
        "crl-signing,issuing-certificates,ocsp-signing,read-only"
    );
}

#[tokio::test]
async fn settings_of_crls_without_an_expiry_make_no_dead_crl() {
    for entry in [json!({}), json!({"version": 1, "disable": false})] {
        let mount = mount().await;
        adopt(&mount, &root("Root")).await;
        put(&mount, "config/crl", &entry).await;
        let mount = at(mount.reload().await, now());
        ok(mount.read("crl/rotate").await);
        assert_eq!(ok(mount.read("config/crl").await).data["expiry"], "72h");
        let crl = landfast_pki::Crl::from_der(&mount.read("crl").await.raw.unwrap()).unwrap();
        let life = crl.next_update().unwrap().duration_since(crl.this_update());
        assert_eq!(life, jiff::SignedDuration::from_hours(72));
        ok(mount
            .update("config/crl", json!({"auto_rebuild": true}))
            .await);
    }
}
