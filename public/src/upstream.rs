//! The client of the secrets server. No other file of this crate makes an HTTP client; `clippy.toml` beside the manifest holds that.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use hyper::body::Bytes;
use landfast_base::Secret;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Url};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::ServerFile;
use crate::error::Error;

/// Calls at one time, all together.
const AT_ONCE: usize = 32;

/// How long a call waits for its turn.
const TURN: Duration = Duration::from_secs(5);

const CONNECT: Duration = Duration::from_secs(5);

/// A call has to be answered in this time, the whole answer included.
const CALL: Duration = Duration::from_secs(30);

/// Octets of an answer where nobody says how many.
pub const MOST: usize = 1024 * 1024;

/// A secrets server. Strangers cause calls, so their number at one time is bounded.
pub struct Upstream {
    http: reqwest::Client,
    address: Url,
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
    /// A body of JSON.
    pub body: Option<Bytes>,
    /// More headers. `X-Vault-Token` is not one of them.
    pub headers: HeaderMap,
    /// Octets of an answer that are read at the most.
    pub most: usize,
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
            headers: HeaderMap::new(),
            most: MOST,
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

/// Why there is no answer, or none that says anything. All of it may pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answered, or not as a whole.
    #[error("no answer of {address}: {cause}")]
    Away {
        /// The server's address.
        address: String,
        /// Why.
        cause: String,
    },
    /// The server is sealed, not initialised, or a standby without an active node.
    #[error("{address} answers {status}: it is sealed, or not ready")]
    NotReady {
        /// The server's address.
        address: String,
        /// The status.
        status: u16,
    },
    /// Too many calls are under way, here or there.
    #[error("too many calls of {address} are under way")]
    Busy {
        /// The server's address.
        address: String,
    },
    /// More than can be held.
    #[error("the answer of {address} is larger than {most} octets")]
    TooLarge {
        /// The server's address.
        address: String,
        /// The limit.
        most: usize,
    },
    /// A secret was not sent, for it could be read on its way.
    #[error(
        "{address} is plain HTTP on another machine: give an https address, for a secret goes there"
    )]
    Plain {
        /// The server's address.
        address: String,
    },
}

impl Upstream {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none, or a file with certificates cannot be used.
    pub fn new(settings: &ServerFile) -> Result<Self, Error> {
        let wrong =
            |why: &str| Error::Config(format!("server.address {}: {why}", settings.address));
        let address = Url::parse(settings.address.trim_end_matches('/'))
            .map_err(|_| wrong("is no URL such as https://vault.example:8200"))?;
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err(wrong("is no URL such as https://vault.example:8200"));
        }
        if !address.username().is_empty()
            || address.password().is_some()
            || address.query().is_some()
        {
            return Err(wrong("has more than a scheme, a host, a port and a path"));
        }
        #[expect(clippy::disallowed_methods, reason = "this is the place")]
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("landfast/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(CALL)
            .pool_max_idle_per_host(AT_ONCE)
            .redirect(Policy::custom(follow));
        if is_loopback(&address) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &settings.ca {
            builder = builder.tls_certs_only(authorities(path)?);
        } else if address.scheme() == "http" {
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
            address,
            namespace: settings.namespace.clone(),
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Whether two configurations mean the same server.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.address, &self.namespace) == (&other.address, &other.namespace)
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        self.address.as_str().trim_end_matches('/')
    }

    /// Asks. The call has its own end: 30 s, and 5 s before it for a turn.
    ///
    /// # Errors
    /// [`Trouble`]: the server cannot be asked. Its refusals are answers.
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Trouble> {
        let secret = call.token.is_some() || call.body.is_some();
        if secret && self.address.scheme() != "https" && !is_loopback(&self.address) {
            return Err(Trouble::Plain {
                address: self.shown(),
            });
        }
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Trouble::Busy {
                address: self.shown(),
            });
        };
        let away = |error: reqwest::Error| Trouble::Away {
            address: self.shown(),
            cause: causes(&error.without_url()),
        };
        let mut response = self.request(&call)?.send().await.map_err(away)?;
        let status = response.status();
        match status.as_u16() {
            429 => {
                return Err(Trouble::Busy {
                    address: self.shown(),
                });
            }
            status @ (472 | 473 | 501..=504) => {
                return Err(Trouble::NotReady {
                    address: self.shown(),
                    status,
                });
            }
            _ => {}
        }
        let too_large = || Trouble::TooLarge {
            address: self.shown(),
            most: call.most,
        };
        let expected = response.content_length().unwrap_or_default();
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        if expected > call.most {
            return Err(too_large());
        }
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::with_capacity(expected);
        while let Some(part) = response.chunk().await.map_err(away)? {
            if body.len() + part.len() > call.most {
                return Err(too_large());
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer {
            status,
            headers,
            body: Bytes::from(body),
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<reqwest::RequestBuilder, Trouble> {
        let away = |cause: &str| Trouble::Away {
            address: self.shown(),
            cause: cause.to_owned(),
        };
        let url = Url::parse(&format!("{}/v1/{}", self.address(), call.path));
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
        let above = self
            .namespace
            .as_deref()
            .map(|above| above.trim_matches('/'));
        let below = call.namespace.map(|below| below.trim_matches('/'));
        let namespace: Vec<&str> = above
            .into_iter()
            .chain(below)
            .filter(|part| !part.is_empty())
            .collect();
        if !namespace.is_empty() {
            request = request.header("x-vault-namespace", namespace.join("/"));
        }
        Ok(match &call.body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body.clone()),
            None => request,
        })
    }

    fn shown(&self) -> String {
        self.address().to_owned()
    }
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
