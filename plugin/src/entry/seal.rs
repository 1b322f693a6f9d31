//! `landfast/config/seal`: what seals the CA keys of a mount. The built-in engine has no such entry and looks at none below `landfast/`.

use landfast_unseal::keys::Kind;
use serde::{Deserialize, Serialize};

use super::other::Other;

/// How new keys are stored, and what the stored ones are to become.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SealConfig {
    /// Each of these wraps the data key of each sealed key. None: keys are stored as the built-in engine stores them.
    pub wrappers: Vec<SealWrapper>,
    /// Wrappers of earlier settings, by which keys may still be sealed.
    pub former: Vec<SealWrapper>,
    /// Whether stored keys are to be brought to these settings, which goes on after a restart.
    pub pending: bool,
    /// Whether `pending` is also for the keys that are wrapped as they should be.
    pub rewrap: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// One wrapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealWrapper {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the operator calls the key: an id, ARN or alias in AWS KMS; the name of a key file.
    pub name: String,
    /// The key's lasting name, as it was when the wrapper was last tried: an ARN, or `local:` and a fingerprint.
    #[serde(default)]
    pub key_id: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl SealConfig {
    /// Storage key.
    pub const KEY: &str = "landfast/config/seal";

    /// The lasting names of the keys that a sealed key is to be wrapped by.
    pub fn key_ids(&self) -> Vec<String> {
        self.wrappers
            .iter()
            .map(|wrapper| wrapper.key_id.clone())
            .collect()
    }

    /// All key files that may be needed to open something.
    pub fn key_files(&self) -> impl Iterator<Item = &str> {
        let all = self.wrappers.iter().chain(&self.former);
        all.filter(|wrapper| wrapper.kind == Kind::Local)
            .map(|wrapper| wrapper.name.as_str())
    }

    /// What succeeds this: `wrappers`, with those key files remembered that may still be needed.
    #[must_use]
    pub fn succeeded_by(&self, wrappers: Vec<SealWrapper>) -> Self {
        let mut former = Vec::<SealWrapper>::new();
        for old in self.former.iter().chain(&self.wrappers) {
            let known = |list: &[SealWrapper]| {
                list.iter()
                    .any(|other| (other.kind, &other.name) == (old.kind, &old.name))
            };
            if old.kind == Kind::Local && !known(&wrappers) && !known(&former) {
                former.push(old.clone());
            }
        }
        Self {
            wrappers,
            former,
            pending: self.pending,
            rewrap: self.rewrap,
            other: self.other.clone(),
        }
    }
}
