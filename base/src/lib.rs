//! What `landfast-sdk` and every crate of landfast stand on, written once. Each file is one subject and knows nothing of the others' crates.
//!
//! - [`Secret`] holds a value that must not leak: it is wiped when it is dropped and prints nothing.
//!   With the feature `fields` it is read from what serde reads, and written by the functions of that alone that say so.
//! - [`random()`], [`fill`] and [`uuid`] are randomness, [`sha1`], [`sha256`] and [`hmac_sha256`] are digests, [`equal`] compares in constant
//!   time: all by AWS-LC.
//! - [`hex()`] and [`unhex`] are lowercase hexadecimal text.
//!
//! Plugins need none of it by this name: `landfast-sdk` hands out what they want. The feature `landfast` is for landfast's own crates; what is
//! behind it may change in every release.

#[cfg(feature = "landfast")]
pub mod arn;
mod crypto;
mod hex;
#[cfg(feature = "landfast")]
pub mod limits;
#[cfg(feature = "landfast")]
mod openness;
#[cfg(feature = "landfast")]
pub mod region;
#[cfg(feature = "landfast")]
mod representative;
mod secret;
#[cfg(feature = "landfast")]
pub mod settings;

pub use crypto::{NoRandomness, equal, fill, hmac_sha256, random, sha1, sha256};
pub use hex::{hex, unhex, uuid};
#[cfg(feature = "landfast")]
pub use openness::warn_if_open;
#[cfg(feature = "landfast")]
pub use representative::ml_dsa_representative;
pub use secret::Secret;
#[cfg(feature = "fields")]
pub use secret::{Passed, notice, noticing, passed, shown, stored, storing};
