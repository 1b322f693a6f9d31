//! An unseal server with its clients, its certificates and the stand-in behind it.
#![allow(unreachable_pub)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use landfast_unseal::serve::{Control, Options, Server};
use landfast_unseal::{Environment, Error, Limits};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, date_time_ymd,
};
use reqwest::{Client, Identity, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fake_aws::{ACCESS_KEY, FakeAws, REGION, UNSEAL_KEY};

/// SHA-256 of the tokens `token-of-paris` and `token-of-both`.
pub fn sha256(token: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The time in so long, since the beginning of 1970.
pub fn since_1970(life: Duration) -> Duration {
    let now = std::time::UNIX_EPOCH.elapsed();
    now.expect("after 1970") + life
}

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a CA"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A list of revoked serial numbers in DER, good for so long.
    pub fn revoke(&self, serials: &[u64], life: Duration) -> Vec<u8> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(1970, 1, 1) + since_1970(life),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).expect("a list").der().to_vec()
    }

    /// A certificate and its key in PEM.
    pub fn issue(&self, names: &[SanType]) -> (String, String) {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[SanType],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = names.to_vec();
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a DNS name"))
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a URI"))
}

/// A running server with three clients: `berlin` by certificate, `paris` by token, `both` by both.
pub struct World {
    pub fake: FakeAws,
    pub directory: tempfile::TempDir,
    pub authority: Authority,
    pub address: SocketAddr,
    pub metrics: SocketAddr,
    pub stop: watch::Sender<bool>,
    pub control: Control,
    pub server: JoinHandle<()>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Value)) -> Self {
        let fake = FakeAws::start().await;
        let directory = tempfile::tempdir().expect("temporary directory");
        let authority = Authority::new();
        let file = |name: &str| directory.path().join(name);
        let (certificate, key) = authority.issue(&[dns("localhost")]);
        std::fs::write(file("server.pem"), certificate).expect("writes");
        std::fs::write(file("server.key"), key).expect("writes");
        std::fs::write(file("ca.pem"), authority.pem()).expect("writes");
        let mut config = json!({
            "listen": "127.0.0.1:0",
            "metrics_listen": "127.0.0.1:0",
            "tls": {"certificate": file("server.pem"), "key": file("server.key"), "client_ca": file("ca.pem")},
            "audit_log": file("audit.log"),
            "aws": {"region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "secret"},
            "clients": {
                "berlin": {
                    "certificates": ["dns:bao-1.berlin.example", "uri:spiffe://berlin/bao"],
                    "keys": {"transit/unseal": [UNSEAL_KEY]},
                    "signing_keys": {"transit/ca": ["alias/ca-p256"], "transit/rsa": ["alias/ca-rsa"]},
                },
                "paris": {
                    "tokens": [{"sha256": sha256("token-of-paris"), "ttl_seconds": 3600}],
                    "keys": {"transit/paris": [UNSEAL_KEY]},
                },
                "both": {
                    "certificates": ["dns:both.example"],
                    "tokens": [{"sha256": sha256("token-of-both")}],
                    "keys": {"ns1/transit/unseal": [UNSEAL_KEY]},
                },
            },
        });
        change(&mut config);
        let path = file("config.json");
        std::fs::write(&path, config.to_string()).expect("writes");
        let server = bind(&path).await.expect("binds");
        let (address, metrics) = (
            server.address().expect("bound"),
            server.metrics_address().expect("bound"),
        );
        let (stop, stopped) = watch::channel(false);
        let control = server.control();
        let server = tokio::spawn(server.serve(stopped));
        Self {
            fake,
            directory,
            authority,
            address,
            metrics,
            stop,
            control,
            server,
        }
    }

    /// Changes the configuration and has it read.
    pub async fn reconfigure(&self, change: impl FnOnce(&mut Value)) {
        let path = self.directory.path().join("config.json");
        let text = std::fs::read_to_string(&path).expect("reads");
        let mut config = serde_json::from_str(&text).expect("JSON");
        change(&mut config);
        std::fs::write(&path, config.to_string()).expect("writes");
        self.control.reload().await;
    }

    pub fn client(&self, identity: Option<(String, String)>) -> Client {
        let root =
            reqwest::Certificate::from_pem(self.authority.pem().as_bytes()).expect("a certificate");
        let mut builder = Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .resolve("localhost", self.address)
            .timeout(Duration::from_secs(20));
        if let Some((certificate, key)) = identity {
            builder = builder.identity(
                Identity::from_pem((certificate + &key).as_bytes()).expect("an identity"),
            );
        }
        builder.build().expect("a client")
    }

    pub fn known_as(&self, name: SanType) -> Client {
        self.client(Some(self.authority.issue(&[name])))
    }

    pub fn berlin(&self) -> Client {
        self.known_as(dns("bao-1.berlin.example"))
    }

    pub async fn put(&self, client: &Client, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(client.put(self.url(path)).body(body.to_string()))
            .await
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.expect("JSON"))
    }

    pub async fn encrypt(&self, client: &Client, path: &str, plaintext: &str) -> String {
        let (status, body) = self
            .put(
                client,
                &format!("transit/encrypt/{path}"),
                &json!({"plaintext": plaintext}),
            )
            .await;
        assert_eq!(status, 200, "{body}");
        body["data"]["ciphertext"]
            .as_str()
            .expect("a ciphertext")
            .to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/v1/{path}", self.address.port())
    }

    /// A bare connection, of a client without a certificate.
    pub async fn tls(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, ServerName};

        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).expect("PEM");
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = tokio::net::TcpStream::connect(self.address).await;
        let name = ServerName::try_from("localhost").expect("a name");
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream.expect("connects"))
            .await
            .expect("a handshake")
    }

    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("audit.log")).expect("reads");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    pub async fn figures(&self) -> String {
        let url = format!("http://{}/metrics", self.metrics);
        Client::builder()
            .no_proxy()
            .build()
            .expect("a client")
            .get(url)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("text")
    }
}

pub async fn bind(path: &Path) -> Result<Server, Error> {
    let limits = Limits {
        attempt: Duration::from_millis(400),
        call: Duration::from_millis(1500),
        attempts: 2,
        pause: Duration::from_millis(10),
    };
    Server::bind(
        path,
        Environment::empty(),
        Options {
            limits,
            ..Options::default()
        },
    )
    .await
}
