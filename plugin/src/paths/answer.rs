//! The answer to a request for a certificate, in the encodings that a request may ask for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};

use jiff::Timestamp;

use landfast_pki::{Certificate, FOREVER, KeyEncoding, PrivateKey, Secret, pem};
use landfast_sdk::logical::{Error, Response};

use crate::fault;
use crate::issuers::LoadedIssuer;

/// How the texts of an answer are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    format: Format,
    key: KeyEncoding,
    remove_roots: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Pem,
    Der,
    Bundle,
}

impl Encoding {
    /// Reads the fields `format`, `private_key_format` and `remove_roots_from_chain`. An unknown key format means the usual one.
    ///
    /// # Errors
    /// For an unknown `format`.
    pub(crate) fn parse(format: &str, key_format: &str, remove_roots: bool) -> Result<Self, Error> {
        let format = match format {
            "pem" => Format::Pem,
            "der" => Format::Der,
            "pem_bundle" => Format::Bundle,
            _ => {
                let text =
                    "the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\"";
                return Err(Error::BadRequest(text.to_owned()));
            }
        };
        let key = if key_format == "pkcs8" {
            KeyEncoding::Pkcs8
        } else {
            KeyEncoding::Traditional
        };
        Ok(Self {
            format,
            key,
            remove_roots,
        })
    }

    /// Answers with a certificate that `issuer` made, and with its private key when that was made here too.
    ///
    /// # Errors
    /// When the key or the issuer's chain cannot be encoded.
    pub(crate) fn answer(
        self,
        certificate: &Certificate,
        issuer: &LoadedIssuer,
        key: Option<&PrivateKey>,
    ) -> Result<Response, Error> {
        let chain = &issuer.entry.ca_chain;
        let shown = self.chain(chain)?;
        let answer = Answer {
            certificate: match self.format {
                Format::Pem => Secret::new(trimmed(&certificate.pem())),
                Format::Der => Secret::new(BASE64.encode(certificate.der())),
                Format::Bundle => bundle(certificate, chain, key)?,
            },
            issuing_ca: match self.format {
                Format::Der => BASE64.encode(issuer.certificate.der()),
                Format::Pem | Format::Bundle => trimmed(&issuer.entry.certificate),
            },
            ca_chain: shown,
            private_key: key.map(|key| self.private_key(key)).transpose()?,
            private_key_type: key.map(|key| key.public_key().key_type().as_str()),
            serial_number: certificate.serial().colon(),
            expiration: unix(certificate.not_after()),
            not_before: unix(certificate.not_before()),
        };
        Response::data(&answer)
    }

    fn private_key(self, key: &PrivateKey) -> Result<Secret<String>, Error> {
        Ok(match self.format {
            Format::Der => {
                Secret::new(BASE64.encode(key.to_der(self.key).map_err(fault::failed)?.expose()))
            }
            Format::Pem | Format::Bundle => {
                trimmed_secret(&key.to_pem(self.key).map_err(fault::failed)?)
            }
        })
    }

    fn chain(self, chain: &[String]) -> Result<Vec<String>, Error> {
        let mut shown = Vec::with_capacity(chain.len());
        for text in chain {
            if self.remove_roots {
                let certificate = Certificate::from_pem(text.as_bytes()).map_err(fault::failed)?;
                if certificate.is_self_signed() {
                    continue;
                }
            }
            shown.push(if self.format == Format::Der {
                BASE64.encode(&*pem::one(text.as_bytes(), &["CERTIFICATE"]).map_err(fault::failed)?)
            } else {
                trimmed(text)
            });
        }
        Ok(shown)
    }
}

/// Seconds since 1970. A certificate without end counts to the last second of 9999, as its encoding says.
pub(crate) fn unix(time: Timestamp) -> i64 {
    if time >= FOREVER {
        253_402_300_799
    } else {
        time.as_second()
    }
}

/// PEM without its final newline, which is how these paths show it.
pub(crate) fn trimmed(pem: &str) -> String {
    pem.trim_end().to_owned()
}

#[derive(Serialize)]
struct Answer {
    /// Secret because a bundle starts with the private key.
    #[serde(serialize_with = "expose")]
    certificate: Secret<String>,
    issuing_ca: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ca_chain: Vec<String>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_some"
    )]
    private_key: Option<Secret<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key_type: Option<&'static str>,
    serial_number: String,
    expiration: i64,
    not_before: i64,
}

/// Key, certificate, chain. The key keeps its usual form whatever the request says of `private_key`, and the chain its roots.
fn bundle(
    certificate: &Certificate,
    chain: &[String],
    key: Option<&PrivateKey>,
) -> Result<Secret<String>, Error> {
    let key = key
        .map(|key| key.to_pem(KeyEncoding::Traditional))
        .transpose()
        .map_err(fault::failed)?;
    let own = certificate.pem();
    let size = key.as_ref().map_or(0, |key| key.expose().len())
        + own.len()
        + chain.iter().map(String::len).sum::<usize>();
    // Enough room from the start, so that growing leaves no copy of the key behind.
    let mut text = String::with_capacity(size + chain.len() + 2);
    let parts = key
        .iter()
        .map(|key| key.expose().as_str())
        .chain([own.as_str()])
        .chain(chain.iter().map(String::as_str));
    for part in parts {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(part.trim_end());
    }
    Ok(Secret::new(text))
}

fn trimmed_secret(pem: &Secret<String>) -> Secret<String> {
    Secret::new(trimmed(pem.expose()))
}

fn expose<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn expose_some<S: Serializer>(
    secret: &Option<Secret<String>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => expose(secret, serializer),
        None => serializer.serialize_none(),
    }
}
