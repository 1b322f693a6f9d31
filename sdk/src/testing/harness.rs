//! The engine on memory storage, driven like a server would.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;

use super::{FaultyStorage, FixedSystem, HttpReply};
use crate::logical::{
    Asked, Backend, Engine, Error, ExistsReply, LeaseContext, Login, MAX_PATH, MountKind,
    Operation, RawReply, RawRequest, Setup, SpecialPaths, SystemView, Turns, complete, fits,
};

mod given;

/// A mounted plugin without a server.
///
/// Requests take the way that they take in a server: resolve-path, existence check for writes, handler; the reply is turned
/// into what a client would see. Who drops a request, or another call, leaves its handler to be run to its end by the function
/// that does so in a server; [`Harness::idle`] waits for that.
pub struct Harness<B> {
    engine: Arc<Engine<B>>,
    /// Every unfinished call holds a receiver.
    work: watch::Sender<()>,
    storage: FaultyStorage,
    system: Arc<FixedSystem>,
    turns: Arc<Turns>,
    config: HashMap<String, String>,
    template: RawRequest,
}

/// How to mount; see [`Harness::builder`].
pub struct HarnessBuilder {
    storage: FaultyStorage,
    system: Arc<FixedSystem>,
    config: HashMap<String, String>,
    mount: String,
}

impl HarnessBuilder {
    /// Mounts on this storage.
    #[must_use]
    pub fn storage(mut self, storage: FaultyStorage) -> Self {
        self.storage = storage;
        self
    }

    /// Mounts on this host.
    #[must_use]
    pub fn system(mut self, system: FixedSystem) -> Self {
        self.system = Arc::new(system);
        self
    }

    /// Sets a mount option.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Sets the mount's path and type, `test` by default.
    #[must_use]
    pub fn mount(mut self, name: impl Into<String>) -> Self {
        self.mount = name.into();
        self
    }

    /// Mounts, and initializes.
    ///
    /// # Errors
    /// What the backend's constructor or initialization returns.
    pub async fn start<B: Backend>(self) -> Result<Harness<B>, Error> {
        let setup = Setup {
            storage: Arc::new(self.storage.clone()),
            system: Arc::clone(&self.system) as Arc<dyn SystemView>,
            config: self.config.clone(),
            uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
        };
        let engine = Arc::new(Engine::new(setup).await?);
        engine.initialize().await?;
        let template = RawRequest {
            id: "00000000-0000-4000-8000-000000000001".to_owned(),
            mount_point: match B::KIND {
                MountKind::Secret => format!("{}/", self.mount),
                MountKind::Auth => format!("auth/{}/", self.mount),
            },
            mount_accessor: format!("{}_accessor", self.mount),
            mount_type: self.mount,
            display_name: "token".to_owned(),
            remote_addr: "127.0.0.1".to_owned(),
            ..RawRequest::default()
        };
        Ok(Harness {
            engine,
            work: watch::Sender::new(()),
            storage: self.storage,
            system: self.system,
            turns: Turns::of_cores(),
            config: self.config,
            template,
        })
    }
}

impl<B: Backend> Harness<B> {
    /// Mounts on empty storage and a default host.
    ///
    /// # Panics
    /// When the backend does not start.
    pub async fn new() -> Self {
        Self::builder().start().await.expect("the backend starts")
    }

    /// Mounts with settings.
    #[must_use]
    pub fn builder() -> HarnessBuilder {
        HarnessBuilder {
            storage: FaultyStorage::new(),
            system: Arc::new(FixedSystem::new()),
            config: HashMap::new(),
            mount: "test".to_owned(),
        }
    }

    /// GET.
    pub async fn read(&self, path: &str) -> HttpReply {
        self.request(Operation::Read, path, Value::Null).await
    }

    /// GET with a query.
    pub async fn read_with(&self, path: &str, query: Value) -> HttpReply {
        self.request(Operation::Read, path, query).await
    }

    /// HEAD.
    pub async fn header(&self, path: &str) -> HttpReply {
        self.request(Operation::Header, path, Value::Null).await
    }

    /// POST.
    pub async fn update(&self, path: &str, data: Value) -> HttpReply {
        self.request(Operation::Update, path, data).await
    }

    /// POST without a token, as a login is.
    pub async fn login(&self, path: &str, data: Value) -> HttpReply {
        let request = RawRequest {
            path: path.to_owned(),
            operation: name(Operation::Update),
            data: data.to_string(),
            unauthenticated: true,
            display_name: String::new(),
            entity_id: String::new(),
            ..self.template.clone()
        };
        HttpReply::of(Operation::Update, self.handle(request).await)
    }

