//! The example plugin: its own tests, and its life on real servers.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Client, Release, Server, on_both_releases};

#[path = "../../examples/ports/main.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod plugin;

/// A server with the example registered and enabled as `ports`.
fn serving(release: Release) -> Server {
    let server = Server::bare_dev(release);
    server.register_example("secret", "ports");
    server.mount("ports", "ports");
    server
}

fn lease(client: &Client) -> (u64, String) {
    let reply = client.write("ports/lease", json!({})).ok();
    let port = reply.data()["port"].as_u64().expect("a port");
    (
        port,
        reply.body["lease_id"].as_str().expect("a lease").to_owned(),
    )
}

fn a_port_lives_and_dies_with_its_lease(release: Release) {
    let server = serving(release);
    let client = server.client();
    // Texts and unknown fields, as command-line clients send them.
    let range = json!({ "first": "7000", "last": 7001, "ttl": "1h" });
    client.write("ports/range", range).ok();
    let read = client.call("GET", "ports/range?color=red", None).ok();
    assert_eq!(
        read.data(),
        &json!({ "first": 7000, "last": 7001, "ttl": 3600, "labels": {} })
    );
    assert_eq!(
        read.warnings(),
        ["Endpoint ignored these unrecognized parameters: [color]"]
    );

    let (first, id) = lease(&client);
    let (second, _) = lease(&client);
    assert_eq!((first, second), (7000, 7001));
    client
        .write("ports/lease", json!({}))
        .refused(400, "no port is free");
    let renewal = json!({ "lease_id": id, "increment": "20m" });
    let renewed = client.write("sys/leases/renew", renewal).ok();
    assert_eq!(renewed.body["lease_duration"], 1200);
    assert_eq!(renewed.body["renewable"], true);
    client
        .write("sys/leases/revoke", json!({ "lease_id": id, "sync": true }))
        .ok();
    assert_eq!(lease(&client).0, 7000);
}

fn what_it_refuses_has_the_status_of_a_built_in_engine(release: Release) {
    let server = serving(release);
    let client = server.client();
    client
        .read("ports/nothing")
        .refused(404, "unsupported path");
    client
        .delete("ports/range")
        .refused(405, "unsupported operation");
    client.list("ports/range").refused(404, "unsupported path");
    client.read("ports/range/").refused(404, "unsupported path");
    client
        .write("ports/lease", json!({}))
        .refused(400, "no range of ports yet");
    let zero = json!({ "first": "x", "last": 1 });
    client
        .write("ports/range", zero)
        .refused(400, "error converting input for field \"first\"");
}

/// What the command line prints when it patches the range.
fn patch_by_cli(server: &Server, input: &str, arguments: &[&str]) -> String {
    let mut command = server.cli();
    command.args(["patch", "ports/range"]).args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    format!("{} {text}", output.status.code().unwrap_or(-1))
}

/// The status that curl gets for a merge patch of the range, and the body.
fn patch_by_curl(server: &Server, patch: &Value) -> (String, String) {
    let output = Command::new("curl")
        .args(["-sS", "-X", "PATCH", "-w", "\n%{http_code}"])
        .args(["-H", "X-Vault-Token: root"])
        .args(["-H", "Content-Type: application/merge-patch+json"])
        .args(["-d", &patch.to_string()])
        .arg(format!("{}/v1/ports/range", server.address()))
        .output()
        .expect("curl runs");
    let text = String::from_utf8(output.stdout).expect("a text");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.to_owned(), body.to_owned())
}

