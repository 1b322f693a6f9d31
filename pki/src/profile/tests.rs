use std::time::Duration;

use super::*;
use crate::refusal::{Channel, Quoted};

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn refusal(settings: Settings) -> String {
    let mut settings = settings;
    settings.normalise().expect_err("a fault").to_string()
}

/// Texts of OpenBao 2.7.2 on writing a role.
#[test]
fn faults_of_a_role() {
    let ec = || Settings {
        key_type: "ec".into(),
        key_bits: 0,
        ..Settings::default()
    };
    for (settings, want) in [
        (
            Settings {
                key_bits: 1024,
                ..Settings::default()
            },
            "RSA keys < 2048 bits are unsafe and not supported: got 1024",
        ),
        (
            Settings {
                key_bits: 2049,
                ..Settings::default()
            },
            "unsupported bit length for RSA key: 2049",
        ),
        (
            Settings {
                key_bits: 512,
                ..ec()
            },
            "unsupported bit length for EC key: 512",
        ),
        (
            Settings {
                key_type: "foo".into(),
                ..ec()
            },
            "unknown key type foo",
        ),
        (
            Settings {
                key_type: String::new(),
                ..ec()
            },
            "unknown key type ",
        ),
        (
            Settings {
                ttl: Duration::from_secs(10_800),
                max_ttl: Duration::from_secs(7200),
                ..ec()
            },
            "\"ttl\" value must be less than \"max_ttl\" value",
        ),
        (
            Settings {
                allowed_ip_sans_cidr: list(&["10.0.0.0"]),
                ..ec()
            },
            "error parsing allowed_ip_sans_cidr: invalid CIDR address: 10.0.0.0",
        ),
        (
            Settings {
                allowed_ip_sans_cidr: list(&["::/0", "10.0.0.0/33"]),
                ..ec()
            },
            "error parsing allowed_ip_sans_cidr: invalid CIDR address: 10.0.0.0/33",
        ),
        (
            Settings {
                allowed_ip_sans_cidr: list(&["10.0.0.0/+8"]),
                ..ec()
            },
            "error parsing allowed_ip_sans_cidr: invalid CIDR address: 10.0.0.0/+8",
        ),
        (
            Settings {
                allowed_other_sans: list(&["x"]),
                ..ec()
            },
            "error parsing allowed_other_sans: expected a semicolon in other SAN \"x\"",
        ),
        (
            Settings {
                allowed_other_sans: list(&["*", "1.2;utf8:x"]),
                ..ec()
            },
            "error parsing allowed_other_sans: expected a semicolon in other SAN \"*\"",
        ),
        (
            Settings {
                allowed_other_sans: list(&["1.2;utf8"]),
                ..ec()
            },
            "error parsing allowed_other_sans: expected a colon in other SAN \"1.2;utf8\"",
        ),
        (
            Settings {
                allowed_other_sans: list(&["1.2;int:5"]),
                ..ec()
            },
            "error parsing allowed_other_sans: only utf8 other SANs are supported; found non-supported type in other SAN \"1.2;int:5\"",
        ),
        (
            Settings {
                ext_key_usage_oids: list(&["1.2.x"]),
                ..ec()
            },
            "\"1.2.x\" could not be parsed as a valid oid for an extended key usage",
        ),
        (
            Settings {
                ext_key_usage_oids: list(&[""]),
                ..ec()
            },
            "\"\" could not be parsed as a valid oid for an extended key usage",
        ),
        (
            Settings {
                cn_validations: list(&["foo"]),
                ..ec()
            },
            "cn_validations value incorrect: unknown type: `foo`",
        ),
        (
            Settings {
                cn_validations: list(&[""]),
                ..ec()
            },
            "cn_validations value incorrect: unknown type: ``",
        ),
        (
            Settings {
                cn_validations: list(&["email", "EMAIL"]),
                ..ec()
            },
            "cn_validations value incorrect: `email` specified multiple times",
        ),
        (
            Settings {
                cn_validations: list(&["disabled", "email"]),
                ..ec()
            },
            "cn_validations value incorrect: cannot specify `disabled` along with `email` or `hostname`",
        ),
        (
            Settings {
                not_after_bound: "x".into(),
                ..ec()
            },
            "Unknown value for field `not_after_bound`. Possible values are `permit`, `ttl-limited`, `forbid`, or an explicit timestamp.",
        ),
        (
            Settings {
                not_before_bound: String::new(),
                ..ec()
            },
            "Unknown value for field `not_before_bound`. Possible values are `permit` `duration` or `forbid`",
        ),
    ] {
        assert_eq!(refusal(settings), want);
    }
}

