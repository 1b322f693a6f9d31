//! Large messages through sockets with small buffers, under TLS, to a reader that is slow: a stream in memory cannot show what a full socket does.

use std::{
    convert::Infallible,
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::Coalesced;
use crate::mtls::Identity;

/// How many messages go there and back, one after the other. The environment variable `LANDFAST_ROUNDS` has another number.
const ROUNDS: usize = 60;
/// From 16 KiB to 16 MiB, as powers of two.
const SIZES: Range<u32> = 14..24;
/// A message that hangs never comes; one that is only slow on a busy machine comes long before.
const LATE: Duration = Duration::from_secs(60);
/// What the kernel is asked for. It doubles that.
const SOCKET_BUFFER: usize = 8 << 10;

#[tokio::test]
async fn the_end_of_a_large_message_waits_for_nothing_else() {
    let rounds = std::env::var("LANDFAST_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let mut connection = connection().await;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        // As many small ones as large ones.
        let power = SIZES.start + u32::try_from(round).unwrap() % (SIZES.end - SIZES.start);
        let size = (1 << power) + random.below(1 << power);
        let sent = Bytes::from(vec![u8::try_from(round % 251).unwrap(); size]);
        let echoed = timeout(LATE, echo(&mut connection, sent.clone()));
        let echoed = echoed
            .await
            .unwrap_or_else(|_| panic!("round {round}: {size} bytes hang"));
        assert!(echoed == sent, "round {round}: {size} bytes came otherwise");
    }
}

async fn echo(connection: &mut SendRequest<Full<Bytes>>, body: Bytes) -> Bytes {
    connection.ready().await.unwrap();
    let request = http::Request::post("http://localhost/").body(Full::new(body));
    let reply = connection.send_request(request.unwrap()).await.unwrap();
    reply.into_body().collect().await.unwrap().to_bytes()
}

/// A connection whose ends are as those of plugin and host, with windows as wide as a host opens them for whoever sends much: nothing but the
/// socket holds the writer back, and no word of the reader's drives its flush.
async fn connection() -> SendRequest<Full<Bytes>> {
    const WINDOW: u32 = 64 << 20;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (server, client) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let acceptor = TlsAcceptor::from(server.server(client.certificate()).unwrap());
    let connector = TlsConnector::from(client.client(server.certificate()).unwrap());
    let (accepted, connected) = tokio::join!(
        acceptor.accept(Slow::new(ours)),
        connector.connect(Identity::server_name(), Slow::new(theirs))
    );

    let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(hyper_util::rt::TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_connection(
            TokioIo::new(Coalesced::new(accepted.unwrap())),
            hyper::service::service_fn(answer),
        );
    tokio::spawn(serving);
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(TokioIo::new(Coalesced::new(connected.unwrap())))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// Sends the body back, in one piece and after all of it has come.
async fn answer(
    request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(http::Response::new(Full::new(body)))
}

/// A socket with small buffers that is read slowly.
struct Slow {
    socket: UnixStream,
    pause: Pin<Box<Sleep>>,
    /// Bytes until the next pause.
    left: usize,
    random: Random,
}

impl Slow {
    fn new(socket: UnixStream) -> Self {
        sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER).unwrap();
        Self {
            socket,
            pause: Box::pin(sleep(Duration::ZERO)),
            left: 1 << 16,
            random: Random(0x2545_f491_4f6c_dd1d),
        }
    }
}

impl AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.pause.as_mut().poll(cx));
        let room = self.left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part))?;
        let length = part.filled().len();
        buf.advance(length);
        self.left -= length;
        if self.left == 0 {
            self.left = 1 + self.random.below(256 << 10);
            self.pause
                .as_mut()
                .reset(Instant::now() + Duration::from_millis(1));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Marsaglia's xorshift: sizes that differ, and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}
