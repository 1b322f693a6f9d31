//! Clients that speak plain HTTP where HTTPS is spoken.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The words are those of servers in Go, which clients know.
///
/// Source: Go, `net/http`, `conn.serve`.
const ANSWER: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// What is read of such a request, and for how long, so that the client gets to read the answer.
const REST: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for the first byte of a connection. A client that speaks plain HTTP is told that this is a server of HTTPS; the connection
/// is over then. Says whether that was so. Nothing is taken from any other connection: a handshake may follow.
///
/// # Errors
/// The connection's.
pub async fn refuse_plain_http(stream: &mut TcpStream) -> io::Result<bool> {
    let mut first = [0];
    // A method begins with a capital letter (RFC 9110 section 9.1); a record of TLS with a byte below 32 (RFC 8446 section 5.1).
    if stream.peek(&mut first).await? == 0 || !first[0].is_ascii_uppercase() {
        return Ok(false);
    }
    stream.write_all(ANSWER).await?;
    stream.shutdown().await?;
    // What nobody has read makes the system reset the connection, and the answer is lost with it.
    let mut rest = stream.take(REST as u64);
    let mut part = [0; 1024];
    let _ = timeout(PATIENCE, async {
        while rest.read(&mut part).await.is_ok_and(|size| size > 0) {}
    })
    .await;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What a client reads that sends this and then waits, and what the server made of it.
    async fn answer(sent: &[u8]) -> (String, bool, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let plain = refuse_plain_http(&mut stream).await.expect("open");
            let mut rest = Vec::new();
            if !plain {
                stream.read_to_end(&mut rest).await.expect("an end");
            }
            (plain, rest)
        };
        let client = async {
            let mut stream = TcpStream::connect(address).await.expect("connects");
            stream.write_all(sent).await.expect("writes");
            if !sent.first().is_some_and(u8::is_ascii_uppercase) {
                stream.shutdown().await.expect("open");
            }
            let mut said = String::new();
            stream.read_to_string(&mut said).await.expect("no reset");
            said
        };
        let ((plain, rest), said) = tokio::join!(server, client);
        (said, plain, rest)
    }

    #[tokio::test]
    async fn plain_http_is_told_and_all_else_is_left_untouched() {
        for request in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            format!(
                "PUT /v1/transit/encrypt/x HTTP/1.1\r\nhost: x\r\n\r\n{}",
                "x".repeat(8000)
            ),
        ] {
            let (said, plain, _) = answer(request.as_bytes()).await;
            assert!(plain);
            assert!(said.starts_with("HTTP/1.0 400 "), "{said}");
            assert!(said.contains("HTTP request to an HTTPS server"), "{said}");
        }
        for other in [&[0x16, 3, 1, 0, 5][..], b"", b"ssh-2.0", &[0x80, 0x2e]] {
            let (said, plain, rest) = answer(other).await;
            assert!(!plain && said.is_empty(), "{said}");
            assert_eq!(rest, other);
        }
    }
}
