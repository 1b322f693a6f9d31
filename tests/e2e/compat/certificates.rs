//! The certificates themselves: the same request under the same CA key gives
//! the same certificate but for serial number, times and keys.

use serde_json::{Value, json};

use super::dump;
use crate::support::{Openssl, Pair};

fn compare(pair: &mut Pair, openssl: &Openssl, what: &str, certificates: &[String; 2]) {
    let [theirs, ours] = [0, 1].map(|i| dump(&openssl.text("x509", &certificates[i])));
    pair.equal(what, &theirs, &ours);
}

#[test]
fn leaves_have_the_same_names_and_extensions_in_the_same_order() {
    let mut pair = Pair::new();
    let openssl = Openssl::new();
    let (certificate, key) = openssl.authority("Shared CA");
    pair.both(
        "POST",
        "config/ca",
        Some(&json!({"pem_bundle": format!("{certificate}{key}")})),
    )
    .ok();
    pair.both("POST", "config/urls", Some(&json!({
        "issuing_certificates": "http://example.com/ca", "crl_distribution_points": "http://example.com/crl",
        "ocsp_servers": "http://example.com/ocsp",
    }))).ok();
    let roles = [
        json!({}),
        json!({"key_usage": [], "server_flag": false, "client_flag": false}),
        json!({"key_usage": "DigitalSignature", "server_flag": false}),
        json!({"basic_constraints_valid_for_non_ca": true, "code_signing_flag": true, "email_protection_flag": true}),
        json!({"ext_key_usage": "TimeStamping,OCSPSigning", "ext_key_usage_oids": "1.3.6.1.4.1.99999.1"}),
        json!({"ou": "b,a", "organization": "O1,O2", "country": "AT", "locality": "Linz", "province": "P",
               "street_address": "Way 1", "postal_code": "4020"}),
        json!({"policy_identifiers": "1.2.3.4,2.5.29.32.0"}),
        json!({"policy_identifiers": "[{\"oid\": \"1.2.3.4\", \"cps\": \"https://example.com/cps\", \"notice\": \"hear\"}]"}),
        json!({"require_cn": false}),
    ];
    let csr = openssl.csr("c.example.com");
    for role in roles {
        let mut body = json!({"allow_any_name": true, "key_type": "ec", "allowed_uri_sans": "*", "allowed_other_sans": "*",
            "allowed_serial_numbers": "*", "allowed_user_ids": "*"});
        super::merge(&mut body, role.clone());
        pair.both("POST", "roles/one", Some(&body)).ok();
        for request in [
            json!({"common_name": "a.example.com"}),
            json!({"common_name": "a.example.com", "alt_names": "b.example.com,u@example.com,*.example.com",
                   "ip_sans": "10.0.0.1,fd00::1", "uri_sans": "spiffe://example.com/a",
                   "other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:u@example.com", "serial_number": "7", "user_ids": "bob,eve"}),
            json!({"common_name": "a.example.com", "exclude_cn_from_sans": true}),
            json!({"common_name": "münchen.example.com"}),
            json!({"common_name": "u@example.com"}),
        ] {
            let both = pair.both("POST", "issue/one", Some(&request)).ok();
            compare(
                &mut pair,
                &openssl,
                &format!("issue {role} {request}"),
                &both.text("certificate"),
            );
        }
        let both = pair
            .both("POST", "sign/one", Some(&json!({"csr": csr})))
            .ok();
        compare(
            &mut pair,
            &openssl,
            &format!("sign {role}"),
            &both.text("certificate"),
        );
    }
    let both = pair
        .both(
            "POST",
            "issue/one",
            Some(&json!({"alt_names": "b.example.com"})),
        )
        .ok();
    compare(
        &mut pair,
        &openssl,
        "without a subject",
        &both.text("certificate"),
    );
    // Where delta CRLs are is said only beside another URL.
    for urls in [
        json!({"delta_crl_distribution_points": "http://example.com/delta", "issuing_certificates": "",
               "crl_distribution_points": "", "ocsp_servers": ""}),
        json!({"ocsp_servers": "http://example.com/ocsp"}),
    ] {
        pair.both("POST", "config/urls", Some(&urls)).ok();
        let both = pair.both("POST", "sign/one", Some(&json!({"csr": csr})));
        let what = format!("delta points and {urls}");
        compare(&mut pair, &openssl, &what, &both.ok().text("certificate"));
    }
    pair.finish();
}

