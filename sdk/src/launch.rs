//! How a host starts a plugin: the environment it hands over, and the one line it reads back.
//!
//! Everything here is a pure function of the environment, so that it can be tested and fuzzed without starting a process.

use std::{env, ffi::OsString, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::logical::Product;

/// Cookie of `secret` and `auth` plugins, the same on Vault and OpenBao.
const SECRET_COOKIE: (&str, &str) = (
    "VAULT_BACKEND_PLUGIN",
    "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
);
/// Cookie of `database` plugins, the same on Vault and OpenBao.
const DATABASE_COOKIE: (&str, &str) = (
    "VAULT_DATABASE_PLUGIN",
    "926a0820-aea2-be28-51d6-83cdf00e8edb",
);
/// Cookie of OpenBao's `kms` plugins.
const KMS_COOKIE: (&str, &str) = ("OPENBAO_KMS_PLUGIN", "39704a18-7da7-4bda-9a2d-f7c488d70328");
/// Version of the handshake line itself.
const CORE_PROTOCOL: u32 = 1;

/// The kinds of plugin that a host can start this process as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// A secrets engine (Vault and OpenBao), protocol version 5.
    Secret,
    /// An auth method (Vault and OpenBao), protocol version 5. A host starts it as it starts a secrets engine, and says only later which of the
    /// two it wants: [`launched_as`] says `Secret` of both.
    Auth,
    /// A plugin of the server's `database` engine (Vault and OpenBao), protocol version 6, or 5 where the host knows no more.
    Database,
    /// A KMS plugin (OpenBao 2.6 and later), protocol version 1.
    Kms,
}

impl PluginKind {
    /// The newest version of the application protocol that this crate speaks for the kind.
    pub const fn protocol_version(self) -> u32 {
        match self {
            Self::Secret | Self::Auth => 5,
            Self::Database => 6,
            Self::Kms => 1,
        }
    }

    /// The type by which the kind is registered in the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
            Self::Database => "database",
            Self::Kms => "kms",
        }
    }

    /// All versions of the protocol, the newest last.
    const fn versions(self) -> &'static [u32] {
        match self {
            Self::Secret | Self::Auth => &[5],
            Self::Database => &[5, 6],
            Self::Kms => &[1],
        }
    }

    const fn cookie(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret | Self::Auth => SECRET_COOKIE,
            Self::Database => DATABASE_COOKIE,
            Self::Kms => KMS_COOKIE,
        }
    }
}

/// Names kinds for an operator: `secret and kms`.
pub(crate) fn names(kinds: &[PluginKind]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "no type at all".to_owned(),
    }
}

/// As what a host has started this process, or `None` when a person or a script did.
///
/// A host marks the processes it starts with a magic cookie: a well-known variable with a well-known value. The cookie is no secret and
/// proves nothing; it only keeps a plugin from waiting for a host that is not there. Children of a plugin inherit it, so a binary that is a
/// command-line tool too should prefer a subcommand on its command line to the cookie.
pub fn launched_as() -> Option<PluginKind> {
    kind_of(&|name| env::var_os(name))
}

/// [`launched_as`] on an environment given as a function.
pub fn kind_of(var: &dyn Fn(&str) -> Option<OsString>) -> Option<PluginKind> {
    [PluginKind::Secret, PluginKind::Database, PluginKind::Kms]
        .into_iter()
        .find(|kind| {
            let (name, value) = kind.cookie();
            var(name).is_some_and(|found| found == value)
        })
}

/// Which server started this process.
pub fn product() -> Product {
    product_of(&|name| env::var_os(name))
}

/// [`product`] on an environment given as a function. Both servers tell their version; OpenBao does so twice, by a name of its own as well.
pub fn product_of(var: &dyn Fn(&str) -> Option<OsString>) -> Product {
    match (var("VAULT_VERSION"), var("BAO_VERSION")) {
        (Some(vault), bao) if bao.as_ref() != Some(&vault) => Product::Vault,
        _ => Product::OpenBao,
    }
}

/// What the host asked for when it started the process.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The kind of plugin to be.
    pub kind: PluginKind,
    /// The version of the protocol that both ends speak.
    pub version: u32,
    /// The host's certificate: the only peer to be trusted, in both directions.
    pub host_certificate: CertificateDer<'static>,
    /// Where to make the socket; the system's temporary directory when the host named none.
    pub socket_dir: PathBuf,
    /// Group, by name or number, that must be able to open the socket.
    pub socket_group: Option<String>,
    /// Whether the handshake line must have its seventh field.
    pub seventh_field: bool,
    /// Whether the host runs with its memory locked and wants the same of its plugins.
    pub lock_memory: bool,
}

