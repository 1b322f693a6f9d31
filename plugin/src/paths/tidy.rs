//! `config/auto-tidy` and `tidy-status`: nothing is tidied here yet, and the settings of the built-in engine are kept.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_sdk::logical::{
    Cx, Error, NoFields, Response, Ttl, format_nanos, parse_duration_nanos,
};

use crate::entry;
use crate::entry::jobs::AutoTidyConfig;
use crate::mount::{Shared, finish};

/// Settings of periodic tidying, which is off; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AutoTidyRequest {
    /// How old an ACME account without orders must be, and how long a revoked one stays.
    #[schemars(extend("default" = 2_592_000))]
    acme_account_safety_buffer: Option<Ttl>,
    /// Must be false: this engine does not tidy yet.
    enabled: Option<bool>,
    /// From the end of one run to the start of the next.
    #[schemars(extend("default" = 43_200))]
    interval_duration: Option<Ttl>,
    /// How long after its end an issuer stays.
    #[schemars(extend("default" = 31_536_000))]
    issuer_safety_buffer: Option<Ttl>,
    /// Whether stored certificates are counted.
    #[schemars(extend("default" = false))]
    maintain_stored_certificate_counts: Option<bool>,
    /// Certificates read at a time, 5 or more.
    #[schemars(extend("default" = 1000))]
    page_size: Option<i64>,
    /// A wait between two certificates.
    #[schemars(extend("default" = "0s"))]
    pause_duration: Option<String>,
    /// Whether the count of stored certificates is a metric. Needs `maintain_stored_certificate_counts`.
    #[schemars(extend("default" = false))]
    publish_stored_certificate_count_metrics: Option<bool>,
    /// How long after its end a revocation stays; that of certificates unless it is set.
    revoked_safety_buffer: Option<Ttl>,
    /// How long after its end a certificate stays.
    #[schemars(extend("default" = 259_200))]
    safety_buffer: Option<Ttl>,
    /// Tidy ACME accounts, orders and authorizations.
    #[schemars(extend("default" = false))]
    tidy_acme: Option<bool>,
    /// Tidy expired certificates.
    tidy_cert_store: Option<bool>,
    /// Tidy expired issuers.
    tidy_expired_issuers: Option<bool>,
    /// Tidy stored entries that are no certificates.
    tidy_invalid_certs: Option<bool>,
    /// Move the bundle of old servers out of the way.
    tidy_move_legacy_ca_bundle: Option<bool>,
    /// Taken for compatibility and not used.
    #[expect(dead_code, reason = "clients of old send it")]
    tidy_revocation_list: Option<bool>,
    /// Find out which issuer each revocation belongs to.
    tidy_revoked_cert_issuer_associations: Option<bool>,
    /// Tidy revocations of expired certificates.
    tidy_revoked_certs: Option<bool>,
}

/// `GET config/auto-tidy`.
pub(crate) async fn read_config(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let config = mount
        .load_or_default::<AutoTidyConfig>(AutoTidyConfig::KEY)
        .await?;
    show(&config)
}

/// `POST config/auto-tidy`: keeps the settings for the day when this engine tidies, or for the way back.
pub(crate) async fn write_config(
    mount: Shared,
    _cx: Cx,
    request: AutoTidyRequest,
) -> Result<Response, Error> {
    finish(async move {
        let before = mount
            .load_or_default::<AutoTidyConfig>(AutoTidyConfig::KEY)
            .await?;
        let mut config = AutoTidyConfig::clone(&before);
        request.apply(&mut config)?;
        mount
            .put(AutoTidyConfig::KEY, entry::encode(&config))
            .await?;
        show(&config)
    })
    .await
}

/// `GET tidy-status`: no run yet.
pub(crate) async fn status(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let mut status: Map<_, _> = UNKNOWN_BEFORE_A_RUN
        .iter()
        .map(|&name| (name.to_owned(), Value::Null))
        .collect();
    status.insert("state".to_owned(), "Inactive".into());
    status.insert("internal_backend_uuid".to_owned(), mount.uuid().into());
    Ok(Response::map(status))
}

