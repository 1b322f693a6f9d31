use std::time::Duration;

use super::*;

/// Two roles of a live mount of the built-in engine, OpenBao 2.7.2: one made of defaults, one with every field set.
const STORED: [&str; 2] = [
    include_str!("../../../tests/data/role-ec.json"),
    include_str!("../../../tests/data/role-all.json"),
];

#[test]
fn stored_roles_are_written_back_byte_for_byte() {
    for stored in STORED {
        let role = RoleEntry::decode(stored.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(role.encode()).unwrap(), stored);
    }
}

#[test]
fn fields_are_read_from_their_storage_names() {
    let role = RoleEntry::decode(STORED[1].as_bytes()).unwrap().settings;
    assert_eq!(role.allowed_domains, ["a.com", "b.com"]);
    assert_eq!(role.max_ttl, Duration::from_secs(48 * 3600));
    assert_eq!(role.not_before_duration, Duration::from_secs(60));
    assert_eq!(role.allowed_ip_sans_cidr, ["10.0.0.0/8"]);
    assert!(!role.allow_wildcard_certificates);
}

#[test]
fn an_old_entry_is_brought_up_to_date() {
    let role = RoleEntry::decode(
        br#"{"lease":"1h","lease_max":"72h30m","allowed_base_domain":"base.example","allow_base_domain":true,
            "allowed_domains":"a.example, b.example","key_usage":"DigitalSignature,KeyAgreement","ou":"x","organization":["y","z"],
            "key_type":"rsa","country":null}"#,
    )
    .unwrap()
    .settings;
    assert_eq!(role.ttl, Duration::from_secs(3600));
    assert_eq!(role.max_ttl, Duration::from_secs(72 * 3600 + 1800));
    assert_eq!(
        role.allowed_domains,
        ["a.example", "b.example", "base.example"]
    );
    assert!(role.allow_bare_domains && role.allow_wildcard_certificates);
    assert_eq!(role.key_usage, ["DigitalSignature", "KeyAgreement"]);
    assert_eq!(
        (role.attributes.ou, role.attributes.organization),
        (vec!["x".to_owned()], vec!["y".to_owned(), "z".to_owned()])
    );
    assert_eq!(
        (
            role.issuer.as_str(),
            role.not_after_bound.as_str(),
            role.key_bits
        ),
        ("default", "permit", 2048)
    );
}

#[test]
fn an_entry_of_an_older_layout_is_told_from_one_of_today() {
    for stored in STORED {
        assert!(!RoleEntry::decode(stored.as_bytes()).unwrap().is_former);
    }
    for (stored, former) in [
        (
            r#"{"generate_lease":false,"lease":"","allowed_base_domain":"","allow_base_domain":false}"#,
            false,
        ),
        (r#"{"generate_lease":null,"ou":null,"key_usage":""}"#, false),
        (
            r#"{"generate_lease":false,"key_usage":"DigitalSignature"}"#,
            true,
        ),
        (r#"{"generate_lease":false,"organization":["a"]}"#, true),
        (r#"{"generate_lease":false,"allow_base_domain":true}"#, true),
        (r#"{"key_type":"ec"}"#, true),
    ] {
        let role = RoleEntry::decode(stored.as_bytes()).unwrap();
        assert_eq!(role.is_former, former, "{stored}");
        assert!(
            !RoleEntry::decode(&role.encode()).unwrap().is_former,
            "{stored}"
        );
    }
}

#[test]
fn junk_is_refused() {
    assert!(RoleEntry::decode(b"[]").is_err());
    assert!(RoleEntry::decode(b"{\"key_bits\":\"x\"}").is_err());
}
