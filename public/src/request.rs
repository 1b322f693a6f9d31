//! What a handler of paths gets, and what it gives back.
//!
//! A protocol of its own, such as EST, is a type with [`Handler`] that is listed in `routes.rs` under the beginning of its paths. Before a handler is called the
//! client's limit was looked at; after it the audit line is written out of the answer's [`Note`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use rustls_pki_types::CertificateDer;
use tokio::time::timeout;

/// A request's body has to arrive in this time.
const BODY: Duration = Duration::from_secs(15);

/// What clients are asked to wait where nobody knows how long it takes, in seconds.
pub const PAUSE: u64 = 10;

/// Answers requests below one beginning of paths.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Answers a request. A path that is none of the handler's gets [`Reply::not_found`].
    async fn answer(&self, request: &mut Request) -> Reply;
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Its address.
    pub remote: SocketAddr,
    /// Whether the connection is HTTPS: only there may a handler take a password.
    pub secure: bool,
    /// The certificate that it showed and those above it, as it sent them: verified by TLS against `client_ca` of the listener, so its holder has the key, and the
    /// chain was good when the connection began. Empty without one. Connections end when the TLS files of the listener change.
    pub chain: Vec<CertificateDer<'static>>,
}

/// A request, whose body is not read yet.
#[derive(Debug)]
pub struct Request {
    head: request::Parts,
    body: Body,
    visitor: Arc<Visitor>,
    read: usize,
}

#[derive(Debug)]
enum Body {
    Network(Incoming),
    Memory(Bytes),
    Taken,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than the handler takes.
    #[error("the body is too large")]
    TooLarge,
    /// It did not arrive in time, or not as a whole.
    #[error("the body did not arrive")]
    Lost,
}

impl BodyError {
    /// The answer: 413 or 408.
    pub fn reply(self, operation: &'static str) -> Reply {
        let status = match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Lost => StatusCode::REQUEST_TIMEOUT,
        };
        Reply::refusal(status, operation, &self.to_string())
    }
}

impl Request {
    pub(crate) fn new(request: http::Request<Incoming>, visitor: Arc<Visitor>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head,
            body: Body::Network(body),
            visitor,
            read: 0,
        }
    }

    /// A request that no network has seen: for tests.
    pub fn in_memory(request: http::Request<Bytes>, visitor: Visitor) -> Self {
        let (head, body) = request.into_parts();
        Self {
            head,
            body: Body::Memory(body),
            visitor: Arc::new(visitor),
            read: 0,
        }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.head.method
    }

    /// The whole address as it was sent.
    pub fn uri(&self) -> &Uri {
        &self.head.uri
    }

    /// The path as it was sent: percent-encoded, with a slash at its beginning.
    pub fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// A header that is text; of several of one name the first.
    pub fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Who asks.
    pub fn visitor(&self) -> &Visitor {
        &self.visitor
    }

    /// The body, of which no more than `most` octets are ever held. A second call gets nothing.
    ///
    /// # Errors
    /// It is too large, or does not arrive within 15 s.
    pub async fn body(&mut self, most: usize) -> Result<Bytes, BodyError> {
        let body = match std::mem::replace(&mut self.body, Body::Taken) {
            Body::Taken => return Ok(Bytes::new()),
            Body::Memory(body) if body.len() > most => return Err(BodyError::TooLarge),
            Body::Memory(body) => body,
            Body::Network(body) => {
                let whole = timeout(BODY, Limited::new(body, most).collect()).await;
                match whole {
                    Ok(Ok(whole)) => whole.to_bytes(),
                    Ok(Err(error)) if error.is::<LengthLimitError>() => {
                        return Err(BodyError::TooLarge);
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "a body did not arrive");
                        return Err(BodyError::Lost);
                    }
                    Err(_) => return Err(BodyError::Lost),
                }
            }
        };
        self.read = body.len();
        Ok(body)
    }

    /// Octets of the body that were read.
    pub(crate) fn body_bytes(&self) -> usize {
        self.read
    }
}

/// An answer, and what the audit log says of it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// All headers but those of the connection: `Date` and `Content-Length` come by themselves.
    pub headers: HeaderMap,
    /// The body. Clones of [`Bytes`] share it.
    pub body: Bytes,
    /// For the audit log.
    pub note: Note,
}

/// What the audit line says besides address, method, path, status, sizes and time.
#[derive(Debug, Clone, Default)]
pub struct Note {
    /// What was asked, in a word of a fixed set, such as `crl`: it is also a label of metrics.
    pub operation: &'static str,
    /// The mount that it is about, as the configuration names it.
    pub mount: Option<Arc<str>>,
    /// Where the answer came from: `cache`, `stale` or `server`.
    pub source: Option<&'static str>,
    /// Who the client turned out to be, by its certificate or login.
    pub client: Option<String>,
    /// Why it was refused, for the operator. The client does not see it.
    pub error: Option<String>,
}

impl Reply {
    /// An answer of this kind (`Content-Type`).
    pub fn new(
        status: StatusCode,
        operation: &'static str,
        kind: &'static str,
        body: Bytes,
    ) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self {
            status,
            headers,
            body,
            note: Note {
                operation,
                ..Note::default()
            },
        }
    }

    /// A refusal: a line of text for the client, which the audit log has as well.
    pub fn refusal(status: StatusCode, operation: &'static str, text: &str) -> Self {
        let body = Bytes::from(format!("{text}\n"));
        let mut reply = Self::new(status, operation, "text/plain; charset=utf-8", body);
        reply.note.error = Some(text.to_owned());
        reply.with(
            http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        )
    }

    /// A path that nobody has.
    pub fn not_found() -> Self {
        Self::refusal(
            StatusCode::NOT_FOUND,
            "unknown",
            "there is nothing at this path",
        )
    }

    /// A method that a path does not have. `allowed` is the list of those that it has.
    pub fn method_not_allowed(operation: &'static str, allowed: &'static str) -> Self {
        Self::refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            operation,
            "this path has no such method",
        )
        .with(ALLOW, HeaderValue::from_static(allowed))
    }

    /// The secrets server cannot be asked now: 503 with `Retry-After`. `cause` is for the audit log.
    pub fn unavailable(operation: &'static str, seconds: u64, cause: &str) -> Self {
        let text = "the certificate authority cannot be asked now, try again later";
        let mut reply = Self::refusal(StatusCode::SERVICE_UNAVAILABLE, operation, text);
        reply.note.error = Some(cause.to_owned());
        reply.with(RETRY_AFTER, seconds.max(1).into())
    }

    /// The answer to HEAD: the length of the body, and none (RFC 9110 section 9.3.2).
    pub fn without_body(mut self) -> Self {
        if self.status != StatusCode::NOT_MODIFIED {
            self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        self.body = Bytes::new();
        self
    }

    /// The same answer with this header.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same answer, about this mount.
    pub fn about(mut self, mount: &Arc<str>) -> Self {
        self.note.mount = Some(mount.clone());
        self
    }
}
