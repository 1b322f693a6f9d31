//! Figures for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::request::Note;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    mount: String,
    operation: &'static str,
    status: u32,
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

/// All figures of a server. Labels hold configured names and words of our own only, so that nobody can make their number grow.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    latency: Family<Operation, Histogram, fn() -> Histogram>,
    limited: Counter,
    handshakes: Counter,
    refused: Counter,
    lost: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("landfast_public");
        let latency: Family<Operation, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                Histogram::new([0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0])
            });
        let (requests, limited) = (Family::default(), Counter::default());
        let (handshakes, refused, lost) =
            (Counter::default(), Counter::default(), Counter::default());
        registry.register(
            "requests",
            "Requests by mount, operation, HTTP status, and where the answer came from",
            Family::clone(&requests),
        );
        registry.register_with_unit(
            "request_duration",
            "Time to answer, calls to the secrets server included",
            Unit::Seconds,
            latency.clone(),
        );
        for (name, help, counter) in [
            (
                "rate_limited",
                "Requests refused because the client asks too often",
                &limited,
            ),
            (
                "failed_handshakes",
                "Connections that could not be opened",
                &handshakes,
            ),
            (
                "refused_connections",
                "Connections that got no place, or lost it to another",
                &refused,
            ),
            (
                "lost_audit_writes",
                "Times that audit lines could not be written",
                &lost,
            ),
        ] {
            registry.register(name, help, Counter::clone(counter));
        }
        Self {
            registry,
            requests,
            latency,
            limited,
            handshakes,
            refused,
            lost,
        }
    }

    pub(crate) fn request(&self, note: &Note, status: u16, took: Duration) {
        let request = Request {
            mount: note.mount.as_deref().unwrap_or_default().to_owned(),
            operation: note.operation,
            status: u32::from(status),
            source: note.source.unwrap_or_default(),
        };
        self.requests.get_or_create(&request).inc();
        let operation = Operation {
            operation: note.operation,
        };
        self.latency
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
    }

    pub(crate) fn limited(&self) {
        self.limited.inc();
    }

    pub(crate) fn failed_handshake(&self) {
        self.handshakes.inc();
    }

    pub(crate) fn refused_connection(&self) {
        self.refused.inc();
    }

    pub(crate) fn lost_audit(&self) {
        self.lost.inc();
    }

    /// Text in the OpenMetrics format. `lines` are added before its end.
    pub(crate) fn text(&self, lines: &str) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            return String::new();
        }
        let body = text.strip_suffix("# EOF\n").unwrap_or(&text);
        format!("{body}{lines}# EOF\n")
    }
}
