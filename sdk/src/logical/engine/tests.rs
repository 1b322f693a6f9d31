//! The engine's rules, seen through the harness as a client would.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::logical::{
    Backend, CommaList, Cx, Engine, Error, KeyValues, Lease, LeaseContext, NoFields, Operation,
    Page, RawRequest, Response, Setup, Storage, StorageError, Table, Ttl, Write, path,
};
use crate::testing::{Fault, Harness, logged};

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
    /// How long.
    /// More words on a second line.
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

async fn made(_: Arc<Shelf>, cx: Cx, _: Named) -> Result<Response, Error> {
    Response::data(&json!({ "operation": cx.operation.name() }))
}

async fn is_made(shelf: Arc<Shelf>, _: Cx, request: Named) -> Result<bool, Error> {
    if request.name == "forbidden" {
        return Err(Error::bad_request("no such thing may be made"));
    }
    Ok(shelf.fetch(&request.name).await?.is_some())
}

#[derive(Deserialize, JsonSchema)]
struct Kind {
    kind: String,
}

async fn fail(_: Arc<Shelf>, _: Cx, request: Kind) -> Result<Response, Error> {
    Err(match request.kind.as_str() {
        "bad" => Error::bad_request("bad input"),
        "failed" => Error::failed("it failed"),
        "recognised" => Error::failed("role says: permission denied"),
        "internal" => Error::internal("short", "long and private"),
        "missing" => Error::NotFound("no such role".to_owned()),
        "denied" => Error::PermissionDenied("not yours".to_owned()),
        "conflict" => Error::Status {
            code: 409,
            message: "changed meanwhile".to_owned(),
        },
        "nonsense" => Error::Status {
            code: 7,
            message: "status 7".to_owned(),
        },
        "path" => Error::UnsupportedPath,
        "forward" => Error::bad_request("please forward to the active node if you like"),
        "storage" => StorageError::from_host("relative paths not supported".to_owned()).into(),
        "lost" => StorageError::Transport("broken pipe".to_owned()).into(),
        _ => Error::UnsupportedOperation,
    })
}

async fn lease(_: Arc<Shelf>, _: Cx, _: NoFields) -> Result<Response, Error> {
    let internal = json!({ "item": 7 })
        .as_object()
        .cloned()
        .unwrap_or_default();
    let lease = Lease {
        ttl: Duration::from_secs(60),
        renewable: true,
        internal,
        ..Lease::default()
    };
    Ok(Response::data(&json!({ "item": 7 }))?.lease(lease))
}

async fn nothing(_: Arc<Shelf>, _: Cx, _: NoFields) -> Result<Response, Error> {
    Ok(Response::null())
}

impl Backend for Shelf {
    async fn new(setup: Setup) -> Result<Self, Error> {
        Ok(Self {
            storage: setup.storage,
        })
    }

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response, Error> {
        Ok(Response::none().lease(Lease {
            ttl: lease.ttl * 2,
            renewable: true,
            ..Lease::default()
        }))
    }

    async fn periodic(self: Arc<Self>) -> Result<(), Error> {
        match self.storage.get("broken").await?.as_deref() {
            Some(b"bad") => Err(Error::bad_request("the settings do not fit")),
            Some(b"internal") => Err(Error::internal("a short text", "a long cause")),
            _ => Ok(()),
        }
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response, Error> {
        match lease.internal.get("item") {
            Some(_) => Ok(Response::none()),
            None => Err(Error::failed("a lease of nothing")),
        }
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
            path("made/{name}", "Things that exist or not.")
                .create(made)
                .update(made)
                .exists(is_made),
            path("error/{kind}", "Fails.")
                .sudo()
                .name_rule("kind", crate::logical::rule::any)
                .read(fail),
            path("lease", "Issues a lease.").read(lease),
            path("open", "Lists without a token.")
                .unauthenticated()
                .list(nothing),
            path("open/{_name}/public", "Reads without a token.")
                .unauthenticated()
                .read(nothing),
            path("tail/{*_rest}", "Anything below.")
                .unauthenticated()
                .read(nothing),
        ])
        .operation_ids(&[("lease", Operation::Read, "borrow")])
        .seal_wrap(&["sealed/"])
        .local_storage(&["local/"])
        .resolve(|path| (path == "roles/DEFAULT").then(|| "roles/default".to_owned()))
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
        (&json!(5400), &json!(["x"]), &json!(2048))
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
}

