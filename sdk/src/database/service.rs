//! The service of a database plugin: many connections in one process.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landfast_proto::database::{
    self as wire,
    database_server::{Database as DatabaseService, DatabaseServer, SERVICE_NAME},
};
use prost_types::Timestamp;
use serde_json::Value;
use tonic::{Request, Response, Status, metadata::MetadataMap};
use tower::Service as _;

use super::{
    Credential, Database, DeleteUser, NewExpiration, NewPassword, NewPublicKey, NewUser, Secret,
    UpdateUser,
};
use crate::config::{object, structure};
use crate::host::LARGEST_MESSAGE;
use crate::launch::Launch;
use crate::logical::{Asked, Decoder, Error, Turns, complete};
use crate::server::{
    Life, Options, Product, Reply, ServeError, Server, multiplex_id, service_name,
};

/// The field of a configuration in which the engine looks for the kinds of credentials.
const CREDENTIAL_TYPES: &str = "supported_credential_types";

/// All connections of the process, by the id that the host gives each of them.
pub(crate) struct Connections<D: Database> {
    connections: RwLock<HashMap<String, Arc<D>>>,
    config: OnceLock<Decoder<D::Config>>,
    life: Arc<Life>,
    turns: Arc<Turns>,
}

/// [`Connections`] as tonic wants it.
pub(crate) struct Service<D: Database>(pub(crate) Arc<Connections<D>>);

struct Routed<D: Database> {
    server: DatabaseServer<Service<D>>,
    connections: Arc<Connections<D>>,
}

impl<D: Database> Connections<D> {
    pub(crate) fn new(life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self {
            connections: RwLock::default(),
            config: OnceLock::new(),
            life,
            turns: Turns::of_cores(),
        })
    }

    fn product(life: Arc<Life>) -> Arc<dyn Product> {
        let connections = Self::new(life);
        let server = DatabaseServer::new(Service(Arc::clone(&connections)))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Arc::new(Routed {
            server,
            connections,
        })
    }

    pub(crate) fn find(&self, metadata: &MetadataMap) -> Result<Arc<D>, Status> {
        let found = self.map().get(multiplex_id(metadata)?).cloned();
        found.ok_or_else(|| Status::failed_precondition("the connection is not set up"))
    }

    fn map(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Arc<D>>> {
        self.connections
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a connection in the place of another, which is closed.
    fn put(&self, id: &str, connection: Option<D>) {
        let mut map = self
            .connections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let former = match connection {
            Some(connection) => map.insert(id.to_owned(), Arc::new(connection)),
            None => map.remove(id),
        };
        drop(map);
        if let Some(former) = former {
            close(&*former);
        }
    }

    async fn connect(
        self: Arc<Self>,
        id: String,
        request: wire::InitializeRequest,
    ) -> Result<wire::InitializeResponse, Error> {
        let mut config = object(request.config_data);
        let text = Value::Object(config.clone()).to_string();
        let settings = self.config.get_or_init(Decoder::default).decode(&text)?;
        let connection = D::connect(settings, request.verify_connection).await?;
        self.put(&id, Some(connection));
        let kinds = D::CREDENTIALS.iter().map(|kind| Value::from(kind.name()));
        config.insert(CREDENTIAL_TYPES.to_owned(), kinds.collect());
        Ok(wire::InitializeResponse {
            config_data: Some(structure(config)),
        })
    }

    /// Runs a call to its end, as [`complete`] says.
    async fn complete<T: Send + 'static>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let asked = Asked::call(what, &self.turns);
        let output = complete(Some(asked), || self.life.work(), call).await;
        let output = output.ok_or_else(|| Status::internal("internal error"))?;
        output
            .map(Response::new)
            .map_err(|error| failed(what, &error))
    }
}

impl Server {
    /// A server of a database plugin.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn database<D: Database>(launch: &Launch, options: Options) -> Result<Self, ServeError> {
        Self::bind(launch, options, |life, _, _| {
            Connections::<D>::product(life)
        })
    }
}

fn close<D: Database>(connection: &D) {
    // The hook has logged a panic. Other connections live on.
    let _ = catch_unwind(AssertUnwindSafe(|| connection.close()));
}

/// The engine shows the text of an error to its client.
fn failed(what: &str, error: &Error) -> Status {
    if let Error::Internal { public, log } = error {
        tracing::error!(call = what, error = %log, "{public}");
    }
    Status::internal(error.to_string())
}

impl<D: Database> Product for Routed<D> {
    fn call(&self, request: crate::server::Request) -> Result<Reply, Box<crate::server::Request>> {
        if service_name(&request) == SERVICE_NAME {
            Ok(self.server.clone().call(request))
        } else {
            Err(Box::new(request))
        }
    }

    fn close(&self) {
        let map = &self.connections.connections;
        let connections = std::mem::take(&mut *map.write().unwrap_or_else(PoisonError::into_inner));
        for connection in connections.into_values() {
            close(&*connection);
        }
    }
}

