//! Input that no client should send: an error of the reference or a clear
//! 400, never a bare 500, never the end of the process.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::support::{Both, Openssl, PLUGIN_NAME, Pair, Server};

/// Every path that takes a body.
const WRITES: [&str; 27] = [
    "roles/one",
    "issue/any",
    "sign/any",
    "sign-verbatim",
    "sign-verbatim/any",
    "issuer/default/sign/any",
    "issuer/default/issue/any",
    "root/generate/internal",
    "root/rotate/internal",
    "root/replace",
    "root/sign-intermediate",
    "intermediate/generate/internal",
    "intermediate/set-signed",
    "issuers/import/bundle",
    "issuers/import/cert",
    "config/ca",
    "keys/generate/internal",
    "keys/import",
    "config/issuers",
    "config/keys",
    "config/urls",
    "config/crl",
    "issuer/default",
    "key/default",
    "revoke",
    "issuers/generate/root/exported",
    "issuers/generate/intermediate/exported",
];

/// Every field that a request may have.
const FIELDS: [&str; 30] = [
    "common_name",
    "alt_names",
    "ip_sans",
    "uri_sans",
    "other_sans",
    "ttl",
    "not_after",
    "not_before",
    "format",
    "private_key_format",
    "csr",
    "certificate",
    "pem_bundle",
    "serial_number",
    "issuer_ref",
    "key_ref",
    "key_type",
    "key_bits",
    "signature_bits",
    "allowed_domains",
    "key_usage",
    "ext_key_usage_oids",
    "policy_identifiers",
    "max_path_length",
    "permitted_dns_domains",
    "usage",
    "manual_chain",
    "default",
    "expiry",
    "issuing_certificates",
];

fn prepared() -> Pair {
    let pair = Pair::new();
    pair.both(
        "POST",
        "root/generate/internal",
        Some(&json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"})),
    )
    .ok();
    pair.both(
        "POST",
        "roles/any",
        Some(&json!({"allow_any_name": true, "key_type": "any"})),
    )
    .ok();
    pair
}

/// What must hold of any answer: no status that the built-in would not give,
/// and where it is a 500, a text that says why.
fn judged(what: &str, both: &Both) -> Result<(), String> {
    let (theirs, ours) = (both.theirs.status, both.ours.status);
    let errors = both.ours.errors().join("; ");
    let bare = ours >= 400 && ours != 404 && ours != 405 && errors.trim().is_empty();
    if ours >= 500 && theirs < 500 {
        Err(format!(
            "{what}: {ours} {errors:?}, the built-in {theirs} {:?}",
            both.theirs.errors()
        ))
    } else if bare || errors.contains("panic") || errors.contains("internal error") {
        Err(format!("{what}: {ours} {errors:?}"))
    } else {
        Ok(())
    }
}

fn bad_values() -> Vec<Value> {
    let certificate = Openssl::new().authority("Elsewhere").0;
    let cut: String = certificate.chars().take(certificate.len() / 2).collect();
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(9_223_372_036_854_775_807_i64),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("ä\u{202e}💥"),
        json!("%00%2f.."),
        json!("../../config/ca"),
        json!("{{identity.entity.id}}"),
        json!("x".repeat(70_000)),
        json!(","),
        json!([]),
        json!([null]),
        json!([[["a"]]]),
        json!(vec!["a"; 300]),
        json!({}),
        json!({"a": {"b": {"c": []}}}),
        json!("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"),
        json!("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----"),
        json!("-----BEGIN CERTIFICATE REQUEST-----\nMAAwADAA\n-----END CERTIFICATE REQUEST-----"),
        json!("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----"),
        json!(certificate),
        json!(cut),
        json!(format!("{certificate}{certificate}")),
    ]
}

