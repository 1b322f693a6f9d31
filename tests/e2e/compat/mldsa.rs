//! ML-DSA keys, which the built-in engine makes and takes since 2.7.

mod broken;

use serde_json::{Value, json};

use super::with_root;
use crate::support::{MlDsa, Openssl, Pair, ocsp_request};

const SIZES: [u32; 3] = [44, 65, 87];

/// A pair whose root has such a key, with a role for each size and one that takes any key.
fn on(size: u32) -> Pair {
    let pair = with_root(json!({"key_type": "mldsa", "key_bits": size}));
    for (name, role) in [
        ("r44", json!({"key_type": "mldsa"})),
        ("r65", json!({"key_type": "mldsa", "key_bits": 65})),
        (
            "r87",
            json!({"key_type": "mldsa", "key_bits": 87, "signature_bits": 512, "use_pss": true}),
        ),
        ("ec", json!({"key_type": "ec"})),
        ("ed25519", json!({"key_type": "ed25519"})),
        ("any", json!({"key_type": "any"})),
    ] {
        let mut role = role;
        role["allow_any_name"] = true.into();
        role["ttl"] = "1h".into();
        // An ML-DSA key has no others (RFC 9881 section 5): see the differences.
        role["key_usage"] = "DigitalSignature".into();
        pair.both("POST", &format!("roles/{name}"), Some(&role))
            .ok();
    }
    pair
}

#[test]
fn ml_dsa_keys_are_made_and_taken_alike() {
    let mut pair = Pair::new();
    for bits in [0, 44, 65, 87, 64, 2048, -1] {
        let key = json!({"common_name": "Root", "key_type": "mldsa", "key_bits": bits});
        for path in [
            "root/generate/exported",
            "root/generate/internal",
            "intermediate/generate/exported",
            "keys/generate/internal",
            "keys/generate/exported",
        ] {
            pair.same("POST", path, key.clone());
        }
        pair.same("POST", "roles/r", key);
        pair.same("GET", "roles/r", Value::Null);
    }
    for more in [
        json!({"signature_bits": 256}),
        json!({"signature_bits": 512, "use_pss": true}),
        json!({"signature_bits": 7}),
        json!({"private_key_format": "pkcs8"}),
        json!({"format": "pem_bundle"}),
        json!({"format": "der"}),
    ] {
        let mut key = json!({"common_name": "Root", "key_type": "mldsa", "key_bits": 65});
        super::merge(&mut key, more);
        for path in ["root/generate/exported", "intermediate/generate/exported"] {
            pair.same("POST", path, key.clone());
        }
    }
    let others = MlDsa::new();
    for size in SIZES {
        let key = others.key(size);
        let certificate = others.authority(&key, "Imported");
        let name = format!("imported-{size}");
        for bundle in [&key, &key] {
            pair.same(
                "POST",
                "keys/import",
                json!({"pem_bundle": bundle, "key_name": name}),
            );
        }
        pair.same("GET", &format!("key/{name}"), Value::Null);
        pair.same(
            "POST",
            "issuers/import/bundle",
            json!({"pem_bundle": format!("{certificate}{key}")}),
        );
        pair.same(
            "POST",
            "root/generate/existing",
            json!({"common_name": "Again", "key_ref": name}),
        );
        pair.same(
            "POST",
            "intermediate/cross-sign",
            json!({"common_name": "Imported", "key_ref": name}),
        );
    }
    pair.same("LIST", "keys", Value::Null);
    pair.finish();
}

