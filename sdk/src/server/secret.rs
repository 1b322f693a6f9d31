//! The service of a secrets engine or an auth method: many mounts in one process.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use landfast_proto::{
    MULTIPLEX_ID,
    pb::{
        self,
        backend_server::{Backend as BackendService, BackendServer, SERVICE_NAME},
    },
};
use rustls::ClientConfig;
use tokio::sync::watch;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    server::{Grpc, UnaryService},
};
use tower::Service as _;

use super::{
    Product, Reply,
    broker::Broker,
    convert,
    incoming::{Asks, Incoming, Messages, RESOLVE_PATH},
    life::Life,
    service_name,
};
use crate::{
    host::{HostChannel, HostStorage, HostSystemView, LARGEST_MESSAGE},
    launch::{LaunchError, PluginKind},
    logical::{Asked, Backend, Engine, MountKind, Setup, Table, Turns, complete},
};

/// The member of a mount's configuration that says what it is mounted as.
const PLUGIN_TYPE: &str = "plugin_type";
/// Paths of the calls that carry a request.
const HANDLE: &str = "/pb.Backend/HandleRequest";
const CHECK: &str = "/pb.Backend/HandleExistenceCheck";
/// How long unfinished requests of a mount may hold its end back.
const LAST_WORK: Duration = Duration::from_millis(500);

/// All mounts of the process, by the id that the host gives each of them.
pub(super) struct Secret<B: Backend> {
    mounts: RwLock<HashMap<String, Arc<Mount<B>>>>,
    /// Made by the first mount, so that the start does not wait for it.
    table: OnceLock<Arc<Table<B>>>,
    /// All kinds that the binary serves.
    served: Vec<PluginKind>,
    life: Arc<Life>,
    broker: Arc<Broker>,
    tls: Arc<ClientConfig>,
}

struct Mount<B: Backend> {
    engine: Engine<B>,
    channel: HostChannel,
    /// Every unfinished call holds a receiver.
    work: watch::Sender<()>,
    turns: Arc<Turns>,
}

/// [`Secret`] as tonic and the router want it.
struct Service<B: Backend>(Arc<Secret<B>>);

/// The two calls that carry a request, of which [`Messages`] reads no more than is needed.
struct Handling<B: Backend>(Arc<Secret<B>>);
struct Checking<B: Backend>(Arc<Secret<B>>);

type Answering<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

struct Routed<B: Backend> {
    server: BackendServer<Service<B>>,
    secret: Arc<Secret<B>>,
}

impl<B: Backend> Secret<B> {
    pub(super) fn product(
        served: Vec<PluginKind>,
        life: Arc<Life>,
        broker: Arc<Broker>,
        tls: Arc<ClientConfig>,
    ) -> Arc<dyn Product> {
        let secret = Arc::new(Self {
            mounts: RwLock::default(),
            table: OnceLock::new(),
            served,
            life,
            broker,
            tls,
        });
        let server = BackendServer::new(Service(Arc::clone(&secret)))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Arc::new(Routed { server, secret })
    }

    fn mount(&self, metadata: &MetadataMap) -> Result<Arc<Mount<B>>, Status> {
        let id = multiplex_id(metadata)?;
        self.mounts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
            .ok_or_else(|| Status::failed_precondition("the mount is not set up"))
    }

