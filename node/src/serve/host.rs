//! Whether a request is for this machine by a name that nobody else controls.
//!
//! A page of the web can have a name of its own point here, and its script then asks
//! for that name; it cannot have `localhost` or an address point anywhere.
//!
//! Source: RFC 9110 section 7.2 (`Host`), RFC 9112 section 3.2.2 (absolute form).

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use axum::http::header;

/// Whether the one `Host`, and the target if that names a host, are an address or
/// `localhost`.
pub(super) fn is_own(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let target = request.uri().authority();
    host.to_str().is_ok_and(is_own_authority)
        && target.is_none_or(|authority| is_own_authority(authority.as_str()))
}

/// `localhost` or an address, with a port or without, and nothing else.
fn is_own_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of an address in brackets may be one of its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|octet| octet.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let own = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok(),
    };
    own && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_names_that_nobody_elses_dns_controls_are_ours() {
        for own in [
            "127.0.0.1:9911",
            "127.0.0.1",
            "169.254.169.254",
            "localhost:1",
            "[::1]:9911",
            "[::1]",
            "LOCALHOST",
        ] {
            assert!(is_own_authority(own), "{own}");
        }
        for foreign in [
            "attacker.example:9911",
            "localhost.example",
            "127.0.0.1.example",
            "",
            ":9911",
            "[::1]attacker.example",
            "[::1].attacker.example:80",
            "[::1",
            "::1",
            "::1:9911",
            "[127.0.0.1]",
            "localhost:",
            "localhost:attacker.example",
            "localhost:80:80",
            "localhost:+80",
            "localhost:65536",
            "localhost:80@attacker.example",
            "me@localhost",
            "localhost/attacker",
            "127.1",
            "0x7f.0.0.1",
            " localhost",
        ] {
            assert!(!is_own_authority(foreign), "{foreign}");
        }
    }

    #[test]
    fn one_host_is_named_and_the_target_names_no_other() {
        let request = |target: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(target);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            is_own(&request.body(Body::empty()).unwrap())
        };
        assert!(request("/x", &["localhost"]));
        assert!(request("http://127.0.0.1:9911/x", &["127.0.0.1:9911"]));
        assert!(!request("/x", &[]));
        assert!(!request("/x", &["localhost", "attacker.example"]));
        assert!(!request("/x", &["localhost", "localhost"]));
        assert!(!request("http://attacker.example/x", &["localhost"]));
    }
}
