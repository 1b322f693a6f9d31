//! What a monitoring system wants to know, in the text format that
//! node_exporter's textfile collector reads.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use crate::enroll::Standing;
use crate::files::{self, FileError};

/// How a node's certificate and its renewals stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The node.
    pub node: String,
    /// From and until when the certificate in place is valid, if there is one.
    pub dates: Option<(Timestamp, Timestamp)>,
    /// When the next attempt is planned.
    pub next: Option<Timestamp>,
    /// When the last renewal succeeded, in this process.
    pub last_success: Option<Timestamp>,
    /// Renewals that succeeded, in this process.
    pub renewed: u64,
    /// Renewals that failed, in this process.
    pub failed: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u32,
}

impl Status {
    /// Takes the dates of the certificate in place.
    pub fn look_at(&mut self, standing: &Standing) {
        self.dates = match standing {
            Standing::Good(leaf) | Standing::Due(leaf) => {
                Some((leaf.not_before(), leaf.not_after()))
            }
            Standing::Unusable(_) => None,
        };
    }

    /// The text. Metrics without a value are left out.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, value: Option<String>| {
            let Some(value) = value else { return };
            // A node name has no character that would need an escape.
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{node=\"{}\"}} {value}",
                self.node
            );
        };
        let seconds = |at: Option<Timestamp>| at.map(|at| at.as_second().to_string());
        let number = |number: u64| Some(number.to_string());
        metric(
            "landfast_certificate_usable",
            "gauge",
            "Whether a usable certificate is in place.",
            number(u64::from(self.dates.is_some())),
        );
        metric(
            "landfast_certificate_not_before_timestamp_seconds",
            "gauge",
            "When the certificate in place becomes valid.",
            seconds(self.dates.map(|dates| dates.0)),
        );
        metric(
            "landfast_certificate_not_after_timestamp_seconds",
            "gauge",
            "When the certificate in place ends.",
            seconds(self.dates.map(|dates| dates.1)),
        );
        metric(
            "landfast_renewal_next_timestamp_seconds",
            "gauge",
            "When the next renewal is tried.",
            seconds(self.next),
        );
        metric(
            "landfast_renewal_last_success_timestamp_seconds",
            "gauge",
            "When the last renewal succeeded.",
            seconds(self.last_success),
        );
        metric(
            "landfast_renewals_total",
            "counter",
            "Renewals that succeeded.",
            number(self.renewed),
        );
        metric(
            "landfast_renewal_failures_total",
            "counter",
            "Renewals that failed.",
            number(self.failed),
        );
        metric(
            "landfast_renewal_failures_in_a_row",
            "gauge",
            "Failures since the last success.",
            number(self.failures_in_a_row.into()),
        );
        out
    }

    /// Writes the text so that a reader sees all of it or none.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        files::write_atomic(path, self.render().as_bytes(), 0o644)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_help_type_and_value() {
        let mut status = Status {
            node: "node-1".into(),
            dates: Some((Timestamp::UNIX_EPOCH, Timestamp::from_second(90).unwrap())),
            failed: 3,
            ..Status::default()
        };
        let text = status.render();
        let line = "landfast_certificate_not_after_timestamp_seconds{node=\"node-1\"} 90\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("landfast_renewal_failures_total{node=\"node-1\"} 3\n"));
        assert!(!text.contains("last_success"), "no value, no metric");
        let count = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).count();
        assert_eq!(count("# HELP"), count("landfast_"));
        assert_eq!(count("# TYPE"), count("landfast_"));
        status.dates = None;
        assert!(status.render().contains("usable{node=\"node-1\"} 0\n"));
    }
}
