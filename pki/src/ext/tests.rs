use super::*;

#[test]
fn key_usages_are_named_bits_without_trailing_zeros() {
    for (usage, der) in [
        (KeyUsage::empty(), &[3, 1, 0][..]),
        (KeyUsage::DIGITAL_SIGNATURE, &[3, 2, 7, 0x80]),
        (KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN, &[3, 2, 1, 6]),
        (KeyUsage::ENCIPHER_ONLY, &[3, 2, 0, 1]),
        (KeyUsage::DECIPHER_ONLY, &[3, 3, 7, 0, 0x80]),
    ] {
        assert_eq!(usage.to_der(), der);
        assert_eq!(KeyUsage::from_der(der).unwrap(), usage);
        assert_eq!(
            usage
                .names()
                .filter_map(KeyUsage::from_name)
                .fold(KeyUsage::empty(), |all, one| all | one),
            usage
        );
    }
}

#[test]
fn usage_names_are_read_in_any_case() {
    assert_eq!(KeyUsage::from_name(" crlsign "), Some(KeyUsage::CRL_SIGN));
    assert_eq!(KeyUsage::from_name("sign"), None);
    assert_eq!(
        ExtKeyUsage::from_name("ipsecUSER"),
        Some(ExtKeyUsage::IpsecUser)
    );
    assert_eq!(ExtKeyUsage::from_name(""), None);
    for usage in ExtKeyUsage::ALL {
        assert_eq!(ExtKeyUsage::from_oid(&usage.oid()), Some(usage));
    }
}

#[test]
fn basic_constraints_of_a_leaf_are_empty() {
    assert_eq!(
        Extension::basic_constraints(false, Some(3)).value,
        [0x30, 0]
    );
    assert_eq!(
        Extension::basic_constraints(true, None).value,
        [0x30, 3, 1, 1, 0xff]
    );
    let zero = Extension::basic_constraints(true, Some(0));
    assert_eq!(zero.value, [0x30, 6, 1, 1, 0xff, 2, 1, 0]);
    let read = BasicConstraints::from_der(&zero.value).unwrap();
    assert_eq!((read.ca, read.path_len), (true, Some(0)));
    for broken in [
        &[0x30, 3, 1, 1, 1][..],
        &[0x30, 3, 2, 1, 0x80],
        &[0x30, 7, 2, 5, 1, 0, 0, 0, 0],
        &[],
    ] {
        assert!(BasicConstraints::from_der(broken).is_err(), "{broken:02x?}");
    }
}

#[test]
fn alternative_names_of_all_kinds_survive() {
    let names = GeneralNames {
        dns: vec!["a.example.com".to_owned()],
        emails: vec!["m@example.com".to_owned()],
        ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::5".parse().unwrap()],
        uris: vec!["spiffe://x/y".to_owned()],
        other: vec![OtherName {
            oid: Oid::new_unwrap("1.2.3"),
            value: "ü".to_owned(),
        }],
        // A directoryName, an otherName that is no text, a registeredID.
        rest: vec![
            vec![0xa4, 2, 0x30, 0],
            vec![0xa0, 9, 6, 2, 0x2a, 3, 0xa0, 3, 2, 1, 5],
            vec![0x88, 2, 0x2a, 3],
        ],
    };
    assert_eq!(GeneralNames::from_der(&names.to_der()).unwrap(), names);
    assert!(GeneralNames::default().is_empty() && !names.is_empty());
    for broken in [
        &[0x30, 3, 0x82, 1, 0xff][..],
        &[0x30, 3, 0x87, 1, 1],
        &[0x30, 2, 0x82, 1],
    ] {
        assert!(GeneralNames::from_der(broken).is_err(), "{broken:02x?}");
    }
}

#[test]
fn name_constraints_keep_their_ranges() {
    let some = Subtrees {
        dns: vec![".example.com".to_owned()],
        ips: vec![
            ("10.1.0.0".parse().unwrap(), 15),
            ("2001:db8::".parse().unwrap(), 33),
            ("0.0.0.0".parse().unwrap(), 0),
        ],
        emails: vec!["example.com".to_owned()],
        uris: vec!["example.com".to_owned()],
        directories: vec![crate::Subject::common_name("a").to_name()],
    };
    let mut written = some.clone();
    written.ips[0].0 = "10.1.2.3".parse().unwrap();
    let constraints = NameConstraints {
        permitted: Subtrees::default(),
        excluded: written,
    };
    let read = NameConstraints::from_der(&constraints.to_der()).unwrap();
    assert_eq!(
        read.excluded.ips[0].0.to_string(),
        "10.0.0.0",
        "host bits are cleared"
    );
    assert_eq!(
        read.excluded
            .ips
            .iter()
            .map(|(_, prefix)| *prefix)
            .collect::<Vec<_>>(),
        [15, 33, 0]
    );
    assert_eq!(
        (&read.excluded.dns, &read.excluded.emails),
        (&some.dns, &some.emails)
    );
    assert!(read.permitted == Subtrees::default() && !read.is_empty());
    let holes = [
        0x30, 14, 0xa0, 12, 0x30, 10, 0x87, 8, 10, 0, 0, 0, 255, 0, 255, 0,
    ];
    assert!(
        NameConstraints::from_der(&holes).is_err(),
        "the mask has a hole"
    );
}

#[test]
fn an_extension_list_keeps_order_and_criticality() {
    let list = vec![
        Extension::key_usage(KeyUsage::CERT_SIGN),
        Extension::subject_key_id(&[1, 2]),
    ];
    let der = asn1::encode(|w| Extension::write_list(w, &list));
    assert_eq!(Extension::list_from_der(&der).unwrap(), list);
    let twice = asn1::encode(|w| Extension::write_list(w, &[list[0].clone(), list[0].clone()]));
    assert!(Extension::list_from_der(&twice).is_err());
}
