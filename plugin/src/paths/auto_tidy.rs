//! `config/auto-tidy`: what the engine tidies by itself, and when.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_sdk::logical::{
    Cx, Error, NoFields, Response, Ttl, format_nanos, parse_duration_nanos,
};

use crate::entry;
use crate::entry::jobs::AutoTidyConfig;
use crate::mount::Shared;
use crate::paths::answer::object;
use crate::paths::tidy::SET_ONE;
use crate::tidy;

/// What a run does; the settings of periodic runs have the same.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct TidyFields {
    /// How old an ACME account without orders must be, and how long a revoked one stays.
    #[schemars(extend("default" = 2_592_000))]
    pub(crate) acme_account_safety_buffer: Option<Ttl>,
    /// How long after its end an issuer stays.
    #[schemars(extend("default" = 31_536_000))]
    pub(crate) issuer_safety_buffer: Option<Ttl>,
    /// Certificates listed at a time, 5 or more.
    #[schemars(extend("default" = 1000))]
    pub(crate) page_size: Option<i64>,
    /// A wait between two certificates.
    #[schemars(extend("default" = "0s"))]
    pub(crate) pause_duration: Option<String>,
    /// How long after its end a revocation stays; that of certificates unless it is set.
    pub(crate) revoked_safety_buffer: Option<Ttl>,
    /// How long after its end a certificate stays.
    #[schemars(extend("default" = 259_200))]
    pub(crate) safety_buffer: Option<Ttl>,
    /// Tidy ACME accounts, orders and authorizations.
    #[schemars(extend("default" = false))]
    pub(crate) tidy_acme: Option<bool>,
    /// Tidy expired certificates.
    pub(crate) tidy_cert_store: Option<bool>,
    /// Tidy expired issuers, but for the default. Their keys stay.
    pub(crate) tidy_expired_issuers: Option<bool>,
    /// Tidy stored entries that are no certificates.
    pub(crate) tidy_invalid_certs: Option<bool>,
    /// Move the bundle of old servers out of the way.
    pub(crate) tidy_move_legacy_ca_bundle: Option<bool>,
    /// Find out which issuer each revocation belongs to.
    pub(crate) tidy_revoked_cert_issuer_associations: Option<bool>,
    /// Tidy revocations of expired certificates.
    pub(crate) tidy_revoked_certs: Option<bool>,
}

/// Settings of periodic tidying; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AutoTidyRequest {
    /// Whether the engine tidies by itself.
    enabled: Option<bool>,
    /// From the end of one run to the start of the next; zero for none.
    #[schemars(extend("default" = 43_200))]
    interval_duration: Option<Ttl>,
    /// Whether `tidy-status` tells how many certificates are stored.
    #[schemars(extend("default" = false))]
    maintain_stored_certificate_counts: Option<bool>,
    /// Whether the count of stored certificates is a metric. Needs `maintain_stored_certificate_counts`.
    #[schemars(extend("default" = false))]
    publish_stored_certificate_count_metrics: Option<bool>,
    /// Taken for compatibility and not used.
    #[expect(dead_code, reason = "clients of old send it")]
    tidy_revocation_list: Option<bool>,
}

/// `GET config/auto-tidy`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    show(&*tidy::config(&mount).await?)
}

/// `POST config/auto-tidy`.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    (request, fields): (AutoTidyRequest, TidyFields),
) -> Result<Response, Error> {
    let mut config = AutoTidyConfig::clone(&*tidy::config(&mount).await?);
    apply(request, fields, &mut config)?;
    mount
        .put(AutoTidyConfig::KEY, entry::encode(&config))
        .await?;
    show(&config)
}

