//! Login by the TLS client certificate of the connection.

use serde_json::json;

use super::method::{self, Lookup, Method};
use crate::vault::{Vault, VaultError};

/// A login by the certificate that the connection shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Where the method is mounted, usually `cert`.
    pub mount: String,
    /// The certificate role; without it the server tries all.
    pub role: Option<String>,
}

impl Method for Certificate {
    type Secret = ();

    fn read(&self, _: Lookup<'_>) -> Result<(), VaultError> {
        Ok(())
    }

    async fn log_in(&self, (): (), vault: &mut Vault) -> Result<(), VaultError> {
        let body = match &self.role {
            Some(role) => json!({ "name": role }),
            None => json!({}),
        };
        method::call(vault, &self.mount, &body).await
    }
}