#[test]
fn verbatim_signing_keeps_what_the_request_asks_for() {
    let mut pair = Pair::new();
    let openssl = Openssl::new();
    let (certificate, key) = openssl.authority("Shared CA");
    pair.both(
        "POST",
        "config/ca",
        Some(&json!({"pem_bundle": format!("{certificate}{key}")})),
    )
    .ok();
    let csrs = [
        openssl.csr("c.example.com"),
        openssl.csr_with(
            "/C=AT/O=Example/CN=x",
            &["keyUsage=critical,digitalSignature,keyCertSign"],
        ),
        openssl.csr_with(
            "/O=Example/OU=a/OU=b",
            &[
                "extendedKeyUsage=serverAuth",
                "1.2.3.4=ASN1:UTF8String:hello",
            ],
        ),
        openssl.csr_with(
            "/CN=y",
            &[
                "basicConstraints=critical,CA:TRUE",
                "subjectAltName=IP:10.0.0.1,email:u@example.com,URI:urn:x",
            ],
        ),
    ];
    for csr in &csrs {
        for more in [
            json!({}),
            json!({"key_usage": "KeyAgreement", "ext_key_usage": "ClientAuth", "ext_key_usage_oids": "1.2.3"}),
            json!({"ext_key_usage_oids": ["1.2.3", ""]}),
            json!({"basic_constraints_valid_for_non_ca": true}),
        ] {
            let mut body = json!({"csr": csr});
            super::merge(&mut body, more.clone());
            let both = pair.both("POST", "sign-verbatim", Some(&body)).ok();
            compare(
                &mut pair,
                &openssl,
                &format!("verbatim {more}"),
                &both.text("certificate"),
            );
        }
    }
    pair.finish();
}

#[test]
fn authorities_have_the_same_extensions() {
    let mut pair = Pair::new();
    let openssl = Openssl::new();
    let requests: [Value; 6] = [
        json!({"common_name": "Root"}),
        json!({"common_name": "root.example.com", "max_path_length": 1, "permitted_dns_domains": "example.com,.example.org",
               "ou": "b,a", "organization": "O", "key_usage": "DigitalSignature"}),
        json!({"common_name": "Root", "ext_key_usage": "ServerAuth"}),
        json!({"common_name": "Root", "alt_names": "u@example.com,b.example.com", "ip_sans": "10.0.0.1", "uri_sans": "urn:x"}),
        json!({"common_name": "Root", "max_path_length": 0}),
        json!({"common_name": "Root", "exclude_cn_from_sans": true, "serial_number": "9", "country": "AT"}),
    ];
    for request in &requests {
        let mut body = json!({"key_type": "ec", "ttl": "8760h"});
        super::merge(&mut body, request.clone());
        let both = pair.both("POST", "root/rotate/internal", Some(&body)).ok();
        compare(
            &mut pair,
            &openssl,
            &format!("root {request}"),
            &both.text("certificate"),
        );
        let csr = pair
            .both("POST", "intermediate/generate/internal", Some(&body))
            .ok()
            .text("csr");
        let [theirs, ours] = [0, 1].map(|i| dump(&openssl.text("req", &csr[i])));
        pair.equal(&format!("request {request}"), &theirs, &ours);
        for verbatim in [false, true] {
            let both = pair
                .same_with(
                    "POST",
                    |_| "root/sign-intermediate".to_owned(),
                    |i| {
                        let mut body =
                            json!({"csr": csr[i], "use_csr_values": verbatim, "ttl": "100h"});
                        super::merge(&mut body, request.clone());
                        body
                    },
                )
                .ok();
            compare(
                &mut pair,
                &openssl,
                &format!("intermediate {verbatim} {request}"),
                &both.text("certificate"),
            );
        }
    }
    pair.finish();
}
