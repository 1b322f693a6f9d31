//! Roots and intermediates: generation, import, keys.

use serde_json::{Value, json};

use super::with_root;
use crate::support::{Openssl, Pair};

#[test]
fn roots_are_made_alike() {
    let mut pair = Pair::new();
    let requests = [
        json!({"common_name": "Root", "key_type": "ec"}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 384, "issuer_name": "named", "key_name": "keyed"}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 521, "ttl": "87600h"}),
        json!({"common_name": "Root", "key_type": "ec", "ttl": "900000h"}),
        json!({"common_name": "Root", "key_type": "ed25519", "format": "der"}),
        json!({"common_name": "Root", "key_type": "rsa", "signature_bits": 384}),
        json!({"common_name": "Root", "key_type": "rsa", "use_pss": true, "format": "pem_bundle"}),
        json!({"common_name": "Root", "key_type": "ec", "max_path_length": 0}),
        json!({"common_name": "Root", "key_type": "ec", "max_path_length": 2, "permitted_dns_domains": "example.com"}),
        json!({"common_name": "root.example.com", "key_type": "ec", "alt_names": "b.example.com,u@example.com",
               "ip_sans": "10.0.0.1", "uri_sans": "urn:x", "ou": "a,b", "organization": "O", "country": "AT",
               "serial_number": "7", "key_usage": "DigitalSignature", "not_before_duration": "1h"}),
        json!({"common_name": "Root", "key_type": "ec", "not_after": "2040-01-01T00:00:00Z"}),
        json!({"key_type": "ec"}),
        json!({"common_name": "Root", "issuer_name": "named"}),
        json!({"common_name": "Root", "key_name": "keyed"}),
        json!({"common_name": "Root", "issuer_name": "default"}),
        json!({"common_name": "Root", "key_name": "default"}),
        json!({"common_name": "Root", "issuer_name": "a b"}),
        json!({"common_name": "Root", "key_type": "foo"}),
        json!({"common_name": "Root", "key_type": "any"}),
        json!({"common_name": "Root", "key_type": "rsa", "key_bits": 1024}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 100}),
        json!({"common_name": "Root", "key_type": "rsa", "signature_bits": 1}),
        json!({"common_name": "Root", "key_type": "ec", "format": "zz"}),
        json!({"common_name": "Root", "key_type": "ec", "ttl": "1h", "not_after": "2040-01-01T00:00:00Z"}),
        json!({"common_name": "Root", "key_type": "ec", "ip_sans": "zz"}),
        json!({"common_name": "Root", "key_type": "ec", "external_key_ref": "a"}),
    ];
    for path in ["root/generate/internal", "issuers/generate/root/exported"] {
        for request in &requests {
            pair.same("POST", path, request.clone());
        }
    }
    pair.same("POST", "root/generate/zz", json!({"common_name": "Root"}));
    pair.same(
        "POST",
        "root/generate/existing",
        json!({"common_name": "Root", "key_ref": "zzz"}),
    );
    pair.same(
        "POST",
        "root/generate/existing",
        json!({"common_name": "Root", "key_ref": "keyed"}),
    );
    pair.same(
        "POST",
        "root/generate/existing",
        json!({"common_name": "Root", "key_type": "ec"}),
    );
    pair.finish();
}

#[test]
fn an_intermediate_is_signed_and_set_alike() {
    let mut pair = with_root(json!({}));
    let request = json!({"common_name": "Sub", "key_type": "ec", "key_name": "sub"});
    let made = pair
        .same("POST", "intermediate/generate/internal", request.clone())
        .ok();
    let csr = made.text("csr");
    pair.same(
        "POST",
        "intermediate/generate/exported",
        json!({"common_name": "Sub", "key_type": "rsa", "add_basic_constraints": true}),
    );
    pair.same("POST", "intermediate/generate/internal", request);
    pair.same(
        "POST",
        "intermediate/generate/internal",
        json!({"key_type": "ec"}),
    );
    for more in [
        json!({}),
        json!({"common_name": "Signed"}),
        json!({"common_name": "Signed", "max_path_length": 0, "permitted_dns_domains": "a.example.com"}),
        json!({"common_name": "Signed", "ttl": "90000h"}),
        json!({"use_csr_values": true}),
        json!({"common_name": "Signed", "format": "pem_bundle"}),
        json!({"common_name": "Signed", "format": "der"}),
        json!({"common_name": "Signed", "format": "zz"}),
        json!({"common_name": "Signed", "skid": "zz"}),
        json!({"common_name": "Signed", "skid": "0102"}),
        json!({"common_name": "Signed", "issuer_ref": "nope"}),
        json!({"common_name": "Signed", "not_after": "2027-01-01T00:00:00Z"}),
        json!({"common_name": "Signed", "not_before": "garbage"}),
        json!({"common_name": "Signed", "not_before": "2020-01-01"}),
        json!({"common_name": "Signed", "not_before": ""}),
        json!({"common_name": "Signed", "ext_key_usage_oids": [""]}),
    ] {
        pair.same_with(
            "POST",
            |_| "root/sign-intermediate".to_owned(),
            |i| {
                let mut body = json!({"csr": csr[i]});
                super::merge(&mut body, more.clone());
                body
            },
        );
    }
    pair.same(
        "POST",
        "root/sign-intermediate",
        json!({"csr": "zz", "common_name": "x"}),
    );
    pair.same(
        "POST",
        "root/sign-intermediate",
        json!({"common_name": "x"}),
    );
    let signed = pair
        .same_with(
            "POST",
            |_| "issuer/root/sign-intermediate".to_owned(),
            |i| json!({"csr": csr[i], "common_name": "Sub"}),
        )
        .ok()
        .text("certificate");
    let set = pair
        .same_with(
            "POST",
            |_| "intermediate/set-signed".to_owned(),
            |i| json!({"certificate": signed[i]}),
        )
        .ok();
    pair.same_with(
        "POST",
        |_| "intermediate/set-signed".to_owned(),
        |i| json!({"certificate": signed[i]}),
    );
    let id = [&set.theirs, &set.ours].map(|reply| reply.texts("imported_issuers")[0].clone());
    pair.same_with("GET", |i| format!("issuer/{}", id[i]), |_| Value::Null);
    pair.same_with(
        "POST",
        |i| format!("issuer/{}/issue/none", id[i]),
        |_| json!({"common_name": "x"}),
    );
    for certificate in [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        pair.same(
            "POST",
            "intermediate/set-signed",
            json!({"certificate": certificate}),
        );
    }
    pair.same("GET", "issuer/root", Value::Null);
    pair.finish();
}

