use std::time::Duration;

use super::*;
use crate::ext::KeyUsage;
use crate::issue::AiaUrls;
use crate::testing::{self, Authority};
use crate::validity::{LeafNotAfter, MountTtl};
use crate::{Attributes, Certificate, KeySpec, Name, Oid, PrivateKey, Subject};

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(3600),
    max: Duration::from_secs(36_000),
};

struct Bench {
    authority: Authority,
    issuer: Issuer,
    key: PrivateKey,
}

impl Bench {
    fn new() -> Self {
        let authority = testing::root("Root", "ec", 256);
        let one = |url: &str| vec![url.to_owned()];
        let aia = AiaUrls {
            issuing_certificates: one("http://ca"),
            crl_distribution_points: one("http://crl"),
            delta_crl_distribution_points: one("http://delta"),
            ocsp_servers: one("http://ocsp"),
        };
        let issuer = Issuer::new(authority.certificate.clone(), &aia, LeafNotAfter::Permit);
        let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
        Self {
            authority,
            issuer,
            key,
        }
    }

    fn csr(&self, subject: &Name, names: &GeneralNames, extensions: &[Extension]) -> Csr {
        let algorithm = testing::algorithm(&self.key);
        Csr::build(subject.clone(), names, extensions, algorithm, &self.key).unwrap()
    }

    fn sign(&self, request: &VerbatimRequest<'_>) -> Result<(Certificate, Vec<String>), String> {
        let serial = SerialNumber::random().unwrap();
        let (prepared, warnings) =
            prepare(request, &self.issuer, testing::now(), serial).map_err(|e| e.to_string())?;
        let certificate = prepared.sign(&self.authority.key).unwrap();
        certificate
            .verify_issued_by(&self.authority.certificate)
            .unwrap();
        Ok((certificate, warnings))
    }
}

fn request(csr: &Csr) -> VerbatimRequest<'_> {
    VerbatimRequest {
        csr,
        fields: LeafRequest::new(Holder::Csr(csr), MOUNT),
        role: None,
        key_usage: vec!["DigitalSignature".into(), "KeyAgreement".into()],
        ext_key_usage: Vec::new(),
        ext_key_usage_oids: Vec::new(),
        signature_bits: 0,
        use_pss: false,
        basic_constraints_valid_for_non_ca: None,
    }
}

fn oids(certificate: &Certificate) -> Vec<(Oid, bool)> {
    certificate
        .extensions()
        .map(|one| (one.oid, one.critical))
        .collect()
}

fn dns(names: &[&str]) -> GeneralNames {
    GeneralNames {
        dns: names.iter().map(ToString::to_string).collect(),
        ..GeneralNames::default()
    }
}

fn named(name: &str) -> Name {
    Subject::common_name(name).to_name()
}

