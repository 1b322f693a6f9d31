//! The plugin without a server: the whole table on storage in memory.

use std::time::Duration;

use landfast_sdk::testing::Harness;
use serde_json::json;

use super::Ports;

async fn with_range(first: u16, last: u16) -> Harness<Ports> {
    let ports = Harness::<Ports>::builder()
        .mount("ports")
        .start()
        .await
        .expect("the plugin starts");
    let written = ports
        .update(
            "range",
            json!({ "first": first, "last": last, "ttl": "1h" }),
        )
        .await;
    assert_eq!(written.status, 204, "{written:?}");
    ports
}

#[tokio::test]
async fn a_port_is_leased_once_until_it_is_given_back() {
    let ports = with_range(7000, 7001).await;
    let first = ports.update("lease", json!({})).await;
    assert_eq!(first.data, json!({ "port": 7000 }));
    assert_eq!(
        first.lease.as_ref().map(|lease| lease.ttl),
        Some(Duration::from_secs(3600))
    );
    assert_eq!(ports.update("lease", json!({})).await.data["port"], 7001);
    let full = ports.update("lease", json!({})).await;
    assert_eq!((full.status, full.error()), (400, "no port is free"));

    let ports = ports.reload().await;
    assert_eq!(
        ports
            .renew("lease", ports.lease_of(&first))
            .await
            .lease
            .map(|lease| lease.renewable),
        Some(true)
    );
    assert_eq!(
        ports.revoke("lease", ports.lease_of(&first)).await.status,
        204
    );
    assert_eq!(ports.update("lease", json!({})).await.data["port"], 7000);
}

#[tokio::test]
async fn jobs_that_ask_at_once_get_different_ports() {
    let ports = with_range(7000, 7049).await;
    let ask = || ports.update("lease", json!({}));
    let replies = tokio::join!(ask(), ask(), ask(), ask());
    let mut got =
        [replies.0, replies.1, replies.2, replies.3].map(|reply| reply.data["port"].as_u64());
    got.sort();
    assert_eq!(got, [Some(7000), Some(7001), Some(7002), Some(7003)]);
}

#[tokio::test]
async fn the_range_is_checked() {
    let ports = with_range(1, 9).await;
    let kept = json!({ "first": 1, "last": 9, "ttl": 3600, "labels": {} });
    for (data, text) in [
        (
            json!({ "first": 9, "last": 1 }),
            "first must be from 1 to last",
        ),
        (
            json!({ "first": 0, "last": 1 }),
            "first must be from 1 to last",
        ),
        (json!({ "first": 1 }), "missing required field \"last\""),
    ] {
        let reply = ports.update("range", data).await;
        assert_eq!((reply.status, reply.error()), (400, text));
        assert_eq!(ports.read("range").await.data, kept);
    }
    let empty: Harness<Ports> = Harness::<Ports>::builder()
        .start()
        .await
        .expect("it starts");
    let reply = empty.update("lease", json!({})).await;
    assert_eq!(
        (reply.status, reply.error()),
        (400, "no range of ports yet: write to range")
    );
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let ports = with_range(1, 9).await;
    let range = |ttl, labels| json!({ "first": 1, "last": 9, "ttl": ttl, "labels": labels });
    for (patch, kept) in [
        (
            json!({ "ttl": "2h", "labels": { "team": "web", "site": "a" } }),
            range(7200, json!({ "team": "web", "site": "a" })),
        ),
        (
            json!({ "labels": ["team=db", "floor=2"] }),
            range(7200, json!({ "team": "db", "site": "a", "floor": "2" })),
        ),
        (
            json!({ "ttl": null, "labels": { "team": null } }),
            range(0, json!({ "site": "a", "floor": "2" })),
        ),
        (json!({ "labels": null }), range(0, json!({}))),
        (json!({ "lease_ttl": 5 }), range(5, json!({}))),
    ] {
        assert_eq!(ports.patch("range", patch).await.status, 204);
        assert_eq!(ports.read("range").await.data, kept);
    }
    for (patch, text) in [
        (json!({ "first": null }), "missing required field \"first\""),
        (json!({ "first": 10 }), "first must be from 1 to last"),
    ] {
        let reply = ports.patch("range", patch).await;
        assert_eq!((reply.status, reply.error()), (400, text));
        assert_eq!(ports.read("range").await.data, range(5, json!({})));
    }
}

#[tokio::test]
async fn the_help_says_what_a_client_must_know() {
    let ports = with_range(1, 9).await;
    let (document, row) = (ports.help("").await, ports.help("range").await);
    // Whoever compiles these tests, and with whatever features.
    insta::with_settings!({ prepend_module_to_snapshot => false, sort_maps => true }, {
        insta::assert_json_snapshot!("openapi", document["openapi"]);
        insta::assert_snapshot!("help", row["help"].as_str().unwrap_or_default());
    });
}
