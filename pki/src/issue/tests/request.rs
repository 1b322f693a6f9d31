use super::*;

/// Each row was put to OpenBao 2.7.2.
#[test]
fn names_of_a_request() {
    let bench = Bench::new();
    let base = LeafRequest {
        common_name: "ok.com",
        ..bench.request()
    };
    let ips = list(&["1.2.3.4", " 1.2.3.4", "::1", "::ffff:1.2.3.4"]);
    let uris = list(&["HTTP://ex.com/ü", "spiffe://a/b", ""]);
    let others = list(&["1.2.3;utf8:a", "1.2.4;UTF-8:b"]);
    for (request, want) in [
        (base, "DNS:ok.com"),
        (
            LeafRequest {
                alt_names: "b.com,a.com,b.com,ok.com,OK.com",
                ..base
            },
            "DNS:ok.com, DNS:b.com, DNS:a.com, DNS:OK.com",
        ),
        (
            LeafRequest {
                alt_names: "a.com,,b.com",
                ..base
            },
            "DNS:ok.com, DNS:a.com, DNS:b.com",
        ),
        (
            LeafRequest {
                alt_names: " a.com,b.com ",
                ..base
            },
            "DNS:ok.com, DNS:a.com, DNS:b.com",
        ),
        (
            LeafRequest {
                alt_names: " ",
                ..base
            },
            "DNS:ok.com",
        ),
        (
            LeafRequest {
                alt_names: "z@x.com,a@x.com,z@x.com, M@x.com",
                ..base
            },
            "DNS:ok.com, email:M@x.com, email:a@x.com, email:z@x.com",
        ),
        (
            LeafRequest {
                alt_names: "*.ok.com,münchen.de",
                ..base
            },
            "DNS:ok.com, DNS:*.ok.com, DNS:xn--mnchen-3ya.de",
        ),
        (
            LeafRequest {
                common_name: "u@b",
                ..base
            },
            "email:u@b",
        ),
        (
            LeafRequest {
                common_name: "*",
                ..base
            },
            "",
        ),
        (
            LeafRequest {
                common_name: "b*z.x",
                ..base
            },
            "",
        ),
        (
            LeafRequest {
                exclude_cn_from_sans: true,
                alt_names: "a.com",
                ..base
            },
            "DNS:a.com",
        ),
        (
            LeafRequest {
                ip_sans: &ips,
                ..base
            },
            "DNS:ok.com, IP:1.2.3.4, IP:1.2.3.4, IP:::1, IP:1.2.3.4",
        ),
        (
            LeafRequest {
                uri_sans: &uris,
                ..base
            },
            "DNS:ok.com, URI:http://ex.com/%C3%BC, URI:spiffe://a/b",
        ),
        (
            LeafRequest {
                other_sans: &others,
                ..base
            },
            "1.2.3;a, 1.2.4;b, DNS:ok.com",
        ),
    ] {
        let (certificate, warnings) = bench.issue(&open(), &request).unwrap();
        assert_eq!(names(&certificate), want);
        assert_eq!(warnings, [] as [&str; 0], "{want}");
        assert_eq!(
            certificate.subject().common_name().as_deref(),
            Some(request.common_name)
        );
    }
}

/// The built-in engine drops these without a word; so do we, with one.
#[test]
fn alt_names_of_no_shape_are_left_out() {
    let bench = Bench::new();
    let request = LeafRequest {
        common_name: "ok.com",
        alt_names: "a.com, b.com,a_b.c,-a.com,b*z.x,a.*,\"q\"",
        ..bench.request()
    };
    let (certificate, warnings) = bench.issue(&open(), &request).unwrap();
    assert_eq!(names(&certificate), "DNS:ok.com, DNS:a.com");
    assert_eq!(warnings.len(), 6);
    assert_eq!(
        warnings[0],
        "alt_names: \" b.com\" is neither a host name nor a mail address and was left out"
    );
    assert_eq!(
        warnings[5],
        "alt_names: \"\\\"q\\\"\" is neither a host name nor a mail address and was left out"
    );
}

