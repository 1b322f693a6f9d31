//! Answers that hold certificates, requests and private keys, in the encodings that a request may ask for.
//!
//! A private key stays in a type that is wiped until it is written into the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

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

/// A text that is shown although it is, or has in front, a private key.
#[derive(Debug)]
pub(crate) struct Shown(Secret<String>);

impl Shown {
    /// A secret that an answer shows.
    pub(crate) fn new(secret: Secret<String>) -> Self {
        Self(secret)
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// What an answer says of the private key that it shows.
#[derive(Debug, Serialize)]
pub(crate) struct ShownKey {
    private_key: Shown,
    private_key_type: &'static str,
}

/// What every answer with a new certificate says.
#[derive(Debug, Serialize)]
pub(crate) struct Issued {
    certificate: Shown,
    issuing_ca: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ca_chain: Vec<String>,
    serial_number: String,
    expiration: i64,
    #[serde(flatten)]
    key: Option<ShownKey>,
}

/// What an answer with a new leaf says.
#[derive(Serialize)]
struct Leaf {
    #[serde(flatten)]
    issued: Issued,
    not_before: i64,
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

    /// Answers with a leaf that `issuer` made, and with its private key when that was made here too.
    ///
    /// # Errors
    /// When the key or the issuer's chain cannot be encoded.
    pub(crate) fn leaf(
        self,
        certificate: &Certificate,
        issuer: &LoadedIssuer,
        key: Option<&PrivateKey>,
    ) -> Result<Response, Error> {
        let chain = &issuer.entry.ca_chain;
        let issuing_ca = match self.format {
            Format::Der => BASE64.encode(issuer.certificate.der()),
            Format::Pem | Format::Bundle => trimmed(&issuer.entry.certificate),
        };
        let mut issued = self.issued(certificate, issuing_ca, key, chain)?;
        issued.ca_chain = self.chain(chain)?;
        Response::data(&Leaf {
            issued,
            not_before: unix(certificate.not_before()),
        })
    }

    /// What is said of a new certificate, without its chain; `above` follows it in a bundle.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub(crate) fn issued(
        self,
        certificate: &Certificate,
        issuing_ca: String,
        key: Option<&PrivateKey>,
        above: &[String],
    ) -> Result<Issued, Error> {
        let own = self.text("CERTIFICATE", certificate.der());
        Ok(Issued {
            certificate: self.first(own, key, above)?,
            issuing_ca,
            ca_chain: Vec::new(),
            serial_number: certificate.serial().colon(),
            expiration: unix(certificate.not_after()),
            key: key.map(|key| self.key(key)).transpose()?,
        })
    }

    /// `der` in base64, or in PEM without its final newline.
    pub(crate) fn text(self, label: &str, der: &[u8]) -> String {
        match self.format {
            Format::Der => BASE64.encode(der),
            Format::Pem | Format::Bundle => trimmed(&pem::encode(label, der)),
        }
    }

    /// The text that a bundle has everything in: key, `own`, what is `above`. The key keeps its usual form whatever the request says of
    /// `private_key`, and the chain its roots. Elsewhere it is `own`.
    ///
    /// # Errors
    /// When the key cannot be encoded.
    pub(crate) fn first(
        self,
        own: String,
        key: Option<&PrivateKey>,
        above: &[String],
    ) -> Result<Shown, Error> {
        if self.format != Format::Bundle {
            return Ok(Shown(Secret::new(own)));
        }
        let key = key.map(usual).transpose()?;
        let size = key.as_ref().map_or(0, |key| key.0.expose().len())
            + own.len()
            + above.iter().map(String::len).sum::<usize>();
        // Enough room from the start, so that growing leaves no copy of the key behind.
        let mut text = String::with_capacity(size + above.len() + 2);
        let key = key.iter().map(|key| key.0.expose());
        for part in key.chain([&own]).chain(above) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(part.trim_end());
        }
        Ok(Shown(Secret::new(text)))
    }

    /// The private key in the form asked for.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub(crate) fn key(self, key: &PrivateKey) -> Result<ShownKey, Error> {
        let text = match self.format {
            Format::Der => {
                let der = key.to_der(self.key).map_err(fault::failed)?;
                Shown(Secret::new(BASE64.encode(der.expose())))
            }
            Format::Pem | Format::Bundle => in_pem(key, self.key)?,
        };
        Ok(ShownKey {
            private_key: text,
            private_key_type: key.public_key().key_type().as_str(),
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

/// Answers with a certificate that a program decided on: always in PEM, with members for a key also where none was made, and, where one
/// was, without a chain that is the issuer alone.
///
/// # Errors
/// When the key or the issuer's chain cannot be encoded.
pub(crate) fn of_program(
    certificate: &Certificate,
    issuer: &LoadedIssuer,
    key: Option<&PrivateKey>,
    remove_roots: bool,
) -> Result<Response, Error> {
    let encoding = Encoding {
        format: Format::Pem,
        key: KeyEncoding::Traditional,
        remove_roots,
    };
    let issuing_ca = trimmed(&issuer.entry.certificate);
    let mut issued = encoding.issued(certificate, issuing_ca, key, &[])?;
    let own = &issuer.certificate;
    if key.is_none() || own.aki().is_some_and(|aki| Some(aki) != own.ski()) {
        issued.ca_chain = encoding.chain(&issuer.entry.ca_chain)?;
    }
    issued.key.get_or_insert_with(|| ShownKey {
        private_key: Shown(Secret::new(String::new())),
        private_key_type: "",
    });
    Response::data(&Leaf {
        issued,
        not_before: unix(certificate.not_before()),
    })
}

/// A private key in PEM, in the usual form of its type.
///
/// # Errors
/// When it cannot be encoded.
pub(crate) fn usual(key: &PrivateKey) -> Result<Shown, Error> {
    in_pem(key, KeyEncoding::Traditional)
}

fn in_pem(key: &PrivateKey, encoding: KeyEncoding) -> Result<Shown, Error> {
    let pem = key.to_pem(encoding).map_err(fault::failed)?;
    Ok(Shown(Secret::new(trimmed(pem.expose()))))
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

/// The members of what `json!` made of members.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
