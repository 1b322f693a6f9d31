//! How long a request keeps the thread that answers it.
//!
//! All mounts of a process are answered by a few threads. A request that computes without a pause keeps one of them from everybody else, so
//! what is known to take long goes through [`apart`], a request with much in it is run there as a whole, and what remains is measured: a turn
//! that took longer than a tenth of a second is told in the log, with the mount and the path.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::RawRequest;

/// A turn that took longer than this is told.
const LONG: Duration = Duration::from_millis(100);
/// A request with more in it than this, in bytes, is run apart.
const LARGE: usize = 32 << 10;
/// Bytes of a path in the log.
const LONGEST_PATH: usize = 200;

/// What is on a thread: for the log, and for what the request starts.
pub(crate) struct Asked {
    mount: String,
    operation: String,
    path: String,
    /// For large requests: as many at a time as this lets through.
    gate: Option<Arc<Semaphore>>,
}

impl Asked {
    /// A request of a client. A large one waits for its turn at the gate.
    pub(crate) fn request(request: &RawRequest, gate: &Arc<Semaphore>) -> Arc<Self> {
        let large = request.path.len() + request.data.len() > LARGE;
        Arc::new(Self {
            mount: request.mount_point.clone(),
            operation: request.operation.clone(),
            path: request.path.clone(),
            gate: large.then(|| Arc::clone(gate)),
        })
    }

    /// A call of the host that is no request of a client.
    pub(crate) fn call(operation: &str) -> Arc<Self> {
        Arc::new(Self {
            mount: String::new(),
            operation: operation.to_owned(),
            path: String::new(),
            gate: None,
        })
    }

    /// Says what a turn took when it was long.
    fn note(&self, took: Duration) {
        if took <= LONG {
            return;
        }
        let path = &self.path[..self.path.floor_char_boundary(LONGEST_PATH)];
        tracing::warn!(
            mount = %self.mount,
            operation = %self.operation,
            %path,
            "a request kept a thread of the plugin for {} ms: requests of other mounts may have waited for it",
            took.as_millis()
        );
    }
}

thread_local! {
    /// What this thread does now.
    static PRESENT: RefCell<Option<Arc<Asked>>> = const { RefCell::new(None) };
    /// How much of the present turn was [`apart`].
    static APART: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Puts the former request back when the turn ends, however it ends.
struct Turn(Option<Arc<Asked>>);

impl Turn {
    fn begin(asked: Option<Arc<Asked>>) -> Self {
        APART.set(Duration::ZERO);
        Self(PRESENT.replace(asked))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        PRESENT.set(self.0.take());
    }
}

/// Work of which each turn is measured, and taken apart if it is a large request's.
pub(crate) struct Watched<F> {
    work: Pin<Box<F>>,
    asked: Option<Arc<Asked>>,
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl<F: Future> Watched<F> {
    pub(crate) fn new(asked: Option<Arc<Asked>>, work: F) -> Self {
        Self {
            work: Box::pin(work),
            asked,
            waiting: None,
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let gate = self.asked.as_ref().and_then(|asked| asked.gate.clone());
        let pass = match gate {
            Some(gate) => {
                let waiting = self
                    .waiting
                    .get_or_insert_with(|| Box::pin(gate.acquire_owned()));
                let pass = ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                Some(pass)
            }
            None => None,
        };
        let _turn = Turn::begin(self.asked.clone());
        let begun = Instant::now();
        let work = self.work.as_mut();
        let polled = if pass.is_some() {
            apart(|| work.poll(cx))
        } else {
            work.poll(cx)
        };
        if let Some(asked) = &self.asked {
            asked.note(begun.elapsed().saturating_sub(APART.get()));
        }
        polled
    }
}

/// Runs what takes the processor for longer than some milliseconds, while another thread goes on with the requests that this one has. The caller
/// bounds how much of it runs at a time.
///
/// Outside of the plugin's own runtime, in a test for example, it simply runs.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    let movable = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    let begun = Instant::now();
    let done = if movable {
        tokio::task::block_in_place(work)
    } else {
        work()
    };
    APART.set(APART.get() + begun.elapsed());
    done
}

/// Starts work that goes on to its end even if the request that started it is dropped. It is measured as a part of that request.
pub fn detach<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let asked = PRESENT.with_borrow(Clone::clone);
    tokio::spawn(Watched::new(asked, work))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::logged;

    fn request(path: &str, data: usize) -> RawRequest {
        RawRequest {
            operation: "update".to_owned(),
            path: path.to_owned(),
            data: "x".repeat(data),
            mount_point: "pki/".to_owned(),
            ..RawRequest::default()
        }
    }

    fn run<F: Future>(asked: &Arc<Asked>, work: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        // In the thread of the test, whose log is read.
        runtime.block_on(Watched::new(Some(Arc::clone(asked)), work))
    }

    #[test]
    fn a_long_turn_is_told_with_mount_and_path() {
        let gate = Arc::new(Semaphore::new(1));
        let asked = Asked::request(&request("issue/web\n", 0), &gate);
        let log = logged(|| run(&asked, async { std::thread::sleep(2 * LONG) }));
        for part in [
            "WARN",
            "mount=pki/",
            "operation=update",
            "path=issue/web",
            "kept a thread",
        ] {
            assert!(log.contains(part), "{part}: {log}");
        }
        let long = Asked::request(&request(&"ä".repeat(5000), 0), &gate);
        let log = logged(|| run(&long, async { std::thread::sleep(2 * LONG) }));
        assert!(log.contains("kept a thread") && log.len() < 1000, "{log}");
    }

    #[test]
    fn a_short_turn_and_what_runs_apart_are_not_told() {
        let gate = Arc::new(Semaphore::new(1));
        let asked = Asked::request(&request("issue/web", 0), &gate);
        let log = logged(|| {
            run(&asked, async {});
            run(&asked, async { apart(|| std::thread::sleep(2 * LONG)) });
        });
        assert_eq!(log, "");
    }

    #[test]
    fn a_large_request_keeps_no_thread_and_waits_for_its_turn() {
        let gate = Arc::new(Semaphore::new(1));
        let asked = Asked::request(&request("issue/web", LARGE), &gate);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        runtime.block_on(async {
            let large: Vec<_> = (0..4)
                .map(|_| {
                    let running = Arc::clone(&running);
                    tokio::spawn(Watched::new(Some(Arc::clone(&asked)), async move {
                        use std::sync::atomic::Ordering::SeqCst;
                        assert_eq!(running.fetch_add(1, SeqCst), 0, "two at a time");
                        std::thread::sleep(5 * LONG);
                        running.fetch_sub(1, SeqCst);
                    }))
                })
                .collect();
            // The one thread of the runtime answers meanwhile.
            let small = tokio::spawn(async {}).await;
            small.unwrap();
            assert!(large.iter().any(|task| !task.is_finished()));
            for task in large {
                task.await.unwrap();
            }
        });
    }

    #[tokio::test]
    async fn what_a_request_starts_is_measured_with_it() {
        let gate = Arc::new(Semaphore::new(1));
        let asked = Asked::request(&request("crl/rotate", 0), &gate);
        let path = || PRESENT.with_borrow(|asked| asked.as_ref().map(|one| one.path.clone()));
        let started = Watched::new(
            Some(asked),
            async move { detach(async move { path() }).await },
        );
        assert_eq!(started.await.unwrap().as_deref(), Some("crl/rotate"));
        assert!(PRESENT.with_borrow(Option::is_none));
    }
}