/// Texts of OpenBao 2.7.2.
#[test]
fn refusals_of_a_request() {
    let bench = Bench::new();
    let base = LeafRequest {
        common_name: "ok.com",
        ..bench.request()
    };
    let strict = Settings {
        allow_any_name: false,
        allow_bare_domains: true,
        allowed_domains: list(&["ok.com"]),
        allowed_uri_sans: list(&["spiffe://*"]),
        allowed_other_sans: list(&["1.2.3;utf8:a"]),
        allowed_ip_sans_cidr: list(&["10.0.0.0/8"]),
        ..open()
    };
    let closed = Settings {
        allow_ip_sans: false,
        allowed_uri_sans: Vec::new(),
        ..strict.clone()
    };
    let one = |text: &str| list(&[text]);
    let ip = one("11.2.3.4");
    let (bad_ip, quoted_ip, zero_ip) = (one("abc"), one("a\"b"), one("1.2.3.04"));
    let no_ip = one(" ");
    let (http, spiffe, broken) = (one("http://x"), one("spiffe://x"), one("http://a:b/"));
    let (no_semicolon, no_colon, no_utf8) = (one("1.2.3"), one("1.2.3;x"), one("1.2.3;int:5"));
    let (wrong_oid, wrong_value, odd_oid) = (
        one("1.2.4;utf8:a"),
        one("1.2.3;utf8:b"),
        one("9.2.3;utf8:a"),
    );
    let ids = one("carl");
    for (settings, request, want) in [
        (
            &open(),
            LeafRequest {
                common_name: "",
                ..base
            },
            "the common_name field is required, or must be provided in a CSR with \"use_csr_common_name\" set to true, unless \"require_cn\" is set to false",
        ),
        (
            &strict,
            LeafRequest {
                common_name: "a.com",
                ..base
            },
            "common name a.com not allowed by this role",
        ),
        (
            &strict,
            LeafRequest {
                common_name: "localhost.",
                ..base
            },
            "idna: invalid label \"localhost.\"",
        ),
        (
            &open(),
            LeafRequest {
                common_name: " ",
                ..base
            },
            "common name   not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                common_name: "u@@b",
                ..base
            },
            "common name u@@b not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                common_name: "a.*",
                ..base
            },
            "common name a.* not allowed by this role",
        ),
        (
            &strict,
            LeafRequest {
                alt_names: "a.com",
                ..base
            },
            "subject alternate name a.com not allowed by this role",
        ),
        (
            &strict,
            LeafRequest {
                alt_names: "u@a.com",
                ..base
            },
            "email address u@a.com not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                alt_names: "u@*.b",
                ..base
            },
            "email address u@*.b not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                alt_names: "a.example.com.",
                ..base
            },
            "idna: invalid label \"a.example.com.\"",
        ),
        (
            &open(),
            LeafRequest {
                alt_names: "a..b",
                ..base
            },
            "idna: invalid label \"a..b\"",
        ),
        (
            &open(),
            LeafRequest {
                alt_names: "*.",
                ..base
            },
            "idna: invalid label \"*.\"",
        ),
        (
            &open(),
            LeafRequest {
                ip_sans: &bad_ip,
                ..base
            },
            "the value \"abc\" is not a valid IP address",
        ),
        (
            &open(),
            LeafRequest {
                ip_sans: &no_ip,
                ..base
            },
            "the value \"\" is not a valid IP address",
        ),
        (
            &open(),
            LeafRequest {
                ip_sans: &quoted_ip,
                ..base
            },
            "the value \"a\\\"b\" is not a valid IP address",
        ),
        (
            &open(),
            LeafRequest {
                ip_sans: &zero_ip,
                ..base
            },
            "the value \"1.2.3.04\" is not a valid IP address",
        ),
        (
            &closed,
            LeafRequest {
                ip_sans: &ip,
                ..base
            },
            "IP Subject Alternative Names are not allowed in this role, but was provided via the API",
        ),
        (
            &strict,
            LeafRequest {
                ip_sans: &ip,
                ..base
            },
            "the IP address \"11.2.3.4\" is not allowed in this role",
        ),
        (
            &closed,
            LeafRequest {
                uri_sans: &http,
                ..base
            },
            "URI Subject Alternative Names are not allowed in this role, but were provided via the API",
        ),
        (
            &strict,
            LeafRequest {
                uri_sans: &http,
                ..base
            },
            "URI Subject Alternative Names were provided via the API which are not valid for this role",
        ),
        (
            &open(),
            LeafRequest {
                uri_sans: &broken,
                ..base
            },
            "the provided URI Subject Alternative Name \"http://a:b/\" is not a valid URI",
        ),
        (
            &open(),
            LeafRequest {
                other_sans: &no_semicolon,
                ..base
            },
            "could not parse requested other SAN: expected a semicolon in other SAN \"1.2.3\"",
        ),
        (
            &open(),
            LeafRequest {
                other_sans: &no_colon,
                ..base
            },
            "could not parse requested other SAN: expected a colon in other SAN \"1.2.3;x\"",
        ),
        (
            &open(),
            LeafRequest {
                other_sans: &no_utf8,
                ..base
            },
            "could not parse requested other SAN: only utf8 other SANs are supported; found non-supported type in other SAN \"1.2.3;int:5\"",
        ),
        (
            &strict,
            LeafRequest {
                other_sans: &wrong_oid,
                ..base
            },
            "other SAN OID 1.2.4 not allowed by this role",
        ),
        (
            &strict,
            LeafRequest {
                other_sans: &wrong_value,
                ..base
            },
            "other SAN b not allowed for OID 1.2.3 by this role",
        ),
        (
            &open(),
            LeafRequest {
                other_sans: &odd_oid,
                ..base
            },
            "error marshaling other SANs: invalid OID: 9.2.3",
        ),
        (
            &open(),
            LeafRequest {
                serial_number: "87",
                ..base
            },
            "serial_number 87 not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                user_ids: &ids,
                ..base
            },
            "user_id carl is not allowed by this role",
        ),
        (
            &open(),
            LeafRequest {
                ttl: Duration::from_secs(60),
                not_after: Some("2027-01-01T00:00:00Z"),
                ..base
            },
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        ),
    ] {
        assert_eq!(bench.issue(settings, &request).unwrap_err(), want);
    }
    assert!(
        bench
            .issue(
                &strict,
                &LeafRequest {
                    uri_sans: &spiffe,
                    ..base
                }
            )
            .is_ok()
    );
}

/// HCSEC-2022-09 and its like: a role with nothing set admits nothing.
#[test]
fn a_role_with_no_flags_issues_nothing() {
    let bench = Bench::new();
    let none = Settings {
        allow_any_name: false,
        allow_localhost: false,
        ..open()
    };
    for name in [
        "a",
        "a.example.com",
        "localhost",
        "*.example.com",
        "u@example.com",
        "example.com",
    ] {
        let request = LeafRequest {
            common_name: name,
            ..bench.request()
        };
        assert_eq!(
            bench.issue(&none, &request).unwrap_err(),
            format!("common name {name} not allowed by this role")
        );
    }
}
