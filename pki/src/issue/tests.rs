use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ext::{ExtKeyUsage, KeyUsage, OtherName, id};
use crate::settings::Settings;
use crate::testing::{self, Authority};
use crate::validity::{LeafNotAfter, MountTtl};
use crate::{Attributes, Certificate, KeySpec, Oid, PrivateKey, lint};

mod csr;
mod request;

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
        Self::with(&AiaUrls::default(), LeafNotAfter::Permit)
    }

    fn with(aia: &AiaUrls, behavior: LeafNotAfter) -> Self {
        let authority = testing::root("Test Root", "ec", 256);
        let issuer = Issuer::new(authority.certificate.clone(), aia, behavior);
        let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
        Self {
            authority,
            issuer,
            key,
        }
    }

    fn request(&self) -> LeafRequest<'_> {
        LeafRequest::new(Holder::Key(self.key.public_key()), MOUNT)
    }

    fn issue(
        &self,
        settings: &Settings,
        request: &LeafRequest<'_>,
    ) -> Result<(Certificate, Vec<String>), String> {
        let profile = Profile::new(settings.clone()).unwrap();
        let serial = SerialNumber::random().unwrap();
        let (prepared, warnings) = prepare(&profile, &self.issuer, request, testing::now(), serial)
            .map_err(|e| e.to_string())?;
        let certificate = prepared.sign(&self.authority.key).unwrap();
        certificate
            .verify_issued_by(&self.authority.certificate)
            .unwrap();
        Ok((certificate, warnings))
    }

    fn csr(&self, subject: &Subject, names: &GeneralNames, extensions: &[Extension]) -> Csr {
        let algorithm = testing::algorithm(&self.key);
        Csr::build(subject.to_name(), names, extensions, algorithm, &self.key).unwrap()
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn open() -> Settings {
    Settings {
        key_type: "ec".into(),
        key_bits: 256,
        allow_any_name: true,
        allowed_uri_sans: list(&["*"]),
        allowed_other_sans: list(&["*"]),
        allowed_user_ids: list(&["bob", "a*"]),
        allowed_serial_numbers: list(&["7*", "99"]),
        ..Settings::default()
    }
}

/// The subject alternative names in one line, in the order of the encoding.
fn names(certificate: &Certificate) -> String {
    let san = certificate.subject_alt_names();
    let mut all: Vec<String> = Vec::new();
    all.extend(
        san.other
            .iter()
            .map(|other| format!("{};{}", other.oid, other.value)),
    );
    all.extend(san.dns.iter().map(|name| format!("DNS:{name}")));
    all.extend(san.emails.iter().map(|name| format!("email:{name}")));
    all.extend(san.ips.iter().map(|ip| format!("IP:{ip}")));
    all.extend(san.uris.iter().map(|uri| format!("URI:{uri}")));
    all.join(", ")
}

/// RFC 9881 section 5. Roles have usages for encryption from the beginning, as those of the built-in engine do.
#[test]
fn an_ml_dsa_leaf_gets_the_usages_of_its_role_that_sign() {
    let mut bench = Bench::new();
    bench.key = PrivateKey::generate(KeySpec::parse("mldsa", 44).unwrap()).unwrap();
    let role = |usages: &[&str]| Settings {
        key_type: "mldsa".into(),
        key_bits: 44,
        key_usage: list(usages),
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let usual = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"];
    for (usages, want) in [
        (&usual[..], Some(KeyUsage::DIGITAL_SIGNATURE)),
        (&["ContentCommitment"], Some(KeyUsage::CONTENT_COMMITMENT)),
        (&[], None),
    ] {
        let (leaf, warnings) = bench.issue(&role(usages), &request).unwrap();
        assert_eq!(leaf.key_usage(), want);
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    let refused = bench.issue(&role(&["KeyEncipherment"]), &request);
    assert!(refused.unwrap_err().contains("rfc9881-5"));
}

/// Order and criticality of the built-in engine.
#[test]
fn extensions_of_a_leaf() {
    let aia = AiaUrls {
        issuing_certificates: list(&["http://ca/der"]),
        crl_distribution_points: list(&["http://ca/crl"]),
        delta_crl_distribution_points: list(&["http://ca/delta"]),
        ocsp_servers: list(&["http://ca/ocsp"]),
    };
    let bench = Bench::with(&aia, LeafNotAfter::Permit);
    let order = |settings: &Settings, others: &[String]| {
        let request = LeafRequest {
            common_name: "a.com",
            other_sans: others,
            ..bench.request()
        };
        let (certificate, _) = bench.issue(settings, &request).unwrap();
        let list: Vec<_> = certificate
            .extensions()
            .map(|one| (one.oid, one.critical))
            .collect();
        list
    };
    let policies = Settings {
        basic_constraints_valid_for_non_ca: true,
        policy_identifiers: list(&["1.2.3.4"]),
        ..open()
    };
    assert_eq!(
        order(&policies, &[]),
        [
            (id::KEY_USAGE, true),
            (id::EXT_KEY_USAGE, false),
            (id::BASIC_CONSTRAINTS, true),
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::CERTIFICATE_POLICIES, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    let json = Settings {
        key_usage: Vec::new(),
        server_flag: false,
        client_flag: false,
        policy_identifiers: list(&["{\"oid\":\"1.2.3.4\"}"]),
        ..open()
    };
    assert_eq!(
        order(&json, &list(&["1.2.3;utf8:a"])),
        [
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::CERTIFICATE_POLICIES, false),
            (id::FRESHEST_CRL, false),
        ]
    );
}

#[test]
fn usages_and_subject_of_a_role() {
    let bench = Bench::new();
    let settings = Settings {
        key_usage: list(&["CRLSign", "digitalsignature"]),
        ext_key_usage: list(&["OCSPSigning", "any"]),
        ext_key_usage_oids: list(&["1.2.3", "1.3.6.1.5.5.7.3.1", "1.2.3"]),
        client_flag: false,
        attributes: Attributes {
            ou: list(&["b", "a", "b"]),
            organization: list(&["o2", "o1"]),
            country: list(&["DE"]),
            province: list(&["p"]),
            locality: list(&["l"]),
            street_address: list(&["s"]),
            postal_code: list(&["1"]),
        },
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let (certificate, _) = bench.issue(&settings, &request).unwrap();
    assert_eq!(
        certificate.key_usage(),
        Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::CRL_SIGN)
    );
    assert_eq!(
        certificate.ext_key_usage(),
        [
            ExtKeyUsage::Any.oid(),
            ExtKeyUsage::ServerAuth.oid(),
            ExtKeyUsage::OcspSigning.oid(),
            Oid::new_unwrap("1.2.3"),
        ]
    );
    assert_eq!(
        certificate.subject().to_string(),
        "CN=a.com,OU=a+OU=b,O=o1+O=o2,POSTALCODE=1,STREET=s,L=l,ST=p,C=DE"
    );
}

#[test]
fn a_leaf_does_not_sign_certificates() {
    let bench = Bench::new();
    let settings = Settings {
        key_usage: list(&["CertSign"]),
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let (certificate, warnings) = bench.issue(&settings, &request).unwrap();
    assert_eq!(certificate.key_usage(), Some(KeyUsage::CERT_SIGN));
    let constraints = certificate.basic_constraints().unwrap();
    assert!(!constraints.ca && constraints.path_len.is_none());
    assert_eq!(
        warnings,
        ["rfc5280-4.2.1.3: only a CA certificate asserts keyCertSign"]
    );
}

#[test]
fn a_role_that_wants_no_name_is_told_that_there_is_none() {
    let bench = Bench::new();
    let settings = Settings {
        require_cn: false,
        ..open()
    };
    let (certificate, warnings) = bench.issue(&settings, &bench.request()).unwrap();
    assert!(certificate.subject().is_empty());
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert!(warning.starts_with("rfc5280-4.1.2.6: "), "{warning}");
}

#[test]
fn node_names() {
    let bench = Bench::new();
    let nodes = Settings {
        node_names: true,
        ..open()
    };
    let profile = Profile::new(nodes).unwrap();
    for (name, want) in [
        ("node-1", None),
        (
            "NODE-1",
            Some(
                "common name NODE-1 not allowed by this role: a node name is a lower-case DNS-1123 subdomain: letters a to z, digits and inner hyphens in labels between dots",
            ),
        ),
        (
            "n",
            Some("common name n not allowed by this role: a node name has 2 to 63 characters"),
        ),
    ] {
        let request = LeafRequest {
            common_name: name,
            ..bench.request()
        };
        let serial = SerialNumber::random().unwrap();
        let refused = prepare(&profile, &bench.issuer, &request, testing::now(), serial).err();
        assert_eq!(refused.map(|e| e.to_string()).as_deref(), want);
    }
}

#[test]
fn signature_algorithms() {
    let ec = Bench::new();
    let sha512 = Settings {
        signature_bits: 512,
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..ec.request()
    };
    // `issue` under an EC issuer ignores signature_bits; `sign` says that it cannot follow them.
    assert_eq!(ec.issue(&sha512, &request).unwrap().1, [] as [&str; 0]);
    let csr = ec.csr(
        &Subject::common_name("a.com"),
        &GeneralNames::default(),
        &[],
    );
    let sign = LeafRequest {
        holder: Holder::Csr(&csr),
        ..ec.request()
    };
    assert_eq!(ec.issue(&sha512, &sign).unwrap().1.len(), 1);
    // Any number may stand in a role.
    let seven = Settings {
        signature_bits: 7,
        ..open()
    };
    assert!(ec.issue(&seven, &sign).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the rules accept, the last look accepts too: a finding would mean that the two halves
    /// disagree on what a role allows.
    #[test]
    fn accepted_requests_pass_the_last_look(
        cn in "[a-zA-Z0-9.*@_-]{0,12}|[a-z]{1,3}\\.example\\.com",
        alt in "([a-z*.@_, -]|example\\.com|xn--|ü){0,10}",
        uri in "[a-zA-Z:/ü%?#. ]{0,12}|(SPIFFE|spiffe)://[a-z/ ]{0,6}",
        ip in "10\\.0\\.0\\.[0-9]|::ffff:10\\.1\\.1\\.1|1\\.1\\.1\\.1",
        flags in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let bench = Bench::new();
        let settings = Settings {
            allow_any_name: flags[0],
            allow_bare_domains: flags[1],
            allow_subdomains: flags[2],
            allow_glob_domains: flags[3],
            enforce_hostnames: flags[4],
            require_cn: flags[5],
            allowed_domains: list(&["example.com", "*.org", "*a*"]),
            allowed_uri_sans: if flags[6] { list(&["spiffe://*"]) } else { list(&["*"]) },
            allowed_ip_sans_cidr: list(&["10.0.0.0/8"]),
            ..open()
        };
        let (uris, ips) = (list(&[&uri]), list(&[&ip]));
        let request = LeafRequest {
            common_name: &cn,
            alt_names: &alt,
            uri_sans: if flags[7] { &uris } else { &[] },
            ip_sans: &ips,
            ..bench.request()
        };
        let profile = Profile::new(settings).unwrap();
        let serial = SerialNumber::random().unwrap();
        if let Err(refusal) = prepare(&profile, &bench.issuer, &request, testing::now(), serial) {
            let by_lint = matches!(&refusal, Refusal::Lint { .. } | Refusal::Encoding(_));
            prop_assert!(!by_lint, "{}", refusal);
        }
    }
}

#[test]
fn the_last_look_is_the_roles_own() {
    let bench = Bench::new();
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let (certificate, _) = bench.issue(&open(), &request).unwrap();
    let narrow = Settings {
        allow_any_name: false,
        ..open()
    };
    let profile = Profile::new(narrow).unwrap();
    let names = profile.names(None, "");
    let found = lint::leaf(
        &certificate,
        &profile,
        &names,
        &bench.issuer,
        testing::now(),
    );
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["role-common-name", "role-dns-names"]);
    let short = Settings {
        not_after_bound: "forbid".into(),
        max_ttl: Duration::from_secs(60),
        ..open()
    };
    let profile = Profile::new(short).unwrap();
    let names = profile.names(None, "");
    let found = lint::leaf(
        &certificate,
        &profile,
        &names,
        &bench.issuer,
        testing::now(),
    );
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["role-max-ttl"]);
}

/// Every verifier refuses such a leaf, so nobody signs it.
#[test]
fn names_outside_of_the_issuers_name_constraints_are_refused() {
    let bench = constrained();
    let role = Settings {
        enforce_hostnames: false,
        ..open()
    };
    let base = LeafRequest {
        common_name: "x.a.test",
        ..bench.request()
    };
    let (inside, outside) = (list(&["10.1.2.3"]), list(&["11.1.2.3"]));
    let uris = [
        list(&["spiffe://h.a.test/x"]),
        list(&["spiffe://b.test/x"]),
        list(&["urn:x"]),
    ];
    for (request, want) in [
        (base, Ok(())),
        (
            LeafRequest {
                common_name: "a.test",
                alt_names: "*.x.a.test,u@a.test",
                ..base
            },
            Ok(()),
        ),
        (
            LeafRequest {
                ip_sans: &inside,
                uri_sans: &uris[0],
                ..base
            },
            Ok(()),
        ),
        (
            LeafRequest {
                common_name: "b.test",
                ..base
            },
            Err(
                "the DNS name b.test is outside of the issuer's name constraints (permitted: a.test)",
            ),
        ),
        (
            LeafRequest {
                alt_names: "a.test,xa.test",
                ..base
            },
            Err("the DNS name xa.test"),
        ),
        (
            LeafRequest {
                alt_names: "no.a.test",
                ..base
            },
            Err(
                "the DNS name no.a.test is outside of the issuer's name constraints (excluded: no.a.test)",
            ),
        ),
        (
            LeafRequest {
                alt_names: "u@b.test",
                ..base
            },
            Err("the mail address u@b.test"),
        ),
        (
            LeafRequest {
                ip_sans: &outside,
                ..base
            },
            Err(
                "the IP address 11.1.2.3 is outside of the issuer's name constraints (permitted: 10.0.0.0/8)",
            ),
        ),
        (
            LeafRequest {
                uri_sans: &uris[1],
                ..base
            },
            Err("the URI spiffe://b.test/x"),
        ),
        (
            LeafRequest {
                uri_sans: &uris[2],
                ..base
            },
            Err("the URI urn:x"),
        ),
        // OpenSSL takes the common name for a DNS name where there is no other.
        (
            LeafRequest {
                common_name: "b.test",
                exclude_cn_from_sans: true,
                ..base
            },
            Err("the DNS name b.test"),
        ),
        (
            LeafRequest {
                common_name: "no host",
                ..base
            },
            Ok(()),
        ),
    ] {
        match (bench.issue(&role, &request), want) {
            (Ok(_), Ok(())) => {}
            (Err(text), Err(want)) => {
                assert!(
                    text.contains("rfc5280-4.2.1.10") && text.contains(want),
                    "{text}"
                );
            }
            (got, want) => panic!("{request:?}: {got:?} {want:?}"),
        }
    }
}

/// An issuer with constraints on every kind of name.
fn constrained() -> Bench {
    use crate::ext::{NameConstraints, Subtrees};

    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let constraints = NameConstraints {
        permitted: Subtrees {
            dns: list(&["a.test"]),
            emails: list(&["a.test"]),
            uris: list(&[".a.test"]),
            ips: vec![("10.0.0.0".parse().unwrap(), 8)],
            ..Subtrees::default()
        },
        excluded: Subtrees {
            dns: list(&["no.a.test"]),
            ..Subtrees::default()
        },
    };
    let extensions = vec![
        Extension::key_usage(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN),
        Extension::basic_constraints(true, None),
        Extension::subject_key_id(&key.public_key().ski()),
        Extension::name_constraints(&constraints, true),
    ];
    let template = testing::template("Constrained", key.public_key(), extensions);
    let subject = template.subject.clone();
    let certificate = template
        .prepare(&subject, testing::algorithm(&key))
        .unwrap();
    let authority = Authority {
        certificate: certificate.sign(&key).unwrap(),
        key,
    };
    Bench {
        issuer: Issuer::new(
            authority.certificate.clone(),
            &AiaUrls::default(),
            LeafNotAfter::Permit,
        ),
        authority,
        ..Bench::new()
    }
}

/// Constraints bind from above too, as long as there is one way up.
#[test]
fn name_constraints_of_the_cas_above_bind() {
    let top = constrained();
    let middle = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let certificate = testing::subordinate(&top.authority, "Middle", middle.public_key());
    let request = LeafRequest {
        common_name: "b.test",
        ..top.request()
    };
    let profile = Profile::new(open()).unwrap();
    let prepare = |chain: &[Certificate]| {
        let issuer = Issuer::new(
            certificate.clone(),
            &AiaUrls::default(),
            LeafNotAfter::Permit,
        );
        let serial = SerialNumber::random().unwrap();
        prepare(
            &profile,
            &issuer.below(chain),
            &request,
            testing::now(),
            serial,
        )
    };
    let above = top.authority.certificate.clone();
    let other = testing::root("Constrained", "ec", 256).certificate;
    assert!(prepare(&[]).is_ok());
    assert!(prepare(&[certificate.clone(), above.clone()]).is_err());
    assert!(
        prepare(&[certificate.clone(), above, other]).is_ok(),
        "there is another way up"
    );
}
