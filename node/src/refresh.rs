//! Sessions that are renewed before they end, whatever happens meanwhile.
//!
//! One loop serves the shared credentials file and the local endpoint: it asks
//! for a session, hands it over, and asks again at half of its life. A failure
//! is reported and tried again; it never ends the loop, because the session in
//! place may be good for hours more.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_base::random;
use tokio::sync::Notify;

use crate::provider::{Provider, ProviderError};
use crate::session::Credentials;

/// After the first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// After many of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Never sooner than this after a success: a clock that is wrong could make
/// every session look ended.
const SHORTEST_LIFE: SignedDuration = SignedDuration::from_secs(30);
/// A machine that sleeps stops the timer, not the session's life.
const GLANCE: Duration = Duration::from_secs(60);
/// However many want it, AWS is not asked more often than this.
const FLOOR: Duration = Duration::from_secs(1);

/// Lets a loop that waits ask before its time: somebody wants credentials, and there
/// are none. One nudge or many are the same.
#[derive(Debug, Default)]
pub struct Nudge(Notify);

impl Nudge {
    /// Asks as soon as that may be.
    pub fn give(&self) {
        self.0.notify_one();
    }

    /// Ready when somebody has given it.
    pub async fn given(&self) {
        self.0.notified().await;
    }

    /// Forgets what was wanted before now.
    fn forget(&self) {
        pin!(self.0.notified()).as_mut().enable();
    }

    /// Waits for this long, or for a nudge, but never less than the floor.
    async fn wait(&self, pause: Duration) -> bool {
        tokio::time::sleep(FLOOR.min(pause)).await;
        let rest = pause.saturating_sub(FLOOR);
        tokio::time::timeout(rest, self.given()).await.is_ok()
    }
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble<E> {
    /// There is no session.
    #[error(transparent)]
    Provider(ProviderError),
    /// There is one, and it could not be handed over.
    #[error("{0}")]
    Deliver(E),
}

/// Keeps a session fresh for ever: `deliver` gets each new one, `report` each
/// failure with the pause that follows, which a `nudge` cuts short.
pub async fn keep<E>(
    provider: &Provider,
    clock: impl Fn() -> Timestamp,
    nudge: &Nudge,
    mut deliver: impl FnMut(Credentials) -> Result<(), E>,
    mut report: impl FnMut(&Trouble<E>, Duration),
) -> Infallible {
    let mut failures = 0;
    loop {
        match once(provider, &clock, &mut deliver).await {
            Ok(next) => {
                failures = 0;
                nudge.forget();
                until(next, &clock, nudge).await;
            }
            Err(trouble) => {
                let pause = pause(failures, random::<1>().map_or(0, |[byte]| byte));
                failures += 1;
                report(&trouble, pause);
                nudge.wait(pause).await;
            }
        }
    }
}

/// One session, handed over; the answer is when the next is due.
///
/// # Errors
/// [`Trouble`].
pub async fn once<E>(
    provider: &Provider,
    clock: impl Fn() -> Timestamp,
    deliver: impl FnOnce(Credentials) -> Result<(), E>,
) -> Result<Timestamp, Trouble<E>> {
    let obtained = clock();
    let credentials = provider.fetch(&clock).await.map_err(Trouble::Provider)?;
    let next = due(obtained, credentials.ends());
    deliver(credentials).map_err(Trouble::Deliver)?;
    Ok(next)
}

/// Half of the life, but not at once.
fn due(obtained: Timestamp, expiration: Timestamp) -> Timestamp {
    let half = expiration.duration_since(obtained) / 2;
    obtained + half.max(SHORTEST_LIFE)
}

/// Doubles with each failure; `random` takes up to a quarter off, so that many
/// nodes do not come back in step.
fn pause(failures: u32, random: u8) -> Duration {
    let pause = FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_PAUSE);
    pause - pause.mul_f64(f64::from(random) / 1024.0)
}

