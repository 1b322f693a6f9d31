//! Going through what is stored: certificates by what is known of their ends, revocations one by one.

use std::time::{Duration, Instant};

use landfast_pki::{Certificate, SerialNumber};

use super::batch::Batch;
use super::revoked::{Revoked, page_size};
use super::state::{Progress, Stop, failed, is_over};
use crate::ends::{self, Known};
use crate::entry::revoked::{self, RevokedEntry};
use crate::entry::tidy::TidyRun;
use crate::mount::Shared;
use crate::{certificates, entry, issuers, revocations};

/// Goes through the stored certificates.
///
/// # Errors
/// It was stopped, or storage failed.
pub(super) async fn certificates(mount: &Shared, run: &mut TidyRun) -> Result<(), Stop> {
    let whole = run.after.is_empty();
    let known = ends::known(mount).await;
    let mut look = Some(Look {
        known: known.map_err(failed("error reading when certificates end"))?,
        revoked: Revoked::on(mount, run),
    });
    let outcome = walk(mount, run, &mut look).await;
    // Where the mount is closed somebody else may be at it.
    if outcome != Err(Stop::Closed)
        && let Some(look) = look
        && let Err(error) = look.known.settle(mount, whole && outcome.is_ok()).await
    {
        tracing::warn!(%error, "what the run learned of ends of certificates could not be stored; the next one reads these certificates");
    }
    outcome
}

/// Goes through the revocations.
///
/// # Errors
/// As [`certificates()`].
pub(super) async fn revocations(mount: &Shared, run: &mut TidyRun) -> Result<(), Stop> {
    walk(mount, run, &mut None).await
}

/// What certificates are looked at with.
struct Look {
    known: Known,
    revoked: Revoked,
}

/// Goes through the list of a stage, page by page.
async fn walk(mount: &Shared, run: &mut TidyRun, look: &mut Option<Look>) -> Result<(), Stop> {
    let prefix = match look {
        Some(_) => certificates::PREFIX,
        None => revoked::PREFIX,
    };
    let limit = page_size(mount, run);
    let pause = Duration::from_nanos(u64::try_from(run.plan.pause_duration).unwrap_or(0));
    let most = if pause.is_zero() { AT_A_TIME } else { 1 };
    let mut total = 0;
    loop {
        let storage = mount.storage();
        let page = storage.list_page(prefix, &run.after, limit).await;
        let page = page.map_err(|error| failed("error listing what is stored")(error.into()))?;
        let mut batch = Batch::default();
        for (at, name) in page.iter().enumerate() {
            let progress = Progress {
                stage: run.stage,
                at,
                page: page.len(),
                total,
            };
            mount.tidy.step(Some(progress), run.counts)?;
            mount.tidy.pause(pause).await;
            total += 1;
            match look {
                Some(look) => certificate(mount, run, name, look, &mut batch).await?,
                None => revocation(mount, run, name, &mut batch).await?,
            }
            run.after.clone_from(name);
            if batch.len() >= most {
                write(mount, run, std::mem::take(&mut batch)).await?;
            }
        }
        write(mount, run, batch).await?;
        if limit.is_none_or(|limit| page.len() < limit) {
            return mount.tidy.step(None, run.counts);
        }
    }
}

/// Writes what was found, and leaves the server to others for twice as long as that took: nobody waits for tidying.
async fn write(mount: &Shared, run: &TidyRun, batch: Batch) -> Result<(), Stop> {
    if batch.len() == 0 {
        return Ok(());
    }
    let began = Instant::now();
    let written = batch.carry_out(mount, run).await;
    written.map_err(failed("error deleting what is over"))?;
    mount.tidy.pause(2 * began.elapsed()).await;
    Ok(())
}

/// Looks at one stored certificate. It is read only if its end is not known.
async fn certificate(
    mount: &Shared,
    run: &mut TidyRun,
    name: &str,
    look: &mut Look,
    batch: &mut Batch,
) -> Result<(), Stop> {
    let now = mount.now();
    let (tidies, buffer, revoked_buffer) = (
        run.plan.tidy_cert_store,
        run.plan.safety_buffer,
        run.plan.revoked_buffer(),
    );
    let may_go = |end| tidies && is_over(end, buffer.min(revoked_buffer), now);
    let known = look.known.find(name);
    let read = match known {
        Some((at, end)) if !may_go(end.time()) => {
            look.known.stays(at);
            return Ok(());
        }
        Some((_, end)) if end.is_exact() => None,
        _ => match readable(mount, run, name, batch).await? {
            None => return Ok(()),
            read => read,
        },
    };
    let end = match (&read, known) {
        (Some(certificate), _) => certificate.not_after(),
        (None, Some((_, end))) => end.time(),
        (None, None) => return Ok(()),
    };
    if may_go(end) {
        // What is about to go is asked for its revocation; what stays need not be.
        let revoked = look.revoked.has(name).await;
        let revoked = revoked.map_err(failed(format!(
            "error fetching revocation status of serial {name:?}"
        )))?;
        if is_over(end, if revoked { revoked_buffer } else { buffer }, now) {
            batch.certificate_goes(name, run);
            if revoked && run.plan.tidy_revoked_certs {
                batch.revocation_goes(name, run);
            }
            return Ok(());
        }
    }
    match (known, read) {
        (Some((at, _)), _) => look.known.stays(at),
        (None, Some(certificate)) => ends::note(mount, &certificate).await,
        (None, None) => {}
    }
    Ok(())
}

/// Reads a certificate; `None` for one that cannot be read, which goes where that is asked for.
async fn readable(
    mount: &Shared,
    run: &mut TidyRun,
    name: &str,
    batch: &mut Batch,
) -> Result<Option<Certificate>, Stop> {
    let der = certificates::named(mount, name).await;
    let der = der.map_err(failed(format!("error fetching certificate {name:?}")))?;
    let Some(der) = der.filter(|der| !der.is_empty()) else {
        tracing::warn!(
            serial = name,
            "a certificate's entry is empty; tidying it up"
        );
        batch.certificate_goes(name, run);
        return Ok(None);
    };
    match Certificate::from_der(&der) {
        Ok(certificate) => return Ok(Some(certificate)),
        Err(error) if run.plan.tidy_invalid_certs => {
            tracing::warn!(serial = name, %error, "a stored certificate cannot be read; tidying it up");
            batch.certificate_goes(name, run);
        }
        Err(error) => {
            tracing::warn!(serial = name, %error, "a stored certificate cannot be read; tidy_invalid_certs=true would tidy it up");
        }
    }
    Ok(None)
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

/// Entries that go in one write at most. A storage transaction of so many is far below what raft takes as one, and over before anybody has waited for long.
const AT_A_TIME: usize = 64;
