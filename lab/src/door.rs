//! Who is heard by the lab, and how much of it.
//!
//! Programs of this machine may call it, web pages may not, but for its own: a
//! browser sends whatever a page tells it to loopback addresses too, so requests
//! of other origins and for other hosts' names are refused before anything is
//! read. What names it has besides, such as that of its container, is told to
//! it. A person may come from another page by a link: that only shows the page.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Limited};

use crate::server::{error, validation};

/// A request body is a CRL in base64 at most, or a bundle.
const MAX_BODY: usize = 512 * 1024;
/// A body has to arrive in this time: its sender keeps a connection meanwhile.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A request with its body, if it comes from a program of this machine or is for
/// one of `hosts`, is of a bounded size, and arrives in time.
pub(crate) async fn whole(
    request: axum::http::Request<hyper::body::Incoming>,
    hosts: &[String],
) -> Result<axum::http::Request<Body>, Response> {
    let (parts, body) = request.into_parts();
    if let Err(text) = from_here(&parts.method, &parts.uri, &parts.headers, hosts) {
        return Err(error(403, "AccessDeniedException", text, None));
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(axum::http::Request::from_parts(
            parts,
            body.to_bytes().into(),
        )),
        Ok(Err(problem)) if problem.is::<http_body_util::LengthLimitError>() => Err(error(
            413,
            "ValidationException",
            "the body is longer than 524288 octets",
            None,
        )),
        Ok(Err(_)) => Err(validation("the body broke off")),
        Err(_) => Err(error(
            408,
            "RequestTimeoutException",
            "the body did not arrive within 10 seconds",
            None,
        )),
    }
}

/// Whether a request was sent by a program of this machine on its own account,
/// and not by a browser for a page of somebody else's: it is for an address,
/// `localhost` or one of `names`, and of no other origin.
///
/// Source: Fetch standard, "`Origin` header"; Fetch metadata request headers.
fn from_here(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    names: &[String],
) -> Result<(), &'static str> {
    const HOST: &str =
        "the Host header must be a loopback address or localhost: a name could be anybody's";
    const ORIGIN: &str = "requests of web pages are refused";
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts
        .next()
        .and_then(|host| host.to_str().ok())
        .ok_or(HOST)?;
    let absolute = uri.authority().map_or(host, |authority| authority.as_str());
    let known = |host| is_this_machine(host) || is_one_of(names, host);
    if hosts.next().is_some() || !known(host) || !known(absolute) {
        return Err(HOST);
    }
    let own = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let place = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        place.is_some_and(|place| place.eq_ignore_ascii_case(host))
    };
    if !headers.get_all(header::ORIGIN).iter().all(own) {
        return Err(ORIGIN);
    }
    let site = headers.get("sec-fetch-site");
    let foreign = site.is_some_and(|site| site != "same-origin" && site != "none");
    if foreign && !(method == Method::GET && uri.path() == "/" && is_visit(headers)) {
        return Err(ORIGIN);
    }
    Ok(())
}

/// Whether somebody followed a link, into a window of its own: no page sees what comes of it.
fn is_visit(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|given| given == value);
    is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
}

/// Nothing, or a port behind a colon.
fn is_port(text: &str) -> bool {
    let port = text.strip_prefix(':');
    text.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// One of these names, with or without a port.
fn is_one_of(names: &[String], host: &str) -> bool {
    let (host, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    is_port(rest) && names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A loopback address or `localhost`, with or without a port, and nothing else.
fn is_this_machine(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return false;
        };
        let address = address.parse::<std::net::Ipv6Addr>();
        return is_port(rest) && address.is_ok_and(|address| address.is_loopback());
    }
    let (name, rest) = host.split_at(host.find(':').unwrap_or(host.len()));
    let address = name.parse::<IpAddr>();
    is_port(rest)
        && (name.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_this_machine_are_heard() {
        let judged = |uri: &str, given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(*name, value.parse().unwrap());
            }
            from_here(
                &Method::GET,
                &uri.parse().unwrap(),
                &headers,
                &["lab".to_owned()],
            )
            .is_ok()
        };
        for host in [
            "127.0.0.1",
            "127.0.0.1:9912",
            "localhost:9912",
            "LOCALHOST",
            "[::1]:9912",
            "[::1]",
            "127.1.2.3:1",
            "lab",
            "LAB:9912",
        ] {
            assert!(judged("/sessions", &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "127.0.0.1:99999",
            "[::1",
            "[::1].evil.example",
            "[::1]x",
            "192.0.2.1",
            "[2001:db8::1]",
            "::1",
            "127.0.0.1:1:2",
            "localhost:1@evil.example",
            "lab:x",
            "lab:",
            "lab.evil.example",
            "lab:1@evil.example",
        ] {
            assert!(!judged("/sessions", &[("host", host)]), "{host}");
        }
        assert!(!judged("/sessions", &[]), "no Host at all");
        assert!(!judged(
            "/sessions",
            &[("host", "127.0.0.1"), ("host", "127.0.0.1")]
        ));
        assert!(!judged(
            "http://evil.example/sessions",
            &[("host", "127.0.0.1")]
        ));

        let host = ("host", "127.0.0.1:9912");
        for (header, value, heard) in [
            ("origin", "http://127.0.0.1:9912", true),
            ("origin", "http://127.0.0.1:8080", false),
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "same-site", false),
        ] {
            assert_eq!(
                judged("/lab/faults", &[host, (header, value)]),
                heard,
                "{header}: {value}"
            );
        }
    }

    #[test]
    fn a_link_leads_to_the_page_and_to_nothing_else() {
        let judged = |method: Method, path: &str, given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            let host = ("host", "127.0.0.1:9912");
            let site = ("sec-fetch-site", "cross-site");
            for (name, value) in [host, site].iter().chain(given) {
                headers.append(*name, value.parse().unwrap());
            }
            from_here(&method, &path.parse().unwrap(), &headers, &[]).is_ok()
        };
        let visit = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(judged(Method::GET, "/", &visit));
        assert!(judged(Method::GET, "/?pause", &visit));
        assert!(!judged(Method::POST, "/", &visit));
        assert!(!judged(Method::POST, "/lab/page/faults", &visit));
        assert!(!judged(Method::GET, "/lab/calls", &visit));
        assert!(!judged(
            Method::GET,
            "/",
            &[visit[0], ("sec-fetch-dest", "iframe")]
        ));
        assert!(!judged(
            Method::GET,
            "/",
            &[("sec-fetch-mode", "cors"), visit[1]]
        ));
        assert!(!judged(Method::GET, "/", &[]));
        assert!(!judged(
            Method::GET,
            "/",
            &[visit[0], visit[1], ("origin", "null")]
        ));
    }
}
