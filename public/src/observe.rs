//! The port of metrics and health.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;
use landfast_listen::{Limits, plain};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::shared::Shared;
use crate::site::Status;

/// Connections to this port.
const OBSERVERS: usize = 16;

pub(crate) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) {
    let limits = Limits {
        connections: OBSERVERS,
        per_address: OBSERVERS,
        ..Limits::default()
    };
    landfast_listen::serve(listener, &limits, plain, stopped, move |request| {
        let shared = shared.clone();
        async move { answer(&shared, &request) }
    })
    .await;
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let now = Timestamp::now().as_second();
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let statuses = shared.current.load().routes.statuses(now);
            text(200, kind, shared.metrics.text(&lines(&statuses)))
        }
        (&Method::GET, "/health") => {
            let statuses = shared.current.load().routes.statuses(now);
            text(200, "application/json", health(&statuses).to_string())
        }
        _ => text(404, "application/json", json!({"errors": []}).to_string()),
    }
}

/// The process serves, so the status is 200: what is kept is given out, whatever the secrets server does. What that does stands in the body.
fn health(statuses: &[Status]) -> Value {
    let time = |seconds: i64| {
        Timestamp::from_second(seconds)
            .ok()
            .map(|time| time.to_string())
    };
    let mounts = statuses.iter().map(|status| {
        let told = json!({
            "server": if status.trouble.is_none() { "answers" } else { "cannot be asked" },
            "error": status.trouble.as_ref().map(ToString::to_string),
            "crl_valid_until": status.crl_until.and_then(time),
        });
        (name(&status.mount).to_owned(), told)
    });
    json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "mounts": mounts.collect::<serde_json::Map<_, _>>()})
}

fn lines(statuses: &[Status]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, value: &dyn Fn(&Status) -> Option<i64>| {
        let _ = writeln!(
            text,
            "# HELP landfast_public_{name} {help}.\n# TYPE landfast_public_{name} gauge"
        );
        for status in statuses {
            if let Some(value) = value(status) {
                // Prefixes of mounts are letters, digits and a few signs: see `Config::check`.
                let _ = writeln!(
                    text,
                    "landfast_public_{name}{{mount=\"{}\"}} {value}",
                    status.mount
                );
            }
        }
    };
    family(
        "server_up",
        "Whether the last call of the secrets server was answered",
        &|status| Some(i64::from(status.trouble.is_none())),
    );
    family(
        "crl_end_timestamp_seconds",
        "End of the default issuer's complete revocation list that is held",
        &|status| status.crl_until,
    );
    text
}

fn name(mount: &str) -> &str {
    if mount.is_empty() { "/" } else { mount }
}

fn text(status: u16, kind: &str, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("cache-control", "no-store")
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_default()
}
