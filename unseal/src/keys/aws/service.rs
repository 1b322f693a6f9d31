//! AWS KMS as a key service.

use std::sync::Arc;

use async_trait::async_trait;

use super::config::{AwsConfig, KeyReference};
use super::{AwsKms, AwsSigner, Session, log_identity};
use crate::config::Limits;
use crate::error::Error;
use crate::keys::key::{KeyEncryptionKey, KmsSigner, SigningScheme};
use crate::keys::{Found, Kind, Place, Service};

/// A session, and what its keys do.
#[derive(Debug)]
pub struct AwsService(Arc<Session>);

impl AwsService {
    /// As [`Session::open`].
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open(config: AwsConfig, limits: Limits) -> Result<Self, Error> {
        Ok(Self(Arc::new(Session::open(config, limits).await?)))
    }

    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.0)
    }
}

#[async_trait]
impl Service for AwsService {
    fn kind(&self) -> Kind {
        Kind::AwsKms
    }

    fn region(&self) -> &str {
        self.0.region()
    }

    fn wrapping_key(&self, key: &Place) -> Result<Arc<dyn KeyEncryptionKey>, Error> {
        let key = reference(key)?.clone();
        Ok(Arc::new(AwsKms::new(self.session(), Some(key))))
    }

    async fn signer(&self, key: &Place) -> Result<Arc<dyn KmsSigner>, Error> {
        let signer = AwsSigner::open(self.session(), reference(key)?).await?;
        Ok(Arc::new(signer))
    }

    fn known_signer(
        &self,
        key_id: &str,
        public_key: &[u8],
        schemes: Vec<SigningScheme>,
    ) -> Arc<dyn KmsSigner> {
        let (arn, public_key) = (key_id.to_owned(), public_key.to_vec());
        Arc::new(AwsSigner::known(self.session(), arn, public_key, schemes))
    }

    async fn look_up(&self, key: &Place) -> Result<Found, Error> {
        let reference = reference(key)?;
        if self.0.describe(reference).await?.signs() {
            return self.signer(key).await.map(Found::Signer);
        }
        let kms = AwsKms::new(self.session(), Some(reference.clone()));
        kms.describe().await?;
        Ok(Found::WrappingKey(Arc::new(kms)))
    }

    async fn log_identity(&self) {
        log_identity(self.session()).await;
    }

    async fn metrics(&self) -> String {
        let mut lines = format!(
            "# HELP landfast_unseal_kms_requests Requests sent to AWS KMS since the configuration was read, retries included.\n\
             # TYPE landfast_unseal_kms_requests counter\nlandfast_unseal_kms_requests_total {}\n",
            self.0.requests()
        );
        let origin = self.0.credentials_origin().await;
        let expiry = origin.and_then(|(_, expiry)| expiry);
        if let Some(seconds) = expiry.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()) {
            lines += &format!(
                "# HELP landfast_unseal_aws_credentials_expiry_timestamp_seconds End of the AWS credentials in use.\n\
                 # TYPE landfast_unseal_aws_credentials_expiry_timestamp_seconds gauge\n\
                 landfast_unseal_aws_credentials_expiry_timestamp_seconds {}\n",
                seconds.as_secs()
            );
        }
        lines
    }
}

fn reference(key: &Place) -> Result<&KeyReference, Error> {
    match key {
        Place::AwsKms(key) => Ok(key),
        other => Err(Error::Config(format!("{other} is not a key of AWS KMS"))),
    }
}
