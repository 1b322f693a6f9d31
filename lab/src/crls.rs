//! The control plane's revocation lists.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, input, invalid, page, refuse_extras, time};
use crate::request::Request;
use crate::sourced::{Sourced, one};
use crate::state::{ControlError, Crl, State, Times};

/// What ImportCrl and UpdateCrl say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Input {
    name: Option<String>,
    enabled: Option<bool>,
    crl_data: Option<String>,
    trust_anchor_arn: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Carries out one call on revocation lists.
pub(crate) fn call(
    state: &mut State,
    request: &Request,
    segments: &[&str],
    now: Timestamp,
) -> Answer {
    match (request.method.as_str(), segments) {
        ("POST", ["crls"]) => import(state, &input(request)?, now),
        ("GET", ["crls"]) => page(request, "crls", state.crls.iter().map(body).collect()),
        (_, ["crl", id, rest @ ..]) => one::<Crl>(state, request, (id, rest), now),
        _ => Err(ControlError::Operation),
    }
}

fn import(state: &mut State, given: &Input, now: Timestamp) -> Answer {
    refuse_extras(&given.rest)?;
    let (Some(name), Some(data), Some(anchor)) =
        (&given.name, &given.crl_data, &given.trust_anchor_arn)
    else {
        return Err(invalid("name, crlData and trustAnchorArn are required"));
    };
    let anchor = Arn::parse_as(anchor, ArnKind::TrustAnchor)
        .map_err(|error| invalid(&format!("trustAnchorArn: {error}")))?;
    let enabled = given.enabled.unwrap_or(false);
    let made = state.import_crl(name, &blob(data)?, &anchor, enabled, now)?;
    Ok((201, json!({ "crl": body(made) })))
}

impl Sourced for Crl {
    const WHAT: &'static str = "the CRL";
    const MEMBER: &'static str = "crl";
    type Input = Input;

    fn all(state: &mut State) -> &mut Vec<Self> {
        &mut state.crls
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
        _now: Timestamp,
    ) -> Result<(), ControlError> {
        if let Some(data) = &given.crl_data {
            state.update_crl(id, &blob(data)?)?;
        }
        Ok(())
    }
}

fn blob(text: &str) -> Result<Vec<u8>, ControlError> {
    STANDARD
        .decode(text)
        .map_err(|_| invalid("crlData must be base64"))
}

fn body(crl: &Crl) -> Value {
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
