//! Parity with the built-in engine of the same server: same statuses, fields,
//! error texts and warnings. What differs on purpose is listed in
//! `docs/compatibility.md` and asserted in `differences.rs`.

mod authority;
mod cel;
mod census;
mod certificates;
mod conditional;
mod config;
mod console;
mod controllers;
mod differences;
mod fetch;
mod generated;
mod issuers;
mod leaves;
mod lists;
mod mldsa;
mod ocsp;
mod order;
mod p224;
mod random;
mod revocation;
mod roles;
mod shapes;
mod tidy;

use serde_json::{Value, json};

use crate::support::Pair;

/// A pair with a root each, of the kind and with the fields given.
fn with_root(fields: Value) -> Pair {
    let pair = Pair::new();
    let mut body = json!({
        "common_name": "Parity CA", "key_type": "ec", "ttl": "8760h", "issuer_name": "root",
    });
    merge(&mut body, fields);
    pair.both("POST", "root/generate/internal", Some(&body))
        .ok();
    pair
}

/// A certificate's or CRL's text without what differs from one run to the
/// next: serial number, times, key and signature bytes, key identifiers.
fn dump(text: &str) -> String {
    let mut lines = Vec::new();
    let mut skip_deeper_than = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if skip_deeper_than.is_some_and(|limit| depth > limit) {
            continue;
        }
        skip_deeper_than = None;
        let word = line.trim();
        let hides = [
            "Serial Number:",
            "pub:",
            "Signature Value:",
            "Modulus:",
            "X509v3 Subject Key Identifier:",
            "X509v3 Authority Key Identifier:",
        ];
        if let Some(hidden) = hides.iter().find(|start| word.starts_with(**start)) {
            lines.push(format!("{}{hidden} …", " ".repeat(depth)));
            skip_deeper_than = Some(depth);
            continue;
        }
        let times = [
            "Not Before",
            "Not After",
            "Last Update",
            "Next Update",
            "Revocation Date",
        ];
        match times.iter().find(|start| word.starts_with(**start)) {
            Some(time) => lines.push(format!("{}{time} …", " ".repeat(depth))),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

fn merge(body: &mut Value, more: Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more);
    }
}
