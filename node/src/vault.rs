//! A small client of the Vault and OpenBao HTTP API.
//!
//! It covers what a node and an operator's export need: read and write a path,
//! with the environment variables that both products' own tools honour.
//!
//! Source: OpenBao documentation, "Commands: environment variables".

use std::path::{Path, PathBuf};

use landfast_pki::Secret;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::files::{self, FileError};
use crate::http::{self, HttpError, Trouble, Trust};

/// The address when none is set.
const DEFAULT_ADDRESS: &str = "https://127.0.0.1:8200";
/// What a wrong one is called when nobody says where it came from.
const ADDRESS: &str = "the server's address";
/// No answer that this client asks for is larger.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// How to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Scheme, host and port.
    pub address: String,
    /// The namespace, for servers that have them.
    pub namespace: Option<String>,
    /// PEM files, or directories of them, with the CAs of the server.
    pub authorities: Vec<PathBuf>,
    /// A client certificate with its key, each a PEM file.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Accept any server certificate. For laboratories only.
    pub skip_verify: bool,
    /// Nobody gave an address: it is the one that the servers' own commands try.
    pub address_is_usual: bool,
    /// Send tokens and secrets over plain HTTP, where others can read them on their
    /// way; to this machine itself they may go so in any case.
    pub plain_http: bool,
}

/// Why a call to the server gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A setting is not usable.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable or flag.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that a setting names.
    #[error(transparent)]
    File(#[from] FileError),
    /// The HTTP client: a CA, or the client certificate.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A secret would go over plain HTTP.
    #[error(
        "{address} is plain HTTP to another machine: whoever is on the way could read the token and every secret. Give the server's https:// address, or say --allow-plain-http if the way is safe"
    )]
    Plain {
        /// The server's address.
        address: String,
    },
    /// The server redirects to where no secret may go.
    #[error(
        "{address}: {cause}; not followed. Look at the server's api_addr, or give the address of the active node"
    )]
    Redirect {
        /// The server's address.
        address: String,
        /// Where to, and why that is not safe.
        cause: String,
    },
    /// The server was not reached.
    #[error("no answer from {address}: {cause}; {advice}")]
    Transport {
        /// The server's address.
        address: String,
        /// What went wrong below.
        cause: String,
        /// What to do.
        advice: &'static str,
    },
    /// A token that the server does not know, by its words.
    #[error(
        "{path}: the server does not take the token (403): most likely it has ended or was revoked, or another server made it; log in again, with `bao login` or by --auth, or get a new token. If it is good, its policies must allow {operation} on the path"
    )]
    UnknownToken {
        /// The path.
        path: String,
        /// The operation in the words of a policy.
        operation: &'static str,
    },
    /// A call that needs a token, and there is none.
    #[error(
        "{path}: permission denied (403), and no token was sent; set BAO_TOKEN or VAULT_TOKEN, or log in with the server's own command, such as `bao login`"
    )]
    NoToken {
        /// The path.
        path: String,
    },
    /// The server is sealed or on its way up or down.
    #[error("the server is sealed or not ready (503){0}")]
    Sealed(String),
    /// The token, or the lack of one, does not allow the call.
    #[error("{path}: permission denied (403); the token's policies must allow {operation} on it")]
    Denied {
        /// The path.
        path: String,
        /// The operation in the words of a policy.
        operation: &'static str,
    },
    /// There is nothing at the path.
    #[error("{path}: nothing there (404){detail}; check the mount path and the name")]
    NotFound {
        /// The path.
        path: String,
        /// The server's texts, if any.
        detail: String,
    },
    /// The server refused the request.
    #[error("{path}: {message} ({status})")]
    Refused {
        /// The path.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The server's texts.
        message: String,
    },
    /// A login by AppRole without a secret id, which the server refused.
    #[error(
        "{path}: {message}, and no secret id was sent: look at the role id, or name the file with a secret id by --secret-id-file (`bao write -f -field=secret_id {role}/secret-id` makes one)"
    )]
    NoSecretId {
        /// The path.
        path: String,
        /// The server's texts.
        message: String,
        /// The path of roles on the mount.
        role: String,
    },
    /// There is no AWS identity to log in with.
    #[error(
        "AWS credentials: {0}; set AWS_PROFILE, or let `landfast credential-process` give them by a profile"
    )]
    AwsCredentials(String),
    /// A wrapping token that another path made than the one that should have.
    #[error(
        "the wrapped secret id was made by {found}, not by {wanted}: somebody may have put it there. It is left unopened; find out who made it, then get a new one"
    )]
    Wrapping {
        /// The path that made it.
        found: String,
        /// The path that should have.
        wanted: String,
    },
    /// The answer is not what the API documents.
    #[error("{path}: the answer lacks {missing}")]
    Answer {
        /// The path.
        path: String,
        /// The member that is not there, or not of its type.
        missing: &'static str,
    },
}

