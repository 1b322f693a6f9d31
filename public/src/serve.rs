//! The server: its ports and its signals.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use landfast_listen::{Bounds, LEAST_HEAD, Limits, Room, receive};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Config, LimitsFile};
use crate::door::Door;
use crate::error::Error;
use crate::observe;
use crate::shared::{Origin, Shared};
use crate::tls::Tls;

/// How long audit lines wait for others.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// How often what is kept is written to disk.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// How often refusals beyond their budget are summed up.
const SUM_EVERY: Duration = Duration::from_secs(60);

/// The server, bound to its ports.
pub struct Server {
    origin: Origin,
    shared: Arc<Shared>,
    doors: Vec<(TcpListener, Arc<Door>)>,
    metrics: Option<TcpListener>,
    limits: LimitsFile,
    check_every: Duration,
}

impl Server {
    /// Reads the configuration and binds the ports. The secrets server is not asked.
    ///
    /// # Errors
    /// The configuration or a file that it names cannot be used, or a port is taken.
    pub async fn bind(origin: Origin) -> Result<Self, Error> {
        let config = origin.read()?;
        let shared = Arc::new(Shared::new(&config)?);
        let mut doors = Vec::new();
        for listener in &config.listeners {
            let tls = listener.tls.as_ref().map(Tls::load).transpose()?;
            let bound = bind("listeners", listener.address).await?;
            let door = Door::new(shared.clone(), listener.address, tls);
            doors.push((bound, Arc::new(door)));
        }
        let metrics = match config.metrics_listen {
            Some(address) => Some(bind("metrics_listen", address).await?),
            None => None,
        };
        Ok(Self {
            origin,
            shared,
            doors,
            metrics,
            check_every: check_every(&config),
            limits: config.limits,
        })
    }

    /// The addresses that clients connect to, in the order of the configuration, each with whether it is HTTPS.
    pub fn addresses(&self) -> Vec<(SocketAddr, bool)> {
        let address = |(listener, door): &(TcpListener, Arc<Door>)| {
            Some((listener.local_addr().ok()?, door.tls().is_some()))
        };
        self.doors.iter().filter_map(address).collect()
    }

    /// The address of metrics, if they are configured.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves until SIGTERM or SIGINT, and reads the configuration anew on SIGHUP. Tells systemd about it.
    ///
    /// # Errors
    /// Signals cannot be awaited.
    pub async fn run(self) -> io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let (mut term, mut int, mut hup) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        );
        let doors: Vec<_> = self.doors.iter().map(|(_, door)| door.clone()).collect();
        let (origin, shared) = (self.origin.clone(), self.shared.clone());
        let mut files = interval(self.check_every);
        files.set_missed_tick_behavior(MissedTickBehavior::Delay);
        notify(sd_notify::NotifyState::Ready);
        let signals = async move {
            loop {
                tokio::select! {
                    _ = term.recv() => break,
                    _ = int.recv() => break,
                    _ = hup.recv() => reload(&origin, &shared, &doors),
                    _ = files.tick() => doors.iter().for_each(|door| door.refresh_tls()),
                }
            }
            notify(sd_notify::NotifyState::Stopping);
            let _ = stop.send(true);
        };
        tokio::join!(signals, self.serve(stopped));
        Ok(())
    }

    /// Serves until `stopped` turns true, then lets requests under way finish.
    pub async fn serve(self, stopped: watch::Receiver<bool>) {
        let room = Room::new(self.limits.connections, self.limits.connections_per_address);
        let limits = Limits {
            connections: self.limits.connections,
            per_address: self.limits.connections_per_address,
            bounds: Bounds {
                head_bytes: LEAST_HEAD,
                ..Bounds::default()
            },
            ..Limits::default()
        };
        let mut open = JoinSet::new();
        for (listener, door) in self.doors {
            let (limits, room, stopped) = (limits.clone(), room.clone(), stopped.clone());
            open.spawn(async move { receive(listener, &limits, &room, door, stopped).await });
        }
        if let Some(listener) = self.metrics {
            open.spawn(observe::serve(
                self.shared.clone(),
                listener,
                stopped.clone(),
            ));
        }
        let shared = self.shared.clone();
        let chores = async {
            let (mut flush, mut sum) = (interval(FLUSH_EVERY), interval(SUM_EVERY));
            flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = flush.tick() => shared.flush().await,
                    _ = sum.tick() => shared.audit.settle(),
                }
            }
        };
        let saving = async {
            let mut save = interval(SAVE_EVERY);
            save.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                save.tick().await;
                shared.save().await;
            }
        };
        tokio::select! {
            () = chores => {}
            () = saving => {}
            () = async { while open.join_next().await.is_some() {} } => {}
        }
        self.shared.audit.settle();
        self.shared.flush().await;
        self.shared.save().await;
    }
}

async fn bind(field: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| Error::Listen {
        field,
        address,
        source,
    })
}

/// The least of what the listeners want.
fn check_every(config: &Config) -> Duration {
    let files = config
        .listeners
        .iter()
        .filter_map(|listener| listener.tls.as_ref());
    let seconds = files.map(|tls| tls.check_seconds).min();
    Duration::from_secs(seconds.unwrap_or(3600))
}

/// Reads everything anew. What cannot be used leaves everything as it was.
fn reload(origin: &Origin, shared: &Shared, doors: &[Arc<Door>]) {
    notify(sd_notify::NotifyState::Reloading);
    let fresh = || {
        let config = origin.read()?;
        let mut renewed = Vec::new();
        for door in doors {
            let file = config
                .listeners
                .iter()
                .find(|one| one.address == door.address);
            match file.map(|file| (&file.tls, door.tls().is_some())) {
                Some((Some(tls), true)) => renewed.push((door, Tls::load(tls)?)),
                Some((None, false)) => {}
                _ => tracing::warn!(address = %door.address, "listeners change by a restart only"),
            }
        }
        if config.listeners.len() > doors.len() {
            tracing::warn!("listeners are added by a restart only");
        }
        shared.reload(&config)?;
        Ok::<_, Error>(renewed)
    };
    match fresh() {
        Ok(renewed) => {
            for (door, tls) in renewed {
                door.set_tls(tls);
            }
            tracing::info!("the configuration was read anew");
        }
        Err(error) => {
            tracing::error!(%error, "the new configuration cannot be used; the old one stays");
        }
    }
    notify(sd_notify::NotifyState::Ready);
}

fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}
