//! An engine that somebody else might have written: it gives out accounts of a system outside, which here is a folder with a file for each
//! account. Written against the SDK as it was, it says what must go on to compile and to work.
//!
//! ```text
//! bao write keeper/config folder=/srv/accounts
//! bao write keeper/roles/readers prefix=r ttl=1h max_ttl=4h
//! bao read  keeper/creds/readers            # an account with a lease
//! bao write keeper/static/admin period=24h  # an account that stays, with a new password each day
//! bao read  keeper/static-creds/admin
//! bao write -force keeper/rotate/admin
//! ```

mod journal;
mod outside;
mod roles;
mod statics;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use landfast_sdk::logical::{
    Backend, Cx, Error, LeaseContext, NoFields, Response, Result, Setup, Storage, StorageError,
    SystemView, Table, path, rule,
};
use landfast_sdk::{Options, serve};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;
use crate::outside::Outside;
use crate::roles::Account;
use crate::statics::Statics;

fn main() -> ExitCode {
    serve::<Keeper>(Options::default().version(concat!("v", env!("CARGO_PKG_VERSION"))))
}

/// One mount.
struct Keeper {
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    /// What is kept of `config`, until another node writes it.
    config: Mutex<Option<Config>>,
    journal: Journal,
    statics: Statics,
}

const CONFIG: &str = "config";

/// `config`.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Config {
    /// The folder that has a file for each account.
    folder: String,
    /// How long the passwords are, in letters.
    #[serde(default = "Config::length")]
    length: u8,
}

impl Config {
    fn length() -> u8 {
        24
    }
}

/// A PATCH of `config`.
#[derive(Deserialize, JsonSchema)]
struct ConfigPatch {
    /// The folder.
    folder: Option<String>,
    /// How long the passwords are.
    length: Option<u8>,
}

impl Backend for Keeper {
    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self {
            journal: Journal::new(Arc::clone(&setup.storage)),
            statics: Statics::default(),
            config: Mutex::default(),
            storage: setup.storage,
            system: setup.system,
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path(CONFIG, "Where the accounts are.")
                .read(Self::read_config)
                .update(Self::write_config)
                .patch(Self::patch_config)
                .delete(Self::delete_config)
                .sudo(),
            path("roles", "The roles.").list(Self::list_roles),
            path("roles/{name}", "A role.")
                .describe("Accounts of a role have names that begin with its prefix.")
                .name_rule("name", rule::name_with_at)
                .exists(Self::has_role)
                .read(Self::read_role)
                .create(Self::write_role)
                .update(Self::write_role)
                .delete(Self::delete_role),
            path("creds/{name}", "A new account.").read(Self::creds),
            path("static", "Accounts that stay.").list(Self::list_statics),
            path("static/{name}", "An account that stays.")
                .read(Self::read_static)
                .update(Self::write_static)
                .delete(Self::delete_static),
            path("static-creds/{name}", "Its password.").read(Self::static_creds),
            path("rotate/{name}", "A new password.").update(Self::rotate_static),
            path("health", "Whether the folder is there.")
                .read(Self::health)
                .unauthenticated(),
        ])
        .help("Keeps the accounts of a system outside.")
        .seal_wrap(&["static/"])
    }

    async fn initialize(self: Arc<Self>) -> Result<()> {
        match self.recover().await {
            // Another node does it.
            Err(Error::Storage(StorageError::ReadOnly(_))) => Ok(()),
            done => done,
        }
    }

    async fn periodic(self: Arc<Self>) -> Result<()> {
        self.recover().await?;
        self.rotate_what_is_due().await
    }

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let account: Account = lease.internal_as()?;
        Ok(Response::none().lease(self.lease(&account).await?))
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let account: Account = lease.internal_as()?;
        self.outside().await?.remove(&account.name)?;
        Ok(Response::none())
    }

    fn invalidate(&self, key: &str) {
        if key == CONFIG {
            self.forget();
        }
    }

    fn cleanup(&self) {
        self.forget();
    }
}

impl Keeper {
    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Config>> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.kept() = None;
    }

    async fn config(&self) -> Result<Config> {
        if let Some(config) = self.kept().clone() {
            return Ok(config);
        }
        let config: Option<Config> = self.storage.read(CONFIG).await?;
        let config = config.ok_or_else(|| Error::bad_request("write config first"))?;
        *self.kept() = Some(config.clone());
        Ok(config)
    }

    async fn outside(&self) -> Result<Outside> {
        Ok(Outside::of(&self.config().await?))
    }

    async fn read_config(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        match self.storage.read::<Config>(CONFIG).await? {
            Some(config) => Response::data(&config),
            None => Ok(Response::none()),
        }
    }

    async fn write_config(self: Arc<Self>, _: Cx, config: Config) -> Result<Response> {
        if config.length < 16 {
            return Err(Error::bad_request("length is at least 16"));
        }
        self.storage.write(CONFIG, &config).await?;
        self.forget();
        let told = Response::none();
        Ok(match Outside::of(&config).is_there() {
            true => told,
            false => told.warn("the folder is not there yet"),
        })
    }

    async fn patch_config(self: Arc<Self>, cx: Cx, patch: ConfigPatch) -> Result<Response> {
        let old = self.config().await?;
        let config = Config {
            folder: patch.folder.unwrap_or(old.folder),
            length: patch.length.unwrap_or(old.length),
        };
        self.write_config(cx, config).await
    }

    async fn delete_config(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        self.storage.delete(CONFIG).await?;
        self.forget();
        Ok(Response::none())
    }

    async fn health(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        let there = self.outside().await?.is_there();
        Ok(Response::raw(
            if there { 200 } else { 503 },
            "text/plain",
            format!("{there}\n").into_bytes(),
        ))
    }

    /// Ends what a crash has left half done.
    async fn recover(&self) -> Result<()> {
        let begun = self.journal.begun().await?;
        if begun.is_empty() {
            return Ok(());
        }
        let outside = self.outside().await?;
        for (id, account) in begun {
            outside.remove(&account)?;
            self.journal.end(&id).await?;
        }
        Ok(())
    }
}