/// OpenBao 2.7.2, `sign-verbatim`.
#[test]
fn ours_where_the_csr_says_nothing() {
    let bench = Bench::new();
    let csr = bench.csr(&named("plain.example.com"), &GeneralNames::default(), &[]);
    let (certificate, warnings) = bench.sign(&request(&csr)).unwrap();
    assert_eq!(warnings, [] as [&str; 0]);
    // The common name is not copied into the alternative names.
    assert_eq!(
        oids(&certificate),
        [
            (id::KEY_USAGE, true),
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    assert_eq!(certificate.not_before().to_string(), "2026-11-22T11:59:30Z");
}

#[test]
fn the_csrs_values_win() {
    let bench = Bench::new();
    let asked = [
        Extension::basic_constraints(true, Some(5)),
        Extension {
            critical: false,
            ..Extension::key_usage(KeyUsage::DIGITAL_SIGNATURE)
        },
        Extension {
            oid: Oid::new_unwrap("1.2.3.4"),
            critical: true,
            value: vec![5, 0],
        },
        Extension::subject_key_id(&[1, 2]),
        Extension::authority_key_id(&[9; 20]),
        Extension::crl_distribution_points(&["http://mine".into()]),
    ];
    let subject = Subject {
        common_name: "Any Name".into(),
        attributes: Attributes {
            ou: vec!["x".into()],
            ..Attributes::default()
        },
        ..Subject::default()
    }
    .to_name();
    let csr = bench.csr(&subject, &dns(&["a_b", "-q"]), &asked);
    let (certificate, warnings) = bench
        .sign(&VerbatimRequest {
            ext_key_usage: vec!["ServerAuth".into()],
            ..request(&csr)
        })
        .unwrap();
    assert_eq!(
        warnings,
        ["specified CSR contained a Basic Constraints extension that was ignored during issuance"]
    );
    assert_eq!(certificate.subject(), &subject);
    assert_eq!(certificate.dns_names(), ["a_b", "-q"]);
    assert!(!certificate.is_ca());
    assert_eq!(
        oids(&certificate),
        [
            (id::EXT_KEY_USAGE, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::KEY_USAGE, false),
            (Oid::new_unwrap("1.2.3.4"), true),
            (id::SUBJECT_KEY_ID, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    // Who signed is not the requester's to say, although the built-in engine lets it.
    assert_eq!(certificate.aki(), bench.authority.certificate.ski());
    assert_eq!(certificate.crl_distribution_points(), ["http://mine"]);
}

#[test]
fn fields_of_the_request_are_for_other_paths() {
    let bench = Bench::new();
    let csr = bench.csr(&named("csr"), &dns(&["a.b"]), &[]);
    let others = vec!["1.2.9;utf8:k".to_owned()];
    let fields = LeafRequest {
        common_name: "api",
        alt_names: "x.y",
        other_sans: &others,
        ..request(&csr).fields
    };
    let (certificate, warnings) = bench
        .sign(&VerbatimRequest {
            fields,
            ..request(&csr)
        })
        .unwrap();
    assert_eq!(warnings, [issue::CN_IGNORED, issue::ALT_NAMES_IGNORED]);
    assert_eq!(certificate.subject().common_name().as_deref(), Some("csr"));
    assert_eq!(certificate.dns_names(), ["a.b"]);
    assert_eq!(certificate.subject_alt_names().other.len(), 1);
}

#[test]
fn a_role_gives_times_and_basic_constraints() {
    let bench = Bench::new();
    let csr = bench.csr(&named("x"), &GeneralNames::default(), &[]);
    let role = Profile::new(Settings {
        ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(120),
        not_before_duration: Duration::from_secs(300),
        basic_constraints_valid_for_non_ca: true,
        ..Settings::default()
    })
    .unwrap();
    let with_role = VerbatimRequest {
        role: Some(&role),
        ..request(&csr)
    };
    let (certificate, _) = bench.sign(&with_role).unwrap();
    assert_eq!(certificate.not_before().to_string(), "2026-11-22T11:55:00Z");
    assert_eq!(certificate.not_after().to_string(), "2026-11-22T12:01:00Z");
    assert_eq!(certificate.basic_constraints().map(|bc| bc.ca), Some(false));
    let without = VerbatimRequest {
        basic_constraints_valid_for_non_ca: Some(false),
        ..with_role
    };
    let (certificate, _) = bench.sign(&without).unwrap();
    assert_eq!(certificate.basic_constraints(), None);
}

#[test]
fn without_a_subject_the_names_are_critical() {
    let bench = Bench::new();
    let csr = bench.csr(&Name::empty(), &dns(&["a.b"]), &[]);
    let (certificate, _) = bench.sign(&request(&csr)).unwrap();
    assert!(
        certificate
            .extension(&id::SUBJECT_ALT_NAME)
            .unwrap()
            .critical
    );
    let nobody = bench.csr(&Name::empty(), &GeneralNames::default(), &[]);
    let (_, warnings) = bench.sign(&request(&nobody)).unwrap();
    assert!(warnings[0].starts_with("rfc5280-4.1.2.6: "), "{warnings:?}");
}

#[test]
fn key_cert_sign_is_a_warning_here() {
    let bench = Bench::new();
    let usage = Extension::key_usage(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN);
    let csr = bench.csr(&named("ca"), &GeneralNames::default(), &[usage]);
    let (certificate, warnings) = bench.sign(&request(&csr)).unwrap();
    assert_eq!(
        certificate.key_usage(),
        Some(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN)
    );
    assert_eq!(
        warnings,
        ["rfc5280-4.2.1.3: only a CA certificate asserts keyCertSign"]
    );
}

#[test]
fn refusals() {
    let bench = Bench::new();
    let strange = bench.csr(&named("x"), &dns(&["*.*.a"]), &[]);
    assert_eq!(
        bench.sign(&request(&strange)).unwrap_err(),
        "subject alternate name *.*.a not allowed by this role"
    );
    // OpenBao 2.7.2 reads the common name as one that could become an alternative name.
    for (name, want) in [
        ("a.example.com.", "idna: invalid label \"a.example.com.\""),
        ("u@*.a", "email address u@*.a not allowed by this role"),
    ] {
        let csr = bench.csr(&named(name), &GeneralNames::default(), &[]);
        assert_eq!(bench.sign(&request(&csr)).unwrap_err(), want);
        let fields = LeafRequest {
            exclude_cn_from_sans: true,
            not_before: Some("never looked at"),
            ..request(&csr).fields
        };
        let excluded = VerbatimRequest {
            fields,
            ..request(&csr)
        };
        assert!(bench.sign(&excluded).is_ok(), "{name}");
    }
    let csr = bench.csr(&named("x"), &GeneralNames::default(), &[]);
    let mut der = csr.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Csr::from_der(&der).unwrap();
    assert_eq!(
        bench.sign(&request(&forged)).unwrap_err(),
        "request signature invalid"
    );
}

/// RFC 9881 section 5: of the usual usages an ML-DSA key gets those that sign; what was asked for by name, or by the request, goes in with a warning.
#[test]
fn usages_of_an_ml_dsa_key() {
    let mut bench = Bench::new();
    bench.key = PrivateKey::generate(KeySpec::parse("mldsa", 87).unwrap()).unwrap();
    let name = Subject::common_name("a.com").to_name();
    let plain = bench.csr(&name, &dns(&["a.com"]), &[]);
    let (leaf, warnings) = bench.sign(&request(&plain)).unwrap();
    assert_eq!(leaf.key_usage(), Some(KeyUsage::DIGITAL_SIGNATURE));
    assert!(warnings.is_empty(), "{warnings:?}");

    let asked = VerbatimRequest {
        key_usage: vec!["KeyEncipherment".into()],
        ..request(&plain)
    };
    let usage = KeyUsage::KEY_AGREEMENT | KeyUsage::DIGITAL_SIGNATURE;
    let own = bench.csr(&name, &dns(&["a.com"]), &[Extension::key_usage(usage)]);
    for (request, want) in [(asked, KeyUsage::KEY_ENCIPHERMENT), (request(&own), usage)] {
        let (leaf, warnings) = bench.sign(&request).unwrap();
        assert_eq!(leaf.key_usage(), Some(want));
        assert!(warnings[0].contains("rfc9881-5"), "{warnings:?}");
    }
}
