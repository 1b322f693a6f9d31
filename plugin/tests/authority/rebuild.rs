//! When CRLs are built anew, by which settings, and which issuers get one.

use jiff::{SignedDuration, Timestamp};
use landfast_pki::crl::Crl;
use landfast_pki::pem;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn crl_settings_are_checked_in_the_known_words() {
    let mount = mount().await;
    for (fields, error) in [
        (
            json!({ "expiry": "zz" }),
            "given expiry could not be decoded: time: invalid duration \"zz\"",
        ),
        (
            json!({ "auto_rebuild_grace_period": "zz" }),
            "given auto_rebuild_grace_period could not be decoded: time: invalid duration \"zz\"",
        ),
        (
            json!({ "ocsp_expiry": "-1h" }),
            "ocsp_expiry must be greater than or equal to 0 got: -1h0m0s",
        ),
        (
            json!({ "expiry": "-1h" }),
            "expiry must be greater than 0 got: -1h0m0s",
        ),
        (
            json!({ "expiry": "24h", "auto_rebuild": true, "auto_rebuild_grace_period": "48h" }),
            "CRL auto-rebuilding grace period (48h) must be strictly shorter than CRL expiry (24h) value when auto-rebuilding of CRLs is enabled",
        ),
        (
            json!({ "enable_delta": true }),
            "Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!",
        ),
        (
            json!({ "expiry": "24h", "auto_rebuild": true, "enable_delta": true, "delta_rebuild_interval": "48h" }),
            "CRL delta rebuild window (48h) must be strictly shorter than CRL expiry (24h) value when delta CRLs are enabled",
        ),
    ] {
        refused(&mount.update("config/crl", fields).await, 400, error);
    }
    let default = json!({
        "allow_expired_cert_revocation": false, "auto_rebuild": false, "auto_rebuild_grace_period": "12h",
        "delta_rebuild_interval": "15m", "disable": false, "enable_delta": false, "expiry": "72h", "ocsp_disable": false,
        "ocsp_expiry": "12h",
    });
    assert_eq!(mount.read("config/crl").await.data, default);
    let reply = ok(mount
        .update("config/crl", json!({ "expiry": 3600, "ocsp_disable": "1" }))
        .await);
    assert_eq!(
        (&reply.data["expiry"], &reply.data["ocsp_disable"]),
        (&json!("3600"), &json!(true))
    );
    let root = root("Root");
    adopt(&mount, &root).await;
    assert_eq!(
        crl(&mount, "crl").await.next_update(),
        Some(now() + SignedDuration::from_hours(1))
    );
}

#[tokio::test]
async fn disabling_empties_the_crl_and_freezes_it() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    for name in ["a", "b"] {
        if name == "b" {
            ok(mount.update("config/crl", json!({ "disable": true })).await);
        }
        let pem = leaf(name, &root).certificate.pem();
        ok(mount.update("revoke", json!({ "certificate": pem })).await);
    }
    ok(mount.read("crl/rotate").await);
    let frozen = crl(&mount, "crl").await;
    assert_eq!((frozen.number(), listed(&frozen).len()), (Some(5), 0));
    ok(mount
        .update("config/crl", json!({ "disable": false }))
        .await);
    let back = crl(&mount, "crl").await;
    assert_eq!((back.number(), listed(&back).len()), (Some(7), 2));
}

#[tokio::test]
async fn a_crl_does_not_run_out_because_nothing_was_revoked() {
    let mount = mount().await;
    adopt(&mount, &root("Root")).await;
    let time: Timestamp = now() + SignedDuration::from_hours(61);
    let mount = later(mount, time).await;
    ok(mount.periodic().await);
    let fresh = crl(&mount, "crl").await;
    assert_eq!((fresh.number(), fresh.this_update()), (Some(3), time));
    // Once is enough.
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.number(), Some(3));
}

#[tokio::test]
async fn a_short_lived_crl_is_not_rebuilt_every_minute() {
    let mount = mount().await;
    // Shorter than the default grace period.
    ok(mount.update("config/crl", json!({ "expiry": "1h" })).await);
    adopt(&mount, &root("Root")).await;
    let mount = later(mount, now() + SignedDuration::from_mins(30)).await;
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.number(), Some(1));
    let mount = later(mount, now() + SignedDuration::from_mins(41)).await;
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.number(), Some(3));
}

#[tokio::test]
async fn what_can_never_be_listed_causes_no_rebuilds() {
    let mount = mount().await;
    let (root, quiet) = (root("Root"), root("Quiet"));
    adopt(&mount, &root).await;
    let quiet_id = adopt(&mount, &quiet).await;
    ok(mount
        .patch(
            &format!("issuer/{quiet_id}"),
            json!({ "usage": "read-only" }),
        )
        .await);
    let leaf = leaf("leaf", &quiet);
    ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    let before = crl(&mount, "crl").await.number();
    let mount = at(mount.reload().await, now());
    ok(mount.periodic().await);
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.number(), before);
}

