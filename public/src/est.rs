//! Enrolment over Secure Transport: EST (RFC 7030, with the clarifications of RFC 8951), in front of any pki mount.
//!
//! A client proves who it is by the certificate of its TLS connection or by HTTP Basic. It is logged in to the server with that, and what it asks for is asked
//! with its own token: the server's policies and the role decide, the server's audit log names the client, and this one holds no token of its
//! own.
//!
//! - `path`, `body`, `credentials`, `names` are the rules of the protocol, without any server.
//! - `login`, `enroll`, `standing` are what the server is asked.
//!
//! The full CMC of section 4.3 is not served.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::StatusCode;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::body::Bytes;
use jiff::Timestamp;
use landfast_listen::neighbourhood;
use landfast_pki::{Certificate, Csr, Oid};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::certs_only;
use crate::error::Error;
use crate::request::{Handler, Reply, Request, Visitor};
use crate::site::Site;

mod answers;
mod body;
mod budget;
pub(crate) mod config;
mod credentials;
mod enroll;
mod label;
mod login;
mod names;
mod path;
mod refusal;
mod standing;

pub use config::{BasicLoginFile, CertificateLoginFile, EstFile, LabelFile, Method};

use budget::Failures;
use credentials::{Credentials, NoCredentials};
use enroll::PARTS;
use label::Label;
use login::{Proof, Session};
use path::Operation;
use refusal::{Kind, Refusal};
use standing::Standing;

/// What all paths begin with, for the table of handlers.
pub(crate) const PREFIX: &str = "/.well-known/est";

/// challengePassword (RFC 2985), in which clients put what links a request to its connection.
const CHALLENGE: Oid = Oid::new_unwrap("1.2.840.113549.1.9.7");

/// Attributes that ask for a key which only the client can open (RFC 7030 section 4.4.1): decryptKeyID and asymmDecryptKeyID.
const DECRYPT: [Oid; 2] = [
    Oid::new_unwrap("1.2.840.113549.1.9.16.2.37"),
    Oid::new_unwrap("1.2.840.113549.1.9.16.2.54"),
];

/// What is said of a body and an `Authorization` before anybody is asked, by whoever shows `old` for a renewal: the text of the refusal, or none.
#[doc(hidden)]
pub fn refusal_of(
    body: &[u8],
    authorization: Option<&[u8]>,
    old: Option<&Certificate>,
) -> Option<String> {
    let _ = Credentials::read(authorization);
    let judged = body::request(body).and_then(|csr| {
        check_request(&csr, Operation::ServerKey)?;
        check_request(&csr, Operation::Enroll)?;
        old.map_or(Ok(()), |old| names::check(&csr, old, true))
    });
    judged.err().map(|refusal| refusal.text)
}

/// Enrolments at one time: fewer than the calls that the server is asked at one time, so that devices leave room for those who only read.
const AT_ONCE: usize = 16;

/// How long an enrolment waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// All labels.
pub(crate) struct Est {
    labels: HashMap<String, Arc<Label>>,
    default_label: Option<String>,
    turns: Arc<Semaphore>,
    failures: Arc<Failures>,
}

/// What is sent back where all went well.
struct Given {
    kind: &'static str,
    body: Bytes,
    client: Option<String>,
    /// For the audit log: `cache`, `stale` or `server`; empty where nobody had to be asked.
    source: &'static str,
}

impl Est {
    /// From a configuration that was checked.
    ///
    /// # Errors
    /// A label names a mount that there is not.
    pub(crate) fn new(file: &EstFile, sites: &[Arc<Site>]) -> Result<Self, Error> {
        let mut labels = HashMap::new();
        for (name, label) in &file.labels {
            labels.insert(name.clone(), Arc::new(Label::new(label, sites)?));
        }
        Ok(Self {
            labels,
            default_label: file.default_label.clone(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            failures: Arc::default(),
        })
    }

    async fn serve(
        &self,
        request: &mut Request,
        label: &Arc<Label>,
        operation: Operation,
    ) -> Result<Option<Given>, Refusal> {
        if !request.visitor().secure {
            return Err(Refusal::forbidden("EST is served over HTTPS only"));
        }
        if request.method().as_str() != operation.method() {
            let text = format!("{} takes {} only", operation.name(), operation.method());
            return Err(Refusal {
                kind: Kind::Only(operation.method()),
                ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, text)
            });
        }
        match operation {
            Operation::CaCerts => {
                let found = label.site.certificates(label.issuer.as_deref()).await?;
                let chain = body::encode(found.value.chain_p7c.body());
                let given = Given::of(certs_only::KIND, chain);
                Ok(Some(Given {
                    source: found.source,
                    ..given
                }))
            }
            Operation::Attributes => {
                let wanted = label.wanted.clone();
                Ok(wanted.map(|wanted| Given::of("application/csrattrs", wanted)))
            }
            Operation::Enroll | Operation::Reenroll | Operation::ServerKey => {
                let enrolment = Enrolment::read(request, label, operation).await?;
                let turn = timeout(TURN, self.turns.clone().acquire_owned()).await;
                let Ok(Ok(turn)) = turn else {
                    return Err(Refusal::busy());
                };
                // It is finished although the client goes away: what was signed is on record, and the token is given back.
                let done = tokio::spawn(enrolment.finish(turn, self.failures.clone())).await;
                let lost = |_| Err(Refusal::upstream("the enrolment ended unexpectedly"));
                done.unwrap_or_else(lost).map(Some)
            }
        }
    }
}

