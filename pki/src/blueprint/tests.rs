use jiff::SignedDuration;

use super::*;
use crate::issue::AiaUrls;
use crate::testing::{self, Authority};
use crate::{Csr, KeySpec, NameConstraints, PrivateKey};

struct Bench {
    authority: Authority,
    issuer: Issuer,
    key: PrivateKey,
}

impl Bench {
    fn new(behavior: LeafNotAfter) -> Self {
        let authority = testing::root("Test Root", "ec", 256);
        let aia = AiaUrls {
            crl_distribution_points: vec!["http://a.example/crl".to_owned()],
            delta_crl_distribution_points: vec!["http://a.example/delta".to_owned()],
            ..AiaUrls::default()
        };
        Self {
            issuer: Issuer::new(authority.certificate.clone(), &aia, behavior),
            authority,
            key: PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap(),
        }
    }

    fn make(&self, blueprint: &Blueprint) -> Result<(Certificate, Vec<String>), Refusal> {
        self.make_for(blueprint, Holder::Key(self.key.public_key()))
    }

    fn make_for(
        &self,
        blueprint: &Blueprint,
        holder: Holder<'_>,
    ) -> Result<(Certificate, Vec<String>), Refusal> {
        let serial = SerialNumber::random().unwrap();
        let (prepared, warnings) =
            prepare(blueprint, holder, &self.issuer, testing::now(), serial)?;
        let made = prepared.sign(&self.authority.key).unwrap();
        made.verify_issued_by(&self.authority.certificate).unwrap();
        Ok((made, warnings))
    }
}

fn hours(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count)
}

fn plain() -> Blueprint {
    Blueprint {
        subject: Subject::common_name("a.example"),
        not_before: testing::now(),
        not_after: testing::now() + hours(1),
        names: GeneralNames {
            dns: vec!["a.example".to_owned()],
            ..GeneralNames::default()
        },
        ..Blueprint::default()
    }
}

fn extra(oid: Oid, value: &[u8]) -> Blueprint {
    Blueprint {
        extra: vec![Extension {
            oid,
            critical: false,
            value: value.to_vec(),
        }],
        ..plain()
    }
}

#[test]
fn what_is_said_is_in_the_certificate() {
    let bench = Bench::new(LeafNotAfter::Err);
    let blueprint = Blueprint {
        key_usage: KeyUsage::DIGITAL_SIGNATURE,
        purposes: vec![Oid::new_unwrap("1.2.3")],
        basic_constraints: true,
        policies: vec![Oid::new_unwrap("1.2.4")],
        key_id: Some(b"not for keys made here".to_vec()),
        ..plain()
    };
    let (made, warnings) = bench.make(&blueprint).unwrap();
    assert_eq!(made.dns_names(), ["a.example"]);
    assert_eq!(made.key_usage(), Some(KeyUsage::DIGITAL_SIGNATURE));
    assert_eq!(made.ext_key_usage(), blueprint.purposes);
    assert_eq!(made.not_after(), blueprint.not_after);
    assert_eq!(made.ski(), Some(&bench.key.public_key().ski()[..]));
    assert!(made.basic_constraints().is_some() && !made.is_ca());
    assert!(warnings.is_empty());
    let order: Vec<_> = made.extensions().map(|one| one.oid).collect();
    assert_eq!(
        order,
        [
            id::KEY_USAGE,
            id::EXT_KEY_USAGE,
            id::BASIC_CONSTRAINTS,
            id::SUBJECT_KEY_ID,
            id::AUTHORITY_KEY_ID,
            id::SUBJECT_ALT_NAME,
            id::CERTIFICATE_POLICIES,
            id::CRL_DISTRIBUTION_POINTS,
            id::FRESHEST_CRL,
        ]
    );
}

#[test]
fn an_extension_takes_the_place_of_its_kind() {
    let bench = Bench::new(LeafNotAfter::Err);
    let (made, _) = bench
        .make(&extra(id::SUBJECT_ALT_NAME, b"\x30\x03\x82\x01b"))
        .unwrap();
    assert_eq!(made.dns_names(), ["b"]);
    let (made, _) = bench.make(&extra(id::FRESHEST_CRL, b"\x30\x00")).unwrap();
    assert_eq!(
        made.extension(&id::FRESHEST_CRL).unwrap().value,
        b"\x30\x00"
    );
}

