//! What a program reads: the request, the time, and the CSR.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString,
};
use cel::common::value::Val;
use jiff::Timestamp;
use landfast_pki::name::attribute;
use landfast_pki::{Csr, Name, Oid};
use serde_json::{Map, Value as Json};

use crate::budget::GivenUp;

/// What a program reads of a request for a certificate.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// All that was sent, as it was sent, and the parameters of the path.
    pub request: &'a Map<String, Json>,
    /// The time of the request.
    pub now: Timestamp,
    /// For `sign`: the request that was sent along; the inner is none where none was.
    pub csr: Option<Option<&'a Csr>>,
    /// Whether nobody waits for the decision any more. It is asked now and then while a program runs, which then ends.
    pub given_up: GivenUp,
}

/// How numbers of JSON are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// As whole numbers where they are written so.
    AsWritten,
    /// All as doubles.
    Double,
}

/// A value of JSON as a program sees it.
pub(crate) fn value(json: &Json, numbers: Numbers) -> Box<dyn Val> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(truth) => Box::new(CelBool::from(*truth)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) if numbers == Numbers::AsWritten => Box::new(CelInt::from(whole)),
            _ => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        },
        Json::String(text) => self::text(text),
        Json::Array(items) => list(items.iter().map(|item| value(item, numbers))),
        Json::Object(members) => map(members
            .iter()
            .map(|(name, member)| (name.clone(), value(member, numbers)))),
    }
}

/// The members of a CSR as the built-in engine names them. Its key as a value of its own is missing: `RawSubjectPublicKeyInfo` has it.
pub(crate) fn csr(csr: Option<&Csr>) -> Box<dyn Val> {
    let Some(csr) = csr else {
        return map(std::iter::empty());
    };
    let names = csr.subject_alt_names();
    let extensions = csr
        .extensions()
        .iter()
        .map(|one| (one.oid.to_string(), octets(&one.value)));
    let members = [
        ("Raw", octets(csr.der())),
        ("RawTBSCertificateRequest", octets(csr.info())),
        (
            "RawSubjectPublicKeyInfo",
            octets(csr.public_key().spki_der()),
        ),
        ("RawSubject", octets(csr.subject().der())),
        ("Version", Box::new(CelInt::from(0)) as Box<dyn Val>),
        ("Signature", octets(csr.signature())),
        (
            "SignatureAlgorithm",
            text(
                csr.signature_algorithm()
                    .map_or("0", |one| one.display_name()),
            ),
        ),
        ("PublicKeyAlgorithm", text(algorithm(csr))),
        ("Subject", subject(csr.subject())),
        ("Extensions", map(extensions)),
        ("ExtraExtensions", list(std::iter::empty())),
        ("DNSNames", texts(&names.dns)),
        ("EmailAddresses", texts(&names.emails)),
        (
            "IPAddresses",
            list(names.ips.iter().map(|ip| text(&ip.to_string()))),
        ),
        ("URIs", texts(&names.uris)),
    ];
    map(members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value)))
}

fn algorithm(csr: &Csr) -> &'static str {
    match csr.public_key().key_type() {
        landfast_pki::KeyType::Rsa => "RSA",
        landfast_pki::KeyType::Ec => "ECDSA",
        landfast_pki::KeyType::Ed25519 => "Ed25519",
        _ => "0",
    }
}

fn subject(name: &Name) -> Box<dyn Val> {
    let all = |oid: &Oid| name.values(oid);
    let last = |oid: &Oid| text(all(oid).last().map_or("", String::as_str));
    let members = [
        ("CommonName", last(&attribute::COMMON_NAME)),
        ("Country", texts(&all(&attribute::COUNTRY))),
        ("Organization", texts(&all(&attribute::ORGANIZATION))),
        (
            "OrganizationalUnit",
            texts(&all(&attribute::ORGANIZATIONAL_UNIT)),
        ),
        ("Locality", texts(&all(&attribute::LOCALITY))),
        ("Province", texts(&all(&attribute::PROVINCE))),
        ("StreetAddress", texts(&all(&attribute::STREET_ADDRESS))),
        ("PostalCode", texts(&all(&attribute::POSTAL_CODE))),
        ("ExtraNames", list(std::iter::empty())),
        ("SerialNumber", last(&attribute::SERIAL_NUMBER)),
    ];
    map(members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value)))
}

fn text(text: &str) -> Box<dyn Val> {
    Box::new(CelString::from(text.to_owned()))
}

fn texts(texts: &[String]) -> Box<dyn Val> {
    list(texts.iter().map(|one| text(one)))
}

fn octets(octets: &[u8]) -> Box<dyn Val> {
    Box::new(CelBytes::from(octets.to_vec()))
}

fn list(items: impl Iterator<Item = Box<dyn Val>>) -> Box<dyn Val> {
    Box::new(CelList::from(items.collect::<Vec<_>>()))
}

fn map(members: impl Iterator<Item = (String, Box<dyn Val>)>) -> Box<dyn Val> {
    let members: HashMap<CelMapKey<'static>, Box<dyn Val>> = members
        .map(|(name, value)| (CelMapKey::from(name), value))
        .collect();
    Box::new(CelMap::from(members))
}
