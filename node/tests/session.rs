//! Client and lab over HTTP, with faults in between.

#![expect(
    clippy::disallowed_methods,
    reason = "tests ask with clients of their own"
)]

#[allow(dead_code, reason = "each test binary uses its own part")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use landfast_lab::Fault;
use landfast_lab::server::{BindError, Lab};
use landfast_node::session::{Client, Credentials, Endpoint, SessionError};

use support::{account, case, identity, now, session_request};

struct Rig {
    lab: Lab,
    url: String,
    client: Client,
}

impl Rig {
    async fn start() -> Self {
        let lab = Lab::new(account(&case("rsa-body-nochain")), Arc::new(now), None);
        let listener = Lab::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let endpoint = Endpoint {
            url: format!("http://{}", listener.local_addr().unwrap()),
            region: "us-west-2".into(),
        };
        tokio::spawn(
            lab.clone()
                .serve(listener, landfast_listen::plain, std::future::pending()),
        );
        let http = reqwest::Client::builder()
            .http1_only()
            .timeout(Duration::from_secs(2))
            .build()
            .unwrap();
        Self {
            lab,
            url: endpoint.url.clone(),
            client: Client::new(http, endpoint),
        }
    }

    async fn session(&self) -> Result<Credentials, SessionError> {
        self.session_at(SignedDuration::ZERO).await
    }

    /// A session for a machine whose clock is this far ahead.
    async fn session_at(&self, ahead: SignedDuration) -> Result<Credentials, SessionError> {
        let identity = identity("pki/rsa-leaf.crt", "pki/rsa-leaf.key");
        self.client
            .create_session(&identity, &session_request(), || now() + ahead)
            .await
    }
}

#[tokio::test]
async fn a_session_is_opened() {
    let rig = Rig::start().await;
    let credentials = rig.session().await.unwrap();
    assert!(credentials.access_key_id.starts_with("ASIALAB"));
    assert_eq!(credentials.expiration, now() + Duration::from_secs(900));
    assert!(
        credentials
            .assumed_role_arn
            .contains(":assumed-role/HybridNode+Role@lab/")
    );
    assert!(!format!("{credentials:?}").contains(credentials.session_token.expose()));
}

#[tokio::test]
async fn passing_trouble_is_waited_out() {
    let rig = Rig::start().await;
    rig.lab
        .inject([Fault::Throttle, Fault::Unavailable], [])
        .unwrap();
    rig.session().await.unwrap();
    rig.lab.inject([Fault::Drop], []).unwrap();
    rig.session().await.unwrap();
}

#[tokio::test]
async fn lasting_trouble_is_told() {
    let rig = Rig::start().await;
    rig.lab.inject([Fault::Throttle; 3], []).unwrap();
    let error = rig.session().await.unwrap_err();
    assert!(
        matches!(error, SessionError::Refused { status: 429, .. }),
        "{error}"
    );
    assert!(error.is_temporary());
}

#[tokio::test]
async fn half_an_answer_is_never_credentials() {
    let rig = Rig::start().await;
    for fault in [Fault::Empty, Fault::Truncate] {
        rig.lab.inject([fault], []).unwrap();
        let error = rig.session().await.unwrap_err();
        assert!(
            matches!(error, SessionError::Answer { .. }),
            "{fault:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_final_and_keeps_the_services_text() {
    let rig = Rig::start().await;
    rig.lab.state().profiles[0].enabled = false;
    let error = rig.session().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "AccessDeniedException (403): the profile is disabled"
    );
    assert!(!error.is_temporary());
    assert_eq!(rig.lab.calls().len(), 1, "a refusal is not tried again");
}

#[tokio::test]
async fn a_clock_that_is_wrong_by_a_day_is_learned_from_the_service() {
    let rig = Rig::start().await;
    assert_eq!(rig.session().await.unwrap().clock_behind, None);
    for hours in [24, -24] {
        let ahead = SignedDuration::from_hours(hours);
        let credentials = rig.session_at(ahead).await.unwrap();
        assert_eq!(credentials.clock_behind, Some(-ahead));
        assert_eq!(
            credentials.ends(),
            now() + ahead + Duration::from_secs(900),
            "by the wrong clock, it still lasts for its length"
        );
    }
    let calls = rig.lab.calls();
    let outcomes: Vec<u16> = calls.iter().map(|call| call.status).collect();
    assert_eq!(outcomes, [201, 403, 201, 403, 201]);

    // What another reason stops is not tried for ever.
    rig.lab.state().profiles[0].enabled = false;
    let ahead = SignedDuration::from_hours(24);
    let error = rig.session_at(ahead).await.unwrap_err();
    assert!(error.to_string().contains("disabled"), "{error}");
}

#[tokio::test]
async fn the_lab_refuses_other_addresses_than_loopback() {
    let error = Lab::bind(([0, 0, 0, 0], 0).into()).await.unwrap_err();
    assert!(matches!(error, BindError::NotLoopback(_)));
}

/// What the lab rebuilds from the wire is what the client signed.
#[tokio::test]
async fn the_canonical_request_is_on_record() {
    let rig = Rig::start().await;
    rig.session().await.unwrap();
    let calls = rig.lab.calls();
    assert_eq!(calls[0].operation, "POST /sessions");
    let record = calls[0].canonical_request.as_deref().unwrap();
    let lines: Vec<&str> = record.lines().collect();
    assert_eq!(lines[..3], ["POST", "/sessions", ""]);
    assert_eq!(
        lines[lines.len() - 2],
        "content-type;host;x-amz-date;x-amz-x509"
    );
    assert!(lines.contains(&"x-amz-date:20260901T120000Z"));
}

/// The control plane wants a signature, whatever is asked.
#[tokio::test]
async fn an_unsigned_call_changes_nothing() {
    let rig = Rig::start().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/trustanchors", "/crls", "/profiles", "/none", "/"] {
        let answer = http.post(format!("{}{path}", rig.url)).body("{}").send();
        assert_eq!(answer.await.unwrap().status().as_u16(), 403, "{path}");
    }
    let state = rig.lab.state();
    assert_eq!((state.anchors.len(), state.profiles.len()), (1, 1));
}

