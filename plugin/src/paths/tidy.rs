//! `tidy`, `tidy-cancel` and `tidy-status`.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_sdk::logical::{Cx, Error, NoFields, Response, Ttl};

use crate::entry::jobs::AutoTidyConfig;
use crate::entry::tidy::Stage;
use crate::entry::time::StoredTime;
use crate::mount::{Mount, Shared};
use crate::paths::answer::object;
use crate::paths::auto_tidy::{self, TidyFields, nanos, pause_of};
use crate::tidy::{self, Phase, Progress, Report};

/// What is in a request to tidy besides the fields that the settings have too.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct OldNames {
    /// The old name of `tidy_revoked_certs`.
    tidy_revocation_list: Option<bool>,
}

/// `POST tidy`: begins a run, which goes on after the answer.
pub(crate) async fn start(
    mount: Shared,
    _cx: Cx,
    (fields, old): (TidyFields, OldNames),
) -> Result<Response, Error> {
    mount.only_where_written().await?;
    let plan = plan(fields, old)?;
    let does_something = plan.does_something();
    if !tidy::start(&mount, plan).await? {
        return Ok(Response::null().warn("Tidy operation already in progress."));
    }
    let warning = if does_something {
        let server = if mount.is_on_vault() {
            "Vault"
        } else {
            "OpenBao"
        };
        format!(
            "Tidy operation successfully started. Any information from the operation will be printed to {server}'s server logs."
        )
    } else {
        format!("Manual tidy requested but no tidy operations were set. {SET_ONE}")
    };
    // The built-in engine answers with a body of its own too, for the sake of the status. That frame has no request id.
    let body = json!({
        "request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0, "data": null, "wrap_info": null,
        "warnings": [warning], "auth": null,
    });
    let body = body.to_string().into_bytes();
    Ok(Response::raw(202, "application/json", body))
}

/// `POST tidy-cancel`: asks the run to end, and tells how it is.
pub(crate) async fn cancel(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    mount.only_where_written().await?;
    if !mount.tidy.cancel() {
        return Ok(Response::null()
            .warn("Tidy operation cannot be cancelled as none is currently running."));
    }
    told(&mount).await
}

/// `GET tidy-status`: how the present or the last run is, as far as this process knows.
pub(crate) async fn status(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    mount.only_where_written().await?;
    told(&mount).await
}

async fn told(mount: &Mount) -> Result<Response, Error> {
    let (report, last) = mount.tidy.report();
    let mut told = of(report.as_ref());
    told.insert("internal_backend_uuid".to_owned(), mount.uuid().into());
    if report.is_some()
        && let Some(last) = last
    {
        let last = StoredTime(last).to_string();
        told.insert("last_auto_tidy_finished".to_owned(), last.into());
    }
    let config = tidy::config(mount).await?;
    let (certificates, revocations) = if config.maintain_stored_certificate_counts {
        tidy::count(mount)
            .await
            .map(|counts| (Some(counts.0), Some(counts.1)))?
    } else {
        (None, None)
    };
    told.insert("current_cert_store_count".to_owned(), certificates.into());
    told.insert("current_revoked_cert_count".to_owned(), revocations.into());
    Ok(Response::map(told))
}

/// What is told of a run; before the first one all of it is null.
fn of(report: Option<&Report>) -> Map<String, Value> {
    let (state, error) = match report.map(|report| &report.phase) {
        None => ("Inactive", None),
        Some(Phase::Running) => ("Running", None),
        Some(Phase::Cancelling) => ("Cancelling", None),
        Some(Phase::Cancelled) => ("Cancelled", None),
        Some(Phase::Finished) => ("Finished", None),
        Some(Phase::Failed(error)) => ("Error", Some(error)),
    };
    let message = report.filter(|report| report.phase != Phase::Finished);
    let message = message.and_then(|report| report.progress);
    let time = |time: Timestamp| StoredTime(time).to_string();
    let mut told = object(json!({
        "state": state,
        "error": error,
        "message": message.and_then(message_of),
        "time_started": report.map(|report| time(report.started)),
        "time_finished": report.and_then(|report| report.finished).map(time),
        "cert_store_deleted_count": report.map(|report| report.counts.certificates),
        "revoked_cert_deleted_count": report.map(|report| report.counts.revocations),
        "missing_issuer_cert_count": report.map(|report| report.counts.without_issuer),
        "acme_account_deleted_count": report.map(|report| report.counts.acme_deleted),
        "acme_account_revoked_count": report.map(|report| report.counts.acme_revoked),
        "acme_orders_deleted_count": report.map(|report| report.counts.acme_orders),
        "total_acme_account_count": report.map(|report| report.counts.acme_accounts),
    }));
    match report {
        Some(report) => told.extend(auto_tidy::plan(&report.plan)),
        None => {
            let plan = auto_tidy::plan(&AutoTidyConfig::default());
            told.extend(plan.into_iter().map(|(name, _)| (name, Value::Null)));
        }
    }
    told
}