fn apply(
    request: AutoTidyRequest,
    fields: TidyFields,
    config: &mut AutoTidyConfig,
) -> Result<(), Error> {
    for (field, sent) in [
        (&mut config.enabled, request.enabled),
        (&mut config.tidy_cert_store, fields.tidy_cert_store),
        (&mut config.tidy_revoked_certs, fields.tidy_revoked_certs),
        (&mut config.tidy_invalid_certs, fields.tidy_invalid_certs),
        (
            &mut config.tidy_revoked_cert_issuer_associations,
            fields.tidy_revoked_cert_issuer_associations,
        ),
        (
            &mut config.tidy_expired_issuers,
            fields.tidy_expired_issuers,
        ),
        (
            &mut config.tidy_move_legacy_ca_bundle,
            fields.tidy_move_legacy_ca_bundle,
        ),
        (&mut config.tidy_acme, fields.tidy_acme),
        (
            &mut config.maintain_stored_certificate_counts,
            request.maintain_stored_certificate_counts,
        ),
        (
            &mut config.publish_stored_certificate_count_metrics,
            request.publish_stored_certificate_count_metrics,
        ),
    ] {
        if let Some(sent) = sent {
            *field = sent;
        }
    }
    if let Some(interval) = request.interval_duration {
        config.interval_duration = nanos(interval);
    }
    if let Some(buffer) = fields.safety_buffer {
        config.safety_buffer = at_least_a_second("given safety_buffer", buffer)?;
    }
    if let Some(buffer) = fields.revoked_safety_buffer {
        config.revoked_safety_buffer = Some(at_least_a_second("revoked_safety_buffer", buffer)?);
    }
    if let Some(buffer) = fields.issuer_safety_buffer {
        // The name in the text is the built-in engine's.
        config.issuer_safety_buffer = at_least_a_second("given safety_buffer", buffer)?;
    }
    if let Some(buffer) = fields.acme_account_safety_buffer {
        config.acme_account_safety_buffer =
            at_least_a_second("given acme_account_safety_buffer", buffer)?;
    }
    if let Some(pause) = fields.pause_duration {
        config.pause_duration = pause_of(&pause, "unable to parse given pause_duration")?;
    }
    if let Some(size) = fields.page_size {
        if size < 5 {
            return Err(Error::bad_request("page_size must be at least 5"));
        }
        config.page_size = size;
    }
    if config.enabled && !config.does_something() {
        return Err(Error::bad_request(format!(
            "Auto-tidy enabled but no tidy operations were requested. {SET_ONE}"
        )));
    }
    if config.publish_stored_certificate_count_metrics && !config.maintain_stored_certificate_counts
    {
        return Err(Error::bad_request(
            "Can not publish a running storage metrics count to metrics without first maintaining that count.  Enable \
             `maintain_stored_certificate_counts` to enable `publish_stored_certificate_count_metrics`.",
        ));
    }
    Ok(())
}

fn at_least_a_second(name: &str, time: Ttl) -> Result<i64, Error> {
    if time.as_secs() < 1 {
        return Err(Error::bad_request(format!(
            "{name} must be at least one second; got: 0"
        )));
    }
    Ok(nanos(time))
}

/// A time as the settings store it.
pub(crate) fn nanos(time: Ttl) -> i64 {
    i64::try_from(time.0.as_nanos()).unwrap_or(i64::MAX)
}

/// A pause in nanoseconds; `what` stands before the reason why it cannot be read.
pub(crate) fn pause_of(text: &str, what: &str) -> Result<i64, Error> {
    if text.is_empty() {
        return Ok(0);
    }
    let nanos = parse_duration_nanos(text)
        .map_err(|cause| Error::bad_request(format!("{what}: {cause}")))?;
    if nanos < 0 {
        return Err(Error::bad_request(
            "received invalid, negative pause_duration",
        ));
    }
    Ok(nanos)
}

fn show(config: &AutoTidyConfig) -> Result<Response, Error> {
    let mut shown = plan(config);
    let own = json!({
        "enabled": config.enabled,
        "interval_duration": config.interval_duration / SECOND,
        "maintain_stored_certificate_counts": config.maintain_stored_certificate_counts,
        "publish_stored_certificate_count_metrics": config.publish_stored_certificate_count_metrics,
    });
    shown.extend(object(own));
    Ok(Response::map(shown))
}

/// What a run does, as it is shown in the settings and in the status of a run.
pub(crate) fn plan(config: &AutoTidyConfig) -> Map<String, Value> {
    object(json!({
        "tidy_cert_store": config.tidy_cert_store,
        "tidy_revoked_certs": config.tidy_revoked_certs,
        "tidy_invalid_certs": config.tidy_invalid_certs,
        "tidy_revoked_cert_issuer_associations": config.tidy_revoked_cert_issuer_associations,
        "tidy_expired_issuers": config.tidy_expired_issuers,
        "tidy_move_legacy_ca_bundle": config.tidy_move_legacy_ca_bundle,
        "tidy_acme": config.tidy_acme,
        "safety_buffer": config.safety_buffer / SECOND,
        "revoked_safety_buffer": config.revoked_buffer() / SECOND,
        "issuer_safety_buffer": config.issuer_safety_buffer / SECOND,
        "acme_account_safety_buffer": config.acme_account_safety_buffer / SECOND,
        "pause_duration": format_nanos(config.pause_duration),
        "page_size": config.page_size,
    }))
}

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;
