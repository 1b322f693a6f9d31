//! The HTTP clients of this crate. No other file makes one; `clippy.toml` beside
//! the manifest holds that.
//!
//! What is true of all of them:
//!
//! - The proxy is the one that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`,
//!   `NO_PROXY`), and never for this machine itself. Errors name it.
//! - Nothing that was meant for HTTPS goes on over plain HTTP, wherever a server
//!   redirects to.
//!
//! Source: Go, `net/http`, `ProxyFromEnvironment`, which the servers' and AWS's own
//! commands follow.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use hyper_util::client::proxy::matcher::Matcher;
use landfast_base::Secret;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, ClientBuilder, Identity, Url};

use crate::files::{self, FileError};
use crate::form::{self, Wanted};

/// A file of certificate authorities for every program that calls AWS.
///
/// Source: AWS SDKs and tools reference guide, "ca_bundle".
pub const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
const USER_AGENT: &str = concat!("landfast/", env!("CARGO_PKG_VERSION"));

/// Why there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A file with certificates or a key.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of authorities without any.
    #[error("{0}: holds no certificates in PEM")]
    Authorities(String),
    /// A client certificate that is none.
    #[error("{0}: not a certificate with its private key in PEM")]
    Identity(String),
    /// A file in another form than PEM.
    #[error("{path}: {other}")]
    Form {
        /// The file.
        path: String,
        /// What it is, and how PEM is made of it.
        other: String,
    },
    /// The TLS library.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// Whom a client believes, and who it is itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trust<'a> {
    /// PEM files, or directories of them, in place of the system's authorities.
    pub(crate) authorities: &'a [PathBuf],
    /// A client certificate and its key, each a PEM file.
    pub(crate) identity: Option<(&'a Path, &'a Path)>,
    /// Believe everybody.
    pub(crate) skip_verify: bool,
}

/// A client for sessions at `url`. It speaks HTTP/1.1, because the signature covers
/// the `Host` header, and follows nobody anywhere.
///
/// # Errors
/// [`HttpError`].
pub(crate) fn for_sessions(url: &str, trust: Trust<'_>) -> Result<reqwest::Client, HttpError> {
    build(url, trust, |builder| {
        builder
            .http1_only()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(20))
            .redirect(Policy::none())
    })
}

/// A client for the server at `url`. A standby sends its clients to the active node:
/// one such redirect is followed, as the servers' own commands do. `plain` allows it
/// to lead to plain HTTP on another machine.
///
/// # Errors
/// [`HttpError`].
pub(crate) fn for_server(
    url: &str,
    trust: Trust<'_>,
    plain: bool,
) -> Result<reqwest::Client, HttpError> {
    let follow = move |attempt: Attempt<'_>| {
        let from = attempt.previous().last().cloned();
        match from.and_then(|from| unsafe_step(&from, attempt.url(), plain)) {
            Some(why) => attempt.error(why),
            None if attempt.previous().len() > 1 => attempt.error("it redirects a second time"),
            None => attempt.follow(),
        }
    };
    build(url, trust, |builder| {
        builder
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60))
            .redirect(Policy::custom(follow))
    })
}

/// What AWS's SDK needs: its usual settings, with our HTTP client under it.
/// `authorities` is a PEM file in place of the system's.
///
/// # Errors
/// [`HttpError`].
pub(crate) fn sdk(authorities: Option<&Path>) -> Result<ConfigLoader, HttpError> {
    let mut store = TrustStore::default();
    if let Some(path) = authorities {
        // The SDK panics at what is no certificate.
        read_authorities(path)?;
        store =
            TrustStore::empty().with_pem_certificate(files::read_secret(path)?.expose().clone());
    }
    let context = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    let by = |proxy: ProxyConfig| {
        let context = context.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let crypto = tls::rustls_provider::CryptoMode::AwsLc;
            let mut builder = Connector::builder()
                .tls_provider(tls::Provider::rustls(crypto))
                .tls_context(context.clone())
                .proxy_config(proxy.clone());
            builder.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                builder.set_sleep_impl(components.sleep_impl());
            }
            builder.build()
        })
    };
    let client = ByHost {
        here: by(ProxyConfig::disabled()),
        elsewhere: by(ProxyConfig::from_env()),
    };
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let loader = aws_config::defaults(BehaviorVersion::latest());
    Ok(loader.http_client(SharedHttpClient::new(client)))
}

