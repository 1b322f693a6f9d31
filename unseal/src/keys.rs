//! Key services by kind.
//!
//! This file alone knows which there are: everybody else sees a [`Kind`], the [`Place`] of a key, [`Settings`]
//! that were read from a stanza, and the [`Service`] that they reach.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::check::Report;
use crate::config::{Environment, Limits, ParseOptions};
use crate::envelope::Envelope;
use crate::error::Error;
use aws::{AwsConfig, AwsService, KeyReference};
use key::{KeyEncryptionKey, KmsSigner, SigningScheme};
use local::LocalKey;

pub mod aws;
pub mod key;
pub mod local;

pub use aws::SECRETS;
pub(crate) use aws::{CONFIDENTIAL, OF_TENANTS};

/// A kind of key service, by the word that settings store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// AWS KMS, reached with credentials.
    AwsKms,
    /// A key in a file of the server.
    Local,
}

impl Kind {
    /// The word of stored settings and of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwsKms => "awskms",
            Self::Local => "local",
        }
    }

    /// Who keeps the key, in the words of a message.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AwsKms => "AWS KMS",
            Self::Local => "a key file",
        }
    }

    /// The kind of the key with this lasting name.
    pub fn of(key_id: &str) -> Self {
        if key_id.starts_with(local::ID) {
            Self::Local
        } else {
            Self::AwsKms
        }
    }
}

/// Which key of which kind is meant. The name stays as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A key in AWS KMS, by any name that it has there.
    AwsKms(KeyReference),
    /// The key of a key file, by its lasting name.
    Local(String),
}

impl Place {
    /// Reads a key's lasting name: an ARN, or `local:` and a fingerprint.
    ///
    /// # Errors
    /// No key can have it.
    pub fn parse(key_id: &str) -> Result<Self, Error> {
        Self::of(Kind::of(key_id), key_id)
    }

    /// Reads what somebody calls a key of this kind.
    ///
    /// # Errors
    /// No key of this kind can have such a name.
    pub fn of(kind: Kind, name: &str) -> Result<Self, Error> {
        match kind {
            Kind::AwsKms => KeyReference::parse(name).map(Self::AwsKms),
            Kind::Local => Ok(Self::Local(name.to_owned())),
        }
    }