#[test]
fn policy_identifier_faults_name_the_element() {
    for element in [
        "1.2.x",
        "{bad",
        "9.9.9",
        "1",
        "{\"oid\":\"x\"}",
        "{\"cps\":\"x\"}",
        "{\"oid\":\"1.2.3\",\"cps\":5}",
        "{\"oid\":\"1.2.3\",\"cps\":\"http://é\"}",
    ] {
        let mut settings = Settings {
            policy_identifiers: list(&[element]),
            ..Settings::default()
        };
        let refusal = settings.normalise().expect_err(element);
        assert_eq!(refusal.channel(), Channel::Response);
        let text = refusal.to_string();
        let start = format!(
            "policy identifier {} is neither a valid OID: ",
            Quoted(element)
        );
        assert!(
            text.starts_with(&start) && text.contains(", Nor JSON Policy Identifier: "),
            "{text}"
        );
    }
}

#[test]
fn normalisation() {
    let mut settings = Settings {
        key_type: "ec".into(),
        key_bits: 0,
        ttl: Duration::from_secs(7200),
        max_ttl: Duration::from_secs(7200),
        cn_validations: list(&["EMAIL", "Hostname"]),
        allowed_ip_sans_cidr: list(&["10.1.2.3/8", "::1/64", "0.0.0.0/0"]),
        signature_bits: 7,
        not_after: "junk".into(),
        key_usage: list(&["nonsense"]),
        ..Settings::default()
    };
    settings.normalise().unwrap();
    assert_eq!(settings.key_bits, 256);
    assert_eq!(settings.cn_validations, ["email", "hostname"]);
    assert_eq!(
        settings.allowed_ip_sans_cidr,
        ["10.0.0.0/8", "::/64", "0.0.0.0/0"]
    );
    for (kind, bits, want) in [
        ("any", 0, 0),
        ("any", 7, 7),
        ("ed25519", 7, 7),
        ("ed25519", 0, 0),
        ("rsa", 0, 2048),
    ] {
        let mut settings = Settings {
            key_type: kind.into(),
            key_bits: bits,
            ..Settings::default()
        };
        settings.normalise().unwrap();
        assert_eq!(settings.key_bits, want, "{kind} {bits}");
    }
    let mut settings = Settings {
        cn_validations: Vec::new(),
        ..Settings::default()
    };
    settings.normalise().unwrap();
    assert_eq!(settings.cn_validations, ["email", "hostname"]);
}

#[test]
fn roles_from_before_the_bounds_have_none() {
    let old = Settings {
        not_before_bound: String::new(),
        not_after_bound: String::new(),
        ..Settings::default()
    };
    let profile = Profile::new(old).unwrap();
    assert_eq!(profile.validity.not_before_bound, NotBeforeBound::Permit);
    assert_eq!(profile.validity.not_after_bound, NotAfterBound::Permit);
}

#[test]
fn policies_as_2_7_2_encodes_them() {
    for (elements, want, last) in [
        (&["1.2.3.4"][..], "3007300506032a0304", false),
        (&["{\"oid\":\"1.2.3.4\"}"], "3007300506032a0304", true),
        (
            &[
                "{\"oid\":\"1.2.3.4\",\"cps\":\"http://x\"}",
                "{\"oid\":\"1.2.5\"}",
            ],
            "3025301d06032a03043016301406082b060105050702011608687474703a2f2f78300406022a05",
            true,
        ),
        (
            &["1.2.3", "{\"oid\":\"1.2.4\",\"notice\":\"héllo\"}"],
            "3024300406022a03301c06022a043016301406082b0601050507020230080c0668c3a96c6c6f",
            true,
        ),
        (
            &["{\"oid\":\"1.2.4\",\"notice\":\"n\",\"cps\":\"http://x\"}"],
            "302f302d06022a043027301406082b060105050702011608687474703a2f2f78300f06082b0601050507020230030c016e",
            true,
        ),
        // Repeating one is an internal error of the built-in engine.
        (&["1.2.3", "", "1.2.3"], "3006300406022a03", false),
    ] {
        let (extension, placement) = policies::extension(&list(elements)).unwrap().unwrap();
        let hex: String = extension.value.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, want, "{elements:?}");
        assert_eq!(placement == Placement::Last, last);
    }
    assert_eq!(policies::extension(&[]).unwrap(), None);
}

#[test]
fn a_json_array_in_one_text_becomes_elements() {
    for (text, want) in [
        (
            "[{\"oid\":\"1.2.3.4\",\"cps\":\"http://x\"},{\"oid\":\"1.2.5\"}]",
            &[
                "{\"oid\":\"1.2.3.4\",\"cps\":\"http://x\"}",
                "{\"oid\":\"1.2.5\"}",
            ][..],
        ),
        ("[]", &[]),
        ("", &[]),
        ("1.2.3, 1.2.4", &["1.2.3", "1.2.4"]),
        (
            "{\"oid\":\"1.2\",\"cps\":\"x\"}",
            &["{\"oid\":\"1.2\"", "\"cps\":\"x\"}"],
        ),
    ] {
        assert_eq!(split_policy_identifiers(text), want, "{text}");
    }
}

