//! The HTTP answer that a host would give for a reply.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::logical::{Auth, Operation, RawLease, RawReply, RawResponse, ReplyError};

/// What a client would see.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// The `data` of the answer; null when there is none.
    pub data: Value,
    /// The `errors` of the answer. The host's wrapping of error values (`1 error occurred: ...`) is left out.
    pub errors: Vec<String>,
    /// The `warnings` of the answer.
    pub warnings: Vec<String>,
    /// The body of a raw answer.
    pub raw: Option<Vec<u8>>,
    /// The content type of a raw answer; `application/json` of others.
    pub content_type: String,
    /// Response headers, as if the mount's tuning let all through.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The lease, if one was issued.
    pub lease: Option<RawLease>,
    /// The login of which a token was made, as the method answered it.
    pub auth: Option<Auth>,
}

impl HttpReply {
    /// The only error text; empty when there is none.
    #[must_use]
    pub fn error(&self) -> &str {
        self.errors.first().map_or("", String::as_str)
    }

    /// The raw body as text; empty when there is none.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.raw.as_deref().unwrap_or_default()).into_owned()
    }

    /// The keys of a list.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.data["keys"].as_array().map_or_else(Vec::new, |keys| {
            keys.iter().filter_map(Value::as_str).collect()
        })
    }

    /// Applies the host's rules to a reply. Source: OpenBao `sdk/logical/response_util.go`, `http/logical.go`, observed.
    pub(crate) fn of(operation: Operation, reply: RawReply) -> Self {
        let RawReply { response, error } = reply;
        let error_text = response.as_ref().and_then(error_response_text);
        if let Some(error) = error {
            return Self::of_error(error, error_text);
        }
        if let Some(text) = error_text {
            return Self::failure(400, text);
        }
        let Some(response) = response else {
            let status = if reads(operation) { 404 } else { 204 };
            return Self {
                status,
                content_type: JSON.to_owned(),
                ..Self::default()
            };
        };
        Self::of_response(operation, response)
    }

    fn of_error(error: ReplyError, text: Option<String>) -> Self {
        let status = match error.kind {
            4 | 7 => 400,
            5 => 405,
            6 => 404,
            8 => 403,
            // A coded error loses its code beside an error response, and any untyped one becomes a bad request.
            _ if text.is_some() => 400,
            3 => u16::try_from(error.code).unwrap_or(500),
            0 => recognised(&error.message),
            _ => 500,
        };
        Self::failure(status, text.unwrap_or(error.message))
    }

    fn failure(status: u16, text: String) -> Self {
        Self {
            status,
            errors: vec![text],
            content_type: JSON.to_owned(),
            ..Self::default()
        }
    }

    fn of_response(operation: Operation, response: RawResponse) -> Self {
        let headers: BTreeMap<_, _> = response.headers.into_iter().collect();
        let Ok(data) = serde_json::from_slice::<Value>(&response.data) else {
            return Self::failure(500, "unexpected end of JSON input".to_owned());
        };
        if let Some(status) = data.get("http_status_code") {
            return Self::of_raw(status, &data, headers);
        }
        let empty = data.as_object().is_none_or(serde_json::Map::is_empty);
        let no_keys = data["keys"].as_array().is_none_or(Vec::is_empty);
        if matches!(operation, Operation::List | Operation::Scan) {
            if no_keys && response.warnings.is_empty() {
                return Self {
                    status: 404,
                    headers,
                    content_type: JSON.to_owned(),
                    ..Self::default()
                };
            }
            if data.get("keys").is_some_and(|keys| {
                !keys
                    .as_array()
                    .is_some_and(|k| k.iter().all(Value::is_string))
            }) {
                return Self::failure(500, "keys are not a list of texts".to_owned());
            }
        }
        if data.is_null()
            && empty
            && response.warnings.is_empty()
            && response.lease.is_none()
            && response.auth.is_none()
            && !headers.is_empty()
        {
            let status = if reads(operation) { 404 } else { 204 };
            return Self {
                status,
                headers,
                content_type: JSON.to_owned(),
                ..Self::default()
            };
        }
        Self {
            status: 200,
            data,
            warnings: response.warnings,
            content_type: JSON.to_owned(),
            headers,
            lease: response.lease,
            auth: response.auth.map(|login| login.auth),
            ..Self::default()
        }
    }

    fn of_raw(status: &Value, data: &Value, headers: BTreeMap<String, Vec<String>>) -> Self {
        let Some(status) = status
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
        else {
            return Self::failure(500, "cannot decode status code".to_owned());
        };
        let content_type = data["http_content_type"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let body = data["http_raw_body"].as_str().unwrap_or_default();
        let body = STANDARD
            .decode(body)
            .unwrap_or_else(|_| body.as_bytes().to_vec());
        Self {
            status,
            raw: Some(body),
            content_type,
            headers,
            ..Self::default()
        }
    }
}

