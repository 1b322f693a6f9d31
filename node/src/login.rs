//! Ways for a machine to log in to Vault or OpenBao. Each has a file, which says where its secrets
//! lie, reads them and logs in by them.

pub mod approle;
pub mod aws;
pub mod cert;
pub mod jwt;
mod method;
pub mod token;

use self::approle::{AppRole, SecretId};
use self::aws::Aws;
use self::cert::Certificate;
use self::jwt::Jwt;
use self::method::open;
use self::token::{Token, Wrapped};
use crate::vault::{Config, Vault, VaultError};

/// Where the secrets of a login lie. They are read anew for every login: a
/// service account's token, for one, is replaced every hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A token at hand.
    Token(Token),
    /// A response-wrapped token.
    Wrapped(Wrapped),
    /// AppRole.
    AppRole(AppRole),
    /// The TLS client certificate of the connection.
    Certificate(Certificate),
    /// A signed token of another issuer: JWT and Kubernetes methods alike.
    Jwt(Jwt),
    /// The machine's AWS identity.
    Aws(Aws),
}

impl Source {
    /// Reads the secrets, then logs in: the client uses the token that it got.
    ///
    /// # Errors
    /// [`VaultError`]; what cannot be read or used is told before the server is called.
    pub async fn open(&self, server: Config) -> Result<Vault, VaultError> {
        match self {
            Self::Token(method) => open(method, server).await,
            Self::Wrapped(method) => open(method, server).await,
            Self::AppRole(method) => open(method, server).await,
            Self::Certificate(method) => open(method, server).await,
            Self::Jwt(method) => open(method, server).await,
            Self::Aws(method) => open(method, server).await,
        }
    }

    /// Whether it can be used once only.
    pub const fn is_single_use(&self) -> bool {
        matches!(
            self,
            Self::Wrapped(_)
                | Self::AppRole(AppRole {
                    secret_id: Some(SecretId::Wrapped { .. }),
                    ..
                })
        )
    }
}
