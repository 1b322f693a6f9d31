//! A connection to the unseal server, as the bytes that arrive on it after the handshake.
#![no_main]

mod desk;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use desk::DESK;

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be started");
}

/// Everything that is answered to these bytes.
fn answers(data: &[u8]) -> Vec<u8> {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let (mut answers, mut requests) = tokio::io::split(client);
            let asking = async {
                // The server may have ended it before all is sent.
                let _ = requests.write_all(data).await;
                // Who hangs up is not answered any more, so what was sent is answered first.
                for _ in 0..64 {
                    tokio::task::yield_now().await;
                }
                let _ = requests.shutdown().await;
            };
            let reading = async {
                let mut all = Vec::new();
                let _ = answers.read_to_end(&mut all).await;
                all
            };
            tokio::join!(DESK.converse(server), asking, reading).2
        })
    })
}

fuzz_target!(|data: &[u8]| {
    let answers = answers(data);
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "an answer of HTTP, or none");
    // A request has a head of 18 bytes at least, an answer one of 200 at most and a short body.
    let room = 64 * 1024 + data.len() * 64;
    assert!(answers.len() <= room, "{} bytes for {}", answers.len(), data.len());
    let status = |code: u16| {
        let line = format!("HTTP/1.1 {code} ").into_bytes();
        answers.starts_with(&line)
    };
    assert!(!status(500) && !status(502), "nothing that arrives is a fault of ours");
});
