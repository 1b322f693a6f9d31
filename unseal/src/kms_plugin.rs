//! The OpenBao plugin of type `kms`: auto-unseal as a drop-in for the old awskms seal, and External Keys.
//!
//! ```hcl
//! plugin_directory = "/usr/local/lib/openbao"
//! plugin "kms" "awskms" {
//!   command   = "landfast"
//!   sha256sum = "…"
//! }
//! seal "awskms" {
//!   region     = "eu-central-1"
//!   kms_key_id = "alias/bao-unseal"
//! }
//! ```
//! With `local_key_file` and nothing else in the stanza, the key comes from a file instead ([`keys::local`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use std::time::Instant;

use async_trait::async_trait;
use landfast_sdk::kms::{self, ConfiguredWrapper, KmsOptions, SensitiveFields, WrapperOptions};
use zeroize::{Zeroize, Zeroizing};

use crate::blob::Blob;
use crate::config::{Author, Environment, Limits, ParseOptions};
use crate::credentials::OpenRolesAnywhere;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::keys::{self, Settings};
use crate::process;
use complaints::Complaints;

mod complaints;
mod external;

/// Variable by which the operator of a server lets External Keys configurations use the server's own AWS identity. It belongs in
/// the `env` list of the plugin stanza.
pub const SHARE_IDENTITY: &str = "LANDFAST_EXTERNAL_KEYS_USE_SERVER_IDENTITY";

/// The plugin.
#[derive(Debug)]
pub struct KmsPlugin {
    environment: Environment,
    limits: Limits,
    roles_anywhere: Option<OpenRolesAnywhere>,
}

impl KmsPlugin {
    /// A plugin that may read these variables where the host allows it.
    pub fn new(environment: Environment) -> Self {
        Self {
            environment,
            limits: Limits::default(),
            roles_anywhere: None,
        }
    }

    /// Lets stanzas ask for credentials by IAM Roles Anywhere.
    #[must_use]
    pub fn roles_anywhere(mut self, open: OpenRolesAnywhere) -> Self {
        self.roles_anywhere = Some(open);
        self
    }

    /// Other limits for calls to AWS KMS than the usual ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    async fn seal(&self, options: &WrapperOptions, stanza: &Stanza) -> Result<Envelope, Error> {
        let author = if options.allow_environment {
            Author::Operator
        } else {
            Author::Isolated
        };
        let key_id = Some(options.key_id.as_str()).filter(|id| !id.is_empty());
        let options = ParseOptions {
            key_id,
            author,
            roles_anywhere: self.roles_anywhere,
        };
        let settings = Settings::of_seal(&stanza.0, &self.environment, &options)?;
        settings.seal(self.limits).await
    }
}

#[async_trait]
impl kms::Plugin for KmsPlugin {
    async fn wrapper(&self, mut options: WrapperOptions) -> Result<ConfiguredWrapper, kms::Error> {
        // Here and not at the start, for the log is set up by now.
        process::protect_memory();
        let stanza = Stanza(options.config.drain().collect());
        let seal = self.seal(&options, &stanza).await.map_err(refuse)?;
        Ok(ConfiguredWrapper {
            metadata: seal.metadata().into_iter().collect(),
            wrapper: Arc::new(Seal {
                envelope: seal,
                complaints: Complaints::default(),
            }),
        })
    }

    async fn open(&self, options: KmsOptions) -> Result<Arc<dyn kms::Kms>, kms::Error> {
        let session = external::ExternalKeys::open(options, self).await;
        Ok(Arc::new(session.map_err(refuse)?))
    }

    fn sensitive_fields(&self) -> SensitiveFields {
        let secret = keys::SECRETS.iter().chain(&keys::CONFIDENTIAL);
        let kms = secret.map(|key| (*key).to_owned()).collect();
        SensitiveFields {
            kms,
            key: Vec::new(),
        }
    }
}

/// Stanza values, wiped after use because credentials may be among them.
struct Stanza(BTreeMap<String, String>);

impl Drop for Stanza {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

struct Seal {
    envelope: Envelope,
    complaints: Complaints,
}

#[async_trait]
impl kms::Wrapper for Seal {
    fn kind(&self) -> &str {
        self.envelope.kind()
    }

    async fn key_id(&self) -> Result<String, kms::Error> {
        Ok(self.envelope.key_id())
    }

    async fn encrypt(
        &self,
        plaintext: &[u8],
        options: &WrapperOptions,
    ) -> Result<kms::BlobInfo, kms::Error> {
        let blob = self.envelope.encrypt(plaintext, &options.aad).await;
        Ok(self.complaints.hear(blob, Instant::now()).map_err(refuse)?)
    }

    async fn decrypt(
        &self,
        blob: &kms::BlobInfo,
        options: &WrapperOptions,
    ) -> Result<Zeroizing<Vec<u8>>, kms::Error> {
        let opened = self.envelope.decrypt(blob, &options.aad).await;
        let opened = self
            .complaints
            .hear(opened, Instant::now())
            .map_err(refuse)?;
        let current = self.envelope.key_id();
        if let Some(former) = blob
            .key_id()
            .filter(|key| *key != current && current.starts_with("arn:"))
        {
            tracing::info!(
                former,
                current,
                "stored data is wrapped by another key than the configured one: the server wraps it anew when it unseals"
            );
        }
        Ok(Zeroizing::new(opened.into_reply()))
    }
}

fn refuse(error: Error) -> kms::Error {
    kms::Error::Failed(error.to_string())
}
