//! One run, stage after stage.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::{Error, Write};
use serde::Deserialize;

use super::batch::Batch;
use super::state::{Progress, Stop};
use crate::authority::Change;
use crate::entry::revoked::{self, RevokedEntry};
use crate::entry::tidy::{Stage, TidyRun};
use crate::entry::time::StoredTime;
use crate::mount::Shared;
use crate::{certificates, crl, entry, issuers, revocations};

/// Does what is left of `run`.
///
/// # Errors
/// It was stopped, or storage failed.
pub(super) async fn carry_out(mount: &Shared, run: &mut TidyRun) -> Result<(), Stop> {
    loop {
        mount.tidy.step(None, run.counts)?;
        let plan = &run.plan;
        let next = match run.stage {
            Stage::Certificates => {
                if plan.tidy_cert_store || plan.tidy_invalid_certs {
                    walk(mount, run).await?;
                }
                Stage::Revocations
            }
            Stage::Revocations => {
                if plan.tidy_revoked_certs || plan.tidy_revoked_cert_issuer_associations {
                    walk(mount, run).await?;
                }
                Stage::Crls
            }
            Stage::Crls => {
                if run.rebuild {
                    let built = crl::after_revocation(mount).await;
                    warn(built.map_err(failed("error building CRLs"))?);
                    run.rebuild = false;
                }
                Stage::Issuers
            }
            Stage::Issuers => {
                if plan.tidy_expired_issuers {
                    expired_issuers(mount, run).await?;
                }
                Stage::Bundle
            }
            Stage::Bundle => {
                if plan.tidy_move_legacy_ca_bundle {
                    move_bundle(mount, run).await?;
                }
                return Ok(());
            }
        };
        run.stage = next;
        run.after.clear();
    }
}

/// Goes through the list of a stage, page by page.
async fn walk(mount: &Shared, run: &mut TidyRun) -> Result<(), Stop> {
    let prefix = match run.stage {
        Stage::Certificates => certificates::PREFIX,
        _ => revoked::PREFIX,
    };
    // A host that has no pages lists everything each time it is asked.
    let limit = usize::try_from(run.plan.page_size).unwrap_or(0);
    let limit = (limit > 0 && !mount.is_on_vault()).then_some(limit);
    let pause = Duration::from_nanos(u64::try_from(run.plan.pause_duration).unwrap_or(0));
    let at_a_time = if pause.is_zero() { AT_A_TIME } else { 1 };
    let mut total = 0;
    loop {
        let storage = mount.storage();
        let page = storage.list_page(prefix, &run.after, limit).await;
        let page = page.map_err(|error| failed("error listing what is stored")(error.into()))?;
        for (number, names) in page.chunks(at_a_time).enumerate() {
            let mut batch = Batch::default();
            for (more, name) in names.iter().enumerate() {
                let progress = Progress {
                    stage: run.stage,
                    at: number * at_a_time + more,
                    page: page.len(),
                    total,
                };
                mount.tidy.step(Some(progress), run.counts)?;
                mount.tidy.pause(pause).await;
                total += 1;
                match run.stage {
                    Stage::Certificates => certificate(mount, run, name, &mut batch).await?,
                    _ => revocation(mount, run, name, &mut batch).await?,
                }
            }
            if let Some(last) = names.last() {
                run.after.clone_from(last);
            }
            let written = batch.carry_out(mount, run).await;
            written.map_err(failed("error deleting what is over"))?;
        }
        if limit.is_none_or(|limit| page.len() < limit) {
            return mount.tidy.step(None, run.counts);
        }
    }
}

/// Looks at one stored certificate.
async fn certificate(
    mount: &Shared,
    run: &mut TidyRun,
    name: &str,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let der = certificates::named(mount, name).await;
    let der = der.map_err(failed(format!("error fetching certificate {name:?}")))?;
    let Some(der) = der.filter(|der| !der.is_empty()) else {
        tracing::warn!(
            serial = name,
            "a certificate's entry is empty; tidying it up"
        );
        batch.certificate_goes(name, run);
        return Ok(());
    };
    let end = match Certificate::from_der(&der) {
        Ok(certificate) => certificate.not_after(),
        Err(error) if run.plan.tidy_invalid_certs => {
            tracing::warn!(serial = name, %error, "a stored certificate cannot be read; tidying it up");
            batch.certificate_goes(name, run);
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(serial = name, %error, "a stored certificate cannot be read; tidy_invalid_certs=true would tidy it up");
            return Ok(());
        }
    };
    let (plan, now) = (&run.plan, mount.now());
    if !plan.tidy_cert_store || !is_over(end, plan.safety_buffer.min(plan.revoked_buffer()), now) {
        return Ok(());
    }
    // What is about to go is asked for its revocation; what stays need not be.
    let revoked = revocations::stored(mount, name).await;
    let revoked = revoked
        .map_err(failed(format!(
            "error fetching revocation status of serial {name:?}"
        )))?
        .is_some();
    let buffer = if revoked {
        plan.revoked_buffer()
    } else {
        plan.safety_buffer
    };
    if is_over(end, buffer, now) {
        batch.certificate_goes(name, run);
        if revoked && run.plan.tidy_revoked_certs {
            batch.revocation_goes(name, run);
        }
    }
    Ok(())
}

