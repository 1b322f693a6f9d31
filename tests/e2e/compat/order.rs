//! Requests with several faults at once: which one is told.

use serde_json::{Value, json};

use super::{merge, with_root};

/// Sends each of the faults alone, and each two of them together.
fn each_two(path: &str, base: &Value, faults: &[Value]) {
    let mut pair = with_root(json!({"key_name": "taken"}));
    for (i, first) in faults.iter().enumerate() {
        for second in &faults[i..] {
            let mut body = base.clone();
            merge(&mut body, first.clone());
            merge(&mut body, second.clone());
            pair.same("POST", path, body);
        }
    }
    pair.finish();
}

fn key_faults() -> Vec<Value> {
    vec![
        json!({"key_name": "taken"}),
        json!({"key_name": "default"}),
        json!({"key_name": "a b"}),
        json!({"key_name": ""}),
        json!({"key_type": "foo"}),
        json!({"key_type": "any"}),
        json!({"key_type": ""}),
        json!({"key_type": "rsa", "key_bits": 1024}),
        json!({"key_type": "ec", "key_bits": 100}),
        json!({"key_bits": -1}),
        json!({"key_type": "ec", "key_bits": -1}),
        json!({"key_type": "ed25519", "key_bits": -1}),
        json!({"key_bits": "x"}),
        json!({"external_key_ref": "a"}),
    ]
}

fn certificate_faults() -> Vec<Value> {
    vec![
        json!({"issuer_name": "root"}),
        json!({"issuer_name": "default"}),
        json!({"issuer_name": "a b"}),
        json!({"issuer_name": ""}),
        json!({"format": "zz"}),
        json!({"common_name": ""}),
        json!({"ip_sans": "zz"}),
        json!({"uri_sans": "%zz"}),
        json!({"other_sans": "zz"}),
        json!({"ttl": "1h", "not_after": "2040-01-01T00:00:00Z"}),
        json!({"not_after": "zz"}),
    ]
}

#[test]
fn of_a_key() {
    each_two(
        "keys/generate/internal",
        &json!({"key_type": "ec"}),
        &key_faults(),
    );
}

#[test]
fn of_a_root() {
    let mut faults = key_faults();
    faults.extend(certificate_faults());
    each_two(
        "root/generate/internal",
        &json!({"common_name": "Root", "key_type": "ec"}),
        &faults,
    );
}

#[test]
fn of_a_root_with_a_key_that_is_there() {
    let mut faults = key_faults();
    faults.extend(certificate_faults());
    faults.push(json!({"key_ref": "nope"}));
    each_two(
        "root/generate/existing",
        &json!({"common_name": "Root", "key_ref": "taken"}),
        &faults,
    );
}

#[test]
fn of_an_intermediate() {
    let mut faults = key_faults();
    faults.extend(certificate_faults());
    each_two(
        "intermediate/generate/internal",
        &json!({"common_name": "Sub", "key_type": "ec"}),
        &faults,
    );
}

#[test]
fn sizes_that_no_key_has() {
    let mut pair = with_root(json!({}));
    pair.both(
        "POST",
        "roles/any",
        Some(&json!({"key_type": "any", "allow_any_name": true})),
    )
    .ok();
    for kind in ["rsa", "ec", "ed25519", "any"] {
        for bits in [-1, 1, 255, i64::from(u32::MAX) + 1 + 256] {
            let key = json!({"key_type": kind, "key_bits": bits});
            pair.same("POST", "roles/one", key.clone());
            pair.same("POST", "keys/generate/internal", key.clone());
            let mut request = json!({"common_name": "a.example.com"});
            merge(&mut request, key);
            pair.same("POST", "intermediate/generate/internal", request.clone());
            // A mistake of the caller, which the built-in engine answers with 500.
            let both = pair.both("POST", "issue/any", Some(&request));
            let [theirs, ours] = [&both.theirs, &both.ours].map(|reply| reply.errors().join(""));
            match both.theirs.status {
                500 => assert!(
                    both.ours.status == 400 && theirs.contains(&ours),
                    "{request}: {ours}"
                ),
                status => assert_eq!((both.ours.status, ours), (status, theirs), "{request}"),
            }
        }
    }
    pair.finish();
}
