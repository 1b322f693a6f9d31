//! Who a client is, and what it may reach.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use der::Decode;
use landfast_base::{equal, sha256, unhex};
use landfast_listen::Bucket;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::cache::CachedKey;
use super::config::{ClientFile, File, VersionFile};
use super::keys::{KeyRing, SigningRing};
use super::metrics::Metrics;
use super::options::Options;
use crate::config::{Environment, ParseOptions};
use crate::error::Error;
use crate::keys::key::KeyEncryptionKey;
use crate::keys::{self, Place, Service, Settings};

/// What the audit log says of whoever is nobody's client.
const UNKNOWN: &str = "unknown client";

/// Names of a stranger's certificate in a line of the audit log, and bytes of each.
const SHOWN_NAMES: usize = 4;
const SHOWN_BYTES: usize = 256;

/// A longer token is none of ours, and is not hashed to find that out.
pub(super) const TOKEN_BYTES: usize = 1024;

/// The other end of a connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) remote: SocketAddr,
    pub(super) names: Vec<String>,
    pub(super) expires: Option<i64>,
}

impl Peer {
    /// Takes the names out of a certificate that TLS has verified.
    pub(super) fn new(remote: SocketAddr, certificate: Option<&[u8]>) -> Self {
        let names = certificate.map(names).unwrap_or_default();
        Self {
            remote,
            names,
            expires: certificate.and_then(expiry),
        }
    }

    /// The names in the certificate, as many and as much of each as a line of the log has room for.
    pub(super) fn showed(&self) -> Vec<&str> {
        let cut = |name: &str| name.len().min(SHOWN_BYTES);
        let names = self.names.iter().take(SHOWN_NAMES);
        names
            .map(|name| &name[..name.floor_char_boundary(cut(name))])
            .collect()
    }

    /// When the certificate ended, if it has.
    pub(super) fn ended(&self, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let end = self.expires.filter(|end| *end < now.as_second())?;
        jiff::Timestamp::from_second(end).ok()
    }
}

/// All clients of a configuration.
#[derive(Debug)]
pub(super) struct Clients {
    clients: Vec<Client>,
    by_name: HashMap<String, usize>,
    pub(super) service: Option<Arc<dyn Service>>,
}

/// One client: a cluster, mostly.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) keys: BTreeMap<String, KeyRing>,
    pub(super) signing: BTreeMap<String, SigningRing>,
    pub(super) bucket: Bucket,
    by_certificate: bool,
    tokens: Vec<Token>,
}

#[derive(Debug)]
struct Token {
    hash: Vec<u8>,
    ttl: u64,
}

/// How a client was recognised.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    pub(super) client: &'a Client,
    /// The name in the certificate, or `token`.
    pub(super) name: String,
    /// What a client that renews its token is told, in seconds; without a token there is nothing to renew.
    pub(super) token_ttl: Option<u64>,
}

impl Clients {
    pub(super) async fn new(
        file: &File,
        environment: &Environment,
        options: &Options,
    ) -> Result<Self, Error> {
        let service = service(file, environment, options).await?;
        let mut clients = Vec::new();
        let mut by_name = HashMap::new();
        let mut hashes: Vec<Vec<u8>> = Vec::new();
        for (name, entry) in &file.clients {
            let client = client(name, entry, file, service.as_ref())?;
            for certificate in &entry.certificates {
                if !certificate.starts_with("dns:") && !certificate.starts_with("uri:") {
                    return Err(Error::Config(format!(
                        "client {name}: a certificate is named dns:NAME or uri:URI"
                    )));
                }
                let canonical = canonical(certificate);
                if by_name.insert(canonical, clients.len()).is_some() {
                    return Err(Error::Config(format!(
                        "{certificate} stands for two clients"
                    )));
                }
            }
            for token in &client.tokens {
                if hashes.contains(&token.hash) {
                    return Err(Error::Config(format!(
                        "client {name}: its token stands for two clients"
                    )));
                }
                hashes.push(token.hash.clone());
            }
            clients.push(client);
        }
        Ok(Self {
            clients,
            by_name,
            service,
        })
    }

