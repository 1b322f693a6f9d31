//! Ways for a machine to log in to Vault or OpenBao.

pub mod aws;

use std::path::{Path, PathBuf};

use landfast_pki::Secret;
use serde_json::{Value, json};

use crate::files::{self, FileError};
use crate::vault::{self, Vault, VaultError};

/// Where the secrets of a login lie. They are read anew for every login: a
/// service account's token, for one, is replaced every hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file with a token; without it, what the server's own command uses.
    Token(Option<PathBuf>),
    /// A file with a response-wrapped token.
    Wrapped(PathBuf),
    /// AppRole.
    AppRole {
        /// Where the method is mounted.
        mount: String,
        /// The role id.
        role_id: RoleId,
        /// A file with the secret id.
        secret_id: Option<PathBuf>,
    },
    /// The TLS client certificate of the connection.
    Certificate {
        /// Where the method is mounted.
        mount: String,
        /// The certificate role.
        role: Option<String>,
    },
    /// A signed token of another issuer.
    Jwt {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: String,
        /// A file with the token.
        file: PathBuf,
    },
    /// The machine's AWS identity.
    Aws {
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: Option<String>,
        /// What is signed.
        identity: aws::Identity,
    },
}

/// A role id of AppRole, or the file that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleId {
    /// The id itself, which is no secret.
    Given(String),
    /// A file.
    File(PathBuf),
}

impl Source {
    /// Reads the files, and variables through `lookup`.
    ///
    /// # Errors
    /// [`VaultError::File`], or [`VaultError::Setting`] when there is no token anywhere.
    pub fn read(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<Login, VaultError> {
        Ok(match self {
            Self::Token(Some(file)) => Login::Token(private(file)?),
            Self::Token(None) => {
                let token = vault::token_from_environment(lookup)?;
                Login::Token(token.ok_or_else(|| VaultError::Setting {
                    name: "VAULT_TOKEN",
                    problem: "no token: set it, name a --token-file, or log in by --auth".into(),
                })?)
            }
            Self::Wrapped(file) => Login::Wrapped(private(file)?),
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => Login::AppRole {
                mount: mount.clone(),
                role_id: match role_id {
                    RoleId::Given(id) => id.clone(),
                    RoleId::File(file) => vault::read_token(file)?.expose().clone(),
                },
                secret_id: secret_id.as_deref().map(private).transpose()?,
            },
            Self::Certificate { mount, role } => Login::Certificate {
                mount: mount.clone(),
                role: role.clone(),
            },
            Self::Jwt { mount, role, file } => Login::Jwt {
                mount: mount.clone(),
                role: role.clone(),
                jwt: vault::read_token(file)?,
            },
            Self::Aws {
                mount,
                role,
                identity,
            } => Login::Aws {
                mount: mount.clone(),
                role: role.clone(),
                identity: identity.clone(),
            },
        })
    }

    /// Whether it can be used once only.
    pub const fn is_single_use(&self) -> bool {
        matches!(self, Self::Wrapped(_))
    }
}

/// Reads a secret that is ours alone; one that every user can read is read, and told.
fn private(path: &Path) -> Result<Secret<String>, FileError> {
    files::tell_if_open(path)?;
    vault::read_token(path)
}

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
    /// The machine's AWS identity; its credentials are looked for at the login.
    Aws {
        /// Where the method is mounted, usually `aws`.
        mount: String,
        /// The role; without it the server takes the identity's name.
        role: Option<String>,
        /// What is signed.
        identity: aws::Identity,
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
            Self::Aws {
                mount,
                role,
                identity,
            } => (
                format!("auth/{mount}/login"),
                identity.sign(role.as_deref()).await?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_come_from_files_without_their_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let source = Source::AppRole {
            mount: "approle".into(),
            role_id: RoleId::File(file("role", "r\n")),
            secret_id: Some(file("secret", "s\n")),
        };
        let Ok(Login::AppRole {
            role_id, secret_id, ..
        }) = source.read(|_| None)
        else {
            panic!("no AppRole login");
        };
        assert_eq!(role_id, "r");
        assert_eq!(secret_id.unwrap().expose(), "s");
    }

    #[test]
    fn no_token_anywhere_says_how_to_give_one() {
        let error = Source::Token(None).read(|_| None).unwrap_err();
        assert!(error.to_string().contains("--token-file"), "{error}");
        let gone = Source::Token(Some("/nonexistent/token".into()));
        let error = gone.read(|_| Some("unused".into())).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/token"),
            "{error}"
        );
    }

    #[test]
    fn a_wrapped_login_is_taken_from_either_place() {
        let login = json!({"auth": {"client_token": "a"}});
        let token = json!({"auth": null, "data": {"token": "b"}});
        assert_eq!(Carried::Wrapped.token(&login), Some("a"));
        assert_eq!(Carried::Wrapped.token(&token), Some("b"));
        assert_eq!(Carried::Login.token(&token), None);
        assert_eq!(
            Carried::Login.token(&json!({"auth": {"client_token": ""}})),
            None
        );
    }
}
