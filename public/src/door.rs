//! One listener: its connections, with or without TLS, and what is done with each of their requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use landfast_listen::{Host, refuse_plain_http};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::audit::{Record, shown};
use crate::request::{Reply, Request, Visitor};
use crate::shared::Shared;
use crate::stream::Stream;
use crate::tls::Tls;

/// Why nothing is noted of a connection.
const SILENT: &str = "the client left without a word";

/// A listener's own.
pub(crate) struct Door {
    shared: Arc<Shared>,
    /// As the configuration has it: a reload finds its TLS files by it.
    pub(crate) address: SocketAddr,
    tls: Option<ArcSwap<Tls>>,
    /// Counts the TLS files that connections have to end for.
    changed: watch::Sender<u64>,
}

/// A connection's own.
pub(crate) struct Guest {
    visitor: Arc<Visitor>,
    /// Its address, as each audit line has it.
    remote: String,
    changed: watch::Receiver<u64>,
}

impl Door {
    pub(crate) fn new(shared: Arc<Shared>, address: SocketAddr, tls: Option<Tls>) -> Self {
        Self {
            shared,
            address,
            tls: tls.map(ArcSwap::from_pointee),
            changed: watch::Sender::new(0),
        }
    }

    /// Uses other TLS files from now on. Connections end after the request under way: what they were accepted by may hold no more.
    pub(crate) fn set_tls(&self, tls: Tls) {
        if let Some(current) = &self.tls {
            current.store(Arc::new(tls));
            self.changed.send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.as_ref().map(ArcSwap::load_full)
    }

    /// Takes up certificate files that somebody renewed.
    pub(crate) fn refresh_tls(&self) {
        let Some(tls) = self.tls() else { return };
        match tls.renewed() {
            Ok(None) => {}
            Ok(Some(fresh)) => {
                self.set_tls(fresh);
                tracing::info!(address = %self.address, "renewed TLS files are in use");
            }
            Err(error) => {
                tracing::error!(%error, "changed TLS files cannot be used; the old ones stay");
            }
        }
    }
}

impl Host<TcpStream> for Door {
    type Stream = Stream;
    type Guest = Guest;
    type Body = Full<Bytes>;

    async fn open(
        &self,
        mut stream: TcpStream,
        remote: Option<SocketAddr>,
    ) -> io::Result<(Stream, Guest)> {
        let remote = remote.ok_or(io::ErrorKind::AddrNotAvailable)?;
        // Before anything is loaded, so that no change is missed.
        let changed = self.changed.subscribe();
        stream.set_nodelay(true)?;
        let guest = |secure, chain| Guest {
            remote: remote.to_string(),
            visitor: Arc::new(Visitor {
                remote,
                secure,
                chain,
            }),
            changed,
        };
        let Some(tls) = self.tls() else {
            return Ok((Stream::Plain(stream), guest(false, Vec::new())));
        };
        if stream.peek(&mut [0]).await? == 0 {
            return Err(io::Error::other(SILENT));
        }
        if refuse_plain_http(&mut stream).await? {
            return Err(io::Error::other("the client speaks plain HTTP"));
        }
        let stream = TlsAcceptor::from(tls.server.clone()).accept(stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = chain.iter().cloned().map(CertificateDer::into_owned);
        let guest = guest(true, chain.collect());
        Ok((Stream::Tls(Box::new(stream)), guest))
    }

    async fn answer(
        &self,
        guest: &Guest,
        request: http::Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let shared = &self.shared;
        let current = shared.current.load_full();
        let remote = guest.visitor.remote;
        let mut request = Request::new(request, guest.visitor.clone());
        let reply = match current.buckets.take(remote.ip(), began) {
            Ok(()) => current.routes.answer(&mut request).await,
            Err(wait) => {
                shared.metrics.limited();
                too_often(wait.as_secs())
            }
        };
        let took = began.elapsed();
        let status = reply.status.as_u16();
        let note = &reply.note;
        let record = Record {
            time: jiff::Timestamp::now().to_string(),
            remote: &guest.remote,
            operation: note.operation,
            mount: note.mount.as_deref(),
            method: request.method().as_str(),
            path: shown(request.path()),
            status,
            source: note.source,
            client: note.client.as_deref(),
            request_bytes: request.body_bytes(),
            bytes: reply.body.len(),
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            error: note.error.as_deref(),
        };
        if reply.status.is_client_error() && note.client.is_none() {
            shared.audit.refused(&record, remote.ip());
        } else {
            shared.audit.write(&record);
        }
        shared.metrics.request(note, status, took);
        respond(reply)
    }

    async fn over(&self, guest: &Guest) {
        // An error means that the listener is gone: the same.
        let _ = guest.changed.clone().changed().await;
    }

    fn turned_away(&self) {
        self.shared.metrics.refused_connection();
    }

    fn failed(&self, remote: Option<SocketAddr>, reason: &str) {
        self.shared.metrics.failed_handshake();
        // Balancers look so whether the port is open, many times an hour.
        if let Some(remote) = remote.filter(|_| reason != SILENT) {
            self.shared.audit.unopened(remote, reason);
        }
    }
}

fn too_often(seconds: u64) -> Reply {
    let text = "too many requests, try again later";
    Reply::refusal(StatusCode::TOO_MANY_REQUESTS, "limited", text)
        .with(RETRY_AFTER, seconds.max(1).into())
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}
