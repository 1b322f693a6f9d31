//! Web servers that answer as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A part of an answer: octets, or time.
#[derive(Clone)]
pub(super) enum Part {
    Send(Vec<u8>),
    Wait(Duration),
    /// The same octets and time, until the peer has enough.
    Drip(Vec<u8>, Duration),
}

/// What to answer to a request's first line and host.
pub(super) type Answer = Arc<dyn Fn(&str) -> Vec<Part> + Send + Sync>;

/// What the host was asked, in its own words.
pub(super) type Asked = Arc<Mutex<Vec<String>>>;

/// An answer of one part.
pub(super) fn send(octets: impl Into<Vec<u8>>) -> Vec<Part> {
    vec![Part::Send(octets.into())]
}

/// A whole answer with status 200.
pub(super) fn ok(body: &str) -> Vec<Part> {
    send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub(super) fn redirect(status: u16, location: &str) -> Vec<Part> {
    send(format!(
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// A web server, over TLS if it has a configuration for that.
pub(super) async fn web(
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    answer: Answer,
) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, seen, tls) = (Arc::clone(&answer), Arc::clone(&seen), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => talk(stream, answer, seen).await,
                    Some(config) => {
                        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                            talk(stream, answer, seen).await;
                        }
                    }
                }
            });
        }
    });
    (address, asked)
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: Answer, seen: Asked) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(octet) => request.push(octet),
            Err(_) => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    seen.lock().unwrap().push(request.clone());
    for part in answer(&request) {
        match part {
            Part::Send(octets) => {
                if stream.write_all(&octets).await.is_err() {
                    return;
                }
            }
            Part::Wait(time) => tokio::time::sleep(time).await,
            Part::Drip(octets, time) => {
                while stream.write_all(&octets).await.is_ok() {
                    tokio::time::sleep(time).await;
                }
            }
        }
    }
    let _ = stream.shutdown().await;
}
