//! Ways for a machine to log in to Vault or OpenBao.

use landfast_pki::Secret;
use serde_json::{Value, json};

use crate::vault::{Vault, VaultError};

/// A way to a token.
#[derive(Debug)]
pub enum Login {
    /// A token at hand.
    Token(Secret<String>),
    /// A response-wrapped token, good for one use.
    Wrapped(Secret<String>),
    /// AppRole; the secret id may be left out where the role does not want one.
    AppRole {
        /// Where the method is mounted, usually `approle`.
        mount: String,
        /// The role id; an identifier, not a secret.
        role_id: String,
        /// The secret id.
        secret_id: Option<Secret<String>>,
    },
    /// The TLS client certificate of the connection.
    Certificate {
        /// Where the method is mounted, usually `cert`.
        mount: String,
        /// The certificate role; without it the server tries all.
        role: Option<String>,
    },
    /// A signed token of another issuer: JWT and Kubernetes methods alike.
    Jwt {
        /// Where the method is mounted, such as `jwt` or `kubernetes`.
        mount: String,
        /// The role.
        role: String,
        /// The token.
        jwt: Secret<String>,
    },
}

impl Login {
    /// Logs in; `vault` uses the token from then on.
    ///
    /// # Errors
    /// [`VaultError`] of the login call.
    pub async fn log_in(&self, vault: &mut Vault) -> Result<(), VaultError> {
        let (path, body, carried) = match self {
            Self::Token(token) => {
                vault.set_token(Secret::new(token.expose().clone()));
                return Ok(());
            }
            Self::Wrapped(token) => {
                vault.set_token(Secret::new(token.expose().clone()));
                (
                    "sys/wrapping/unwrap".to_owned(),
                    json!({}),
                    Carried::Wrapped,
                )
            }
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let mut body = json!({ "role_id": role_id });
                if let Some(secret_id) = secret_id {
                    body["secret_id"] = secret_id.expose().as_str().into();
                }
                (format!("auth/{mount}/login"), body, Carried::Login)
            }
            Self::Certificate { mount, role } => {
                let body = role
                    .as_ref()
                    .map_or_else(|| json!({}), |role| json!({ "name": role }));
                (format!("auth/{mount}/login"), body, Carried::Login)
            }
            Self::Jwt { mount, role, jwt } => (
                format!("auth/{mount}/login"),
                json!({ "role": role, "jwt": jwt.expose() }),
                Carried::Login,
            ),
        };
        let answer = vault.write(&path, &body).await?;
        let token = carried.token(&answer).ok_or(VaultError::Answer {
            path,
            missing: "a token",
        })?;
        vault.set_token(Secret::new(token.to_owned()));
        Ok(())
    }
}

/// Where an answer carries the token.
enum Carried {
    Login,
    Wrapped,
}

impl Carried {
    fn token<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        let token = match self {
            Self::Login => &answer["auth"]["client_token"],
            // A wrapped login, or a wrapped token that somebody made.
            Self::Wrapped => match &answer["auth"]["client_token"] {
                Value::Null => &answer["data"]["token"],
                token => token,
            },
        };
        token.as_str().filter(|token| !token.is_empty())
    }
}
