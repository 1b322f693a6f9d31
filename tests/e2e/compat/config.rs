//! Settings of a mount.

use serde_json::{Value, json};

use super::with_root;

#[test]
fn urls_are_kept_and_refused_alike() {
    let mut pair = with_root(json!({}));
    for body in [
        json!({"issuing_certificates": "http://example.com/ca,http://example.org/ca"}),
        json!({"crl_distribution_points": ["http://example.com/crl"], "ocsp_servers": "http://example.com/ocsp"}),
        json!({"issuing_certificates": "notaurl"}),
        json!({"ocsp_servers": "ftp//x"}),
        json!({"enable_templating": true, "issuing_certificates": "{{cluster_aia_path}}/issuer/{{issuer_id}}/der"}),
        json!({"enable_templating": true, "issuing_certificates": "{{nonsense}}"}),
        json!({"enable_templating": false, "issuing_certificates": "", "crl_distribution_points": [], "ocsp_servers": []}),
        json!({"delta_crl_distribution_points": "http://example.com/delta"}),
        json!({}),
        json!({"zz": 1}),
    ] {
        pair.same("POST", "config/urls", body);
        pair.same("GET", "config/urls", Value::Null);
    }
    pair.finish();
}

#[test]
fn a_template_that_becomes_no_url_is_refused_on_use() {
    let mut pair = with_root(json!({}));
    pair.same(
        "POST",
        "config/urls",
        json!({"enable_templating": true, "ocsp_servers": "nonsense"}),
    );
    pair.same(
        "POST",
        "roles/one",
        json!({"allow_any_name": true, "key_type": "ec"}),
    );
    pair.same("POST", "issue/one", json!({"common_name": "a.example.com"}));
    pair.same(
        "POST",
        "root/rotate/internal",
        json!({"common_name": "x", "key_type": "ec"}),
    );
    pair.finish();
}

#[test]
fn crl_settings_are_kept_and_refused_alike() {
    let mut pair = with_root(json!({}));
    for body in [
        json!({"expiry": "24h"}),
        json!({"expiry": "zz"}),
        json!({"auto_rebuild": true}),
        json!({"auto_rebuild": true, "auto_rebuild_grace_period": "48h", "expiry": "24h"}),
        json!({"auto_rebuild": false, "enable_delta": true}),
        json!({"ocsp_expiry": "-1h"}),
        json!({"ocsp_expiry": "1h", "ocsp_disable": true}),
        json!({"delta_rebuild_interval": "zz"}),
        json!({"disable": true}),
        json!({"disable": false, "allow_expired_cert_revocation": true}),
        json!({"expiry": 3600}),
        json!({"disable": "zz"}),
        json!({}),
    ] {
        pair.same("POST", "config/crl", body);
        pair.same("GET", "config/crl", Value::Null);
    }
    pair.finish();
}

