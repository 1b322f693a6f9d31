//! What lies in storage: one file a noun, serde structs in the layout of the built-in engine.

pub mod acme;
pub mod cel;
pub mod config;
pub mod crl;
pub mod ends;
pub mod issuer;
pub mod jobs;
mod json;
pub mod key;
pub mod kms;
pub mod other;
pub mod revoked;
pub mod role;
pub mod seal;
pub mod tidy;
pub mod time;

#[cfg(test)]
mod tests;

pub(crate) use json::{JsonEntry, decode, encode};

impl JsonEntry for acme::ValidationConfig {}
impl JsonEntry for cel::CelRoleEntry {}
impl JsonEntry for config::ClusterConfig {}
impl JsonEntry for config::IssuersConfig {}
impl JsonEntry for config::KeyPoolConfig {}
impl JsonEntry for config::MetricsConfig {}
impl JsonEntry for config::KeysConfig {}
impl JsonEntry for crl::CrlBook {}
impl JsonEntry for issuer::AiaEntry {}
impl JsonEntry for jobs::AcmeConfig {}
impl JsonEntry for kms::KmsConfig {}
impl JsonEntry for revoked::RevokedEntry {}
impl JsonEntry for seal::SealConfig {}
impl JsonEntry for tidy::TidyEntry {}
