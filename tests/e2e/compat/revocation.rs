//! Revocation and CRLs.

use serde_json::{Value, json};

use super::{dump, with_root};
use crate::support::Openssl;

#[test]
fn a_certificate_is_revoked_alike() {
    let mut pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/one",
        Some(&json!({"allow_any_name": true, "key_type": "ec"})),
    )
    .ok();
    pair.both(
        "POST",
        "roles/nostore",
        Some(&json!({"allow_any_name": true, "key_type": "ec", "no_store": true})),
    )
    .ok();
    let issue = |role: &str| {
        let both = pair
            .both(
                "POST",
                &format!("issue/{role}"),
                Some(&json!({"common_name": "a.example.com"})),
            )
            .ok();
        (both.text("serial_number"), both.text("certificate"))
    };
    let (serial, certificate) = issue("one");
    let (unstored, brought) = issue("nostore");
    let openssl = Openssl::new();
    let (foreign, _) = openssl.leaf("leaf.example.com");
    for _ in 0..2 {
        pair.same_with(
            "POST",
            |_| "revoke".to_owned(),
            |i| json!({"serial_number": serial[i]}),
        );
    }
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"certificate": certificate[i]}),
    );
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"serial_number": unstored[i]}),
    );
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"certificate": brought[i]}),
    );
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"serial_number": serial[i], "certificate": certificate[i]}),
    );
    for body in [
        json!({}),
        json!({"serial_number": ""}),
        json!({"serial_number": "aa:bb"}),
        json!({"serial_number": "zz"}),
        json!({"certificate": "junk"}),
        json!({"certificate": foreign}),
    ] {
        pair.same("POST", "revoke", body);
    }
    let root = pair
        .both("GET", "issuer/root", None)
        .ok()
        .text("certificate");
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"certificate": root[i]}),
    );
    pair.same_with("GET", |i| format!("cert/{}", serial[i]), |_| Value::Null);
    pair.same("LIST", "certs/revoked", Value::Null);
    pair.same("GET", "crl/rotate", Value::Null);

    let crl = pair.both("GET", "cert/crl", None).ok().text("certificate");
    let [theirs, ours] = [0, 1].map(|i| dump(&openssl.text("crl", &crl[i])));
    pair.equal("the CRL", &theirs, &ours);
    assert!(theirs.contains("Revoked Certificates:"), "{theirs}");
    pair.finish();
}
