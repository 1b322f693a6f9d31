//! One thing of the secrets server that is kept: asked for once however many want it, and given out while it is valid and the server is away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::timeout;

/// Whoever could get something that is still valid waits no longer for something newer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// After a call that failed, the next one is made this much later.
const RETRY: Duration = Duration::from_secs(2);

/// Something that ends.
pub(crate) trait Dated {
    /// The second since 1970 from which on it is not given out any more.
    fn valid_until(&self) -> i64;

    /// Whether it is for those only who ask now, and not kept.
    fn passes(&self) -> bool {
        false
    }
}

/// Why there is nothing to give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The server says that there is none.
    Absent,
    /// The server cannot be asked, or its answer is of no use.
    Away(Arc<str>),
}

impl Missing {
    pub(crate) fn away(cause: impl ToString) -> Self {
        Self::Away(cause.to_string().into())
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("the server has none"),
            Self::Away(cause) => f.write_str(cause),
        }
    }
}

/// What was found, and how.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: Arc<T>,
    /// For the audit log: `cache`, `stale` or `server`.
    pub(crate) source: &'static str,
}

type Outcome<T> = Result<Arc<T>, Missing>;

/// A place for one thing.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    held: ArcSwapOption<Held<T>>,
    flight: Mutex<Flight<T>>,
    patience: Duration,
}

#[derive(Debug)]
struct Held<T> {
    value: Arc<T>,
    /// When the server gave it; none if that was another process, so that the server is asked before anything else.
    since: Option<Instant>,
}

/// Where the outcome of a call will stand, and when the call began.
type Running<T> = (watch::Receiver<Option<Outcome<T>>>, Instant);

#[derive(Debug)]
struct Flight<T> {
    /// The call that is under way, and since when.
    running: Option<Running<T>>,
    /// The last call, if it brought nothing.
    failed: Option<(Instant, Missing)>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            held: ArcSwapOption::empty(),
            flight: Mutex::new(Flight {
                running: None,
                failed: None,
            }),
            patience: PATIENCE,
        }
    }
}

impl<T: Dated + Send + Sync + 'static> Slot<T> {
    /// What is held, if it is valid at `now` (seconds since 1970), however old it is.
    pub(crate) fn held(&self, now: i64) -> Option<Arc<T>> {
        let held = self.held.load();
        let value = &held.as_ref()?.value;
        (now < value.valid_until()).then(|| value.clone())
    }

    /// Holds what another process got of the server, until this one gets something itself.
    pub(crate) fn restore(&self, value: Arc<T>) {
        let held = Arc::new(Held { value, since: None });
        self.held.store(Some(held));
    }

    /// What is held, if it is valid and not older than `fresh`.
    pub(crate) fn fresh(&self, fresh: Duration, now: i64) -> Option<Arc<T>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        let young = held.since.is_some_and(|since| since.elapsed() < fresh);
        let good = young && now < held.value.valid_until();
        good.then(|| held.value.clone())
    }

    /// What is held if it is not older than `fresh`; else what `load` brings. While that takes long, or fails, what is held is given out as long as it is
    /// valid. `load` gets what is held, valid or not; of several who want it at one time only one asks.
    pub(crate) async fn get<F>(
        self: &Arc<Self>,
        fresh: Duration,
        now: i64,
        load: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Found<T>, Missing>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        if let Some(value) = self.fresh(fresh, now) {
            return Ok(Found {
                value,
                source: "cache",
            });
        }
        let stale = self.held(now).map(|value| Found {
            value,
            source: "stale",
        });
        let asked = Instant::now();
        let (mut running, began) = match self.board(fresh, load) {
            Ok(running) => running,
            Err(missing) => return stale.ok_or(missing),
        };
        let arrival = async {
            let outcome = running.wait_for(Option::is_some).await;
            let outcome = outcome.ok().and_then(|outcome| outcome.clone());
            outcome.unwrap_or_else(|| Err(Missing::away("the call was given up")))
        };
        let outcome = match &stale {
            // Of a call that takes long already nobody waits for the rest.
            Some(_) => {
                match timeout(self.patience.saturating_sub(began.elapsed()), arrival).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(Missing::away("the server takes long")),
                }
            }
            None => arrival.await,
        };
        // What ended while it was waited for is over.
        let now = now.saturating_add(asked.elapsed().as_secs().cast_signed());
        let stale = stale.filter(|stale| now < stale.value.valid_until());
        match (outcome, stale) {
            (Ok(value), _) if now < value.valid_until() => Ok(Found {
                value,
                source: "server",
            }),
            (Ok(_), _) => Err(Missing::away("what the server has is over")),
            (Err(Missing::Absent), _) => Err(Missing::Absent),
            (Err(_), Some(stale)) => Ok(stale),
            (Err(missing), None) => Err(missing),
        }
    }

    /// Joins the call that is under way, or starts one.
    ///
    /// # Errors
    /// The last one failed a moment ago.
    fn board<F>(
        self: &Arc<Self>,
        fresh: Duration,
        load: impl FnOnce(Option<Arc<T>>) -> F,
    ) -> Result<Running<T>, Missing>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let mut flight = self.lock();
        if let Some(running) = &flight.running {
            return Ok(running.clone());
        }
        if let Some((at, missing)) = &flight.failed {
            let pause = match missing {
                Missing::Absent => fresh,
                Missing::Away(_) => RETRY,
            };
            if at.elapsed() < pause {
                return Err(missing.clone());
            }
        }
        let (done, running) = watch::channel(None);
        let began = Instant::now();
        flight.running = Some((running.clone(), began));
        drop(flight);
        let before = self.held.load().as_ref().map(|held| held.value.clone());
        let call = load(before);
        let slot = self.clone();
        // A task of its own: whoever asked may go away, and others wait for the same.
        tokio::spawn(async move {
            // A panic in `call` must not leave a call that never ends.
            let landing = Landing(&slot);
            let outcome = call.await;
            landing.note(&outcome);
            drop(landing);
            let _ = done.send(Some(outcome));
        });
        Ok((running, began))
    }

    fn lock(&self) -> MutexGuard<'_, Flight<T>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the call that is under way when it is dropped.
