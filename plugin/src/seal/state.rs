//! What a mount remembers of sealing: opened keys, and how far a migration is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;

use super::opened::Opened;

/// Names the folder whose key files mounts may use. Set by whoever runs the server, which the writers of
/// `config/seal` need not be.
pub(crate) const KEY_DIRECTORY: &str = "LANDFAST_KEY_DIRECTORY";

/// What a mount remembers of sealing.
#[derive(Default)]
pub(crate) struct Seal {
    pub(super) opened: Opened,
    pub(super) job: Job,
    pub(super) key_directory: OnceLock<PathBuf>,
}

impl Seal {
    /// Forgets every opened key, and has a running migration end after its present key.
    pub(crate) fn close(&self) {
        self.job.stop();
        self.opened.clear();
    }

    /// Forgets opened keys that are gone from the mount.
    pub(crate) fn keep_only(&self, exists: impl Fn(&str) -> bool) {
        self.opened.keep_only(exists);
    }

    /// How many keys are opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.count()
    }

    /// How far the migration is.
    pub(crate) fn progress(&self) -> Progress {
        self.job.progress()
    }

    /// The folder whose key files the mount may use.
    pub(super) fn key_directory(&self) -> Option<PathBuf> {
        let from_environment = || {
            let set = std::env::var_os(KEY_DIRECTORY).filter(|path| !path.is_empty());
            set.map(PathBuf::from)
        };
        self.key_directory.get().cloned().or_else(from_environment)
    }
}

/// The work in the background, at most one at a time.
#[derive(Default)]
pub(super) struct Job {
    /// Held by the work.
    pub(super) running: Arc<tokio::sync::Mutex<()>>,
    pub(super) stopping: AtomicBool,
    progress: Mutex<Progress>,
}

/// How far a migration is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Where it stands.
    pub(crate) state: State,
    /// Keys of the mount.
    pub(crate) total: usize,
    /// Keys looked at, the failed ones included.
    pub(crate) done: usize,
    /// Keys that were written in their new form.
    pub(crate) changed: usize,
    /// Keys that could not be changed.
    pub(crate) failed: usize,
    /// The latest failure.
    pub(crate) last_error: String,
    /// When it began.
    pub(crate) started: Option<Timestamp>,
    /// When it ended.
    pub(crate) finished: Option<Timestamp>,
}

/// Where a migration stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// None since the process began.
    #[default]
    Idle,
    /// At work.
    Running,
    /// Not finished; the next periodic call goes on.
    Waiting,
    /// Ended by a fault of the program, not finished; the next periodic call tries again.
    Failed,
    /// Every key is as the settings say.
    Done,
}

impl State {
    /// The word of the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }
}

impl Job {
    /// Has the work end after its present key.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// How far the work is.
    pub(super) fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Changes what is told of the work.
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
