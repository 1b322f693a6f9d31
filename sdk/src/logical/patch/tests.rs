//! Patches through the table, as clients send them.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{MapPatch, MergePatch, Patch, merge};
use crate::logical::{
    Backend, Base64, Cidrs, CommaList, Cx, Json, KeyValues, Named, NoFields, Result, Secret, Setup,
    Storage, Table, TokenParams, Ttl, path, stored,
};
use crate::testing::Harness;

struct Shelf(Arc<dyn Storage>);

/// One field of each type.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Entry {
    needed: String,
    #[serde(default = "yes")]
    flag: bool,
    #[serde(default)]
    number: i64,
    #[serde(default)]
    float: f64,
    #[serde(default)]
    text: String,
    #[serde(default = "hour", alias = "lifetime")]
    #[schemars(extend("x-aliases" = ["lifetime"]))]
    ttl: Ttl,
    #[serde(default)]
    list: CommaList,
    #[serde(default)]
    cidrs: Cidrs,
    #[serde(default)]
    plain: Vec<String>,
    #[serde(default)]
    bytes: Base64,
    #[serde(default)]
    labels: KeyValues,
    #[serde(default)]
    maybe: Option<String>,
    #[serde(default)]
    free: Value,
    #[serde(default)]
    inner: Inner,
    #[serde(default, serialize_with = "stored")]
    secret: Secret<String>,
    #[serde(flatten)]
    token: TokenParams,
}

#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Inner {
    one: u32,
    two: u32,
}

fn yes() -> bool {
    true
}

fn hour() -> Ttl {
    Ttl::from_secs(3600)
}

/// The same, field by field; half of them flattened.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
#[derive(Default)]
struct Changes {
    needed: Patch<String>,
    flag: Patch<bool>,
    number: Patch<i64>,
    float: Patch<f64>,
    text: Patch<String>,
    ttl: Patch<Ttl>,
    list: Patch<CommaList>,
    cidrs: Patch<Cidrs>,
    plain: Patch<Vec<String>>,
    bytes: Patch<Base64>,
    labels: MapPatch,
    maybe: Patch<String>,
    secret: Patch<Secret<String>>,
}

#[derive(Deserialize, JsonSchema)]
struct Flattened {
    name: String,
    #[serde(flatten)]
    changes: Changes,
}

impl Backend for Shelf {
    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self(setup.storage))
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("entry", "The entry.")
                .read(Self::read)
                .update(Self::write)
                .patch(Self::patch),
            path("fields", "The entry, field by field.")
                // Its own type of the fields comes first.
                .update(Self::write)
                .patch(Self::fields),
            path("flat/{name}", "The same, flattened.")
                .update(async |shelf: Arc<Self>, cx, (_, entry): (Named, Entry)| {
                    shelf.write(cx, entry).await
                })
                .patch(async |shelf: Arc<Self>, cx, flat: Flattened| {
                    assert_eq!(flat.name, "x");
                    shelf.fields(cx, flat.changes).await
                }),
        ])
    }
}

impl Shelf {
    async fn entry(&self) -> Result<Entry> {
        Ok(self.0.read("entry").await?.expect("an entry"))
    }

