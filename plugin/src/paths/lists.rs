//! `issuer/REF/resign-crls` and `issuer/REF/sign-revocation-list`: CRLs of what the caller brings. The mount's own CRLs and their numbers are not touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_pki::crl::{Crl, CrlTemplate, RevokedEntries};
use landfast_pki::ext::{self, Extension};
use landfast_pki::usage::oid;
use landfast_pki::{SerialNumber, pem};
use landfast_sdk::logical::{CommaList, Cx, Error, Response, parse_bool, parse_duration_nanos};

use crate::entry::issuer::Usage;
use crate::issuers::{self, LoadedIssuer};
use crate::mount::Shared;
use crate::{crl, keys};

/// How a CRL is made.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ListFields {
    /// Issuer: id, name or `default`.
    issuer_ref: String,
    /// Number of the CRL. It should be greater than that of every earlier CRL of the issuer.
    #[serde(default)]
    crl_number: i64,
    /// Makes a delta CRL to the complete one of this number; -1 for a complete CRL.
    #[serde(default = "no_base")]
    #[schemars(extend("default" = -1))]
    delta_crl_base_number: i64,
    /// Form of the answer: `pem` or `der`, which is in base64.
    #[serde(default = "pem_form")]
    format: String,
    /// For how long the CRL holds.
    #[serde(default = "three_days")]
    next_update: String,
}

/// CRLs to make one of.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ToCombine {
    /// CRLs in PEM, one each, that the issuer's key signed: of other clusters with the same issuer, say.
    #[serde(default)]
    crls: CommaList,
}

/// What a CRL is to say.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct ToList {
    /// Extensions of the CRL, each with `id` (dotted), `critical` and `value` (DER in base64).
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    extensions: Vec<Value>,
    /// What is revoked, each with `serial_number` (hexadecimal), `revocation_time` (RFC 3339 or seconds since 1970) and `extensions`.
    #[serde(default)]
    #[schemars(with = "Vec<Map<String, Value>>")]
    revoked_certs: Vec<Value>,
}

/// `POST issuer/REF/resign-crls`: one CRL of several.
pub(crate) async fn resign(
    mount: Shared,
    _cx: Cx,
    (fields, brought): (ListFields, ToCombine),
) -> Result<Response, Error> {
    let wanted = fields.check()?;
    let crls = brought.crls.0;
    let size = crls.iter().map(String::len).sum::<usize>();
    let issuer = signer(&mount, &fields.issuer_ref).await?;
    let combine = || combined(&crls, &issuer);
    let (entries, warnings) = mount.heavy.run_if(size > LARGE, combine).await?;
    let answer = sign(&mount, &issuer, &wanted, entries, Vec::new()).await?;
    Ok(answer.warn_all(warnings))
}

/// `POST issuer/REF/sign-revocation-list`: a CRL of what the caller says.
pub(crate) async fn sign_list(
    mount: Shared,
    _cx: Cx,
    (fields, brought): (ListFields, ToList),
) -> Result<Response, Error> {
    let wanted = fields.check()?;
    let many = brought.revoked_certs.len() > MANY;
    let parse = || -> Result<_, Error> {
        let entries = listed(&brought.revoked_certs)?;
        let extensions = parsed(&brought.extensions).map_err(Error::bad_request)?;
        Ok((entries, extensions))
    };
    let (entries, extensions) = mount.heavy.run_if(many, parse).await?;
    let issuer = signer(&mount, &fields.issuer_ref).await?;
    sign(&mount, &issuer, &wanted, entries, extensions).await
}

/// What was asked for, in bounds.
struct Wanted {
    number: u64,
    base: Option<u64>,
    lasts: SignedDuration,
    der: bool,
}

impl ListFields {
    fn check(&self) -> Result<Wanted, Error> {
        let der = match self.format.to_lowercase().as_str() {
            "pem" => false,
            "der" => true,
            _ => {
                return Err(Error::bad_request(format!(
                    "unknown format value of {}",
                    self.format
                )));
            }
        };
        let nanos = match self.next_update.as_str() {
            "" => 0,
            text => parse_duration_nanos(text).map_err(|cause| {
                Error::bad_request(format!("invalid value for next_update: {cause}"))
            })?,
        };
        if nanos <= 0 {
            return Err(Error::bad_request(
                "next_update parameter must be greater than 0",
            ));
        }
        let number = u64::try_from(self.crl_number)
            .map_err(|_| Error::bad_request("crl_number parameter must be 0 or greater"))?;
        if self.delta_crl_base_number < -1 {
            return Err(Error::bad_request(
                "delta_crl_base_number parameter must be -1 or greater",
            ));
        }
        Ok(Wanted {
            number,
            base: u64::try_from(self.delta_crl_base_number).ok(),
            lasts: SignedDuration::from_nanos(nanos),
            der,
        })
    }
}

