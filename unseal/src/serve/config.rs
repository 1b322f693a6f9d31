//! The configuration file of the unseal server: JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Address and port for clients.
    pub(super) listen: SocketAddr,
    /// Address and port for metrics and health, without TLS. Keep it on the loopback interface or a management network.
    #[serde(default)]
    pub(super) metrics_listen: Option<SocketAddr>,
    /// Certificate of the server, and what it takes from clients.
    pub(super) tls: TlsFiles,
    /// One JSON line per call goes here; standard output if it is left out.
    #[serde(default)]
    pub(super) audit_log: Option<PathBuf>,
    /// The keys of a `seal "awskms"` stanza that say where and as whom AWS KMS is called; without `kms_key_id`.
    #[serde(default)]
    pub(super) aws: BTreeMap<String, String>,
    /// Keep data keys in memory, so that clients boot through an outage of AWS KMS.
    #[serde(default)]
    pub(super) cache: Option<CacheFile>,
    /// The clients by name. The name is bound to what is wrapped for the client: renaming one makes its blobs unreadable.
    pub(super) clients: BTreeMap<String, ClientFile>,
    /// Connections at one time.
    #[serde(default = "max_connections")]
    pub(super) max_connections: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFiles {
    /// The server's certificate and its chain, PEM.
    pub(super) certificate: PathBuf,
    /// The server's private key, PEM.
    pub(super) key: PathBuf,
    /// CA certificates of clients, PEM. Use a CA that issues to clients of this server only.
    #[serde(default)]
    pub(super) client_ca: Option<PathBuf>,
    /// Revocation lists of those CAs, PEM. With them, a certificate whose CA has no current list is refused.
    #[serde(default)]
    pub(super) client_crl: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheFile {
    /// How long a data key is kept. This long a key that was disabled in AWS KMS goes on opening.
    pub(super) ttl_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientFile {
    /// Names in the client's certificates: `dns:NAME` or `uri:URI`, each exactly as in the certificate. One for each node of a cluster.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    /// Tokens, as their SHA-256 in hex. With certificates too, a client has to show both.
    #[serde(default)]
    pub(super) tokens: Vec<TokenFile>,
    /// Keys for a seal by path, such as `transit/unseal`, behind the namespace if the client uses one. The list is the key's versions, oldest first: the last
    /// one wraps, all open. Never remove or reorder entries; append to rotate.
    #[serde(default)]
    pub(super) keys: BTreeMap<String, Vec<VersionFile>>,
    /// Keys that sign, by path, as their versions.
    #[serde(default)]
    pub(super) signing_keys: BTreeMap<String, Vec<String>>,
    /// Requests a minute, all together, and as many at once.
    #[serde(default = "requests_per_minute")]
    pub(super) requests_per_minute: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenFile {
    /// SHA-256 of the token, 64 hex digits.
    pub(super) sha256: String,
    /// What a client that renews it is told.
    #[serde(default = "token_ttl")]
    pub(super) ttl_seconds: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum VersionFile {
    /// An AWS KMS key by id or ARN.
    Kms(String),
    /// A key file, for tests.
    Local(LocalFile),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalFile {
    pub(super) local_key_file: PathBuf,
}

impl File {
    /// Whether every client has a certificate to show.
    pub(super) fn certificates_are_mandatory(&self) -> bool {
        self.clients
            .values()
            .all(|client| !client.certificates.is_empty())
    }

    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::File {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        // The parser's own text would repeat what it could not read, which may be a credential.
        serde_json::from_str(&text).map_err(|error| {
            let kind = error.to_string();
            let known = ["unknown field", "missing field", "duplicate field"]
                .iter()
                .any(|known| kind.starts_with(known));
            let what = if known {
                kind.split(" at line").next().unwrap_or_default()
            } else {
                "is not a valid configuration"
            };
            refuse(format!(
                "{what} (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }
}

fn max_connections() -> usize {
    512
}

fn requests_per_minute() -> u32 {
    240
}

fn token_ttl() -> u64 {
    32 * 24 * 3600
}
