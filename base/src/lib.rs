//! What every crate of landfast stands on, written once. Each file is one subject and knows nothing of the others' crates.

pub mod arn;
mod crypto;
mod hex;
pub mod limits;
pub mod region;
mod representative;
mod secret;
pub mod settings;

pub use crypto::{NoRandomness, equal, fill, hmac_sha256, random, sha1, sha256};
pub use hex::{hex, unhex, uuid};
pub use representative::ml_dsa_representative;
pub use secret::Secret;
