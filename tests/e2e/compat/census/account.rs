//! Which operations there are, and which of them were asked of both engines.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Pair, pattern_of};

/// What is not asked of both with success, and why.
const NOT_BOTH: &[(&str, &str)] = &[
    ("/cel/", "compat/cel.rs"),
    (
        "POST /keys/generate/kms",
        "the server's external keys there, AWS KMS here: seal/ca_kms.rs",
    ),
    (
        "POST /ocsp",
        "the server gives a plugin no raw body: docs/compatibility.md",
    ),
];

/// What only ours has, and where it is tested.
const OURS: &[(&str, &str)] = &[
    (
        "GET /cert/ca",
        "there part of cert/SERIAL; requests.txt asks both for it",
    ),
    ("/config/acme-validation", "acme/parity.rs"),
    ("/config/key-pool", "plugin/tests/pool.rs"),
    ("/config/kms", "seal/ca_kms.rs"),
    ("/config/metrics", "vault_config/prometheus.rs"),
    ("/config/seal", "seal/sealed_keys.rs"),
    ("/metrics", "vault_config/prometheus.rs"),
    ("/seal/", "seal/sealed_keys.rs"),
    ("/trust-anchor", "trust_anchor.rs"),
    ("/issuer/{issuer_ref}/trust-anchor", "trust_anchor.rs"),
    ("key-change", "plugin/tests/acme"),
    ("/acme/account/{kid}/orders", "plugin/tests/acme"),
    ("renewal-info", "plugin/tests/acme/renewal.rs"),
];

/// An operation: the method as the tests write it, and the pattern.
type Operation = (String, String);

/// What was asked of a pair, by operation.
pub(super) struct Account {
    /// Each operation of either document, and whether it takes anything.
    operations: BTreeMap<Operation, bool>,
    theirs: BTreeSet<Operation>,
    /// Operations that both answered with success.
    good: [BTreeSet<Operation>; 2],
    /// Operations that both refused.
    bad: [BTreeSet<Operation>; 2],
    asked: usize,
}

impl Account {
    pub(super) fn of(pair: &Pair) -> Self {
        let both = pair.both("GET", "?help=1", None).ok();
        let documents = [&both.theirs, &both.ours].map(|reply| reply.body["openapi"].clone());
        let [theirs, ours] = documents.each_ref().map(operations);
        let mut all = ours;
        for (operation, takes) in &theirs {
            *all.entry(operation.clone()).or_default() |= takes;
        }
        let mut account = Self {
            operations: all,
            theirs: theirs.into_keys().collect(),
            good: Default::default(),
            bad: Default::default(),
            asked: 0,
        };
        for (mount, asked) in pair.asked() {
            let pattern = pattern_of(&documents[mount], &asked.path);
            let Some(pattern) = pattern else { continue };
            let listed = asked.path.contains("list=true");
            let method = match asked.method.as_str() {
                "GET" if listed => "LIST",
                method => method,
            };
            let operation = (method.to_owned(), pattern.trim_end_matches('/').to_owned());
            match asked.status {
                ..300 => account.good[mount].insert(operation),
                400.. => account.bad[mount].insert(operation),
                _ => continue,
            };
            account.asked += usize::from(mount == 1);
        }
        account
    }

    /// How many requests each mount got, and how many operations there are.
    pub(super) fn totals(&self) -> (usize, usize) {
        (self.asked, self.operations.len())
    }

    /// Notes every operation that was not asked as it should be.
    pub(super) fn hold(&self, pair: &mut Pair) {
        for (operation, takes) in &self.operations {
            let (method, pattern) = operation;
            let named = format!("{method} {pattern}");
            let listed = |list: &[(&str, &str)]| {
                list.iter().any(|(part, why)| {
                    assert!(!why.is_empty());
                    named.contains(part)
                })
            };
            if !self.theirs.contains(operation) {
                if !listed(OURS) {
                    pair.differ(&format!("{named}: only ours has it, and no list says so"));
                }
                continue;
            }
            if listed(NOT_BOTH) {
                continue;
            }
            // What takes nothing can only be asked by a method that it does not have.
            let refused = |mount: usize| {
                let mut bad = self.bad[mount].iter();
                bad.any(|(by, of)| of == pattern && (by == method || !takes))
            };
            for mount in [0, 1] {
                let whose = ["the built-in's", "ours"][mount];
                if !self.good[mount].contains(operation) {
                    pair.differ(&format!("{named}: no request of {whose} succeeds"));
                }
                if !refused(mount) {
                    pair.differ(&format!("{named}: no request of {whose} is refused"));
                }
            }
        }
    }
}

/// The operations of a document, and whether they take anything: a name in the path, parameters or a body.
fn operations(document: &Value) -> BTreeMap<Operation, bool> {
    let mut found = BTreeMap::new();
    for (pattern, item) in document["paths"].as_object().expect("a document of paths") {
        for (key, operation) in item.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array();
            let parameters: Vec<_> = parameters
                .into_iter()
                .flatten()
                .filter_map(|one| one["name"].as_str())
                .collect();
            let method = match key.as_str() {
                "get" if parameters.contains(&"list") => "LIST",
                "get" => "GET",
                "post" => "POST",
                "patch" => "PATCH",
                "delete" => "DELETE",
                _ => continue,
            };
            let takes = pattern.contains('{')
                || parameters.iter().any(|name| *name != "list")
                || fields(document, operation).next().is_some();
            let pattern = pattern.trim_end_matches('/').to_owned();
            found.insert((method.to_owned(), pattern), takes);
        }
    }
    found
}

/// The fields of an operation's body, with their types.
pub(super) fn fields<'a>(
    document: &'a Value,
    operation: &Value,
) -> impl Iterator<Item = (String, String)> + use<'a> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let schema = document.pointer(reference.trim_start_matches('#'));
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    properties.into_iter().flatten().map(|(name, field)| {
        let kind = field["type"].as_str().unwrap_or("string");
        (name.clone(), kind.to_owned())
    })
}
