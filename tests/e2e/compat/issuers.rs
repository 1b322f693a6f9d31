//! Issuers: reading, changing, defaults, deletion.

use serde_json::{Value, json};

use super::with_root;
use crate::support::Pair;

#[test]
fn an_issuer_is_changed_alike() {
    let mut pair = with_root(json!({}));
    let changes = [
        json!({"issuer_name": "renamed"}),
        json!({"issuer_name": "default"}),
        json!({"issuer_name": "a b"}),
        json!({"leaf_not_after_behavior": "truncate"}),
        json!({"leaf_not_after_behavior": "zz"}),
        json!({"usage": "read-only"}),
        json!({"usage": "read-only,issuing-certificates"}),
        json!({"usage": "zz"}),
        json!({"usage": ["read-only", "issuing-certificates", "crl-signing", "ocsp-signing"]}),
        json!({"revocation_signature_algorithm": "ECDSAWithSHA256"}),
        json!({"revocation_signature_algorithm": "sha256withrsa"}),
        json!({"manual_chain": "self"}),
        json!({"manual_chain": "nope"}),
        json!({"issuing_certificates": "http://example.com/ca"}),
        json!({"issuing_certificates": "notaurl"}),
        json!({"crl_distribution_points": ["http://example.com/crl"], "ocsp_servers": "http://example.com/ocsp"}),
        json!({"enable_aia_url_templating": true, "ocsp_servers": "{{cluster_path}}/ocsp"}),
        json!({}),
    ];
    for change in &changes {
        pair.same("PATCH", "issuer/default", change.clone());
        pair.same("GET", "issuer/default", Value::Null);
    }
    for change in &changes {
        pair.same("POST", "issuer/default", change.clone());
    }
    for path in [
        "issuer/default",
        "issuer/nope",
        "issuer/DEFAULT",
        "issuer/default/json",
        "issuer/nope/json",
    ] {
        pair.same("GET", path, Value::Null);
    }
    pair.same("PATCH", "issuer/nope", json!({"issuer_name": "x"}));
    pair.same("POST", "issuer/nope", json!({"issuer_name": "x"}));
    pair.finish();
}

#[test]
fn defaults_and_deletion_are_alike() {
    let mut pair = with_root(json!({}));
    pair.both("POST", "roles/one", Some(&json!({"allow_any_name": true})))
        .ok();
    pair.both(
        "POST",
        "issuers/generate/root/internal",
        Some(&json!({
            "common_name": "Second", "key_type": "ec", "issuer_name": "second",
        })),
    )
    .ok();
    pair.same("LIST", "issuers", Value::Null);
    pair.same("GET", "config/issuers", Value::Null);
    for body in [
        json!({"default": "second"}),
        json!({"default": "zzz"}),
        json!({"default": ""}),
        json!({"default": "default"}),
        json!({"default": "second", "default_follows_latest_issuer": true}),
        json!({"default_follows_latest_issuer": false}),
    ] {
        pair.same("POST", "config/issuers", body);
        pair.same("GET", "config/issuers", Value::Null);
    }
    pair.same("DELETE", "issuer/none", Value::Null);
    pair.same("DELETE", "issuer/root", Value::Null);
    pair.same("DELETE", "issuer/default", Value::Null);
    pair.same("LIST", "issuers", Value::Null);
    pair.same("GET", "issuer/default", Value::Null);
    pair.same("POST", "issue/one", json!({"common_name": "a.example.com"}));
    pair.same("DELETE", "root", Value::Null);
    pair.same("LIST", "keys", Value::Null);
    pair.finish();
}

#[test]
fn an_empty_mount_answers_alike() {
    let mut pair = Pair::new();
    for path in [
        "ca",
        "ca/pem",
        "ca_chain",
        "crl",
        "crl/pem",
        "cert/ca",
        "cert/ca_chain",
        "cert/crl",
        "cert/aa:bb",
        "cert/aa:bb/raw",
        "cert/aa:bb/raw/pem",
        "issuer/default",
        "issuer/default/pem",
        "issuer/default/der",
        "issuer/default/json",
        "issuer/default/crl",
        "key/default",
        "config/urls",
        "config/crl",
        "config/issuers",
        "config/keys",
        "config/cluster",
        "config/acme",
        "config/auto-tidy",
        "tidy-status",
        "crl/rotate",
        "nothing",
        "roles/a/b",
        "",
    ] {
        pair.same("GET", path, Value::Null);
    }
    for path in [
        "roles",
        "issuers",
        "keys",
        "certs",
        "certs/revoked",
        "certs/detailed",
    ] {
        pair.same("LIST", path, Value::Null);
    }
    for path in ["issuer/none", "key/none", "roles/none", "root", "ca"] {
        pair.same("DELETE", path, Value::Null);
    }
    pair.finish();
}
