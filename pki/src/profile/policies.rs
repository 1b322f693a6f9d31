//! `policy_identifiers`: object identifiers, or JSON objects with qualifiers (RFC 5280 section
//! 4.2.1.4).

use serde::{Deserialize, Serialize};

use crate::asn1::{self, IA5_STRING, UTF8_STRING, Writer};
use crate::refusal::Refusal;
use crate::{Oid, usage};

/// Where certificatePolicies stands among the extensions. The built-in engine puts a list with a
/// JSON element last, and a plain one behind the subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    AfterNames,
    Last,
}

/// One policy with its qualifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    oid: Oid,
    cps: String,
    notice: String,
    is_json: bool,
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
    let mut policies: Vec<Policy> = Vec::new();
    for text in elements.iter().filter(|text| !text.is_empty()) {
        let policy = parse_one(text)?;
        // "A certificate policy OID MUST NOT appear more than once" (RFC 5280 section 4.2.1.4).
        if policies.iter().all(|known| known.oid != policy.oid) {
            policies.push(policy);
        }
    }
    Ok(policies)
}

fn parse_one(text: &str) -> Result<Policy, Refusal> {
    let oid = |oid: &str, json: &str| {
        let bad = || Refusal::policy_identifier(text, usage::bad_arc(oid).unwrap_or(oid), json);
        if usage::looks_like_oid(oid) {
            Oid::new(oid).map_err(|_| bad())
        } else {
            Err(bad())
        }
    };
    if usage::looks_like_oid(text) {
        let oid = oid(text, "not an object")?;
        return Ok(Policy {
            oid,
            cps: String::new(),
            notice: String::new(),
            is_json: false,
        });
    }
    match serde_json::from_str::<Element>(text) {
        Ok(element) => Ok(Policy {
            oid: oid(&element.oid, "its oid is not one")?,
            cps: element.cps,
            notice: element.notice,
            is_json: true,
        }),
        Err(_) => Err(Refusal::policy_identifier(
            text,
            usage::bad_arc(text).unwrap_or(text),
            "not an object with the members oid, cps and notice",
        )),
    }
}

/// The extension's value and its place, or `None` without policies.
pub(crate) fn extension(elements: &[String]) -> Result<Option<(Vec<u8>, Placement)>, Refusal> {
    let policies = parse(elements)?;
    if policies.is_empty() {
        return Ok(None);
    }
    if policies.iter().any(|policy| !policy.cps.is_ascii()) {
        return Err(Refusal::Encoding("a cps pointer must be ASCII".into()));
    }
    let last = policies.iter().any(|policy| policy.is_json);
    let placement = if last {
        Placement::Last
    } else {
        Placement::AfterNames
    };
    let value = asn1::encode(|w| {
        w.sequence(|w| policies.iter().for_each(|policy| policy.write(w)));
    });
    Ok(Some((value, placement)))
}

impl Policy {
    fn write(&self, w: &mut Writer) {
        w.sequence(|w| {
            w.oid(&self.oid);
            if self.cps.is_empty() && self.notice.is_empty() {
                return;
            }
            w.sequence(|w| {
                if !self.cps.is_empty() {
                    w.sequence(|w| {
                        w.oid(&CPS);
                        w.tlv(IA5_STRING, self.cps.as_bytes());
                    });
                }
                if !self.notice.is_empty() {
                    w.sequence(|w| {
                        w.oid(&USER_NOTICE);
                        w.sequence(|w| w.tlv(UTF8_STRING, self.notice.as_bytes()));
                    });
                }
            });
        });
    }
}

const CPS: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.2.1");
const USER_NOTICE: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.2.2");
