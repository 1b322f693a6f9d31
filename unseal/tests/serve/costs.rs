//! What requests without a valid credential cost, by their length: the processor time of the thread that the server runs on.
//!
//! The server has a thread of its own, so that neither the clients of the test nor a busy machine are in the figures.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::world::{Authority, World, dns};

/// How much dearer ten times the length may be.
const MOST: f64 = 1.5;

/// Rounds of each, at least and at most.
const ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 30;

/// A server on a thread of its own.
struct Apart {
    world: Option<World>,
    /// Where the system keeps the thread's account.
    account: String,
    done: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Apart {
    fn start() -> Self {
        let (made, world) = mpsc::channel();
        let (done, end) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let this = std::fs::read_link("/proc/thread-self").expect("Linux");
                let account = format!("/proc/{}/schedstat", this.display());
                made.send((World::new().await, account)).expect("the test");
                let _ = end.await;
            });
        });
        let (world, account) = world.recv().expect("a server");
        Self {
            world: Some(world),
            account,
            done: Some(done),
            thread: Some(thread),
        }
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("it is there until the end")
    }

    /// Time on a processor, in nanoseconds, of a thread that sleeps now.
    ///
    /// Source: Linux, `Documentation/scheduler/sched-stats.rst`, `/proc/PID/schedstat`.
    fn used(&self) -> u64 {
        let text = std::fs::read_to_string(&self.account).expect("the thread lives");
        let first = text
            .split_whitespace()
            .next()
            .and_then(|first| first.parse().ok());
        first.expect("a number")
    }

    /// What one of `count` costs that `work` does, in nanoseconds.
    async fn cost(&self, count: usize, work: &mut impl AsyncFnMut()) -> f64 {
        sleep(Duration::from_millis(5)).await;
        let before = self.used();
        for _ in 0..count {
            work().await;
        }
        sleep(Duration::from_millis(5)).await;
        (self.used() - before) as f64 / count as f64
    }

    /// How many times as much the long one costs. Each figure is the least of its rounds, for what else the machine does only adds; on a busy
    /// one there are more rounds.
    async fn ratio(
        &self,
        name: &str,
        count: usize,
        mut short: impl AsyncFnMut(),
        mut long: impl AsyncFnMut(),
    ) -> Option<String> {
        let (mut least, mut longs_least) = (f64::INFINITY, f64::INFINITY);
        for round in 1..=MOST_ROUNDS {
            least = least.min(self.cost(count, &mut short).await);
            longs_least = longs_least.min(self.cost(count, &mut long).await);
            if round >= ROUNDS && longs_least / least <= MOST {
                break;
            }
        }
        let ratio = longs_least / least;
        let (short, long) = (least / 1e3, longs_least / 1e3);
        println!("{name}: {short:.0} µs, ten times the length {long:.0} µs: {ratio:.2}");
        (ratio > MOST).then(|| format!("{name}: {ratio:.2} times"))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        drop(self.world.take());
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic in the server");
        }
    }
}

/// Sends a request and reads the answer, which may come before all is sent.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> String {
    let (mut answers, mut requests) = tokio::io::split(stream);
    let send = async {
        // The server need not take all of it.
        let _ = requests.write_all(request).await;
        let _ = requests.flush().await;
        std::future::pending::<()>().await
    };
    let read = async {
        let mut text = Vec::new();
        let mut part = [0; 4096];
        loop {
            match answers.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(size) => text.extend_from_slice(&part[..size]),
            }
            if is_whole(&text) {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    };
    tokio::select! {
        () = send => unreachable!("it never ends"),
        text = read => text,
    }
}