const JSON: &str = "application/json";

fn reads(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Read | Operation::List | Operation::Scan | Operation::Header
    )
}

/// An error response has the member `error`, and beside it at most `data`.
fn error_response_text(response: &RawResponse) -> Option<String> {
    let data: Value = serde_json::from_slice(&response.data).ok()?;
    let members = data.as_object()?;
    let alone = members.len() == 1 || members.len() == 2 && members.contains_key("data");
    members
        .get("error")
        .filter(|_| alone)?
        .as_str()
        .map(str::to_owned)
}

/// The status that a host gives to the text of an untyped error.
fn recognised(text: &str) -> u16 {
    const TEXTS: [(&str, u16); 13] = [
        ("permission denied", 403),
        ("unsupported path", 404),
        ("unsupported operation", 405),
        ("invalid request", 400),
        ("relative paths not supported", 400),
        ("functionality on this path has been removed", 404),
        ("wrapping token is not valid or does not exist", 400),
        ("invalid credentials", 400),
        ("upstream rate limited", 502),
        ("rate limit quota exceeded", 429),
        ("lease count quota exceeded", 429),
        ("Vault is sealed", 503),
        ("locked namespace", 503),
    ];
    TEXTS
        .iter()
        .find(|(phrase, _)| text.contains(phrase))
        .map_or(500, |(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(operation: Operation, data: Option<&str>, error: Option<(u32, &str, i64)>) -> u16 {
        let response = data.map(|data| RawResponse {
            data: data.to_owned().into(),
            ..RawResponse::default()
        });
        let error = error.map(|(kind, message, code)| ReplyError {
            kind,
            message: message.to_owned(),
            code,
        });
        HttpReply::of(operation, RawReply { response, error }).status
    }

    #[test]
    fn absent_and_empty_responses_differ() {
        use Operation::{Delete, List, Read, Update};
        for (operation, data, expected) in [
            (Read, None, 404),
            (List, None, 404),
            (Update, None, 204),
            (Delete, None, 204),
            (Read, Some("{}"), 200),
            (List, Some("{}"), 404),
            (Update, Some("{}"), 200),
            (Read, Some("null"), 200),
            (List, Some("null"), 404),
            (Read, Some(""), 500),
            (List, Some(r#"{"keys":[]}"#), 404),
            (List, Some(r#"{"keys":["a"]}"#), 200),
            (List, Some(r#"{"keys":[1]}"#), 500),
            (Read, Some(r#"{"error":"no"}"#), 400),
            (Read, Some(r#"{"error":"no","data":{}}"#), 400),
            (Read, Some(r#"{"error":"no","more":1,"data":{}}"#), 200),
            (
                Read,
                Some(r#"{"http_status_code":418,"http_content_type":"text/plain"}"#),
                418,
            ),
            (Read, Some(r#"{"http_status_code":"418"}"#), 500),
        ] {
            assert_eq!(
                status(operation, data, None),
                expected,
                "{operation:?} {data:?}"
            );
        }
    }

    #[test]
    fn error_types_have_their_statuses() {
        let refusal = Some(r#"{"error":"no"}"#);
        for (data, error, expected) in [
            (None, (0, "boom", 0), 500),
            (None, (0, "1 error: permission denied", 0), 403),
            (None, (0, "rate limit quota exceeded", 0), 429),
            (None, (1, "user error", 0), 500),
            (refusal, (1, "user error", 0), 400),
            (None, (2, "internal", 0), 500),
            (None, (3, "conflict", 409), 409),
            (refusal, (3, "conflict", 409), 400),
            (None, (4, "bad", 0), 400),
            (None, (5, "unsupported operation", 0), 405),
            (None, (6, "unsupported path", 0), 404),
            (refusal, (6, "unsupported path", 0), 404),
            (refusal, (8, "permission denied", 0), 403),
        ] {
            assert_eq!(
                status(Operation::Read, data, Some(error)),
                expected,
                "{error:?}"
            );
        }
    }
}
