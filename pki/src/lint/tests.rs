use super::*;
use crate::ext::{Extension, GeneralNames};
use crate::testing::{self, Authority};
use crate::{KeySpec, Name, PrivateKey, SerialNumber, Template};

fn rules(template: Template, issuer: &Authority) -> Vec<&'static str> {
    let prepared = template
        .prepare(
            issuer.certificate.subject(),
            testing::algorithm(&issuer.key),
        )
        .unwrap();
    certificate(prepared.unsigned(), Some(&issuer.certificate))
        .iter()
        .map(|finding| finding.rule)
        .collect()
}

fn key() -> PrivateKey {
    PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap()
}

fn names(dns: &[&str], critical: bool) -> Extension {
    let names = GeneralNames {
        dns: dns.iter().map(ToString::to_string).collect(),
        ..GeneralNames::default()
    };
    Extension::subject_alt_name(&names, critical)
}

/// One broken certificate for each rule.
#[test]
fn each_rule_fires_alone() {
    let root = testing::root("Root", "ec", 256);
    let key = key();
    let base = |extensions| testing::template("a.com", key.public_key(), extensions);
    let ski = Extension::subject_key_id(&key.public_key().ski());
    let usage = Extension::key_usage;
    let ca = Extension::basic_constraints;
    for (template, want) in [
        (base(vec![]), &[][..]),
        (
            base(vec![
                usage(KeyUsage::CERT_SIGN),
                ca(true, Some(0)),
                ski.clone(),
            ]),
            &[],
        ),
        (
            Template {
                serial: SerialNumber::from_bytes(&[0]),
                ..base(vec![ski.clone()])
            },
            &["rfc5280-4.1.2.2"],
        ),
        (
            Template {
                serial: SerialNumber::from_bytes(&[1; 21]),
                ..base(vec![ski.clone()])
            },
            &["rfc5280-4.1.2.2"],
        ),
        (
            Template {
                not_after: "2020-01-01T00:00:00Z".parse().unwrap(),
                ..base(vec![ski.clone()])
            },
            &["rfc5280-4.1.2.5"],
        ),
        (
            base(vec![Extension::authority_key_id(&[1; 20])]),
            &["rfc5280-4.2.1.1"],
        ),
        (
            base(vec![usage(KeyUsage::CERT_SIGN), ca(true, None)]),
            &["rfc5280-4.2.1.2"],
        ),
        (
            base(vec![ca(true, None), ski.clone()]),
            &["rfc5280-4.2.1.3"],
        ),
        (
            base(vec![usage(KeyUsage::CRL_SIGN), ca(true, None), ski]),
            &["rfc5280-4.2.1.3"],
        ),
        (base(vec![usage(KeyUsage::CERT_SIGN)]), &["rfc5280-4.2.1.3"]),
        (
            base(vec![usage(KeyUsage::CERT_SIGN), ca(false, None)]),
            &["rfc5280-4.2.1.3"],
        ),
        (base(vec![usage(KeyUsage::empty())]), &["rfc5280-4.2.1.3"]),
        (base(vec![names(&[], false)]), &["rfc5280-4.2.1.6"]),
        (
            Template {
                subject: Name::empty(),
                ..base(vec![names(&["a.com"], false)])
            },
            &["rfc5280-4.2.1.6"],
        ),
        (
            Template {
                subject: Name::empty(),
                ..base(vec![names(&["a.com"], true)])
            },
            &[],
        ),
        (
            Template {
                subject: Name::empty(),
                ..base(vec![])
            },
            &["rfc5280-4.1.2.6"],
        ),
        (
            Template {
                subject: crate::Subject::common_name("a.com\0.b.com").to_name(),
                ..base(vec![])
            },
            &["no-control-characters"],
        ),
        (
            base(vec![names(&["a.com\n.b.com"], false)]),
            &["no-control-characters", "readers-dns-names"],
        ),
    ] {
        assert_eq!(rules(template, &root), want);
    }
}

