//! Connections of a database plugin, without a server.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use landfast_proto::MULTIPLEX_ID;
use landfast_proto::database::{self as wire, database_server::Database as _};
use prost_types::Timestamp;
use serde_json::Value;
use tonic::{Request, Response, Status};

use crate::config::{object, structure};
use crate::database::service::{Connections, Service};
use crate::database::{Credential, Database, DeleteUser, NewUser, UpdateUser};
use crate::server::Life;

/// The connection that [`DatabaseHarness`] has.
const ID: &str = "connection";

/// One connection of a database plugin.
///
/// Calls take the way that they take in a server: they are put into messages, read back, run by the function that runs them there, and an error is
/// the text that the `database` engine shows to its client.
///
/// ```
/// # use landfast_sdk::database::*;
/// # use landfast_sdk::logical::{NoFields, Result};
/// # struct Nothing;
/// # impl Database for Nothing {
/// #     const TYPE: &'static str = "nothing";
/// #     type Config = NoFields;
/// #     async fn connect(_: NoFields, _: bool) -> Result<Self> { Ok(Self) }
/// #     async fn new_user(self: std::sync::Arc<Self>, user: NewUser) -> Result<String> { Ok(user.role_name) }
/// #     async fn update_user(self: std::sync::Arc<Self>, _: UpdateUser) -> Result<()> { Ok(()) }
/// #     async fn delete_user(self: std::sync::Arc<Self>, _: DeleteUser) -> Result<()> { Ok(()) }
/// # }
/// use landfast_sdk::testing::DatabaseHarness;
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut database = DatabaseHarness::<Nothing>::connect(serde_json::json!({})).await?;
/// let name = database.new_user(NewUser::of("token", "readers", "one")).await?;
/// database.update_user(UpdateUser::password(&name, "two")).await?;
/// database.reconnect().await?;
/// database.delete_user(DeleteUser::of(&name)).await?;
/// # Ok::<_, String>(())
/// # }).unwrap();
/// ```
pub struct DatabaseHarness<D: Database> {
    service: Service<D>,
    /// What the engine has stored of the settings.
    stored: Value,
}

impl<D: Database> DatabaseHarness<D> {
    /// Connects with settings as clients write them to `config/NAME`, and has the plugin ask the database whether it works.
    ///
    /// # Errors
    /// The settings cannot be decoded, or what [`Database::connect`] returns.
    pub async fn connect(settings: Value) -> Result<Self, String> {
        let (service, stored) = initialized(settings, true).await?;
        Ok(Self { service, stored })
    }

    /// What a crash or a reload of the plugin brings: all that its process knew is gone, and it connects with what the engine has stored, without asking
    /// the database.
    ///
    /// # Errors
    /// What [`Database::connect`] returns. The former connection stays.
    pub async fn reconnect(&mut self) -> Result<(), String> {
        (self.service, self.stored) = initialized(self.stored.clone(), false).await?;
        Ok(())
    }

    /// The settings, as the engine has stored them.
    #[must_use]
    pub const fn stored(&self) -> &Value {
        &self.stored
    }

    /// The plugin's own value, to look into.
    ///
    /// # Panics
    /// After [`Self::close`].
    #[must_use]
    pub fn connection(&self) -> Arc<D> {
        let found = self.service.0.find(asked(()).metadata());
        found.expect("it is connected")
    }

    /// Has a user made, as for credentials of a role or for a static one.
    ///
    /// # Errors
    /// What [`Database::new_user`] returns.
    pub async fn new_user(&self, user: NewUser) -> Result<String, String> {
        let mut request = wire::NewUserRequest {
            username_config: Some(wire::UsernameConfig {
                display_name: user.display_name,
                role_name: user.role_name,
            }),
            expiration: user.expires_at.map(timestamp),
            statements: statements(user.statements),
            rollback_statements: statements(user.rollback_statements),
            ..wire::NewUserRequest::default()
        };
        match user.credential {
            Credential::Password(password) => request.password = password.expose().clone(),
            Credential::RsaPublicKey(pem) => {
                request.credential_type = 1;
                request.public_key = pem.into_bytes();
            }
            Credential::ClientCertificate(subject) => {
                request.credential_type = 2;
                request.subject = subject;
            }
        }
        let reply = shown(self.service.new_user(asked(request)).await)?;
        Ok(reply.username)
    }

    /// Has a user changed, as at a rotation or a renewal.
    ///
    /// # Errors
    /// What [`Database::update_user`] returns, and when there is nothing to change.
    pub async fn update_user(&self, user: UpdateUser) -> Result<(), String> {
        let password = user.password.map(|new| wire::ChangePassword {
            new_password: new.password.expose().clone(),
            statements: statements(new.statements),
        });
        let public_key = user.public_key.map(|new| wire::ChangePublicKey {
            new_public_key: new.public_key.into_bytes(),
            statements: statements(new.statements),
        });
        let expiration = user.expiration.map(|new| wire::ChangeExpiration {
            new_expiration: Some(timestamp(new.expires_at)),
            statements: statements(new.statements),
        });
        let request = wire::UpdateUserRequest {
            username: user.name,
            password,
            expiration,
            credential_type: i32::from(public_key.is_some()),
            public_key,
        };
        shown(self.service.update_user(asked(request)).await).map(drop)
    }

    /// Has a user deleted, as at a revocation.
    ///
    /// # Errors
    /// What [`Database::delete_user`] returns.
    pub async fn delete_user(&self, user: DeleteUser) -> Result<(), String> {
        let request = wire::DeleteUserRequest {
            username: user.name,
            statements: statements(user.statements),
        };
        shown(self.service.delete_user(asked(request)).await).map(drop)
    }

