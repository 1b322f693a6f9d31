//! The figures of a mount as Prometheus reads them: OpenMetrics text, version 1.0.
//!
//! What is counted is counted by this process and begins at zero with it. The rest is what the mount holds in memory or the cache has; storage is read
//! for a CRL that nothing is known of yet, once. Labels are words of ours and ids of issuers and keys, so that their number is that of issuers and keys.

use std::fmt;

use jiff::Timestamp;
use landfast_sdk::logical::Error;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::crl::Kind;
use crate::fault::internal;
use crate::metrics::{Counts, Label, PoolSize};
use crate::mount::Mount;
use crate::{crl, issuers, keys, tidy};

/// What stands before every name.
const PREFIX: &str = "landfast_pki";

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All figures of the mount as text.
///
/// # Errors
/// When storage fails.
pub(crate) async fn text(mount: &Mount) -> Result<String, Error> {
    let mut page = Page::default();
    counters(mount, &mut page);
    pool(mount, &mut page);
    signatures(mount, &mut page).await?;
    issuer_ends(mount, &mut page).await?;
    crls(mount, &mut page).await?;
    tidying(mount, &mut page).await?;
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(page));
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|cause| internal("the metrics could not be written", cause))?;
    Ok(text)
}

/// What is only ever counted.
fn counters(mount: &Mount, page: &mut Page) {
    let metrics = &mount.metrics;
    page.counts(
        "certificates_issued",
        "Certificates issued, by path",
        "path",
        &metrics.issued,
    );
    page.counts(
        "requests_refused",
        "Requests for certificates that the rules turned down, by kind of rule",
        "rule",
        &metrics.refused,
    );
    page.counts(
        "certificates_revoked",
        "Certificates and issuers put on record as revoked, by path",
        "path",
        &metrics.revoked,
    );
    page.counts(
        "acme_validations",
        "Attempts to validate a name for ACME; failed ones are made again, invalid ones are not",
        "outcome",
        &metrics.validated,
    );
    page.counts(
        "ocsp_answers",
        "Answers to OCSP clients; kept is one that was signed before",
        "answer",
        &metrics.ocsp,
    );
    page.counts(
        "tidy_runs",
        "Runs of tidying that ended, by how",
        "outcome",
        &metrics.tidied,
    );
    page.counts(
        "tidy_deleted",
        "Entries of storage that tidying deleted, by kind",
        "kind",
        &metrics.deleted,
    );
}

fn pool(mount: &Mount, page: &mut Page) {
    let metrics = &mount.metrics;
    let ready = page.family(
        "key_pool_ready",
        "RSA keys made ahead that are ready, by bits",
        None,
        MetricType::Gauge,
    );
    for size in PoolSize::ALL {
        let value = Value::Whole(mount.pool.ready(size.bits()) as u64);
        ready.add([("bits", size.name().to_owned())], value);
    }
    page.counts(
        "key_pool_taken",
        "RSA keys made ahead that were handed out, by bits",
        "bits",
        &metrics.pool_taken,
    );
    page.counts(
        "key_pool_misses",
        "Requests for an RSA key that found none made ahead, by bits",
        "bits",
        &metrics.pool_missed,
    );
}

async fn signatures(mount: &Mount, page: &mut Page) -> Result<(), Error> {
    let keys = keys::all(mount).await?;
    mount
        .metrics
        .signatures
        .keep_only(|id| keys.find(id).is_some());
    let family = page.family(
        "signatures",
        "Signatures made, by key and where the key is",
        None,
        MetricType::Counter,
    );
    for key in keys.iter() {
        let place = if key.kms.is_some() { "kms" } else { "local" };
        let total = mount.metrics.signatures.of(&key.id).total();
        family.add(
            [("key", key.id.clone()), ("kind", place.to_owned())],
            Value::Whole(total),
        );
    }
    Ok(())
}

async fn issuer_ends(mount: &Mount, page: &mut Page) -> Result<(), Error> {
    let family = page.family(
        "issuer_not_after_timestamp",
        "End of the issuer's certificate",
        Some(Unit::Seconds),
        MetricType::Gauge,
    );
    for issuer in issuers::all(mount).await?.iter() {
        let end = issuer.certificate.not_after();
        family.add([("issuer", issuer.id().to_owned())], Value::time(end));
    }
    Ok(())
}

