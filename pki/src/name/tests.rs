use super::*;

#[test]
fn attributes_come_in_the_order_of_the_built_in_engine() {
    let one = |text: &str| vec![text.to_owned()];
    let subject = Subject {
        common_name: "cn".to_owned(),
        attributes: Attributes {
            ou: one("ou"),
            organization: one("o"),
            country: one("DE"),
            locality: one("l"),
            province: one("st"),
            street_address: one("street"),
            postal_code: one("1"),
        },
        serial_number: "sn".to_owned(),
        user_ids: vec!["a".to_owned(), "b".to_owned()],
    };
    let name = subject.to_name();
    let order: Vec<String> = name
        .rdns()
        .iter()
        .map(|rdn| rdn[0].oid.to_string())
        .collect();
    assert_eq!(
        order,
        [
            "2.5.4.6",
            "2.5.4.8",
            "2.5.4.7",
            "2.5.4.9",
            "2.5.4.17",
            "2.5.4.10",
            "2.5.4.11",
            "2.5.4.3",
            "2.5.4.5",
            "0.9.2342.19200300.100.1.1",
            "0.9.2342.19200300.100.1.1",
        ]
    );
    assert_eq!(Subject::from_name(&name), subject);
    assert_eq!(Name::from_der(name.der()).unwrap(), name);
}

#[test]
fn several_values_share_one_set_in_the_order_of_their_encoding() {
    let values = ["bb", "a", "ä", "c"].map(str::to_owned).to_vec();
    let name = Subject {
        attributes: Attributes {
            ou: values,
            ..Attributes::default()
        },
        ..Subject::default()
    }
    .to_name();
    let rdns = name.rdns();
    assert_eq!(rdns.len(), 1);
    let read: Vec<&str> = rdns[0].iter().map(|one| one.value.as_str()).collect();
    assert_eq!(
        read,
        ["a", "c", "ä", "bb"],
        "shorter encodings and lower tags go first"
    );
}

#[test]
fn text_is_printable_only_where_the_standard_allows_it() {
    for text in ["", "Az09 '()+,-./:=?"] {
        assert_eq!(string_tag(text), asn1::PRINTABLE_STRING, "{text}");
    }
    for text in ["*", "&", "a_b", "u@x", "ü", "a\0", "\n"] {
        assert_eq!(string_tag(text), asn1::UTF8_STRING, "{text}");
    }
}

#[test]
fn names_print_last_part_first_and_escaped() {
    let subject = Subject {
        common_name: " a, b+c ".to_owned(),
        attributes: Attributes {
            organization: vec!["#x".to_owned(), "y;z".to_owned()],
            ..Attributes::default()
        },
        ..Subject::default()
    };
    assert_eq!(
        subject.to_name().to_string(),
        r"CN=\ a\, b\+c\ ,O=\#x+O=y\;z"
    );
    assert!(Subject::default().to_name().is_empty());
    assert_eq!(Name::empty(), Subject::default().to_name());
    assert_eq!(Name::empty().to_string(), "");
}

/// A name of one attribute, encoded as told.
fn common_name(tag: u8, content: &[u8]) -> Vec<u8> {
    asn1::encode(|w| {
        w.sequence(|w| {
            w.nested(asn1::SET, |w| {
                w.sequence(|w| {
                    w.oid(&attribute::COMMON_NAME);
                    w.tlv(tag, content);
                });
            });
        });
    })
}

#[test]
fn old_string_types_are_read() {
    let with = |tag: u8, content: &[u8]| {
        let name = Name::from_der(&common_name(tag, content));
        name.unwrap().common_name().unwrap()
    };
    assert_eq!(with(BMP_STRING, &[0, b'a', 0x20, 0xac]), "a€");
    assert_eq!(with(TELETEX_STRING, b"caf\xe9"), "café");
    assert_eq!(with(NUMERIC_STRING, b"12"), "12");
    assert_eq!(with(asn1::INTEGER, &[5]), "#020105");
}

#[test]
fn what_its_string_type_does_not_have_is_refused() {
    for (tag, content) in [
        (asn1::UTF8_STRING, &b"\xff"[..]),
        (asn1::PRINTABLE_STRING, b"caf\xe9"),
        (asn1::IA5_STRING, "é".as_bytes()),
        (BMP_STRING, &[0]),
    ] {
        assert!(Name::from_der(&common_name(tag, content)).is_err(), "{tag}");
    }
}

#[test]
fn what_is_no_name_is_refused() {
    for der in [
        &[][..],
        &[0x31, 0],
        &[0x30, 1],
        &[0x30, 2, 0x30, 0],
        &[0x30, 4, 0x31, 2, 0x30, 0],
        &[0x30, 0, 0],
    ] {
        assert!(Name::from_der(der).is_err(), "{der:02x?}");
    }
}
