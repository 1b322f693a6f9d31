//! What is known of the run that is under way, or of the last one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_sdk::logical::Error;
use tokio::sync::Notify;

use crate::entry::jobs::AutoTidyConfig;
use crate::entry::tidy::{Counts, Stage, TidyRun};

/// The state of tidying of one mount.
#[derive(Debug, Default)]
pub(crate) struct Tidy {
    state: Mutex<State>,
    /// Wakes a run out of its pause.
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    closed: bool,
    stop: Option<Stop>,
    report: Option<Report>,
    last: Option<Timestamp>,
}

/// Why a run ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody cancelled it.
    Cancelled,
    /// The mount is closed here; the run goes on elsewhere or later.
    Closed,
    /// It failed.
    Failed(String),
}

/// What is told of a run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What was asked for.
    pub(crate) plan: AutoTidyConfig,
    /// How it stands.
    pub(crate) phase: Phase,
    /// When it began.
    pub(crate) started: Timestamp,
    /// When it ended.
    pub(crate) finished: Option<Timestamp>,
    /// What it is at, or was when it was stopped.
    pub(crate) progress: Option<Progress>,
    /// What it did.
    pub(crate) counts: Counts,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// At work.
    Running,
    /// Asked to end.
    Cancelling,
    /// Ended when it was asked to.
    Cancelled,
    /// Done.
    Finished,
    /// Stopped by an error.
    Failed(String),
}

/// A place in a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Which list.
    pub(crate) stage: Stage,
    /// Entries of the page that were looked at.
    pub(crate) at: usize,
    /// Entries of the page.
    pub(crate) page: usize,
    /// Entries of all pages that were looked at.
    pub(crate) total: usize,
}

impl Tidy {
    /// Makes a run the one that is under way, unless there is one, or the mount is closed here and somebody else may be at it.
    pub(super) fn begin(&self, run: &TidyRun, now: Timestamp) -> bool {
        let mut state = self.lock();
        if state.running || state.closed {
            return false;
        }
        *state = State {
            running: true,
            closed: false,
            stop: None,
            last: Some(now),
            report: Some(Report {
                plan: run.plan.clone(),
                phase: Phase::Running,
                started: run.started.0,
                finished: None,
                progress: None,
                counts: run.counts,
            }),
        };
        true
    }

    /// Notes how a run ended.
    pub(super) fn end(&self, outcome: Result<(), Stop>, now: Timestamp) {
        let mut state = self.lock();
        state.running = false;
        if outcome.is_ok() {
            state.last = Some(now);
        }
        if let Some(report) = &mut state.report {
            report.finished = Some(now);
            report.phase = match outcome {
                Ok(()) => Phase::Finished,
                Err(Stop::Cancelled | Stop::Closed) => Phase::Cancelled,
                Err(Stop::Failed(why)) => Phase::Failed(why),
            };
        }
    }

    /// Asks the run to end; false when there is none.
    pub(crate) fn cancel(&self) -> bool {
        let mut state = self.lock();
        if !state.running {
            return false;
        }
        state.stop.get_or_insert(Stop::Cancelled);
        if let Some(report) = &mut state.report {
            report.phase = Phase::Cancelling;
        }
        drop(state);
        self.wake.notify_one();
        true
    }

    /// Stops the run, which is still on record and goes on elsewhere or later.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if state.running {
            state.stop = Some(Stop::Closed);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Whether a run is under way.
    pub(super) fn is_running(&self) -> bool {
        self.lock().running
    }

    /// What is told of the present or last run, and when one last began or ended here.
    pub(crate) fn report(&self) -> (Option<Report>, Option<Timestamp>) {
        let state = self.lock();
        (state.report.clone(), state.last)
    }

    /// Notes where a run is.
    ///
    /// # Errors
    /// It is to end.
    pub(super) fn step(&self, progress: Option<Progress>, counts: Counts) -> Result<(), Stop> {
        let mut state = self.lock();
        if let Some(report) = &mut state.report {
            report.progress = progress.or(report.progress);
            report.counts = counts;
        }
        state.stop.clone().map_or(Ok(()), Err)
    }

    /// Waits, unless the run is to end.
    pub(super) async fn pause(&self, time: Duration) {
        if !time.is_zero() {
            let _ = tokio::time::timeout(time, self.wake.notified()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that ended at `end` is over for longer than `buffer` nanoseconds.
pub(super) fn is_over(end: Timestamp, buffer: i64, now: Timestamp) -> bool {
    now.duration_since(end) > SignedDuration::from_nanos(buffer)
}

/// Puts what was being done before the reason.
pub(super) fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> Stop {
    let doing = doing.into();
    move |error| Stop::Failed(format!("{doing}: {error}"))
}
