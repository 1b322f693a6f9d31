//! AWS KMS. No other folder of this crate names a type of the AWS SDK.
//!
//! The SDK's own retries and caches are off: they know neither our deadlines nor which failures new credentials can cure. Every
//! call goes through [`session::Session`], which has a limit for each attempt and for the whole.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use landfast_base::Secret;

use crate::config::Limits;
use crate::envelope::Envelope;
use crate::error::{Class, Error};
use crate::keys::key::{Context, DataKey, KeyEncryptionKey, WrappedKey};
use crate::recent::Recent;

mod answer;
mod check;
mod config;
mod credentials;
mod endpoint;
mod facts;
mod failure;
mod region;
mod service;
mod session;
mod signer;
mod sts;
mod transport;

pub(crate) use check::check;
pub use config::{
    AssumeRole, AwsConfig, CONFIDENTIAL, CredentialPlan, DEFAULT_REGION, Fallback, KeyReference,
    Network, OF_TENANTS, RegionChoice, SECRETS, SecretText, Source, StaticKeys,
};
pub use facts::KeyFacts;
pub use service::AwsService;
pub use session::Session;
pub use signer::AwsSigner;

/// The seal type that servers persist for this wrapper.
pub const KIND: &str = "awskms";

/// How long opening a seal may take: the host waits without a limit of its own, and cannot be stopped meanwhile.
const START_BUDGET: Duration = Duration::from_secs(20);

/// How long a seal remembers a data key that it opened. In some states a server opens its two blobs at every `seal-status`, which anybody
/// may ask for: without this, anybody could spend the account's KMS quota.
const REMEMBERED: Duration = Duration::from_secs(20);

/// A symmetric AWS KMS key.
#[derive(Debug)]
pub struct AwsKms {
    session: Arc<Session>,
    key: Option<KeyReference>,
    key_id: RwLock<Option<String>>,
    recent: Option<Recent>,
}

impl AwsKms {
    /// A key that is used through `session`. Nothing is called.
    pub fn new(session: Arc<Session>, key: Option<KeyReference>) -> Self {
        let key_id = key
            .as_ref()
            .filter(|key| key.is_key_arn())
            .map(|key| key.as_str().to_owned());
        Self {
            session,
            key,
            key_id: RwLock::new(key_id),
            recent: None,
        }
    }

    /// Remembers data keys for a few seconds after they were opened. All calls have to bring the same context and pin: what is remembered
    /// does not check them.
    fn remember(mut self) -> Self {
        self.recent = Some(Recent::new(REMEMBERED, 4));
        self
    }

    /// The session that calls go through.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Looks the key up (`DescribeKey`), and from then on names it by its ARN.
    ///
    /// # Errors
    /// The call failed, or it is no key for a seal.
    pub async fn describe(&self) -> Result<KeyFacts, Error> {
        let facts = self.session.describe(self.configured()?).await?;
        if !facts.symmetric {
            return Err(Error::Config(format!(
                "{} is not a symmetric encryption key: a seal needs key usage ENCRYPT_DECRYPT and key spec SYMMETRIC_DEFAULT",
                facts.arn
            )));
        }
        self.learn(&facts.arn);
        Ok(facts)
    }

    fn configured(&self) -> Result<&KeyReference, Error> {
        self.key
            .as_ref()
            .ok_or_else(|| Error::Config("no key is configured: set kms_key_id".to_owned()))
    }

    fn learn(&self, arn: &str) {
        let mut known = self
            .key_id
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.as_deref() != Some(arn) {
            *known = Some(arn.to_owned());
        }
    }
}

#[async_trait]
impl KeyEncryptionKey for AwsKms {
    /// The ARN as soon as any answer named it, else the key as it was configured.
    fn key_id(&self) -> String {
        let known = self
            .key_id
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        known
            .or_else(|| self.key.as_ref().map(|key| key.as_str().to_owned()))
            .unwrap_or_default()
    }

