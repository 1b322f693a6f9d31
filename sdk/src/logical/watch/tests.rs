use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::testing::logged;

fn request(path: &str) -> RawRequest {
    RawRequest {
        operation: "update".to_owned(),
        path: path.to_owned(),
        mount_point: "pki/".to_owned(),
        ..RawRequest::default()
    }
}

fn asked(path: &str, size: usize, turns: usize) -> Arc<Asked> {
    Asked::request(&request(path), size, &Turns::new(turns))
}

/// A runtime with one thread that answers.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap()
}

fn run<F: Future>(asked: &Arc<Asked>, work: F) -> F::Output {
    // In the thread of the test, whose log is read.
    runtime().block_on(Watched::new(Some(Arc::clone(asked)), work))
}

fn rest() {
    std::thread::sleep(2 * LONG);
}

#[test]
fn a_long_turn_is_told_with_mount_and_path() {
    let log = logged(|| run(&asked("issue/web\n", 0, 1), async { rest() }));
    for part in [
        "WARN",
        "mount=pki/",
        "operation=update",
        "path=issue/web",
        "kept a thread",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let long = asked(&"ä".repeat(5000), 0, 1);
    let log = logged(|| run(&long, async { rest() }));
    assert!(log.contains("kept a thread") && log.len() < 1000, "{log}");
}

#[test]
fn a_short_turn_and_what_runs_apart_are_not_told() {
    let asked = asked("issue/web", 0, 1);
    let log = logged(|| {
        run(&asked, async {});
        run(&asked, async { apart(rest) });
    });
    assert_eq!(log, "");
}

#[test]
fn requests_without_a_token_cannot_fill_the_log() {
    let turns = Turns::new(1);
    let stranger = RawRequest {
        unauthenticated: true,
        ..request("crl")
    };
    let stranger = Asked::request(&stranger, 0, &turns);
    let known = Asked::request(&request("crl"), 0, &turns);
    let log = logged(|| {
        for _ in 0..100 {
            stranger.note(2 * LONG);
        }
        known.note(2 * LONG);
    });
    assert_eq!(log.lines().count(), 7, "{log}");
}

/// How many ran at a time at most.
#[derive(Default)]
struct Most {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Most {
    fn work(&self) {
        self.most
            .fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(5 * LONG);
        self.now.fetch_sub(1, SeqCst);
    }
}

/// Runs four requests at once that take long after they have taken up `bytes`, and says how many worked at a time. The one thread that answers must
/// be free meanwhile.
fn at_a_time(bytes: usize, asked: impl Fn() -> Arc<Asked>) -> usize {
    let most = Arc::new(Most::default());
    runtime().block_on(async {
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let most = Arc::clone(&most);
                tokio::spawn(Watched::new(Some(asked()), async move {
                    carry(bytes).await;
                    most.work();
                }))
            })
            .collect();
        tokio::spawn(async {}).await.unwrap();
        assert!(tasks.iter().any(|task| !task.is_finished()));
        for task in tasks {
            task.await.unwrap();
        }
    });
    most.most.load(SeqCst)
}

#[test]
fn a_large_request_keeps_no_thread_and_waits_for_its_turn() {
    let turns = Turns::new(1);
    let large = || Asked::request(&request("issue/web"), LARGE + 1, &turns);
    assert_eq!(at_a_time(0, large), 1);
}

#[test]
fn what_has_taken_up_much_keeps_no_thread_and_waits_for_its_turn() {
    let turns = Turns::new(1);
    let small = || Asked::request(&request("roles/large"), 0, &turns);
    assert_eq!(at_a_time(LARGE + 1, small), 1);
}

#[test]
fn strangers_leave_a_turn_to_others() {
    let turns = Turns::new(3);
    let stranger = RawRequest {
        unauthenticated: true,
        ..request("crl")
    };
    let stranger = || Asked::request(&stranger, 0, &turns);
    assert_eq!(at_a_time(LARGE + 1, stranger), 1);
    let known = || Asked::request(&request("crl"), 0, &turns);
    assert!(at_a_time(LARGE + 1, known) > 1);
}

#[test]
fn small_numbers_add_up_and_are_counted_anew_after_a_turn_apart() {
    let whole = || WHOLE.get();
    let seen = run(&asked("certs/detailed", 0, 1), async move {
        let mut seen = Vec::new();
        for _ in 0..6 {
            carry(LARGE / 2).await;
            seen.push(whole());
            // The answer of the storage comes in another turn.
            tokio::task::yield_now().await;
        }
        seen
    });
    assert_eq!(seen, [false, false, true, false, false, true]);
    // Nobody watches: nothing to count.
    assert!(!is_much(usize::MAX));
}

#[test]
fn long_work_hears_that_its_caller_has_gone() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (said, heard) = tokio::sync::oneshot::channel();
        let call = async move {
            tokio::task::yield_now().await;
            let caller = Caller::present();
            assert!(!caller.has_gone());
            caller.gone().await;
            assert!(caller.has_gone());
            // Who asks later need not wait.
            caller.gone().await;
            said.send(()).unwrap();
        };
        let request = super::super::complete(Some(asked("cel/issue/a", 0, 2)), || (), call);
        // As the host gives a request up.
        let waited = tokio::time::timeout(Duration::from_millis(20), request).await;
        assert!(waited.is_err());
        heard.await.unwrap();
    });
    assert!(!Caller::present().has_gone());
}
