//! `landfast unseal check` and `inspect`: what they tell of stanzas and of the storage of real servers.

use std::process::Command;

use serde_json::Value;

use super::fake_aws::{ACCESS_KEY, REGION, UNSEAL_KEY, arn};
use super::host::{Host, fake, seal};
use crate::support::Release;

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");

/// Runs `landfast unseal` without an environment: its exit code and all that it said.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(BINARY)
        .env_clear()
        .arg("unseal")
        .args(arguments)
        .output()
        .expect("the binary under test runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), said)
}

#[test]
fn the_tools_tell_what_a_stanza_and_a_storage_are_worth() {
    let fake = fake();
    let mut host = Host::new();
    let stanza = seal(&fake, "");
    host.start(Release::Current, &(host.plugin("") + &stanza));
    host.init();
    host.stop();
    let path = |name: &str| host.dir().join(name).display().to_string();
    let (code, said) = run(&["inspect", &path("raft")]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches(&arn(REGION, UNSEAL_KEY)).count(), 2, "{said}");
    assert!(said.contains("seal type        awskms"), "{said}");

    let (code, said) = run(&["check", "--config", &path("server.hcl")]);
    assert!(
        code == Some(0) && said.contains("the same came back"),
        "{said}"
    );
    fake.deny(ACCESS_KEY, "Decrypt");
    let (code, said) = run(&["check", "--config", &path("server.hcl")]);
    assert!(
        code == Some(1) && said.contains("allow kms:Decrypt"),
        "{said}"
    );
    let (code, _) = run(&[
        "check",
        "--config",
        &path("server.hcl"),
        "endpoint=http://127.0.0.1:1",
    ]);
    assert_eq!(code, Some(3));
    let (code, said) = run(&["check", "kms_key_id=alias/x", "region=Nowhere!"]);
    assert!(code == Some(2) && !said.contains("secret_key"), "{said}");

    let key = path("local.key");
    assert_eq!(run(&["init-key", &key]).0, Some(0));
    assert_eq!(
        run(&["init-key", &key]).0,
        Some(1),
        "an existing file stays"
    );
}

#[test]
fn a_dry_run_needs_no_file_and_tries_key_files_too() {
    let fake = fake();
    let (url, folder) = (fake.url(), tempfile::tempdir().expect("a folder"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "secret\n").expect("a file of ours");
    let check = |secret: &str| {
        run(&[
            "check",
            "kms_key_id=alias/bao-unseal",
            &format!("region={REGION}"),
            &format!("endpoint={url}"),
            &format!("access_key={ACCESS_KEY}"),
            secret,
        ])
    };
    let (code, said) = check(&format!("secret_key=file://{}", secret.display()));
    assert!(
        code == Some(0) && said.contains("the same came back"),
        "{said}"
    );
    fake.take_operations();
    for key in ["secret_key", "session_token"] {
        let (code, said) = check(&format!("{key}=hunter2"));
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(&format!("{key}=file:///PATH")) && !said.contains("hunter2"),
            "{said}"
        );
    }
    assert!(fake.take_operations().is_empty(), "nothing was called");
    let key = folder.path().join("key").display().to_string();
    let (code, said) = run(&["check", &format!("local_key_file={key}")]);
    assert!(code == Some(2) && said.contains("No such file"), "{said}");
    assert_eq!(run(&["init-key", &key]).0, Some(0));
    let (code, said) = run(&["check", &format!("local_key_file={key}")]);
    assert!(
        code == Some(0) && said.contains("local:") && said.contains("the same came back"),
        "{said}"
    );
}

