//! Policies that were written for the built-in engine stay true: what its paths deny, no path of ours gives.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::{Client, PLUGIN_NAME, Pair, Server};

/// Every path that the built-in engine lacks, with the right that covers it in a policy written for the built-in engine. Whoever adds a path
/// decides here what it may be asked for.
const OURS_ONLY: &[(&str, &str)] = &[
    // As the settings beside them; neither lends the server's identity, see below.
    ("/config/kms", "config/*"),
    ("/config/seal", "config/*"),
    // How many keys of leaves are made ahead.
    ("/config/key-pool", "config/*"),
    // Figures without names; the second is closed until an operator opens it by the first.
    ("/config/metrics", "config/*"),
    ("/metrics", "*"),
    ("/metrics/public", "anybody"),
    // Does what `config/seal` says, nothing of the caller's own; the other one reads counts.
    ("/seal/migrate", "*"),
    ("/seal/status", "*"),
    // Public certificates, as `ca_chain` and `issuer/REF/json` give them to anybody.
    ("/trust-anchor", "anybody"),
    ("/trust-anchor/raw", "anybody"),
    ("/issuer/{issuer_ref}/trust-anchor", "anybody"),
    ("/issuer/{issuer_ref}/trust-anchor/raw", "anybody"),
    ("/config/acme-validation", "config/*"),
    ("/acme/account/{kid}/orders", "anybody"),
    ("/acme/key-change", "anybody"),
    ("/acme/renewal-info/{cert_id}", "anybody"),
    ("/issuer/{issuer_ref}/acme/account/{kid}/orders", "anybody"),
    ("/issuer/{issuer_ref}/acme/key-change", "anybody"),
    (
        "/issuer/{issuer_ref}/acme/renewal-info/{cert_id}",
        "anybody",
    ),
    (
        "/issuer/{issuer_ref}/roles/{role}/acme/account/{kid}/orders",
        "anybody",
    ),
    (
        "/issuer/{issuer_ref}/roles/{role}/acme/key-change",
        "anybody",
    ),
    (
        "/issuer/{issuer_ref}/roles/{role}/acme/renewal-info/{cert_id}",
        "anybody",
    ),
    ("/roles/{role}/acme/account/{kid}/orders", "anybody"),
    ("/roles/{role}/acme/key-change", "anybody"),
    ("/roles/{role}/acme/renewal-info/{cert_id}", "anybody"),
    // The built-in engine answers these too, and leaves them out of its document.
    ("/cert/ca", "anybody"),
    ("/cert/ca/raw", "anybody"),
    ("/cert/ca/raw/pem", "anybody"),
];

#[test]
fn every_path_that_the_built_in_lacks_is_known() {
    let pair = Pair::new();
    let both = pair.both("GET", "?help=1", None).ok();
    let [theirs, ours] = [&both.theirs, &both.ours].map(|reply| {
        let paths = reply.body["openapi"]["paths"].as_object();
        let paths = paths.expect("a document of paths");
        paths
            .iter()
            .map(|(path, item)| (path.clone(), item.clone()))
            .collect::<std::collections::BTreeMap<_, _>>()
    });
    let new: BTreeSet<_> = ours
        .keys()
        .filter(|path| !theirs.contains_key(*path))
        .map(String::as_str)
        .collect();
    let known: BTreeSet<_> = OURS_ONLY.iter().map(|(path, _)| *path).collect();
    assert_eq!(new, known);
    let open = |item: &serde_json::Value| item["x-vault-unauthenticated"] == json!(true);
    for (path, right) in OURS_ONLY {
        assert_eq!(open(&ours[*path]), *right == "anybody", "{path}");
    }
    let nobody = pair.server().client().with_token("");
    for mount in ["builtin", "landfst"] {
        let listed = nobody.list(&format!("{mount}/issuers"));
        assert_eq!(listed.status, 404, "{mount}: an empty list, not a refusal");
    }
    // Nobody without a token, and nobody without sudo, gets at more than in the built-in engine.
    for (path, item) in &ours {
        let Some(theirs) = theirs.get(path) else {
            continue;
        };
        // The built-in engine opens it too, and its document misses that: the host appends a slash to the path of a list.
        if path != "/issuers" {
            assert_eq!(open(item), open(theirs), "{path}");
        }
        assert_eq!(item["x-vault-sudo"], theirs["x-vault-sudo"], "{path}");
    }
}

