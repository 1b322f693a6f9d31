//! Credentials over HTTP on this machine, for programs that can neither run a
//! credential process nor read a file that changes.
//!
//! Two protocols, both spoken by every AWS SDK: the instance metadata service
//! (version 2 only, with its token) and the container credentials endpoint
//! (with a bearer token from a file). Requests that came through a proxy are
//! refused, and on loopback those for another host's name, so that no web page
//! can talk to it. There is never an answer with empty credentials.
//!
//! Source: Amazon EC2 user guide, "Use the Instance Metadata Service"; AWS SDKs
//! and tools reference guide, "Container credential provider".

mod host;
mod instance;
#[cfg(test)]
mod tests;
mod token;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use jiff::Timestamp;
use landfast_base::{NoRandomness, Secret, hex, random, sha256};
use landfast_listen::{Accept, Bounds, LEAST_HEAD, Limits};
use serde::Serialize;
use tokio::sync::watch;
use tower::ServiceExt as _;

pub use self::instance::Instance;

use self::token::Tokens;
use crate::files::{self, FileError};
use crate::refresh::Nudge;
use crate::session::Credentials;

/// A metadata token lives for at most six hours, and for so long if nobody says how long.
pub const MAX_TOKEN_TTL: u64 = 21_600;
/// So long does a request wait for credentials when there are none; the SDKs give
/// instance metadata a second.
const PATIENCE: Duration = Duration::from_millis(900);
const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// What is served: the current credentials, and who may ask.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    role: String,
    role_arn: String,
    container: Allowed,
    metadata: bool,
    own_host_only: bool,
    current: watch::Sender<Option<Held>>,
    tokens: Tokens,
    instance: Instance,
    /// Given when somebody wants credentials and there are none.
    nudge: Nudge,
    clock: fn() -> Timestamp,
}

/// A gate whose token is kept as its digest.
enum Allowed {
    Off,
    Token([u8; 32]),
    Open,
}

struct Held {
    credentials: Credentials,
    updated: Timestamp,
}

/// How a service is set up.
pub struct Settings {
    /// The role's name, which metadata clients ask for first.
    pub role: String,
    /// The role's ARN.
    pub role_arn: String,
    /// Who may ask the container credentials endpoint.
    pub container: Gate,
    /// Whether the metadata endpoint is on.
    pub metadata: bool,
    /// Serve only requests whose `Host` is an address or `localhost`.
    pub own_host_only: bool,
    /// What the metadata endpoint says of the machine.
    pub instance: Instance,
    /// Where the time comes from.
    pub clock: fn() -> Timestamp,
}

/// Who may ask the container credentials endpoint.
#[derive(Debug)]
pub enum Gate {
    /// Nobody: the endpoint is off.
    Closed,
    /// Who shows this token.
    Token(Secret<String>),
    /// Who can connect: for a socket whose permissions say who that is.
    Socket,
}

impl Service {
    /// A service without credentials yet.
    ///
    /// # Errors
    /// [`NoRandomness`] when there is no randomness for tokens.
    pub fn new(settings: Settings) -> Result<Self, NoRandomness> {
        Ok(Self(Arc::new(Inner {
            role: settings.role,
            role_arn: settings.role_arn,
            container: match settings.container {
                Gate::Closed => Allowed::Off,
                Gate::Token(token) => Allowed::Token(sha256(token.expose().as_bytes())),
                Gate::Socket => Allowed::Open,
            },
            metadata: settings.metadata,
            own_host_only: settings.own_host_only,
            current: watch::Sender::new(None),
            tokens: Tokens::new()?,
            instance: settings.instance,
            nudge: Nudge::default(),
            clock: settings.clock,
        })))
    }

    /// Serves these credentials from now on.
    pub fn set(&self, credentials: Credentials) {
        let updated = (self.0.clock)();
        self.0.current.send_replace(Some(Held {
            credentials,
            updated,
        }));
    }

    /// Given whenever somebody wants credentials and there are none.
    pub fn nudge(&self) -> &Nudge {
        &self.0.nudge
    }

