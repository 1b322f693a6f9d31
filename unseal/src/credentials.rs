//! Credentials that come from elsewhere in landfast.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use landfast_base::Secret;

use crate::error::Error;

/// Temporary AWS credentials.
#[derive(Debug)]
pub struct TemporaryCredentials {
    /// Access key id.
    pub access_key: Secret<String>,
    /// Secret access key.
    pub secret_key: Secret<String>,
    /// Session token.
    pub session_token: Secret<String>,
    /// When they cease to work.
    pub expires: Timestamp,
}

/// A source of temporary credentials outside this crate, for instance IAM Roles Anywhere. It is asked again some minutes before they expire.
#[async_trait]
pub trait CredentialSource: Debug + Send + Sync {
    /// The source in the words of a message: "credentials from …".
    fn describe(&self) -> &'static str;

    /// New credentials.
    ///
    /// # Errors
    /// None can be had; a transient [`crate::Class`] means that a later try may succeed.
    async fn credentials(&self) -> Result<TemporaryCredentials, Error>;
}
