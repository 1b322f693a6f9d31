//! The pages on the seal and on the keys of CAs.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::on;
use crate::seal::stand_in::Ministack;
use crate::support::{PLUGIN_NAME, Page, Release, Server, free_port, ran, replaced};

/// Credentials of AWS's, and the stand-in as its endpoint.
fn with_aws<'a>(command: &'a mut Command, kms: &Ministack) -> &'a mut Command {
    command
        .env("AWS_ENDPOINT_URL_KMS", &kms.url)
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
}

#[test]
fn auto_unseal_md() {
    let kms = Ministack::start();
    let sum = Command::new("sha256sum")
        .arg(env!("CARGO_BIN_EXE_landfast"))
        .output();
    let sum = String::from_utf8(sum.expect("sha256sum runs").stdout).expect("text");
    let sum = sum.split_whitespace().next().expect("a sum");
    let stanza = format!(
        "plugin \"kms\" \"awskms\" {{\n  command = {PLUGIN_NAME:?}\n  sha256sum = {sum:?}\n}}\n"
    );
    let server = Server::raft(Release::Current, &stanza);
    let dir = tempfile::tempdir().expect("a folder");
    // Somebody else may listen on the page's ports.
    let ports = ["8210", "8211", "8300"].map(|port| (port, free_port().to_string()));
    let ports = ports.each_ref().map(|(old, new)| (*old, new.as_str()));
    let script = replaced(&Page::read("docs/auto-unseal.md").script(), &ports);
    let (printed, said) = ran(with_aws(&mut on(&server, &script, dir.path()), &kms));
    for part in [
        "the same came back",
        "Seal Type                landfast-local\nSealed                   false\n",
        "core/hsm/barrier-unseal-keys",
        "BEGIN CERTIFICATE",
        "Seal Type                transit\nSealed                   false\n",
        "trial encrypt transit/unseal 200\n",
        "trial decrypt transit/unseal 200\n",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
}

#[test]
fn ca_keys_md() {
    let kms = Ministack::start();
    let keys = tempfile::tempdir().expect("a folder");
    let server = Server::dev_with(&[("LANDFAST_KEY_DIRECTORY", keys.path().as_os_str() as &OsStr)]);
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let root = json!({"common_name": "First", "key_type": "ec", "ttl": "8760h"});
    client.write("pki/root/generate/internal", root).ok();
    let dir = tempfile::tempdir().expect("a folder");
    let access = format!(
        "pki/config/kms region=eu-central-1 endpoint={} access_key=AKIAEXAMPLE secret_key=secret",
        kms.url
    );
    let folder = keys.path().to_str().expect("a temporary path is text");
    let script = replaced(
        &Page::read("docs/ca-keys.md").script(),
        &[
            ("pki/config/kms region=eu-central-1", &access),
            ("/etc/landfast/keys", folder),
        ],
    );
    let (printed, said) = ran(with_aws(&mut on(&server, &script, dir.path()), &kms));
    assert!(printed.contains("BEGIN CERTIFICATE"), "{printed}\n{said}");
    assert!(printed.contains("kms_key_id"), "{printed}\n{said}");
    assert!(Path::new(folder).join("ca").is_file());
    // The first key is sealed, by the file in the end.
    let status = client.read("pki/seal/status").ok();
    assert_eq!(status.data()["keys_sealed"], 1, "{}", status.body);
    assert!(fs::read_dir(dir.path()).is_ok_and(|mut found| found.next().is_some()));
}
