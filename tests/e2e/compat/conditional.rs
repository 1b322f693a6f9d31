//! Conditional downloads: which paths answer `If-Modified-Since`, with which dates, and what changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Pair, Release, Reply, Server, TakeOver, until};

const MOUNTS: [&str; 2] = ["builtin", "landfst"];
/// No copy is younger.
const LATE: &str = "Thu, 29 Nov 2040 12:00:00 GMT";
/// Nothing is older.
const EARLY: &str = "Thu, 29 Nov 2012 12:00:00 GMT";

/// Stands in paths for the serial number of a certificate that the mount has issued.
const SERIAL: &str = "SERIAL";

/// Paths that answer 304 to a caller whose copy is young enough.
const CONDITIONAL: [&str; 22] = [
    "ca",
    "ca/pem",
    "cert/ca",
    "cert/ca/raw",
    "cert/ca/raw/pem",
    "cert/crl",
    "cert/delta-crl",
    "crl",
    "crl/delta",
    "crl/delta/pem",
    "crl/pem",
    "issuer/root/crl",
    "issuer/root/crl/delta",
    "issuer/root/crl/delta/der",
    "issuer/root/crl/delta/pem",
    "issuer/root/crl/der",
    "issuer/root/crl/pem",
    "issuer/root/der",
    "issuer/root/json",
    "issuer/root/pem",
    "issuer/default/json",
    "issuer/default/crl/delta/der",
];

/// Lets the headers pass.
fn let_pass(client: &Client, mount: &str) {
    let headers = json!({
        "passthrough_request_headers": ["If-Modified-Since"],
        "allowed_response_headers": ["Last-Modified"],
    });
    client
        .write(&format!("sys/mounts/{mount}/tune"), headers)
        .ok();
}

fn ask(client: &Client, mount: &str, path: &str, since: &str) -> Reply {
    client.read_with(&format!("{mount}/{path}"), &[("If-Modified-Since", since)])
}

/// Every path that can be read, of both engines' documents, with names of what is there. Reading these changes nothing.
fn readable(client: &Client) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = CONDITIONAL.map(str::to_owned).into();
    for mount in MOUNTS {
        let document = client.read(&format!("{mount}/?help=1")).ok();
        let paths = document.body["openapi"]["paths"].as_object().cloned();
        for (pattern, item) in paths.expect("a document of paths") {
            let path = pattern
                .trim_start_matches('/')
                .replace("{issuer_ref}", "root")
                .replace("{serial}", SERIAL)
                .replace("{name}", "one")
                .replace("{role}", "one")
                .replace("{key_ref}", "default");
            // An answer of OCSP has its dates within; rebuilding is no download.
            if item["get"].is_object() && !path.contains(['{']) && !path.contains("rotate") {
                found.insert(path);
            }
        }
    }
    found
}

/// The date of each conditional path, where it has one.
fn dates(client: &Client, mount: &str) -> BTreeMap<&'static str, Option<String>> {
    CONDITIONAL
        .into_iter()
        .map(|path| {
            let reply = ask(client, mount, path, LATE);
            (path, reply.header("last-modified").map(str::to_owned))
        })
        .collect()
}

/// Notes where the engines differ for any path and any date.
fn compare(pair: &mut Pair, when: &str, serials: &[String; 2]) {
    let client = pair.server().client();
    for path in readable(&client) {
        for since in [LATE, EARLY] {
            let [theirs, ours] = [0, 1].map(|i| {
                let path = path.replace(SERIAL, &serials[i]);
                ask(&client, MOUNTS[i], &path, since)
            });
            let shown = |reply: &Reply| {
                let date = reply.header("last-modified").map(str::len);
                let kind = reply.header("content-type").unwrap_or("none");
                format!("{} {date:?} {kind}", reply.status)
            };
            // What only one of them has is compared elsewhere.
            if theirs.status == 404 || ours.status == 404 {
                assert!(theirs.status != 304 && ours.status != 304, "{path}");
                continue;
            }
            let what = format!("{when}: {path} {since}");
            pair.equal(&what, &shown(&theirs), &shown(&ours));
        }
    }
}

