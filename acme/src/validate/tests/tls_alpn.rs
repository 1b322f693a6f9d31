use std::sync::{Arc, Mutex};

use landfast_base::sha256;
use rcgen::{
    CertificateParams, CustomExtension, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType, SignatureAlgorithm,
};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::name_server::Zone;
use super::*;

type Versions = [&'static SupportedProtocolVersion];
static TWELVE: [&SupportedProtocolVersion; 1] = [&TLS12];
static THIRTEEN: [&SupportedProtocolVersion; 1] = [&TLS13];

/// A TLS server as a client of the challenge has it, with what a test changes.
struct Server {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    protocols: Vec<Vec<u8>>,
    versions: &'static Versions,
}

fn names(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    params
}

fn marked(values: &[&str], authorization: &str) -> CertificateParams {
    let mut params = names(values);
    let digest = sha256(authorization.as_bytes());
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
    params
}

impl Server {
    fn new(params: &CertificateParams) -> Self {
        Self::with_key(params, &PKCS_ECDSA_P256_SHA256)
    }

    fn with_key(params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            chain: vec![certificate.der().clone()],
            key,
            protocols: vec![b"acme-tls/1".to_vec()],
            versions: rustls::ALL_VERSIONS,
        }
    }

    fn good() -> Self {
        Self::new(&marked(&["a.example"], &authorization()))
    }

    fn config(self, seen: Arc<Mutex<Vec<String>>>) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let key = CertifiedKey::new(self.chain, any_supported_type(&key).unwrap());
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(Arc::new(key), seen)));
        config.alpn_protocols = self.protocols;
        Arc::new(config)
    }

    /// The validation of an identifier by this server, and the names that were asked for.
    async fn check(self, value: &str) -> (Result<(), Problem>, Vec<String>) {
        let (resolver, _) = Zone::default()
            .host("a.example", &["127.0.0.1"])
            .serve()
            .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = settings(resolver);
        settings.tls_port = listener.local_addr().unwrap().port();
        let seen = Arc::default();
        let acceptor = TlsAcceptor::from(self.config(Arc::clone(&seen)));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        let result = check(settings, ChallengeType::TlsAlpn01, value).await;
        server.abort();
        let seen = seen.lock().unwrap().clone();
        (result, seen)
    }

    /// Why it is refused.
    async fn refused(self) -> Problem {
        self.check("a.example").await.0.unwrap_err()
    }
}

/// Shows the certificate to everybody, whoever has its key.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>, Arc<Mutex<Vec<String>>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or_default();
        self.1.lock().unwrap().push(name.to_owned());
        Some(Arc::clone(&self.0))
    }
}

/// A web server's configuration with a certificate that nobody trusts.
pub(super) fn web_tls() -> Arc<ServerConfig> {
    let mut server = Server::new(&names(&["other.example"]));
    server.protocols = Vec::new();
    server.config(Arc::default())
}

#[tokio::test]
async fn the_certificate_has_the_digest() {
    let params = || marked(&["A.example"], &authorization());
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        for versions in [&TWELVE, &THIRTEEN] {
            let mut server = Server::with_key(&params(), algorithm);
            server.versions = versions;
            let (result, names) = server.check("a.example").await;
            assert_eq!(result, Ok(()));
            assert_eq!(names, ["a.example"]);
        }
    }
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_name_below_arpa() {
    let server = || Server::new(&marked(&["127.0.0.1"], &authorization()));
    let (result, names) = server().check("127.0.0.1").await;
    assert_eq!(result, Ok(()));
    assert_eq!(names, ["1.0.0.127.in-addr.arpa"]);
    assert!(server().check("a.example").await.0.is_err());
}

#[tokio::test]
async fn another_certificate_is_refused() {
    let other = marked(&["a.example"], "another.authorization");
    let mut two_digests = marked(&["a.example"], &authorization());
    two_digests
        .custom_extensions
        .push(CustomExtension::new_acme_identifier(&[7; 32]));
    let mut lax = marked(&["a.example"], &authorization());
    lax.custom_extensions[0].set_criticality(false);
    let mut strange = marked(&["a.example"], &authorization());
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    strange.custom_extensions.push(unknown);
    for (params, word) in [
        (other, "another key authorization"),
        (names(&["a.example"]), "not one extension acmeIdentifier"),
        (two_digests, "certificate"),
        (lax, "not critical"),
        (strange, "critical extension 1.2.3.4"),
        (
            marked(&["b.example"], &authorization()),
            "not a.example alone",
        ),
        (
            marked(&["a.example", "b.example"], &authorization()),
            "not a.example alone",
        ),
        (
            marked(&["a.example", "127.0.0.1"], &authorization()),
            "not a.example alone",
        ),
        (marked(&[], &authorization()), "not a.example alone"),
        (
            marked(&["*.example"], &authorization()),
            "not a.example alone",
        ),
    ] {
        let problem = Server::new(&params).refused().await;
        assert!(
            [Kind::IncorrectResponse, Kind::Tls].contains(&problem.kind),
            "{problem}"
        );
        assert!(problem.detail.contains(word), "{word}: {problem}");
    }
}

#[tokio::test]
async fn a_certificate_that_another_key_signed_is_refused() {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let mut server = Server::good();
    let leaf = marked(&["a.example"], &authorization())
        .signed_by(&server.key, &issuer)
        .unwrap();
    server.chain = vec![leaf.der().clone()];
    assert!(server.refused().await.detail.contains("own key"));

    let mut chain = Server::good();
    chain.chain.push(root.der().clone());
    assert!(chain.refused().await.detail.contains("2 certificates"));
}

/// Somebody's certificate, shown by who does not have its key.
#[tokio::test]
async fn the_server_has_the_key_of_the_certificate() {
    for versions in [&TWELVE, &THIRTEEN] {
        let mut server = Server::good();
        server.key = KeyPair::generate().unwrap();
        server.versions = versions;
        let problem = server.refused().await;
        assert_eq!(problem.kind, Kind::Tls, "{problem}");
    }
}

#[tokio::test]
async fn the_protocol_must_be_spoken() {
    let mut web = Server::good();
    web.protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    assert_eq!(web.refused().await.kind, Kind::Tls);
    let mut silent = Server::good();
    silent.protocols = Vec::new();
    assert!(silent.refused().await.detail.contains("acme-tls/1"));
}

#[tokio::test]
async fn what_is_no_tls_is_said() {
    let (resolver, _) = Zone::default()
        .host("a.example", &["127.0.0.1"])
        .serve()
        .await;
    let answer = std::sync::Arc::new(|_: &str| Vec::new());
    let (address, _) = super::hosts::web("127.0.0.1:0".parse().unwrap(), None, answer).await;
    let mut settings = settings(resolver);
    settings.tls_port = address.port();
    settings.timeout = Duration::from_secs(1);
    let problem = check(settings, ChallengeType::TlsAlpn01, "a.example")
        .await
        .unwrap_err();
    assert!(
        [Kind::Tls, Kind::Connection].contains(&problem.kind),
        "{problem}"
    );
}