    /// Has the connection closed, as after `config/NAME` was deleted. Calls are refused from now on.
    pub async fn close(&self) {
        // A connection that is closed is no error.
        let _ = self.service.close(asked(wire::Empty {})).await;
    }
}

/// A new process with the connection, and what the engine stores of its settings.
async fn initialized<D: Database>(
    settings: Value,
    verify_connection: bool,
) -> Result<(Service<D>, Value), String> {
    let Value::Object(settings) = settings else {
        return Err("the settings of a connection are a JSON object".to_owned());
    };
    let service = Service(Connections::new(Life::new()));
    let request = wire::InitializeRequest {
        config_data: Some(structure(settings)),
        verify_connection,
    };
    let reply = shown(service.initialize(asked(request)).await)?;
    Ok((service, Value::Object(object(reply.config_data))))
}

/// A call as the host sends it.
fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let id = tonic::metadata::MetadataValue::from_static(ID);
    request.metadata_mut().insert(MULTIPLEX_ID, id);
    request
}

/// An answer as the engine shows it.
fn shown<T>(answer: Result<Response<T>, Status>) -> Result<T, String> {
    answer
        .map(Response::into_inner)
        .map_err(|status| status.message().to_owned())
}

fn statements(commands: Vec<String>) -> Option<wire::Statements> {
    Some(wire::Statements { commands })
}

/// Whole seconds, of which the wire has more than enough.
fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos().cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::database::{CredentialType, NewPublicKey};
    use crate::logical::{Error, Result as Reply};

    /// What was asked, in the order of the calls.
    struct Asked {
        verified: bool,
        calls: Mutex<Vec<String>>,
    }

    #[derive(Deserialize, JsonSchema)]
    struct Config {
        port: u16,
    }

    impl Asked {
        fn note(&self, call: String) {
            self.calls.lock().unwrap().push(call);
        }
    }

    impl Database for Asked {
        const TYPE: &'static str = "asked";
        const CREDENTIALS: &'static [CredentialType] =
            &[CredentialType::Password, CredentialType::RsaPrivateKey];
        type Config = Config;

        async fn connect(config: Config, verified: bool) -> Reply<Self> {
            if config.port == 0 {
                return Err(Error::bad_request("there is no port 0"));
            }
            Ok(Self {
                verified,
                calls: Mutex::default(),
            })
        }

        async fn new_user(self: Arc<Self>, user: NewUser) -> Reply<String> {
            let end = user.expires_at.map(|end| end.duration_since(UNIX_EPOCH));
            let with = match &user.credential {
                Credential::Password(_) => "a password",
                Credential::RsaPublicKey(key) | Credential::ClientCertificate(key) => key,
            };
            self.note(format!(
                "{} {with} {:?} {end:?}",
                user.role_name, user.statements
            ));
            Ok("ann".to_owned())
        }

        async fn update_user(self: Arc<Self>, user: UpdateUser) -> Reply<()> {
            let key = user.public_key.map(|new| new.public_key);
            self.note(format!("{} {key:?} {}", user.name, user.password.is_some()));
            Ok(())
        }

        async fn delete_user(self: Arc<Self>, user: DeleteUser) -> Reply<()> {
            self.note(user.name);
            Err(Error::internal(
                "the database is away",
                "connection refused",
            ))
        }
    }

    #[tokio::test]
    async fn calls_arrive_as_they_were_meant() {
        let refused = DatabaseHarness::<Asked>::connect(json!({ "port": 0 })).await;
        assert_eq!(refused.err().as_deref(), Some("there is no port 0"));
        let connected = DatabaseHarness::<Asked>::connect(json!({ "port": 1, "more": "x" })).await;
        let mut database = connected.unwrap();
        assert!(database.connection().verified);
        let kinds = json!(["password", "rsa_private_key"]);
        let stored = json!({ "port": 1, "more": "x", "supported_credential_types": kinds });
        assert_eq!(*database.stored(), stored);

        let end = UNIX_EPOCH + std::time::Duration::from_millis(1_500);
        let user = NewUser::of("token", "readers", "one").with_statements(["GRANT"]);
        assert_eq!(database.new_user(user.until(end)).await.unwrap(), "ann");
        let key = Credential::RsaPublicKey("a key".to_owned());
        let user = NewUser {
            credential: key,
            ..NewUser::of("token", "keys", "")
        };
        database.new_user(user).await.unwrap();
        database
            .update_user(UpdateUser::password("ann", "two"))
            .await
            .unwrap();
        let key = UpdateUser {
            name: "bob".to_owned(),
            public_key: Some(NewPublicKey {
                public_key: "another".to_owned(),
                statements: Vec::new(),
            }),
            ..UpdateUser::default()
        };
        database.update_user(key).await.unwrap();
        let nothing = database.update_user(UpdateUser::default()).await;
        assert!(nothing.is_err());
        let away = database.delete_user(DeleteUser::of("ann")).await;
        assert_eq!(away.unwrap_err(), "the database is away");
        let calls = [
            "readers a password [\"GRANT\"] Some(Ok(1s))",
            "keys a key [] None",
            "ann None true",
            "bob Some(\"another\") false",
            "ann",
        ];
        assert_eq!(*database.connection().calls.lock().unwrap(), calls);

        database.reconnect().await.unwrap();
        assert!(!database.connection().verified);
        assert!(database.connection().calls.lock().unwrap().is_empty());
        database.close().await;
        let gone = database.delete_user(DeleteUser::of("ann")).await;
        assert_eq!(gone.unwrap_err(), "the connection is not set up");
    }
}