/// The issuer, if it may sign CRLs. A fault here is the caller's, as in the built-in engine.
async fn signer(mount: &Shared, reference: &str) -> Result<Arc<LoadedIssuer>, Error> {
    let issuer = match issuers::load(mount, reference).await {
        Err(Error::Failed(text)) => {
            return Err(Error::bad_request(format!(
                "failed to resolve issuer issuer_ref: {text}"
            )));
        }
        other => other?,
    };
    issuers::ensure_usage(&issuer, Usage::CRL_SIGNING).map_err(Error::bad_request)?;
    Ok(issuer)
}

async fn sign(
    mount: &Shared,
    issuer: &LoadedIssuer,
    wanted: &Wanted,
    entries: RevokedEntries,
    more: Vec<Extension>,
) -> Result<Response, Error> {
    if issuer.entry.key_id.is_empty() {
        return Err(Error::bad_request(issuers::NO_KEY));
    }
    let key = keys::signer(mount, &issuer.entry.key_id).await?;
    let algorithm = crl::algorithm(issuer, key.public_key())?;
    let now = mount.now();
    let next_update = now
        .checked_add(wanted.lasts)
        .map_err(|_| Error::bad_request("next_update parameter is beyond what a CRL can say"))?;
    let template = CrlTemplate {
        number: wanted.number,
        delta_base: wanted.base,
        more,
        ..crl::template(issuer, key.public_key(), now, next_update)
    };
    let signed = key
        .sign(mount, template.prepare(entries, algorithm))
        .await?;
    let text = if wanted.der {
        STANDARD.encode(signed.der())
    } else {
        signed.pem()
    };
    Response::data(&json!({ "crl": text }))
}

/// Everything that the CRLs list, once, without the extensions of the entries. Gives warnings of what they say differently.
fn combined(
    crls: &[String],
    issuer: &LoadedIssuer,
) -> Result<(RevokedEntries, Vec<String>), Error> {
    let mut parsed = Vec::with_capacity(crls.len());
    for (number, text) in crls.iter().enumerate() {
        let crl = one_crl(text)
            .map_err(|why| Error::bad_request(format!("failed decoding crl {number}: {why}")))?;
        parsed.push(crl);
    }
    let mut revoked = BTreeMap::<Vec<u8>, Timestamp>::new();
    let mut warnings = Vec::new();
    for (number, crl) in parsed.iter().enumerate() {
        if crl
            .verify_signed_by(issuer.certificate.public_key())
            .is_err()
        {
            return Err(Error::bad_request(format!(
                "CRL index: {number} was not signed by requested issuer"
            )));
        }
        for entry in crl.entries() {
            let serial = entry.serial.as_bytes().to_vec();
            let known = revoked.entry(serial).or_insert(entry.revoked_at);
            if *known != entry.revoked_at {
                *known = entry.revoked_at.min(*known);
                warnings.push(format!(
                    "Duplicate serial {} with different revocation times detected, using oldest revocation time",
                    entry.serial.colon()
                ));
            }
        }
    }
    let mut entries = RevokedEntries::new();
    for (serial, time) in &revoked {
        entries.push(&SerialNumber::from_bytes(serial), *time);
    }
    Ok((entries, warnings))
}

fn one_crl(text: &str) -> Result<Crl, String> {
    const ONE: &str = "invalid crl; should be one PEM block only";
    let blocks = pem::blocks(text.as_bytes());
    let [block] = &blocks[..] else {
        return Err(ONE.to_owned());
    };
    if !text.trim_end().ends_with("-----") {
        return Err(ONE.to_owned());
    }
    Crl::from_der(&block.contents).map_err(|cause| cause.to_string())
}

