//! Linters that others wrote, over what the engine emits: pkilint finds
//! nothing in it that it does not find in the built-in engine's.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Openssl, Pair, Python};

/// What pkilint says of a file, without where.
fn findings(arguments: &[&str]) -> BTreeSet<String> {
    let (_, said) = Python::run(arguments[0], &arguments[1..]);
    let report: Value = said
        .lines()
        .find_map(|line| serde_json::from_str(line).ok())
        .or_else(|| serde_json::from_str(&said).ok())
        .unwrap_or_else(|| panic!("{arguments:?} printed no JSON:\n{said}"));
    let results = report["results"]
        .as_array()
        .unwrap_or_else(|| panic!("{arguments:?} printed no results:\n{said}"));
    results
        .iter()
        .flat_map(|result| {
            result["finding_descriptions"]
                .as_array()
                .into_iter()
                .flatten()
        })
        .map(|finding| format!("{} {}", finding["severity"], finding["code"]))
        .collect()
}

fn certificate(openssl: &Openssl, pem: &str) -> BTreeSet<String> {
    let file = openssl.file("linted.pem", pem);
    let file = file.to_str().expect("a temporary path is text");
    findings(&["lint_pkix_cert", "lint", "-f", "JSON", "-s", "INFO", file])
}

fn crl(openssl: &Openssl, pem: &str) -> BTreeSet<String> {
    let file = openssl.file("linted.crl", pem);
    let file = file.to_str().expect("a temporary path is text");
    findings(&[
        "lint_crl", "lint", "-t", "CRL", "-p", "PKIX", "-f", "JSON", "-s", "INFO", file,
    ])
}

fn no_more_than(what: &str, theirs: &BTreeSet<String>, ours: &BTreeSet<String>) {
    let more: Vec<&String> = ours.difference(theirs).collect();
    assert!(more.is_empty(), "{what}: {more:?}");
}

#[test]
fn pkilint_finds_nothing_that_it_does_not_find_in_the_built_in_engines() {
    let pair = Pair::new();
    let openssl = Openssl::new();
    let urls = json!({
        "issuing_certificates": "http://example.com/ca", "crl_distribution_points": "http://example.com/crl",
        "ocsp_servers": "http://example.com/ocsp",
    });
    pair.both("POST", "config/urls", Some(&urls)).ok();
    for key in [
        json!({"key_type": "ec"}),
        json!({"key_type": "ec", "key_bits": 384}),
        json!({"key_type": "ed25519"}),
        json!({"key_type": "mldsa", "key_bits": 65}),
        json!({"key_type": "rsa", "key_bits": 2048}),
    ] {
        let mut root = json!({"common_name": "Root", "ttl": "8760h", "country": "AT", "organization": "Example"});
        let mut role = json!({"allow_any_name": true, "allowed_uri_sans": "*"});
        for body in [&mut root, &mut role] {
            let fields = body.as_object_mut().expect("an object");
            fields.extend(key.as_object().expect("an object").clone());
        }
        let made = pair.both("POST", "root/rotate/internal", Some(&root)).ok();
        pair.both("POST", "root/replace", Some(&json!({"default": "next"})))
            .ok();
        let [theirs, ours] = made
            .text("certificate")
            .map(|pem| certificate(&openssl, &pem));
        no_more_than(&format!("root {key}"), &theirs, &ours);

        pair.both("POST", "roles/one", Some(&role)).ok();
        for request in [
            json!({"common_name": "one.example.com"}),
            json!({"common_name": "one.example.com", "alt_names": "u@example.com", "ip_sans": "10.0.0.1", "uri_sans": "urn:x:y"}),
        ] {
            let made = pair.both("POST", "issue/one", Some(&request)).ok();
            let [theirs, ours] = made
                .text("certificate")
                .map(|pem| certificate(&openssl, &pem));
            no_more_than(&format!("leaf {key} {request}"), &theirs, &ours);
        }

        let csr = pair
            .both(
                "POST",
                "intermediate/generate/internal",
                Some(&key_and(&key, "Sub")),
            )
            .ok()
            .text("csr");
        let sign = |mount: &str, csr: &str| {
            pair.server()
                .client()
                .write(
                    &format!("{mount}/root/sign-intermediate"),
                    json!({"csr": csr, "common_name": "Sub"}),
                )
                .ok()
                .text("certificate")
        };
        let [theirs, ours] = [
            certificate(&openssl, &sign("builtin", &csr[0])),
            certificate(&openssl, &sign("landfst", &csr[1])),
        ];
        no_more_than(&format!("intermediate {key}"), &theirs, &ours);

        let serial = pair
            .both(
                "POST",
                "issue/one",
                Some(&json!({"common_name": "lost.example.com"})),
            )
            .ok()
            .text("serial_number");
        for (mount, serial) in ["builtin", "landfst"].iter().zip(&serial) {
            pair.server()
                .client()
                .write(&format!("{mount}/revoke"), json!({"serial_number": serial}))
                .ok();
        }
        let lists = pair.both("GET", "cert/crl", None).ok().text("certificate");
        let [theirs, ours] = lists.map(|pem| crl(&openssl, &pem));
        no_more_than(&format!("CRL {key}"), &theirs, &ours);
    }
}

/// Proof that the linter sees something: a CRL of openssl's without its
/// extensions has findings.
#[test]
fn pkilint_does_find_faults() {
    let openssl = Openssl::new();
    let found = certificate(&openssl, &openssl.leaf("node_1").0);
    assert!(!found.is_empty());
}

fn key_and(key: &Value, name: &str) -> Value {
    let mut body = key.clone();
    body["common_name"] = json!(name);
    body
}
