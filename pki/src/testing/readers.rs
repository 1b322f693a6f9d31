//! What this crate makes, read by others: the openssl command, x509-parser and rustls-webpki.

use std::time::Duration;

use jiff::ToSpan;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy,
    KeyUsage as WebpkiUsage, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::*;

use super::*;
use crate::key::{KeyEncoding, KeyType};
use crate::{Crl, CrlTemplate, Csr, RevokedEntries};

/// Those that openssl 3.0 reads.
const KINDS: [(&str, u32); 6] = [
    ("ec", 224),
    ("ec", 256),
    ("ec", 384),
    ("ec", 521),
    ("ed25519", 0),
    ("rsa", 2048),
];

/// Those that it does not.
const UNKNOWN_TO_OPENSSL: [(&str, u32); 3] = [("mldsa", 44), ("mldsa", 65), ("mldsa", 87)];

fn key(kind: &str, bits: u32) -> PrivateKey {
    PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap()
}

/// A root, a subordinate and a leaf.
fn chain(kind: &str, bits: u32) -> (Authority, Authority, Certificate) {
    let root = root("root.example", kind, bits);
    let below = key(kind, bits);
    let certificate = subordinate(&root, "low.example", below.public_key());
    let low = Authority {
        certificate,
        key: below,
    };
    let leaf = leaf(&low, "a.example.com", key("ec", 256).public_key());
    (root, low, leaf)
}

fn crl(issuer: &Authority, entries: &RevokedEntries, delta_base: Option<u64>) -> Crl {
    let template = CrlTemplate {
        issuer: issuer.certificate.subject().clone(),
        authority_key_id: issuer.certificate.ski().unwrap().to_vec(),
        number: 300,
        this_update: now(),
        next_update: now().checked_add(72.hours()).unwrap(),
        delta_base,
        freshest: vec!["http://crl.example/delta".to_owned()],
        more: Vec::new(),
    };
    template
        .prepare(entries.clone(), algorithm(&issuer.key))
        .sign(&issuer.key)
        .unwrap()
}

#[test]
fn openssl_accepts_chains_of_every_kind_of_key() {
    for (kind, bits) in KINDS {
        let (root, low, leaf) = chain(kind, bits);
        let (anchor, middle) = (
            file(root.certificate.pem().as_bytes()),
            file(low.certificate.pem().as_bytes()),
        );
        let time = (now().as_second() + 60).to_string();
        let arguments = [
            "verify",
            "-x509_strict",
            "-attime",
            &time,
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "a.example.com",
        ];
        let files = [
            "-CAfile",
            anchor.path().to_str().unwrap(),
            "-untrusted",
            middle.path().to_str().unwrap(),
        ];
        let output = openssl(&[&arguments[..], &files].concat(), leaf.pem().as_bytes());
        assert_eq!(output, b"stdin: OK\n", "{kind} {bits}");
    }
}

#[test]
fn openssl_verifies_every_rsa_signature() {
    let authority = root("root.example", "rsa", 2048);
    let fitting = SignatureAlgorithm::ALL
        .into_iter()
        .filter(|one| one.fits(authority.key.public_key()).is_ok());
    for algorithm in fitting {
        let extensions = vec![Extension::subject_key_id(&authority.key.public_key().ski())];
        let template = template("a.example.com", authority.key.public_key(), extensions);
        let leaf = template
            .prepare(authority.certificate.subject(), algorithm)
            .unwrap()
            .sign(&authority.key)
            .unwrap();
        let anchor = file(authority.certificate.pem().as_bytes());
        let time = now().as_second().to_string();
        let arguments = [
            "verify",
            "-attime",
            &time,
            "-CAfile",
            anchor.path().to_str().unwrap(),
        ];
        assert_eq!(
            openssl(&arguments, leaf.pem().as_bytes()),
            b"stdin: OK\n",
            "{algorithm}"
        );
        leaf.verify_issued_by(&authority.certificate).unwrap();
    }
}

