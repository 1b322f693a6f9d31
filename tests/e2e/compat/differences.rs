//! What differs from the built-in engine on purpose. Each is stated in
//! `docs/compatibility.md`; both sides are asserted, so that a change of
//! either is noticed.

use serde_json::json;

use super::with_root;
use crate::support::{Both, Pair};

fn statuses(both: &Both) -> (u16, u16) {
    (both.theirs.status, both.ours.status)
}

#[test]
fn a_fault_of_a_role_is_a_400_and_not_a_500() {
    let pair = Pair::new();
    for role in [
        json!({"policy_identifiers": "1.2.x"}),
        json!({"cn_validations": "foo"}),
        json!({"cn_validations": ["email", "disabled"]}),
        json!({"cn_validations": ["email", "email"]}),
    ] {
        let both = pair.both("POST", "roles/one", Some(&role));
        assert_eq!(statuses(&both), (500, 400), "{role}");
        // The words are the same, without the frame that a 500 gets.
        let theirs = both.theirs.errors().join("");
        let ours = both.ours.errors().join("");
        let start = ours
            .split_once(':')
            .map_or(ours.as_str(), |(start, _)| start);
        assert!(theirs.contains(start), "{theirs:?} {ours:?}");
    }
}

#[test]
fn a_value_that_cannot_be_read_is_not_repeated() {
    let pair = Pair::new();
    let role = json!({"allowed_domains": {"a": "a value of the caller"}});
    let both = pair.both("POST", "roles/one", Some(&role));
    assert_eq!(statuses(&both), (400, 400));
    let [theirs, ours] = [both.theirs, both.ours].map(|reply| reply.errors().join(""));
    assert!(theirs.starts_with(&ours), "{theirs:?} {ours:?}");
    assert!(!ours.contains("a value of the caller"), "{ours:?}");
}

