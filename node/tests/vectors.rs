//! The SigV4-X509 vectors: every intermediate text, every signature.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_node::crypto::SessionKey;
use landfast_pki::{Certificate, pem};
use landfast_rolesanywhere::signature;
use landfast_rolesanywhere::sigv4::{self, Authorization, Scope, SignedRequest};
use landfast_rolesanywhere::tags::Facts;
use serde_json::Value;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/data").join(name)).expect("the vectors are in the repository")
}

fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(&data(name)).expect("a good vector")
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| (text(&pair[0]), text(&pair[1]));
    value.as_array().unwrap().iter().map(pair).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// The cases, each with the headers that its request signs.
fn cases() -> Vec<(Value, Vec<(String, String)>)> {
    let vectors: Value = serde_json::from_slice(&data("vectors.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap().clone();
    assert!(cases.len() >= 6, "the vectors shrank");
    cases
        .into_iter()
        .map(|case| {
            let leaf = certificate(case["leaf"].as_str().unwrap());
            let mut headers = vec![
                ("Content-Type".into(), "application/json".into()),
                ("Host".into(), text(&case["host"])),
                ("X-Amz-Date".into(), text(&case["amz_date"])),
                ("X-Amz-X509".into(), STANDARD.encode(leaf.der())),
            ];
            let chain: Vec<String> = case["chain"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| STANDARD.encode(certificate(name.as_str().unwrap()).der()))
                .collect();
            if !chain.is_empty() {
                headers.push(("X-Amz-X509-Chain".into(), chain.join(",")));
            }
            headers.extend(pairs(&case["extra_headers"]));
            (case, headers)
        })
        .collect()
}

#[test]
fn the_signed_texts_are_those_of_the_vectors() {
    for (case, headers) in cases() {
        let name = &case["case"];
        let query = pairs(&case["query"]);
        let body = text(&case["body"]);
        let request = SignedRequest {
            method: "POST",
            path: "/sessions",
            query: &query,
            headers: &headers,
            body: body.as_bytes(),
        };
        assert_eq!(
            request.signed_headers(),
            text(&case["signed_headers"]),
            "{name}"
        );
        let canonical = request.canonical();
        assert_eq!(canonical, text(&case["canonical_request"]), "{name}");
        let authorization = Authorization::parse(case["authorization"].as_str().unwrap()).unwrap();
        let amz_date = text(&case["amz_date"]);
        let scope = Scope {
            date: amz_date[..8].to_owned(),
            region: text(&case["region"]),
        };
        assert_eq!(authorization.scope, scope, "{name}");
        let signed = sigv4::string_to_sign(authorization.algorithm, &amz_date, &scope, &canonical);
        assert_eq!(signed, text(&case["string_to_sign"]), "{name}");

        let leaf = certificate(case["leaf"].as_str().unwrap());
        assert_eq!(
            sigv4::decimal(leaf.serial().as_bytes()),
            authorization.serial,
            "{name}"
        );
        let spki = leaf.public_key().spki_der();
        let verify = |signature: &[u8]| {
            signature::verify(authorization.algorithm, spki, signed.as_bytes(), signature)
        };
        assert!(
            verify(&authorization.signature),
            "{name}: the vector's signature"
        );

        let key = pem::blocks(&data(case["key"].as_str().unwrap()));
        let key = SessionKey::from_der(&key[0].contents).expect("a usable key");
        assert_eq!(key.algorithm(), authorization.algorithm, "{name}");
        assert_eq!(key.public_key().unwrap(), spki, "{name}");
        let ours = key.sign(signed.as_bytes()).unwrap();
        assert!(verify(&ours), "{name}: our own signature");
        if case["signature_deterministic"] == true && text(&case["algorithm"]).contains("RSA") {
            assert_eq!(ours, authorization.signature, "{name}");
        }
        let mut wrong = ours;
        *wrong.last_mut().unwrap() ^= 1;
        assert!(!verify(&wrong), "{name}: a changed signature");
    }
}

#[test]
fn the_session_is_named_and_tagged_as_the_vectors_say() {
    for (case, _) in cases() {
        let facts = Facts::of(&certificate(case["leaf"].as_str().unwrap()));
        let expect = &case["expect"];
        assert_eq!(facts.source_identity(), text(&expect["sourceIdentity"]));
        let tags: Vec<(String, String)> = facts.tags().into_iter().collect();
        let mut wanted: Vec<(String, String)> = expect["tags"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| (key.clone(), text(value)))
            .collect();
        wanted.sort();
        assert_eq!(tags, wanted, "{}", case["case"]);
        assert!(facts.bad_tags().is_empty());
        if !case["body"].as_str().unwrap().contains("roleSessionName") {
            assert_eq!(
                facts.default_session_name(),
                text(&expect["roleSessionName"])
            );
        }
    }
}