impl VaultError {
    fn wants_tls(path: &str) -> Self {
        Self::Refused {
            path: path.to_owned(),
            status: 400,
            message: "the server speaks HTTPS: give its address as https://".into(),
        }
    }

    /// Whether the caller gave something that cannot be used, before anybody was asked.
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Plain { .. }
                | Self::Http(
                    HttpError::Authorities(_) | HttpError::Identity(_) | HttpError::Form { .. }
                )
        )
    }

    /// Whether the same call may succeed later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } | Self::Sealed(_) => true,
            Self::Refused { status, .. } => {
                (*status == 429 || *status >= 500) && !self.is_about_a_certificate()
            }
            _ => false,
        }
    }

    /// Whether a login was refused for its client certificate: OpenBao says so
    /// with a 500 when that has ended, with a 400 when it does not know it.
    pub fn is_about_a_certificate(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 500, message, .. }
            if message.contains("client certificate") || message.contains("client's certificate"))
    }
}

impl Config {
    /// Reads the usual variables through `lookup`; a `BAO_` name wins over its
    /// `VAULT_` twin, as in the `bao` command.
    ///
    /// # Errors
    /// [`VaultError::Setting`] names the variable that can't be used.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, VaultError> {
        let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let get = |suffix: &str| {
            ["BAO", "VAULT"]
                .iter()
                .find_map(|prefix| given(&format!("{prefix}_{suffix}")))
        };
        let either = |names: [&'static str; 2]| {
            let bao = given(names[0]).is_some();
            names[usize::from(!bao)]
        };
        let skip_verify = match get("SKIP_VERIFY").as_deref() {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some(_) => {
                return Err(VaultError::Setting {
                    name: either(["BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"]),
                    problem: "must be true or false".into(),
                });
            }
        };
        let client = match (get("CLIENT_CERT"), get("CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                return Err(VaultError::Setting {
                    name: "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
                    problem: "set both or neither".into(),
                });
            }
        };
        let config = Self {
            address_is_usual: get("ADDR").is_none(),
            address: get("ADDR").unwrap_or_else(|| DEFAULT_ADDRESS.to_owned()),
            namespace: get("NAMESPACE"),
            authorities: ["CACERT", "CAPATH"]
                .iter()
                .find_map(|name| get(name))
                .map(PathBuf::from)
                .into_iter()
                .collect(),
            client,
            skip_verify,
            plain_http: false,
        };
        config.check(either(["BAO_ADDR", "VAULT_ADDR"]))?;
        Ok(config)
    }

    fn check(&self, name: &'static str) -> Result<(), VaultError> {
        if is_address(&self.address) {
            return Ok(());
        }
        Err(VaultError::Setting {
            name,
            problem: "must be a URL such as https://vault.example:8200".into(),
        })
    }
}