/// The authorities that [`CA_BUNDLE`] names, if it names any.
pub fn ca_bundle(lookup: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    lookup(CA_BUNDLE)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// The proxy that a call to a URL goes by, without its password.
pub(crate) fn proxy_for(url: &str) -> Option<String> {
    if is_here(url) {
        return None;
    }
    // The same code that the clients ask, of reqwest and of AWS's SDK.
    let proxy = Matcher::from_env().intercept(&url.parse().ok()?)?;
    let name = proxy.uri().to_string();
    Some(name.trim_end_matches('/').to_owned())
}

/// Why no answer came, with all that lies below and the proxy that was asked for it.
pub(crate) fn no_answer(url: &str, error: reqwest::Error) -> String {
    let cause = causes(&error.without_url());
    match proxy_for(url) {
        Some(proxy) => format!("by the proxy {proxy}: {cause}"),
        None => cause,
    }
}

/// An error with all that lies below it.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

/// What is known of a server that gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It answers TLS in plain HTTP.
    PlainHttp,
    /// It answers plain HTTP in TLS.
    Tls,
    /// Its certificate is of a CA that is not trusted here.
    UnknownAuthority,
    /// Its certificate has another name.
    OtherName,
}

impl Trouble {
    /// By the words of rustls and of hyper.
    pub(crate) fn of(cause: &str) -> Option<Self> {
        let says = |part: &str| cause.contains(part);
        if says("InvalidContentType") {
            Some(Self::PlainHttp)
        } else if says("invalid HTTP version") {
            Some(Self::Tls)
        } else if says("UnknownIssuer") {
            Some(Self::UnknownAuthority)
        } else if says("NotValidForName") || says("not valid for name") {
            Some(Self::OtherName)
        } else {
            None
        }
    }
}

/// What to do about an endpoint of AWS's that gave no answer, behind a semicolon.
pub(crate) fn endpoint_advice(cause: &str) -> &'static str {
    match Trouble::of(cause) {
        Some(Trouble::PlainHttp) => {
            "; it speaks plain HTTP: give the endpoint as http:// if it is the lab's on this machine"
        }
        Some(Trouble::Tls) => "; it does not speak plain HTTP: give the endpoint as https://",
        Some(Trouble::UnknownAuthority) if knows_nobody() => {
            "; this machine has no CA certificates: install them (the package ca-certificates), or name the endpoint's CA by AWS_CA_BUNDLE"
        }
        Some(Trouble::UnknownAuthority) => {
            "; its certificate is of a CA that this machine does not know: name the CA by AWS_CA_BUNDLE"
        }
        Some(Trouble::OtherName) => {
            "; its certificate has another name: give the endpoint by a name that the certificate has"
        }
        None => "",
    }
}

/// Whether this machine has no CA certificates at all, as a small container image.
pub(crate) fn knows_nobody() -> bool {
    rustls_native_certs::load_native_certs().certs.is_empty()
}

/// Whether an answer is Go's to plain HTTP where TLS is spoken: it has the old version and not one header. Its text often
/// gets lost, for the connection ends with it.
pub(crate) fn is_of_tls(response: &reqwest::Response) -> bool {
    response.version() == reqwest::Version::HTTP_10
        && response.status() == 400
        && response.headers().is_empty()
}

/// Whether an answer is that of a server of HTTPS to a client that speaks plain HTTP, in
/// the words of Go and of nginx.
pub(crate) fn wants_tls(status: u16, body: &[u8]) -> bool {
    let body = String::from_utf8_lossy(body);
    status == 400
        && ["HTTP request to an HTTPS server", "sent to HTTPS port"]
            .iter()
            .any(|words| body.contains(words))
}

/// Whether a text is a URL of this machine: a loopback address, or `localhost`.
pub(crate) fn is_here(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_loopback(&url))
}

