//! Requests to the unseal server: a path, and below it a body. Whatever opens is what was sealed.
#![no_main]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::LazyLock;

use landfast_unseal::local::LocalKey;
use landfast_unseal::serve::Desk;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// The key that made the ciphertexts of the seeds.
const KEY: &str = "landfast-local-key-v1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n";

/// What they hold.
const SEALED: &str = "cm9vdCBrZXk=";

static DESK: LazyLock<Desk> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("landfast-fuzz-{}.key", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.expect("a temporary file").write_all(KEY.as_bytes()).expect("a file of ours");
    let key = LocalKey::load(&path).expect("the key of the seeds");
    std::fs::remove_file(path).expect("a file of ours");
    Desk::new(key)
});

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