#[test]
fn a_ca_with_an_ml_dsa_key_issues_and_revokes_alike() {
    let others = MlDsa::new();
    let keys = SIZES.map(|size| others.key(size));
    let requests = [0, 1, 2].map(|at: usize| others.csr(&keys[at], "csr.example.com"));
    let ec = Openssl::new().csr("csr.example.com");
    for size in SIZES {
        let mut pair = on(size);
        let name = json!({"common_name": "a.example.com"});
        let issued = ["r44", "r65", "r87", "ec"].map(|role| {
            pair.same("POST", &format!("issue/{role}"), name.clone())
                .ok()
        });
        for more in [
            json!({"key_type": "mldsa"}),
            json!({"key_type": "mldsa", "key_bits": 87, "private_key_format": "pkcs8"}),
            json!({}),
        ] {
            let mut body = name.clone();
            super::merge(&mut body, more);
            pair.same("POST", "issue/any", body);
        }
        let mut signed = Vec::new();
        for csr in requests.iter().chain([&ec]) {
            for role in ["r44", "r65", "r87", "ec", "ed25519", "any"] {
                signed.push(pair.same("POST", &format!("sign/{role}"), json!({"csr": csr})));
            }
            let verbatim = json!({"csr": csr, "key_usage": "DigitalSignature", "signature_bits": 7, "use_pss": true});
            signed.push(pair.same("POST", "sign-verbatim", verbatim));
            let sub =
                json!({"csr": csr, "common_name": "Sub", "signature_bits": 512, "use_pss": true});
            signed.push(pair.same("POST", "root/sign-intermediate", sub));
        }
        let serials = issued[0].text("serial_number");
        pair.same_with(
            "POST",
            |_| "revoke".to_owned(),
            |i| json!({"serial_number": serials[i]}),
        );
        for (certificate, key) in [(1, 1), (1, 1), (2, 1)] {
            pair.same_with(
                "POST",
                |_| "revoke-with-key".to_owned(),
                |i| {
                    let text = |at: usize, field| issued[at].text(field)[i].clone();
                    json!({"certificate": text(certificate, "certificate"), "private_key": text(key, "private_key")})
                },
            );
        }
        pair.same("GET", "crl/rotate", Value::Null);
        let root = pair.both("GET", "cert/ca", None).ok().text("certificate");
        let crl = pair.both("GET", "cert/crl", None).ok().text("certificate");
        let said = [0, 1].map(|i| {
            let taken = issued.iter().chain(&signed);
            let taken = taken.filter(|both| both.theirs.status == 200);
            let mut things: Vec<_> = taken
                .map(|both| both.text("certificate")[i].clone())
                .collect();
            things.extend([root[i].clone(), crl[i].clone()]);
            let things: Vec<_> = things.iter().map(String::as_bytes).collect();
            others.check(&root[i], &things)
        });
        pair.equal("what others read", &said[0], &said[1]);
        assert!(said[1].contains("2 revoked list"), "{}", said[1]);
        pair.finish();
    }
}

#[test]
fn algorithms_for_crls_are_taken_and_refused_alike() {
    let mut pair = on(65);
    pair.both(
        "POST",
        "root/generate/internal",
        Some(&json!({"common_name": "EC", "key_type": "ec", "issuer_name": "ec", "ttl": "8760h"})),
    )
    .ok();
    for issuer in ["root", "ec"] {
        for algorithm in ["mldsa44", "MLDSA65", "mldsa87", "sha256withrsa", ""] {
            let body = json!({"revocation_signature_algorithm": algorithm});
            pair.same("PATCH", &format!("issuer/{issuer}"), body);
            pair.same("GET", &format!("issuer/{issuer}"), Value::Null);
        }
    }
    pair.finish();
}

