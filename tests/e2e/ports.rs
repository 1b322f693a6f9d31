//! The example plugin: its own tests, and its life on real servers.

use serde_json::json;

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
        &json!({ "first": 7000, "last": 7001, "ttl": 3600 })
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

fn its_paths_are_in_the_servers_openapi_document(release: Release) {
    let server = serving(release);
    let document = server.client().read("sys/internal/specs/openapi").body;
    let range = &document["paths"]["/ports/range"];
    assert_eq!(range["get"]["operationId"], "ports-read-range");
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
}
