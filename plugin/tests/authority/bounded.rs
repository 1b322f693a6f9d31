//! What a request without a token may cost, whatever it brings.

use std::time::{Duration, Instant};

use landfast_plugin::Mount;
use landfast_sdk::logical::Operation;
use landfast_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::support::*;

/// The least time that a request takes: what the machine does besides only adds to it.
async fn cost(mount: &Harness<Mount>, operation: Operation, path: &str, data: &str) -> Duration {
    const ROUNDS: usize = 40;
    const REQUESTS: usize = 5;
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let copies = vec![data.to_owned(); REQUESTS];
        let start = Instant::now();
        for data in copies {
            let reply = mount.send(operation, path, data).await;
            assert!(reply.status >= 200, "an answer has a status");
        }
        least = least.min(start.elapsed());
    }
    least
}

/// Ways to make a request about `octets` long.
fn shapes(octets: usize) -> Vec<(&'static str, String)> {
    let list = |one: &'static str| vec![one; octets / (one.len() + 3)];
    let nested = format!("{}1{}", "[".repeat(octets / 2), "]".repeat(octets / 2));
    vec![
        (
            "one text",
            json!({ "also": "a".repeat(octets) }).to_string(),
        ),
        ("a list", json!({ "also": list("default") }).to_string()),
        (
            "words between commas",
            json!({ "also": list("a").join(",") }).to_string(),
        ),
        ("a name", json!({ "name": "n".repeat(octets) }).to_string()),
        (
            "an unknown field",
            json!({ "unknown": "x".repeat(octets) }).to_string(),
        ),
        (
            "many unknown fields",
            Value::Object(
                (0..octets / 12)
                    .map(|n| (format!("f{n:07}"), 1.into()))
                    .collect(),
            )
            .to_string(),
        ),
        ("deep", format!("{{\"also\":{nested}}}")),
    ]
}

/// Ten times the length is at most one and a half times the work, on every path that needs no token.
#[tokio::test]
async fn the_length_of_a_request_without_a_token_does_not_matter() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    adopt(&mount, &intermediate("Child", &root)).await;
    let open = mount.special_paths().unauthenticated.clone();
    assert!(open.len() > 20, "{open:?}");
    let mut slow = Vec::new();
    for pattern in &open {
        let operation = match pattern.as_str() {
            "issuers/" | "issuers" => Operation::List,
            _ => Operation::Read,
        };
        // In the data, where the path is a plain one.
        let path = pattern.replace('+', "default").replace('*', "AAAA");
        for at in 0..shapes(0).len() {
            let mut before = None;
            for octets in [2_000, 20_000, 200_000] {
                let (what, data) = shapes(octets).swap_remove(at);
                let now = cost(&mount, operation, &path, &data).await;
                slow.extend(before.and_then(|before| grows(before, now)).map(|times| {
                    format!("{path} with {what} of {octets} octets: {times:.2} times")
                }));
                before = Some(now);
            }
            if pattern != "trust-anchor" {
                // The reading of data is the same for all of them: one shape for each path is enough.
                break;
            }
        }
        // In the path, where a part of it is free.
        if pattern.contains(['+', '*']) {
            let mut before = None;
            for octets in [2_000, 20_000, 200_000] {
                let long = "a".repeat(octets);
                let path = pattern.replace(['+', '*'], &long);
                let now = cost(&mount, operation, &path, "{}").await;
                slow.extend(before.and_then(|before| grows(before, now)).map(|times| {
                    format!("{pattern} with {octets} octets in the path: {times:.2} times")
                }));
                before = Some(now);
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

/// How many times `now` is of `before`, if that is more than it may be. What takes a tenth of a millisecond is little enough, and the
/// copies that the test itself makes are among it.
fn grows(before: Duration, now: Duration) -> Option<f64> {
    const LITTLE: Duration = Duration::from_micros(500);
    let times = now.as_secs_f64() / before.as_secs_f64();
    (times > 1.5 && now > LITTLE).then_some(times)
}

/// A list without end used to be looked up, parsed and verified one by one: fifteen seconds for one request.
#[tokio::test]
async fn an_anchor_names_at_most_sixteen_other_issuers() {
    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    let with = |also: Vec<String>| json!({ "also": also, "anchor": "both" });
    let many = mount
        .read_with("trust-anchor", with(vec!["default".to_owned(); 17]))
        .await;
    refused(
        &many,
        400,
        "also: 17 issuers, and at most 16 are taken; an anchor holds as many certificates as max_certificates says",
    );
    // The count comes first: none of them is looked up.
    let unknown = mount
        .read_with("trust-anchor", with(vec!["nobody".to_owned(); 17]))
        .await;
    assert_eq!(unknown.status, 400);
    let long = mount
        .read_with("trust-anchor", with(vec!["nobody".to_owned(); 100_000]))
        .await;
    assert!(
        long.status == 400
            && long
                .error()
                .contains("a path that needs no token takes at most 4096"),
        "{:?}",
        long.status
    );
    // One and the same issuer is one certificate, however often and by whatever name.
    let same = [vec!["default".to_owned(); 8], vec![id; 8]].concat();
    let reply = ok(mount.read_with("trust-anchor", with(same)).await);
    assert_eq!(reply.data["certificates"], json!([root.certificate.pem()]));
}

#[tokio::test]
async fn long_paths_are_not_looked_up() {
    let mount = mount().await;
    for path in ["cert/", "ocsp/", "issuer/", "roles/"] {
        let reply = mount.read(&format!("{path}{}", "a".repeat(1 << 20))).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(
            reply.error().contains("at most 8192"),
            "{path}: {}",
            reply.error()
        );
    }
}
