//! What differs from the built-in engine on purpose. Each is stated in
//! `docs/compatibility.md`; both sides are asserted, so that a change of
//! either is noticed.

use serde_json::{Value, json};

use super::with_root;
use crate::support::{Both, Openssl, Pair, Reply};

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
fn delta_crls_that_nobody_finds_are_told() {
    let pair = with_root(json!({}));
    let on = json!({"auto_rebuild": true, "enable_delta": true});
    let both = pair.both("POST", "config/crl", Some(&on)).ok();
    assert_eq!(both.theirs.warnings(), Vec::<String>::new());
    let [ours] = &both.ours.warnings()[..] else {
        panic!("{:?}", both.ours.warnings());
    };
    assert!(ours.contains("delta_crl_distribution_points"), "{ours}");
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
fn purposes_of_a_ca_by_number_and_names_without_a_subject_are_as_asked_and_as_the_standard_has_them()
 {
    let pair = with_root(json!({}));
    let openssl = Openssl::new();
    let shown = |both: &Both| {
        let certificates = both.text("certificate");
        certificates.map(|pem| openssl.text("x509", &pem))
    };
    let body =
        json!({"common_name": "x", "key_type": "ec", "ttl": "9h", "ext_key_usage_oids": "1.2.3.4"});
    let made = pair.both("POST", "root/rotate/internal", Some(&body)).ok();
    assert_eq!(
        shown(&made).map(|text| text.contains("1.2.3.4")),
        [false, true]
    );
    let role = json!({"key_type": "ec", "require_cn": false, "allowed_other_sans": "*"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let body = json!({"other_sans": "1.2.3;UTF8:a"});
    let made = pair.both("POST", "issue/one", Some(&body)).ok();
    let critical = |text: String| text.contains("Subject Alternative Name: critical");
    assert_eq!(shown(&made).map(critical), [false, true]);
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

/// What the standard does not allow and does no harm is made, and told.
#[test]
fn a_doubtful_leaf_is_made_with_a_warning() {
    let pair = with_root(json!({}));
    let openssl = Openssl::new();
    for (role, body, rule) in [
        (
            json!({"key_usage": "CertSign,DigitalSignature"}),
            json!({"common_name": "a.test"}),
            "rfc5280-4.2.1.3",
        ),
        (json!({"require_cn": false}), json!({}), "rfc5280-4.1.2.6"),
        (
            json!({"not_before": "1900-01-01T00:00:00Z"}),
            json!({"common_name": "a.test"}),
            "readers-times",
        ),
    ] {
        let mut fields = json!({"key_type": "ec", "allow_any_name": true});
        super::merge(&mut fields, role);
        pair.both("POST", "roles/one", Some(&fields)).ok();
        let both = pair.both("POST", "issue/one", Some(&body)).ok();
        let told = |reply: &Reply| reply.warnings().iter().any(|one| one.contains(rule));
        assert_eq!(
            [&both.theirs, &both.ours].map(told),
            [false, true],
            "{rule}"
        );
        let [theirs, ours] = both
            .text("certificate")
            .map(|pem| openssl.text("x509", &pem));
        let no_ca = |text: &str| text.contains("CA:FALSE");
        assert_eq!(
            [no_ca(&theirs), no_ca(&ours)],
            [false, rule == "rfc5280-4.2.1.3"],
            "{rule}"
        );
        for word in [
            "Certificate Sign",
            "CN = a.test",
            "Not Before: Jan  1 00:00:00 1900",
        ] {
            assert_eq!(theirs.contains(word), ours.contains(word), "{rule}: {word}");
        }
    }
}

#[test]
fn an_algorithm_with_another_hash_is_kept_and_told() {
    let pair = with_root(json!({}));
    let body = json!({"revocation_signature_algorithm": "ECDSAWithSHA384"});
    let both = pair.both("PATCH", "issuer/root", Some(&body)).ok();
    assert_eq!(both.theirs.warnings(), Vec::<String>::new());
    let [warning] = &both.ours.warnings()[..] else {
        panic!("{:?}", both.ours.warnings());
    };
    assert!(
        warning.contains("signs with ECDSAWithSHA256 here"),
        "{warning}"
    );
}

#[test]
fn an_unknown_signature_algorithm_is_named() {
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
        assert!(text.contains("mldsa65"), "{text}");
    }
    assert!(
        theirs.contains("value: 0") && ours.contains("value: zz"),
        "{theirs} {ours}"
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
fn object_identifiers_that_cannot_be_encoded_are_told_at_once() {
    let pair = with_root(json!({}));
    let name = json!({"common_name": "a.example.com"});
    for (oid, theirs) in [
        ("2.999.1", 200),
        ("4.3.2.1", 500),
        ("1", 500),
        ("1.40.1", 500),
    ] {
        let role = json!({"key_type": "ec", "allow_any_name": true, "ext_key_usage_oids": oid});
        let both = pair.both("POST", "roles/one", Some(&role));
        assert_eq!(statuses(&both), (200, 200), "{oid}");
        assert!(both.theirs.warnings().is_empty());
        assert!(both.ours.warnings()[0].contains("issues nothing"), "{oid}");
        let both = pair.both("POST", "issue/one", Some(&name));
        assert_eq!(statuses(&both), (theirs, 400), "{oid}");
        let text = both.ours.errors().join("");
        assert!(text.contains(oid), "{text}");
    }
}

/// RFC 4343: names that differ in case only are one name.
#[test]
fn case_does_not_matter_below_a_domain_and_under_a_glob() {
    let pair = with_root(json!({}));
    for (name, role) in [
        (
            "sub",
            json!({"allowed_domains": "a.test", "allow_subdomains": true}),
        ),
        (
            "glob",
            json!({"allowed_domains": "*.a.test", "allow_glob_domains": true}),
        ),
        (
            "upper",
            json!({"allowed_domains": "*.A.TEST", "allow_glob_domains": true}),
        ),
    ] {
        let mut body = json!({"key_type": "ec"});
        super::merge(&mut body, role);
        pair.both("POST", &format!("roles/{name}"), Some(&body))
            .ok();
    }
    for (role, name) in [
        ("sub", "x.A.test"),
        ("glob", "SUB.A.TEST"),
        ("upper", "sub.a.test"),
    ] {
        let both = pair.both(
            "POST",
            &format!("issue/{role}"),
            Some(&json!({"common_name": name})),
        );
        assert_eq!(statuses(&both), (400, 200), "{role} {name}");
    }
}

#[test]
fn names_that_were_asked_for_are_issued_or_refused() {
    let pair = with_root(json!({}));
    for (name, strict) in [("strict", true), ("loose", false)] {
        let role = json!({"key_type": "ec", "allowed_domains": "a.test,b.test", "allow_bare_domains": true,
            "allow_subdomains": true, "enforce_hostnames": strict});
        pair.both("POST", &format!("roles/{name}"), Some(&role))
            .ok();
    }
    let names = |reply: &Reply| {
        let pem = reply.data()["certificate"].as_str().unwrap().to_owned();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        let san = certificate.subject_alternative_name().unwrap().unwrap();
        san.value.general_names.len()
    };
    for (role, alt_names, ours) in [
        ("strict", "a.test, b.test", 200),
        ("loose", "a.test, b.test", 200),
        ("loose", "_acme.a.test", 200),
        ("strict", "_acme.a.test", 400),
        ("loose", "a b.a.test", 400),
    ] {
        let body = json!({"common_name": "a.test", "alt_names": alt_names});
        let both = pair.both("POST", &format!("issue/{role}"), Some(&body));
        assert_eq!(statuses(&both), (200, ours), "{role} {alt_names}");
        assert_eq!(names(&both.theirs), 1, "{alt_names}");
        if ours == 200 {
            assert_eq!(names(&both.ours), 2, "{alt_names}");
        }
    }
}

/// Each of these is issued by the built-in engine, or fails there with a 500.
#[test]
fn what_readers_and_verifiers_refuse_is_not_signed() {
    let pair = with_root(json!({}));
    let role =
        json!({"key_type": "any", "allow_any_name": true, "allowed_uri_sans": "*", "ttl": "1h"});
    pair.both("POST", "roles/any", Some(&role)).ok();
    let narrow = json!({"common_name": "Narrow", "key_type": "ec", "issuer_name": "narrow", "permitted_dns_domains": "a.test"});
    pair.both("POST", "root/generate/internal", Some(&narrow))
        .ok();
    let ec = |more: Value| {
        let mut body = json!({"common_name": "a.test", "key_type": "ec"});
        super::merge(&mut body, more);
        body
    };
    let ca = |domain: &str| json!({"common_name": "Bad", "key_type": "ec", "permitted_dns_domains": domain});
    for (path, body, theirs, why) in [
        (
            "issuer/narrow/issue/any",
            ec(json!({"common_name": "b.test"})),
            200,
            "permitted: a.test",
        ),
        (
            "issuer/narrow/issue/any",
            ec(json!({"alt_names": "b.test"})),
            200,
            "permitted: a.test",
        ),
        (
            "issue/any",
            ec(json!({"uri_sans": "http://a..b/"})),
            500,
            "is not a valid URI",
        ),
        (
            "issue/any",
            ec(json!({"uri_sans": "http://a%80b/"})),
            500,
            "is not a valid URI",
        ),
        (
            "issue/any",
            json!({"common_name": "a.test", "key_type": "dsa"}),
            500,
            "unknown key type dsa",
        ),
        (
            "issue/any",
            ec(json!({"key_bits": 5})),
            500,
            "unsupported bit length for EC key: 5",
        ),
        (
            "root/generate/internal",
            ca("."),
            500,
            "permitted_dns_domains: \".\"",
        ),
        (
            "root/generate/internal",
            ca("é.test"),
            500,
            "permitted_dns_domains: \"é.test\"",
        ),
    ] {
        let both = pair.both("POST", path, Some(&body));
        assert_eq!(statuses(&both), (theirs, 400), "{path} {body}");
        let text = both.ours.errors().join("");
        assert!(text.contains(why), "{path} {body}: {text}");
    }
    // As there.
    for uri in ["http://a%2fb/", "http://a%00b/", "http://a%0ab/"] {
        let both = pair.both("POST", "issue/any", Some(&ec(json!({"uri_sans": uri}))));
        assert_eq!(statuses(&both), (400, 400), "{uri}");
        assert_eq!(both.theirs.errors(), both.ours.errors(), "{uri}");
    }
}

/// A signature over SHA-1 proves possession of the key, here as there.
#[test]
fn requests_signed_with_sha1_are_taken_where_they_can_be_verified() {
    let pair = with_root(json!({}));
    let role = json!({"key_type": "any", "allow_any_name": true});
    pair.both("POST", "roles/any", Some(&role)).ok();
    for (key, digest, theirs, ours) in [
        (&["rsa:2048"][..], "-sha1", 200, 200),
        (
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            "-sha1",
            200,
            200,
        ),
        (
            &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
            "-sha1",
            200,
            400,
        ),
        (&["rsa:2048"], "-sha224", 400, 400),
    ] {
        let output = std::process::Command::new("openssl")
            .args([
                "req",
                "-new",
                "-nodes",
                "-keyout",
                "/dev/null",
                "-subj",
                "/CN=a.test",
                digest,
                "-newkey",
            ])
            .args(key)
            .output()
            .expect("openssl can be run");
        let csr = String::from_utf8(output.stdout).unwrap();
        assert!(csr.contains("BEGIN"), "{key:?} {digest}");
        for path in ["sign/any", "sign-verbatim", "root/sign-intermediate"] {
            let both = pair.both(
                "POST",
                path,
                Some(&json!({"csr": csr, "common_name": "a.test"})),
            );
            assert_eq!(statuses(&both), (theirs, ours), "{path} {key:?} {digest}");
        }
    }
}

#[test]
fn a_role_name_has_no_slash_in_sign_verbatim() {
    let pair = with_root(json!({}));
    let both = pair.both("POST", "sign-verbatim/a/b", Some(&json!({"csr": "x"})));
    assert_eq!(statuses(&both), (400, 404));
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
fn what_means_nothing_in_a_certificate_is_left_out_or_refused() {
    let pair = with_root(json!({}));
    let role = json!({"key_type": "ec", "allow_any_name": true, "allowed_uri_sans": "*"});
    pair.both("POST", "roles/any", Some(&role)).ok();
    let openssl = crate::support::Openssl::new();
    let csr = openssl.csr("a.example.com");
    for (path, body, ours) in [
        (
            "issue/any",
            json!({"common_name": "a.test", "uri_sans": "http://[fe80::1%25eth0]/"}),
            400,
        ),
        (
            "issue/any",
            json!({"common_name": "a.test", "uri_sans": [""]}),
            200,
        ),
        (
            "sign-verbatim",
            json!({"csr": csr, "ext_key_usage_oids": "a,b"}),
            400,
        ),
    ] {
        let both = pair.both("POST", path, Some(&body));
        assert_eq!(statuses(&both), (200, ours), "{path} {body}");
        if ours == 200 {
            let [theirs, ours] = both
                .text("certificate")
                .map(|pem| openssl.text("x509", &pem));
            assert!(theirs.contains("URI:") && !ours.contains("URI:"), "{ours}");
        }
    }
}

/// The built-in engine takes a CA with a DSA key, and then makes neither key nor root for the whole mount.
#[test]
fn a_certificate_that_stops_a_mount_is_refused() {
    let pair = Pair::new();
    let odd = include_str!("../../../pki/src/go/cas-2.7.2.txt");
    let line = odd
        .lines()
        .find(|line| line.starts_with("dsa\t"))
        .expect("it is in the list");
    let base64 = line.rsplit('\t').next().expect("the last column");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    let both = pair.both(
        "POST",
        "issuers/import/cert",
        Some(&json!({"pem_bundle": pem})),
    );
    assert_eq!(statuses(&both), (200, 400));
    let body = json!({"key_type": "ec"});
    let both = pair.both("POST", "keys/generate/internal", Some(&body));
    assert_eq!(statuses(&both), (500, 200));
}

#[test]
fn acme_is_not_there_for_those_without_a_token() {
    let mut pair = with_root(json!({}));
    let nobody = pair.server().client().with_token("");
    pair.speak_as(nobody);
    for below in [
        "acme",
        "roles/one/acme",
        "issuer/default/acme",
        "issuer/default/roles/one/acme",
    ] {
        for (method, path) in [
            ("GET", "directory"),
            ("GET", "new-nonce"),
            ("HEAD", "new-nonce"),
            ("POST", "new-account"),
            ("POST", "order/1"),
            ("POST", "order/1/finalize"),
            ("POST", "challenge/1/http-01"),
        ] {
            let path = format!("{below}/{path}");
            let body = (method == "POST").then(|| json!({}));
            let both = pair.both(method, &path, body.as_ref());
            assert_eq!(statuses(&both), (404, 404), "{method} {path}");
        }
        let order = pair.both("POST", &format!("{below}/order/1"), Some(&json!({})));
        assert_eq!(order.theirs.errors(), ["unsupported path"]);
        assert_eq!(order.ours.errors(), ["unsupported path"]);
    }
}