#[async_trait]
impl Handler for Est {
    async fn answer(&self, request: &mut Request) -> Reply {
        let found = path::parse(request.path());
        let Some((name, operation)) =
            found.map(|(name, operation)| (name.map(str::to_owned), operation))
        else {
            return Reply::not_found();
        };
        let name = name.as_ref().or(self.default_label.as_ref());
        let Some(label) = name.and_then(|name| self.labels.get(name)) else {
            return Refusal::new(StatusCode::NOT_FOUND, "there is no such label")
                .reply(operation.name());
        };
        let reply = match self.serve(request, label, operation).await {
            Ok(Some(given)) => {
                let mut reply =
                    Reply::new(StatusCode::OK, operation.name(), given.kind, given.body);
                reply.note.client = given.client;
                reply.note.source = Some(given.source).filter(|source| !source.is_empty());
                reply.with(CACHE_CONTROL, http::HeaderValue::from_static("no-store"))
            }
            // No attributes are wanted (RFC 7030 section 4.5.2).
            Ok(None) => Reply::new(
                StatusCode::NO_CONTENT,
                operation.name(),
                "text/plain",
                Bytes::new(),
            ),
            Err(refusal) => refusal.reply(operation.name()),
        };
        reply.about(&label.mount.prefix)
    }
}

impl Given {
    const fn of(kind: &'static str, body: Bytes) -> Self {
        Self {
            kind,
            body,
            client: None,
            source: "",
        }
    }
}

/// A request for a certificate, which is well formed and whose client has shown something to prove who it is.
struct Enrolment {
    label: Arc<Label>,
    visitor: Visitor,
    operation: Operation,
    csr: Csr,
    /// The certificate of the connection.
    shown: Option<Certificate>,
    proof: Proof,
}

