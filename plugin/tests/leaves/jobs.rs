//! Settings of jobs are kept, whoever stored them; the paths of what is not done here say what to do.

use landfast_sdk::logical::{Backend, Storage};
use serde_json::{Value, json};

use crate::support::empty;

/// What OpenBao 2.7.2 stores, but for a field of a later release.
const AUTO_TIDY: &str = r#"{"enabled":true,"interval_duration":3600000000000,"tidy_cert_store":true,"tidy_revoked_certs":false,"tidy_invalid_certs":false,"tidy_revoked_cert_issuer_associations":false,"tidy_expired_issuers":false,"tidy_move_legacy_ca_bundle":false,"tidy_acme":false,"safety_buffer":259200000000000,"revoked_safety_buffer":null,"issuer_safety_buffer":31536000000000000,"acme_account_safety_buffer":2592000000000000,"pause_duration":5000000000,"page_size":1000,"maintain_stored_certificate_counts":false,"publish_stored_certificate_count_metrics":false,"of_a_later_release":[1]}"#;
const ACME: &str = r#"{"enabled":true,"allowed_issuers=":["*"],"allowed_roles":["*"],"allow_role_ext_key_usage":false,"default_directory_policy":"sign-verbatim","dns_resolver":"192.0.2.1:53","eab_policy_name":"always-required","of_a_later_release":{}}"#;

#[tokio::test]
async fn what_the_built_in_stored_is_shown_and_kept() {
    let mount = empty().await;
    // ACME that is on wants to know where the mount is.
    let cluster = json!({ "path": "https://ca.example/v1/pki" });
    assert_eq!(mount.update("config/cluster", cluster).await.status, 200);
    for (path, stored, change) in [
        (
            "config/auto-tidy",
            AUTO_TIDY,
            json!({ "pause_duration": "7s" }),
        ),
        ("config/acme", ACME, json!({ "dns_resolver": "" })),
    ] {
        mount
            .storage()
            .put(path, format!("{stored}\n").into_bytes())
            .await
            .unwrap();
        let read = mount.read(path).await;
        assert_eq!(read.data["enabled"], true, "{path}");
        // Written as it was read, but for one field: the rest is as the built-in engine left it.
        assert_eq!(mount.update(path, change.clone()).await.status, 200);
        let entry = mount.storage().get(path).await.unwrap().unwrap();
        let before: Value = serde_json::from_str(stored).unwrap();
        let after: Value = serde_json::from_slice(&entry).unwrap();
        let fields = before.as_object().unwrap();
        let differ: Vec<_> = fields
            .keys()
            .filter(|key| before[*key] != after[*key])
            .collect();
        assert_eq!(differ.len(), 1, "{path}: {differ:?}");
        assert_eq!(
            fields.len(),
            after.as_object().unwrap().len(),
            "{path}: {after}"
        );

        let off = mount.update(path, json!({ "enabled": false })).await;
        assert_eq!(
            (off.status, off.warnings.is_empty()),
            (200, true),
            "{off:?}"
        );
        // Every field may be missing.
        for key in fields.keys() {
            let mut less = fields.clone();
            less.remove(key);
            let text = Value::Object(less).to_string();
            mount.storage().put(path, text.into_bytes()).await.unwrap();
            mount.backend().invalidate(path);
            assert_eq!(mount.read(path).await.status, 200, "{path} without {key}");
        }
    }
}

/// As OpenBao 2.7.2 reads them, but for its null where a list is missing.
#[tokio::test]
async fn what_an_entry_lacks_is_zero_and_not_what_holds_without_an_entry() {
    let mount = empty().await;
    for (path, bare) in [
        (
            "config/acme",
            json!({ "enabled": false, "allowed_issuers": [], "allowed_roles": [], "allow_role_ext_key_usage": false,
                "default_directory_policy": "", "dns_resolver": "", "eab_policy": "" }),
        ),
        (
            "config/auto-tidy",
            json!({ "enabled": false, "interval_duration": 0, "tidy_cert_store": false, "tidy_revoked_certs": false,
                "tidy_invalid_certs": false, "tidy_revoked_cert_issuer_associations": false, "tidy_expired_issuers": false,
                "tidy_move_legacy_ca_bundle": false, "tidy_acme": false, "safety_buffer": 0, "revoked_safety_buffer": 0,
                "issuer_safety_buffer": 31_536_000, "acme_account_safety_buffer": 0, "pause_duration": "0s", "page_size": 0,
                "maintain_stored_certificate_counts": false, "publish_stored_certificate_count_metrics": false }),
        ),
    ] {
        let without = mount.read(path).await.data;
        mount.storage().put(path, b"{}".to_vec()).await.unwrap();
        mount.backend().invalidate(path);
        assert_eq!(mount.read(path).await.data, bare, "{path}");
        mount.storage().delete(path).await.unwrap();
        mount.backend().invalidate(path);
        assert_eq!(mount.read(path).await.data, without, "{path}");
        assert_ne!(without, bare, "{path}");
    }
}
