use super::*;
use crate::key::{KeySpec, PrivateKey};
use crate::name::Subject;
use crate::testing;
use crate::unsigned::sign_and_wrap;

/// A request with attributes that openssl cannot be told of; nothing looks at its signature.
fn with_attributes(attributes: &[(&str, &[u8])]) -> Csr {
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let info = asn1::encode(|w| {
        w.sequence(|w| {
            w.number(0);
            w.raw(Name::empty().der());
            w.raw(key.public_key().spki_der());
            w.nested(asn1::context_constructed(0), |w| {
                for (oid, values) in attributes {
                    w.sequence(|w| {
                        w.oid(&Oid::new_unwrap(oid));
                        w.tlv(asn1::SET, values);
                    });
                }
            });
        });
    });
    Csr::from_der(&sign_and_wrap(info, testing::algorithm(&key), b"x").0).unwrap()
}

const CHALLENGE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.7");
const CHANGE: &str = "1.3.6.1.5.5.7.7.36";

#[test]
fn an_attribute_is_found_by_its_identifier() {
    let password = asn1::encode(|w| w.tlv(asn1::UTF8_STRING, b"secret"));
    let csr = with_attributes(&[("1.2.3", &[5, 0]), ("1.2.840.113549.1.9.7", &password)]);
    assert_eq!(csr.attribute(&CHALLENGE), Some(&*password));
    assert_eq!(csr.attribute(&Oid::new_unwrap("1.2.3.4")), None);
    assert_eq!(with_attributes(&[]).attribute(&CHALLENGE), None);
}

#[test]
fn a_change_of_names_is_read_with_either_part() {
    let subject = Subject::common_name("b.example.com").to_name();
    let names = GeneralNames {
        dns: vec!["b.example.com".to_owned()],
        ..GeneralNames::default()
    };
    let written = names.to_der();
    let read = |parts: &[&[u8]]| {
        let value = asn1::encode(|w| w.sequence(|w| parts.iter().for_each(|one| w.raw(one))));
        with_attributes(&[(CHANGE, &value)]).change_subject_name()
    };
    let change = |subject: Option<&Name>, names: Option<&GeneralNames>| {
        Ok(Some(ChangeSubjectName {
            subject: subject.cloned(),
            names: names.cloned(),
        }))
    };
    assert_eq!(read(&[subject.der()]), change(Some(&subject), None));
    assert_eq!(read(&[&written]), change(None, Some(&names)));
    assert_eq!(
        read(&[subject.der(), &written]),
        change(Some(&subject), Some(&names))
    );
    assert_eq!(with_attributes(&[]).change_subject_name(), Ok(None));
    for broken in [&[][..], &[&[5, 0][..]], &[subject.der(), subject.der()]] {
        assert!(read(broken).is_err(), "{broken:02x?}");
    }
    assert!(
        with_attributes(&[(CHANGE, b"")])
            .change_subject_name()
            .is_err()
    );
}