impl Enrolment {
    async fn read(
        request: &mut Request,
        label: &Arc<Label>,
        operation: Operation,
    ) -> Result<Self, Refusal> {
        if operation == Operation::ServerKey && !label.server_keys {
            return Err(Refusal::forbidden(
                "no keys are made here: make one, and send a request for it to simpleenroll",
            ));
        }
        // Whoever asks first (`Expect`) need not send what is too large.
        let length = request
            .header(CONTENT_LENGTH)
            .and_then(|text| text.parse::<usize>().ok());
        if length.is_some_and(|length| length > body::MOST) {
            let text = "the body is too large";
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        let body = request.body(body::MOST).await;
        let body = body.map_err(|error| {
            let reply = error.reply(operation.name());
            Refusal::new(reply.status, error.to_string())
        })?;
        let proof = proof(request, label, operation)?;
        if !body::is_kind(request.header(CONTENT_TYPE), body::PKCS10) {
            let text = "the Content-Type of a request is application/pkcs10";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        let shown = request.visitor().chain.first();
        let shown = shown.map(|der| Certificate::from_der(der)).transpose();
        let shown = shown
            .map_err(|error| Refusal::bad(format!("the certificate of the connection: {error}")))?;
        let csr = body::request(&body)?;
        check_request(&csr, operation)?;
        if operation == Operation::Reenroll {
            let old = shown.as_ref().ok_or_else(no_old_certificate)?;
            names::check(&csr, old, label.subject_change)?;
        }
        Ok(Self {
            label: label.clone(),
            visitor: request.visitor().clone(),
            operation,
            csr,
            shown,
            proof,
        })
    }

    async fn finish(
        self,
        turn: OwnedSemaphorePermit,
        failures: Arc<Failures>,
    ) -> Result<Given, Refusal> {
        let _turn = turn;
        let place = neighbourhood(self.visitor.remote.ip());
        let guess = matches!(self.proof, Proof::Password(..));
        if guess && !failures.allow(place, Instant::now()) {
            return Err(Refusal::slower());
        }
        let matters =
            self.operation == Operation::Reenroll || matches!(self.proof, Proof::Certificate(..));
        if let Some(shown) = self.shown.as_ref().filter(|_| matters) {
            let standing = standing::check(&self.label, shown, Timestamp::now()).await?;
            if self.operation == Operation::Reenroll && standing == Standing::Foreign {
                return Err(Refusal::forbidden(
                    "the certificate is none of this authority, so it is not renewed here; enrol by simpleenroll",
                ));
            }
        }
        let opened = Session::open(&self.label.mount, &self.visitor, &self.proof).await;
        if guess
            && opened
                .as_ref()
                .is_err_and(|refusal| refusal.kind == Kind::Challenge)
        {
            failures.note(place, Instant::now());
        }
        let session = opened?;
        let (label, visitor, csr) = (&self.label, &self.visitor, &self.csr);
        let given = match self.operation {
            Operation::ServerKey => enroll::issue(label, &session, visitor, csr)
                .await
                .map(|body| (PARTS, body)),
            _ => enroll::sign(label, &session, visitor, csr)
                .await
                .map(|body| (certs_only::KIND, body)),
        };
        session.close(&self.label.mount, &self.visitor).await;
        let (kind, body) = given.map_err(|refusal| refusal.of(self.client()))?;
        Ok(Given {
            kind,
            body,
            client: Some(self.client()),
            source: "server",
        })
    }

    /// Who the client turned out to be.
    fn client(&self) -> String {
        match (&self.proof, &self.shown) {
            (Proof::Password(_, credentials), _) => credentials.name.clone(),
            (Proof::Certificate(..), Some(shown)) => {
                format!("{} ({})", shown.subject(), shown.serial())
            }
            (Proof::Certificate(..), None) => String::new(),
        }
    }
}

/// What the client has to prove who it is. A password goes before a certificate, for it was sent on purpose; a certificate is renewed by itself.
fn proof(request: &Request, label: &Label, operation: Operation) -> Result<Proof, Refusal> {
    let shown = request.visitor().chain.first();
    if operation == Operation::Reenroll && shown.is_none() {
        return Err(no_old_certificate());
    }
    let by_certificate = label.certificate.as_ref().zip(shown.cloned());
    let by_certificate = by_certificate.map(|(login, der)| Proof::Certificate(login.clone(), der));
    let renewal = operation == Operation::Reenroll && by_certificate.is_some();
    if let Some(login) = label.basic.as_ref().filter(|_| !renewal) {
        let header = request
            .headers()
            .get(AUTHORIZATION)
            .map(http::HeaderValue::as_bytes);
        match Credentials::read(header) {
            Ok(credentials) => return Ok(Proof::Password(login.clone(), credentials)),
            Err(NoCredentials::Unreadable) => {
                return Err(Refusal::unknown(
                    "the Authorization is not that of HTTP Basic with a name and a password",
                ));
            }
            Err(NoCredentials::Absent) => {}
        }
    }
    by_certificate.ok_or_else(|| {
        if label.basic.is_some() {
            Refusal::unknown("log in by HTTP Basic")
        } else {
            Refusal::forbidden("log in with a client certificate in the TLS handshake")
        }
    })
}

fn no_old_certificate() -> Refusal {
    Refusal::forbidden("show the certificate that is to be renewed in the TLS handshake")
}

/// What holds for every request.
fn check_request(csr: &Csr, operation: Operation) -> Result<(), Refusal> {
    if operation == Operation::ServerKey {
        // The key of the request and its signature count for nothing there (RFC 7030 section 4.4.1).
        if DECRYPT.iter().any(|oid| csr.attribute(oid).is_some()) {
            return Err(Refusal::bad(
                "keys are not encrypted beyond TLS here; leave out the attribute that asks for it",
            ));
        }
        return Ok(());
    }
    csr.verify().map_err(|error| {
        Refusal::bad(format!(
            "the request does not prove that its sender has the key: {error}"
        ))
    })?;
    if csr.attribute(&CHALLENGE).is_some() {
        return Err(Refusal::bad(
            "the request has a challengePassword: that a request belongs to its connection (RFC 7030 section 3.5) is not checked here; leave it out",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
