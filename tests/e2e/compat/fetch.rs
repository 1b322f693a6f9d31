//! What anybody may read: certificates, chains, lists.

use serde_json::{Value, json};

use super::with_root;

#[test]
fn public_paths_answer_alike_with_and_without_a_token() {
    let mut pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec"})),
    )
    .ok();
    let serial = pair
        .both(
            "POST",
            "issue/one",
            Some(&json!({"common_name": "a.example.com"})),
        )
        .ok()
        .text("serial_number");
    for token in [true, false] {
        if !token {
            let nobody = pair.server().client().with_token("");
            pair.speak_as(nobody);
        }
        for path in [
            "ca",
            "ca/pem",
            "ca_chain",
            "cert/ca",
            "cert/ca_chain",
            "cert/ca/raw",
            "cert/ca/raw/pem",
            "crl",
            "crl/pem",
            "cert/crl",
            "issuer/default/json",
            "issuer/default/der",
            "issuer/default/pem",
            "issuer/root/pem",
            "issuer/default/crl",
            "issuer/default/crl/der",
            "issuer/default/crl/pem",
            "cert/zz",
            "issuers?list=true",
            "roles/one",
            "certs",
        ] {
            pair.same("GET", path, Value::Null);
        }
        pair.same("LIST", "issuers", Value::Null);
        pair.same("LIST", "keys", Value::Null);
        for shape in [
            |serial: &str| serial.to_owned(),
            |serial: &str| serial.replace(':', "-"),
            |serial: &str| serial.to_uppercase(),
        ] {
            for tail in ["", "/raw", "/raw/pem"] {
                pair.same_with(
                    "GET",
                    |i| format!("cert/{}{tail}", shape(&serial[i])),
                    |_| Value::Null,
                );
            }
        }
    }
    pair.finish();
}

#[test]
fn chains_are_told_alike() {
    let mut pair = with_root(json!({}));
    let csr = pair
        .both(
            "POST",
            "intermediate/generate/internal",
            Some(&json!({"common_name": "Sub", "key_type": "ec"})),
        )
        .ok()
        .text("csr");
    let signed = pair
        .same_with(
            "POST",
            |_| "root/sign-intermediate".to_owned(),
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
    let id = [&set.theirs, &set.ours].map(|reply| reply.texts("imported_issuers")[0].clone());
    pair.same_with(
        "POST",
        |_| "config/issuers".to_owned(),
        |i| json!({"default": id[i]}),
    );
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec"})),
    )
    .ok();
    for body in [
        json!({"common_name": "a.example.com"}),
        json!({"common_name": "a.example.com", "format": "pem_bundle"}),
        json!({"common_name": "a.example.com", "remove_roots_from_chain": true}),
        json!({"common_name": "a.example.com", "remove_roots_from_chain": true, "format": "pem_bundle"}),
        json!({"common_name": "a.example.com", "format": "der"}),
    ] {
        pair.same("POST", "issue/one", body);
    }
    for path in [
        "ca_chain",
        "cert/ca_chain",
        "ca/pem",
        "issuer/default/json",
        "issuer/default",
    ] {
        pair.same("GET", path, Value::Null);
    }
    pair.finish();
}

#[test]
fn certificates_are_listed_alike() {
    let mut pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec"})),
    )
    .ok();
    pair.both(
        "POST",
        "issue/one",
        Some(&json!({"common_name": "a.example.com"})),
    )
    .ok();
    for path in ["certs", "certs?limit=1", "certs?after=zz"] {
        pair.same("LIST", path, Value::Null);
    }
    pair.finish();
}
