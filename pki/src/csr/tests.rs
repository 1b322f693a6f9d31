use super::*;
use crate::key::{KeySpec, PrivateKey};
use crate::name::Subject;
use crate::testing;
use crate::unsigned::sign_and_wrap;

fn key() -> PrivateKey {
    PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap()
}

#[test]
fn a_request_carries_what_it_was_given() {
    let key = key();
    let names = GeneralNames {
        dns: vec!["a.example.com".to_owned()],
        ..GeneralNames::default()
    };
    let constraints = Extension::basic_constraints(true, Some(1));
    let subject = Subject::common_name("a.example.com").to_name();
    let algorithm = testing::algorithm(&key);
    let csr = Csr::build(subject.clone(), &names, &[constraints], algorithm, &key).unwrap();
    let read = Csr::from_pem(csr.pem().as_bytes()).unwrap();
    read.verify().unwrap();
    assert_eq!(
        (read.subject(), read.public_key(), read.subject_alt_names()),
        (&subject, key.public_key(), &names)
    );
    let oids: Vec<Oid> = read.extensions().iter().map(|one| one.oid).collect();
    assert_eq!(
        oids,
        [ext::id::SUBJECT_ALT_NAME, ext::id::BASIC_CONSTRAINTS]
    );
    assert_eq!(read.basic_constraints().unwrap().unwrap().path_len, Some(1));
}

#[test]
fn a_request_signed_with_another_key_is_no_proof() {
    let (own, other) = (key(), key());
    let template = CsrTemplate {
        subject: Name::empty(),
        public_key: own.public_key().clone(),
        extensions: Vec::new(),
    };
    let prepared = template.prepare(testing::algorithm(&own)).unwrap();
    let signature = other.sign(prepared.algorithm(), prepared.tbs()).unwrap();
    let der = sign_and_wrap(prepared.tbs().to_vec(), prepared.algorithm(), &signature).0;
    assert_eq!(
        Csr::from_der(&der).unwrap().verify(),
        Err(Error::RequestSignature)
    );
    assert_eq!(
        prepared.finish(&signature).unwrap_err(),
        Error::RequestSignature
    );
}

#[test]
fn the_label_and_a_text_in_front_do_not_matter() {
    let key = key();
    let csr = Csr::build(
        Name::empty(),
        &GeneralNames::default(),
        &[],
        testing::algorithm(&key),
        &key,
    )
    .unwrap();
    let text = format!(
        "Subject: x\r\n{}",
        pem::encode("NEW CERTIFICATE REQUEST", csr.der()).replace('\n', "\r\n")
    );
    assert_eq!(Csr::from_pem(text.as_bytes()).unwrap().der(), csr.der());
    assert_eq!(Csr::from_pem(b"nothing").unwrap_err(), Error::Pem);
    let wrong = Csr::from_der(b"x").unwrap_err().to_string();
    assert!(
        wrong.starts_with("certificate request could not be parsed: "),
        "{wrong}"
    );
}

#[test]
fn an_extension_asked_for_twice_is_refused() {
    let key = key();
    let twice = vec![Extension::basic_constraints(true, None); 2];
    let template = CsrTemplate {
        subject: Name::empty(),
        public_key: key.public_key().clone(),
        extensions: twice,
    };
    assert!(template.prepare(testing::algorithm(&key)).is_err());
}

/// The signature only shows that who asks has the key, and devices that sign with SHA-1 are still about.
#[test]
fn signatures_over_sha1_prove_possession() {
    let request = |kind: &[&str], digest: &str| {
        let key = testing::openssl(&[&["genpkey", "-algorithm"], kind].concat(), b"");
        let key = testing::file(&key);
        let key = key.path().to_str().unwrap();
        testing::openssl(
            &["req", "-new", "-key", key, "-subj", "/CN=a.test", digest],
            b"",
        )
    };
    let p256 = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let p384 = ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let p521 = ["EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
    for kind in [&["RSA"][..], &p256, &p521] {
        let csr = Csr::from_pem(&request(kind, "-sha1")).unwrap();
        assert_eq!(csr.verify(), Ok(()), "{kind:?}");
        // A signature that is not its own is none, whatever the hash.
        let mut der = csr.der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(
            Csr::from_der(&der).unwrap().verify(),
            Err(Error::RequestSignature),
            "{kind:?}"
        );
    }
    for (kind, digest, oid) in [
        (&p384[..], "-sha1", "1.2.840.10045.4.1"),
        (&p256, "-sha224", "1.2.840.10045.4.3.1"),
        (&["RSA"], "-sha224", "1.2.840.113549.1.1.14"),
    ] {
        let csr = Csr::from_pem(&request(kind, digest)).unwrap();
        assert_eq!(csr.verify(), Err(Error::RequestAlgorithm(oid.to_owned())));
        let text = crate::Refusal::from(csr.verify().unwrap_err()).to_string();
        assert!(
            text.contains(oid) && text.contains("sign it with RSA"),
            "{text}"
        );
    }
    assert!(
        Csr::from_pem(&request(&p384, "-sha512"))
            .unwrap()
            .verify()
            .is_ok()
    );
}