/// What a lab answers to these octets, up to its end or the next pause.
async fn answer_to(url: &str, octets: &[u8]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    // It may be refused and closed before all is written.
    let _ = stream.write_all(octets).await;
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut answer));
    let read = read.await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// A browser sends whatever a page wants to loopback addresses as well.
#[tokio::test]
async fn a_web_page_does_not_get_at_the_lab() {
    let rig = Rig::start().await;
    let own = rig.url.strip_prefix("http://").unwrap();
    let post = |host: &str, more: &str| {
        let body = r#"["drop"]"#;
        format!(
            "POST /lab/faults HTTP/1.1\r\nhost: {host}\r\n{more}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for (host, more, status) in [
        (own, "", 200),
        (own, &*format!("origin: http://{own}\r\n"), 200),
        ("evil.example", "", 403),
        ("127.0.0.1.evil.example", "", 403),
        (own, "origin: https://evil.example\r\n", 403),
        (own, "sec-fetch-site: cross-site\r\n", 403),
    ] {
        let answer = answer_to(&rig.url, post(host, more).as_bytes()).await;
        let wanted = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&wanted), "{host} {more}: {answer}");
    }
    assert_eq!(rig.lab.clear_faults(), (2, 0), "two were heard");
}

/// Strangers who say nothing, half of something or too much cost a bounded
/// number of sockets, and nobody waits for them.
#[tokio::test]
async fn strangers_hold_nobody_up() {
    use tokio::io::AsyncWriteExt as _;

    let rig = Rig::start().await;
    let address = rig.url.strip_prefix("http://").unwrap();
    let mut strangers = Vec::new();
    for number in 0..600 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            let _ = stream
                .write_all(b"POST /sessions HTTP/1.1\r\nhost: 127.0.0.1\r\n")
                .await;
        }
        strangers.push(stream);
    }
    rig.session().await.unwrap();
    drop(strangers);

    let long = format!("host: 127.0.0.1\r\nx: {}\r\n", "x".repeat(64 * 1024));
    let answer = answer_to(
        &rig.url,
        format!("GET /crls HTTP/1.1\r\n{long}\r\n").as_bytes(),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let much = "POST /sessions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 600000\r\n\r\n";
    let much = [much.as_bytes(), &[b' '; 600_000]].concat();
    let answer = answer_to(&rig.url, &much).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // A body that does not come ends its request, too.
    let half = "POST /sessions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 10\r\n\r\nx";
    let answer = answer_to(&rig.url, half.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Nothing of a stranger's is kept beyond a bound.
    for _ in 0..150 {
        let unsigned = b"GET /crls HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        assert!(
            answer_to(&rig.url, unsigned)
                .await
                .starts_with("HTTP/1.1 403 ")
        );
    }
    let calls = rig.lab.calls();
    assert_eq!(
        calls.len(),
        101,
        "the session, and the last hundred of the strangers'"
    );
    assert_eq!(calls[0].status, 201);
}
