//! What a person and a program read of the API: help texts and the OpenAPI document, so that a change shows in review.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use landfast_plugin::Mount;
use landfast_sdk::testing::Harness;
use serde_json::Value;

/// Fields of every path of OpenBao 2.7.2, out of its OpenAPI document: a line for method and path, one for each field below it.
const BUILT_IN: &str = include_str!("data/fields-2.7.2.txt");

#[tokio::test]
async fn the_help_of_the_mount_reads_well() {
    let mount = mount().await;
    insta::assert_snapshot!("mount", mount.help("").await["help"].as_str().unwrap());
    for path in [
        "roles/example",
        "issue/example",
        "issuer/example",
        "cert/aa",
    ] {
        let name = path.replace('/', "_");
        insta::assert_snapshot!(name, mount.help(path).await["help"].as_str().unwrap());
    }
}

#[tokio::test]
async fn the_openapi_document_names_every_field() {
    let document = mount().await.help("").await["openapi"].clone();
    let mut digest = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "patch", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let flag = |name: &str, text| {
                if item.get(name) == Some(&Value::Bool(true)) {
                    text
                } else {
                    ""
                }
            };
            let (open, sudo) = (
                flag("x-vault-unauthenticated", " unauthenticated"),
                flag("x-vault-sudo", " sudo"),
            );
            let id = operation["operationId"].as_str().unwrap();
            writeln!(digest, "{} {path} {id}{open}{sudo}", method.to_uppercase()).unwrap();
            for (name, field) in fields(&document, operation) {
                let kind = field["type"].as_str().unwrap_or("any");
                let more = |name: &str| {
                    field
                        .get(name)
                        .map(|value| format!(" {name}={value}"))
                        .unwrap_or_default()
                };
                writeln!(
                    digest,
                    "    {name}: {kind}{}{}{}",
                    more("format"),
                    more("default"),
                    more("enum")
                )
                .unwrap();
            }
        }
    }
    insta::assert_snapshot!("openapi", digest);
}

#[tokio::test]
async fn paths_of_the_built_in_engine_take_its_fields() {
    let document = mount().await.help("").await["openapi"].clone();
    let mut compared = 0;
    let mut operation = None;
    for line in BUILT_IN.lines() {
        let columns: Vec<_> = line.split('\t').collect();
        if let [method, path, ..] = columns[..]
            && !method.is_empty()
        {
            operation = document["paths"]
                .get(path)
                .and_then(|item| item.get(method.to_lowercase()));
            continue;
        }
        let (Some(operation), [_, name, kind]) = (operation, &columns[..]) else {
            continue;
        };
        // A path that is generated here takes its kind of answer from the path alone.
        if *name == "exported" {
            continue;
        }
        let ours = fields(&document, operation);
        let field = ours
            .get(*name)
            .unwrap_or_else(|| panic!("{line:?} of {}", operation["operationId"]));
        assert_eq!(
            field["type"], **kind,
            "{line:?} of {}",
            operation["operationId"]
        );
        compared += 1;
    }
    assert!(compared > 400, "{compared}");
}

/// Roles have the most fields by far, so that all that is told of each stands here: types, sentences, defaults.
#[tokio::test]
async fn the_document_of_roles_is_told_in_full() {
    let document = mount().await.help("").await["openapi"].clone();
    let path = &document["paths"]["/roles/{name}"];
    let (written, patched) = (
        fields(&document, &path["post"]),
        fields(&document, &path["patch"]),
    );
    assert_eq!(written, patched);
    let content = "/responses/200/content/application~1json/schema/properties";
    let shown = path["get"].pointer(content).unwrap();
    let mut digest = String::new();
    for (name, field) in written {
        writeln!(digest, "{name} {field}").unwrap();
    }
    for (name, field) in shown.as_object().unwrap() {
        writeln!(digest, "shown {name} {field}").unwrap();
    }
    insta::assert_snapshot!("roles_openapi", digest);
}

fn fields(document: &Value, operation: &Value) -> BTreeMap<String, Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, field)| (name.clone(), field.clone()))
        .collect()
}

async fn mount() -> Harness<Mount> {
    Harness::<Mount>::builder()
        .mount("pki")
        .start()
        .await
        .unwrap()
}
