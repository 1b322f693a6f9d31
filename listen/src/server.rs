//! A listener and all of its connections.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Limits;
use crate::connection::converse;
use crate::room::{Room, neighbourhood};

/// When no connection can be accepted: others have to end first, for file descriptors are short, most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// Where connections come from.
pub trait Accept {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address that it is counted for.
    ///
    /// # Errors
    /// The system's; the next call may succeed.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, remote) = self.accept().await?;
        Ok((stream, Some(neighbourhood(remote.ip()))))
    }
}

impl Accept for UnixListener {
    type Io = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        Ok((self.accept().await?.0, None))
    }
}

/// A connection as it is: what [`serve`] opens where there is no TLS.
///
/// # Errors
/// None.
pub async fn plain<S>(stream: S) -> io::Result<S> {
    Ok(stream)
}

/// Answers whoever connects until `stopped` turns true; then requests under way may finish within the time of a farewell.
///
/// `open` makes a stream of requests of a connection: a TLS handshake, or [`plain`]. What it cannot open within its time is closed.
pub async fn serve<L, O, OF, S, B, H, F>(
    listener: L,
    limits: &Limits,
    open: O,
    mut stopped: watch::Receiver<bool>,
    handle: H,
) where
    L: Accept,
    O: Fn(L::Io) -> OF + Send + Sync + 'static,
    OF: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
{
    let room = Room::new(limits.connections, limits.per_address);
    let (open, handle) = (Arc::new(open), Arc::new(handle));
    let (handshake, bounds) = (limits.handshake, limits.bounds);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            () = until(&mut stopped) => break,
        };
        let Ok((stream, address)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = room.enter(address) else {
            continue;
        };
        let (open, handle, mut stopped) = (open.clone(), handle.clone(), stopped.clone());
        connections.spawn(async move {
            let opened = tokio::select! {
                opened = timeout(handshake, open(stream)) => opened,
                () = place.taken() => return,
            };
            match opened {
                Ok(Ok(stream)) => {
                    let over = until(&mut stopped);
                    converse(stream, &bounds, &place, over, |request| handle(request)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a connection could not be opened"),
                Err(_) => tracing::debug!("a connection was not opened in time"),
            }
        });
    }
    drop(listener);
    let _ = timeout(bounds.farewell, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could stop the server: the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
