//! HTTP to AWS: with the proxies and the CAs of the environment, and directly to what is on this machine.

use std::path::Path;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use landfast_base::Secret;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::config::Network;
use crate::error::Error;

/// Clients for whatever calls AWS.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    /// By a proxy where one is named for the destination.
    pub(super) routed: SharedHttpClient,
    /// Never by a proxy: for the machine's own metadata.
    pub(super) direct: SharedHttpClient,
}

impl Transport {
    /// Sets clients up; nothing is called.
    ///
    /// # Errors
    /// The file of `AWS_CA_BUNDLE` holds no CA certificates.
    pub(super) fn new(network: &Network) -> Result<Self, Error> {
        let trust = match &network.ca_bundle {
            Some(path) => bundle(path)?,
            None => TrustStore::default(),
        };
        let tls = TlsContext::builder().with_trust_store(trust).build();
        let tls = tls.map_err(|error| Error::Config(error.to_string()))?;
        let direct = client(tls.clone(), ProxyConfig::disabled());
        let by = |proxy: Option<&Secret<String>>| {
            let proxy = ProxyConfig::all(proxy?.expose().as_str()).ok()?;
            Some(client(tls.clone(), proxy))
        };
        let routed = Routed {
            network: network.clone(),
            direct: direct.clone(),
            http: by(network.http_proxy()),
            https: by(network.https_proxy()),
        };
        Ok(Self {
            routed: SharedHttpClient::new(routed),
            direct,
        })
    }
}

fn client(tls: TlsContext, proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// Chooses the way for each request.
#[derive(Debug)]
struct Routed<C> {
    network: Network,
    direct: C,
    http: Option<C>,
    https: Option<C>,
}

impl HttpClient for Routed<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        if self.http.is_none() && self.https.is_none() {
            return connector(&self.direct);
        }
        SharedHttpConnector::new(Routed {
            network: self.network.clone(),
            direct: connector(&self.direct),
            http: self.http.as_ref().map(connector),
            https: self.https.as_ref().map(connector),
        })
    }
}

impl HttpConnector for Routed<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let destination = request.uri().parse::<http::Uri>().ok();
        let proxy = destination.and_then(|uri| {
            let name = self.network.proxy_for(&uri)?;
            Some((name, uri.scheme_str() == Some("https")))
        });
        let Some((name, tls)) = proxy else {
            return self.direct.call(request);
        };
        match if tls { &self.https } else { &self.http } {
            Some(connector) => connector.call(request),
            None => HttpConnectorFuture::ready(Err(ConnectorError::user(
                format!("{name} is no URL of a proxy: http:// and https:// are").into(),
            ))),
        }
    }
}

/// CA certificates of a file. The SDK panics over those that it cannot read.
fn bundle(path: &Path) -> Result<TrustStore, Error> {
    let refuse = |reason: &str| Error::File {
        path: path.to_owned(),
        reason: format!("{reason} (AWS_CA_BUNDLE)"),
    };
    let pem = std::fs::read(path).map_err(|error| refuse(&error.to_string()))?;
    // The SDK takes PEM alone.
    if matches!(pem[..], [0x30, 0x81..=0x84, ..]) {
        let path = path.display();
        return Err(refuse(&format!(
            "is DER, and PEM is read here: `openssl x509 -inform DER -in {path} -out FILE`"
        )));
    }
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|_| refuse("holds no CA certificates in PEM"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| refuse(&format!("holds a certificate that is no CA's: {error}")))?;
    }
    if roots.is_empty() {
        return Err(refuse("holds no CA certificates in PEM"));
    }
    Ok(TrustStore::empty().with_pem_certificate(pem))
}
