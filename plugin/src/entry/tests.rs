use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;

mod fields;

/// Every entry of a live mount of the built-in engine, OpenBao 2.7.2.
const DUMP: &str = include_str!("../../tests/data/pki-storage-2.7.2.txt");

fn entries() -> impl Iterator<Item = (&'static str, &'static str)> {
    DUMP.split("\n== ")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
}

fn rewritten<T: DeserializeOwned + Serialize>(text: &str) -> Vec<u8> {
    encode(&serde_json::from_str::<T>(text).unwrap())
}

#[test]
fn stored_entries_are_written_back_unchanged() {
    let mut seen = Vec::new();
    for (key, text) in entries() {
        let text = text.trim_end();
        let again = match key {
            "config/cluster" => rewritten::<config::ClusterConfig>(text),
            "config/crl" => rewritten::<config::CrlConfig>(text),
            "config/issuers" => rewritten::<config::IssuersConfig>(text),
            "config/keys" => rewritten::<config::KeysConfig>(text),
            "crls/config" => rewritten::<crl::CrlBook>(text),
            "urls" => rewritten::<issuer::AiaEntry>(text),
            _ if key.starts_with(issuer::PREFIX) => rewritten::<issuer::IssuerEntry>(text),
            _ if key.starts_with(revoked::PREFIX) => rewritten::<revoked::RevokedEntry>(text),
            _ if key.starts_with(key::PREFIX) => key::KeyEntry::decode("i", text.as_bytes())
                .unwrap()
                .encode(),
            _ => continue,
        };
        // The dump has blanks after colons and commas, so the order of members is compared on the parsed texts.
        let stored: Vec<(String, Value)> = members(text.as_bytes());
        assert_eq!(members(&again), stored, "{key}");
        assert_eq!(again.last(), Some(&b'\n'));
        seen.push(key);
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn fields_of_other_products_survive_a_rewrite() {
    let text = r#"{"id":"i","name":"","key_id":"","certificate":"C","ca_chain":null,"manual_chain":["i"],"serial_number":"01",
        "not_after_behavior":3,"usage":14,"revocation_signature_algorithm":0,"revoked":false,"revocation_time":0,
        "revocation_time_utc":"0001-01-01T00:00:00Z","aia_uris":{"issuing_certificates":["http://a"],"crl_distribution_points":null,
        "delta_crl_distribution_points":null,"ocsp_servers":[],"enable_templating":true},"last_modified":"2026-11-22T13:12:20Z",
        "version":1,"disable_name_checks":true}"#;
    let entry: issuer::IssuerEntry = serde_json::from_str(text).unwrap();
    assert_eq!(entry.not_after_behavior, issuer::NotAfterBehavior::Err);
    let again: Value = serde_json::from_slice(&encode(&entry)).unwrap();
    assert_eq!(again["disable_name_checks"], true);
    assert_eq!(again["aia_uris"]["crl_distribution_points"], Value::Null);
    assert_eq!(again["aia_uris"]["ocsp_servers"], serde_json::json!([]));
}

#[test]
fn a_key_entry_shows_nothing_of_its_key() {
    let entry = key::KeyEntry::new("i".into(), "n".into(), "ec", "hunter2");
    assert!(!format!("{entry:?}").contains("hunter2"));
    assert!(
        !key::KeyEntry::decode("i", b"\"hunter2\"")
            .unwrap_err()
            .contains("hunter2")
    );
}

/// The members of a JSON object in their order.
fn members(json: &[u8]) -> Vec<(String, Value)> {
    struct Ordered(Vec<(String, Value)>);
    impl<'de> serde::Deserialize<'de> for Ordered {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Ordered;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Ordered, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry()? {
                        members.push(member);
                    }
                    Ok(Ordered(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_slice::<Ordered>(json).unwrap().0
}

/// As OpenBao 2.7.2 stored it.
#[test]
fn a_cel_role_is_written_as_go_writes_it() {
    let entry = cel::CelRoleEntry {
        name: "c".to_owned(),
        validation_program: cel::ProgramEntry {
            variables: vec![cel::VariableEntry {
                name: "v".to_owned(),
                expression: "1 < 2".to_owned(),
                ..Default::default()
            }],
            expression: "v && '>' != '\u{2028}' ? 'é' : \"y\"".to_owned(),
            ..Default::default()
        },
        ..Default::default()
    };
    let stored = concat!(
        r#"{"name":"c","validation_program":{"variables":[{"name":"v","expression":"1 \u003c 2"}],"#,
        r#""expression":"v \u0026\u0026 '\u003e' != '\u2028' ? 'é' : \"y\""}}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(encode(&entry)).unwrap(), stored);
    assert_eq!(rewritten::<cel::CelRoleEntry>(stored), stored.as_bytes());
}
