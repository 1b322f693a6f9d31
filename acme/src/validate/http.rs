//! The challenge http-01 (RFC 8555 section 8.3).

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, LOCATION, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::task::JoinSet;
use url::Url;

use super::connect::Host;
use super::{Attempt, Looking};
use crate::challenge::{ChallengeType, HTTP_PATH};
use crate::{Identifier, Kind, Problem, text};

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 10;
/// Octets of a body: a key authorization has 76, white space may follow.
const MOST_BODY: usize = 512;
/// Octets of an answer's head.
const MOST_HEAD: usize = 16 * 1024;
/// Characters of a URL that a redirect leads to.
const MOST_URL: usize = 2000;

/// What a host answered.
enum Answer {
    Body(Bytes),
    Redirect(String),
}

impl Attempt<'_> {
    /// Whether the host has the file with the key authorization.
    pub(super) async fn http(&self) -> Result<(), Problem> {
        self.refuse_unless(!self.identifier.is_wildcard(), ChallengeType::Http01)?;
        let mut url = self.first_url()?;
        for _ in 0..=MOST_REDIRECTS {
            match self.get(&url).await? {
                Answer::Redirect(location) => url = self.next_url(&url, &location)?,
                Answer::Body(body) if body.trim_ascii() == self.authorization.as_bytes() => {
                    return Ok(());
                }
                Answer::Body(body) => {
                    let detail = format!(
                        "http-01: the {} octets that {} answers are not the key authorization",
                        body.len(),
                        place(&url)
                    );
                    return Err(Problem::new(Kind::IncorrectResponse, detail));
                }
            }
        }
        let detail =
            format!("http-01: too many redirects: more than {MOST_REDIRECTS} are not followed");
        Err(Problem::new(Kind::Connection, detail))
    }

    fn first_url(&self) -> Result<Url, Problem> {
        let host = match self.host() {
            Host::Name(name) => name.to_owned(),
            Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
        };
        let port = self.validator.settings.http_port;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let url = format!("http://{host}:{port}{HTTP_PATH}{}", self.token);
        let url = self
            .token
            .bytes()
            .all(plain)
            .then(|| Url::parse(&url).ok())
            .flatten();
        url.ok_or_else(|| Problem::new(Kind::ServerInternal, "http-01: the token is no base64url"))
    }

    /// Where a redirect leads, if it may be followed.
    fn next_url(&self, from: &Url, location: &str) -> Result<Url, Problem> {
        let refuse = |why: String| {
            let detail = format!(
                "http-01: a redirect of {} is not followed: {why}",
                place(from)
            );
            Err(Problem::new(Kind::Connection, detail))
        };
        if location.len() > MOST_URL {
            return refuse(format!("it is longer than {MOST_URL} characters"));
        }
        let Ok(url) = from.join(location) else {
            return refuse("it is no URL".to_owned());
        };
        let settings = &self.validator.settings;
        let port = match url.scheme() {
            "http" => settings.http_port,
            "https" => settings.tls_port,
            other => {
                return refuse(format!(
                    "its scheme is {}, not http or https",
                    text::shown(other)
                ));
            }
        };
        if url.port_or_known_default() != Some(port) {
            return refuse(format!("it leads to another port than {port}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it has a user name".to_owned());
        }
        Ok(url)
    }

    async fn get(&self, url: &Url) -> Result<Answer, Problem> {
        let host = host(url)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let stream = self.connect(host, port).await?;
        let response = if url.scheme() == "https" {
            let name = match host {
                Host::Name(name) => {
                    ServerName::try_from(name.to_owned()).map_err(|_| no_host(url))?
                }
                Host::Address(address) => ServerName::IpAddress(address.into()),
            };
            let connector = self.validator.handshakes.connector(Looking::Away);
            let stream = connector.connect(name, stream).await.map_err(|why| {
                let why = text::shown(&why.to_string());
                Problem::new(
                    Kind::Tls,
                    format!("http-01: {} fails at TLS: {why}", place(url)),
                )
            })?;
            exchange(url, TokioIo::new(stream)).await
        } else {
            exchange(url, TokioIo::new(stream)).await
        };
        response?.read(url).await
    }
}

/// An answer and the task that reads it; who drops it ends the task.
struct Exchange {
    response: Response<Incoming>,
    _connection: JoinSet<()>,
}

async fn exchange<S>(url: &Url, stream: S) -> Result<Exchange, Problem>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let broken = |why: &hyper::Error| {
        let why = text::shown(&why.to_string());
        let detail = format!("http-01: {} gave no answer of HTTP: {why}", place(url));
        Problem::new(Kind::Connection, detail)
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD);
    let (mut sender, connection) = builder
        .handshake(stream)
        .await
        .map_err(|why| broken(&why))?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Its error is that of the request, too.
        let _ = connection.await;
    });
    let response = sender
        .send_request(request(url)?)
        .await
        .map_err(|why| broken(&why))?;
    Ok(Exchange {
        response,
        _connection: tasks,
    })
}

fn request(url: &Url) -> Result<Request<Empty<Bytes>>, Problem> {
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(no_host(url)),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::get(target)
        .header(HOST, host)
        .header(
            USER_AGENT,
            concat!("landfast/", env!("CARGO_PKG_VERSION"), " (ACME validation)"),
        )
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close");
    request.body(Empty::new()).map_err(|_| no_host(url))
}

impl Exchange {
    async fn read(self, url: &Url) -> Result<Answer, Problem> {
        let wrong = |kind: Kind, why: String| {
            Err(Problem::new(kind, format!("http-01: {} {why}", place(url))))
        };
        let status = self.response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => {
                let location = self.response.headers().get(LOCATION);
                return match location.and_then(|value| value.to_str().ok()) {
                    Some(location) => Ok(Answer::Redirect(location.to_owned())),
                    None => wrong(
                        Kind::IncorrectResponse,
                        format!("answers status {} without a place", status.as_u16()),
                    ),
                };
            }
            other => {
                return wrong(
                    Kind::IncorrectResponse,
                    format!(
                        "answers status {}, not 200: put the key authorization there",
                        other.as_u16()
                    ),
                );
            }
        }
        let body = Limited::new(self.response.into_body(), MOST_BODY);
        match body.collect().await {
            Ok(body) => Ok(Answer::Body(body.to_bytes())),
            Err(why) if why.is::<LengthLimitError>() => wrong(
                Kind::IncorrectResponse,
                format!("answers too much: a key authorization has fewer than {MOST_BODY} octets"),
            ),
            Err(_) => wrong(Kind::Connection, "breaks off within its answer".to_owned()),
        }
    }
}

/// The host of a URL, which is a host name or an address.
fn host(url: &Url) -> Result<Host<'_>, Problem> {
    match url.host() {
        Some(url::Host::Ipv4(address)) => Ok(Host::Address(address.into())),
        Some(url::Host::Ipv6(address)) => Ok(Host::Address(address.into())),
        Some(url::Host::Domain(name)) => match Identifier::new("dns", name) {
            Ok(one) if !one.is_wildcard() => Ok(Host::Name(name)),
            _ => Err(no_host(url)),
        },
        None => Err(no_host(url)),
    }
}

fn no_host(url: &Url) -> Problem {
    let detail = format!(
        "http-01: a redirect leads to {}, which is no host name",
        place(url)
    );
    Problem::new(Kind::Connection, detail)
}

/// Scheme, host and port of a URL. Its path may say what is nobody's business.
fn place(url: &Url) -> String {
    let place = &url[..url::Position::BeforePath];
    text::shown(place)
}
