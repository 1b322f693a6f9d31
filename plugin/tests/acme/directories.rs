//! Directories, and the settings that say which of them there are.

use landfast_sdk::logical::Storage;
use serde_json::json;

use crate::client::{Client, ROOT, body, problem};
use crate::served;

#[tokio::test]
async fn a_directory_leads_everywhere() {
    let mount = served(json!({})).await;
    for under in [
        "",
        "roles/web/",
        "issuer/default/",
        "issuer/default/roles/web/",
    ] {
        let shown = mount.read(&format!("{under}acme/directory")).await;
        assert_eq!(shown.status, 200, "{under}");
        assert_eq!(shown.content_type, "application/json");
        let shown = body(&shown);
        for (member, path) in [
            ("newNonce", "new-nonce"),
            ("newAccount", "new-account"),
            ("newOrder", "new-order"),
            ("revokeCert", "revoke-cert"),
            ("keyChange", "key-change"),
            ("renewalInfo", "renewal-info"),
        ] {
            assert_eq!(shown[member], format!("{ROOT}/{under}acme/{path}"));
        }
        let got = mount.read(&format!("{under}acme/new-nonce")).await;
        assert_eq!(
            (got.status, got.headers["Cache-Control"][0].as_str()),
            (204, "no-store")
        );
        let had = mount.header(&format!("{under}acme/new-nonce")).await;
        assert_eq!(had.status, 200);
        assert_ne!(got.headers["Replay-Nonce"], had.headers["Replay-Nonce"]);
    }
}

#[tokio::test]
async fn only_what_is_allowed_is_there() {
    let mount =
        served(json!({ "allowed_roles": "web", "default_directory_policy": "forbid" })).await;
    mount
        .update("roles/other", json!({ "allow_any_name": true }))
        .await;
    mount
        .update(
            "roles/unstored",
            json!({ "allow_any_name": true, "no_store": true }),
        )
        .await;
    for (directory, status, words) in [
        ("acme", 500, "default directory not allowed"),
        ("roles/web/acme", 200, ""),
        ("roles/other/acme", 500, "role not allowed"),
        ("roles/unstored/acme", 500, "NoStore"),
        ("roles/none/acme", 400, "role does not exist"),
        ("issuer/none/roles/web/acme", 400, "issuer does not exist"),
    ] {
        let reply = mount.read(&format!("{directory}/directory")).await;
        assert_eq!(reply.status, status, "{directory}: {}", reply.text());
        assert!(
            reply.text().contains(words),
            "{directory}: {}",
            reply.text()
        );
    }
    let root = json!({ "common_name": "Other", "key_type": "ec", "issuer_name": "second" });
    mount.update("root/generate/internal", root).await;
    mount
        .update(
            "config/acme",
            json!({ "allowed_issuers": "second", "allowed_roles": "*" }),
        )
        .await;
    for (directory, status) in [
        ("issuer/second/roles/web/acme", 200),
        ("issuer/default/roles/web/acme", 500),
    ] {
        assert_eq!(
            mount.read(&format!("{directory}/directory")).await.status,
            status,
            "{directory}"
        );
    }
    mount
        .update(
            "config/acme",
            json!({ "allowed_issuers": "*", "default_directory_policy": "role:web" }),
        )
        .await;
    let client = Client::registered(&mount, "acme/").await;
    assert_eq!(
        problem(&client.order(&["a.test"]).await),
        "rejectedIdentifier"
    );
    assert_eq!(client.order(&["example.com"]).await.status, 201);
}

