//! What every way to log in does, and what it does it with.

use std::path::Path;

use landfast_base::Secret;
use serde_json::Value;

use crate::files::{self, FileError, Opened};
use crate::vault::{self, Config, Vault, VaultError};

/// Reads variables of the environment by their names.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One way to log in.
pub(super) trait Method {
    /// What is read before the server is called.
    type Secret;

    /// Reads it.
    fn read(&self, lookup: Lookup<'_>) -> Result<Self::Secret, VaultError>;

    /// Logs in; `vault` uses the token from then on.
    async fn log_in(&self, secret: Self::Secret, vault: &mut Vault) -> Result<(), VaultError>;
}

/// Reads the secrets, then logs in.
pub(super) async fn open<M: Method>(method: &M, server: Config) -> Result<Vault, VaultError> {
    let secret = method.read(&|name| std::env::var(name).ok())?;
    let mut vault = Vault::new(server, None)?;
    method.log_in(secret, &mut vault).await?;
    Ok(vault)
}

/// The login call of the method at `mount`.
pub(super) async fn call(vault: &mut Vault, mount: &str, body: &Value) -> Result<(), VaultError> {
    let path = format!("auth/{mount}/login");
    let answer = vault.write(&path, body).await?;
    take(vault, path, text(&answer["auth"]["client_token"]))
}

/// Uses the token that an answer of `path` carries.
pub(super) fn take(vault: &mut Vault, path: String, token: Option<&str>) -> Result<(), VaultError> {
    let token = token.ok_or(VaultError::Answer {
        path,
        missing: "a token",
    })?;
    vault.set_token(Secret::new(token.to_owned()));
    Ok(())
}

/// A text that is there and not empty.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Reads a secret that is ours alone: one of another user is refused, one that
/// every user can read is told.
pub(super) fn private(path: &Path) -> Result<Secret<String>, FileError> {
    vault::only_text(path, &files::read_private(path)?)
}

/// Reads what says who we are. Everybody may know it, but nobody else may choose it.
pub(super) fn own(path: &Path) -> Result<Secret<String>, FileError> {
    vault::only_text(path, &Opened::open(path)?.refuse_foreign()?.read()?)
}