    async fn read(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Json<Value>> {
        let bytes = self.0.get("entry").await?.expect("an entry");
        Json::of(&serde_json::from_slice(&bytes).expect("JSON"))
    }

    async fn write(self: Arc<Self>, _: Cx, entry: Entry) -> Result<()> {
        self.0.write("entry", &entry).await
    }

    async fn patch(self: Arc<Self>, cx: Cx, patch: MergePatch<Entry>) -> Result<()> {
        let entry = patch.apply(&self.entry().await?)?;
        self.write(cx, entry).await
    }

    async fn fields(self: Arc<Self>, cx: Cx, sent: Changes) -> Result<()> {
        let mut entry = self.entry().await?;
        sent.needed.apply_required("needed", &mut entry.needed)?;
        sent.flag.apply_or(&mut entry.flag, true);
        sent.number.apply(&mut entry.number);
        sent.float.apply(&mut entry.float);
        sent.text.apply(&mut entry.text);
        sent.ttl.apply_or(&mut entry.ttl, hour());
        sent.list.apply(&mut entry.list);
        sent.cidrs.apply(&mut entry.cidrs);
        sent.plain.apply(&mut entry.plain);
        sent.bytes.apply(&mut entry.bytes);
        sent.labels.apply(&mut entry.labels);
        sent.maybe.apply_option(&mut entry.maybe);
        sent.secret.apply(&mut entry.secret);
        self.write(cx, entry).await
    }
}

/// An entry with something in each field.
fn full() -> Value {
    json!({ "needed": "here", "flag": false, "number": 7, "float": 1.5, "text": "a", "ttl": 60, "list": ["a", "b"],
        "cidrs": ["10.0.0.0/8"], "plain": ["p"], "bytes": "AAEC", "labels": { "a": "1", "b": "2" }, "maybe": "m",
        "free": { "x": { "y": 1, "z": 2 } }, "inner": { "one": 1, "two": 2 }, "secret": "hunter2",
        "token_policies": ["p"], "token_no_default_policy": true, "token_ttl": 5, "token_max_ttl": 9,
        "token_explicit_max_ttl": 0, "token_period": 0, "token_num_uses": 3, "token_bound_cidrs": [],
        "token_type": "service" })
}

/// One with nothing in any but the one that is needed.
fn bare() -> Value {
    json!({ "needed": "here", "flag": true, "number": 0, "float": 0.0, "text": "", "ttl": 3600, "list": [],
        "cidrs": [], "plain": [], "bytes": "", "labels": {}, "maybe": null,
        "free": null, "inner": { "one": 0, "two": 0 }, "secret": "",
        "token_policies": [], "token_no_default_policy": false, "token_ttl": 0, "token_max_ttl": 0,
        "token_explicit_max_ttl": 0, "token_period": 0, "token_num_uses": 0, "token_bound_cidrs": [],
        "token_type": "default" })
}

const WAYS: [&str; 3] = ["entry", "fields", "flat/x"];

async fn patched(way: &str, patch: Value) -> Value {
    let shelf = Harness::<Shelf>::new().await;
    let reply = shelf.update("entry", full()).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(shelf.read("entry").await.data, full());
    let reply = shelf.patch(way, patch.clone()).await;
    assert_eq!(
        (reply.status, reply.warnings.len()),
        (204, 0),
        "{way} {patch} {reply:?}"
    );
    shelf.read("entry").await.data
}

#[tokio::test]
async fn null_removes_a_field_of_every_type() {
    let bare = bare();
    for (name, default) in bare.as_object().unwrap() {
        for way in WAYS {
            let known = !name.starts_with("token") && !["free", "inner"].contains(&name.as_str());
            if name == "needed" || way != "entry" && !known {
                continue;
            }
            let mut wanted = full();
            wanted[name] = default.clone();
            assert_eq!(
                patched(way, json!({ name: null })).await,
                wanted,
                "{way} {name}"
            );
        }
    }
    let mut all: serde_json::Map<_, _> = bare
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (name.clone(), Value::Null))
        .collect();
    all.remove("needed");
    assert_eq!(patched("entry", Value::Object(all)).await, bare);
}

#[tokio::test]
async fn what_is_not_sent_stays_and_values_are_decoded_as_those_of_a_post() {
    for way in WAYS {
        assert_eq!(patched(way, json!({})).await, full(), "{way}");
        let sent = json!({ "flag": "t", "number": "0x10", "ttl": "2h", "list": "x, y", "bytes": "AAA=", "text": 5,
            "plain": "one", "maybe": "", "secret": "other", "needed": "there" });
        let mut wanted = full();
        for (name, value) in [
            ("flag", json!(true)),
            ("number", json!(16)),
            ("ttl", json!(7200)),
            ("list", json!(["x", "y"])),
            ("bytes", json!("AAA=")),
            ("text", json!("5")),
            ("plain", json!(["one"])),
            ("maybe", json!("")),
            ("secret", json!("other")),
            ("needed", json!("there")),
        ] {
            wanted[name] = value;
        }
        assert_eq!(patched(way, sent).await, wanted, "{way}");
    }
}

