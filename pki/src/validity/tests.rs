use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-11-22T13:49:54.25Z";
const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(768 * 3600),
    max: Duration::from_secs(87_600 * 3600),
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn issuer(behavior: LeafNotAfter) -> Option<IssuerEnd> {
    Some(IssuerEnd {
        not_after: at("2036-01-07T21:46:13Z"),
        behavior,
    })
}

fn run(rules: &Rules, asked: Asked<'_>, behavior: LeafNotAfter) -> Result<Validity, String> {
    decide(rules, asked, MOUNT, issuer(behavior), true, at(NOW)).map_err(|e| e.to_string())
}

fn hours(h: u64) -> Duration {
    Duration::from_secs(h * 3600)
}

fn not_after(text: &str) -> Asked<'_> {
    Asked {
        not_after: Some(text),
        ..Asked::default()
    }
}

fn not_before(text: &str) -> Asked<'_> {
    Asked {
        not_before: Some(text),
        not_after: Some("2027-01-01T00:00:00Z"),
        ..Asked::default()
    }
}

/// Texts of OpenBao 2.7.2.
#[test]
fn refusals_of_times_in_requests() {
    let parse = |text: &str, rest: &str, element: &str| {
        format!(
            "parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{rest}\" as \"{element}\""
        )
    };
    let default = Rules {
        ttl: hours(1),
        ..Rules::default()
    };
    for (asked, want) in [
        (
            Asked { ttl: hours(2), ..not_after("2027-01-01T00:00:00Z") },
            "Either ttl or not_after should be provided. Both should not be provided in the same request.".to_owned(),
        ),
        (
            not_after("2020-01-01T00:00:00Z"),
            "The certificate's Not Before (2026-11-22T13:49:24.25Z) is later than the certificate's Not After (2020-01-01T00:00:00Z)".into(),
        ),
        (
            not_after("2026-11-22T13:49:24.25Z"),
            "The certificate's Not Before (2026-11-22T13:49:24.25Z) is equal to the certificate's Not After (2026-11-22T13:49:24.25Z)".into(),
        ),
        (
            not_after("2100-01-01T00:00:00Z"),
            "cannot satisfy request, as TTL would result in notAfter of 2100-01-01T00:00:00Z that is beyond the expiration of the CA certificate at 2036-01-07T21:46:13Z".into(),
        ),
        (
            Asked { ttl: Duration::from_secs(315_000_000), ..Asked::default() },
            "cannot satisfy request, as TTL would result in notAfter of 2036-11-15T09:49:54.25Z that is beyond the expiration of the CA certificate at 2036-01-07T21:46:13Z".into(),
        ),
        (
            Asked { not_before: Some("2027-01-01T00:00:00Z"), ..Asked::default() },
            "The certificate's Not Before (2027-01-01T00:00:00Z) is later than the certificate's Not After (2026-11-22T14:49:54.25Z)".into(),
        ),
        (not_after("zz"), parse("zz", "zz", "2006")),
        (not_after(""), parse("", "", "2006")),
        (not_after("2026-12-01T00:00:00"), parse("2026-12-01T00:00:00", "", "Z07:00")),
        (not_before("2026-12-01t00:00:00z"), parse("2026-12-01t00:00:00z", "t00:00:00z", "T")),
        (
            not_after("2026-13-01T00:00:00Z"),
            "parsing time \"2026-13-01T00:00:00Z\": month out of range".into(),
        ),
        (
            not_after("2026-02-30T00:00:00Z"),
            "parsing time \"2026-02-30T00:00:00Z\": day out of range".into(),
        ),
        (
            not_after("2026-12-01T00:00:00Zz"),
            "parsing time \"2026-12-01T00:00:00Zz\": extra text: \"z\"".into(),
        ),
    ] {
        assert_eq!(run(&default, asked, LeafNotAfter::Err).unwrap_err(), want);
    }
}

