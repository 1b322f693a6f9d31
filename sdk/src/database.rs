//! Plugins of the server's `database` engine: they make, change and delete the users of one kind of database.
//!
//! The engine has the roles, the leases, the rotation and the passwords; a plugin is a type that implements [`Database`], of which a value is
//! one connection (`config/NAME` of the engine). One process serves all connections of a plugin.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use landfast_sdk::database::{Database, DeleteUser, NewUser, UpdateUser, UserNames};
//! use landfast_sdk::logical::Result;
//! use landfast_sdk::testing::DatabaseHarness;
//! use schemars::JsonSchema;
//! use serde::Deserialize;
//! use serde_json::json;
//!
//! /// A database that is gone with the process.
//! struct Memory {
//!     names: UserNames,
//!     users: Mutex<BTreeMap<String, String>>,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config {
//!     /// Template of the names.
//!     #[serde(default)]
//!     username_template: String,
//! }
//!
//! impl Database for Memory {
//!     const TYPE: &'static str = "memory";
//!     type Config = Config;
//!
//!     async fn connect(config: Config, _verify: bool) -> Result<Self> {
//!         Ok(Self {
//!             names: UserNames::of(&config.username_template)?,
//!             users: Mutex::default(),
//!         })
//!     }
//!
//!     async fn new_user(self: Arc<Self>, user: NewUser) -> Result<String> {
//!         let name = self.names.make(&user)?;
//!         let password = user.password()?.to_owned();
//!         self.users.lock().unwrap().insert(name.clone(), password);
//!         Ok(name)
//!     }
//!
//!     async fn update_user(self: Arc<Self>, user: UpdateUser) -> Result<()> {
//!         if let Some(change) = user.password {
//!             self.users.lock().unwrap().insert(user.name, change.password.expose().clone());
//!         }
//!         Ok(())
//!     }
//!
//!     async fn delete_user(self: Arc<Self>, user: DeleteUser) -> Result<()> {
//!         self.users.lock().unwrap().remove(&user.name);
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let template = "{{ .RoleName | uppercase }}_{{ random 8 }}";
//! let memory = DatabaseHarness::<Memory>::connect(json!({ "username_template": template })).await?;
//! let name = memory.new_user(NewUser::of("token", "readers", "secret")).await?;
//! assert!(name.starts_with("READERS_") && name.len() == 16);
//! memory.delete_user(DeleteUser::of(name)).await?;
//! # Ok::<_, String>(())
//! # }).unwrap();
//! ```
//!
//! Its `main` function is `fn main() -> ExitCode { landfast_sdk::database::serve::<Memory>(Default::default()) }`; `examples/sqlite-database` in the
//! repository is a real one. It is registered and used as those of the server:
//!
//! ```text
//! bao plugin register -sha256=$(sha256sum sqlite-database | cut -d' ' -f1) -command=sqlite-database database sqlite-database
//! bao write database/config/app plugin_name=sqlite-database allowed_roles=readers file=/var/lib/app/users.db
//! ```
//!
//! The server stops waiting for a call when its client has gone; a call that has begun is run to its end nevertheless. After a crash of the process
//! it connects anew with the configuration that it has stored. A connection is also made when its settings are written, with `verify` as the
//! field `verify_connection` says.

mod names;
pub(crate) mod service;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

pub use landfast_base::Secret;

pub use self::names::{LONGEST_TEMPLATE, UserNames};
use crate::launch::PluginKind;
use crate::logical::{Error, RequestData, Result};
use crate::server::{Options, Server, run_process};

/// Serves a database plugin to the host that started this process, until the end of either.
///
/// Call it before any thread is started, and in a binary that serves more kinds when [`crate::launched_as`] says [`PluginKind::Database`]; it takes
/// over the log, the panic hook and the signals of the process. Started by hand it says so on stderr, and the exit code is 1.
pub fn serve<D: Database>(options: Options) -> ExitCode {
    let kind = PluginKind::Database;
    run_process(kind, &options.served(kind), |launch| {
        Server::database::<D>(launch, options)
    })
}

/// One connection of the engine to one database.
///
/// Calls run concurrently. The text of an error is shown to the client, and what is internal to the log.
pub trait Database: Sized + Send + Sync + 'static {
    /// What the server calls the kind of database in its log and its metrics.
    const TYPE: &'static str;

    /// Kinds of credentials that users can have. The engine refuses roles with others.
    const CREDENTIALS: &'static [CredentialType] = &[CredentialType::Password];

    /// The fields of `config/NAME`, decoded as those of a request. Others are stored and passed over.
    type Config: RequestData;

    /// Makes the connection. With `verify` the database must be asked whether it works; without it nothing need be there yet.
    fn connect(config: Self::Config, verify: bool) -> impl Future<Output = Result<Self>> + Send;

    /// Makes a user, and says by which name. What fails half way is to be undone: the engine does not learn of the name.
    fn new_user(self: Arc<Self>, user: NewUser) -> impl Future<Output = Result<String>> + Send;

    /// Changes a user: a new password at a rotation, a new end at a renewal. A database that ends no users by itself has nothing to do for the
    /// latter.
    fn update_user(self: Arc<Self>, user: UpdateUser) -> impl Future<Output = Result<()>> + Send;

    /// Deletes a user. One that is not there is no error: the engine asks again after a failure.
    fn delete_user(self: Arc<Self>, user: DeleteUser) -> impl Future<Output = Result<()>> + Send;

    /// The connection is not used any more.
    fn close(&self) {}
}

