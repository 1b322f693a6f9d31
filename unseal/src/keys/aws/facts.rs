//! What is known of a key that was looked up.

use std::time::SystemTime;

use aws_sdk_kms::types::{KeySpec, KeyState, KeyUsageType};

/// What AWS KMS says of a key.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// The key's ARN, with aliases resolved.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion` and so on.
    pub state: String,
    /// When its deletion is due.
    pub deletion: Option<SystemTime>,
    /// Whether it has replicas in other Regions.
    pub multi_region: bool,
    pub(super) symmetric: bool,
    pub(super) signs: bool,
}

impl KeyFacts {
    /// Whether this is a key that signs.
    pub fn signs(&self) -> bool {
        self.signs
    }
}

/// Whether these are of a key that encrypts. A stand-in may leave them out; AWS never does.
pub(super) fn is_symmetric(usage: Option<&KeyUsageType>, spec: Option<&KeySpec>) -> bool {
    usage.is_none_or(|usage| *usage == KeyUsageType::EncryptDecrypt)
        && spec.is_none_or(|spec| *spec == KeySpec::SymmetricDefault)
}

/// The word for a key's state.
pub(super) fn state_name(state: Option<&KeyState>) -> String {
    state.map_or("Enabled", KeyState::as_str).to_owned()
}