/// Whether a text is the address of a server.
pub fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// The token that the server's own command stored at login, if there is one:
/// `BAO_TOKEN`, `VAULT_TOKEN`, `~/.bao-token`, then `~/.vault-token`.
///
/// # Errors
/// [`FileError`] when a token file is there and can't be read.
pub fn token_from_environment(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret<String>>, FileError> {
    for name in ["BAO_TOKEN", "VAULT_TOKEN"] {
        if let Some(token) = lookup(name).filter(|token| !token.is_empty()) {
            return Ok(Some(Secret::new(token)));
        }
    }
    let Some(home) = lookup("HOME").map(PathBuf::from) else {
        return Ok(None);
    };
    for name in [".bao-token", ".vault-token"] {
        match read_token(&home.join(name)) {
            Ok(token) => return Ok(Some(token)),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Reads a file that holds one token or other secret text, without the blanks
/// around it.
///
/// # Errors
/// [`FileError`] when the file can't be read, is empty or is not text.
pub fn read_token(path: &Path) -> Result<Secret<String>, FileError> {
    only_text(path, &files::read_secret(path)?)
}

/// The text of a file's content, without the blanks around it.
pub(crate) fn only_text(
    path: &Path,
    content: &Secret<Vec<u8>>,
) -> Result<Secret<String>, FileError> {
    match std::str::from_utf8(content.expose()).map(str::trim) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text.to_owned())),
        _ => Err(FileError {
            path: path.to_owned(),
            cause: std::io::Error::new(std::io::ErrorKind::InvalidData, "no text in the file"),
        }),
    }
}

/// A connection to one server, with or without a token.
pub struct Vault {
    http: reqwest::Client,
    config: Config,
    token: Option<Secret<String>>,
}

impl Vault {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`VaultError`] when the address, a CA or the client certificate can't be used.
    pub fn new(config: Config, token: Option<Secret<String>>) -> Result<Self, VaultError> {
        config.check(ADDRESS)?;
        let client = config.client.as_ref();
        let trust = Trust {
            authorities: &config.authorities,
            identity: client.map(|(certificate, key)| (&**certificate, &**key)),
            skip_verify: config.skip_verify,
        };
        let http = http::for_server(&config.address, trust, config.plain_http)?;
        Ok(Self {
            http,
            config,
            token,
        })
    }

    /// The server's address.
    pub fn address(&self) -> &str {
        &self.config.address
    }

    /// Uses another token from now on.
    pub fn set_token(&mut self, token: Secret<String>) {
        self.token = Some(token);
    }

    /// Uses no token from now on.
    pub fn forget_token(&mut self) {
        self.token = None;
    }

    /// Reads a path.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn read(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, VaultError> {
        self.call(Method::GET, path, query, None::<&()>).await
    }

    /// Writes to a path.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn write(&self, path: &str, body: &impl Serialize) -> Result<Value, VaultError> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Value, VaultError> {
        let operation = if method == Method::GET {
            "read"
        } else {
            "update"
        };
        let mut url =
            reqwest::Url::parse(&self.config.address).map_err(|_| VaultError::Setting {
                name: ADDRESS,
                problem: "is no URL".into(),
            })?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path.split('/'));
        }
        url.query_pairs_mut().extend_pairs(query);
        if query.is_empty() {
            url.set_query(None);
        }
        // What is written is a login, a wrapped token or a request: each is a secret or is answered with one.
        let secret = self.token.is_some() || body.is_some();
        if secret && !self.config.plain_http && http::is_open(&url) {
            return Err(VaultError::Plain {
                address: self.config.address.clone(),
            });
        }
        let mut request = self
            .http
            .request(method, url)
            .header("X-Vault-Request", "true");
        if let Some(token) = &self.token {
            let mut value =
                reqwest::header::HeaderValue::from_str(token.expose()).map_err(|_| {
                    VaultError::Setting {
                        name: "token",
                        problem: "holds characters that no token has".into(),
                    }
                })?;
            value.set_sensitive(true);
            request = request.header("X-Vault-Token", value);
        }
        if let Some(namespace) = &self.config.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let transport = |error: reqwest::Error| {
            let address = self.config.address.clone();
            if error.is_redirect() {
                let cause = innermost(&error);
                return VaultError::Redirect { address, cause };
            }
            let cause = http::no_answer(&address, error);
            VaultError::Transport {
                advice: advice(&cause, self.config.address_is_usual),
                address,
                cause,
            }
        };
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        if http::is_of_tls(&response) {
            return Err(VaultError::wants_tls(path));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(VaultError::Answer {
                    path: path.to_owned(),
                    missing: "an end within 8 MiB",
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        let bytes = Secret::new(bytes);
        if status.is_success() {
            if bytes.expose().is_empty() {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(bytes.expose()).map_err(|_| VaultError::Answer {
                path: path.to_owned(),
                missing: "a JSON body",
            });
        }
        // A login is refused for what it shows.
        let anonymous = self.token.is_none() && !path.starts_with("auth/");
        if anonymous && status == StatusCode::FORBIDDEN && !path.starts_with("sys/wrapping/") {
            return Err(VaultError::NoToken {
                path: path.to_owned(),
            });
        }
        Err(match refusal(status, path, operation, bytes.expose()) {
            // There was none.
            VaultError::UnknownToken { path, operation } if self.token.is_none() => {
                VaultError::Denied { path, operation }
            }
            refusal => refusal,
        })
    }
}

/// What to do about a server that was not reached.
fn advice(cause: &str, address_is_usual: bool) -> &'static str {
    match Trouble::of(cause) {
        Some(Trouble::PlainHttp) => {
            "it speaks plain HTTP: if that is right, as it is for a server in dev mode, give its address as http://"
        }
        Some(Trouble::Tls) => "it does not speak plain HTTP: give its address as https://",
        Some(Trouble::UnknownAuthority) => {
            "its certificate is of a CA that this machine does not know: name the CA by --ca-cert, BAO_CACERT or VAULT_CACERT"
        }
        Some(Trouble::OtherName) => {
            "its certificate has another name: give the address by a name that the certificate has"
        }
        None if address_is_usual => {
            "no address was given, so this one was tried: set BAO_ADDR or VAULT_ADDR, or give --address"
        }
        None => "check the address, the network and the server's CA",
    }
}

fn refusal(status: StatusCode, path: &str, operation: &'static str, body: &[u8]) -> VaultError {
    let texts = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| {
            let errors = body.get("errors")?.as_array()?;
            let texts: Vec<&str> = errors.iter().filter_map(Value::as_str).collect();
            Some(texts.join("; ").trim().to_owned())
        })
        .unwrap_or_default();
    let detail = if texts.is_empty() {
        String::new()
    } else {
        format!(": {texts}")
    };
    let path = path.to_owned();
    if http::wants_tls(status.as_u16(), body) {
        return VaultError::wants_tls(&path);
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => VaultError::Sealed(detail),
        // What a policy denies is one of a list of errors; a token that is not known is told bare.
        StatusCode::FORBIDDEN
            if texts == "permission denied" || texts.contains("invalid token") =>
        {
            VaultError::UnknownToken { path, operation }
        }
        StatusCode::FORBIDDEN => VaultError::Denied { path, operation },
        StatusCode::NOT_FOUND => VaultError::NotFound { path, detail },
        _ => VaultError::Refused {
            path,
            status: status.as_u16(),
            message: texts,
        },
    }
}

