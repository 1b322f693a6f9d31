//! HTTPS for the lab: clients that know no other scheme can talk to it.
//!
//! Key and certificate are made at the start and die with the process. Clients
//! trust a CA of the lab's own rather than the certificate itself: some refuse
//! a certificate that is its own issuer and no CA.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Names by which clients on this machine call it.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What goes wrong when the certificate is made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate.
    #[error("the lab's certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS configuration.
    #[error("the lab's TLS: {0}")]
    Config(#[from] rustls::Error),
}

/// A certificate for this machine's loopback names, ready to serve.
pub struct Tls {
    acceptor: TlsAcceptor,
    authority: String,
}

impl Tls {
    /// Makes a CA and a certificate of it.
    ///
    /// # Errors
    /// [`TlsError`], when there is no randomness.
    pub fn generate() -> Result<Self, TlsError> {
        Self::generate_for(&[])
    }

    /// The same, and the certificate is for these names as well.
    ///
    /// # Errors
    /// [`TlsError`], when there is no randomness, or for what is no host name.
    pub fn generate_for(hosts: &[String]) -> Result<Self, TlsError> {
        let algorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority
            .distinguished_name
            .push(DnType::CommonName, "landfast lab (this is not AWS)");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate_for(algorithm)?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let names = NAMES.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = names.chain(hosts.iter().cloned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(algorithm)?;
        let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key))?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: authority_certificate.pem(),
        })
    }

    /// The CA in PEM, for clients to trust.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Opens a connection: its handshake. Others wait for none of it.
    pub fn open(
        &self,
        stream: TcpStream,
    ) -> impl Future<Output = io::Result<TlsStream<TcpStream>>> + Send + use<> {
        let acceptor = self.acceptor.clone();
        async move { acceptor.accept(stream).await }
    }
}
