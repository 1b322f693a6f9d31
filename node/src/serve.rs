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

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use jiff::Timestamp;
use landfast_pki::Secret;
use serde::Serialize;

use crate::crypto;
use crate::files::{self, FileError};
use crate::session::Credentials;
use crate::sigv4::hex;

/// A metadata token lives for at most six hours.
pub const MAX_TOKEN_TTL: u64 = 21_600;
/// More tokens than this are not kept; the one that ends first makes room.
const MAX_TOKENS: usize = 256;
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
    current: Mutex<Option<Held>>,
    /// By digest, so that a lookup's time tells nothing of a token.
    tokens: Mutex<HashMap<[u8; 32], Instant>>,
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
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            role: settings.role,
            role_arn: settings.role_arn,
            container: match settings.container {
                Gate::Closed => Allowed::Off,
                Gate::Token(token) => Allowed::Token(crypto::sha256(token.expose().as_bytes())),
                Gate::Socket => Allowed::Open,
            },
            metadata: settings.metadata,
            own_host_only: settings.own_host_only,
            current: Mutex::default(),
            tokens: Mutex::default(),
            clock: settings.clock,
        }))
    }

    /// Serves these credentials from now on.
    pub fn set(&self, credentials: Credentials) {
        let updated = (self.0.clock)();
        *lock(&self.0.current) = Some(Held {
            credentials,
            updated,
        });
    }

    /// Answers whoever connects, until the listener breaks.
    ///
    /// # Errors
    /// The system's.
    pub async fn serve<L>(&self, listener: L) -> io::Result<()>
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        axum::serve(listener, self.router()).await
    }

    /// The routes of the protocols that are on.
    fn router(&self) -> Router {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials";
        let mut router = Router::new();
        if self.0.metadata {
            router = router
                .route("/latest/api/token", put(token))
                .route(ROLES, get(role))
                .route(&format!("{ROLES}/"), get(role))
                .route(&format!("{ROLES}/{{role}}"), get(metadata));
        }
        if !matches!(self.0.container, Allowed::Off) {
            router = router.route("/credentials", get(container));
        }
        router
            .layer(middleware::from_fn_with_state(self.clone(), gate))
            .with_state(self.clone())
    }

    /// A document over the current credentials, unless they have ended.
    fn document<T: Serialize>(&self, make: impl FnOnce(&Held, &str) -> T) -> Response {
        let now = (self.0.clock)();
        let held = lock(&self.0.current);
        let Some(held) = held.as_ref().filter(|held| held.credentials.ends() > now) else {
            return plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "no credentials at the moment; see the log of landfast serve",
            );
        };
        let body =
            serde_json::to_vec(&make(held, &self.0.role_arn)).expect("texts and times are JSON");
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn is_token(&self, headers: &HeaderMap) -> bool {
        let Some(token) = headers.get(TOKEN_HEADER) else {
            return false;
        };
        lock(&self.0.tokens)
            .get(&crypto::sha256(token.as_bytes()))
            .is_some_and(|end| *end > Instant::now())
    }
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
            let random = crypto::random::<32>().map_err(|_| refuse("no randomness"))?;
            let token = Secret::new(hex(&random));
            files::write_new(path, token.expose().as_bytes(), 0o600)
                .map_err(FileError::at(path))?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

/// A panic elsewhere does not make plain data wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked of every request.
async fn gate(State(service): State<Service>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key("x-forwarded-for") {
        return plain(
            StatusCode::FORBIDDEN,
            "requests through a proxy are refused",
        );
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if service.0.own_host_only && !host.is_some_and(is_own_host) {
        return plain(
            StatusCode::FORBIDDEN,
            "the Host header must be an address or localhost",
        );
    }
    next.run(request).await
}

/// An address or `localhost`, with or without a port: no name that somebody
/// else's DNS could point here.
fn is_own_host(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

async fn token(State(service): State<Service>, headers: HeaderMap) -> Response {
    let ttl = headers
        .get(TTL_HEADER)
        .and_then(|ttl| ttl.to_str().ok()?.parse().ok())
        .filter(|ttl| (1..=MAX_TOKEN_TTL).contains(ttl));
    let Some(ttl) = ttl else {
        return plain(
            StatusCode::BAD_REQUEST,
            "the token's life must be 1 to 21600 seconds",
        );
    };
    let Ok(random) = crypto::random::<32>() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "no randomness");
    };
    let token = hex(&random);
    let now = Instant::now();
    let mut tokens = lock(&service.0.tokens);
    tokens.retain(|_, end| *end > now);
    if tokens.len() >= MAX_TOKENS
        && let Some(first) = tokens
            .iter()
            .min_by_key(|(_, end)| **end)
            .map(|(digest, _)| *digest)
    {
        tokens.remove(&first);
    }
    tokens.insert(
        crypto::sha256(token.as_bytes()),
        now + Duration::from_secs(ttl),
    );
    ([(TTL_HEADER, ttl.to_string())], token).into_response()
}