/// An EC root above an ML-DSA issuer and the reverse, and each cross-signing the other.
#[test]
fn kinds_of_keys_sign_each_other_alike() {
    let others = MlDsa::new();
    let mut pair = on(87);
    let root = json!({"common_name": "EC", "key_type": "ec", "issuer_name": "ec", "key_name": "ec", "ttl": "8760h"});
    pair.both("POST", "root/generate/internal", Some(&root))
        .ok();
    for (parent, kind) in [("ec", "mldsa"), ("root", "ec")] {
        let body =
            json!({"common_name": "Sub", "key_type": kind, "key_name": format!("under-{parent}")});
        let csr = pair
            .same("POST", "intermediate/generate/internal", body)
            .ok()
            .text("csr");
        let signed = pair
            .same_with(
                "POST",
                |_| format!("issuer/{parent}/sign-intermediate"),
                |i| json!({"csr": csr[i], "common_name": "Sub", "ttl": "4000h"}),
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
        let leaf = pair
            .same_with(
                "POST",
                |i| format!("issuer/{}/issue/r65", id[i]),
                |_| json!({"common_name": "a.example.com"}),
            )
            .ok();
        let parents = pair
            .both("GET", &format!("issuer/{parent}"), None)
            .ok()
            .text("certificate");
        let said = [0, 1].map(|i| {
            let (sub, leaf) = (&signed[i], &leaf.text("certificate")[i]);
            others.check(&parents[i], &[sub.as_bytes()]) + &others.check(sub, &[leaf.as_bytes()])
        });
        pair.equal("what others read", &said[0], &said[1]);
    }
    let certificates = ["ec", "root"].map(|issuer| {
        let read = pair.both("GET", &format!("issuer/{issuer}"), None);
        read.ok().text("certificate")
    });
    for (signer, given) in [("root", 0), ("ec", 1), ("root", 1)] {
        for strict in [false, true] {
            pair.same_with(
                "POST",
                |_| format!("issuer/{signer}/sign-self-issued"),
                |i| json!({"certificate": certificates[given][i], "require_matching_certificate_algorithms": strict}),
            );
        }
    }
    let crl = ["ec", "root"].map(|issuer| {
        let read = pair.both("GET", &format!("issuer/{issuer}/crl"), None);
        read.ok().text("crl")
    });
    for (signer, given) in [("root", 0), ("ec", 1), ("root", 1)] {
        let both = pair.same_with(
            "POST",
            |_| format!("issuer/{signer}/resign-crls"),
            |i| json!({"crls": [crl[given][i]], "crl_number": 7, "next_update": "72h"}),
        );
        if both.theirs.status == 200 {
            let crl = both.text("crl");
            let said = [0, 1].map(|i| others.check(&certificates[given][i], &[crl[i].as_bytes()]));
            pair.equal("the list signed again", &said[0], &said[1]);
        }
    }
    let list = json!({"crl_number": 9, "next_update": "72h", "revoked_certs":
        [{"serial_number": "01:02", "revocation_time": "2026-01-01T00:00:00Z"}]});
    let made = pair
        .same("POST", "issuer/root/sign-revocation-list", list)
        .ok()
        .text("crl");
    let said = [0, 1].map(|i| others.check(&certificates[1][i], &[made[i].as_bytes()]));
    pair.equal("a list of one's own", &said[0], &said[1]);
    pair.finish();
}

/// Delta CRLs are signed as complete ones are.
#[test]
fn delta_crls_are_signed_alike() {
    let others = MlDsa::new();
    let mut pair = on(44);
    let on = json!({"auto_rebuild": true, "enable_delta": true});
    pair.both("POST", "config/crl", Some(&on)).ok();
    let both = pair
        .both("POST", "issue/r44", Some(&json!({"common_name": "a.test"})))
        .ok();
    let serial = both.text("serial_number");
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"serial_number": serial[i]}),
    );
    pair.same("GET", "crl/rotate-delta", Value::Null);
    let root = pair.both("GET", "cert/ca", None).ok().text("certificate");
    let delta = pair
        .both("GET", "issuer/root/crl/delta", None)
        .ok()
        .text("crl");
    let said = [0, 1].map(|i| others.check(&root[i], &[delta[i].as_bytes()]));
    pair.equal("the delta CRL", &said[0], &said[1]);
    assert!(said[1].contains("1 revoked list"), "{}", said[1]);
    pair.finish();
}

