//! A plugin of the server's `database` engine, which has the roles, leases, rotation and passwords.
//!
//! It is complete: its users are gone with its process. Put the client of your database in the place of the map in [`Engine`].

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfast_sdk::database::{Database, DeleteUser, NewUser, Secret, UpdateUser, UserNames};
use landfast_sdk::logical::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

fn main() -> ExitCode {
    landfast_sdk::database::serve::<Engine>(landfast_sdk::Options::default())
}

/// One connection, `config/NAME` of the server's engine.
struct Engine {
    names: UserNames,
    users: Mutex<Users>,
}

type Users = BTreeMap<String, Secret<String>>;

/// What a client writes to `config/NAME` beside the fields of the server's engine.
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// Where the database is.
    address: String,
    /// Template of the names of users.
    #[serde(default)]
    username_template: String,
}

impl Database for Engine {
    const TYPE: &'static str = "memory";
    type Config = Config;

    async fn connect(config: Config, verify: bool) -> Result<Self> {
        // With `verify`, ask the database whether it is there; else it may be away.
        if verify && config.address.is_empty() {
            return Err(Error::bad_request("address is empty"));
        }
        Ok(Self {
            names: UserNames::of(&config.username_template)?,
            users: Mutex::default(),
        })
    }

    async fn new_user(self: Arc<Self>, user: NewUser) -> Result<String> {
        let name = self.names.make(&user)?;
        let password = Secret::new(user.password()?.to_owned());
        self.users().insert(name.clone(), password);
        Ok(name)
    }

    async fn update_user(self: Arc<Self>, user: UpdateUser) -> Result<()> {
        let mut users = self.users();
        let Some(known) = users.get_mut(&user.name) else {
            return Err(Error::bad_request("there is no such user"));
        };
        if let Some(change) = user.password {
            *known = change.password;
        }
        Ok(())
    }

    // The server asks again when an answer was lost: a user that is not there is no error.
    async fn delete_user(self: Arc<Self>, user: DeleteUser) -> Result<()> {
        self.users().remove(&user.name);
        Ok(())
    }
}

impl Engine {
    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use landfast_sdk::testing::DatabaseHarness;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_user_is_made_and_changed_and_deleted() {
        let config =
            json!({ "address": "here", "username_template": "{{ .RoleName }}-{{ random 8 }}" });
        let connected = DatabaseHarness::<Engine>::connect(config).await;
        let database = connected.expect("a connection");
        let user = NewUser::of("token", "readers", "one");
        let name = database.new_user(user).await.expect("a user");
        assert!(name.starts_with("readers-"), "{name}");

        let change = UpdateUser::password(&name, "two");
        let changed = database.update_user(change).await;
        changed.expect("the user is there");
        assert!(database.connection().users()[&name].matches(b"two"));

        for _ in 0..2 {
            let deleted = database.delete_user(DeleteUser::of(&name)).await;
            deleted.expect("twice is as once");
        }
        assert!(database.connection().users().is_empty());
    }

    #[tokio::test]
    async fn a_connection_wants_an_address() {
        let refused = DatabaseHarness::<Engine>::connect(json!({ "address": "" })).await;
        assert_eq!(refused.err().as_deref(), Some("address is empty"));
    }
}
