//! The process that a host has started: how the two find, trust, use and leave each other.
//!
//! A plugin author needs one line of this module, [`serve`] in `main`. The rest of this page tells what it does, for whoever has to find
//! out why a plugin does not start. The protocol is HashiCorp's go-plugin with gRPC, in the form that Vault (from 1.12) and OpenBao use.
//!
//! # Start
//!
//! The host runs the binary from its plugin directory, after it has compared its SHA-256 with the registered one. It does so when the
//! plugin is registered (only to ask for its version), when a mount is made and at each unseal: a start must be quick and must change
//! nothing. The environment says what the host wants ([`crate::launch`]): a magic cookie that tells a plugin from a program
//! that a person runs, the protocol versions it speaks, and its certificate. The plugin opens a unix socket, in `TMPDIR` or where the host
//! says, and prints one line on stdout:
//!
//! ```text
//! 1|5|unix|/tmp/plugin-5f0c3a9be1d27746|grpc|MIIBXzCCAQagAwIBAgIU...
//! ```
//!
//! These are the version of the line, the version of the protocol (5 for a secrets engine or an auth method, 6 or 5 for a database, 1 for a KMS plugin), the kind and path of the
//! socket, the language spoken there, and the plugin's certificate in base64 without padding. Nothing else is ever written to stdout.
//!
//! When that fails the plugin says why in the host's log and exits with code 1. Most often it is a socket path that is too long:
//! 107 bytes is all that the kernel takes.
//!
//! # Trust
//!
//! Both ends make a key for this one start and hand the certificate to the other, the host through the environment and the plugin in its
//! line. From then on each accepts that one certificate and no other, as server and as client ([`crate::mtls`]). A host that offers no
//! certificate is refused: whoever reaches the socket could command the plugin otherwise.
//!
//! # Use
//!
//! One process serves all mounts of a plugin. Each has an id that comes with every call, and a [`Backend`] value of its own. For a new
//! mount the host opens another socket, on which it serves the storage of that mount and answers questions about itself, announces it on a
//! stream that is called the broker, and calls `Setup`. The plugin connects to that socket, makes the backend with the two
//! ([`Setup`](crate::logical::Setup)), and answers. Then come `Type`, `SpecialPaths` and `Initialize`, and after them the requests: for each
//! request of a client an OpenBao server of 2.7 or later asks first for the canonical path, then for an existence check when
//! something is written, and then for the answer.
//!
//! Requests run concurrently on two threads ([`Options::threads`]), of which the second one helps when the first is held up, each on a task of its own that runs to its end even if the client has given up: a handler is
//! never dropped half way. A handler that panics fails its own request with `internal error`. What takes the processor for longer than a
//! few milliseconds belongs elsewhere ([`crate::logical::apart`]); a request that keeps a thread for a tenth of a second is told in the log.
//!
//! # Log
//!
//! `tracing` events go to the host, one line of JSON each on stderr ([`crate::hclog`]), and appear in its log under the mount's
//! name at their level. The host decides which levels it shows. While a plugin is being registered its log is thrown away.
//!
//! # End
//!
//! The host calls `Cleanup` for a mount that goes away, and `Shutdown` when the last has gone; it kills a process that is still there two
//! seconds later. A request that is under way gets one second to finish. The host can also vanish without a word, so the process ends too
//! when the broker's stream breaks, when its parent process is another, and when nobody has proved to be the host a minute after the start.
//! SIGTERM ends it in order, SIGINT is ignored: an interrupt at the terminal of a server reaches its plugins as well, and the server wants
//! to end them itself. The socket is removed in each of these cases.

mod broker;
mod convert;
mod incoming;
mod infra;
mod life;
mod reserve;
mod secret;

use std::{
    convert::Infallible,
    future::Future,
    io::{self, Write as _},
    num::NonZero,
    pin::Pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::Service as HyperService};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfast_base::random;
