//! The lab over HTTP, on loopback.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_base::{random, uuid};
use landfast_listen::{Accept, Limits};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::calls::{self, Call, Calls};
use crate::control;
use crate::door::whole;
use crate::faults::Fault;
use crate::page;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::signer::{self, Caller, Expected, Issued};
use crate::state::{ControlError, State};
use crate::verify::Granted;

/// What every answer says of itself.
pub(crate) const SERVER: &str = "landfast-lab (this is not AWS)";
/// Faults to come, of each plane.
const MAX_FAULTS: usize = 1000;

/// Where the lab gets the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A lab: state, faults to come, and a record of what was asked.
#[derive(Clone)]
pub struct Lab(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    faults: Mutex<VecDeque<Fault>>,
    control_faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<Calls>,
    clock: Clock,
    /// Where clients reach it, as its page shows it.
    endpoint: Option<String>,
}

/// Faults that have no place any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_FAULTS} faults to come")]
pub struct TooManyFaults;

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
    /// A lab over `state`, telling the time by `clock`. Its page tells people
    /// to use `endpoint`, if it is given.
    pub fn new(state: State, clock: Clock, endpoint: Option<String>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            faults: Mutex::default(),
            control_faults: Mutex::default(),
            calls: Mutex::default(),
            clock,
            endpoint,
        }))
    }

    /// The state, to look at or to change between requests.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// Plays these faults on the next sessions, and on the next calls of the
    /// control plane, one each.
    ///
    /// # Errors
    /// More than 1000 of one kind would be to come; then none is added.
    pub fn inject(
        &self,
        sessions: impl IntoIterator<Item = Fault>,
        control: impl IntoIterator<Item = Fault>,
    ) -> Result<(), TooManyFaults> {
        let mut places = (lock(&self.0.faults), lock(&self.0.control_faults));
        let sessions: Vec<Fault> = sessions.into_iter().collect();
        let control: Vec<Fault> = control.into_iter().collect();
        let fits = |come: &VecDeque<Fault>, more: &[Fault]| come.len() + more.len() <= MAX_FAULTS;
        if !fits(&places.0, &sessions) || !fits(&places.1, &control) {
            return Err(TooManyFaults);
        }
        places.0.extend(sessions);
        places.1.extend(control);
        Ok(())
    }

    /// The faults to come: of sessions, and of the control plane.
    pub(crate) fn faults(&self) -> [Vec<Fault>; 2] {
        [&self.0.faults, &self.0.control_faults]
            .map(|to_come| lock(to_come).iter().copied().collect())
    }

    /// Plays no fault any more; says how many of sessions and of the control
    /// plane were still to come.
    pub fn clear_faults(&self) -> (usize, usize) {
        let drain = |faults: &Mutex<VecDeque<Fault>>| std::mem::take(&mut *lock(faults)).len();
        (drain(&self.0.faults), drain(&self.0.control_faults))
    }

    /// The latest calls, sessions and control plane.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.0.calls).list()
    }

    /// Looks at the record without copying it.
    pub(crate) fn with_calls<T>(&self, look: impl FnOnce(&Calls) -> T) -> T {
        look(&lock(&self.0.calls))
    }

    /// Where clients reach the lab, if that was said.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// Writes a call of a stranger or of somebody known into the record.
    pub(crate) fn record(&self, known: bool, call: Call) {
        lock(&self.0.calls).add(known, call);
    }

    /// Listens on a loopback address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
        if !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        Self::bind_anywhere(address).await
    }

    /// Listens on any address, such as that of a container. Whoever reaches it
    /// may have made-up credentials, and change what the lab holds.
    ///
    /// # Errors
    /// [`BindError::Listen`].
    pub async fn bind_anywhere(address: SocketAddr) -> Result<TcpListener, BindError> {
        TcpListener::bind(address)
            .await
            .map_err(|cause| BindError::Listen { address, cause })
    }

    /// Serves until `stop` is ready. `open` makes a stream of requests of a
    /// connection: a TLS handshake, or [`landfast_listen::plain`].
    pub async fn serve<L, O, OF, S>(
        self,
        listener: L,
        open: O,
        stop: impl Future<Output = ()> + Send + 'static,
    ) where
        L: Accept,
        O: Fn(L::Io) -> OF + Send + Sync + 'static,
        OF: Future<Output = io::Result<S>> + Send + 'static,
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (end, stopped) = watch::channel(false);
        let router = Router::new()
            .route("/sessions", post(session))
            .route("/lab/calls", get(record))
            .route("/lab/faults", post(faults).delete(no_faults))
            .merge(page::router())
            .route("/", get(page::show).fallback(control))
            .fallback(control)
            // The body is bounded before the router sees it.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::map_response_with_state(self.clone(), date))
            .with_state(self.clone());
        let handle = move |request: axum::http::Request<hyper::body::Incoming>| {
            let (router, lab) = (router.clone(), self.clone());
            async move {
                let hosts = lab.state().hosts.clone();
                let answer = match whole(request, &hosts).await {
                    Ok(request) => router.oneshot(request).await,
                    Err(refusal) => Ok(date(Shared(lab), refusal).await),
                };
                answer.unwrap_or_else(|never| match never {})
            }
        };
        let limits = Limits::default();
        let serve = landfast_listen::serve(listener, &limits, open, stopped, handle);
        let stop = async {
            stop.await;
            // Nobody listens any more if this fails.
            let _ = end.send(true);
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = serve => {}
            () = stop => {}
        }
    }

    /// The lab's time.
    pub(crate) fn now(&self) -> Timestamp {
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
    let operation = calls::SESSION.to_owned();
    let played = play(fault, json!({"credentialSet": []})).await;
    let now = lab.now();
    let request = request(&method, &uri, &headers, &body);
    if let Some((response, fault)) = played.zip(fault) {
        let status = response.status().as_u16();
        let mut call = Call::faulty(now, operation, status, fault);
        call.subject = request.subject();
        lab.record(false, call);
        return response;
    }
    let mut state = lab.state();
    let decided = state.decide(&request, now);
    let known = decided.as_ref().err().is_none_or(Refusal::is_of_a_holder);
    let (mut call, response) = match decided {
        Ok(granted) => match state.open(&granted, now) {
            Ok(opened) => {
                let body = granted_body(&granted, &opened).to_string();
                let call = Call::new(now, operation, 201, granted.session_name);
                (call, respond(201, cut(body, fault), None))
            }
            Err(problem) => {
                let text = problem.to_string();
                let response = error(503, "ServiceUnavailableException", &text, None);
                (
                    Call::new(now, operation, 503, text).denied(&problem),
                    response,
                )
            }
        },
        Err(refusal) => {
            let (status, kind) = refusal.status();
            let text = refusal.to_string();
            let response = error(status, kind, &text, None);
            (
                Call::new(now, operation, status, text).refused(&refusal),
                response,
            )
        }
    };
    drop(state);
    call.subject = request.subject();
    call.canonical_request = request.canonical();
    lab.record(known, call.with(fault));
    response
}