#[tokio::test]
async fn what_is_not_served_is_told_apart() {
    let shelf = Harness::<Shelf>::new().await;
    let status = async |operation, path: &str| {
        let reply = shelf.request(operation, path, Value::Null).await;
        (reply.status, reply.error().to_owned())
    };
    let path = (404, "unsupported path".to_owned());
    let operation = (405, "unsupported operation".to_owned());
    assert_eq!(status(Operation::Read, "nothing").await, path);
    assert_eq!(status(Operation::Update, "roles/-x").await, path);
    assert_eq!(status(Operation::Read, "roles/x/y").await, path);
    assert_eq!(status(Operation::Update, "roles").await, operation);
    assert_eq!(status(Operation::Header, "roles/x").await, operation);
    // A final slash is for lists: it must not be a second name of an object.
    assert_eq!(status(Operation::Read, "roles/x/").await, path);
    assert_eq!(status(Operation::Read, "roles/").await, operation);
    assert_eq!(status(Operation::List, "roles/x").await, path);
}

#[tokio::test]
async fn unknown_operations_are_refused_in_the_way_that_the_host_ignores() {
    let shelf = Harness::<Shelf>::new().await;
    for operation in ["resolve-path", "alias-lookahead", "", "rotate"] {
        let request = RawRequest {
            operation: operation.to_owned(),
            path: "roles/x".to_owned(),
            ..RawRequest::default()
        };
        let reply = shelf.engine().handle(request).await;
        assert_eq!(
            reply.error.map(|error| error.kind),
            Some(5),
            "{operation:?}"
        );
        assert_eq!(reply.response, None);
    }
    assert_eq!(shelf.periodic().await.status, 204);
}

#[tokio::test]
async fn data_that_is_no_object_is_refused() {
    let shelf = Harness::<Shelf>::new().await;
    for data in ["[]", "{", "1", "{\"a\":}", "nul"] {
        let reply = shelf
            .send(Operation::Update, "roles/x", data.to_owned())
            .await;
        assert_eq!(reply.status, 400, "{data}");
        assert!(
            reply.error().starts_with("failed to decode JSON input: "),
            "{reply:?}"
        );
    }
    let deep = format!("{{\"note\":{}{}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(
        shelf.send(Operation::Update, "roles/x", deep).await.status,
        400
    );
    assert_eq!(
        shelf
            .send(Operation::Update, "roles/x", String::new())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let shelf = Harness::<Shelf>::new().await;
    for name in ["a", "b", "c"] {
        shelf.update(&format!("roles/{name}"), json!({})).await;
    }
    assert_eq!(
        shelf
            .list_with("roles", json!({ "limit": "2" }))
            .await
            .keys(),
        ["a", "b"]
    );
    assert_eq!(
        shelf
            .list_with("roles", json!({ "after": "a", "limit": 1 }))
            .await
            .keys(),
        ["b"]
    );
    assert_eq!(
        shelf
            .list_with("roles", json!({ "after": "aa" }))
            .await
            .keys(),
        ["b", "c"]
    );
    assert_eq!(
        shelf
            .list_with("roles", json!({ "limit": -1 }))
            .await
            .keys()
            .len(),
        3
    );
    assert_eq!(
        shelf
            .list_with("roles", json!({ "after": "z" }))
            .await
            .status,
        404
    );
    assert_eq!(
        shelf
            .list_with("roles", json!({ "limit": "x" }))
            .await
            .error(),
        "Field validation failed: error converting input for field \"limit\": '' cannot parse value as 'int': \
         strconv.ParseInt: invalid syntax"
    );
}

#[tokio::test]
async fn existence_tells_create_from_update() {
    let shelf = Harness::<Shelf>::new().await;
    assert_eq!(
        shelf.update("made/a", json!({})).await.data["operation"],
        "create"
    );
    shelf.update("roles/a", json!({})).await;
    assert_eq!(
        shelf.update("made/a", json!({})).await.data["operation"],
        "update"
    );
    assert_eq!(shelf.update("made/-", json!({})).await.status, 404);
    assert_eq!(
        shelf.update("made/forbidden", json!({})).await.error(),
        "no such thing may be made"
    );
    // Rows without a check see updates only.
    let request = RawRequest {
        path: "roles/a".to_owned(),
        ..RawRequest::default()
    };
    assert!(!shelf.engine().exists(request).await.check_found);
}

#[tokio::test]
async fn the_host_learns_the_canonical_path() {
    let shelf = Harness::<Shelf>::new().await;
    shelf.update("roles/default", json!({})).await;
    assert_eq!(shelf.read("roles/DEFAULT").await.status, 200);
    assert_eq!(shelf.read("roles/OTHER").await.status, 404);
}

#[tokio::test]
async fn errors_reach_the_client_as_their_kind_says() {
    let shelf = Harness::<Shelf>::new().await;
    for (kind, status, text) in [
        ("bad", 400, "bad input"),
        ("failed", 500, "it failed"),
        ("recognised", 500, "role says: permission denied"),
        ("internal", 500, "short"),
        ("missing", 404, "no such role"),
        ("denied", 403, "not yours"),
        ("conflict", 409, "changed meanwhile"),
        ("nonsense", 500, "status 7"),
        ("path", 404, "unsupported path"),
        ("operation", 405, "unsupported operation"),
        ("forward", 400, "... if you like"),
        ("storage", 400, "relative paths not supported"),
        ("lost", 500, "storage is not available"),
    ] {
        let reply = shelf.read(&format!("error/{kind}")).await;
        assert_eq!((reply.status, reply.error()), (status, text), "{kind}");
    }
}

#[tokio::test]
async fn a_standby_passes_the_hosts_text_on() {
    let shelf = Harness::<Shelf>::new().await;
    shelf.storage().read_only(true);
    let request = RawRequest {
        operation: "update".to_owned(),
        path: "roles/a".to_owned(),
        ..RawRequest::default()
    };
    let reply = shelf.engine().handle(request).await;
    let error = reply.error.unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (0, "cannot write to readonly storage")
    );
    assert_eq!(reply.response, None);
}