#[test]
fn the_same_paths_answer_conditional_requests() {
    let mut pair = Pair::new();
    let operator = pair.server().client();
    for mount in MOUNTS {
        let_pass(&operator, mount);
    }
    let root = json!({"common_name": "R", "key_type": "ec", "ttl": "8000h", "issuer_name": "root"});
    pair.both("POST", "root/generate/internal", Some(&root))
        .ok();
    let none = ["aa:bb", "aa:bb"].map(str::to_owned);
    compare(&mut pair, "a root, no delta CRL", &none);
    let crl = json!({"auto_rebuild": true, "enable_delta": true});
    pair.both("POST", "config/crl", Some(&crl)).ok();
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let name = json!({"common_name": "a.example.com"});
    let leaf = pair.both("POST", "issue/one", Some(&name)).ok();
    pair.both("GET", "crl/rotate", None).ok();
    compare(&mut pair, "all is there", &leaf.text("serial_number"));
    let nobody = operator.with_token("");
    for path in CONDITIONAL {
        let ours = ask(&nobody, MOUNTS[1], path, LATE);
        assert_eq!(ours.status, 304, "{path}");
        assert!(ours.bytes.is_empty(), "{path}");
        let date = ours.header("last-modified").expect("a date").to_owned();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{path}: {date}");
        // A date that is none asks for nothing (RFC 9110); the built-in engine fails.
        assert_eq!(ask(&nobody, MOUNTS[1], path, "yesterday").status, 200);
    }
    pair.finish();
}

/// What would not succeed without a condition does not for one (RFC 9110 section 13.2.1).
#[test]
fn a_condition_on_what_is_not_there_is_ignored_here() {
    let pair = Pair::new();
    let operator = pair.server().client();
    for mount in MOUNTS {
        let_pass(&operator, mount);
    }
    let ignored = || {
        for path in CONDITIONAL.into_iter().chain(["issuer/nope/crl"]) {
            let plain = operator.read(&format!("{}/{path}", MOUNTS[1]));
            let ours = ask(&operator, MOUNTS[1], path, LATE);
            assert!(plain.status != 200, "{path}");
            assert_eq!((plain.status, plain.bytes), (ours.status, ours.bytes));
        }
        ask(&operator, MOUNTS[0], "ca", LATE).status
    };
    assert_eq!(ignored(), 500);
    let root = json!({"common_name": "R", "key_type": "ec", "ttl": "8000h", "issuer_name": "root"});
    pair.both("POST", "root/generate/internal", Some(&root))
        .ok();
    pair.both("DELETE", "issuer/root", None).ok();
    assert_eq!(ignored(), 500);
    let theirs = ask(&operator, MOUNTS[0], "issuer/nope/crl", LATE);
    assert_eq!(theirs.status, 304);
}

