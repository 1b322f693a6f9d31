//! Clients that say nothing, half of something, or too much, beside one that asks.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use landfast_listen::{Bounds, LEAST_HEAD, Limits, plain, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const REQUEST: &str = "GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Far longer than anything here takes that is not to fail.
const LONG: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Answers `/slow` after a while, and everything else at once.
async fn start(limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(async move {
        serve(listener, &limits, plain, stopped, |request| async move {
            if request.uri().path() == "/slow" {
                sleep(Duration::from_millis(300)).await;
            }
            Response::new(Full::new(Bytes::from_static(b"here")))
        })
        .await;
    });
    Running {
        address,
        stop,
        task,
    }
}

impl Running {
    async fn connect(&self, first: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connects");
        stream.write_all(first).await.expect("writes");
        stream
    }
}

/// What the server says until it has answered once or has gone.
async fn read(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = Vec::new();
    let mut part = [0; 1024];
    let done = async {
        while !text.ends_with(b"here") {
            match stream.read(&mut part).await? {
                0 => break,
                size => text.extend_from_slice(&part[..size]),
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    timeout(LONG, done).await.expect("an end")
}

fn limits() -> Limits {
    Limits {
        connections: 64,
        per_address: 64,
        handshake: LONG,
        bounds: Bounds {
            head_bytes: LEAST_HEAD,
            head: LONG,
            life: LONG,
            farewell: LONG,
        },
    }
}

#[tokio::test]
async fn over_a_thousand_half_requests_lock_nobody_out() {
    let server = start(limits()).await;
    let mut silent = Vec::new();
    for number in 0..1100_usize {
        let half = &REQUEST.as_bytes()[..number % (REQUEST.len() - 1)];
        // The server may have closed it already, which is the point.
        if let Ok(mut stream) = TcpStream::connect(server.address).await {
            let _ = stream.write_all(half).await;
            silent.push(stream);
        }
        if number % 100 == 99 {
            let mut client = server.connect(REQUEST.as_bytes()).await;
            let answer = read(&mut client).await.expect("an answer");
            assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
        }
    }
    let mut open = 0;
    for stream in &mut silent {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(2), stream.read(&mut byte)).await;
        open += usize::from(read.is_err());
    }
    assert!(open <= 64, "{open} sockets of strangers are open");
}

#[tokio::test]
async fn a_request_under_way_keeps_its_place_among_newcomers() {
    let server = start(Limits {
        connections: 2,
        per_address: 2,
        ..limits()
    })
    .await;
    let mut asking = server.connect(REQUEST.as_bytes()).await;
    sleep(Duration::from_millis(50)).await;
    for _ in 0..20 {
        drop(server.connect(b"G").await);
    }
    let answer = read(&mut asking).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn half_a_head_and_an_old_connection_end_by_themselves() {
    let short = Duration::from_millis(200);
    let server = start(Limits {
        bounds: Bounds {
            head: short,
            ..limits().bounds
        },
        ..limits()
    })
    .await;
    for half in ["", "G", "GET / HTTP/1.1\r\nhost: a"] {
        let mut client = server.connect(half.as_bytes()).await;
        let answer = read(&mut client).await.unwrap_or_default();
        assert!(!answer.contains(" 200 "), "{answer}");
    }

    let server = start(Limits {
        bounds: Bounds {
            life: short,
            ..limits().bounds
        },
        ..limits()
    })
    .await;
    // It asks again and again, and would for ever.
    let mut client = server.connect(b"").await;
    let mut answers = 0;
    let asking = async {
        while client
            .write_all(REQUEST.replace("slow", "").as_bytes())
            .await
            .is_ok()
            && read(&mut client).await.is_ok_and(|text| !text.is_empty())
        {
            answers += 1;
        }
    };
    timeout(LONG, asking).await.expect("the connection ends");
    assert!(answers > 0);
}

#[tokio::test]
async fn a_head_too_long_is_refused_and_nothing_else_suffers() {
    let server = start(limits()).await;
    let mut client = server.connect(b"GET / HTTP/1.1\r\nhost: ").await;
    for _ in 0..64 {
        if client.write_all(&[b'a'; 4096]).await.is_err() {
            break;
        }
    }
    let answer = read(&mut client).await.unwrap_or_default();
    assert!(!answer.contains(" 200 "), "{answer}");
    let mut client = server.connect(REQUEST.as_bytes()).await;
    let answer = read(&mut client).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_stop_lets_a_request_finish_and_sends_the_silent_away() {
    let server = start(limits()).await;
    let mut asking = server.connect(REQUEST.as_bytes()).await;
    let mut silent = server.connect(b"").await;
    sleep(Duration::from_millis(50)).await;
    server.stop.send(true).expect("it listens");
    let answer = read(&mut asking).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(read(&mut silent).await.expect("an end"), "");
    timeout(LONG, server.task)
        .await
        .expect("stops")
        .expect("no panic");
}

/// Heads as long as they may be are read, longer ones are answered without what is in them.
#[tokio::test]
async fn a_head_has_an_end() {
    let running = start(limits()).await;
    for (fill, status) in [(7_000, "HTTP/1.1 200 "), (20_000, "HTTP/1.1 431 ")] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
            "a".repeat(fill)
        );
        let mut stream = TcpStream::connect(running.address).await.expect("connects");
        // Nobody takes all of the longer one.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = read(&mut stream).await.unwrap_or_default();
        assert!(answer.starts_with(status), "{fill}: {answer}");
    }
}