fn a_patch_changes_what_it_names(release: Release) {
    let server = serving(release);
    let client = server.client();
    let range = json!({ "first": 7000, "last": 7009, "ttl": "1h", "labels": { "site": "a" } });
    client.write("ports/range", range).ok();
    let kept = |ttl: u64, labels: Value| {
        let read = client.read("ports/range").ok();
        let wanted = json!({ "first": 7000, "last": 7009, "ttl": ttl, "labels": labels });
        assert_eq!(read.data(), &wanted);
    };
    // Pairs, as the command line has them.
    let pairs = ["ttl=2h", "labels=team=web", "labels=floor=2"];
    let printed = patch_by_cli(&server, "", &pairs);
    assert!(printed.starts_with("0 Success!"), "{printed}");
    kept(7200, json!({ "site": "a", "team": "web", "floor": "2" }));
    // JSON, which the command line reads from its input.
    let input = r#"{ "ttl": null, "labels": { "site": null, "team": "db" } }"#;
    let printed = patch_by_cli(&server, input, &["-"]);
    assert!(printed.starts_with("0 Success!"), "{printed}");
    kept(0, json!({ "team": "db", "floor": "2" }));
    // The text is none.
    let printed = patch_by_cli(&server, "", &["ttl=null"]);
    assert!(
        printed.contains("error converting input for field"),
        "{printed}"
    );

    let done = ("204".to_owned(), String::new());
    let patch = json!({ "lease_ttl": 60, "labels": { "floor": null } });
    assert_eq!(patch_by_curl(&server, &patch), done);
    kept(60, json!({ "team": "db" }));
    assert_eq!(patch_by_curl(&server, &json!({ "labels": null })), done);
    kept(60, json!({}));
    let (status, body) = patch_by_curl(&server, &json!({ "last": null }));
    assert_eq!(status, "400");
    assert!(body.contains("missing required field"), "{body}");
    kept(60, json!({}));
}

fn an_alias_is_not_told_as_ignored(release: Release) {
    let server = serving(release);
    let range = json!({ "first": 1, "last": 2, "lease_ttl": "1m", "colour": "red" });
    server.client().write("ports/range", range).ok();
    // An answer of nothing carries no warnings.
    let lease = server.client().write("ports/lease", json!({})).ok();
    assert_eq!(lease.body["lease_duration"], 60);
    let read = |query: &str| {
        let path = format!("ports/range?{query}");
        server.client().call("GET", &path, None).ok()
    };
    assert!(read("lease_ttl=1m").warnings().is_empty());
    assert_eq!(
        read("colour=red").warnings(),
        ["Endpoint ignored these unrecognized parameters: [colour]"]
    );
}

fn its_paths_are_in_the_servers_openapi_document(release: Release) {
    let server = serving(release);
    let document = server.client().read("sys/internal/specs/openapi").body;
    let range = &document["paths"]["/ports/range"];
    assert_eq!(range["get"]["operationId"], "ports-read-range");
    let answer = |path: &str, verb: &str| {
        let responses = &document["paths"][path][verb]["responses"];
        responses["200"]["content"]["application/json"]["schema"].clone()
    };
    let number = |text: &str| json!({ "type": "integer", "description": text });
    let held = json!({ "type": "object", "required": ["port"],
        "properties": { "port": number("The port, yours until its lease ends.") } });
    assert_eq!(answer("/ports/lease", "post"), held);
    let shown = answer("/ports/range", "get");
    assert_eq!(
        shown["properties"]["first"],
        number("First port that may be leased.")
    );
    assert_eq!(shown["properties"]["labels"]["format"], "kvpairs");
    let nothing = json!({ "204": { "description": "empty body" } });
    assert_eq!(range["post"]["responses"], nothing);
    assert_eq!(range["patch"]["responses"], nothing);
    let patch = &range["patch"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(patch["properties"]["ttl"]["format"], "seconds");
    assert!(patch.get("required").is_none(), "{patch}");
    let schema = &range["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(schema["properties"]["ttl"]["format"], "seconds");
    assert_eq!(schema["required"], json!(["first", "last"]));
    let help = server.client().read("ports/range?help=1").body;
    assert!(help["openapi"]["paths"]["/range"]["get"].is_object());
}

on_both_releases! {
    a_port_lives_and_dies_with_its_lease
    what_it_refuses_has_the_status_of_a_built_in_engine
    its_paths_are_in_the_servers_openapi_document
    a_patch_changes_what_it_names
    an_alias_is_not_told_as_ignored
}