use landfast_proto::{
    HEALTH_SERVICE,
    logical::plugin_version_server::{PluginVersionServer, SERVICE_NAME as VERSION},
    multiplexing::plugin_multiplexing_server::{
        PluginMultiplexingServer, SERVICE_NAME as MULTIPLEXING,
    },
    plugin::{
        grpc_broker_server::{GrpcBrokerServer, SERVICE_NAME as BROKER},
        grpc_controller_server::{GrpcControllerServer, SERVICE_NAME as CONTROLLER},
        grpc_stdio_server::{GrpcStdioServer, SERVICE_NAME as STDIO},
    },
};
use rustls::{ClientConfig, ServerConfig};
use tokio::{
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{Status, body::Body};
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
};
use tower::Service as _;
use tracing::Level;

pub use self::life::End;
use self::{
    broker::{Broker, BrokerService},
    infra::{Controller, Multiplexing, Stdio, Version},
    reserve::Watch,
};
pub(crate) use self::{life::Life, secret::multiplex_id};
use crate::{
    coalesce::Coalesced,
    hclog, kms,
    launch::{self, Launch, LaunchError, PluginKind},
    logical::{Backend, MountKind, RawRequest},
    mtls::Identity,
    socket::{Socket, SocketError},
};

/// How long the process waits for a host that proves who it is. A host whose handshake failed may leave the process running.
const FIRST_CONNECTION: Duration = Duration::from_secs(60);
/// How long a connection may take to prove who it is.
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// How long unfinished requests may hold the process back. The host kills after two seconds.
const LAST_WORK: Duration = Duration::from_secs(1);
/// How long the last answers may take to get out.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Threads for the requests unless it is said otherwise. They are short: with a second one ([`reserve`]), a request that is not so keeps nobody
/// from an answer. More would only add memory.
const THREADS: NonZero<usize> = NonZero::new(2).unwrap();
/// How often the parent process is looked at.
const PARENT: Duration = Duration::from_secs(1);

/// What a plugin can say about itself.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Semantic version to report. A host stores a plugin that reports one under that version only, so that a plugin which shall take the
    /// place of a built-in engine without a version must report none.
    pub version: Option<String>,
    /// Kinds that the binary serves beside the one that is being served; see [`Options::also`].
    pub others: Vec<PluginKind>,
    /// Threads that answer; see [`Options::threads`].
    pub threads: Option<NonZero<usize>>,
}

impl Options {
    /// Reports this version; see [`Options::version`].
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Says that the binary serves another kind of plugin as well: who has registered it under a type that it does not serve is told all of them.
    #[must_use]
    pub fn also(mut self, kind: PluginKind) -> Self {
        self.others.push(kind);
        self
    }

    /// Answers on so many threads, two by default. The last of several is kept back until the others are all held up at once, so that short requests
    /// do not pay for it; of one thread nobody helps. More than two pay off where handlers compute much without a pause and cores are free: what
    /// waits for storage, or for another service, holds up no thread. For what blocks a thread there is `tokio::task::spawn_blocking`, whose threads
    /// do not count here, and [`apart`](crate::logical::apart).
    #[must_use]
    pub fn threads(mut self, threads: NonZero<usize>) -> Self {
        self.threads = Some(threads);
        self
    }

    /// All kinds that the binary serves.
    pub(crate) fn served(&self, kind: PluginKind) -> Vec<PluginKind> {
        let mut served = vec![kind];
        served.extend(self.others.iter().filter(|other| **other != kind));
        served
    }
}

/// Why a plugin cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The host asked for something that cannot be served.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The key for the connection to the host cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The operating system refused something else.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
}

/// Serves a secrets engine or an auth method, as [`Backend::KIND`] says, to the host that started this process, until the end of either.
///
/// Call it before any thread is started, and in a binary that serves more kinds when [`crate::launched_as`] says [`PluginKind::Secret`]; it takes
/// over the log, the panic hook and the signals of the process. Started by hand it says so on stderr, and the exit code is 1. Registered under a
/// type that is not served, it tells the host's client which ones are.
pub fn serve<B: Backend>(options: Options) -> ExitCode {
    let kind = kind_of::<B>();
    run_process(kind, &options.served(kind), |launch| {
        Server::backend::<B>(launch, options)
    })
}

