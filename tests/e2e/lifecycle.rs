//! Registration, mounts, versions, reload: what a host does to a plugin.

use serde_json::json;

use crate::support::{Client, PLUGIN_NAME, Release, Server, TakeOver, VERSION, until};

use std::time::Duration;

fn root(client: &Client, mount: &str, name: &str) -> String {
    client
        .write(
            &format!("{mount}/root/generate/internal"),
            json!({"common_name": name, "key_type": "ec", "ttl": "8760h"}),
        )
        .ok()
        .text("certificate")
}

fn role(client: &Client, mount: &str) {
    client
        .write(
            &format!("{mount}/roles/one"),
            json!({"allow_any_name": true, "key_type": "ec"}),
        )
        .ok();
}

fn issue(client: &Client, mount: &str) -> String {
    client
        .write(
            &format!("{mount}/issue/one"),
            json!({"common_name": "a.example.com"}),
        )
        .ok()
        .text("serial_number")
}

fn mounts_in_one_process(release: Release) {
    let server = Server::dev_of(release);
    let client = server.client();
    let mounts = ["first", "second", "third"];
    let mut roots = Vec::new();
    for mount in mounts {
        server.mount(mount, PLUGIN_NAME);
        roots.push(root(&client, mount, mount));
        role(&client, mount);
        issue(&client, mount);
    }
    assert_eq!(server.plugins().len(), 1, "one process serves every mount");
    for (mount, root) in mounts.iter().zip(&roots) {
        let kept = client.read(&format!("{mount}/cert/ca")).ok();
        assert_eq!(kept.text("certificate").trim(), root.trim());
        assert_eq!(
            client
                .list(&format!("{mount}/certs"))
                .ok()
                .texts("keys")
                .len(),
            2
        );
    }

    // One mount goes; the others stay, in the same process.
    let before = server.plugins();
    client.delete("sys/mounts/second").ok();
    issue(&client, "first");
    issue(&client, "third");
    assert_eq!(server.plugins(), before);

    let listed = client.read("sys/mounts/first").ok();
    assert_eq!(listed.text("type"), PLUGIN_NAME);
    assert_eq!(listed.text("running_plugin_version"), VERSION);
    assert_eq!(listed.text("running_sha256"), server.sha256());
}

#[test]
fn several_mounts_share_one_process_and_no_state() {
    mounts_in_one_process(Release::Current);
}

#[test]
fn several_mounts_share_one_process_on_the_previous_release() {
    mounts_in_one_process(Release::Previous);
}

fn stand_in_for_pki(release: Release) {
    let server = Server::bare_dev(release);
    server.register("pki", VERSION);
    server.mount("pki", "pki");
    let client = server.client();
    root(&client, "pki", "Root");
    role(&client, "pki");
    issue(&client, "pki");
    let mount = client.read("sys/mounts/pki").ok();
    assert_eq!(mount.text("type"), "pki");
    assert_eq!(mount.text("running_plugin_version"), VERSION);
    assert_eq!(server.plugins().len(), 1);
}

#[test]
fn it_stands_in_for_pki() {
    stand_in_for_pki(Release::Current);
}

#[test]
fn it_stands_in_for_pki_on_the_previous_release() {
    stand_in_for_pki(Release::Previous);
}

#[test]
fn a_mount_of_the_built_in_is_taken_over_and_given_back() {
    let server = Server::bare_dev(Release::Current);
    let mount = TakeOver::mount(&server);
    let client = server.client();
    let ca = root(&client, "pki", "Root");
    role(&client, "pki");
    client
        .write(
            "pki/config/urls",
            json!({"ocsp_servers": "http://example.com/ocsp"}),
        )
        .ok();
    let theirs = issue(&client, "pki");
    let revoked = issue(&client, "pki");
    client
        .write("pki/revoke", json!({"serial_number": revoked}))
        .ok();
    let before = [
        client.read("pki/roles/one").ok().body["data"].clone(),
        client.read("pki/config/urls").ok().body["data"].clone(),
        client.read("pki/config/crl").ok().body["data"].clone(),
        client.read("pki/issuer/default").ok().body["data"].clone(),
    ];

    mount.to_ours(&server);
    assert_eq!(
        client.read("pki/cert/ca").ok().text("certificate").trim(),
        ca.trim()
    );
    let now = [
        client.read("pki/roles/one").ok().body["data"].clone(),
        client.read("pki/config/urls").ok().body["data"].clone(),
        client.read("pki/config/crl").ok().body["data"].clone(),
        client.read("pki/issuer/default").ok().body["data"].clone(),
    ];
    assert_eq!(now, before);
    client.read(&format!("pki/cert/{theirs}")).ok();
    let ours = issue(&client, "pki");
    let revoked_by_us = issue(&client, "pki");
    client
        .write("pki/revoke", json!({"serial_number": revoked_by_us}))
        .ok();
    assert_eq!(server.plugins().len(), 1);

    mount.back(&server);
    until("the plugin's process ends", Duration::from_secs(10), || {
        server.plugins().is_empty().then_some(())
    });
    client.read(&format!("pki/cert/{ours}")).ok();
    assert_eq!(client.read("pki/roles/one").ok().body["data"], before[0]);
    let mut listed = client.list("pki/certs/revoked").ok().texts("keys");
    listed.sort();
    let mut wanted = vec![revoked, revoked_by_us];
    wanted.sort();
    assert_eq!(listed, wanted);
    issue(&client, "pki");
}

#[test]
fn a_reload_loses_nothing() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    root(&client, "pki", "Root");
    role(&client, "pki");
    let before = issue(&client, "pki");
    let process = server.plugins();
    client
        .write("sys/plugins/reload/backend", json!({"plugin": PLUGIN_NAME}))
        .ok();
    client.read(&format!("pki/cert/{before}")).ok();
    issue(&client, "pki");
    let now = server.plugins();
    assert_eq!(now.len(), 1);
    assert_ne!(now, process, "a reload starts a new process");
}

#[test]
fn a_file_that_is_not_the_registered_one_is_not_run() {
    let server = Server::bare_dev(Release::Current);
    let client = server.client();
    client.write(
        "sys/plugins/catalog/secret/landfast",
        json!({"sha256": "ab".repeat(32), "command": PLUGIN_NAME, "version": VERSION}),
    );
    let reply = client.write("sys/mounts/pki", json!({"type": PLUGIN_NAME}));
    assert_eq!(reply.status, 400, "{:?}", reply.errors());
    assert!(server.plugins().is_empty());
}

#[test]
fn the_server_has_help_and_an_openapi_document_for_every_path() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let root = client.read("pki?help=1").ok();
    let paths = root.body["openapi"]["paths"]
        .as_object()
        .expect("an OpenAPI document");
    for path in [
        "/roles/{name}",
        "/issue/{role}",
        "/trust-anchor",
        "/cert/{serial}",
    ] {
        assert!(
            paths.contains_key(path),
            "{path} is not in {:?}",
            paths.keys()
        );
    }
    let role = client.read("pki/roles/example?help=1").ok();
    assert!(
        role.body["help"]
            .as_str()
            .is_some_and(|text| text.contains("allowed_domains"))
    );
    // The form of the web console takes the first entry.
    let first = role.body["openapi"]["paths"]
        .as_object()
        .and_then(|paths| paths.values().next())
        .expect("one path");
    assert!(first["post"]["requestBody"].is_object(), "{first}");
    let whole = client.read("sys/internal/specs/openapi").ok();
    assert!(whole.body["paths"]["/pki/roles/{name}"].is_object());
}
