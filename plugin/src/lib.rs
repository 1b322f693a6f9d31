//! The PKI secrets engine for Vault and OpenBao: path table, storage, caches and periodic work around the rules of `landfast-pki`.
//!
//! Paths, fields, answers and the storage layout are those of the built-in `pki` engine of OpenBao 2.7.2, so that clients and
//! existing mounts need not change.

mod cache;
mod clock;
pub mod entry;

pub use clock::{Clock, FixedClock, SystemClock};
