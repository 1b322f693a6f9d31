//! A secrets engine that leases users of a service with an HTTP API, and loses none of them, whenever it is killed:
//! ```text
//! bao secrets enable -path=users -options=url=http://127.0.0.1:9000 service-users
//! bao write users/role/readers group=readers ttl=1h max_ttl=8h
//! bao read users/creds/readers # a user of the service that lives as long as its lease
//! ```
//! The service makes a user at `PUT /users/NAME` of `{"password": "...", "group": "..."}`, deletes it at `DELETE /users/NAME`, and says at
//! `GET /health` whether it is well.

use std::{process::ExitCode, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use landfast_sdk::logical::{
    Backend, Cx, Error, Lease, LeaseContext, LeaseParams, Named, NoFields, Response, Result, Setup,
    Storage, Table, Wal, WalEntry, parse_duration, path,
};
use reqwest::{Client, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long a call to the service may take: much less than the age at which the write-ahead log undoes what was begun.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    landfast_sdk::serve::<Users>(landfast_sdk::Options::default())
}

/// Storage, the log, the client of the service, and where that is.
struct Users(Arc<dyn Storage>, Wal, Client, String);

#[derive(Deserialize, Serialize, JsonSchema)]
struct Role {
    /// Group of its users.
    group: String,
    /// The fields `ttl` and `max_ttl`.
    #[serde(flatten)]
    lease: LeaseParams,
}

impl Backend for Users {
    async fn new(setup: Setup) -> Result<Self> {
        let option = |name, default| setup.config.get(name).map_or(default, String::as_str);
        let url = option("url", "").trim_end_matches('/').to_owned();
        let age = parse_duration(option("undo_after", "10m"));
        let age = age.map_err(|error| Error::bad_request(format!("undo_after: {error}")))?;
        let wal = Wal::of(&setup).min_age(age);
        let http = Client::builder().timeout(PATIENCE).build().map_err(away)?;
        Ok(Self(setup.storage, wal, http, url))
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("role/{name}", "A kind of users.").update(Self::set_role),
            path("creds/{name}", "Make a user of a role.").read(Self::make),
            path("health", "Ask the service whether it is well.").read(Self::health),
        ])
    }

    fn wal(&self) -> Option<&Wal> {
        Some(&self.1)
    }

    async fn undo(self: Arc<Self>, entry: WalEntry) -> Result<()> {
        self.end(&entry.data_as()?).await
    }

    async fn renew(self: Arc<Self>, cx: Cx, lease: LeaseContext) -> Result<Response> {
        let granted = lease.times().renew(cx.system(), &lease).await?;
        let lease = lease.renewed().with_times(&granted);
        Ok(Response::none().lease(lease).warn_all(granted.warnings))
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        self.end(&lease.internal_as()?).await?;
        self.1.settle(&lease).await?;
        Ok(Response::none())
    }
}

impl Users {
    async fn make(self: Arc<Self>, cx: Cx, of: Named) -> Result<Response> {
        let role: Option<Role> = self.0.read(&format!("role/{}", of.name)).await?;
        let role = role.ok_or_else(|| Error::bad_request("there is no such role"))?;
        let granted = role.lease.times().grant(cx.system()).await?;
        let (name, password) = (format!("{}-{}", of.name, random()?), random()?);
        let wanted = json!({ "password": password, "group": role.group });
        let user = Named { name };
        let made = self.ask(Method::PUT, format!("users/{}", user.name), wanted);
        let (_, begun) = self.1.guard(&self, "user", &user, made).await?;
        let lease = Lease::of("user", &user)?.with_times(&granted);
        let lease = begun.leased(lease).await?;
        let shown = Response::data(&json!({ "username": user.name, "password": password }))?;
        Ok(shown.lease(lease).warn_all(granted.warnings))
    }

    /// Deletes a user. One that is not there is fine: the log and the server may both say so, and more than once.
    async fn end(&self, user: &Named) -> Result<()> {
        let path = format!("users/{}", user.name);
        self.ask(Method::DELETE, path, Value::Null).await.map(drop)
    }

    async fn health(self: Arc<Self>, cx: Cx, _: NoFields) -> Result<Response> {
        let asked = self.ask(Method::GET, "health".to_owned(), Value::Null);
        // Nobody waits for a service that hangs once the client has gone.
        let status = cx.unless_cancelled(asked).await?.as_u16();
        Response::data(&json!({ "status": status }))
    }

    async fn ask(&self, method: Method, path: String, body: Value) -> Result<StatusCode> {
        let asked = self.2.request(method.clone(), format!("{}/{path}", self.3));
        let status = asked.json(&body).send().await.map_err(away)?.status();
        match status {
            StatusCode::NOT_FOUND if method == Method::DELETE => Ok(status),
            _ if status.is_success() => Ok(status),
            _ => Err(Error::failed(format!("the service answers {status}"))),
        }
    }

    async fn set_role(self: Arc<Self>, _: Cx, (of, role): (Named, Role)) -> Result<Response> {
        let key = format!("role/{}", of.name);
        self.0.write(&key, &role).await?;
        Ok(Response::none())
    }
}

fn random() -> Result<String> {
    let mut octets = [0; 12];
    rand::fill(&mut octets).map_err(|_| Error::failed("there is no randomness"))?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn away(error: reqwest::Error) -> Error {
    let why = error.without_url();
    Error::failed(format!("the service cannot be asked: {why}"))
}

#[cfg(test)]
mod tests;
