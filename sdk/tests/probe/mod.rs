//! A small engine that does what the tests of the transport need: it stores, waits, fails and panics on request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use landfast_sdk::logical::{
    Backend, Cx, Error, LeaseContext, NoFields, Response, Result, Setup, Storage, SystemView,
    Table, Write, path,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

pub(crate) struct Probe {
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    uuid: String,
    /// Whether all that is no request waits at the gate too, and writes what it is after that.
    slow: bool,
    invalidated: AtomicUsize,
}

#[derive(Deserialize, JsonSchema)]
struct Item {
    /// Name of the item.
    name: String,
    /// Value of the item.
    #[serde(default)]
    value: String,
}

impl Backend for Probe {
    async fn new(setup: Setup) -> Result<Self> {
        match setup.config.get("new").map(String::as_str) {
            Some("fail") => return Err(Error::failed("told to fail")),
            Some("panic") => panic!("told to panic"),
            _ => {}
        }
        Ok(Self {
            storage: setup.storage,
            system: setup.system,
            uuid: setup.uuid,
            slow: setup.config.contains_key("slow"),
            invalidated: AtomicUsize::new(0),
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("items/{name}", "Items.")
                .read(read)
                .update(write)
                .delete(delete),
            path("items", "All items.").list(list),
            path("pairs/{name}", "Two items at once.").update(pair),
            path("many/{name}", "Replaces fifty items by one.").update(replace),
            path("abandoned", "Begins a transaction and forgets it.").update(abandon),
            path("slow/{name}", "Writes an item once the gate opens.").update(slow),
            path("stuck", "Never answers.").read(stuck),
            path("panic", "Panics.").read(boom),
            path("self", "What the mount knows.").read(about),
            path("public", "Needs no token.")
                .read(about)
                .unauthenticated(),
        ])
        .resolve(|path| (path == "alias").then(|| "items/alias".to_owned()))
    }

    async fn initialize(self: Arc<Self>) -> Result<()> {
        self.after_the_gate("initialize").await?;
        Ok(self.storage.put("initialized", b"yes".to_vec()).await?)
    }

    async fn periodic(self: Arc<Self>) -> Result<()> {
        self.after_the_gate("rollback").await
    }

    async fn renew(self: Arc<Self>, _: Cx, _: LeaseContext) -> Result<Response> {
        self.after_the_gate("renew")
            .await
            .map(|()| Response::none())
    }

    async fn revoke(self: Arc<Self>, _: Cx, _: LeaseContext) -> Result<Response> {
        self.after_the_gate("revoke")
            .await
            .map(|()| Response::none())
    }

    fn invalidate(&self, key: &str) {
        assert_ne!(key, "panic", "told to panic");
        self.invalidated.fetch_add(1, Ordering::Relaxed);
    }
}

impl Probe {
    async fn after_the_gate(&self, what: &str) -> Result<()> {
        if self.slow {
            self.storage.get("gate").await?;
            self.storage.put(&key(what), b"done".to_vec()).await?;
        }
        Ok(())
    }
}

fn key(name: &str) -> String {
    format!("items/{name}")
}

async fn read(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    let Some(value) = mount.storage.get(&key(&item.name)).await? else {
        return Ok(Response::none());
    };
    Response::data(&json!({ "value": String::from_utf8_lossy(&value) }))
}

async fn write(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    mount
        .storage
        .put(&key(&item.name), item.value.into())
        .await?;
    Ok(Response::none())
}

async fn delete(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    mount.storage.delete(&key(&item.name)).await?;
    Ok(Response::none())
}

async fn list(mount: Arc<Probe>, _: Cx, _: NoFields) -> Result<Response> {
    Ok(Response::list(
        mount.storage.list_page("items/", "a", Some(2)).await?,
    ))
}

async fn pair(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    let writes = ["1", "2"].map(|part| Write::put(key(&item.name) + part, item.value.clone()));
    mount.storage.apply(writes.into()).await?;
    Ok(Response::none())
}

/// Deletes the item and those with a number behind its name, and writes it anew in the midst of that.
async fn replace(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    let numbered = |numbers: std::ops::Range<u32>| {
        let name = item.name.clone();
        numbers.map(move |number| Write::delete(format!("{}{number}", key(&name))))
    };
    let mut writes = vec![Write::delete(key(&item.name))];
    writes.extend(numbered(0..20));
    writes.push(Write::put(key(&item.name), item.value.clone()));
    writes.extend(numbered(20..50));
    mount.storage.apply(writes).await?;
    Ok(Response::none())
}

async fn abandon(mount: Arc<Probe>, _: Cx, _: NoFields) -> Result<Response> {
    let transaction = mount.storage.begin().await?;
    Response::data(&json!({ "begun": transaction.is_some() }))
}

/// Waits in storage until the fake host lets it go on, then writes.
async fn slow(mount: Arc<Probe>, _: Cx, item: Item) -> Result<Response> {
    mount.storage.get("gate").await?;
    mount
        .storage
        .put(&key(&item.name), item.value.into())
        .await?;
    Ok(Response::none())
}

async fn stuck(_: Arc<Probe>, _: Cx, _: NoFields) -> Result<Response> {
    std::future::pending().await
}

async fn boom(_: Arc<Probe>, _: Cx, _: NoFields) -> Result<Response> {
    panic!("told to \"panic\"\non two lines");
}

async fn about(mount: Arc<Probe>, cx: Cx, _: NoFields) -> Result<Response> {
    Response::data(&json!({
        "uuid": mount.uuid,
        "mount_point": cx.mount_point,
        "invalidated": mount.invalidated.load(Ordering::Relaxed),
        "max_ttl": mount.system.max_lease_ttl().await?.as_secs(),
        "entity": mount.system.entity("one").await?.map(|entity| entity.name),
        "nobody": mount.system.entity("other").await?.is_none(),
    }))
}
