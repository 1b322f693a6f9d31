use super::*;
use crate::pem;

/// CA certificates that are odd in one thing each, and what OpenBao 2.7.2 said when it was to import them: `ok`, or its text.
const ODD: &str = include_str!("cas-2.7.2.txt");

#[test]
fn odd_certificates_are_judged_as_openbao_does() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in ODD.lines().filter(|line| !line.starts_with('#')) {
        let [name, theirs, base64] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let text = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        let der = pem::one(text.as_bytes(), &["CERTIFICATE"]).unwrap();
        let ours = Certificate::from_der(&der).and_then(|one| check_ca(&one));
        // What stops the built-in engine although it takes it is refused.
        let wanted = theirs == "ok";
        if ours.is_ok() != wanted {
            wrong.push(format!("{name}: {theirs} {ours:?}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "{seen}");
}

#[test]
fn uris_and_hosts() {
    for good in [
        "",
        "urn:x",
        "http://a.example/ x",
        "spiffe://a/b",
        "http://[fe80::1%25en0]/",
        "mailto:a@b",
        "/rel",
        "#",
        "http://a.example:99999/",
        "HTTP://A.B/",
        "http://u:p@a.b/",
        "//a.b/c",
    ] {
        assert!(is_uri(good), "{good}");
    }
    for bad in [
        "http://a b/",
        "http://[::1",
        "http://a/%zz",
        "http://a%2fb/",
        "http://a%00b/",
        "://x",
        "http://a..b/",
        "http://a.b./",
        "http://a:port/",
        "1a:b",
        "http://a\u{e4}/",
        "http://a^b@c/",
    ] {
        assert!(!is_uri(bad), "{bad}");
    }
    assert!(is_host("a.b") && !is_host("") && !is_host(".a") && !is_host(&"a.".repeat(127)));
}
