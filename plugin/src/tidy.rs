//! Tidying: what is long past its end leaves storage.
//!
//! A run is a task of its own beside the requests of the mount. It holds none of the mount's locks while it reads or pauses, and writes in small batches;
//! each batch says in the same write how far the run is, so that whichever node may write goes on from there after a crash. Nothing is deleted
//! before its end and the safety buffer are over: a certificate that somebody may still trust keeps its revocation.

mod batch;
mod revoked;
mod run;
mod state;
mod walk;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use landfast_sdk::logical::{Error, StorageError};

use crate::entry::jobs::AutoTidyConfig;
use crate::entry::tidy::{TidyEntry, TidyRun};
use crate::entry::time::StoredTime;
use crate::metrics::Tidied;
use crate::mount::{Mount, Shared};
use crate::{certificates, crl, entry, fault};

use state::Stop;
pub(crate) use state::{Phase, Progress, Report, Tidy};

/// The settings of periodic runs.
///
/// # Errors
/// When storage fails.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<AutoTidyConfig>, Error> {
    mount.load_or_default(AutoTidyConfig::KEY).await
}

/// Begins a run by `plan`; false when one is under way.
///
/// # Errors
/// When the run cannot be put on record, for instance because this node may not write.
pub(crate) async fn start(mount: &Shared, plan: AutoTidyConfig) -> Result<bool, Error> {
    let now = mount.now();
    begin(mount, TidyRun::new(plan, StoredTime(now)), now).await
}

/// Goes on with a run that a crash interrupted. To be called only where storage may be written.
///
/// # Errors
/// When storage fails.
pub(crate) async fn resume(mount: &Shared) -> Result<(), Error> {
    let record = record(mount).await?;
    if let Some(run) = record.run.clone().filter(|_| !mount.tidy.is_running()) {
        begin(mount, run, mount.now()).await?;
    }
    Ok(())
}

/// The minute's work: [`resume`], what a run that failed left to be done, or a run at its time. To be called only where storage may be written.
///
/// # Errors
/// When storage or the building of a CRL fails.
pub(crate) async fn periodic(mount: &Shared) -> Result<(), Error> {
    resume(mount).await?;
    if mount.tidy.is_running() {
        return Ok(());
    }
    let mut record = record(mount).await?;
    if record.rebuild {
        run::warn(crl::after_revocation(mount).await?);
        record = Arc::new(TidyEntry {
            rebuild: false,
            ..TidyEntry::clone(&record)
        });
        mount.put(TidyEntry::KEY, entry::encode(&*record)).await?;
    }
    let (now, config) = (mount.now(), config(mount).await?);
    let interval = SignedDuration::from_nanos(config.interval_duration);
    if config.enabled
        && interval.is_positive()
        && now.duration_since(since(mount, &record)) >= interval
    {
        start(mount, AutoTidyConfig::clone(&config)).await?;
    }
    Ok(())
}

async fn record(mount: &Mount) -> Result<Arc<TidyEntry>, Error> {
    mount.load_or_default(TidyEntry::KEY).await
}

/// What the interval of periodic runs counts from. A mount that was never tidied is not, as soon as its process starts.
fn since(mount: &Mount, record: &TidyEntry) -> Timestamp {
    if record.last.is_never() {
        mount.since()
    } else {
        record.last.0
    }
}

async fn begin(mount: &Shared, mut run: TidyRun, now: Timestamp) -> Result<bool, Error> {
    if !mount.tidy.begin(&run, now) {
        return Ok(false);
    }
    if let Err(error) = put_on_record(mount, &mut run, now).await {
        mount.tidy.end(Err(Stop::Failed(error.to_string())), now);
        return Err(error);
    }
    let mount = Arc::clone(mount);
    tokio::spawn(async move {
        let doing = Arc::clone(&mount);
        let work = async move {
            let outcome = run::carry_out(&doing, &mut run).await;
            (outcome, run.rebuild)
        };
        let (outcome, rebuild) = fault::caught(work).await.unwrap_or_else(|stopped| {
            let why = format!("tidying ended early: {stopped}");
            // How far it came is not known.
            (Err(Stop::Failed(why)), true)
        });
        end(&mount, outcome, rebuild).await;
    });
    Ok(true)
}

/// Stores that `run` is under way. It takes over what one before it left to be done.
async fn put_on_record(mount: &Mount, run: &mut TidyRun, now: Timestamp) -> Result<(), Error> {
    run.rebuild |= record(mount).await?.rebuild;
    let record = TidyEntry {
        last: StoredTime(now),
        run: Some(run.clone()),
        ..TidyEntry::default()
    };
    mount.put(TidyEntry::KEY, entry::encode(&record)).await
}

/// Takes the run off the record, unless it goes on elsewhere. What stays there is that CRLs have to be built, if the run did not come to that.
async fn end(mount: &Shared, outcome: Result<(), Stop>, rebuild: bool) {
    let now = mount.now();
    mount.metrics.tidied.count(match &outcome {
        Ok(()) => Tidied::Finished,
        Err(Stop::Cancelled) => Tidied::Cancelled,
        Err(Stop::Closed) => Tidied::Interrupted,
        Err(Stop::Failed(_)) => Tidied::Failed,
    });
    match &outcome {
        Ok(()) => tracing::info!("tidying is done"),
        Err(Stop::Cancelled) => tracing::info!("tidying was cancelled"),
        Err(Stop::Closed) => return mount.tidy.end(outcome, now),
        Err(Stop::Failed(error)) => tracing::error!(error, "error running tidy"),
    }
    let record = TidyEntry {
        last: StoredTime(now),
        rebuild,
        ..TidyEntry::default()
    };
    // A run that stays on record is done again, which finds nothing left to do.
    match mount.put(TidyEntry::KEY, entry::encode(&record)).await {
        Ok(()) | Err(Error::Storage(StorageError::ReadOnly(_))) => {}
        Err(error) => tracing::warn!(%error, "the end of tidying could not be put on record"),
    }
    mount.tidy.end(outcome, now);
}

/// Whether a run is under way here, and when one last ended, as far as that is known.
///
/// # Errors
/// When storage fails.
pub(crate) async fn last(mount: &Mount) -> Result<(bool, Option<Timestamp>), Error> {
    let running = mount.tidy.is_running();
    let (report, _) = mount.tidy.report();
    if let Some(finished) = report.and_then(|report| report.finished) {
        return Ok((running, Some(finished)));
    }
    // While a run is on record, its beginning stands where else the end does.
    let record = record(mount).await?;
    let ended = record.run.is_none() && !record.last.is_never();
    Ok((running, ended.then_some(record.last.0)))
}

/// How many certificates and revocations the mount stores.
///
/// # Errors
/// When storage fails.
pub(crate) async fn count(mount: &Mount) -> Result<(usize, usize), Error> {
    let storage = mount.storage();
    let certificates = storage.list(certificates::PREFIX).await?.len();
    let revocations = storage.list(entry::revoked::PREFIX).await?.len();
    Ok((certificates, revocations))
}
