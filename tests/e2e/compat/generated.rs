//! Requests made from the built-in engine's own document: every path that takes fields, every field, with values of every kind, the wrong
//! ones most of all. Both engines get the same, and answer the same: status, error text, fields, and warnings in their order.
//!
//! A request has one odd value, because of two faults the built-in engine tells now the one and now the other. `PARITY_SEED` repeats or
//! widens a run.

use serde_json::{Map, Value, json};

use super::random::Dice;
use super::with_root;
use crate::support::{Openssl, Pair};

const REQUESTS: usize = 500;

/// A difference that stays: where, in which field, for which values, and why.
type Difference = (&'static str, &'static str, fn(&Value) -> bool, &'static str);

/// Every difference that stays, as `docs/compatibility.md` has them. These requests are not made.
const STAYS: &[Difference] = &[
    (
        "",
        "ext_key_usage_oids",
        |value| !value.is_null() && *value != json!("") && *value != json!([]),
        "a purpose that cannot be encoded is refused at once",
    ),
    (
        "",
        "revocation_signature_algorithm",
        |value| !value.is_null() && *value != json!(""),
        "the name that was given is told, and only algorithms that there are",
    ),
    (
        "",
        "signature_bits",
        |value| value.as_i64().is_some_and(|n| !(0..=512).contains(&n)),
        "a number that is no size is not repeated",
    ),
    (
        "/config/acme",
        "",
        |_| true,
        "faults of the caller are a 400 here; settings_of_acme_are_kept_and_refused_alike has them",
    ),
    (
        "/config/urls",
        "",
        |value| *value == json!(["a", ""]),
        "an empty URL counts as none",
    ),
    (
        "",
        "not_before",
        |value| !value.is_null() && *value != json!(""),
        "a start that is not used is told",
    ),
    (
        "",
        "max_path_length",
        |value| value.as_f64().is_some_and(|n| !(-1.0..=255.0).contains(&n)),
        "a length that readers do not read, or below -1, is a 400",
    ),
    (
        "",
        "permitted_dns_domains",
        |value| *value == json!("http://example.com/x") || *value == json!(["a", ""]),
        "a domain that is none is refused and named",
    ),
    (
        "/key/",
        "key_name",
        |_| true,
        "a name that is reserved or another key's is refused",
    ),
    (
        "/roles/",
        "policy_identifiers",
        |value| !value.is_null() && *value != json!("") && *value != json!([]),
        "a fault in it is a 400",
    ),
    (
        "/roles/",
        "cn_validations",
        |value| !value.is_null() && *value != json!("") && *value != json!([]),
        "a fault in it is a 400",
    ),
    (
        "",
        "role",
        |_| true,
        "the warning that it is not used stands before that of unknown fields",
    ),
    (
        "/config/crl",
        "expiry",
        |value| value.is_null() || *value == json!("") || value.as_f64().is_some_and(|n| n <= 0.0),
        "a CRL that ends before it begins is refused",
    ),
    (
        "/issuer/{issuer_ref}/sign-revocation-list",
        "revoked_certs",
        |value| {
            value
                .as_array()
                .is_some_and(|list| !list.iter().all(Value::is_object))
        },
        "what is no map is left out there, and refused here",
    ),
    (
        "/tidy",
        "",
        |_| true,
        "runs beside the requests; its own test compares it",
    ),
    (
        "/keys/generate/kms",
        "",
        |_| true,
        "a key of AWS KMS in place of one of the server's own",
    ),
    (
        "",
        "external_key_ref",
        |_| true,
        "a server gives its external keys to no plugin",
    ),
    (
        "/issue",
        "key_type",
        |_| true,
        "a role of type any that is asked for no type or a wrong one: a fault of the caller is a 400 here",
    ),
    (
        "/root/sign-self-issued",
        "",
        |_| true,
        "takes a certificate that only its own test has",
    ),
    (
        "/issuer/{issuer_ref}/sign-self-issued",
        "",
        |_| true,
        "takes a certificate that only its own test has",
    ),
];

/// Paths that take what only their own tests have.
const ABSENT: [&str; 2] = ["/acme/", "/cel/"];

/// One path that takes fields.
struct Form {
    method: &'static str,
    pattern: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// The path with names of things that both mounts have; issuer and key go by id, because requests rename them.
    fn path(&self, [issuer, key]: &[String; 2]) -> String {
        let named = [
            ("{issuer_ref}", issuer.as_str()),
            ("{role}", "one"),
            ("{name}", "two"),
            ("{key_ref}", key.as_str()),
            ("{exported}", "internal"),
        ];
        let path = named.iter().fold(self.pattern.clone(), |path, (from, to)| {
            path.replace(from, to)
        });
        path.trim_start_matches('/').to_owned()
    }
}

/// Every path of the built-in engine's document that takes fields, with the types of these.
fn forms(document: &Value) -> Vec<Form> {
    let mut forms = Vec::new();
    for (pattern, item) in document["paths"].as_object().expect("a document of paths") {
        if ABSENT.iter().any(|part| pattern.contains(part)) || pattern.starts_with("/ocsp") {
            continue;
        }
        for (method, key) in [("POST", "post"), ("PATCH", "patch")] {
            let schema = &item[key]["requestBody"]["content"]["application/json"]["schema"];
            let Some(reference) = schema["$ref"].as_str() else {
                continue;
            };
            let schema = document.pointer(reference.trim_start_matches('#'));
            let properties = schema.and_then(|schema| schema["properties"].as_object());
            let fields = properties.into_iter().flatten().map(|(name, field)| {
                let kind = field["type"].as_str().unwrap_or("string");
                (name.clone(), kind.to_owned())
            });
            forms.push(Form {
                method,
                pattern: pattern.clone(),
                fields: fields.collect(),
            });
        }
    }
    forms
}

/// A value for a field of this type, which need not fit.
fn value(dice: &mut Dice, kind: &str) -> Value {
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!(""),
        json!(true),
        json!(5),
        json!("zz"),
    ];
    let more = match kind {
        "boolean" => vec![json!(false), json!("true"), json!(1), json!(2), json!("no")],
        "integer" => vec![
            json!(0),
            json!(-1),
            json!("1h"),
            json!("5"),
            json!(1.5),
            json!(256),
            json!(3600),
        ],
        "array" => vec![
            json!(["a"]),
            json!("a,b"),
            json!(["a", ""]),
            json!([1]),
            json!("http://example.com/x"),
        ],
        _ => vec![
            json!("a"),
            json!("a.example.com"),
            json!("default"),
            json!(["x"]),
            json!("pem"),
            json!("root"),
        ],
    };
    let all: Vec<_> = odd.into_iter().chain(more).collect();
    dice.of(&all).clone()
}