/// RFC 9881 section 5: an ML-DSA key only signs.
#[test]
fn an_ml_dsa_key_has_no_usage_but_to_sign() {
    let root = testing::root("Root", "mldsa", 44);
    assert!(certificate(&root.certificate, None).is_empty());
    let key = PrivateKey::generate(KeySpec::parse("mldsa", 65).unwrap()).unwrap();
    let with = |key: &PrivateKey, usage| {
        let extensions = vec![
            Extension::key_usage(usage),
            Extension::subject_key_id(&key.public_key().ski()),
        ];
        testing::template("a.com", key.public_key(), extensions)
    };
    let sign = KeyUsage::DIGITAL_SIGNATURE;
    for usage in [
        sign,
        KeyUsage::CONTENT_COMMITMENT,
        sign | KeyUsage::CRL_SIGN,
    ] {
        assert!(rules(with(&key, usage), &root).is_empty(), "{usage:?}");
    }
    for usage in [
        KeyUsage::KEY_ENCIPHERMENT,
        sign | KeyUsage::KEY_ENCIPHERMENT,
        sign | KeyUsage::DATA_ENCIPHERMENT,
        sign | KeyUsage::KEY_AGREEMENT,
        sign | KeyUsage::KEY_AGREEMENT | KeyUsage::ENCIPHER_ONLY,
        sign | KeyUsage::KEY_AGREEMENT | KeyUsage::DECIPHER_ONLY,
    ] {
        assert_eq!(rules(with(&key, usage), &root), ["rfc9881-5"], "{usage:?}");
        // The rule is on the subject's key, not on the issuer's.
        assert!(rules(with(&self::key(), usage), &root).is_empty());
    }
}

/// webpki takes 64 KiB with the signature, and these are long.
#[test]
fn an_ml_dsa_signature_has_its_room_in_a_certificate() {
    let (short, long) = (
        testing::root("Root", "ec", 256),
        testing::root("Root", "mldsa", 87),
    );
    let padded = |octets: usize| {
        let filling = Extension {
            oid: crate::Oid::new_unwrap("1.2.3.4"),
            critical: false,
            value: asn1::encode(|w| w.octet_string(&vec![0; octets])),
        };
        testing::template("a.com", key().public_key(), vec![filling])
    };
    let mut refused = [0, 0];
    for octets in (58_000..66_000).step_by(20) {
        for (at, issuer) in [&short, &long].into_iter().enumerate() {
            let prepared = padded(octets)
                .prepare(
                    issuer.certificate.subject(),
                    testing::algorithm(&issuer.key),
                )
                .unwrap();
            let taken = certificate(prepared.unsigned(), Some(&issuer.certificate)).is_empty();
            if taken && (octets % 1000 == 0 || octets > 59_000) {
                let der = prepared.sign(&issuer.key).unwrap().der().to_vec();
                assert!(der.len() <= 65_535, "{octets}");
            }
            if !taken && refused[at] == 0 {
                refused[at] = octets;
            }
        }
    }
    let [short, long] = refused;
    assert!(long < short && short - long < 4_700, "{short} {long}");
}

#[test]
fn the_issuer_must_be_the_one_named() {
    let (root, other) = (
        testing::root("Root", "ec", 256),
        testing::root("Other", "ec", 256),
    );
    let leaf = testing::leaf(&root, "a.com", key().public_key());
    assert!(certificate(&leaf, Some(&root.certificate)).is_empty());
    let found = certificate(&leaf, Some(&other.certificate));
    assert!(
        found
            .iter()
            .any(|finding| finding.rule == "rfc5280-4.1.2.4")
    );
    assert!(certificate(&root.certificate, None).is_empty());
}

#[test]
fn errors_refuse_and_warnings_do_not() {
    let warning = Finding::warning("a", "x".into());
    assert_eq!(refuse(vec![warning.clone()]), Ok(vec![warning.to_string()]));
    assert_eq!(
        refuse(vec![warning, Finding::error("b", "y".into())])
            .unwrap_err()
            .to_string(),
        "the certificate would break the rule b: y"
    );
}