/// Whether what is sent to a URL can be read on its way: plain HTTP to another machine.
pub(crate) fn is_open(url: &Url) -> bool {
    url.scheme() != "https" && !is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Why a redirect is not followed.
fn unsafe_step(from: &Url, to: &Url, plain: bool) -> Option<String> {
    let place = || to.origin().ascii_serialization();
    if from.scheme() == "https" && to.scheme() != "https" {
        Some(format!(
            "it redirects from HTTPS to {}, where token and secrets could be read on their way",
            place()
        ))
    } else if is_open(to) && !plain {
        Some(format!(
            "it redirects to {}, which is plain HTTP on another machine",
            place()
        ))
    } else {
        None
    }
}

fn builder(url: &str, trust: Trust<'_>) -> Result<ClientBuilder, HttpError> {
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let mut builder = reqwest::Client::builder().user_agent(USER_AGENT);
    if is_here(url) {
        builder = builder.no_proxy();
    }
    if !trust.authorities.is_empty() {
        let mut certificates = Vec::new();
        for path in trust.authorities {
            certificates.extend(read_authorities(path)?);
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((certificate, key)) = trust.identity {
        let mut pem = read_pem(certificate, Wanted::Certificates)?
            .expose()
            .clone();
        pem.push(b'\n');
        pem.extend_from_slice(read_pem(key, Wanted::PrivateKey)?.expose());
        let pem = Secret::new(pem);
        let identity = Identity::from_pem(pem.expose())
            .map_err(|_| HttpError::Identity(certificate.display().to_string()))?;
        builder = builder.identity(identity);
    }
    if trust.skip_verify {
        tracing::warn!(
            url,
            "whoever answers is believed: the certificate is not verified"
        );
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// Makes a client; `shape` gives it what its kind needs.
fn build(
    url: &str,
    trust: Trust<'_>,
    shape: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<reqwest::Client, HttpError> {
    let mut built = shape(builder(url, trust)?).build();
    // Where this machine has no CA certificates the library makes no client, not even for plain HTTP.
    // One that believes nobody says it when it meets the first server that it should believe.
    if built.is_err() && trust.authorities.is_empty() && knows_nobody() {
        built = shape(builder(url, trust)?.tls_certs_only([])).build();
    }
    built.map_err(|error| HttpError::Setup(causes(&error)))
}

/// Certificates from a PEM file, or from every file of a directory.
fn read_authorities(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let paths = if path.is_dir() {
        let mut entries = std::fs::read_dir(path)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.path()))
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(FileError::at(path))?;
        entries.retain(|entry| entry.is_file());
        entries
    } else {
        vec![path.to_owned()]
    };
    let none = |path: &Path| HttpError::Authorities(path.display().to_string());
    let mut certificates = Vec::new();
    for path in paths {
        let pem = read_pem(&path, Wanted::Certificates)?;
        certificates.extend(Certificate::from_pem_bundle(pem.expose()).map_err(|_| none(&path))?);
    }
    if certificates.is_empty() {
        return Err(none(path));
    }
    Ok(certificates)
}

/// A file of which another form than PEM is told with the way to PEM.
fn read_pem(path: &Path, wanted: Wanted) -> Result<Secret<Vec<u8>>, HttpError> {
    let text = files::read_secret(path)?;
    match form::other(path, text.expose(), wanted) {
        Some(other) => Err(HttpError::Form {
            path: path.display().to_string(),
            other,
        }),
        None => Ok(text),
    }
}

/// The SDK's HTTP client, twice: this machine is asked without a proxy.
#[derive(Debug)]
struct ByHost {
    here: SharedHttpClient,
    elsewhere: SharedHttpClient,
}

impl HttpClient for ByHost {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(ConnectorByHost {
            here: self.here.http_connector(settings, components),
            elsewhere: self.elsewhere.http_connector(settings, components),
        })
    }
}

#[derive(Debug)]
struct ConnectorByHost {
    here: SharedHttpConnector,
    elsewhere: SharedHttpConnector,
}

impl HttpConnector for ConnectorByHost {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let url = Url::parse(request.uri()).ok();
        let here = url.as_ref().is_some_and(is_loopback);
        let way = Way {
            host: url.map_or_else(String::new, |url| url.origin().ascii_serialization()),
            proxy: proxy_for(request.uri()),
        };
        let call = if here { &self.here } else { &self.elsewhere }.call(request);
        HttpConnectorFuture::new(async move { call.await.map_err(|error| way.of(error)) })
    }
}

/// Where a call of the SDK went: its own errors name neither host nor proxy.
#[derive(Debug)]
struct Way {
    host: String,
    proxy: Option<String>,
}

impl Way {
    /// The same error with the way to the host in it.
    fn of(self, error: ConnectorError) -> ConnectorError {
        let connection = error.connection_metadata().cloned();
        let make = match (error.is_timeout(), error.is_user(), error.is_io()) {
            (true, ..) => ConnectorError::timeout,
            (_, true, _) => ConnectorError::user,
            (.., true) => ConnectorError::io,
            _ => {
                let kind = error.as_other();
                return ConnectorError::other(Box::new(NoAnswer { way: self, error }), kind);
            }
        };
        let named = make(Box::new(NoAnswer { way: self, error }));
        match connection {
            Some(connection) => named.with_connection(connection),
            None => named,
        }
    }
}

#[derive(Debug)]
struct NoAnswer {
    way: Way,
    error: ConnectorError,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.way.host)?;
        match &self.way.proxy {
            Some(proxy) => write!(f, " by the proxy {proxy}"),
            None => Ok(()),
        }
    }
}