#[tokio::test]
async fn maps_are_merged_from_objects_and_from_pairs() {
    for way in WAYS {
        for (sent, labels) in [
            (
                json!({ "a": null, "c": "3" }),
                json!({ "b": "2", "c": "3" }),
            ),
            (
                json!({ "a": 9, "x": true }),
                json!({ "a": "9", "b": "2", "x": "1" }),
            ),
            (json!("a=9"), json!({ "a": "9", "b": "2" })),
            (
                json!(["a=", "c=d=e"]),
                json!({ "a": "", "b": "2", "c": "d=e" }),
            ),
            (json!({}), json!({ "a": "1", "b": "2" })),
            (json!(""), json!({ "a": "1", "b": "2" })),
            (json!([]), json!({ "a": "1", "b": "2" })),
            (Value::Null, json!({})),
        ] {
            let got = patched(way, json!({ "labels": sent })).await;
            assert_eq!(got["labels"], labels, "{way} {sent}");
        }
    }
    let got = patched(
        "entry",
        json!({ "free": { "x": { "y": null, "w": [1] } }, "inner": { "one": null, "two": "5" } }),
    )
    .await;
    assert_eq!(got["free"], json!({ "x": { "z": 2, "w": [1] } }));
    assert_eq!(got["inner"], json!({ "one": 0, "two": 5 }));
}

#[tokio::test]
async fn a_field_may_be_named_by_its_alias() {
    for (sent, ttl) in [(json!("1m"), 60), (Value::Null, 3600), (json!(5), 5)] {
        let got = patched("entry", json!({ "lifetime": sent, "number": 1 })).await;
        assert_eq!((&got["ttl"], &got["number"]), (&json!(ttl), &json!(1)));
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let shelf = Harness::<Shelf>::new().await;
    shelf.update("entry", full()).await;
    for way in WAYS {
        for (patch, text) in [
            (
                json!({ "needed": null }),
                "missing required field \"needed\"",
            ),
            (
                json!({ "number": "x" }),
                "error converting input for field \"number\"",
            ),
            (
                json!({ "labels": "a" }),
                "invalid key pair: expected name=value",
            ),
            (
                json!({ "labels": 5 }),
                "invalid key pair: expected name=value",
            ),
            (
                json!({ "ttl": "long" }),
                "error converting input for field \"ttl\"",
            ),
            (
                json!({ "secret": { "a": "hunter3" } }),
                "error converting input for field \"secret\"",
            ),
        ] {
            let reply = shelf.patch(way, patch.clone()).await;
            assert_eq!(reply.status, 400, "{way} {patch}");
            assert!(
                reply.error().contains(text),
                "{way} {patch} {}",
                reply.error()
            );
            assert!(!reply.error().contains("hunter"), "{}", reply.error());
            assert_eq!(shelf.read("entry").await.data, full());
        }
        let reply = shelf.patch(way, json!({ "nobody": 1 })).await;
        assert_eq!(
            reply.warnings.first().map(String::as_str),
            None,
            "an answer of nothing carries no warnings"
        );
    }
}

#[tokio::test]
async fn the_document_asks_for_nothing_in_a_patch() {
    let shelf = Harness::<Shelf>::new().await;
    let document = &shelf.help("").await["openapi"];
    for way in ["/entry", "/fields"] {
        let body = &document["paths"][way]["patch"]["requestBody"]["content"]["application/json"];
        let schema = &body["schema"];
        assert!(schema.get("required").is_none(), "{schema}");
        assert_eq!(
            schema["properties"]["ttl"],
            json!({ "type": "integer", "format": "seconds" })
        );
        assert_eq!(
            schema["properties"]["labels"],
            json!({ "type": "object", "format": "kvpairs" })
        );
        assert_eq!(
            schema["properties"]["secret"],
            json!({ "type": "string", "x-vault-displayAttrs": { "sensitive": true } })
        );
    }
}

/// The examples of RFC 7396, appendix A.
#[test]
fn a_document_is_merged_as_the_standard_says() {
    let cases = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ];
    for (document, patch, wanted) in cases {
        let mut merged: Value = serde_json::from_str(document).unwrap();
        merge(&mut merged, serde_json::from_str(patch).unwrap());
        assert_eq!(
            merged,
            serde_json::from_str::<Value>(wanted).unwrap(),
            "{document} {patch}"
        );
    }
}

#[test]
#[should_panic(expected = "needs a `#[serde(default)]`")]
fn a_patch_without_a_default_is_found_when_the_table_is_made() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "nothing is decoded")]
    struct Wrong {
        ttl: Patch<Ttl>,
    }
    let row = path("wrong", "A patch.").patch(async |_: Arc<Shelf>, _: Cx, _: Wrong| Ok(()));
    let _ = Table::new(vec![row]);
}