async fn crls(mount: &Mount, page: &mut Page) -> Result<(), Error> {
    let mut made = Family::of_crls(
        "crl_this_update_timestamp",
        "When the CRL was made",
        Some(Unit::Seconds),
    );
    let mut ends = Family::of_crls(
        "crl_next_update_timestamp",
        "When the CRL runs out",
        Some(Unit::Seconds),
    );
    let mut sizes = Family::of_crls("crl_size", "Size of the CRL as DER", Some(Unit::Bytes));
    let mut entries = Family::of_crls("crl_entries", "Certificates that the CRL lists", None);
    let mut took = Family::of_crls(
        "crl_build_duration",
        "Time to encode and sign the CRL, where this process did it",
        Some(Unit::Seconds),
    );
    for (issuer, id) in crl::ids(mount).await? {
        for (kind, word) in [(Kind::Complete, "complete"), (Kind::Delta, "delta")] {
            let Some(figures) = crl::figures(mount, &id, kind).await? else {
                continue;
            };
            let labels = || [("issuer", issuer.clone()), ("kind", word.to_owned())];
            made.add(labels(), Value::time(figures.this_update));
            if let Some(end) = figures.next_update {
                ends.add(labels(), Value::time(end));
            }
            sizes.add(labels(), Value::Whole(figures.size as u64));
            entries.add(labels(), Value::Whole(figures.entries as u64));
            if let Some(time) = figures.took {
                took.add(labels(), Value::Fraction(time.as_secs_f64()));
            }
        }
    }
    page.families.extend([made, ends, sizes, entries, took]);
    Ok(())
}

async fn tidying(mount: &Mount, page: &mut Page) -> Result<(), Error> {
    let (running, finished) = tidy::last(mount).await?;
    page.family(
        "tidy_running",
        "Whether a run of tidying is under way in this process",
        None,
        MetricType::Gauge,
    )
    .add([], Value::Whole(running.into()));
    if let Some(finished) = finished {
        page.family(
            "tidy_last_finish_timestamp",
            "When a run of tidying last ended",
            Some(Unit::Seconds),
            MetricType::Gauge,
        )
        .add([], Value::time(finished));
    }
    Ok(())
}

/// Families in their order.
#[derive(Debug, Default)]
struct Page {
    families: Vec<Family>,
}

/// The samples of one name.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: MetricType,
    samples: Vec<(Labels, Value)>,
}

type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Copy, Debug)]
enum Value {
    Whole(u64),
    /// Seconds since 1970, which may lie before it.
    Time(i64),
    Fraction(f64),
}

impl Value {
    fn time(at: Timestamp) -> Self {
        Self::Time(at.as_second())
    }
}

impl Page {
    fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        unit: Option<Unit>,
        kind: MetricType,
    ) -> &mut Family {
        self.families.push(Family {
            name,
            help,
            unit,
            kind,
            samples: Vec::new(),
        });
        self.families.last_mut().expect("it was pushed just now")
    }

    /// A counter for each value of a label.
    fn counts<L: Label>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: &Counts<L>,
    ) {
        let family = self.family(name, help, None, MetricType::Counter);
        for (value, count) in counts.each() {
            family.add([(label, value.to_owned())], Value::Whole(count));
        }
    }
}

impl Family {
    fn of_crls(name: &'static str, help: &'static str, unit: Option<Unit>) -> Self {
        Self {
            name,
            help,
            unit,
            kind: MetricType::Gauge,
            samples: Vec::new(),
        }
    }

    fn add<const N: usize>(&mut self, labels: [(&'static str, String); N], value: Value) {
        self.samples.push((labels.into(), value));
    }

    fn sample(&self, value: Value, encoder: MetricEncoder<'_>) -> fmt::Result {
        let counts = matches!(self.kind, MetricType::Counter);
        match value {
            Value::Whole(value) if counts => ConstCounter::new(value).encode(encoder),
            Value::Whole(value) => ConstGauge::new(value).encode(encoder),
            Value::Time(value) => ConstGauge::new(value).encode(encoder),
            Value::Fraction(value) => ConstGauge::new(value).encode(encoder),
        }
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A name without a sample says nothing.
        for family in self.families.iter().filter(|one| !one.samples.is_empty()) {
            let unit = family.unit.as_ref();
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, unit, family.kind)?;
            for (labels, value) in &family.samples {
                if labels.is_empty() {
                    // The one sample of its name.
                    family.sample(*value, metric)?;
                    break;
                }
                family.sample(*value, metric.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}
