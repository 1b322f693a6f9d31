//! Every field of every entry: left out in turn, null in turn, and fields that nobody knows.

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::store::Entry;

/// One kind of entry: where it lies, one with all of its fields, and what reading and writing it again makes of one.
struct Kind {
    key: &'static str,
    full: Value,
    again: fn(&str, &[u8]) -> Vec<u8>,
    /// Objects within the entry that have unknown fields of their own.
    inner: &'static [&'static str],
}

fn kinds() -> Vec<Kind> {
    let dumped = |key: &str| -> Value {
        let (_, text) = entries().find(|(known, _)| known.starts_with(key)).unwrap();
        serde_json::from_str(text).unwrap()
    };
    let mut issuer = dumped(issuer::PREFIX);
    issuer["aia_uris"] = dumped("urls");
    let mut key = dumped(key::PREFIX);
    key["landfast_kms"] = json!({"key_id": "arn", "region": "eu-central-1"});
    let role: Value =
        serde_json::from_str(include_str!("../../../tests/data/role-all.json")).unwrap();
    let mut tidying = dumped(jobs::AutoTidyConfig::KEY);
    for value in tidying.as_object_mut().unwrap().values_mut() {
        // Other values than those that hold without the entry.
        *value = match value.as_i64() {
            Some(number) => json!(2 * number + 1),
            None => json!(true),
        };
    }
    tidying["revoked_safety_buffer"] = json!(1);
    let acme = json!({"enabled": true, "allowed_issuers=": ["i"], "allowed_roles": ["r"], "allow_role_ext_key_usage": true,
        "default_directory_policy": "forbid", "dns_resolver": "192.0.2.1:53", "eab_policy_name": "always-required"});
    vec![
        kind::<jobs::AcmeConfig>(jobs::AcmeConfig::KEY, acme, &[]),
        kind::<jobs::AutoTidyConfig>(jobs::AutoTidyConfig::KEY, tidying, &[]),
        kind::<config::ClusterConfig>(config::ClusterConfig::KEY, dumped("config/cluster"), &[]),
        kind::<config::CrlConfig>(config::CrlConfig::KEY, dumped("config/crl"), &[]),
        kind::<config::IssuersConfig>(config::IssuersConfig::KEY, dumped("config/issuers"), &[]),
        kind::<config::KeysConfig>(config::KeysConfig::KEY, dumped("config/keys"), &[]),
        kind::<config::MetricsConfig>(
            config::MetricsConfig::KEY,
            json!({"unauthenticated": true}),
            &[],
        ),
        kind::<crl::CrlBook>(crl::CrlBook::KEY, dumped("crls/config"), &[]),
        kind::<issuer::AiaEntry>(issuer::AiaEntry::KEY, dumped("urls"), &[]),
        kind::<issuer::IssuerEntry>("config/issuer/i", issuer, &["aia_uris"]),
        kind::<revoked::RevokedEntry>("revoked/01", dumped(revoked::PREFIX), &[]),
        kind::<kms::KmsConfig>(
            kms::KmsConfig::KEY,
            json!({"settings": {"region": "eu-central-1"}, "max_signatures": 3}),
            &[],
        ),
        kind::<seal::SealConfig>(
            seal::SealConfig::KEY,
            json!({"wrappers": [], "former": [], "pending": true, "rewrap": true}),
            &[],
        ),
        Kind {
            key: "config/key/i",
            full: key,
            again: |_, bytes| key::KeyEntry::decode("i", bytes).unwrap().encode(),
            inner: &["landfast_kms"],
        },
        kind::<cel::CelRoleEntry>(
            "cel/role/r",
            json!({"name": "r", "validation_program": {"variables": [{"name": "a", "expression": "1"}], "expression": "a"}}),
            &["validation_program"],
        ),
        Kind {
            key: "role/r",
            full: role,
            again: |_, bytes| role::RoleEntry::decode(bytes).unwrap().encode(),
            inner: &[],
        },
    ]
}

fn kind<T: Entry + Serialize>(
    key: &'static str,
    full: Value,
    inner: &'static [&'static str],
) -> Kind {
    Kind {
        key,
        full,
        again: |key, bytes| encode(&T::decode(key, bytes).unwrap()),
        inner,
    }
}

impl Kind {
    fn again(&self, entry: &Value) -> Map<String, Value> {
        let bytes = (self.again)(self.key, entry.to_string().as_bytes());
        serde_json::from_slice(&bytes).unwrap()
    }
}

