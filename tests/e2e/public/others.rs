//! Clients of other libraries, which find the front in the certificates: Java's validation, GnuTLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::front::file;
use super::*;
use crate::support::tools;

/// A front whose addresses stand in what both mounts issue from now on.
fn named(server: &Server) -> Front {
    let front = Front::start(&config(server.address()));
    let output = server
        .landfast()
        .args([
            "public",
            "--suggest-urls",
            "--json",
            "--url",
            &front.addresses[0],
            "--config",
        ])
        .arg(front.dir().join("public.json"))
        .output()
        .expect("the binary under test runs");
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for one in all.as_array().expect("a list") {
        let path = one["path"].as_str().expect("a path");
        server.client().write(path, one["data"].clone()).ok();
    }
    front
}

/// The files of a root, of a good certificate below it, and of a revoked one.
fn files(server: &Server, front: &Front, mount: &str) -> [PathBuf; 3] {
    let ca = front.curl(&format!("/{mount}/ca/pem"), &[]);
    let (good, _) = issue(&server.client(), mount);
    let (bad, serial) = issue(&server.client(), mount);
    revoke(&server.client(), mount, &serial);
    [
        ("root.pem", body(&ca)),
        ("good.pem", good.as_bytes()),
        ("bad.pem", bad.as_bytes()),
    ]
    .map(|(name, text)| file(front, &format!("{mount}-{name}"), text))
}

#[test]
fn java_validates_chains_that_name_it_by_list_and_by_ocsp() {
    for release in [Release::Current, Release::Previous] {
        let server = server(release);
        let front = named(&server);
        for (mount, _) in MOUNTS {
            let [root, good, bad] = files(&server, &front, mount);
            let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/public/Pkix.java");
            for (leaf, wanted) in [(good, ": valid"), (bad, ": REVOKED ")] {
                let output = Command::new("java")
                    .arg(&program)
                    .args([&root, &leaf])
                    .output();
                let output = output.unwrap_or_else(|error| {
                    panic!("java: {error}: install it (Debian: default-jdk-headless)")
                });
                let said = String::from_utf8_lossy(&output.stdout);
                for way in ["crl", "ocsp"] {
                    let errors = String::from_utf8_lossy(&output.stderr);
                    let asked = format!("{way}{wanted}");
                    assert!(
                        said.contains(&asked),
                        "{release:?} {mount} {asked}: {said}{errors}"
                    );
                }
            }
        }
        // It came here for all of it, and nowhere else.
        crate::support::until("the lines", std::time::Duration::from_secs(20), || {
            let lines = front.audit();
            let from = |operation: &str| {
                lines
                    .iter()
                    .filter(|line| line["operation"] == operation && line["status"] == 200)
                    .count()
            };
            (from("ocsp") >= 4 && from("crl") >= 2).then_some(())
        });
    }
}

#[test]
fn gnutls_asks_by_post_and_believes_the_answer() {
    let server = server(Release::Current);
    let front = named(&server);
    let folder = tools().join("gnutls");
    let own = folder.join("usr/bin/ocsptool");
    for (mount, _) in MOUNTS {
        let [root, good, bad] = files(&server, &front, mount);
        for (leaf, wanted) in [(good, "good"), (bad, "revoked")] {
            for nonce in ["--nonce", "--no-nonce"] {
                let program = if own.exists() {
                    own.as_path()
                } else {
                    Path::new("ocsptool")
                };
                let output = Command::new(program)
                    .env("LD_LIBRARY_PATH", folder.join("usr/lib/x86_64-linux-gnu"))
                    .arg(format!("--ask={}", front.url(&format!("/{mount}/ocsp"))))
                    .arg(nonce)
                    .arg("--load-cert")
                    .arg(&leaf)
                    .arg("--load-issuer")
                    .arg(&root)
                    .arg("--load-trust")
                    .arg(&root)
                    .output()
                    .unwrap_or_else(|error| panic!("ocsptool: {error}: run `make tools`"));
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said);
                let status = format!("Certificate Status: {wanted}");
                assert!(said.contains(&status), "{mount} {nonce}: {said}");
                if nonce == "--no-nonce" {
                    assert!(
                        said.contains("Verifying OCSP Response: Success"),
                        "{mount}: {said}"
                    );
                }
            }
        }
    }
}
