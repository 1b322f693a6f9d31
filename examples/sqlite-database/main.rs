//! A plugin of the server's `database` engine, for applications that look up their users in an SQLite file:
//! ```text
//! bao write database/config/app plugin_name=sqlite-database allowed_roles=readers file=/var/lib/app/users.db
//! bao write database/roles/readers db_name=app default_ttl=1h
//! bao read database/creds/readers # a user of the table users(name, digest, expires), with the SHA-256 of its password
//! ```
//! Statements of a role take the place of those below. They have the parameters `:name`, `:digest`, `:expires` and `:password`.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use landfast_sdk::database::{Database, DeleteUser, NewUser, UpdateUser, UserNames};
use landfast_sdk::logical::{Error, Result};
use rusqlite::{
    Batch, Connection, OpenFlags, fallible_iterator::FallibleIterator as _, types::Value,
};
use schemars::JsonSchema;
use serde::Deserialize;

const CREATE: &str = "INSERT INTO users (name, digest, expires) VALUES (:name, :digest, :expires)";
const ROTATE: &str = "UPDATE users SET digest = :digest WHERE name = :name";
const RENEW: &str = "UPDATE users SET expires = :expires WHERE name = :name";
const DELETE: &str = "DELETE FROM users WHERE name = :name";

fn main() -> ExitCode {
    landfast_sdk::database::serve::<Sqlite>(landfast_sdk::Options::default())
}

struct Sqlite(PathBuf, UserNames);

#[derive(Deserialize, JsonSchema)]
struct Config {
    /// The file of the database, by its whole path. It is not made.
    file: PathBuf,
    /// Template of the names of users.
    #[serde(default)]
    username_template: String,
}

impl Database for Sqlite {
    const TYPE: &'static str = "sqlite";
    type Config = Config;

    async fn connect(config: Config, verify: bool) -> Result<Self> {
        let names = UserNames::of(&config.username_template)?;
        let sqlite = Self(PathBuf::from("/").join(config.file), names);
        if verify {
            let tables = |db: Connection| db.execute_batch("SELECT name FROM sqlite_schema");
            sqlite.open().and_then(tables).map_err(failed)?;
        }
        Ok(sqlite)
    }

    async fn new_user(self: Arc<Self>, user: NewUser) -> Result<String> {
        let name = self.1.make(&user)?;
        let with = Parameters::of(&name).password(user.password()?);
        let with = with.expires(user.expires_at);
        self.run(CREATE, user.statements, with).await?;
        Ok(name)
    }

    async fn update_user(self: Arc<Self>, user: UpdateUser) -> Result<()> {
        let mut changed = 0;
        if let Some(new) = user.password {
            let with = Parameters::of(&user.name).password(new.password.expose());
            changed += Arc::clone(&self).run(ROTATE, new.statements, with).await?;
        }
        if let Some(new) = user.expiration {
            let with = Parameters::of(&user.name).expires(Some(new.expires_at));
            changed += self.run(RENEW, new.statements, with).await?;
        }
        match changed {
            0 => Err(Error::bad_request("there is no such user")),
            _ => Ok(()),
        }
    }

    async fn delete_user(self: Arc<Self>, user: DeleteUser) -> Result<()> {
        let with = Parameters::of(&user.name);
        self.run(DELETE, user.statements, with).await.map(drop)
    }
}

impl Sqlite {
    fn open(&self) -> rusqlite::Result<Connection> {
        Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Runs the statements, or ours, all or none of them, and counts the rows that changed.
    async fn run(
        self: Arc<Self>,
        ours: &str,
        mut all: Vec<String>,
        with: Parameters,
    ) -> Result<usize> {
        if all.is_empty() {
            all.push(ours.to_owned());
        }
        let work = tokio::task::spawn_blocking(move || {
            let (mut db, mut changed) = (self.open()?, 0);
            let transaction = db.transaction()?;
            for text in all {
                let mut batch = Batch::new(&transaction, &text);
                while let Some(mut statement) = batch.next()? {
                    for (name, value) in &with.0 {
                        if let Some(at) = statement.parameter_index(name)? {
                            statement.raw_bind_parameter(at, value)?;
                        }
                    }
                    changed += statement.raw_execute()?;
                }
            }
            transaction.commit().map(|()| changed)
        });
        let done = work.await.map_err(|end| Error::internal("SQLite", end))?;
        done.map_err(failed)
    }
}

/// What statements may name.
struct Parameters(Vec<(&'static str, Value)>);

impl Parameters {
    fn of(name: &str) -> Self {
        Self(vec![(":name", name.to_owned().into())])
    }

    fn password(mut self, password: &str) -> Self {
        let octets = digest(&SHA256, password.as_bytes());
        let hex = octets.as_ref().iter().map(|octet| format!("{octet:02x}"));
        self.0.push((":digest", hex.collect::<String>().into()));
        self.0.push((":password", password.to_owned().into()));
        self
    }

    fn expires(mut self, at: Option<SystemTime>) -> Self {
        let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        let seconds = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        self.0.push((":expires", seconds.into()));
        self
    }
}

fn failed(error: rusqlite::Error) -> Error {
    Error::failed(format!("SQLite: {error}"))
}

#[cfg(test)]
mod tests;