async fn role(State(service): State<Service>, headers: HeaderMap) -> Response {
    if !service.is_token(&headers) {
        return unauthorized();
    }
    plain(StatusCode::OK, &service.0.role)
}

async fn metadata(
    State(service): State<Service>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !service.is_token(&headers) {
        return unauthorized();
    }
    if name != service.0.role {
        return plain(StatusCode::NOT_FOUND, "no such role");
    }
    service.document(|held, _| Metadata {
        code: "Success",
        last_updated: second(held.updated),
        kind: "AWS-HMAC",
        access_key_id: held.credentials.access_key_id.clone(),
        secret_access_key: Shown(held.credentials.secret_access_key.expose().clone()),
        token: Shown(held.credentials.session_token.expose().clone()),
        expiration: second(held.credentials.expiration),
    })
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
        Allowed::Token(token) => shown.is_some_and(|shown| crypto::sha256(shown) == *token),
        Allowed::Open => true,
    };
    if !allowed {
        return unauthorized();
    }
    service.document(|held, role_arn| Container {
        access_key_id: held.credentials.access_key_id.clone(),
        secret_access_key: Shown(held.credentials.secret_access_key.expose().clone()),
        token: Shown(held.credentials.session_token.expose().clone()),
        expiration: second(held.credentials.expiration),
        role_arn: role_arn.to_owned(),
    })
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

