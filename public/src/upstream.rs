//! The client of the secrets server, or of the nodes of a cluster. No other file of this crate makes an HTTP client; `clippy.toml` beside the manifest holds that.

mod trouble;

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use hyper::body::Bytes;
use landfast_base::Secret;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Url};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::ServerFile;
use crate::error::Error;

pub use trouble::Trouble;

/// Calls at one time, all together.
const AT_ONCE: usize = 32;

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(5);

const CONNECT: Duration = Duration::from_secs(5);

/// A call has to be answered in this time, the whole answer included.
const CALL: Duration = Duration::from_secs(30);

const JSON: &str = "application/json";

/// What a standby says that knows of no active node.
///
/// Seen on OpenBao 2.7.2, which goes on with "but active cluster node not found".
const NOT_ACTIVE: &str = "local node not active";

/// Octets of an answer where nobody says how many.
pub const MOST: usize = 1024 * 1024;

/// A secrets server. Strangers cause calls, so their number at one time is bounded.
pub struct Upstream {
    http: reqwest::Client,
    /// One, or those of a cluster: whoever answers stands for all.
    nodes: Vec<Url>,
    /// Which of them answered last.
    last: AtomicUsize,
    namespace: Option<String>,
    turns: Semaphore,
}

/// What is asked.
pub struct Call<'a> {
    /// The method: GET, POST, or LIST.
    pub method: Method,
    /// The path below `/v1/`, percent-encoded, with its query.
    pub path: &'a str,
    /// The token that asks; without one it is a stranger who asks.
    pub token: Option<&'a Secret<String>>,
    /// A namespace below that of the server, or in its place if there is none.
    pub namespace: Option<&'a str>,
    /// A body.
    pub body: Option<Bytes>,
    /// The type of the body. What is JSON may be a secret, and goes over plain HTTP to this machine only.
    pub kind: &'static str,
    /// More headers. `X-Vault-Token` is not one of them.
    pub headers: HeaderMap,
    /// Octets of an answer that are read at the most.
    pub most: usize,
    /// Whether only the active node of a cluster will do, and no other that passes it on.
    pub active: bool,
}

impl<'a> Call<'a> {
    /// A read of a stranger.
    pub fn get(path: &'a str) -> Self {
        Self {
            method: Method::GET,
            path,
            token: None,
            namespace: None,
            body: None,
            kind: JSON,
            headers: HeaderMap::new(),
            most: MOST,
            active: false,
        }
    }

    /// A write, such as a login.
    pub fn post(path: &'a str, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            body: Some(body),
            ..Self::get(path)
        }
    }
}

/// What a server answered, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status: anything but those that [`Trouble`] stands for.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The first of the texts in `errors`, as the servers write them.
    pub fn error(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.get("errors")?.get(0)?.as_str()?.to_owned())
    }
}

