//! Delta CRLs: what they list, and where they are found.

use jiff::SignedDuration;
use landfast_sdk::testing::HttpReply;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn delta_crls_that_nobody_finds_are_told_once() {
    let delta = json!({ "auto_rebuild": true, "enable_delta": true });
    let told = |reply: &HttpReply| {
        reply
            .warnings
            .iter()
            .any(|text| text.contains("where the delta CRLs are"))
    };
    let mount = mount().await;
    adopt(&mount, &root("Root")).await;
    let on = mount.update("config/crl", delta.clone()).await;
    assert!(told(&on), "{:?}", on.warnings);
    // They are on: nothing new.
    let again = mount.update("config/crl", delta.clone()).await;
    assert!(!told(&again), "{:?}", again.warnings);

    for path in ["config/urls", "issuer/default"] {
        ok(mount
            .update("config/crl", json!({ "enable_delta": false }))
            .await);
        let point = json!({ "crl_distribution_points": "http://pki.example.com/crl",
            "delta_crl_distribution_points": "http://pki.example.com/delta" });
        ok(mount.update(path, point).await);
        let on = mount.update("config/crl", delta.clone()).await;
        assert!(!told(&on), "{path}: {:?}", on.warnings);
        ok(mount
            .update(path, json!({ "delta_crl_distribution_points": "" }))
            .await);
    }
}

#[tokio::test]
async fn automatic_rebuilding_waits_for_the_grace_period() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    ok(mount
        .update(
            "config/crl",
            json!({ "auto_rebuild": true, "enable_delta": true }),
        )
        .await);
    let before = crl(&mount, "crl").await;
    let leaf = leaf("leaf", &root);
    ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    assert_eq!(crl(&mount, "crl").await.der(), before.der());

    // A quarter of an hour later the delta CRL has it.
    let mount = later(mount, now() + SignedDuration::from_mins(15)).await;
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.der(), before.der());
    let delta = crl(&mount, "crl/delta").await;
    delta.verify(&root.certificate).unwrap();
    assert_eq!(
        (delta.delta_base(), listed(&delta)),
        (before.number(), one(&leaf.serial()))
    );
    assert!(delta.number() > before.number());

    let mount = later(mount, now() + SignedDuration::from_hours(59)).await;
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.der(), before.der());
    let mount = later(mount, now() + SignedDuration::from_hours(60)).await;
    ok(mount.periodic().await);
    let after = crl(&mount, "crl").await;
    assert_eq!(listed(&after), one(&leaf.serial()));
    assert!(after.number() > delta.number());
    assert_eq!(listed(&crl(&mount, "crl/delta").await).len(), 0);
}

#[tokio::test]
async fn delta_points_are_named_in_the_complete_crl() {
    let mount = mount().await;
    let id = adopt(&mount, &root("Root")).await;
    let points = json!({
        "crl_distribution_points": "http://example.com/crl",
        "delta_crl_distribution_points": "http://example.com/delta",
    });
    ok(mount.patch(&format!("issuer/{id}"), points).await);
    ok(mount.read("crl/rotate").await);
    let freshest = landfast_pki::ext::id::FRESHEST_CRL;
    assert!(crl(&mount, "crl").await.extension(&freshest).is_some());
    assert!(
        crl(&mount, "crl/delta")
            .await
            .extension(&freshest)
            .is_none()
    );
}
