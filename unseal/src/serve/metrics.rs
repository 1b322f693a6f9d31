//! Figures for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    client: String,
    operation: &'static str,
    status: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientName {
    client: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Certificate {
    client: String,
    identity: String,
}

/// All figures of a server. Labels hold configured names only, so that nobody can make their number grow.
pub(super) struct Metrics {
    registry: Registry,
    calls: Family<Call, Counter>,
    latency: Family<Operation, Histogram, fn() -> Histogram>,
    limited: Family<ClientName, Counter>,
    opened: Family<ClientName, Gauge>,
    client_expiry: Family<Certificate, Gauge>,
    server_expiry: Gauge,
    handshakes: Counter,
    refused: Counter,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("landfast_unseal");
        let latency: Family<Operation, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| {
                Histogram::new([
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                ])
            });
        let metrics = Self {
            calls: Family::default(),
            latency,
            limited: Family::default(),
            opened: Family::default(),
            client_expiry: Family::default(),
            server_expiry: Gauge::default(),
            handshakes: Counter::default(),
            refused: Counter::default(),
            registry: Registry::default(),
        };
        registry.register(
            "requests",
            "Requests by client, operation and HTTP status",
            metrics.calls.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time to answer, calls to the key service included",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests refused because the client asks too often",
            metrics.limited.clone(),
        );
        registry.register_with_unit(
            "last_decrypt_timestamp",
            "Time of the client's last successful decrypt",
            Unit::Seconds,
            metrics.opened.clone(),
        );
        registry.register_with_unit(
            "client_certificate_expiry_timestamp",
            "End of the certificate that the client showed last",
            Unit::Seconds,
            metrics.client_expiry.clone(),
        );
        registry.register_with_unit(
            "server_certificate_expiry_timestamp",
            "End of the server's certificate",
            Unit::Seconds,
            metrics.server_expiry.clone(),
        );
        registry.register(
            "failed_handshakes",
            "TLS handshakes that failed",
            metrics.handshakes.clone(),
        );
        registry.register(
            "refused_connections",
            "Connections that got no place, or lost it to another",
            metrics.refused.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    pub(super) fn call(&self, client: &str, operation: &'static str, status: u16, took: Duration) {
        let call = Call {
            client: client.to_owned(),
            operation,
            status: u32::from(status),
        };
        self.calls.get_or_create(&call).inc();
        self.latency
            .get_or_create(&Operation { operation })
            .observe(took.as_secs_f64());
    }

    pub(super) fn limited(&self, client: &str) {
        self.limited
            .get_or_create(&ClientName {
                client: client.to_owned(),
            })
            .inc();
    }

    pub(super) fn opened(&self, client: &str) {
        let now = jiff::Timestamp::now().as_second();
        self.opened
            .get_or_create(&ClientName {
                client: client.to_owned(),
            })
            .set(now);
    }

    pub(super) fn client_certificate(&self, client: &str, identity: &str, expires: i64) {
        let label = Certificate {
            client: client.to_owned(),
            identity: identity.to_owned(),
        };
        self.client_expiry.get_or_create(&label).set(expires);
    }

    pub(super) fn server_certificate(&self, expires: i64) {
        self.server_expiry.set(expires);
    }

    pub(super) fn failed_handshake(&self) {
        self.handshakes.inc();
    }

    pub(super) fn refused_connection(&self) {
        self.refused.inc();
    }

    /// Text in the OpenMetrics format. `lines` are added before its end.
    pub(super) fn text(&self, lines: &str) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            return String::new();
        }
        let body = text.strip_suffix("# EOF\n").unwrap_or(&text);
        format!("{body}{lines}# EOF\n")
    }
}
