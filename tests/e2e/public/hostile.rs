//! Clients that mean no good.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use super::*;
use crate::support::until;

fn connect(front: &Front) -> TcpStream {
    let address = front.addresses[0].trim_start_matches("http://");
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a time");
    stream
}

/// What it says to these octets until it hangs up, or says nothing more for the time of the socket.
fn answer(front: &Front, octets: &[u8]) -> String {
    let mut stream = connect(front);
    // It may hang up while this is written.
    let _ = stream.write_all(octets);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn nobody_holds_it_up_or_makes_it_grow() {
    let server = server(Release::Current);
    let mut config = config(server.address());
    config["limits"]["connections"] = json!(64);
    config["limits"]["connections_per_address"] = json!(64);
    let front = Front::start(&config);
    assert_eq!(status(&front.curl("/ours/crl", &[])), 200);
    // More connections than it has places for: silent ones, halves of heads, bodies that never come.
    let mut open = Vec::new();
    for number in 0..200 {
        let mut stream = connect(&front);
        let half: &[u8] = match number % 4 {
            0 => b"",
            1 => b"GET /ours/crl HTTP/1.1\r\nhost: x\r\nx-slow: ",
            2 => b"POST /ours/ocsp HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx",
            _ => b"POST /ours/ocsp HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n",
        };
        // The place of an older one may be given away at any time.
        let _ = stream.write_all(half);
        open.push(stream);
        if number % 20 == 19 {
            // A client that means well gets its answer all the same, at the latest when a body is given up.
            until("a place", Duration::from_secs(40), || {
                let got = Command::new("curl")
                    .args([
                        "--silent",
                        "--noproxy",
                        "*",
                        "--max-time",
                        "5",
                        "--output",
                        "/dev/null",
                        "--write-out",
                        "%{http_code}",
                    ])
                    .arg(front.url("/ours/crl"))
                    .output();
                (got.expect("curl runs").stdout == b"200").then_some(())
            });
        }
    }
    // Questions that nobody asked before, each about another certificate.
    for round in 0..20_u32 {
        let mut requests = Vec::new();
        for number in 0..50_u32 {
            let question = plain_question(round * 1000 + number);
            requests.extend_from_slice(
                format!(
                    "POST /ours/ocsp HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                    question.len()
                )
                .as_bytes(),
            );
            requests.extend_from_slice(&question);
        }
        requests
            .extend_from_slice(b"GET /ours/ca HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let said = answer(&front, &requests);
        assert_eq!(
            said.matches("HTTP/1.1 200 OK").count(),
            51,
            "pipelined: all are answered, in their order"
        );
    }
    // A release build has a third of it; the bound is against growth.
    assert!(front.resident() < 120_000, "{} kB", front.resident());
    let metrics = front.observed("/metrics");
    assert!(
        metrics.contains("landfast_public_refused_connections_total"),
        "{metrics}"
    );
}

/// A question about a certificate of nobody.
fn plain_question(serial: u32) -> Vec<u8> {
    let mut id = vec![0x30, 0x43, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0];
    // The hashes of 20 octets, and a serial number of 10.
    id[1] = 11 + 22 + 22 + 12;
    for part in [1_u8, 2] {
        id.extend([4, 20]);
        id.extend([part; 20]);
    }
    id.extend([2, 10, 1, 1, 1, 1, 1, 1]);
    id.extend(serial.to_be_bytes());
    (0..4).fold(id, |inner, _| {
        let mut outer = vec![0x30, u8::try_from(inner.len()).expect("short")];
        outer.extend(inner);
        outer
    })
}

#[test]
fn what_is_no_request_is_refused_in_bounds_and_leaves_its_line() {
    let server = server(Release::Current);
    let front = Front::start(&config(server.address()));
    let malformed = [0x30, 3, 10, 1, 1];
    let post = |mount: &str, octets: &[u8]| {
        let file = front::file(&front, "body", octets);
        let data = format!("@{}", file.display());
        front.curl(
            &format!("/{mount}/ocsp"),
            &[
                "--header",
                "content-type: application/ocsp-request",
                "--header",
                "expect:",
                "--data-binary",
                &data,
            ],
        )
    };
    for (mount, _) in MOUNTS {
        for octets in [
            &b"x"[..],
            b"\x30\x80\x00\x00",
            &[0x30; 2048],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            b"\x30\x00",
        ] {
            let got = post(mount, octets);
            assert_eq!(
                (status(&got), body(&got)),
                (400, &malformed[..]),
                "{octets:x?}"
            );
            assert_eq!(
                header(&got, "content-type").as_deref(),
                Some("application/ocsp-response")
            );
        }
        assert_eq!(status(&post(mount, &vec![b'x'; 4096])), 413);
        for path in [
            "ocsp/AAAA",
            "ocsp/%zz",
            "ocsp/x/y/z",
            &format!("ocsp/{}", "A".repeat(6000)),
        ] {
            let got = front.curl(&format!("/{mount}/{path}"), &[]);
            assert_eq!((status(&got), body(&got)), (400, &malformed[..]), "{path}");
        }
        for (path, method, wanted) in [
            ("crl", "POST", 405),
            ("crl", "DELETE", 405),
            ("ca", "PUT", 405),
            ("ocsp", "GET", 405),
            ("ocsp/x", "POST", 405),
            ("issuer/../crl", "GET", 404),
            ("issuer/first/../../crl", "GET", 404),
            ("issuer/%2e%2e/crl", "GET", 404),
            ("config/urls", "GET", 404),
            ("issue/web", "POST", 404),
            ("certs", "GET", 404),
            ("", "GET", 404),
        ] {
            let got = front.curl(
                &format!("/{mount}/{path}"),
                &["--path-as-is", "--request", method],
            );
            assert_eq!(status(&got), wanted, "{method} {path}");
        }
    }
    for path in [
        "/",
        "/v1/sys/health",
        "/oursx/crl",
        "/v1/ours/crl",
        "//ours/crl",
    ] {
        assert_eq!(status(&front.curl(path, &["--path-as-is"])), 404, "{path}");
    }
    for (octets, wanted) in [
        (b"nonsense\r\n\r\n".to_vec(), "400"),
        (
            format!(
                "GET /ours/crl HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n",
                "x".repeat(20_000)
            )
            .into_bytes(),
            "431",
        ),
        (
            b"GET /ours/crl HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
                .to_vec(),
            "400",
        ),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            "400",
        ),
    ] {
        let said = answer(&front, &octets);
        assert!(said.starts_with(&format!("HTTP/1.1 {wanted}")), "{said}");
    }
    assert_eq!(status(&front.curl("/ours/crl", &[])), 200, "it serves on");
    until("the lines", Duration::from_secs(20), || {
        let lines = front.audit();
        let one = |operation: &str, status: u16| {
            lines
                .iter()
                .any(|line| line["operation"] == operation && line["status"] == status)
        };
        (one("ocsp", 400)
            && one("ocsp", 413)
            && one("crl", 405)
            && one("unknown", 404)
            && one("crl", 200))
        .then_some(())
    });
    let asked = server.asked();
    drop(asked);
    assert!(
        !server.log().contains("/v1/ours/issue"),
        "nothing but what is public is passed on"
    );
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let server = server(Release::Current);
    let mut config = config(server.address());
    config["limits"]["requests_per_minute"] = json!(5);
    let front = Front::start(&config);
    // All at once, on one connection: a place that comes back every 12 s is not awaited.
    let one = "GET /ours/ca HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /ours/ca HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = answer(&front, format!("{}{last}", one.repeat(7)).as_bytes());
    let count = |text: &str| said.matches(text).count();
    assert_eq!(count("HTTP/1.1 200 OK"), 5, "{said}");
    assert_eq!(count("HTTP/1.1 429 Too Many Requests"), 3, "{said}");
    assert_eq!(count("retry-after: "), 3, "{said}");
    assert!(
        front
            .observed("/metrics")
            .contains("landfast_public_rate_limited_total")
    );
}
