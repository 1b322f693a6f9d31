//! The public front door: what strangers may have of a secrets server, and nothing else of it.
//!
//! It stands in front of any pki mount, ours or the built-in, and gives out over plain HTTP or HTTPS what everybody may know: revocation lists, CA certificates, chains,
//! trust anchors, answers of OCSP. The API of the secrets server stays closed to whoever only needs these.
//!
//! - [`request`] is what a handler gets and gives: read it first to add paths.
//! - [`upstream`] is the client of the secrets server.
//! - `site` is what is kept of a mount, `store` the same on disk.
//! - [`est`] enrols devices, each logged in as itself.
//! - [`Server`] binds the ports and lives until it is told to stop.
//!
//! Nothing here holds a key of the CA, and without EST not even a token.

mod audit;
mod certs_only;
pub mod config;
mod door;
mod error;
pub mod est;
mod kept;
mod metrics;
pub mod mounts;
mod observe;
mod ocsp;
mod pages;
pub mod request;
mod routes;
mod serve;
mod shared;
mod sheet;
mod site;
mod slot;
mod store;
mod stream;
pub mod suggest;
mod tls;
pub mod upstream;

pub use certs_only::{KIND as CERTS_ONLY, certs_only};
pub use error::Error;
pub use serve::Server;
pub use shared::Origin;

/// What fuzz targets call.
#[doc(hidden)]
pub mod fuzz {
    /// A request of OCSP, in a body or in a path.
    pub fn ocsp_question(bytes: &[u8]) {
        crate::ocsp::try_any(bytes);
    }

    /// What a mount answers to a question.
    pub fn ocsp_answer(bytes: &[u8]) {
        crate::ocsp::try_answer(bytes);
    }

    pub use crate::est::refusal_of as est_refusal;
}
