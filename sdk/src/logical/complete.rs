//! Calls that are run to their end, whoever waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::watch::{Asked, Waits, Watched};

/// Runs a call to its end, whatever becomes of the caller: the host gives a request up by dropping it, and a handler that is dropped
/// half way has written one thing and not the other. `None` when the call panicked, which ends only itself.
///
/// Many calls never wait, as what they need is cached. So the first turn is taken here, and only what is left gets its own task, which
/// holds what `work` makes until its end. Between the two nothing is awaited: a call that has begun cannot be lost.
pub(crate) async fn complete<F, W>(
    asked: Option<Arc<Asked>>,
    work: impl FnOnce() -> W,
    call: F,
) -> Option<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
    W: Send + 'static,
{
    let _waits = Waits(asked.clone());
    let mut future = Watched::new(asked, call);
    let first = std::future::poll_fn(|cx| {
        let turn = AssertUnwindSafe(|| Pin::new(&mut future).poll(cx));
        // The hook has logged a panic.
        Poll::Ready(catch_unwind(turn).map_err(drop))
    });
    match first.await {
        Ok(Poll::Ready(output)) => Some(output),
        Err(()) => None,
        Ok(Poll::Pending) => {
            let work = work();
            let task = tokio::spawn(async move {
                let output = future.await;
                drop(work);
                output
            });
            task.await.ok()
        }
    }
}