#[test]
fn nobody_becomes_a_ca_or_another_issuer_s() {
    let bench = Bench::new(LeafNotAfter::Err);
    for (oid, value) in [
        (id::BASIC_CONSTRAINTS, &b"\x30\x03\x01\x01\xff"[..]),
        (id::BASIC_CONSTRAINTS, b"\x30\x00"),
        (id::NAME_CONSTRAINTS, b"\x30\x00"),
    ] {
        assert_eq!(
            bench.make(&extra(oid, value)).unwrap_err(),
            Refusal::ProgramCa
        );
    }
    let other = bench.make(&extra(id::AUTHORITY_KEY_ID, b"\x30\x00"));
    assert!(matches!(other, Err(Refusal::ProgramExtension(_))));
    let signs = Blueprint {
        key_usage: KeyUsage::CERT_SIGN,
        ..plain()
    };
    let (certificate, warnings) = bench.make(&signs).unwrap();
    assert!(certificate.basic_constraints().is_some_and(|one| !one.ca));
    assert_eq!(
        warnings,
        ["rfc5280-4.2.1.3: only a CA certificate asserts keyCertSign"]
    );
    let broken = extra(id::KEY_USAGE, b"\x30\x00");
    assert!(bench.make(&broken).is_err());
}

#[test]
fn the_issuer_s_end_holds_as_its_rule_says() {
    let late = |bench: &Bench| Blueprint {
        not_after: bench.authority.certificate.not_after() + hours(1),
        ..plain()
    };
    for behavior in [LeafNotAfter::Err, LeafNotAfter::AlwaysErr] {
        let bench = Bench::new(behavior);
        let refused = bench.make(&late(&bench)).unwrap_err();
        assert!(matches!(refused, Refusal::BeyondIssuer { .. }), "{refused}");
    }
    let bench = Bench::new(LeafNotAfter::Truncate);
    let (made, warnings) = bench.make(&late(&bench)).unwrap();
    assert_eq!(made.not_after(), bench.authority.certificate.not_after());
    assert_eq!(warnings.len(), 1);
    let bench = Bench::new(LeafNotAfter::Permit);
    let (made, _) = bench.make(&late(&bench)).unwrap();
    assert!(made.not_after() > bench.authority.certificate.not_after());
    let over = Blueprint {
        not_after: testing::now(),
        ..plain()
    };
    assert!(matches!(bench.make(&over), Err(Refusal::Time(_))));
}

#[test]
fn names_lie_within_what_the_issuer_may_certify() {
    let bench = Bench::new(LeafNotAfter::Err);
    let mut issuer = bench.issuer.clone();
    let mut narrow = NameConstraints::default();
    narrow.permitted.dns.push("b.example".to_owned());
    issuer.constraints.push(narrow);
    let bench = Bench { issuer, ..bench };
    assert!(matches!(
        bench.make(&plain()),
        Err(Refusal::Lint {
            rule: "rfc5280-4.2.1.10",
            ..
        })
    ));
}

#[test]
fn a_csr_proves_its_key_and_may_name_it() {
    let bench = Bench::new(LeafNotAfter::Err);
    let algorithm = testing::algorithm(&bench.key);
    let names = GeneralNames::default();
    let subject = Subject::common_name("x").to_name();
    let csr = Csr::build(subject, &names, &[], algorithm, &bench.key).unwrap();
    let named = Blueprint {
        key_id: Some(b"abc".to_vec()),
        ..plain()
    };
    let (made, _) = bench.make_for(&named, Holder::Csr(&csr)).unwrap();
    assert_eq!(made.ski(), Some(&b"abc"[..]));
    let mut forged = csr.der().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let forged = Csr::from_der(&forged).unwrap();
    let refused = bench.make_for(&named, Holder::Csr(&forged)).unwrap_err();
    assert_eq!(refused, Refusal::CsrSignature);
}

#[test]
fn without_a_subject_the_names_are_critical_and_without_both_it_is_told() {
    let bench = Bench::new(LeafNotAfter::Err);
    let nameless = Blueprint {
        subject: Subject::default(),
        ..plain()
    };
    let (made, _) = bench.make(&nameless).unwrap();
    assert!(made.extension(&id::SUBJECT_ALT_NAME).unwrap().critical);
    let empty = Blueprint {
        names: GeneralNames::default(),
        ..nameless
    };
    let (_, warnings) = bench.make(&empty).unwrap();
    assert!(warnings[0].starts_with("rfc5280-4.1.2.6: "), "{warnings:?}");
}
