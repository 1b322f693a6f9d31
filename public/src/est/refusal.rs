//! Why a request of EST is not served.

use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::request::{PAUSE, Reply};
use crate::slot::Missing;
use crate::upstream::Trouble;

/// What a client is told, and what the operator is told besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// For the client: a line without secrets.
    pub(crate) text: String,
    /// For the audit log, where it knows more than the client may.
    pub(crate) cause: Option<String>,
    pub(crate) kind: Kind,
    /// Who asked, where the server knew.
    pub(crate) client: Option<String>,
}

/// What an answer needs besides status and text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// Asks for HTTP Basic (RFC 7617).
    Challenge,
    /// Names the only method.
    Only(&'static str),
    /// The server is away: whoever asks again later may be served.
    Later,
    /// Others failed from where it comes from: whoever asks again in a minute may be served.
    Slower,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            cause: None,
            kind: Kind::Plain,
            client: None,
        }
    }

    /// The request is wrong, and stays so: 400.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// The client may not: 403.
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// The client did not say who it is, or not rightly, and may do so by a password: 401.
    pub(crate) fn unknown(text: impl Into<String>) -> Self {
        Self {
            kind: Kind::Challenge,
            ..Self::new(StatusCode::UNAUTHORIZED, text)
        }
    }

    /// The server behind answered what helps nobody: 502. The client need not know more.
    pub(crate) fn upstream(cause: impl Into<String>) -> Self {
        let text =
            "the certificate authority did not issue; its operator finds the reason in the log";
        Self::new(StatusCode::BAD_GATEWAY, text).because(cause)
    }

    /// Too many passwords were wrong: 429.
    pub(crate) fn slower() -> Self {
        Self {
            kind: Kind::Slower,
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many logins from your network failed, try again later",
            )
        }
    }

    /// Nobody can decide now, and may be able to in a moment: 503.
    pub(crate) fn later(cause: impl Into<String>) -> Self {
        Self {
            kind: Kind::Later,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "").because(cause)
        }
    }

    /// Too many enrolments are under way: 503.
    pub(crate) fn busy() -> Self {
        Self::later("too many enrolments are under way")
    }

    /// The same, of a client that the server knew.
    pub(crate) fn of(mut self, client: String) -> Self {
        self.client = Some(client);
        self
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The answer.
    pub(crate) fn reply(self, operation: &'static str) -> Reply {
        if self.kind == Kind::Later {
            let cause = self.cause.as_deref().unwrap_or(&self.text);
            let mut reply = Reply::unavailable(operation, PAUSE, cause);
            reply.note.client = self.client;
            return reply;
        }
        let mut reply = Reply::refusal(self.status, operation, &self.text);
        if self.cause.is_some() {
            reply.note.error = self.cause;
        }
        reply.note.client = self.client;
        match self.kind {
            Kind::Slower => reply.with(RETRY_AFTER, HeaderValue::from_static("60")),
            Kind::Challenge => {
                let challenge = HeaderValue::from_static("Basic realm=\"est\", charset=\"UTF-8\"");
                reply.with(WWW_AUTHENTICATE, challenge)
            }
            Kind::Only(method) => reply.with(ALLOW, HeaderValue::from_static(method)),
            Kind::Plain | Kind::Later => reply,
        }
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::later(trouble.to_string())
    }
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Absent => Self::upstream("the mount has no such issuer, or no list of it"),
            Missing::Away(cause) => Self::later(&*cause),
        }
    }
}