fn is_whole(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split("content-length:").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// A request of about this length, long in one of its parts.
fn long(part: &str, length: usize) -> Vec<u8> {
    let fill = "a".repeat(length);
    let (mut path, mut more, mut body) = (
        "/v1/transit/encrypt/unseal".to_owned(),
        String::new(),
        String::new(),
    );
    match part {
        "token" => more = format!("x-vault-token: {fill}\r\n"),
        "namespace" => more = format!("x-vault-namespace: {fill}\r\n"),
        "namespace of many" => more = format!("x-vault-namespace: {}\r\n", "a/".repeat(length / 2)),
        "header" => more = format!("x-other: {fill}\r\n"),
        "headers" => more = "a: bbbbb\r\n".repeat(length / 10),
        "path" => path = format!("/v1/{fill}/encrypt/unseal"),
        "path of many" => path = format!("/v1/{}encrypt/unseal", "a/".repeat(length / 2)),
        "query" => path += &format!("?{fill}"),
        "body" => {
            more = format!("content-length: {length}\r\n");
            body = fill;
        }
        "body in chunks" => {
            more = "transfer-encoding: chunked\r\n".to_owned();
            body = format!("{}0\r\n\r\n", "4\r\naaaa\r\n".repeat(length / 9));
        }
        other => unreachable!("{other}"),
    }
    format!("PUT {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn ten_times_the_length_of_a_request_costs_hardly_more() {
    let apart = Apart::start();
    let mut dear = Vec::new();
    // Many on one connection, in heads that are read.
    for part in [
        "token",
        "namespace",
        "namespace of many",
        "header",
        "path",
        "path of many",
        "query",
    ] {
        let requests = [long(part, 400), long(part, 4_000)];
        let (mut one, mut other) = (apart.world().tls().await, apart.world().tls().await);
        let on = async |stream: &mut TlsStream<TcpStream>, request: &[u8]| {
            let answer = ask(stream, request).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{part}: {answer}");
        };
        let ratio = apart.ratio(
            part,
            40,
            async || on(&mut one, &requests[0]).await,
            async || on(&mut other, &requests[1]).await,
        );
        dear.extend(ratio.await);
    }
    // One on each connection, beyond what is read.
    for (part, lengths) in [
        ("token", [2_800, 28_000]),
        ("path of many", [2_800, 28_000]),
        ("headers", [2_800, 28_000]),
        ("body", [100_000, 1_000_000]),
        ("body in chunks", [100_000, 1_000_000]),
    ] {
        let [short, long] = lengths.map(|length| long(part, length));
        let once = async |request: &[u8]| {
            let mut stream = apart.world().tls().await;
            let answer = ask(&mut stream, request).await;
            // Who sends more than is read may find the connection reset before the answer is there.
            assert!(
                answer.is_empty()
                    || ["HTTP/1.1 403 ", "HTTP/1.1 431 "]
                        .iter()
                        .any(|begin| answer.starts_with(begin)),
                "{part}: {answer}"
            );
        };
        let name = format!("{part}, one each");
        let ratio = apart.ratio(
            &name,
            10,
            async || once(&short).await,
            async || once(&long).await,
        );
        dear.extend(ratio.await);
    }
    assert!(dear.is_empty(), "{dear:#?}");
}

/// A client that shows a chain of so many certificates of a CA that is not the server's.
fn shows(world: &World, certificates: usize) -> TlsConnector {
    let stranger = Authority::new();
    let (leaf, key) = stranger.issue(&[dns("bao-1.berlin.example")]);
    // All could have issued it: the verifier has to look at each.
    let mut chain = vec![CertificateDer::from_pem_slice(leaf.as_bytes()).expect("PEM")];
    let others = (1..certificates).map(|_| Authority::new().pem());
    chain.extend(others.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")));
    connector(world, |builder| {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        builder.with_client_auth_cert(chain, key).expect("a pair")
    })
}

/// A client that shows one certificate, with so many names, of a CA that is not the server's.
fn shows_long(world: &World, names: usize) -> TlsConnector {
    let names: Vec<_> = (0..names)
        .map(|number| dns(&format!("bao-{number}.a-longer-name.berlin.example")))
        .collect();
    let (leaf, key) = Authority::new().issue(&names);
    let chain = vec![CertificateDer::from_pem_slice(leaf.as_bytes()).expect("PEM")];
    connector(world, |builder| {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        builder.with_client_auth_cert(chain, key).expect("a pair")
    })
}

fn connector(
    world: &World,
    finish: impl FnOnce(
        rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>,
    ) -> rustls::ClientConfig,
) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(world.authority.pem().as_bytes()).expect("PEM");
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    TlsConnector::from(Arc::new(finish(builder)))
}

/// Shakes hands, or tries to, until the server has nothing more to say.
async fn greet(world: &World, connector: &TlsConnector) {
    let stream = TcpStream::connect(world.address).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("a name");
    if let Ok(mut stream) = connector.connect(name, stream).await {
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn ten_times_the_length_of_a_handshake_costs_hardly_more() {
    let apart = Apart::start();
    let world = apart.world();
    let mut dear = Vec::new();
    let protocols = |names: usize| {
        connector(world, |builder| {
            let mut config = builder.with_no_client_auth();
            // The server's own stands at the end.
            let names = (0..names).map(|_| vec![b'a'; 250]);
            config.alpn_protocols = names.chain([b"http/1.1".to_vec()]).collect();
            config
        })
    };
    for (name, short, long) in [
        ("certificates", shows(world, 1), shows(world, 10)),
        ("more certificates", shows(world, 2), shows(world, 20)),
        (
            "a long certificate",
            shows_long(world, 40),
            shows_long(world, 400),
        ),
        ("protocols", protocols(5), protocols(50)),
    ] {
        let ratio = apart.ratio(
            name,
            10,
            async || greet(world, &short).await,
            async || greet(world, &long).await,
        );
        dear.extend(ratio.await);
    }
    assert!(dear.is_empty(), "{dear:#?}");
}
