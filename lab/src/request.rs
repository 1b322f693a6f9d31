//! A request for the lab, and how its parts are read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use landfast_pki::Certificate;
use landfast_rolesanywhere::sigv4::{Parts, SignedRequest};

use crate::refusal::{Refusal, invalid};

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, still encoded.
    pub query: String,
    /// The headers in wire order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The subject of the certificate that it shows, which may be anybody's.
    pub(crate) fn subject(&self) -> Option<String> {
        let shown = single(&self.headers, "x-amz-x509").ok()??;
        Some(decode_certificate(shown).ok()?.subject().to_string())
    }

    /// The canonical request over the headers that it says are signed; none
    /// where that cannot be read.
    pub(crate) fn canonical(&self) -> Option<String> {
        let header = single(&self.headers, "authorization").ok()??;
        let parts = Parts::of(header).ok()?;
        let query = decode_query(&self.query)?;
        canonical(self, &self.path, &query, &parts.signed_headers).ok()
    }
}

/// The canonical request over the headers that are said to be signed.
pub(crate) fn canonical(
    request: &Request,
    path: &str,
    query: &[(String, String)],
    signed_headers: &[String],
) -> Result<String, Refusal> {
    let headers: Vec<(String, String)> = signed_headers
        .iter()
        .map(|name| {
            let value = single(&request.headers, name)?
                .ok_or_else(|| invalid("a signed header is not in the request"))?;
            Ok((name.clone(), value.to_owned()))
        })
        .collect::<Result<_, Refusal>>()?;
    Ok(SignedRequest {
        method: &request.method,
        path,
        query,
        headers: &headers,
        body: &request.body,
    }
    .canonical())
}

/// The one value of a header; two of the same name would make two meanings.
pub(crate) fn single<'a>(
    headers: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(invalid("a header that is signed stands twice"));
    }
    Ok(first)
}

pub(crate) fn decode_certificate(text: &str) -> Result<Certificate, Refusal> {
    let der = STANDARD
        .decode(text)
        .map_err(|_| invalid("a certificate header is not base64"))?;
    Certificate::from_der(&der).map_err(|_| invalid("a certificate header holds no certificate"))
}

pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Percent-decodes a query; `+` stays itself, as in Signature Version 4.
pub(crate) fn decode_query(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(name)?, percent_decode(value)?))
        })
        .collect()
}

pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
