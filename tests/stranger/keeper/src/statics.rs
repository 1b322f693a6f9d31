//! Accounts that stay, with passwords that change.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use landfast_sdk::logical::{Cx, Error, Locks, Named, NoFields, Response, Result, Ttl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Keeper;

/// One at a time changes the password of an account.
#[derive(Default)]
pub(crate) struct Statics {
    turns: Locks,
}

/// `static/NAME` as it is written.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Wanted {
    /// After how long it gets another password.
    period: Ttl,
}

#[derive(Clone, Deserialize, Serialize)]
struct Stored {
    period: u64,
    password: String,
    /// The one that is being set outside: it is set again after a crash.
    next: Option<String>,
    rotated: u64,
}

fn key(name: &str) -> String {
    format!("static/{name}")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

impl Keeper {
    async fn stored(&self, name: &str) -> Result<Stored> {
        let stored = self.storage.read(&key(name)).await?;
        stored.ok_or_else(|| Error::NotFound("no such account".to_owned()))
    }

    pub(crate) async fn list_statics(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        Ok(Response::list(self.storage.list("static/").await?))
    }

    pub(crate) async fn read_static(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        let it = self.stored(&of.name).await?;
        Response::data(&json!({ "period": it.period, "rotated": it.rotated }))
    }

    pub(crate) async fn write_static(
        self: Arc<Self>,
        _: Cx,
        (of, wanted): (Named, Wanted),
    ) -> Result<Response> {
        let turn = self.statics.turns.lock(&of.name).await;
        let known = self.storage.read::<Stored>(&key(&of.name)).await?;
        let is_new = known.is_none();
        let stored = Stored {
            period: wanted.period.as_secs(),
            ..known.unwrap_or(Stored {
                period: 0,
                password: String::new(),
                next: None,
                rotated: 0,
            })
        };
        self.storage.write(&key(&of.name), &stored).await?;
        drop(turn);
        if is_new {
            self.rotate(&of.name).await?;
        }
        Ok(Response::none())
    }

    pub(crate) async fn delete_static(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        let _turn = self.statics.turns.lock(&of.name).await;
        self.outside().await?.remove(&of.name)?;
        self.storage.delete(&key(&of.name)).await?;
        Ok(Response::none())
    }

    pub(crate) async fn static_creds(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        let it = self.stored(&of.name).await?;
        let left = (it.rotated + it.period).saturating_sub(now());
        Response::data(&json!({ "name": of.name, "password": it.password, "ttl": left }))
    }

    pub(crate) async fn rotate_static(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        self.rotate(&of.name).await?;
        Ok(Response::none())
    }

    /// The new password is on record before it is set, so that a crash in between loses none of the two.
    async fn rotate(&self, name: &str) -> Result<()> {
        let _turn = self.statics.turns.lock(name).await;
        let outside = self.outside().await?;
        let mut stored = self.stored(name).await?;
        let next = match stored.next.take() {
            Some(next) => next,
            None => outside.password()?,
        };
        stored.next = Some(next.clone());
        self.storage.write(&key(name), &stored).await?;
        outside.set(name, &next)?;
        let stored = Stored {
            password: next,
            next: None,
            rotated: now(),
            ..stored
        };
        self.storage.write(&key(name), &stored).await
    }

    pub(crate) async fn rotate_what_is_due(&self) -> Result<()> {
        for name in self.storage.list("static/").await? {
            let it = self.stored(&name).await?;
            let is_due = it.period > 0 && it.rotated + it.period <= now();
            if is_due || it.next.is_some() {
                self.rotate(&name).await?;
            }
        }
        Ok(())
    }
}