fn message_of(progress: Progress) -> Option<String> {
    let Progress {
        stage,
        at,
        page,
        total,
    } = progress;
    match stage {
        Stage::Certificates => Some(format!(
            "Tidying certificate store: checking entry {at} of {page} on current page; total certs checked: {total}"
        )),
        Stage::Revocations => Some(format!(
            "Tidying revoked certificates: checking certificate {at} of {page} on current page; total revoked certs checked: {total}"
        )),
        Stage::Acme => Some(format!(
            "Tidying Acme: checking entry {at} of {page} on current page; total thumbprints checked: {total}"
        )),
        Stage::Crls | Stage::Issuers | Stage::Bundle => None,
    }
}

fn plan(fields: TidyFields, old: OldNames) -> Result<AutoTidyConfig, Error> {
    let default = AutoTidyConfig::default();
    let more_than_nothing = |name: &str, sent: Option<Ttl>, unsent: i64| match sent.map(nanos) {
        Some(0) => Err(Error::bad_request(format!(
            "{name} must be greater than zero"
        ))),
        sent => Ok(sent.unwrap_or(unsent)),
    };
    let safety_buffer =
        more_than_nothing("safety_buffer", fields.safety_buffer, default.safety_buffer)?;
    // The name in the text is the built-in engine's.
    let revoked = more_than_nothing(
        "revokedSafetyBuffer",
        fields.revoked_safety_buffer,
        safety_buffer,
    )?;
    let issuer_safety_buffer = more_than_nothing(
        "issuer_safety_buffer",
        fields.issuer_safety_buffer,
        default.issuer_safety_buffer,
    )?;
    let acme_account_safety_buffer = more_than_nothing(
        "acme_account_safety_buffer",
        fields.acme_account_safety_buffer,
        default.acme_account_safety_buffer,
    )?;
    let pause = fields.pause_duration.as_deref().unwrap_or_default();
    let pause_duration = pause_of(pause, "Error parsing pause_duration")?;
    let page_size = fields.page_size.unwrap_or(default.page_size);
    if (1..5).contains(&page_size) {
        return Err(Error::bad_request("page_size must be greater than five"));
    }
    let flag = |sent: Option<bool>| sent.unwrap_or(false);
    Ok(AutoTidyConfig {
        enabled: true,
        interval_duration: 0,
        tidy_cert_store: flag(fields.tidy_cert_store),
        tidy_revoked_certs: flag(fields.tidy_revoked_certs) || flag(old.tidy_revocation_list),
        tidy_invalid_certs: flag(fields.tidy_invalid_certs),
        tidy_revoked_cert_issuer_associations: flag(fields.tidy_revoked_cert_issuer_associations),
        tidy_expired_issuers: flag(fields.tidy_expired_issuers),
        tidy_move_legacy_ca_bundle: flag(fields.tidy_move_legacy_ca_bundle),
        tidy_acme: flag(fields.tidy_acme),
        safety_buffer,
        revoked_safety_buffer: Some(revoked),
        issuer_safety_buffer,
        acme_account_safety_buffer,
        pause_duration,
        page_size,
        ..default
    })
}

/// What to do about a request that asks for nothing.
pub(crate) const SET_ONE: &str = "Enable at least one tidy operation to be run (tidy_cert_store / tidy_revoked_certs / tidy_invalid_certs / \
     tidy_revoked_cert_issuer_associations / tidy_expired_issuers / tidy_move_legacy_ca_bundle / tidy_acme).";