fn kind_of<B: Backend>() -> PluginKind {
    match B::KIND {
        MountKind::Secret => PluginKind::Secret,
        MountKind::Auth => PluginKind::Auth,
    }
}

/// Reads the message of a `HandleRequest` call, as the server does for each request: of one without a token, no more than the engine would take. For
/// fuzzing, and for tools that look at traffic.
///
/// # Errors
/// When the bytes are no such message.
pub fn request_from_wire(message: &[u8]) -> Result<RawRequest, prost::DecodeError> {
    incoming::read(message)
}

/// A plugin whose socket is open.
///
/// [`serve`] is all that a plugin needs. This is its inside, for tests and for programs that manage their own process.
pub struct Server {
    handshake: String,
    socket: Socket,
    tls: Arc<ServerConfig>,
    life: Arc<Life>,
    services: Services,
    first_connection: Duration,
    threads: NonZero<usize>,
}

impl Server {
    /// A server of a secrets engine or an auth method.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn backend<B: Backend>(launch: &Launch, options: Options) -> Result<Self, ServeError> {
        let served = options.served(kind_of::<B>());
        Self::bind(launch, options, |life, broker, tls| {
            secret::Secret::<B>::product(served, life, broker, tls)
        })
    }

    /// A server of a KMS plugin.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn kms(
        launch: &Launch,
        options: Options,
        plugin: Arc<dyn kms::Plugin>,
    ) -> Result<Self, ServeError> {
        Self::bind(launch, options, |life, _, _| {
            Arc::new(kms::service::Services::new(life, plugin))
        })
    }

    /// The line by which the host finds the socket, with its line break.
    pub fn handshake_line(&self) -> &str {
        &self.handshake
    }

    /// Serves until the host is done or gone. Returns within two seconds of that.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub async fn run(mut self) -> Result<End, ServeError> {
        let listener = self.socket.listen()?;
        let health = health().await;
        let first = self.first_connection;
        let connections = Life::new();
        let end = {
            let accepting = self.accept(listener, health, &connections);
            let lonely = async {
                tokio::time::sleep(first).await;
                if self.life.is_verified() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                end = self.life.ended() => end,
                () = lonely => End::NoHost,
                error = accepting => return Err(error.into()),
            }
        };
        // No listener any more: the host would take a socket that is left for a sign of life.
        drop(self.socket);
        // Both waits are bounded: a request that hangs must not outlive the host's patience.
        let _ = tokio::time::timeout(LAST_WORK, self.life.idle()).await;
        let _ = tokio::time::timeout(LAST_WORDS, connections.idle()).await;
        self.services.product.close();
        Ok(end)
    }

    /// Opens the socket of a product.
    pub(crate) fn bind(
        launch: &Launch,
        options: Options,
        product: impl FnOnce(Arc<Life>, Arc<Broker>, Arc<ClientConfig>) -> Arc<dyn Product>,
    ) -> Result<Self, ServeError> {
        let identity = Identity::generate()?;
        let name = random().map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
        let socket = Socket::bind(&launch.socket_dir, launch.socket_group.as_deref(), name)?;
        let life = Life::new();
        let broker = Broker::new(Arc::clone(&life));
        let product = product(
            Arc::clone(&life),
            Arc::clone(&broker),
            identity.client(&launch.host_certificate)?,
        );
        Ok(Self {
            handshake: launch.handshake_line(socket.address(), identity.certificate()),
            tls: identity.server(&launch.host_certificate)?,
            services: Services {
                broker: GrpcBrokerServer::new(BrokerService(broker)),
                controller: GrpcControllerServer::new(Controller(Arc::clone(&life))),
                stdio: GrpcStdioServer::new(Stdio),
                multiplexing: PluginMultiplexingServer::new(Multiplexing),
                version: PluginVersionServer::new(Version(options.version.unwrap_or_default())),
                product,
            },
            socket,
            life,
            first_connection: FIRST_CONNECTION,
            threads: options.threads.unwrap_or(THREADS),
        })
    }

    /// Accepts for ever; returns only an error that will not go away.
    async fn accept<H: Health>(
        &self,
        listener: UnixListener,
        health: HealthServer<H>,
        connections: &Life,
    ) -> io::Error {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls));
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // The peer has left again, or descriptors ran out: neither is a reason to leave the host alone.
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidInput {
                        return error;
                    }
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let acceptor = acceptor.clone();
            let (services, health) = (self.services.clone(), health.clone());
            let (life, open) = (Arc::clone(&self.life), connections.work());
            tokio::spawn(async move {
                if let Some(stream) = prove(acceptor, stream).await {
                    life.verified();
                    serve_connection(stream, services, health).await;
                }
                drop(open);
            });
        }
    }
}

