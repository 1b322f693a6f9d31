//! The engine's rules, seen through the harness as a client would.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::logical::{
    Backend, CommaList, Cx, Error, KeyValues, NoFields, Page, Response, Setup, Storage, Table, Ttl,
    Write, path,
};
use crate::testing::Harness;

struct Shelf {
    storage: Arc<dyn Storage>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Role {
    name: String,
    #[serde(default = "yes")]
    allow: bool,
    #[serde(default)]
    bits: i64,
    #[serde(default)]
    ttl: Ttl,
    #[serde(default)]
    domains: CommaList,
    #[serde(default)]
    labels: KeyValues,
    #[serde(default)]
    note: String,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct RolePatch {
    name: String,
    ttl: Option<Ttl>,
    domains: Option<CommaList>,
    allow: Option<bool>,
}

/// Fields of one request given in two groups.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
struct Extra {
    count: u32,
    flag: Option<bool>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
struct Flat {
    #[serde(default)]
    plain: bool,
    #[serde(flatten)]
    role: Role,
}

impl Shelf {
    async fn write(self: Arc<Self>, _: Cx, role: Role) -> Result<Response, Error> {
        let value = serde_json::to_vec(&role).map_err(|e| Error::internal("encode", e))?;
        self.storage
            .apply(vec![Write::put(format!("role/{}", role.name), value)])
            .await?;
        Response::data(&role)
    }

    async fn fetch(&self, name: &str) -> Result<Option<Role>, Error> {
        let found = self.storage.get(&format!("role/{name}")).await?;
        found
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .map_err(|e| Error::internal("decode", e))
    }

    async fn read(self: Arc<Self>, _: Cx, request: Named) -> Result<Response, Error> {
        match self.fetch(&request.name).await? {
            Some(role) => Response::data(&role),
            None => Ok(Response::none()),
        }
    }

    async fn patch(self: Arc<Self>, cx: Cx, patch: RolePatch) -> Result<Response, Error> {
        let Some(mut role) = self.fetch(&patch.name).await? else {
            return Err(Error::bad_request("Unable to fetch role entry to patch"));
        };
        role.ttl = patch.ttl.unwrap_or(role.ttl);
        role.domains = patch.domains.unwrap_or(role.domains);
        role.allow = patch.allow.unwrap_or(role.allow);
        self.write(cx, role).await
    }

    async fn delete(self: Arc<Self>, _: Cx, request: Named) -> Result<Response, Error> {
        self.storage
            .delete(&format!("role/{}", request.name))
            .await?;
        Ok(Response::none())
    }

    async fn list(self: Arc<Self>, _: Cx, page: Page) -> Result<Response, Error> {
        Ok(Response::list(
            self.storage
                .list_page("role/", &page.after, page.limit())
                .await?,
        ))
    }
}

async fn echo_pair(
    _: Arc<Shelf>,
    _: Cx,
    (named, extra): (Named, Extra),
) -> Result<Response, Error> {
    Response::data(&json!({ "name": named.name, "count": extra.count, "flag": extra.flag }))
}

async fn echo_flat(_: Arc<Shelf>, _: Cx, flat: Flat) -> Result<Response, Error> {
    Response::data(&flat)
}

async fn echo_any(
    _: Arc<Shelf>,
    _: Cx,
    any: serde_json::Map<String, Value>,
) -> Result<Response, Error> {
    Ok(Response::map(any))
}

async fn raw(_: Arc<Shelf>, _: Cx, _: NoFields) -> Result<Response, Error> {
    Ok(Response::raw(200, "text/plain", b"abcd".to_vec()).header("Last-Modified", "today"))
}

impl Backend for Shelf {
    async fn new(setup: Setup) -> Result<Self, Error> {
        Ok(Self {
            storage: setup.storage,
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("roles", "List roles.").list(Self::list),
            path("roles/{name}", "Manage a role.")
                .read(Self::read)
                .update(Self::write)
                .patch(Self::patch)
                .delete(Self::delete),
            path("pair/{name}", "Two groups of fields.").update(echo_pair),
            path("flat/{name}", "Flattened fields.").update(echo_flat),
            path("any", "Takes anything.").update(echo_any),
            path("raw", "A raw answer.").unauthenticated().read(raw),
        ])
        .help("Roles on a shelf.")
    }
}

#[tokio::test]
async fn a_role_lives_through_the_table() {
    let shelf = Harness::<Shelf>::new().await;
    assert_eq!(shelf.list("roles").await.status, 404);
    let written = shelf
        .update(
            "roles/web",
            json!({ "ttl": "1h30m", "domains": "a, b,,c", "bits": "2048" }),
        )
        .await;
    assert_eq!(written.status, 200, "{written:?}");
    let role = json!({ "name": "web", "allow": true, "bits": 2048, "ttl": 5400, "domains": ["a", "b", "", "c"],
        "labels": {}, "note": "" });
    assert_eq!(written.data, role);
    assert_eq!(shelf.read("roles/web").await.data, role);
    assert_eq!(shelf.list("roles").await.keys(), ["web"]);
    let patched = shelf
        .patch("roles/web", json!({ "ttl": null, "domains": ["x"] }))
        .await;
    assert_eq!(
        (
            &patched.data["ttl"],
            &patched.data["domains"],
            &patched.data["bits"]
        ),
        (&json!(0), &json!(["x"]), &json!(2048))
    );
    let shelf = shelf.reload().await;
    assert_eq!(shelf.delete("roles/web").await.status, 204);
    assert_eq!(shelf.read("roles/web").await.status, 404);
    assert_eq!(
        shelf.patch("roles/web", json!({})).await.error(),
        "Unable to fetch role entry to patch"
    );
}

#[tokio::test]
async fn groups_and_flattened_fields_decode_weakly() {
    let shelf = Harness::<Shelf>::new().await;
    let pair = shelf
        .update(
            "pair/a",
            json!({ "count": "7", "flag": 1, "name": "b", "zzz": 1, "aaa": 2 }),
        )
        .await;
    assert_eq!(pair.data, json!({ "name": "a", "count": 7, "flag": true }));
    assert_eq!(
        pair.warnings,
        [
            "Endpoint ignored these unrecognized parameters: [aaa zzz]",
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]",
        ]
    );
    let flat = shelf
        .update(
            "flat/a",
            json!({ "plain": "t", "bits": "0x10", "allow": 0, "ttl": "1d", "domains": "a,b" }),
        )
        .await;
    assert_eq!(flat.status, 200, "{flat:?}");
    assert!(flat.warnings.is_empty());
    assert_eq!(
        flat.data,
        json!({ "plain": true, "name": "a", "allow": false, "bits": 16, "ttl": 86400, "domains": ["a", "b"],
            "labels": {}, "note": "" })
    );
    let any = shelf
        .update("any", json!({ "x": [1, "a", null], "y": 1.5 }))
        .await;
    assert_eq!(
        (any.data, any.warnings.len()),
        (json!({ "x": [1, "a", null], "y": 1.5 }), 0)
    );
}

#[tokio::test]
async fn a_raw_answer_keeps_its_bytes() {
    let shelf = Harness::<Shelf>::new().await;
    let reply = shelf.read("raw").await;
    assert_eq!(
        (
            reply.status,
            reply.raw.as_deref(),
            reply.content_type.as_str()
        ),
        (200, Some(&b"abcd"[..]), "text/plain")
    );
    assert_eq!(reply.headers["Last-Modified"], ["today"]);
    assert_eq!(shelf.special_paths().unauthenticated, ["raw"]);
}

fn _futures_are_send(engine: &crate::logical::Engine<Shelf>) {
    fn send<T: Send>(_: T) {}
    send(engine.handle(crate::logical::RawRequest::default()));
    send(engine.exists(crate::logical::RawRequest::default()));
}
