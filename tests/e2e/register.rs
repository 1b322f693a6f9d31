//! What `landfast register` prints is what a server takes.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{PLUGIN_NAME, Release, Server};

fn printed(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args(["register", "--json"])
        .args(arguments)
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

/// Runs a printed line in a shell that finds the server's client under its own name.
fn run(server: &Server, line: &Value) {
    let line = line.as_str().expect("a command is text");
    let bin = server.dir().join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).expect("a fresh folder");
        let name = Release::Current.program().command();
        symlink(Release::Current.binary(), bin.join(name)).expect("a fresh folder");
    }
    let client = server.client();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-ec", line])
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", server.dir())
        .env("BAO_ADDR", client.address())
        .env("BAO_TOKEN", client.token())
        .env("VAULT_ADDR", client.address())
        .env("VAULT_TOKEN", client.token())
        .stdin(Stdio::null())
        .output()
        .expect("a shell runs");
    assert!(output.status.success(), "{line}: {output:?}");
}

fn running(server: &Server, mount: &str) -> String {
    server
        .client()
        .read(&format!("sys/mounts/{mount}"))
        .ok()
        .text("running_plugin_version")
}

#[test]
fn the_api_request_registers_this_very_file() {
    let server = Server::bare_dev(Release::Current);
    let program = Release::Current.program().name();
    let printed = printed(&["--server", program, "--name", "landfast"]);
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
fn the_commands_register_and_mount() {
    let server = Server::bare_dev(Release::Current);
    let program = Release::Current.program().name();
    let printed = printed(&[
        "--server", program, "--name", "landfast", "--mount", "nodes",
    ]);
    let entry = &printed["entries"][0];
    run(&server, &entry["register"]);
    run(&server, &entry["enable"]);
    assert_eq!(json!(running(&server, "nodes")), printed["version"]);
}

#[test]
fn the_commands_take_a_mount_of_the_built_in_over() {
    let server = Server::bare_dev(Release::Current);
    server.mount("pki", "pki");
    let client = server.client();
    client
        .write(
            "pki/root/generate/internal",
            json!({"common_name": "Root", "key_type": "ec"}),
        )
        .ok();
    let program = Release::Current.program().name();
    let printed = printed(&["--server", program, "--name", "pki"]);
    assert_ne!(json!(running(&server, "pki")), printed["version"]);
    let entry = &printed["entries"][0];
    run(&server, &entry["register"]);
    for line in entry["take_over"].as_array().expect("commands") {
        run(&server, line);
    }
    assert_eq!(json!(running(&server, "pki")), printed["version"]);
    client.read("pki/issuer/default").ok();
}

#[test]
fn the_stanza_registers_at_every_start() {
    let printed = printed(&["--server", "openbao", "--name", "landfast"]);
    let stanza = printed["entries"][0]["stanza"].as_str().expect("a stanza");
    let mut server = Server::raft(
        Release::Current,
        &format!("plugin_auto_register = true\n{stanza}"),
    );
    server.mount("pki", PLUGIN_NAME);
    assert_eq!(json!(running(&server, "pki")), printed["version"]);
    server.restart();
    assert_eq!(json!(running(&server, "pki")), printed["version"]);
    server.client().list("pki/roles").refused(404, "");
}

/// A server of 2.7 reads the stanza and asks for the image that it names; nobody answers there.
#[test]
fn the_stanza_by_image_names_what_the_server_fetches() {
    let printed = printed(&[
        "--server",
        "openbao",
        "--name",
        "landfast",
        "--image",
        "127.0.0.1:1/landfast",
    ]);
    let entry = &printed["entries"][0];
    let stanza = entry["image_stanza"].as_str().expect("a stanza");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = dir.path().join("server.hcl");
    std::fs::write(&config, stanza).expect("a fresh folder");
    let output = Command::new(Release::Current.binary())
        .args(["plugin", "init"])
        .arg(format!("-config={}", config.display()))
        .arg(format!("-directory={}", dir.path().display()))
        .output()
        .expect("the server's command runs");
    let said = format!("{output:?}");
    assert!(!output.status.success(), "{said}");
    let version = printed["version"].as_str().expect("a version");
    let reference = format!("reference=127.0.0.1:1/landfast:{version}");
    assert!(said.contains(&reference), "{reference}: {said}");
    assert!(said.contains("connection refused"), "{said}");
}

#[test]
fn commands_have_exit_codes() {
    let code = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_landfast"))
            .args(arguments)
            .output()
            .expect("the binary under test runs")
            .status
            .code()
    };
    assert_eq!(code(&["--version"]), Some(0));
    assert_eq!(code(&["register", "--help"]), Some(0));
    assert_eq!(code(&["register", "--name", "transit"]), Some(2));
    assert_eq!(code(&["nonsense"]), Some(2));
}

#[test]
fn a_command_stays_a_command_below_a_plugin() {
    for (cookie, value) in [
        (
            "VAULT_BACKEND_PLUGIN",
            "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
        ),
        ("OPENBAO_KMS_PLUGIN", "39704a18-7da7-4bda-9a2d-f7c488d70328"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .args(["register", "--json"])
            .env(cookie, value)
            .output()
            .expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("sha256"), "{text}");
    }
}
