//! Answers with types, parameters and aliases, through the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::logical::{
    Backend, Cx, KeyValues, Named, NoFields, Secret, Setup, Table, Ttl, path, shown,
};
use crate::testing::Harness;

struct Shelf;

#[derive(Serialize, JsonSchema)]
struct Role {
    /// Its name.
    name: String,
    /// How long.
    ttl: Ttl,
    labels: KeyValues,
    by_number: BTreeMap<String, u32>,
    parts: Vec<Part>,
    size: Size,
    maybe: Option<String>,
    part: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rare: Option<u64>,
    #[serde(serialize_with = "shown")]
    token: Secret<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Part {
    weight: f64,
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Size {
    #[expect(dead_code, reason = "only its name counts")]
    Small,
    Large,
}

#[derive(Deserialize, JsonSchema)]
struct Sent {
    name: String,
    #[serde(default, alias = "lifetime", alias = "lease_ttl")]
    ttl: Ttl,
}

#[derive(Deserialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
#[schemars(extend("x-untold" = ["quiet"]))]
struct More {
    #[serde(alias = "colour")]
    color: String,
    #[schemars(skip)]
    quiet: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Flat {
    name: String,
    #[serde(flatten)]
    more: MoreFlat,
}

#[derive(Deserialize, JsonSchema)]
struct MoreFlat {
    #[serde(default, alias = "size")]
    #[schemars(extend("x-aliases" = ["size"]))]
    number: u32,
}

impl Backend for Shelf {
    async fn new(_: Setup) -> Result<Self> {
        Ok(Self)
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("role/{name}", "A role.")
                .read(read)
                .update(write)
                .delete(async |_: Arc<Self>, _: Cx, _: Named| Ok(())),
            path("roles", "Roles.")
                .list(async |_: Arc<Self>, _: Cx, _: NoFields| Ok(Keys(vec!["a".to_owned()]))),
            path("plain/{name}", "No types.")
                .read(async |_: Arc<Self>, _: Cx, _: Named| Ok(Response::none()))
                .delete(async |_: Arc<Self>, _: Cx, _: Named| Ok(Response::none())),
            path("alias/{name}", "Aliases.").update(
                async |_: Arc<Self>, _: Cx, (sent, more): (Sent, More)| {
                    Response::data(&json!({ "ttl": sent.ttl, "color": more.color }))
                },
            ),
            path("flat/{name}", "Flattened.").update(async |_: Arc<Self>, _: Cx, flat: Flat| {
                Response::data(&json!({ "name": flat.name, "number": flat.more.number }))
            }),
            path("wrong", "Not as documented.").read(async |_: Arc<Self>, _: Cx, _: NoFields| {
                Ok(Json::<Part> {
                    response: Response::data(&json!({ "height": 1 }))?,
                    of: PhantomData,
                })
            }),
            path("unneeded/{_name}", "A parameter that nobody needs.")
                .read(async |_: Arc<Self>, _: Cx, _: NoFields| Ok(Response::null())),
        ])
    }
}

async fn read(_: Arc<Shelf>, _: Cx, request: Named) -> Result<Option<Json<Role>>> {
    if request.name == "nobody" {
        return Ok(None);
    }
    Ok(Some(
        Json::of(&Role {
            name: request.name,
            ttl: Ttl::from_secs(60),
            labels: KeyValues::default(),
            by_number: [("a".to_owned(), 1)].into(),
            parts: vec![Part { weight: 1.5 }],
            size: Size::Large,
            maybe: None,
            part: None,
            rare: None,
            token: Secret::new("t".to_owned()),
        })?
        .warn("it is old"),
    ))
}

async fn write(_: Arc<Shelf>, _: Cx, sent: Sent) -> Result<()> {
    assert!(!sent.ttl.is_zero() && !sent.name.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_typed_answer_is_documented_as_the_server_documents_its_own() {
    let shelf = Harness::<Shelf>::new().await;
    let document = &shelf.help("").await["openapi"];
    let responses = |path: &str, verb: &str| document["paths"][path][verb]["responses"].clone();
    let text = json!({ "type": "string" });
    let weight = json!({ "type": "object", "properties": { "weight": { "type": "number", "format": "double" } },
        "required": ["weight"] });
    let mut part = weight.clone();
    part["nullable"] = json!(true);
    let schema = json!({
        "type": "object",
        "required": ["name", "ttl", "labels", "by_number", "parts", "size", "token"],
        "properties": {
            "name": { "type": "string", "description": "Its name." },
            "ttl": { "type": "integer", "format": "seconds", "description": "How long." },
            "labels": { "type": "object", "format": "kvpairs" },
            "by_number": { "type": "object", "format": "map", "additionalProperties": { "type": "integer" } },
            "parts": { "type": "array", "items": weight },
            "size": { "type": "string", "enum": ["small", "large"] },
            "maybe": { "type": "string", "nullable": true },
            "part": part,
            "rare": { "type": "integer", "nullable": true },
            "token": { "type": "string", "x-vault-displayAttrs": { "sensitive": true } },
        },
    });
    let answer = json!({ "200": { "description": "OK", "content": { "application/json": { "schema": schema } } } });
    assert_eq!(responses("/role/{name}", "get"), answer);
    let done = json!({ "204": { "description": "empty body" } });
    assert_eq!(responses("/role/{name}", "post"), done);
    assert_eq!(responses("/role/{name}", "delete"), done);
    let keys = &responses("/roles", "get")["200"]["content"]["application/json"]["schema"];
    assert_eq!(keys["properties"]["keys"]["items"], text);
    let untold = json!({ "200": { "description": "OK" } });
    assert_eq!(responses("/plain/{name}", "get"), untold);
    assert_eq!(responses("/plain/{name}", "delete"), done);
}

#[tokio::test]
async fn an_answer_arrives_as_one_without_a_type_does() {
    let shelf = Harness::<Shelf>::new().await;
    let reply = shelf.read("role/web").await;
    assert_eq!((reply.status, &reply.data["name"]), (200, &json!("web")));
    assert_eq!(reply.data["token"], "t");
    assert_eq!(reply.warnings, ["it is old"]);
    assert_eq!(shelf.read("role/nobody").await.status, 404);
    assert_eq!(
        shelf.update("role/web", json!({ "ttl": 1 })).await.status,
        204
    );
    assert_eq!(shelf.delete("role/web").await.status, 204);
    assert_eq!(shelf.list("roles").await.keys(), ["a"]);
    assert_eq!(shelf.read("unneeded/x").await.status, 200);
}

#[tokio::test]
#[should_panic(expected = "not as documented")]
async fn the_harness_holds_an_answer_against_its_type() {
    Harness::<Shelf>::new().await.read("wrong").await;
}

#[tokio::test]
async fn an_alias_of_a_field_is_not_told_as_ignored() {
    let shelf = Harness::<Shelf>::new().await;
    let ask = async |path: &str, data: Value| {
        let reply = shelf.update(path, data).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        (reply.data, reply.warnings)
    };
    let got = ask("alias/x", json!({ "lifetime": "1m", "colour": "red" })).await;
    assert_eq!(got, (json!({ "ttl": 60, "color": "red" }), vec![]));
    let got = ask(
        "alias/x",
        json!({ "lease_ttl": "1m", "nobody": 1, "color": "red" }),
    )
    .await;
    let ignored = "Endpoint ignored these unrecognized parameters: [nobody]";
    assert_eq!(
        got,
        (
            json!({ "ttl": 60, "color": "red" }),
            vec![ignored.to_owned()]
        )
    );
    let got = ask("flat/x", json!({ "size": "0x10" })).await;
    assert_eq!(got, (json!({ "name": "x", "number": 16 }), vec![]));
    let reply = shelf
        .update("alias/x", json!({ "ttl": 1, "lifetime": 2 }))
        .await;
    assert_eq!(reply.status, 400);
    assert!(reply.error().contains("sent twice under different names"));
    // What a type takes without a word is told as unknown where the type says so.
    let reply = shelf
        .update("alias/x", json!({ "quiet": 1, "colour": "red" }))
        .await;
    assert_eq!(
        reply.warnings,
        ["Endpoint ignored these unrecognized parameters: [quiet]"]
    );
    // It is one in every request of the row, as its field is.
    let reply = shelf
        .read_with("role/x", json!({ "ttl": 1, "lifetime": 1, "nobody": 1 }))
        .await;
    assert_eq!(reply.warnings[1..], [ignored]);
    // A name of another row's field is none of this row.
    let reply = shelf.update("alias/x", json!({ "size": 1 })).await;
    assert_eq!(
        reply.warnings,
        ["Endpoint ignored these unrecognized parameters: [size]"]
    );
}

#[test]
fn a_parameter_that_a_handler_does_not_take_is_found_when_the_table_is_made() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nothing is decoded")]
    struct Nam {
        nam: String,
    }
    let panicked = |row: fn() -> crate::logical::Path<Shelf>| {
        let made = std::panic::catch_unwind(move || drop(Table::new(vec![row()])));
        let Err(text) = made else {
            return String::new();
        };
        text.downcast_ref::<String>().cloned().unwrap_or_default()
    };
    let text = panicked(|| {
        let row = path("role/{name}", "A role.");
        let row = row.read(async |_: Arc<Shelf>, _: Cx, _: Named| Ok(()));
        row.delete(async |_: Arc<Shelf>, _: Cx, _: Nam| Ok(()))
    });
    assert_eq!(
        text,
        "path \"role/{name}\": the handler of delete does not take the parameter \"name\". Its request type takes [\"nam\"]: \
         give it a field \"name\", or, if it has no need of it, write {_name} in the path"
    );
    // Where the name comes second, or behind a flattened struct, or any name is taken, all is well.
    assert_eq!(
        panicked(
            || path("a/{name}", "").update(async |_: Arc<Shelf>, _: Cx, _: (More, Named)| Ok(()))
        ),
        ""
    );
    assert_eq!(
        panicked(
            || path("a/{number}/{name}", "").update(async |_: Arc<Shelf>, _: Cx, _: Flat| Ok(()))
        ),
        ""
    );
    assert_eq!(
        panicked(|| path("a/{name}", "").update(async |_: Arc<Shelf>, _: Cx, _: Value| Ok(()))),
        ""
    );
    assert_ne!(
        panicked(|| path("a/{name}", "").update(async |_: Arc<Shelf>, _: Cx, _: NoFields| Ok(()))),
        ""
    );
}
