//! One run, stage after stage.

use std::time::Duration;

use jiff::SignedDuration;
use landfast_sdk::logical::{Error, StorageError, Write};
use serde::Deserialize;

use super::state::{Progress, Stop, failed, is_over};
use super::walk;
use crate::acme::accounts::THUMBPRINTS;
use crate::acme::tidy::Buffers;
use crate::authority::Change;
use crate::entry::tidy::{Stage, TidyRun};
use crate::entry::time::StoredTime;
use crate::mount::Shared;
use crate::{acme, crl, entry};

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
                    walk::certificates(mount, run).await?;
                }
                Stage::Revocations
            }
            Stage::Revocations => {
                if plan.tidy_revoked_certs
                    || plan.tidy_revoked_cert_issuer_associations
                    || plan.tidy_invalid_certs
                {
                    walk::revocations(mount, run).await?;
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
                Stage::Acme
            }
            Stage::Acme => {
                if plan.tidy_acme {
                    accounts(mount, run).await?;
                }
                return Ok(());
            }
        };
        run.stage = next;
        run.after.clear();
    }
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

/// Tidies the accounts of ACME, each by itself. One that cannot be read is passed over, as by the built-in engine; a run that is interrupted looks at all
/// of them again, which finds nothing left to do.
async fn accounts(mount: &Shared, run: &mut TidyRun) -> Result<(), Stop> {
    let buffers = Buffers {
        orders: SignedDuration::from_nanos(run.plan.safety_buffer),
        accounts: SignedDuration::from_nanos(run.plan.acme_account_safety_buffer),
    };
    let pause = Duration::from_nanos(u64::try_from(run.plan.pause_duration).unwrap_or(0));
    let listed = mount.storage().list(THUMBPRINTS).await;
    let listed = listed.map_err(|error| failed("error listing ACME accounts")(error.into()))?;
    for (at, thumbprint) in listed.iter().enumerate() {
        let progress = Progress {
            stage: run.stage,
            at,
            page: listed.len(),
            total: at,
        };
        mount.tidy.step(Some(progress), run.counts)?;
        mount.tidy.pause(pause).await;
        run.counts.acme_accounts += 1;
        match acme::tidy::account(mount, thumbprint, buffers, mount.now()).await {
            Ok(done) => {
                run.counts.acme_orders += done.orders;
                run.counts.acme_deleted += done.deleted;
                run.counts.acme_revoked += done.revoked;
            }
            Err(Error::Internal { public, log }) => {
                tracing::warn!(log, "error tidying an ACME account: {public}")
            }
            Err(error) => return Err(failed("error tidying ACME accounts")(error)),
        }
    }
    mount.tidy.step(None, run.counts)
}

/// Moves the bundle that servers before issuers had, once the move to issuers is a safety buffer old.
async fn move_bundle(mount: &Shared, run: &TidyRun) -> Result<(), Stop> {
    let wrong = |error: StorageError| failed("error moving the legacy CA bundle")(error.into());
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

pub(super) fn warn(warnings: Vec<String>) {
    for warning in warnings {
        tracing::warn!(warning, "while CRLs were built for tidying");
    }
}

const BUNDLE: &str = "config/ca_bundle";
const BACKUP: &str = "config/ca_bundle.bak";
const MIGRATION: &str = "config/legacyMigrationBundleLog";
