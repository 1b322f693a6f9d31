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
