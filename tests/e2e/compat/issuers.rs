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
        json!({"usage": [""]}),
        json!({"usage": "issuing-certificates,"}),
        json!({"usage": ""}),
        json!({"usage": ["read-only", "issuing-certificates", "crl-signing", "ocsp-signing"]}),
        json!({"revocation_signature_algorithm": "ECDSAWithSHA256"}),
        json!({"revocation_signature_algorithm": "sha256withrsa"}),
        json!({"manual_chain": "self"}),
        json!({"manual_chain": "nope"}),
        json!({"manual_chain": ["self", "self"]}),
        json!({"manual_chain": ["self", ""]}),
        json!({"manual_chain": [" root"]}),
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

#[test]
fn references_are_read_alike() {
    let mut pair = with_root(json!({"key_name": "keyed"}));
    let body = json!({"common_name": "Sub", "key_type": "ec"});
    let made = pair.both("POST", "intermediate/generate/internal", Some(&body));
    let csr = made.ok().text("csr");
    let certificate = pair.both("GET", "cert/ca", None).ok().text("certificate");
    for reference in ["", " ", "default", "DEFAULT", " Default ", " root ", "nope"] {
        pair.same_with(
            "POST",
            |_| "root/sign-intermediate".to_owned(),
            |i| json!({"csr": csr[i], "common_name": "x", "issuer_ref": reference}),
        );
        pair.same_with(
            "POST",
            |_| "root/sign-self-issued".to_owned(),
            |i| json!({"certificate": certificate[i], "issuer_ref": reference}),
        );
        for path in ["root/generate/existing", "intermediate/cross-sign"] {
            pair.same(
                "POST",
                path,
                json!({"common_name": "x", "key_ref": reference}),
            );
        }
        pair.same("POST", "config/issuers", json!({"default": reference}));
        pair.same("POST", "config/keys", json!({"default": reference}));
    }
    for path in ["issuer/DEFAULT", "key/Default", "issuer/DEFAULT/json"] {
        pair.same("GET", path, Value::Null);
    }
    for name in [" ", "a ", "default "] {
        pair.same("POST", "key/keyed", json!({"key_name": name}));
    }
    pair.finish();
}

#[test]
fn an_issuer_that_may_not_sign_crls_is_told_alike() {
    let mut pair = Pair::new();
    let openssl = crate::support::Openssl::new();
    let (certificate, key) = openssl.silent_authority("Silent");
    let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
    let imported = pair.same("POST", "issuers/import/bundle", bundle).ok();
    let ids =
        [&imported.theirs, &imported.ours].map(|reply| reply.texts("imported_issuers")[0].clone());
    for body in [
        json!({}),
        json!({"usage": "crl-signing"}),
        json!({"issuer_name": "a"}),
        json!({"issuer_name": "b", "usage": "issuing-certificates"}),
    ] {
        for method in ["PATCH", "POST"] {
            pair.same_with(method, |i| format!("issuer/{}", ids[i]), |_| body.clone());
            pair.same_with("GET", |i| format!("issuer/{}", ids[i]), |_| Value::Null);
        }
    }
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let body = json!({"common_name": "a.example.com"});
    let leaf = pair.both("POST", "issue/one", Some(&body)).ok();
    let serial = leaf.text("serial_number");
    for _ in 0..2 {
        pair.same_with(
            "POST",
            |_| "revoke".to_owned(),
            |i| json!({"serial_number": serial[i]}),
        );
    }
    pair.same("GET", "crl/rotate", Value::Null);
    pair.finish();
}
