//! Leaves: every kind of key, usage, name and policy, under every kind of CA.

use serde_json::{Value, json};

use super::Shapes;

/// A name that every role here allows.
fn plain() -> Value {
    json!({"common_name": "a.example.com"})
}

#[test]
fn leaves_of_more_than_60_kinds_of_role_have_the_same_structure() {
    let mut shapes = Shapes::new();
    let mut roles = vec![json!({})];
    for (kind, bits) in [
        ("rsa", 2048),
        ("rsa", 3072),
        ("ec", 224),
        ("ec", 256),
        ("ec", 384),
        ("ec", 521),
        ("ed25519", 0),
    ] {
        roles.push(json!({"key_type": kind, "key_bits": bits}));
    }
    for issuer in ["p384", "ed", "rsa"] {
        roles.push(json!({"issuer_ref": issuer}));
    }
    for bits in [256, 384, 512] {
        for pss in [false, true] {
            roles.push(json!({"issuer_ref": "rsa", "signature_bits": bits, "use_pss": pss}));
        }
    }
    for usage in [
        "DigitalSignature",
        "ContentCommitment",
        "KeyEncipherment",
        "DataEncipherment",
        "KeyAgreement",
        "CertSign",
        "CRLSign",
        "EncipherOnly",
        "DecipherOnly",
    ] {
        // Such a leaf says here that it is no CA's (docs/compatibility.md).
        if usage != "CertSign" {
            roles.push(json!({ "key_usage": usage }));
        }
    }
    roles.push(json!({"key_usage": []}));
    roles.push(json!({"key_usage": "DigitalSignature,KeyAgreement,EncipherOnly"}));
    for usage in [
        "Any",
        "ServerAuth",
        "ClientAuth",
        "CodeSigning",
        "EmailProtection",
        "IPSECEndSystem",
        "IPSECTunnel",
        "IPSECUser",
        "TimeStamping",
        "OCSPSigning",
        "MicrosoftServerGatedCrypto",
        "NetscapeServerGatedCrypto",
        "MicrosoftCommercialCodeSigning",
        "MicrosoftKernelCodeSigning",
    ] {
        roles.push(json!({"ext_key_usage": usage, "server_flag": false, "client_flag": false}));
    }
    roles.push(
        json!({"ext_key_usage_oids": "1.3.6.1.4.1.99999.1,1.2.3", "ext_key_usage": "TimeStamping"}),
    );
    roles.push(json!({"server_flag": false}));
    roles.push(json!({"client_flag": false}));
    roles.push(json!({"server_flag": false, "client_flag": false}));
    roles.push(json!({"code_signing_flag": true, "email_protection_flag": true}));
    roles.push(json!({"basic_constraints_valid_for_non_ca": true}));
    for field in [
        "ou",
        "organization",
        "country",
        "locality",
        "province",
        "street_address",
        "postal_code",
    ] {
        roles.push(json!({field: ["b", "a"]}));
    }
    roles.push(json!({"ou": "Ö", "organization": "Example, Ltd", "country": "AT", "locality": "L", "province": "P",
        "street_address": "S*", "postal_code": "4020"}));
    for policy in [
        json!("1.2.3.4"),
        json!("1.2.3.4,2.5.29.32.0"),
        json!([{"oid": "1.2.3.4", "cps": "https://example.com/cps"}]),
        json!([{"oid": "1.2.3.4", "notice": "hear"}, {"oid": "1.2.5", "cps": "https://example.com/cps", "notice": "hear"}]),
    ] {
        let policy = match policy {
            Value::Array(list) => list.iter().map(Value::to_string).collect::<Vec<_>>().into(),
            other => other,
        };
        roles.push(json!({ "policy_identifiers": policy }));
    }
    for validity in [
        json!({"not_before_duration": "1h"}),
        json!({"not_before_duration": 0}),
        json!({"ttl": "1s"}),
        json!({"ttl": "900h"}),
        json!({"not_after": "2027-06-01T12:00:00Z"}),
        json!({"max_ttl": "3h", "ttl": "0"}),
    ] {
        roles.push(validity);
    }
    assert!(roles.len() > 60, "{}", roles.len());
    let csr = shapes.openssl.csr("c.example.com");
    for role in &roles {
        shapes.set_role(role);
        shapes.ask("x509", "issue/one", &plain());
        // The CSR's key is on P-256.
        if role["key_type"].is_null() {
            shapes.ask("x509", "sign/one", &json!({ "csr": csr }));
        }
    }
    shapes.finish(120);
}