#[test]
fn the_same_changes_move_the_same_dates() {
    let mut pair = Pair::new();
    let operator = pair.server().client();
    for mount in MOUNTS {
        let_pass(&operator, mount);
    }
    for (path, body) in [
        (
            "root/generate/internal",
            json!({"common_name": "R", "key_type": "ec", "ttl": "8000h", "issuer_name": "root"}),
        ),
        (
            "roles/one",
            json!({"allow_any_name": true, "key_type": "ec"}),
        ),
    ] {
        pair.both("POST", path, Some(&body)).ok();
    }
    let name = json!({"common_name": "a.example.com"});
    let leaves = [0, 1].map(|_| {
        let leaf = pair.both("POST", "issue/one", Some(&name)).ok();
        leaf.text("serial_number")
    });
    let post = |path: &'static str, body: Value| (path, [body.clone(), body]);
    let revoke = |at: usize| {
        let bodies = [0, 1].map(|mount| json!({"serial_number": leaves[at][mount]}));
        ("revoke", bodies)
    };
    let changes = [
        revoke(0),
        post(
            "config/crl",
            json!({"auto_rebuild": true, "enable_delta": true}),
        ),
        revoke(1),
        post("config/crl", json!({"expiry": "50h"})),
        post("crl/rotate-delta", Value::Null),
        post("crl/rotate", Value::Null),
        post("config/urls", json!({"ocsp_servers": "http://x/ocsp"})),
        post("issuer/root", json!({"issuer_name": "root"})),
        post(
            "issuer/root",
            json!({"issuer_name": "root", "usage": "read-only,crl-signing"}),
        ),
        post(
            "root/generate/internal",
            json!({"common_name": "S", "key_type": "ec", "ttl": "8000h", "issuer_name": "second"}),
        ),
        post("config/issuers", json!({"default": "second"})),
        post("root/replace", json!({"default": "root"})),
        post(
            "config/issuers",
            json!({"default": "root", "default_follows_latest_issuer": true}),
        ),
        post(
            "root/generate/internal",
            json!({"common_name": "T", "key_type": "ec", "ttl": "8000h", "issuer_name": "third"}),
        ),
        post("config/issuers", json!({"default": "third"})),
        post("config/issuers", json!({"default": "root"})),
        post("config/crl", json!({"enable_delta": false})),
        post("config/crl", json!({"auto_rebuild": false})),
        post("config/crl", json!({"disable": true})),
        post("config/crl", json!({"disable": false})),
    ];
    let mut before = MOUNTS.map(|mount| dates(&operator, mount));
    for (path, bodies) in changes {
        // Dates are of whole seconds.
        thread::sleep(Duration::from_millis(1100));
        let method = if bodies[0].is_null() { "GET" } else { "POST" };
        pair.both_with(method, path, &bodies).ok();
        let after = MOUNTS.map(|mount| dates(&operator, mount));
        let [theirs, ours] = [0, 1].map(|mount| {
            let moved = CONDITIONAL
                .iter()
                .filter(|path| before[mount][*path] != after[mount][*path]);
            moved.copied().collect::<Vec<_>>().join(" ")
        });
        pair.equal(&format!("{path} {}", bodies[0]), &theirs, &ours);
        before = after;
    }
    pair.finish();
}

#[test]
fn dates_outlive_a_change_of_hands() {
    for release in [Release::Current, Release::Previous] {
        let server = Server::bare_dev(release);
        let hands = TakeOver::mount(&server);
        let client = server.client();
        let_pass(&client, "pki");
        for (path, body) in [
            (
                "root/generate/internal",
                json!({"common_name": "R", "key_type": "ec", "ttl": "8000h", "issuer_name": "root"}),
            ),
            (
                "config/crl",
                json!({"auto_rebuild": true, "enable_delta": true}),
            ),
            (
                "roles/one",
                json!({"allow_any_name": true, "key_type": "ec"}),
            ),
        ] {
            client.write(&format!("pki/{path}"), body).ok();
        }
        let there = || {
            until("the mount answers", Duration::from_secs(20), || {
                (client.read("pki/cert/crl").status == 200).then_some(())
            });
        };
        client.read("pki/crl/rotate").ok();
        thread::sleep(Duration::from_millis(1100));
        client.read("pki/crl/rotate-delta").ok();
        let theirs = dates(&client, "pki");
        assert!(theirs.values().all(Option::is_some), "{theirs:?}");
        assert_ne!(theirs["crl"], theirs["crl/delta"]);
        thread::sleep(Duration::from_millis(1100));
        hands.to_ours(&server);
        there();
        assert_eq!(dates(&client, "pki"), theirs);
        client.read("pki/crl/rotate").ok();
        thread::sleep(Duration::from_millis(1100));
        client.read("pki/crl/rotate-delta").ok();
        let ours = dates(&client, "pki");
        for path in ["crl", "crl/delta"] {
            assert_ne!(ours[path], theirs[path], "{path}");
        }
        thread::sleep(Duration::from_millis(1100));
        hands.back(&server);
        there();
        assert_eq!(dates(&client, "pki"), ours);
    }
}
