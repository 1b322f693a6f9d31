//! Turns of a mount for what has much in it.

use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lines::Lines;

/// One a core at a time, so that what is large in one mount keeps nobody else from anything, and half of them for those without a token, so that
/// they leave the others to callers that the mount knows.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    lines: Arc<Lines>,
}

/// A turn that has come.
pub(super) struct Pass {
    _of_strangers: Option<OwnedSemaphorePermit>,
    _of_all: OwnedSemaphorePermit,
}

/// Waits for a turn.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Pass> + Send>>;

impl Turns {
    /// As many as there are cores.
    pub(crate) fn of_cores() -> Arc<Self> {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(most)),
            strangers: Arc::new(Semaphore::new((most / 2).max(1))),
            lines: Arc::default(),
        })
    }

    /// The next turn.
    pub(super) fn next(&self, stranger: bool) -> Waiting {
        let all = Arc::clone(&self.all);
        let strangers = stranger.then(|| Arc::clone(&self.strangers));
        let permit = async |turns: Arc<Semaphore>| {
            let permit = turns.acquire_owned().await;
            permit.expect("the semaphore is never closed")
        };
        Box::pin(async move {
            Pass {
                _of_strangers: match strangers {
                    Some(strangers) => Some(permit(strangers).await),
                    None => None,
                },
                _of_all: permit(all).await,
            }
        })
    }

    /// The lines that strangers may cause in the log.
    pub(super) fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }
}