#[tokio::test]
async fn a_lease_carries_what_the_engine_needs_to_end_it() {
    let shelf = Harness::<Shelf>::new().await;
    let reply = shelf.read("lease").await;
    let lease = reply.lease.unwrap();
    assert_eq!(lease.ttl, Duration::from_secs(60));
    let internal: serde_json::Map<String, Value> =
        serde_json::from_str(&lease.internal_data).unwrap();
    let context = LeaseContext {
        internal,
        ttl: lease.ttl,
        renewable: true,
        ..LeaseContext::default()
    };
    let renewed = shelf.renew("lease", context.clone()).await;
    assert_eq!(renewed.lease.unwrap().ttl, Duration::from_secs(120));
    assert_eq!(shelf.revoke("lease", context).await.status, 204);
    assert_eq!(
        shelf.revoke("lease", LeaseContext::default()).await.status,
        500
    );
}

#[tokio::test]
async fn special_paths_come_from_the_rows() {
    let shelf = Harness::<Shelf>::new().await;
    let special = shelf.special_paths();
    assert_eq!(
        special.unauthenticated,
        ["open/", "open/+/public", "raw", "tail/*"]
    );
    assert_eq!(special.root, ["error/*"]);
    assert_eq!(special.local_storage, ["local/"]);
    assert_eq!(special.seal_wrap_storage, ["sealed/"]);
}

