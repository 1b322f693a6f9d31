//! Requests to the unseal server: a path, and below it a body. Whatever opens is what was sealed.
#![no_main]

mod desk;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use desk::DESK;

/// What the ciphertexts of the seeds hold.
const SEALED: &str = "cm9vdCBrZXk=";

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().build().expect("a runtime can be started");
}

fn answer(path: &str, body: &[u8]) -> Result<serde_json::Value, u16> {
    RUNTIME.with(|runtime| runtime.block_on(DESK.answer(path, "", body)))
}

fn opens_as_sealed(body: &[u8]) {
    if let Ok(done) = answer("/v1/transit/decrypt/unseal", body) {
        assert_eq!(done["data"]["plaintext"], SEALED);
    }
}

fuzz_target!(|data: &[u8]| {
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (path, body) = data.split_at(split);
    let body = body.get(1..).unwrap_or_default();
    if let Ok(path) = std::str::from_utf8(path) {
        if let Err(status) = answer(path, body) {
            assert!(matches!(status, 400 | 403), "{status}");
        }
    }
    opens_as_sealed(body);
    if let Ok(text) = std::str::from_utf8(data) {
        opens_as_sealed(json!({"ciphertext": text}).to_string().as_bytes());
    }
});
