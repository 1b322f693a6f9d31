//! The structure of certificates, requests and CRLs, as openssl reads it: the same from both engines for every shape of role and CA, octet
//! for octet but for keys, signatures, serial numbers, moments and the values of key identifiers, whose length counts.

mod authorities;
mod leaves;
mod lists;

use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::merge;
use crate::support::{Openssl, Pair};

/// Two mounts with the same CAs, and what was compared of them.
struct Shapes {
    pair: Pair,
    openssl: Openssl,
    /// The role that was set last.
    role: String,
    compared: usize,
}

impl Shapes {
    /// CAs with a key of each kind, the same in both mounts, by the names `ec`, `p384`, `rsa` and `ed`; `ec` is the default.
    fn new() -> Self {
        let (pair, openssl) = (Pair::new(), Openssl::new());
        for (name, kind) in [
            ("ec", "P-256"),
            ("p384", "P-384"),
            ("rsa", "rsa"),
            ("ed", "ed"),
        ] {
            let (certificate, key) = openssl.authority_of(kind, &format!("Shared {name}"));
            let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
            let imported = pair.both("POST", "config/ca", Some(&bundle)).ok();
            let ids = [&imported.theirs, &imported.ours]
                .map(|reply| reply.texts("imported_issuers").remove(0));
            pair.each(
                "POST",
                |i| format!("issuer/{}", ids[i]),
                |_| Some(json!({"issuer_name": name})),
            )
            .ok();
        }
        let default = json!({"default": "ec"});
        pair.both("POST", "config/issuers", Some(&default)).ok();
        Self {
            pair,
            openssl,
            role: String::new(),
            compared: 0,
        }
    }

    /// A role of this name that allows everything, with these fields.
    fn set_role(&mut self, fields: &Value) {
        self.role = fields.to_string();
        let mut body = json!({"allow_any_name": true, "key_type": "ec", "allowed_uri_sans": "*", "allowed_other_sans": "*",
            "allowed_serial_numbers": "*", "allowed_user_ids": "*", "ttl": "2h"});
        merge(&mut body, fields.clone());
        self.pair.both("POST", "roles/one", Some(&body)).ok();
    }

    /// Makes the same request of both and compares a field of what they answer, which is of this kind: `x509`, `req` or `crl`.
    fn ask(&mut self, kind: &str, path: &str, body: &Value) -> Option<[String; 2]> {
        let both = self.pair.both("POST", path, Some(body));
        if both.theirs.status != 200 || both.ours.status != 200 {
            let [theirs, ours] = [&both.theirs, &both.ours]
                .map(|reply| format!("{} {}", reply.status, reply.errors().join("; ")));
            let body: String = body.to_string().chars().take(300).collect();
            let role = &self.role;
            let what = format!("{path} {role} {body} was refused\n    {theirs}\n    {ours}");
            self.pair.differ(&what);
            return None;
        }
        let field = match kind {
            "x509" => "certificate",
            "req" => "csr",
            _ => "crl",
        };
        let made = both.text(field);
        let role = self.role.clone();
        let body: String = body.to_string().chars().take(300).collect();
        self.compare(kind, &format!("{path} {role} {body}"), &made);
        Some(made)
    }

    fn compare(&mut self, kind: &str, what: &str, made: &[String; 2]) {
        self.compared += 1;
        let [theirs, ours] = [0, 1].map(|i| skeleton(&self.openssl.structure(&made[i])));
        // One line where they part says more than all of both.
        let apart = theirs.iter().zip(&ours).position(|(a, b)| a != b);
        let shorter = theirs.len().min(ours.len());
        let apart = apart.or_else(|| (theirs.len() != ours.len()).then_some(shorter));
        if let Some(at) = apart {
            let near = |lines: &[String]| {
                let from = at.saturating_sub(3).min(lines.len());
                lines[from..lines.len().min(at + 3)].join(" | ")
            };
            let what = format!("{what}: line {at} of {} and {}", theirs.len(), ours.len());
            self.pair.equal(&what, &near(&theirs), &near(&ours));
        }
        if kind == "x509" {
            let [theirs, ours] = [0, 1].map(|i| lifetime(&made[i]));
            // Each engine looks at the clock itself.
            if (theirs - ours).abs() > 2 {
                let what = format!("{what}: seconds");
                self.pair
                    .equal(&what, &theirs.to_string(), &ours.to_string());
            }
        }
    }

