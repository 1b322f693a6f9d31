//! The server: its ports, its connections, its signals.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use http::Response;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use landfast_listen::{Bounds, Host, LEAST_HEAD, Limits, Room, receive, refuse_plain_http};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{Config, LimitsFile};
use crate::error::Error;
use crate::request::{Reply, Request, Visitor};
use crate::routes::Routes;
use crate::tls::Tls;

/// The server, bound to its ports.
pub struct Server {
    shared: Arc<Shared>,
    doors: Vec<(TcpListener, Option<Tls>)>,
    limits: LimitsFile,
}

/// What all connections share.
struct Shared {
    routes: ArcSwap<Routes>,
}

/// A listener's own.
struct Door {
    shared: Arc<Shared>,
    tls: Option<ArcSwap<Tls>>,
}

impl Server {
    /// Binds the ports. The secrets server is not asked.
    ///
    /// # Errors
    /// The configuration or a file that it names cannot be used, or a port is taken.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        config.check().map_err(Error::Config)?;
        let routes = Routes::new(&config)?;
        let mut doors = Vec::new();
        for listener in &config.listeners {
            let tls = listener.tls.as_ref().map(Tls::load).transpose()?;
            let address = listener.address;
            let bound = TcpListener::bind(address).await;
            let bound = bound.map_err(|source| Error::Listen {
                field: "listeners",
                address,
                source,
            })?;
            doors.push((bound, tls));
        }
        let shared = Shared {
            routes: ArcSwap::from_pointee(routes),
        };
        Ok(Self {
            shared: Arc::new(shared),
            doors,
            limits: config.limits,
        })
    }

    /// The addresses that clients connect to, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |(listener, _): &(TcpListener, _)| listener.local_addr().ok();
        self.doors.iter().filter_map(address).collect()
    }

    /// Serves until SIGTERM or SIGINT. Tells systemd about it.
    ///
    /// # Errors
    /// Signals cannot be awaited.
    pub async fn run(self) -> io::Result<()> {
        let (stop, stopped) = watch::channel(false);
        let (mut term, mut int) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        notify(sd_notify::NotifyState::Ready);
        let signals = async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
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
        for (listener, tls) in self.doors {
            let door = Door {
                shared: self.shared.clone(),
                tls: tls.map(ArcSwap::from_pointee),
            };
            let (limits, room, stopped) = (limits.clone(), room.clone(), stopped.clone());
            open.spawn(
                async move { receive(listener, &limits, &room, Arc::new(door), stopped).await },
            );
        }
        while open.join_next().await.is_some() {}
    }
}

impl Host<TcpStream> for Door {
    type Stream = Stream;
    type Guest = Visitor;
    type Body = Full<Bytes>;

    async fn open(
        &self,
        mut stream: TcpStream,
        remote: Option<SocketAddr>,
    ) -> io::Result<(Stream, Visitor)> {
        let remote = remote.ok_or(io::ErrorKind::AddrNotAvailable)?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            let visitor = Visitor {
                remote,
                secure: false,
                chain: Vec::new(),
            };
            return Ok((Stream::Plain(stream), visitor));
        };
        if refuse_plain_http(&mut stream).await? {
            return Err(io::Error::other("the client speaks plain HTTP"));
        }
        let acceptor = TlsAcceptor::from(tls.load().server.clone());
        let stream = acceptor.accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain
            .iter()
            .cloned()
            .map(CertificateDer::into_owned)
            .collect();
        Ok((
            Stream::Tls(Box::new(stream)),
            Visitor {
                remote,
                secure: true,
                chain,
            },
        ))
    }

    async fn answer(
        &self,
        guest: &Visitor,
        request: http::Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let routes = self.shared.routes.load_full();
        let mut request = Request::new(request, guest);
        let reply = routes.answer(&mut request).await;
        respond(reply)
    }
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// A connection with or without TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd was not told");
    }
}