/// What Go, OpenSSL or webpki refuses, one broken certificate for each: whatever path of the issuing code lets it through, it is
/// not signed.
#[test]
fn each_shape_that_a_reader_refuses_is_found() {
    let root = testing::root("Root", "ec", 256);
    let key = key();
    let base = |extensions| testing::template("a.com", key.public_key(), extensions);
    let san = |names: GeneralNames| base(vec![Extension::subject_alt_name(&names, false)]);
    let dns = |name: &str| {
        san(GeneralNames {
            dns: vec![name.to_owned()],
            ..GeneralNames::default()
        })
    };
    let uri = |uri: &str| {
        san(GeneralNames {
            uris: vec![uri.to_owned()],
            ..GeneralNames::default()
        })
    };
    let rest = |der: &[u8]| {
        san(GeneralNames {
            rest: vec![der.to_vec()],
            ..GeneralNames::default()
        })
    };
    let raw = |oid: &str, critical, value: &[u8]| {
        base(vec![Extension {
            oid: crate::Oid::new(oid).unwrap(),
            critical,
            value: value.to_vec(),
        }])
    };
    let subject = |der: &[u8]| Template {
        subject: Name::from_der(der).unwrap(),
        ..base(vec![])
    };
    let string = |tag: u8, text: &[u8]| {
        asn1::encode(|w| {
            w.sequence(|w| {
                w.nested(asn1::SET, |w| {
                    w.sequence(|w| {
                        w.oid(&attribute::COMMON_NAME);
                        w.tlv(tag, text);
                    })
                })
            })
        })
    };
    let (long_label, long_name) = ("a".repeat(64), ["a"; 128].join("."));
    let at = |text: &str| text.parse().unwrap();
    let mut cases = vec![
        (dns("a_b.com"), None),
        (dns("*.a.com"), None),
        (dns(""), Some("readers-dns-names")),
        (dns("a..com"), Some("readers-dns-names")),
        (dns(".a.com"), Some("readers-dns-names")),
        (dns("a.com."), Some("readers-dns-names")),
        (dns("a b.com"), Some("readers-dns-names")),
        (dns(&long_label), Some("readers-dns-names")),
        (dns(&long_name), Some("readers-dns-names")),
        (uri("spiffe://td/a"), None),
        (uri("http://a%2fb/"), Some("readers-uris")),
        (uri("http://a..b/"), Some("readers-uris")),
        (uri("http://a/%zz"), Some("readers-uris")),
        (uri("http://a b/"), Some("readers-uris")),
        (uri(":x"), Some("readers-uris")),
        (
            san(GeneralNames {
                ips: vec!["::ffff:1.2.3.4".parse().unwrap()],
                ..GeneralNames::default()
            }),
            Some("readers-ip-addresses"),
        ),
        (rest(&[0x88, 1, 42]), None),
        (rest(&[0x89, 1, 42]), Some("readers-other-names")),
        (rest(&[0x04, 1, 42]), Some("readers-other-names")),
        (subject(&string(asn1::PRINTABLE_STRING, b"a*&")), None),
        (
            subject(&string(asn1::PRINTABLE_STRING, b"a@b")),
            Some("readers-subject"),
        ),
        (
            subject(&string(asn1::INTEGER, &[1])),
            Some("readers-subject"),
        ),
        (subject(&string(0x1e, &[0xd8, 0])), Some("readers-subject")),
        (subject(&string(0x12, b"a")), Some("readers-subject")),
        (
            Template {
                not_before: at("1969-12-31T23:59:59Z"),
                ..base(vec![])
            },
            Some("readers-times"),
        ),
        (
            Template {
                serial: SerialNumber::from_bytes(&[0xff; 20]),
                ..base(vec![])
            },
            Some("rfc5280-4.1.2.2"),
        ),
        (raw("1.2.3", true, &vec![0; 70_000]), Some("readers-size")),
        (
            raw("1.2.2147483648", false, &[5, 0]),
            Some("readers-extensions"),
        ),
        (raw("2.5.29.35", true, &[0x30, 0]), Some("readers-critical")),
        (
            raw("1.3.6.1.5.5.7.1.1", true, &[0x30, 0]),
            Some("readers-critical"),
        ),
        (
            raw("1.3.6.1.5.5.7.1.1", false, &[4, 0]),
            Some("readers-extensions"),
        ),
        (raw("2.5.29.31", false, &[4, 0]), Some("readers-extensions")),
        (
            raw("2.5.29.32", false, &[0x30, 0]),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.32", false, &[0x30, 2, 4, 0]),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.37", false, &[0x30, 0]),
            Some("readers-extensions"),
        ),
        (
            raw(
                "2.5.29.37",
                false,
                &[0x30, 8, 6, 6, 0x2a, 0x88, 0x80, 0x80, 0x80, 0],
            ),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.30", true, &[0x30, 0]),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.33", false, &[0x30, 2, 0x30, 0]),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.36", false, &[0x30, 0]),
            Some("readers-extensions"),
        ),
        (
            raw("2.5.29.54", false, &[0x30, 0]),
            Some("readers-extensions"),
        ),
    ];
    for text in ["a.", "a..b", ".", "a b"] {
        for kind in 0..3 {
            let list = |wanted| {
                if kind == wanted {
                    vec![text.to_owned()]
                } else {
                    Vec::new()
                }
            };
            let subtrees = crate::ext::Subtrees {
                dns: list(0),
                emails: list(1),
                uris: list(2),
                ..Default::default()
            };
            let constraints = crate::ext::NameConstraints {
                permitted: subtrees,
                ..Default::default()
            };
            cases.push((
                base(vec![Extension::name_constraints(&constraints, true)]),
                Some("readers-extensions"),
            ));
        }
    }
    for (number, (template, want)) in cases.into_iter().enumerate() {
        let found = rules(template, &root);
        match want {
            None => assert!(found.is_empty(), "case {number}: {found:?}"),
            Some(want) => assert!(
                found.contains(&want),
                "case {number}: {found:?}, not {want}"
            ),
        }
    }
}

