//! The documents that the server's console makes its forms from are those of the built-in engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::with_root;
use crate::support::{Pair, Reply};

/// What the console asks the help of, and what it reads there: the fields of a POST.
const FORMS: &[&str] = &[
    "roles/one",
    "issue/one",
    "sign/one",
    "issuer/default/sign-intermediate",
    "config/acme",
    "config/auto-tidy",
    "config/cluster",
    "config/crl",
    "config/urls",
    "root/generate/internal",
    "intermediate/generate/internal",
    "keys/generate/internal",
    "keys/import",
    "issuer/default",
    "issuers/import/bundle",
    "intermediate/set-signed",
    "key/default",
];

fn help(pair: &Pair, path: &str) -> [Value; 2] {
    let both = pair.both("GET", &format!("{path}?help=1"), None).ok();
    [both.theirs, both.ours].map(|reply: Reply| reply.body["openapi"].clone())
}

/// The fields of the POST of a help document with one path, as the console gets at them.
fn fields(document: &Value) -> BTreeMap<String, Value> {
    let paths = document["paths"].as_object().expect("a document of paths");
    let item = paths.values().next().expect("a path");
    let schema = &item["post"]["requestBody"]["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .expect("a reference within the document"),
        None => schema,
    };
    let properties = schema["properties"].as_object();
    let properties = properties.unwrap_or_else(|| panic!("no fields to post: {document}"));
    properties
        .iter()
        .map(|(name, field)| (name.clone(), field.clone()))
        .collect()
}

#[test]
fn forms_show_what_those_of_the_built_in_show() {
    let mut pair = with_root(json!({}));
    let mut compared = BTreeMap::new();
    for path in FORMS {
        let [theirs, ours] = help(&pair, path);
        let (theirs, ours) = (fields(&theirs), fields(&ours));
        for (name, theirs) in &theirs {
            // A document of ours leaves a default out that says nothing.
            let zero = [
                json!(false),
                json!(0),
                json!(""),
                json!([]),
                json!({}),
                Value::Null,
            ];
            let default = |field: &Value| match &field["default"] {
                value if zero.contains(value) => Value::Null,
                value => value.clone(),
            };
            let Some(ours) = ours.get(name) else {
                panic!("{path}: no field {name}");
            };
            for key in ["x-vault-displayAttrs", "type", "format", "deprecated"] {
                let what = format!("{path} {name} {key}");
                pair.equal(&what, &theirs[key].to_string(), &ours[key].to_string());
            }
            let what = format!("{path} {name} items");
            let [theirs_of, ours_of] =
                [theirs, ours].map(|field| field["items"]["type"].to_string());
            pair.equal(&what, &theirs_of, &ours_of);
            if !WRONG_DEFAULTS.contains(&(*path, name.as_str())) {
                let what = format!("{path} {name} default");
                let [theirs_of, ours_of] = [theirs, ours].map(|field| default(field).to_string());
                pair.equal(&what, &theirs_of, &ours_of);
            }
            if theirs.get("x-vault-displayAttrs").is_some() {
                *compared.entry(*path).or_insert(0) += 1;
            }
        }
        // And none where the built-in has none.
        for (name, ours) in &ours {
            let known = theirs.get(name).map(|field| &field["x-vault-displayAttrs"]);
            if known.is_none_or(Value::is_null) {
                assert!(ours.get("x-vault-displayAttrs").is_none(), "{path} {name}");
            }
        }
    }
    pair.finish();
    for (path, count) in [
        ("roles/one", 21),
        ("issue/one", 11),
        ("sign/one", 9),
        ("issuer/default/sign-intermediate", 17),
    ] {
        assert_eq!(compared[path], count, "{path}");
    }
}

/// Where a document of the built-in engine says another default than it has.
const WRONG_DEFAULTS: &[(&str, &str)] = &[("config/crl", "ocsp_expiry")];

#[test]
fn help_names_the_path_and_its_parameters_as_the_built_in_does() {
    let pair = with_root(json!({}));
    // The built-in engine has one pattern for two of these, and names it by the other.
    for path in FORMS
        .iter()
        .filter(|path| **path != "keys/generate/internal")
    {
        let [theirs, ours] = help(&pair, path);
        let of = |document: &Value| {
            let (path, item) = document["paths"]
                .as_object()
                .and_then(|paths| paths.iter().next())
                .map(|(path, item)| (path.clone(), item.clone()))
                .expect("a path");
            let parameters = item["parameters"].as_array().cloned().unwrap_or_default();
            let parameters: Vec<_> = parameters
                .iter()
                .map(|parameter| {
                    let (name, schema) = (&parameter["name"], &parameter["schema"]);
                    json!([
                        name,
                        parameter["in"],
                        parameter["required"],
                        schema["type"],
                        schema["default"]
                    ])
                })
                .collect();
            // The id of an operation begins with the type of the mount.
            let id = item["post"]["operationId"].as_str().unwrap_or_default();
            let id = id.split_once('-').map_or(id, |(_, id)| id).to_owned();
            (path, parameters, id)
        };
        assert_eq!(of(&theirs), of(&ours), "{path}");
    }
}
