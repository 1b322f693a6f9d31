use super::*;

fn csr_subject() -> Subject {
    Subject {
        common_name: "csr.example.com".into(),
        attributes: Attributes {
            organization: list(&["Evil"]),
            ou: list(&["x"]),
            ..Attributes::default()
        },
        serial_number: "99".into(),
        user_ids: list(&["bob"]),
    }
}

fn csr_names() -> GeneralNames {
    GeneralNames {
        dns: list(&["z.example.com", "a.example.com", "z.example.com"]),
        emails: list(&["z@x.com", "a@x.com"]),
        ips: vec!["1.2.3.4".parse().unwrap(), "1.2.3.4".parse().unwrap()],
        uris: list(&["http://a/b"]),
        other: vec![OtherName {
            oid: Oid::new_unwrap("1.2.3"),
            value: "hi".into(),
        }],
        rest: Vec::new(),
    }
}

/// What `sign` takes from a CSR and what from the request (OpenBao 2.7.2, row by row).
#[test]
fn names_of_a_csr() {
    let bench = Bench::new();
    let asked = [
        Extension::basic_constraints(true, None),
        Extension::key_usage(KeyUsage::CERT_SIGN),
    ];
    let csr = bench.csr(&csr_subject(), &csr_names(), &asked);
    let (ips, uris, others, ids) = (
        list(&["9.9.9.9"]),
        list(&["http://q"]),
        list(&["1.2.9;utf8:api"]),
        list(&["alice"]),
    );
    let bare = LeafRequest {
        holder: Holder::Csr(&csr),
        ..bench.request()
    };
    let full = LeafRequest {
        common_name: "api.com",
        alt_names: "alt.com",
        ip_sans: &ips,
        uri_sans: &uris,
        other_sans: &others,
        serial_number: "7",
        user_ids: &ids,
        ..bare
    };
    let api = Settings {
        use_csr_common_name: false,
        use_csr_sans: false,
        ..open()
    };
    let all = "1.2.3;hi, DNS:z.example.com, DNS:a.example.com, DNS:csr.example.com, email:a@x.com, email:z@x.com, IP:1.2.3.4, IP:1.2.3.4, URI:http://a/b";
    for (settings, request, subject, want, count) in [
        (
            &open(),
            bare,
            "0.9.2342.19200300.100.1.1=bob,SERIALNUMBER=99,CN=csr.example.com",
            all.to_owned(),
            1,
        ),
        (
            &open(),
            full,
            "0.9.2342.19200300.100.1.1=alice,SERIALNUMBER=7,CN=csr.example.com",
            format!("1.2.9;api, {all}"),
            3,
        ),
        (
            &open(),
            LeafRequest {
                exclude_cn_from_sans: true,
                ..bare
            },
            "0.9.2342.19200300.100.1.1=bob,SERIALNUMBER=99,CN=csr.example.com",
            all.replace("DNS:csr.example.com, ", ""),
            1,
        ),
        (
            &api,
            LeafRequest {
                serial_number: "",
                user_ids: &[],
                ..full
            },
            "0.9.2342.19200300.100.1.1=bob,SERIALNUMBER=99,CN=api.com",
            "1.2.9;api, DNS:api.com, DNS:alt.com, IP:9.9.9.9, URI:http://q".into(),
            1,
        ),
    ] {
        let (certificate, warnings) = bench.issue(settings, &request).unwrap();
        assert_eq!(names(&certificate), want);
        let text = certificate
            .subject()
            .to_string()
            .replace("UID=", "0.9.2342.19200300.100.1.1=");
        assert_eq!(text, subject);
        assert_eq!(warnings.len(), count, "{warnings:?}");
        assert_eq!(warnings[count - 1], BASIC_CONSTRAINTS_IGNORED);
        assert!(!certificate.is_ca());
        assert_eq!(certificate.key_usage(), Some(usage()));
    }
    let (_, warnings) = bench.issue(&open(), &full).unwrap();
    assert_eq!(warnings[..2], [CN_IGNORED, ALT_NAMES_IGNORED]);
    assert!(
        bench
            .issue(&api, &bare)
            .unwrap_err()
            .starts_with("the common_name field is required")
    );
    let bc = Settings {
        basic_constraints_valid_for_non_ca: true,
        ..open()
    };
    let (certificate, warnings) = bench.issue(&bc, &bare).unwrap();
    assert_eq!(warnings, [] as [&str; 0]);
    assert_eq!(certificate.basic_constraints().map(|bc| bc.ca), Some(false));
}

fn usage() -> KeyUsage {
    KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_AGREEMENT | KeyUsage::KEY_ENCIPHERMENT
}

