//! No name changes the page, and the page says what there is.

use std::sync::Arc;

use landfast_base::arn::Arn;
use proptest::prelude::*;

use super::*;
use crate::calls::SESSION;
use crate::state::{Profile, Times};

const NOW: &str = "2026-09-01T12:00:00Z";

fn certificate(name: &str) -> Certificate {
    let pem = std::fs::read(format!("../node/tests/data/{name}")).unwrap();
    Certificate::from_pem(&pem).unwrap()
}

/// A lab in which everything that has a name has this one.
fn named(name: &str) -> Lab {
    let now: Timestamp = NOW.parse().unwrap();
    let mut state = State::new(name, name);
    let arn = |kind: &str| Arn {
        partition: "aws".into(),
        service: "rolesanywhere".into(),
        region: name.into(),
        account: name.into(),
        resource: format!("{kind}/{name}"),
    };
    let ca = certificate("pki/rsa-int.crt");
    let anchor = Anchor::new(arn("trust-anchor"), name, vec![ca]);
    let list = std::fs::read("../node/tests/data/crl/rsa-int-revokes-leaf.crl.pem").unwrap();
    state.crls.push(Crl {
        arn: arn("crl"),
        name: name.into(),
        enabled: true,
        anchor: anchor.arn.clone(),
        list: landfast_pki::Crl::from_pem(&list).unwrap(),
        times: Times::default(),
    });
    state.anchors.push(anchor);
    let profile = Profile::new(arn("profile"), name, vec![arn("role")]);
    state.profiles.push(profile);
    state.subjects.push(Subject {
        arn: arn("subject"),
        name: name.into(),
        created: now,
        seen: vec![(certificate("pki/rsa-leaf.crt"), now)],
    });
    let lab = Lab::new(state, Arc::new(move || now), Some(name.to_owned()));
    for operation in [SESSION.to_owned(), format!("GET /{name}")] {
        for end in [End::Done, End::Refused, End::Played] {
            let mut call = Call::new(now, operation.clone(), 403, name.to_owned());
            call.end = end;
            call.subject = Some(name.to_owned());
            // The one text that is ours: backquotes mean something there.
            call.remedy = Some(name.replace('`', ""));
            call.fault = Some(name.to_owned());
            lab.record(true, call);
        }
    }
    lab
}

fn shown(lab: &Lab, notice: Option<&str>) -> String {
    page(
        lab,
        &Options {
            paused: false,
            notice,
        },
    )
}

/// The elements of a document, and how many quotation marks keep their attributes apart.
fn structure(html: &str) -> (Vec<&str>, usize) {
    let ends = |c: char| c.is_whitespace() || c == '>';
    let elements = html.split('<').skip(1);
    let elements = elements.map(|rest| rest.split(ends).next().unwrap_or_default());
    (elements.collect(), html.matches(['"', '\'', '>']).count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_changes_the_structure_of_the_page(
        name in prop_oneof![any::<String>(), "[<>/\"'&= a-z\u{0}\u{202e}]{1,60}"],
    ) {
        // Arbitrary names may be empty, as the plain one is not.
        let name = format!("x{name}");
        let plain = shown(&named("x"), Some("x"));
        let html = shown(&named(&name), Some(&name));
        prop_assert_eq!(structure(&html), structure(&plain));
    }
}

#[test]
fn a_long_name_is_cut() {
    let html = shown(&named(&"x".repeat(5000)), None);
    assert!(
        html.matches(&"x".repeat(LONGEST + 1)).count() < html.matches(&"x".repeat(LONGEST)).count()
    );
    assert!(html.contains(&format!("{}…", "x".repeat(LONGEST))));
}

#[test]
fn a_page_says_what_there_is() {
    let lab = named("node-1");
    lab.inject([Fault::Drop, Fault::Drop, Fault::Empty], [])
        .unwrap();
    let html = shown(&lab, Some("Nothing was added."));
    for part in [
        "<dt>Faults to come</dt><dd>3</dd>",
        "<dt>Sessions</dt><dd>2 × drop, empty</dd>",
        "<dt>Control plane</dt><dd>none</dd>",
        "role=\"alert\">Nothing was added.</p>",
        "<span class=\"badge bad\">revoked</span>",
        "<b>Remedy:</b> node-1",
        "<time datetime=\"2026-09-01T12:00:00Z\">12:00:00</time>",
        "http-equiv=\"refresh\"",
        "/lab/page.js",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let paused = page(
        &lab,
        &Options {
            paused: true,
            notice: None,
        },
    );
    assert!(!paused.contains("http-equiv=\"refresh\"") && !paused.contains("/lab/page.js"));
    assert!(paused.contains("action=\"/lab/page/faults?pause\""));
}

/// The page has no script, style or handler in itself, and names nothing elsewhere.
#[test]
fn a_page_needs_what_its_policy_allows() {
    let html = shown(&named("x"), Some("x"));
    for part in [" style=", "<style", " onclick=", "javascript:", "://"] {
        assert!(!html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("<script src=\"/lab/page.js\" defer></script>"));
    for file in [include_str!("../page.css"), include_str!("../page.js")] {
        assert!(!file.contains("http") && !file.contains("url("));
    }
}

#[test]
fn a_certificate_is_late_in_its_last_quarter() {
    let leaf = certificate("pki/rsa-leaf.crt");
    let (from, to) = (leaf.not_before(), leaf.not_after());
    let quarter = to.duration_since(from) / 4;
    let at = |quarters: i32| from + quarter * quarters;
    let words = |now: Timestamp| standing(&leaf, false, now).1;
    assert_eq!(words(at(2)), "valid");
    assert_eq!(
        words(at(3) + jiff::SignedDuration::from_mins(1)),
        "renewal is late"
    );
    assert_eq!(words(to), "over");
    assert_eq!(
        words(from - jiff::SignedDuration::from_secs(1)),
        "not yet valid"
    );
    assert_eq!(standing(&leaf, true, to).1, "revoked");
}

#[test]
fn what_is_left_is_told_in_one_unit() {
    for (seconds, text) in [
        (1, "in 1 second"),
        (119, "in 119 seconds"),
        (120, "in 2 minutes"),
        (7_199, "in 119 minutes"),
        (7_200, "in 2 hours"),
        (172_800, "in 2 days"),
        (63_072_000, "in 2 years"),
        (0, "0 seconds ago"),
        (-86_400, "24 hours ago"),
    ] {
        assert_eq!(left(seconds), text);
    }
}