#[tokio::test]
async fn an_issuer_whose_key_is_elsewhere_holds_up_nobody() {
    use landfast_sdk::logical::Storage as _;
    let mount = mount().await;
    let (root, other) = (root("Root"), root("Other"));
    let root_id = adopt(&mount, &root).await;
    let other_id = adopt(&mount, &other).await;
    let key = mount.read(&format!("issuer/{other_id}")).await.data["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let entry =
        json!({ "id": key, "name": "", "private_key_type": "slhdsa", "private_key": "PEM" });
    mount
        .storage()
        .put(&format!("config/key/{key}"), entry.to_string().into_bytes())
        .await
        .unwrap();
    let mount = at(mount.reload().await, now());
    let leaf = leaf("leaf", &root);
    ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    assert_eq!(
        listed(&crl(&mount, &format!("issuer/{root_id}/crl/der")).await),
        one(&leaf.serial())
    );
    let reply = ok(mount.read("crl/rotate").await);
    assert!(
        reply.warnings[0].contains(&format!(
            "key [id:{key}] can not be used by this plugin (its type is slhdsa)"
        )) && reply.warnings[0].contains(&format!("id:{other_id}")),
        "{reply:?}"
    );
    let before = crl(&mount, "crl").await.number();
    ok(mount.periodic().await);
    assert_eq!(crl(&mount, "crl").await.number(), before);
    ok(mount
        .update(
            "issuers/import/bundle",
            json!({ "pem_bundle": support_root().bundle() }),
        )
        .await);
}

fn support_root() -> Pair {
    root("Third")
}

#[tokio::test]
async fn an_issuer_that_comes_back_lists_what_it_had_revoked() {
    let mount = mount().await;
    let (first, second) = (root("First"), root("Second"));
    adopt(&mount, &first).await;
    let id = adopt(&mount, &second).await;
    let leaf = leaf("leaf", &second);
    ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    ok(mount.delete(&format!("issuer/{id}")).await);
    // Without its issuer it is on the default issuer's CRL, so that it is on one at all.
    assert_eq!(listed(&crl(&mount, "crl").await), one(&leaf.serial()));
    let id = adopt(&mount, &second).await;
    assert_eq!(
        listed(&crl(&mount, &format!("issuer/{id}/crl/der")).await),
        one(&leaf.serial())
    );
    assert_eq!(listed(&crl(&mount, "crl").await).len(), 0);
}

/// The library pairs each curve with one hash. An issuer of a taken-over mount may be told to use another.
#[tokio::test]
async fn an_algorithm_that_the_key_cannot_use_is_told() {
    use landfast_sdk::logical::Storage;

    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    let field = |name: &str| json!({ "revocation_signature_algorithm": name });
    let reply = mount
        .patch("issuer/default", field("ECDSAWithSHA384"))
        .await;
    let reply = ok(reply);
    assert_eq!(
        reply.data["revocation_signature_algorithm"],
        "ECDSAWithSHA384"
    );
    assert_eq!(
        reply.warnings,
        [
            "revocation_signature_algorithm ECDSAWithSHA384: a key on P-256 signs with ECDSAWithSHA256 here; leave the field empty for it"
        ]
    );
    let other_key = mount.patch("issuer/default", field("SHA256WithRSA")).await;
    assert_eq!(other_key.status, 500);
    ok(mount
        .patch("issuer/default", field("ECDSAWithSHA256"))
        .await);
    assert!(ok(mount.read("crl/rotate").await).warnings.is_empty());

    let key = format!("config/issuer/{id}");
    let stored = mount.storage().get(&key).await.unwrap().unwrap();
    let mut entry: Value = serde_json::from_slice(&stored).unwrap();
    let name = "revocation_signature_algorithm";
    assert!(entry.to_string().contains(name), "{entry}");
    // ECDSA with SHA-384, by its number in Go.
    entry[name] = 11.into();
    mount
        .storage()
        .put(&key, entry.to_string().into_bytes())
        .await
        .unwrap();
    let mount = later(mount, now()).await;
    let reply = ok(mount.read("crl/rotate").await);
    let told = format!(
        "the CRL of issuer id:{id} is signed with ECDSA-SHA256: its revocation_signature_algorithm ECDSA-SHA384 cannot be used with its key here"
    );
    assert_eq!(reply.warnings, [told]);
    crl(&mount, "crl").await.verify(&root.certificate).unwrap();
}

/// RFC 5280 section 5.2.1 wants an authority key identifier on every CRL.
#[tokio::test]
async fn every_crl_of_a_ca_without_a_key_identifier_has_one() {
    let mount = mount().await;
    let root = root_without_key_id("Root");
    assert_eq!(root.certificate.ski(), None);
    adopt(&mount, &root).await;
    let ski = root.key.public_key().ski();
    let own = crl(&mount, "crl").await;
    assert_eq!(own.aki(), Some(&ski[..]));
    let text = mount.read("cert/crl").await.data["certificate"].clone();
    for (path, body) in [
        ("resign-crls", json!({ "crls": [text], "crl_number": 9 })),
        ("sign-revocation-list", json!({ "crl_number": 9 })),
    ] {
        let path = format!("issuer/default/{path}");
        let made = ok(mount.update(&path, body).await).data["crl"].clone();
        let blocks = pem::blocks(made.as_str().unwrap().as_bytes());
        let made = Crl::from_der(&blocks[0].contents).unwrap();
        assert_eq!(
            (made.number(), made.aki()),
            (Some(9), Some(&ski[..])),
            "{path}"
        );
    }
}
