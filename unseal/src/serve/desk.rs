//! Requests to a key in memory, without a connection and without a key service: for fuzzing, and for trying what is read.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use super::api::{Refusal, wrap};
use super::keys::{KeyRing, split};
use super::messages::{Sign, parse};
use super::route::{Operation, Route};
use crate::local::LocalKey;
use crate::wrapper::{Digest, SigningScheme};

/// The path of the only key.
const KEY: &str = "transit/unseal";

/// What the key of a request to sign can do.
const SCHEMES: [[SigningScheme; 2]; 2] = [
    [
        SigningScheme::Ecdsa(Digest::Sha256),
        SigningScheme::Ecdsa(Digest::Sha384),
    ],
    [
        SigningScheme::RsaPkcs1(Digest::Sha256),
        SigningScheme::RsaPss(Digest::Sha512),
    ],
];

/// Reads requests as the server does, for one client and one key at `transit/unseal`.
#[derive(Debug)]
pub struct Desk(KeyRing);

impl Desk {
    /// A desk in front of a key file's key.
    pub fn new(key: LocalKey) -> Self {
        Self(KeyRing::new("desk", KEY, vec![Arc::new(key)]))
    }

    /// Answers a request by its path, its namespace header and its body. What would be signed is read and planned, but not signed.
    ///
    /// # Errors
    /// The HTTP status of a refusal.
    pub async fn answer(&self, path: &str, namespace: &str, body: &[u8]) -> Result<Value, u16> {
        let route = Route::parse(&Method::PUT, path, namespace);
        let status = |refusal: Refusal| refusal.status;
        match route.operation {
            Operation::Encrypt | Operation::Decrypt if route.key == KEY => {
                let done = wrap(&self.0, &route.operation, body).await;
                done.map(|done| done.body).map_err(status)
            }
            Operation::Sign | Operation::Verify => {
                let asked: Sign = parse(body).map_err(status)?;
                if let Operation::Verify = route.operation {
                    split(&asked.signature).map_err(|error| status(error.into()))?;
                }
                let mut plans = SCHEMES.iter();
                let plan =
                    plans.find_map(|schemes| asked.plan(schemes, route.hash.as_deref()).ok());
                let (scheme, digest) = plan.ok_or(400_u16)?;
                if digest.len() == scheme.digest().size() {
                    Ok(json!({}))
                } else {
                    Err(500)
                }
            }
            _ => Err(403),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn desk() -> Desk {
        let directory = tempfile::tempdir().expect("temporary directory");
        Desk::new(LocalKey::create(&directory.path().join("key")).expect("creates"))
    }

    fn answer(desk: &Desk, path: &str, body: &[u8]) -> Result<Value, u16> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime can be started");
        runtime.block_on(desk.answer(path, "", body))
    }

    fn sealed(desk: &Desk, plaintext: &[u8]) -> String {
        let body = json!({"plaintext": STANDARD.encode(plaintext)}).to_string();
        let done = answer(desk, "/v1/transit/encrypt/unseal", body.as_bytes()).expect("encrypts");
        done["data"]["ciphertext"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    fn opened(desk: &Desk, ciphertext: &str) -> Result<Vec<u8>, u16> {
        let body = json!({"ciphertext": ciphertext}).to_string();
        let done = answer(desk, "/v1/transit/decrypt/unseal", body.as_bytes())?;
        let text = done["data"]["plaintext"].as_str().expect("a text");
        Ok(STANDARD.decode(text).expect("base64"))
    }

    proptest! {
        #[test]
        fn what_was_encrypted_opens(plaintext in proptest::collection::vec(any::<u8>(), 0..600)) {
            let desk = desk();
            prop_assert_eq!(opened(&desk, &sealed(&desk, &plaintext)), Ok(plaintext));
        }

        #[test]
        fn a_changed_ciphertext_never_opens_as_something_else(at: prop::sample::Index, to: char) {
            let desk = desk();
            let good = sealed(&desk, b"root key");
            let at = at.index(good.len());
            let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
            match opened(&desk, &changed) {
                Ok(plaintext) => prop_assert_eq!(plaintext, b"root key"),
                Err(status) => prop_assert_eq!(status, 400),
            }
            let cut = opened(&desk, &good[..at]);
            prop_assert_eq!(cut, Err(400));
        }

        #[test]
        fn any_body_is_answered_or_refused(
            operation in "(encrypt|decrypt|sign|verify)", hash in "(|/sha2-256|/none)", body: Vec<u8>, text in ".{0,80}",
        ) {
            let desk = desk();
            let path = format!("/v1/transit/{operation}/unseal{hash}");
            for body in [
                body,
                json!({"ciphertext": text, "input": text, "signature": text, "plaintext": text, "salt_length": text}).to_string().into_bytes(),
            ] {
                if let Err(status) = answer(&desk, &path, &body) {
                    prop_assert!(matches!(status, 400 | 403), "{}", status);
                }
            }
        }
    }
}