    async fn wrap(&self, key: &[u8], context: &Context) -> Result<WrappedKey, Error> {
        let reference = self.configured()?;
        let answer = self
            .session
            .at_home("Encrypt", Some(reference.as_str()), |client| {
                let request = client
                    .encrypt()
                    .key_id(reference.as_str())
                    .plaintext(Blob::new(key))
                    .set_encryption_context(sdk_context(context));
                async move { request.send().await }
            })
            .await?;
        let missing = || Error::Config("Encrypt returned no ciphertext or no key id".to_owned());
        let arn = answer.key_id.ok_or_else(missing)?;
        self.learn(&arn);
        let ciphertext = answer.ciphertext_blob.ok_or_else(missing)?.into_inner();
        Ok(WrappedKey {
            key_id: arn,
            ciphertext,
        })
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Secret<Vec<u8>>, Error> {
        let pin = pin.map(KeyReference::parse).transpose()?;
        let answer = self
            .session
            .anywhere(
                "Decrypt",
                pin.as_ref().map(KeyReference::as_str),
                |client, region, away| {
                    let pin = pin.as_ref().map(|pin| {
                        if away {
                            pin.in_region(region)
                        } else {
                            pin.as_str().to_owned()
                        }
                    });
                    let request = client
                        .decrypt()
                        .ciphertext_blob(Blob::new(wrapped))
                        .set_key_id(pin)
                        .set_encryption_context(sdk_context(context));
                    async move { request.send().await }
                },
            )
            .await?;
        let plaintext = answer
            .plaintext
            .ok_or_else(|| Error::Config("Decrypt returned no plaintext".to_owned()))?;
        Ok(Secret::new(plaintext.into_inner()))
    }

    async fn open_data_key(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Arc<Secret<Vec<u8>>>, Error> {
        let known = self.recent.as_ref().and_then(|recent| recent.find(wrapped));
        if let Some(key) = known {
            return Ok(key);
        }
        let key = Arc::new(self.unwrap(wrapped, context, pin).await?);
        if let Some(recent) = &self.recent {
            recent.keep(wrapped, key.clone());
        }
        Ok(key)
    }

    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, Error> {
        let reference = self.configured()?;
        let answer = self
            .session
            .at_home("GenerateDataKey", Some(reference.as_str()), |client| {
                let request = client
                    .generate_data_key()
                    .key_id(reference.as_str())
                    .key_spec(DataKeySpec::Aes256)
                    .set_encryption_context(sdk_context(context));
                async move { request.send().await }
            })
            .await?;
        let missing = || Error::Config("GenerateDataKey returned no key".to_owned());
        let plaintext = answer.plaintext.ok_or_else(missing)?;
        let plaintext = Arc::new(Secret::new(plaintext.into_inner()));
        let key_id = answer.key_id.ok_or_else(missing)?;
        self.learn(&key_id);
        let ciphertext = answer.ciphertext_blob.ok_or_else(missing)?.into_inner();
        Ok(DataKey {
            plaintext,
            wrapped: WrappedKey { key_id, ciphertext },
        })
    }
}

/// Opens the seal of a stanza: finds the Region and credentials, looks the key up, and says in the log what it found.
///
/// While AWS KMS cannot be reached the seal opens all the same, unless the stanza says otherwise: the server then stays up, sealed, and tries
/// again by itself.
///
/// # Errors
/// The configuration cannot work, credentials are missing, or AWS KMS refuses the key.
pub async fn seal(config: AwsConfig, limits: Limits) -> Result<Envelope<AwsKms>, Error> {
    match tokio::time::timeout(START_BUDGET, open(config, limits)).await {
        Ok(seal) => seal,
        Err(_) => Err(Error::from(failure::timed_out("start"))),
    }
}

async fn open(mut config: AwsConfig, limits: Limits) -> Result<Envelope<AwsKms>, Error> {
    for warning in std::mem::take(&mut config.warnings) {
        tracing::warn!("{warning}");
    }
    let (strict, lenient, lookup) = (
        config.strict_key,
        config.start_without_kms,
        !config.key_not_required,
    );
    let key = config.key.take();
    let session = Session::open(config, limits)
        .await
        .map_err(|e| e.at("error initializing AWS KMS wrapping client"))?;
    let session = Arc::new(session);

    let mut metadata = BTreeMap::from([("region".to_owned(), session.region().to_owned())]);
    metadata.extend(
        key.as_ref()
            .map(|key| ("key_id".to_owned(), key.to_string())),
    );
    metadata.extend(
        session
            .endpoint()
            .map(|url| ("endpoint".to_owned(), url.to_owned())),
    );

    let kms = AwsKms::new(session.clone(), key).remember();
    if lookup {
        report(kms.describe().await, lenient)
            .map_err(|e| e.at("error fetching AWS KMS wrapping key information"))?;
    }
    tokio::spawn(log_identity(session));
    Ok(Envelope::new(Arc::new(kms), KIND, metadata).strict_key(strict))
}

/// Decides whether a failed look-up ends the start. The look-up itself is not needed for anything.
fn report(looked_up: Result<KeyFacts, Error>, lenient: bool) -> Result<(), Error> {
    match looked_up {
        Ok(facts) => {
            if facts.state == "PendingDeletion" {
                let due = facts
                    .deletion
                    .and_then(|at| jiff::Timestamp::try_from(at).ok());
                let due = due.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string());
                tracing::error!(key = %facts.arn, "the key's deletion is scheduled for {due}: after that nothing that it wrapped can be opened");
            } else if facts.state != "Enabled" {
                tracing::warn!(key = %facts.arn, state = %facts.state, "the key cannot be used in this state");
            }
            Ok(())
        }
        Err(error) if error.class().is_transient() && lenient => {
            tracing::warn!(%error, "AWS KMS cannot be reached; the server starts sealed and unseals when it can");
            Ok(())
        }
        Err(error)
            if error.service().is_some_and(|failure| {
                failure.operation == "DescribeKey" && failure.code.starts_with("AccessDenied")
            }) =>
        {
            tracing::warn!(%error, "the key cannot be looked up; that is not needed to use it");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Says in the log which identity a session uses, unless that would ask another service than the one that holds the keys.
pub async fn log_identity(session: Arc<Session>) {
    if !session.can_identify() {
        return;
    }
    match session.identify().await {
        Ok(identity) => {
            tracing::info!(%identity, region = session.region(), "AWS KMS is used as this identity")
        }
        Err(error) if error.class() == Class::Outage => {
            tracing::debug!(%error, "the Security Token Service cannot be reached to ask for this identity");
        }
        Err(error) => tracing::warn!(%error, "the identity of the credentials is not known"),
    }
}

fn sdk_context(context: &Context) -> Option<std::collections::HashMap<String, String>> {
    (!context.is_empty()).then(|| {
        context
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    })
}
