//! A listener and all of its connections.

use std::error::Error;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
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
use crate::connection::{Ending, converse};
use crate::room::{Place, Room, neighbourhood};

/// When no connection can be accepted: others have to end first, for file descriptors are short, most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// Where connections come from.
pub trait Accept {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address at its other end.
    ///
    /// # Errors
    /// The system's; the next call may succeed.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn next(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (stream, remote) = self.accept().await?;
        Ok((stream, Some(remote)))
    }
}

impl Accept for UnixListener {
    type Io = UnixStream;

    async fn next(&self) -> io::Result<(UnixStream, Option<SocketAddr>)> {
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

/// Who answers the requests of a listener, and knows its guests.
pub trait Host<I>: Send + Sync + 'static {
    /// A stream of requests.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// What is known of the other end of a connection.
    type Guest: Send + Sync + 'static;
    /// The body of an answer.
    type Body: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Makes a stream of requests of a connection: a TLS handshake, or nothing.
    ///
    /// # Errors
    /// The connection is of no use, and is closed.
    fn open(
        &self,
        connection: I,
        remote: Option<SocketAddr>,
    ) -> impl Future<Output = io::Result<(Self::Stream, Self::Guest)>> + Send;

    /// Answers a request.
    fn answer(
        &self,
        guest: &Self::Guest,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Ends when a guest's connection is to take no further request.
    fn over(&self, _guest: &Self::Guest) -> impl Future<Output = ()> + Send {
        pending()
    }

    /// A connection got no place, or lost it to another.
    fn turned_away(&self) {}

    /// A connection could not be opened.
    fn failed(&self, _remote: Option<SocketAddr>, reason: &str) {
        tracing::debug!(reason, "a connection could not be opened");
    }
}

/// A [`Host`] of two functions.
struct Functions<O, H> {
    open: O,
    handle: H,
}

impl<I, O, OF, S, B, H, F> Host<I> for Functions<O, H>
where
    I: Send,
    O: Fn(I) -> OF + Send + Sync + 'static,
    OF: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
{
    type Stream = S;
    type Guest = ();
    type Body = B;

    fn open(
        &self,
        connection: I,
        _remote: Option<SocketAddr>,
    ) -> impl Future<Output = io::Result<(S, ())>> + Send {
        let opened = (self.open)(connection);
        async { Ok((opened.await?, ())) }
    }

    fn answer(
        &self,
        _guest: &(),
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<B>> + Send {
        (self.handle)(request)
    }
}

/// Answers whoever connects until `stopped` turns true; then requests under way may finish within the time of a farewell.
///
/// `open` makes a stream of requests of a connection: a TLS handshake, or [`plain`]. What it cannot open within its time is closed.
pub async fn serve<L, O, OF, S, B, H, F>(
    listener: L,
    limits: &Limits,
    open: O,
    stopped: watch::Receiver<bool>,
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
    receive(
        listener,
        limits,
        &room,
        Arc::new(Functions { open, handle }),
        stopped,
    )
    .await;
}

/// As [`serve`], for a host that knows its guests, and a room that several listeners may share.
pub async fn receive<L, T>(
    listener: L,
    limits: &Limits,
    room: &Room<Option<IpAddr>>,
    host: Arc<T>,
    mut stopped: watch::Receiver<bool>,
) where
    L: Accept,
    T: Host<L::Io>,
{
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.next() => accepted,
            () = until(&mut stopped) => break,
        };
        let Ok((stream, remote)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let address = remote.map(|remote| neighbourhood(remote.ip()));
        let Ok(place) = room.enter(address) else {
            host.turned_away();
            continue;
        };
        let (host, limits, stopped) = (host.clone(), limits.clone(), stopped.clone());
        connections.spawn(visit(host, stream, remote, limits, place, stopped));
    }
    drop(listener);
    let _ = timeout(limits.bounds.farewell, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
}

/// One connection from its first byte to its last.
async fn visit<I, T: Host<I>>(
    host: Arc<T>,
    stream: I,
    remote: Option<SocketAddr>,
    limits: Limits,
    place: Place<Option<IpAddr>>,
    mut stopped: watch::Receiver<bool>,
) {
    let opened = tokio::select! {
        opened = timeout(limits.handshake, host.open(stream, remote)) => opened,
        () = place.taken() => return host.turned_away(),
    };
    let (stream, guest) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return host.failed(remote, &error.to_string()),
        Err(_) => return host.failed(remote, "it took too long"),
    };
    let over = async {
        tokio::select! {
            () = until(&mut stopped) => {}
            () = host.over(&guest) => {}
        }
    };
    let answer = |request| host.answer(&guest, request);
    if converse(stream, &limits.bounds, &place, over, answer).await == Ending::Displaced {
        host.turned_away();
    }
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could stop the server: the same.
    let _ = stopped.wait_for(|stop| *stop).await;
}