#[test]
fn bounds_of_a_role() {
    let with = |before: &str, after: &str| Rules {
        ttl: hours(1),
        not_before_duration: Duration::from_secs(30),
        not_before_bound: NotBeforeBound::parse(before).unwrap(),
        not_after_bound: NotAfterBound::parse(after).unwrap(),
        ..Rules::default()
    };
    let refused = |rules: Rules, asked| run(&rules, asked, LeafNotAfter::Err).unwrap_err();
    for text in ["2026-11-01T00:00:00Z", "2020-01-01T00:00:00.5Z"] {
        assert_eq!(
            refused(with("duration", "permit"), not_before(text)),
            format!(
                "not_before_bound is set to duration. Cannot satisfy request as it would result in notBefore of {text} that is older than the allowed not_before_duration of 30s"
            )
        );
    }
    assert!(
        run(
            &with("duration", "permit"),
            not_before("2026-12-01T00:00:00Z"),
            LeafNotAfter::Err
        )
        .is_ok()
    );
    assert_eq!(
        refused(with("duration", "permit"), not_before("")),
        "parsing time \"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\" as \"2006\""
    );
    for text in ["2026-12-01T00:00:00Z", ""] {
        assert_eq!(
            refused(with("forbid", "permit"), not_before(text)),
            "not_before_bound is set to forbid. not_before cannot be provided."
        );
    }
    assert_eq!(
        refused(with("permit", "forbid"), not_after("2026-11-23T00:00:00Z")),
        "not_after_bound is set to forbid. not_after cannot be provided."
    );
    assert_eq!(
        refused(
            with("permit", "ttl-limited"),
            not_after("2027-01-01T00:00:00.50Z")
        ),
        "not_after_bound is set to ttl-limited. Cannot satisfy request as that would result in notAfter of 2027-01-01T00:00:00.5Z that is beyond the TTL of 1h0m0s"
    );
    assert_eq!(
        refused(
            with("permit", "2026-12-24T00:00:00Z"),
            not_after("2027-01-01T00:00:00.50Z")
        ),
        "not_after_bound is set to 2026-12-24T00:00:00Z. Cannot statisfy request as that would result in notAfter of 2027-01-01T00:00:00.5Z that is beyond the maximum timestamp of 2026-12-24T00:00:00Z"
    );
    // The timestamp limits a ttl as well.
    let ttl = Asked {
        ttl: hours(9000),
        ..Asked::default()
    };
    assert!(
        refused(with("permit", "2026-12-24T00:00:00Z"), ttl)
            .starts_with("not_after_bound is set to 2026-12-24")
    );
    assert!(run(&with("permit", "ttl-limited"), ttl, LeafNotAfter::Err).is_ok());
}

#[test]
fn words_of_the_bounds() {
    for bad in ["x", "", "PERMIT"] {
        assert_eq!(NotBeforeBound::parse(bad), Err(Refusal::NotBeforeBound));
        assert_eq!(NotAfterBound::parse(bad), Err(Refusal::NotAfterBound));
    }
    assert_eq!(
        NotBeforeBound::parse("ttl-limited"),
        Err(Refusal::NotBeforeBound)
    );
    assert_eq!(
        NotAfterBound::parse("duration"),
        Err(Refusal::NotAfterBound)
    );
}

#[test]
fn ttl_comes_from_request_then_role_then_mount() {
    let rules = Rules {
        ttl: Duration::from_secs(600),
        max_ttl: Duration::from_secs(1200),
        ..Rules::default()
    };
    let long = |ttl| Asked {
        ttl,
        ..Asked::default()
    };
    let cut = run(&rules, long(hours(1)), LeafNotAfter::Err).unwrap();
    assert_eq!(
        cut.warnings,
        ["TTL \"1h0m0s\" is longer than permitted maxTTL \"20m0s\", so maxTTL is being used"]
    );
    assert_eq!(cut.not_after, at("2026-11-22T14:09:54.25Z"));
    assert_eq!(cut.not_before, at("2026-11-22T13:49:24.25Z"));
    let role = run(&rules, long(Duration::ZERO), LeafNotAfter::Err).unwrap();
    assert_eq!(
        (role.not_after, role.warnings.len()),
        (at("2026-11-22T13:59:54.25Z"), 0)
    );
    // The mount's default is cut by the role's maximum too, with a warning.
    let only_max = Rules {
        max_ttl: hours(1),
        ..Rules::default()
    };
    let mount = run(&only_max, long(Duration::ZERO), LeafNotAfter::Err).unwrap();
    assert_eq!(
        mount.warnings,
        ["TTL \"768h0m0s\" is longer than permitted maxTTL \"1h0m0s\", so maxTTL is being used"]
    );
    // A fixed end is not limited by any maximum.
    let fixed = run(&rules, not_after("2027-01-01T00:00:00Z"), LeafNotAfter::Err).unwrap();
    assert_eq!(fixed.not_after, at("2027-01-01T00:00:00Z"));
}

#[test]
fn fixed_times_of_a_role_win() {
    let rules = Rules {
        not_before: "2026-01-01T00:00:00Z".into(),
        not_after: "2027-06-01T00:00:00+02:00".into(),
        not_before_bound: NotBeforeBound::Forbid,
        not_after_bound: NotAfterBound::Forbid,
        ..Rules::default()
    };
    let asked = Asked {
        not_before: Some("junk"),
        not_after: Some("junk"),
        ttl: Duration::ZERO,
    };
    let got = run(&rules, asked, LeafNotAfter::Err).unwrap();
    assert_eq!(got.not_before, at("2026-01-01T00:00:00Z"));
    assert_eq!(got.not_after, at("2027-05-31T22:00:00Z"));
    let ttl = Asked {
        ttl: hours(1),
        ..Asked::default()
    };
    assert_eq!(
        run(&rules, ttl, LeafNotAfter::Err),
        Err(Refusal::TtlAndNotAfter.to_string())
    );
}

