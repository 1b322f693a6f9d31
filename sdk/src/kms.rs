//! KMS plugins: keys that unseal an OpenBao server, and keys that it uses without ever holding them.
//!
//! OpenBao 2.6 and later starts such a plugin for a `seal` stanza that bears the plugin's name, and 2.7 and later for External Keys too.
//! One process serves every seal and every External Keys configuration that share a plugin configuration.
//!
//! A plugin implements [`Plugin`]. For each seal the host asks for a [`Wrapper`] ([`Plugin::wrapper`] is the constructor: all set-up
//! belongs there, as [`Wrapper::init`] is called only when a server is initialised for the first time). For External Keys it opens a
//! [`Kms`], asks that for a [`Key`] per operation, and uses it. What a plugin does not offer stays at the default, which the host reports as
//! "not implemented".
//!
//! A host that loses the process starts it again and repeats [`Plugin::wrapper`] or [`Plugin::open`] with the same configuration. While the
//! process lives it never does, so a plugin whose state is lost beyond repair should exit.

pub(crate) mod service;

use std::{collections::HashMap, process::ExitCode, sync::Arc};

use async_trait::async_trait;
pub use landfast_proto::wrapping::{BlobInfo, KeyInfo};
use zeroize::Zeroizing;

use crate::{
    launch::PluginKind,
    server::{Options, Server, run_process},
};

/// Serves a KMS plugin to the host that started this process, until the end of either.
///
/// Call it when [`crate::launched_as`] says [`PluginKind::Kms`], before any thread is started; it takes over the log, the panic hook and
/// the signals of the process. Started by hand it says so on stderr, and the exit code is 1.
pub fn serve(options: Options, plugin: Arc<dyn Plugin>) -> ExitCode {
    let kind = PluginKind::Kms;
    run_process(kind, &options.served(kind), |launch| {
        Server::kms(launch, options, plugin)
    })
}

/// What a plugin process offers.
#[async_trait]
pub trait Plugin: Send + Sync + 'static {
    /// Makes the wrapper of one seal stanza (`SetConfig`).
    ///
    /// # Errors
    /// The server does not start when this fails, and shows the text.
    async fn wrapper(&self, options: WrapperOptions) -> Result<ConfiguredWrapper, Error> {
        let _ = options;
        Err(Error::Unimplemented)
    }

    /// Opens a session for one External Keys configuration (`Open`).
    ///
    /// # Errors
    /// The text is shown to the operator who writes the configuration.
    async fn open(&self, options: KmsOptions) -> Result<Arc<dyn Kms>, Error> {
        let _ = options;
        Err(Error::Unimplemented)
    }

    /// Configuration fields that the host must not show.
    fn sensitive_fields(&self) -> SensitiveFields {
        SensitiveFields::default()
    }
}

/// Encrypts and decrypts the keys that a server needs to unseal itself.
#[async_trait]
pub trait Wrapper: Send + Sync + 'static {
    /// The type of the seal: a constant. The host asks before every operation and stores the answer; another answer later counts as a
    /// seal migration, and the server refuses to start. Return the name of the stanza.
    fn kind(&self) -> &str;

    /// The id of the key that [`Wrapper::encrypt`] uses now. It must equal `key_info.key_id` of a fresh blob: the host encrypts its
    /// stored keys again when it differs from theirs.
    ///
    /// # Errors
    /// Any; the text goes to the server's log.
    async fn key_id(&self) -> Result<String, Error>;

    /// Encrypts. The host keeps the whole blob and hands it back unchanged, so that it may hold whatever decryption needs.
    ///
    /// # Errors
    /// A failure after start is a warning and a failed health check.
    async fn encrypt(&self, plaintext: &[u8], options: &WrapperOptions) -> Result<BlobInfo, Error>;

    /// Decrypts what [`Wrapper::encrypt`] returned, perhaps in an earlier life of the process or under an earlier key.
    ///
    /// # Errors
    /// A failure at start keeps the server sealed; it tries again every five seconds.
    async fn decrypt(
        &self,
        blob: &BlobInfo,
        options: &WrapperOptions,
    ) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// Called when a server is initialised for the first time, and never again.
    ///
    /// # Errors
    /// The initialisation fails with the text.
    async fn init(&self, options: &WrapperOptions) -> Result<(), Error> {
        let _ = options;
        Ok(())
    }

    /// Called at an orderly end.
    ///
    /// # Errors
    /// The text goes to the server's log.
    async fn finalize(&self, options: &WrapperOptions) -> Result<(), Error> {
        let _ = options;
        Ok(())
    }
}

/// A session with a KMS, for External Keys.
#[async_trait]
pub trait Kms: Send + Sync + 'static {
    /// Finds a key by its configuration (`GetKey`). Called for **every** operation: it must be cheap.
    ///
    /// # Errors
    /// The text is shown to the caller.
    async fn key(
        &self,
        config: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Arc<dyn Key>, Error>;

    /// The host needs the session no longer.
    async fn close(&self) {}
}

