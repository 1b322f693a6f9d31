//! How long a request keeps the thread that answers it.
//!
//! All mounts of a process are answered by a few threads. A request that computes without a pause keeps one of them from everybody else, so
//! what is known to take long goes through [`apart`], and what has much in it is run there as a whole: a large request from its beginning, and
//! another one from when it has taken up much ([`carry`]). What remains is measured: a turn that took longer than a tenth of a second is told in
//! the log, with the mount and the path.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Notify;

pub(crate) use self::turns::Turns;
use self::turns::Waiting;
use super::{LeaseContext, Operation, RawRequest};

mod lines;
mod turns;

/// A turn that took longer than this is told.
const LONG: Duration = Duration::from_millis(100);
/// A request with more in it than this, in bytes, is run apart; so is what follows when it has taken up as much.
pub(crate) const LARGE: usize = 32 << 10;
/// Bytes of a path in the log.
const LONGEST_PATH: usize = 200;

/// What is on a thread: for the log, and for what the request starts.
pub(crate) struct Asked {
    /// The request's id, by which the audit log knows it too.
    id: String,
    mount: String,
    operation: String,
    path: String,
    /// The request has shown no token.
    stranger: bool,
    /// It has much in it, so that each of its turns is taken apart.
    large: bool,
    /// Bytes that it has taken up since it was last apart.
    carried: AtomicUsize,
    /// Nobody waits for the answer any more.
    given_up: AtomicBool,
    /// Made by the first that waits for that: most requests have none.
    going: OnceLock<Notify>,
    turns: Arc<Turns>,
}

impl Asked {
    /// A request of a client, in a message of so many bytes.
    pub(crate) fn request(request: &RawRequest, size: usize, turns: &Arc<Turns>) -> Arc<Self> {
        Arc::new(Self {
            id: request.id.clone(),
            mount: request.mount_point.clone(),
            operation: request.operation.clone(),
            path: request.path.clone(),
            stranger: request.unauthenticated,
            large: size > LARGE,
            carried: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            going: OnceLock::new(),
            turns: Arc::clone(turns),
        })
    }

    /// A call of the host that is no request of a client.
    pub(crate) fn call(operation: &str, turns: &Arc<Turns>) -> Arc<Self> {
        let request = RawRequest {
            operation: operation.to_owned(),
            ..RawRequest::default()
        };
        Self::request(&request, 0, turns)
    }

    /// A request to end what this one has made.
    fn revocation(&self, lease: LeaseContext) -> RawRequest {
        RawRequest {
            id: self.id.clone(),
            operation: Operation::Revoke.name().to_owned(),
            path: self.path.clone(),
            data: "{}".to_owned(),
            mount_point: self.mount.clone(),
            lease: Some(lease),
            ..RawRequest::default()
        }
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        // Either this sees that somebody waits, or who waits sees that it has happened.
        fence(Ordering::SeqCst);
        if let Some(going) = self.going.get() {
            going.notify_waiters();
        }
    }

    /// Whether the next turn is to be taken apart.
    fn is_laden(&self) -> bool {
        self.large || self.carried.load(Ordering::Relaxed) > LARGE
    }

