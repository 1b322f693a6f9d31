//! The lab against the vectors: what must be granted is, and every tampering
//! is refused for its own reason.

#[allow(dead_code, reason = "each test binary uses its own part")]
mod support;

use jiff::SignedDuration;
use landfast_lab::{Crl, Refusal, Request, State, Times};
use landfast_node::crypto::SessionKey;
use landfast_pki::pem;
use landfast_rolesanywhere::policy::TrustPolicy;
use serde_json::json;

use support::{
    account, case, certificate, data, identity, now, request, session_request, text, vectors,
};

#[test]
fn every_case_is_granted_as_the_vectors_say() {
    for case in vectors()["cases"].as_array().unwrap() {
        let granted = account(case)
            .decide(&request(case), now())
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", case["case"]));
        let expect = &case["expect"];
        assert_eq!(granted.session_name, text(&expect["roleSessionName"]));
        assert_eq!(granted.source_identity, text(&expect["sourceIdentity"]));
        assert_eq!(
            u64::from(granted.duration),
            expect["durationSeconds"].as_u64().unwrap()
        );
        assert_eq!(
            granted.expiration,
            now() + SignedDuration::from_secs(i64::from(granted.duration))
        );
    }
}

/// The category of a refusal in the words of the vectors.
fn category(outcome: &Result<landfast_lab::Granted, Refusal>) -> &'static str {
    match outcome {
        Ok(_) => "allowed",
        Err(refusal) => match refusal {
            Refusal::Signature => "bad-signature",
            Refusal::Credential(_) | Refusal::Authorization(_) => "bad-credential",
            Refusal::UnsignedHeader(_) => "unsigned-header",
            Refusal::Untrusted(_) => "untrusted",
            Refusal::Scope(_) => "bad-scope",
            Refusal::ClockSkew(_) => "clock-skew",
            Refusal::Revoked => "revoked",
            Refusal::Disabled(_)
            | Refusal::Role { .. }
            | Refusal::SessionName
            | Refusal::Duration => "denied",
            Refusal::Validation(_)
            | Refusal::Insufficient(_)
            | Refusal::NotFound(_)
            | Refusal::Tags(_) => "other",
        },
    }
}

fn edit(request: &mut Request, header: &str, change: impl Fn(&str) -> String) {
    let (_, value) = request
        .headers
        .iter_mut()
        .find(|(name, _)| name == header)
        .unwrap_or_else(|| panic!("no header {header}"));
    let changed = change(value);
    assert_ne!(*value, changed, "the change to {header} changes nothing");
    *value = changed;
}

fn crl(state: &State, file: &str) -> Crl {
    Crl {
        arn: state.new_arn("crl").unwrap(),
        name: "crl".into(),
        enabled: true,
        anchor: state.anchors[0].arn.clone(),
        list: landfast_pki::Crl::from_pem(&data(file)).unwrap(),
        times: Times::default(),
    }
}

#[test]
fn every_negative_is_refused_for_its_own_reason() {
    let vectors = vectors();
    let negatives = vectors["negative"].as_array().unwrap();
    assert!(negatives.len() >= 19, "the vectors shrank");
    for negative in negatives {
        let name = negative["name"].as_str().unwrap();
        let base = case(negative["base"].as_str().unwrap());
        let mut request = request(&base);
        let mut state = account(&base);
        let mut clock = now();
        match name {
            "body-changed" => *request.body.last_mut().unwrap() = b' ',
            "query-changed" => request.query = request.query.replace("HybridNode", "Other"),
            "serial-hex" => edit(&mut request, "authorization", |value| {
                value.replace(
                    base["serial_decimal"].as_str().unwrap(),
                    base["serial_hex"].as_str().unwrap(),
                )
            }),
            "serial-other" => edit(&mut request, "authorization", |value| {
                value.replace(base["serial_decimal"].as_str().unwrap(), "7")
            }),
            "x509-not-signed" => edit(&mut request, "authorization", |value| {
                value.replacen(";x-amz-x509", "", 1)
            }),
            "chain-not-signed" => edit(&mut request, "authorization", |value| {
                value.replace(";x-amz-x509-chain", "")
            }),
            "host-not-signed" => {
                edit(&mut request, "authorization", |value| {
                    value.replace("host;", "")
                });
            }
            "chain-missing" => {
                state.anchors[0].certificates = vec![certificate("pki/rsa-root.crt")]
            }
            "same-dn-other-key" => {
                state.anchors[0].certificates = vec![certificate("pki/rsa-other-root.crt")];
            }
            "scope-region" => edit(&mut request, "authorization", |value| {
                value.replace("us-west-2", "us-east-1")
            }),
            "scope-date" => edit(&mut request, "authorization", |value| {
                value.replace("20260901", "20260902")
            }),
            "skew" => clock += SignedDuration::from_secs(301),
            "anchor-disabled" => state.anchors[0].enabled = false,
            "profile-disabled" => state.profiles[0].enabled = false,
            "role-not-in-profile" => state.profiles[0].roles.clear(),
            "session-name-refused" => state.profiles[0].accept_session_name = false,
            "duration-over-role-max" => state.roles[0].max_duration = 3600,
            "revoked" => {
                let list = crl(&state, "crl/rsa-int-revokes-leaf.crl.pem");
                state.crls.push(list);
            }
            "crl-other-issuer" => {
                let list = crl(&state, "crl/rsa-root-empty.crl.pem");
                state.crls.push(list);
            }
            other => panic!("no test for the negative {other}"),
        }
        let outcome = state.decide(&request, clock);
        assert_eq!(
            category(&outcome),
            text(&negative["expect"]),
            "{name}: {outcome:?}"
        );
    }
}

