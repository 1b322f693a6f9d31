//! Ways for a machine to log in to Vault or OpenBao. Each has a file, which says where its secrets
//! lie, reads them and logs in by them.

pub mod approle;
pub mod aws;
pub mod cert;
pub mod jwt;
pub mod token;

use std::path::Path;

use landfast_pki::Secret;
use serde_json::Value;

use self::approle::{AppRole, SecretId};
use self::aws::Aws;
use self::cert::Certificate;
use self::jwt::Jwt;
use self::token::{Token, Wrapped};
use crate::files::{self, FileError, Opened};
use crate::vault::{self, Config, Vault, VaultError};

/// Reads variables of the environment by their names.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

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

/// One way to log in.
trait Method {
    /// What is read before the server is called.
    type Secret;

    /// Reads it.
    fn read(&self, lookup: Lookup<'_>) -> Result<Self::Secret, VaultError>;

    /// Logs in; `vault` uses the token from then on.
    async fn log_in(&self, secret: Self::Secret, vault: &mut Vault) -> Result<(), VaultError>;
}

async fn open<M: Method>(method: &M, server: Config) -> Result<Vault, VaultError> {
    let secret = method.read(&|name| std::env::var(name).ok())?;
    let mut vault = Vault::new(server, None)?;
    method.log_in(secret, &mut vault).await?;
    Ok(vault)
}

/// The login call of the method at `mount`.
async fn call(vault: &mut Vault, mount: &str, body: &Value) -> Result<(), VaultError> {
    let path = format!("auth/{mount}/login");
    let answer = vault.write(&path, body).await?;
    take(vault, path, text(&answer["auth"]["client_token"]))
}

/// Uses the token that an answer of `path` carries.
fn take(vault: &mut Vault, path: String, token: Option<&str>) -> Result<(), VaultError> {
    let token = token.ok_or(VaultError::Answer {
        path,
        missing: "a token",
    })?;
    vault.set_token(Secret::new(token.to_owned()));
    Ok(())
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Reads a secret that is ours alone: one of another user is refused, one that
/// every user can read is told.
fn private(path: &Path) -> Result<Secret<String>, FileError> {
    vault::only_text(path, &files::read_private(path)?)
}

/// Reads what says who we are. Everybody may know it, but nobody else may choose it.
fn own(path: &Path) -> Result<Secret<String>, FileError> {
    vault::only_text(path, &Opened::open(path)?.refuse_foreign()?.read()?)
}
