//! Write plugins for HashiCorp Vault and OpenBao in Rust: secrets engines, auth methods, databases, seals.
//!
//! A server starts a plugin as a process of its own and talks to it over gRPC, with certificates that both make for that one
//! conversation. All of that is in here; what is left to write is the engine itself.
//!
//! # Begin
//!
//! ```text
//! cargo install landfast-sdk
//! landfast-sdk new tickets --kind secret      # or auth, or database
//! cd tickets
//! cargo test                                  # without a server
//! ./dev.sh                                    # on a development server
//! ```
//!
//! What it writes is complete, and is changed from there. Without it: the page of [`logical`] begins with a `Cargo.toml`.
//!
//! # In which order to read
//!
//! 1. [`logical`], the framework for secrets engines and auth methods: its page builds one of each step by step. Or [`database`], the framework
//!    for plugins of the server's `database` engine; or [`kms`], for OpenBao's KMS plugins: auto-unseal, and keys that never leave their device.
//!    [`logical::patch`] says what PATCH does, and [`logical::secret`] how secrets are taken, stored and shown.
//! 2. `testing`, behind the feature of that name: a plugin without a server, the whole path table on storage in memory, with faults if you like.
//! 3. [`guide::life`]: what the server does with a mount, and what a crash, a reload and a failed start mean for it.
//! 4. [`guide::from_go`], for whoever knows HashiCorp's SDK or OpenBao's: each name there, and what it is here.
//! 5. [`server`], when something does not work: how a server and a plugin find, trust, use and leave each other.
//!
//! [`serve`] is the main function of a secrets engine or an auth method. It serves all mounts of the server in one process. [`launched_as`] tells a
//! program that is a command-line tool too whether a server has started it.
//!
//! # On a server
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
//! # What a start costs
//!
//! A server starts a plugin at every unseal, reload and crash, so its start should be cheap. AWS-LC feeds its generator from CPU
//! timing jitter unless it is built without, which costs each start some 30 ms of CPU (Go plugins take 19 to 25 ms in all). Cargo
//! takes no such setting from a dependency: it stands in `.cargo/config.toml` of a plugin's own folder, where `landfast-sdk new` puts it, and a
//! start takes 2 ms. The generator is then seeded by the kernel alone. Who builds in another folder, as `cargo install` does, sets the variable in
//! the environment of the build. Measure yours: `bench/start.py --binary PATH` in the repository.
//!
//! ```toml
//! [env]
//! AWS_LC_SYS_NO_JITTER_ENTROPY = "1"
//! ```
//!
//! # What it works with
//!
//! Plugin protocol 5 for secrets engines and auth methods, protocols 5 and 6 for databases (Vault 1.12 and later,
//! OpenBao 2), and protocol 1 for KMS plugins (OpenBao 2.6 and later), on Unix.

mod coalesce;
mod config;
pub mod database;
mod encoder;
pub mod guide;
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
