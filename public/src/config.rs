//! The configuration: a JSON file, or what a command line says in its place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use landfast_base::settings::{self, within};
use serde::Deserialize;

use crate::error::Error;
use crate::est::config::EstFile;

/// The whole of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients connect to: plain HTTP, HTTPS, or both.
    pub listeners: Vec<ListenerFile>,
    /// Address and port for metrics and health, without TLS. Keep it on the loopback interface or a management network.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// How clients reach the listeners, such as `http://pki.example.com`: `--suggest-urls` writes it into certificates.
    #[serde(default)]
    pub url: Option<String>,
    /// One JSON line per request goes here; standard output if it is left out.
    #[serde(default)]
    pub audit_log: Option<PathBuf>,
    /// A directory of its own: what is valid survives a restart there. Without it nothing is kept on disk.
    #[serde(default)]
    pub cache_dir: Option<PathBuf>,
    /// The secrets server.
    pub server: ServerFile,
    /// What is given out, by the beginning of its paths: `/` or `/name`.
    pub mounts: BTreeMap<String, MountFile>,
    /// Enrolment by EST; none without it.
    #[serde(default)]
    pub est: Option<EstFile>,
    /// What clients and answers may cost.
    #[serde(default)]
    pub limits: LimitsFile,
}

/// A place to listen at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerFile {
    /// Address and port.
    pub address: SocketAddr,
    /// Makes it HTTPS.
    #[serde(default)]
    pub tls: Option<TlsFile>,
}

/// Files of an HTTPS listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFile {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// CA certificates of clients, PEM. A client need not show a certificate; one that does has to have one of these CAs.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// How often these files are looked at for a change.
    #[serde(default = "check_seconds")]
    pub check_seconds: u64,
}

/// How the secrets server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFile {
    /// A URL such as `https://vault.example:8200`.
    pub address: String,
    /// URLs of the other nodes of a cluster: they are asked where the first one cannot be.
    #[serde(default)]
    pub other_nodes: Vec<String>,
    /// Its CA certificates, PEM; the system's if they are left out.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The namespace of all mounts.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountFile {
    /// Its path on the server, such as `pki`.
    pub mount: String,
    /// Its namespace, below that of the server.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// Limits, each with a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsFile {
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address.
    pub connections_per_address: usize,
    /// Requests a minute from one address, and as many at once.
    pub requests_per_minute: u32,
    /// Octets of a revocation list at the most.
    pub crl_bytes: usize,
    /// Answers of OCSP that are kept for each mount.
    pub ocsp_answers: usize,
    /// Octets of all files in `cache_dir` at the most.
    pub cache_bytes: u64,
    /// What is kept is asked for again after this time.
    pub refresh_seconds: u64,
    /// Clients, and caches on the way, may keep an answer this long, and never beyond its own end.
    pub client_seconds: u32,
}

impl Default for LimitsFile {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            requests_per_minute: 6000,
            crl_bytes: 64 * 1024 * 1024,
            ocsp_answers: 4096,
            cache_bytes: 256 * 1024 * 1024,
            refresh_seconds: 60,
            client_seconds: 300,
        }
    }
}

impl LimitsFile {
    fn check(&self) -> Result<(), String> {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        for (field, value, range) in [
            ("connections", number(self.connections), 1..=65_536),
            (
                "connections_per_address",
                number(self.connections_per_address),
                1..=65_536,
            ),
            (
                "requests_per_minute",
                u64::from(self.requests_per_minute),
                1..=u64::from(u32::MAX),
            ),
            (
                "crl_bytes",
                number(self.crl_bytes),
                1024..=1024 * 1024 * 1024,
            ),
            ("ocsp_answers", number(self.ocsp_answers), 1..=1_000_000),
            ("cache_bytes", self.cache_bytes, 65_536..=1 << 40),
            ("refresh_seconds", self.refresh_seconds, 1..=86_400),
            (
                "client_seconds",
                u64::from(self.client_seconds),
                0..=31_536_000,
            ),
        ] {
            within(&format!("limits.{field}"), value, &range)?;
        }
        Ok(())
    }
}

fn check_seconds() -> u64 {
    30
}

