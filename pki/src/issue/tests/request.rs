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

/// The built-in engine drops some of these without a word. Nothing that was asked for is dropped here: it is in the
/// certificate, or there is none.
#[test]
fn alt_names_are_issued_or_refused() {
    let bench = Bench::new();
    let loose = Settings {
        enforce_hostnames: false,
        ..open()
    };
    for (alt_names, strict, lax) in [
        (
            "a.com, b.com",
            Some("a.com, DNS:b.com"),
            Some("a.com, DNS:b.com"),
        ),
        (
            " a.com , , b.com ",
            Some("a.com, DNS:b.com"),
            Some("a.com, DNS:b.com"),
        ),
        ("_acme.a.com", None, Some("_acme.a.com")),
        ("-a.com", None, Some("-a.com")),
        ("*.a_b.com", None, Some("*.a_b.com")),
        ("a.com,b*z.x", None, None),
        ("a.*", None, None),
        ("a b.com", None, None),
        ("\"q\"", None, None),
        ("*", None, None),
    ] {
        for (settings, want) in [(&open(), strict), (&loose, lax)] {
            let request = LeafRequest {
                common_name: "ok.com",
                alt_names,
                ..bench.request()
            };
            let got = bench.issue(settings, &request);
            match want {
                Some(want) => {
                    let (certificate, warnings) = got.unwrap();
                    assert_eq!(names(&certificate), format!("DNS:ok.com, DNS:{want}"));
                    assert!(warnings.is_empty(), "{warnings:?}");
                }
                None => {
                    let text = got.unwrap_err();
                    assert!(
                        text.contains("not allowed by this role"),
                        "{alt_names}: {text}"
                    );
                }
            }
        }
    }
    // What the role does not list is not let in by its shape.
    let narrow = Settings {
        allow_any_name: false,
        allow_subdomains: true,
        allowed_domains: list(&["a.test"]),
        allow_bare_domains: true,
        ..loose
    };
    let request = |alt_names| LeafRequest {
        common_name: "a.test",
        alt_names,
        ..bench.request()
    };
    let (certificate, _) = bench.issue(&narrow, &request("_acme.a.test")).unwrap();
    assert_eq!(names(&certificate), "DNS:a.test, DNS:_acme.a.test");
    assert_eq!(
        bench.issue(&narrow, &request("_acme.b.test")).unwrap_err(),
        "subject alternate name _acme.b.test not allowed by this role"
    );
}

/// 100,000 names were once compared each with each, for a minute.
#[test]
fn names_have_limits() {
    let bench = Bench::new();
    let base = LeafRequest {
        common_name: "ok.com",
        ..bench.request()
    };
    let numbered =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("h{n}.a.test")).collect() };
    let fits = numbered(MAX_NAMES - 1).join(",");
    let (certificate, _) = bench
        .issue(
            &open(),
            &LeafRequest {
                alt_names: &fits,
                ..base
            },
        )
        .unwrap();
    assert_eq!(certificate.dns_names().len(), MAX_NAMES);
    let many = numbered(100_000).join(",");
    let refused = |settings: &Settings, request: LeafRequest<'_>| {
        bench.issue(settings, &request).unwrap_err()
    };
    assert_eq!(
        refused(
            &open(),
            LeafRequest {
                alt_names: &many,
                ..base
            }
        ),
        "the request asks for 100000 names, and a certificate has at most 1000: ask for several certificates"
    );
    for (ips, uris, others, ids) in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)] {
        let lists = [ips, uris, others, ids].map(|one| numbered(one * (MAX_NAMES + 1)));
        let request = LeafRequest {
            ip_sans: &lists[0],
            uri_sans: &lists[1],
            other_sans: &lists[2],
            user_ids: &lists[3],
            ..base
        };
        let text = refused(&open(), request);
        assert!(text.contains("asks for 1001 names"), "{text}");
    }
    for (uris, others) in [
        ("x:".to_owned() + &"a".repeat(5000), String::new()),
        (String::new(), "a".repeat(5000)),
    ] {
        let (uris, others) = (vec![uris], vec![others]);
        let text = refused(
            &open(),
            LeafRequest {
                uri_sans: &uris,
                other_sans: &others,
                ..base
            },
        );
        assert!(text.contains("is longer than 4096 octets"), "{text}");
    }
    // As many names as may be, under more patterns than they can be compared with. The same domains without stars cost nothing.
    let domains =
        |star: &str| -> Vec<String> { (0..50_000).map(|n| format!("{star}x{n}.test")).collect() };
    let role = |star: &str| Settings {
        allow_any_name: false,
        allow_subdomains: true,
        allow_glob_domains: true,
        allowed_domains: domains(star),
        ..open()
    };
    let below: Vec<String> = (0..MAX_NAMES - 1).map(|n| format!("a.x{n}.test")).collect();
    let below = below.join(",");
    let request = LeafRequest {
        common_name: "a.x1.test",
        alt_names: &below,
        ..base
    };
    let text = refused(&role("a*"), request);
    assert!(text.contains("a role with 50000 patterns"), "{text}");
    let (certificate, _) = bench.issue(&role(""), &request).unwrap();
    assert_eq!(certificate.dns_names().len(), MAX_NAMES - 1);
    // What can be met: half as many names under a thousand patterns, of whichever form.
    let below: Vec<String> = (0..500).map(|n| format!("host-{n}.example.com")).collect();
    let below = below.join(",");
    let request = LeafRequest {
        common_name: "host-1.example.com",
        alt_names: &below,
        ..base
    };
    for (pattern, count) in [("*-x", 1000), ("*-x*-", 800)] {
        let mut domains: Vec<String> = (0..count).map(|n| format!("{pattern}{n}.test")).collect();
        domains.push("*.example.com".to_owned());
        let role = Settings {
            allowed_domains: domains,
            ..role("")
        };
        let (certificate, _) = bench.issue(&role, &request).unwrap();
        assert_eq!(certificate.dns_names().len(), 500, "{pattern}");
    }
}

/// A URI under a star leads where the role's text says, and nowhere else.
#[test]
fn dot_segments_are_taken_only_where_they_are_listed() {
    let bench = Bench::new();
    let role = |pattern: &str| Settings {
        allowed_uri_sans: list(&[pattern]),
        ..open()
    };
    for (pattern, uri, want) in [
        ("spiffe://td/a/*", "spiffe://td/a/b", true),
        ("spiffe://td/a/*", "spiffe://td/a/../b", false),
        ("spiffe://td/a/*", "spiffe://td/a/%2e%2E/b", false),
        ("spiffe://td/a/../b", "spiffe://td/a/../b", true),
        ("*", "spiffe://td/a/../b", true),
    ] {
        let uris = list(&[uri]);
        let request = LeafRequest {
            common_name: "ok.com",
            uri_sans: &uris,
            ..bench.request()
        };
        assert_eq!(
            bench.issue(&role(pattern), &request).is_ok(),
            want,
            "{uri} under {pattern}"
        );
    }
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
