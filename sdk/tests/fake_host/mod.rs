//! The other side of the wire: what a Vault or OpenBao server does, as far as a plugin can tell.
//!
//! Unlike the plugin it verifies certificates in the usual way, with the plugin's as the only root, as Go does: a certificate that Go would
//! refuse is refused here too.

mod store;

use std::{collections::HashMap, ffi::OsString, path::PathBuf, sync::Arc};

use hyper::{body::Incoming, server::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfast_proto::{
    MULTIPLEX_ID,
    pb::{
        self, backend_client::BackendClient, storage_server::StorageServer,
        system_view_server::SystemViewServer,
    },
    plugin::{
        ConnInfo, Empty, grpc_broker_client::GrpcBrokerClient,
        grpc_controller_client::GrpcControllerClient,
    },
};
use landfast_sdk::{PluginKind, launch::Launch};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::{Service as _, service_fn};

pub(crate) use self::store::Store;

/// A server with its own certificate for one plugin process.
pub(crate) struct FakeHost {
    pub(crate) dir: tempfile::TempDir,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

/// What the handshake line says.
pub(crate) struct Handshake {
    pub(crate) version: String,
    pub(crate) path: PathBuf,
    pub(crate) certificate: CertificateDer<'static>,
}

/// The main connection, with the broker's stream open.
pub(crate) struct Connection {
    pub(crate) channel: Channel,
    /// Dropping it ends the broker.
    pub(crate) broker: mpsc::UnboundedSender<ConnInfo>,
}

/// One mount of the plugin.
pub(crate) struct Mount {
    pub(crate) id: String,
    pub(crate) client: BackendClient<Channel>,
}

impl FakeHost {
    /// A host whose certificate is like a real one: P-521, and marked as a CA.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            pem: certificate.pem(),
            certificate: certificate.into(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// The environment that the host gives to the process.
    pub(crate) fn environment(&self, kind: PluginKind) -> HashMap<&'static str, OsString> {
        let cookie = match kind {
            PluginKind::Secret | PluginKind::Auth => (
                "VAULT_BACKEND_PLUGIN",
                "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
            ),
            PluginKind::Database => (
                "VAULT_DATABASE_PLUGIN",
                "926a0820-aea2-be28-51d6-83cdf00e8edb",
            ),
            PluginKind::Kms => ("OPENBAO_KMS_PLUGIN", "39704a18-7da7-4bda-9a2d-f7c488d70328"),
        };
        let version = kind.protocol_version().to_string();
        HashMap::from([
            (cookie.0, cookie.1.into()),
            ("PLUGIN_PROTOCOL_VERSIONS", version.into()),
            ("PLUGIN_CLIENT_CERT", self.pem.clone().into()),
            ("TMPDIR", self.dir.path().into()),
        ])
    }

    /// The same, read by the plugin.
    pub(crate) fn launch(&self, kind: PluginKind) -> Launch {
        let environment = self.environment(kind);
        Launch::read(kind, &|name| environment.get(name).cloned()).unwrap()
    }

    /// Connects as the plugin's client; with this host's certificate, or without any.
    pub(crate) async fn channel(
        &self,
        plugin: &Handshake,
        with_certificate: bool,
    ) -> Result<Channel, tonic::transport::Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&plugin.certificate));
        let mut config = if with_certificate {
            builder
                .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
                .unwrap()
        } else {
            builder.with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let path = plugin.path.clone();
        Endpoint::from_static("http://localhost")
            .connect_with_connector(service_fn(move |_| {
                let (connector, path) = (connector.clone(), path.clone());
                async move {
                    let stream = UnixStream::connect(path).await?;
                    let name = "localhost".try_into().unwrap();
                    let mut stream = connector.connect(name, stream).await?;
                    // A refusal of our certificate only shows on the first read (RFC 8446 section 4.4.2.4).
                    refusal(&mut stream).await?;
                    Ok::<_, std::io::Error>(TokioIo::new(stream))
                }
            }))
            .await
    }

    /// The main connection.
    pub(crate) async fn connect(&self, plugin: &Handshake) -> Connection {
        let channel = self.channel(plugin, true).await.unwrap();
        let (broker, announcements) = mpsc::unbounded_channel();
        let mut client = GrpcBrokerClient::new(channel.clone());
        let stream = client.start_stream(UnboundedReceiverStream::new(announcements));
        let mut replies = stream.await.unwrap().into_inner();
        tokio::spawn(async move { while let Ok(Some(_)) = replies.message().await {} });
        Connection { channel, broker }
    }

    /// Serves a store on a socket of its own and returns its announcement.
    pub(crate) fn serve(&self, plugin: &Handshake, id: u32, store: &Store) -> ConnInfo {
        let path = self.dir.path().join(format!("broker-{id}"));
        let listener = UnixListener::bind(&path).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots(&plugin.certificate)),
            Arc::clone(&provider),
        )
        .build()
        .unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let store = store.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, store) = (acceptor.clone(), store.clone());
                tokio::spawn(async move {
                    store.connected();
                    // A plugin whose mount has failed is gone before the handshake's last message.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service =
                        hyper::service::service_fn(move |request| answer(store.clone(), request));
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        ConnInfo {
            service_id: id,
            network: "unix".into(),
            address: path.to_str().unwrap().into(),
            knock: None,
        }
    }

    /// Sets a mount up on a store of its own.
    pub(crate) async fn mount(
        &self,
        plugin: &Handshake,
        connection: &Connection,
        id: u32,
        store: &Store,
    ) -> Mount {
        connection
            .broker
            .send(self.serve(plugin, id, store))
            .unwrap();
        let mut mount = Mount::new(connection, &format!("mount{id:05}"));
        assert_eq!(mount.set_up(id, &[]).await, "");
        mount
    }
}

