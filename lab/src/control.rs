//! The control plane, and who asks it: trust anchors, CRLs and profiles have
//! files of their own.
//!
//! Tags and aliases are refused rather than forgotten.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use jiff::Timestamp;
use landfast_rolesanywhere::sigv4::decimal;
use serde_json::{Value, json};

use crate::operation::{Answer, find, invalid, page, time};
use crate::request::{Request, decode_query, percent_decode};
use crate::state::{ControlError, State, Subject};
use crate::{anchors, crls, profiles};

/// Carries out one call: its status and its body.
pub(crate) fn call(state: &mut State, request: &Request, now: Timestamp) -> Answer {
    let segments: Vec<String> = request
        .path
        .trim_start_matches('/')
        .split('/')
        .map(percent_decode)
        .collect::<Option<_>>()
        .ok_or_else(|| invalid("the path is not percent-encoded text"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [
            "trustanchors"
            | "trustanchor"
            | "put-notifications-settings"
            | "reset-notifications-settings",
            ..,
        ] => anchors::call(state, request, &segments, now),
        ["crls" | "crl", ..] => crls::call(state, request, &segments, now),
        ["profiles" | "profile", ..] => profiles::call(state, request, &segments, now),
        ["subjects"] if request.method == "GET" => {
            let all = state.subjects.iter().map(|one| subject_body(one, false));
            page(request, "subjects", all.collect())
        }
        ["subject", id] if request.method == "GET" => {
            let index = find(&state.subjects, |one| &one.arn, id, "the subject")?;
            let body = subject_body(&state.subjects[index], true);
            Ok((200, json!({ "subject": body })))
        }
        _ => Err(ControlError::Operation),
    }
}

/// `GetCallerIdentity` of STS, for whoever signed.
pub(crate) fn identity(request: &Request, arn: &str, id: &str) -> Result<String, ControlError> {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let form = decode_query(&form).unwrap_or_default();
    let asks = |name: &str, value: &str| form.iter().any(|(n, v)| n == name && v == value);
    if request.method != "POST" || !asks("Action", "GetCallerIdentity") {
        return Err(ControlError::Operation);
    }
    let account = arn.split(':').nth(4).unwrap_or_default();
    Ok(format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROALANDFASTLAB</UserId>\
         <Account>{account}</Account></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>\
         </GetCallerIdentityResponse>"
    ))
}

