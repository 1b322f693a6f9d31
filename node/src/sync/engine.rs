//! The engine's side: its issuers, their CRLs, and the leaves that it issued.

use landfast_pki::{Certificate, Crl};
use serde_json::Value;

use super::Progress;
use crate::vault::{Vault, VaultError};

/// A mount of the secrets engine, ours or the built-in one.
pub struct Engine<'a> {
    vault: &'a Vault,
    mount: &'a str,
}

/// A stored certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate: Certificate,
    /// Whether the engine has revoked it.
    pub revoked: bool,
}

impl<'a> Engine<'a> {
    /// The engine at `mount`.
    pub fn new(vault: &'a Vault, mount: &'a str) -> Self {
        Self {
            vault,
            mount: mount.trim_matches('/'),
        }
    }

    /// Every issuer: its id and its certificate.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn issuers(
        &self,
        progress: &mut dyn Progress,
    ) -> Result<Vec<(String, Certificate)>, VaultError> {
        let mut issuers = Vec::new();
        let ids = self.keys("issuers").await?;
        let all = ids.len();
        for (done, id) in ids.into_iter().enumerate() {
            progress.at("issuers of the engine read", done, Some(all));
            let path = self.path(&format!("issuer/{id}/json"));
            let answer = self.vault.read(&path, &[]).await?;
            issuers.push((id, certificate(&path, &answer)?));
        }
        Ok(issuers)
    }

    /// The complete CRL of an issuer.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn crl(&self, issuer: &str) -> Result<Crl, VaultError> {
        let path = self.path(&format!("issuer/{issuer}/crl"));
        let answer = self.vault.read(&path, &[]).await?;
        let text = answer["data"]["crl"].as_str().unwrap_or_default();
        Crl::from_pem(text.as_bytes()).map_err(|_| VaultError::Answer {
            path,
            missing: "a CRL in PEM under data.crl",
        })
    }

    /// The stored certificates that are no CAs. Roles with `no_store` leave
    /// none.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn leaves(&self, progress: &mut dyn Progress) -> Result<Vec<Leaf>, VaultError> {
        let mut leaves = Vec::new();
        let serials = self.keys("certs").await?;
        for (done, serial) in serials.iter().enumerate() {
            progress.at("certificates of the engine read", done, Some(serials.len()));
            let path = self.path(&format!("cert/{serial}"));
            let answer = match self.vault.read(&path, &[]).await {
                Ok(answer) => answer,
                // Tidied away since it was listed.
                Err(VaultError::NotFound { .. }) => continue,
                Err(error) => return Err(error),
            };
            let certificate = certificate(&path, &answer)?;
            if !certificate.is_ca() {
                let at = &answer["data"]["revocation_time"];
                leaves.push(Leaf {
                    certificate,
                    revoked: at.as_i64().is_some_and(|at| at > 0),
                });
            }
        }
        Ok(leaves)
    }

    /// The keys of a list; an empty list is a 404 to these servers.
    async fn keys(&self, path: &str) -> Result<Vec<String>, VaultError> {
        let path = self.path(path);
        let answer = match self.vault.read(&path, &[("list", "true")]).await {
            Ok(answer) => answer,
            Err(VaultError::NotFound { detail, .. }) if detail.is_empty() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let keys = answer["data"]["keys"].as_array();
        Ok(keys
            .into_iter()
            .flatten()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect())
    }

    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.mount)
    }
}

fn certificate(path: &str, answer: &Value) -> Result<Certificate, VaultError> {
    // Some answers come in the usual frame, some bare.
    let data = answer
        .get("data")
        .filter(|data| data.is_object())
        .unwrap_or(answer);
    let text = data["certificate"].as_str().unwrap_or_default();
    Certificate::from_pem(text.as_bytes()).map_err(|_| VaultError::Answer {
        path: path.to_owned(),
        missing: "a certificate in PEM",
    })
}
