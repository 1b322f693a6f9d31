use std::sync::Arc;
use std::time::Instant;

use hickory_resolver::proto::rr::RecordType;

use super::hosts::{Answer, Asked, Part, ok, redirect, send, web};
use super::name_server::Zone;
use super::tls_alpn::web_tls;
use super::*;

/// A validation of `a.example`, which lies [`HERE`], by a web server that answers so; and what that was asked.
async fn with(
    answer: impl Fn(&str) -> Vec<Part> + Send + Sync + 'static,
) -> (Result<(), Problem>, Asked) {
    with_time(Duration::from_secs(10), answer).await
}

async fn with_time(
    timeout: Duration,
    answer: impl Fn(&str) -> Vec<Part> + Send + Sync + 'static,
) -> (Result<(), Problem>, Asked) {
    let zone = Zone::default()
        .host("a.example", &["127.0.0.1"])
        .host("b.example", &["127.0.0.1"]);
    let (resolver, _) = zone.serve().await;
    let (address, asked) = web("127.0.0.1:0".parse().unwrap(), None, Arc::new(answer)).await;
    let settings = ValidatorSettings {
        http_port: address.port(),
        timeout,
        ..settings(resolver)
    };
    (
        check(settings, ChallengeType::Http01, "a.example").await,
        asked,
    )
}

fn port_of(request: &str) -> &str {
    let host = request.split("\r\nhost: ").nth(1).unwrap();
    host.split("\r\n")
        .next()
        .unwrap()
        .split(':')
        .nth(1)
        .unwrap()
}

#[tokio::test]
async fn the_file_has_the_key_authorization() {
    for end in ["", "\n", "\r\n \t"] {
        let (result, asked) = with(move |_| ok(&format!("{}{end}", authorization()))).await;
        assert_eq!(result, Ok(()), "{end:?}");
        let asked = asked.lock().unwrap().join("");
        assert!(
            asked.starts_with(&format!(
                "GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\n"
            )),
            "{asked}"
        );
        assert!(asked.contains("\r\nhost: a.example:"), "{asked}");
    }
}

#[tokio::test]
async fn an_address_is_asked_by_its_number() {
    let (resolver, _) = Zone::default().serve().await;
    let answer: Answer = Arc::new(|_| ok(&authorization()));
    let (address, asked) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let mut settings = settings(resolver);
    settings.http_port = address.port();
    let result = check(settings, ChallengeType::Http01, "127.0.0.1").await;
    assert_eq!(result, Ok(()));
    assert!(asked.lock().unwrap()[0].contains("\r\nhost: 127.0.0.1:"));
}

#[tokio::test]
async fn another_answer_is_refused_and_not_repeated() {
    let other = [
        ok("secret-of-another-service"),
        ok(""),
        ok(&format!("{}x", authorization())),
        ok(&format!("{}{}", authorization(), " ".repeat(512))),
        send("HTTP/1.1 404 secret\r\nContent-Length: 0\r\n\r\n"),
        send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
        send(format!(
            "HTTP/1.1 201 Created\r\nContent-Length: 76\r\n\r\n{}",
            authorization()
        )),
    ];
    for answer in other {
        let (result, asked) = with(move |_| answer.clone()).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.kind, Kind::IncorrectResponse, "{problem}");
        assert!(problem.detail.contains("http://a.example:"), "{problem}");
        assert!(!problem.detail.contains("secret"), "{problem}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
    for answer in [
        send("220 mail.example ESMTP secret\r\n"),
        send("\x16\x03\x01\x02"),
        Vec::new(),
    ] {
        let (result, _) = with(move |_| answer.clone()).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.kind, Kind::Connection, "{problem}");
        assert!(!problem.detail.contains("secret"), "{problem}");
    }
}

