//! Logs a client in to the server, so that the server's policies decide and its audit log names the client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::Bytes;
use landfast_base::Secret;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::answers;
use super::config::{BasicLoginFile, CertificateLoginFile, Method};
use super::credentials::Credentials;
use super::refusal::Refusal;
use crate::mounts::Mount;
use crate::request::Visitor;
use crate::upstream::{Answer, Call};

/// What the `cert` method says where no certificate arrived: OpenBao's words, and Vault's.
const NO_CERTIFICATE: [&str; 3] = [
    "no client certificate found",
    "client certificate must be supplied",
    "tls connection required",
];

/// How a client proves who it is.
pub(crate) enum Proof {
    /// By the certificate of its connection, whose key it holds: TLS has seen that.
    Certificate(CertificateLogin, CertificateDer<'static>),
    /// By a name and a password, which only the server can judge.
    Password(BasicLogin, Credentials),
}

/// A login of the `cert` method, ready to use.
#[derive(Debug, Clone)]
pub(crate) struct CertificateLogin {
    path: String,
    role: Option<String>,
    header: HeaderName,
}

impl CertificateLogin {
    /// What the configuration says; none if the header is no name, which its check refuses.
    pub(crate) fn new(file: &CertificateLoginFile) -> Option<Self> {
        Some(Self {
            path: format!("auth/{}/login", file.mount.trim_matches('/')),
            role: file.role.clone(),
            header: HeaderName::from_bytes(file.header.as_bytes()).ok()?,
        })
    }
}

/// A login with a name and a password, ready to use.
#[derive(Debug, Clone)]
pub(crate) struct BasicLogin {
    method: Method,
    path: String,
}

impl BasicLogin {
    pub(crate) fn new(file: &BasicLoginFile) -> Self {
        let mount = file.mount.as_deref().unwrap_or_else(|| file.method.name());
        Self {
            method: file.method,
            path: format!("auth/{}/login", mount.trim_matches('/')),
        }
    }
}

/// A client that the server knows, for one operation.
pub(crate) struct Session {
    token: Secret<String>,
    /// Batch tokens are not stored and cannot be revoked.
    batch: bool,
}

#[derive(Deserialize)]
struct LoginAnswer {
    auth: Option<Auth>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(deserialize_with = "answers::secret")]
    client_token: Secret<String>,
    #[serde(default)]
    token_type: String,
}

/// Headers that say who is behind a call: the server's audit log has the client's address where its listener trusts this one.
pub(crate) fn forwarded(visitor: &Visitor) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(address) = HeaderValue::from_str(&visitor.remote.ip().to_string()) {
        headers.insert(HeaderName::from_static("x-forwarded-for"), address);
    }
    headers
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// The server does not know the client, or cannot be asked.
    pub(crate) async fn open(
        mount: &Mount,
        visitor: &Visitor,
        proof: &Proof,
    ) -> Result<Self, Refusal> {
        let mut headers = forwarded(visitor);
        let (path, body) = match proof {
            Proof::Certificate(login, certificate) => {
                // A byte sequence of RFC 8941, as RFC 9440 section 2.1 has it.
                let value = format!(":{}:", STANDARD.encode(certificate));
                let value = HeaderValue::try_from(value);
                let value = value.map_err(|_| Refusal::bad("the certificate fits in no header"))?;
                headers.insert(login.header.clone(), value);
                let role = login.role.as_deref().map(|role| ("name", role));
                (login.path.clone(), answers::secret_body(role.as_slice()))
            }
            Proof::Password(login, credentials) => password(login, credentials),
        };
        let mut call = Call::post(&path, body);
        call.headers = headers;
        call.namespace = mount.namespace.as_deref();
        call.active = true;
        let answer = mount.upstream.call(call).await?;
        if !answer.status.is_success() {
            return Err(refused(proof, &answer));
        }
        let read: LoginAnswer = answers::whole(answer)?;
        match read.auth {
            Some(auth) if !auth.client_token.expose().is_empty() => Ok(Self {
                batch: auth.token_type == "batch",
                token: auth.client_token,
            }),
            _ => Err(Refusal::forbidden("this login does not suffice")
                .because("the server gave no token: is a second factor asked for?")),
        }
    }

    /// The token, for a call.
    pub(crate) const fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// Gives the token back. It ends by itself where that fails.
    pub(crate) async fn close(self, mount: &Mount, visitor: &Visitor) {
        if self.batch {
            return;
        }
        let mut call = Call::post("auth/token/revoke-self", Bytes::new());
        call.headers = forwarded(visitor);
        call.namespace = mount.namespace.as_deref();
        call.token = Some(&self.token);
        call.active = true;
        match mount.upstream.call(call).await {
            Ok(answer) if answer.status.is_success() => {}
            Ok(answer) => tracing::warn!(
                status = answer.status.as_u16(),
                "a token of an EST client was not revoked, it lives to its end: allow update on auth/token/revoke-self"
            ),
            Err(trouble) => {
                tracing::warn!(%trouble, "a token of an EST client was not revoked, it lives to its end")
            }
        }
    }
}

fn password(login: &BasicLogin, credentials: &Credentials) -> (String, Bytes) {
    let (name, password) = (credentials.name.as_str(), credentials.password.expose());
    match login.method {
        // The name has only characters that stand in a path.
        Method::Userpass | Method::Ldap => (
            format!("{}/{name}", login.path),
            answers::secret_body(&[("password", password)]),
        ),
        Method::Approle => (
            login.path.clone(),
            answers::secret_body(&[("role_id", name), ("secret_id", password)]),
        ),
    }
}

fn refused(proof: &Proof, answer: &Answer) -> Refusal {
    let cause = answer.error().unwrap_or_default();
    let cause = format!("login: {} {cause}", answer.status.as_u16());
    // What a standby passes on to the active node has lost the certificate.
    let lost = NO_CERTIFICATE.iter().any(|words| cause.contains(words));
    if let Proof::Certificate(login, _) = proof
        && lost
    {
        return Refusal::later(format!(
            "{cause}: the server's listener takes no certificate in {} from here, or a standby was asked, which passes none on: see server.other_nodes",
            login.header
        ));
    }
    // An expired or foreign certificate is an error of the server's `cert` method, and not a refusal.
    let unverified = cause.contains("failed to verify client's certificate");
    let known = matches!(
        answer.status,
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    match proof {
        Proof::Password(..) if known => Refusal::unknown("the login was refused").because(cause),
        Proof::Certificate(..) if known || unverified => {
            Refusal::forbidden("the server does not take this certificate for a login")
                .because(cause)
        }
        _ => Refusal::upstream(cause),
    }
}