struct Landing<'a, T: Dated + Send + Sync + 'static>(&'a Arc<Slot<T>>);

impl<T: Dated + Send + Sync + 'static> Landing<'_, T> {
    fn note(&self, outcome: &Outcome<T>) {
        let mut flight = self.0.lock();
        flight.failed = None;
        match outcome {
            Ok(value) if value.passes() => {}
            Ok(value) => {
                let (value, since) = (value.clone(), Some(Instant::now()));
                self.0.held.store(Some(Arc::new(Held { value, since })));
            }
            Err(missing) => {
                if *missing == Missing::Absent {
                    self.0.held.store(None);
                }
                flight.failed = Some((Instant::now(), missing.clone()));
            }
        }
    }
}

impl<T: Dated + Send + Sync + 'static> Drop for Landing<'_, T> {
    fn drop(&mut self) {
        self.0.lock().running = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    struct Until(i64);

    impl Dated for Until {
        fn valid_until(&self) -> i64 {
            self.0
        }
    }

    const NOW: i64 = 1000;
    const LONG: Duration = Duration::from_secs(3600);

    async fn put(slot: &Arc<Slot<Until>>, until: i64) {
        slot.get(Duration::ZERO, NOW, |_| async move {
            Ok(Arc::new(Until(until)))
        })
        .await
        .ok();
    }

    #[tokio::test]
    async fn many_who_want_it_at_once_cause_one_call() {
        let slot = Arc::new(Slot::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let (go, gate) = oneshot::channel::<()>();
        let gate = Arc::new(Mutex::new(Some(gate)));
        let ask = || {
            let (slot, calls, gate) = (slot.clone(), calls.clone(), gate.clone());
            tokio::spawn(async move {
                let load = move |_| {
                    calls.fetch_add(1, Ordering::Relaxed);
                    let gate = gate.lock().expect("no panic").take();
                    async move {
                        gate.expect("one call").await.expect("opened");
                        Ok(Arc::new(Until(NOW + 1)))
                    }
                };
                slot.get(LONG, NOW, load).await.expect("found").source
            })
        };
        let all: Vec<_> = (0..50).map(|_| ask()).collect();
        // Whoever asked first goes away; the others get it all the same.
        tokio::task::yield_now().await;
        all[0].abort();
        go.send(()).expect("awaited");
        let mut sources = Vec::new();
        for one in all.into_iter().skip(1) {
            sources.push(one.await.expect("no panic"));
        }
        assert!(sources.iter().all(|source| *source == "server"));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(ask().await.expect("no panic"), "cache");
    }

    #[tokio::test]
    async fn what_is_valid_outlives_a_server_that_is_away_and_what_is_over_does_not() {
        let slot = Arc::new(Slot::default());
        put(&slot, NOW + 10).await;
        let away = |_| async { Err(Missing::away("sealed")) };
        let found = slot.get(Duration::ZERO, NOW, away).await.expect("valid");
        assert_eq!(found.source, "stale");
        // The next one does not ask again at once.
        let never = |_| async { panic!("a moment ago it failed") };
        let found = slot.get(Duration::ZERO, NOW + 9, never).await;
        assert_eq!(found.expect("valid").source, "stale");
        let never = |_| async { panic!("a moment ago it failed") };
        let over = slot.get(Duration::ZERO, NOW + 10, never).await;
        assert_eq!(over.err(), Some(Missing::away("sealed")));
        assert!(slot.held(NOW + 10).is_none() && slot.held(NOW).is_some());
    }

    #[tokio::test]
    async fn what_ends_while_it_is_waited_for_is_not_given_out() {
        let long = Duration::from_millis(1100);
        let slot = Arc::new(Slot::default());
        put(&slot, NOW + 1).await;
        let away = |_| async move {
            tokio::time::sleep(long).await;
            Err(Missing::away("sealed"))
        };
        let found = slot.get(Duration::ZERO, NOW, away).await;
        assert_eq!(found.err(), Some(Missing::away("sealed")));
        let slot = Arc::new(Slot::default());
        let late = |_| async move {
            tokio::time::sleep(long).await;
            Ok(Arc::new(Until(NOW + 1)))
        };
        let found = slot.get(LONG, NOW, late).await;
        assert_eq!(
            found.err(),
            Some(Missing::away("what the server has is over"))
        );
    }

    #[tokio::test]
    async fn what_another_process_got_is_never_fresh() {
        let slot = Arc::new(Slot::default());
        slot.restore(Arc::new(Until(NOW + 10)));
        assert!(slot.fresh(LONG, NOW).is_none());
        let away = |_| async { Err(Missing::away("sealed")) };
        let found = slot.get(LONG, NOW, away).await.expect("valid");
        assert_eq!(found.source, "stale");
        let other = Arc::new(Slot::default());
        other.restore(Arc::new(Until(NOW + 10)));
        put(&other, NOW + 20).await;
        assert_eq!(
            other.fresh(LONG, NOW).expect("of the server").0,
            NOW + 20,
            "the server goes first"
        );
    }

    #[tokio::test]
    async fn a_slow_server_holds_nobody_up_who_can_have_something_valid() {
        let slot = Arc::new(Slot {
            patience: Duration::ZERO,
            ..Slot::default()
        });
        put(&slot, NOW + 10).await;
        let (go, gate) = oneshot::channel::<()>();
        let slow = |_| async {
            gate.await.expect("opened");
            Ok(Arc::new(Until(NOW + 20)))
        };
        let found = slot.get(Duration::ZERO, NOW, slow).await.expect("valid");
        assert_eq!(found.source, "stale");
        go.send(()).expect("the call goes on");
        let none = |_| async { panic!("one call is under way") };
        let found = slot.get(Duration::ZERO, NOW + 15, none).await;
        assert_eq!(found.expect("arrives").value.0, NOW + 20);
    }

    #[tokio::test]
    async fn what_is_gone_is_given_out_no_more_and_a_panic_ends_a_call() {
        let slot = Arc::new(Slot::default());
        put(&slot, NOW + 10).await;
        let gone = |_| async { Err(Missing::Absent) };
        let found = slot.get(Duration::ZERO, NOW, gone).await;
        assert_eq!(found.err(), Some(Missing::Absent));
        assert!(slot.held(NOW).is_none());
        let slot = Arc::new(Slot::<Until>::default());
        let broken = |_| async { panic!("on purpose") };
        assert!(slot.get(Duration::ZERO, NOW, broken).await.is_err());
        put(&slot, NOW + 10).await;
        assert!(slot.held(NOW).is_some(), "the next call is made");
    }
}
