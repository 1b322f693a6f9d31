//! How to reach a server, and by which token: the variables and files of the servers' own
//! commands.
//!
//! Source: OpenBao documentation, "Commands: environment variables".

use std::path::{Path, PathBuf};

use landfast_base::Secret;

use super::VaultError;
use crate::files::{self, FileError};

/// The address when none is set.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";

/// How to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Scheme, host and port.
    pub address: String,
    /// The namespace, for servers that have them.
    pub namespace: Option<String>,
    /// PEM files, or directories of them, with the CAs of the server.
    pub authorities: Vec<PathBuf>,
    /// A client certificate with its key, each a PEM file.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Accept any server certificate. For laboratories only.
    pub skip_verify: bool,
    /// Nobody gave an address: it is the one that the servers' own commands try.
    pub address_is_usual: bool,
    /// Send tokens and secrets over plain HTTP, where others can read them on their
    /// way; to this machine itself they may go so in any case.
    pub plain_http: bool,
}

impl Config {
    /// Reads the usual variables through `lookup`; a `BAO_` name wins over its
    /// `VAULT_` twin, as in the `bao` command.
    ///
    /// # Errors
    /// [`VaultError::Setting`] names the variable that cannot be used.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, VaultError> {
        let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let get = |suffix: &str| {
            ["BAO", "VAULT"]
                .iter()
                .find_map(|prefix| given(&format!("{prefix}_{suffix}")))
        };
        let either = |names: [&'static str; 2]| {
            let bao = given(names[0]).is_some();
            names[usize::from(!bao)]
        };
        let skip_verify = match get("SKIP_VERIFY").as_deref() {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some(_) => {
                return Err(VaultError::Setting {
                    name: either(["BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"]),
                    problem: "must be true or false".into(),
                });
            }
        };
        let client = match (get("CLIENT_CERT"), get("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                return Err(VaultError::Setting {
                    name: "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
                    problem: "set both or neither".into(),
                });
            }
        };
        let config = Self {
            address_is_usual: get("ADDR").is_none(),
            address: get("ADDR").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned()),
            namespace: get("NAMESPACE"),
            authorities: ["CACERT", "CAPATH"]
                .iter()
                .find_map(|name| get(name))
                .map(PathBuf::from)
                .into_iter()
                .collect(),
            client,
            skip_verify,
            plain_http: false,
        };
        config.check(either(["BAO_ADDR", "VAULT_ADDR"]))?;
        Ok(config)
    }

    pub(super) fn check(&self, name: &'static str) -> Result<(), VaultError> {
        if is_address(&self.address) {
            return Ok(());
        }
        Err(VaultError::Setting {
            name,
            problem: "must be a URL such as https://vault.example:8200".into(),
        })
    }
}

/// Whether a text is the address of a server.
pub fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The token that the server's own command stored at login, if there is one:
/// `BAO_TOKEN`, `VAULT_TOKEN`, `~/.bao-token`, then `~/.vault-token`.
///
/// # Errors
/// [`FileError`] when a token file is there and cannot be read.
pub fn token_from_environment(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret<String>>, FileError> {
    for name in ["BAO_TOKEN", "VAULT_TOKEN"] {
        if let Some(token) = lookup(name).filter(|token| !token.is_empty()) {
            return Ok(Some(Secret::new(token)));
        }
    }
    let Some(home) = lookup("HOME").map(PathBuf::from) else {
        return Ok(None);
    };
    for name in [".bao-token", ".vault-token"] {
        match read_token(&home.join(name)) {
            Ok(token) => return Ok(Some(token)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Reads a file that holds one token or other secret text, without the blanks
/// around it.
///
/// # Errors
/// [`FileError`] when the file cannot be read, is empty or is not text.
pub fn read_token(path: &Path) -> Result<Secret<String>, FileError> {
    only_text(path, &files::read_secret(path)?)
}

/// The text of a file's content, without the blanks around it.
pub(crate) fn only_text(
    path: &Path,
    content: &Secret<Vec<u8>>,
) -> Result<Secret<String>, FileError> {
    match std::str::from_utf8(content.expose()).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text.to_owned())),
        _ => Err(FileError {
            path: path.to_owned(),
            cause: std::io::Error::new(std::io::ErrorKind::InvalidData, "no text in the file"),
        }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::vault) fn config(pairs: &[(&str, &str)]) -> Result<Config, VaultError> {
        Config::from_environment(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_openbao_names_win() {
        let config = config(&[
            ("VAULT_ADDR", "https://v:1"),
            ("BAO_ADDR", "https://b:2"),
            ("VAULT_NAMESPACE", "team"),
            ("VAULT_SKIP_VERIFY", "true"),
        ])
        .unwrap();
        assert_eq!(config.address, "https://b:2");
        assert_eq!(config.namespace.as_deref(), Some("team"));
        assert!(config.skip_verify);
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (pairs, name) in [
            (&[("VAULT_ADDR", "vault:8200")][..], "VAULT_ADDR"),
            (&[("BAO_ADDR", "vault:8200")], "BAO_ADDR"),
            (
                &[("BAO_ADDR", ""), ("VAULT_ADDR", "vault:8200")],
                "VAULT_ADDR",
            ),
            (&[("VAULT_SKIP_VERIFY", "maybe")], "VAULT_SKIP_VERIFY"),
            (&[("BAO_SKIP_VERIFY", "maybe")], "BAO_SKIP_VERIFY"),
            (&[("VAULT_CLIENT_CERT", "x")], "VAULT_CLIENT_CERT"),
        ] {
            let error = config(pairs).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn a_token_comes_from_the_variable_then_from_the_files() {
        let home = tempfile::tempdir().unwrap();
        let with = |token: Option<&str>| {
            let lookup = |name: &str| match name {
                "HOME" => Some(home.path().to_str().unwrap().to_owned()),
                "VAULT_TOKEN" => token.map(str::to_owned),
                _ => None,
            };
            token_from_environment(lookup)
                .unwrap()
                .map(|token| token.expose().clone())
        };
        assert_eq!(with(None), None);
        std::fs::write(home.path().join(".vault-token"), "stored\n").unwrap();
        assert_eq!(with(None).as_deref(), Some("stored"));
        assert_eq!(with(Some("given")).as_deref(), Some("given"));
    }
}