/// The built-in engine has no OCSP for such a CA.
#[test]
fn ocsp_answers_are_signed_here_alone() {
    let (others, openssl) = (MlDsa::new(), Openssl::new());
    for size in SIZES {
        let pair = on(size);
        let role = json!({"common_name": "a.test"});
        let leaf = pair.both("POST", "issue/ec", Some(&role)).ok();
        let (certificate, serial) = (leaf.text("certificate"), leaf.text("serial_number"));
        let root = pair.both("GET", "cert/ca", None).ok().text("certificate");
        let questions = [0, 1].map(|i| ocsp_request(&root[i], &certificate[i]));
        for word in ["GOOD", "REVOKED"] {
            let (both, posted) = pair.ocsp(&questions);
            let statuses = (both.theirs.status, posted.status, both.ours.status);
            assert_eq!(statuses, (500, 500, 200), "{size}");
            let said = others.check(&root[1], &[&both.ours.bytes]);
            assert!(said.contains(word), "{size}: {said}");
            pair.server()
                .client()
                .write("landfst/revoke", json!({"serial_number": serial[1]}))
                .ok();
        }
        // openssl 3.0 reads the answer, though not its signature.
        let text = openssl.ocsp_text(&pair.ocsp(&questions).0.ours.bytes);
        assert!(text.contains("Cert Status: revoked"), "{text}");
    }
}

/// RFC 9881 section 5: an ML-DSA key only signs. A role of which nothing was said has usages for encryption, which the built-in engine puts in.
#[test]
fn usages_for_encryption_are_left_out_here() {
    let pair = on(44);
    let csr = MlDsa::new();
    let csr = csr.csr(&csr.key(65), "a.test");
    let role = json!({"key_type": "mldsa", "allow_any_name": true});
    pair.both("POST", "roles/usual", Some(&role)).ok();
    let role = json!({"key_type": "mldsa", "allow_any_name": true, "key_usage": "KeyEncipherment"});
    pair.both("POST", "roles/none", Some(&role)).ok();
    let usages = |pem: &str| {
        let certificate = landfast_pki::Certificate::from_pem(pem.as_bytes()).expect("one");
        let usage = certificate.key_usage().expect("a key usage");
        usage.names().collect::<Vec<_>>().join(" ")
    };
    let usual = "DigitalSignature KeyEncipherment KeyAgreement";
    for (path, body) in [
        ("issue/usual", json!({"common_name": "a.test"})),
        ("sign/usual", json!({"csr": csr})),
        ("sign-verbatim", json!({"csr": csr})),
    ] {
        let both = pair.both("POST", path, Some(&body)).ok();
        let said = both.text("certificate").map(|pem| usages(&pem));
        assert_eq!(said, [usual, "DigitalSignature"], "{path}");
        assert_eq!(both.ours.warnings(), both.theirs.warnings(), "{path}");
    }
    let both = pair.both(
        "POST",
        "issue/none",
        Some(&json!({"common_name": "a.test"})),
    );
    assert_eq!((both.theirs.status, both.ours.status), (200, 400));
    assert!(both.ours.errors().join("").contains("rfc9881-5"));
    let body = json!({"csr": csr, "key_usage": "KeyEncipherment"});
    let both = pair.both("POST", "sign-verbatim", Some(&body)).ok();
    assert!(both.ours.warnings().join("").contains("rfc9881-5"));
}

/// What a mount lists of such certificates is only here: the built-in engine tells no more than the times.
#[test]
fn the_list_of_certificates_names_kind_and_set() {
    let pair = on(44);
    for (role, kind, bits) in [("r65", "mldsa", 65), ("ec", "ec", 256)] {
        let both = pair
            .both(
                "POST",
                &format!("issue/{role}"),
                Some(&json!({"common_name": "a.test"})),
            )
            .ok();
        let listed = pair.both("LIST", "certs/detailed", None).ok();
        let ours = &both.text("serial_number")[1];
        let info = |reply: &crate::support::Reply, serial: &str| {
            let info = &reply.data()["key_info"][serial];
            (info["key_type"].clone(), info["key_bits"].clone())
        };
        assert_eq!(info(&listed.ours, ours), (json!(kind), json!(bits)));
    }
}
