//! Tidying, beside the built-in engine's.

use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::with_root;
use crate::support::{Both, Pair, Reply, until};

/// The status of both once neither runs.
fn ended(pair: &Pair) -> [Map<String, Value>; 2] {
    let both = until("the end of both runs", Duration::from_secs(20), || {
        let both = pair.both("GET", "tidy-status", None).ok();
        let states = both.text("state");
        let over = |state: &String| !["Running", "Cancelling"].contains(&state.as_str());
        states.iter().all(over).then_some(both)
    });
    [told(&both.theirs), told(&both.ours)]
}

/// What can be alike.
fn told(reply: &Reply) -> Map<String, Value> {
    let mut data = reply.data().as_object().expect("an object").clone();
    for own in [
        "internal_backend_uuid",
        "time_started",
        "time_finished",
        "last_auto_tidy_finished",
    ] {
        if let Some(value) = data.get_mut(own) {
            *value = json!(value.is_string());
        }
    }
    data
}

/// Status and warnings, and whether there is data.
fn frame(both: &Both) -> [(u16, Value, bool); 2] {
    [&both.theirs, &both.ours].map(|reply| {
        (
            reply.status,
            reply.body["warnings"].clone(),
            reply.body["data"].is_null(),
        )
    })
}

fn same_frame(both: &Both, what: &str) {
    let [theirs, ours] = frame(both);
    assert_eq!(theirs, ours, "{what}");
}

#[test]
fn the_same_goes_and_the_same_is_told() {
    let mut pair = with_root(json!({}));
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let nothing = pair.both("GET", "tidy-status", None).ok();
    assert_eq!(told(&nothing.theirs), told(&nothing.ours));
    same_frame(
        &pair.both("POST", "tidy-cancel", Some(&json!({}))),
        "nothing to cancel",
    );
    for body in [
        json!({"safety_buffer": 0}),
        json!({"safety_buffer": -1}),
        json!({"revoked_safety_buffer": 0}),
        json!({"issuer_safety_buffer": 0}),
        json!({"acme_account_safety_buffer": 0}),
        json!({"page_size": 4}),
        json!({"pause_duration": "-1s"}),
        json!({"pause_duration": "x"}),
        json!({"tidy_cert_store": "maybe"}),
    ] {
        pair.same("POST", "tidy", body);
    }
    let issue = |ttl: &str| {
        let body = json!({"common_name": "a.example.com", "ttl": ttl});
        let both = pair.both("POST", "issue/one", Some(&body)).ok();
        both.text("serial_number")
    };
    let (short, long) = (issue("8s"), issue("1h"));
    issue("1s");
    for serials in [&short, &long] {
        let revoked = pair.same_with(
            "POST",
            |_| "revoke".to_owned(),
            |i| json!({"serial_number": serials[i]}),
        );
        assert_eq!(revoked.ours.status, 200);
    }
    thread::sleep(Duration::from_secs(11));
    for body in [
        json!({}),
        json!({"page_size": 0}),
        json!({"page_size": -3, "zz": 1}),
        json!({"pause_duration": 5}),
        json!({"tidy_cert_store": true}),
        json!({"tidy_cert_store": true, "safety_buffer": "1s", "revoked_safety_buffer": "1h", "page_size": 5}),
        json!({"tidy_revoked_certs": true, "tidy_revoked_cert_issuer_associations": true, "safety_buffer": 1}),
        json!({"tidy_expired_issuers": true, "tidy_move_legacy_ca_bundle": true, "tidy_acme": true}),
        json!({"tidy_revocation_list": true, "tidy_cert_store": true, "safety_buffer": "1s"}),
    ] {
        same_frame(&pair.both("POST", "tidy", Some(&body)), &body.to_string());
        let [theirs, ours] = ended(&pair);
        assert_eq!(theirs, ours, "{body}");
        for list in ["certs", "certs/revoked"] {
            let both = pair.both("LIST", list, None);
            let [theirs, ours] = [&both.theirs, &both.ours].map(|reply| reply.texts("keys").len());
            assert_eq!(theirs, ours, "{list} after {body}");
        }
    }
    let left = pair.both("LIST", "certs/revoked", None).ok();
    assert_eq!(left.ours.texts("keys"), [long[1].clone()]);
    pair.finish();
}

#[test]
fn a_run_is_cancelled_alike() {
    let pair = with_root(json!({}));
    let slow = json!({"tidy_cert_store": true, "pause_duration": "600ms"});
    same_frame(&pair.both("POST", "tidy", Some(&slow)), "begun");
    same_frame(&pair.both("POST", "tidy", Some(&slow)), "begun twice");
    // Where each is when it is asked is its own affair.
    let apart = |reply: &Reply| {
        let mut told = told(reply);
        told.remove("message");
        told
    };
    let running = pair.both("GET", "tidy-status", None).ok();
    assert_eq!(apart(&running.theirs), apart(&running.ours));
    let cancelled = pair.both("POST", "tidy-cancel", Some(&json!({}))).ok();
    assert_eq!(cancelled.ours.text("state"), "Cancelling");
    assert_eq!(apart(&cancelled.theirs), apart(&cancelled.ours));
    let [theirs, ours] = ended(&pair);
    assert_eq!(
        (&theirs["state"], &ours["state"]),
        (&json!("Cancelled"), &json!("Cancelled"))
    );
}