async fn until(moment: Timestamp, clock: impl Fn() -> Timestamp, nudge: &Nudge) {
    loop {
        let left = moment.duration_since(clock());
        let Ok(left) = Duration::try_from(left) else {
            return;
        };
        if left.is_zero() || nudge.wait(left.min(GLANCE)).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use landfast_base::arn::{Arn, ArnKind};

    use super::*;
    use crate::provider::Options;
    use crate::session::{Endpoint, SessionRequest};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_session_is_renewed_at_half_of_its_life() {
        let obtained = at("2026-09-01T12:00:00Z");
        assert_eq!(
            due(obtained, at("2026-09-01T13:00:00Z")),
            at("2026-09-01T12:30:00Z")
        );
    }

    #[test]
    fn a_session_that_looks_ended_makes_no_storm() {
        let obtained = at("2026-09-01T12:00:00Z");
        assert_eq!(
            due(obtained, at("2026-09-01T09:00:00Z")),
            at("2026-09-01T12:00:30Z")
        );
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        assert_eq!(pause(0, 0), FIRST_PAUSE);
        assert_eq!(pause(2, 0), FIRST_PAUSE * 4);
        assert_eq!(pause(40, 0), LONGEST_PAUSE);
        assert!(pause(40, 255) < LONGEST_PAUSE);
        assert!(pause(40, 255) > LONGEST_PAUSE * 7 / 10);
    }

    #[tokio::test]
    async fn a_nudge_cuts_a_pause_short_and_never_below_a_second() {
        let took = async |nudge: &Nudge, pause: u64| {
            let start = std::time::Instant::now();
            let nudged = nudge.wait(Duration::from_millis(pause)).await;
            (nudged, start.elapsed())
        };
        let nudge = Nudge::default();
        for _ in 0..100 {
            nudge.give();
        }
        let (nudged, elapsed) = took(&nudge, 300_000).await;
        assert!(nudged && elapsed >= FLOOR, "{elapsed:?}");
        // The hundred were one.
        assert!(!took(&nudge, 1_100).await.0);
        nudge.give();
        nudge.forget();
        assert!(!took(&nudge, 10).await.0, "it was wanted before");
        let later = async {
            tokio::time::sleep(FLOOR + Duration::from_millis(100)).await;
            nudge.give();
        };
        let ((nudged, elapsed), ()) = tokio::join!(took(&nudge, 300_000), later);
        assert!(nudged && elapsed > FLOOR, "{elapsed:?}");
    }

    /// A loop that fails and is nudged all the time: it asks before its pause is over,
    /// and not more than once a second.
    #[tokio::test]
    async fn after_a_failure_whoever_asks_has_it_tried_again() {
        let arn = |kind, text: &str| {
            let text = format!("arn:aws:{text}");
            Arn::parse_as(&text, kind).unwrap()
        };
        let anywhere = "rolesanywhere:us-west-2:111122223333";
        let anchor = arn(ArnKind::TrustAnchor, &format!("{anywhere}:trust-anchor/a"));
        let provider = Provider::new(Options {
            certificate: "/nonexistent/server.pem".into(),
            private_key: "/nonexistent/server.key".into(),
            intermediates: None,
            passphrase: None,
            endpoint: Endpoint::at("http://127.0.0.1:1", "us-west-2").unwrap(),
            request: SessionRequest {
                trust_anchor: anchor,
                profile: arn(ArnKind::Profile, &format!("{anywhere}:profile/p")),
                role: arn(ArnKind::Role, "iam::111122223333:role/r"),
                duration: None,
                session_name: None,
            },
            authorities: None,
            skip_verify: false,
            cache: None,
        });
        let nudge = Nudge::default();
        let start = std::time::Instant::now();
        let mut pauses = Vec::new();
        let deliver = |_| Ok::<(), Infallible>(());
        let report = |_: &Trouble<Infallible>, pause| pauses.push(pause);
        tokio::select! {
            never = keep(&provider, Timestamp::now, &nudge, deliver, report) => match never {},
            () = async {
                // Less than the first pause takes, which is the shortest.
                while start.elapsed() < Duration::from_millis(3500) {
                    nudge.give();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            } => {}
        }
        assert!(pauses.iter().sum::<Duration>() > Duration::from_millis(3500));
        let most = 1 + usize::try_from(start.elapsed().as_secs()).unwrap();
        assert!((2..=most).contains(&pauses.len()), "{pauses:?}");
    }
}