    /// Renews the token of a login: `login` is [`Login::from`] what was answered, and a renewal answers with what the method says now.
    pub async fn renew_login(&self, path: &str, login: Login) -> HttpReply {
        let request = RawRequest {
            path: path.to_owned(),
            operation: name(Operation::Renew),
            data: "null".to_owned(),
            login: Some(Box::new(login)),
            ..self.template.clone()
        };
        HttpReply::of(Operation::Renew, self.handle(request).await)
    }

    /// The role under which a login would be, as the host asks for it before each.
    pub async fn role_of(&self, data: Value) -> Option<String> {
        let reply = self.ask(Operation::ResolveRole, "login", data).await;
        reply.data["role"].as_str().map(str::to_owned)
    }

    /// For whom a login would be, as a host asks that locks out who guesses.
    pub async fn alias_of(&self, path: &str, data: Value) -> Option<String> {
        let reply = self.ask(Operation::AliasLookahead, path, data).await;
        assert!(
            reply.data.is_null(),
            "a host breaks at data in the answer: {}",
            reply.data
        );
        Some(reply.auth?.alias?.name)
    }

    async fn ask(&self, operation: Operation, path: &str, data: Value) -> HttpReply {
        let request = RawRequest {
            path: path.to_owned(),
            operation: name(operation),
            data: data.to_string(),
            mount_point: self.template.mount_point.clone(),
            ..RawRequest::default()
        };
        HttpReply::of(operation, self.handle(request).await)
    }

    /// PATCH.
    pub async fn patch(&self, path: &str, data: Value) -> HttpReply {
        self.request(Operation::Patch, path, data).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> HttpReply {
        self.request(Operation::Delete, path, Value::Null).await
    }

    /// LIST.
    pub async fn list(&self, path: &str) -> HttpReply {
        self.request(Operation::List, path, Value::Null).await
    }

    /// LIST with a query, for example `after` and `limit`.
    pub async fn list_with(&self, path: &str, query: Value) -> HttpReply {
        self.request(Operation::List, path, query).await
    }

    /// Any operation of a client.
    pub async fn request(&self, operation: Operation, path: &str, data: Value) -> HttpReply {
        self.send(operation, path, data.to_string()).await
    }

    /// As [`Harness::request`], with the data as JSON text.
    pub async fn send(&self, mut operation: Operation, path: &str, data: String) -> HttpReply {
        let mut request = RawRequest {
            path: path.to_owned(),
            data,
            ..self.template.clone()
        };
        if matches!(operation, Operation::List | Operation::Scan) && !request.path.ends_with('/') {
            request.path.push('/');
        }
        let resolved = self
            .engine
            .handle(RawRequest {
                operation: name(Operation::ResolvePath),
                ..request.clone()
            })
            .await;
        if let Some(path) = resolved_path(&resolved) {
            request.path = path;
        }
        if operation != Operation::Update {
            // As OpenBao does it.
            request.mount_accessor.clear();
        }
        if operation == Operation::Update {
            let check = RawRequest {
                operation: name(operation),
                ..request.clone()
            };
            let ExistsReply {
                check_found,
                exists,
                error,
            } = self.engine.exists(check).await;
            match error {
                Some(error) if error.kind == 1 => {
                    let error = crate::logical::ReplyError { kind: 4, ..error };
                    return HttpReply::of(
                        operation,
                        RawReply {
                            response: None,
                            error: Some(error),
                        },
                    );
                }
                Some(error) if error.kind != 6 => {
                    let error = crate::logical::ReplyError {
                        kind: 2,
                        message: "internal error".to_owned(),
                        ..error
                    };
                    return HttpReply::of(
                        operation,
                        RawReply {
                            response: None,
                            error: Some(error),
                        },
                    );
                }
                _ if check_found && !exists => operation = Operation::Create,
                _ => {}
            }
        }
        request.operation = name(operation);
        let reply = HttpReply::of(operation, self.handle(request).await);
        // Only what is there to decode costs a look: tests measure what refusals cost.
        // An answer to HEAD has no body.
        if reply.status < 300
            && reply.status != 204
            && operation != Operation::Header
            && let Some(documented) = self.engine.documented(operation, path)
        {
            hold(&documented, &reply, &format!("{operation:?} {path}"));
        }
        reply
    }

    /// Runs the periodic work, as the host does about once a minute.
    pub async fn periodic(&self) -> HttpReply {
        let request = RawRequest {
            operation: name(Operation::Rollback),
            data: "null".to_owned(),
            ..self.template.clone()
        };
        HttpReply::of(Operation::Rollback, self.handle(request).await)
    }

    /// Renews a lease.
    pub async fn renew(&self, path: &str, lease: LeaseContext) -> HttpReply {
        self.lease(Operation::Renew, path, lease).await
    }

    /// Revokes a lease.
    pub async fn revoke(&self, path: &str, lease: LeaseContext) -> HttpReply {
        self.lease(Operation::Revoke, path, lease).await
    }

    /// Makes the requests that follow come from an identity entity.
    #[must_use]
    pub fn as_entity(mut self, id: impl Into<String>) -> Self {
        self.template.entity_id = id.into();
        self
    }

    /// Makes the requests that follow carry a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.template
            .headers
            .push((name.into(), vec![value.into()]));
        self
    }

