//! Login by a signed token of another issuer: JWT and Kubernetes methods alike.

use std::path::PathBuf;

use landfast_base::Secret;
use serde_json::json;

use super::method::{self, Lookup, Method};
use crate::vault::{Vault, VaultError};

/// Where a pod finds its service account's token.
///
/// Source: Kubernetes documentation, "Configure Service Accounts for Pods".
pub const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A login by a token of another issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Where the method is mounted, such as `jwt` or `kubernetes`.
    pub mount: String,
    /// The role.
    pub role: String,
    /// A file with the token.
    pub file: PathBuf,
}

impl Method for Jwt {
    type Secret = Secret<String>;

    fn read(&self, _: Lookup<'_>) -> Result<Secret<String>, VaultError> {
        Ok(method::own(&self.file)?)
    }

    async fn log_in(&self, jwt: Secret<String>, vault: &mut Vault) -> Result<(), VaultError> {
        let body = json!({ "role": self.role, "jwt": jwt.expose() });
        method::call(vault, &self.mount, &body).await
    }
}