#[test]
fn webpki_builds_a_path_and_honours_the_revocation_list() {
    // It has no P-224.
    let kinds = KINDS.into_iter().chain(UNKNOWN_TO_OPENSSL);
    for (kind, bits) in kinds.filter(|(_, bits)| *bits != 224) {
        let (root, low, leaf) = chain(kind, bits);
        let anchor = CertificateDer::from(root.certificate.der());
        let anchor = webpki::anchor_from_trusted_cert(&anchor).unwrap();
        let middle = [CertificateDer::from(low.certificate.der())];
        let end = CertificateDer::from(leaf.der());
        let end = EndEntityCert::try_from(&end).unwrap();
        end.verify_is_valid_for_subject_name(&ServerName::try_from("a.example.com").unwrap())
            .unwrap();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now().as_second() as u64 + 60));

        let mut revoked = RevokedEntries::new();
        let (clear, top) = (crl(&low, &revoked, None), crl(&root, &revoked, None));
        revoked.push(leaf.serial(), now());
        let listed = crl(&low, &revoked, None);
        for (list, good) in [(&clear, true), (&listed, false)] {
            let lists = [list, &top].map(|one| {
                CertRevocationList::from(BorrowedCertRevocationList::from_der(one.der()).unwrap())
            });
            let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
            let revocation = RevocationOptionsBuilder::new(&lists)
                .unwrap()
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build();
            let verified = end.verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                std::slice::from_ref(&anchor),
                &middle,
                time,
                WebpkiUsage::client_auth(),
                Some(revocation),
                None,
            );
            let expected = if good {
                None
            } else {
                Some(webpki::Error::CertRevoked)
            };
            assert_eq!(verified.err(), expected, "{kind} {bits}");
        }
        let delta =
            CertificateRevocationListDer::from(crl(&low, &revoked, Some(299)).der().to_vec());
        assert!(
            BorrowedCertRevocationList::from_der(&delta).is_err(),
            "webpki must notice the critical delta indicator"
        );
    }
}

#[test]
fn x509_parser_reads_the_same_values() {
    let (_, low, leaf) = chain("ec", 256);
    let (rest, parsed) = X509Certificate::from_der(leaf.der()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(parsed.raw_serial_as_string(), leaf.serial().colon());
    assert_eq!(parsed.subject().to_string(), "CN=a.example.com");
    assert_eq!(parsed.issuer().as_raw(), low.certificate.subject().der());
    assert_eq!(
        parsed.validity().not_before.timestamp(),
        leaf.not_before().as_second()
    );
    assert_eq!(
        parsed.validity().not_after.timestamp(),
        leaf.not_after().as_second()
    );
    assert_eq!(parsed.public_key().raw, leaf.public_key().spki_der());
    let usage = parsed.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature() && usage.value.key_agreement());
    assert!(!usage.value.key_cert_sign() && !usage.value.key_encipherment());
    let purposes = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.code_signing);
    let names = &parsed
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names;
    assert_eq!(*names, [GeneralName::DNSName("a.example.com")]);
    let (_, middle) = X509Certificate::from_der(low.certificate.der()).unwrap();
    assert!(middle.basic_constraints().unwrap().unwrap().value.ca);
}

#[test]
fn openssl_reads_private_keys_and_we_read_its_own() {
    for (kind, bits) in KINDS {
        let own = key(kind, bits);
        for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
            let pem = own.to_pem(encoding).unwrap();
            let public = openssl(&["pkey", "-pubout"], pem.expose().as_bytes());
            assert_eq!(
                public,
                own.public_key().to_pem().as_bytes(),
                "{kind} {bits} {encoding:?}"
            );
        }
    }
    let generated: [&[&str]; 6] = [
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ],
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ],
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-384",
        ],
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-521",
        ],
        &["genpkey", "-algorithm", "ED25519"],
        &["ecparam", "-genkey", "-name", "secp384r1"],
    ];
    for arguments in generated {
        let pem = openssl(arguments, b"");
        let key = PrivateKey::from_pem(&pem).unwrap();
        let public = openssl(&["pkey", "-pubout"], &pem);
        assert_eq!(
            public,
            key.public_key().to_pem().as_bytes(),
            "{arguments:?}"
        );
    }
    let unusable: [&[&str]; 2] = [
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:secp256k1",
        ],
        &["genpkey", "-algorithm", "ED448"],
    ];
    for arguments in unusable {
        let refused = PrivateKey::from_pem(&openssl(arguments, b"")).unwrap_err();
        assert!(matches!(refused, crate::Error::PrivateKey(_)), "{refused}");
    }
}

#[test]
fn openssl_accepts_requests() {
    for (kind, bits) in KINDS {
        let key = key(kind, bits);
        let names = GeneralNames {
            dns: vec!["a.example.com".to_owned()],
            ..GeneralNames::default()
        };
        let extensions = [Extension::basic_constraints(true, None)];
        let subject = Subject::common_name("a.example.com").to_name();
        let csr = Csr::build(subject, &names, &extensions, algorithm(&key), &key).unwrap();
        let text = openssl(&["req", "-verify", "-noout", "-text"], csr.pem().as_bytes());
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains("DNS:a.example.com") && text.contains("CA:TRUE"),
            "{text}"
        );
        let (_, parsed) = X509CertificationRequest::from_der(csr.der()).unwrap();
        assert_eq!(
            parsed.certification_request_info.subject.to_string(),
            "CN=a.example.com"
        );
    }
}