#[tokio::test]
async fn redirects_are_followed_to_another_host() {
    for status in [301, 302, 303, 307, 308] {
        let (result, asked) = with(move |request| {
            if request.contains("host: b.example") {
                return ok(&authorization());
            }
            redirect(
                status,
                &format!("http://b.example:{}/other?x=1#y", port_of(request)),
            )
        })
        .await;
        assert_eq!(result, Ok(()), "{status}");
        assert!(asked.lock().unwrap()[1].starts_with("GET /other?x=1 HTTP/1.1\r\n"));
    }
    let (result, asked) = with(|request| match request.starts_with("GET /b/c ") {
        true => ok(&authorization()),
        false => redirect(302, "/b/c"),
    })
    .await;
    assert_eq!(result, Ok(()));
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_redirect_to_https_is_followed_whatever_certificate_is_there() {
    let (resolver, _) = Zone::default()
        .host("a.example", &["127.0.0.1"])
        .serve()
        .await;
    let answer: Answer = Arc::new(|_| ok(&authorization()));
    let (secure, _) = web("127.0.0.1:0".parse().unwrap(), Some(web_tls()), answer).await;
    let location = format!("https://a.example:{}/x", secure.port());
    let answer: Answer = Arc::new(move |_| redirect(301, &location));
    let (plain, _) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let settings = ValidatorSettings {
        http_port: plain.port(),
        tls_port: secure.port(),
        ..settings(resolver)
    };
    assert_eq!(
        check(settings, ChallengeType::Http01, "a.example").await,
        Ok(())
    );
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let (result, asked) =
        with(|request| redirect(302, &format!("http://a.example:{}/", port_of(request)))).await;
    let problem = result.unwrap_err();
    assert!(problem.detail.contains("too many redirects"), "{problem}");
    assert_eq!(asked.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn redirects_lead_to_web_servers_only() {
    for (location, word) in [
        ("http://b.example:22/", "port"),
        ("https://b.example:80/", "port"),
        ("http://b.example/", "port"),
        ("ftp://b.example/", "scheme is ftp"),
        ("file:///etc/passwd", "scheme is file"),
        ("gopher://b.example:70/", "scheme"),
        ("http://user:secret@b.example:PORT/", "user name"),
        ("http://b_c.example:PORT/", "no host name"),
        ("http://[::1:PORT/", "no URL"),
        ("http://", "no URL"),
    ] {
        let (result, asked) =
            with(move |request| redirect(302, &location.replace("PORT", port_of(request)))).await;
        let problem = result.expect_err(location);
        assert_eq!(problem.kind, Kind::Connection, "{problem}");
        assert!(problem.detail.contains(word), "{location}: {problem}");
        assert!(!problem.detail.contains("secret"), "{problem}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
    let (result, _) = with(|request| {
        redirect(
            302,
            &format!("http://b.example:{}/{}", port_of(request), "x".repeat(2000)),
        )
    })
    .await;
    assert!(result.unwrap_err().detail.contains("2000"));
}

/// Each of these is another way to write the address of a neighbour that listens on the same port and would answer rightly.
#[tokio::test]
async fn a_redirect_to_an_address_that_may_not_be_reached_is_refused() {
    for location in [
        "http://127.0.0.2:PORT/",
        "http://2130706434:PORT/",
        "http://0x7f.2:PORT/",
        "http://0177.0.0.2:PORT/",
        "http://[::ffff:127.0.0.2]:PORT/",
        "http://neighbour.example:PORT/",
        "//127.0.0.2:PORT/",
    ] {
        let zone = Zone::default()
            .host("a.example", &["127.0.0.1"])
            .host("neighbour.example", &["127.0.0.2"]);
        let (resolver, _) = zone.serve().await;
        let answer: Answer =
            Arc::new(|request| redirect(302, &location.replace("PORT", port_of(request))));
        let (address, _) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
        let neighbour = SocketAddr::new([127, 0, 0, 2].into(), address.port());
        let (_, asked) = web(neighbour, None, Arc::new(|_| ok(&authorization()))).await;
        let mut settings = settings(resolver);
        settings.http_port = address.port();
        let problem = check(settings, ChallengeType::Http01, "a.example")
            .await
            .expect_err(location);
        assert!(
            problem.detail.contains("127.0.0.2 is a loopback address")
                || problem.detail.contains("127.0.0.2, which is"),
            "{problem}"
        );
        assert_eq!(asked.lock().unwrap().len(), 0, "{location}");
    }
}

/// A name that leads to a forbidden address when it is asked for again: it is asked for once.
#[tokio::test]
async fn a_name_is_resolved_once() {
    let zone = Zone::default()
        .host("a.example", &["127.0.0.1"])
        .host("a.example", &["127.0.0.2"]);
    let (resolver, zone) = zone.serve().await;
    let answer: Answer = Arc::new(|_| ok(&authorization()));
    let (address, _) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let neighbour = SocketAddr::new([127, 0, 0, 2].into(), address.port());
    let (_, asked) = web(neighbour, None, Arc::new(|_| ok(&authorization()))).await;
    let mut settings = settings(resolver);
    settings.http_port = address.port();
    let validator = Validator::new(settings).unwrap();
    let again = async || {
        validator
            .check(
                ChallengeType::Http01,
                &identifier("a.example"),
                TOKEN,
                &thumbprint(),
            )
            .await
    };
    assert_eq!(again().await, Ok(()));
    assert_eq!(zone.asked("a.example", RecordType::A), 1);
    let problem = again().await.unwrap_err();
    assert!(
        problem.detail.contains("127.0.0.2 is a loopback address"),
        "{problem}"
    );
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn addresses_that_may_not_be_reached_are_passed_over_and_the_others_tried() {
    let zone = Zone::default()
        .host("a.example", &["::1", "127.0.0.2", "10.0.0.1", "127.0.0.1"])
        .host("b.example", &["::1", "127.0.0.3"]);
    let (resolver, _) = zone.serve().await;
    let answer: Answer = Arc::new(|_| ok(&authorization()));
    let (address, _) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let mut settings = settings(resolver);
    settings.http_port = address.port();
    settings.networks = Networks::parse(["127.0.0.1", "127.0.0.3"]).unwrap();
    assert_eq!(
        check(settings.clone(), ChallengeType::Http01, "a.example").await,
        Ok(())
    );
    let problem = check(settings.clone(), ChallengeType::Http01, "b.example")
        .await
        .unwrap_err();
    assert_eq!(problem.kind, Kind::Connection);
    assert!(
        problem.detail.contains("127.0.0.3: connection refused"),
        "{problem}"
    );
    settings.networks = Networks::default();
    let problem = check(settings, ChallengeType::Http01, "b.example")
        .await
        .unwrap_err();
    assert!(
        problem.detail.contains("config/acme-validation"),
        "{problem}"
    );
}

#[tokio::test]
async fn an_address_that_refuses_costs_no_other_its_try() {
    let zone = Zone::default().host("a.example", &["127.0.0.4", "127.0.0.1"]);
    let (resolver, _) = zone.serve().await;
    let answer: Answer = Arc::new(|_| ok(&authorization()));
    let (address, _) = web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let mut settings = settings(resolver);
    settings.http_port = address.port();
    settings.networks = Networks::parse(["127.0.0.0/8"]).unwrap();
    assert_eq!(
        check(settings, ChallengeType::Http01, "a.example").await,
        Ok(())
    );
}

#[tokio::test]
async fn names_without_addresses_say_so() {
    let (resolver, _) = Zone::default().text("a.example", &[&["x"]]).serve().await;
    for (name, word) in [
        ("a.example", "has no A or AAAA record"),
        ("b.example", "does not exist"),
    ] {
        let problem = check(settings(resolver), ChallengeType::Http01, name)
            .await
            .unwrap_err();
        assert_eq!(problem.kind, Kind::Dns);
        assert!(problem.detail.contains(word), "{problem}");
    }
}

#[tokio::test]
async fn who_is_slow_or_talks_without_end_is_given_up() {
    let limit = Duration::from_millis(800);
    let head = || Part::Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec());
    let drip = |octets: &str| Part::Drip(octets.as_bytes().to_vec(), Duration::from_millis(100));
    for answer in [
        vec![Part::Wait(Duration::from_secs(60))],
        vec![head(), Part::Wait(Duration::from_secs(60))],
        vec![head(), drip("1\r\nx\r\n")],
        vec![
            Part::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
            drip("X: y\r\n"),
        ],
        vec![drip("HTTP/1.1 100 Continue\r\n\r\n")],
    ] {
        let begin = Instant::now();
        let (result, _) = with_time(limit, move |_| answer.clone()).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.kind, Kind::Connection, "{problem}");
        assert!(
            begin.elapsed() < Duration::from_secs(4),
            "{:?}",
            begin.elapsed()
        );
    }
    // Without a pause, it is the limits of length that end it.
    let flood = |octets: &str| Part::Drip(octets.as_bytes().repeat(1000), Duration::ZERO);
    for answer in [
        vec![head(), flood("10\r\nxxxxxxxxxxxxxxxx\r\n")],
        vec![
            Part::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
            flood("X: y\r\n"),
        ],
    ] {
        let begin = Instant::now();
        let (result, _) = with(move |_| answer.clone()).await;
        assert!(result.is_err());
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    }
}
