//! `policy_identifiers`: object identifiers, or JSON objects with qualifiers (RFC 5280 section
//! 4.2.1.4).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::ext::{Extension, Policy};
use crate::refusal::Refusal;
use crate::{Oid, usage};

/// Where certificatePolicies stands among the extensions. The built-in engine puts a list with a
/// JSON element last, and a plain one behind the subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    AfterNames,
    Last,
}

/// The JSON form of an element.
#[derive(Deserialize, Serialize)]
struct Element {
    #[serde(default)]
    oid: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cps: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    notice: String,
}

pub(crate) fn split(text: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<Element>>(text) {
        return list
            .iter()
            .filter_map(|element| serde_json::to_string(element).ok())
            .collect();
    }
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',')
        .map(|element| element.trim().to_owned())
        .collect()
}

/// Reads the elements; empty ones are skipped.
pub(crate) fn parse(elements: &[String]) -> Result<Vec<Policy>, Refusal> {
    let (mut policies, mut known) = (Vec::new(), HashSet::new());
    for text in elements.iter().filter(|text| !text.is_empty()) {
        let policy = parse_one(text)?;
        // "A certificate policy OID MUST NOT appear more than once" (RFC 5280 section 4.2.1.4).
        if known.insert(policy.oid) {
            policies.push(policy);
        }
    }
    Ok(policies)
}

fn parse_one(text: &str) -> Result<Policy, Refusal> {
    let oid = |oid: &str, json: &str| -> Result<Oid, Refusal> {
        let arc = usage::bad_arc(oid).unwrap_or(oid);
        usage::oid(oid).ok_or_else(|| Refusal::policy_identifier(text, arc, json))
    };
    if usage::looks_like_oid(text) {
        return oid(text, "not an object").map(Policy::new);
    }
    match serde_json::from_str::<Element>(text) {
        Ok(element) if !element.cps.is_ascii() => Err(Refusal::policy_identifier(
            text,
            &element.oid,
            "its cps is not ASCII",
        )),
        Ok(element) => Ok(Policy {
            oid: oid(&element.oid, "its oid is not one")?,
            cps: Some(element.cps).filter(|cps| !cps.is_empty()),
            notice: Some(element.notice).filter(|notice| !notice.is_empty()),
        }),
        Err(_) => oid(text, "not an object with the members oid, cps and notice").map(Policy::new),
    }
}

/// The extension and its place, or `None` without policies.
pub(crate) fn extension(elements: &[String]) -> Result<Option<(Extension, Placement)>, Refusal> {
    let policies = parse(elements)?;
    if policies.is_empty() {
        return Ok(None);
    }
    let plain = elements
        .iter()
        .all(|text| text.is_empty() || usage::looks_like_oid(text));
    let placement = if plain {
        Placement::AfterNames
    } else {
        Placement::Last
    };
    Ok(Some((
        Extension::certificate_policies(&policies),
        placement,
    )))
}