/// The entries of a list that the caller brings.
fn listed(revoked: &[Value]) -> Result<RevokedEntries, Error> {
    let mut entries = RevokedEntries::new();
    let mut seen = BTreeMap::new();
    for (number, one) in revoked.iter().enumerate() {
        let Some(one) = one.as_object() else {
            return Err(Error::bad_request(format!(
                "revoked certificate entry {number} not a map"
            )));
        };
        let wrong = |field: &str, why: String| {
            Error::bad_request(format!("failed parsing {field} from entry {number}: {why}"))
        };
        let serial = serial(one).map_err(|why| wrong("serial_number", why))?;
        if let Some(first) = seen.insert(serial.as_bytes().to_vec(), number) {
            return Err(Error::bad_request(format!(
                "duplicate serial number: {}, original entry {first} and {number}",
                serial.colon()
            )));
        }
        let time = time(one).map_err(|why| wrong("revocation_time", why))?;
        let extensions = match one.get("extensions") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(text)) if text.is_empty() => Vec::new(),
            Some(Value::Array(list)) => parsed(list).map_err(|why| wrong("extensions", why))?,
            Some(_) => {
                return Err(wrong(
                    "extensions",
                    "'extensions' field did not contain a slice".to_owned(),
                ));
            }
        };
        entries.push_with(&serial, time, &extensions);
    }
    Ok(entries)
}

fn serial(entry: &Map<String, Value>) -> Result<SerialNumber, String> {
    let text = match entry.get("serial_number") {
        None => return Err("missing 'serial_number' field".to_owned()),
        Some(value) => text_of(value)
            .ok_or("'serial_number' field value was not a string")?
            .replace([':', '.', '-', ' '], ""),
    };
    let octets = landfast_base::unhex(&text).ok_or(
        "'serial_number' failed converting to bytes: it is no hexadecimal text of whole bytes",
    )?;
    if octets.iter().all(|octet| *octet == 0) {
        return Err("a serial number is a positive number (RFC 5280 section 4.1.2.2)".to_owned());
    }
    Ok(SerialNumber::from_bytes(&octets))
}

fn time(entry: &Map<String, Value>) -> Result<Timestamp, String> {
    let value = entry
        .get("revocation_time")
        .ok_or("missing 'revocation_time' field")?;
    let text = text_of(value).unwrap_or_default();
    let time = match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => text.parse().ok(),
    };
    time.ok_or_else(|| {
        format!("failed parsing time {text}: could not parse string as date and time")
    })
}

fn parsed(list: &[Value]) -> Result<Vec<Extension>, String> {
    let mut extensions = Vec::<Extension>::with_capacity(list.len());
    for (number, one) in list.iter().enumerate() {
        let one = one
            .as_object()
            .ok_or_else(|| format!("extension entry {number} not a map"))?;
        let extension = extension(one)
            .map_err(|why| format!("failed parsing extension entry {number}: {why}"))?;
        if extensions.iter().any(|known| known.oid == extension.oid) {
            return Err(format!("duplicate extension id: {}", extension.oid));
        }
        extensions.push(extension);
    }
    Ok(extensions)
}

fn extension(entry: &Map<String, Value>) -> Result<Extension, String> {
    let id = entry.get("id").ok_or("missing id field")?;
    let id = text_of(id).ok_or("'id' field value was not a string")?;
    if id.is_empty() {
        return Err("zero length object identifier".to_owned());
    }
    let oid = oid(&id).ok_or_else(|| format!("{id} is no object identifier"))?;
    for (reserved, what) in [
        (ext::id::AUTHORITY_KEY_ID, "authority key"),
        (ext::id::CRL_NUMBER, "crl number"),
        (ext::id::DELTA_CRL_INDICATOR, "delta crl"),
    ] {
        if oid == reserved {
            return Err(format!("{what} object identifier ({oid}) is reserved"));
        }
    }
    let critical = match entry.get("critical") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(critical)) => *critical,
        Some(value) => parse_bool(&text_of(value).unwrap_or_default())
            .ok_or("critical field value failed to be parsed: it is neither true nor false")?,
    };
    let value = entry.get("value").ok_or("missing 'value' field")?;
    let value = text_of(value).ok_or("'value' field value was not a string")?;
    let value = STANDARD
        .decode(value)
        .map_err(|cause| format!("failed base64 decoding 'value' field: {cause}"))?;
    Ok(Extension {
        oid,
        critical,
        value,
    })
}

/// Text, or a number as text, as servers take it.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn no_base() -> i64 {
    -1
}

fn pem_form() -> String {
    "pem".to_owned()
}

fn three_days() -> String {
    "72h".to_owned()
}

/// Octets of CRLs beyond which they are read apart from short requests.
const LARGE: usize = 64 << 10;
/// Entries of a list for which that holds.
const MANY: usize = 500;