#[test]
fn the_certificate_corpus_is_refused_where_aws_would() {
    let base = case("rsa-body-nochain");
    for entry in vectors()["certificate_corpus"].as_array().unwrap() {
        if entry["role"] != "leaf" {
            continue;
        }
        let file = entry["file"].as_str().unwrap();
        let leaf = certificate(file);
        let issuer = [
            "pki/rsa-int.crt",
            "pki/rsa-root.crt",
            "pki/ec-root.crt",
            "pki/ec-int.crt",
        ]
        .map(certificate)
        .into_iter()
        .find(|ca| ca.subject() == leaf.issuer())
        .unwrap_or_else(|| panic!("{file}: no issuer among the vectors"));
        let keys = ["pki/rsa-leaf.key", "pki/ec-leaf.key"];
        let key = keys
            .into_iter()
            .find(|name| {
                let key = pem::blocks(&data(name)).remove(0);
                let key = SessionKey::from_der(&key.contents).unwrap();
                key.public_key().unwrap() == leaf.public_key().spki_der()
            })
            .unwrap_or_else(|| panic!("{file}: no key among the vectors"));
        let mut state = account(&base);
        state.anchors[0].certificates = vec![issuer];
        let outcome = state.decide(&signed(file, key), now());
        match entry["verdict"].as_str().unwrap() {
            "accept" | "warn" | "reject-eks" => {
                assert!(outcome.is_ok(), "{file}: {outcome:?}");
            }
            "reject-tags" => assert!(
                matches!(outcome, Err(Refusal::Tags(_))),
                "{file}: {outcome:?}"
            ),
            "reject" => assert!(
                matches!(
                    outcome,
                    Err(Refusal::Insufficient(_) | Refusal::Untrusted(_))
                ),
                "{file}: {outcome:?}"
            ),
            other => panic!("{file}: no rule for the verdict {other}"),
        }
    }
}

#[test]
fn a_replayed_request_is_good_only_within_the_window() {
    let base = case("rsa-body-nochain");
    let request = request(&base);
    let state = account(&base);
    assert!(
        state
            .decide(&request, now() + SignedDuration::from_secs(300))
            .is_ok()
    );
    assert!(matches!(
        state.decide(&request, now() + SignedDuration::from_hours(24)),
        Err(Refusal::ClockSkew(86_400))
    ));
}

/// The length of a session: what is no number of the range is told as such, the
/// shorter of request and profile counts, and the role's limit refuses.
#[test]
fn a_session_has_a_length_that_the_service_takes() {
    let base = case("rsa-body-nochain");
    let mut state = account(&base);
    let decide = |state: &State, seconds: u32| {
        let mut asked = session_request();
        asked.duration = Some(seconds);
        let signed = asked
            .sign(
                &identity("pki/rsa-leaf.crt", "pki/rsa-leaf.key"),
                "lab",
                "us-west-2",
                now(),
            )
            .unwrap();
        let request = Request {
            method: "POST".into(),
            path: "/sessions".into(),
            query: String::new(),
            headers: signed.headers,
            body: signed.body,
        };
        state.decide(&request, now())
    };
    state.profiles[0].duration = 3600;
    for bad in [0, 899, 43_201, u32::MAX] {
        let refusal = decide(&state, bad).unwrap_err();
        assert_eq!(refusal.status(), (400, "ValidationException"), "{bad}");
        assert!(
            refusal.to_string().contains("900 to 43200"),
            "{bad}: {refusal}"
        );
    }
    assert_eq!(decide(&state, 900).unwrap().duration, 900);
    assert_eq!(decide(&state, 43_200).unwrap().duration, 3600);
    state.profiles[0].duration = 43_200;
    state.roles[0].max_duration = 3600;
    assert_eq!(decide(&state, 7200), Err(Refusal::Duration));
}

#[test]
fn another_nodes_name_is_refused_by_the_eks_trust_policy() {
    let base = case("rsa-body-chain-session");
    let mut state = account(&base);
    let policy = |name: &str| {
        let document = json!({"Statement": [
            {"Effect": "Allow", "Principal": {"Service": "rolesanywhere.amazonaws.com"},
             "Action": ["sts:TagSession", "sts:SetSourceIdentity"]},
            {"Effect": "Allow", "Principal": {"Service": "rolesanywhere.amazonaws.com"},
             "Action": "sts:AssumeRole",
             "Condition": {"StringEquals": {"sts:RoleSessionName": name}}}]});
        TrustPolicy::parse(&document.to_string()).unwrap()
    };
    state.roles[0].trust = policy("${aws:PrincipalTag/x509Subject/CN}");
    assert!(state.decide(&request(&base), now()).is_ok());
    state.roles[0].trust = policy("somebody-else");
    assert!(matches!(
        state.decide(&request(&base), now()),
        Err(Refusal::Role { .. })
    ));
}