#[tonic::async_trait]
impl<D: Database> DatabaseService for Service<D> {
    async fn initialize(
        &self,
        request: Request<wire::InitializeRequest>,
    ) -> Result<Response<wire::InitializeResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let id = multiplex_id(&metadata)?.to_owned();
        let call = Arc::clone(&self.0).connect(id, request);
        self.0.complete("initialize", call).await
    }

    async fn new_user(
        &self,
        request: Request<wire::NewUserRequest>,
    ) -> Result<Response<wire::NewUserResponse>, Status> {
        let connection = self.0.find(request.metadata())?;
        let user = new_user(request.into_inner())?;
        let call = async move {
            let username = connection.new_user(user).await?;
            Ok(wire::NewUserResponse { username })
        };
        self.0.complete("new-user", call).await
    }

    async fn update_user(
        &self,
        request: Request<wire::UpdateUserRequest>,
    ) -> Result<Response<wire::UpdateUserResponse>, Status> {
        let connection = self.0.find(request.metadata())?;
        let user = update_user(request.into_inner())?;
        let call = async move {
            connection.update_user(user).await?;
            Ok(wire::UpdateUserResponse {})
        };
        self.0.complete("update-user", call).await
    }

    async fn delete_user(
        &self,
        request: Request<wire::DeleteUserRequest>,
    ) -> Result<Response<wire::DeleteUserResponse>, Status> {
        let connection = self.0.find(request.metadata())?;
        let request = request.into_inner();
        let user = DeleteUser {
            name: named(request.username)?,
            statements: statements(request.statements),
        };
        let call = async move {
            connection.delete_user(user).await?;
            Ok(wire::DeleteUserResponse {})
        };
        self.0.complete("delete-user", call).await
    }

    async fn r#type(
        &self,
        _: Request<wire::Empty>,
    ) -> Result<Response<wire::TypeResponse>, Status> {
        let r#type = D::TYPE.to_owned();
        Ok(Response::new(wire::TypeResponse { r#type }))
    }

    /// The host may ask twice.
    async fn close(&self, request: Request<wire::Empty>) -> Result<Response<wire::Empty>, Status> {
        self.0.put(multiplex_id(request.metadata())?, None);
        Ok(Response::new(wire::Empty {}))
    }
}

fn new_user(request: wire::NewUserRequest) -> Result<NewUser, Status> {
    let of = request
        .username_config
        .ok_or_else(|| Status::invalid_argument("the request does not say who asks for a user"))?;
    let credential = match request.credential_type {
        0 => Credential::Password(Secret::new(request.password)),
        1 => Credential::RsaPublicKey(text(request.public_key)?),
        2 => Credential::ClientCertificate(request.subject),
        other => {
            let text = format!("unknown credential type {other}");
            return Err(Status::invalid_argument(text));
        }
    };
    Ok(NewUser {
        display_name: of.display_name,
        role_name: of.role_name,
        credential,
        expires_at: request.expiration.and_then(time),
        statements: statements(request.statements),
        rollback_statements: statements(request.rollback_statements),
    })
}

fn update_user(request: wire::UpdateUserRequest) -> Result<UpdateUser, Status> {
    let password = request.password.filter(|new| !new.new_password.is_empty());
    let public_key = request
        .public_key
        .filter(|new| !new.new_public_key.is_empty());
    let expiration = request.expiration.and_then(|new| {
        Some(NewExpiration {
            expires_at: time(new.new_expiration?)?,
            statements: statements(new.statements),
        })
    });
    let public_key = match public_key {
        None => None,
        Some(new) => Some(NewPublicKey {
            public_key: text(new.new_public_key)?,
            statements: statements(new.statements),
        }),
    };
    let user = UpdateUser {
        name: named(request.username)?,
        password: password.map(|new| NewPassword {
            password: Secret::new(new.new_password),
            statements: statements(new.statements),
        }),
        public_key,
        expiration,
    };
    if user.password.is_none() && user.public_key.is_none() && user.expiration.is_none() {
        return Err(Status::invalid_argument("there is nothing to change"));
    }
    Ok(user)
}

fn named(name: String) -> Result<String, Status> {
    if name.is_empty() {
        return Err(Status::invalid_argument("the user has no name"));
    }
    Ok(name)
}

fn text(pem: Vec<u8>) -> Result<String, Status> {
    String::from_utf8(pem).map_err(|_| Status::invalid_argument("the public key is no text"))
}

fn statements(statements: Option<wire::Statements>) -> Vec<String> {
    statements.unwrap_or_default().commands
}

/// Go's zero time, which stands for "never", lies before 1970.
fn time(time: Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(time.seconds)
        .ok()
        .filter(|seconds| *seconds > 0)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn a_user_without_an_end_has_none() {
        let user = |expiration| {
            new_user(wire::NewUserRequest {
                username_config: Some(wire::UsernameConfig::default()),
                expiration,
                ..wire::NewUserRequest::default()
            })
        };
        let end = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(user(at(1_800_000_000)).unwrap().expires_at, Some(end));
        for never in [None, at(-62_135_596_800), at(0), at(i64::MIN)] {
            assert_eq!(user(never).unwrap().expires_at, None, "{never:?}");
        }
        assert!(user(at(i64::MAX)).is_ok());
    }

    #[test]
    fn what_changes_nothing_or_nobody_is_refused() {
        let change = |username: &str, expiration| {
            update_user(wire::UpdateUserRequest {
                username: username.to_owned(),
                password: Some(wire::ChangePassword::default()),
                expiration: Some(wire::ChangeExpiration {
                    new_expiration: expiration,
                    statements: None,
                }),
                ..wire::UpdateUserRequest::default()
            })
        };
        assert!(change("ann", at(1_800_000_000)).unwrap().password.is_none());
        assert!(change("", at(1_800_000_000)).is_err());
        assert!(change("ann", None).is_err());
        assert!(change("ann", at(-62_135_596_800)).is_err());
    }

    #[test]
    fn nothing_of_a_password_is_printed() {
        let user = NewUser::of("token", "readers", "hunter2");
        assert!(!format!("{user:?}").contains("hunter2"));
    }
}
