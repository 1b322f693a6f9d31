//! A database plugin against a fake host, over real sockets and real TLS, in one process.

#[allow(dead_code, reason = "each test program uses a part")]
mod fake_host;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use landfast_proto::{
    MULTIPLEX_ID,
    database::{self as wire, database_client::DatabaseClient},
};
use landfast_sdk::database::{CredentialType, Database, DeleteUser, NewUser, UpdateUser};
use landfast_sdk::logical::{Error, Result};
use landfast_sdk::{Options, PluginKind, Server};
use prost_types::{Struct, Value, value::Kind};
use schemars::JsonSchema;
use serde::Deserialize;
use tonic::transport::Channel;
use tonic::{Code, Request};

use self::fake_host::{FakeHost, Handshake};

static CLOSED: AtomicUsize = AtomicUsize::new(0);

/// Users in memory.
struct Users {
    prefix: String,
    users: Mutex<BTreeMap<String, String>>,
}

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// What names begin with.
    prefix: String,
    /// A number, which clients send as a text.
    #[serde(default)]
    limit: u32,
}

impl Database for Users {
    const TYPE: &'static str = "users";
    const CREDENTIALS: &'static [CredentialType] =
        &[CredentialType::Password, CredentialType::RsaPrivateKey];
    type Config = Config;

    async fn connect(config: Config, verify: bool) -> Result<Self> {
        if verify && config.limit != 16 {
            return Err(Error::internal("the database does not answer", "no route"));
        }
        let users = Mutex::default();
        let prefix = config.prefix;
        Ok(Self { prefix, users })
    }

    async fn new_user(self: Arc<Self>, user: NewUser) -> Result<String> {
        assert_ne!(user.role_name, "panic", "told to panic");
        let name = format!("{}{}", self.prefix, user.role_name);
        let password = user.password()?.to_owned();
        self.users.lock().unwrap().insert(name.clone(), password);
        Ok(name)
    }

    async fn update_user(self: Arc<Self>, user: UpdateUser) -> Result<()> {
        let mut users = self.users.lock().unwrap();
        let password = users
            .get_mut(&user.name)
            .ok_or_else(|| Error::bad_request("no such user"))?;
        if let Some(new) = user.password {
            password.clone_from(new.password.expose());
        }
        Ok(())
    }

    async fn delete_user(self: Arc<Self>, user: DeleteUser) -> Result<()> {
        self.users.lock().unwrap().remove(&user.name);
        Ok(())
    }

    fn close(&self) {
        CLOSED.fetch_add(1, Ordering::Relaxed);
    }
}

/// One connection of the engine.
struct Connection {
    client: DatabaseClient<Channel>,
    id: &'static str,
}

impl Connection {
    fn message<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert(MULTIPLEX_ID, self.id.parse().unwrap());
        request
    }

    async fn open(
        &mut self,
        prefix: &str,
        limit: &str,
        verify: bool,
    ) -> Result<Struct, tonic::Status> {
        let text = |text: &str| Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        };
        let fields = [("prefix", prefix), ("limit", limit), ("more", "kept")];
        let fields = fields.map(|(name, value)| (name.to_owned(), text(value)));
        let message = self.message(wire::InitializeRequest {
            config_data: Some(Struct {
                fields: fields.into(),
            }),
            verify_connection: verify,
        });
        let reply = self.client.initialize(message).await?;
        Ok(reply.into_inner().config_data.unwrap())
    }

    async fn user(&mut self, role: &str) -> Result<String, tonic::Status> {
        let message = self.message(wire::NewUserRequest {
            username_config: Some(wire::UsernameConfig {
                role_name: role.to_owned(),
                ..wire::UsernameConfig::default()
            }),
            password: "secret".to_owned(),
            ..wire::NewUserRequest::default()
        });
        let reply = self.client.new_user(message).await?;
        Ok(reply.into_inner().username)
    }

    async fn rotate(&mut self, name: &str) -> Result<(), tonic::Status> {
        let message = self.message(wire::UpdateUserRequest {
            username: name.to_owned(),
            password: Some(wire::ChangePassword {
                new_password: "other".to_owned(),
                statements: None,
            }),
            ..wire::UpdateUserRequest::default()
        });
        self.client.update_user(message).await.map(drop)
    }
}

#[tokio::test]
async fn connections_are_apart_and_each_failure_is_its_own() {
    let host = FakeHost::new();
    let launch = host.launch(PluginKind::Database);
    let server = Server::database::<Users>(&launch, Options::default()).unwrap();
    let plugin = Handshake::parse(server.handshake_line());
    assert_eq!(plugin.version, "6");
    tokio::spawn(server.run());
    let channel = host.channel(&plugin, true).await.unwrap();
    let [mut one, mut two] = ["one", "two"].map(|id| Connection {
        client: DatabaseClient::new(channel.clone()),
        id,
    });
    let message = one.message(wire::Empty {});
    let kind = one.client.r#type(message).await.unwrap();
    assert_eq!(
        kind.get_ref().r#type,
        "users",
        "it is asked before there is a connection"
    );
    assert_eq!(
        one.user("web").await.unwrap_err().code(),
        Code::FailedPrecondition
    );

    let saved = one.open("one-", "0x10", true).await.unwrap();
    assert_eq!(
        saved.fields["more"].kind,
        Some(Kind::StringValue("kept".to_owned()))
    );
    let Some(Kind::ListValue(kinds)) = &saved.fields["supported_credential_types"].kind else {
        panic!("{saved:?}");
    };
    assert_eq!(kinds.values.len(), 2);
    let refused = two.open("two-", "8", true).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Internal, "the database does not answer")
    );
    let refused = two.open("two-", "many", true).await.unwrap_err();
    assert!(refused.message().contains("limit"), "{refused:?}");
    two.open("two-", "8", false).await.unwrap();

    assert_eq!(one.user("web").await.unwrap(), "one-web");
    assert_eq!(two.user("web").await.unwrap(), "two-web");
    one.rotate("one-web").await.unwrap();
    assert_eq!(
        two.rotate("one-web").await.unwrap_err().message(),
        "no such user"
    );
    assert_eq!(
        one.user("panic").await.unwrap_err().message(),
        "internal error"
    );
    assert_eq!(one.user("web").await.unwrap(), "one-web", "it lives on");

    // Settings that were written anew, and an end that is asked for twice.
    one.open("new-", "16", true).await.unwrap();
    assert_eq!(CLOSED.load(Ordering::Relaxed), 1);
    assert_eq!(one.user("web").await.unwrap(), "new-web");
    for _ in 0..2 {
        let message = two.message(wire::Empty {});
        two.client.close(message).await.unwrap();
    }
    assert_eq!(CLOSED.load(Ordering::Relaxed), 2);
    assert_eq!(
        two.user("web").await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}