/// Everything but sessions: the control plane, and who the caller is.
async fn control(
    Shared(lab): Shared<Lab>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fault = lock(&lab.0.control_faults).pop_front();
    let operation = format!("{method} {}", uri.path());
    let played = play(fault, json!({})).await;
    let now = lab.now();
    if let Some((response, fault)) = played.zip(fault) {
        let status = response.status().as_u16();
        lab.record(false, Call::faulty(now, operation, status, fault));
        return response;
    }
    let request = request(&method, &uri, &headers, &body);
    let (call, response, known) = {
        let mut state = lab.state();
        let identity = request.path == "/";
        let region = state.region.clone();
        let expected = Expected {
            region: &region,
            service: if identity {
                "sts"
            } else {
                landfast_rolesanywhere::sigv4::SERVICE
            },
            skew: state.skew,
            now,
        };
        let caller = signer::caller(&request, &expected, |id| state.sessions.get(id));
        let decided = caller.map_err(ControlError::Signature).and_then(|caller| {
            let name = who(&caller, &state.account);
            if identity {
                let id = request_id();
                return control::identity(&request, &name, &id).map(|xml| (200, xml, name));
            }
            if caller != Caller::Administrator {
                return Err(ControlError::Denied(name));
            }
            let (status, body) = control::call(&mut state, &request, now)?;
            Ok((status, body.to_string(), name))
        });
        match decided {
            Ok((status, text, name)) => {
                let call = Call::new(now, operation, status, name);
                (call, respond(status, cut(text, fault), None), true)
            }
            Err(refusal) => {
                let (status, kind) = refusal.status();
                let known = !matches!(refusal, ControlError::Signature(_));
                let text = refusal.to_string();
                let response = error(status, kind, &text, None);
                let call = Call::new(now, operation, status, text).denied(&refusal);
                (call, response, known)
            }
        }
    };
    lab.record(known, call.with(fault));
    response
}