/// A key that stays in its KMS.
#[async_trait]
pub trait Key: Send + Sync + 'static {
    /// Encrypts; the output holds all that decryption needs, the nonce included.
    ///
    /// # Errors
    /// The text is shown to the caller.
    async fn encrypt(&self, data: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        let _ = (data, aad);
        Err(Error::Unimplemented)
    }

    /// Decrypts what [`Key::encrypt`] returned.
    ///
    /// # Errors
    /// The text is shown to the caller.
    async fn decrypt(&self, data: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let _ = (data, aad);
        Err(Error::Unimplemented)
    }

    /// Signs: ECDSA as ASN.1 DER, Ed25519 as 64 bytes, RSA and ML-DSA as it is.
    ///
    /// # Errors
    /// The text is shown to the caller.
    async fn sign(&self, input: SignInput<'_>) -> Result<Vec<u8>, Error> {
        let _ = input;
        Err(Error::Unimplemented)
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`] when it does not fit: the host answers `valid: false`. Any other is a failure.
    async fn verify(&self, input: SignInput<'_>, signature: &[u8]) -> Result<(), Error> {
        let _ = (input, signature);
        Err(Error::Unimplemented)
    }

    /// The public key as DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    ///
    /// # Errors
    /// The text is shown to the caller.
    async fn export_public(&self) -> Result<Vec<u8>, Error> {
        Err(Error::Unimplemented)
    }
}

/// A wrapper that is ready for use.
pub struct ConfiguredWrapper {
    /// The wrapper.
    pub wrapper: Arc<dyn Wrapper>,
    /// What the server shows in its start-up banner. No secrets.
    pub metadata: HashMap<String, String>,
}

/// Options of a call on a wrapper.
#[derive(Default)]
pub struct WrapperOptions {
    /// Key to use instead of the configured one; usually empty.
    pub key_id: String,
    /// Additional data that decryption must repeat.
    pub aad: Vec<u8>,
    /// The keys of the seal stanza, all as text: `true` arrives as `1`. Values may be secrets. Empty but for [`Plugin::wrapper`].
    pub config: HashMap<String, String>,
    /// Whether configuration and credentials may come from the environment.
    pub allow_environment: bool,
}

/// Options of [`Plugin::open`].
pub struct KmsOptions {
    /// The members of the configuration with their JSON types. Values may be secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Whether credentials may come from the environment: not for External Keys, whose configuration is not the server operator's.
    pub allow_environment: bool,
}

/// Names of configuration fields that the host shows as redacted.
#[derive(Clone, Debug, Default)]
pub struct SensitiveFields {
    /// Of the configuration of a KMS.
    pub kms: Vec<String>,
    /// Of the configuration of a key.
    pub key: Vec<String>,
}

/// What is to be signed or verified, and how.
///
/// A host may name no hash although it hands over a message: take the natural digest of the key then. For EC keys ignore PSS options, for
/// Ed25519 keys ignore the hash, for ML-DSA keys ignore PSS options and expect the message and no hash; for RSA keys PSS options mean PSS and their absence PKCS#1 v1.5.
#[derive(Clone, Copy, Debug)]
pub struct SignInput<'a> {
    /// A message, or its digest.
    pub data: &'a [u8],
    /// Whether `data` is a digest already.
    pub prehashed: bool,
    /// The hash, if the host named one.
    pub hash: Option<Hash>,
    /// Further options.
    pub options: SignOptions<'a>,
}

/// Options of a signature beside its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignOptions<'a> {
    /// None given.
    None,
    /// RSASSA-PSS.
    Pss(SaltLength),
    /// Ed25519 with a context.
    Ed25519 {
        /// The context (RFC 8032 section 5.1), usually empty.
        context: &'a str,
    },
}

/// Length of the salt of RSASSA-PSS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaltLength {
    /// As long as fits when signing, found out when verifying.
    Auto,
    /// As long as the hash.
    Hash,
    /// This many bytes.
    Bytes(u32),
}

/// Hashes, numbered on the wire as in Go's `crypto` package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hash {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
    Sha512_224,
    Sha512_256,
}

impl Hash {
    /// The hash with a number of Go's `crypto.Hash`; `Ok(None)` for 0.
    ///
    /// # Errors
    /// [`Error::Failed`] for a number that stands for no hash, or for one of no use here.
    pub fn from_go(number: i32) -> Result<Option<Self>, Error> {
        Ok(Some(match number {
            0 => return Ok(None),
            2 => Self::Md5,
            3 => Self::Sha1,
            4 => Self::Sha224,
            5 => Self::Sha256,
            6 => Self::Sha384,
            7 => Self::Sha512,
            10 => Self::Sha3_224,
            11 => Self::Sha3_256,
            12 => Self::Sha3_384,
            13 => Self::Sha3_512,
            14 => Self::Sha512_224,
            15 => Self::Sha512_256,
            other => return Err(Error::Failed(format!("unknown hash number {other}"))),
        }))
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text for people; the host shows it as it is.
    #[error("{0}")]
    Failed(String),
    /// The signature does not fit the data and the key.
    #[error("invalid signature")]
    InvalidSignature,
    /// The plugin does not offer the operation.
    #[error("not implemented")]
    Unimplemented,
}
