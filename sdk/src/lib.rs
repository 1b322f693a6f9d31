//! Write Vault and OpenBao plugins in Rust.
//!
//! A server starts a plugin as a process of its own and talks to it over gRPC, with certificates that both make for that one
//! conversation. All of that is in here; what is left to write is the engine itself.
//!
//! - [`logical`] is the framework for secrets engines and auth methods, and the place to start: its page builds one of each step by step.
//! - `testing`, behind the feature of that name, runs an engine without a server: the whole path table on storage in memory,
//!   with faults if you like.
//! - [`serve`] is the main function of such a plugin. It serves all mounts of the server in one process.
//! - [`database`] is the framework for plugins of the server's `database` engine.
//! - [`kms`] is the framework for OpenBao's KMS plugins: auto-unseal, and keys that never leave their device.
//! - [`server`] tells how a server and a plugin find, trust, use and leave each other, for when one of them does not.
//! - [`launched_as`] tells a program that is a command-line tool too whether a server has started it.
//!
//! A plugin binary goes into the server's plugin directory and is registered with its SHA-256:
//!
//! ```text
//! bao plugin register -sha256=$(sha256sum ports | cut -d' ' -f1) -command=ports secret ports
//! bao secrets enable ports
//!
//! bao plugin register -sha256=$(sha256sum machine-auth | cut -d' ' -f1) -command=machine-auth auth machine-auth
//! bao auth enable -path=machine machine-auth
//! ```
//!
//! Under a type that the binary does not serve it can be registered, but not enabled: the error says which types it serves.
//!
//! A server starts a plugin at every unseal, reload and crash, so its start should be cheap. AWS-LC feeds its generator from CPU
//! timing jitter unless it is built without, which costs each start some 30 ms of CPU (Go plugins take 19 to 25 ms in all). Cargo
//! takes no such setting from a dependency: put it into `.cargo/config.toml` of your own workspace, and a start takes 2 ms. The
//! generator is then seeded by the kernel alone.
//!
//! ```toml
//! [env]
//! AWS_LC_SYS_NO_JITTER_ENTROPY = "1"
//! ```
//!
//! Supported are plugin protocol 5 for secrets engines and auth methods, protocols 5 and 6 for databases (Vault 1.12 and later,
//! OpenBao 2), and protocol 1 for KMS plugins (OpenBao 2.6 and later), on Unix.

mod coalesce;
mod config;
pub mod database;
mod encoder;
pub mod hclog;
mod host;
pub mod kms;
pub mod launch;
pub mod logical;
pub mod mtls;
pub mod server;
mod socket;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The page of the crate is tried with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use launch::{PluginKind, launched_as};
pub use server::{End, Options, ServeError, Server, serve};
pub use socket::SocketError;
