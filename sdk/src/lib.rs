//! Write Vault and OpenBao plugins in Rust.

pub mod hclog;
pub mod kms;
pub mod launch;
pub mod logical;
pub mod mtls;
mod socket;
pub mod testing;

pub use launch::{PluginKind, launched_as};