/// What lies at the bottom of an error.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, VaultError> {
        Config::from_environment(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_openbao_names_win() {
        let config = config(&[
            ("VAULT_ADDR", "https://v:1"),
            ("BAO_ADDR", "https://b:2"),
            ("VAULT_NAMESPACE", "team"),
            ("VAULT_SKIP_VERIFY", "true"),
        ])
        .unwrap();
        assert_eq!(config.address, "https://b:2");
        assert_eq!(config.namespace.as_deref(), Some("team"));
        assert!(config.skip_verify);
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (pairs, name) in [
            (&[("VAULT_ADDR", "vault:8200")][..], "VAULT_ADDR"),
            (&[("BAO_ADDR", "vault:8200")], "BAO_ADDR"),
            (
                &[("BAO_ADDR", ""), ("VAULT_ADDR", "vault:8200")],
                "VAULT_ADDR",
            ),
            (&[("VAULT_SKIP_VERIFY", "maybe")], "VAULT_SKIP_VERIFY"),
            (&[("BAO_SKIP_VERIFY", "maybe")], "BAO_SKIP_VERIFY"),
            (&[("VAULT_CLIENT_CERT", "x")], "VAULT_CLIENT_CERT"),
        ] {
            let error = config(pairs).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn no_secret_goes_over_plain_http_unless_that_is_said() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let call = |address: &str, token: Option<&str>, plain_http, write| {
            let config = Config {
                plain_http,
                ..config(&[("BAO_ADDR", address)]).unwrap()
            };
            let token = token.map(|token| Secret::new(token.to_owned()));
            runtime.block_on(async {
                let vault = Vault::new(config, token).unwrap();
                let role = serde_json::json!({"role_id": "r", "secret_id": "s"});
                match write {
                    true => vault.write("auth/approle/login", &role).await,
                    false => vault.read("pki/ca", &[]).await,
                }
                .unwrap_err()
            })
        };
        // Nobody has the name, so that what is sent gets nowhere.
        let (elsewhere, here) = ("http://vault.invalid:8200", "http://127.0.0.1:1");
        for (token, write) in [(None, true), (Some("t"), false), (Some("t"), true)] {
            let error = call(elsewhere, token, false, write);
            assert!(matches!(error, VaultError::Plain { .. }), "{error}");
            assert!(error.to_string().contains("--allow-plain-http"));
            for (address, plain) in [(elsewhere, true), (here, false)] {
                let error = call(address, token, plain, write);
                assert!(matches!(error, VaultError::Transport { .. }), "{error}");
            }
        }
        // What everybody may read needs no token, and is no secret.
        let error = call(elsewhere, None, false, false);
        assert!(matches!(error, VaultError::Transport { .. }), "{error}");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let text = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refusal(status, "pki/x", "read", body.as_bytes())
        };
        assert!(text(503, r#"{"errors":["Vault is sealed"]}"#).is_temporary());
        assert!(text(403, "{}").to_string().contains("must allow read"));
        assert!(text(404, "<html>").to_string().contains("check the mount"));
        let bad = text(400, r#"{"errors":["a","b"]}"#);
        assert_eq!(bad.to_string(), "pki/x: a; b (400)");
        assert!(!bad.is_temporary());
        assert!(text(500, "").is_temporary());
        for unknown in [
            r#"{"errors":["permission denied"]}"#,
            r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#,
        ] {
            assert!(text(403, unknown).to_string().contains("log in again"));
        }
        let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        assert!(!text(403, denied).to_string().contains("log in again"));
        let ended = r#"{"errors":["failed to verify client's certificate: x509: certificate has expired"]}"#;
        assert!(!text(500, ended).is_temporary());
    }

    #[test]
    fn an_address_that_does_not_answer_says_what_to_do() {
        for (cause, usual, part) in [
            (
                "received corrupt message of type InvalidContentType",
                false,
                "give its address as http://",
            ),
            ("invalid HTTP version parsed", false, "as https://"),
            (
                "invalid peer certificate: UnknownIssuer",
                false,
                "--ca-cert",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                false,
                "another name",
            ),
            ("Connection refused", true, "BAO_ADDR"),
            ("Connection refused", false, "check the address"),
        ] {
            assert!(advice(cause, usual).contains(part), "{cause}");
        }
        assert!(config(&[]).unwrap().address_is_usual);
        assert!(
            !config(&[("VAULT_ADDR", "https://v:1")])
                .unwrap()
                .address_is_usual
        );
        let body = b"Client sent an HTTP request to an HTTPS server.\n";
        let error = refusal(StatusCode::BAD_REQUEST, "pki/x", "read", body);
        assert!(error.to_string().contains("as https://"), "{error}");
    }

    #[test]
    fn a_token_comes_from_the_variable_then_from_the_files() {
        let home = tempfile::tempdir().unwrap();
        let with = |token: Option<&str>| {
            let lookup = |name: &str| match name {
                "HOME" => Some(home.path().to_str().unwrap().to_owned()),
                "VAULT_TOKEN" => token.map(str::to_owned),
                _ => None,
            };
            token_from_environment(lookup)
                .unwrap()
                .map(|token| token.expose().clone())
        };
        assert_eq!(with(None), None);
        std::fs::write(home.path().join(".vault-token"), "stored\n").unwrap();
        assert_eq!(with(None).as_deref(), Some("stored"));
        assert_eq!(with(Some("given")).as_deref(), Some("given"));
    }
}
