//! The service over real sockets.

use reqwest::Method;
use serde_json::Value;

use super::*;
use crate::http::Trust;

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

fn now() -> Timestamp {
    "2026-09-01T12:00:00Z".parse().unwrap()
}

fn credentials(expiration: &str) -> Credentials {
    Credentials {
        access_key_id: "ASIAEXAMPLE".into(),
        secret_access_key: Secret::new("secret".into()),
        session_token: Secret::new("token".into()),
        expiration: expiration.parse().unwrap(),
        assumed_role_arn: String::new(),
        clock_behind: None,
    }
}

struct Rig {
    service: Service,
    url: String,
}

impl Rig {
    async fn start(bearer: Option<&str>) -> Self {
        let service = Service::new(Settings {
            role: "hybrid-node".into(),
            role_arn: "arn:aws:iam::111122223333:role/hybrid-node".into(),
            container: bearer.map_or(Gate::Closed, |token| {
                Gate::Token(Secret::new(token.to_owned()))
            }),
            metadata: bearer.is_none(),
            own_host_only: true,
            instance: Instance {
                region: "us-west-2".into(),
                account: "111122223333".into(),
                id: "node-1".into(),
            },
            clock: now,
        })
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = service.clone();
        tokio::spawn(async move {
            let (_stop, stopped) = watch::channel(false);
            served.serve(listener, stopped).await;
        });
        Self { service, url }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
        let client = crate::http::for_sessions(&self.url, Trust::default()).unwrap();
        let mut request = client.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn token(&self) -> String {
        let (status, token) = self
            .ask(Method::PUT, "/latest/api/token", &[(TTL_HEADER, "21600")])
            .await;
        assert_eq!(status, 200);
        token
    }
}

#[tokio::test]
async fn a_metadata_client_gets_credentials_with_a_token_only() {
    let rig = Rig::start(None).await;
    rig.service.set(credentials("2026-09-01T13:00:00Z"));
    let path = format!("{ROLES}hybrid-node");
    assert_eq!(rig.ask(Method::GET, &path, &[]).await.0, 401);
    assert_eq!(
        rig.ask(Method::GET, &path, &[(TOKEN_HEADER, "guess")])
            .await
            .0,
        401
    );
    let token = rig.token().await;
    let shown = [(TOKEN_HEADER, token.as_str())];
    assert_eq!(
        rig.ask(Method::GET, ROLES, &shown).await,
        (200, "hybrid-node".into())
    );
    let (status, body) = rig.ask(Method::GET, &path, &shown).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["Code"], "Success");
    assert_eq!(body["Token"], "token");
    assert_eq!(body["Expiration"], "2026-09-01T13:00:00Z");
    assert_eq!(
        rig.ask(Method::GET, &format!("{ROLES}other"), &shown)
            .await
            .0,
        404
    );
    let forwarded = [shown[0], ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(rig.ask(Method::GET, &path, &forwarded).await.0, 403);
    let rebound = [shown[0], ("host", "attacker.example")];
    assert_eq!(rig.ask(Method::GET, &path, &rebound).await.0, 403);
}

#[tokio::test]
async fn a_tokens_life_is_bounded_and_six_hours_by_itself() {
    let rig = Rig::start(None).await;
    for bad in [
        &[(TTL_HEADER, "21601")][..],
        &[(TTL_HEADER, "0")],
        &[(TTL_HEADER, "x")],
        &[(TTL_HEADER, "")],
    ] {
        let (status, _) = rig.ask(Method::PUT, "/latest/api/token", bad).await;
        assert_eq!(status, 400, "{bad:?}");
    }
    let (status, token) = rig.ask(Method::PUT, "/latest/api/token", &[]).await;
    assert_eq!(status, 200);
    let shown = [(TOKEN_HEADER, token.as_str())];
    assert_eq!(rig.ask(Method::GET, ROLES, &shown).await.0, 200);
    assert_eq!(rig.ask(Method::GET, "/latest/api/token", &[]).await.0, 405);
    for _ in 0..300 {
        rig.token().await;
    }
    assert_eq!(rig.ask(Method::GET, ROLES, &shown).await.0, 200);
}

#[tokio::test]
async fn slashes_count_once_and_none_at_the_end() {
    let rig = Rig::start(None).await;
    rig.service.set(credentials("2026-09-01T13:00:00Z"));
    let (status, token) = rig.ask(Method::PUT, "//latest//api/token/", &[]).await;
    assert_eq!(status, 200);
    let shown = [(TOKEN_HEADER, token.as_str())];
    for (path, body) in [
        (
            "//latest/meta-data/iam/security-credentials/",
            "hybrid-node",
        ),
        ("/latest/meta-data/iam/security-credentials", "hybrid-node"),
        (
            "/latest/meta-data/iam/security-credentials//",
            "hybrid-node",
        ),
        ("///latest/meta-data/placement/region/?x=1", "us-west-2"),
    ] {
        let answer = rig.ask(Method::GET, path, &shown).await;
        assert_eq!(answer, (200, body.to_owned()), "{path}");
    }
    let path = "//latest/meta-data/iam/security-credentials/hybrid-node/";
    assert_eq!(rig.ask(Method::GET, path, &shown).await.0, 200);
    assert_eq!(rig.ask(Method::GET, "//latest/", &shown).await.0, 404);
}

#[tokio::test]
async fn the_machine_says_where_it_is_to_those_who_have_a_token() {
    let rig = Rig::start(None).await;
    let token = rig.token().await;
    let shown = [(TOKEN_HEADER, token.as_str())];
    for (path, body) in [
        ("/latest/meta-data/placement/region", "us-west-2"),
        (
            "/latest/meta-data/placement/availability-zone/",
            "us-west-2a",
        ),
        ("/latest/meta-data/instance-id", "node-1"),
    ] {
        assert_eq!(rig.ask(Method::GET, path, &[]).await.0, 401, "{path}");
        let answer = rig.ask(Method::GET, path, &shown).await;
        assert_eq!(answer, (200, body.to_owned()), "{path}");
    }
    let path = "/latest/dynamic/instance-identity/document";
    assert_eq!(rig.ask(Method::GET, path, &[]).await.0, 401);
    let (status, body) = rig.ask(Method::GET, path, &shown).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["region"], "us-west-2");
    assert_eq!(body["accountId"], "111122223333");
    assert_eq!(body["instanceId"], "node-1");
    let off = Rig::start(Some("let-me-in")).await;
    assert_eq!(off.ask(Method::GET, path, &shown).await.0, 404);
}

