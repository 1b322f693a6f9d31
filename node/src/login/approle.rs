//! Login by AppRole: a role id, and a secret id where the role wants one.

use std::path::PathBuf;

use landfast_base::Secret;
use serde_json::json;

use super::method::{self, Lookup, Method};
use super::token::UNWRAP;
use crate::vault::{Vault, VaultError};

const LOOKUP: &str = "sys/wrapping/lookup";

/// A login by AppRole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRole {
    /// Where the method is mounted, usually `approle`.
    pub mount: String,
    /// The role id; an identifier, not a secret.
    pub role_id: RoleId,
    /// Where the secret id comes from; it may be left out where the role does not want one.
    pub secret_id: Option<SecretId>,
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

/// What is read: the role id, and the secret id or the token around it.
type Read = (String, Option<Secret<String>>);

impl Method for AppRole {
    type Secret = Read;

    fn read(&self, _: Lookup<'_>) -> Result<Read, VaultError> {
        let role_id = match &self.role_id {
            RoleId::Given(id) => id.clone(),
            RoleId::File(file) => method::own(file)?.expose().clone(),
        };
        let secret = match &self.secret_id {
            None => None,
            Some(SecretId::File(file) | SecretId::Wrapped { file, .. }) => {
                Some(method::private(file)?)
            }
        };
        Ok((role_id, secret))
    }

    async fn log_in(&self, (role_id, secret): Read, vault: &mut Vault) -> Result<(), VaultError> {
        let mut body = json!({ "role_id": role_id });
        if let Some(mut secret) = secret {
            if let Some(SecretId::Wrapped { role, .. }) = &self.secret_id {
                secret = unwrap(&secret, &self.mount, role.as_deref(), vault).await?;
            }
            body["secret_id"] = secret.expose().as_str().into();
        }
        let outcome = method::call(vault, &self.mount, &body).await;
        outcome.map_err(|error| self.explained(error))
    }
}

impl AppRole {
    /// A server does not say that it had no secret id to look at.
    fn explained(&self, error: VaultError) -> VaultError {
        match error {
            VaultError::Refused {
                path,
                status: 400,
                message,
            } if self.secret_id.is_none() => VaultError::NoSecretId {
                path,
                message,
                role: format!("auth/{}/role/NAME", self.mount),
            },
            error => error,
        }
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

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn secrets_come_from_files_without_their_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let source = AppRole {
            mount: "approle".into(),
            role_id: RoleId::File(file("role", "r\n")),
            secret_id: Some(SecretId::File(file("secret", "s\n"))),
        };
        let (role_id, secret) = source.read(&|_| None).unwrap();
        assert_eq!(role_id, "r");
        assert_eq!(secret.unwrap().expose(), "s");
        assert!(!Source::AppRole(source).is_single_use());
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
}