#[test]
fn ranges() {
    let profile = |ranges: &[&str], allow| {
        Profile::new(Settings {
            allow_ip_sans: allow,
            allowed_ip_sans_cidr: list(ranges),
            ..Settings::default()
        })
        .unwrap()
    };
    for (ranges, ip, want) in [
        (&["10.0.0.0/8"][..], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.1", false),
        (&["10.0.0.0/8"], "::ffff:10.1.1.1", true),
        (&["10.0.0.0/8"], "::ffff:11.1.1.1", false),
        (&["10.0.0.0/8"], "a00::1", false),
        (&["10.0.0.0/8", "fd00::/8"], "fd12::1", true),
        (&["0.0.0.0/0"], "::1", false),
        (&["::/0"], "1.2.3.4", false),
        (&["10.1.2.3/32"], "10.1.2.3", true),
        (&["10.1.2.3/32"], "10.1.2.4", false),
        (&[], "1.2.3.4", true),
    ] {
        assert_eq!(
            profile(ranges, true).allows_ip(ip.parse().unwrap()),
            want,
            "{ranges:?} {ip}"
        );
    }
    assert!(!profile(&[], false).allows_ip("1.2.3.4".parse().unwrap()));
}

#[test]
fn empty_lists_deny() {
    let profile = Profile::new(Settings::default()).unwrap();
    assert!(!profile.uris(None).allow("spiffe://a/b"));
    assert!(!profile.allows_subject_serial("7"));
    assert!(!profile.allows_user_id("bob"));
    assert!(profile.other_names.check("1.2.3", "a").is_err());
    assert!(!profile.names(None, "").allow("a.example.com"));
    let blank = Profile::new(Settings {
        allowed_serial_numbers: list(&[""]),
        allowed_user_ids: list(&[""]),
        allowed_domains: list(&[""]),
        ..Settings::default()
    })
    .unwrap();
    assert!(!blank.allows_subject_serial(""));
    assert!(!blank.allows_user_id(""));
}

#[test]
fn subject_serials_user_ids_and_uris() {
    let profile = Profile::new(Settings {
        allowed_serial_numbers: list(&["7*", "exact"]),
        allowed_user_ids: list(&["bob", "a*"]),
        allowed_uri_sans: list(&["spiffe://td/*", "urn:x"]),
        ..Settings::default()
    })
    .unwrap();
    for (serial, want) in [
        ("77", true),
        ("87", false),
        ("exact", true),
        ("EXACT", false),
    ] {
        assert_eq!(profile.allows_subject_serial(serial), want, "{serial}");
    }
    for (id, want) in [
        ("BOB", true),
        ("alice", true),
        ("Alice", false),
        ("carl", false),
    ] {
        assert_eq!(profile.allows_user_id(id), want, "{id}");
    }
    for (uri, want) in [
        ("spiffe://td/a/b", true),
        ("SPIFFE://td/a", false),
        ("urn:x", true),
        ("urn:xy", false),
    ] {
        assert_eq!(profile.uris(None).allow(uri), want, "{uri}");
    }
}

#[test]
fn other_names() {
    let rule = OtherNames::new(&list(&["1.2.3;utf8:a*", "1.2.3;UTF-8:b"])).unwrap();
    assert!(rule.check("1.2.3", "abc").is_ok());
    assert!(rule.check("1.2.3", "b").is_ok());
    assert_eq!(
        rule.check("1.2.3", "c").unwrap_err().to_string(),
        "other SAN c not allowed for OID 1.2.3 by this role"
    );
    assert_eq!(
        rule.check("1.2.4", "a").unwrap_err().to_string(),
        "other SAN OID 1.2.4 not allowed by this role"
    );
    assert!(
        OtherNames::new(&list(&["*"]))
            .unwrap()
            .check("9", "x")
            .is_ok()
    );
}

#[test]
fn keys_named_in_a_request() {
    for (kind, bits, want, channel) in [
        (
            "",
            0,
            "role key type \"any\" not allowed for issuing certificates without providing key_type and/or key_bits request parameters",
            Channel::Response,
        ),
        (
            "rsa",
            1024,
            "failed to validate role: RSA keys < 2048 bits are unsafe and not supported: got 1024",
            Channel::Response,
        ),
        (
            "foo",
            0,
            "failed to validate role: unknown key type foo",
            Channel::Response,
        ),
    ] {
        let refusal = requested_key(kind, bits).unwrap_err();
        assert_eq!(
            (refusal.to_string().as_str(), refusal.channel()),
            (want, channel)
        );
    }
    assert_eq!(requested_key("ec", 0).unwrap().bits, 256);
}

/// The built-in engine stores such a role too, and fails on every use of it. Here it is told at once, and refused on use.
#[test]
fn purposes_that_cannot_be_encoded_are_kept_and_not_used() {
    let mut role = Settings {
        ext_key_usage_oids: list(&["1.2.3", "4.3.2.1", "1.2.2147483648", "1"]),
        ..Settings::default()
    };
    role.normalise().unwrap();
    assert_eq!(role.unusable_purposes(), ["4.3.2.1", "1.2.2147483648", "1"]);
    assert_eq!(
        Profile::new(role).unwrap_err(),
        Refusal::ExtKeyUsageOid("4.3.2.1".to_owned())
    );
    assert!(Settings::default().unusable_purposes().is_empty());
}
