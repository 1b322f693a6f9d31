//! Bodies of requests, read with limits and without echo.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use landfast_base::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::timeout;
use zeroize::{Zeroize, Zeroizing};

use super::reply::Refusal;
use crate::crypto;
use crate::keys::key::{Digest, SigningScheme};
use crate::signed::Signed;

/// Largest body. The largest that clients send is the checksum file of a snapshot, below a kilobyte.
const BODY: usize = 64 * 1024;

/// Of a body that is too large, this much is read and thrown away: a client that still sends when the connection ends never sees why.
const DISCARDED: usize = 16 * 1024 * 1024;

/// A body has to arrive in this time.
const ARRIVAL: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
pub(super) struct Encrypt {
    #[serde(deserialize_with = "secret")]
    pub(super) plaintext: Secret<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) key_version: Option<u64>,
    #[serde(default)]
    associated_data: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    batch_input: Option<Value>,
}

impl Encrypt {
    pub(super) fn refuse_unsupported(&self) -> Result<(), Refusal> {
        unsupported(
            &self.associated_data,
            &self.context,
            self.batch_input.as_ref(),
        )
    }
}

#[derive(Deserialize)]
pub(super) struct Decrypt {
    pub(super) ciphertext: String,
    #[serde(default)]
    associated_data: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    batch_input: Option<Value>,
}

impl Decrypt {
    pub(super) fn refuse_unsupported(&self) -> Result<(), Refusal> {
        unsupported(
            &self.associated_data,
            &self.context,
            self.batch_input.as_ref(),
        )
    }
}

/// What would change the meaning is refused instead of ignored.
fn unsupported(associated_data: &str, context: &str, batch: Option<&Value>) -> Result<(), Refusal> {
    if associated_data.is_empty() && context.is_empty() && batch.is_none_or(Value::is_null) {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "associated_data, context and batch_input are not supported",
    ))
}

#[derive(Deserialize)]
pub(super) struct Sign {
    input: String,
    #[serde(default)]
    pub(super) signature: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) key_version: Option<u64>,
    #[serde(default)]
    hash_algorithm: String,
    #[serde(default)]
    pub(super) prehashed: bool,
    #[serde(default)]
    signature_algorithm: String,
    #[serde(default, deserialize_with = "text")]
    salt_length: String,
    #[serde(default)]
    marshaling_algorithm: String,
}

impl Sign {
    pub(super) fn plan(
        &self,
        schemes: &[SigningScheme],
        from_path: Option<&str>,
    ) -> Result<Signed<'static>, Refusal> {
        let refuse = |text: &str| Err(Refusal::new(400, text));
        let named = from_path.unwrap_or(&self.hash_algorithm);
        if schemes.contains(&SigningScheme::MlDsa) {
            if self.prehashed || !matches!(named, "" | "none") {
                return refuse(
                    "an ML-DSA key signs the message and no digest of it: leave prehashed false, and hash_algorithm empty or none",
                );
            }
            return Ok(Signed::Message(decode("input", &self.input)?.into()));
        }
        if !matches!(self.marshaling_algorithm.as_str(), "" | "asn1") {
            return refuse("marshaling_algorithm must be asn1");
        }
        let ec = schemes.iter().find_map(|scheme| match scheme {
            SigningScheme::Ecdsa(digest) => Some(*digest),
            _ => None,
        });
        let digest = match (named, ec) {
            ("", Some(own)) => own,
            ("" | "sha2-256", _) => Digest::Sha256,
            ("sha2-384", _) => Digest::Sha384,
            ("sha2-512", _) => Digest::Sha512,
            _ => return refuse("hash_algorithm must be sha2-256, sha2-384 or sha2-512"),
        };
        let scheme = match (ec, self.signature_algorithm.as_str()) {
            (Some(_), _) => SigningScheme::Ecdsa(digest),
            (None, "pkcs1v15") => SigningScheme::RsaPkcs1(digest),
            (None, "" | "pss") => {
                let exact = digest.size().to_string();
                if !matches!(self.salt_length.as_str(), "" | "auto" | "hash" | "0" | "-1")
                    && self.salt_length != exact
                {
                    return refuse(
                        "AWS KMS salts with as many bytes as the digest has: salt_length must be auto or hash",
                    );
                }
                SigningScheme::RsaPss(digest)
            }
            _ => return refuse("signature_algorithm must be pss or pkcs1v15"),
        };
        if !schemes.contains(&scheme) {
            return refuse("this key does not sign with this hash");
        }
        let input = decode("input", &self.input)?;
        let digest_bytes = if self.prehashed {
            input
        } else {
            crypto::hash(digest, &input)
        };
        if digest_bytes.len() != digest.size() {
            return refuse("the input is not a digest of this hash");
        }
        Ok(Signed::Digest(scheme, digest_bytes))
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// A number, or a number written as text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_u64()),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => text
            .parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom("not a number")),
        _ => Err(serde::de::Error::custom("not a number")),
    }
}

/// A text, or a number to be read as text.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("not a text")),
    }
}

pub(super) async fn read(
    request: Request<Incoming>,
    size: &mut usize,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let waits = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    if waits && body.size_hint().lower() > BODY as u64 {
        // Whoever asks before it sends is told before it sends.
        return Err(too_large());
    }
    match timeout(ARRIVAL, collect(body, size)).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::new(408, "the request body did not arrive in time")),
    }
}

async fn collect(mut body: Incoming, size: &mut usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // One allocation, so that growing leaves no copy behind unwiped.
    let told = body
        .size_hint()
        .exact()
        .and_then(|size| usize::try_from(size).ok());
    let mut kept = Zeroizing::new(Vec::with_capacity(told.unwrap_or(BODY).min(BODY)));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Refusal::new(400, "the request body cannot be read"));
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        *size += data.len();
        if *size > DISCARDED {
            return Err(too_large());
        }
        if *size <= BODY {
            kept.extend_from_slice(data);
        } else {
            kept.zeroize();
        }
    }
    if *size > BODY {
        return Err(too_large());
    }
    Ok(kept)
}

fn too_large() -> Refusal {
    Refusal::new(413, "request body too large").and_close()
}

/// The parser's own words are kept back: they may repeat a part of the body.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // Without the first check, an array of the fields' values would pass for an object.
    let object = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let parsed = object.then(|| serde_json::from_slice(body).ok()).flatten();
    parsed.ok_or_else(|| Refusal::new(400, "failed to parse JSON input"))
}

pub(super) fn decode(name: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD
        .decode(text)
        .map_err(|_| Refusal::new(400, &format!("{name} is not base64")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body: Vec<u8>) {
            let object = body.contains(&b'\x7b');
            prop_assert!(object || parse::<Encrypt>(&body).is_err());
            prop_assert!(object || parse::<Decrypt>(&body).is_err());
            prop_assert!(object || parse::<Sign>(&body).is_err());
        }
    }
}
