//! What a client is answered: a success, or a failure in the words for it and those for the audit log.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::error::{Class, Error};

/// What a client is asked to wait while the key service is out of order, in seconds.
const PAUSE: u64 = 2;

/// A success.
pub(super) struct Done {
    pub(super) body: Value,
    pub(super) version: Option<usize>,
}

/// A failure, in the words for the client and those for the audit log.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) text: String,
    pub(super) log: String,
    pub(super) retry_after: Option<u64>,
    /// Whether the connection ends with the answer.
    pub(super) closes: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, text: &str) -> Self {
        Self {
            status,
            text: text.to_owned(),
            log: text.to_owned(),
            retry_after: None,
            closes: false,
        }
    }

    /// Ends the connection with the answer.
    pub(super) fn and_close(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }

    /// Every connection of every client is in use.
    pub(super) fn busy() -> Self {
        Self {
            retry_after: Some(PAUSE),
            ..Self::new(503, "too many connections")
        }
        .and_close()
    }

    pub(super) fn denied(log: &str) -> Self {
        Self {
            log: log.to_owned(),
            ..Self::new(403, "permission denied")
        }
    }
}

impl From<Error> for Refusal {
    /// 503 for what passes by itself, 400 for what is the request's fault, 500 for what only an operator can mend. Never 403: a client takes that for its
    /// own credentials and gives up.
    fn from(error: Error) -> Self {
        let log = error.to_string();
        let code = error.service().map(|failure| failure.code.clone());
        match error.class() {
            Class::Throttled | Class::Outage => {
                let text = format!(
                    "the key service is not available: {}",
                    code.unwrap_or_default()
                );
                Self {
                    log,
                    retry_after: Some(PAUSE),
                    ..Self::new(503, &text)
                }
            }
            // The client's operator needs these words; they hold nothing but the reason.
            Class::Data => match code {
                Some(code) => Self {
                    log,
                    ..Self::new(400, &format!("the ciphertext cannot be decrypted: {code}"))
                },
                None => Self {
                    log,
                    ..Self::new(400, &error.to_string())
                },
            },
            Class::Refused | Class::Credentials | Class::Config | Class::Internal => {
                let text = format!(
                    "the key service refused: {}",
                    code.unwrap_or_else(|| "see the unseal server's log".to_owned())
                );
                tracing::error!(%error, "a call failed that only an operator can mend");
                Self {
                    log,
                    ..Self::new(500, &text)
                }
            }
        }
    }
}

/// The answer as it is sent.
pub(super) fn reply(outcome: Result<Done, Refusal>, request_id: &str) -> Response<Full<Bytes>> {
    let (status, retry_after, closes, body) = match outcome {
        Ok(done) => (200, None, false, done.body),
        Err(refusal) => (
            refusal.status,
            refusal.retry_after,
            refusal.closes,
            json!({"errors": [refusal.text]}),
        ),
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("cache-control", "no-store")
        .header("x-request-id", request_id);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    if closes {
        response = response.header("connection", "close");
    }
    response
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap_or_default()
}