impl AutoTidyRequest {
    fn apply(self, config: &mut AutoTidyConfig) -> Result<(), Error> {
        if self.enabled == Some(true) {
            return Err(Error::bad_request(format!(
                "enabled must be false: {NOT_YET}"
            )));
        }
        for (field, sent) in [
            (&mut config.enabled, self.enabled),
            (&mut config.tidy_cert_store, self.tidy_cert_store),
            (&mut config.tidy_revoked_certs, self.tidy_revoked_certs),
            (&mut config.tidy_invalid_certs, self.tidy_invalid_certs),
            (
                &mut config.tidy_revoked_cert_issuer_associations,
                self.tidy_revoked_cert_issuer_associations,
            ),
            (&mut config.tidy_expired_issuers, self.tidy_expired_issuers),
            (
                &mut config.tidy_move_legacy_ca_bundle,
                self.tidy_move_legacy_ca_bundle,
            ),
            (&mut config.tidy_acme, self.tidy_acme),
            (
                &mut config.maintain_stored_certificate_counts,
                self.maintain_stored_certificate_counts,
            ),
            (
                &mut config.publish_stored_certificate_count_metrics,
                self.publish_stored_certificate_count_metrics,
            ),
        ] {
            if let Some(sent) = sent {
                *field = sent;
            }
        }
        if let Some(interval) = self.interval_duration {
            config.interval_duration = nanos(interval);
        }
        if let Some(buffer) = self.safety_buffer {
            config.safety_buffer = at_least_a_second("given safety_buffer", buffer)?;
        }
        if let Some(buffer) = self.revoked_safety_buffer {
            config.revoked_safety_buffer =
                Some(at_least_a_second("revoked_safety_buffer", buffer)?);
        }
        if let Some(buffer) = self.issuer_safety_buffer {
            // The name in the text is the built-in engine's.
            config.issuer_safety_buffer = at_least_a_second("given safety_buffer", buffer)?;
        }
        if let Some(buffer) = self.acme_account_safety_buffer {
            config.acme_account_safety_buffer =
                at_least_a_second("given acme_account_safety_buffer", buffer)?;
        }
        if let Some(pause) = self.pause_duration {
            config.pause_duration = pause_of(&pause)?;
        }
        if let Some(size) = self.page_size {
            if size < 5 {
                return Err(Error::bad_request("page_size must be at least 5"));
            }
            config.page_size = size;
        }
        if config.publish_stored_certificate_count_metrics
            && !config.maintain_stored_certificate_counts
        {
            return Err(Error::bad_request(
                "Can not publish a running storage metrics count to metrics without first maintaining that count.  Enable \
                 `maintain_stored_certificate_counts` to enable `publish_stored_certificate_count_metrics`.",
            ));
        }
        Ok(())
    }
}

/// Why tidying is refused, and what to do.
pub(crate) const NOT_YET: &str = "this engine does not tidy yet. Keep the store small by roles with no_store=true or short lives; to tidy what is there, \
     give the mount back to the built-in engine for the time of a run";

fn at_least_a_second(name: &str, time: Ttl) -> Result<i64, Error> {
    if time.as_secs() < 1 {
        return Err(Error::bad_request(format!(
            "{name} must be at least one second; got: 0"
        )));
    }
    Ok(nanos(time))
}

fn nanos(time: Ttl) -> i64 {
    i64::try_from(time.0.as_nanos()).unwrap_or(i64::MAX)
}

fn pause_of(text: &str) -> Result<i64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    let nanos = parse_duration_nanos(text).map_err(|cause| {
        Error::bad_request(format!("unable to parse given pause_duration: {cause}"))
    })?;
    if nanos < 0 {
        return Err(Error::bad_request(
            "received invalid, negative pause_duration",
        ));
    }
    Ok(nanos)
}

fn show(config: &AutoTidyConfig) -> Result<Response, Error> {
    const SECOND: i64 = 1_000_000_000;
    let revoked = config.revoked_safety_buffer.unwrap_or(config.safety_buffer);
    let shown = Response::data(&json!({
        // Whatever is stored: nothing is tidied here.
        "enabled": false,
        "interval_duration": config.interval_duration / SECOND,
        "tidy_cert_store": config.tidy_cert_store,
        "tidy_revoked_certs": config.tidy_revoked_certs,
        "tidy_invalid_certs": config.tidy_invalid_certs,
        "tidy_revoked_cert_issuer_associations": config.tidy_revoked_cert_issuer_associations,
        "tidy_expired_issuers": config.tidy_expired_issuers,
        "tidy_move_legacy_ca_bundle": config.tidy_move_legacy_ca_bundle,
        "tidy_acme": config.tidy_acme,
        "safety_buffer": config.safety_buffer / SECOND,
        "revoked_safety_buffer": revoked / SECOND,
        "issuer_safety_buffer": config.issuer_safety_buffer / SECOND,
        "acme_account_safety_buffer": config.acme_account_safety_buffer / SECOND,
        "pause_duration": format_nanos(config.pause_duration),
        "page_size": config.page_size,
        "maintain_stored_certificate_counts": config.maintain_stored_certificate_counts,
        "publish_stored_certificate_count_metrics": config.publish_stored_certificate_count_metrics,
    }))?;
    if config.enabled {
        return Ok(shown.warn(format!(
            "automatic tidying is switched on in what the built-in engine stored, and off here: {NOT_YET}; write enabled=false to switch it off for good"
        )));
    }
    Ok(shown)
}

const UNKNOWN_BEFORE_A_RUN: [&str; 26] = [
    "acme_account_deleted_count",
    "acme_account_revoked_count",
    "acme_account_safety_buffer",
    "acme_orders_deleted_count",
    "cert_store_deleted_count",
    "current_cert_store_count",
    "current_revoked_cert_count",
    "error",
    "issuer_safety_buffer",
    "message",
    "missing_issuer_cert_count",
    "page_size",
    "pause_duration",
    "revoked_cert_deleted_count",
    "revoked_safety_buffer",
    "safety_buffer",
    "tidy_acme",
    "tidy_cert_store",
    "tidy_expired_issuers",
    "tidy_invalid_certs",
    "tidy_move_legacy_ca_bundle",
    "tidy_revoked_cert_issuer_associations",
    "tidy_revoked_certs",
    "time_finished",
    "time_started",
    "total_acme_account_count",
];