    /// Recognises a client by its certificate, its token, or both if it has both.
    ///
    /// # Errors
    /// Why not, for the audit log. The client learns nothing but that it is refused.
    pub(super) fn identify(
        &self,
        peer: &Peer,
        token: Option<&str>,
        metrics: &Metrics,
    ) -> Result<Identity<'_>, String> {
        let token = token.filter(|token| token.len() <= TOKEN_BYTES);
        let presented = token.map(|token| sha256(token.as_bytes()));
        let mut by_certificate = peer
            .names
            .iter()
            .filter_map(|name| Some((name, *self.by_name.get(name)?)));
        if let Some((name, index)) = by_certificate.next() {
            let client = &self.clients[index];
            // Whichever came first would be chance, and so would be whose keys it reaches.
            if let Some((_, other)) = by_certificate.find(|(_, other)| *other != index) {
                return Err(format!(
                    "the certificate has names of two clients, {} and {}",
                    client.name, self.clients[other].name
                ));
            }
            if let Some(expires) = peer.expires {
                metrics.client_certificate(&client.name, name, expires);
            }
            let found = client.token(presented.as_ref());
            if !client.tokens.is_empty() && found.is_none() {
                return Err(format!(
                    "the certificate is of client {}, the token is not",
                    client.name
                ));
            }
            return Ok(Identity {
                client,
                name: name.clone(),
                token_ttl: found.map(|token| token.ttl),
            });
        }
        // Every client is looked at, so that the time does not tell which one came close.
        let mut identity = None;
        for client in &self.clients {
            if let Some(token) = client.token(presented.as_ref())
                && !client.by_certificate
            {
                identity = Some(Identity {
                    client,
                    name: "token".to_owned(),
                    token_ttl: Some(token.ttl),
                });
            }
        }
        identity.ok_or_else(|| UNKNOWN.to_owned())
    }
}

impl Clients {
    /// The client whose certificate this is, whether or not it needs a token as well.
    pub(super) fn by_certificate(&self, peer: &Peer) -> Option<&Client> {
        let mut names = peer.names.iter();
        let index = names.find_map(|name| self.by_name.get(name))?;
        self.clients.get(*index)
    }
}

impl Client {
    fn token(&self, presented: Option<&[u8; 32]>) -> Option<&Token> {
        let presented = presented?;
        let mut found = None;
        for token in &self.tokens {
            if equal(&token.hash, presented) {
                found = Some(token);
            }
        }
        found
    }
}

async fn service(
    file: &File,
    environment: &Environment,
    options: &Options,
) -> Result<Option<Arc<dyn Service>>, Error> {
    let local = |version: &VersionFile| matches!(version, VersionFile::Local(_));
    let needed = |client: &ClientFile| {
        !client.signing_keys.is_empty() || !client.keys.values().flatten().all(local)
    };
    if !file.clients.values().any(needed) {
        return Ok(None);
    }
    if file.aws.contains_key("kms_key_id") {
        return Err(Error::Config(
            "aws.kms_key_id has no effect here: each client's keys name their own".to_owned(),
        ));
    }
    let mut stanza = file.aws.clone();
    stanza.insert("key_not_required".to_owned(), "true".to_owned());
    let parse = ParseOptions {
        roles_anywhere: options.roles_anywhere,
        ..ParseOptions::default()
    };
    let settings = Settings::of_service(&stanza, environment, &parse)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    settings.connect(options.limits).await.map(Some)
}

