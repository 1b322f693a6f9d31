//! A secrets engine that leases port numbers, so that no two jobs of a network get the same one:
//! ```text
//! bao write ports/range first=7000 last=7099 ttl=1h
//! bao patch ports/range ttl=2h labels=team=web # the rest stays
//! bao write -force ports/lease # a port, yours until its lease ends or is revoked
//! ```

use std::{process::ExitCode, sync::Arc};

use landfast_sdk::logical::{
    Backend, Cx, Error, Json, KeyValues, Lease, LeaseContext, NoFields, Response, Result, Setup,
    Storage, Table, Ttl, patch::MergePatch, path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

fn main() -> ExitCode {
    landfast_sdk::serve::<Ports>(landfast_sdk::Options::default())
}

struct Ports {
    storage: Arc<dyn Storage>,
    turn: Mutex<()>, // looking for a free port and taking it is one step
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Range {
    /// First port that may be leased.
    first: u16,
    /// Last port that may be leased.
    last: u16,
    /// How long a port is held without renewal; 0 for the default of the mount.
    #[serde(default, alias = "lease_ttl")]
    ttl: Ttl,
    /// What else is to be known of them.
    #[serde(default)]
    labels: KeyValues,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Held {
    /// The port, yours until its lease ends.
    port: u16,
}

impl Backend for Ports {
    async fn new(Setup { storage, .. }: Setup) -> Result<Self> {
        let turn = Mutex::default();
        Ok(Self { storage, turn })
    }

    fn table() -> Table<Self> {
        let range = path("range", "The ports to lease.").read(Self::read);
        let lease = path("lease", "Lease a free port.").update(Self::lease);
        let range = range.update(Self::write).patch(Self::patch);
        Table::new(vec![range, lease])
    }

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let ttl = self.range().await?.ttl.0;
        let held: Held = lease.internal_as()?;
        Ok(Response::none().lease(Lease::renewable(ttl, &held)?))
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let Held { port } = lease.internal_as()?;
        self.storage.delete(&format!("held/{port}")).await?;
        Ok(Response::none())
    }
}

impl Ports {
    async fn range(&self) -> Result<Range> {
        let range = self.storage.read("range").await?;
        range.ok_or_else(|| Error::bad_request("no range of ports yet: write to range"))
    }

    async fn read(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Json<Range>> {
        Json::of(&self.range().await?)
    }

    async fn patch(self: Arc<Self>, cx: Cx, patch: MergePatch<Range>) -> Result<()> {
        let range = patch.apply(&self.range().await?)?;
        self.write(cx, range).await
    }

    async fn write(self: Arc<Self>, _: Cx, range: Range) -> Result<()> {
        if range.first == 0 || range.last < range.first {
            return Err(Error::bad_request("first must be from 1 to last"));
        }
        self.storage.write("range", &range).await
    }

    async fn lease(self: Arc<Self>, cx: Cx, _: NoFields) -> Result<Json<Held>> {
        let range = self.range().await?;
        let _turn = self.turn.lock().await;
        let taken = self.storage.list("held/").await?;
        let free = (range.first..=range.last).find(|port| !taken.contains(&port.to_string()));
        let port = free.ok_or_else(|| Error::bad_request("no port is free"))?;
        let key = format!("held/{port}");
        self.storage.write(&key, &cx.display_name).await?;
        let lease = Lease::renewable(range.ttl.0, &Held { port })?;
        Ok(Json::of(&Held { port })?.lease(lease))
    }
}

#[cfg(test)]
mod tests;