/// What one kind of plugin serves beside what all serve.
pub(crate) trait Product: Send + Sync + 'static {
    /// Answers a call; hands it back when its service is another's.
    fn call(&self, request: Request) -> Result<Reply, Box<Request>>;

    /// The process ends.
    fn close(&self);
}

pub(crate) type Request = http::Request<Incoming>;
pub(crate) type Reply =
    Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

/// The service that a call is for: the first part of its path.
pub(crate) fn service_name(request: &Request) -> &str {
    let path = request.uri().path();
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').map_or(path, |(service, _)| service)
}

#[derive(Clone)]
struct Services {
    broker: GrpcBrokerServer<BrokerService>,
    controller: GrpcControllerServer<Controller>,
    stdio: GrpcStdioServer<Stdio>,
    multiplexing: PluginMultiplexingServer<Multiplexing>,
    version: PluginVersionServer<Version>,
    product: Arc<dyn Product>,
}

/// Finds the service of a call. A match on the name does what a general router would, without its layers in the way of each request.
struct Router<H> {
    services: Services,
    health: HealthServer<H>,
}

impl<H: Health> HyperService<Request> for Router<H> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Reply;

    fn call(&self, request: Request) -> Reply {
        let request = match self.services.product.call(request) {
            Ok(reply) => return reply,
            Err(request) => *request,
        };
        match service_name(&request) {
            BROKER => self.services.broker.clone().call(request),
            CONTROLLER => self.services.controller.clone().call(request),
            STDIO => self.services.stdio.clone().call(request),
            MULTIPLEXING => self.services.multiplexing.clone().call(request),
            VERSION => self.services.version.clone().call(request),
            "grpc.health.v1.Health" => self.health.clone().call(request),
            _ => Box::pin(async { Ok(Status::unimplemented("unknown service").into_http()) }),
        }
    }
}

/// The TLS handshake, in which the host proves who it is.
async fn prove(acceptor: TlsAcceptor, stream: UnixStream) -> Option<TlsStream<UnixStream>> {
    match tokio::time::timeout(TLS_HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::warn!(%error, "refused a connection that is not the host's");
            None
        }
        Err(_) => {
            tracing::warn!("refused a connection that did not prove who it is");
            None
        }
    }
}

async fn serve_connection<H: Health>(
    stream: TlsStream<UnixStream>,
    services: Services,
    health: HealthServer<H>,
) {
    let router = Router { services, health };
    let served = http2::Builder::new(TokioExecutor::new())
        .auto_date_header(false)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 22)
        // The peer is the host: it may have as many calls under way, and give up as many, as it likes.
        .max_concurrent_streams(None)
        .max_pending_accept_reset_streams(4096)
        .max_local_error_reset_streams(None)
        .serve_connection(TokioIo::new(Coalesced::new(stream)), router)
        .await;
    // Hosts leave without a word; what was open then shows as an error here.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of the host ended");
    }
}

async fn health() -> HealthServer<impl Health> {
    let (reporter, server) = tonic_health::server::health_reporter();
    reporter
        .set_service_status(HEALTH_SERVICE, ServingStatus::Serving)
        .await;
    server
}