impl Handshake {
    pub(crate) fn parse(line: &str) -> Self {
        use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
        let fields: Vec<_> = line.strip_suffix('\n').unwrap().split('|').collect();
        let [core, version, network, address, protocol, certificate] = fields[..] else {
            panic!("{} fields in {line:?}", fields.len());
        };
        assert_eq!((core, network, protocol), ("1", "unix", "grpc"));
        Self {
            version: version.into(),
            path: address.into(),
            certificate: STANDARD_NO_PAD.decode(certificate).unwrap().into(),
        }
    }
}

impl Connection {
    pub(crate) async fn shut_down(&self) -> Result<(), Status> {
        let mut client = GrpcControllerClient::new(self.channel.clone());
        client.shutdown(Empty {}).await.map(|_| ())
    }
}

impl Mount {
    pub(crate) fn new(connection: &Connection, id: &str) -> Self {
        Self {
            id: id.into(),
            client: BackendClient::new(connection.channel.clone()),
        }
    }

    /// A message with the id of this mount.
    pub(crate) fn message<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert(MULTIPLEX_ID, self.id.parse().unwrap());
        request
    }

    /// Sets up, and returns the text of the error.
    pub(crate) async fn set_up(&mut self, broker_id: u32, config: &[(&str, &str)]) -> String {
        let args = self.message(pb::SetupArgs {
            broker_id,
            config: config
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            backend_uuid: format!("uuid-{broker_id}"),
        });
        self.client.setup(args).await.unwrap().into_inner().err
    }

    pub(crate) async fn clean_up(&mut self) {
        let message = self.message(pb::Empty {});
        self.client.cleanup(message).await.unwrap();
    }

    pub(crate) async fn request(
        &self,
        operation: &str,
        path: &str,
        data: &str,
    ) -> Result<pb::HandleRequestReply, Status> {
        let request = pb::Request {
            operation: operation.into(),
            path: path.into(),
            data: data.into(),
            mount_point: format!("{}/", self.id),
            ..pb::Request::default()
        };
        let args = self.message(pb::HandleRequestArgs {
            storage_id: 0,
            request: Some(request),
        });
        self.client
            .clone()
            .handle_request(args)
            .await
            .map(Response::into_inner)
    }

    /// The data of an answer that is no error.
    pub(crate) async fn data(&self, operation: &str, path: &str) -> serde_json::Value {
        let reply = self.request(operation, path, "null").await.unwrap();
        assert_eq!(reply.err, None);
        serde_json::from_slice(&reply.response.unwrap().data).unwrap()
    }
}

/// Waits for the alert that follows a certificate which the peer does not accept, or for its first frame.
async fn refusal(stream: &mut tokio_rustls::client::TlsStream<UnixStream>) -> std::io::Result<()> {
    use tokio::io::AsyncBufReadExt as _;
    stream.fill_buf().await.map(|_| ())
}

fn roots(certificate: &CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    roots
}

async fn answer(
    store: Store,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    if request.uri().path().starts_with("/pb.Storage/") {
        StorageServer::new(store).call(request).await
    } else {
        SystemViewServer::new(store).call(request).await
    }
}
