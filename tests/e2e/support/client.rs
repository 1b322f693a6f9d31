//! A thin client of the server's HTTP API: it hides nothing of a reply,
//! because the tests compare statuses, warnings and error texts.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::Value;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be started")
});

/// One request that was answered.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
}

/// What several clients asked.
pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

/// A caller with one token. Cloning shares the connections and the log.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    address: String,
    token: String,
    log: Log,
}

impl Client {
    pub(crate) fn new(address: &str, token: &str) -> Self {
        Self::built(reqwest::Client::builder(), address, token)
    }

    /// One who knows the server by this CA, in PEM.
    pub(crate) fn trusting(ca: &str, address: &str, token: &str) -> Self {
        let ca = reqwest::Certificate::from_pem(ca.as_bytes()).expect("a certificate");
        let builder = reqwest::Client::builder().tls_certs_only([ca]);
        Self::built(builder, address, token)
    }

    fn built(builder: reqwest::ClientBuilder, address: &str, token: &str) -> Self {
        Self {
            http: builder
                .no_proxy()
                .timeout(Duration::from_secs(60))
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client of plain settings"),
            address: address.to_owned(),
            token: token.to_owned(),
            log: Log::default(),
        }
    }

    /// The same, and what it asks stands in this log.
    pub(crate) fn noted_in(self, log: &Log) -> Self {
        let log = Arc::clone(log);
        Self { log, ..self }
    }

    /// The same server with another token; "" sends none.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn read(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    /// A read with headers.
    pub(crate) fn read_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        RUNTIME
            .block_on(self.send("GET", path, None, headers))
            .unwrap_or_else(|error| panic!("GET {path}: {error:#?}"))
    }

    /// A write with headers.
    pub(crate) fn write_with(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        let body = body.to_string().into_bytes();
        RUNTIME
            .block_on(self.send("POST", path, Some(body), headers))
            .unwrap_or_else(|error| panic!("POST {path}: {error:#?}"))
    }

    pub(crate) fn list(&self, path: &str) -> Reply {
        self.call("LIST", path, None)
    }

    pub(crate) fn write(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None)
    }

    /// One request with a JSON body, or none.
    ///
    /// # Panics
    ///
    /// When no answer comes: a server that drops a connection has failed.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string().into_bytes());
        self.try_call(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error:#?}"))
    }

    /// An OCSP request by GET, which needs no token.
    pub(crate) fn ocsp(&self, mount: &str, request: &[u8]) -> Reply {
        let text = STANDARD
            .encode(request)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        self.with_token("").read(&format!("{mount}/ocsp/{text}"))
    }

    /// The same, with a body of any bytes, and with a lost connection as a value.
    pub(crate) fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, reqwest::Error> {
        RUNTIME.block_on(self.send(method, path, body, &[]))
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Reply, reqwest::Error> {
        let verb = Method::from_bytes(method.as_bytes()).expect("a method's name");
        let url = format!("{}/v1/{}", self.address, path.trim_start_matches('/'));
        let mut request = self.http.request(verb, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.token.is_empty() {
            request = request.header("X-Vault-Token", &self.token);
        }
        if let Some(body) = body {
            let kind = match method {
                "PATCH" => "application/merge-patch+json",
                _ if path.ends_with("/ocsp") => "application/ocsp-request",
                _ => "application/json",
            };
            request = request.header("Content-Type", kind).body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let bytes = response.bytes().await?.to_vec();
        let mut log = self.log.lock().expect("no panic under the lock");
        log.push(Asked {
            method: method.to_owned(),
            path: path.trim_start_matches('/').to_owned(),
            status,
        });
        drop(log);
        Ok(Reply {
            asked: format!("{method} {path}"),
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes,
        })
    }
}

/// What came back, untouched.
#[derive(Debug)]
pub(crate) struct Reply {
    asked: String,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    /// The body as JSON, or null where it is none.
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    /// The reply itself, if its status is one of success.
    ///
    /// # Panics
    ///
    /// With the server's errors, if not.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            self.status < 300,
            "{} answered {}: {}",
            self.asked,
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }

    /// The reply itself, if it has this status and an error that contains `text`.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, text: &str) -> Self {
        let errors = self.errors().join("\n");
        assert!(
            self.status == status && errors.contains(text),
            "{} answered {} {errors:?}, not {status} with {text:?}",
            self.asked,
            self.status,
        );
        self
    }

    /// `data` of the reply.
    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// A text field of `data`.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> String {
        match self.data()[field].as_str() {
            Some(text) => text.to_owned(),
            None => panic!("{}: no text field {field} in {}", self.asked, self.body),
        }
    }

    /// A list of texts in `data`.
    #[track_caller]
    pub(crate) fn texts(&self, field: &str) -> Vec<String> {
        match self.data()[field].as_array() {
            Some(list) => texts(list),
            None => panic!("{}: no list {field} in {}", self.asked, self.body),
        }
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.body["errors"]
            .as_array()
            .map(|list| texts(list))
            .unwrap_or_default()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.body["warnings"]
            .as_array()
            .map(|list| texts(list))
            .unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter()
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
        .collect()
}
