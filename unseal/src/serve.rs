//! The unseal server: HTTPS in the manner of the transit engine, in front of AWS KMS.
//!
//! A stock Vault or OpenBao with `seal "transit"` unseals through it, and a stock OpenBao 2.7 signs with AWS KMS keys through it, with no AWS
//! credentials of their own. A client is known by its TLS certificate, by a token, or by both; what it is decides which keys it can reach, and its name is
//! bound to everything that is wrapped for it. Nothing secret is kept, unless a cache of data keys is configured.
//!
//! Whoever is not known has a small budget of sockets, of lines in the logs, and of time; what clients have is their own.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landfast_base::{Secret, hex, sha256};
use landfast_listen::{
    Bounds, Budget, Decision, Ending, LEAST_HEAD, Unwritten, converse, plain, refuse_plain_http,
};
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Environment;
use crate::crypto;
use crate::error::Error;

mod api;
mod audit;
mod cache;
mod clients;
mod config;
mod desk;
mod keys;
mod messages;
mod metrics;
mod options;
mod reply;
mod route;
mod tls;
mod visit;

use audit::Audit;
use clients::Clients;
pub use desk::Desk;
use metrics::Metrics;
pub use options::Options;
use visit::{Places, Visit};

/// A connection has to finish its handshake in this time.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// What a connection may cost, also a client's. No server sends a head of a kilobyte.
const BOUNDS: Bounds = Bounds {
    head_bytes: LEAST_HEAD,
    head: Duration::from_secs(10),
    life: Duration::from_secs(3600),
    farewell: Duration::from_secs(15),
};

/// Connections to the port of metrics.
const OBSERVERS: usize = 16;

/// How often what strangers did beyond their budget is summed up.
const SUM_EVERY: Duration = Duration::from_secs(60);

/// Lines about failed handshakes at once, and a minute on.
const HANDSHAKES_AT_ONCE: u32 = 20;
const HANDSHAKES_PER_MINUTE: u32 = 5;

/// The server, bound to its ports.
pub struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
    metrics: Option<TcpListener>,
}

/// Has a server read its files anew.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

impl Control {
    /// Reads everything anew, as SIGHUP has it done. What cannot be used leaves everything as it was.
    pub async fn reload(&self) {
        self.0.reload().await;
    }

    /// Takes up TLS files that changed, as happens by itself from time to time.
    pub fn refresh_tls(&self) {
        self.0.refresh_tls();
    }
}

/// What all connections share.
struct Shared {
    path: PathBuf,
    environment: Environment,
    options: Options,
    clients: ArcSwap<Clients>,
    tls: ArcSwap<tls::Tls>,
    audit: Audit,
    metrics: Metrics,
    places: Places,
    handshakes: Budget,
    /// Counts what connections have to end for: other TLS files, other clients.
    changed: watch::Sender<u64>,
}

/// A new token for a client, and its SHA-256 in hex for the configuration.
///
/// # Errors
/// No random bytes are to be had.
pub fn new_token() -> Result<(Secret<String>, String), Error> {
    let random = crypto::random_key()?;
    let token = Secret::new(format!(
        "landfast.{}",
        URL_SAFE_NO_PAD.encode(random.expose())
    ));
    let hash = hex(&sha256(token.expose().as_bytes()));
    Ok((token, hash))
}

impl Server {
    /// Reads the configuration and binds the ports. AWS KMS is not called.
    ///
    /// # Errors
    /// The configuration or a file that it names cannot be used, or a port is taken.
    pub async fn bind(
        path: &Path,
        environment: Environment,
        options: Options,
    ) -> Result<Self, Error> {
        let file = config::File::read(path)?;
        let tls = tls::Tls::load(&file.tls, file.certificates_are_mandatory())?;
        let metrics = Metrics::new();
        let clients = Clients::new(&file, &environment, &options).await?;
        let audit = Audit::open(file.audit_log.as_deref())?;
        let bind = async |field: &'static str, address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            bound.map_err(|source| Error::Listen {
                field,
                address,
                source,
            })
        };
        let listener = bind("listen", file.listen).await?;
        let metrics_listener = match file.metrics_listen {
            Some(address) => Some(bind("metrics_listen", address).await?),
            None => None,
        };
        let shared = Shared {
            path: path.to_owned(),
            environment,
            options,
            clients: ArcSwap::from_pointee(clients),
            tls: ArcSwap::from_pointee(tls),
            audit,
            metrics,
            places: Places::new(file.max_connections),
            handshakes: Budget::new(HANDSHAKES_AT_ONCE, HANDSHAKES_PER_MINUTE, Instant::now()),
            changed: watch::Sender::new(0),
        };
        shared.tls.load().report(&shared.metrics);
        Ok(Self {
            shared: Arc::new(shared),
            listener,
            metrics: metrics_listener,
        })
    }

    /// The address that clients connect to.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of metrics, if they are configured.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// What reads files anew without a signal.
    pub fn control(&self) -> Control {
        Control(self.shared.clone())
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
        let shared = self.shared.clone();
        notify(sd_notify::NotifyState::Ready);
        let signals = async move {
            let mut files = interval(shared.tls.load().check_every());
            files.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = term.recv() => break,
                    _ = int.recv() => break,
                    _ = hup.recv() => {
                        shared.reload().await;
                        files = interval(shared.tls.load().check_every());
                    }
                    _ = files.tick() => shared.refresh_tls(),
                }
            }
            notify(sd_notify::NotifyState::Stopping);
            let _ = stop.send(true);
        };
        tokio::join!(signals, self.serve(stopped));
        Ok(())
    }

    /// Serves until `stopped` turns true, then lets requests under way finish.
    pub async fn serve(self, mut stopped: watch::Receiver<bool>) {
        let Self {
            shared,
            listener,
            metrics,
        } = self;
        let mut open = JoinSet::new();
        if let Some(listener) = metrics {
            open.spawn(serve_metrics(shared.clone(), listener, stopped.clone()));
        }
        let mut sums = interval(SUM_EVERY);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = sums.tick() => {
                    shared.sum_up();
                    continue;
                }
                () = until_stopped(&mut stopped) => break,
            };
            let Ok((stream, remote)) = accepted else {
                // Out of file descriptors, most likely: others have to end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            open.spawn(serve_client(
                shared.clone(),
                stream,
                remote,
                stopped.clone(),
            ));
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let _ = timeout(BOUNDS.farewell, async {
            while open.join_next().await.is_some() {}
        })
        .await;
        shared.sum_up();
    }
}

