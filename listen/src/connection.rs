//! HTTP on one connection.

use std::convert::Infallible;
use std::error::Error;
use std::hash::Hash;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use crate::room::Place;

/// Bytes of a head that can be had at the least: the HTTP library takes no fewer.
pub const LEAST_HEAD: usize = 8 * 1024;

/// What an open connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a request's head. A longer one is answered 431 (RFC 6585 section 5), and what it costs ends here. At least
    /// [`LEAST_HEAD`].
    pub head_bytes: usize,
    /// A request's head has to arrive in this time, counted from the end of the last answer.
    pub head: Duration,
    /// The connection takes no further request after this time.
    pub life: Duration,
    /// How long a request under way may take once the connection is to end.
    pub farewell: Duration,
}

impl Default for Bounds {
    /// 32 KiB and 10 s for a head, an hour of life, 15 s for a farewell.
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            head: Duration::from_secs(10),
            life: Duration::from_secs(3600),
            farewell: Duration::from_secs(15),
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By the client, by a limit of time, or because it was over.
    Ended,
    /// Somebody else got its place.
    Displaced,
}

/// Answers the requests of a connection until the client goes, `bounds` are reached, somebody else gets its place, or `over` is done.
///
/// While `handle` works on a request, the place is kept. When `over` is done or the connection has lived long enough, the request
/// under way is answered and no other is taken; when the place is taken, the connection ends at once.
pub async fn converse<S, G, B, H, F>(
    stream: S,
    bounds: &Bounds,
    place: &Place<G>,
    over: impl Future<Output = ()>,
    handle: H,
) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
    G: Eq + Hash,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
{
    let end = Instant::now() + bounds.life;
    let service = service_fn(|request| {
        let busy = place.busy();
        let answer = handle(request);
        async move {
            // Without a place the connection is about to be dropped, and nobody reads an answer.
            let Ok(_busy) = busy else {
                return std::future::pending().await;
            };
            Ok::<_, Infallible>(answer.await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes.max(LEAST_HEAD))
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.taken() => return Ending::Displaced,
        () = async { tokio::select! { () = over => {}, () = sleep_until(end) => {} } } => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = timeout(bounds.farewell, connection) => ended.unwrap_or(Ok(())),
                () = place.taken() => return Ending::Displaced,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    Ending::Ended
}
