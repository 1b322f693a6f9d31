//! Every path and operation that either engine's document has, asked of both: at least once with what it takes and once with what it
//! refuses. What nobody asks fails here, so that a new row of the table wants its requests; so does what only one of them has and no
//! list names. The requests stand in `census/requests.txt`.

mod account;
mod requests;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::account::Account;
use self::requests::Answer;
use crate::acme;
use crate::support::{Both, Openssl, Pair};

/// What each mount answered before, or has from the beginning, by the name that requests use.
type Known = BTreeMap<String, [String; 2]>;

/// Texts that both mounts are sent alike.
fn brought(openssl: &Openssl) -> Known {
    let (authority, authority_key) = openssl.authority("Brought");
    let (other, other_key) = openssl.authority("Other");
    let (leaf, _) = openssl.leaf("leaf.example.com");
    [
        ("csr", openssl.csr("a.example.com")),
        ("key", openssl.key_on("P-256", true)),
        ("authority", authority),
        ("authoritykey", authority_key),
        ("other", other),
        ("otherkey", other_key),
        ("leafonly", leaf),
    ]
    .map(|(name, text)| (name.to_owned(), [text.clone(), text]))
    .into()
}

/// Makes the requests of the file, and notes what is not as it says.
fn walk(pair: &mut Pair, known: &mut Known) {
    for request in requests::all() {
        let both = request.send(pair, known);
        let statuses = [both.theirs.status, both.ours.status];
        let wanted: [bool; 2] = statuses.map(|status| match request.answer {
            Answer::Success | Answer::SuccessInOtherWords => status < 300,
            _ => status >= 400,
        });
        if wanted != [true, true] {
            let body = String::from_utf8_lossy(&both.ours.bytes);
            pair.differ(&format!("{request}: answered {statuses:?}: {body}"));
        }
        for (name, field) in &request.keeps {
            known.insert(name.clone(), both.text(field));
        }
    }
}

/// A certificate that is good, and one that is revoked.
fn ocsp(pair: &mut Pair, openssl: &Openssl, known: &Known) {
    let root = &known["root"];
    for serial in ["leaf", "gone"] {
        let encoded = [0, 1].map(|i| {
            let number = format!("0x{}", known[serial][i].replace(':', ""));
            let request = openssl.ocsp_request(&root[i], &["-serial", &number]);
            let text = STANDARD.encode(request);
            text.replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
        });
        pair.same_with("GET", |i| format!("ocsp/{}", encoded[i]), |_| Value::Null);
    }
}

/// Each field of each operation with a value of a kind that it does not take. Answers how many there were.
fn wrong_kinds(pair: &mut Pair) -> usize {
    let document = pair.both("GET", "?help=1", None).ok().theirs;
    let document = &document.body["openapi"];
    let mut sent = 0;
    for (pattern, item) in document["paths"].as_object().expect("a document of paths") {
        if pattern.contains("/acme/") || pattern.starts_with("/cel/") {
            continue;
        }
        for (method, key) in [("POST", "post"), ("PATCH", "patch")] {
            for (field, kind) in account::fields(document, &item[key]) {
                let path = pattern
                    .trim_start_matches('/')
                    .replace("{issuer_ref}", "root")
                    .replace("{key_ref}", "root")
                    .replace("{exported}", "internal")
                    .replace("{role}", "one")
                    .replace("{name}", "one");
                // A map takes any map, and nothing else.
                let odd = if kind == "object" {
                    json!(7)
                } else {
                    json!({"a": 1})
                };
                let both = pair.both(method, &path, Some(&json!({ field.clone(): odd })));
                sent += 1;
                differ_by_the_value_alone(pair, &format!("{method} {path} {field}"), &both);
            }
        }
    }
    sent
}

/// A value of the wrong kind is repeated there, and not here (docs/compatibility.md).
fn differ_by_the_value_alone(pair: &mut Pair, what: &str, both: &Both) {
    let [theirs, ours] = [&both.theirs, &both.ours].map(|reply| {
        let text = reply.errors().join("; ");
        // Lists of texts, of which there is one, get the words of another version of Go's decoder than lists split at commas.
        let text = text.replace(
            "decoding failed due to the following error(s):\n\n",
            "1 error(s) decoding:\n\n* ",
        );
        (reply.status, text)
    });
    if theirs.0 != ours.0 || !theirs.1.starts_with(&ours.1) {
        pair.differ(&format!(
            "{what}\n  built-in: {theirs:?}\n  ours:     {ours:?}"
        ));
    }
}

/// All of it, on a pair of mounts.
fn take(mut pair: Pair) {
    let openssl = Openssl::new();
    let mut known = brought(&openssl);
    walk(&mut pair, &mut known);
    ocsp(&mut pair, &openssl, &known);
    let wrong = wrong_kinds(&mut pair);
    acme::ask(&pair);
    for request in requests::last() {
        request.send(&mut pair, &known);
    }
    let account = Account::of(&pair);
    account.hold(&mut pair);
    let (asked, rows) = account.totals();
    println!(
        "{asked} requests to each engine, {wrong} of them with a field of the wrong kind; {rows} operations"
    );
    assert!(asked >= 600, "{asked}");
    pair.finish();
}

#[test]
fn every_operation_is_asked_of_both() {
    take(Pair::new());
}

#[test]
fn every_operation_is_asked_of_both_in_a_namespace() {
    take(Pair::within("tenant"));
}