#[tokio::test]
async fn there_is_nothing_while_it_is_off() {
    let mount = served(json!({})).await;
    mount
        .update("config/acme", json!({ "enabled": false }))
        .await;
    for path in [
        "acme/directory",
        "acme/new-nonce",
        "roles/web/acme/directory",
        "acme/renewal-info/a.b",
    ] {
        let reply = mount.read(path).await;
        assert_eq!(
            (reply.status, reply.raw.as_deref()),
            (404, Some(&b""[..])),
            "{path}"
        );
    }
    for path in [
        "acme/new-account",
        "acme/order/1",
        "acme/revoke-cert",
        "acme/key-change",
    ] {
        assert_eq!(mount.update(path, json!({})).await.status, 404, "{path}");
    }
    // Operators may make external accounts before they turn it on.
    assert_eq!(mount.update("acme/new-eab", json!({})).await.status, 200);
}

#[tokio::test]
async fn it_wants_the_url_of_the_mount() {
    let mount = served(json!({})).await;
    mount.storage().delete("config/cluster").await.unwrap();
    mount
        .backend()
        .use_clock(std::sync::Arc::new(landfast_plugin::FixedClock(
            jiff::Timestamp::now(),
        )));
    landfast_sdk::logical::Backend::invalidate(&**mount.backend(), "config/cluster");
    let refused = mount
        .update("config/acme", json!({ "enabled": true }))
        .await;
    assert_eq!(refused.status, 400);
    assert!(refused.error().contains("'path' field"), "{refused:?}");
    let read = mount.read("config/acme").await;
    assert!(read.warnings[0].contains("'path' field"), "{read:?}");
    assert_eq!(
        problem(&mount.read("acme/directory").await),
        "serverInternal"
    );
}

#[tokio::test]
async fn where_validation_may_connect_to_is_said_by_the_operator() {
    let mount = served(json!({})).await;
    let at = "config/acme-validation";
    assert_eq!(mount.read(at).await.data["networks"], json!(["public"]));
    for (sent, shown) in [
        (json!("private, public"), json!(["public", "private"])),
        (
            json!(["10.0.0.0/8", "127.0.0.1/32"]),
            json!(["10.0.0.0/8", "127.0.0.1/32"]),
        ),
        (json!([]), json!([])),
    ] {
        let reply = mount.update(at, json!({ "networks": sent })).await;
        assert_eq!(
            (reply.status, &reply.data["networks"]),
            (200, &shown),
            "{reply:?}"
        );
        assert_eq!(mount.read(at).await.data["networks"], shown);
    }
    for bad in ["everything", "10.0.0.0/99", ""] {
        let refused = mount.update(at, json!({ "networks": [bad] })).await;
        assert_eq!(refused.status, 400, "{bad}");
        assert!(refused.error().contains("names no network"), "{refused:?}");
    }
    // What was taken over goes on as it was, until somebody says otherwise.
    mount
        .storage()
        .delete("landfast/config/acme-validation")
        .await
        .unwrap();
    landfast_sdk::logical::Backend::invalidate(
        &**mount.backend(),
        "landfast/config/acme-validation",
    );
    assert_eq!(
        mount.read(at).await.data["networks"],
        json!(["public", "private"])
    );
    mount
        .update("config/acme", json!({ "eab_policy": "always-required" }))
        .await;
    assert_eq!(
        mount.read(at).await.data["networks"],
        json!(["public", "private"])
    );
    for enabled in [false, true] {
        mount
            .update("config/acme", json!({ "enabled": enabled }))
            .await;
        assert_eq!(
            mount.read(at).await.data["networks"],
            json!(["public"]),
            "{enabled}"
        );
    }
}

#[tokio::test]
async fn headers_that_get_lost_are_told_to_the_operator() {
    let mount = served(json!({})).await;
    for asked in 0..5 {
        let read = mount.read("config/acme").await;
        let told = read
            .warnings
            .iter()
            .any(|warning| warning.contains("allowed-response-headers=Replay-Nonce"));
        assert_eq!(told, asked > 2, "after {asked}: {read:?}");
        mount.header("acme/new-nonce").await;
    }
    Client::registered(&mount, "acme/").await;
    assert!(mount.read("config/acme").await.warnings.is_empty());
}
