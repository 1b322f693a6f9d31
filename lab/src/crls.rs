//! The control plane's revocation lists.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, find, input, invalid, page, refuse_extras, time};
use crate::request::Request;
use crate::state::{ControlError, Crl, State, check_name};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
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
        (_, ["crl", id, rest @ ..]) => one(state, request, id, rest, now),
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

/// A call on the list `id`.
fn one(state: &mut State, request: &Request, id: &str, rest: &[&str], now: Timestamp) -> Answer {
    let method = request.method.as_str();
    let index = find(&state.crls, |one| &one.arn, id, "the CRL")?;
    match (method, rest) {
        ("GET", []) => {}
        ("PATCH", []) => {
            let given: Input = input(request)?;
            refuse_extras(&given.rest)?;
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
            return Ok((200, json!({ "crl": body(&gone) })));
        }
        _ => return Err(ControlError::Operation),
    }
    if method != "GET" {
        state.crls[index].times.updated = now;
    }
    Ok((200, json!({ "crl": body(&state.crls[index]) })))
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