impl Config {
    /// One mount behind one address, as the command line has it.
    pub fn of_one(listen: SocketAddr, server: ServerFile, mount: &str) -> Self {
        let listener = ListenerFile {
            address: listen,
            tls: None,
        };
        let mount = MountFile {
            mount: mount.to_owned(),
            namespace: None,
        };
        Self {
            listeners: vec![listener],
            metrics_listen: None,
            url: None,
            audit_log: None,
            cache_dir: None,
            server,
            mounts: BTreeMap::from([("/".to_owned(), mount)]),
            est: None,
            limits: LimitsFile::default(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says what cannot be.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        let config: Self =
            settings::read(&text, |_| None).map_err(|reason| Error::file(path, reason))?;
        config.check().map_err(|reason| Error::file(path, reason))?;
        Ok(config)
    }

    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.listeners.is_empty() {
            return Err("listeners must name at least one address".to_owned());
        }
        for (index, listener) in self.listeners.iter().enumerate() {
            if let Some(tls) = &listener.tls {
                let field = format!("listeners[{index}].tls.check_seconds");
                within(&field, tls.check_seconds, &(1..=86_400))?;
            }
        }
        self.limits.check()?;
        if let Some(url) = &self.url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(format!("url: {url:?} must begin with http:// or https://"));
        }
        if self.mounts.is_empty() {
            return Err("mounts must name at least one mount".to_owned());
        }
        for (prefix, mount) in &self.mounts {
            if prefix != "/" && !(prefix.starts_with('/') && is_path(&prefix[1..])) {
                return Err(format!(
                    "mounts: {prefix:?} must be / or a path such as /name"
                ));
            }
            if !is_path(mount.mount.trim_matches('/')) {
                return Err(format!(
                    "mounts.{prefix}.mount: {:?} is no path such as pki",
                    mount.mount
                ));
            }
        }
        if let Some(est) = &self.est {
            est.check(self)?;
        }
        Ok(())
    }
}

/// Segments of letters, digits and a few signs, none of them empty or made of dots.
fn is_path(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.split('/')
        .all(|part| !part.is_empty() && !part.chars().all(|c| c == '.') && part.chars().all(sign))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Result<Config, Error> {
        let mut config = json!({
            "listeners": [{"address": "127.0.0.1:0"}, {"address": "[::1]:0", "tls": {"certificate": "c", "key": "k"}}],
            "url": "http://pki.example.com",
            "server": {"address": "https://vault.example:8200"},
            "mounts": {"/": {"mount": "pki"}, "/inner/2": {"mount": "team/pki_int", "namespace": "team"}},
            "limits": {"connections": 1},
        });
        change(&mut config);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("public.json");
        std::fs::write(&path, config.to_string()).expect("written");
        Config::read(&path)
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let config = read(|_| ()).expect("good");
        assert_eq!(
            config.limits,
            LimitsFile {
                connections: 1,
                ..LimitsFile::default()
            }
        );
        assert_eq!(config.mounts.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_told_by_its_key() {
        type Change<'a> = &'a dyn Fn(&mut Value);
        let cases: [(Change<'_>, &str); 11] = [
            (&|c| c["listeners"] = json!([]), "listeners must name"),
            (
                &|c| c["listeners"][0]["address"] = json!("localhost"),
                "listeners[0].address: an address with a port",
            ),
            (
                &|c| c["listeners"][1]["tls"]["check_seconds"] = json!(0),
                "listeners[1].tls.check_seconds is 0",
            ),
            (&|c| c["mounts"] = json!({}), "mounts must name"),
            (
                &|c| c["mounts"]["pki"] = json!({"mount": "pki"}),
                "\"pki\" must be /",
            ),
            (
                &|c| c["mounts"]["/a/../b"] = json!({"mount": "pki"}),
                "must be /",
            ),
            (
                &|c| c["mounts"]["/"]["mount"] = json!("pki?x"),
                "mounts./.mount",
            ),
            (
                &|c| c["limits"]["crl_bytes"] = json!(1),
                "limits.crl_bytes is 1",
            ),
            (
                &|c| c["limits"]["requests"] = json!(1),
                "unknown field `requests`",
            ),
            (
                &|c| c["url"] = json!("pki.example.com"),
                "must begin with http",
            ),
            (
                &|c| c["server"] = json!({}),
                "server: missing field `address`",
            ),
        ];
        for (change, wanted) in cases {
            let error = read(|config| change(config)).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