/// What a fault answers before anything is looked at.
async fn play(fault: Option<Fault>, empty: Value) -> Option<Response> {
    match fault? {
        Fault::Throttle => Some(error(429, "ThrottlingException", "Rate exceeded", None)),
        Fault::Unavailable => Some(error(
            503,
            "ServiceUnavailableException",
            "try again later",
            Some(1),
        )),
        Fault::Empty => Some(answer(201, &empty)),
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            None
        }
        Fault::Drop => Some(dropped()),
        Fault::Truncate => None,
    }
}

/// Half of an answer, if that is the fault.
fn cut(mut text: String, fault: Option<Fault>) -> String {
    if fault == Some(Fault::Truncate) {
        let half = (0..=text.len() / 2)
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(half.unwrap_or(0));
    }
    text
}

fn request(method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Request {
    Request {
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
    }
}

/// The ARN of a caller.
fn who(caller: &Caller, account: &str) -> String {
    match caller {
        Caller::Administrator => format!("arn:aws:iam::{account}:user/landfast-lab"),
        Caller::Session(arn) => arn.clone(),
    }
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
fn granted_body(granted: &Granted, (subject, id, issued): &(Arn, String, Issued)) -> Value {
    json!({
        "credentialSet": [{
            "assumedRoleUser": {
                "arn": issued.arn,
                "assumedRoleId": format!("AROALANDFASTLAB:{}", granted.session_name),
            },
            "credentials": {
                "accessKeyId": id,
                "secretAccessKey": issued.secret,
                "sessionToken": issued.token,
                "expiration": granted.expiration.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            },
            "packedPolicySize": 10,
            "roleArn": granted.role,
            "sourceIdentity": granted.source_identity,
        }],
        "subjectArn": subject,
    })
}

/// Faults to come: a list for sessions, or lists by plane.
#[derive(Deserialize)]
#[serde(untagged)]
enum Faults {
    Sessions(Vec<String>),
    Planes {
        #[serde(default)]
        sessions: Vec<String>,
        #[serde(default)]
        control: Vec<String>,
    },
}

async fn record(Shared(lab): Shared<Lab>) -> Response {
    answer(200, &json!({ "calls": lab.calls() }))
}

async fn faults(Shared(lab): Shared<Lab>, body: Bytes) -> Response {
    let (sessions, control) = match serde_json::from_slice(&body) {
        Ok(Faults::Sessions(sessions)) => (sessions, Vec::new()),
        Ok(Faults::Planes { sessions, control }) => (sessions, control),
        Err(_) => (Vec::new(), Vec::new()),
    };
    let read = |names: &[String]| {
        names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Fault>, String>>()
    };
    match read(&sessions).and_then(|sessions| Ok((sessions, read(&control)?))) {
        Ok((sessions, control)) if !sessions.is_empty() || !control.is_empty() => {
            match lab.inject(sessions, control) {
                Ok(()) => answer(200, &json!({})),
                Err(problem) => validation(&problem.to_string()),
            }
        }
        Ok(_) => validation(
            "send a JSON list of faults, or {\"sessions\": [...], \"control\": [...]}; DELETE forgets those to come",
        ),
        Err(problem) => validation(&problem),
    }
}

/// Forgets the faults that were not played yet, and says how many there were.
async fn no_faults(Shared(lab): Shared<Lab>) -> Response {
    let (sessions, control) = lab.clear_faults();
    answer(
        200,
        &json!({ "forgotten": { "sessions": sessions, "control": control } }),
    )
}

pub(crate) fn validation(text: &str) -> Response {
    error(400, "ValidationException", text, None)
}

pub(crate) fn error(
    status: u16,
    kind: &'static str,
    message: &str,
    retry: Option<u64>,
) -> Response {
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
        .header("x-amzn-RequestId", request_id())
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(kind) = kind {
        response = response.header("x-amzn-ErrorType", kind);
    }
    response
        .body(Body::from(body))
        .expect("constant headers make a response")
}

/// The name of an answer, which is new each time, as AWS's are.
fn request_id() -> String {
    // Without randomness nothing else here works either.
    let mut id = random::<16>().unwrap_or_default();
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    uuid(&id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_name_of_its_own() {
        let name = |response: Response| {
            let name = response.headers().get("x-amzn-requestid").cloned();
            name.unwrap().to_str().unwrap().to_owned()
        };
        let (one, two) = (name(validation("x")), name(answer(200, &json!({}))));
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
    }
}
