//! A second thread that costs nothing until it is needed.
//!
//! With two threads that look for work, nearly every request wakes the other one, which finds nothing: for requests as short as ours that is
//! a quarter of the plugin's processor time. With one, a request that computes longer than it should keeps everybody waiting. So the
//! second thread is kept away from the work by a task that blocks it, and looks every few milliseconds whether the first one has gone
//! to sleep in between. If it has not, it is stuck or has very much to do, and the second one helps for a while.
//!
//! While nobody asks anything, both sleep.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering, fence},
    },
    time::Duration,
};

use tokio::runtime::{Builder, Handle, RuntimeMetrics};

/// How often the first thread is looked at, and so how long others wait for a request that does not end.
const LOOK: Duration = Duration::from_millis(10);
/// How long the second thread helps before it is kept away again.
const HELP: Duration = Duration::from_millis(50);
/// After as many looks at a first thread that sleeps, nobody looks any more until it wakes.
const QUIET: u32 = 20;

/// What becomes a [`Reserve`] once there is a runtime.
#[derive(Default)]
pub(super) struct Watch(Arc<Shared>);

/// Keeps one thread of a runtime back. The runtime can end only after this was dropped.
pub(super) struct Reserve(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ended: Mutex<bool>,
    changed: Condvar,
    /// Nobody looks: whoever wakes has to say so.
    asleep: AtomicBool,
}

impl Shared {
    fn wake(&self) {
        // Taken, so that a look that is about to sleep has slept or has not looked yet.
        drop(self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Watch {
    /// Threads that wake up say so, should nobody look.
    pub(super) fn of<'a>(&self, builder: &'a mut Builder) -> &'a mut Builder {
        let shared = Arc::clone(&self.0);
        builder.on_thread_unpark(move || {
            // The thread has counted its waking before; see `hold`.
            fence(Ordering::SeqCst);
            if shared.asleep.load(Ordering::Relaxed) {
                shared.wake();
            }
        })
    }

    /// Takes a thread of the runtime, which has two or more.
    pub(super) fn keep(self, runtime: &Handle) -> Reserve {
        let shared = Arc::clone(&self.0);
        let metrics = runtime.metrics();
        runtime.spawn(async move {
            while hold(&shared, &metrics) {
                tokio::time::sleep(HELP).await;
            }
        });
        Reserve(self.0)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

/// Blocks this thread until the others need it, which answers `true`, or until the end.
fn hold(shared: &Shared, metrics: &RuntimeMetrics) -> bool {
    let turns = || -> Vec<u64> {
        (0..metrics.num_workers())
            .map(|worker| metrics.worker_park_unpark_count(worker))
            .collect()
    };
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut before, mut quiet) = (turns(), 0);
    while !*ended {
        shared.asleep.store(quiet >= QUIET, Ordering::Relaxed);
        // Either this sees that a thread woke, or that thread sees that nobody looks.
        fence(Ordering::SeqCst);
        ended = if quiet >= QUIET && turns() == before {
            let woken = shared.changed.wait(ended);
            quiet = 0;
            woken.unwrap_or_else(PoisonError::into_inner)
        } else {
            let looked = shared.changed.wait_timeout(ended, LOOK);
            looked.unwrap_or_else(PoisonError::into_inner).0
        };
        let now = turns();
        // An odd number is a thread that sleeps. This one is never counted among them.
        let sleeps = now.iter().any(|count| count % 2 == 1);
        if now != before {
            quiet = 0;
        } else if sleeps {
            quiet += 1;
        } else {
            break;
        }
        before = now;
    }
    shared.asleep.store(false, Ordering::Relaxed);
    !*ended
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use tokio::runtime::Runtime;

    use super::*;

    fn runtime() -> (Runtime, Reserve) {
        let watch = Watch::default();
        let mut builder = Builder::new_multi_thread();
        let builder = watch.of(builder.worker_threads(2).enable_time());
        let runtime = builder.build().unwrap();
        let reserve = watch.keep(runtime.handle());
        (runtime, reserve)
    }

    /// A task that is stuck until told, and one that wants to be run meanwhile.
    fn stuck(runtime: &Runtime) {
        let free = Arc::new(AtomicBool::new(false));
        let (started, begun) = std::sync::mpsc::channel();
        let until = Arc::clone(&free);
        let long = runtime.spawn(async move {
            started.send(()).unwrap();
            while !until.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        begun.recv().unwrap();
        // This ends only if somebody else runs it.
        runtime.block_on(runtime.spawn(async {})).unwrap();
        assert!(!long.is_finished());
        free.store(true, Ordering::SeqCst);
        runtime.block_on(long).unwrap();
    }

    #[test]
    fn a_stuck_thread_is_helped() {
        let (runtime, reserve) = runtime();
        for _ in 0..5 {
            stuck(&runtime);
        }
        drop(reserve);
    }

    #[test]
    fn a_stuck_thread_is_helped_after_a_long_rest() {
        let (runtime, reserve) = runtime();
        while !reserve.0.asleep.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
        stuck(&runtime);
        drop(reserve);
    }

    #[test]
    fn a_runtime_that_has_a_reserve_ends() {
        for rest in [0, 30] {
            let (runtime, reserve) = runtime();
            thread::sleep(Duration::from_millis(rest));
            let begun = Instant::now();
            drop(reserve);
            drop(runtime);
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
    }
}
