//! TLS of a listener: its certificate, and whose client certificates it takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use landfast_base::warn_if_open;
use landfast_listen::{Shown, bounded};
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::config::TlsFile;
use crate::error::Error;

/// A TLS configuration and the files that it came from.
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    files: TlsFile,
    seen: Vec<Option<SystemTime>>,
}

impl Tls {
    pub(crate) fn load(files: &TlsFile) -> Result<Self, Error> {
        // The times come first: a file that changes while it is read counts as changed.
        let seen = seen(files);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        warn_if_open(&files.key, Some("the listener's private key"));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Config(error.to_string()))?;
        let builder = match &files.client_ca {
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots
                        .add(certificate)
                        .map_err(|error| Error::file(path, error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| Error::file(path, error))?;
                builder.with_client_cert_verifier(bounded(verifier, Shown::default()))
            }
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key).map_err(|error| {
            Error::file(
                &files.certificate,
                format!("does not go with the key: {error}"),
            )
        })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would bring back a certificate that has ended since.
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self {
            server: Arc::new(server),
            files: files.clone(),
            seen,
        })
    }

    /// The same files read anew, if any of them changed.
    pub(crate) fn renewed(&self) -> Result<Option<Self>, Error> {
        if seen(&self.files) == self.seen {
            return Ok(None);
        }
        Self::load(&self.files).map(Some)
    }
}

fn seen(files: &TlsFile) -> Vec<Option<SystemTime>> {
    let all = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_ca.as_ref(),
    ];
    let time = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|data| data.modified())
            .ok()
    };
    all.into_iter().map(|path| path.and_then(time)).collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.unwrap_or_default();
    if found.is_empty() {
        return Err(Error::file(path, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| Error::file(path, error))?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| Error::file(path, "holds no private key in PEM"))
}
