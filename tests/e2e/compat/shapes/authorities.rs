//! CAs: roots, intermediates, their requests, cross-signed and self-issued certificates.

use serde_json::{Value, json};

use super::{Shapes, merge};

/// What CAs may be asked for.
fn requests() -> Vec<Value> {
    let mut requests = vec![
        json!({}),
        json!({"key_type": "rsa"}),
        json!({"key_type": "rsa", "use_pss": true}),
        json!({"key_type": "rsa", "signature_bits": 384}),
        json!({"key_type": "rsa", "signature_bits": 512, "use_pss": true}),
        json!({"key_bits": 224}),
        json!({"key_bits": 384}),
        json!({"key_bits": 521}),
        json!({"key_type": "ed25519"}),
        json!({"max_path_length": 0}),
        json!({"max_path_length": 3}),
        json!({"permitted_dns_domains": "example.com,.example.org"}),
        json!({"permitted_dns_domains": "example.com", "max_path_length": 1}),
        json!({"key_usage": "DigitalSignature"}),
        json!({"key_usage": "DigitalSignature,KeyAgreement,CertSign"}),
        json!({"ext_key_usage": "ServerAuth,OCSPSigning"}),
        json!({"ext_key_usage": "TimeStamping"}),
        json!({"alt_names": "b.example.com,u@example.com"}),
        json!({"ip_sans": "10.0.0.1,fd00::1"}),
        json!({"uri_sans": "urn:x"}),
        json!({"other_sans": "1.2.3;UTF8:a"}),
        json!({"exclude_cn_from_sans": true, "common_name": "root.example.com"}),
        json!({"common_name": "root.example.com"}),
        json!({"serial_number": "7"}),
        json!({"not_before_duration": "1h"}),
        json!({"common_name": "Größe"}),
        json!({"ou": "b,a", "organization": "O1,O2", "country": "AT", "locality": "L", "province": "P", "street_address": "S",
            "postal_code": "1"}),
    ];
    for field in [
        "ou",
        "organization",
        "country",
        "locality",
        "province",
        "street_address",
        "postal_code",
    ] {
        requests.push(json!({field: ["b", "a"]}));
    }
    requests
}

#[test]
fn authorities_of_more_than_60_kinds_have_the_same_structure() {
    let mut shapes = Shapes::new();
    for request in requests() {
        let mut body = json!({"common_name": "Made", "key_type": "ec", "ttl": "600h"});
        merge(&mut body, request.clone());
        shapes.ask("x509", "root/generate/internal", &body);
        shapes.ask("req", "intermediate/generate/internal", &body);
    }
    for more in [
        json!({"not_after": "2049-12-31T23:59:59Z"}),
        json!({"not_after": "2050-01-01T00:00:00Z"}),
        json!({"not_after": "9999-12-31T23:59:59Z"}),
    ] {
        let mut body = json!({"common_name": "Late", "key_type": "ec"});
        merge(&mut body, more);
        shapes.ask("x509", "root/generate/internal", &body);
    }
    let based = json!({"common_name": "Sub", "key_type": "ec", "add_basic_constraints": true});
    shapes.ask("req", "intermediate/generate/internal", &based);
    shapes.finish(60);
}

#[test]
fn signed_authorities_have_the_same_structure() {
    let mut shapes = Shapes::new();
    let csrs = [
        ("/CN=Sub", &[][..]),
        (
            "/C=AT/O=Example/OU=a/OU=b/CN=Sub",
            &["subjectAltName=DNS:b.example.com,IP:10.0.0.1,email:u@example.com,URI:urn:x"][..],
        ),
        (
            "/CN=Sub",
            &[
                "basicConstraints=critical,CA:TRUE,pathlen:2",
                "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
            ][..],
        ),
        ("/CN=Sub", &["1.2.3.4=ASN1:UTF8String:hello"][..]),
    ];
    let csrs = csrs.map(|(subject, extensions)| shapes.openssl.csr_with(subject, extensions));
    for request in requests() {
        // What is about the key is of no use where somebody else's is signed.
        if request["key_type"].is_string() || request["key_bits"].is_number() {
            continue;
        }
        for (at, csr) in csrs.iter().enumerate() {
            if at > 0 && request.as_object().is_some_and(|fields| fields.len() > 1) {
                continue;
            }
            for verbatim in [false, true] {
                let mut body = json!({"csr": csr, "common_name": "Sub", "ttl": "600h", "use_csr_values": verbatim});
                merge(&mut body, request.clone());
                shapes.ask("x509", "root/sign-intermediate", &body);
            }
        }
    }
    for more in [
        json!({"skid": "0102030405060708090a"}),
        json!({"issuer_ref": "rsa"}),
        json!({"issuer_ref": "rsa", "use_pss": true, "signature_bits": 512}),
        json!({"issuer_ref": "p384"}),
        json!({"issuer_ref": "ed"}),
        json!({"not_after": "2027-06-01T12:00:00Z", "ttl": "0"}),
    ] {
        let mut body = json!({"csr": csrs[0], "common_name": "Sub", "ttl": "600h"});
        merge(&mut body, more);
        shapes.ask("x509", "root/sign-intermediate", &body);
    }
    // Another hash than the curve's has no P-384 key here (docs/compatibility.md).
    for issuer in ["ec", "rsa", "ed"] {
        let (foreign, _) = shapes.openssl.authority(&format!("Foreign {issuer}"));
        let path = format!("issuer/{issuer}/sign-self-issued");
        shapes.ask("x509", &path, &json!({ "certificate": foreign }));
    }
    // A root of this mount that another one signs, by a request for its key.
    let root = json!({"common_name": "Crossed", "key_type": "ec", "key_name": "crossed", "issuer_name": "crossed", "ttl": "600h"});
    shapes.ask("x509", "root/generate/internal", &root);
    for more in [
        json!({"common_name": "Crossed"}),
        json!({"common_name": "Crossed", "add_basic_constraints": true, "organization": "O"}),
    ] {
        let mut body = json!({"key_ref": "crossed"});
        merge(&mut body, more);
        let csrs = shapes.ask("req", "intermediate/cross-sign", &body);
        let csrs = csrs.expect("a request for a key that is there");
        let bodies = csrs.map(|csr| json!({"csr": csr, "common_name": "Crossed", "ttl": "500h"}));
        let both = shapes
            .pair
            .both_with("POST", "issuer/rsa/sign-intermediate", &bodies)
            .ok();
        shapes.compare("x509", "cross-signed", &both.text("certificate"));
    }
    let again = json!({"common_name": "Crossed", "key_ref": "crossed", "ttl": "500h"});
    shapes.ask("x509", "root/generate/existing", &again);
    shapes.finish(60);
}
