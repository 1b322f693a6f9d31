//! Values in JSON: `encode_json`, `decode_json`. What cannot be brought over comes to false.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
    CelTimestamp, CelUInt, DYN_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use serde_json::{Number, Value as Json};

use super::strings::no_overload;
use crate::input;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload("encode_json", "encode_json_dyn", vec![DYN_TYPE], encode)?;
    env.add_overload(
        "decode_json",
        "decode_json_string",
        vec![STRING_TYPE],
        decode,
    )
}

fn encode<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let value = arguments.first().ok_or_else(no_overload)?;
    let object = value
        .downcast_ref::<CelMap<'_>>()
        .and_then(|_| to_json(value.as_ref()));
    Ok(match object {
        Some(object) => CowVal::owned(CelString::from(as_go(&object))),
        None => CowVal::owned(CelBool::from(false)),
    })
}

fn decode<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = arguments
        .first()
        .and_then(|value| value.downcast_ref::<CelString<'_>>())
        .ok_or_else(no_overload)?;
    Ok(match serde_json::from_str::<Json>(text.inner()) {
        Ok(value) => CowVal::Owned(input::value(&value, input::Numbers::Double)),
        Err(_) => CowVal::owned(CelBool::from(false)),
    })
}

/// JSON as Go writes it: members in order, and three characters that mean something in HTML escaped.
fn as_go(value: &Json) -> String {
    let text = value.to_string();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

fn to_json(value: &dyn Val) -> Option<Json> {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return Some(Json::String(text.inner().to_owned()));
    }
    if let Some(octets) = value.downcast_ref::<CelBytes<'_>>() {
        return Some(Json::String(BASE64.encode(octets.inner())));
    }
    if let Some(truth) = value.downcast_ref::<CelBool>() {
        return Some(Json::Bool(*truth.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelInt>() {
        return Some(Json::from(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelUInt>() {
        return Some(Json::from(*number.inner()));
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return double(*number.inner());
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Some(Json::Null);
    }
    if let Some(time) = value.downcast_ref::<CelTimestamp>() {
        return Some(Json::String(crate::output::time(time)?.to_string()));
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let items = list.inner().iter().map(|item| to_json(item.as_ref()));
        return items.collect::<Option<Vec<_>>>().map(Json::Array);
    }
    let mut members = BTreeMap::new();
    for (key, item) in value.downcast_ref::<CelMap<'_>>()?.inner() {
        let CelMapKey::String(key) = key else {
            return None;
        };
        members.insert(key.inner().to_owned(), to_json(item.as_ref())?);
    }
    Some(Json::Object(members.into_iter().collect()))
}

/// A double that is a whole number is written as one.
fn double(number: f64) -> Option<Json> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a whole number within the range of both"
        )]
        return Some(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number)
}
