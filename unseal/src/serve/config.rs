//! The configuration file of the unseal server: JSON.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use landfast_base::settings::{self, within};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keys;

/// Connections that can be allowed.
const CONNECTIONS: RangeInclusive<u64> = 1..=65_536;

/// Pauses in seconds between two looks at files: up to a day.
const CHECKS: RangeInclusive<u64> = 1..=86_400;

/// Times in seconds that can be asked for: up to ten years.
const SECONDS: RangeInclusive<u64> = 1..=315_360_000;

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
    /// Connections of clients at one time. Strangers have a few of their own.
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
    /// CA certificates of clients, PEM, or one in DER. Use a CA that issues to clients of this server only.
    #[serde(default)]
    pub(super) client_ca: Option<PathBuf>,
    /// Revocation lists of those CAs, PEM, or one in DER. With them, a certificate whose CA has no current list is refused.
    #[serde(default)]
    pub(super) client_crl: Option<PathBuf>,
    /// How often these files are looked at for a change.
    #[serde(default = "check_seconds")]
    pub(super) check_seconds: u64,
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
        let text = std::fs::read_to_string(path);
        let text = Zeroizing::new(text.map_err(|error| refuse(error.to_string()))?);
        let file: Self = settings::read(&text, hint).map_err(refuse)?;
        file.check().map_err(refuse)?;
        landfast_base::warn_if_open(path, file.holds_a_secret().then_some("AWS credentials"));
        Ok(file)
    }

    /// Whether a credential stands in the file itself.
    fn holds_a_secret(&self) -> bool {
        let inline = |key: &&str| {
            let value = self.aws.get(*key).map_or("", |value| value.trim());
            !value.is_empty() && !value.starts_with("file://") && !value.starts_with("env://")
        };
        keys::SECRETS.iter().any(inline)
    }

    /// Refuses numbers that no server can have, and clients that could not be told apart in a log.
    fn check(&self) -> Result<(), String> {
        let connections = u64::try_from(self.max_connections).unwrap_or(u64::MAX);
        within("max_connections", connections, &CONNECTIONS)?;
        within("tls.check_seconds", self.tls.check_seconds, &CHECKS)?;
        if let Some(cache) = &self.cache {
            within("cache.ttl_seconds", cache.ttl_seconds, &SECONDS)?;
        }
        if self.clients.is_empty() {
            return Err("clients must name at least one client".to_owned());
        }
        for (name, client) in &self.clients {
            let printable = |c: char| c == ' ' || (!c.is_control() && !c.is_whitespace());
            if name.trim().is_empty() || !name.chars().all(printable) {
                return Err(format!(
                    "clients: the name {name:?} must be printable and not empty"
                ));
            }
            if client.requests_per_minute == 0 {
                return Err(format!(
                    "clients.{name}.requests_per_minute must be at least 1"
                ));
            }
            for token in &client.tokens {
                let field = format!("clients.{name}.tokens.ttl_seconds");
                within(&field, token.ttl_seconds, &SECONDS)?;
            }
        }
        Ok(())
    }
}

/// What is wanted where two kinds would do.
fn hint(said: &str) -> Option<&'static str> {
    said.contains("VersionFile")
        .then_some("the id or ARN of an AWS KMS key is wanted, or {\"local_key_file\": PATH}")
}

fn max_connections() -> usize {
    512
}

fn check_seconds() -> u64 {
    30
}

fn requests_per_minute() -> u32 {
    240
}