/// A request that the client of this crate signed.
fn signed(leaf: &str, key: &str) -> Request {
    let signed = session_request()
        .sign(&identity(leaf, key), "lab", "us-west-2", now())
        .unwrap();
    Request {
        method: "POST".into(),
        path: "/sessions".into(),
        query: String::new(),
        headers: signed.headers,
        body: signed.body,
    }
}

#[test]
fn an_anchor_takes_what_the_service_takes() {
    let mut state = State::new("111122223333", "us-west-2");
    let pem =
        |names: &[&str]| -> String { names.iter().map(|name| certificate(name).pem()).collect() };
    let mut create = |names: &[&str]| {
        let at = certificate(names[0]).not_before() + SignedDuration::from_hours(24);
        state.create_anchor("a", &pem(names), true, at).is_ok()
    };
    assert!(create(&["pki/rsa-int.crt", "pki/rsa-root.crt"]));
    assert!(!create(&[
        "pki/rsa-int.crt",
        "pki/rsa-root.crt",
        "pki/ec-root.crt"
    ]));
    for entry in vectors()["certificate_corpus"].as_array().unwrap() {
        if entry["role"] == "ca" {
            let taken = create(&[entry["file"].as_str().unwrap()]);
            assert_eq!(taken, entry["verdict"] != "reject", "{}", entry["file"]);
        }
    }
}

#[test]
fn a_crl_is_imported_for_its_own_anchor_and_twice_at_most() {
    let mut state = State::new("111122223333", "us-west-2");
    let bundle = certificate("pki/rsa-int.crt").pem();
    let anchor = state
        .create_anchor("a", &bundle, true, now())
        .unwrap()
        .arn
        .clone();
    let own = data("crl/rsa-int-empty.crl.pem");
    let foreign = data("crl/rsa-root-empty.crl.pem");
    assert!(
        state
            .import_crl("c", &foreign, &anchor, true, now())
            .is_err()
    );
    let id = state
        .import_crl("c", &own, &anchor, true, now())
        .unwrap()
        .arn
        .name()
        .to_owned();
    state
        .import_crl(
            "c",
            &data("crl/rsa-int-empty.crl.der"),
            &anchor,
            true,
            now(),
        )
        .unwrap();
    assert!(
        state.import_crl("c", &own, &anchor, true, now()).is_err(),
        "a third CRL"
    );
    assert!(state.update_crl(&id, &foreign).is_err());
    state
        .update_crl(&id, &data("crl/rsa-int-revokes-leaf.crl.pem"))
        .unwrap();
}

/// A list by a CA of the same name and another key revokes nothing of ours.
#[test]
fn a_namesake_revokes_nothing() {
    let base = case("rsa-body-nochain");
    let mut state = account(&base);
    let mut list = crl(&state, "crl/rsa-int-revokes-leaf.crl.pem");
    state.crls.push(list.clone());
    assert_eq!(
        state.decide(&request(&base), now()),
        Err(Refusal::Revoked),
        "its own issuer's list does"
    );
    // The same list with its signature broken: the name alone is left.
    let mut der = list.list.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    list.list = landfast_pki::Crl::from_der(&der).unwrap();
    state.crls = vec![list];
    assert!(state.decide(&request(&base), now()).is_ok());
}

#[test]
fn a_profile_that_maps_less_takes_more_certificates() {
    let base = case("rsa-body-nochain");
    let mut state = account(&base);
    let file = "pki/bad/leaf-san-wildcard.crt";
    let leaf = certificate(file);
    let issuers = [
        "pki/rsa-int.crt",
        "pki/rsa-root.crt",
        "pki/ec-root.crt",
        "pki/ec-int.crt",
    ];
    let issuer = issuers.map(certificate).into_iter();
    let issuer = issuer.into_iter().find(|ca| ca.subject() == leaf.issuer());
    state.anchors[0].certificates = vec![issuer.unwrap()];
    let keys = ["pki/rsa-leaf.key", "pki/ec-leaf.key"];
    let key = keys.into_iter().find(|name| {
        let key = pem::blocks(&data(name)).remove(0);
        let key = SessionKey::from_der(&key.contents).unwrap();
        key.public_key().unwrap() == leaf.public_key().spki_der()
    });
    let request = signed(file, key.unwrap());
    assert!(matches!(
        state.decide(&request, now()),
        Err(Refusal::Tags(_))
    ));
    state.profiles[0].mappings.0.remove("x509SAN");
    let granted = state.decide(&request, now()).unwrap();
    assert!(
        granted
            .tags
            .iter()
            .all(|(key, _)| !key.starts_with("x509SAN"))
    );
    assert!(granted.tags.iter().any(|(key, _)| key == "x509Subject/CN"));
}