/// What OpenBao 2.7.2 reads where a field is missing: Go's zero value, but for these.
fn default_of(key: &str, field: &str, full: &Value) -> Value {
    match (key, field) {
        ("config/crl", "expiry") => json!("72h"),
        // The entry counts as one of before version 1.
        ("config/crl", "version") => json!(1),
        ("config/crl", "delta_rebuild_interval") => json!("15m"),
        ("config/issuer/i" | "config/key/i", "id") => json!("i"),
        ("role/r", "generate_lease" | "allow_wildcard_certificates") => json!(true),
        ("role/r", "not_before_bound" | "not_after_bound") => json!("permit"),
        ("role/r", "issuer") => json!("default"),
        ("role/r", "cn_validations") => json!(["email", "hostname"]),
        ("role/r", "key_bits") => json!(256),
        ("cel/role/r", "validation_program") => json!({"expression": ""}),
        ("config/auto-tidy", "issuer_safety_buffer") => json!(365 * 24 * 3600 * 1_000_000_000_i64),
        // Null, or left out again.
        ("config/auto-tidy", "revoked_safety_buffer")
        | ("role/r", "allowed_ip_sans_cidr")
        | ("config/issuer/i", "aia_uris")
        | ("config/key/i", "landfast_kms") => Value::Null,
        (_, "manual_chain") | ("urls", _) if full[field].is_array() => Value::Null,
        (_, "manual_chain") => Value::Null,
        (_, field) if field.contains("modified") || field.ends_with("_utc") => {
            json!("0001-01-01T00:00:00Z")
        }
        _ => match &full[field] {
            Value::String(_) => json!(""),
            Value::Bool(_) => json!(false),
            Value::Number(_) => json!(0),
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
            Value::Null => Value::Null,
        },
    }
}

#[test]
fn each_field_may_be_missing_or_null() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for kind in kinds() {
        for field in kind.full.as_object().unwrap().keys() {
            let mut missing = kind.full.clone();
            missing.as_object_mut().unwrap().remove(field);
            let mut null = kind.full.clone();
            null[field] = Value::Null;
            let wanted = default_of(kind.key, field, &kind.full);
            for (how, entry) in [("missing", missing), ("null", null)] {
                let again = kind.again(&entry);
                let got = again.get(field).cloned().unwrap_or_default();
                if got != wanted {
                    wrong.push(format!("{} {field} {how}: {got}, not {wanted}", kind.key));
                }
                // The other fields are as they were, but where the version of the entry decides.
                let same = again
                    .iter()
                    .filter(|(name, _)| *name != field)
                    .all(|(name, value)| field == "version" || *value == kind.full[name]);
                if !same {
                    wrong.push(format!("{} {field} {how}: other fields changed", kind.key));
                }
                seen += 1;
            }
        }
        // Nothing at all is an entry too.
        kind.again(&json!({}));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 200, "{seen}");
}

#[test]
fn settings_of_crls_are_read_by_their_version() {
    let read =
        |text: &str| <config::CrlConfig as Entry>::decode("config/crl", text.as_bytes()).unwrap();
    let empty = read("{}");
    assert_eq!(
        (empty.expiry.as_str(), empty.ocsp_expiry.as_str()),
        ("72h", "12h")
    );
    assert_eq!(
        (
            empty.auto_rebuild_grace_period.as_str(),
            empty.delta_rebuild_interval.as_str()
        ),
        ("12h", "15m")
    );
    // As OpenBao 2.7.2 reads them: what version 0 says of these is not believed, what version 2 does not say is empty.
    let zero =
        read(r#"{"ocsp_disable":true,"auto_rebuild":true,"ocsp_expiry":"5h","expiry":"48h"}"#);
    assert!(!zero.ocsp_disable && !zero.auto_rebuild);
    assert_eq!(
        (zero.expiry.as_str(), zero.ocsp_expiry.as_str()),
        ("48h", "12h")
    );
    let two = read(r#"{"version":2}"#);
    assert_eq!(
        (two.expiry.as_str(), two.delta_rebuild_interval.as_str()),
        ("72h", "")
    );
}

fn unknown() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn unknown_fields_survive(name in "zz_[a-z]{1,8}", value in unknown()) {
        for kind in kinds() {
            let mut entry = kind.full.clone();
            entry[&name] = value.clone();
            for inner in kind.inner {
                entry[*inner][&name] = value.clone();
            }
            let again = kind.again(&entry);
            prop_assert_eq!(again.get(&name), Some(&value), "{}", kind.key);
            for inner in kind.inner {
                prop_assert_eq!(again[*inner].get(&name), Some(&value), "{} {}", kind.key, inner);
            }
        }
    }
}