impl Error for NoAnswer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn this_machine_is_known_by_address_and_by_one_name() {
        for here in [
            "http://127.0.0.1:9912",
            "http://127.9.9.9",
            "http://[::1]:1/x",
            "https://LOCALHOST:8200",
        ] {
            assert!(is_here(here), "{here}");
            assert!(!is_open(&url(here)), "{here}");
        }
        for elsewhere in [
            "http://127.example",
            "http://localhost.example",
            "http://192.0.2.1",
            "http://[::2]",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
            assert!(is_open(&url(elsewhere)), "{elsewhere}");
        }
        assert!(!is_open(&url("https://vault.example")));
        assert!(!is_here("not a url"));
    }

    #[test]
    fn what_is_known_of_a_server_is_read_from_the_words_of_the_libraries() {
        for (cause, trouble) in [
            (
                "received corrupt message of type InvalidContentType",
                Some(Trouble::PlainHttp),
            ),
            ("invalid HTTP version parsed", Some(Trouble::Tls)),
            (
                "invalid peer certificate: UnknownIssuer",
                Some(Trouble::UnknownAuthority),
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                Some(Trouble::OtherName),
            ),
            ("Connection refused", None),
        ] {
            assert_eq!(Trouble::of(cause), trouble, "{cause}");
        }
        assert!(wants_tls(
            400,
            b"Client sent an HTTP request to an HTTPS server.\n"
        ));
        assert!(wants_tls(
            400,
            b"<center>The plain HTTP request was sent to HTTPS port</center>"
        ));
        assert!(!wants_tls(400, b"{}"));
    }

    #[test]
    fn no_redirect_leaves_https_or_this_machine_for_plain_http() {
        let step = |from, to, plain| unsafe_step(&url(from), &url(to), plain);
        for (from, to) in [
            ("https://a.example", "http://a.example"),
            ("https://a.example", "http://127.0.0.1"),
            ("https://127.0.0.1", "http://127.0.0.1"),
        ] {
            for plain in [false, true] {
                let why = step(from, to, plain).unwrap();
                assert!(why.contains("from HTTPS"), "{why}");
            }
        }
        assert!(step("http://127.0.0.1", "http://b.example", false).is_some());
        assert!(step("http://a.example", "http://b.example", true).is_none());
        assert!(step("https://a.example", "https://b.example", false).is_none());
        assert!(step("http://127.0.0.1:1", "http://127.0.0.1:2", false).is_none());
    }
}
