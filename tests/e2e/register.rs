//! What `landfast register` prints is what a server takes.

use serde_json::{Value, json};

use crate::support::{PLUGIN_NAME, Release, Server};

fn printed(server: &Server, arguments: &[&str]) -> Value {
    let output = server
        .landfast()
        .arg("register")
        .arg("--json")
        .args(arguments)
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

#[test]
fn the_api_request_registers_this_very_file() {
    let server = Server::bare_dev(Release::Current);
    let printed = printed(&server, &["--server", "openbao", "--name", "landfast"]);
    assert_eq!(printed["sha256"], json!(server.sha256()));

    let api = &printed["entries"][0]["api"];
    let path = api["path"].as_str().expect("a path");
    let client = server.client();
    client.call("PUT", path, Some(api["body"].clone())).ok();

    let entry = client
        .read(&format!(
            "{path}?version={}",
            printed["version"].as_str().expect("a version")
        ))
        .ok();
    assert_eq!(entry.text("sha256"), server.sha256());
    assert_eq!(entry.text("command"), PLUGIN_NAME);
}

#[test]
fn usage_errors_and_unreachable_servers_have_their_own_exit_codes() {
    let server = Server::bare_dev(Release::Current);
    let code = |arguments: &[&str]| {
        server
            .landfast()
            .args(arguments)
            .output()
            .expect("the binary under test runs")
            .status
            .code()
    };
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["register", "--name", "transit"]), Some(2));
}