#[test]
fn settings_of_acme_are_kept_and_refused_alike() {
    let mut pair = with_root(json!({}));
    for (name, more) in [("one", json!({})), ("loose", json!({"no_store": true}))] {
        let mut role = json!({"allow_any_name": true});
        super::merge(&mut role, more);
        pair.both("POST", &format!("roles/{name}"), Some(&role))
            .ok();
    }
    let read = pair.same("GET", "config/acme", Value::Null).ours;
    for body in [
        json!({"enabled": false}),
        // What the console sends when its form is saved: all that it read.
        read.data().clone(),
        json!({}),
        json!({"dns_resolver": "192.0.2.1:53", "eab_policy": "always-required"}),
        json!({"dns_resolver": "[::1]:53"}),
        json!({"dns_resolver": ""}),
        json!({"allowed_roles": ["one"], "default_directory_policy": "role:one"}),
        json!({"allowed_roles": "*", "default_directory_policy": "forbid"}),
        json!({"allowed_issuers": "default"}),
        json!({"allow_role_ext_key_usage": true}),
        json!({"enabled": "zz"}),
        json!({"zz": 1}),
    ] {
        pair.same("POST", "config/acme", body);
        pair.same("GET", "config/acme", Value::Null);
    }
    for body in [
        json!({"eab_policy": "zz"}),
        json!({"eab_policy": ""}),
        json!({"default_directory_policy": "zz"}),
        json!({"default_directory_policy": ""}),
        json!({"default_directory_policy": "role:"}),
        json!({"default_directory_policy": "role:nope"}),
        json!({"default_directory_policy": "role:loose"}),
        json!({"allowed_roles": ["nope"]}),
        json!({"allowed_roles": []}),
        json!({"allowed_roles": ["*", "one"]}),
        json!({"allowed_roles": ["loose"], "default_directory_policy": "role:one"}),
        json!({"allowed_issuers": ["nope"]}),
        json!({"allowed_issuers": [""]}),
        json!({"allowed_issuers": []}),
        json!({"allowed_issuers": ["*", "default"]}),
        json!({"dns_resolver": "zz"}),
        json!({"dns_resolver": "zz:53"}),
        json!({"dns_resolver": ":53"}),
        json!({"dns_resolver": "::1"}),
    ] {
        // A fault of the caller is a 400 here, with the built-in engine's words.
        let both = pair.both("POST", "config/acme", Some(&body));
        assert_eq!((both.theirs.status, both.ours.status), (500, 400), "{body}");
        let theirs = both.theirs.errors().join("");
        let ours = both.ours.errors().join("");
        assert!(theirs.contains(&ours), "{body}: {theirs:?} {ours:?}");
        pair.same("GET", "config/acme", Value::Null);
    }
    pair.finish();
}

#[test]
fn settings_of_tidying_are_kept_and_refused_alike() {
    let mut pair = with_root(json!({}));
    let read = pair.same("GET", "config/auto-tidy", Value::Null).ours;
    for body in [
        json!({"enabled": false}),
        read.data().clone(),
        json!({}),
        json!({"interval_duration": "1h", "tidy_cert_store": true, "tidy_acme": true}),
        json!({"interval_duration": "-1h"}),
        json!({"interval_duration": 0}),
        json!({"safety_buffer": 0}),
        json!({"safety_buffer": "1h"}),
        json!({"revoked_safety_buffer": 0}),
        json!({"revoked_safety_buffer": "2h"}),
        json!({"safety_buffer": "4h"}),
        json!({"issuer_safety_buffer": 0}),
        json!({"issuer_safety_buffer": 60}),
        json!({"acme_account_safety_buffer": 0}),
        json!({"acme_account_safety_buffer": "48h"}),
        json!({"pause_duration": "-1s"}),
        json!({"pause_duration": "5s"}),
        json!({"pause_duration": 5}),
        json!({"pause_duration": "1h30m"}),
        json!({"pause_duration": ""}),
        json!({"page_size": 1}),
        json!({"page_size": -1}),
        json!({"page_size": 50}),
        json!({"tidy_revocation_list": true}),
        json!({"tidy_revoked_certs": true, "tidy_invalid_certs": true, "tidy_expired_issuers": true,
            "tidy_revoked_cert_issuer_associations": true, "tidy_move_legacy_ca_bundle": true}),
        json!({"publish_stored_certificate_count_metrics": true}),
        json!({"maintain_stored_certificate_counts": true, "publish_stored_certificate_count_metrics": true}),
        json!({"maintain_stored_certificate_counts": false}),
        json!({"enabled": true}),
        json!({"enabled": false, "tidy_revoked_certs": false, "tidy_invalid_certs": false, "tidy_expired_issuers": false,
            "tidy_revoked_cert_issuer_associations": false, "tidy_move_legacy_ca_bundle": false,
            "tidy_cert_store": false, "tidy_acme": false}),
        json!({"enabled": true}),
        json!({"enabled": true, "tidy_acme": true}),
        json!({"enabled": "zz"}),
        json!({"zz": 1}),
    ] {
        pair.same("POST", "config/auto-tidy", body);
        pair.same("GET", "config/auto-tidy", Value::Null);
    }
    pair.finish();
}
