//! External Keys: keys of a service for the server's own engines.
//!
//! A configuration is written by whoever may write it in a namespace, not by the server's operator. So it brings its own credentials and names no
//! file or variable of the server, unless the operator shares the server's identity ([`super::SHARE_IDENTITY`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use landfast_sdk::kms::{self, Hash, KmsOptions, SaltLength, SignInput, SignOptions};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::{KmsPlugin, SHARE_IDENTITY, refuse};
use crate::blob::{Blob, BlobInfo};
use crate::config::{Author, ParseOptions};
use crate::crypto;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::guess::near;
use crate::keys::key::{Context, Digest, KmsSigner, SigningScheme};
use crate::keys::{self, Found, Place, Service, Settings};
use crate::signed::Signed;

/// Configuration key that asks for the server's own identity.
const USE_SERVER_IDENTITY: &str = "use_server_identity";

/// Keys looked up and kept per configuration. The host asks for a key before every single operation.
const KEPT: usize = 1024;

/// An External Keys configuration.
pub(super) struct ExternalKeys {
    service: Arc<dyn Service>,
    keys: Mutex<HashMap<String, Arc<ExternalKey>>>,
}

impl ExternalKeys {
    pub(super) async fn open(options: KmsOptions, plugin: &KmsPlugin) -> Result<Self, Error> {
        let environment = &plugin.environment;
        let shared = environment.var(SHARE_IDENTITY) == Some("true");
        let (config, wants_identity) = texts(options.config)?;
        let author = match (options.allow_environment, wants_identity) {
            (true, _) => Author::Operator,
            (false, true) if shared => Author::TenantWithServerIdentity,
            (false, true) => {
                return Err(Error::Config(format!(
                    "{USE_SERVER_IDENTITY} is not allowed on this server: its operator has to set {SHARE_IDENTITY}=true in the env of the plugin stanza"
                )));
            }
            (false, false) => Author::Tenant,
        };
        let options = ParseOptions {
            key_id: None,
            author,
            roles_anywhere: plugin.roles_anywhere,
        };
        let settings = Settings::of_service(&config.0, environment, &options)?;
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            service: settings.connect(plugin.limits).await?,
            keys: Mutex::default(),
        })
    }

    async fn look_up(&self, name: &str) -> Result<Arc<ExternalKey>, Error> {
        let known = |keys: &HashMap<String, Arc<ExternalKey>>| keys.get(name).cloned();
        if let Some(key) = known(&self.keys.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(key);
        }
        let kind = self.service.kind();
        let does = match self.service.look_up(&Place::of(kind, name)?).await? {
            Found::Signer(signer) => Does::Sign(signer),
            Found::WrappingKey(key) => {
                // Without a context of its own, this would open the blobs of a seal that uses the same key.
                let context = Context::none().with("landfast", "external-key");
                let envelope = Envelope::new(key, kind.as_str(), BTreeMap::new());
                Does::Encrypt(Box::new(envelope.context(context)))
            }
        };
        let key = ExternalKey {
            service: kind.words(),
            does,
        };
        let key = Arc::new(key);
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= KEPT {
            keys.clear();
        }
        keys.insert(name.to_owned(), key.clone());
        Ok(key)
    }
}

#[async_trait]
impl kms::Kms for ExternalKeys {
    async fn key(&self, config: Map<String, Value>) -> Result<Arc<dyn kms::Key>, kms::Error> {
        let named = config.get("name").or_else(|| config.get("kms_key_id"));
        let (1, Some(Value::String(name))) = (config.len(), named) else {
            return Err(kms::Error::Failed(
                "give the key's name and nothing else: a key id, a key ARN, alias/NAME or an alias ARN".to_owned(),
            ));
        };
        Ok(self.look_up(name).await.map_err(refuse)?)
    }
}

struct ExternalKey {
    /// Who keeps it, in the words of a message.
    service: &'static str,
    does: Does,
}

enum Does {
    Sign(Arc<dyn KmsSigner>),
    Encrypt(Box<Envelope>),
}

impl ExternalKey {
    fn signer(&self) -> Result<&dyn KmsSigner, kms::Error> {
        match &self.does {
            Does::Sign(signer) => Ok(&**signer),
            Does::Encrypt(_) => Err(kms::Error::Failed(format!(
                "this {} key encrypts and cannot sign",
                self.service
            ))),
        }
    }

    fn cipher(&self) -> Result<&Envelope, kms::Error> {
        match &self.does {
            Does::Encrypt(cipher) => Ok(cipher),
            Does::Sign(_) => Err(kms::Error::Failed(format!(
                "this {} key signs and cannot encrypt",
                self.service
            ))),
        }
    }
}

#[async_trait]
impl kms::Key for ExternalKey {
    async fn encrypt(&self, data: &[u8], aad: &[u8]) -> Result<Vec<u8>, kms::Error> {
        Ok(self
            .cipher()?
            .encrypt(data, aad)
            .await
            .map_err(refuse)?
            .to_bytes())
    }

