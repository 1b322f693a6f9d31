//! Login by a token: one at hand, or a response-wrapped one.

use std::path::PathBuf;

use landfast_base::Secret;
use serde_json::{Value, json};

use super::method::{self, Lookup, Method};
use crate::vault::{self, Vault, VaultError};

/// The path that opens a response-wrapping token.
pub(super) const UNWRAP: &str = "sys/wrapping/unwrap";

/// A file with a token; without it, what the server's own command uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(pub Option<PathBuf>);

/// A file with a response-wrapped token, or a wrapped login, good for one use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped(pub PathBuf);

impl Method for Token {
    type Secret = Secret<String>;

    fn read(&self, lookup: Lookup<'_>) -> Result<Secret<String>, VaultError> {
        if let Some(file) = &self.0 {
            return Ok(method::private(file)?);
        }
        vault::token_from_environment(lookup)?.ok_or_else(|| VaultError::Setting {
            name: "BAO_TOKEN and VAULT_TOKEN",
            problem:
                "no token in either, nor in ~/.bao-token or ~/.vault-token: set one, name a --token-file, log in with `bao login`, or say how to log in by --auth"
                    .into(),
        })
    }

    async fn log_in(&self, token: Secret<String>, vault: &mut Vault) -> Result<(), VaultError> {
        vault.set_token(token);
        Ok(())
    }
}

impl Method for Wrapped {
    type Secret = Secret<String>;

    fn read(&self, _: Lookup<'_>) -> Result<Secret<String>, VaultError> {
        Ok(method::private(&self.0)?)
    }

    async fn log_in(&self, token: Secret<String>, vault: &mut Vault) -> Result<(), VaultError> {
        vault.set_token(token);
        let answer = vault.write(UNWRAP, &json!({})).await?;
        method::take(vault, UNWRAP.to_owned(), wrapped(&answer))
    }
}

/// The token of a wrapped login, or of a wrapped token that somebody made.
fn wrapped(answer: &Value) -> Option<&str> {
    method::text(match &answer["auth"]["client_token"] {
        Value::Null => &answer["data"]["token"],
        token => token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_anywhere_says_how_to_give_one() {
        let error = Token(None).read(&|_| None).unwrap_err();
        for part in ["BAO_TOKEN", "VAULT_TOKEN", "--token-file", "--auth"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        let gone = Token(Some("/nonexistent/token".into()));
        let error = gone.read(&|_| Some("unused".into())).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/token"),
            "{error}"
        );
    }

    #[test]
    fn a_wrapped_login_is_taken_from_either_place() {
        let login = json!({"auth": {"client_token": "a"}});
        let token = json!({"auth": null, "data": {"token": "b"}});
        assert_eq!(wrapped(&login), Some("a"));
        assert_eq!(wrapped(&token), Some("b"));
        let of_login =
            |answer: &Value| method::text(&answer["auth"]["client_token"]).map(str::to_owned);
        assert_eq!(of_login(&token), None);
        assert_eq!(of_login(&json!({"auth": {"client_token": ""}})), None);
    }
}
