//! Requests to a key in memory, without a connection and without a key service: for fuzzing, and for trying what is read.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::Method;
use landfast_listen::{Room, converse};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use super::BOUNDS;
use super::api::wrap;
use super::clients::Peer;
use super::keys::{KeyRing, split};
use super::messages::{Sign, parse, read};
use super::reply::{Done, Refusal, reply};
use super::route::{Operation, Route};
use crate::keys::key::{Digest, SigningScheme};
use crate::keys::local::LocalKey;
use crate::signed::Signed;

/// The path of the only key.
const KEY: &str = "transit/unseal";

/// What the key of a request to sign can do.
const SCHEMES: [[SigningScheme; 2]; 3] = [
    [
        SigningScheme::Ecdsa(Digest::Sha256),
        SigningScheme::Ecdsa(Digest::Sha384),
    ],
    [
        SigningScheme::RsaPkcs1(Digest::Sha256),
        SigningScheme::RsaPss(Digest::Sha512),
    ],
    [SigningScheme::MlDsa; 2],
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
        let done = self.at(&route, body).await;
        done.map(|done| done.body).map_err(|refusal| refusal.status)
    }

    /// Answers the requests of a connection, as of a client who may use the key.
    pub async fn converse<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let room = Room::new(1, 1);
        let Ok(place) = room.enter(()) else { return };
        let handle = |request| async {
            let route = Route::of(&request);
            let mut size = 0;
            let outcome = match read(request, &mut size).await {
                Ok(body) => self.at(&route, &body).await,
                Err(refusal) => Err(refusal),
            };
            reply(outcome, "desk")
        };
        converse(stream, &BOUNDS, &place, pending(), handle).await;
    }

    /// What a client's certificate in DER says: names as configurations have them, and its end in seconds since 1970.
    pub fn certificate(der: &[u8]) -> (Vec<String>, Option<i64>) {
        let peer = Peer::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Some(der));
        (peer.names, peer.expires)
    }

    async fn at(&self, route: &Route, body: &[u8]) -> Result<Done, Refusal> {
        let refuse = |status| Err(Refusal::new(status, "refused"));
        match route.operation {
            Operation::Encrypt | Operation::Decrypt if route.key == KEY => {
                wrap(&self.0, &route.operation, body).await
            }
            Operation::Sign | Operation::Verify => {
                let asked: Sign = parse(body)?;
                if let Operation::Verify = route.operation {
                    split(&asked.signature)?;
                }
                let mut plans = SCHEMES.iter();
                let plan =
                    plans.find_map(|schemes| asked.plan(schemes, route.hash.as_deref()).ok());
                match plan {
                    None => refuse(400),
                    Some(Signed::Digest(scheme, digest))
                        if digest.len() != scheme.input_octets() =>
                    {
                        refuse(500)
                    }
                    Some(_) => Ok(Done {
                        body: json!({}),
                        version: None,
                    }),
                }
            }
            _ => refuse(403),
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

    /// What arrives on a connection, and what is answered.
    fn spoken(desk: &Desk, requests: &[u8]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let answers = runtime.expect("a runtime can be started").block_on(async {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let (mut answers, mut asking) = tokio::io::split(client);
            let ask = async {
                // The other end may be gone before all is sent.
                let _ = asking.write_all(requests).await;
                // Who hangs up is not answered any more, so everything is answered first.
                for _ in 0..1000 {
                    tokio::task::yield_now().await;
                }
                let _ = asking.shutdown().await;
            };
            let mut all = Vec::new();
            let (_, _, read) =
                tokio::join!(desk.converse(server), ask, answers.read_to_end(&mut all));
            read.map(|_| all)
        });
        String::from_utf8(answers.expect("reads")).expect("text")
    }

    #[test]
    fn the_seeds_of_the_fuzzers_are_answered_as_they_should_be() {
        let seed = |path: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/");
            std::fs::read(format!("{folder}{path}")).expect(path)
        };
        let desk = desk();
        for (name, status, times) in [
            ("pipelined", "200 OK", 3),
            ("chunked", "200 OK", 1),
            ("expect", "200 OK", 1),
            ("many-headers", "200 OK", 1),
            ("long-header", "431 Request Header Fields Too Large", 1),
            ("long-path", "403 Forbidden", 1),
            ("long-body", "413 Payload Too Large", 1),
            ("deep-body", "400 Bad Request", 1),
            // Of another key than this desk's.
            ("decrypt", "400 Bad Request", 1),
            ("half", "200 OK", 0),
        ] {
            let said = spoken(&desk, &seed(&format!("http/{name}")));
            let lines = said.matches(&format!("HTTP/1.1 {status}")).count();
            assert_eq!(lines, times, "{name}: {said}");
        }
        for (name, names, first) in [
            ("names", 2, "dns:bao-1.berlin.example"),
            ("wildcard", 1, "dns:*.berlin.example"),
            ("many-names", 1500, "dns:node-1.berlin.example"),
            ("long-name", 1, "uri:spiffe://berlin/aaaa"),
        ] {
            let (found, end) = Desk::certificate(&seed(&format!("client/{name}.der")));
            assert_eq!(found.len(), names, "{name}");
            assert!(found[0].starts_with(first) && end.is_some(), "{name}");
        }
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
