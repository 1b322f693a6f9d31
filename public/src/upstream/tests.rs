use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A node that reads a request and says this, or hangs up; and how often it was asked.
async fn node_that_says(said: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(said.as_bytes()).await;
        }
    });
    (address, asked)
}

/// The address of a port where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    format!("http://{}", listener.local_addr().expect("bound"))
}

fn upstream(nodes: &[&str]) -> Upstream {
    Upstream::new(&ServerFile {
        address: nodes[0].to_owned(),
        other_nodes: nodes[1..].iter().map(|node| (*node).to_owned()).collect(),
        ca: None,
        namespace: None,
    })
    .expect("addresses")
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
const SEALED: &str = "HTTP/1.1 503 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const ALONE: &str = "HTTP/1.1 500 x\r\ncontent-length: 70\r\nconnection: close\r\n\r\n{\"errors\":[\"local node not active but active cluster node not found\"]}";
const STANDBY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 35\r\nconnection: close\r\n\r\n{\"ha_enabled\":true,\"is_self\":false}";
const ACTIVE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 34\r\nconnection: close\r\n\r\n{\"ha_enabled\":true,\"is_self\":true}";

fn write() -> Call<'static> {
    Call::post("x", Bytes::from_static(b"{}"))
}

#[tokio::test]
async fn another_node_is_asked_where_one_cannot_be() {
    for first in [
        nobody().await,
        node_that_says(SEALED).await.0,
        node_that_says(ALONE).await.0,
    ] {
        let (good, asked) = node_that_says(OK).await;
        let server = upstream(&[&first, &good]);
        for call in [Call::get("x"), write()] {
            server.call(call).await.expect("the other one answers");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
    let (sealed, asked) = node_that_says(SEALED).await;
    let server = upstream(&[&sealed, &sealed, &sealed]);
    let trouble = server.call(write()).await.expect_err("none of them");
    assert!(matches!(trouble, Trouble::NotReady { .. }), "{trouble}");
    assert_eq!(asked.load(Ordering::Relaxed), 3, "each of them once");
}

#[tokio::test]
async fn what_a_node_may_have_done_is_not_asked_of_another() {
    let (broken, first) = node_that_says("").await;
    let (good, asked) = node_that_says(OK).await;
    let server = upstream(&[&broken, &good]);
    let trouble = server.call(write()).await.expect_err("it hung up");
    assert!(matches!(trouble, Trouble::Away { .. }), "{trouble}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(first.load(Ordering::Relaxed), 1);
    server.call(Call::get("x")).await.expect("a read may be");
}

#[tokio::test]
async fn the_active_node_is_found_by_what_it_says() {
    let ((standby, asked), (active, _)) =
        (node_that_says(STANDBY).await, node_that_says(ACTIVE).await);
    let server = upstream(&[&standby, &active]);
    let call = Call {
        active: true,
        ..write()
    };
    let answer = server.call(call).await.expect("the active one answers");
    assert!(answer.body.ends_with(b"true}"));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "who it is, and no more");
    let server = upstream(&[&standby, &standby]);
    let call = Call {
        active: true,
        ..write()
    };
    let trouble = server.call(call).await.expect_err("none is active");
    assert!(matches!(trouble, Trouble::NoActive { .. }), "{trouble}");
}
