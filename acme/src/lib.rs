//! What an ACME server (RFC 8555) is beside storage and paths: its problems, signed requests, account keys, identifiers, nonces,
//! challenges, the windows of renewal information (RFC 9773), and the validation of challenges.
//!
//! All of it but [`validate`] is pure: it reads no clock, socket, environment or storage. The time is an argument, `now`, and whatever
//! reads bytes from outside is free of panics on any input and works on bounded lengths.

pub mod algorithm;
pub mod ari;
pub mod binding;
pub mod challenge;
mod crypto;
pub mod identifier;
pub mod jws;
pub mod key;
pub mod key_change;
pub mod networks;
pub mod nonces;
pub mod problem;
#[cfg(test)]
mod testing;
mod text;
pub mod validate;

pub use algorithm::Algorithm;
pub use binding::Binding;
pub use challenge::ChallengeType;
pub use identifier::Identifier;
pub use jws::{Flattened, Header, KeyRef};
pub use key::AccountKey;
pub use networks::Networks;
pub use nonces::Nonces;
pub use problem::{Kind, Problem};
pub use validate::{Validator, ValidatorSettings};
