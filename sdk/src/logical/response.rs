//! What a handler answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Auth, Error, Lease, Login, RawLease, RawResponse};

/// The answer to a request.
#[derive(Default)]
pub struct Response {
    /// JSON text of an object; `None` when there is no data.
    data: Option<Bytes>,
    warnings: Vec<String>,
    headers: Vec<(String, Vec<String>)>,
    lease: Option<Lease>,
    auth: Option<Box<Login>>,
    wrap_ttl: Option<Duration>,
    /// Present even without content, which the host shows as 200 with `data` null.
    explicit: bool,
}

/// What it is made of, without a value.
impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("octets", &self.data.as_ref().map(Bytes::len))
            .field("warnings", &self.warnings)
            .field("lease", &self.lease)
            .field("auth", &self.auth.as_ref().map(|login| &login.auth))
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Nothing: 404 to a read or list, 204 to a write or delete.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Present but without data: 200 with `data` null.
    #[must_use]
    pub fn null() -> Self {
        Self {
            explicit: true,
            ..Self::default()
        }
    }

    /// The fields of a struct or map.
    ///
    /// # Errors
    /// When the value does not serialize to a JSON object.
    pub fn data(value: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::internal("could not encode the response", error))?;
        if !text.starts_with('{') {
            return Err(Error::internal(
                "could not encode the response",
                "response data is not an object",
            ));
        }
        Ok(Self {
            data: Some(text.into()),
            ..Self::default()
        })
    }

    /// Ready-made fields.
    #[must_use]
    pub fn map(map: Map<String, Value>) -> Self {
        Self {
            data: Some(Value::Object(map).to_string().into()),
            ..Self::default()
        }
    }

    /// The answer to a list. An empty list becomes 404, as everywhere in Vault.
    #[must_use]
    pub fn list(keys: Vec<String>) -> Self {
        Self {
            data: Some(list_data(keys).to_string().into()),
            ..Self::default()
        }
    }

    /// The answer to a list with details of each key.
    #[must_use]
    pub fn list_info(keys: Vec<String>, info: Map<String, Value>) -> Self {
        let mut data = list_data(keys);
        if !info.is_empty() {
            data["key_info"] = Value::Object(info);
        }
        Self {
            data: Some(data.to_string().into()),
            ..Self::default()
        }
    }

    /// A body of its own, sent to the client as it is. Status 204 has neither body nor need of a content type.
    #[must_use]
    pub fn raw(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            data: Some(RawBody::new(status, content_type, &body).0),
            ..Self::default()
        }
    }

    /// A body that is answered more than once.
    #[must_use]
    pub fn raw_body(body: &RawBody) -> Self {
        Self {
            data: Some(body.0.clone()),
            ..Self::default()
        }
    }

    /// Adds a warning.
    #[must_use]
    pub fn warn(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Adds warnings.
    #[must_use]
    pub fn warn_all(mut self, texts: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(texts);
        self
    }

    /// Adds a response header. The host drops it unless the mount's `allowed_response_headers` names it.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self
            .headers
            .iter_mut()
            .find(|(key, _)| key.eq_ignore_ascii_case(&name))
        {
            Some((_, values)) => values.push(value),
            None => self.headers.push((name, vec![value])),
        }
        self
    }

    /// Issues a lease with the data.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Answers a login: the host makes a token, and adds it to the answer. Only an auth method may.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(Box::new(Login::from(auth)));
        self
    }

    /// Answers the renewal of a login.
    pub(crate) fn renewed(login: Login) -> Self {
        Self {
            auth: Some(Box::new(login)),
            ..Self::default()
        }
    }

    /// Wraps the response whether the client asked for it or not.
    #[must_use]
    pub fn wrap(mut self, ttl: Duration) -> Self {
        self.wrap_ttl = Some(ttl);
        self
    }

    pub(crate) fn has_lease(&self) -> bool {
        self.lease.is_some()
    }

    /// The lease that it issues or renews.
    pub(crate) fn lease_mut(&mut self) -> Option<&mut Lease> {
        self.lease.as_mut()
    }

    /// Takes the lease out.
    pub(crate) fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// True when the host shall see no response at all.
    pub(crate) fn is_none(&self) -> bool {
        !self.explicit
            && self.data.is_none()
            && self.warnings.is_empty()
            && self.headers.is_empty()
            && self.lease.is_none()
            && self.auth.is_none()
            && self.wrap_ttl.is_none()
    }

    pub(crate) fn into_raw(self) -> Option<RawResponse> {
        if self.is_none() {
            return None;
        }
        Some(RawResponse {
            data: self.data.unwrap_or(Bytes::from_static(b"null")),
            warnings: self.warnings,
            headers: self.headers,
            lease: self.lease.map(|lease| RawLease {
                ttl: lease.ttl,
                max_ttl: lease.max_ttl,
                renewable: lease.renewable,
                internal_data: Value::Object(lease.internal).to_string(),
            }),
            auth: self.auth,
            wrap_ttl: self.wrap_ttl,
        })
    }
}

impl From<Auth> for Response {
    fn from(auth: Auth) -> Self {
        Self::none().auth(auth)
    }
}

/// A body of its own as [`Response::raw`] sends it, in the form that the host takes: for what is large and answered often.
#[derive(Clone)]
pub struct RawBody(Bytes);

/// Its size alone.
impl std::fmt::Debug for RawBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RawBody").field(&self.size()).finish()
    }
}

impl RawBody {
    /// Encodes a body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: &[u8]) -> Self {
        let mut text = format!(
            "{{\"http_status_code\":{status},\"http_content_type\":{}",
            Value::from(content_type)
        );
        match pem(body) {
            _ if body.is_empty() => {}
            Some(pem) => {
                text.push_str(",\"http_raw_body\":");
                text.push_str(&Value::from(pem).to_string());
            }
            None => {
                text.reserve(body.len().div_ceil(3) * 4 + 32);
                text.push_str(",\"http_raw_body\":\"");
                STANDARD.encode_string(body, &mut text);
                text.push('"');
            }
        }
        text.push('}');
        Self(text.into())
    }

    /// Bytes of the encoded form.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// The host decodes base64 where it can and sends other text as it is. So plain text which happens to be base64 would arrive mangled and is
/// encoded, as whatever is no text; what begins as PEM does never happens to be it.
fn pem(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    text.starts_with("-----BEGIN ").then_some(text)
}

fn list_data(keys: Vec<String>) -> Value {
    if keys.is_empty() {
        json!({})
    } else {
        json!({ "keys": keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &[u8]) -> Vec<u8> {
        let RawBody(text) = RawBody::new(200, "text/\"plain\"", body);
        let data: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(data["http_status_code"], 200);
        assert_eq!(data["http_content_type"], "text/\"plain\"");
        // As the host does it.
        let body = data["http_raw_body"].as_str().unwrap_or_default();
        STANDARD.decode(body).unwrap_or_else(|_| body.into())
    }

    #[test]
    fn a_body_arrives_as_it_is() {
        let pem = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        let odd = [b"-----BEGIN ".as_slice(), &[0xff]].concat();
        for body in [&pem[..], b"abcd", b"", b"-----", &[0, 0xff, 0x30], &odd] {
            assert_eq!(sent(body), body, "{body:?}");
        }
        let RawBody(text) = RawBody::new(200, "x", pem);
        assert!(
            String::from_utf8_lossy(&text).contains("-----BEGIN X509"),
            "text is not encoded twice"
        );
    }
}