fn unauthorized() -> Response {
    plain(StatusCode::UNAUTHORIZED, "a valid token is required")
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, text.to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use serde_json::Value;

    use super::*;

    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

    fn now() -> Timestamp {
        "2026-09-01T12:00:00Z".parse().unwrap()
    }

    fn credentials(expiration: &str) -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("secret".into()),
            session_token: Secret::new("token".into()),
            expiration: expiration.parse().unwrap(),
            assumed_role_arn: String::new(),
            clock_behind: None,
        }
    }

    struct Rig {
        service: Service,
        url: String,
    }

    impl Rig {
        async fn start(bearer: Option<&str>) -> Self {
            let service = Service::new(Settings {
                role: "hybrid-node".into(),
                role_arn: "arn:aws:iam::111122223333:role/hybrid-node".into(),
                container: bearer.map_or(Gate::Closed, |token| {
                    Gate::Token(Secret::new(token.to_owned()))
                }),
                metadata: bearer.is_none(),
                own_host_only: true,
                clock: now,
            });
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let served = service.clone();
            tokio::spawn(async move { served.serve(listener).await });
            Self { service, url }
        }

        async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut request = client.request(method, format!("{}{path}", self.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }

        async fn token(&self) -> String {
            let (status, token) = self
                .ask(Method::PUT, "/latest/api/token", &[(TTL_HEADER, "21600")])
                .await;
            assert_eq!(status, 200);
            token
        }
    }

    #[tokio::test]
    async fn a_metadata_client_gets_credentials_with_a_token_only() {
        let rig = Rig::start(None).await;
        rig.service.set(credentials("2026-09-01T13:00:00Z"));
        let path = format!("{ROLES}hybrid-node");
        assert_eq!(rig.ask(Method::GET, &path, &[]).await.0, 401);
        assert_eq!(
            rig.ask(Method::GET, &path, &[(TOKEN_HEADER, "guess")])
                .await
                .0,
            401
        );
        let token = rig.token().await;
        let shown = [(TOKEN_HEADER, token.as_str())];
        assert_eq!(
            rig.ask(Method::GET, ROLES, &shown).await,
            (200, "hybrid-node".into())
        );
        let (status, body) = rig.ask(Method::GET, &path, &shown).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["Code"], "Success");
        assert_eq!(body["Token"], "token");
        assert_eq!(body["Expiration"], "2026-09-01T13:00:00Z");
        assert_eq!(
            rig.ask(Method::GET, &format!("{ROLES}other"), &shown)
                .await
                .0,
            404
        );
        let forwarded = [shown[0], ("x-forwarded-for", "10.0.0.1")];
        assert_eq!(rig.ask(Method::GET, &path, &forwarded).await.0, 403);
        let rebound = [shown[0], ("host", "attacker.example")];
        assert_eq!(rig.ask(Method::GET, &path, &rebound).await.0, 403);
    }

    #[tokio::test]
    async fn a_tokens_life_is_bounded() {
        let rig = Rig::start(None).await;
        for bad in [
            &[(TTL_HEADER, "21601")][..],
            &[(TTL_HEADER, "0")],
            &[(TTL_HEADER, "x")],
            &[],
        ] {
            assert_eq!(
                rig.ask(Method::PUT, "/latest/api/token", bad).await.0,
                400,
                "{bad:?}"
            );
        }
        assert_eq!(rig.ask(Method::GET, "/latest/api/token", &[]).await.0, 405);
        let first = rig.token().await;
        for _ in 0..MAX_TOKENS {
            rig.token().await;
        }
        assert_eq!(lock(&rig.service.0.tokens).len(), MAX_TOKENS);
        assert_eq!(
            rig.ask(Method::GET, ROLES, &[(TOKEN_HEADER, &first)])
                .await
                .0,
            401
        );
    }

    #[tokio::test]
    async fn a_container_client_shows_its_bearer_token() {
        let rig = Rig::start(Some("let-me-in")).await;
        rig.service.set(credentials("2026-09-01T13:00:00Z"));
        assert_eq!(rig.ask(Method::GET, "/credentials", &[]).await.0, 401);
        for shown in ["let-me-in", "Bearer let-me-in"] {
            let (status, body) = rig
                .ask(Method::GET, "/credentials", &[("authorization", shown)])
                .await;
            assert_eq!(status, 200);
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["SecretAccessKey"], "secret");
            assert_eq!(
                body["RoleArn"],
                "arn:aws:iam::111122223333:role/hybrid-node"
            );
        }
        let wrong = [("authorization", "let-me-on")];
        assert_eq!(rig.ask(Method::GET, "/credentials", &wrong).await.0, 401);
        assert_eq!(
            rig.ask(Method::PUT, "/latest/api/token", &[(TTL_HEADER, "60")])
                .await
                .0,
            404
        );
        let off = Rig::start(None).await;
        assert_eq!(off.ask(Method::GET, "/credentials", &wrong).await.0, 404);
    }

    #[tokio::test]
    async fn ended_credentials_are_an_error_and_never_an_empty_answer() {
        let rig = Rig::start(Some("let-me-in")).await;
        let shown = [("authorization", "let-me-in")];
        assert_eq!(rig.ask(Method::GET, "/credentials", &shown).await.0, 503);
        rig.service.set(credentials("2026-09-01T12:00:00Z"));
        let (status, body) = rig.ask(Method::GET, "/credentials", &shown).await;
        assert_eq!(status, 503);
        assert!(!body.contains("AccessKeyId"));
    }

    #[test]
    fn a_token_file_is_made_once_and_must_be_private() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let made = bearer(&path).unwrap();
        assert_eq!(made.expose().len(), 64);
        assert_eq!(bearer(&path).unwrap().expose(), made.expose());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(bearer(&path).unwrap_err().to_string().contains("chmod"));
        files::write_atomic(&path, b"short\n", 0o600).unwrap();
        assert!(bearer(&path).is_err());
    }

    #[test]
    fn only_names_that_nobody_elses_dns_controls_are_ours() {
        for own in [
            "127.0.0.1:9911",
            "127.0.0.1",
            "localhost:1",
            "[::1]:9911",
            "LOCALHOST",
        ] {
            assert!(is_own_host(own), "{own}");
        }
        for foreign in ["attacker.example:9911", "localhost.example", "", ":9911"] {
            assert!(!is_own_host(foreign), "{foreign}");
        }
    }
}
