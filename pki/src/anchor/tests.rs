use super::*;
use crate::testing;

macro_rules! corpus {
    ($name:literal) => {
        Certificate::from_pem(include_bytes!(concat!(
            "../../tests/data/roles-anywhere/corpus/",
            $name
        )))
        .unwrap()
    };
}

/// The middle of the time for which the certificates of the corpus were made.
fn then() -> Timestamp {
    "2026-01-15T00:00:00Z".parse().unwrap()
}

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn verdicts_on_the_corpus() {
    for (certificate, errors, warnings) in [
        (corpus!("rsa-root.crt"), &[][..], &[][..]),
        (corpus!("ec-root.crt"), &[], &[]),
        // An intermediate is a legal anchor.
        (corpus!("ec-int.crt"), &[], &[]),
        (corpus!("ca-no-basicconstraints.crt"), &["CA-02"], &[]),
        (corpus!("ca-false.crt"), &["CA-02"], &[]),
        (corpus!("ca-no-certsign.crt"), &["CA-03"], &[]),
        (corpus!("ca-no-crlsign.crt"), &[], &["CA-04"]),
        (corpus!("ca-sha1.crt"), &["CA-05"], &[]),
        (corpus!("ca-32-days.crt"), &[], &["CA-07"]),
        (corpus!("rsa-leaf.crt"), &["CA-02", "CA-03"], &[]),
    ] {
        let report = check(std::slice::from_ref(&certificate), then());
        assert_eq!(rules(&report.errors), errors, "{certificate:?}");
        assert_eq!(rules(&report.warnings), warnings, "{certificate:?}");
        assert_eq!(report.is_usable(), errors.is_empty());
    }
}

#[test]
fn keys_and_times() {
    let ed = testing::root("Ed", "ed25519", 0).certificate;
    let report = check(&[ed], testing::now());
    assert_eq!(rules(&report.errors), ["CA-06"]);
    let root = [corpus!("rsa-root.crt")];
    for (now, want) in [
        ("2025-12-31T00:00:00Z", "CA-07"),
        ("2046-02-01T00:00:00Z", "CA-07"),
    ] {
        assert_eq!(
            rules(&check(&root, now.parse().unwrap()).errors),
            [want],
            "{now}"
        );
    }
    let last_year = check(&root, "2045-06-01T00:00:00Z".parse().unwrap());
    assert_eq!(rules(&last_year.warnings), ["CA-07"]);
}

/// Why a CA ends soon is not known here: it may have been made without a ttl, or its ttl was cut by the mount. What is known is told.
#[test]
fn a_ca_that_ends_soon_is_told_when_and_what_makes_the_next_one_longer() {
    let report = check(&[corpus!("ca-32-days.crt")], then());
    let [warning] = &report.warnings[..] else {
        panic!("{report:?}");
    };
    for part in [
        "ends in ",
        " days; ",
        "raise the mount's max-lease-ttl",
        "give ttl",
    ] {
        assert!(warning.text.contains(part), "{part}: {}", warning.text);
    }
    assert!(!warning.text.contains("without ttl"), "{}", warning.text);
}

#[test]
fn a_name_that_no_session_tag_can_carry() {
    for name in ["nodes (2031)", "Nodes, 1"] {
        let root = testing::root(name, "ec", 256).certificate;
        let report = check(&[root], testing::now());
        assert!(report.is_usable(), "{name}");
        let said = report.warnings.iter().find(|one| one.rule == "EE-09");
        let said = &said.expect("a warning").text;
        assert!(
            said.contains("x509Issuer/CN: the value holds a character other than"),
            "{said}"
        );
    }
    assert_eq!(tags::problem("k", &"n".repeat(256)), None);
    for (key, value) in [("k", "n".repeat(257)), (&"k".repeat(129), String::new())] {
        let reason = tags::problem(key, &value).expect("too long");
        assert!(reason.contains("longer than"), "{reason}");
    }
    let root = testing::root("Nodes_1: a/b=c+d-e@f ü", "ec", 256).certificate;
    assert!(!rules(&check(&[root], testing::now()).warnings).contains(&"EE-09"));
}

#[test]
fn how_many_and_how_large() {
    let (a, b, c) = (
        corpus!("rsa-root.crt"),
        corpus!("rsa-root-next.crt"),
        corpus!("ec-root.crt"),
    );
    assert!(check(&[a.clone(), b.clone()], then()).is_usable());
    assert_eq!(
        rules(&check(&[a.clone(), b.clone(), c], then()).errors),
        ["CA-08"]
    );
    assert_eq!(rules(&check(&[], then()).errors), ["CA-08"]);
    let small = Expectations {
        max_octets: 100,
        ..Expectations::default()
    };
    assert_eq!(rules(&check_against(&[b], small, then()).errors), ["CA-08"]);
    let many = Expectations {
        max_certificates: 20,
        ..Expectations::default()
    };
    let report = check_against(&vec![a; 15], many, then());
    assert_eq!(rules(&report.errors), [] as [&str; 0]);
    assert_eq!(rules(&report.warnings)[..2], ["CA-08", "CA-10"]);
}

#[test]
fn the_issuing_ca_must_be_in_it() {
    let (root, issuing) = (corpus!("rsa-root.crt"), corpus!("rsa-int.crt"));
    let expected = Expectations {
        issuing: Some(&issuing),
        ..Expectations::default()
    };
    let only_root = check_against(std::slice::from_ref(&root), expected, then());
    assert_eq!(rules(&only_root.errors), ["CA-09"]);
    assert!(check_against(&[issuing.clone(), root], expected, then()).is_usable());
}

#[test]
fn content_of_an_anchor() {
    let (root, issuing) = (corpus!("rsa-root.crt"), corpus!("rsa-int.crt"));
    let chain = [issuing.clone(), root.clone()];
    for (content, chain, want) in [
        (Content::Issuing, &chain[..], Ok(vec![issuing.clone()])),
        (Content::Root, &chain, Ok(vec![root.clone()])),
        (
            Content::Both,
            &chain,
            Ok(vec![issuing.clone(), root.clone()]),
        ),
        (Content::Both, &chain[1..], Ok(vec![root])),
        (Content::Issuing, &chain[..1], Ok(vec![issuing])),
        (Content::Root, &chain[..1], Err(SelectError::NoRoot)),
        (Content::Both, &chain[..1], Err(SelectError::NoRoot)),
        (Content::Issuing, &[], Err(SelectError::Empty)),
    ] {
        assert_eq!(select(content, chain), want);
    }
    for content in [Content::Issuing, Content::Root, Content::Both] {
        assert_eq!(content.name().parse(), Ok(content));
    }
    assert_eq!("x".parse::<Content>(), Err(SelectError::Unknown));
}

#[test]
fn bundles_as_people_have_them() {
    let root = corpus!("rsa-root.crt");
    let leaf = corpus!("rsa-leaf.crt");
    let key = testing::root("k", "ec", 256).key;
    let key = key.to_pem(crate::KeyEncoding::Pkcs8).unwrap();
    let text = format!(
        "subject=CN = x\r\n{}\nissuer text\n{}{}{}{}",
        root.pem().replace('\n', "\r\n"),
        root.pem(),
        key.expose(),
        leaf.pem(),
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    );
    let (certificates, report) = read_bundle(&text);
    assert_eq!(certificates, [root]);
    assert_eq!(rules(&report.warnings), ["CA-10", "CA-10", "CA-10"]);
    assert_eq!(rules(&report.errors), ["CA-01"]);
    let secret = key.expose().lines().nth(1).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .all(|finding| !finding.text.contains(secret))
    );
}