/// Looks at one revocation.
async fn revocation(
    mount: &Shared,
    run: &mut TidyRun,
    name: &str,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let stored = revocations::stored(mount, name).await;
    let stored = stored.map_err(failed(format!(
        "unable to fetch revoked cert with serial {name:?}"
    )))?;
    let Some(bytes) = stored.filter(|bytes| !bytes.is_empty()) else {
        tracing::warn!(
            serial = name,
            "a revocation's entry is empty; tidying it up"
        );
        batch.revocation_goes(name, run);
        return Ok(());
    };
    let mut record: RevokedEntry = entry::decode(&bytes).map_err(|error| {
        Stop::Failed(format!(
            "error decoding revocation entry for serial {name:?}: {error}"
        ))
    })?;
    let certificate = match Certificate::from_der(&record.certificate_bytes) {
        Ok(certificate) => certificate,
        Err(error) if run.plan.tidy_invalid_certs => {
            tracing::warn!(serial = name, %error, "a revoked certificate cannot be read; tidying it up");
            batch.revocation_goes(name, run);
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(serial = name, %error, "a revoked certificate cannot be read; tidy_invalid_certs=true would tidy it up");
            return Ok(());
        }
    };
    let plan = &run.plan;
    let over = is_over(certificate.not_after(), plan.revoked_buffer(), mount.now());
    let mut renamed = false;
    if plan.tidy_revoked_cert_issuer_associations {
        let issuers = issuers::all(mount)
            .await
            .map_err(failed("error reading issuers"))?;
        if issuers.by_id(&record.issuer_id).is_none() {
            run.counts.without_issuer += 1;
            let parent = issuers.parent_of(&certificate);
            record.issuer_id = parent.map_or_else(String::new, |parent| parent.entry.id.clone());
            renamed = true;
        }
    }
    if run.plan.tidy_revoked_certs && over {
        // In this order where the host has no transactions: what is left after a crash is a certificate past its end, not a revocation of nothing.
        batch.revocation_goes(name, run);
        batch.its_certificate_goes(name);
    } else if renamed && let Ok(serial) = SerialNumber::parse(name) {
        batch.revocation_changes(serial, record);
    }
    Ok(())
}

/// Takes issuers away that ended a safety buffer ago, but for the default. Their keys stay, and the log says what went.
async fn expired_issuers(mount: &Shared, run: &TidyRun) -> Result<(), Stop> {
    let wrong = || failed("error tidying issuers");
    let change = Change::begin(mount).await.map_err(wrong())?;
    let now = mount.now();
    let mut gone = Vec::new();
    for issuer in change.issuers.iter() {
        if !is_over(
            issuer.certificate.not_after(),
            run.plan.issuer_safety_buffer,
            now,
        ) {
            continue;
        }
        let (id, name) = (issuer.id(), &issuer.entry.name);
        if change.issuers_config.default == id {
            tracing::warn!(
                id,
                name,
                "an issuer has expired and is not removed, as it is the default issuer"
            );
            continue;
        }
        tracing::info!(
            id,
            name,
            serial_number = issuer.entry.serial_number,
            key_id = issuer.entry.key_id,
            certificate = issuer.entry.certificate,
            "an issuer has expired and is removed; its key stays"
        );
        gone.push(id.to_owned());
    }
    if gone.is_empty() {
        return Ok(());
    }
    let built = crl::remove_issuers(mount, change, &gone).await;
    warn(built.map_err(wrong())?);
    Ok(())
}

/// Moves the bundle that servers before issuers had, once the move to issuers is a safety buffer old.
async fn move_bundle(mount: &Shared, run: &TidyRun) -> Result<(), Stop> {
    let wrong = |error: landfast_sdk::logical::StorageError| {
        failed("error moving the legacy CA bundle")(error.into())
    };
    let storage = mount.storage();
    let Some(bundle) = storage.get(BUNDLE).await.map_err(wrong)? else {
        return Ok(());
    };
    let Some(log) = storage.get(MIGRATION).await.map_err(wrong)? else {
        return Err(Stop::Failed(
            "refusing to tidy with an empty legacy migration log but present CA bundle".to_owned(),
        ));
    };
    let log: Migration = entry::decode(&log).map_err(|error| {
        Stop::Failed(format!(
            "failed to fetch the legacy bundle migration log: {error}"
        ))
    })?;
    if !is_over(log.created.0, run.plan.issuer_safety_buffer, mount.now()) {
        return Ok(());
    }
    let writes = vec![Write::put(BACKUP, bundle), Write::delete(BUNDLE)];
    let moved = mount.save(writes).await;
    moved.map_err(failed("error moving the legacy CA bundle"))?;
    tracing::info!("the legacy CA bundle was moved to its backup");
    Ok(())
}

/// When the mount went over to issuers.
#[derive(Deserialize)]
struct Migration {
    created: StoredTime,
}

/// Whether something that ended at `end` is over for longer than `buffer` nanoseconds.
fn is_over(end: Timestamp, buffer: i64, now: Timestamp) -> bool {
    now.duration_since(end) > SignedDuration::from_nanos(buffer)
}

pub(super) fn warn(warnings: Vec<String>) {
    for warning in warnings {
        tracing::warn!(warning, "while CRLs were built for tidying");
    }
}

/// Puts what was being done before the reason.
fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> Stop {
    let doing = doing.into();
    move |error| Stop::Failed(format!("{doing}: {error}"))
}

/// Entries that are looked at before what is over goes in one write.
const AT_A_TIME: usize = 128;
const BUNDLE: &str = "config/ca_bundle";
const BACKUP: &str = "config/ca_bundle.bak";
const MIGRATION: &str = "config/legacyMigrationBundleLog";
