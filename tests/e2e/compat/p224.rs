//! Keys on P-224, which the built-in engine makes and takes.

use serde_json::{Value, json};

use super::{dump, with_root};
use crate::support::{Openssl, Pair};

/// A pair whose root is on P-224, with a role that makes such keys and one that takes any.
fn on_p224() -> Pair {
    let pair = with_root(json!({"key_bits": 224}));
    for (name, role) in [
        ("small", json!({"key_type": "ec", "key_bits": 224})),
        ("usual", json!({"key_type": "ec", "key_bits": 256})),
        ("any", json!({"key_type": "any"})),
    ] {
        let mut role = role;
        role["allow_any_name"] = true.into();
        role["ttl"] = "1h".into();
        pair.both("POST", &format!("roles/{name}"), Some(&role))
            .ok();
    }
    pair
}

#[test]
fn keys_on_p224_are_made_and_taken_alike() {
    let mut pair = Pair::new();
    for request in [
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 224}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 224, "signature_bits": 256}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 224, "private_key_format": "pkcs8"}),
        json!({"common_name": "Root", "key_type": "ec", "key_bits": 224, "format": "pem_bundle"}),
    ] {
        for path in [
            "root/generate/exported",
            "intermediate/generate/exported",
            "root/generate/internal",
        ] {
            pair.same("POST", path, request.clone());
        }
    }
    for path in ["keys/generate/internal", "keys/generate/exported"] {
        pair.same("POST", path, json!({"key_type": "ec", "key_bits": 224}));
    }
    pair.same(
        "POST",
        "roles/r",
        json!({"key_type": "ec", "key_bits": 224}),
    );
    pair.same("GET", "roles/r", Value::Null);
    let openssl = Openssl::new();
    for pkcs8 in [false, true] {
        let key = openssl.key_on("P-224", pkcs8);
        pair.same("POST", "keys/import", json!({"pem_bundle": key}));
    }
    let (certificate, key) = openssl.authority_on("P-224", "Imported");
    let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
    pair.same_with(
        "POST",
        |_| "issuers/import/bundle".to_owned(),
        |_| bundle.clone(),
    );
    pair.finish();
}

#[test]
fn a_ca_on_p224_issues_and_revokes_alike() {
    let mut pair = on_p224();
    let openssl = Openssl::new();
    let name = json!({"common_name": "a.example.com"});
    let mut issued = Vec::new();
    for role in ["small", "usual"] {
        let both = pair.same("POST", &format!("issue/{role}"), name.clone());
        issued.push(both.ok());
    }
    let mut any = name;
    any["key_type"] = "ec".into();
    any["key_bits"] = 224.into();
    pair.same("POST", "issue/any", any);
    // Requests on P-224, signed with each hash that there is; and one that is too short for its role.
    for hash in ["sha1", "sha256", "sha384", "sha512"] {
        let csr = openssl.csr_on("P-224", hash, "csr.example.com");
        for path in ["sign/small", "sign/any", "sign/usual", "sign-verbatim"] {
            pair.same("POST", path, json!({"csr": csr}));
        }
        pair.same(
            "POST",
            "root/sign-intermediate",
            json!({"csr": csr, "common_name": "Sub"}),
        );
    }
    let serials = issued[0].text("serial_number");
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"serial_number": serials[i]}),
    );
    pair.same_with(
        "POST",
        |_| "revoke-with-key".to_owned(),
        |i| {
            let both = pair_of(&issued[0], i);
            json!({"certificate": both.0, "private_key": both.1})
        },
    );
    pair.same("GET", "crl/rotate", Value::Null);

    let root = pair.both("GET", "cert/ca", None).ok().text("certificate");
    let crl = pair.both("GET", "cert/crl", None).ok().text("certificate");
    for i in [0, 1] {
        let (revoked, _) = pair_of(&issued[0], i);
        let (good, _) = pair_of(&issued[1], i);
        openssl
            .verify(&good, "", &root[i], Some(&crl[i]))
            .expect("openssl takes chain and CRL");
        let refused = openssl.verify(&revoked, "", &root[i], Some(&crl[i]));
        assert!(refused.unwrap_err().contains("certificate revoked"));
    }
    for (what, kind, texts) in [("the root", "x509", &root), ("the CRL", "crl", &crl)] {
        let [theirs, ours] = [0, 1].map(|i| dump(&openssl.text(kind, &texts[i])));
        pair.equal(what, &theirs, &ours);
        assert!(theirs.contains("ecdsa-with-SHA256"), "{theirs}");
    }
    pair.finish();
}

/// Certificate and private key that one of the two gave out.
fn pair_of(both: &crate::support::Both, which: usize) -> (String, String) {
    let text = |name: &str| both.text(name)[which].clone();
    (text("certificate"), text("private_key"))
}
