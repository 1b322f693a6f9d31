use jiff::ToSpan;
use proptest::prelude::*;

use super::*;
use crate::testing::{self, Authority, openssl, openssl_status};

const SHA1: Oid = HASHES[0].1;

/// A request for a certificate of a CA.
pub(crate) fn request(ca: &Certificate, serial: &[u8]) -> Vec<u8> {
    requests(ca, &SHA1, &[serial])
}

/// Builds the answer to a request that was read from anywhere, which has to be well formed.
pub(crate) fn answer_to(request: &OcspRequest) {
    static CA: std::sync::LazyLock<Authority> =
        std::sync::LazyLock::new(|| testing::root("ca.example", "ec", 256));
    let der = answer(&CA, request, CertStatus::Unknown);
    let body = asn1::decode(&der, |r| asn1::value(r, asn1::SEQUENCE)).unwrap();
    let basic = asn1::decode(body, |r| {
        assert_eq!(asn1::value(r, asn1::ENUMERATED)?, [SUCCESSFUL]);
        asn1::value(r, asn1::context_constructed(0))
    });
    assert!(basic.is_ok_and(|basic| basic.len() > request.serial.len()));
    let _ = (request.serial(), request.is_about(&CA.certificate));
}

/// A request for several certificates of one CA, as clients encode it.
fn requests(ca: &Certificate, oid: &Oid, serials: &[&[u8]]) -> Vec<u8> {
    let hash = hash_of(oid).unwrap_or(CertIdHash::Sha1);
    let (name, key) = hashes(hash, ca);
    encoded(oid, &name, &key, serials)
}

fn encoded(oid: &Oid, name: &[u8], key: &[u8], serials: &[&[u8]]) -> Vec<u8> {
    let one = |w: &mut Writer, serial: &[u8]| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.oid(oid);
                    w.tlv(asn1::NULL, &[]);
                });
                w.octet_string(name);
                w.octet_string(key);
                w.tlv(asn1::INTEGER, serial);
            });
        });
    };
    asn1::encode(|w| {
        w.sequence(|w| {
            w.sequence(|w| w.sequence(|w| serials.iter().for_each(|serial| one(w, serial))))
        })
    })
}

/// What openssl asks about a certificate, with more of its arguments.
fn asked(issuer: &Certificate, cert: &Certificate, more: &[&str]) -> Vec<u8> {
    let files = [issuer, cert].map(|one| testing::file(one.pem().as_bytes()));
    let [issuer, cert] = [0, 1].map(|at: usize| files[at].path().to_str().unwrap());
    let mut arguments = vec!["ocsp"];
    arguments.extend(more);
    arguments.extend(["-issuer", issuer, "-cert", cert, "-reqout", "-"]);
    openssl(&arguments, b"")
}

fn answer(ca: &Authority, request: &OcspRequest, status: CertStatus) -> Vec<u8> {
    let now = testing::now();
    let template = OcspTemplate {
        request,
        responder: &ca.certificate,
        status,
        this_update: now,
        next_update: now.checked_add(12.hours()).ok(),
    };
    let prepared = template.prepare(without_pss(testing::algorithm(&ca.key)));
    prepared.sign(&ca.key).unwrap()
}

#[test]
fn openssl_asks_and_believes_the_answers_of_every_kind_of_key() {
    for (kind, bits) in [
        ("ec", 224),
        ("ec", 256),
        ("ec", 384),
        ("ec", 521),
        ("ed25519", 0),
        ("rsa", 2048),
    ] {
        let ca = testing::root("root.example", kind, bits);
        let leaf = testing::leaf(&ca, "a.example.com", ca.key.public_key());
        let since: Timestamp = "2026-11-22T12:00:07Z".parse().unwrap();
        for (hash, status, word) in [
            ("-sha1", CertStatus::Good, ": good"),
            ("-sha256", CertStatus::Revoked(since, None), ": revoked"),
            (
                "-sha256",
                CertStatus::Revoked(since, Some(Reason::KeyCompromise)),
                ": revoked",
            ),
            ("-sha384", CertStatus::Unknown, ": unknown"),
            ("-sha512", CertStatus::Good, ": good"),
        ] {
            let der = asked(&ca.certificate, &leaf, &[hash]);
            let request = OcspRequest::from_der(&der).unwrap();
            assert!(request.is_about(&ca.certificate), "{hash}");
            assert_eq!(request.serial().as_ref(), Some(leaf.serial()));
            let response = testing::file(&answer(&ca, &request, status));
            let files = [&ca.certificate, &leaf].map(|one| testing::file(one.pem().as_bytes()));
            let [root, cert] = [0, 1].map(|at: usize| files[at].path().to_str().unwrap());
            let respin = response.path().to_str().unwrap();
            let read = [
                "ocsp", "-respin", respin, hash, "-issuer", root, "-cert", cert,
            ];
            // Certificates and answers of these tests have a time of their own.
            let (good, said, errors) = openssl_status(
                &[
                    &read[..],
                    &[
                        "-CAfile",
                        root,
                        "-no_check_time",
                        "-validity_period",
                        "1000000000",
                    ],
                ]
                .concat(),
                b"",
            );
            let said = String::from_utf8_lossy(&said);
            assert!(
                good && errors.contains("Response verify OK"),
                "{kind}: {errors}"
            );
            assert!(said.contains(word), "{kind}: {said}");
            if word == ": revoked" {
                assert!(
                    said.contains("Revocation Time: Nov 22 12:00:07 2026 GMT"),
                    "{said}"
                );
                let told = said.contains("Reason: keyCompromise");
                let reason = matches!(status, CertStatus::Revoked(_, Some(_)));
                assert_eq!(told, reason, "{said}");
                assert_eq!(said.contains("Reason"), reason, "{said}");
            }
        }
    }
}

