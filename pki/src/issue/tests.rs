use proptest::prelude::*;

use super::*;
use crate::ext::{ExtKeyUsage, KeyUsage, OtherName, id};
use crate::profile::Settings;
use crate::testing::{self, Authority};
use crate::{KeySpec, Oid, PrivateKey, lint};

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(3600),
    max: Duration::from_secs(36_000),
};

struct Bench {
    authority: Authority,
    issuer: Issuer,
    key: PrivateKey,
}

impl Bench {
    fn new() -> Self {
        Self::with(&AiaUrls::default(), LeafNotAfter::Permit)
    }

    fn with(aia: &AiaUrls, behavior: LeafNotAfter) -> Self {
        let authority = testing::root("Test Root", "ec", 256);
        let issuer = Issuer::new(authority.certificate.clone(), aia, behavior);
        let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
        Self {
            authority,
            issuer,
            key,
        }
    }

    fn request(&self) -> LeafRequest<'_> {
        LeafRequest::new(Holder::Key(self.key.public_key()), MOUNT)
    }

    fn issue(
        &self,
        settings: &Settings,
        request: &LeafRequest<'_>,
    ) -> Result<(Certificate, Vec<String>), String> {
        let profile = Profile::new(settings.clone()).unwrap();
        let serial = SerialNumber::random().unwrap();
        let (prepared, warnings) = prepare(&profile, &self.issuer, request, testing::now(), serial)
            .map_err(|e| e.to_string())?;
        let certificate = prepared.sign(&self.authority.key).unwrap();
        certificate
            .verify_issued_by(&self.authority.certificate)
            .unwrap();
        Ok((certificate, warnings))
    }

    fn csr(&self, subject: &Subject, names: &GeneralNames, extensions: &[Extension]) -> Csr {
        let algorithm = testing::algorithm(&self.key);
        Csr::build(subject.to_name(), names, extensions, algorithm, &self.key).unwrap()
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn open() -> Settings {
    Settings {
        key_type: "ec".into(),
        key_bits: 256,
        allow_any_name: true,
        allowed_uri_sans: list(&["*"]),
        allowed_other_sans: list(&["*"]),
        allowed_user_ids: list(&["bob", "a*"]),
        allowed_serial_numbers: list(&["7*", "99"]),
        ..Settings::default()
    }
}

/// The subject alternative names in one line, in the order of the encoding.
fn names(certificate: &Certificate) -> String {
    let san = certificate.subject_alt_names();
    let mut all: Vec<String> = Vec::new();
    all.extend(
        san.other
            .iter()
            .map(|other| format!("{};{}", other.oid, other.value)),
    );
    all.extend(san.dns.iter().map(|name| format!("DNS:{name}")));
    all.extend(san.emails.iter().map(|name| format!("email:{name}")));
    all.extend(san.ips.iter().map(|ip| format!("IP:{ip}")));
    all.extend(san.uris.iter().map(|uri| format!("URI:{uri}")));
    all.join(", ")
}

/// Each row was put to OpenBao 2.7.2.
#[test]
fn names_of_a_request() {
    let bench = Bench::new();
    let base = LeafRequest {
        common_name: "ok.com",
        ..bench.request()
    };
    let ips = list(&["1.2.3.4", " 1.2.3.4", "::1", "::ffff:1.2.3.4", ""]);
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

fn csr_subject() -> Subject {
    Subject {
        common_name: "csr.example.com".into(),
        organization: list(&["Evil"]),
        ou: list(&["x"]),
        serial_number: "99".into(),
        user_ids: list(&["bob"]),
        ..Subject::default()
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
    assert!(
        bench
            .issue(&free, &request)
            .unwrap_err()
            .contains("rfc5280-4.1.2.6")
    );
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
    let rsa = key("rsa", 2048);
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

/// Order and criticality of the built-in engine.
#[test]
fn extensions_of_a_leaf() {
    let aia = AiaUrls {
        issuing_certificates: list(&["http://ca/der"]),
        crl_distribution_points: list(&["http://ca/crl"]),
        delta_crl_distribution_points: list(&["http://ca/delta"]),
        ocsp_servers: list(&["http://ca/ocsp"]),
    };
    let bench = Bench::with(&aia, LeafNotAfter::Permit);
    let order = |settings: &Settings, others: &[String]| {
        let request = LeafRequest {
            common_name: "a.com",
            other_sans: others,
            ..bench.request()
        };
        let (certificate, _) = bench.issue(settings, &request).unwrap();
        let list: Vec<_> = certificate
            .extensions()
            .map(|one| (one.oid, one.critical))
            .collect();
        list
    };
    let policies = Settings {
        basic_constraints_valid_for_non_ca: true,
        policy_identifiers: list(&["1.2.3.4"]),
        ..open()
    };
    assert_eq!(
        order(&policies, &[]),
        [
            (id::KEY_USAGE, true),
            (id::EXT_KEY_USAGE, false),
            (id::BASIC_CONSTRAINTS, true),
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::CERTIFICATE_POLICIES, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::FRESHEST_CRL, false),
        ]
    );
    let json = Settings {
        key_usage: Vec::new(),
        server_flag: false,
        client_flag: false,
        policy_identifiers: list(&["{\"oid\":\"1.2.3.4\"}"]),
        ..open()
    };
    assert_eq!(
        order(&json, &list(&["1.2.3;utf8:a"])),
        [
            (id::SUBJECT_KEY_ID, false),
            (id::AUTHORITY_KEY_ID, false),
            (id::AUTHORITY_INFO_ACCESS, false),
            (id::CRL_DISTRIBUTION_POINTS, false),
            (id::SUBJECT_ALT_NAME, false),
            (id::CERTIFICATE_POLICIES, false),
            (id::FRESHEST_CRL, false),
        ]
    );
}

#[test]
fn usages_and_subject_of_a_role() {
    let bench = Bench::new();
    let settings = Settings {
        key_usage: list(&["CRLSign", "digitalsignature"]),
        ext_key_usage: list(&["OCSPSigning", "any"]),
        ext_key_usage_oids: list(&["1.2.3", "1.3.6.1.5.5.7.3.1", "1.2.3"]),
        client_flag: false,
        ou: list(&["b", "a", "b"]),
        organization: list(&["o2", "o1"]),
        country: list(&["DE"]),
        province: list(&["p"]),
        locality: list(&["l"]),
        street_address: list(&["s"]),
        postal_code: list(&["1"]),
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let (certificate, _) = bench.issue(&settings, &request).unwrap();
    assert_eq!(
        certificate.key_usage(),
        Some(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::CRL_SIGN)
    );
    assert_eq!(
        certificate.ext_key_usage(),
        [
            ExtKeyUsage::Any.oid(),
            ExtKeyUsage::ServerAuth.oid(),
            ExtKeyUsage::OcspSigning.oid(),
            Oid::new_unwrap("1.2.3"),
        ]
    );
    assert_eq!(
        certificate.subject().to_string(),
        "CN=a.com,OU=a+OU=b,O=o1+O=o2,POSTALCODE=1,STREET=s,L=l,ST=p,C=DE"
    );
}

#[test]
fn a_leaf_does_not_sign_certificates() {
    let bench = Bench::new();
    let settings = Settings {
        key_usage: list(&["CertSign"]),
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    assert_eq!(
        bench.issue(&settings, &request).unwrap_err(),
        "the certificate would break the rule rfc5280-4.2.1.3: only a CA certificate asserts keyCertSign"
    );
}

#[test]
fn node_names() {
    let bench = Bench::new();
    let profile = Profile::new(open()).unwrap().for_node_names();
    for (name, want) in [
        ("node-1", None),
        (
            "NODE-1",
            Some(
                "common name NODE-1 not allowed by this role: a node name is a lower-case DNS-1123 subdomain: letters a to z, digits and inner hyphens in labels between dots",
            ),
        ),
        (
            "n",
            Some("common name n not allowed by this role: a node name has 2 to 63 characters"),
        ),
    ] {
        let request = LeafRequest {
            common_name: name,
            ..bench.request()
        };
        let serial = SerialNumber::random().unwrap();
        let refused = prepare(&profile, &bench.issuer, &request, testing::now(), serial).err();
        assert_eq!(refused.map(|e| e.to_string()).as_deref(), want);
    }
}

#[test]
fn signature_algorithms() {
    let ec = Bench::new();
    let sha512 = Settings {
        signature_bits: 512,
        ..open()
    };
    let request = LeafRequest {
        common_name: "a.com",
        ..ec.request()
    };
    // `issue` under an EC issuer ignores signature_bits; `sign` says that it cannot follow them.
    assert_eq!(ec.issue(&sha512, &request).unwrap().1, [] as [&str; 0]);
    let csr = ec.csr(
        &Subject::common_name("a.com"),
        &GeneralNames::default(),
        &[],
    );
    let sign = LeafRequest {
        holder: Holder::Csr(&csr),
        ..ec.request()
    };
    assert_eq!(ec.issue(&sha512, &sign).unwrap().1.len(), 1);
    // Any number may stand in a role.
    let seven = Settings {
        signature_bits: 7,
        ..open()
    };
    assert!(ec.issue(&seven, &sign).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the rules accept, the last look accepts too: a finding would mean that the two halves
    /// disagree on what a role allows.
    #[test]
    fn accepted_requests_pass_the_last_look(
        cn in "[a-zA-Z0-9.*@_-]{0,12}|[a-z]{1,3}\\.example\\.com",
        alt in "([a-z*.@_, -]|example\\.com|xn--|ü){0,10}",
        uri in "[a-zA-Z:/ü%?#. ]{0,12}|(SPIFFE|spiffe)://[a-z/ ]{0,6}",
        ip in "10\\.0\\.0\\.[0-9]|::ffff:10\\.1\\.1\\.1|1\\.1\\.1\\.1",
        flags in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let bench = Bench::new();
        let settings = Settings {
            allow_any_name: flags[0],
            allow_bare_domains: flags[1],
            allow_subdomains: flags[2],
            allow_glob_domains: flags[3],
            enforce_hostnames: flags[4],
            require_cn: flags[5],
            allowed_domains: list(&["example.com", "*.org", "*a*"]),
            allowed_uri_sans: if flags[6] { list(&["spiffe://*"]) } else { list(&["*"]) },
            allowed_ip_sans_cidr: list(&["10.0.0.0/8"]),
            ..open()
        };
        let (uris, ips) = (list(&[&uri]), list(&[&ip]));
        let request = LeafRequest {
            common_name: &cn,
            alt_names: &alt,
            uri_sans: if flags[7] { &uris } else { &[] },
            ip_sans: &ips,
            ..bench.request()
        };
        let profile = Profile::new(settings).unwrap();
        let serial = SerialNumber::random().unwrap();
        if let Err(refusal) = prepare(&profile, &bench.issuer, &request, testing::now(), serial) {
            let by_lint = matches!(&refusal, Refusal::Lint { .. } | Refusal::Encoding(_));
            prop_assert!(!by_lint, "{}", refusal);
        }
    }
}

#[test]
fn the_last_look_is_the_roles_own() {
    let bench = Bench::new();
    let request = LeafRequest {
        common_name: "a.com",
        ..bench.request()
    };
    let (certificate, _) = bench.issue(&open(), &request).unwrap();
    let narrow = Settings {
        allow_any_name: false,
        ..open()
    };
    let profile = Profile::new(narrow).unwrap();
    let names = profile.names(None, "");
    let found = lint::leaf(&certificate, &profile, &names, None, &bench.issuer);
    let rules: Vec<_> = found.iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["role-common-name", "role-dns-names"]);
}