/// A caller with a policy of this text.
fn caller(server: &Server, name: &str, policy: &str) -> Client {
    let client = server.client();
    client
        .write(
            &format!("sys/policies/acl/{name}"),
            json!({"policy": policy}),
        )
        .ok();
    let token = client
        .write("auth/token/create", json!({"policies": [name]}))
        .ok();
    client.with_token(
        token.body["auth"]["client_token"]
            .as_str()
            .expect("a token"),
    )
}

#[test]
fn a_role_that_is_denied_is_not_written_by_another_path() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    client
        .write(
            "pki/roles/admin",
            json!({"allowed_domains": "admin.example.com", "allow_bare_domains": true}),
        )
        .ok();
    let before = client.read("pki/roles/admin").ok();
    let everything = "path \"pki/*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\", \"delete\", \"list\", \"sudo\"] }";
    let deny =
        |path: &str| format!("{everything}\npath \"pki/{path}\" {{ capabilities = [\"deny\"] }}");
    let preset = json!({"preset": "hybrid-node", "node_name": "node-1"});

    let one = caller(&server, "one", &deny("roles/admin"));
    one.write("pki/roles/admin", preset.clone())
        .refused(403, "permission denied");
    one.write(
        "pki/roles/admin/hybrid-node",
        json!({"node_name": "node-1"}),
    )
    .refused(400, "write roles/admin with preset=hybrid-node");
    assert_eq!(
        client.read("pki/roles/admin").ok().data(),
        before.data(),
        "the role is what it was"
    );
    one.write("pki/roles/nodes", preset.clone()).ok();

    let none = caller(&server, "none", &deny("roles/*"));
    none.write("pki/roles/nodes", preset.clone())
        .refused(403, "permission denied");
    // The fields of a role are those that a policy names.
    let fields = "path \"pki/roles/*\" {\n  capabilities = [\"create\", \"update\"]\n  allowed_parameters = { \"ttl\" = [], \"max_ttl\" = [] }\n}";
    let fields = caller(&server, "fields", fields);
    fields.write("pki/roles/nodes", json!({"ttl": "1h"})).ok();
    fields
        .write("pki/roles/nodes", preset)
        .refused(403, "permission denied");
}

#[test]
fn the_right_to_settings_is_no_right_to_the_servers_identity() {
    let access = [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "of-the-server"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let access = access.map(|(name, value)| (name, std::ffi::OsStr::new(value)));
    let server = Server::dev_with(&access);
    server.mount("pki", PLUGIN_NAME);
    let policy = "path \"pki/config/*\" { capabilities = [\"create\", \"read\", \"update\"] }\n\
        path \"pki/root/generate/*\" { capabilities = [\"update\"] }\npath \"pki/keys/generate/*\" { capabilities = [\"update\"] }";
    let caller = caller(&server, "settings", policy);
    let told = caller
        .write("pki/config/kms", json!({"region": "eu-central-1"}))
        .ok();
    assert!(
        told.warnings().join("").contains("use_server_identity"),
        "{:?}",
        told.warnings()
    );
    let key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";
    for (path, body) in [
        ("keys/generate/kms", json!({"kms_key_id": key})),
        (
            "root/generate/kms",
            json!({"kms_key_id": key, "common_name": "Root"}),
        ),
        ("config/seal", json!({"type": "awskms", "kms_key_id": key})),
    ] {
        caller
            .write(&format!("pki/{path}"), body)
            .refused(400, "is not lent to this mount");
    }
    // Who may write `sys/mounts` lends it; the text says how.
    let client = server.client();
    let tuned = json!({"options": {"use_server_identity": "true"}});
    client.write("sys/mounts/pki/tune", tuned).ok();
    let mounts = json!({"mounts": ["pki/"]});
    client.write("sys/plugins/reload/backend", mounts).ok();
    let told = caller
        .write("pki/config/kms", json!({"region": "eu-central-1"}))
        .ok();
    assert!(told.warnings().is_empty(), "{:?}", told.warnings());
}
