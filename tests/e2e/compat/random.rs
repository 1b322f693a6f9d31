//! Random roles and requests, sent to both engines. What people write by hand
//! they also think of by hand; this finds the rest.
//!
//! `PARITY_SEED` repeats or widens a run; a failure names the seed.

use serde_json::{Map, Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::support::{Both, Openssl, Pair};

const ROLES: usize = 40;
const REQUESTS: usize = 6;

/// Domains of roles. What differs on purpose is left out here and below:
/// `differences.rs` has it.
const DOMAINS: &[&str] = &[
    "example.com",
    "a.example.com",
    "*.example.com",
    "ftp*.example.com",
    "exa*le.com",
    "*",
    "single",
    "10.0.0.1",
    "example.com.",
    "xn--mnchen-3ya.example",
];

const NAMES: &[&str] = &[
    "example.com",
    "a.example.com",
    "b.a.example.com",
    "*.example.com",
    "f*.example.com",
    "a.*.example.com",
    "ftp1.example.com",
    "evilexample.com",
    "exaXXle.com",
    "localhost",
    "x.localhost",
    "single",
    "a.single",
    "10.0.0.1",
    "u@example.com",
    "u@a.example.com",
    "u@@example.com",
    "a_b.example.com",
    "-a.example.com",
    "a..example.com",
    "example.com.",
    "münchen.example",
    "a b",
    "node-1",
];

/// Left out of `alt_names` by the built-in engine, and refused here.
const SHAPELESS: &[&str] = &[
    "f*.example.com",
    "a.*.example.com",
    "a_b.example.com",
    "-a.example.com",
    "a b",
];

#[test]
fn random_requests_are_answered_alike() {
    let seed = std::env::var("PARITY_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(2026);
    let mut dice = Dice(seed);
    let mut pair = Pair::new();
    let openssl = Openssl::new();
    let (certificate, key) = openssl.authority("Shared CA");
    let bundle = json!({"pem_bundle": format!("{certificate}{key}")});
    pair.both("POST", "config/ca", Some(&bundle)).ok();
    let csrs = ["a.example.com", "example.com", "localhost", "a.example.org"];
    let csrs = csrs.map(|name| openssl.csr(name));

    let mut issued = 0;
    for _ in 0..ROLES {
        let role = role(&mut dice);
        let both = pair.same("POST", "roles/one", role.clone());
        if both.ours.status != 200 {
            continue;
        }
        for _ in 0..REQUESTS {
            let mut body = request(&mut dice);
            let path = *dice.of(&["issue/one", "sign/one"]);
            if path == "sign/one" {
                body["csr"] = json!(dice.of(&csrs));
            }
            let both = pair.same("POST", path, body.clone());
            if let [Some(theirs), Some(ours)] = shapes(&both) {
                issued += 1;
                let what = format!("seed {seed}: {role} {path} {body}");
                pair.equal(&what, &theirs, &ours);
            }
        }
    }
    assert!(issued > 20, "seed {seed}: only {issued} were issued");
    pair.finish();
}

fn role(dice: &mut Dice) -> Value {
    let mut role = Map::new();
    role.insert("key_type".into(), json!("ec"));
    // A certificate with neither subject nor names is refused here only.
    let mut organizations = dice.some(&["Ö", "", "Zz"]);
    organizations.push("Example, Ltd");
    role.insert("organization".into(), json!(organizations));
    role.insert("allowed_domains".into(), json!(dice.some(DOMAINS)));
    role.insert(
        "allowed_uri_sans".into(),
        json!(dice.some(&["spiffe://example.com/*", "urn:*"])),
    );
    role.insert(
        "allowed_other_sans".into(),
        json!(dice.some(&["1.2.3;UTF8:a*", "1.3.6.1.4.1.311.20.2.3;utf8:*"])),
    );
    role.insert(
        "allowed_serial_numbers".into(),
        json!(dice.some(&["7*", "x"])),
    );
    role.insert("allowed_user_ids".into(), json!(dice.some(&["bob", "e*"])));
    for (flag, percent) in [
        ("allow_bare_domains", 60),
        ("allow_subdomains", 60),
        ("allow_glob_domains", 40),
        ("allow_any_name", 25),
        ("allow_localhost", 60),
        ("allow_wildcard_certificates", 75),
        ("allow_ip_sans", 75),
        ("enforce_hostnames", 75),
        ("require_cn", 75),
        ("use_csr_common_name", 75),
        ("use_csr_sans", 75),
        ("server_flag", 75),
        ("client_flag", 75),
        ("code_signing_flag", 25),
        ("email_protection_flag", 25),
        ("basic_constraints_valid_for_non_ca", 25),
        ("no_store", 25),
    ] {
        role.insert(flag.into(), json!(dice.chance(percent)));
    }
    let maybe: [(&str, Value); 8] = [
        ("allowed_ip_sans_cidr", json!("10.0.0.0/8,fd00::/8")),
        (
            "key_usage",
            json!(dice.some(&["DigitalSignature", "keyencipherment", "nonsense"])),
        ),
        (
            "ext_key_usage",
            json!(dice.some(&[
                "TimeStamping",
                "any",
                "MicrosoftKernelCodeSigning",
                "nonsense"
            ])),
        ),
        ("ext_key_usage_oids", json!("1.3.6.1.4.1.99999.1")),
        ("policy_identifiers", json!("1.2.3.4")),
        (
            "cn_validations",
            json!(dice.of(&["email", "hostname", "disabled"])),
        ),
        ("ttl", json!(dice.of(&["1h", "90000h", "0"]))),
        ("max_ttl", json!(dice.of(&["2h", "1d", ""]))),
    ];
    for (field, value) in maybe {
        if dice.chance(20) {
            role.insert(field.into(), value);
        }
    }
    role.into()
}

fn request(dice: &mut Dice) -> Value {
    let mut request = Map::new();
    let mut names = dice.some(NAMES);
    names.retain(|name| !SHAPELESS.contains(name));
    let names = names.join(",");
    let maybe: [(&str, u64, Value); 11] = [
        ("common_name", 85, json!(dice.of(NAMES))),
        ("alt_names", 30, json!(names)),
        (
            "ip_sans",
            20,
            json!(dice.some(&["10.0.0.1", "192.168.0.1", "fd00::1", "", "abc", " 10.0.0.2"])),
        ),
        (
            "uri_sans",
            20,
            json!(dice.some(&["spiffe://example.com/a", "urn:x", "http://é/", "%zz"])),
        ),
        (
            "other_sans",
            15,
            json!(dice.some(&["1.2.3;UTF8:abc", "1.2.3;utf8:b", "1.2.3"])),
        ),
        (
            "user_ids",
            15,
            json!(dice.some(&["bob", "BOB", "eve", "zoe"])),
        ),
        ("serial_number", 15, json!(dice.of(&["77", "x", "y"]))),
        ("exclude_cn_from_sans", 15, json!(true)),
        ("ttl", 20, json!(dice.of(&["30m", "3h", "5m", "-1h", "zz"]))),
        (
            "not_before",
            10,
            json!(dice.of(&["", "junk", "2026-11-01T00:00:00Z"])),
        ),
        ("format", 15, json!(dice.of(&["der", "pem_bundle", "PEM"]))),
    ];
    for (field, percent, value) in maybe {
        if dice.chance(percent) {
            request.insert(field.into(), value);
        }
    }
    request.into()
}

/// What both certificates say but for keys, serial numbers and times.
fn shapes(both: &Both) -> [Option<String>; 2] {
    [&both.theirs, &both.ours].map(|reply| {
        let pem = reply.data()["certificate"].as_str()?;
        let blocks = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
        let block = blocks
            .flatten()
            .find(|block| block.label == "CERTIFICATE")?;
        let (_, certificate) = X509Certificate::from_der(&block.contents).ok()?;
        let extensions = certificate.extensions().iter().map(|extension| {
            let hidden =
                extension.oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER;
            let value = if hidden { &[] } else { extension.value };
            format!("{} {} {value:02x?}", extension.oid, extension.critical)
        });
        let extensions = extensions.collect::<Vec<_>>().join("\n");
        Some(format!("{}\n{extensions}", certificate.subject()))
    })
}

/// Numbers that look random and are the same for a seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    pub(super) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = self.roll() % list.len() as u64;
        &list[usize::try_from(at).expect("a list is shorter than memory")]
    }

    /// Up to three of a list.
    fn some<'a>(&mut self, list: &[&'a str]) -> Vec<&'a str> {
        (0..self.roll() % 4).map(|_| *self.of(list)).collect()
    }
}