    /// Answers whoever connects until `stopped` turns true.
    pub async fn serve<L: Accept>(&self, listener: L, stopped: watch::Receiver<bool>) {
        let router = self.router();
        let handle = move |mut request: hyper::Request<hyper::body::Incoming>| {
            let router = router.clone();
            if let Some(uri) = collapsed(request.uri()) {
                *request.uri_mut() = uri;
            }
            async move {
                let answer = router.oneshot(request).await;
                answer.unwrap_or_else(|never| match never {})
            }
        };
        let limits = Limits {
            bounds: Bounds {
                // Heads of these protocols are short, and everybody of this machine may send one.
                head_bytes: LEAST_HEAD,
                ..Bounds::default()
            },
            ..Limits::default()
        };
        landfast_listen::serve(listener, &limits, landfast_listen::plain, stopped, handle).await;
    }

    /// The routes of the protocols that are on.
    fn router(&self) -> Router {
        const META_DATA: &str = "/latest/meta-data";
        let mut router = Router::new();
        if self.0.metadata {
            let roles = format!("{META_DATA}/iam/security-credentials");
            let said = Router::new()
                .route(&roles, get(role))
                .route(&format!("{roles}/{{role}}"), get(metadata))
                .route(&format!("{META_DATA}/placement/region"), get(region))
                .route(
                    &format!("{META_DATA}/placement/availability-zone"),
                    get(zone),
                )
                .route(&format!("{META_DATA}/instance-id"), get(instance_id))
                .route("/latest/dynamic/instance-identity/document", get(document))
                .route_layer(middleware::from_fn_with_state(self.clone(), shown_token));
            router = router.route("/latest/api/token", put(token)).merge(said);
        }
        if !matches!(self.0.container, Allowed::Off) {
            router = router.route("/credentials", get(container));
        }
        router
            .layer(middleware::from_fn_with_state(self.clone(), gate))
            .with_state(self.clone())
    }

    /// A document over the current credentials. Where there are none, or they have
    /// ended, they are asked for and waited for, but not for long.
    async fn document<T: Serialize>(&self, make: impl FnOnce(&Held, &str) -> T) -> Response {
        let now = (self.0.clock)();
        let is_live = |held: &Option<Held>| {
            let held = held.as_ref();
            held.is_some_and(|held| held.credentials.ends() > now)
        };
        let mut current = self.0.current.subscribe();
        if !is_live(&current.borrow()) {
            self.0.nudge.give();
            // Whether they came, the next look tells.
            let _ = tokio::time::timeout(PATIENCE, current.wait_for(is_live)).await;
        }
        let held = current.borrow();
        let Some(held) = held.as_ref().filter(|held| held.credentials.ends() > now) else {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "no credentials at the moment; see the log of landfast serve",
            );
        };
        json(&make(held, &self.0.role_arn))
    }
}

/// A path with one slash where there are more, and none at its end: SDKs put theirs
/// behind an endpoint that may end in one.
fn collapsed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let mut plain = format!("/{}", words.join("/"));
    if plain == path {
        return None;
    }
    if let Some(query) = uri.query() {
        plain = format!("{plain}?{query}");
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = plain.parse().ok();
    Uri::from_parts(parts).ok()
}