#[test]
fn a_broken_request_is_told_in_our_own_words() {
    let pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec"})),
    )
    .ok();
    let csr = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let both = pair.both("POST", "sign/one", Some(&json!({"csr": csr})));
    assert_eq!(statuses(&both), (400, 400));
    for reply in [both.theirs, both.ours] {
        let text = reply.errors().join("");
        assert!(
            text.starts_with("certificate request could not be parsed: "),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_signature_algorithm_is_named_and_ours_are_listed() {
    let pair = with_root(json!({}));
    let both = pair.both(
        "PATCH",
        "issuer/default",
        Some(&json!({"revocation_signature_algorithm": "zz"})),
    );
    assert_eq!(statuses(&both), (400, 400));
    let [theirs, ours] = [both.theirs, both.ours].map(|reply| reply.errors().join(""));
    for text in [&theirs, &ours] {
        assert!(text.contains("ecdsawithsha256"), "{text}");
    }
    assert!(
        theirs.contains("mldsa65") && !ours.contains("mldsa65"),
        "{ours}"
    );
}

#[test]
fn names_that_a_reader_may_misread_are_refused() {
    let pair = with_root(json!({}));
    let role = json!({"key_type": "ec", "allowed_domains": "example.com", "allow_subdomains": true,
        "enforce_hostnames": false});
    pair.both("POST", "roles/loose", Some(&role)).ok();
    let role = json!({"key_type": "ec"});
    pair.both("POST", "roles/local", Some(&role)).ok();
    for (path, name, why) in [
        (
            "issue/loose",
            "evil.test\u{0}.example.com",
            "no-control-characters",
        ),
        (
            "issue/loose",
            "evil.test\n.example.com",
            "no-control-characters",
        ),
        ("issue/local", "*.localhost", "not allowed by this role"),
    ] {
        let both = pair.both("POST", path, Some(&json!({"common_name": name})));
        assert_eq!(statuses(&both), (200, 400), "{name:?}");
        let text = both.ours.errors().join("");
        assert!(text.contains(why), "{name:?}: {text}");
    }
}

#[test]
fn object_identifiers_that_cannot_be_encoded_are_refused_at_once() {
    let pair = with_root(json!({}));
    for oid in ["2.999.1", "1", "1.40.1"] {
        let role = json!({"key_type": "ec", "ext_key_usage_oids": oid});
        let both = pair.both("POST", "roles/one", Some(&role));
        assert_eq!(statuses(&both), (200, 400), "{oid}");
    }
}

#[test]
fn a_role_name_has_no_slash_in_sign_verbatim() {
    let pair = with_root(json!({}));
    let both = pair.both("POST", "sign-verbatim/a/b", Some(&json!({"csr": "x"})));
    assert_eq!(statuses(&both), (400, 404));
}

#[test]
fn key_types_that_are_missing_are_refused_clearly() {
    let pair = Pair::new();
    for (role, kind) in [
        (json!({"key_type": "ec", "key_bits": 224}), "224"),
        (json!({"key_type": "mldsa"}), "mldsa"),
    ] {
        for path in ["roles/one", "keys/generate/internal"] {
            let both = pair.both("POST", path, Some(&role));
            assert_eq!(statuses(&both), (200, 400), "{path} {role}");
            let text = both.ours.errors().join("").to_lowercase().replace('-', "");
            assert!(text.contains(kind), "{path}: {text}");
        }
    }
}

#[test]
fn keys_of_the_servers_own_store_are_refused_and_those_of_aws_kms_asked_for() {
    let pair = Pair::new();
    for path in [
        "root/generate/kms",
        "intermediate/generate/kms",
        "keys/generate/kms",
    ] {
        let body = json!({"common_name": "Root", "external_key_ref": "a:b"});
        let both = pair.both("POST", path, Some(&body));
        let text = both.ours.errors().join("");
        assert_eq!(both.ours.status, 400, "{path}: {text}");
        assert!(text.contains("give \"kms_key_id\""), "{path}: {text}");
        let theirs = both.theirs.errors().join("");
        assert!(theirs.contains("external key"), "{path}: {theirs}");

        let both = pair.both("POST", path, Some(&json!({"common_name": "Root"})));
        assert_eq!(statuses(&both), (400, 400), "{path}");
        for (reply, field) in [(both.theirs, "external_key_ref"), (both.ours, "kms_key_id")] {
            let text = reply.errors().join("");
            assert!(text.contains(&format!("\"{field}\"")), "{path}: {text}");
        }
    }
}

#[test]
fn an_ec_key_signs_with_the_hash_of_its_curve() {
    let pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec", "signature_bits": 512})),
    )
    .ok();
    let openssl = crate::support::Openssl::new();
    let csr = openssl.csr("a.example.com");
    let both = pair
        .both("POST", "sign/one", Some(&json!({"csr": csr})))
        .ok();
    let [theirs, ours] = both
        .text("certificate")
        .map(|pem| openssl.text("x509", &pem));
    assert!(theirs.contains("ecdsa-with-SHA512"), "{theirs}");
    assert!(ours.contains("ecdsa-with-SHA256"), "{ours}");
    assert!(!both.ours.warnings().is_empty(), "the caller is told");
}

#[test]
fn a_ca_gets_no_start_and_no_purpose_that_cannot_be_read() {
    let pair = Pair::new();
    let ca = |field: &str| json!({"common_name": "Root", "key_type": "ec", field: "zz"});
    let both = pair.both("POST", "root/generate/internal", Some(&ca("not_before")));
    assert_eq!(statuses(&both), (200, 200));
    let said = |texts: Vec<String>| {
        texts
            .iter()
            .any(|text| text.contains("not_before was not used"))
    };
    assert!(!said(both.theirs.warnings()) && said(both.ours.warnings()));

    let request = ca("ext_key_usage_oids");
    let both = pair.both("POST", "root/generate/internal", Some(&request));
    assert_eq!(statuses(&both), (200, 400));
    let text = both.ours.errors().join("");
    assert!(
        text.contains("could not be parsed as a valid oid"),
        "{text}"
    );
}

#[test]
fn paths_of_later_releases_are_unsupported() {
    let pair = with_root(json!({}));
    for (method, path) in [
        ("POST", "tidy"),
        ("POST", "config/acme"),
        ("POST", "config/auto-tidy"),
        ("LIST", "cel/roles"),
        ("LIST", "eab"),
    ] {
        let body = (method == "POST").then(|| json!({"enabled": false}));
        let both = pair.both(method, path, body.as_ref());
        let status = both.ours.status;
        assert!([404, 405].contains(&status), "{method} {path}: {status}");
    }
}