#[test]
fn generated_requests_are_answered_alike() {
    let seed = std::env::var("PARITY_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(2027);
    let mut dice = Dice(seed);
    let mut pair = with_root(json!({"key_name": "first"}));
    for role in ["one", "two"] {
        let any = json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h"});
        pair.both("POST", &format!("roles/{role}"), Some(&any)).ok();
    }
    let issuers = pair.both("GET", "issuer/root", None).ok().text("issuer_id");
    let keys = pair.both("GET", "key/first", None).ok().text("key_id");
    let ids = [0, 1].map(|i| [issuers[i].clone(), keys[i].clone()]);
    let document = pair.both("GET", "?help=1", None).ok().theirs;
    let forms = forms(&document.body["openapi"]);
    assert!(forms.len() > 40, "{}", forms.len());
    let csr = Openssl::new().csr("a.example.com");

    let (mut sent, mut succeeded) = (0, 0);
    while sent < REQUESTS {
        let form = dice.of(&forms);
        let (field, kind) = dice.of(&form.fields).clone();
        let odd = value(&mut dice, &kind);
        let stays = STAYS.iter().any(|(path, name, which, reason)| {
            assert!(!reason.is_empty());
            form.pattern.starts_with(path) && (name.is_empty() || *name == field) && which(&odd)
        });
        if stays {
            continue;
        }
        let mut body = Map::new();
        for (name, usual) in [("csr", json!(csr)), ("common_name", json!("a.example.com"))] {
            if form.fields.iter().any(|(known, _)| known == name) {
                body.insert(name.to_owned(), usual);
            }
        }
        body.insert(field, odd);
        for unknown in ["zz", "aa"] {
            if dice.chance(15) {
                body.insert(unknown.to_owned(), json!(1));
            }
        }
        let both = pair.same_with(
            form.method,
            |i| form.path(&ids[i]),
            |_| Value::Object(body.clone()),
        );
        sent += 1;
        succeeded += usize::from(both.ours.status < 300);
        restore(&mut pair, &form.pattern, &ids);
    }
    assert!(
        succeeded > REQUESTS / 4,
        "seed {seed}: only {succeeded} of {sent} succeeded"
    );
    pair.finish();
}

/// Brings what a path changes back to what the requests after it need.
fn restore(pair: &mut Pair, pattern: &str, ids: &[[String; 2]; 2]) {
    let mut write = |path: &dyn Fn(usize) -> String, body: &dyn Fn(usize) -> Value| {
        pair.same_with("POST", path, body);
    };
    match pattern {
        "/config/urls" => write(&|_| "config/urls".into(), &|_| {
            json!({"enable_templating": false, "issuing_certificates": [], "crl_distribution_points": [],
                "delta_crl_distribution_points": [], "ocsp_servers": []})
        }),
        "/config/crl" => write(
            &|_| "config/crl".into(),
            &|_| json!({"expiry": "72h", "disable": false, "auto_rebuild": false, "enable_delta": false, "ocsp_expiry": "12h"}),
        ),
        "/issuer/{issuer_ref}" => write(
            &|i| format!("issuer/{}", ids[i][0]),
            &|_| json!({"issuer_name": "root"}),
        ),
        "/key/{key_ref}" => write(
            &|i| format!("key/{}", ids[i][1]),
            &|_| json!({"key_name": "first"}),
        ),
        _ if [
            "/root/",
            "/issuers/",
            "/config/issuers",
            "/config/ca",
            "/config/keys",
        ]
        .iter()
        .any(|start| pattern.starts_with(start)) =>
        {
            write(
                &|_| "config/issuers".into(),
                &|i| json!({"default": ids[i][0], "default_follows_latest_issuer": false}),
            );
        }
        _ => {}
    }
}
