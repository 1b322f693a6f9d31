//! The unseal server: HTTPS in the manner of the transit engine, in front of AWS KMS.
//!
//! A stock Vault or OpenBao with `seal "transit"` unseals through it, and a stock OpenBao 2.7 signs with AWS KMS keys through it, with no AWS
//! credentials of their own. A client is known by its TLS certificate, by a token, or by both; what it is decides which keys it can reach, and its name is
//! bound to everything that is wrapped for it. Nothing secret is kept, unless a cache of data keys is configured.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::aws::Limits;
use crate::config::{Environment, OpenRolesAnywhere};
use crate::crypto;
use crate::error::Error;
use crate::secret::Secret;
use crate::wrapper::Digest;

mod api;
mod audit;
mod cache;
mod clients;
mod config;
mod desk;
mod keys;
mod limit;
mod messages;
mod metrics;
mod route;
mod tls;

use audit::Audit;
use clients::{Clients, Peer};
pub use desk::Desk;
use metrics::Metrics;

/// A connection has to finish its handshake in this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A request's head has to arrive in this time.
const HEAD: Duration = Duration::from_secs(10);

/// How long requests under way may take when the server is told to stop.
const FAREWELL: Duration = Duration::from_secs(15);

/// Where the server runs, besides its configuration file.
#[derive(Debug, Default)]
pub struct Options {
    /// Limits of calls to AWS KMS.
    pub limits: Limits,
    /// Who opens sessions of IAM Roles Anywhere, if the configuration asks for one.
    pub roles_anywhere: Option<OpenRolesAnywhere>,
}

/// The server, bound to its ports.
pub struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    connections: Arc<Semaphore>,
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
    let hash = crypto::hash(Digest::Sha256, token.expose().as_bytes());
    Ok((
        token,
        hash.iter().map(|byte| format!("{byte:02x}")).collect(),
    ))
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
        };
        shared.tls.load().report(&shared.metrics);
        Ok(Self {
            shared: Arc::new(shared),
            listener,
            metrics: metrics_listener,
            connections: Arc::new(Semaphore::new(file.max_connections)),
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
            connections,
        } = self;
        let mut open = JoinSet::new();
        if let Some(listener) = metrics {
            open.spawn(serve_metrics(shared.clone(), listener, stopped.clone()));
        }
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = until_stopped(&mut stopped) => break,
            };
            let Ok((stream, remote)) = accepted else {
                // Out of file descriptors, most likely: others have to end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = connections.clone().try_acquire_owned() else {
                shared.metrics.refused_connection();
                continue;
            };
            let (shared, stopped) = (shared.clone(), stopped.clone());
            open.spawn(async move {
                serve_client(shared, stream, remote, stopped).await;
                drop(permit);
            });
            while open.try_join_next().is_some() {}
        }
        drop(listener);
        let _ = timeout(FAREWELL, async {
            while open.join_next().await.is_some() {}
        })
        .await;
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
                tracing::info!("renewed TLS files are in use");
            }
            Err(error) => {
                tracing::error!(%error, "changed TLS files cannot be used; the old ones stay")
            }
        }
    }
}

async fn serve_client(
    shared: Arc<Shared>,
    stream: TcpStream,
    remote: SocketAddr,
    stopped: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(shared.tls.load().server.clone());
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shared.metrics.failed_handshake();
            tracing::info!(%remote, %error, "TLS handshake failed");
            return;
        }
        Err(_) => {
            shared.metrics.failed_handshake();
            return;
        }
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let peer = Arc::new(Peer::new(remote, certificate.map(|der| der.as_ref())));
    serve_http(stream, stopped, move |request| {
        api::handle(shared.clone(), peer.clone(), request)
    })
    .await;
}

async fn serve_metrics(
    shared: Arc<Shared>,
    listener: TcpListener,
    mut stopped: watch::Receiver<bool>,
) {
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until_stopped(&mut stopped) => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        if open.len() >= 16 {
            continue;
        }
        let (shared, stopped) = (shared.clone(), stopped.clone());
        open.spawn(serve_http(stream, stopped, move |request| {
            let shared = shared.clone();
            async move { api::observe(&shared, &request).await }
        }));
    }
}

async fn serve_http<S, H, F>(stream: S, mut stopped: watch::Receiver<bool>, handle: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let response = handle(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(32 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_stopped(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
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