fn token_ttl() -> u64 {
    32 * 24 * 3600
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Result<File, Error> {
        let mut config = json!({
            "listen": "127.0.0.1:0",
            "tls": {"certificate": "c", "key": "k"},
            "cache": {"ttl_seconds": 1},
            "clients": {"berlin": {"requests_per_minute": 1, "tokens": [{"sha256": "", "ttl_seconds": 1}]}},
            "max_connections": 1,
        });
        change(&mut config);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).expect("written");
        File::read(&path)
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        read(change).expect_err("must be refused").to_string()
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        read(|_| ()).expect("the least of each is taken");
        read(|config| config["max_connections"] = json!(65_536)).expect("the most is taken");
        for number in [0, 65_537, i64::MAX as u64] {
            let text = refusal(|config| config["max_connections"] = json!(number));
            assert!(text.contains("max_connections"), "{text}");
        }
        for number in [0, u64::MAX] {
            let text = refusal(|config| config["tls"]["check_seconds"] = json!(number));
            assert!(text.contains("tls.check_seconds"), "{text}");
            let text = refusal(|config| config["cache"]["ttl_seconds"] = json!(number));
            assert!(text.contains("cache.ttl_seconds"), "{text}");
            let token = |config: &mut Value| {
                config["clients"]["berlin"]["tokens"][0]["ttl_seconds"] = json!(number);
            };
            let text = refusal(token);
            assert!(text.contains("clients.berlin.tokens.ttl_seconds"), "{text}");
        }
        let text = refusal(|config| config["clients"]["berlin"]["requests_per_minute"] = json!(0));
        assert!(
            text.contains("clients.berlin.requests_per_minute"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_kind_is_told_by_its_key_and_not_by_its_value() {
        type Change<'a> = &'a dyn Fn(&mut Value);
        let cases: [(Change<'_>, &str); 9] = [
            (
                &|c| c["max_connections"] = json!("hunter2"),
                "max_connections: a whole number is wanted, this is a text",
            ),
            (
                &|c| c["clients"]["berlin"]["requests_per_minute"] = json!(1.5),
                "clients.berlin.requests_per_minute: a whole number is wanted, this is a number with a fraction",
            ),
            (
                &|c| c["clients"]["berlin"]["certificates"] = json!("hunter2"),
                "clients.berlin.certificates: a list is wanted, this is a text",
            ),
            (
                &|c| c["clients"]["berlin"]["tokens"] = json!([{"sha256": ["hunter2"]}]),
                "clients.berlin.tokens[0].sha256: a text is wanted, this is a list",
            ),
            (
                &|c| c["aws"] = json!({"secret_key": {"hunter2": 1}}),
                "aws.secret_key: a text is wanted, this is an object",
            ),
            (
                &|c| c["clients"]["berlin"]["keys"] = json!({"transit/unseal": [{"hunter2": 1}]}),
                "the id or ARN of an AWS KMS key is wanted",
            ),
            (
                &|c| c["listen"] = json!("hunter2"),
                "listen: an address with a port is wanted",
            ),
            (
                &|c| c["tls"]["certificates"] = json!("hunter2"),
                "unknown field `certificates`, expected one of `certificate`",
            ),
            (
                &|c| c["tls"] = json!({"key": "hunter2"}),
                "tls: missing field `certificate`",
            ),
        ];
        for (change, wanted) in cases {
            let text = refusal(|config| change(config));
            assert!(
                text.contains(wanted) && text.contains("line 1"),
                "{wanted}: {text}"
            );
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn credentials_in_the_file_itself_are_known() {
        for (aws, wanted) in [
            (
                json!({"region": "eu-central-1", "access_key": "AKIA"}),
                false,
            ),
            (json!({"secret_key": "file:///run/secret"}), false),
            (json!({"secret_key": "env://SECRET"}), false),
            (json!({"secret_key": "x"}), true),
            (json!({"session_token": "x"}), true),
        ] {
            let file = read(|config| config["aws"] = aws.clone()).expect("reads");
            assert_eq!(file.holds_a_secret(), wanted, "{aws}");
        }
    }

    #[test]
    fn there_are_clients_and_their_names_can_be_printed() {
        let text = refusal(|config| config["clients"] = json!({}));
        assert!(text.contains("at least one client"), "{text}");
        for name in ["", " ", "a\nb", "a\u{1b}[2Jb", "a\u{2028}b"] {
            let text = refusal(|config| config["clients"] = json!({ name: {} }));
            assert!(
                text.contains("printable") && !text.chars().any(char::is_control),
                "{text:?}"
            );
        }
        read(|config| config["clients"] = json!({"Büro 2": {}})).expect("printable");
    }
}
