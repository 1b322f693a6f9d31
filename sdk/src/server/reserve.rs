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
/// How long the second thread rests between its turns while it helps.
const REST: Duration = Duration::from_micros(200);
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
            loop {
                // Whoever was woken by the socket or a timer watches for the next event only when it sleeps again. That would be this thread,
                // which is about to block: the other one has to wake and to take over. Of two tasks one is offered to it, of one none.
                for _ in 0..2 {
                    tokio::spawn(async {});
                }
                let Some(stuck) = hold(&shared, &metrics) else {
                    return;
                };
                // Each turn runs what waits and looks at the socket and the timers. Sleeping until one of them comes would not do: the
                // other thread may be the one that has to watch for that.
                while turns(&metrics) == stuck {
                    std::thread::sleep(REST);
                    tokio::task::yield_now().await;
                }
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

/// How often each thread has gone to sleep and woken: an odd number is one that sleeps.
fn turns(metrics: &RuntimeMetrics) -> Vec<u64> {
    (0..metrics.num_workers())
        .map(|worker| metrics.worker_park_unpark_count(worker))
        .collect()
}

/// Blocks this thread until the others need it, which answers how they stood, or until the end.
fn hold(shared: &Shared, metrics: &RuntimeMetrics) -> Option<Vec<u64>> {
    let turns = || turns(metrics);
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
        // This thread is never among them.
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
    (!*ended).then_some(before)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        thread,
        time::Instant,
    };

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixStream,
        runtime::Runtime,
    };

    use super::*;

    /// Somebody who answers each byte with the next one.
    async fn echo(mut theirs: UnixStream) {
        while let Ok(byte) = theirs.read_u8().await {
            theirs.write_u8(byte.wrapping_add(1)).await.unwrap();
        }
    }

    fn runtime() -> (Runtime, Reserve) {
        let watch = Watch::default();
        let mut builder = Builder::new_multi_thread();
        let builder = watch.of(builder.worker_threads(2).enable_all());
        let runtime = builder.build().unwrap();
        let reserve = watch.keep(runtime.handle());
        (runtime, reserve)
    }

    /// A task that is stuck until told, and one that wants to be run meanwhile.
    fn stuck(runtime: &Runtime, meanwhile: impl FnOnce()) {
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
        meanwhile();
        assert!(!long.is_finished());
        free.store(true, Ordering::SeqCst);
        runtime.block_on(long).unwrap();
    }

    #[test]
    fn a_stuck_thread_is_helped() {
        let (runtime, reserve) = runtime();
        for _ in 0..5 {
            stuck(&runtime, || {});
        }
        drop(reserve);
    }

    #[test]
    fn a_stuck_thread_is_helped_after_a_long_rest() {
        let (runtime, reserve) = runtime();
        while !reserve.0.asleep.load(Ordering::SeqCst) {
            thread::sleep(LOOK);
        }
        stuck(&runtime, || {});
        drop(reserve);
    }

    #[test]
    fn sockets_and_timers_are_watched_whoever_is_kept_back() {
        let (runtime, reserve) = runtime();
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        runtime.spawn(async { echo(UnixStream::from_std(theirs).unwrap()).await });
        let mut ask = || {
            for byte in 0..3 {
                ours.write_all(&[byte]).unwrap();
                let mut next = [0];
                ours.read_exact(&mut next).expect("an answer in time");
                assert_eq!(next[0], byte + 1);
            }
            runtime.block_on(async {
                let timer = tokio::spawn(tokio::time::sleep(Duration::from_millis(1)));
                timer.await.unwrap();
            });
        };
        for round in 0..30 {
            // Each time somebody else may have been the last to wake.
            stuck(&runtime, &mut ask);
            if round % 2 == 0 {
                thread::sleep(2 * LOOK);
            }
            ask();
        }
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
