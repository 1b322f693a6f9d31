//! The lab over HTTP, on loopback.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, patch, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::faults::Fault;
use super::state::{Anchor, ControlError, Crl, MAX_CRL, Profile, State};
use super::verify::{Granted, Request};
use crate::arn::Arn;
use crate::crypto;
use crate::sigv4::hex;

/// What every answer says of itself.
const SERVER: &str = "landfast-lab (this is not AWS)";
/// A request body is a CRL in base64 at most, or a bundle.
const MAX_BODY: usize = 512 * 1024;

/// Where the lab gets the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A lab: state, faults to come, and a record of what was asked.
#[derive(Clone)]
pub struct Lab(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<Vec<Call>>,
    clock: Clock,
}

/// One `CreateSession` that the lab saw.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The status of the answer.
    pub status: u16,
    /// The session's name, or the refusal.
    pub outcome: String,
}

/// Why a lab does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address that other machines can reach.
    #[error(
        "the lab hands out made-up credentials and serves loopback addresses only; {0} is none"
    )]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("{address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

impl Lab {
    /// A lab over `state`, telling the time by `clock`.
    pub fn new(state: State, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            faults: Mutex::default(),
            calls: Mutex::default(),
            clock,
        }))
    }

    /// The state, to look at or to change between requests.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Plays these faults on the next sessions, one each.
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.0.faults).extend(faults);
    }

    /// The sessions asked for so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).clone()
    }

    /// Listens on a loopback address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
        if !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        TcpListener::bind(address)
            .await
            .map_err(|cause| BindError::Listen { address, cause })
    }

    /// Serves until `stop` is ready.
    ///
    /// # Errors
    /// The system's, when the listener breaks.
    pub async fn serve<L>(
        self,
        listener: L,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()>
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let router = Router::new()
            .route("/sessions", post(session))
            .route("/trustanchors", post(create_anchor).get(list_anchors))
            .route("/trustanchor/{id}", get(read_anchor).patch(update_anchor))
            .route("/crls", post(import_crl).get(list_crls))
            .route("/crl/{id}", patch(update_crl))
            .route("/profiles", get(list_profiles))
            .route("/lab/calls", get(calls))
            .route("/lab/faults", post(faults))
            .fallback(unknown)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::map_response_with_state(self.clone(), date))
            .with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await
    }

    fn now(&self) -> Timestamp {
        (self.0.clock)()
    }
}

/// A panic elsewhere does not make plain data wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn session(
    Shared(lab): Shared<Lab>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = lock(&lab.0.faults).pop_front();
    match fault {
        Some(Fault::Throttle) => {
            return error(429, "ThrottlingException", "Rate exceeded", None);
        }
        Some(Fault::Unavailable) => {
            return error(
                503,
                "ServiceUnavailableException",
                "try again later",
                Some(1),
            );
        }
        Some(Fault::Empty) => return answer(201, &json!({"credentialSet": []})),
        Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
        Some(Fault::Drop) => return dropped(),
        Some(Fault::Truncate) | None => {}
    }
    let request = Request {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        body: body.to_vec(),
    };
    let decided = lab.state().decide(&request, lab.now());
    let (call, response) = match decided {
        Ok(granted) => {
            let body = granted_body(&granted);
            let text = body.to_string();
            let response = if fault == Some(Fault::Truncate) {
                respond(201, text[..text.len() / 2].to_owned(), None)
            } else {
                respond(201, text, None)
            };
            (
                Call {
                    status: 201,
                    outcome: granted.session_name,
                },
                response,
            )
        }
        Err(refusal) => {
            let (status, kind) = refusal.status();
            let outcome = refusal.to_string();
            let response = error(status, kind, &outcome, None);
            (Call { status, outcome }, response)
        }
    };
    tracing::info!(status = call.status, outcome = %call.outcome, "CreateSession");
    lock(&lab.0.calls).push(call);
    response
}

