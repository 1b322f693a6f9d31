//! Work that keeps a processor busy for long: apart from the threads that answer, and only so much of it at a time.
//!
//! Each mount has its own turns, one a core, so that what one mount is asked to do costs another no more than its share of the processor. Whoever
//! needs no token gets half of the turns at most: the others are left to callers that the mount knows.

use landfast_sdk::logical::{Error, apart};
use tokio::sync::Semaphore;

/// Strangers that may wait for their turn. Their clients give up soon, and what comes too late was signed for nothing.
const MOST_WAITING: usize = 256;

/// The turns of one mount.
#[derive(Debug)]
pub(crate) struct Heavy {
    turns: Semaphore,
    strangers: Semaphore,
    waiting: Semaphore,
}

impl Default for Heavy {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Semaphore::new(cores),
            strangers: Semaphore::new((cores / 2).max(1)),
            waiting: Semaphore::new(MOST_WAITING),
        }
    }
}

impl Heavy {
    /// Runs `work` when its turn has come.
    pub(crate) async fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.turns.acquire().await;
        apart(work)
    }

    /// As [`Self::run`] if `heavy`, else at once.
    pub(crate) async fn run_if<T>(&self, heavy: bool, work: impl FnOnce() -> T) -> T {
        if heavy { self.run(work).await } else { work() }
    }

    /// As [`Self::run`], for whoever needs no token.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn for_stranger<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        let _place = self.waiting.try_acquire().map_err(|_| Error::Status {
            code: 503,
            message: format!(
                "{MOST_WAITING} requests wait for a signature already, try again later"
            ),
        })?;
        let _turn = self.strangers.acquire().await;
        Ok(self.run(work).await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    #[test]
    fn strangers_leave_a_turn_to_those_who_are_known() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        let heavy = Arc::new(Heavy {
            turns: Semaphore::new(2),
            strangers: Semaphore::new(1),
            waiting: Semaphore::new(8),
        });
        let done = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            let strangers: Vec<_> = (0..20)
                .map(|_| {
                    let (heavy, done) = (Arc::clone(&heavy), Arc::clone(&done));
                    tokio::spawn(async move {
                        let slow = || std::thread::sleep(Duration::from_millis(50));
                        let served = heavy.for_stranger(slow).await;
                        done.fetch_add(1, SeqCst);
                        served.is_ok()
                    })
                })
                .collect();
            while heavy.strangers.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            heavy.run(|| ()).await;
            let served_before = done.load(SeqCst);
            let mut served = 0;
            for stranger in strangers {
                served += usize::from(stranger.await.unwrap());
            }
            // Twelve were turned away at once; of the eight at most a few had their turn meanwhile.
            assert!(served_before <= 16, "{served_before}");
            assert_eq!(served, 8, "as many as may wait");
        });
    }
}
