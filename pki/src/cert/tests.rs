use super::*;
use crate::key::{KeySpec, PrivateKey};
use crate::name::Subject;
use crate::testing;

#[test]
fn a_made_certificate_reads_back_as_it_was_made() {
    let ca = testing::root("root.example", "ec", 256);
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let leaf = testing::leaf(&ca, "a.example.com", key.public_key());
    let read = Certificate::from_der(leaf.der()).unwrap();
    assert_eq!(read, leaf);
    assert_eq!(read.tbs(), leaf.tbs());
    assert_eq!(read.signature(), leaf.signature());
    assert_eq!(read.version(), 3);
    assert_eq!(read.serial(), leaf.serial());
    assert_eq!(read.issuer(), ca.certificate.subject());
    assert_eq!(read.subject().to_string(), "CN=a.example.com");
    assert_eq!(read.public_key(), key.public_key());
    assert_eq!(read.ski(), Some(&key.public_key().ski()[..]));
    assert_eq!(read.aki(), ca.certificate.ski());
    assert_eq!(read.dns_names(), ["a.example.com"]);
    assert_eq!(
        read.signature_algorithm(),
        Ok(SignatureAlgorithm::Ecdsa(crate::Hash::Sha256))
    );
    assert!(!read.is_ca());
    read.verify_issued_by(&ca.certificate).unwrap();
    assert_eq!(Certificate::from_pem(leaf.pem().as_bytes()).unwrap(), leaf);
}

#[test]
fn the_unsigned_certificate_shows_what_will_be_signed() {
    let ca = testing::root("root.example", "ec", 256);
    let template = testing::template("x", ca.key.public_key(), Vec::new());
    let prepared = template
        .prepare(
            &Subject::common_name("i").to_name(),
            SignatureAlgorithm::Ed25519,
        )
        .unwrap();
    assert_eq!(prepared.unsigned().issuer().to_string(), "CN=i");
    assert!(prepared.unsigned().signature().is_empty());
    let tbs = prepared.tbs().to_vec();
    let finished = prepared.finish(&[7; 300]).unwrap();
    assert_eq!(finished.tbs(), tbs);
    assert_eq!(finished.signature(), [7; 300]);
    assert_eq!(
        Certificate::from_der(finished.der()).unwrap().signature(),
        [7; 300]
    );
}

#[test]
fn an_extension_given_twice_is_refused_before_signing() {
    let ca = testing::root("root.example", "ec", 256);
    let twice = vec![
        Extension::basic_constraints(false, None),
        Extension::basic_constraints(true, None),
    ];
    let template = testing::template("x", ca.key.public_key(), twice);
    assert!(
        template
            .prepare(ca.certificate.subject(), SignatureAlgorithm::Ed25519)
            .is_err()
    );
}
