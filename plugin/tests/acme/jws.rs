//! Signatures of ACME clients (RFC 8555 section 6.2), by AWS-LC and nothing of the server's. The end-to-end tests sign by this too.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key on P-256.
pub(crate) fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The public half as JSON (RFC 7517).
pub(crate) fn jwk(key: &EcdsaKeyPair) -> Value {
    let point = &key.public_key().as_ref()[1..];
    json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[..32]), "y": b64(&point[32..]) })
}

/// A JWS in flattened JSON.
pub(crate) fn sign(key: &EcdsaKeyPair, header: &Value, payload: &str) -> Value {
    let (protected, payload) = (b64(header.to_string()), b64(payload));
    let message = format!("{protected}.{payload}");
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    json!({ "protected": protected, "payload": payload, "signature": b64(signature) })
}

/// A binding to an external account (RFC 8555 section 7.3.4).
pub(crate) fn binding(key: &EcdsaKeyPair, url: &str, kid: &str, mac: &str) -> Value {
    let header = json!({ "alg": "HS256", "kid": kid, "url": url });
    let (protected, payload) = (b64(header.to_string()), b64(jwk(key).to_string()));
    let mac = hmac::Key::new(hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(mac).unwrap());
    let tag = hmac::sign(&mac, format!("{protected}.{payload}").as_bytes());
    json!({ "protected": protected, "payload": payload, "signature": b64(tag) })
}
