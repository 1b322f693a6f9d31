//! A secrets engine that leases port numbers, so that no two jobs of a network get the same one.
//!
//! A whole plugin in one file. Build it with `cargo build --release --example ports`, put the binary into the server's
//! plugin directory, register and enable it, then:
//!
//! ```text
//! bao write ports/ranges/games first=7000 last=7099 ttl=1h
//! bao write -force ports/lease/games     # a port, and a lease to renew for as long as the job runs
//! bao lease revoke ports/lease/games/... # the port is free again; so it is when the lease expires
//! ```

use std::process::ExitCode;
use std::sync::Arc;

use landfast_sdk::logical::{
    Backend, Cx, Error, Lease, LeaseContext, Page, Response, Result, Setup, Storage, Table, Ttl,
    path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

fn main() -> ExitCode {
    landfast_sdk::serve::<Ports>(landfast_sdk::Options::default())
}

struct Ports {
    storage: Arc<dyn Storage>,
    /// One lease at a time: between looking for a free port and taking it nobody else may look.
    turn: Mutex<()>,
}

/// A range, as it is sent and as it is stored.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Range {
    /// Name of the range.
    #[serde(skip_serializing, default)]
    name: String,
    /// First port that may be leased.
    first: u16,
    /// Last port that may be leased.
    last: u16,
    /// How long a port is held without renewal; 0 for the default of the mount.
    #[serde(default)]
    ttl: Ttl,
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// Name of the range.
    name: String,
}

impl Backend for Ports {
    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self {
            storage: setup.storage,
            turn: Mutex::default(),
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("ranges", "List the ranges of ports.")
                .list(Self::list)
                .display("ranges"),
            path("ranges/{name}", "Manage a range of ports.")
                .read(Self::read)
                .update(Self::write)
                .delete(Self::delete)
                .display("range"),
            path("lease/{name}", "Lease a free port of a range.")
                .describe("The port is yours until the lease ends. Renew the lease to keep it.")
                .update(Self::lease)
                .display("lease"),
        ])
        .help("Leases port numbers: no two holders of a lease have the same port.")
    }

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let range: Option<Range> = self
            .storage
            .read(&format!("range/{}", held(&lease)?.0))
            .await?;
        let range = range.ok_or_else(|| Error::bad_request("the range of this port is gone"))?;
        Ok(Response::none().lease(Lease {
            ttl: range.ttl.0,
            renewable: true,
            internal: lease.internal,
            ..Lease::default()
        }))
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let (range, port) = held(&lease)?;
        self.storage.delete(&format!("held/{range}/{port}")).await?;
        Ok(Response::none())
    }
}

impl Ports {
    async fn list(self: Arc<Self>, _: Cx, page: Page) -> Result<Response> {
        Ok(Response::list(
            self.storage
                .list_page("range/", &page.after, page.limit())
                .await?,
        ))
    }

    async fn read(self: Arc<Self>, _: Cx, request: Named) -> Result<Response> {
        match self
            .storage
            .read::<Range>(&format!("range/{}", request.name))
            .await?
        {
            Some(range) => Response::data(&range),
            None => Ok(Response::none()),
        }
    }

    async fn write(self: Arc<Self>, _: Cx, range: Range) -> Result<Response> {
        if range.first == 0 || range.last < range.first {
            return Err(Error::bad_request(
                "first must be at least 1 and at most last",
            ));
        }
        self.storage
            .write(&format!("range/{}", range.name), &range)
            .await?;
        Ok(Response::none())
    }

    async fn delete(self: Arc<Self>, _: Cx, request: Named) -> Result<Response> {
        self.storage
            .delete(&format!("range/{}", request.name))
            .await?;
        Ok(Response::none())
    }

    async fn lease(self: Arc<Self>, cx: Cx, Named { name }: Named) -> Result<Response> {
        let range: Option<Range> = self.storage.read(&format!("range/{name}")).await?;
        let range = range.ok_or_else(|| Error::bad_request(format!("unknown range: {name}")))?;
        let _turn = self.turn.lock().await;
        let taken = self.storage.list(&format!("held/{name}/")).await?;
        let free = (range.first..=range.last).find(|port| !taken.contains(&port.to_string()));
        let port = free.ok_or_else(|| Error::Status {
            code: 503,
            message: "no port is free".to_owned(),
        })?;
        self.storage
            .write(
                &format!("held/{name}/{port}"),
                &json!({ "holder": cx.display_name }),
            )
            .await?;
        let internal = json!({ "range": name, "port": port })
            .as_object()
            .cloned()
            .unwrap_or_default();
        let lease = Lease {
            ttl: range.ttl.0,
            renewable: true,
            internal,
            ..Lease::default()
        };
        Ok(Response::data(&json!({ "port": port }))?.lease(lease))
    }
}

/// The port that a lease holds.
fn held(lease: &LeaseContext) -> Result<(&str, u64)> {
    let found = (lease.internal.get("range"), lease.internal.get("port"));
    let (Some(range), Some(port)) = (
        found.0.and_then(|r| r.as_str()),
        found.1.and_then(|p| p.as_u64()),
    ) else {
        return Err(Error::failed("this lease holds no port"));
    };
    Ok((range, port))
}

#[cfg(test)]
mod tests;
