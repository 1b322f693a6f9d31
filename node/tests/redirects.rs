//! Where a token goes when the server sends its clients somewhere else.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use landfast_base::Secret;
use landfast_lab::tls::Tls;
use landfast_listen::{Limits, plain, serve};
use landfast_node::vault::{Config, Vault, VaultError};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt as _;

/// What a server was sent: path and token of each request.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

#[derive(Clone)]
struct Server {
    seen: Seen,
    /// Where to, if it is a standby.
    to: Option<String>,
}

async fn answer(State(server): State<Server>, request: Request) -> Response {
    let token = request.headers().get("x-vault-token");
    let token = token.and_then(|token| Some(token.to_str().ok()?.to_owned()));
    let path = request.uri().path().to_owned();
    server.seen.lock().unwrap().push((path.clone(), token));
    match server.to {
        Some(to) => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, format!("{to}{path}"))],
        )
            .into_response(),
        None => axum::Json(json!({"data": {"ok": true}})).into_response(),
    }
}

/// A server; with a folder it speaks TLS, and its CA is written there.
async fn start(to: Option<&str>, ca: Option<PathBuf>) -> (String, Seen) {
    let seen = Seen::default();
    let server = Server {
        seen: seen.clone(),
        to: to.map(str::to_owned),
    };
    let router = Router::new().fallback(answer).with_state(server);
    let handle = move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let answer = router.oneshot(request).await;
            answer.unwrap_or_else(|never| match never {})
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits::default();
    let (stop, stopped) = watch::channel(false);
    // It serves as long as the test.
    std::mem::forget(stop);
    match ca {
        Some(path) => {
            let tls = Tls::generate().unwrap();
            std::fs::write(path, tls.authority()).unwrap();
            tokio::spawn(async move {
                serve(
                    listener,
                    &limits,
                    move |stream| tls.open(stream),
                    stopped,
                    handle,
                )
                .await;
            });
            (format!("https://{address}"), seen)
        }
        None => {
            tokio::spawn(async move { serve(listener, &limits, plain, stopped, handle).await });
            (format!("http://{address}"), seen)
        }
    }
}

fn client(address: &str, authorities: &[PathBuf]) -> Vault {
    let config = Config {
        address: address.to_owned(),
        namespace: None,
        authorities: authorities.to_vec(),
        client: None,
        skip_verify: false,
        address_is_usual: false,
        plain_http: false,
    };
    Vault::new(config, Some(Secret::new("s.token".to_owned()))).unwrap()
}

/// A write, as a login is one, and a read.
async fn ask(vault: &Vault) -> [Result<(), VaultError>; 2] {
    let body = json!({"role_id": "r", "secret_id": "s"});
    let written = vault.write("auth/approle/login", &body).await;
    [written.map(drop), vault.read("pki/ca", &[]).await.map(drop)]
}

#[tokio::test]
async fn no_redirect_leads_from_https_to_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let (plain, reached) = start(None, None).await;
    let (https, asked) = start(Some(&plain), Some(ca.clone())).await;
    for outcome in ask(&client(&https, &[ca])).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, VaultError::Redirect { .. }), "{error}");
        assert!(!error.is_temporary());
        let told = error.to_string();
        assert!(told.contains("from HTTPS to http://127.0.0.1"), "{told}");
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert!(reached.lock().unwrap().is_empty(), "the token went on");
}

#[tokio::test]
async fn plain_http_leads_to_no_other_machine() {
    let (here, _) = start(Some("http://192.0.2.1:8200"), None).await;
    for outcome in ask(&client(&here, &[])).await {
        let told = outcome.unwrap_err().to_string();
        assert!(told.contains("plain HTTP on another machine"), "{told}");
    }
}

#[tokio::test]
async fn a_standby_is_followed_once() {
    let folder = tempfile::tempdir().unwrap();
    let cas = ["active.pem", "standby.pem"].map(|name| folder.path().join(name));
    let (active, reached) = start(None, Some(cas[0].clone())).await;
    let (standby, _) = start(Some(&active), Some(cas[1].clone())).await;
    for outcome in ask(&client(&standby, &cas)).await {
        outcome.unwrap();
    }
    let token = Some("s.token".to_owned());
    let wanted =
        ["/v1/auth/approle/login", "/v1/pki/ca"].map(|path| (path.to_owned(), token.clone()));
    assert_eq!(*reached.lock().unwrap(), wanted);

    let (second, _) = start(Some(&standby), None).await;
    for outcome in ask(&client(&second, &cas)).await {
        let told = outcome.unwrap_err().to_string();
        assert!(told.contains("a second time"), "{told}");
    }
}
