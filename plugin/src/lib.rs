//! The PKI secrets engine for Vault and OpenBao: path table, storage, caches and periodic work around the rules of `landfast-pki`.
//!
//! Paths, fields, answers and the storage layout are those of the built-in `pki` engine of OpenBao 2.7.2, so that clients and
//! existing mounts need not change. [`Mount`] is the engine; hand it to `landfast_sdk::serve`.

// The futures of handlers lie in each other deeper than the usual limit lets the compiler look.
#![recursion_limit = "256"]

mod acme;
mod aia;
mod authority;
mod backend;
mod ca_key;
mod cel_role;
mod certificates;
mod clock;
mod crl;
mod ends;
pub mod entry;
mod fault;
mod heavy;
mod identity;
mod issuers;
mod keys;
mod kms;
mod metrics;
mod mount;
mod names;
mod ocsp;
mod paths;
mod pool;
mod revocations;
mod role;
mod scrape;
mod seal;
mod signing;
mod store;
mod table;
mod tidy;
mod url;

pub use acme::state::Validate;
pub use clock::{Clock, FixedClock, SystemClock};
pub use kms::{KeyService, lend_roles_anywhere};
pub use mount::Mount;