/// A request's key is what its public key says, whatever hash or padding its signature uses.
#[test]
fn requests_of_openssl_are_verified_by_their_own_key() {
    let cases: [(&[&str], &[&str], KeyType, u32); 8] = [
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &["-sha256"],
            KeyType::Ec,
            256,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &["-sha384"],
            KeyType::Ec,
            256,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            &["-sha512"],
            KeyType::Ec,
            256,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            &["-sha256"],
            KeyType::Ec,
            384,
        ),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            &["-sha384"],
            KeyType::Ec,
            521,
        ),
        (&["-algorithm", "ED25519"], &[], KeyType::Ed25519, 256),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            &["-sha512"],
            KeyType::Rsa,
            2048,
        ),
        (
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            &[
                "-sha384",
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:digest",
            ],
            KeyType::Rsa,
            2048,
        ),
    ];
    for (generate, sign, kind, bits) in cases {
        let pem = openssl(&[&["genpkey"], generate].concat(), b"");
        let key_file = file(&pem);
        let fixed = [
            "req",
            "-new",
            "-subj",
            "/CN=a.example.com",
            "-addext",
            "subjectAltName=DNS:a.example.com",
            "-key",
            key_file.path().to_str().unwrap(),
        ];
        let request = openssl(&[&fixed[..], sign].concat(), b"");
        let csr = Csr::from_pem(&request).unwrap();
        csr.verify().unwrap();
        assert_eq!(
            (csr.public_key().key_type(), csr.public_key().bits()),
            (kind, bits),
            "{generate:?} {sign:?}"
        );
        assert_eq!(csr.subject_alt_names().dns, ["a.example.com"]);

        let mut broken = csr.der().to_vec();
        *broken.last_mut().unwrap() ^= 1;
        let refused = Csr::from_der(&broken).unwrap().verify();
        assert_eq!(refused, Err(crate::Error::RequestSignature));
    }
}

#[test]
fn openssl_accepts_revocation_lists() {
    for (kind, bits) in KINDS {
        let authority = root("root.example", kind, bits);
        let mut entries = RevokedEntries::new();
        for count in [0, 1, 500] {
            while entries.len() < count {
                entries.push(&SerialNumber::random().unwrap(), now());
            }
            let list = crl(&authority, &entries, None);
            assert_eq!(list.entries().count(), count);
            let anchor = file(authority.certificate.pem().as_bytes());
            let arguments = [
                "crl",
                "-noout",
                "-text",
                "-CAfile",
                anchor.path().to_str().unwrap(),
            ];
            let (good, text, errors) = openssl_status(&arguments, list.pem().as_bytes());
            assert!(
                good && errors.contains("verify OK"),
                "{kind} {bits}: {errors}"
            );
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.matches("Serial Number:").count(), count);
            assert!(
                text.contains("X509v3 CRL Number: \n                300"),
                "{text}"
            );
        }
    }
}

#[test]
fn openssl_knows_our_delta_lists() {
    let authority = root("root.example", "ec", 256);
    let list = crl(&authority, &RevokedEntries::new(), Some(299));
    let text =
        String::from_utf8(openssl(&["crl", "-noout", "-text"], list.pem().as_bytes())).unwrap();
    assert!(
        text.contains("Delta CRL Indicator: critical\n                299"),
        "{text}"
    );
    assert!(
        !text.contains("Freshest CRL"),
        "a delta list names no other delta list"
    );
}

#[test]
fn times_past_2049_and_without_end_are_read_by_others() {
    let authority = root("root.example", "ec", 256);
    for (end, shown) in [
        (
            "2050-01-01T00:00:00Z".parse().unwrap(),
            "Jan  1 00:00:00 2050 GMT",
        ),
        (crate::FOREVER, "Dec 31 23:59:59 9999 GMT"),
    ] {
        let template = Template {
            not_after: end,
            ..template("x", authority.key.public_key(), Vec::new())
        };
        let prepared = template
            .prepare(authority.certificate.subject(), algorithm(&authority.key))
            .unwrap();
        let certificate = prepared.sign(&authority.key).unwrap();
        let text = openssl(
            &["x509", "-noout", "-enddate"],
            certificate.pem().as_bytes(),
        );
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!("notAfter={shown}\n")
        );
        assert_eq!(certificate.not_after(), end);
    }
}