#[test]
fn every_field_of_every_path_withstands_every_bad_value() {
    let pair = prepared();
    let values = bad_values();
    let process = pair.server().plugins();
    let mut faults = Vec::new();
    // One value after the other in every field, and every field of a path
    // with a value in turn: not the product, which is a quarter of an hour.
    for (p, path) in WRITES.iter().enumerate() {
        for (v, value) in values.iter().enumerate() {
            let mut body = json!({"common_name": "a.example.com", "key_type": "ec"});
            body[FIELDS[(p + v) % FIELDS.len()]] = value.clone();
            body[FIELDS[(p * 7 + v * 3) % FIELDS.len()]] = value.clone();
            let both = pair.both("POST", path, Some(&body));
            let what: String = format!("POST {path} {body}").chars().take(300).collect();
            faults.extend(judged(&what, &both).err());
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert_eq!(
        pair.server().plugins(),
        process,
        "the process ended on the way"
    );
    assert!(
        !pair.server().log().contains("panicked"),
        "something panicked"
    );
}

#[test]
fn odd_paths_and_methods_are_refused_as_by_the_built_in() {
    let mut pair = prepared();
    for path in [
        "roles//",
        "roles/a//b",
        "roles/%00",
        "roles/a%20b",
        "roles/a%0ab",
        "roles/.a",
        "roles/a.",
        "cert/",
        "cert/..%2fca",
        "cert/zz",
        "cert/aa:",
        "cert/:",
        "issuer/",
        "issuer/%2e%2e",
        "issuer/default/",
        "issuer/default/zz",
        "key/",
        "key/a%20b",
        "config",
        "config/",
        "config/zz",
        "ca/zz",
        "crl/zz",
        "issuer/a/b/c/d",
    ] {
        pair.same("GET", path, Value::Null);
        pair.same("POST", path, json!({}));
        // The built-in answers a LIST below cert/ before it looks at the token,
        // so that the text of the same 404 is framed in another way.
        if !path.starts_with("cert/") {
            pair.same("LIST", path, Value::Null);
        }
    }
    for path in [
        "roles/any",
        "issue/any",
        "ca",
        "cert/ca",
        "config/urls",
        "issuers",
        "certs",
        "revoke",
    ] {
        for method in ["GET", "LIST", "POST", "PUT", "PATCH", "DELETE"] {
            if (method, path) == ("LIST", "cert/ca") {
                continue;
            }
            let body = if ["GET", "LIST", "DELETE"].contains(&method) {
                Value::Null
            } else {
                json!({})
            };
            pair.same(method, path, body);
        }
    }
    pair.finish();
}

#[test]
fn any_json_in_any_field_gets_an_answer() {
    let pair = prepared();
    let process = pair.server().plugins();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[a-z*.@:/;,-]{0,30}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,4}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    let body = prop::collection::hash_map(prop::sample::select(FIELDS.as_slice()), value, 1..5);
    let path = prop::sample::select(WRITES.as_slice());
    // A fixed seed: a failure on one machine is a failure on every machine.
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: 400,
            failure_persistence: None,
            ..Config::default()
        },
        TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]),
    );
    runner
        .run(&(path, body), |(path, body)| {
            let body: Value = body
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
            let both = pair.both("POST", path, Some(&body));
            judged(&format!("POST {path} {body}"), &both).map_err(TestCaseError::fail)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        pair.server().plugins(),
        process,
        "the process ended on the way"
    );
}

#[test]
fn a_secret_in_the_wrong_place_is_not_echoed() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let secret = "s3cr3t-value-of-the-caller";
    for (path, field) in [
        ("keys/import", "pem_bundle"),
        ("config/ca", "pem_bundle"),
        ("issuers/import/bundle", "pem_bundle"),
        ("intermediate/set-signed", "certificate"),
        ("roles/one", "ttl"),
        ("roles/one", "allow_any_name"),
        ("config/crl", "disable"),
    ] {
        let reply = client.write(
            &format!("pki/{path}"),
            json!({field: format!("{secret} {}", "x".repeat(80))}),
        );
        assert_eq!(reply.status, 400, "{path} {field}: {:?}", reply.errors());
        if field == "ttl" {
            // The built-in names a duration that it cannot read; a duration
            // is no secret, and clients know the text.
            continue;
        }
        assert!(
            !String::from_utf8_lossy(&reply.bytes).contains(secret),
            "{path} {field}: {:?}",
            reply.errors()
        );
    }
    assert!(!server.log().contains(secret), "a value reached the log");
}
