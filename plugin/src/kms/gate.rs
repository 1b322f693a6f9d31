//! How many signatures are asked for at a time.

use std::time::Duration;

use landfast_sdk::logical::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::entry::kms::SERVICE;
use crate::fault::unavailable;

/// Lets so many through at a time. Who comes later waits in order of arrival, but not for ever, and not behind too many.
pub(super) struct Gate {
    open: Semaphore,
    /// Places at the gate and before it.
    places: Semaphore,
    width: usize,
    /// How many may wait beside those that are being served. More would hold memory for an answer that comes too late.
    waiting: usize,
    /// How long a request waits for its turn.
    patience: Duration,
}

/// A way through the gate, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    _open: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

impl Gate {
    pub(super) fn new(width: u32, waiting: usize, patience: Duration) -> Self {
        let width = width.max(1) as usize;
        Self {
            open: Semaphore::new(width),
            places: Semaphore::new(width + waiting),
            width,
            waiting,
            patience,
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// 503 when too many wait, or when the turn does not come in time.
    pub(super) async fn pass(&self) -> Result<Pass<'_>, Error> {
        let place = self.places.try_acquire().map_err(|_| {
            unavailable(format!(
                "{SERVICE} cannot be used at the moment, try again later: {} signatures wait for their turn already. {}",
                self.waiting,
                self.advice()
            ))
        })?;
        match timeout(self.patience, self.open.acquire()).await {
            Ok(open) => Ok(Pass {
                _open: open.expect("the semaphore is never closed"),
                _place: place,
            }),
            Err(_) => Err(unavailable(format!(
                "{SERVICE} cannot be used at the moment, try again later: no turn to sign within {:?}. {}",
                self.patience,
                self.advice()
            ))),
        }
    }

    fn advice(&self) -> String {
        format!(
            "This mount asks for {} at a time: see max_signatures of config/kms, and the request quota of the account and Region",
            self.width
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::passes;

    const WAITING: usize = 1000;

    #[tokio::test]
    async fn turns_come_in_order_of_arrival_and_run_out() {
        let gate = Gate::new(1, WAITING, Duration::from_millis(200));
        let first = gate.pass().await.expect("nobody is there yet");
        let turns = std::sync::Mutex::new(Vec::new());
        let wait = async |name: u32| {
            let _pass = gate.pass().await.expect("a turn");
            turns.lock().unwrap().push(name);
        };
        tokio::join!(wait(1), wait(2), wait(3), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(*turns.lock().unwrap(), [1, 2, 3]);

        let _held = gate.pass().await.expect("all have left");
        let error = gate.pass().await.expect_err("the turn does not come");
        assert!(passes(&error), "{error}");
        assert!(error.to_string().contains("within 200ms"), "{error}");
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_who_gives_up_leaves_it() {
        let gate = Gate::new(2, WAITING, Duration::from_secs(60));
        let _held = (gate.pass().await.ok(), gate.pass().await.ok());
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(gate.pass())).collect();
        assert!(waiting.iter_mut().all(|one| !is_ready(one.as_mut())));
        let error = gate.pass().await.expect_err("no place is left");
        assert!(error.to_string().contains("wait for their turn"), "{error}");
        waiting.pop();
        let mut late = Box::pin(gate.pass());
        assert!(!is_ready(late.as_mut()), "a place again, but no turn");
    }

    fn is_ready<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.poll(&mut context).is_ready()
    }
}