#[test]
fn leaves_with_every_kind_of_name_have_the_same_structure() {
    let mut shapes = Shapes::new();
    shapes.set_role(&json!({"require_cn": false, "allow_wildcard_certificates": true, "cn_validations": "disabled"}));
    for names in [
        json!({"common_name": "a.example.com"}),
        json!({"common_name": "*.example.com"}),
        json!({"common_name": "a.example.com", "exclude_cn_from_sans": true}),
        json!({"common_name": "münchen.example.com"}),
        json!({"common_name": "xn--mnchen-3ya.example.com"}),
        json!({"common_name": "u@example.com"}),
        json!({"common_name": "10.0.0.1"}),
        json!({"common_name": "no host at all"}),
        json!({"common_name": "Müller*"}),
        json!({"common_name": "a.example.com", "alt_names": "b.example.com,u@example.com,*.example.com"}),
        json!({"common_name": "a.example.com", "ip_sans": "10.0.0.1,fd00::1,::ffff:10.0.0.1"}),
        json!({"common_name": "a.example.com", "uri_sans": "spiffe://example.com/a,urn:x,http://[::1]/"}),
        json!({"common_name": "a.example.com", "other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:u@example.com"}),
        // Of one kind: the built-in puts kinds in an order of chance.
        json!({"common_name": "a.example.com", "other_sans": ["1.2.3;UTF8:a", "1.2.3;UTF8:Ö"]}),
        json!({"common_name": "a.example.com", "serial_number": "7", "user_ids": "bob,eve"}),
        json!({"alt_names": "b.example.com"}),
        json!({"ip_sans": "10.0.0.1"}),
        json!({"uri_sans": "urn:x"}),
        json!({"common_name": "a.example.com", "alt_names": "b.example.com,u@example.com", "ip_sans": "10.0.0.1",
               "uri_sans": "urn:x", "other_sans": "1.2.3;UTF8:a", "serial_number": "7", "user_ids": "bob"}),
        json!({"common_name": "a.example.com", "ttl": "90s"}),
        json!({"common_name": "a.example.com", "not_after": "2027-06-01T12:00:00Z"}),
        json!({"common_name": "a.example.com", "not_before": "2026-01-02T03:04:05Z"}),
    ] {
        shapes.ask("x509", "issue/one", &names);
    }
    let csrs = [
        (
            "/CN=a.example.com",
            &["subjectAltName=DNS:b.example.com,IP:10.0.0.1"][..],
        ),
        ("/C=AT/O=Example/OU=a/OU=b/CN=a.example.com", &[][..]),
        (
            "/CN=a.example.com/serialNumber=7/UID=bob",
            &["subjectAltName=email:u@example.com,URI:urn:x"][..],
        ),
        (
            "/CN=a.example.com",
            &["subjectAltName=otherName:1.2.3;UTF8:a"][..],
        ),
        (
            "/CN=a.example.com",
            &[
                "keyUsage=critical,keyAgreement",
                "extendedKeyUsage=codeSigning",
            ][..],
        ),
        (
            "/CN=a.example.com",
            &[
                "basicConstraints=critical,CA:TRUE",
                "1.2.3.4=ASN1:UTF8String:hello",
            ][..],
        ),
    ];
    for (subject, extensions) in csrs {
        let csr = shapes.openssl.csr_with(subject, extensions);
        for role in [
            json!({}),
            json!({"use_csr_common_name": false, "require_cn": false}),
            json!({"use_csr_sans": false}),
        ] {
            shapes.set_role(&role);
            let mut body = json!({ "csr": csr });
            if role["use_csr_common_name"].is_boolean() {
                body["common_name"] = json!("z.example.com");
            }
            shapes.ask("x509", "sign/one", &body);
        }
        for more in [
            json!({}),
            json!({"key_usage": "KeyAgreement", "ext_key_usage": "ClientAuth", "ext_key_usage_oids": "1.2.3"}),
            json!({"key_usage": [], "basic_constraints_valid_for_non_ca": true}),
            json!({"issuer_ref": "rsa", "use_pss": true, "signature_bits": 384}),
            json!({"issuer_ref": "ed"}),
        ] {
            let mut body = json!({ "csr": csr });
            super::merge(&mut body, more);
            shapes.ask("x509", "sign-verbatim", &body);
        }
    }
    for urls in [
        json!({"issuing_certificates": "http://x/ca,http://y/ca"}),
        json!({"ocsp_servers": ["http://x/ocsp", "http://y/ocsp"]}),
        json!({"crl_distribution_points": "http://x/crl,http://y/crl"}),
        json!({"delta_crl_distribution_points": "http://x/delta"}),
        json!({"issuing_certificates": "http://x/ca", "crl_distribution_points": "", "ocsp_servers": ""}),
    ] {
        shapes.pair.both("POST", "config/urls", Some(&urls)).ok();
        shapes.set_role(&json!({}));
        shapes.ask("x509", "issue/one", &plain());
    }
    shapes.finish(60);
}