#[test]
fn a_common_name_of_the_request_stands_in_for_a_missing_one() {
    let bench = Bench::new();
    let names_of_csr = GeneralNames {
        dns: list(&["only.example.com"]),
        ..GeneralNames::default()
    };
    let csr = bench.csr(&Subject::default(), &names_of_csr, &[]);
    let request = LeafRequest {
        holder: Holder::Csr(&csr),
        ..bench.request()
    };
    assert!(bench.issue(&open(), &request).is_err());
    let (certificate, warnings) = bench
        .issue(
            &open(),
            &LeafRequest {
                common_name: "api.com",
                ..request
            },
        )
        .unwrap();
    assert_eq!(names(&certificate), "DNS:only.example.com, DNS:api.com");
    assert_eq!(warnings, [CN_IGNORED]);
    // Without any subject the alternative name is critical, with other names in it too.
    let free = Settings {
        require_cn: false,
        ..open()
    };
    let others = list(&["1.2.3;utf8:hi"]);
    for request in [
        request,
        LeafRequest {
            other_sans: &others,
            ..request
        },
    ] {
        let (certificate, _) = bench.issue(&free, &request).unwrap();
        assert!(certificate.subject().is_empty());
        assert!(
            certificate
                .extension(&id::SUBJECT_ALT_NAME)
                .unwrap()
                .critical
        );
    }
    // Neither subject nor names: nothing is left to certify.
    let empty = bench.csr(&Subject::default(), &GeneralNames::default(), &[]);
    let request = LeafRequest {
        holder: Holder::Csr(&empty),
        ..request
    };
    let (_, warnings) = bench.issue(&free, &request).unwrap();
    assert!(warnings.iter().any(|one| one.contains("rfc5280-4.1.2.6")));
}