#[tokio::test]
async fn help_documents_every_row() {
    let shelf = Harness::<Shelf>::new().await;
    let help = shelf.help("").await;
    let paths = help["openapi"]["paths"].as_object().unwrap();
    assert_eq!(paths.len(), Shelf::table().rows.len());
    let mut ids = std::collections::BTreeSet::new();
    for (key, item) in paths {
        assert!(key.starts_with('/'), "{key}");
        for operation in item
            .as_object()
            .unwrap()
            .values()
            .filter(|value| value["operationId"].is_string())
        {
            let id = operation["operationId"].as_str().unwrap();
            assert!(
                id.starts_with("test-")
                    && !id.contains(|c: char| !(c.is_ascii_lowercase() || c == '-')),
                "{id}"
            );
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
    assert!(!help.to_string().contains("$ref"));

    // What the web UI reads to build a form: the first path, its first parameter, its request schema.
    let row = shelf.help("roles/example").await;
    let (key, item) = row["openapi"]["paths"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(
        (key.as_str(), &item["parameters"][0]["name"]),
        ("/roles/{name}", &json!("name"))
    );
    let schema = &item["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(
        schema["properties"]["ttl"],
        json!({ "type": "integer", "format": "seconds", "description": "How long. More words on a second line." })
    );
    assert_eq!(
        schema["properties"]["allow"],
        json!({ "type": "boolean", "default": true })
    );
    assert_eq!(
        schema["properties"]["domains"],
        json!({ "type": "array", "items": { "type": "string" } })
    );
    assert_eq!(
        schema["properties"]["labels"],
        json!({ "type": "object", "format": "kvpairs" })
    );
    assert_eq!(schema["properties"]["name"], Value::Null);
    let patch =
        &item["patch"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert_eq!(patch["allow"], json!({ "type": "boolean" }));
    let list = &paths["/roles"]["get"];
    assert_eq!(list["operationId"], "test-list-roles");
    assert_eq!(list["parameters"][0]["schema"]["enum"], json!(["true"]));
    assert_eq!(list["parameters"][1]["name"], "after");
    assert_eq!(paths["/lease"]["get"]["operationId"], "test-borrow");
    assert_eq!(paths["/made/{name}"]["x-vault-createSupported"], true);
    assert_eq!(paths["/raw"]["x-vault-unauthenticated"], true);
    assert_eq!(paths["/error/{kind}"]["x-vault-sudo"], true);
    assert!(
        row["help"]
            .as_str()
            .unwrap()
            .contains("    ttl (duration (sec))\n\n        How long.")
    );
}

#[tokio::test]
async fn every_planned_fault_leaves_a_role_old_or_new() {
    for at in 1..=2 {
        for fault in [Fault::Before, Fault::After] {
            let shelf = Harness::<Shelf>::new().await;
            shelf.update("roles/a", json!({ "bits": 1 })).await;
            shelf.storage().fail_at(at, fault);
            let first = shelf.update("roles/a", json!({ "bits": 2 })).await;
            let second = shelf.update("roles/a", json!({ "bits": 3 })).await;
            assert_eq!(
                (first.status, second.status),
                if at == 1 { (500, 500) } else { (200, 500) }
            );
            assert!(shelf.storage().struck());
            let shelf = shelf.reload().await;
            shelf.storage().heal();
            let bits = shelf.read("roles/a").await.data["bits"].as_i64().unwrap();
            let expected = match (at, fault) {
                (1, Fault::Before) => 1,
                (1, Fault::After) | (2, Fault::Before) => 2,
                _ => 3,
            };
            assert_eq!(bits, expected, "{at} {fault:?}");
        }
    }
}

/// A transport spawns these.
fn _futures_are_send(engine: &Engine<Shelf>) {
    fn send<T: Send>(_: T) {}
    send(engine.handle(RawRequest::default()));
    send(engine.exists(RawRequest::default()));
}

#[test]
fn periodic_work_that_fails_is_logged_whatever_the_error() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let shelf = runtime.block_on(Harness::<Shelf>::new());
    for (entry, texts) in [
        ("bad", &["the settings do not fit"][..]),
        ("internal", &["a short text", "a long cause"]),
    ] {
        let log = logged(|| {
            runtime.block_on(async {
                shelf
                    .storage()
                    .put("broken", entry.as_bytes().to_vec())
                    .await
                    .unwrap();
                let request = RawRequest {
                    operation: "rollback".to_owned(),
                    mount_point: "shelf/".to_owned(),
                    ..RawRequest::default()
                };
                shelf.engine().handle(request).await
            })
        });
        assert_eq!(log.matches("ERROR").count(), 1, "{log}");
        for text in texts.iter().chain(&["mount=shelf/"]) {
            assert!(log.contains(text), "{text}: {log}");
        }
    }
}

#[tokio::test]
async fn a_crowd_of_unknown_fields_gets_a_short_warning() {
    let shelf = Harness::<Shelf>::new().await;
    let mut data = serde_json::Map::new();
    for n in 0..50_000 {
        data.insert(format!("field{n:05}"), json!(1));
    }
    let reply = shelf.update("roles/x", Value::Object(data)).await;
    let expected = "Endpoint ignored these unrecognized parameters: [field00000 field00001 field00002 field00003 field00004 and 49995 more]";
    assert_eq!(reply.warnings, [expected]);
}
