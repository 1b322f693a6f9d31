//! `landfast/config/kms`: how a mount reaches AWS KMS. The built-in engine has no such entry and looks at none below `landfast/`.

use std::collections::BTreeMap;

use landfast_unseal::keys::{Kind, SECRETS};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::other::Other;

/// The kind of service that `config/kms` reaches.
pub(crate) const KIND: Kind = Kind::AwsKms;

/// That service in the words of a message.
pub(crate) const SERVICE: &str = KIND.words();

/// The connection of a mount to AWS KMS.
///
/// Credentials may be among the settings: they are wiped with the entry, and neither shown by Debug nor copied.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsConfig {
    /// Settings by the names that the `awskms` seal stanza has for them, all as text.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Signatures that the mount asks for at a time; 0 for [`Self::SIGNATURES`].
    #[serde(default)]
    max_signatures: u32,
    /// Fields of other versions.
    #[serde(flatten)]
    other: Other,
}

impl KmsConfig {
    /// Storage key.
    pub const KEY: &str = "landfast/config/kms";

    /// Signatures at a time, when the operator says nothing. At 30 ms each they make half of the 1000 a second that AWS KMS grants
    /// an account and Region.
    pub const SIGNATURES: u32 = 16;

    /// Signatures that the mount asks for at a time.
    pub fn signatures(&self) -> u32 {
        match self.max_signatures {
            0 => Self::SIGNATURES,
            number => number,
        }
    }

    /// Sets how many signatures the mount asks for at a time; 0 for the usual number.
    pub fn set_signatures(&mut self, number: u32) {
        self.max_signatures = number;
    }

    /// Sets one setting; an empty text takes it away.
    pub fn set(&mut self, name: &str, value: &str) {
        let before = if value.is_empty() {
            self.settings.remove(name)
        } else {
            self.settings.insert(name.to_owned(), value.to_owned())
        };
        if let Some(mut before) = before {
            before.zeroize();
        }
    }

    /// Whether it brings its own credentials.
    pub fn has_credentials(&self) -> bool {
        ["access_key", "secret_key"]
            .iter()
            .any(|name| self.settings.contains_key(*name))
    }

    /// What may be shown: every setting that holds no secret.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings
            .iter()
            .filter(|(name, _)| !SECRETS.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the setting is there, for secrets that are not shown.
    pub fn has(&self, name: &str) -> bool {
        self.settings.contains_key(name)
    }

    /// The settings as a seal stanza, wiped when `read` is done with them. `region` overrides the one that is set.
    pub fn with_stanza<T>(
        &self,
        region: Option<&str>,
        read: impl FnOnce(&BTreeMap<String, String>) -> T,
    ) -> T {
        let mut stanza = self.settings.clone();
        // Each key brings its own name.
        stanza.insert("key_not_required".to_owned(), "true".to_owned());
        if let Some(region) = region {
            stanza.insert("region".to_owned(), region.to_owned());
        }
        let outcome = read(&stanza);
        stanza.values_mut().for_each(Zeroize::zeroize);
        outcome
    }

    /// A copy to change, for whoever stores it again.
    pub(crate) fn copy(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            max_signatures: self.max_signatures,
            other: self.other.clone(),
        }
    }
}

impl Drop for KmsConfig {
    fn drop(&mut self) {
        self.settings.values_mut().for_each(Zeroize::zeroize);
    }
}

impl std::fmt::Debug for KmsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KmsConfig")
            .field("settings", &self.settings.keys())
            .field("max_signatures", &self.max_signatures)
            .finish()
    }
}
