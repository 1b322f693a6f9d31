use super::*;
use crate::ext::{ExtKeyUsage, GeneralNames};
use crate::testing::{self, Authority};
use crate::{KeySpec, PrivateKey, Subject};

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(768 * 3600),
    max: Duration::from_secs(87_600 * 3600),
};

fn key(kind: &str, bits: u32) -> PrivateKey {
    PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap()
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn urls() -> AiaUrls {
    AiaUrls {
        issuing_certificates: list(&["http://ca"]),
        crl_distribution_points: list(&["http://crl"]),
        delta_crl_distribution_points: list(&["http://delta"]),
        ocsp_servers: list(&["http://ocsp"]),
    }
}

fn named(name: &str) -> CaRequest {
    CaRequest {
        common_name: name.into(),
        ..CaRequest::default()
    }
}

fn try_root(request: &CaRequest, aia: &AiaUrls) -> Result<(Authority, Vec<String>), String> {
    let key = key("ec", 256);
    let serial = SerialNumber::random().unwrap();
    let (prepared, warnings) = root(
        request,
        key.public_key(),
        aia,
        MOUNT,
        testing::now(),
        serial,
    )
    .map_err(|e| e.to_string())?;
    let certificate = prepared.sign(&key).unwrap();
    assert!(certificate.is_self_signed());
    Ok((Authority { certificate, key }, warnings))
}

fn oids(certificate: &Certificate) -> Vec<(Oid, bool)> {
    certificate
        .extensions()
        .map(|one| (one.oid, one.critical))
        .collect()
}

/// OpenBao 2.7.2, `root/generate/internal`.
#[test]
fn a_root() {
    let (authority, warnings) = try_root(&named("Root"), &urls()).unwrap();
    let root = &authority.certificate;
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(
        oids(root),
        [
            (id::KEY_USAGE, true),
            (id::BASIC_CONSTRAINTS, true),
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    assert_eq!(root.ski(), root.aki());
    assert_eq!(root.dns_names(), ["Root"]);
    assert_eq!(root.path_len(), None);
    // The mount's default lease, not its maximum.
    assert_eq!(
        root.not_after() - root.not_before(),
        jiff::Span::new().seconds(768 * 3600 + 30).fieldwise()
    );
    assert_eq!(
        root.key_usage(),
        Some(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN)
    );
}

#[test]
fn a_root_with_everything() {
    let request = CaRequest {
        alt_names: "a.b,u@x.com".into(),
        ip_sans: list(&["1.2.3.4"]),
        uri_sans: list(&["http://u"]),
        other_sans: list(&["1.2.3;utf8:x"]),
        serial_number: "7".into(),
        attributes: Attributes {
            ou: list(&["a"]),
            organization: list(&["b"]),
            country: list(&["DE"]),
            ..Attributes::default()
        },
        max_path_length: Some(0),
        permitted_dns_domains: list(&["a.com", ".b.com"]),
        key_usage: list(&["DigitalSignature", "KeyAgreement"]),
        ext_key_usage: list(&["ServerAuth"]),
        ext_key_usage_oids: list(&["1.2.3", "ClientAuth"]),
        not_before: Some("not a time".into()),
        not_after: Some("9999-12-31T23:59:59Z".into()),
        not_before_duration: Duration::from_secs(3600),
        signature_bits: 7,
        ..named("root.example.com")
    };
    let (authority, warnings) = try_root(&request, &AiaUrls::default()).unwrap();
    let root = &authority.certificate;
    assert_eq!(
        warnings,
        [
            NOT_BEFORE_UNUSED,
            NO_AIA,
            "Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.",
        ]
    );
    assert_eq!(
        root.subject().to_string(),
        "SERIALNUMBER=7,CN=root.example.com,OU=a,O=b,C=DE"
    );
    assert_eq!(root.path_len(), Some(0));
    assert_eq!(root.dns_names(), ["root.example.com", "a.b"]);
    assert_eq!(
        root.key_usage(),
        Some(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN | KeyUsage::DIGITAL_SIGNATURE)
    );
    // The built-in engine loses the names, and reads the list of identifiers as names.
    assert_eq!(
        root.ext_key_usage(),
        [
            ExtKeyUsage::ServerAuth.oid(),
            Oid::new_unwrap("1.2.3"),
            ExtKeyUsage::ClientAuth.oid()
        ]
    );
    assert_eq!(root.not_before().to_string(), "2026-11-22T11:00:00Z");
    let constraints = root.name_constraints().unwrap().unwrap();
    assert_eq!(constraints.permitted.dns, ["a.com", ".b.com"]);
    let critical = |oid| root.extension(oid).unwrap().critical;
    assert!(critical(&id::NAME_CONSTRAINTS));
    // With other names the alternative name stands last.
    assert_eq!(oids(root).last(), Some(&(id::SUBJECT_ALT_NAME, false)));
}

#[test]
fn a_root_without_a_name() {
    let (authority, warnings) = try_root(&CaRequest::default(), &urls()).unwrap();
    assert!(authority.certificate.subject().is_empty());
    assert_eq!(warnings, [NO_SUBJECT]);
}

#[test]
fn a_long_ttl_is_cut_to_the_mounts() {
    let request = CaRequest {
        ttl: Duration::from_secs(999_999 * 3600),
        ..named("R")
    };
    let (_, warnings) = try_root(&request, &urls()).unwrap();
    assert_eq!(
        warnings,
        [
            "TTL \"999999h0m0s\" is longer than permitted maxTTL \"87600h0m0s\", so maxTTL is being used"
        ]
    );
}

/// Texts of OpenBao 2.7.2.
#[test]
fn refusals_of_a_root() {
    for (request, want) in [
        (
            CaRequest {
                ttl: Duration::from_secs(1),
                not_after: Some("2040-01-01T00:00:00Z".into()),
                ..named("R")
            },
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        ),
        (
            CaRequest {
                max_path_length: Some(-5),
                ..named("R")
            },
            "unable to create certificate: x509: invalid MaxPathLen, must be greater or equal to -1",
        ),
        (named("a..b"), "idna: invalid label \"a..b\""),
        (
            named("a*.b@c@d"),
            "email address a*.b@c@d not allowed by this role",
        ),
        (
            CaRequest {
                alt_names: "x@y@z".into(),
                ..named("R")
            },
            "email address x@y@z not allowed by this role",
        ),
        (
            CaRequest {
                ext_key_usage_oids: list(&["1.2.x"]),
                ..named("R")
            },
            "\"1.2.x\" could not be parsed as a valid oid for an extended key usage",
        ),
    ] {
        assert_eq!(try_root(&request, &urls()).err().as_deref(), Some(want));
    }
}

#[test]
fn the_hash_is_the_callers_choice_with_rsa_only() {
    let rsa = key("rsa", 2048);
    let algorithm = |bits, pss| {
        let request = CaRequest {
            signature_bits: bits,
            use_pss: pss,
            ..named("R")
        };
        own_algorithm(&request, rsa.public_key()).map_err(|e| e.to_string())
    };
    assert_eq!(
        algorithm(0, false),
        Ok(SignatureAlgorithm::RsaPkcs1(Hash::Sha256))
    );
    assert_eq!(
        algorithm(512, true),
        Ok(SignatureAlgorithm::RsaPss(Hash::Sha512))
    );
    assert_eq!(
        algorithm(7, false),
        Err("unsupported hash signature algorithm: 7".into())
    );
}

struct Chain {
    issuer: Issuer,
    root: Authority,
    key: PrivateKey,
    csr: Csr,
}

impl Chain {
    fn new(max_path_length: Option<i64>) -> Self {
        let request = CaRequest {
            ttl: Duration::from_secs(8760 * 3600),
            max_path_length,
            ..named("Root")
        };
        let (root, _) = try_root(&request, &urls()).unwrap();
        let issuer = Issuer::new(root.certificate.clone(), &urls(), LeafNotAfter::Err);
        let key = key("ec", 256);
        let subject = Subject {
            common_name: "Int CSR".into(),
            attributes: Attributes {
                organization: list(&["Org"]),
                ..Attributes::default()
            },
            serial_number: "99".into(),
            user_ids: list(&["bob"]),
        };
        let names = GeneralNames {
            dns: list(&["z.example.com"]),
            ..GeneralNames::default()
        };
        let asked = [
            Extension::basic_constraints(true, Some(5)),
            Extension {
                critical: false,
                ..Extension::key_usage(KeyUsage::CERT_SIGN)
            },
            Extension {
                oid: Oid::new_unwrap("1.2.3.4"),
                critical: false,
                value: vec![5, 0],
            },
            Extension::authority_key_id(&[1; 20]),
            Extension::subject_key_id(&[1, 2]),
        ];
        let csr = Csr::build(
            subject.to_name(),
            &names,
            &asked,
            testing::algorithm(&key),
            &key,
        )
        .unwrap();
        Self {
            issuer,
            root,
            key,
            csr,
        }
    }

    fn sign(
        &self,
        request: &CaRequest,
        options: IntermediateOptions<'_>,
    ) -> Result<(Certificate, Vec<String>), String> {
        let serial = SerialNumber::random().unwrap();
        let now = testing::now();
        let (prepared, warnings) = sign_intermediate(
            request,
            &self.csr,
            options,
            &self.issuer,
            MOUNT,
            now,
            serial,
        )
        .map_err(|e| e.to_string())?;
        let certificate = prepared.sign(&self.root.key).unwrap();
        certificate
            .verify_issued_by(&self.root.certificate)
            .unwrap();
        Ok((certificate, warnings))
    }
}

const PLAIN: IntermediateOptions<'static> = IntermediateOptions {
    use_csr_values: false,
    skid: "",
};
const VALUES: IntermediateOptions<'static> = IntermediateOptions {
    use_csr_values: true,
    skid: "",
};

/// OpenBao 2.7.2, `root/sign-intermediate`.
#[test]
fn an_intermediate() {
    let chain = Chain::new(Some(2));
    let (plain, warnings) = chain.sign(&CaRequest::default(), PLAIN).unwrap();
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(plain.subject().to_string(), "SERIALNUMBER=99,CN=Int CSR");
    assert_eq!(plain.path_len(), Some(1));
    assert_eq!(plain.aki(), chain.root.certificate.ski());
    assert_eq!(plain.ski(), Some(&chain.key.public_key().ski()[..]));
    assert_eq!(
        oids(&plain),
        [
            (id::KEY_USAGE, true),
            (id::BASIC_CONSTRAINTS, true),
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    let full = CaRequest {
        attributes: Attributes {
            organization: list(&["O2"]),
            ..Attributes::default()
        },
        alt_names: "q.com,u@v.w".into(),
        serial_number: "5".into(),
        permitted_dns_domains: list(&["a.b"]),
        ..named("api.example.com")
    };
    let (full, _) = chain.sign(&full, PLAIN).unwrap();
    assert_eq!(
        full.subject().to_string(),
        "SERIALNUMBER=5,CN=api.example.com,O=O2"
    );
    assert_eq!(full.dns_names(), ["api.example.com", "q.com"]);
    assert_eq!(
        oids(&full)[5..],
        [
            (id::SUBJECT_ALT_NAME, false),
            (id::NAME_CONSTRAINTS, true),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
}

#[test]
fn an_intermediate_with_the_values_of_its_csr() {
    let chain = Chain::new(Some(2));
    let (certificate, _) = chain.sign(&named("ignored"), VALUES).unwrap();
    assert_eq!(certificate.subject(), chain.csr.subject());
    assert_eq!(
        oids(&certificate),
        [
            (id::BASIC_CONSTRAINTS, true),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::KEY_USAGE, false),
            (Oid::new_unwrap("1.2.3.4"), false),
            (id::SUBJECT_KEY_ID, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    // The path length and the issuer's key are not the CSR's to say.
    assert_eq!(certificate.path_len(), Some(1));
    assert_eq!(certificate.aki(), chain.root.certificate.ski());
    assert_eq!(certificate.ski(), Some(&[1, 2][..]));
    let others = CaRequest {
        other_sans: list(&["1.2.9;utf8:k"]),
        ..CaRequest::default()
    };
    let (certificate, _) = chain.sign(&others, VALUES).unwrap();
    assert_eq!(certificate.subject_alt_names().other.len(), 1);
    assert_eq!(certificate.dns_names(), ["z.example.com"]);
    assert_eq!(oids(&certificate)[7], (id::SUBJECT_ALT_NAME, false));
}

#[test]
fn path_lengths() {
    let chain = Chain::new(Some(2));
    let with = |length| CaRequest {
        max_path_length: Some(length),
        ..named("I")
    };
    for (length, want, warned) in [
        (1, Some(1), 0),
        (0, Some(0), 1),
        (5, Some(5), 1),
        (255, Some(255), 1),
        (-1, None, 1),
    ] {
        let (certificate, warnings) = chain.sign(&with(length), PLAIN).unwrap();
        assert_eq!(
            (certificate.path_len(), warnings.len()),
            (want, warned),
            "{length}"
        );
    }
    // Readers keep it in one octet.
    for length in [256, i64::MAX] {
        let text = chain.sign(&with(length), PLAIN).unwrap_err();
        assert!(text.contains("readers-path-length"), "{text}");
    }
    assert_eq!(
        chain.sign(&with(-2), PLAIN).unwrap_err(),
        Refusal::MaxPathLength.to_string()
    );
    assert_eq!(
        Chain::new(Some(0)).sign(&named("I"), PLAIN).unwrap_err(),
        "signing certificate has a max path length of zero, and cannot issue further CA certificates"
    );
    let (free, _) = Chain::new(None).sign(&named("I"), PLAIN).unwrap();
    assert_eq!(free.path_len(), None);
}

#[test]
fn times_of_an_intermediate() {
    let mut chain = Chain::new(None);
    let late = CaRequest {
        not_after: Some("2099-01-01T00:00:00Z".into()),
        ..named("I")
    };
    let (_, warnings) = chain.sign(&late, PLAIN).unwrap();
    assert_eq!(warnings, [BEYOND_ISSUER]);
    chain.issuer = Issuer::new(
        chain.root.certificate.clone(),
        &urls(),
        LeafNotAfter::AlwaysErr,
    );
    assert!(
        chain
            .sign(&late, PLAIN)
            .unwrap_err()
            .contains("is beyond the expiration of the CA")
    );
    // The built-in engine issues this one dead.
    let past = CaRequest {
        not_after: Some("2020-01-01T00:00:00Z".into()),
        ..named("I")
    };
    assert!(
        chain
            .sign(&past, PLAIN)
            .unwrap_err()
            .starts_with("The certificate's Not Before")
    );
}

#[test]
fn key_identifiers_by_hand() {
    let chain = Chain::new(None);
    let with = |skid| IntermediateOptions { skid, ..PLAIN };
    let (certificate, _) = chain.sign(&named("I"), with("01:0A-ff bb")).unwrap();
    assert_eq!(certificate.ski(), Some(&[0x01, 0x0a, 0xff, 0xbb][..]));
    for (skid, want) in [
        (
            "zz",
            "cannot parse requested SKID value as hex: encoding/hex: invalid byte: U+007A 'z'",
        ),
        (
            "abc",
            "cannot parse requested SKID value as hex: encoding/hex: odd length hex string",
        ),
    ] {
        assert_eq!(chain.sign(&named("I"), with(skid)).unwrap_err(), want);
    }
}

#[test]
fn a_csr_for_an_intermediate() {
    let key = key("ec", 384);
    let make = |request: &CaRequest, constraints| {
        intermediate_csr(
            request,
            key.public_key(),
            constraints,
            MOUNT,
            testing::now(),
        )
        .map(|(prepared, _)| prepared.sign(&key).unwrap())
        .map_err(|e| e.to_string())
    };
    let oids = |csr: &Csr| {
        csr.extensions()
            .iter()
            .map(|e| (e.oid, e.critical))
            .collect::<Vec<_>>()
    };
    let csr = make(&named("Int"), false).unwrap();
    assert_eq!(oids(&csr), [(id::SUBJECT_ALT_NAME, false)]);
    assert_eq!(csr.subject_alt_names().dns, ["Int"]);
    let csr = make(&named("Int"), true).unwrap();
    assert_eq!(
        oids(&csr),
        [(id::SUBJECT_ALT_NAME, false), (id::BASIC_CONSTRAINTS, true)]
    );
    assert_eq!(
        csr.basic_constraints()
            .unwrap()
            .map(|bc| (bc.ca, bc.path_len)),
        Some((true, None))
    );
    assert!(
        make(&CaRequest::default(), false)
            .unwrap()
            .subject()
            .is_empty()
    );
    // A request has no times to be wrong.
    let past = CaRequest {
        not_after: Some("2020-01-01T00:00:00Z".into()),
        ..named("Int")
    };
    assert!(make(&past, false).is_ok());
    let both = CaRequest {
        ttl: Duration::from_secs(3600),
        ..past
    };
    assert_eq!(
        make(&both, false).unwrap_err(),
        Refusal::TtlAndNotAfter.to_string()
    );
    assert_eq!(
        make(&named("a..b"), false).unwrap_err(),
        "idna: invalid label \"a..b\""
    );
}

/// OpenBao 2.7.2, `root/sign-self-issued`.
#[test]
fn cross_signing() {
    let chain = Chain::new(None);
    let other = testing::root("Self", "ec", 384);
    let cross = |certificate: &Certificate, matching| {
        self_issued(certificate, &chain.issuer, matching, testing::now()).map_err(|e| e.to_string())
    };
    let (prepared, warnings) = cross(&other.certificate, true).unwrap();
    let certificate = prepared.sign(&chain.root.key).unwrap();
    certificate
        .verify_issued_by(&chain.root.certificate)
        .unwrap();
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(certificate.subject(), other.certificate.subject());
    assert_eq!(certificate.serial(), other.certificate.serial());
    assert_eq!(certificate.not_after(), other.certificate.not_after());
    assert_eq!(certificate.ski(), other.certificate.ski());
    assert_eq!(certificate.aki(), chain.root.certificate.ski());
    assert_eq!(certificate.crl_distribution_points(), ["http://crl"]);

    let rsa = testing::root("Self", "rsa", 2048);
    assert!(cross(&rsa.certificate, false).is_ok());
    assert_eq!(
        cross(&rsa.certificate, true).unwrap_err(),
        "signing certificate's public key algorithm (ECDSA) does not match submitted certificate's (RSA), and require_matching_certificate_algorithms is true"
    );
    let leaf = testing::leaf(&other, "a.b", chain.key.public_key());
    assert_eq!(
        cross(&leaf, false).unwrap_err(),
        "given certificate is not a CA certificate"
    );
    let middle = testing::subordinate(&other, "Int", chain.key.public_key());
    assert_eq!(
        cross(&middle, false).unwrap_err(),
        "given certificate is not self-issued"
    );
    // Its times are copied, also where they are past.
    let end = other.certificate.not_after();
    let at = |now| self_issued(&other.certificate, &chain.issuer, false, now).unwrap();
    let second = std::time::Duration::from_secs(1);
    assert_eq!(at(end - second).1, [] as [&str; 0]);
    let (_, warnings) = at(end);
    assert!(warnings[0].contains("is over since"), "{warnings:?}");
}

/// Go reads no CA with such a constraint; outside of ASCII there was no certificate at all, and a 500.
#[test]
fn permitted_domains_are_domains() {
    let chain = Chain::new(None);
    let with = |domain: &str| CaRequest {
        permitted_dns_domains: vec![domain.to_owned()],
        ..named("I")
    };
    let long = format!("{}.b", "a".repeat(64));
    for bad in [".", "..", "a.", "a..b", ".a.", "é.com", "a b", " ", &long] {
        let text = chain.sign(&with(bad), PLAIN).unwrap_err();
        assert!(text.starts_with("permitted_dns_domains: "), "{bad}: {text}");
        assert!(
            text.contains(&crate::refusal::Quoted(bad).to_string()),
            "{text}"
        );
    }
    for good in ["a.test", ".a.test", "*.a", "1.2.3.4", "A-b"] {
        chain.sign(&with(good), PLAIN).unwrap();
    }
}

/// A request has no times, and none that the mount allows can stand in its way.
#[test]
fn a_request_needs_no_lifetime() {
    let key = testing::root("K", "ec", 256).key;
    let none = MountTtl {
        default: Duration::ZERO,
        max: Duration::ZERO,
    };
    let request = CaRequest {
        ttl: Duration::from_secs(3600),
        ..named("I")
    };
    let made = intermediate_csr(&request, key.public_key(), false, none, testing::now());
    assert!(made.unwrap().1.is_empty());
}