#[test]
fn the_first_of_several_requests_counts_and_extensions_are_passed_over() {
    let ca = testing::root("root.example", "ec", 256);
    let (one, two) = ([5_u8].as_slice(), [6_u8].as_slice());
    let read = OcspRequest::from_der(&requests(&ca.certificate, &SHA1, &[one, two])).unwrap();
    assert_eq!(
        read,
        OcspRequest::from_der(&request(&ca.certificate, one)).unwrap()
    );
    let leaf = testing::leaf(&ca, "a.example.com", ca.key.public_key());
    let plain = asked(&ca.certificate, &leaf, &["-no_nonce"]);
    let nonce = asked(&ca.certificate, &leaf, &["-nonce"]);
    assert_ne!(plain, nonce);
    assert_eq!(OcspRequest::from_der(&plain), OcspRequest::from_der(&nonce));
}

#[test]
fn another_ca_of_the_same_name_or_key_is_another_ca() {
    let ca = testing::root("root.example", "ec", 256);
    let other = testing::root("root.example", "ec", 256);
    let renamed = testing::subordinate(&ca, "renamed.example", ca.key.public_key());
    let read = OcspRequest::from_der(&request(&ca.certificate, &[5])).unwrap();
    assert!(read.is_about(&ca.certificate));
    assert!(!read.is_about(&other.certificate));
    assert!(!read.is_about(&renamed));
}

#[test]
fn what_is_no_request_is_refused() {
    let ca = testing::root("root.example", "ec", 256);
    let good = request(&ca.certificate, &[5]);
    OcspRequest::from_der(&good).unwrap();
    let trailing = [&good[..], &[0]].concat();
    let md5 = requests(
        &ca.certificate,
        &Oid::new_unwrap("1.2.840.113549.2.5"),
        &[&[5]],
    );
    let none = requests(&ca.certificate, &SHA1, &[]);
    let long = request(&ca.certificate, &[7; 2100]);
    let unsound = [&[][..], &[0, 5], &[0xff, 0x80]]
        .map(|serial| requests(&ca.certificate, &SHA1, &[&[5], serial]));
    let key = testing::file(
        ca.key
            .to_pem(crate::KeyEncoding::Pkcs8)
            .unwrap()
            .expose()
            .as_bytes(),
    );
    let signer = testing::file(ca.certificate.pem().as_bytes());
    let by = [
        "-signer",
        signer.path().to_str().unwrap(),
        "-signkey",
        key.path().to_str().unwrap(),
    ];
    // With the requester's name, which the built-in engine cannot read either.
    let signed = asked(&ca.certificate, &ca.certificate, &by);
    let [empty_serial, padded, stretched] = &unsound;
    for bad in [
        &trailing,
        &md5,
        &none,
        &long,
        empty_serial,
        padded,
        stretched,
        &signed,
        &Vec::new(),
        &b"junk".to_vec(),
    ] {
        assert!(
            matches!(OcspRequest::from_der(bad), Err(Error::Malformed { .. })),
            "{bad:02x?}"
        );
    }
}

#[test]
fn a_negative_serial_is_echoed_and_is_no_certificates() {
    let ca = testing::root("root.example", "ec", 256);
    let read = OcspRequest::from_der(&request(&ca.certificate, &[0xfb, 0x2e])).unwrap();
    assert_eq!(read.serial(), None);
    let der = answer(&ca, &read, CertStatus::Good);
    let shown = openssl(
        &[
            "ocsp",
            "-respin",
            testing::file(&der).path().to_str().unwrap(),
            "-resp_text",
            "-noverify",
        ],
        b"",
    );
    assert!(String::from_utf8_lossy(&shown).contains("Serial Number: -04D2"));
}

#[test]
fn failures_have_five_octets() {
    assert_eq!(OcspFailure::MalformedRequest.der(), [0x30, 3, 10, 1, 1]);
    assert_eq!(OcspFailure::TryLater.der(), [0x30, 3, 10, 1, 3]);
    assert_eq!(OcspFailure::Unauthorized.der(), [0x30, 3, 10, 1, 6]);
}

proptest! {
    /// Whatever hashes and serial number a client sends are told apart, and come back.
    #[test]
    fn questions_are_read_as_they_were_asked(
        name in proptest::collection::vec(any::<u8>(), 0..70),
        key in proptest::collection::vec(any::<u8>(), 0..70),
        number in 0..u64::MAX,
    ) {
        let serial = asn1::encode(|w| w.number(number));
        let der = encoded(&SHA1, &name, &key, &[&serial[2..]]);
        let read = OcspRequest::from_der(&der).unwrap();
        prop_assert_eq!(&read.name_hash, &name);
        prop_assert_eq!(&read.key_hash, &key);
        prop_assert_eq!(read.serial(), Some(SerialNumber::from_bytes(&number.to_be_bytes())));
        for end in 0..der.len() {
            prop_assert!(OcspRequest::from_der(&der[..end]).is_err());
        }
    }
}