/// A key as a CSR may bring it, encoded otherwise than its algorithm asks.
#[test]
fn public_keys_are_encoded_as_readers_want_them() {
    let rsa = testing::root("Root", "rsa", 2048).key;
    let ec = key();
    let spki = |algorithm: &[u8], key: &PrivateKey| {
        asn1::encode(|w| {
            w.sequence(|w| {
                w.sequence(|w| w.raw(algorithm));
                w.bit_string(key.public_key().key_bits());
            })
        })
    };
    let rsa_oid = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
    let ec_oids = [
        6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
    ];
    let portable = |der: &[u8]| crate::PublicKey::from_spki_der(der).unwrap().is_portable();
    assert!(rsa.public_key().is_portable() && ec.public_key().is_portable());
    assert!(portable(&spki(&[&rsa_oid[..], &[5, 0]].concat(), &rsa)));
    assert!(!portable(&spki(&rsa_oid, &rsa)), "NULL is missing");
    assert!(portable(&spki(&ec_oids, &ec)));
    assert!(!portable(&spki(&[&ec_oids[..], &[5, 0]].concat(), &ec)));
}

/// A UPN with a NUL in it, wherever it comes from.
#[test]
fn other_names_have_no_control_characters() {
    let root = testing::root("Root", "ec", 256);
    let key = key();
    let upn = crate::Oid::new("1.3.6.1.4.1.311.20.2.3").unwrap();
    let with = |names: GeneralNames| {
        testing::template(
            "a.com",
            key.public_key(),
            vec![Extension::subject_alt_name(&names, false)],
        )
    };
    let utf8 = |value: &str| GeneralNames {
        other: vec![crate::OtherName {
            oid: upn,
            value: value.to_owned(),
        }],
        ..GeneralNames::default()
    };
    let other = |tag: u8, value: &[u8]| GeneralNames {
        rest: vec![asn1::encode(|w| {
            w.nested(asn1::context_constructed(0), |w| {
                w.oid(&upn);
                w.nested(asn1::context_constructed(0), |w| w.tlv(tag, value));
            })
        })],
        ..GeneralNames::default()
    };
    let directory = |name: &str| GeneralNames {
        rest: vec![asn1::encode(|w| {
            w.nested(asn1::context_constructed(4), |w| {
                w.raw(crate::Subject::common_name(name).to_name().der());
            })
        })],
        ..GeneralNames::default()
    };
    for (names, good) in [
        (utf8("u@a.test"), true),
        (utf8("u@a.test\0@b.test"), false),
        (utf8("u\n"), false),
        (utf8("u\u{85}"), false),
        (other(asn1::IA5_STRING, b"u@a.test"), true),
        (other(asn1::IA5_STRING, b"u\0"), false),
        (other(0x1e, &[0, 65, 0, 0]), false),
        (other(asn1::OCTET_STRING, &[0]), true),
        (directory("a"), true),
        (directory("a\0b"), false),
    ] {
        let found = rules(with(names), &root);
        assert_eq!(found.is_empty(), good, "{found:?}");
        assert!(good || found == ["no-control-characters"], "{found:?}");
    }
}