    /// Waits until every call has come to its end, also those whose callers have gone.
    pub async fn idle(&self) {
        self.work.closed().await;
    }

    /// Makes a new backend on the same storage: what a restart does.
    ///
    /// # Panics
    /// When the backend does not start again.
    pub async fn reload(self) -> Self {
        self.engine.cleanup();
        self.start_again().await
    }

    async fn start_again(self) -> Self {
        let Self {
            storage,
            system,
            config,
            template,
            ..
        } = self;
        let builder = HarnessBuilder {
            storage,
            system,
            config,
            mount: template.mount_type.clone(),
        };
        let fresh: Self = builder
            .start()
            .await
            .expect("the backend starts on its own storage");
        Self { template, ..fresh }
    }

    /// The storage, for faults, counts and a look inside.
    #[must_use]
    pub fn storage(&self) -> &FaultyStorage {
        &self.storage
    }

    /// The backend.
    #[must_use]
    pub fn backend(&self) -> &Arc<B> {
        self.engine.backend()
    }

    /// The engine, for raw requests.
    #[must_use]
    pub fn engine(&self) -> &Engine<B> {
        &self.engine
    }

    /// The paths that the host would treat specially.
    #[must_use]
    pub fn special_paths(&self) -> &SpecialPaths {
        self.engine.special_paths()
    }

    /// The help of a path, or of the mount for an empty path: an object with `help` and `openapi`.
    ///
    /// # Panics
    /// When there is no help.
    pub async fn help(&self, path: &str) -> Value {
        let request = RawRequest {
            operation: name(Operation::Help),
            path: path.to_owned(),
            data: "null".to_owned(),
            ..self.template.clone()
        };
        let reply = self.engine.handle(request).await;
        let response = reply.response.expect("help always has a response");
        serde_json::from_slice(&response.data).expect("help is JSON")
    }

    async fn lease(&self, operation: Operation, path: &str, lease: LeaseContext) -> HttpReply {
        let request = RawRequest {
            operation: name(operation),
            path: path.to_owned(),
            data: "{}".to_owned(),
            lease: Some(lease),
            ..self.template.clone()
        };
        HttpReply::of(operation, self.handle(request).await)
    }

    /// # Panics
    /// When the handler did.
    async fn handle(&self, request: RawRequest) -> RawReply {
        let engine = Arc::clone(&self.engine);
        // A server has cut a path that is too long before this.
        let path = &request.path[..request.path.floor_char_boundary(MAX_PATH)];
        let head = RawRequest {
            id: request.id.clone(),
            operation: request.operation.clone(),
            path: path.to_owned(),
            mount_point: request.mount_point.clone(),
            unauthenticated: request.unauthenticated,
            ..RawRequest::default()
        };
        let asked = Asked::request(&head, 0, &self.turns);
        let call = async move { engine.handle(request).await };
        let reply = complete(Some(asked), || self.work.subscribe(), call).await;
        reply.expect("a handler does not panic")
    }
}

impl<B> std::fmt::Debug for Harness<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Harness")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

fn name(operation: Operation) -> String {
    operation.name().to_owned()
}

fn resolved_path(reply: &RawReply) -> Option<String> {
    let data: Value = serde_json::from_slice(&reply.response.as_ref()?.data).ok()?;
    data["path"].as_str().map(str::to_owned)
}

/// Holds what succeeded against the document of the table.
///
/// # Panics
/// When the answer is not as documented.
fn hold(documented: &Value, reply: &HttpReply, what: &str) {
    // Nothing to decode: warnings alone.
    if reply.data.is_null() && documented["204"].is_object() {
        return;
    }
    // Begun, or warnings why not: nothing to decode either.
    if documented["202"].is_object() && (reply.status == 202 || reply.data.is_null()) {
        return;
    }
    let ok = &documented["200"];
    assert!(
        ok.is_object(),
        "{what} answered {} without a documented answer",
        reply.status
    );
    let content = ok["content"].as_object();
    let schema = content.and_then(|content| content.values().next());
    match schema.map(|content| &content["schema"]) {
        None => assert!(
            reply.data.is_null(),
            "{what}: {} is not documented",
            reply.data
        ),
        Some(schema) if schema["format"] == "binary" => {
            assert!(reply.raw.is_some(), "{what}: a raw body is documented");
        }
        // Warnings without data: nothing to decode either.
        Some(_) if reply.data.is_null() => {}
        Some(schema) => {
            if let Err(why) = fits(schema, &reply.data) {
                panic!("{what}: not as documented: {why}");
            }
        }
    }
}