/// Why a process cannot serve the host that started it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaunchError {
    /// The magic cookie is missing or has another value.
    #[error(
        "This binary is a plugin. It is started by Vault or OpenBao, not by hand: register it in the plugin catalog."
    )]
    NotAPlugin,
    /// The host wants another kind of plugin: the binary is registered under a type that it does not serve.
    #[error(
        "this binary serves plugins of type {}, and was started as one of type {}: register it under a type that it serves, \
         `bao plugin register ... {} NAME`",
        names(served), wanted.name(), served.first().map_or("secret", |kind| kind.name())
    )]
    WrongKind {
        /// What the binary serves.
        served: Vec<PluginKind>,
        /// What the host wants.
        wanted: PluginKind,
    },
    /// The host speaks none of our protocol versions; Vault and OpenBao try an old version when the first attempt failed.
    #[error("the host offers plugin protocol versions {offered:?}, this plugin speaks {ours}")]
    Version {
        /// What the host offered, as it was written.
        offered: String,
        /// What this crate speaks for the kind of plugin.
        ours: u32,
    },
    /// No certificate to trust: without one, anybody who reaches the socket could command the plugin.
    #[error(
        "PLUGIN_CLIENT_CERT is not set: this plugin serves only hosts that use automatic mutual TLS"
    )]
    NoCertificate,
    /// The certificate to trust cannot be read.
    #[error("PLUGIN_CLIENT_CERT does not hold one PEM certificate")]
    BadCertificate,
    /// The host wants every connection to share one socket (Vault's container runtime).
    #[error(
        "the host demands gRPC broker multiplexing (PLUGIN_MULTIPLEX_GRPC), which this plugin does not speak; \
         run it as a process, not in a container runtime"
    )]
    BrokerMultiplexing,
}

impl Launch {
    /// Reads what the host asked of a plugin of this kind.
    ///
    /// # Errors
    /// See [`LaunchError`]; its texts are written for the operator.
    pub fn from_env(kind: PluginKind) -> Result<Self, LaunchError> {
        Self::read(kind, &|name| env::var_os(name))
    }

    /// [`Launch::from_env`] on an environment given as a function.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub fn read(
        kind: PluginKind,
        var: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, LaunchError> {
        let (cookie, value) = kind.cookie();
        if var(cookie).is_none_or(|found| found != value) {
            return Err(LaunchError::NotAPlugin);
        }
        let text = |name: &str| {
            var(name)
                .map(|value| value.to_string_lossy().into_owned())
                .filter(|value| !value.is_empty())
        };

        let ours = kind.protocol_version();
        let version = match text("PLUGIN_PROTOCOL_VERSIONS") {
            None => ours,
            Some(offered) => negotiate(&offered, kind.versions())
                .ok_or(LaunchError::Version { offered, ours })?,
        };
        let multiplex = text("PLUGIN_MULTIPLEX_GRPC");
        if multiplex.as_deref().is_some_and(|text| !is_false(text)) {
            return Err(LaunchError::BrokerMultiplexing);
        }
        let pem = text("PLUGIN_CLIENT_CERT").ok_or(LaunchError::NoCertificate)?;
        let host_certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| LaunchError::BadCertificate)?;

        Ok(Self {
            kind,
            version,
            host_certificate,
            socket_dir: var("PLUGIN_UNIX_SOCKET_DIR")
                .filter(|dir| !dir.is_empty())
                .map_or_else(|| temp_dir(var), PathBuf::from),
            socket_group: text("PLUGIN_UNIX_SOCKET_GROUP"),
            seventh_field: multiplex.is_some(),
            lock_memory: text("VAULT_PLUGIN_MLOCK_ENABLED").is_some_and(|text| is_true(&text)),
        })
    }

    /// The line that tells the host where to find the plugin and which certificate it will show.
    ///
    /// The certificate is base64 without padding, and the seventh field is written only for hosts that know it: older ones split the
    /// line into six fields and would take it for a part of the certificate.
    pub fn handshake_line(&self, address: &str, certificate: &CertificateDer<'_>) -> String {
        let version = self.version;
        let certificate = STANDARD_NO_PAD.encode(certificate);
        let seventh = if self.seventh_field { "|false" } else { "" };
        format!("{CORE_PROTOCOL}|{version}|unix|{address}|grpc|{certificate}{seventh}\n")
    }
}

/// The highest of `ours` that the host offers in its comma-separated list, which may be in any order. What is not a number is passed over.
pub fn negotiate(offered: &str, ours: &[u32]) -> Option<u32> {
    offered
        .split(',')
        .filter_map(|version| version.trim().parse().ok())
        .filter(|version| ours.contains(version))
        .max()
}

fn temp_dir(var: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    var("TMPDIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// The texts that Go's `strconv.ParseBool` takes for false.
fn is_false(text: &str) -> bool {
    matches!(text, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// The texts that Go's `strconv.ParseBool` takes for true.
fn is_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests;
