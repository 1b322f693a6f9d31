//! The control plane: trust anchors, CRLs, subjects and, in its own file,
//! profiles.
//!
//! Tags and aliases are refused rather than forgotten.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use landfast_base::limits::ANCHOR_NOTIFICATIONS;
use landfast_pki::Certificate;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::profiles;
use super::state::{Anchor, ControlError, Crl, State, Subject, check_name};
use super::verify::{Request, decode_query, percent_decode};
use crate::sigv4::decimal;

/// What an anchor can tell of.
const EVENTS: [&str; 2] = ["CA_CERTIFICATE_EXPIRY", "END_ENTITY_CERTIFICATE_EXPIRY"];
/// So many days ahead does AWS tell when nobody says otherwise.
const THRESHOLD: u64 = 45;
/// A page, when the request does not say.
const PAGE: usize = 50;

type Answer = Result<(u16, Value), ControlError>;

/// Carries out one call: its status and its body.
pub(super) fn call(state: &mut State, request: &Request, now: Timestamp) -> Answer {
    let segments: Vec<String> = request
        .path
        .trim_start_matches('/')
        .split('/')
        .map(percent_decode)
        .collect::<Option<_>>()
        .ok_or_else(|| invalid("the path is not percent-encoded text"))?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    match (method, segments.as_slice()) {
        ("POST", ["trustanchors"]) => create_anchor(state, &input(request)?, now),
        ("GET", ["trustanchors"]) => {
            let all = state.anchors.iter().map(anchor_body).collect();
            page(request, "trustAnchors", all)
        }
        ("PATCH", ["put-notifications-settings"]) => {
            put_notifications(state, &input(request)?, now)
        }
        ("PATCH", ["reset-notifications-settings"]) => {
            reset_notifications(state, &input(request)?, now)
        }
        (_, ["trustanchor", id, rest @ ..]) => {
            let index = find(&state.anchors, |one| &one.arn, id, "the trust anchor")?;
            match (method, rest) {
                ("GET", []) => {}
                ("PATCH", []) => {
                    let given: AnchorInput = input(request)?;
                    given.refuse_alias()?;
                    if let Some(name) = &given.name {
                        check_name(name)?;
                    }
                    if let Some(source) = &given.source {
                        let id = state.anchors[index].arn.name().to_owned();
                        state.update_anchor(&id, source.pem()?, now)?;
                    }
                    if let Some(name) = given.name {
                        state.anchors[index].name = name;
                    }
                }
                ("POST", [switch @ ("enable" | "disable")]) => {
                    state.anchors[index].enabled = *switch == "enable";
                }
                ("DELETE", []) => {
                    let gone = state.anchors.remove(index);
                    state.crls.retain(|crl| crl.anchor != gone.arn);
                    return Ok((200, json!({ "trustAnchor": anchor_body(&gone) })));
                }
                _ => return Err(ControlError::Operation),
            }
            if method != "GET" {
                state.anchors[index].times.updated = now;
            }
            let body = anchor_body(&state.anchors[index]);
            Ok((200, json!({ "trustAnchor": body })))
        }
        ("POST", ["crls"]) => {
            let given: CrlInput = input(request)?;
            given.refuse_alias()?;
            let (Some(name), Some(data), Some(anchor)) =
                (&given.name, &given.crl_data, &given.trust_anchor_arn)
            else {
                return Err(invalid("name, crlData and trustAnchorArn are required"));
            };
            let anchor = Arn::parse_as(anchor, ArnKind::TrustAnchor)
                .map_err(|error| invalid(&format!("trustAnchorArn: {error}")))?;
            let enabled = given.enabled.unwrap_or(false);
            let made = state.import_crl(name, &blob(data)?, &anchor, enabled, now)?;
            Ok((201, json!({ "crl": crl_body(made) })))
        }
        ("GET", ["crls"]) => page(request, "crls", state.crls.iter().map(crl_body).collect()),
        (_, ["crl", id, rest @ ..]) => {
            let index = find(&state.crls, |one| &one.arn, id, "the CRL")?;
            match (method, rest) {
                ("GET", []) => {}
                ("PATCH", []) => {
                    let given: CrlInput = input(request)?;
                    given.refuse_alias()?;
                    if let Some(name) = &given.name {
                        check_name(name)?;
                    }
                    if let Some(data) = &given.crl_data {
                        let id = state.crls[index].arn.name().to_owned();
                        state.update_crl(&id, &blob(data)?)?;
                    }
                    if let Some(name) = given.name {
                        state.crls[index].name = name;
                    }
                }
                ("POST", [switch @ ("enable" | "disable")]) => {
                    state.crls[index].enabled = *switch == "enable";
                }
                ("DELETE", []) => {
                    let gone = state.crls.remove(index);
                    return Ok((200, json!({ "crl": crl_body(&gone) })));
                }
                _ => return Err(ControlError::Operation),
            }
            if method != "GET" {
                state.crls[index].times.updated = now;
            }
            Ok((200, json!({ "crl": crl_body(&state.crls[index]) })))
        }
        ("GET", ["subjects"]) => {
            let all = state.subjects.iter().map(|one| subject_body(one, false));
            page(request, "subjects", all.collect())
        }
        ("GET", ["subject", id]) => {
            let index = find(&state.subjects, |one| &one.arn, id, "the subject")?;
            let body = subject_body(&state.subjects[index], true);
            Ok((200, json!({ "subject": body })))
        }
        (_, ["profiles" | "profile", ..]) => profiles::call(state, request, &segments, now),
        _ => Err(ControlError::Operation),
    }
}

