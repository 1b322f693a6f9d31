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
            &["no-control-characters"],
        ),
    ] {
        assert_eq!(rules(template, &root), want);
    }
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
    assert_eq!(refuse(vec![warning.clone()]), Ok(()));
    assert_eq!(
        refuse(vec![warning, Finding::error("b", "y".into())])
            .unwrap_err()
            .to_string(),
        "the certificate would break the rule b: y"
    );
}
