//! The vectors, and accounts in which they are granted.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_lab::{Anchor, Profile, Request, Role, State};
use landfast_node::crypto::SessionKey;
use landfast_node::session::{Identity, SessionRequest};
use landfast_pki::{Certificate, pem};
use landfast_rolesanywhere::policy::TrustPolicy;
use serde_json::{Value, json};

/// The moment at which the vectors were signed.
pub(crate) const NOW: &str = "2026-09-01T12:00:00Z";

pub(crate) fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/data").join(name)).expect("the vectors are in the repository")
}

pub(crate) fn certificate(name: &str) -> Certificate {
    Certificate::from_pem(&data(name)).expect("a good vector")
}

pub(crate) fn vectors() -> Value {
    serde_json::from_slice(&data("vectors.json")).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

pub(crate) fn case(name: &str) -> Value {
    let vectors = vectors();
    let cases = vectors["cases"].as_array().unwrap();
    let found = cases.iter().find(|case| case["case"] == name);
    found.unwrap_or_else(|| panic!("no case {name}")).clone()
}

pub(crate) fn request(case: &Value) -> Request {
    let leaf = certificate(case["leaf"].as_str().unwrap());
    let mut headers: Vec<(String, String)> = vec![
        ("content-type".into(), "application/json".into()),
        ("host".into(), text(&case["host"])),
        ("x-amz-date".into(), text(&case["amz_date"])),
        ("x-amz-x509".into(), STANDARD.encode(leaf.der())),
        ("authorization".into(), text(&case["authorization"])),
    ];
    let chain: Vec<String> = case["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| STANDARD.encode(certificate(name.as_str().unwrap()).der()))
        .collect();
    if !chain.is_empty() {
        headers.push(("x-amz-x509-chain".into(), chain.join(",")));
    }
    for pair in case["extra_headers"].as_array().unwrap() {
        headers.push((text(&pair[0]), text(&pair[1])));
    }
    Request {
        method: "POST".into(),
        path: "/sessions".into(),
        query: text(&case["canonical_query"]),
        headers,
        body: text(&case["body"]).into_bytes(),
    }
}

/// An account in which the case is granted.
pub(crate) fn account(case: &Value) -> State {
    let vectors = vectors();
    let arn = |name: &str| Arn::parse(vectors["constants"][name].as_str().unwrap()).unwrap();
    let mut state = State::new(
        text(&vectors["constants"]["account"]),
        text(&case["region"]),
    );
    let anchors = case["expect"]["anchor"].as_array().unwrap();
    let certificates = anchors
        .iter()
        .map(|name| certificate(name.as_str().unwrap()))
        .collect();
    let anchor = Anchor::new(arn("trustAnchorArn"), "anchor", certificates);
    state.anchors.push(anchor);
    state.profiles.push(Profile {
        duration: 43_200,
        accept_session_name: true,
        ..Profile::new(arn("profileArn"), "profile", vec![arn("roleArn")])
    });
    let trust = json!({"Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "rolesanywhere.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {"ArnEquals": {"aws:SourceArn": arn("trustAnchorArn")}},
    }]});
    state.roles.push(Role {
        arn: arn("roleArn"),
        max_duration: 43_200,
        trust: TrustPolicy::parse(&trust.to_string()).unwrap(),
    });
    state
}

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The identity of a certificate of the vectors.
pub(crate) fn identity(leaf: &str, key: &str) -> Identity {
    let leaf = certificate(leaf);
    let key = pem::blocks(&data(key)).remove(0);
    Identity {
        serial: leaf.serial().as_bytes().to_vec(),
        leaf: leaf.der().to_vec(),
        chain: Vec::new(),
        key: SessionKey::from_der(&key.contents).unwrap(),
    }
}

/// A session of the vectors' anchor, profile and role.
pub(crate) fn session_request() -> SessionRequest {
    let vectors = vectors();
    let arn = |name: &str| Arn::parse(vectors["constants"][name].as_str().unwrap()).unwrap();
    SessionRequest {
        trust_anchor: arn("trustAnchorArn"),
        profile: arn("profileArn"),
        role: arn("roleArn"),
        duration: Some(900),
        session_name: None,
    }
}