    async fn decrypt(&self, data: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, kms::Error> {
        let blob = BlobInfo::from_bytes(data).map_err(refuse)?;
        let opened = self.cipher()?.decrypt(&blob, aad).await.map_err(refuse)?;
        Ok(Zeroizing::new(opened.into_reply()))
    }

    async fn sign(&self, input: SignInput<'_>) -> Result<Vec<u8>, kms::Error> {
        let signer = self.signer()?;
        let signed = plan(self.service, signer.schemes(), &input)?;
        signed.by(signer).await.map_err(refuse)
    }

    /// Verifies here with the public key: that costs no call.
    async fn verify(&self, input: SignInput<'_>, signature: &[u8]) -> Result<(), kms::Error> {
        let signer = self.signer()?;
        let signed = plan(self.service, signer.schemes(), &input)?;
        if signed.verifies(signer, signature) {
            Ok(())
        } else {
            Err(kms::Error::InvalidSignature)
        }
    }

    async fn export_public(&self) -> Result<Vec<u8>, kms::Error> {
        Ok(self.signer()?.public_key_der().to_vec())
    }
}

/// Decides on scheme and digest by the rules of [`SignInput`].
fn plan<'a>(
    service: &str,
    schemes: &[SigningScheme],
    input: &SignInput<'a>,
) -> Result<Signed<'a>, kms::Error> {
    let refuse = |text: String| Err(kms::Error::Failed(text));
    if schemes.contains(&SigningScheme::MlDsa) {
        return plan_of_message(input);
    }
    // An EC key has one scheme, and its digest is the natural one; an RSA key has six, SHA-256 first.
    let ec = schemes.iter().find_map(|scheme| match scheme {
        SigningScheme::Ecdsa(digest) => Some(*digest),
        _ => None,
    });
    let digest = match input.hash {
        Some(Hash::Sha256) => Digest::Sha256,
        Some(Hash::Sha384) => Digest::Sha384,
        Some(Hash::Sha512) => Digest::Sha512,
        Some(other) => return refuse(format!("{service} does not sign with {other:?}")),
        None => match (ec, input.prehashed.then_some(input.data.len())) {
            (Some(own), _) => own,
            (None, None | Some(32)) => Digest::Sha256,
            (None, Some(48)) => Digest::Sha384,
            (None, Some(64)) => Digest::Sha512,
            (None, Some(length)) => {
                return refuse(format!("{length} bytes are no digest that {service} signs"));
            }
        },
    };
    let scheme = match (ec, input.options) {
        (_, SignOptions::Ed25519 { .. }) => {
            return refuse("an Ed25519 context is not for this key".to_owned());
        }
        (Some(_), _) => SigningScheme::Ecdsa(digest),
        (None, SignOptions::None) => SigningScheme::RsaPkcs1(digest),
        (None, SignOptions::Pss(SaltLength::Auto | SaltLength::Hash)) => {
            SigningScheme::RsaPss(digest)
        }
        (None, SignOptions::Pss(SaltLength::Bytes(length))) if length as usize == digest.size() => {
            SigningScheme::RsaPss(digest)
        }
        (None, SignOptions::Pss(SaltLength::Bytes(length))) => {
            return refuse(format!(
                "{service} salts with {} bytes for this digest, not with {length}",
                digest.size()
            ));
        }
    };
    if !schemes.contains(&scheme) {
        return refuse(format!("this key signs with {} only", names(schemes)));
    }
    let bytes = if input.prehashed {
        input.data.to_vec()
    } else {
        crypto::hash(digest, input.data)
    };
    if bytes.len() != digest.size() {
        return refuse(format!("the digest must be {} bytes long", digest.size()));
    }
    Ok(Signed::Digest(scheme, bytes))
}

/// What an ML-DSA key signs. A digest in the message's place would be signed as if it were the message, which nobody would verify as such.
fn plan_of_message<'a>(input: &SignInput<'a>) -> Result<Signed<'a>, kms::Error> {
    let refuse = |text: &str| Err(kms::Error::Failed(text.to_owned()));
    if input.prehashed || input.hash.is_some() {
        return refuse(
            "an ML-DSA key signs the message and no digest of it: ask transit with hash_algorithm=none and without prehashed",
        );
    }
    match input.options {
        SignOptions::Ed25519 { .. } => refuse("an Ed25519 context is not for this key"),
        SignOptions::None | SignOptions::Pss(_) => Ok(Signed::Message(input.data.into())),
    }
}

fn names(schemes: &[SigningScheme]) -> String {
    let names: Vec<_> = schemes.iter().map(|scheme| format!("{scheme:?}")).collect();
    names.join(", ")
}

/// The configuration as the seal stanza has it, all text, and whether it asks for the server's identity.
fn texts(config: Map<String, Value>) -> Result<(super::Stanza, bool), Error> {
    let mut known = [&keys::OF_TENANTS[..], &[USE_SERVER_IDENTITY]].concat();
    known.sort_unstable();
    let mut stanza = super::Stanza(BTreeMap::new());
    let mut wants_identity = false;
    for (name, value) in config {
        if !known.contains(&name.as_str()) {
            let hint = match near(&name, &known) {
                Some(known) => format!("; did you mean {known:?}?"),
                None => String::new(),
            };
            return Err(Error::Config(format!(
                "unknown key {name:?}{hint}; known are {}",
                known.join(", ")
            )));
        }
        let mut text = match value {
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Null => continue,
            _ => return Err(Error::Config(format!("{name} must be a text"))),
        };
        if name == USE_SERVER_IDENTITY {
            wants_identity = matches!(text.as_str(), "true" | "1");
            text.zeroize();
        } else {
            stanza.0.insert(name, text);
        }
    }
    // Each key brings its own name.
    stanza
        .0
        .insert("key_not_required".to_owned(), "true".to_owned());
    Ok((stanza, wants_identity))
}

#[cfg(test)]
mod tests;