#[test]
fn beyond_the_issuer() {
    let rules = Rules::default();
    let far = not_after("2100-01-01T00:00:00Z");
    assert!(run(&rules, far, LeafNotAfter::AlwaysErr).is_err());
    let cut = run(&rules, far, LeafNotAfter::Truncate).unwrap();
    assert_eq!(
        (cut.not_after, cut.warnings.len()),
        (at("2036-01-07T21:46:13Z"), 0)
    );
    let free = run(&rules, far, LeafNotAfter::Permit).unwrap();
    assert_eq!(free.not_after, at("2100-01-01T00:00:00Z"));
    // Cutting cannot revive what is past already.
    let dead = IssuerEnd {
        not_after: at("2020-01-01T00:00:00Z"),
        behavior: LeafNotAfter::Truncate,
    };
    let past = decide(
        &rules,
        not_after("2021-01-01T00:00:00Z"),
        MOUNT,
        Some(dead),
        true,
        at(NOW),
    );
    assert_eq!(
        past.unwrap_err().to_string(),
        "cannot satisfy request, as NotAfter date 2021-01-01T00:00:00Z is in the past"
    );
}

#[test]
fn signing_a_csr_checks_but_ignores_not_before() {
    let asked = not_before("2026-12-01T00:00:00Z");
    let csr = decide(&Rules::default(), asked, MOUNT, None, false, at(NOW)).unwrap();
    assert_eq!(csr.not_before, at("2026-11-22T13:49:24.25Z"));
    let strict = Rules {
        not_before_bound: NotBeforeBound::Forbid,
        ..Rules::default()
    };
    assert_eq!(
        decide(&strict, asked, MOUNT, None, false, at(NOW)),
        Err(Refusal::NotBeforeForbidden)
    );
}

#[test]
fn durations_in_the_words_of_go() {
    for (seconds, want) in [
        (0, "0s"),
        (30, "30s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (2_764_800, "768h0m0s"),
    ] {
        assert_eq!(GoDuration(Duration::from_secs(seconds)).to_string(), want);
    }
}

#[test]
fn the_end_of_time() {
    let end = parse_rfc3339("9999-12-31T23:59:59Z").unwrap();
    assert_eq!(end, crate::FOREVER);
    assert_eq!(rfc3339(end), "9999-12-31T23:59:59Z");
}

#[test]
fn times_keep_their_offset_and_fraction() {
    for (text, want) in [
        (
            "2026-12-01T00:00:00.123456789+02:00",
            "2026-11-30T22:00:00.123456789Z",
        ),
        (
            "2026-12-01T00:00:00.1234567899Z",
            "2026-12-01T00:00:00.123456789Z",
        ),
        ("2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59Z"),
    ] {
        assert_eq!(parse_rfc3339(text).unwrap(), at(want), "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in ".*|[0-9TZ:.+-]{0,30}", ttl in any::<u64>(), backdate in any::<u64>()) {
        let _ = parse_rfc3339(&text);
        let rules = Rules { not_before_duration: Duration::from_secs(backdate), ..Rules::default() };
        let asked = Asked { ttl: Duration::from_secs(ttl), not_before: None, not_after: None };
        let mount = MountTtl { default: Duration::MAX, max: Duration::MAX };
        let _ = decide(&rules, asked, mount, None, true, at(NOW));
    }

    #[test]
    fn agrees_with_the_time_library(seconds in -2_000_000_000i64..200_000_000_000, offset in -1439i32..1439) {
        let at = Timestamp::from_second(seconds).unwrap();
        let zone = Offset::from_seconds(offset * 60).unwrap().to_time_zone();
        let text = at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        if text.len() == 25 {
            prop_assert_eq!(parse_rfc3339(&text).unwrap(), at);
        }
    }
}

use jiff::tz::Offset;

/// Whatever led there: a certificate that is over when it is made is none.
#[test]
fn no_certificate_is_over_before_it_is_signed() {
    let backdated = Rules {
        ttl: hours(1),
        not_before_duration: hours(24 * 365),
        ..Rules::default()
    };
    let over = Some(IssuerEnd {
        not_after: at("2026-11-22T13:00:00Z"),
        behavior: LeafNotAfter::Truncate,
    });
    let run = |asked, issuer| {
        decide(&backdated, asked, MOUNT, issuer, true, at(NOW)).map_err(|e| e.to_string())
    };
    let text = "cannot satisfy request, as NotAfter date 2026-11-22T13:00:00Z is in the past";
    assert_eq!(run(Asked::default(), over), Err(text.to_owned()));
    assert_eq!(
        run(not_after("2026-11-22T13:00:00Z"), None),
        Err(text.to_owned())
    );
    assert_eq!(
        run(not_after(NOW), None),
        Err(format!(
            "cannot satisfy request, as NotAfter date {NOW} is in the past"
        ))
    );
    assert!(run(not_after("2026-11-22T13:49:55Z"), None).is_ok());
}
