//! Write Vault and OpenBao plugins in Rust.

pub mod hclog;
mod host;
pub mod kms;
pub mod launch;
pub mod logical;
pub mod mtls;
mod server;
mod socket;
pub mod testing;

pub use launch::{PluginKind, launched_as};
pub use server::{End, Options, ServeError, Server, serve};
pub use socket::SocketError;