impl Upstream {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none, or a file with certificates cannot be used.
    pub fn new(settings: &ServerFile) -> Result<Self, Error> {
        let address = node(&settings.address, "server.address")?;
        let mut nodes = vec![address];
        for other in &settings.other_nodes {
            nodes.push(node(other, "server.other_nodes")?);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("landfast/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .pool_max_idle_per_host(AT_ONCE)
            .redirect(Policy::custom(follow));
        if nodes.iter().all(is_loopback) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca {
            builder = builder.tls_certs_only(authorities(path)?);
        } else if nodes.iter().all(|node| node.scheme() == "http") {
            // Machines without any CA certificates are no reason not to start.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build();
        let http = http.map_err(|error| {
            Error::Config(format!(
                "the HTTP client cannot be set up: {}",
                causes(&error)
            ))
        })?;
        Ok(Self {
            http,
            nodes,
            last: AtomicUsize::new(0),
            namespace: settings.namespace.clone(),
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Whether two configurations mean the same server.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.nodes, &self.namespace) == (&other.nodes, &other.namespace)
    }

    /// The server's address; of several nodes the first one's.
    pub fn address(&self) -> &str {
        shown(&self.nodes[0])
    }

    /// The whole path of a namespace below that of the server; none for the root.
    pub(crate) fn namespace(&self, below: Option<&str>) -> Option<String> {
        joined(self.namespace.as_deref(), below)
    }

    /// Asks. The call has its own end for each node: 30 s, and 5 s before it for a turn. A node that cannot be asked is passed over for the next one, unless it may
    /// have done what it was asked for.
    ///
    /// # Errors
    /// [`Trouble`]: the server cannot be asked. Its refusals are answers.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Trouble> {
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Trouble::Busy {
                address: self.address().to_owned(),
            });
        };
        if call.active && self.nodes.len() > 1 {
            let active = self.active().await?;
            return self
                .ask(active, &call)
                .await
                .map_err(|failed| failed.trouble);
        }
        self.first_of(|node| self.ask(node, &call)).await
    }

    /// What the first node answers that can be asked; whoever answered last goes first.
    async fn first_of<F, T>(&self, ask: impl Fn(usize) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let first = self.last.load(Ordering::Relaxed);
        let mut at = 0;
        loop {
            let node = (first + at) % self.nodes.len();
            at += 1;
            match ask(node).await {
                Ok(answer) => {
                    self.last.store(node, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failed) if failed.untouched && at < self.nodes.len() => {}
                Err(failed) => return Err(failed.trouble),
            }
        }
    }

    /// The active node of a cluster, which says so itself (`sys/leader`, without a token).
    async fn active(&self) -> Result<usize, Trouble> {
        let call = Call::get("sys/leader");
        let none = || Trouble::NoActive {
            address: self.address().to_owned(),
        };
        let asked = async |node: usize| {
            let answer = self.ask_in(node, &call, None).await?;
            let said: Leader = serde_json::from_slice(&answer.body).unwrap_or_default();
            if said.is_self || !said.ha_enabled {
                Ok(node)
            } else {
                Err(Failed {
                    trouble: none(),
                    untouched: true,
                })
            }
        };
        self.first_of(asked).await
    }

    async fn ask(&self, node: usize, call: &Call<'_>) -> Result<Answer, Failed> {
        self.ask_in(node, call, self.namespace(call.namespace))
            .await
    }

    async fn ask_in(
        &self,
        node: usize,
        call: &Call<'_>,
        namespace: Option<String>,
    ) -> Result<Answer, Failed> {
        let node = &self.nodes[node];
        let address = || shown(node).to_owned();
        let secret = call.token.is_some() || call.body.is_some() && call.kind == JSON;
        if secret && node.scheme() != "https" && !is_loopback(node) {
            return Err(Trouble::Plain { address: address() }.into());
        }
        // What only reads may be asked again of another one; the rest where it never arrived.
        let reads = call.method == Method::GET;
        let away = |error: reqwest::Error| Failed {
            untouched: reads || error.is_connect(),
            trouble: Trouble::Away {
                address: address(),
                cause: causes(&error.without_url()),
            },
        };
        let request = self.request(node, call, namespace)?;
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        match status.as_u16() {
            429 => return Err(Trouble::Busy { address: address() }.into()),
            status @ (472 | 473 | 501..=504) => {
                return Err(Failed {
                    trouble: Trouble::NotReady {
                        address: address(),
                        status,
                    },
                    // A gateway on the way may give up (504) what the node goes on with.
                    untouched: reads || status != 504,
                });
            }
            _ => {}
        }
        let too_large = || Trouble::TooLarge {
            address: address(),
            most: call.most,
        };
        let expected = response.content_length().unwrap_or_default();
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        if expected > call.most {
            return Err(too_large().into());
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::with_capacity(expected);
        while let Some(part) = response.chunk().await.map_err(away)? {
            if body.len() + part.len() > call.most {
                return Err(too_large().into());
            }
            body.extend_from_slice(&part);
        }
        let answer = Answer {
            status,
            headers,
            body: Bytes::from(body),
        };
        // A standby says so while no node is active.
        let lost = |answer: &Answer| answer.error().is_some_and(|text| text.contains(NOT_ACTIVE));
        if status == StatusCode::INTERNAL_SERVER_ERROR && lost(&answer) {
            return Err(Failed {
                trouble: Trouble::NotReady {
                    address: address(),
                    status: status.as_u16(),
                },
                untouched: true,
            });
        }
        Ok(answer)
    }

    fn request(
        &self,
        node: &Url,
        call: &Call<'_>,
        namespace: Option<String>,
    ) -> Result<reqwest::RequestBuilder, Trouble> {
        let away = |cause: &str| Trouble::Away {
            address: shown(node).to_owned(),
            cause: cause.to_owned(),
        };
        let url = Url::parse(&format!("{}/v1/{}", shown(node), call.path));
        let url = url.map_err(|_| away("the path is none"))?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .headers(call.headers.clone())
            .header("x-vault-request", "true");
        if let Some(token) = call.token {
            let value = http::HeaderValue::from_str(token.expose());
            let mut value =
                value.map_err(|_| away("the token has characters that no token has"))?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        if let Some(namespace) = namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        Ok(match &call.body {
            Some(body) => request.header("content-type", call.kind).body(body.clone()),
            None => request,
        })
    }
}

/// Why a node did not answer.
struct Failed {
    trouble: Trouble,
    /// Whether another one may be asked: this one did nothing, or there was nothing to do.
    untouched: bool,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self {
            trouble,
            untouched: false,
        }
    }
}

/// What a node says of itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Leader {
    ha_enabled: bool,
    is_self: bool,
}

/// Reads the address of a node, which `field` has.
fn node(text: &str, field: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::Config(format!("{field} {text}: {why}"));
    let address = Url::parse(text.trim_end_matches('/'))
        .map_err(|_| wrong("is no URL such as https://vault.example:8200"))?;
    if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
        return Err(wrong("is no URL such as https://vault.example:8200"));
    }
    if !address.username().is_empty() || address.password().is_some() || address.query().is_some() {
        return Err(wrong("has more than a scheme, a host, a port and a path"));
    }
    Ok(address)
}

fn shown(node: &Url) -> &str {
    node.as_str().trim_end_matches('/')
}

/// The path of a namespace below another one; none for the root.
pub(crate) fn joined(above: Option<&str>, below: Option<&str>) -> Option<String> {
    let parts = [above, below].into_iter().flatten();
    let parts: Vec<&str> = parts
        .map(|part| part.trim_matches('/'))
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A standby may send its clients to the active node: one such redirect is followed, and never from HTTPS to plain HTTP or to plain HTTP on another machine.
fn follow(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous().last();
    let from_https = from.is_some_and(|from| from.scheme() == "https");
    let to = attempt.url();
    let open = to.scheme() != "https" && (from_https || !is_loopback(to));
    if attempt.previous().len() > 1 {
        attempt.error("it redirects a second time")
    } else if open {
        attempt.error("it redirects to plain HTTP")
    } else {
        attempt.follow()
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, Error> {
    let pem = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::file(path, "holds no certificates in PEM"));
    }
    Ok(found)
}

/// An error with all that lies below it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