#[tokio::test]
async fn who_finds_no_credentials_has_them_asked_for_and_waits_a_little() {
    let rig = Rig::start(Some("let-me-in")).await;
    let shown = [("authorization", "let-me-in")];
    let service = rig.service.clone();
    let keeper = tokio::spawn(async move {
        service.nudge().given().await;
        service.set(credentials("2026-09-01T13:00:00Z"));
    });
    let (status, body) = rig.ask(Method::GET, "/credentials", &shown).await;
    assert_eq!(status, 200, "{body}");
    keeper.await.unwrap();
}

/// Sockets that say nothing, or half of a request, keep nobody out.
#[tokio::test]
async fn the_silent_keep_nobody_out() {
    use tokio::io::AsyncWriteExt as _;

    let rig = Rig::start(None).await;
    let address = rig.url.strip_prefix("http://").unwrap();
    let mut silent = Vec::new();
    for _ in 0..Limits::default().connections + 50 {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket
            .write_all(b"GET /latest HTTP/1.1\r\nHost: lo")
            .await
            .unwrap();
        silent.push(socket);
    }
    let token = rig.token().await;
    let shown = [(TOKEN_HEADER, token.as_str())];
    assert_eq!(rig.ask(Method::GET, ROLES, &shown).await.0, 200);
}

#[tokio::test]
async fn a_container_client_shows_its_bearer_token() {
    let rig = Rig::start(Some("let-me-in")).await;
    rig.service.set(credentials("2026-09-01T13:00:00Z"));
    assert_eq!(rig.ask(Method::GET, "/credentials", &[]).await.0, 401);
    for shown in ["let-me-in", "Bearer let-me-in"] {
        let (status, body) = rig
            .ask(Method::GET, "/credentials", &[("authorization", shown)])
            .await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["SecretAccessKey"], "secret");
        assert_eq!(
            body["RoleArn"],
            "arn:aws:iam::111122223333:role/hybrid-node"
        );
    }
    let wrong = [("authorization", "let-me-on")];
    assert_eq!(rig.ask(Method::GET, "/credentials", &wrong).await.0, 401);
    assert_eq!(
        rig.ask(Method::PUT, "/latest/api/token", &[(TTL_HEADER, "60")])
            .await
            .0,
        404
    );
    let off = Rig::start(None).await;
    assert_eq!(off.ask(Method::GET, "/credentials", &wrong).await.0, 404);
}

#[tokio::test]
async fn ended_credentials_are_an_error_and_never_an_empty_answer() {
    let rig = Rig::start(Some("let-me-in")).await;
    let shown = [("authorization", "let-me-in")];
    assert_eq!(rig.ask(Method::GET, "/credentials", &shown).await.0, 503);
    rig.service.set(credentials("2026-09-01T12:00:00Z"));
    let (status, body) = rig.ask(Method::GET, "/credentials", &shown).await;
    assert_eq!(status, 503);
    assert!(!body.contains("AccessKeyId"));
}

#[test]
fn a_token_file_is_made_once_and_must_be_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let made = bearer(&path).unwrap();
    assert_eq!(made.expose().len(), 64);
    assert_eq!(bearer(&path).unwrap().expose(), made.expose());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(bearer(&path).unwrap_err().to_string().contains("chmod"));
    files::write_atomic(&path, b"short\n", 0o600).unwrap();
    assert!(bearer(&path).is_err());
}
