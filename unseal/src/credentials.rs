//! Credentials that come from elsewhere in landfast.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use landfast_base::Secret;

use crate::error::Error;

/// Temporary credentials of a key service.
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

/// Which session of IAM Roles Anywhere is asked for, and with which certificate. The ARNs are as they were configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesAnywhere {
    /// The trust anchor; its Region is where the call goes.
    pub trust_anchor_arn: String,
    /// The profile.
    pub profile_arn: String,
    /// The role that the session is of.
    pub role_arn: String,
    /// Certificate in PEM, leaf first. Read again for each session.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub private_key: PathBuf,
    /// File with the passphrase of an encrypted key.
    pub passphrase_file: Option<PathBuf>,
    /// Further certificates of the chain in PEM.
    pub intermediates: Option<PathBuf>,
    /// Endpoint instead of the service's own.
    pub endpoint: Option<String>,
    /// The CAs of the endpoint in PEM, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Length of a session in seconds; without it the profile decides.
    pub session_duration: Option<u32>,
    /// Role session name, if the profile accepts one.
    pub session_name: Option<String>,
    /// Use the FIPS 140 endpoint.
    pub use_fips: bool,
    /// Use the endpoint that answers over IPv6 too.
    pub dual_stack: bool,
}

/// Makes a source of such sessions. Nothing is read or called before the source is asked.
///
/// # Errors
/// An ARN or another value cannot be used.
pub type OpenRolesAnywhere = fn(&RolesAnywhere) -> Result<Arc<dyn CredentialSource>, Error>;
