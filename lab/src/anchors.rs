//! The control plane's trust anchors.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_base::limits::ANCHOR_NOTIFICATIONS;
use landfast_pki::Certificate;
use landfast_rolesanywhere::policy::PRINCIPAL;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, find, input, invalid, page, refuse_extras, time};
use crate::request::Request;
use crate::sourced::{Sourced, one};
use crate::state::{Anchor, ControlError, State, Times};

/// What an anchor can tell of.
pub(crate) const EVENTS: [&str; 2] = ["CA_CERTIFICATE_EXPIRY", "END_ENTITY_CERTIFICATE_EXPIRY"];
/// So many days ahead does AWS tell when nobody says otherwise.
const THRESHOLD: u64 = 45;

/// What CreateTrustAnchor and UpdateTrustAnchor say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotificationInput {
    trust_anchor_id: String,
    #[serde(default)]
    notification_settings: Vec<Value>,
    #[serde(default)]
    notification_setting_keys: Vec<Value>,
}

/// Carries out one call on trust anchors.
pub(crate) fn call(
    state: &mut State,
    request: &Request,
    segments: &[&str],
    now: Timestamp,
) -> Answer {
    match (request.method.as_str(), segments) {
        ("POST", ["trustanchors"]) => create(state, &input(request)?, now),
        ("GET", ["trustanchors"]) => page(
            request,
            "trustAnchors",
            state.anchors.iter().map(body).collect(),
        ),
        ("PATCH", ["put-notifications-settings"]) => {
            put_notifications(state, &input(request)?, now)
        }
        ("PATCH", ["reset-notifications-settings"]) => {
            reset_notifications(state, &input(request)?, now)
        }
        (_, ["trustanchor", id, rest @ ..]) => one::<Anchor>(state, request, (id, rest), now),
        _ => Err(ControlError::Operation),
    }
}

impl Sourced for Anchor {
    const WHAT: &'static str = "the trust anchor";
    const MEMBER: &'static str = "trustAnchor";
    type Input = Input;

    fn all(state: &mut State) -> &mut Vec<Self> {
        &mut state.anchors
    }

    fn arn(&self) -> &Arn {
        &self.arn
    }

    fn general(&mut self) -> (&mut String, &mut bool, &mut Times) {
        (&mut self.name, &mut self.enabled, &mut self.times)
    }

    fn body(&self) -> Value {
        body(self)
    }

    fn name_and_rest(given: &Input) -> (Option<&String>, &Map<String, Value>) {
        (given.name.as_ref(), &given.rest)
    }

    fn replace(
        state: &mut State,
        id: &str,
        given: &Input,
        now: Timestamp,
    ) -> Result<(), ControlError> {
        if let Some(source) = &given.source {
            state.update_anchor(id, source.pem()?, now)?;
        }
        Ok(())
    }

    /// Its revocation lists go with it.
    fn follow(self, state: &mut State) {
        state.crls.retain(|crl| crl.anchor != self.arn);
    }
}

fn create(state: &mut State, given: &Input, now: Timestamp) -> Answer {
    refuse_extras(&given.rest)?;
    let (Some(name), Some(source)) = (&given.name, &given.source) else {
        return Err(invalid("name and source are required"));
    };
    check_notifications(&given.notification_settings)?;
    let enabled = given.enabled.unwrap_or(false);
    state.create_anchor(name, source.pem()?, enabled, now)?;
    let made = state.anchors.last_mut().expect("just made");
    made.notifications.clone_from(&given.notification_settings);
    Ok((201, json!({ "trustAnchor": body(made) })))
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
    Ok((200, json!({ "trustAnchor": body(anchor) })))
}

fn reset_notifications(state: &mut State, given: &NotificationInput, now: Timestamp) -> Answer {
    let id = &given.trust_anchor_id;
    let index = find(&state.anchors, |one| &one.arn, id, "the trust anchor")?;
    let anchor = &mut state.anchors[index];
    let keys = &given.notification_setting_keys;
    let named = |one: &Value| keys.iter().any(|key| key["event"] == one["event"]);
    anchor.notifications.retain(|one| !named(one));
    anchor.times.updated = now;
    Ok((200, json!({ "trustAnchor": body(anchor) })))
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

fn body(anchor: &Anchor) -> Value {
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
            None => PRINCIPAL.into(),
        };
        setting
    };
    EVENTS.iter().map(of).collect()
}
