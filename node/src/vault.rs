//! A small client of the Vault and OpenBao HTTP API.
//!
//! It covers what a node and an operator's export need: read and write a path,
//! with the environment variables that both products' own tools honour.

mod config;
mod error;

use landfast_base::Secret;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::http::{self, Trust};

pub(crate) use self::config::only_text;
pub use self::config::{Config, is_address, read_token, token_from_environment};
pub use self::error::VaultError;
use self::error::{advice, refusal};

/// What a wrong one is called when nobody says where it came from.
const ADDRESS: &str = "the server's address";
/// No answer that this client asks for is larger.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

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
    /// [`VaultError`] when the address, a CA or the client certificate cannot be used.
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
        let request = self.request(method, self.url(path, query)?, body)?;
        let transport = |error| self.transport(error);
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
        if !status.is_success() {
            return Err(self.refusal(status, path, operation, bytes.expose()));
        }
        if bytes.expose().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(bytes.expose()).map_err(|_| VaultError::Answer {
            path: path.to_owned(),
            missing: "a JSON body",
        })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<reqwest::Url, VaultError> {
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
        Ok(url)
    }

    /// A request with token and namespace, unless it could be read on its way.
    fn request(
        &self,
        method: Method,
        url: reqwest::Url,
        body: Option<&impl Serialize>,
    ) -> Result<reqwest::RequestBuilder, VaultError> {
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
        Ok(match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// Why no answer came, or not all of it.
    fn transport(&self, error: reqwest::Error) -> VaultError {
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
    }

    /// Why the server refused, in the light of whether there was a token.
    fn refusal(
        &self,
        status: StatusCode,
        path: &str,
        operation: &'static str,
        body: &[u8],
    ) -> VaultError {
        // A login is refused for what it shows.
        let anonymous = self.token.is_none() && !path.starts_with("auth/");
        if anonymous && status == StatusCode::FORBIDDEN && !path.starts_with("sys/wrapping/") {
            return VaultError::NoToken {
                path: path.to_owned(),
            };
        }
        match refusal(status, path, operation, body) {
            // There was none.
            VaultError::UnknownToken { path, operation } if self.token.is_none() => {
                VaultError::Denied { path, operation }
            }
            refusal => refusal,
        }
    }
}

/// What lies at the bottom of an error.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[cfg(test)]
mod tests {
    use super::config::tests::config;
    use super::*;

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
}
