//! The ACME server (RFC 8555): its paths under the four kinds of directories, and those by which operators manage it.

pub(crate) mod account;
mod answer;
pub(crate) mod authorization;
pub(crate) mod config;
pub(crate) mod directory;
pub(crate) mod eab;
pub(crate) mod order;
pub(crate) mod revoke;
mod session;
pub(crate) mod validation;