    /// Says what a turn took when it was long.
    fn note(&self, took: Duration) {
        if took <= LONG || self.stranger && !self.turns.lines().take(&self.mount) {
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

/// Whoever waits for the answer to a request: long work looks now and then whether somebody still does.
#[derive(Clone, Default)]
pub struct Caller(Option<Arc<Asked>>);

impl Caller {
    /// The caller of the request that is being handled; one that never goes where there is none, in a test for example.
    #[must_use]
    pub fn present() -> Self {
        Self(PRESENT.with_borrow(Clone::clone))
    }

    /// Whether the host gave the request up, as it does when its client has gone. Only what could be left undone as a whole may be left then: no host
    /// tells the client anything of it.
    #[must_use]
    pub fn has_gone(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|asked| asked.given_up.load(Ordering::Relaxed))
    }

    /// Waits until the caller has gone; for ever where it never does.
    pub async fn gone(&self) {
        let Some(asked) = &self.0 else {
            return std::future::pending().await;
        };
        let going = asked.going.get_or_init(Notify::new);
        let mut notified = std::pin::pin!(going.notified());
        notified.as_mut().enable();
        fence(Ordering::SeqCst);
        if !self.has_gone() {
            notified.await;
        }
    }

    /// A request to end a lease that the caller has left behind; `None` while it is there.
    pub(crate) fn revocation(&self, lease: LeaseContext) -> Option<RawRequest> {
        let asked = self.0.as_ref().filter(|_| self.has_gone())?;
        Some(asked.revocation(lease))
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Caller").field(&self.has_gone()).finish()
    }
}

/// Tells the mount and the id of the request that this thread is at, if it is at one: what is logged meanwhile is of it.
pub(crate) fn at_present(tell: impl FnOnce(&str, &str)) {
    // Whoever logs while the request changes hands is of none.
    let _ = PRESENT.try_with(|present| {
        if let Ok(present) = present.try_borrow()
            && let Some(asked) = &*present
        {
            tell(&asked.mount, &asked.id);
        }
    });
}

/// Held by whoever waits for a request; says so when it is dropped.
pub(crate) struct Waits(pub(crate) Option<Arc<Asked>>);

impl Drop for Waits {
    fn drop(&mut self) {
        if let Some(asked) = &self.0 {
            asked.give_up();
        }
    }
}

thread_local! {
    /// What this thread does now.
    static PRESENT: RefCell<Option<Arc<Asked>>> = const { RefCell::new(None) };
    /// Whether the present turn is taken apart as a whole.
    static WHOLE: Cell<bool> = const { Cell::new(false) };
    /// How much of the present turn was [`apart`].
    static APART: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Puts the former request back when the turn ends, however it ends.
struct Turn(Option<Arc<Asked>>, bool);

impl Turn {
    fn begin(asked: Option<Arc<Asked>>, whole: bool) -> Self {
        APART.set(Duration::ZERO);
        Self(PRESENT.replace(asked), WHOLE.replace(whole))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        PRESENT.set(self.0.take());
        WHOLE.set(self.1);
    }
}

/// Work of which each turn is measured, and taken apart if there is much in it.
pub(crate) struct Watched<F> {
    work: Pin<Box<F>>,
    asked: Option<Arc<Asked>>,
    waiting: Option<Waiting>,
}

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
        let this = &mut *self;
        let pass = match &this.asked {
            Some(asked) if this.waiting.is_some() || asked.is_laden() => {
                let next = || asked.turns.next(asked.stranger);
                let pass = ready!(this.waiting.get_or_insert_with(next).as_mut().poll(cx));
                this.waiting = None;
                asked.carried.store(0, Ordering::Relaxed);
                Some(pass)
            }
            _ => None,
        };
        let _turn = Turn::begin(this.asked.clone(), pass.is_some());
        let begun = Instant::now();
        let work = this.work.as_mut();
        let polled = if pass.is_some() {
            apart(|| work.poll(cx))
        } else {
            work.poll(cx)
        };
        if let Some(asked) = &this.asked {
            asked.note(begun.elapsed().saturating_sub(APART.get()));
        }
        polled
    }
}

/// To be awaited by who takes up so many bytes that were made before, to look at all of them or to answer with them. Small numbers add up; when it
/// is much, the request goes on apart, as soon as it is its turn there.
///
/// What is read from storage is counted already.
pub async fn carry(bytes: usize) {
    if is_much(bytes) {
        // What follows is another turn.
        tokio::task::yield_now().await;
    }
}

fn is_much(bytes: usize) -> bool {
    let much = |asked: &Arc<Asked>| {
        let before = asked.carried.fetch_add(bytes, Ordering::Relaxed);
        before.saturating_add(bytes) > LARGE
    };
    !WHOLE.get() && PRESENT.with_borrow(|asked| asked.as_ref().is_some_and(much))
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

#[cfg(test)]
mod tests;
