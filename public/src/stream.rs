//! A connection with or without TLS. Without it, large bodies go out as nginx sends files: the kernel has them already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::kept::{self, Kept};

/// What HTTP is spoken on.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sends a part of a body that the kernel has. Without an answer it has to be written.
fn send(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    kept: &Kept,
    offset: u64,
    length: usize,
) -> Poll<Option<io::Result<usize>>> {
    loop {
        if let Err(error) = ready!(stream.poll_write_ready(cx)) {
            return Poll::Ready(Some(Err(error)));
        }
        match stream.try_io(Interest::WRITABLE, || kept.send(stream, offset, length)) {
            Ok(0) => return Poll::Ready(None),
            Ok(sent) => return Poll::Ready(Some(Ok(sent))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if kept::is_refusal(&error) => return Poll::Ready(None),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
    }
}

/// Sends what the kernel has, or writes what it has not.
fn write(stream: &mut TcpStream, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    if let Some((kept, offset)) = kept::find(bytes)
        && let Some(sent) = ready!(send(stream, cx, &kept, offset, bytes.len()))
    {
        return Poll::Ready(sent);
    }
    Pin::new(stream).poll_write(cx, bytes)
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
            Self::Plain(stream) => write(stream, cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => {
                match parts.iter().position(|part| kept::find(part).is_some()) {
                    Some(0) => write(stream, cx, &parts[0]),
                    // What stands before the body goes out first.
                    Some(before) => Pin::new(stream).poll_write_vectored(cx, &parts[..before]),
                    None => Pin::new(stream).poll_write_vectored(cx, parts),
                }
            }
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

#[cfg(test)]
mod tests {
    use hyper::body::{Buf as _, Bytes};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_large_body_arrives_whole_behind_its_head_and_before_the_next() {
        let octets: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        let body = Bytes::from(octets);
        let _keeping = kept::keep(&body).expect("files without names");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let client = tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("connects");
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.expect("reads");
            got
        });
        let (stream, _) = listener.accept().await.expect("a client");
        let mut stream = Stream::Plain(stream);
        let mut wanted = Vec::new();
        // Whole, a part, and the same octets where the kernel has none.
        for body in [
            body.clone(),
            body.slice(7..2_000_000),
            Bytes::copy_from_slice(&body),
        ] {
            let mut all = Bytes::from_static(b"head").chain(body.clone());
            while all.has_remaining() {
                stream.write_buf(&mut all).await.expect("writes");
            }
            wanted.extend_from_slice(b"head");
            wanted.extend_from_slice(&body);
        }
        stream.shutdown().await.expect("open");
        drop(stream);
        assert!(client.await.expect("no panic") == wanted);
    }
}