    /// The kind of service that keeps the key.
    pub fn kind(&self) -> Kind {
        match self {
            Self::AwsKms(_) => Kind::AwsKms,
            Self::Local(_) => Kind::Local,
        }
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AwsKms(key) => key.as_str(),
            Self::Local(id) => id,
        }
    }

    /// The Region that the name tells.
    pub fn region(&self) -> Option<&str> {
        match self {
            Self::AwsKms(key) => key.region(),
            Self::Local(_) => None,
        }
    }

    /// Whether the name may mean another key tomorrow.
    pub fn is_alias(&self) -> bool {
        match self {
            Self::AwsKms(key) => key.is_multi_region().is_none(),
            Self::Local(_) => false,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key service, with the identity and the Region of one configuration.
#[async_trait]
pub trait Service: fmt::Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> Kind;

    /// The Region of the keys whose names tell none.
    fn region(&self) -> &str;

    /// A key that wraps. Nothing is called.
    ///
    /// # Errors
    /// The key is of another kind.
    fn wrapping_key(&self, key: &Place) -> Result<Arc<dyn KeyEncryptionKey>, Error>;

    /// A key that signs, with its public half looked up.
    ///
    /// # Errors
    /// The key is of another kind, cannot sign, or the service could not be used.
    async fn signer(&self, key: &Place) -> Result<Arc<dyn KmsSigner>, Error>;

    /// A key that [`Service::signer`] found once, by its lasting name, with what was learnt of it then. Nothing is called.
    fn known_signer(
        &self,
        key_id: &str,
        public_key: &[u8],
        schemes: Vec<SigningScheme>,
    ) -> Arc<dyn KmsSigner>;

    /// Looks a key up and finds out what it does.
    ///
    /// # Errors
    /// As [`Service::signer`].
    async fn look_up(&self, key: &Place) -> Result<Found, Error>;

    /// Says in the log who the service takes us for.
    async fn log_identity(&self);

    /// Figures of the service's use, as lines of OpenMetrics.
    async fn metrics(&self) -> String;
}

/// What a key that was looked up does.
#[derive(Debug)]
pub enum Found {
    /// It signs.
    Signer(Arc<dyn KmsSigner>),
    /// It wraps data keys.
    WrappingKey(Arc<dyn KeyEncryptionKey>),
}

/// Where keys are kept and how that is reached, read from a stanza. Nothing was called yet.
#[derive(Debug)]
pub enum Settings {
    /// In AWS KMS.
    AwsKms(Box<AwsConfig>),
    /// In this file.
    Local(PathBuf),
}

impl Settings {
    /// Reads the stanza of a seal, whose key may lie in a file.
    ///
    /// # Errors
    /// A value that cannot be used. No text repeats a credential.
    pub fn of_seal(
        stanza: &BTreeMap<String, String>,
        environment: &Environment,
        options: &ParseOptions<'_>,
    ) -> Result<Self, Error> {
        match LocalKey::of_stanza(stanza)? {
            Some(path) => Ok(Self::Local(path)),
            None => Self::of_service(stanza, environment, options),
        }
    }

    /// Reads the keys that a stanza has for a service.
    ///
    /// # Errors
    /// As [`Settings::of_seal`].
    pub fn of_service(
        stanza: &BTreeMap<String, String>,
        environment: &Environment,
        options: &ParseOptions<'_>,
    ) -> Result<Self, Error> {
        let config = AwsConfig::parse(stanza, environment, options)?;
        Ok(Self::AwsKms(Box::new(config)))
    }

    /// What whoever wrote them should know and may ignore.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::AwsKms(config) => &config.warnings,
            Self::Local(_) => &[],
        }
    }

    /// The service, which is called at its first use.
    ///
    /// # Errors
    /// The settings cannot work, or are those of a key and not of a service.
    pub async fn connect(self, limits: Limits) -> Result<Arc<dyn Service>, Error> {
        match self {
            Self::AwsKms(config) => Ok(Arc::new(AwsService::open(*config, limits).await?)),
            Self::Local(_) => Err(Error::Config("a key file holds no other keys".to_owned())),
        }
    }

    /// The seal, with what was found about it in the log.
    ///
    /// # Errors
    /// The settings cannot work, or the service refuses.
    pub async fn seal(self, limits: Limits) -> Result<Envelope, Error> {
        match self {
            Self::AwsKms(config) => Ok(aws::seal(*config, limits).await?.of_any_kind()),
            Self::Local(path) => {
                tracing::warn!("{}", local::WARNING);
                Ok(LocalKey::load(&path)?.into_seal().of_any_kind())
            }
        }
    }
}

/// Tries the stanza of a seal: whether it can be used, what there is of a service, and a round trip.
pub async fn check(
    stanza: &BTreeMap<String, String>,
    environment: &Environment,
    options: &ParseOptions<'_>,
    limits: Limits,
) -> Report {
    let mut report = Report::default();
    let read = async { Settings::of_seal(stanza, environment, options) };
    let said = |_: &Settings| "can be used".to_owned();
    let settings = report.run("stanza", read, said).await;
    match settings {
        Some(Settings::AwsKms(config)) => aws::check(&mut report, *config, limits).await,
        Some(Settings::Local(path)) => local::check(&mut report, &path).await,
        None => {}
    }
    report
}

/// The key of a key file.
///
/// # Errors
/// The file cannot be read, is not a key file, or is open to others than its owner.
pub fn key_file(path: &Path) -> Result<Arc<dyn KeyEncryptionKey>, Error> {
    Ok(Arc::new(LocalKey::load(path)?))
}