/// The bearer token of a file, which is made when it is not there.
///
/// # Errors
/// [`FileError`]: also for a token that others may read, or that is too short
/// to be one.
pub fn bearer(path: &std::path::Path) -> Result<Secret<String>, FileError> {
    let refuse = |why: &'static str| FileError {
        path: path.to_owned(),
        cause: io::Error::new(io::ErrorKind::InvalidData, why),
    };
    match files::Opened::open(path) {
        Ok(opened) => {
            let opened = opened.refuse_foreign()?;
            if opened.is_open_to_others() {
                return Err(refuse(
                    "others than the owner may read the token; chmod 600",
                ));
            }
            let content = opened.read()?;
            let text = std::str::from_utf8(content.expose()).map_err(|_| refuse("not text"))?;
            let text = text.trim();
            if text.len() < 16 {
                return Err(refuse("a token has 16 characters or more"));
            }
            Ok(Secret::new(text.to_owned()))
        }
        Err(error) if error.is_not_found() => {
            let random = random::<32>().map_err(|_| refuse("no randomness"))?;
            let token = Secret::new(hex(&random));
            files::write_new(path, token.expose().as_bytes(), 0o600)
                .map_err(FileError::at(path))?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

/// What is asked of every request.
async fn gate(State(service): State<Service>, request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-forwarded-for") {
        return plain(
            StatusCode::FORBIDDEN,
            "requests through a proxy are refused",
        );
    }
    if service.0.own_host_only && !host::is_own(&request) {
        return plain(
            StatusCode::FORBIDDEN,
            "the Host header must be an address or localhost",
        );
    }
    next.run(request).await
}

/// What is asked of those who want instance metadata.
async fn shown_token(State(service): State<Service>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(TOKEN_HEADER);
    if shown.is_some_and(|token| service.0.tokens.is_good(token.as_bytes())) {
        next.run(request).await
    } else {
        unauthorized()
    }
}

async fn token(State(service): State<Service>, headers: HeaderMap) -> Response {
    let wanted = match headers.get(TTL_HEADER) {
        None => Some(MAX_TOKEN_TTL),
        Some(text) => text.to_str().ok().and_then(|text| text.parse().ok()),
    };
    let Some(ttl) = wanted.filter(|ttl| (1..=MAX_TOKEN_TTL).contains(ttl)) else {
        return plain(
            StatusCode::BAD_REQUEST,
            "the token's life must be 1 to 21600 seconds",
        );
    };
    match service.0.tokens.make(ttl) {
        Ok(token) => ([(TTL_HEADER, ttl.to_string())], token).into_response(),
        Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "no randomness"),
    }
}

async fn role(State(service): State<Service>) -> Response {
    plain(StatusCode::OK, &service.0.role)
}

async fn region(State(service): State<Service>) -> Response {
    plain(StatusCode::OK, &service.0.instance.region)
}

async fn zone(State(service): State<Service>) -> Response {
    plain(StatusCode::OK, &service.0.instance.zone())
}

async fn instance_id(State(service): State<Service>) -> Response {
    plain(StatusCode::OK, &service.0.instance.id)
}

async fn document(State(service): State<Service>) -> Response {
    json(&service.0.instance.document())
}

async fn metadata(State(service): State<Service>, Path(name): Path<String>) -> Response {
    if name != service.0.role {
        return plain(StatusCode::NOT_FOUND, "no such role");
    }
    let answer = service.document(|held, _| Metadata {
        code: "Success",
        last_updated: second(held.updated),
        kind: "AWS-HMAC",
        access_key_id: held.credentials.access_key_id.clone(),
        secret_access_key: Shown(held.credentials.secret_access_key.expose().clone()),
        token: Shown(held.credentials.session_token.expose().clone()),
        expiration: second(held.credentials.expiration),
    });
    answer.await
}

async fn container(State(service): State<Service>, headers: HeaderMap) -> Response {
    // The SDKs send the token as it is; some people write the scheme before it.
    let shown = headers
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    let shown = shown.map(|text| text.strip_prefix(b"Bearer ").unwrap_or(text));
    let allowed = match &service.0.container {
        Allowed::Off => false,
        // Digests of unknown content: the time of their comparison tells nothing.
        Allowed::Token(token) => shown.is_some_and(|shown| sha256(shown) == *token),
        Allowed::Open => true,
    };
    if !allowed {
        return unauthorized();
    }
    let answer = service.document(|held, role_arn| Container {
        access_key_id: held.credentials.access_key_id.clone(),
        secret_access_key: Shown(held.credentials.secret_access_key.expose().clone()),
        token: Shown(held.credentials.session_token.expose().clone()),
        expiration: second(held.credentials.expiration),
        role_arn: role_arn.to_owned(),
    });
    answer.await
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    code: &'static str,
    last_updated: String,
    #[serde(rename = "Type")]
    kind: &'static str,
    access_key_id: String,
    secret_access_key: Shown,
    token: Shown,
    expiration: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    access_key_id: String,
    secret_access_key: Shown,
    token: Shown,
    expiration: String,
    role_arn: String,
}

/// A secret on its way to a client that may have it; wiped behind it.
#[derive(Serialize, zeroize::ZeroizeOnDrop)]
#[serde(transparent)]
struct Shown(String);

fn second(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A document that nobody may keep.
fn json(document: &impl Serialize) -> Response {
    let body = serde_json::to_vec(document).expect("texts and times are JSON");
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn unauthorized() -> Response {
    plain(StatusCode::UNAUTHORIZED, "a valid token is required")
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}
