//! Answers to ACME clients: bodies of their own instead of the server's, problem documents, and headers that clients need.

use jiff::Timestamp;
use landfast_acme::problem::{CONTENT_TYPE, Kind, Problem};
use landfast_sdk::logical::{Error, Response, StorageError};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Mount;
use crate::acme::Refused;

/// What a client is answered, before the headers that all answers have.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// A JSON object.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, "application/json", body.to_string().into_bytes())
    }

    /// Any body.
    pub(super) fn raw(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self {
            status,
            content_type,
            body,
            headers: Vec::new(),
        }
    }

    /// A problem document.
    pub(super) fn problem(problem: &Problem) -> Self {
        Self::raw(
            problem.status,
            CONTENT_TYPE,
            problem.to_json().to_string().into_bytes(),
        )
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same as a response of the host.
    pub(super) fn into_response(self) -> Response {
        let response = Response::raw(self.status, self.content_type, self.body);
        self.headers
            .into_iter()
            .fold(response, |response, (name, value)| {
                response.header(name, value)
            })
    }
}

/// What became of a request as an answer: nothing where ACME is off, 404 without a word, as of the built-in engine. That this node may not write stays an
/// error, which the host has to learn of.
///
/// # Errors
/// As said.
pub(super) fn told(outcome: Result<Answer, Refused>) -> Result<Answer, Error> {
    let error = match outcome {
        Ok(answer) => return Ok(answer),
        Err(Refused::Problem(problem)) => return Ok(Answer::problem(&problem)),
        Err(Refused::Off) => return Ok(Answer::raw(404, "application/json", Vec::new())),
        Err(Refused::Error(error)) => error,
    };
    if matches!(error, Error::Storage(StorageError::ReadOnly(_))) {
        return Err(error);
    }
    let cause = match &error {
        Error::Internal { log, .. } => log.as_str(),
        _ => "",
    };
    tracing::warn!(%error, cause, "a request of an ACME client could not be done");
    let mut problem = Problem::new(
        Kind::ServerInternal,
        format!("{}: {error}", Kind::ServerInternal.meaning()),
    );
    if let Error::Status { code, .. } = error {
        problem.status = code;
    }
    Ok(Answer::problem(&problem))
}

/// A nonce for the next request, as a header.
///
/// # Errors
/// When there is no randomness.
pub(super) fn with_nonce(mount: &Mount, answer: Answer) -> Result<Answer, Error> {
    Ok(answer.header("Replay-Nonce", mount.acme.nonces()?.issue(mount.now())))
}

/// The directory that an answer belongs to, as a header (RFC 8555 section 7.1).
pub(super) fn index(directory: &str) -> String {
    format!("<{directory}>;rel=\"index\"")
}

/// The word for a status.
pub(super) fn word(status: impl Serialize) -> String {
    json!(status).as_str().unwrap_or_default().to_owned()
}

/// RFC 3339 with whole seconds.
pub(super) fn time(time: Timestamp) -> String {
    crate::acme::validation::to_the_second(time)
}
