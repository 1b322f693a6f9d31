//! TLS to hosts that are not trusted: what they show is looked at, or not even that.

use std::fmt;
use std::sync::Arc;

use landfast_pki::{Certificate, Hash, KeyType, SignatureAlgorithm};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::challenge::ALPN_PROTOCOL;

/// How much of a host's proof of identity counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looking {
    /// Nothing: a redirect of http-01 is no more trusted over HTTPS than over HTTP (RFC 8555 section 8.3).
    Away,
    /// The host has the key of the certificate that it shows, whoever signed that: the challenge says what stands in it.
    AtTheKey,
}

/// The settings for both.
pub(super) struct Handshakes {
    away: Arc<ClientConfig>,
    at_the_key: Arc<ClientConfig>,
}

impl Handshakes {
    pub(super) fn new() -> Result<Self, Error> {
        let mut at_the_key = config(Looking::AtTheKey)?;
        at_the_key.alpn_protocols = vec![ALPN_PROTOCOL.to_vec()];
        Ok(Self {
            away: Arc::new(config(Looking::Away)?),
            at_the_key: Arc::new(at_the_key),
        })
    }

    pub(super) fn connector(&self, looking: Looking) -> TlsConnector {
        let config = match looking {
            Looking::Away => &self.away,
            Looking::AtTheKey => &self.at_the_key,
        };
        TlsConnector::from(Arc::clone(config))
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshakes")
    }
}

/// TLS 1.2 or newer (RFC 8737 section 4), each time a whole handshake.
fn config(looking: Looking) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    schemes.retain(|scheme| algorithm(*scheme).is_some());
    let verifier = Verifier { looking, schemes };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[derive(Debug)]
struct Verifier {
    looking: Looking,
    schemes: Vec<SignatureScheme>,
}

impl Verifier {
    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        curve_is_fixed: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.looking {
            Looking::Away => Ok(HandshakeSignatureValid::assertion()),
            Looking::AtTheKey => {
                check(message, certificate, signed, curve_is_fixed).map_err(Error::from)?;
                Ok(HandshakeSignatureValid::assertion())
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// Checks that who speaks has the certificate's key. rustls has a function for it, which refuses certificates with a critical extension
/// that it does not know, such as acmeIdentifier.
fn check(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    curve_is_fixed: bool,
) -> Result<(), CertificateError> {
    let certificate =
        Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let key = certificate.public_key();
    let algorithm = algorithm(signed.scheme).ok_or(CertificateError::BadSignature)?;
    // TLS 1.3 binds the hash to the curve (RFC 8446 section 4.2.3).
    let other_hash =
        key.key_type() == KeyType::Ec && key.curve().map(|curve| curve.hash()) != algorithm.hash();
    if curve_is_fixed && other_hash {
        return Err(CertificateError::BadSignature);
    }
    key.verify(algorithm, message, signed.signature())
        .map_err(|_| CertificateError::BadSignature)
}

fn algorithm(scheme: SignatureScheme) -> Option<SignatureAlgorithm> {
    Some(match scheme {
        SignatureScheme::RSA_PKCS1_SHA256 => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        SignatureScheme::RSA_PKCS1_SHA384 => SignatureAlgorithm::RsaPkcs1(Hash::Sha384),
        SignatureScheme::RSA_PKCS1_SHA512 => SignatureAlgorithm::RsaPkcs1(Hash::Sha512),
        SignatureScheme::RSA_PSS_SHA256 => SignatureAlgorithm::RsaPss(Hash::Sha256),
        SignatureScheme::RSA_PSS_SHA384 => SignatureAlgorithm::RsaPss(Hash::Sha384),
        SignatureScheme::RSA_PSS_SHA512 => SignatureAlgorithm::RsaPss(Hash::Sha512),
        SignatureScheme::ECDSA_NISTP256_SHA256 => SignatureAlgorithm::Ecdsa(Hash::Sha256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => SignatureAlgorithm::Ecdsa(Hash::Sha384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => SignatureAlgorithm::Ecdsa(Hash::Sha512),
        SignatureScheme::ED25519 => SignatureAlgorithm::Ed25519,
        _ => return None,
    })
}
