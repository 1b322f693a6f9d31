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
/// Cookie of OpenBao's `kms` plugins.
const KMS_COOKIE: (&str, &str) = ("OPENBAO_KMS_PLUGIN", "39704a18-7da7-4bda-9a2d-f7c488d70328");
/// Version of the handshake line itself.
const CORE_PROTOCOL: u32 = 1;

/// The kinds of plugin that a host can start this process as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// A secrets engine (Vault and OpenBao), protocol version 5.
    Secret,
    /// A KMS plugin (OpenBao 2.6 and later), protocol version 1.
    Kms,
}

impl PluginKind {
    /// The version of the application protocol that this crate speaks for the kind.
    pub const fn protocol_version(self) -> u32 {
        match self {
            Self::Secret => 5,
            Self::Kms => 1,
        }
    }

    const fn cookie(self) -> (&'static str, &'static str) {
        match self {
            Self::Secret => SECRET_COOKIE,
            Self::Kms => KMS_COOKIE,
        }
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
    [PluginKind::Secret, PluginKind::Kms]
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
        if let Some(offered) = text("PLUGIN_PROTOCOL_VERSIONS")
            && negotiate(&offered, &[ours]).is_none()
        {
            return Err(LaunchError::Version { offered, ours });
        }
        let multiplex = text("PLUGIN_MULTIPLEX_GRPC");
        if multiplex.as_deref().is_some_and(|text| !is_false(text)) {
            return Err(LaunchError::BrokerMultiplexing);
        }
        let pem = text("PLUGIN_CLIENT_CERT").ok_or(LaunchError::NoCertificate)?;
        let host_certificate = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| LaunchError::BadCertificate)?;

        Ok(Self {
            kind,
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
        let version = self.kind.protocol_version();
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
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn pem() -> String {
        crate::mtls::Identity::generate().unwrap().pem()
    }

    fn read(
        kind: PluginKind,
        vars: &[(&str, &str)],
        without: &[&str],
    ) -> Result<Launch, LaunchError> {
        let pem = pem();
        let (cookie, value) = kind.cookie();
        let mut all: HashMap<&str, &str> = HashMap::from([
            (cookie, value),
            ("PLUGIN_PROTOCOL_VERSIONS", "3,5,4,1"),
            ("PLUGIN_CLIENT_CERT", &pem),
        ]);
        all.extend(vars.iter().copied());
        all.retain(|name, _| !without.contains(name));
        Launch::read(kind, &|name| all.get(name).map(OsString::from))
    }

    #[test]
    fn the_servers_are_told_apart_by_their_versions() {
        let with = |vault: Option<&str>, bao: Option<&str>| {
            let (vault, bao) = (vault.map(OsString::from), bao.map(OsString::from));
            product_of(&|name| match name {
                "VAULT_VERSION" => vault.clone(),
                "BAO_VERSION" => bao.clone(),
                _ => None,
            })
        };
        assert_eq!(with(Some("2.7.2"), Some("2.7.2")), Product::OpenBao);
        assert_eq!(with(Some("1.14.7"), None), Product::Vault);
        // A variable that an operator left in the environment of Vault.
        assert_eq!(with(Some("1.14.7"), Some("2.7.2")), Product::Vault);
        assert_eq!(with(None, None), Product::OpenBao);
    }

    #[test]
    fn the_highest_common_version_wins_whatever_the_order() {
        assert_eq!(negotiate("3,5,4", &[5]), Some(5));
        assert_eq!(negotiate("5,3,4", &[3, 4]), Some(4));
        assert_eq!(negotiate(" 5 , x", &[5]), Some(5));
        assert_eq!(negotiate("3,4", &[5]), None);
        assert_eq!(negotiate("", &[5]), None);
        assert_eq!(negotiate("99999999999", &[5]), None);
    }

    #[test]
    fn the_cookie_needs_name_and_value() {
        let vars = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| OsString::from(value))
        };
        let secret = vars(SECRET_COOKIE.0, SECRET_COOKIE.1);
        assert_eq!(kind_of(&secret), Some(PluginKind::Secret));
        assert_eq!(
            kind_of(&vars(KMS_COOKIE.0, KMS_COOKIE.1)),
            Some(PluginKind::Kms)
        );
        assert_eq!(kind_of(&vars(SECRET_COOKIE.0, KMS_COOKIE.1)), None);
        assert_eq!(
            read(PluginKind::Secret, &[(SECRET_COOKIE.0, "1")], &[]).err(),
            Some(LaunchError::NotAPlugin)
        );
    }

    #[test]
    fn an_old_protocol_is_refused() {
        let error = read(
            PluginKind::Secret,
            &[("PLUGIN_PROTOCOL_VERSIONS", "4,3")],
            &[],
        );
        assert_eq!(
            error.err(),
            Some(LaunchError::Version {
                offered: "4,3".into(),
                ours: 5
            })
        );
    }

    #[test]
    fn a_host_without_certificate_is_refused() {
        let missing = read(PluginKind::Secret, &[], &["PLUGIN_CLIENT_CERT"]);
        assert_eq!(missing.err(), Some(LaunchError::NoCertificate));
        let broken = read(
            PluginKind::Kms,
            &[("PLUGIN_CLIENT_CERT", "not a certificate")],
            &[],
        );
        assert_eq!(broken.err(), Some(LaunchError::BadCertificate));
    }

    #[test]
    fn broker_multiplexing_is_refused_when_demanded() {
        for demand in ["true", "1", "maybe"] {
            let launch = read(
                PluginKind::Secret,
                &[("PLUGIN_MULTIPLEX_GRPC", demand)],
                &[],
            );
            assert_eq!(
                launch.err(),
                Some(LaunchError::BrokerMultiplexing),
                "{demand}"
            );
        }
        assert!(
            read(
                PluginKind::Secret,
                &[("PLUGIN_MULTIPLEX_GRPC", "false")],
                &[]
            )
            .unwrap()
            .seventh_field
        );
    }

    #[test]
    fn the_handshake_line_has_six_fields_and_unpadded_base64() {
        let launch = read(PluginKind::Secret, &[], &[]).unwrap();
        let certificate = CertificateDer::from(vec![0xfb, 0xff, 0xfe, 0x00]);
        assert_eq!(
            launch.handshake_line("/tmp/plugin1", &certificate),
            "1|5|unix|/tmp/plugin1|grpc|+//+AA\n"
        );
    }

    #[test]
    fn the_handshake_line_gets_its_seventh_field_only_when_asked() {
        let launch = read(PluginKind::Kms, &[("PLUGIN_MULTIPLEX_GRPC", "0")], &[]).unwrap();
        let certificate = CertificateDer::from(vec![0, 0, 0]);
        assert_eq!(
            launch.handshake_line("/s", &certificate),
            "1|1|unix|/s|grpc|AAAA|false\n"
        );
    }

    #[test]
    fn the_socket_goes_where_the_host_says() {
        let launch = read(
            PluginKind::Secret,
            &[
                ("PLUGIN_UNIX_SOCKET_DIR", "/run/p"),
                ("PLUGIN_UNIX_SOCKET_GROUP", "bao"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(launch.socket_dir, PathBuf::from("/run/p"));
        assert_eq!(launch.socket_group.as_deref(), Some("bao"));
        let launch = read(PluginKind::Secret, &[("TMPDIR", "/var/tmp")], &[]).unwrap();
        assert_eq!(launch.socket_dir, PathBuf::from("/var/tmp"));
        assert_eq!(
            read(PluginKind::Secret, &[], &[]).unwrap().socket_dir,
            PathBuf::from("/tmp")
        );
    }
}
