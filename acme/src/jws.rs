//! Signed requests: JSON Web Signatures in flattened JSON (RFC 7515 section 7.2.2) with the header that ACME asks for (RFC 8555
//! section 6.2).

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::algorithm::Algorithm;
use crate::key::{AccountKey, Jwk};
use crate::{Kind, Problem, crypto, text};

/// Octets of a payload: a CSR with a hundred names has 10 KiB.
pub const MOST_PAYLOAD: usize = 256 * 1024;
/// Octets of a header: a key of 8192 bits takes 1.4 KiB of it.
pub const MOST_HEADER: usize = 16 * 1024;
/// Octets of a signature: that of an RSA key of 8192 bits.
pub const MOST_SIGNATURE: usize = 1024;

/// A signed request as it arrives: three texts in base64url. Nothing in it is checked yet.
///
/// Read from JSON, it has these three members and no other: an unprotected header or a list of signatures is refused (RFC 8555
/// section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flattened {
    /// The protected header.
    pub protected: String,
    /// The payload; empty for POST-as-GET (RFC 8555 section 6.3).
    pub payload: String,
    /// The signature.
    pub signature: String,
}

/// The protected header of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How the request is signed.
    pub algorithm: Algorithm,
    /// The nonce (RFC 8555 section 6.5). Outer requests must have one, inner ones must not.
    pub nonce: Option<String>,
    /// The URL that the request was sent to (RFC 8555 section 6.4).
    pub url: Option<String>,
    /// By which key.
    pub key: KeyRef,
}

/// The key that signed a request: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// The key itself, for new accounts and for revoking by the certificate's key.
    Jwk(AccountKey),
    /// The URL of the account.
    Kid(String),
}

impl Flattened {
    /// From the three members.
    pub fn new(
        protected: impl Into<String>,
        payload: impl Into<String>,
        signature: impl Into<String>,
    ) -> Self {
        Self {
            protected: protected.into(),
            payload: payload.into(),
            signature: signature.into(),
        }
    }

    /// Reads the protected header. No signature is checked by this.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no header of ACME, [`Kind::BadSignatureAlgorithm`] for an algorithm that is not taken, and what
    /// [`AccountKey::parse`] says of the key.
    pub fn header(&self) -> Result<Header, Problem> {
        let raw: RawHeader = self.raw_header()?;
        raw.refuse_extensions()?;
        let algorithm = Algorithm::from_name(&raw.alg).ok_or_else(|| {
            let names: Vec<&str> = Algorithm::ALL.iter().map(|one| one.name()).collect();
            let detail = format!(
                "invalid header: unexpected value for 'algo': {} is not supported, use one of {}",
                text::shown(&raw.alg),
                names.join(", ")
            );
            Problem::new(Kind::BadSignatureAlgorithm, detail)
        })?;
        let key = match (&raw.jwk, raw.kid) {
            (Some(_), Some(_)) => {
                return Err(Problem::malformed(
                    "invalid header: got both account 'kid' and 'jwk' in the same message; expected only one",
                ));
            }
            (Some(jwk), None) => KeyRef::Jwk(AccountKey::from_jwk(jwk)?),
            (None, Some(kid)) if !kid.is_empty() => KeyRef::Kid(kid),
            (None, _) => {
                return Err(Problem::malformed(
                    "invalid header: got neither required fields of 'kid' nor 'jwk'",
                ));
            }
        };
        if raw
            .nonce
            .as_deref()
            .is_some_and(|nonce| text::decode(nonce).is_none())
        {
            return Err(Problem::malformed(
                "invalid header: 'nonce' must be base64url without padding",
            ));
        }
        Ok(Header {
            algorithm,
            nonce: raw.nonce,
            url: raw.url,
            key,
        })
    }

    /// Checks the signature and gives the payload; it is empty for POST-as-GET.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if the algorithm is not one for this key, a part is no base64url or too long, or the signature is not the
    /// key's.
    pub fn verify(&self, key: &AccountKey, algorithm: Algorithm) -> Result<Vec<u8>, Problem> {
        if crypto::rules(algorithm, key.public_key()).is_none() {
            let detail = format!(
                "failed to verify signature: the algorithm {} is not one for this key",
                algorithm.name()
            );
            return Err(Problem::malformed(detail));
        }
        let (payload, signature) = self.signed()?;
        let message = self.signing_input();
        if crypto::verify(algorithm, key.public_key(), &message, &signature) {
            Ok(payload)
        } else {
            Err(Problem::malformed(
                "failed to verify signature: it is not that of the key over this request",
            ))
        }
    }

    /// The header as `T` reads it.
    pub(crate) fn raw_header<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Problem> {
        let header = text::decode_bounded("protected", &self.protected, MOST_HEADER)?;
        text::json("protected", &header)
    }

    /// Payload and signature.
    pub(crate) fn signed(&self) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        let payload = text::decode_bounded("payload", &self.payload, MOST_PAYLOAD)?;
        let signature = text::decode_bounded("signature", &self.signature, MOST_SIGNATURE)?;
        Ok((payload, signature))
    }

    /// What is signed (RFC 7515 section 5.1).
    pub(crate) fn signing_input(&self) -> Vec<u8> {
        [&*self.protected, &*self.payload].join(".").into_bytes()
    }
}

impl Header {
    /// Checks that the request was signed for this URL, to the letter (RFC 8555 section 6.4).
    ///
    /// # Errors
    /// [`Kind::Malformed`] if there is none, [`Kind::Unauthorized`] if it is another.
    pub fn check_url(&self, expected: &str) -> Result<(), Problem> {
        check_url("'protected'", self.url.as_deref(), expected)
    }
}

/// The same for a header that has its own name.
pub(crate) fn check_url(place: &str, url: Option<&str>, expected: &str) -> Result<(), Problem> {
    match url {
        None | Some("") => Err(Problem::malformed(format!(
            "missing required parameter 'url' in {place}"
        ))),
        Some(url) if url == expected => Ok(()),
        Some(url) => {
            let url = text::shown(url);
            let detail =
                format!("invalid value for 'url' in {place}: got '{url}' expected '{expected}'");
            Err(Problem::new(Kind::Unauthorized, detail))
        }
    }
}

/// A header as it came. A member that stands twice is an error of the reader.
#[derive(Deserialize)]
pub(crate) struct RawHeader {
    pub(crate) alg: String,
    pub(crate) nonce: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) jwk: Option<Jwk>,
    pub(crate) kid: Option<String>,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    b64: Present,
}

impl RawHeader {
    /// No extension is understood, so none may be critical (RFC 7515 section 4.1.11), and `b64` is forbidden (RFC 8555 section 6.2).
    pub(crate) fn refuse_extensions(&self) -> Result<(), Problem> {
        for (name, Present(present)) in [("b64", self.b64), ("crit", self.crit)] {
            if present {
                let detail = format!("invalid header: '{name}' is not supported, leave it out");
                return Err(Problem::malformed(detail));
            }
        }
        Ok(())
    }
}

/// Whether a member is there, whatever its value.
#[derive(Clone, Copy, Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

#[cfg(test)]
mod tests;
