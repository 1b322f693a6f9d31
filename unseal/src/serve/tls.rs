//! TLS of the unseal server: its certificate, and whose client certificates it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use landfast_base::warn_if_open;
use landfast_listen::{Shown, bounded};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::clients::expiry;
use super::config::TlsFiles;
use super::metrics::Metrics;
use crate::error::Error;

/// A TLS configuration and the files that it came from.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) server: Arc<ServerConfig>,
    /// Who verifies client certificates, if any are taken.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    files: TlsFiles,
    mandatory: bool,
    seen: Vec<Option<SystemTime>>,
    expires: Option<i64>,
}

impl Tls {
    /// Reads the files. With `mandatory` certificates, a stranger does not get through the handshake.
    pub(super) fn load(files: &TlsFiles, mandatory: bool) -> Result<Self, Error> {
        // The times come first: a file that changes while it is read counts as changed.
        let seen = seen(files);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        warn_if_open(&files.key, Some("the server's private key"));
        let expires = chain.first().and_then(|leaf| expiry(leaf));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Config(error.to_string()))?;
        let verifier = match &files.client_ca {
            Some(path) => Some(verifier(
                path,
                files.client_crl.as_deref(),
                mandatory,
                provider,
            )?),
            None if files.client_crl.is_some() => {
                return Err(Error::Config(
                    "tls.client_crl has no effect without tls.client_ca".to_owned(),
                ));
            }
            None => None,
        };
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(|error| {
            refuse(
                &files.certificate,
                &format!("does not go with the key: {error}"),
            )
        })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would bring back a certificate that was revoked or removed since.
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            server: Arc::new(server),
            verifier,
            files: files.clone(),
            mandatory,
            seen,
            expires,
        })
    }

    /// The same files read anew, if any of them changed.
    pub(super) fn renewed(&self) -> Result<Option<Self>, Error> {
        if seen(&self.files) == self.seen {
            return Ok(None);
        }
        Self::load(&self.files, self.mandatory).map(Some)
    }

    /// How often the files are to be looked at for a change.
    pub(super) fn check_every(&self) -> Duration {
        Duration::from_secs(self.files.check_seconds)
    }

    pub(super) fn report(&self, metrics: &Metrics) {
        if let Some(expires) = self.expires {
            metrics.server_certificate(expires);
        }
    }
}

/// Unless certificates are mandatory, clients without one come through, for some have only a token; the identity decides later.
fn verifier(
    ca: &Path,
    crl: Option<&Path>,
    mandatory: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots
            .add(certificate)
            .map_err(|error| refuse(ca, &error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !mandatory {
        builder = builder.allow_unauthenticated();
    }
    if let Some(path) = crl {
        let lists = objects::<CertificateRevocationListDer<'_>>(path, "revocation list")?;
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let verifier = builder
        .build()
        .map_err(|error| refuse(ca, &error.to_string()))?;
    Ok(bounded(verifier, Shown::default()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    objects(path, "certificate")
}

/// What a file holds: any number in PEM, or one in DER, which begins with the tag of a sequence (X.690).
fn objects<T>(path: &Path, what: &str) -> Result<Vec<T>, Error>
where
    T: PemObject + From<Vec<u8>>,
{
    let bytes = std::fs::read(path).map_err(|error| refuse(path, &error.to_string()))?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![T::from(bytes)]);
    }
    let none = || refuse(path, &format!("holds no {what} in PEM or DER"));
    let found = T::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|_| none())?;
    if found.is_empty() {
        return Err(none());
    }
    Ok(found)
}

fn seen(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let optional = [files.client_ca.as_ref(), files.client_crl.as_ref()];
    let all = [Some(&files.certificate), Some(&files.key)]
        .into_iter()
        .chain(optional);
    let time = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    all.map(|path| path.and_then(time)).collect()
}

/// A private key in PEM. Which kind of key is in one in DER is for openssl to find out.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| refuse(path, &error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        let reason = "holds no private key in PEM";
        if bytes.first() == Some(&0x30) {
            let shown = path.display();
            return refuse(
                path,
                &format!(
                    "{reason}; if it is one in DER: `openssl pkey -inform DER -in {shown} -out FILE`, with `umask 077` before it"
                ),
            );
        }
        refuse(path, reason)
    })
}

fn refuse(path: &Path, reason: &str) -> Error {
    Error::File {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