impl Shared {
    /// Reads everything anew. What cannot be used leaves everything as it was.
    async fn reload(&self) {
        notify(sd_notify::NotifyState::Reloading);
        let fresh = async {
            let file = config::File::read(&self.path)?;
            let tls = tls::Tls::load(&file.tls, file.certificates_are_mandatory())?;
            let clients = Clients::new(&file, &self.environment, &self.options).await?;
            self.audit.reopen()?;
            Ok::<_, Error>((tls, clients))
        };
        match fresh.await {
            Ok((tls, clients)) => {
                tls.report(&self.metrics);
                self.tls.store(Arc::new(tls));
                self.clients.store(Arc::new(clients));
                self.end_connections();
                tracing::info!("the configuration was read anew");
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration cannot be used; the old one stays")
            }
        }
        notify(sd_notify::NotifyState::Ready);
    }

    /// Takes up certificate files that somebody renewed.
    fn refresh_tls(&self) {
        match self.tls.load().renewed() {
            Ok(None) => {}
            Ok(Some(fresh)) => {
                fresh.report(&self.metrics);
                self.tls.store(Arc::new(fresh));
                self.end_connections();
                tracing::info!("renewed TLS files are in use");
            }
            Err(error) => {
                tracing::error!(%error, "changed TLS files cannot be used; the old ones stay")
            }
        }
    }

    /// Lets every connection end after the request under way: what it was accepted by may hold no more.
    fn end_connections(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Writes what strangers did beyond their budget.
    fn sum_up(&self) {
        if let Err(error) = self.audit.settle() {
            tracing::error!(%error, "the audit log cannot be written");
        }
        report_handshakes(self.handshakes.settle());
    }

    fn failed_handshake(&self, remote: SocketAddr, reason: &str) {
        self.metrics.failed_handshake();
        if let Decision::Write(unwritten) = self.handshakes.spend(remote.ip(), Instant::now()) {
            report_handshakes(unwritten);
            tracing::info!(%remote, reason, "TLS handshake failed");
        }
    }
}

fn report_handshakes(unwritten: Option<Unwritten>) {
    if let Some(unwritten) = unwritten {
        tracing::info!(
            count = unwritten.count,
            addresses = unwritten.addresses(),
            since = %unwritten.since,
            "more TLS handshakes failed"
        );
    }
}

async fn serve_client(
    shared: Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    mut stopped: watch::Receiver<bool>,
) {
    let Ok(place) = shared.places.stranger(remote) else {
        shared.metrics.refused_connection();
        return;
    };
    // Before anything is loaded, so that no change is missed.
    let mut changed = shared.changed.subscribe();
    let tls = shared.tls.load_full();
    let acceptor = TlsAcceptor::from(tls.server.clone());
    let accepted = tokio::select! {
        accepted = timeout(HANDSHAKE, open(&acceptor, stream)) => accepted,
        () = place.taken() => return shared.metrics.refused_connection(),
        () = until_stopped(&mut stopped) => return,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return shared.failed_handshake(remote, &error.to_string()),
        Err(_) => return shared.failed_handshake(remote, "it took too long"),
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain = chain.iter().cloned().map(CertificateDer::into_owned);
    let visit = Arc::new(Visit::new(remote, place, chain.collect(), tls));
    let clients = shared.clients.load_full();
    if let Some(client) = clients.by_certificate(&visit.peer)
        && visit.admit(&client.name, &shared.places).is_err()
    {
        return shared.metrics.refused_connection();
    }
    let over = async {
        tokio::select! {
            () = until_stopped(&mut stopped) => {}
            _ = changed.changed() => {}
        }
    };
    let ending = converse(stream, &BOUNDS, &visit.place, over, |request| {
        api::handle(shared.clone(), visit.clone(), request)
    });
    if ending.await == Ending::Displaced {
        shared.metrics.refused_connection();
    }
}

/// The handshake. Whoever speaks plain HTTP instead is told, for its operator reads what it says.
async fn open(acceptor: &TlsAcceptor, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    if refuse_plain_http(&mut stream).await? {
        return Err(io::Error::other("the client speaks plain HTTP"));
    }
    acceptor.accept(stream).await
}

async fn serve_metrics(shared: Arc<Shared>, listener: TcpListener, stopped: watch::Receiver<bool>) {
    let limits = landfast_listen::Limits {
        connections: OBSERVERS,
        per_address: OBSERVERS,
        handshake: HANDSHAKE,
        bounds: BOUNDS,
    };
    landfast_listen::serve(listener, &limits, plain, stopped, move |request| {
        let shared = shared.clone();
        async move { api::observe(&shared, request).await }
    })
    .await;
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could stop the server: the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}