fn client(
    name: &str,
    entry: &ClientFile,
    file: &File,
    service: Option<&Arc<dyn Service>>,
) -> Result<Client, Error> {
    let refuse = |text: &str| Err(Error::Config(format!("client {name}: {text}")));
    if entry.certificates.is_empty() && entry.tokens.is_empty() {
        return refuse("it needs certificates or tokens to be recognised by");
    }
    if !entry.certificates.is_empty() && file.tls.client_ca.is_none() {
        return refuse("its certificates cannot be verified without tls.client_ca");
    }
    let mut tokens = Vec::new();
    for token in &entry.tokens {
        let Some(hash) = unhex(&token.sha256).filter(|hash| hash.len() == 32) else {
            return refuse("a token's sha256 must be 64 hex digits");
        };
        tokens.push(Token {
            hash,
            ttl: token.ttl_seconds,
        });
    }
    let mut keys = BTreeMap::new();
    for (path, versions) in &entry.keys {
        check_path(name, path)?;
        if versions.is_empty() {
            return refuse("a key needs at least one version");
        }
        let wrap = |version: &VersionFile| -> Result<Arc<dyn KeyEncryptionKey>, Error> {
            let key: Arc<dyn KeyEncryptionKey> = match (version, service) {
                (VersionFile::Local(local), _) => {
                    tracing::warn!(
                        client = name,
                        path,
                        "a key file protects against nothing but a lost copy of the storage, and is meant for tests"
                    );
                    keys::key_file(&local.local_key_file)?
                }
                (VersionFile::Kms(id), Some(service)) => {
                    let key = Place::of(service.kind(), id)?;
                    if key.is_alias() {
                        return Err(Error::Config(format!(
                            "client {name}: {id} is an alias, which may move: a version is one key for ever, so give its id or ARN"
                        )));
                    }
                    service.wrapping_key(&key)?
                }
                (VersionFile::Kms(_), None) => {
                    return Err(Error::Config("no key service is configured".to_owned()));
                }
            };
            Ok(match &file.cache {
                Some(cache) => {
                    Arc::new(CachedKey::new(key, Duration::from_secs(cache.ttl_seconds)))
                }
                None => key,
            })
        };
        let versions = versions.iter().map(wrap).collect::<Result<Vec<_>, _>>()?;
        keys.insert(path.clone(), KeyRing::new(name, path, versions));
    }
    let mut signing = BTreeMap::new();
    for (path, versions) in &entry.signing_keys {
        check_path(name, path)?;
        if keys.contains_key(path) {
            return refuse("a path is either of a key that encrypts or of one that signs");
        }
        let (Some(service), false) = (service, versions.is_empty()) else {
            return refuse("a signing key needs at least one version");
        };
        let versions = versions.iter().map(|id| Place::of(service.kind(), id));
        let versions = versions.collect::<Result<Vec<_>, _>>()?;
        signing.insert(path.clone(), SigningRing::new(service.clone(), versions));
    }
    Ok(Client {
        name: name.to_owned(),
        keys,
        signing,
        bucket: Bucket::per_minute(entry.requests_per_minute, Instant::now()),
        by_certificate: !entry.certificates.is_empty(),
        tokens,
    })
}

/// A path as it stands in a URL: namespace, mount and key name.
fn check_path(client: &str, path: &str) -> Result<(), Error> {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    if path.contains('/') && path.split('/').all(plain) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "client {client}: {path:?} is not a path such as transit/unseal"
    )))
}

/// Names in the subject alternative names of a certificate, in the form of the configuration.
fn names(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else {
        return Vec::new();
    };
    let Ok(Some((_, san))) = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
    else {
        return Vec::new();
    };
    let name = |name: &GeneralName| match name {
        GeneralName::DnsName(dns) => Some(canonical(&format!("dns:{}", dns.as_str()))),
        GeneralName::UniformResourceIdentifier(uri) => {
            Some(canonical(&format!("uri:{}", uri.as_str())))
        }
        _ => None,
    };
    san.0.iter().filter_map(name).collect()
}

/// DNS names are compared without case (RFC 4343), URIs as they are.
fn canonical(name: &str) -> String {
    if name.starts_with("dns:") {
        name.to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}

/// End of a certificate, in seconds since 1970.
pub(super) fn expiry(der: &[u8]) -> Option<i64> {
    let certificate = Certificate::from_der(der).ok()?;
    let end = certificate
        .tbs_certificate()
        .validity()
        .not_after
        .to_unix_duration();
    i64::try_from(end.as_secs()).ok()
}
