//! What the tests of this crate share: requests that others signed, and requests signed here.
//!
//! `testing/vectors.json` is what `testing/vectors.py` printed once, by pyca/cryptography 48.

use std::sync::LazyLock;

use landfast_pki::{KeySpec, PrivateKey, SignatureAlgorithm, Signer as _};
use serde_json::{Value, json};

use crate::{AccountKey, Flattened, text};

/// The URL that the vectors are signed for.
pub(crate) const URL: &str = "https://pki.example/v1/pki/acme/new-account";
/// The account of the vector for a change of keys.
pub(crate) const ACCOUNT: &str = "https://pki.example/v1/pki/acme/account/1";

pub(crate) static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("testing/vectors.json")).unwrap());

/// The request at this place of the vectors.
pub(crate) fn request(place: &str) -> Flattened {
    let value = VECTORS.pointer(place).expect(place).clone();
    serde_json::from_value(value).unwrap()
}

/// The key of the vector for this algorithm.
pub(crate) fn key(algorithm: &str) -> AccountKey {
    let header = request(&format!("/signed/{algorithm}/jws"))
        .header()
        .unwrap();
    match header.key {
        crate::KeyRef::Jwk(key) => key,
        crate::KeyRef::Kid(kid) => panic!("{kid} is no key"),
    }
}

/// A client with an Ed25519 key.
pub(crate) struct Client {
    private: PrivateKey,
}

impl Client {
    pub(crate) fn new() -> Self {
        let spec = KeySpec::parse("ed25519", 0).unwrap();
        Self {
            private: PrivateKey::generate(spec).unwrap(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        let spki = self.private.public_key().key_bits();
        json!({"kty": "OKP", "crv": "Ed25519", "x": text::encode(spki)})
    }

    pub(crate) fn key(&self) -> AccountKey {
        serde_json::from_value(self.jwk()).unwrap()
    }

    /// A request with this header, as text, whatever it says.
    pub(crate) fn sign(&self, header: &str, payload: &str) -> Flattened {
        let mut signed = Flattened::new(text::encode(header), text::encode(payload), "");
        let algorithm = SignatureAlgorithm::Ed25519;
        let signature = self
            .private
            .sign(algorithm, &signed.signing_input())
            .unwrap();
        signed.signature = text::encode(signature);
        signed
    }
}
