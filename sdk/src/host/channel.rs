//! One HTTP/2 connection to the socket on which the host serves a mount.

use std::{
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tower::Service;

use crate::{coalesce::Coalesced, mtls::Identity};

/// How long a connection may take to come up: both ends are on one machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the host could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the mount is closed")]
    Closed,
    #[error("cannot connect to the host: {0}")]
    Connect(#[from] io::Error),
    #[error("the host does not answer")]
    TimedOut,
    #[error("the connection to the host broke: {0}")]
    Http(#[from] hyper::Error),
}

/// A connection that is made again when it breaks. The host's socket stays where it is for the life of the mount.
#[derive(Clone)]
pub(crate) struct HostChannel(Arc<Inner>);

struct Inner {
    path: PathBuf,
    tls: Arc<ClientConfig>,
    state: Mutex<State>,
    /// Held while connecting, so that many waiting calls make one connection.
    connecting: tokio::sync::Mutex<()>,
}

enum State {
    Open(http2::SendRequest<Body>),
    Closed,
}

impl HostChannel {
    /// Connects, and proves that the peer is the host.
    pub(crate) async fn connect(
        path: PathBuf,
        tls: Arc<ClientConfig>,
    ) -> Result<Self, ChannelError> {
        let sender = dial(&path, &tls).await?;
        Ok(Self(Arc::new(Inner {
            path,
            tls,
            state: Mutex::new(State::Open(sender)),
            connecting: tokio::sync::Mutex::default(),
        })))
    }

    /// Closes the connection for good, whoever still holds the channel.
    pub(crate) fn close(&self) {
        *self.0.state() = State::Closed;
    }
}

impl Inner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open connection; `None` when there must be a new one.
    fn open(&self) -> Result<Option<http2::SendRequest<Body>>, ChannelError> {
        match &*self.state() {
            State::Open(sender) => Ok((!sender.is_closed()).then(|| sender.clone())),
            State::Closed => Err(ChannelError::Closed),
        }
    }

    async fn sender(&self) -> Result<http2::SendRequest<Body>, ChannelError> {
        if let Some(sender) = self.open()? {
            return Ok(sender);
        }
        let _connecting = self.connecting.lock().await;
        if let Some(sender) = self.open()? {
            return Ok(sender);
        }
        let sender = dial(&self.path, &self.tls).await?;
        let mut state = self.state();
        match *state {
            State::Closed => Err(ChannelError::Closed),
            State::Open(_) => {
                *state = State::Open(sender.clone());
                Ok(sender)
            }
        }
    }
}

async fn dial(
    path: &PathBuf,
    tls: &Arc<ClientConfig>,
) -> Result<http2::SendRequest<Body>, ChannelError> {
    let connected = tokio::time::timeout(PATIENCE, async {
        let stream = UnixStream::connect(path).await?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(Identity::server_name(), stream)
            .await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(1 << 22)
            .handshake(TokioIo::new(Coalesced::new(stream)))
            .await?;
        // Ends when the host closes the socket or the last sender is dropped; calls under way see the error themselves.
        tokio::spawn(connection);
        Ok(sender)
    });
    connected.await.map_err(|_| ChannelError::TimedOut)?
}

impl Service<http::Request<Body>> for HostChannel {
    type Response = http::Response<Incoming>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match self.0.open() {
            Ok(Some(mut sender)) => {
                let reply = sender.send_request(request);
                Box::pin(async { Ok(reply.await?) })
            }
            Ok(None) => {
                let inner = Arc::clone(&self.0);
                Box::pin(async move { Ok(inner.sender().await?.send_request(request).await?) })
            }
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}
