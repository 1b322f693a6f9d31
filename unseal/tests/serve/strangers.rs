//! Strangers: what they cost is theirs, and nobody waits for them.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::PLAINTEXT;
use super::world::{World, dns};

#[tokio::test]
async fn over_five_hundred_silent_sockets_lock_nobody_out() {
    let world = World::new().await;
    // One that is known before, and keeps its connection.
    let before = world.berlin();
    world.encrypt(&before, "unseal", PLAINTEXT).await;
    let mut silent = Vec::new();
    for number in 0..520 {
        let mut stream = TcpStream::connect(world.address).await.expect("connects");
        // Half of them begin a handshake: a record of 512 bytes of which one comes.
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]).await;
        }
        silent.push(stream);
        if number % 40 == 39 {
            // From the same address as the silent ones, by certificate and by token.
            world.encrypt(&world.berlin(), "unseal", PLAINTEXT).await;
            let paris = world
                .client(None)
                .put(world.url("transit/encrypt/paris"))
                .header("X-Vault-Token", "token-of-paris");
            let (status, body) = world
                .send(paris.body(json!({"plaintext": PLAINTEXT}).to_string()))
                .await;
            assert_eq!(status, 200, "{body}");
            world.encrypt(&before, "unseal", PLAINTEXT).await;
        }
    }
    let mut open = 0;
    for stream in &mut silent {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(2), stream.read(&mut byte)).await;
        open += usize::from(read.is_err());
    }
    assert!(open <= 32, "{open} silent sockets of one address are open");
}

#[tokio::test]
async fn strangers_with_connections_lock_nobody_out_either() {
    let world = World::with(|config| config["max_connections"] = json!(2)).await;
    let mut streams = Vec::new();
    for _ in 0..40 {
        let mut stream = world.tls().await;
        let request = b"GET /v1/transit/nothing HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).await.expect("sends");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 403");
        streams.push(stream);
    }
    // More clients than places: an idle one makes room.
    for _ in 0..5 {
        world.encrypt(&world.berlin(), "unseal", PLAINTEXT).await;
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_lines_and_clients_have_theirs() {
    let world = World::new().await;
    let nobody = world.client(None);
    let stranger = world.known_as(dns("mallory.example"));
    for number in 0..200 {
        let client = if number % 2 == 0 { &nobody } else { &stranger };
        let (status, _) = world.put(client, "transit/nothing", &json!({})).await;
        assert_eq!(status, 403);
    }
    for _ in 0..5 {
        world.encrypt(&world.berlin(), "unseal", PLAINTEXT).await;
    }
    world.stop.send(true).expect("it listens");
    world.server.await.expect("no panic");
    let lines: Vec<serde_json::Value> = {
        let text = std::fs::read_to_string(world.directory.path().join("audit.log"));
        let text = text.expect("reads");
        let parse = |line| serde_json::from_str(line).expect("JSON");
        text.lines().map(parse).collect()
    };
    let of = |operation: &'static str| {
        lines
            .iter()
            .filter(move |line| line["operation"] == operation)
    };
    assert_eq!(of("encrypt").count(), 5);
    // The budget fills up while this runs.
    let (written, summed) = (of("unknown").count(), of("strangers"));
    assert!((60..=80).contains(&written), "{written}");
    let summed: u64 = summed.filter_map(|line| line["requests"].as_u64()).sum();
    assert_eq!(written as u64 + summed, 200);
    // What a misconfigured client shows is what its operator has to look for.
    let showed = of("unknown").find(|line| !line["showed"].is_null());
    assert_eq!(
        showed.expect("a stranger with a certificate")["showed"],
        json!(["dns:mallory.example"])
    );
}

#[tokio::test]
async fn what_a_stranger_sends_is_not_read() {
    let world = World::new().await;
    for header in ["x-vault-token: ", "x-vault-namespace: ", "x-other: "] {
        let mut stream = world.tls().await;
        let head = format!(
            "PUT /v1/transit/encrypt/paris HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n{header}{}\r\n\r\n",
            "a".repeat(8_000)
        );
        stream.write_all(head.as_bytes()).await.expect("sends");
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        // The connection ends without the body, for which nobody waits.
        let _ = read.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert!(world.fake.calls().is_empty());
}

/// Whoever gives the server's address as http:// reads what is wrong with it.
#[tokio::test]
async fn plain_http_is_told_that_this_is_https() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.expect("connects");
    let request =
        "PUT /v1/transit/encrypt/unseal HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut answer));
    read.await.expect("an end").expect("no reset");
    assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
    assert!(
        answer.contains("Client sent an HTTP request to an HTTPS server"),
        "{answer}"
    );
}