#[test]
fn exit_codes_are_told_and_a_configuration_error_has_its_own() {
    for command in ["serve", "check", "inspect"] {
        let (code, said) = run(&[command, "--help"]);
        assert!(
            code == Some(0) && said.contains("Exit codes:"),
            "{command}: {said}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json").display().to_string();
    assert_eq!(run(&["serve", "--config", &path]).0, Some(2), "no file");
    std::fs::write(&path, "{}").expect("a file of ours");
    assert_eq!(run(&["serve", "--config", &path]).0, Some(2), "no fields");
    let (code, said) = run(&["check", "--config", &path]);
    assert!(code == Some(2) && said.contains("no seal"), "{said}");
    let (code, said) = run(&["check", "--config", "/nowhere/server.hcl"]);
    assert!(
        code == Some(2) && said.contains("/nowhere/server.hcl"),
        "{said}"
    );
}

#[test]
fn files_that_everybody_may_read_are_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let name = vec!["localhost".to_owned()];
    let pair = rcgen::generate_simple_self_signed(name).expect("a certificate");
    std::fs::write(file("server.pem"), pair.cert.pem()).expect("a file of ours");
    std::fs::write(file("server.key"), pair.signing_key.serialize_pem()).expect("a file of ours");
    assert_eq!(run(&["init-key", &file("local.key")]).0, Some(0));
    // A port that is taken ends it when everything has been read.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let config = serde_json::json!({
        "listen": taken.local_addr().expect("bound"),
        "tls": {"certificate": file("server.pem"), "key": file("server.key")},
        "aws": {"region": "eu-central-1", "access_key": "AKIA", "secret_key": "hunter2"},
        "clients": {"berlin": {
            "tokens": [{"sha256": "0".repeat(64)}],
            "keys": {"transit/unseal": [{"local_key_file": file("local.key")}]},
        }},
    });
    std::fs::write(file("config.json"), config.to_string()).expect("a file of ours");
    let start = |mode| {
        for name in ["server.key", "config.json"] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(file(name), mode).expect("set");
        }
        let (code, said) = run(&["serve", "--config", &file("config.json")]);
        assert_eq!(code, Some(1), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    let said = start(0o644);
    for wanted in [
        format!("chmod o= {}", file("server.key")),
        format!("chmod o= {}", file("config.json")),
        "holds the server's private key".to_owned(),
        "holds AWS credentials".to_owned(),
    ] {
        assert!(said.contains(&wanted), "{wanted}: {said}");
    }
    let said = start(0o640);
    assert!(!said.contains("chmod"), "{said}");
}

/// A reader that has seen enough, such as `head`.
#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("core")).expect("a folder");
    let folder = folder.path().display().to_string();
    for arguments in [
        &["token"] as &[&str],
        &["check", "kms_key_id=alias/x", "region=Nowhere!"],
        &["check", "--json", "kms_key_id=alias/x", "region=Nowhere!"],
        &["inspect", &folder],
        &["inspect", "--json", &folder],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(BINARY)
            .env_clear()
            .arg("unseal")
            .args(arguments)
            .stdout(writer)
            .output()
            .expect("the binary under test runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = if arguments[0] == "check" { 2 } else { 0 };
        assert!(
            output.status.code() == Some(wanted) && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn key_shares_and_snapshots_are_told_for_what_they_are() {
    let mut host = Host::new();
    host.start(Release::Current, "");
    host.init_shamir();
    host.stop();
    let path = |name: &str| host.dir().join(name).display().to_string();
    let (code, said) = run(&["inspect", &path("raft")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("seal type        shamir")
            && said.contains("the key shares of its operators")
            && said.contains("no key service opens this server")
            && !said.contains("encrypted by the key service itself"),
        "{said}"
    );

    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    let snapshot = host.dir().join("snapshot").display().to_string();
    host.curl(&["--output", &snapshot]);
    let (code, said) = run(&["inspect", &snapshot]);
    assert!(
        code == Some(1) && said.contains("raft snapshot") && said.contains("restored"),
        "{said}"
    );
}

#[test]
fn file_storage_of_the_previous_release_is_read() {
    let fake = fake();
    let mut host = Host::on_files();
    host.start(Release::Previous, &seal(&fake, ""));
    host.init();
    host.stop();
    let path = host.dir().join("file").display().to_string();
    let (code, said) = run(&["inspect", &path]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("seal type        awskms") && said.contains("recovery type    shamir"),
        "{said}"
    );
    let key = arn(REGION, UNSEAL_KEY);
    assert_eq!(said.matches(&key).count(), 2, "{said}");
    let (_, said) = run(&["inspect", "--json", &path]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told["entries"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(told["entries"][0]["key_id"], key.as_str());
    assert_eq!(told["entries"][0]["layout"], "envelope");

    // The same by the plugin, and with key shares.
    let mut host = Host::on_files();
    host.start(Release::Previous, "");
    host.init_shamir();
    host.stop();
    let (code, said) = run(&["inspect", &host.dir().join("file").display().to_string()]);
    assert!(
        code == Some(0) && said.contains("the key shares of its operators"),
        "{said}"
    );
}