    /// Connects to the host, then makes the mount. In this order: the host waits for the connection before it reads our answer.
    async fn set_up(&self, id: String, args: pb::SetupArgs) -> Result<(), String> {
        let path = self.broker.address(args.broker_id).await;
        let path = path.map_err(|error| error.to_string())?;
        let channel = HostChannel::connect(path, Arc::clone(&self.tls)).await;
        let channel = channel.map_err(|error| error.to_string())?;
        self.check_kind(&args.config)?;
        let setup = Setup {
            storage: Arc::new(HostStorage::new(channel.clone())),
            system: Arc::new(HostSystemView::new(channel.clone())),
            config: args.config,
            uuid: args.backend_uuid,
        };
        let engine = Engine::with_table(self.table()?, setup).await;
        let engine = engine.map_err(|error| convert::failure(error).err_msg)?;
        let mount = Arc::new(Mount {
            engine,
            channel,
            work: watch::Sender::new(()),
            turns: Turns::of_cores(),
        });
        let former = self
            .mounts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, mount);
        if let Some(former) = former {
            former.close().await;
        }
        Ok(())
    }

    /// The table of all mounts. What is wrong with it is told to whoever enables one.
    fn table(&self) -> Result<Arc<Table<B>>, String> {
        let make = || Arc::clone(self.table.get_or_init(|| Arc::new(B::table())));
        catch_unwind(AssertUnwindSafe(make)).map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!(
                "the plugin's table of paths is wrong: {}",
                text.unwrap_or("it panics")
            )
        })
    }

    /// Refuses a mount of another kind. A host that only registers the plugin does not say the kind.
    fn check_kind(&self, config: &HashMap<String, String>) -> Result<(), String> {
        let Some(wanted) = config.get(PLUGIN_TYPE).map(String::as_str) else {
            return Ok(());
        };
        let is = |kind: &PluginKind| kind.name() == wanted;
        match [PluginKind::Secret, PluginKind::Auth].into_iter().find(is) {
            Some(wanted) if wanted != super::kind_of::<B>() => {
                let served = self.served.clone();
                Err(LaunchError::WrongKind { served, wanted }.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Answers a request.
    async fn handle(
        &self,
        metadata: &MetadataMap,
        incoming: Incoming,
    ) -> Result<pb::HandleRequestReply, Status> {
        let mount = self.mount(metadata)?;
        if let Incoming::Read(request) = &incoming
            && request.operation == RESOLVE_PATH
        {
            // Comes before every request and never waits, so that a task of its own would only cost.
            let reply = mount.engine.handle(incoming.read()?).await;
            return Ok(convert::reply(reply));
        }
        let asked = incoming.asked(&mount.turns);
        let handled = self.complete(mount, asked, |mount| async move {
            Ok(mount.engine.handle(incoming.read()?).await)
        });
        match handled.await {
            Some(reply) => reply.map(convert::reply),
            None => Ok(pb::HandleRequestReply {
                response: None,
                err: Some(convert::internal_error()),
            }),
        }
    }

    /// Answers an existence check.
    async fn check(
        &self,
        metadata: &MetadataMap,
        incoming: Incoming,
    ) -> Result<pb::HandleExistenceCheckReply, Status> {
        let mount = self.mount(metadata)?;
        let asked = incoming.asked(&mount.turns);
        let checked = self.complete(mount, asked, |mount| async move {
            Ok(mount.engine.exists(incoming.read()?).await)
        });
        match checked.await {
            Some(reply) => reply.map(convert::exists),
            None => Ok(pb::HandleExistenceCheckReply {
                err: Some(convert::internal_error()),
                ..pb::HandleExistenceCheckReply::default()
            }),
        }
    }

    /// Runs a call of a mount to its end, as [`complete`] says. Until then it holds the end of the mount and of the process back, both
    /// for a bounded time.
    async fn complete<F>(
        &self,
        mount: Arc<Mount<B>>,
        asked: Arc<Asked>,
        call: impl FnOnce(Arc<Mount<B>>) -> F,
    ) -> Option<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let call = call(Arc::clone(&mount));
        let work = || (self.life.work(), mount.work.subscribe());
        complete(Some(asked), work, call).await
    }
}

impl<B: Backend> Mount<B> {
    /// Ends the mount: its backend is told, its last calls get a moment, and its connection is closed.
    async fn close(&self) {
        self.stop();
        let _ = tokio::time::timeout(LAST_WORK, self.work.closed()).await;
        self.channel.close();
    }

    fn stop(&self) {
        // The hook has logged a panic. Other mounts live on.
        let _ = catch_unwind(AssertUnwindSafe(|| self.engine.cleanup()));
    }
}

impl<B: Backend> Product for Routed<B> {
    fn call(&self, request: super::Request) -> Result<Reply, Box<super::Request>> {
        if service_name(&request) != SERVICE_NAME {
            return Err(Box::new(request));
        }
        let secret = || Arc::clone(&self.secret);
        Ok(match request.uri().path() {
            HANDLE => unary(Asks::Answer, Handling(secret()), request),
            CHECK => unary(Asks::Existence, Checking(secret()), request),
            _ => self.server.clone().call(request),
        })
    }

    fn close(&self) {
        let mounts = std::mem::take(
            &mut *self
                .secret
                .mounts
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for mount in mounts.into_values() {
            mount.stop();
            mount.channel.close();
        }
    }
}

impl<B: Backend> UnaryService<Incoming> for Handling<B> {
    type Response = pb::HandleRequestReply;
    type Future = Answering<Self::Response>;

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let secret = Arc::clone(&self.0);
        Box::pin(async move {
            let (metadata, _, incoming) = request.into_parts();
            secret.handle(&metadata, incoming).await.map(Response::new)
        })
    }
}

impl<B: Backend> UnaryService<Incoming> for Checking<B> {
    type Response = pb::HandleExistenceCheckReply;
    type Future = Answering<Self::Response>;

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let secret = Arc::clone(&self.0);
        Box::pin(async move {
            let (metadata, _, incoming) = request.into_parts();
            secret.check(&metadata, incoming).await.map(Response::new)
        })
    }
}

fn unary<S>(asks: Asks, service: S, request: super::Request) -> Reply
where
    S: UnaryService<Incoming, Future: Send, Response: prost::Message + 'static> + Send + 'static,
{
    Box::pin(async move {
        let mut grpc = Grpc::new(Messages::of(asks))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Ok(grpc.unary(service, request).await)
    })
}

#[tonic::async_trait]
impl<B: Backend> BackendService for Service<B> {
    async fn handle_request(
        &self,
        request: Request<pb::HandleRequestArgs>,
    ) -> Result<Response<pb::HandleRequestReply>, Status> {
        let (metadata, _, args) = request.into_parts();
        let incoming = Incoming::from(args.request);
        self.0.handle(&metadata, incoming).await.map(Response::new)
    }

    async fn special_paths(
        &self,
        request: Request<pb::Empty>,
    ) -> Result<Response<pb::SpecialPathsReply>, Status> {
        let mount = self.0.mount(request.metadata())?;
        Ok(Response::new(pb::SpecialPathsReply {
            paths: Some(convert::paths(mount.engine.special_paths())),
        }))
    }

    async fn handle_existence_check(
        &self,
        request: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<Response<pb::HandleExistenceCheckReply>, Status> {
        let (metadata, _, args) = request.into_parts();
        let incoming = Incoming::from(args.request);
        self.0.check(&metadata, incoming).await.map(Response::new)
    }

    /// The host may ask twice for one mount.
    async fn cleanup(&self, request: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        let id = multiplex_id(request.metadata())?;
        let mount = self
            .0
            .mounts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(mount) = mount {
            mount.close().await;
        }
        Ok(Response::new(pb::Empty {}))
    }

    async fn invalidate_key(
        &self,
        request: Request<pb::InvalidateKeyArgs>,
    ) -> Result<Response<pb::Empty>, Status> {
        let (metadata, _, args) = request.into_parts();
        let mount = self.0.mount(&metadata)?;
        let asked = Asked::call("invalidate", &mount.turns);
        self.0
            .complete(mount, asked, |mount| async move {
                mount.engine.invalidate(&args.key);
            })
            .await
            .ok_or_else(|| Status::internal("internal error"))?;
        Ok(Response::new(pb::Empty {}))
    }

    async fn setup(
        &self,
        request: Request<pb::SetupArgs>,
    ) -> Result<Response<pb::SetupReply>, Status> {
        let (metadata, _, args) = request.into_parts();
        let id = multiplex_id(&metadata)?.to_owned();
        let secret = Arc::clone(&self.0);
        let set_up = tokio::spawn(async move { secret.set_up(id, args).await });
        let err = match set_up.await {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) if error.is_empty() => "the mount cannot be set up".into(),
            Ok(Err(error)) => error,
            Err(_) => "internal error".into(),
        };
        Ok(Response::new(pb::SetupReply { err }))
    }

    async fn initialize(
        &self,
        request: Request<pb::InitializeArgs>,
    ) -> Result<Response<pb::InitializeReply>, Status> {
        let mount = self.0.mount(request.metadata())?;
        let asked = Asked::call("initialize", &mount.turns);
        let initialized = self.0.complete(mount, asked, |mount| async move {
            mount.engine.initialize().await
        });
        let err = match initialized.await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(convert::failure(error)),
            None => Some(convert::internal_error()),
        };
        Ok(Response::new(pb::InitializeReply { err }))
    }

    async fn r#type(&self, _: Request<pb::Empty>) -> Result<Response<pb::TypeReply>, Status> {
        // The numbers of the protocol.
        let r#type = match B::KIND {
            MountKind::Secret => 1,
            MountKind::Auth => 2,
        };
        Ok(Response::new(pb::TypeReply { r#type }))
    }
}

/// The id of the mount that a call is for; empty when the host runs one process a mount.
pub(crate) fn multiplex_id(metadata: &MetadataMap) -> Result<&str, Status> {
    let mut ids = metadata.get_all(MULTIPLEX_ID).iter();
    let id = ids.next().map_or(Ok(""), |id| id.to_str());
    match (id, ids.next()) {
        (Ok(id), None) => Ok(id),
        _ => Err(Status::invalid_argument("not one multiplex id")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_for_one_mount() {
        let mut metadata = MetadataMap::new();
        assert_eq!(multiplex_id(&metadata).unwrap(), "");
        metadata.insert(MULTIPLEX_ID, "AbC0123456".parse().unwrap());
        assert_eq!(multiplex_id(&metadata).unwrap(), "AbC0123456");
        metadata.append(MULTIPLEX_ID, "another".parse().unwrap());
        assert!(multiplex_id(&metadata).is_err());
    }
}