#[test]
fn an_existing_ca_is_imported_alike() {
    let mut pair = Pair::new();
    let openssl = Openssl::new();
    let (certificate, key) = openssl.authority("Imported CA");
    let (leaf, _) = openssl.leaf("leaf.example.com");
    let bundle = format!("{certificate}{key}");
    for (path, body) in [
        ("config/ca", json!({"pem_bundle": bundle})),
        ("config/ca", json!({"pem_bundle": bundle})),
        ("issuers/import/bundle", json!({"pem_bundle": bundle})),
        ("issuers/import/cert", json!({"pem_bundle": certificate})),
        ("issuers/import/cert", json!({"pem_bundle": bundle})),
        ("issuers/import/bundle", json!({"pem_bundle": leaf})),
        ("issuers/import/bundle", json!({"pem_bundle": ""})),
        ("issuers/import/bundle", json!({})),
        (
            "issuers/import/bundle",
            json!({"pem_bundle": "/etc/ca.pem"}),
        ),
        (
            "issuers/import/bundle",
            json!({"pem_bundle": "x".repeat(100)}),
        ),
        (
            "keys/import",
            json!({"pem_bundle": key, "key_name": "again"}),
        ),
        ("keys/import", json!({"pem_bundle": bundle})),
        ("keys/import", json!({"pem_bundle": "x"})),
        ("keys/import", json!({"pem_bundle": "x".repeat(100)})),
    ] {
        pair.same("POST", path, body);
    }
    pair.same("LIST", "issuers", Value::Null);
    pair.same("LIST", "keys", Value::Null);
    pair.same("GET", "config/issuers", Value::Null);
    pair.same("GET", "config/keys", Value::Null);
    pair.same("GET", "issuer/default", Value::Null);
    pair.finish();
}

#[test]
fn keys_are_made_named_and_deleted_alike() {
    let mut pair = with_root(json!({}));
    for body in [
        json!({"key_type": "ec", "key_name": "one"}),
        json!({"key_type": "ec", "key_name": "one"}),
        json!({"key_type": "ed25519"}),
        json!({"key_type": "rsa", "key_bits": 3072}),
        json!({"key_type": "foo"}),
        json!({"key_name": "default"}),
        json!({"key_name": "a b", "key_type": "ec"}),
    ] {
        pair.same("POST", "keys/generate/internal", body.clone());
        pair.same("POST", "keys/generate/exported", body);
    }
    pair.same("POST", "keys/generate/zz", json!({}));
    for path in ["key/one", "key/default", "key/nope", "keys?list=true"] {
        pair.same("GET", path, Value::Null);
    }
    pair.same("POST", "key/one", json!({"key_name": "two"}));
    pair.same("GET", "key/two", Value::Null);
    pair.same("POST", "config/keys", json!({"default": "two"}));
    pair.same("POST", "config/keys", json!({"default": "zzz"}));
    pair.same("POST", "config/keys", json!({"default": ""}));
    pair.same("DELETE", "key/two", Value::Null);
    pair.same("DELETE", "key/none", Value::Null);
    pair.same("DELETE", "key/two", Value::Null);
    pair.finish();
}

/// Certificates that are odd in one thing each: what the built-in engine cannot read is not let in, so that the way back stays open.
#[test]
fn odd_certificates_are_imported_or_refused_alike() {
    let mut pair = Pair::new();
    let odd = include_str!("../../../pki/src/go/cas-2.7.2.txt");
    for line in odd.lines().filter(|line| !line.starts_with('#')) {
        let [name, theirs, base64] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        if theirs == "stops" {
            continue;
        }
        let both = pair.both(
            "POST",
            "issuers/import/cert",
            Some(&json!({"pem_bundle": pem})),
        );
        pair.equal(
            name,
            &both.theirs.status.to_string(),
            &both.ours.status.to_string(),
        );
    }
    pair.finish();
}