/// The life of a plugin process, from the environment to the exit code.
pub(crate) fn run_process(
    kind: PluginKind,
    served: &[PluginKind],
    bind: impl FnOnce(&Launch) -> Result<Server, ServeError>,
) -> ExitCode {
    let launch = match Launch::from_env(kind) {
        Ok(launch) => launch,
        Err(error @ LaunchError::NotAPlugin) => {
            match launch::launched_as() {
                Some(wanted) => refuse(served, wanted),
                // Only a person reads this one.
                None => drop(writeln!(io::stderr(), "{error}")),
            }
            return ExitCode::FAILURE;
        }
        Err(error) => {
            hclog::write(Level::ERROR, "plugin", &error);
            return ExitCode::FAILURE;
        }
    };
    hclog::init();
    harden(&launch);
    match bind(&launch).and_then(run_server) {
        Ok(end) => {
            tracing::debug!(?end, "the plugin ends");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells a host that wants another kind what there is. It takes the first line on stdout for the handshake, and shows one that is none to its
/// client; its log gets the same.
fn refuse(served: &[PluginKind], wanted: PluginKind) {
    let served = served.to_vec();
    let error = LaunchError::WrongKind { served, wanted };
    hclog::write(Level::ERROR, "plugin", &error);
    let _ = writeln!(io::stdout(), "{error}");
}

fn run_server(server: Server) -> Result<End, ServeError> {
    // Asked while the host waits for the line below: later it may be gone already.
    let parent = std::os::unix::process::parent_id();
    // Before threads are made: the host connects meanwhile, and the socket holds it until they are there.
    let mut stdout = io::stdout().lock();
    stdout.write_all(server.handshake_line().as_bytes())?;
    stdout.flush()?;
    drop(stdout);
    let watch = Watch::default();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let threads = server.threads.get();
    let runtime = watch
        .of(builder.worker_threads(threads).enable_io().enable_time())
        .build()?;
    // Dropped before the runtime, also when something panics.
    let _reserve = (threads > 1).then(|| watch.keep(runtime.handle()));
    let end = runtime.block_on(async {
        watch_process(Arc::clone(&server.life), parent)?;
        server.run().await
    });
    // A key may be half way made on a blocking thread; nobody waits for it any more.
    runtime.shutdown_background();
    end
}

/// Watches for the ways in which a process ends that are not calls.
fn watch_process(life: Arc<Life>, parent: u32) -> io::Result<()> {
    // An interrupt from the terminal goes to the whole process group; the server decides when its plugins end.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut look = tokio::time::interval(PARENT);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => life.end(End::Terminated),
                _ = look.tick() => {
                    if std::os::unix::process::parent_id() != parent {
                        life.end(End::ParentGone);
                    }
                }
            }
        }
    });
    Ok(())
}

/// Keeps the process's memory to itself. What the system does not allow is done without.
fn harden(launch: &Launch) {
    use rustix::{mm, process};
    if let Err(error) = process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable) {
        tracing::debug!(%error, "core dumps cannot be switched off");
    }
    if launch.lock_memory {
        let all = mm::MlockAllFlags::CURRENT | mm::MlockAllFlags::FUTURE;
        if let Err(error) = mm::mlockall(all) {
            tracing::warn!(%error, "memory cannot be locked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Nothing;

    impl kms::Plugin for Nothing {}

    #[tokio::test]
    async fn a_plugin_that_no_host_connects_to_ends() {
        let dir = tempfile::tempdir().unwrap();
        let launch = Launch {
            kind: PluginKind::Kms,
            version: 1,
            host_certificate: Identity::generate().unwrap().certificate().clone(),
            socket_dir: dir.path().into(),
            socket_group: None,
            seventh_field: false,
            lock_memory: false,
        };
        let mut server = Server::kms(&launch, Options::default(), Arc::new(Nothing)).unwrap();
        assert_eq!(server.threads, THREADS);
        server.first_connection = Duration::from_millis(20);
        assert_eq!(server.run().await.unwrap(), End::NoHost);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
