//! CRLs: complete and delta, with and without entries, under every kind of key; and those that the caller makes.

use serde_json::{Value, json};

use super::Shapes;

/// Compares the CRLs of every issuer.
fn compare_all(shapes: &mut Shapes, when: &str, delta: bool) {
    for issuer in ["ec", "p384", "rsa", "ed"] {
        let kinds: &[&str] = if delta {
            &["crl", "crl/delta"]
        } else {
            &["crl"]
        };
        for kind in kinds {
            let path = format!("issuer/{issuer}/{kind}");
            let both = shapes.pair.both("GET", &path, None).ok();
            shapes.compare("crl", &format!("{when}: {path}"), &both.text("crl"));
        }
    }
}

/// Issues under each issuer, and revokes.
fn revoke(shapes: &Shapes) {
    for issuer in ["ec", "p384", "rsa", "ed"] {
        let path = format!("issuer/{issuer}/issue/one");
        let body = json!({"common_name": "a.example.com"});
        let both = shapes.pair.both("POST", &path, Some(&body)).ok();
        let bodies = both
            .text("serial_number")
            .map(|serial| json!({ "serial_number": serial }));
        shapes.pair.both_with("POST", "revoke", &bodies).ok();
    }
}

fn set(shapes: &Shapes, path: &str, body: &Value) {
    shapes.pair.both("POST", path, Some(body)).ok();
}

#[test]
fn crls_have_the_same_structure() {
    let mut shapes = Shapes::new();
    shapes.set_role(&json!({}));
    compare_all(&mut shapes, "empty", false);
    revoke(&shapes);
    compare_all(&mut shapes, "one entry", false);
    revoke(&shapes);
    compare_all(&mut shapes, "two entries", false);
    set(
        &shapes,
        "config/urls",
        &json!({"delta_crl_distribution_points": "http://x/delta", "crl_distribution_points": "http://x/crl"}),
    );
    set(
        &shapes,
        "config/crl",
        &json!({"auto_rebuild": true, "enable_delta": true}),
    );
    let rotate = |shapes: &Shapes, path: &str| {
        shapes.pair.both("GET", path, None).ok();
    };
    rotate(&shapes, "crl/rotate");
    compare_all(&mut shapes, "an empty delta CRL", true);
    revoke(&shapes);
    rotate(&shapes, "crl/rotate-delta");
    compare_all(&mut shapes, "a delta CRL with an entry", true);
    rotate(&shapes, "crl/rotate");
    compare_all(&mut shapes, "complete again", true);
    for algorithm in ["SHA256WithRSAPSS", "SHA384WithRSA", "SHA512WithRSAPSS"] {
        let body = json!({"issuer_name": "rsa", "revocation_signature_algorithm": algorithm});
        set(&shapes, "issuer/rsa", &body);
        rotate(&shapes, "crl/rotate");
        compare_all(&mut shapes, algorithm, true);
    }
    set(
        &shapes,
        "config/crl",
        &json!({"disable": true, "enable_delta": false}),
    );
    compare_all(&mut shapes, "switched off", false);
    for issuer in ["ec", "p384", "rsa", "ed"] {
        for body in [
            json!({}),
            json!({"crl_number": 70_000, "next_update": "5h"}),
            json!({"crl_number": 9, "delta_crl_base_number": 8}),
            // Without extensions an entry has an empty list of them there (docs/compatibility.md).
            json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": 1,
                "extensions": [{"id": "2.5.29.21", "value": "CgEE"}]}]}),
            json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": "2051-01-02T03:04:05Z",
                "extensions": [{"id": "2.5.29.21", "value": "CgEB"}]}]}),
            json!({"extensions": [{"id": "1.2.3", "value": "BQA=", "critical": true}]}),
        ] {
            let path = format!("issuer/{issuer}/sign-revocation-list");
            shapes.ask("crl", &path, &body);
        }
        let body = json!({"crl_number": 5, "crls": []});
        shapes.ask("crl", &format!("issuer/{issuer}/resign-crls"), &body);
    }
    shapes.finish(60);
}