/// A subject; with its certificates in the detail only.
fn subject_body(subject: &Subject, detail: bool) -> Value {
    let last = subject.seen.iter().map(|(_, at)| *at).max();
    let mut body = json!({
        "subjectId": subject.arn.name(),
        "subjectArn": subject.arn,
        "enabled": true,
        "x509Subject": subject.name,
        "createdAt": time(subject.created),
        "updatedAt": last.map(time),
        "lastSeenAt": last.map(time),
    });
    if detail {
        let credentials = subject.seen.iter().map(|(certificate, at)| {
            json!({
                "seenAt": time(*at),
                "serialNumber": decimal(certificate.serial().as_bytes()),
                "issuer": certificate.issuer().to_string(),
                "enabled": true,
                "x509CertificateData": certificate.pem(),
                "failed": false,
            })
        });
        body["credentials"] = credentials.collect();
    }
    body
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::anchors::EVENTS;

    /// Words of the API, so that random calls get past the first step.
    const WORDS: [&str; 12] = [
        "trustanchors",
        "trustanchor",
        "crls",
        "crl",
        "profiles",
        "profile",
        "mappings",
        "subjects",
        "subject",
        "enable",
        "put-notifications-settings",
        "%41",
    ];

    const NOW: &str = "2026-09-01T12:00:00Z";

    fn asked(method: &str, path: &str, body: &Value) -> Request {
        Request {
            method: method.into(),
            path: path.into(),
            query: String::new(),
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
        }
    }

    #[test]
    fn an_anchor_tells_of_both_ends_unless_told_otherwise() {
        let mut state = State::new("111122223333", "us-west-2");
        let pem = std::fs::read_to_string("../node/tests/data/pki/rsa-int.crt").unwrap();
        let source =
            json!({"sourceType": "CERTIFICATE_BUNDLE", "sourceData": {"x509CertificateData": pem}});
        let mut call = |method: &str, path: &str, body: Value, now: &str| {
            let request = asked(method, path, &body);
            super::call(&mut state, &request, now.parse().unwrap())
                .unwrap()
                .1["trustAnchor"]
                .take()
        };
        let made = call(
            "POST",
            "/trustanchors",
            json!({"name": "a", "source": source}),
            NOW,
        );
        let usual = |event: &str| {
            json!({
                "event": event, "enabled": true, "threshold": 45, "channel": "ALL",
                "configuredBy": "rolesanywhere.amazonaws.com",
            })
        };
        assert_eq!(made["notificationSettings"], json!(EVENTS.map(usual)));
        assert_eq!(
            (&made["createdAt"], &made["updatedAt"]),
            (&json!(NOW), &json!(NOW))
        );

        let id = made["trustAnchorId"].as_str().unwrap();
        let later = "2026-09-01T13:00:00Z";
        let own = json!({
            "trustAnchorId": id,
            "notificationSettings": [{"event": EVENTS[0], "enabled": true, "threshold": 90}],
        });
        let put = call("PATCH", "/put-notifications-settings", own, later);
        let settings = &put["notificationSettings"];
        assert_eq!(settings[0]["threshold"], 90);
        assert_eq!(settings[0]["channel"], "ALL");
        assert_eq!(settings[0]["configuredBy"], "111122223333");
        assert_eq!(settings[1], usual(EVENTS[1]));
        assert_eq!(
            (&put["createdAt"], &put["updatedAt"]),
            (&json!(NOW), &json!(later))
        );
        let keys = json!({"trustAnchorId": id, "notificationSettingKeys": [{"event": EVENTS[0]}]});
        let reset = call("PATCH", "/reset-notifications-settings", keys, later);
        assert_eq!(reset["notificationSettings"], made["notificationSettings"]);
    }

    #[test]
    fn a_profile_takes_policies_that_are_policies() {
        let mut state = State::new("111122223333", "us-west-2");
        let mut make = |more: &Value| {
            let mut body = json!({"name": "p", "roleArns": ["arn:aws:iam::111122223333:role/x"]});
            for (member, value) in more.as_object().unwrap() {
                body[member] = value.clone();
            }
            super::call(
                &mut state,
                &asked("POST", "/profiles", &body),
                NOW.parse().unwrap(),
            )
        };
        for good in [
            json!({"managedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
            json!({"managedPolicyArns": ["arn:aws:iam::111122223333:policy/own"]}),
            json!({"sessionPolicy": "{\"Version\": \"2012-10-17\", \"Statement\": []}"}),
        ] {
            let made = make(&good).unwrap().1;
            assert_eq!(made["profile"]["createdAt"], NOW);
            for (member, value) in good.as_object().unwrap() {
                assert_eq!(made["profile"][member], *value);
            }
        }
        for bad in [
            json!({"managedPolicyArns": ["arn:aws:iam::aws:role/x"]}),
            json!({"managedPolicyArns": ["arn:aws:s3:::bucket"]}),
            json!({"sessionPolicy": "no JSON"}),
            json!({"sessionPolicy": "[]"}),
            json!({"sessionPolicy": ""}),
            json!({"durationSeconds": -1}),
            json!({"durationSeconds": 43_201}),
        ] {
            let refusal = make(&bad).unwrap_err();
            assert_eq!(refusal.status().0, 400, "{bad}");
            let member = bad.as_object().unwrap().keys().next().unwrap();
            assert!(
                refusal.to_string().contains(member.as_str()),
                "{bad}: {refusal}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_call_panics(
            method in prop::sample::select(vec!["GET", "POST", "PATCH", "PUT", "DELETE"]),
            words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 1..4),
            query in "[a-zA-Z=&%0-9]{0,30}",
            body in prop_oneof![
                Just(String::from("{}")),
                "\\{\"(name|crlData|roleArns|source)\":(1|\"x\"|\\[\\]|\\{\\})\\}",
                ".{0,40}",
            ],
        ) {
            let mut state = State::new("111122223333", "us-west-2");
            let arn = state.new_arn("profile").unwrap();
            state.profiles.push(crate::state::Profile::new(arn, "p", Vec::new()));
            let request = Request {
                method: method.into(),
                path: format!("/{}", words.join("/")),
                query,
                headers: Vec::new(),
                body: body.into_bytes(),
            };
            let now = "2026-09-01T12:00:00Z".parse().unwrap();
            if let Ok((status, _)) = call(&mut state, &request, now) {
                prop_assert!(status == 200 || status == 201);
            }
        }
    }
}
