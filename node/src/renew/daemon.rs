//! Renewals for years: a loop that no single error ends.
//!
//! The loop knows time, files, server and signals only through
//! [`Surroundings`], so that a test can play a year in a moment.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use landfast_base::random;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::enroll::{Outcome, Standing};

use super::schedule::Schedule;
use super::textfile::Status;
use super::{RenewError, Renewer, When};

/// The pair and the clock are looked at this often: a clock that was set, a
/// machine that slept and a file that was removed are then noticed.
const LOOK: Duration = Duration::from_secs(60);

/// Why a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time is over.
    Time,
    /// Renew now.
    Renew,
    /// Stop.
    Stop,
}

/// What the loop lives in.
pub trait Surroundings {
    /// The time.
    fn now(&self) -> Timestamp;
    /// A number from 0 to 1, by chance.
    fn share(&self) -> f64;
    /// How the pair in place stands.
    fn standing(&self) -> Standing;
    /// Renews.
    fn renew(&mut self, when: When) -> impl Future<Output = Result<Outcome, RenewError>>;
    /// Waits, at most this long.
    fn pause(&mut self, longest: Duration) -> impl Future<Output = Wake>;
    /// Tells how things stand; called at every turn.
    fn report(&mut self, status: &Status);
}

/// Runs until a [`Wake::Stop`].
pub async fn run(surroundings: &mut impl Surroundings, mut schedule: Schedule, node: &str) {
    let mut status = Status {
        node: node.to_owned(),
        ..Status::default()
    };
    schedule.succeeded(surroundings.share());
    // What a signal asked for is wanted until it is done; only the first
    // attempt does not wait for its turn.
    let mut when = When::Due;
    let mut at_once = false;
    loop {
        let now = surroundings.now();
        let (standing, next) = look(surroundings, now, &schedule, when, &mut status);
        if !at_once && now < next {
            let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            match surroundings.pause(left.min(LOOK)).await {
                Wake::Time => {}
                Wake::Renew => (when, at_once) = (When::Now, true),
                Wake::Stop => return,
            }
            continue;
        }
        at_once = false;
        if let Standing::Unusable(reason) = &standing {
            tracing::warn!(reason, "no usable certificate is in place");
        }
        let outcome = surroundings.renew(when).await;
        if outcome.is_ok() {
            when = When::Due;
        }
        let now = surroundings.now();
        match outcome {
            Ok(Outcome::Kept(_)) => schedule.succeeded(surroundings.share()),
            Ok(Outcome::Issued {
                certificate,
                warnings,
                ..
            }) => {
                schedule.succeeded(surroundings.share());
                status.renewed += 1;
                status.last_success = Some(now);
                tracing::info!(
                    serial = %certificate.serial(),
                    until = %certificate.not_after(),
                    "renewed"
                );
                for warning in warnings {
                    tracing::warn!(
                        rule = warning.rule,
                        remedy = warning.remedy,
                        "{}",
                        warning.problem
                    );
                }
            }
            Err(error) => {
                status.failed += 1;
                let standing = surroundings.standing();
                let retry =
                    schedule.failed(error.is_temporary(), &standing, now, surroundings.share());
                tracing::error!(%error, again = %retry, "not renewed");
            }
        }
        look(surroundings, now, &schedule, when, &mut status);
        // A certificate that is due as soon as it is issued, or a clock that is
        // wrong, must not make a storm of renewals; and a signal is heard.
        match surroundings.pause(Duration::from_secs(1)).await {
            Wake::Time => {}
            Wake::Renew => (when, at_once) = (When::Now, true),
            Wake::Stop => return,
        }
    }
}

/// Looks at the pair and tells how things stand. What is due at once is due at
/// `now`, so the caller must compare with the same moment.
fn look(
    surroundings: &mut impl Surroundings,
    now: Timestamp,
    schedule: &Schedule,
    when: When,
    status: &mut Status,
) -> (Standing, Timestamp) {
    let standing = surroundings.standing();
    let next = match when {
        When::Due => schedule.next(&standing, now),
        When::Now | When::NewKey => schedule.again(now),
    };
    status.look_at(&standing);
    status.next = Some(next);
    status.failures_in_a_row = schedule.failures();
    surroundings.report(status);
    (standing, next)
}

/// This process, with its signals and its service manager.
pub struct Process {
    renewer: Renewer,
    textfile: Option<PathBuf>,
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
    watchdog: Option<Duration>,
    ready: bool,
    told: Option<Status>,
}