/// Texts of OpenBao 2.7.2; from a CSR malformed names are refused, not dropped.
#[test]
fn refusals_of_a_csr() {
    let bench = Bench::new();
    let subject = Subject::common_name("x.example.com");
    let dns = |name: &str| GeneralNames {
        dns: list(&[name]),
        ..GeneralNames::default()
    };
    let ip = |ip: &str| GeneralNames {
        ips: vec![ip.parse().unwrap()],
        ..GeneralNames::default()
    };
    let uri = |uri: &str| GeneralNames {
        uris: list(&[uri]),
        ..GeneralNames::default()
    };
    let mail = |mail: &str| GeneralNames {
        emails: list(&[mail]),
        ..GeneralNames::default()
    };
    let other = |oid: &str, value: &str| GeneralNames {
        other: vec![OtherName {
            oid: Oid::new_unwrap(oid),
            value: value.into(),
        }],
        ..GeneralNames::default()
    };
    // An otherName with an INTEGER inside.
    let odd = GeneralNames {
        rest: vec![vec![0xa0, 9, 6, 2, 0x2a, 3, 0xa0, 3, 2, 1, 5]],
        ..GeneralNames::default()
    };
    let strict = Settings {
        allowed_ip_sans_cidr: list(&["10.0.0.0/8"]),
        allowed_uri_sans: list(&["spiffe://*"]),
        allowed_other_sans: list(&["1.2.3;utf8:a"]),
        ..open()
    };
    let closed = Settings {
        allow_ip_sans: false,
        allowed_uri_sans: Vec::new(),
        ..open()
    };
    for (settings, names, want) in [
        (
            &open(),
            dns("a_b.example.com"),
            "subject alternate name a_b.example.com not allowed by this role",
        ),
        (
            &open(),
            dns("-a.example.com"),
            "subject alternate name -a.example.com not allowed by this role",
        ),
        (
            &open(),
            dns("a.example.com."),
            "subject alternate name a.example.com. not allowed by this role",
        ),
        (
            &open(),
            ip("::ffff:1.2.3.4"),
            "certificate request could not be parsed: x509: SAN iPAddress contains IPv4-mapped IPv6 address",
        ),
        (
            &closed,
            ip("1.2.3.4"),
            "IP Subject Alternative Names are not allowed in this role, but was provided via CSR",
        ),
        (
            &closed,
            uri("http://x"),
            "URI Subject Alternative Names are not allowed in this role, but were provided via CSR",
        ),
        (
            &strict,
            ip("11.2.3.4"),
            "the IP address \"11.2.3.4\" is not allowed in this role",
        ),
        (
            &strict,
            uri("http://x"),
            "URI Subject Alternative Names were provided via CSR which are not valid for this role",
        ),
        (
            &strict,
            other("1.2.4", "hi"),
            "other SAN OID 1.2.4 not allowed by this role",
        ),
        (
            &strict,
            other("1.2.3", "hi"),
            "other SAN hi not allowed for OID 1.2.3 by this role",
        ),
        (
            &open(),
            odd,
            "could not parse requested other SAN: no UTF-8 string found in OtherName",
        ),
        // Accepted by the built-in engine, and no names of their kinds.
        (
            &open(),
            mail("foo"),
            "email address foo not allowed by this role",
        ),
        (
            &open(),
            mail("u@"),
            "email address u@ not allowed by this role",
        ),
        (
            &open(),
            dns("u@example.com"),
            "subject alternate name u@example.com not allowed by this role",
        ),
        (
            &open(),
            dns("*."),
            "subject alternate name *. not allowed by this role",
        ),
    ] {
        let csr = bench.csr(&subject, &names, &[]);
        let request = LeafRequest {
            holder: Holder::Csr(&csr),
            ..bench.request()
        };
        assert_eq!(bench.issue(settings, &request).unwrap_err(), want);
    }
    // Names of other kinds are left out, as there, and said so.
    let directory = GeneralNames {
        rest: vec![vec![0xa4, 2, 0x30, 0]],
        ..dns("a.example.com")
    };
    let csr = bench.csr(&subject, &directory, &[]);
    let request = LeafRequest {
        holder: Holder::Csr(&csr),
        ..bench.request()
    };
    let (certificate, warnings) = bench.issue(&open(), &request).unwrap();
    assert_eq!(names(&certificate), "DNS:a.example.com, DNS:x.example.com");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn reading_a_csr() {
    for (text, want) in [("", "\"csr\" is empty"), ("zz", "csr contains no data")] {
        assert_eq!(read_csr(text).unwrap_err().to_string(), want);
    }
    let broken = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n";
    let text = read_csr(broken).unwrap_err().to_string();
    assert!(
        text.starts_with("certificate request could not be parsed: "),
        "{text}"
    );
}

/// Key types and sizes (OpenBao 2.7.2).
#[test]
fn keys_of_a_csr() {
    let role = |key_type: &str, key_bits| {
        Profile::new(Settings {
            key_type: key_type.into(),
            key_bits,
            ..open()
        })
        .unwrap()
    };
    let key = |kind: &str, bits| PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap();
    let (p256, p384, ed) = (key("ec", 256), key("ec", 384), key("ed25519", 0));
    let (rsa, ml) = (key("rsa", 2048), key("mldsa", 65));
    for (profile, key, want) in [
        (
            role("rsa", 3072),
            &rsa,
            Some("role requires a minimum of a 3072-bit key, but CSR's key is 2048 bits"),
        ),
        (role("rsa", 2048), &rsa, None),
        (role("any", 0), &rsa, None),
        (role("ec", 384), &rsa, Some("role requires keys of type ec")),
        (
            role("ed25519", 0),
            &rsa,
            Some("role requires keys of type ed25519"),
        ),
        (
            role("rsa", 2048),
            &p256,
            Some("role requires keys of type rsa"),
        ),
        (role("any", 7), &p256, None),
        (
            role("ec", 384),
            &p256,
            Some("role requires a minimum of a 384-bit key, but CSR's key is 256 bits"),
        ),
        (role("ec", 224), &p256, None),
        (role("ec", 384), &p384, None),
        (role("ed25519", 7), &ed, None),
        (role("any", 0), &ed, None),
        (role("ec", 256), &ed, Some("role requires keys of type ec")),
        (role("mldsa", 44), &ml, None),
        (role("mldsa", 65), &ml, None),
        (role("any", 0), &ml, None),
        (
            role("mldsa", 87),
            &ml,
            Some("role requires a minimum of a 87-bit key, but CSR's key is 65 bits"),
        ),
        (
            role("mldsa", 44),
            &ed,
            Some("role requires keys of type mldsa"),
        ),
        (
            role("ed25519", 0),
            &ml,
            Some("role requires keys of type ed25519"),
        ),
    ] {
        let got = check_csr_key(&profile, key.public_key())
            .err()
            .map(|e| e.to_string());
        assert_eq!(got.as_deref(), want);
    }
}

#[test]
fn a_csr_signed_by_another_key_is_refused() {
    let bench = Bench::new();
    let csr = bench.csr(
        &Subject::common_name("x.example.com"),
        &GeneralNames::default(),
        &[],
    );
    let mut der = csr.der().to_vec();
    let at = der.windows(13).position(|w| w == b"x.example.com").unwrap();
    der[at] = b'y';
    let forged = Csr::from_der(&der).unwrap();
    let request = LeafRequest {
        holder: Holder::Csr(&forged),
        ..bench.request()
    };
    assert_eq!(
        bench.issue(&open(), &request).unwrap_err(),
        "request signature invalid"
    );
}

/// Only other tools make such keys.
#[test]
fn short_rsa_keys() {
    let bench = Bench::new();
    let text = include_str!("../../../tests/data/csr-rsa-1024.pem");
    let csr = read_csr(text).unwrap();
    let request = LeafRequest {
        holder: Holder::Csr(&csr),
        ..bench.request()
    };
    for (key_type, key_bits, want) in [
        (
            "any",
            0,
            "RSA keys < 2048 bits are unsafe and not supported",
        ),
        (
            "rsa",
            2048,
            "role requires a minimum of a 2048-bit key, but CSR's key is 1024 bits",
        ),
        (
            "rsa",
            3072,
            "role requires a minimum of a 3072-bit key, but CSR's key is 1024 bits",
        ),
        ("ec", 256, "role requires keys of type ec"),
    ] {
        let settings = Settings {
            key_type: key_type.into(),
            key_bits,
            ..open()
        };
        assert_eq!(bench.issue(&settings, &request).unwrap_err(), want);
    }
}
