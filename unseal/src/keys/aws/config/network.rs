//! The way to AWS: proxies, the CAs that are trusted on it, and kinds of endpoints, as the AWS SDKs read them from the environment.
//!
//! These are the machine's, not the configuration's: they count for whoever wrote that.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use landfast_base::Secret;

use crate::config::Environment;

/// What the environment says of the way to AWS.
#[derive(Default, Clone)]
pub struct Network {
    proxies: Option<Arc<Proxies>>,
    /// CA certificates in PEM that are trusted in place of the system's (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<PathBuf>,
    /// Use endpoints that answer over IPv6 too (`AWS_USE_DUALSTACK_ENDPOINT`).
    pub dual_stack: bool,
}

struct Proxies {
    http: Option<Secret<String>>,
    https: Option<Secret<String>>,
    matcher: Matcher,
}

impl Network {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not, and the variables of the AWS SDKs.
    pub fn of(environment: &Environment) -> Self {
        let first = |names: &[&str; 2]| environment.first(names).map(|(_, value)| value);
        let all = first(&["ALL_PROXY", "all_proxy"]);
        let https = first(&["HTTPS_PROXY", "https_proxy"]).or(all);
        // A web server that runs programs sets HTTP_PROXY to what a client's header says.
        let http = match environment.var("REQUEST_METHOD") {
            Some(_) => environment.var("http_proxy"),
            None => first(&["HTTP_PROXY", "http_proxy"]),
        };
        let http = http.or(all);
        let url = |value: Option<&str>| {
            let value = value?;
            let url = if value.contains("://") {
                value.to_owned()
            } else {
                format!("http://{value}")
            };
            Some(Secret::new(url))
        };
        let proxies = (http.is_some() || https.is_some()).then(|| {
            let none = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
            let matcher = Matcher::builder()
                .http(http.unwrap_or_default())
                .https(https.unwrap_or_default())
                .no(none)
                .build();
            Arc::new(Proxies {
                http: url(http),
                https: url(https),
                matcher,
            })
        });
        Self {
            proxies,
            ca_bundle: environment.var("AWS_CA_BUNDLE").map(PathBuf::from),
            dual_stack: environment.is_true("AWS_USE_DUALSTACK_ENDPOINT"),
        }
    }

    /// The proxy for a destination, without its password. What is on this machine is reached without any, as programs in Go do it.
    pub fn proxy_for(&self, destination: &http::Uri) -> Option<String> {
        let proxies = self.proxies.as_ref()?;
        if is_loopback(destination.host()?) {
            return None;
        }
        let name = proxies.matcher.intercept(destination)?.uri().to_string();
        Some(name.trim_end_matches('/').to_owned())
    }

    /// The proxy for plain HTTP, with a password if it needs one.
    pub(crate) fn http_proxy(&self) -> Option<&Secret<String>> {
        self.proxies.as_ref()?.http.as_ref()
    }

    /// The proxy for HTTPS, with a password if it needs one.
    pub(crate) fn https_proxy(&self) -> Option<&Secret<String>> {
        self.proxies.as_ref()?.https.as_ref()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("proxies", &self.proxies.is_some())
            .field("ca_bundle", &self.ca_bundle)
            .field("dual_stack", &self.dual_stack)
            .finish()
    }
}

/// Whether a host of a URL is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(variables: &[(&str, &str)]) -> Network {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Network::of(&variables.iter().map(own).collect())
    }

    fn proxy(network: &Network, url: &str) -> Option<String> {
        let destination = url.parse().expect("a URL");
        network.proxy_for(&destination)
    }

    #[test]
    fn what_is_on_this_machine_is_never_asked_by_a_proxy() {
        let network = network(&[
            ("HTTP_PROXY", "http://plain:3128"),
            ("HTTPS_PROXY", "http://user:hunter2@tls:3128"),
        ]);
        for url in [
            "http://127.0.0.1:4566",
            "https://127.0.0.2",
            "http://localhost:1",
            "http://LOCALHOST",
            "http://[::1]:1",
            "http://[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(proxy(&network, url), None, "{url}");
        }
        assert_eq!(
            proxy(&network, "https://kms.eu-central-1.amazonaws.com").as_deref(),
            Some("http://tls:3128"),
            "without the password"
        );
        assert_eq!(
            proxy(&network, "http://kms.internal").as_deref(),
            Some("http://plain:3128")
        );
        assert!(!format!("{network:?}").contains("hunter2"));
    }

    #[test]
    fn variables_are_read_as_everybody_does() {
        let kms = "https://kms.eu-central-1.amazonaws.com";
        let of = |variables: &[(&str, &str)]| proxy(&network(variables), kms);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("HTTP_PROXY", "http://plain:1")]), None);
        assert_eq!(
            of(&[("https_proxy", "tls:1")]).as_deref(),
            Some("http://tls:1")
        );
        assert_eq!(
            of(&[("ALL_PROXY", "http://all:1")]).as_deref(),
            Some("http://all:1")
        );
        assert_eq!(
            of(&[
                ("HTTPS_PROXY", "http://tls:1"),
                ("NO_PROXY", "x,.amazonaws.com")
            ]),
            None
        );
        let cgi = network(&[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(proxy(&cgi, "http://kms.internal"), None);
        let bundle = network(&[("AWS_CA_BUNDLE", "/ca.pem")]);
        assert!(bundle.ca_bundle.is_some());
        assert!(network(&[("AWS_USE_DUALSTACK_ENDPOINT", "True")]).dual_stack);
    }
}
