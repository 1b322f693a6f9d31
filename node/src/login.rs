//! Ways for a machine to log in to Vault or OpenBao.

pub mod aws;

use std::path::{Path, PathBuf};

use landfast_pki::Secret;
use serde_json::{Value, json};

use crate::files::{self, FileError, Opened};
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
        /// Where the secret id comes from.
        secret_id: Option<SecretId>,
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

/// Where a secret id of AppRole comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretId {
    /// A file that holds it.
    File(PathBuf),
    /// A file with a response-wrapping token around it, good for one use.
    Wrapped {
        /// The file.
        file: PathBuf,
        /// The role that it must have been made for; without it, any of the mount.
        role: Option<String>,
    },
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
                    name: "BAO_TOKEN and VAULT_TOKEN",
                    problem:
                        "no token in either, nor in ~/.bao-token or ~/.vault-token: set one, name a --token-file, log in with `bao login`, or say how to log in by --auth"
                            .into(),
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
                    RoleId::File(file) => own(file)?.expose().clone(),
                },
                secret_id: match secret_id {
                    None => None,
                    Some(SecretId::File(file)) => Some(GivenSecretId::Plain(private(file)?)),
                    Some(SecretId::Wrapped { file, role }) => Some(GivenSecretId::Wrapped {
                        token: private(file)?,
                        role: role.clone(),
                    }),
                },
            },
            Self::Certificate { mount, role } => Login::Certificate {
                mount: mount.clone(),
                role: role.clone(),
            },
            Self::Jwt { mount, role, file } => Login::Jwt {
                mount: mount.clone(),
                role: role.clone(),
                jwt: own(file)?,
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
        matches!(
            self,
            Self::Wrapped(_)
                | Self::AppRole {
                    secret_id: Some(SecretId::Wrapped { .. }),
                    ..
                }
        )
    }
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
        secret_id: Option<GivenSecretId>,
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

/// A secret id of AppRole, or what must be opened first.
#[derive(Debug)]
pub enum GivenSecretId {
    /// The secret id.
    Plain(Secret<String>),
    /// A response-wrapping token around it.
    Wrapped {
        /// The token.
        token: Secret<String>,
        /// The role that it must have been made for.
        role: Option<String>,
    },
}

impl GivenSecretId {
    /// Adds the secret id to the body of a login, opened if need be.
    async fn join(
        &self,
        body: &mut Value,
        mount: &str,
        vault: &mut Vault,
    ) -> Result<(), VaultError> {
        let unwrapped;
        let secret = match self {
            Self::Plain(secret) => secret,
            Self::Wrapped { token, role } => {
                unwrapped = unwrap(token, mount, role.as_deref(), vault).await?;
                &unwrapped
            }
        };
        body["secret_id"] = secret.expose().as_str().into();
        Ok(())
    }
}

/// Takes a secret id out of its wrapping, if the wrapping was made by the path
/// that gives out secret ids. Whoever swaps a token for one of their own making
/// is found out here, and the token is left unspent for the one who looks into it.
///
/// Source: OpenBao documentation, "Response wrapping", response-wrapping token validation.
async fn unwrap(
    token: &Secret<String>,
    mount: &str,
    role: Option<&str>,
    vault: &mut Vault,
) -> Result<Secret<String>, VaultError> {
    let body = json!({ "token": token.expose() });
    let found = vault.write(LOOKUP, &body).await?;
    let path = found["data"]["creation_path"]
        .as_str()
        .ok_or_else(|| VaultError::Answer {
            path: LOOKUP.to_owned(),
            missing: "a creation_path",
        })?;
    if !gives_secret_ids(path, mount, role) {
        return Err(VaultError::Wrapping {
            found: path.to_owned(),
            wanted: format!("auth/{mount}/role/{}/secret-id", role.unwrap_or("NAME")),
        });
    }
    vault.set_token(Secret::new(token.expose().clone()));
    let answer = vault.write(UNWRAP, &json!({})).await;
    // It is spent, and a login needs none.
    vault.forget_token();
    let answer = answer?;
    answer["data"]["secret_id"]
        .as_str()
        .filter(|secret| !secret.is_empty())
        .map(|secret| Secret::new(secret.to_owned()))
        .ok_or_else(|| VaultError::Answer {
            path: UNWRAP.to_owned(),
            missing: "a secret id",
        })
}

const LOOKUP: &str = "sys/wrapping/lookup";
const UNWRAP: &str = "sys/wrapping/unwrap";

/// Whether a path hands out secret ids of the role, or of one role of the mount.
fn gives_secret_ids(path: &str, mount: &str, role: Option<&str>) -> bool {
    let name = path
        .strip_prefix("auth/")
        .and_then(|rest| rest.strip_prefix(mount))
        .and_then(|rest| rest.strip_prefix("/role/"))
        .and_then(|rest| rest.strip_suffix("/secret-id"));
    name.is_some_and(|name| {
        !name.is_empty() && !name.contains('/') && role.is_none_or(|role| role == name)
    })
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
                (UNWRAP.to_owned(), json!({}), Carried::Wrapped)
            }
            Self::AppRole {
                mount,
                role_id,
                secret_id,
            } => {
                let mut body = json!({ "role_id": role_id });
                if let Some(secret_id) = secret_id {
                    secret_id.join(&mut body, mount, vault).await?;
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
        let answer = vault.write(&path, &body).await;
        let answer = answer.map_err(|error| self.explained(error))?;
        let token = carried.token(&answer).ok_or(VaultError::Answer {
            path,
            missing: "a token",
        })?;
        vault.set_token(Secret::new(token.to_owned()));
        Ok(())
    }

    /// A server does not say that it had no secret id to look at.
    fn explained(&self, error: VaultError) -> VaultError {
        match (self, error) {
            (
                Self::AppRole {
                    mount,
                    secret_id: None,
                    ..
                },
                VaultError::Refused {
                    path,
                    status: 400,
                    message,
                },
            ) => VaultError::NoSecretId {
                path,
                message,
                role: format!("auth/{mount}/role/NAME"),
            },
            (_, error) => error,
        }
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
            secret_id: Some(SecretId::File(file("secret", "s\n"))),
        };
        let Ok(Login::AppRole {
            role_id, secret_id, ..
        }) = source.read(|_| None)
        else {
            panic!("no AppRole login");
        };
        assert_eq!(role_id, "r");
        let Some(GivenSecretId::Plain(secret)) = secret_id else {
            panic!("no secret id");
        };
        assert_eq!(secret.expose(), "s");
        assert!(!source.is_single_use());
    }

    #[test]
    fn only_the_roles_own_path_wraps_its_secret_ids() {
        let good = "auth/approle/role/node-1/secret-id";
        assert!(gives_secret_ids(good, "approle", None));
        assert!(gives_secret_ids(good, "approle", Some("node-1")));
        assert!(!gives_secret_ids(good, "approle", Some("node-2")));
        assert!(!gives_secret_ids(good, "other", None));
        for bad in [
            "sys/wrapping/wrap",
            "auth/approle/role//secret-id",
            "auth/approle/role/a/b/secret-id",
            "auth/approle/role/node-1/custom-secret-id",
            "auth/approle/role/node-1/secret-id/lookup",
            "xauth/approle/role/node-1/secret-id",
            "",
        ] {
            assert!(!gives_secret_ids(bad, "approle", None), "{bad}");
        }
    }

    #[test]
    fn no_token_anywhere_says_how_to_give_one() {
        let error = Source::Token(None).read(|_| None).unwrap_err();
        for part in ["BAO_TOKEN", "VAULT_TOKEN", "--token-file", "--auth"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
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
