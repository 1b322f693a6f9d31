//! Why a certificate is revoked: what is taken, kept and told.

use landfast_pki::crl::Crl;
use landfast_pki::{Certificate, SerialNumber};
use landfast_plugin::Mount;
use landfast_sdk::testing::{Harness, HttpReply};
use serde_json::{Value, json};

use crate::support::{certificate, issue, role, stop_clock, with_ca};

async fn leaf(mount: &Harness<Mount>) -> Certificate {
    certificate(&issue(mount, json!({"common_name": "a.example"})).await)
}

async fn revoke(mount: &Harness<Mount>, leaf: &Certificate, reason: Value) -> HttpReply {
    let serial = leaf.serial().colon();
    let body = if reason.is_null() {
        json!({ "serial_number": serial })
    } else {
        json!({ "serial_number": serial, "reason": reason })
    };
    mount.update("revoke", body).await
}

/// The reason that a CRL tells of a certificate on it.
async fn told(mount: &Harness<Mount>, path: &str, serial: &SerialNumber) -> Option<u8> {
    let crl = Crl::from_der(&mount.read(path).await.raw.unwrap()).unwrap();
    crl.find(serial).expect("it is listed").reason
}

fn stored(mount: &Harness<Mount>, serial: &SerialNumber) -> Value {
    let entries = mount.storage().memory().snapshot();
    serde_json::from_slice(&entries[&format!("revoked/{}", serial.dash())]).unwrap()
}

#[tokio::test]
async fn each_reason_is_kept_and_told() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let mut all = Vec::new();
    for (sent, code, name) in [
        ("keyCompromise", 1, "keyCompromise"),
        ("cACompromise", 2, "cACompromise"),
        ("affiliationchanged", 3, "affiliationChanged"),
        ("superseded", 4, "superseded"),
        (" cessationOfOperation ", 5, "cessationOfOperation"),
        ("privilegeWithdrawn", 9, "privilegeWithdrawn"),
    ] {
        let leaf = leaf(&mount).await;
        let reply = revoke(&mount, &leaf, sent.into()).await;
        assert_eq!(reply.status, 200, "{sent}: {:?}", reply.errors);
        assert_eq!(reply.data["revocation_reason"], name);
        assert!(reply.warnings.is_empty(), "{:?}", reply.warnings);
        assert_eq!(stored(&mount, leaf.serial())["landfast_reason"], code);
        all.push((leaf, code, name));
    }
    // Also where the revocations are read from storage again, and where another one came since.
    let mount = mount.reload().await;
    stop_clock(&mount);
    let last = leaf(&mount).await;
    assert_eq!(revoke(&mount, &last, Value::Null).await.status, 200);
    for (leaf, code, name) in &all {
        let shown = mount.read(&format!("cert/{}", leaf.serial().colon())).await;
        assert_eq!(shown.data["revocation_reason"], *name);
        assert_eq!(told(&mount, "crl", leaf.serial()).await, Some(*code));
    }
}

#[tokio::test]
async fn without_a_reason_all_is_as_it_was() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    for nothing in [Value::Null, "".into(), "unspecified".into()] {
        let leaf = leaf(&mount).await;
        let reply = revoke(&mount, &leaf, nothing.clone()).await;
        assert_eq!(reply.status, 200, "{nothing}: {:?}", reply.errors);
        assert!(reply.data.get("revocation_reason").is_none(), "{nothing}");
        let entry = stored(&mount, leaf.serial());
        let fields: Vec<_> = entry.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            [
                "certificate_bytes",
                "issuer_id",
                "revocation_time",
                "revocation_time_utc"
            ]
        );
        let shown = mount.read(&format!("cert/{}", leaf.serial().colon())).await;
        assert!(shown.data.get("revocation_reason").is_none(), "{nothing}");
        let crl = Crl::from_der(&mount.read("crl").await.raw.unwrap()).unwrap();
        let entry = crl.find(leaf.serial()).unwrap();
        // Serial number and time, and nothing behind them (RFC 5280 section 5.1).
        let length = leaf.serial().as_bytes().len();
        let sign = usize::from(leaf.serial().as_bytes()[0] >= 0x80);
        assert_eq!(entry.der.len(), 2 + 2 + length + sign + 15, "{nothing}");
    }
}

#[tokio::test]
async fn what_is_no_reason_is_refused_before_anything_is_revoked() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let leaf = leaf(&mount).await;
    for (reason, why) in [
        ("certificateHold", "no hold"),
        ("removeFromCRL", "no hold"),
        ("aACompromise", "attributes"),
        ("1", "must be one of"),
        ("because", "must be one of"),
    ] {
        let reply = revoke(&mount, &leaf, reason.into()).await;
        assert_eq!(reply.status, 400, "{reason}");
        assert!(reply.error().contains(why), "{reason}: {reply:?}");
        assert!(!reply.error().contains("because"), "{reply:?}");
    }
    assert!(mount.list("certs/revoked").await.keys().is_empty());
}

#[tokio::test]
async fn the_first_reason_stays() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let (one, two) = (leaf(&mount).await, leaf(&mount).await);
    revoke(&mount, &one, "superseded".into()).await;
    revoke(&mount, &two, Value::Null).await;
    for (leaf, sent, stays, warned) in [
        (&one, json!("keyCompromise"), Some("superseded"), true),
        (&one, json!("superseded"), Some("superseded"), false),
        (&one, Value::Null, Some("superseded"), false),
        (&two, json!("keyCompromise"), None, true),
        (&two, json!("unspecified"), None, false),
    ] {
        let reply = revoke(&mount, leaf, sent.clone()).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.data["revocation_reason"].as_str(), stays, "{sent}");
        assert_eq!(!reply.warnings.is_empty(), warned, "{sent}: {reply:?}");
    }
    assert_eq!(told(&mount, "crl", two.serial()).await, None);
}

#[tokio::test]
async fn whoever_has_the_key_may_say_why_and_delta_lists_tell_it() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let delta = json!({"auto_rebuild": true, "enable_delta": true});
    assert_eq!(mount.update("config/crl", delta).await.status, 200);
    let issued = issue(&mount, json!({"common_name": "a.example"})).await;
    let leaf = certificate(&issued);
    let body = |reason: &str| {
        json!({
            "certificate": issued.data["certificate"],
            "private_key": issued.data["private_key"],
            "reason": reason,
        })
    };
    let hold = mount.update("revoke-with-key", body("certificateHold"));
    assert_eq!(hold.await.status, 400);
    let reply = mount.update("revoke-with-key", body("keyCompromise")).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    assert_eq!(mount.read("crl/rotate-delta").await.status, 200);
    assert_eq!(told(&mount, "crl/delta", leaf.serial()).await, Some(1));
}