impl Process {
    /// Takes over SIGHUP, SIGTERM and SIGINT.
    ///
    /// # Errors
    /// The system's, when a signal cannot be handled.
    pub fn new(renewer: Renewer, textfile: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            renewer,
            textfile,
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            watchdog: sd_notify::watchdog_enabled(),
            ready: false,
            told: None,
        })
    }
}

impl Surroundings for Process {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn share(&self) -> f64 {
        // Without randomness the middle is as good as any place.
        random::<4>().map_or(0.5, |bytes| {
            f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
        })
    }

    fn standing(&self) -> Standing {
        self.renewer
            .enrolment
            .standing(self.renewer.due, Timestamp::now())
    }

    async fn renew(&mut self, when: When) -> Result<Outcome, RenewError> {
        let attempt = self.renewer.attempt(when, Timestamp::now())?;
        self.renewer.run(attempt).await
    }

    async fn pause(&mut self, longest: Duration) -> Wake {
        let longest = self
            .watchdog
            .map_or(longest, |watchdog| longest.min(watchdog / 3));
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wake::Stop,
            _ = self.interrupt.recv() => Wake::Stop,
            _ = self.reload.recv() => Wake::Renew,
            () = tokio::time::sleep(longest) => Wake::Time,
        }
    }

    fn report(&mut self, status: &Status) {
        let text = match (status.dates, status.next) {
            (Some((_, until)), Some(next)) => {
                format!("certificate valid until {until}, next renewal {next}")
            }
            _ => "no usable certificate".to_owned(),
        };
        let mut states = vec![NotifyState::Watchdog, NotifyState::Status(&text)];
        if !self.ready {
            states.push(NotifyState::Ready);
        }
        if let Err(error) = sd_notify::notify(&states) {
            tracing::warn!(%error, "the service manager was not told");
        }
        self.ready = true;
        let news = self.told.as_ref() != Some(status);
        if let Some(path) = self.textfile.as_deref().filter(|_| news) {
            match status.write(path) {
                Ok(()) => self.told = Some(status.clone()),
                Err(error) => tracing::warn!(%error, "the textfile was not written"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nobody is left to tell if this fails.
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use landfast_pki::Certificate;

    use super::*;
    use crate::enroll::{Due, EnrolError};
    use crate::renew::schedule::tests::leaf;
    use crate::vault::VaultError;

    const HOUR: i64 = 3600;

    /// A node whose certificates live a day, in a world where only what the
    /// test says goes wrong. Times are seconds since the start.
    struct World {
        start: Timestamp,
        now: Timestamp,
        looks: std::cell::Cell<i64>,
        end: i64,
        in_place: Option<Certificate>,
        /// From and until when the server is sealed.
        sealed: std::ops::Range<i64>,
        /// When the machine sleeps, and until when.
        asleep: std::ops::Range<i64>,
        signals: Vec<(i64, Wake)>,
        renewals: Vec<i64>,
        attempts: Vec<i64>,
        last: Status,
    }

    impl World {
        fn new(hours: i64) -> Self {
            let start: Timestamp = "2026-09-01T00:00:00Z".parse().unwrap();
            Self {
                start,
                now: start,
                looks: std::cell::Cell::new(0),
                end: hours * HOUR,
                in_place: None,
                sealed: 0..0,
                asleep: 0..0,
                signals: Vec::new(),
                renewals: Vec::new(),
                attempts: Vec::new(),
                last: Status::default(),
            }
        }

        fn elapsed(&self) -> i64 {
            self.now().duration_since(self.start).as_secs()
        }

        fn live(mut self) -> Self {
            let schedule = Schedule::new(Due::default());
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap()
                .block_on(run(&mut self, schedule, "node-1"));
            self
        }
    }

    impl Surroundings for World {
        fn now(&self) -> Timestamp {
            // Time goes on between two looks at the clock.
            self.looks.set(self.looks.get() + 1);
            self.now + SignedDuration::from_nanos(self.looks.get())
        }

        fn share(&self) -> f64 {
            1.0
        }

        fn standing(&self) -> Standing {
            match &self.in_place {
                None => Standing::Unusable("no such file".into()),
                Some(leaf) if self.now() > leaf.not_after() => Standing::Unusable("ended".into()),
                Some(leaf) if self.now() >= Due::default().at(leaf) => Standing::Due(leaf.clone()),
                Some(leaf) => Standing::Good(leaf.clone()),
            }
        }

        async fn renew(&mut self, when: When) -> Result<Outcome, RenewError> {
            self.attempts.push(self.elapsed());
            if self.sealed.contains(&self.elapsed()) {
                let sealed = VaultError::Sealed(String::new());
                return Err(EnrolError::Vault(sealed).into());
            }
            if let (When::Due, Standing::Good(leaf)) = (when, self.standing()) {
                return Ok(Outcome::Kept(leaf));
            }
            let now = self.now();
            let certificate = leaf(now, now + SignedDuration::from_hours(24));
            self.in_place = Some(certificate.clone());
            self.renewals.push(self.elapsed());
            Ok(Outcome::Issued {
                certificate,
                new_key: false,
                key_type_changed: false,
                warnings: Vec::new(),
            })
        }

        async fn pause(&mut self, longest: Duration) -> Wake {
            assert!(
                longest <= LOOK,
                "the clock is not looked at for {longest:?}"
            );
            self.now += longest;
            if self.asleep.contains(&self.elapsed()) {
                self.now = self.start + SignedDuration::from_secs(self.asleep.end);
            }
            let elapsed = self.elapsed();
            if let Some(at) = self.signals.iter().position(|(at, _)| *at <= elapsed) {
                return self.signals.remove(at).1;
            }
            if elapsed >= self.end {
                Wake::Stop
            } else {
                Wake::Time
            }
        }

        fn report(&mut self, status: &Status) {
            self.last = status.clone();
        }
    }

    fn hours(seconds: &[i64]) -> Vec<i64> {
        seconds.iter().map(|seconds| seconds / HOUR).collect()
    }

    #[test]
    fn a_quiet_month_renews_at_two_thirds_of_each_life() {
        let world = World::new(24 * 30).live();
        assert_eq!(hours(&world.renewals)[..4], [0, 16, 32, 48]);
        assert_eq!(world.renewals.len(), world.attempts.len());
        assert_eq!(world.last.failed, 0);
        assert_eq!(world.last.renewed, 45);
    }

    #[test]
    fn a_server_sealed_for_hours_is_asked_patiently_and_used_when_it_is_back() {
        let mut world = World::new(30);
        world.sealed = 15 * HOUR..20 * HOUR;
        let world = world.live();
        assert_eq!(hours(&world.renewals), [0, 20]);
        let late = world.renewals[1] - 20 * HOUR;
        assert!(late <= 300, "{late} s after the server was back");
        // Four hours at one attempt in five minutes, and the first few faster.
        let asked = world.attempts.len();
        assert!((45..60).contains(&asked), "{asked} attempts");
        assert_eq!(world.last.failures_in_a_row, 0);
        assert!(world.last.failed > 40);
    }

    #[test]
    fn a_certificate_that_ended_meanwhile_is_replaced_without_help() {
        let mut world = World::new(80);
        world.sealed = 10 * HOUR..60 * HOUR;
        let world = world.live();
        assert_eq!(hours(&world.renewals), [0, 60, 76]);
        let mut world = World::new(80);
        world.asleep = 5 * HOUR..70 * HOUR;
        let world = world.live();
        assert_eq!(hours(&world.renewals), [0, 70]);
        assert!(world.renewals[1] - 70 * HOUR <= 60, "{:?}", world.renewals);
    }

    #[test]
    fn what_a_hangup_asked_for_is_not_forgotten_when_it_fails() {
        let mut world = World::new(10);
        world.sealed = 2 * HOUR..3 * HOUR;
        world.signals = vec![(2 * HOUR, Wake::Renew)];
        let world = world.live();
        assert_eq!(hours(&world.renewals), [0, 3]);
        assert_eq!(hours(&world.attempts)[..2], [0, 2]);
        assert!(world.attempts.len() < 30, "{:?}", world.attempts);
    }

    #[test]
    fn a_hangup_renews_now_and_a_stop_stops() {
        let mut world = World::new(1000);
        world.signals = vec![(2 * HOUR, Wake::Renew), (5 * HOUR, Wake::Stop)];
        let world = world.live();
        assert_eq!(hours(&world.renewals), [0, 2]);
        assert_eq!(hours(&[world.elapsed()]), [5]);
        assert_eq!(
            world.last.dates.unwrap().0,
            world.start + SignedDuration::from_secs(world.renewals[1])
        );
    }
}