    /// # Panics
    /// With all that differs, or when fewer shapes were compared than there should be.
    fn finish(self, least: usize) {
        println!("{} shapes compared", self.compared);
        assert!(self.compared >= least, "{}", self.compared);
        self.pair.finish();
    }
}

/// From the start to the end, in seconds.
fn lifetime(pem: &str) -> i64 {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
    let (_, certificate) = X509Certificate::from_der(&block.contents).expect("a certificate");
    let validity = certificate.validity();
    validity.not_after.timestamp() - validity.not_before.timestamp()
}

/// What `openssl asn1parse` shows, without places and lengths, which follow from the rest, and without what is random.
fn skeleton(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        // "   15:d=2  hl=2 l=  20 prim: INTEGER           :7E75…"
        let depth = line.split_once(":d=").map_or("", |(_, rest)| rest);
        let depth = depth.split_whitespace().next().unwrap_or_default();
        let shown = ["prim: ", "cons: "]
            .iter()
            .find_map(|mark| Some((*mark, line.split_once(mark)?.1)));
        let (mark, shown) = shown.unwrap_or(("", line));
        let (kind, value) = shown.split_at(shown.find([':', '[']).unwrap_or(shown.len()));
        let (kind, value) = (kind.trim(), value.trim_start_matches(':'));
        let before = lines.iter().rev().take(2);
        let identifies = before
            .filter(|line| line.contains("OBJECT"))
            .any(|line| line.contains("Key Identifier"));
        let value = match kind {
            "INTEGER" if value.trim_start_matches('-').len() > 8 => "number".to_owned(),
            "UTCTIME" | "GENERALIZEDTIME" => value
                .chars()
                .map(|c| if c.is_ascii_digit() { '9' } else { c })
                .collect(),
            // Of both, the first octets are the frame.
            "OCTET STRING" if identifies => {
                let hex = value.trim_start_matches("[HEX DUMP]:");
                format!("{}… of {}", hex.get(..4).unwrap_or_default(), hex.len())
            }
            _ => value.to_owned(),
        };
        lines.push(format!("{depth} {mark}{kind} {value}"));
    }
    lines
}

#[test]
fn what_is_random_is_all_that_is_left_out() {
    let shown = |serial: &str, end: &str, usage: &str| {
        skeleton(&format!(
            "    0:d=0  hl=4 l= 500 cons: SEQUENCE          \n   \
             15:d=2  hl=2 l=  20 prim: INTEGER           :{serial}\n   \
             15:d=2  hl=2 l=  20 prim: UTCTIME           :{end}\n   \
             20:d=5  hl=2 l=   3 prim: OBJECT            :X509v3 Subject Key Identifier\n   \
             25:d=5  hl=2 l=  22 prim: OCTET STRING      [HEX DUMP]:0414{serial}\n   \
             20:d=5  hl=2 l=   3 prim: OBJECT            :X509v3 Key Usage\n   \
             25:d=5  hl=2 l=   4 prim: OCTET STRING      [HEX DUMP]:{usage}\n"
        ))
    };
    let one = shown("7E756917208FD4403CF0", "261130120000Z", "030205A0");
    assert_eq!(
        one,
        shown("1B756917208FD4403CFF", "271130120000Z", "030205A0")
    );
    for other in [
        shown("7E756917208FD4403CF0", "261130120000Z", "030205A1"),
        shown("7E756917208FD4403CF0AA", "261130120000Z", "030205A0"),
        shown("7E756917208FD4403CF0", "261130120000+01", "030205A0"),
        shown("02", "261130120000Z", "030205A0"),
    ] {
        assert_ne!(one, other);
    }
}
