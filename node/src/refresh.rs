//! Sessions that are renewed before they end, whatever happens meanwhile.
//!
//! One loop serves the shared credentials file and the local endpoint: it asks
//! for a session, hands it over, and asks again at half of its life. A failure
//! is reported and tried again; it never ends the loop, because the session in
//! place may be good for hours more.

use std::convert::Infallible;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::crypto;
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
/// failure with the pause that follows.
pub async fn keep<E>(
    provider: &Provider,
    clock: impl Fn() -> Timestamp,
    mut deliver: impl FnMut(Credentials) -> Result<(), E>,
    mut report: impl FnMut(&Trouble<E>, Duration),
) -> Infallible {
    let mut failures = 0;
    loop {
        match once(provider, &clock, &mut deliver).await {
            Ok(next) => {
                failures = 0;
                until(next, &clock).await;
            }
            Err(trouble) => {
                let pause = pause(failures, crypto::random::<1>().map_or(0, |[byte]| byte));
                failures += 1;
                report(&trouble, pause);
                tokio::time::sleep(pause).await;
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

async fn until(moment: Timestamp, clock: impl Fn() -> Timestamp) {
    loop {
        let left = moment.duration_since(clock());
        let Ok(left) = Duration::try_from(left) else {
            return;
        };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