/// Kinds of credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialType {
    /// A password, which the engine makes by its password policy.
    #[default]
    Password,
    /// An RSA key, which the engine makes and keeps.
    RsaPrivateKey,
    /// A certificate, which the engine issues.
    ClientCertificate,
}

impl CredentialType {
    /// The name by which roles choose it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RsaPrivateKey => "rsa_private_key",
            Self::ClientCertificate => "client_certificate",
        }
    }
}

/// What a new user shows to the database.
#[derive(Debug)]
pub enum Credential {
    /// This password.
    Password(Secret<String>),
    /// The private key to this public one, in PEM.
    RsaPublicKey(String),
    /// A certificate with this subject.
    ClientCertificate(String),
}

/// A user to be made.
#[derive(Debug)]
pub struct NewUser {
    /// Display name of the token that asks.
    pub display_name: String,
    /// The role that is asked for.
    pub role_name: String,
    /// What it shows.
    pub credential: Credential,
    /// When it ends, unless it is renewed; `None` for never.
    pub expires_at: Option<SystemTime>,
    /// `creation_statements` of the role, as they were written.
    pub statements: Vec<String>,
    /// `rollback_statements` of the role.
    pub rollback_statements: Vec<String>,
}

impl NewUser {
    /// One with a password, for tests.
    #[must_use]
    pub fn of(
        display_name: impl Into<String>,
        role_name: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self {
            display_name: display_name.into(),
            role_name: role_name.into(),
            credential: Credential::Password(Secret::new(password.into())),
            expires_at: None,
            statements: Vec::new(),
            rollback_statements: Vec::new(),
        }
    }

    /// The same, to be made by these `creation_statements`.
    #[must_use]
    pub fn with_statements<T: Into<String>>(self, statements: impl IntoIterator<Item = T>) -> Self {
        Self {
            statements: statements.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// The same, to end at this time.
    #[must_use]
    pub fn until(self, end: SystemTime) -> Self {
        Self {
            expires_at: Some(end),
            ..self
        }
    }

    /// The password, of a user that has one.
    ///
    /// # Errors
    /// It has something else.
    pub fn password(&self) -> Result<&str> {
        match &self.credential {
            Credential::Password(password) => Ok(password.expose()),
            _ => Err(Error::bad_request(
                "users of this database have passwords: the role's credential_type must be password",
            )),
        }
    }
}

impl UserNames {
    /// A name for a user.
    ///
    /// # Errors
    /// The template makes none for it.
    pub fn make(&self, user: &NewUser) -> Result<String> {
        self.of_user(&user.display_name, &user.role_name)
    }
}

/// Changes of a user, of which there is one at least.
#[derive(Debug, Default)]
pub struct UpdateUser {
    /// Its name.
    pub name: String,
    /// Another password.
    pub password: Option<NewPassword>,
    /// Another key.
    pub public_key: Option<NewPublicKey>,
    /// Another end.
    pub expiration: Option<NewExpiration>,
}

impl UpdateUser {
    /// Another password for this user, without statements, for tests.
    #[must_use]
    pub fn password(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            password: Some(NewPassword {
                password: Secret::new(password.into()),
                statements: Vec::new(),
            }),
            ..Self::default()
        }
    }

    /// Another end for this user, without statements, for tests.
    #[must_use]
    pub fn until(name: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            name: name.into(),
            expiration: Some(NewExpiration {
                expires_at,
                statements: Vec::new(),
            }),
            ..Self::default()
        }
    }
}

/// Another password.
#[derive(Debug)]
pub struct NewPassword {
    /// The password.
    pub password: Secret<String>,
    /// `rotation_statements` of the role, or `root_rotation_statements` of the connection.
    pub statements: Vec<String>,
}

/// Another key.
#[derive(Debug)]
pub struct NewPublicKey {
    /// The public key, in PEM.
    pub public_key: String,
    /// `rotation_statements` of the role.
    pub statements: Vec<String>,
}

/// Another end.
#[derive(Debug)]
pub struct NewExpiration {
    /// When the user ends.
    pub expires_at: SystemTime,
    /// `renew_statements` of the role.
    pub statements: Vec<String>,
}

/// A user to be deleted.
#[derive(Debug, Default)]
pub struct DeleteUser {
    /// Its name.
    pub name: String,
    /// `revocation_statements` of the role.
    pub statements: Vec<String>,
}

impl DeleteUser {
    /// This user, without statements, for tests.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            statements: Vec::new(),
        }
    }
}