/// `GetCallerIdentity` of STS, for whoever signed.
pub(super) fn identity(request: &Request, arn: &str, id: &str) -> Result<String, ControlError> {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnchorInput {
    name: Option<String>,
    enabled: Option<bool>,
    source: Option<Source>,
    #[serde(default)]
    notification_settings: Vec<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    source_type: String,
    source_data: Map<String, Value>,
}

impl Source {
    fn pem(&self) -> Result<&str, ControlError> {
        if self.source_type != "CERTIFICATE_BUNDLE" {
            return Err(invalid("source.sourceType: the lab has CERTIFICATE_BUNDLE"));
        }
        self.source_data
            .get("x509CertificateData")
            .and_then(Value::as_str)
            .ok_or_else(|| invalid("source.sourceData.x509CertificateData is required"))
    }
}

impl AnchorInput {
    fn refuse_alias(&self) -> Result<(), ControlError> {
        refuse_extras(&self.rest)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CrlInput {
    name: Option<String>,
    enabled: Option<bool>,
    crl_data: Option<String>,
    trust_anchor_arn: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl CrlInput {
    fn refuse_alias(&self) -> Result<(), ControlError> {
        refuse_extras(&self.rest)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotificationInput {
    trust_anchor_id: String,
    #[serde(default)]
    notification_settings: Vec<Value>,
    #[serde(default)]
    notification_setting_keys: Vec<Value>,
}

fn create_anchor(state: &mut State, given: &AnchorInput, now: Timestamp) -> Answer {
    given.refuse_alias()?;
    let (Some(name), Some(source)) = (&given.name, &given.source) else {
        return Err(invalid("name and source are required"));
    };
    check_notifications(&given.notification_settings)?;
    let enabled = given.enabled.unwrap_or(false);
    state.create_anchor(name, source.pem()?, enabled, now)?;
    let made = state.anchors.last_mut().expect("just made");
    made.notifications.clone_from(&given.notification_settings);
    Ok((201, json!({ "trustAnchor": anchor_body(made) })))
}

fn put_notifications(state: &mut State, given: &NotificationInput, now: Timestamp) -> Answer {
    check_notifications(&given.notification_settings)?;
    let id = &given.trust_anchor_id;
    let index = find(&state.anchors, |one| &one.arn, id, "the trust anchor")?;
    let anchor = &mut state.anchors[index];
    for setting in &given.notification_settings {
        let same = |one: &Value| one["event"] == setting["event"];
        anchor.notifications.retain(|one| !same(one));
        anchor.notifications.push(setting.clone());
    }
    anchor.times.updated = now;
    Ok((200, json!({ "trustAnchor": anchor_body(anchor) })))
}

fn reset_notifications(state: &mut State, given: &NotificationInput, now: Timestamp) -> Answer {
    let id = &given.trust_anchor_id;
    let index = find(&state.anchors, |one| &one.arn, id, "the trust anchor")?;
    let anchor = &mut state.anchors[index];
    let keys = &given.notification_setting_keys;
    let named = |one: &Value| keys.iter().any(|key| key["event"] == one["event"]);
    anchor.notifications.retain(|one| !named(one));
    anchor.times.updated = now;
    Ok((200, json!({ "trustAnchor": anchor_body(anchor) })))
}

fn check_notifications(settings: &[Value]) -> Result<(), ControlError> {
    if settings.len() > ANCHOR_NOTIFICATIONS {
        return Err(invalid("notificationSettings: more than 50"));
    }
    for setting in settings {
        let event = setting["event"].as_str().unwrap_or_default();
        if !EVENTS.contains(&event) {
            return Err(invalid("notificationSettings.event is no known event"));
        }
        if !setting["enabled"].is_boolean() {
            return Err(invalid("notificationSettings.enabled is required"));
        }
        let threshold = &setting["threshold"];
        if !threshold.is_null()
            && !threshold
                .as_u64()
                .is_some_and(|days| (1..=360).contains(&days))
        {
            return Err(invalid("notificationSettings.threshold must be 1 to 360"));
        }
        if !setting["channel"].is_null() && setting["channel"] != "ALL" {
            return Err(invalid("notificationSettings.channel must be ALL"));
        }
    }
    Ok(())
}

/// Tags and aliases would be forgotten, so they are refused.
pub(super) fn refuse_extras(rest: &Map<String, Value>) -> Result<(), ControlError> {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match rest.iter().find(|(_, value)| !empty(value)) {
        None => Ok(()),
        // A switch at rest says nothing.
        Some((_, Value::Bool(false))) => Ok(()),
        Some((name, _)) => Err(invalid(&format!("the lab knows no {name}"))),
    }
}

pub(super) fn input<T: DeserializeOwned>(request: &Request) -> Result<T, ControlError> {
    serde_json::from_slice(&request.body)
        .map_err(|error| invalid(&format!("the body is not this operation's: {error}")))
}

/// The place of a resource that is named by its id or its ARN.
pub(super) fn find<T>(
    all: &[T],
    arn: impl Fn(&T) -> &Arn,
    id: &str,
    what: &'static str,
) -> Result<usize, ControlError> {
    all.iter()
        .position(|one| arn(one).name() == id || arn(one).to_string() == id)
        .ok_or(ControlError::NotFound(what))
}

/// One page of a list.
pub(super) fn page(request: &Request, member: &str, all: Vec<Value>) -> Answer {
    let query = decode_query(&request.query).unwrap_or_default();
    let number = |name: &str| -> Result<Option<usize>, ControlError> {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.parse())
            .transpose()
            .map_err(|_| invalid(&format!("{name} is not one that the lab gave")))
    };
    let start = number("nextToken")?.unwrap_or(0);
    let size = number("pageSize")?.unwrap_or(PAGE).clamp(1, PAGE);
    let end = start.saturating_add(size);
    let mut body = json!({ member: all.iter().skip(start).take(size).collect::<Vec<_>>() });
    if end < all.len() {
        body["nextToken"] = end.to_string().into();
    }
    Ok((200, body))
}

/// A moment as the API writes it.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn invalid(text: &str) -> ControlError {
    ControlError::Validation(text.to_owned())
}

fn blob(text: &str) -> Result<Vec<u8>, ControlError> {
    STANDARD
        .decode(text)
        .map_err(|_| invalid("crlData must be base64"))
}

fn anchor_body(anchor: &Anchor) -> Value {
    let bundle: String = anchor.certificates.iter().map(Certificate::pem).collect();
    json!({
        "trustAnchorId": anchor.arn.name(),
        "trustAnchorArn": anchor.arn,
        "name": anchor.name,
        "enabled": anchor.enabled,
        "source": {
            "sourceType": "CERTIFICATE_BUNDLE",
            "sourceData": {"x509CertificateData": bundle},
        },
        "notificationSettings": notifications(anchor),
        "createdAt": time(anchor.times.created),
        "updatedAt": time(anchor.times.updated),
    })
}

/// One setting for each event: the anchor's own, or AWS's.
///
/// Source: IAM Roles Anywhere user guide, "Customize notification settings".
fn notifications(anchor: &Anchor) -> Vec<Value> {
    let of = |event: &&str| {
        let own = anchor
            .notifications
            .iter()
            .find(|one| one["event"] == *event);
        let mut setting = own
            .cloned()
            .unwrap_or_else(|| json!({ "event": event, "enabled": true }));
        for (member, usual) in [("threshold", json!(THRESHOLD)), ("channel", json!("ALL"))] {
            if setting[member].is_null() {
                setting[member] = usual;
            }
        }
        setting["configuredBy"] = match own {
            Some(_) => anchor.arn.account.as_str().into(),
            None => crate::policy::PRINCIPAL.into(),
        };
        setting
    };
    EVENTS.iter().map(of).collect()
}

fn crl_body(crl: &Crl) -> Value {
    json!({
        "crlId": crl.arn.name(),
        "crlArn": crl.arn,
        "name": crl.name,
        "enabled": crl.enabled,
        "trustAnchorArn": crl.anchor,
        "crlData": STANDARD.encode(crl.list.pem()),
        "createdAt": time(crl.times.created),
        "updatedAt": time(crl.times.updated),
    })
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
        let pem = std::fs::read_to_string("tests/data/pki/rsa-int.crt").unwrap();
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
            state.profiles.push(super::super::state::Profile::new(arn, "p", Vec::new()));
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
