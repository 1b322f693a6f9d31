use jiff::ToSpan;
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::testing::{self, Authority};

fn template(issuer: &Authority) -> CrlTemplate {
    CrlTemplate {
        issuer: issuer.certificate.subject().clone(),
        authority_key_id: issuer.certificate.ski().unwrap().to_vec(),
        number: 42,
        this_update: testing::now(),
        next_update: testing::now().checked_add(72.hours()).unwrap(),
        delta_base: None,
        freshest: Vec::new(),
        more: Vec::new(),
    }
}

fn signed(issuer: &Authority, entries: &RevokedEntries) -> Crl {
    template(issuer)
        .prepare(entries.clone(), testing::algorithm(&issuer.key))
        .sign(&issuer.key)
        .unwrap()
}

#[test]
fn a_list_is_found_in_and_verified() {
    let (issuer, other) = (
        testing::root("root.example", "ec", 256),
        testing::root("root.example", "ec", 256),
    );
    let mut entries = RevokedEntries::new();
    let serials: Vec<SerialNumber> = (0..300).map(|_| SerialNumber::random().unwrap()).collect();
    serials
        .iter()
        .for_each(|serial| entries.push(serial, testing::now()));
    assert_eq!(entries.len(), 300);
    let list = Crl::from_pem(signed(&issuer, &entries).pem().as_bytes()).unwrap();
    list.verify(&issuer.certificate).unwrap();
    assert_eq!(
        list.verify(&other.certificate),
        Err(Error::BadSignature),
        "same name, other key"
    );
    let read: Vec<SerialNumber> = list.entries().map(|entry| entry.serial).collect();
    assert_eq!(read, serials);
    let found = list.find(&serials[299]).unwrap();
    assert_eq!((found.revoked_at, found.reason), (testing::now(), None));
    assert!(list.find(&SerialNumber::random().unwrap()).is_none());
    assert_eq!(
        (list.number(), list.is_delta(), list.aki()),
        (Some(42), false, issuer.certificate.ski())
    );
    assert_eq!(
        list.next_update(),
        testing::now().checked_add(72.hours()).ok()
    );
}

#[test]
fn entries_of_another_list_are_copied_with_their_extensions() {
    let issuer = testing::root("root.example", "ec", 256);
    let with_reason = asn1::encode(|w| {
        w.sequence(|w| {
            w.number(5);
            w.time(testing::now());
            let reason = Extension {
                oid: ext::id::REASON_CODE,
                critical: false,
                value: vec![asn1::ENUMERATED, 1, 4],
            };
            Extension::write_list(w, &[reason]);
        });
    });
    let original = asn1::decode(&with_reason, |r| Row::read(r).map(Row::entry)).unwrap();
    let mut entries = RevokedEntries::new();
    entries.push_encoded(&original);
    let list = signed(&issuer, &entries);
    let copied = list.entries().next().unwrap();
    assert_eq!((copied.reason, copied.der), (Some(4), &with_reason[..]));
    let mut both = entries.clone();
    both.append(&entries);
    assert_eq!(signed(&issuer, &both).entries().count(), 2);
}

#[test]
fn a_delta_list_names_its_base_and_no_other_delta() {
    let issuer = testing::root("root.example", "ec", 256);
    let freshest = vec!["http://crl.example/delta".to_owned()];
    let complete = CrlTemplate {
        freshest,
        ..template(&issuer)
    };
    let delta = CrlTemplate {
        delta_base: Some(41),
        ..complete.clone()
    };
    let algorithm = testing::algorithm(&issuer.key);
    let make = |template: &CrlTemplate| {
        template
            .prepare(RevokedEntries::new(), algorithm)
            .sign(&issuer.key)
            .unwrap()
    };
    let (complete, delta) = (make(&complete), make(&delta));
    assert!(
        complete
            .extension(&ext::id::FRESHEST_CRL)
            .is_some_and(|one| !one.critical)
    );
    assert_eq!((complete.is_delta(), complete.delta_base()), (false, None));
    assert!(
        delta
            .extension(&ext::id::DELTA_CRL_INDICATOR)
            .is_some_and(|one| one.critical)
    );
    assert_eq!((delta.is_delta(), delta.delta_base()), (true, Some(41)));
    assert!(delta.extension(&ext::id::FRESHEST_CRL).is_none());
}

#[test]
fn a_certificate_without_crl_signing_verifies_no_list() {
    let issuer = testing::root("root.example", "ec", 256);
    let leaf = testing::leaf(&issuer, "root.example", issuer.key.public_key());
    let list = signed(&issuer, &RevokedEntries::new());
    assert_eq!(list.verify(&leaf), Err(Error::IssuerNotAllowed));
}

#[test]
fn a_reason_is_an_extension_of_the_entry_that_nobody_must_know() {
    let issuer = testing::root("root.example", "ec", 256);
    let serial = SerialNumber::from_bytes(&[7]);
    for reason in Reason::ALL {
        let mut entries = RevokedEntries::new();
        entries.push_because(&serial, testing::now(), Some(reason));
        let list = signed(&issuer, &entries);
        assert_eq!(list.find(&serial).unwrap().reason, Some(reason.code()));
        let (_, read) =
            x509_parser::revocation_list::CertificateRevocationList::from_der(list.der()).unwrap();
        let entry = read.iter_revoked_certificates().next().unwrap();
        let (critical, code) = entry.reason_code().unwrap();
        assert_eq!((critical, code.0), (false, reason.code()));
    }
    let (mut with, mut without) = (RevokedEntries::new(), RevokedEntries::new());
    with.push_because(&serial, testing::now(), None);
    without.push(&serial, testing::now());
    assert_eq!(with, without);
}