/// Dates an answer by the lab's clock: clients learn from it that theirs is wrong.
async fn date(Shared(lab): Shared<Lab>, mut response: Response) -> Response {
    let date = lab.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Breaks the connection off: a body that fails before its first octet.
fn dropped() -> Response {
    let broken = tokio_stream::once(Err::<Bytes, _>(io::Error::from(
        io::ErrorKind::ConnectionReset,
    )));
    Response::builder()
        .status(201)
        .header(header::CONTENT_LENGTH, "1000")
        .body(Body::from_stream(broken))
        .expect("constant parts make a response")
}

/// Source: the Roles Anywhere API model, CreateSession's output.
fn granted_body(granted: &Granted) -> Value {
    let role = &granted.role;
    let name = &granted.session_name;
    let assumed = format!(
        "arn:{}:sts::{}:assumed-role/{}/{name}",
        role.partition,
        role.account,
        role.name()
    );
    let secret = || hex(&crypto::random::<20>().unwrap_or_default());
    json!({
        "credentialSet": [{
            "assumedRoleUser": {"arn": assumed, "assumedRoleId": format!("AROALANDFASTLAB:{name}")},
            "credentials": {
                "accessKeyId": format!("ASIALAB{}", &secret()[..13].to_uppercase()),
                "secretAccessKey": secret(),
                "sessionToken": STANDARD.encode(secret()),
                "expiration": granted.expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
            "packedPolicySize": 10,
            "roleArn": role,
            "sourceIdentity": granted.source_identity,
        }],
        "subjectArn": format!(
            "arn:{}:rolesanywhere:lab:{}:subject/{}",
            role.partition, role.account, granted.serial
        ),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnchorInput {
    name: Option<String>,
    enabled: Option<bool>,
    source: Option<Source>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    source_data: SourceData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceData {
    x509_certificate_data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CrlInput {
    name: Option<String>,
    enabled: Option<bool>,
    crl_data: Option<String>,
    trust_anchor_arn: Option<Arn>,
}

async fn create_anchor(Shared(lab): Shared<Lab>, body: Bytes) -> Response {
    let Ok(AnchorInput {
        name: Some(name),
        enabled,
        source: Some(source),
    }) = serde_json::from_slice(&body)
    else {
        return validation("name and source are required");
    };
    let now = lab.now();
    let bundle = source.source_data.x509_certificate_data;
    let mut state = lab.state();
    control(
        201,
        "trustAnchor",
        state
            .create_anchor(&name, &bundle, enabled.unwrap_or(false), now)
            .map(anchor_body),
    )
}

async fn update_anchor(Shared(lab): Shared<Lab>, Path(id): Path<String>, body: Bytes) -> Response {
    let Ok(AnchorInput {
        source: Some(source),
        ..
    }) = serde_json::from_slice(&body)
    else {
        return validation("source is required");
    };
    let now = lab.now();
    let bundle = source.source_data.x509_certificate_data;
    let mut state = lab.state();
    control(
        200,
        "trustAnchor",
        state.update_anchor(&id, &bundle, now).map(anchor_body),
    )
}

async fn read_anchor(Shared(lab): Shared<Lab>, Path(id): Path<String>) -> Response {
    let state = lab.state();
    let found = state
        .anchors
        .iter()
        .find(|anchor| anchor.arn.name() == id)
        .map(anchor_body)
        .ok_or(ControlError::NotFound("the trust anchor"));
    control(200, "trustAnchor", found)
}

async fn list_anchors(Shared(lab): Shared<Lab>) -> Response {
    let anchors: Vec<Value> = lab.state().anchors.iter().map(anchor_body).collect();
    answer(200, &json!({ "trustAnchors": anchors }))
}

async fn list_profiles(Shared(lab): Shared<Lab>) -> Response {
    let profiles: Vec<Value> = lab.state().profiles.iter().map(profile_body).collect();
    answer(200, &json!({ "profiles": profiles }))
}

async fn import_crl(Shared(lab): Shared<Lab>, body: Bytes) -> Response {
    let Ok(CrlInput {
        name: Some(name),
        enabled,
        crl_data: Some(data),
        trust_anchor_arn: Some(anchor),
    }) = serde_json::from_slice(&body)
    else {
        return validation("name, crlData and trustAnchorArn are required");
    };
    let Ok(data) = STANDARD.decode(data) else {
        return validation("crlData must be base64");
    };
    let mut state = lab.state();
    let imported = state.import_crl(&name, &data, &anchor, enabled.unwrap_or(false));
    control(201, "crl", imported.map(crl_body))
}

async fn update_crl(Shared(lab): Shared<Lab>, Path(id): Path<String>, body: Bytes) -> Response {
    let input: Option<CrlInput> = serde_json::from_slice(&body).ok();
    let data = input
        .and_then(|input| input.crl_data)
        .and_then(|data| STANDARD.decode(data).ok());
    let Some(data) = data.filter(|data| data.len() <= MAX_CRL) else {
        return validation("crlData must be base64 of at most 300000 octets");
    };
    let mut state = lab.state();
    control(200, "crl", state.update_crl(&id, &data).map(crl_body))
}

async fn list_crls(Shared(lab): Shared<Lab>) -> Response {
    let crls: Vec<Value> = lab.state().crls.iter().map(crl_body).collect();
    answer(200, &json!({ "crls": crls }))
}

async fn calls(Shared(lab): Shared<Lab>) -> Response {
    answer(200, &json!({ "calls": lab.calls() }))
}

async fn faults(Shared(lab): Shared<Lab>, body: Bytes) -> Response {
    let names: Vec<String> = serde_json::from_slice(&body).unwrap_or_default();
    match names
        .iter()
        .map(|name| name.parse())
        .collect::<Result<Vec<Fault>, _>>()
    {
        Ok(faults) if !faults.is_empty() => {
            lab.inject(faults);
            answer(200, &json!({}))
        }
        Ok(_) => validation("send a JSON list of faults"),
        Err(problem) => validation(&problem),
    }
}

async fn unknown() -> Response {
    error(
        404,
        "UnknownOperationException",
        "the lab has no such operation",
        None,
    )
}

fn anchor_body(anchor: &Anchor) -> Value {
    let bundle: String = anchor
        .certificates
        .iter()
        .map(landfast_pki::Certificate::pem)
        .collect();
    json!({
        "trustAnchorId": anchor.arn.name(),
        "trustAnchorArn": anchor.arn,
        "name": anchor.name,
        "enabled": anchor.enabled,
        "source": {
            "sourceType": "CERTIFICATE_BUNDLE",
            "sourceData": {"x509CertificateData": bundle},
        },
    })
}

fn crl_body(crl: &Crl) -> Value {
    json!({
        "crlId": crl.arn.name(),
        "crlArn": crl.arn,
        "name": crl.name,
        "enabled": crl.enabled,
        "trustAnchorArn": crl.anchor,
        "crlData": STANDARD.encode(crl.list.pem()),
    })
}

fn profile_body(profile: &Profile) -> Value {
    json!({
        "profileId": profile.arn.name(),
        "profileArn": profile.arn,
        "name": profile.name,
        "enabled": profile.enabled,
        "roleArns": profile.roles,
        "durationSeconds": profile.duration,
        "acceptRoleSessionName": profile.accept_session_name,
    })
}

fn control(status: u16, member: &str, outcome: Result<Value, ControlError>) -> Response {
    match outcome {
        Ok(body) => answer(status, &json!({ member: body })),
        Err(ControlError::Validation(text)) => validation(&text),
        Err(missing @ ControlError::NotFound(_)) => {
            error(404, "ResourceNotFoundException", &missing.to_string(), None)
        }
    }
}

fn validation(text: &str) -> Response {
    error(400, "ValidationException", text, None)
}

fn error(status: u16, kind: &'static str, message: &str, retry: Option<u64>) -> Response {
    let mut body = json!({ "message": message });
    if let Some(seconds) = retry {
        body["retryAfterSeconds"] = seconds.into();
    }
    respond(status, body.to_string(), Some(kind))
}

fn answer(status: u16, body: &Value) -> Response {
    respond(status, body.to_string(), None)
}

fn respond(status: u16, body: String, kind: Option<&'static str>) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::SERVER, SERVER)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(kind) = kind {
        response = response.header("x-amzn-ErrorType", kind);
    }
    response
        .body(Body::from(body))
        .expect("constant headers make a response")
}
