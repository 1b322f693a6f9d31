//! Whole requests to the engine: any JSON at any path that takes some. The
//! engine turns a panic into an error; here the panic itself is the finding.
#![no_main]

use std::cell::OnceCell;

use landfast_plugin::Mount;
use landfast_sdk::logical::Operation;
use landfast_sdk::testing::Harness;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// Paths that a first byte chooses among. None of them makes RSA keys, which
/// would take the time of a thousand other inputs.
const PATHS: [&str; 16] = [
    "roles/one",
    "issue/any",
    "sign/any",
    "sign-verbatim",
    "root/sign-intermediate",
    "intermediate/set-signed",
    "issuers/import/bundle",
    "issuers/import/cert",
    "keys/import",
    "config/issuers",
    "config/urls",
    "config/crl",
    "issuer/default",
    "revoke",
    "trust-anchor",
    "cert/",
];

thread_local! {
    static ENGINE: OnceCell<(Runtime, Harness<Mount>)> = const { OnceCell::new() };
}

fn start() -> (Runtime, Harness<Mount>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let engine = runtime.block_on(async {
        let engine = Harness::new().await;
        engine
            .update(
                "root/generate/internal",
                json!({"common_name": "Root", "key_type": "ec"}),
            )
            .await;
        engine
            .update(
                "roles/any",
                json!({"allow_any_name": true, "key_type": "ec", "no_store": true}),
            )
            .await;
        engine
    });
    (runtime, engine)
}

fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let path = PATHS[usize::from(*choice) % PATHS.len()];
    ENGINE.with(|engine| {
        let (runtime, engine) = engine.get_or_init(start);
        let reply = runtime.block_on(async {
            if path.ends_with('/') {
                let path = format!("{path}{text}");
                engine.send(Operation::Read, &path, "{}".to_owned()).await
            } else {
                engine.send(Operation::Update, path, text.to_owned()).await
            }
        });
        assert!(reply.status >= 200, "an answer has a status");
    });
});
