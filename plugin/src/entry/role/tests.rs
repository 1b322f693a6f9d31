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
    let role = RoleEntry::decode(STORED[1].as_bytes()).unwrap();
    assert_eq!(role.allowed_domains_list, ["a.com", "b.com"]);
    assert_eq!(role.max_ttl_duration, Duration::from_secs(48 * 3600));
    assert_eq!(role.not_before_duration, Duration::from_secs(60));
    assert_eq!(
        role.allowed_ip_sans_cidr,
        [Network::parse("10.0.0.0/8").unwrap()]
    );
    assert!(!role.allow_wildcard_certificates);
}

#[test]
fn an_old_entry_is_brought_up_to_date() {
    let role = RoleEntry::decode(
        br#"{"lease":"1h","lease_max":"72h30m","allowed_base_domain":"base.example","allow_base_domain":true,
            "allowed_domains":"a.example, b.example","key_usage":"DigitalSignature,KeyAgreement","ou":"x","organization":["y","z"],
            "key_type":"rsa","country":null}"#,
    )
    .unwrap();
    assert_eq!(role.ttl_duration, Duration::from_secs(3600));
    assert_eq!(role.max_ttl_duration, Duration::from_secs(72 * 3600 + 1800));
    assert_eq!(
        role.allowed_domains_list,
        ["a.example", "b.example", "base.example"]
    );
    assert!(role.allow_bare_domains && role.allow_wildcard_certificates);
    assert_eq!(role.key_usage_list, ["DigitalSignature", "KeyAgreement"]);
    assert_eq!(
        (role.ou_list, role.organization_list),
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
fn networks_clear_their_host_bits() {
    let network = Network::parse("10.1.2.3/8").unwrap();
    assert_eq!(network.to_string(), "10.0.0.0/8");
    let six = Network::parse("2001:db8::/32").unwrap();
    assert_eq!(
        serde_json::to_string(&six).unwrap(),
        r#"{"IP":"2001:db8::","Mask":"/////wAAAAAAAAAAAAAAAA=="}"#
    );
    for bad in [
        "10.0.0.0",
        "10.0.0.0/33",
        "10.0.0/8",
        "x/8",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "::/129",
    ] {
        assert_eq!(Network::parse(bad), None, "{bad}");
    }
}

#[test]
fn junk_is_refused() {
    assert!(RoleEntry::decode(b"[]").is_err());
    assert!(RoleEntry::decode(b"{\"key_bits\":\"x\"}").is_err());
}
