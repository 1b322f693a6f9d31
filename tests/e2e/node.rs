//! A hybrid node's life: a real server signs its certificates, the lab stands
//! in for Roles Anywhere.

mod emitted;
mod inputs;
pub(crate) mod logins;
mod owners;
mod post_quantum;
mod trouble;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::sessions::exit_codes::in_help;
use crate::support::{Client, Openssl, PLUGIN_NAME, Release, Server, terminate, until};

pub(crate) const NODE: &str = "node-1";

/// A server with root, issuing intermediate, the nodes' role and an AppRole
/// for one node; and the empty directory of that node.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) client: Client,
    root: String,
    pub(crate) issuing: String,
    dir: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new(server: Server) -> Self {
        Self::with(server, &json!({"key_type": "ec"}))
    }

    /// The same with CAs whose keys are of this kind: `key_type`, and `key_bits` if not the usual ones.
    pub(crate) fn with(server: Server, kind: &Value) -> Self {
        let of_kind = |mut body: Value| {
            let kind = kind.as_object().expect("an object").clone();
            body.as_object_mut().expect("an object").extend(kind);
            body
        };
        let client = server.client();
        for mount in ["root", "pki"] {
            server.mount(mount, PLUGIN_NAME);
        }
        let root = client
            .write(
                "root/root/generate/internal",
                of_kind(json!({"common_name": "root of the nodes", "ttl": "87600h"})),
            )
            .ok()
            .text("certificate");
        let csr = client
            .write(
                "pki/intermediate/generate/internal",
                of_kind(json!({"common_name": "nodes"})),
            )
            .ok()
            .text("csr");
        let issuing = client
            .write(
                "root/root/sign-intermediate",
                json!({"csr": csr, "common_name": "nodes", "ttl": "43800h"}),
            )
            .ok()
            .text("certificate");
        client
            .write(
                "pki/intermediate/set-signed",
                json!({"certificate": format!("{issuing}\n{root}\n")}),
            )
            .ok();
        role(&client, "hybrid-node", json!({}));
        client
            .write(
                "sys/policies/acl/node",
                json!({"policy": "path \"pki/sign/*\" { capabilities = [\"update\"] }"}),
            )
            .ok();
        client
            .write("sys/auth/approle", json!({"type": "approle"}))
            .ok();
        let path = format!("auth/approle/role/{NODE}");
        client.write(&path, json!({"token_policies": "node"})).ok();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let id = client.read(&format!("{path}/role-id")).ok().text("role_id");
        fs::write(dir.path().join("role-id"), id + "\n").expect("a file in a fresh folder");
        let secret = client
            .write(&format!("{path}/secret-id"), json!({}))
            .ok()
            .text("secret_id");
        fs::write(dir.path().join("secret-id"), secret + "\n").expect("a file in a fresh folder");
        Self {
            server,
            client,
            root,
            issuing,
            dir,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn certificate(&self) -> String {
        fs::read_to_string(self.path("pki/server.pem")).expect("the certificate is there")
    }

    fn key(&self) -> String {
        fs::read_to_string(self.path("pki/server.key")).expect("the key is there")
    }

    /// A command on the node, which has no token but can log in by AppRole; it
    /// prints JSON.
    pub(crate) fn node(&self, command: &str) -> Command {
        let mut node = self.words(command);
        if command != "credential-process" {
            node.arg("--json");
        }
        node
    }

    /// The same in words.
    fn words(&self, command: &str) -> Command {
        let mut node = self.server.landfast();
        node.env_remove("VAULT_TOKEN")
            .env("HOME", self.dir.path())
            .arg(command)
            .arg("--certificate")
            .arg(self.path("pki/server.pem"))
            .arg("--private-key")
            .arg(self.path("pki/server.key"));
        if command != "credential-process" {
            node.args(["--auth", "approle"])
                .arg("--role-id-file")
                .arg(self.path("role-id"))
                .arg("--secret-id-file")
                .arg(self.path("secret-id"));
        }
        node
    }

    pub(crate) fn enroll(&self, arguments: &[&str]) -> Value {
        json_of(
            self.node("enroll")
                .args(["--node-name", NODE])
                .args(arguments),
        )
    }

    /// A session from the lab.
    pub(crate) fn session(&self, lab: &Lab) -> Output {
        self.node("credential-process")
            .args(["--endpoint", &lab.text("endpoint"), "--no-cache"])
            .args(["--trust-anchor-arn", &lab.text("trustAnchorArn")])
            .args(["--profile-arn", &lab.text("profileArn")])
            .args(["--role-arn", &lab.text("roleArn")])
            .args(["--role-session-name", NODE])
            .output()
            .expect("the binary under test runs")
    }
}

fn role(client: &Client, name: &str, more: Value) {
    let mut body = json!({
        "allowed_domains": NODE, "allow_bare_domains": true, "allow_localhost": false,
        "key_type": "any", "key_usage": "DigitalSignature", "server_flag": false,
        "ttl": "24h", "max_ttl": "72h",
    });
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    client.write(&format!("pki/roles/{name}"), body).ok();
}

/// `landfast lab` as a process of its own.
pub(crate) struct Lab {
    child: Child,
    ready: Value,
}

impl Lab {
    /// A lab whose trust anchor holds one certificate.
    pub(crate) fn start(site: &Site, anchor: &str) -> Self {
        let file = site.path("anchor.pem");
        fs::write(&file, anchor).expect("a file in our folder");
        let mut child = site
            .server
            .landfast()
            .args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor"])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary under test runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the lab says that it is ready");
        let ready = serde_json::from_str(&line);
        Self {
            ready: ready.unwrap_or_else(|error| panic!("{line}: {error}")),
            child,
        }
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.ready[field].as_str().expect("a text").to_owned()
    }

    /// A command of an operator, with the lab's key and endpoint.
    pub(crate) fn operator(&self, site: &Site, command: [&str; 2]) -> Command {
        let mut operator = site.server.landfast();
        operator
            .env("AWS_ACCESS_KEY_ID", self.text("accessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", self.text("secretAccessKey"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(command)
            .args(["--endpoint", &self.text("endpoint")])
            .args(["--trust-anchor-arn", &self.text("trustAnchorArn")]);
        operator
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

pub(crate) fn json_of(command: &mut Command) -> Value {
    let output = command.output().expect("the binary under test runs");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

/// The exit code and what was said, of a command that must fail.
fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().expect("the binary under test runs");
    assert!(!output.status.success(), "{}", said(&output));
    assert!(output.stdout.is_empty(), "{}", said(&output));
    (output.status.code().expect("an exit code"), said(&output))
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn an_empty_machine_becomes_a_node_until_it_is_revoked() {
    let site = Site::new(Server::dev());
    let first = site.enroll(&[]);
    assert_eq!(first["outcome"], "issued");
    assert_eq!(first["newKey"], true);
    assert_eq!(first["warnings"], json!([]));
    let mode = |name: &str| {
        let metadata = fs::metadata(site.path(name)).expect("the file is there");
        metadata.mode() & 0o777
    };
    assert_eq!(mode("pki/server.key"), 0o600);
    assert_eq!(mode("pki/server.pem"), 0o644);
    let due = first["renewalDue"].as_str().expect("a text");
    assert!(!due.contains('.'), "whole seconds: {due}");

    // Leaf, then the intermediate; the root is no business of the node.
    let file = site.certificate();
    assert_eq!(file.matches("BEGIN CERTIFICATE").count(), 2);
    let openssl = Openssl::new();
    openssl
        .verify(&file, &file, &site.root, None)
        .expect("the leaf chains to the root");
    let text = openssl.text("x509", &file);
    assert!(text.contains("Subject: CN = node-1"), "{text}");

    // Nothing to do: the files stay, and no server is asked.
    let kept =
        json_of(
            site.node("enroll")
                .args(["--node-name", NODE, "--address", "http://127.0.0.1:1"]),
        );
    assert_eq!(kept["outcome"], "kept");
    assert_eq!(kept["serialNumber"], first["serialNumber"]);
    assert_eq!(site.certificate(), file);

    let lab = Lab::start(&site, &site.issuing);
    let session = site.session(&lab);
    assert!(session.status.success(), "{}", said(&session));
    let credentials: Value = serde_json::from_slice(&session.stdout).expect("JSON");
    assert_eq!(credentials["Version"], 1);
    assert!(credentials["SessionToken"].is_string());

    // What the server cut is told, in its words.
    let long = site.enroll(&["--rotate-key", "--ttl", "1000h"]);
    let told = &long["warnings"][0];
    assert_eq!(told["rule"], "SV-01", "{long}");
    assert!(
        told["problem"]
            .as_str()
            .is_some_and(|text| text.contains("maxTTL")),
        "{told}"
    );

    // A new key on request, of the same kind; the session still works.
    let key = site.key();
    let rotated = site.enroll(&["--rotate-key"]);
    assert_eq!(rotated["newKey"], true);
    assert_eq!(rotated["keyTypeChanged"], false);
    assert_ne!(site.key(), key);
    assert!(site.session(&lab).status.success());

    // Revoked in the engine, the CRL imported: refused, with the cause.
    site.client
        .write(
            "pki/revoke",
            json!({"serial_number": rotated["serialNumber"]}),
        )
        .ok();
    let synced = json_of(
        lab.operator(&site, ["crl", "sync"])
            .args(["--apply", "--json"]),
    );
    assert_eq!(synced["state"], "applied");
    let refused = site.session(&lab);
    assert_eq!(refused.status.code(), Some(1));
    let told = said(&refused);
    assert!(told.contains("Certificate revoked"), "{told}");
    assert!(told.contains("enrol it again"), "{told}");
    site.enroll(&["--rotate-key"]);
    assert!(site.session(&lab).status.success(), "a new start");

    a_root_alone_is_no_anchor_for_nodes(&site);
    failures_have_their_codes(&site);
}

/// Hybrid nodes send no chain, so the issuing CA must be in the anchor; our
/// own client sends it, and gets through.
fn a_root_alone_is_no_anchor_for_nodes(site: &Site) {
    let lab = Lab::start(site, &site.root);
    let with_chain = site.session(&lab);
    assert!(with_chain.status.success(), "{}", said(&with_chain));
    let full = site.certificate();
    let end = full.find("-----END CERTIFICATE-----\n").expect("PEM") + 26;
    let alone = site.path("alone.pem");
    fs::write(&alone, &full[..end]).expect("a file in our folder");
    let output = site
        .server
        .landfast()
        .args(["credential-process", "--no-cache", "--certificate"])
        .arg(alone)
        .arg("--private-key")
        .arg(site.path("pki/server.key"))
        .args(["--endpoint", &lab.text("endpoint")])
        .args(["--trust-anchor-arn", &lab.text("trustAnchorArn")])
        .args(["--profile-arn", &lab.text("profileArn")])
        .args(["--role-arn", &lab.text("roleArn")])
        .output()
        .expect("the binary under test runs");
    let told = said(&output);
    assert!(told.contains("Untrusted signing certificate"), "{told}");
    assert!(
        told.contains("put the issuing CA into the anchor"),
        "{told}"
    );
}

fn failures_have_their_codes(site: &Site) {
    let file = site.certificate();
    let fails_as = |name: &str, arguments: &[&str]| {
        let mut node = site.node("enroll");
        node.args(["--rotate-key", "--node-name", name]);
        failure(node.args(arguments))
    };
    let fails = |arguments: &[&str]| fails_as(NODE, arguments);

    let (code, told) = fails(&["--address", "http://127.0.0.1:1"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("no answer from http://127.0.0.1:1"), "{told}");

    let (code, told) = fails_as("Node_1", &[]);
    assert_eq!(code, 2, "{told}");

    let (code, told) = fails(&["--key-type", "ec-384"]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("ec-521"), "{told}");

    let (code, told) = fails_as("node-2", &[]);
    assert_eq!(code, 4, "{told}");
    for part in ["not allowed by this role", "--node-name", "allowed_domains"] {
        assert!(told.contains(part), "{part}: {told}");
    }

    // Each end of the wrong scheme says which is right.
    let secure = site.server.address().replace("http://", "https://");
    let (code, told) = fails(&["--address", &secure]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("give its address as http://"), "{told}");

    let (code, told) = fails(&["--mount", "elsewhere"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("elsewhere/sign/hybrid-node"), "{told}");

    role(
        &site.client,
        "no-signature",
        json!({"key_usage": "KeyEncipherment"}),
    );
    let (code, told) = fails(&["--role", "no-signature"]);
    assert_eq!(code, 4, "{told}");
    assert!(
        told.contains("EE-02") && told.contains("key_usage"),
        "{told}"
    );

    fs::write(site.path("secret-id"), "wrong").expect("a file in our folder");
    let (code, told) = fails(&[]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("auth/approle/login"), "{told}");
    assert!(!told.contains("wrong"), "no secret is echoed: {told}");

    let mut without = site.server.landfast();
    let role_id = fs::read_to_string(site.path("role-id")).expect("it was written");
    without
        .env_remove("VAULT_TOKEN")
        .args(["enroll", "--node-name", "node-3"]);
    without.args(["--auth", "approle", "--role-id", role_id.trim()]);
    without
        .arg("--certificate")
        .arg(site.path("new/server.pem"));
    without
        .arg("--private-key")
        .arg(site.path("new/server.key"));
    let (code, told) = failure(&mut without);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("--secret-id-file"), "{told}");

    assert_eq!(site.certificate(), file, "a failure changes nothing");

    // All of them were had above, and the success before.
    for command in ["enroll", "renew"] {
        let codes: Vec<i32> = in_help(command).into_iter().collect();
        assert_eq!(codes, [0, 1, 2, 3, 4], "{command}");
    }
}

#[test]
fn renewal_keeps_the_key_and_listens_to_the_hook() {
    let site = Site::new(Server::dev());
    let renew = |arguments: &[&str]| {
        let mut node = site.node("renew");
        node.env(
            "PATH",
            format!("{}:/usr/bin:/bin", site.path("bin").display()),
        )
        .args(["--node-name", NODE])
        .args(arguments);
        node
    };
    // A machine without a certificate gets its first; then none is due.
    assert_eq!(json_of(&mut renew(&[]))["outcome"], "issued");
    assert_eq!(json_of(&mut renew(&[]))["outcome"], "kept");
    let (file, key) = (site.certificate(), site.key());

    let log = site.path("hook.log");
    let hook = format!("echo $LANDFAST_EVENT $LANDFAST_NEW_KEY >>{}", log.display());
    let renewed = json_of(&mut renew(&["--now", "--hook", &hook]));
    assert_eq!(renewed["newKey"], false);
    assert_ne!(site.certificate(), file);
    assert_eq!(site.key(), key);

    // A hook that says no: the former pair is back, and the hook is told.
    let file = site.certificate();
    let no = format!("{hook}; exit 7");
    for _ in 0..2 {
        let (code, told) = failure(&mut renew(&["--rotate-key", "--hook", &no]));
        assert_eq!(code, 1);
        assert!(told.contains("the former pair is back in place"), "{told}");
        assert_eq!(
            (site.certificate(), site.key()),
            (file.clone(), key.clone())
        );
    }
    let log = fs::read_to_string(log).expect("the hook ran");
    let lines: Vec<&str> = log.lines().collect();
    let refused = ["renewed true", "rolled-back true"];
    assert_eq!(lines, [&["renewed false"][..], &refused, &refused].concat());

    // Only another kind of key restarts AWS's helper.
    let systemctl = site.path("bin/systemctl");
    let calls = site.path("systemctl.log");
    fs::create_dir(site.path("bin")).expect("a fresh folder");
    let script = format!("#!/bin/sh\necho \"$@\" >>{}\n", calls.display());
    fs::write(&systemctl, script).expect("a file in a fresh folder");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&systemctl, executable).expect("our own file");
    json_of(&mut renew(&["--rotate-key"]));
    assert!(!calls.exists(), "the same kind of key");
    // The key that was given up is nowhere any more.
    let keys: Vec<String> = fs::read_dir(site.path("pki/.landfast"))
        .expect("the store of the pair")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.is_symlink())
        .map(|path| fs::read_to_string(path.join("server.key")).expect("a version has its key"))
        .collect();
    assert_eq!(keys, [site.key()]);
    let metrics = site.path("landfast.prom");
    let to = metrics.to_str().expect("a text");
    let changed = json_of(&mut renew(&[
        "--rotate-key",
        "--key-type",
        "rsa",
        "--textfile",
        to,
    ]));
    assert_eq!(changed["keyTypeChanged"], true);
    assert_eq!(changed["warnings"], json!([]));
    let calls = fs::read_to_string(calls).expect("systemctl was called");
    assert_eq!(calls, "try-restart aws_signing_helper_update.service\n");
    fs::write(&systemctl, "#!/bin/sh\nexit 5\n").expect("our own file");
    let changed = json_of(&mut renew(&["--rotate-key", "--key-type", "ec"]));
    let warning = &changed["warnings"][0];
    assert_eq!(warning["rule"], "RN-01", "{changed}");
    let problem = warning["problem"].as_str().expect("a text");
    assert!(problem.contains("exit status: 5"), "{problem}");
    let metrics = fs::read_to_string(metrics).expect("the metrics are there");
    assert!(
        metrics.contains("landfast_renewals_total{node=\"node-1\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn a_renewal_changes_neither_name_nor_kind_of_key_by_accident() {
    let site = Site::new(Server::dev());
    role(
        &site.client,
        "hybrid-node",
        json!({"allowed_domains": [NODE, "node-2"]}),
    );
    site.enroll(&[]);

    // The name is that of the certificate, not the host name.
    let renewed = json_of(site.node("renew").arg("--now"));
    assert_eq!(renewed["outcome"], "issued");
    assert_eq!(renewed["nodeName"], NODE);
    assert_eq!(renewed["warnings"], json!([]));

    // A kind of key that is not the kind in place.
    let file = site.certificate();
    for command in [&["enroll"][..], &["renew"], &["renew", "--now"]] {
        let mut node = site.node(command[0]);
        node.args(&command[1..])
            .args(["--node-name", NODE, "--key-type", "rsa"]);
        let (code, told) = failure(&mut node);
        assert_eq!(code, 2, "{command:?}: {told}");
        for part in ["P-256", "RSA 2048", "--rotate-key"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    assert_eq!(site.certificate(), file);
    let kept = site.enroll(&["--key-type", "ec"]);
    assert_eq!(kept["outcome"], "kept");
    assert_eq!(kept["warnings"], json!([]));

    // A key for all to read is told when it is kept.
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(site.path("pki/server.key"), open).expect("our own file");
    let kept = json_of(&mut site.node("renew"));
    assert_eq!(kept["outcome"], "kept");
    assert_eq!(kept["warnings"][0]["rule"], "EE-06", "{kept}");
    let renewed = json_of(site.node("renew").arg("--now"));
    assert_eq!(renewed["warnings"][0]["rule"], "EE-06", "{renewed}");
    let renewed = json_of(site.node("renew").arg("--now"));
    assert_eq!(renewed["warnings"], json!([]), "mended by the renewal");

    // So is a place where others can put another pair; nothing mends it but its owner.
    let directory = site.path("pki");
    let set = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&directory, mode).expect("our own folder");
    };
    set(0o777);
    for more in [&[][..], &["--now"]] {
        let told = json_of(site.node("renew").args(more));
        let problem = told["warnings"][0]["problem"].as_str().expect("a text");
        assert!(problem.contains("write to this directory"), "{told}");
    }
    let output = site
        .server
        .landfast()
        .args(["doctor", "--certificate"])
        .arg(site.path("pki/server.pem"))
        .arg("--private-key")
        .arg(site.path("pki/server.key"))
        .output()
        .expect("the binary under test runs");
    assert!(
        said(&output).contains("write to this directory"),
        "{}",
        said(&output)
    );
    set(0o755);

    // Another name on purpose is taken, and told.
    let other = json_of(site.node("renew").args(["--now", "--node-name", "node-2"]));
    assert_eq!(other["nodeName"], "node-2");
    assert_eq!(other["warnings"][0]["rule"], "EE-08", "{other}");
    let problem = other["warnings"][0]["problem"].as_str().expect("a text");
    assert!(
        problem.contains("node-1") && problem.contains("node-2"),
        "{problem}"
    );
}

#[test]
fn the_daemon_outlives_a_sealed_server_and_ends_when_told() {
    let site = Site::new(Server::dev());
    site.client.write("sys/seal", json!({})).ok();
    let (code, told) = failure(site.node("enroll").args(["--node-name", NODE]));
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("sealed"), "{told}");

    let socket = site.path("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket in our folder");
    // Read all the time: whoever writes to a full socket waits.
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        while let Ok(length) = manager.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if tell.send(text).is_err() {
                break;
            }
        }
    });
    let log = fs::File::create(site.path("daemon.log")).expect("a file in our folder");
    let mut node = site.server.landfast();
    let mut daemon = Daemon(
        node.env_remove("VAULT_TOKEN")
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "600000")
            .args(["renew", "--daemon", "--node-name", NODE])
            .args(["--auth", "approle", "--role-id-file"])
            .arg(site.path("role-id"))
            .arg("--secret-id-file")
            .arg(site.path("secret-id"))
            .arg("--certificate")
            .arg(site.path("pki/server.pem"))
            .arg("--private-key")
            .arg(site.path("pki/server.key"))
            .arg("--textfile")
            .arg(site.path("landfast.prom"))
            .stderr(log)
            .spawn()
            .expect("the binary under test runs"),
    );
    let limit = Duration::from_secs(20);
    let heard = |wanted: &str| {
        loop {
            let text = told.recv_timeout(limit).expect("the daemon tells");
            if text.contains(wanted) {
                return text;
            }
        }
    };
    assert!(heard("READY=1").contains("no usable certificate"));
    let metrics = || fs::read_to_string(site.path("landfast.prom")).unwrap_or_default();
    until("a failure in the metrics", limit, || {
        metrics()
            .contains("landfast_renewal_failures_in_a_row{node=\"node-1\"} 1\n")
            .then_some(())
    });
    assert!(!site.path("pki/server.pem").exists());

    // Back again: the daemon finds out by itself.
    site.server.unseal();
    until("a certificate", limit, || {
        site.path("pki/server.pem").exists().then_some(())
    });
    heard("certificate valid until");
    heard("WATCHDOG=1");
    let file = site.certificate();
    daemon.signal(Signal::HUP);
    until("a renewal at SIGHUP", limit, || {
        (site.certificate() != file).then_some(())
    });
    daemon.signal(Signal::TERM);
    heard("STOPPING=1");
    let status = daemon.0.wait().expect("our own child");
    assert!(status.success(), "{status}");
    let log = fs::read_to_string(site.path("daemon.log")).expect("the daemon's log");
    assert!(log.contains("sealed") && log.contains("renewed"), "{log}");
    assert!(metrics().contains("landfast_renewals_total{node=\"node-1\"} 2\n"));
}

/// A process that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).expect("an id");
        let id = Pid::from_raw(id).expect("not 0");
        kill_process(id, signal).expect("our own child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        terminate(&mut self.0);
    }
}

#[test]
fn a_wrapped_token_is_good_for_one_node() {
    let site = Site::new(Server::dev());
    let wrapped = site
        .server
        .cli()
        .args(["token", "create", "-policy=node", "-ttl=5m"])
        .args(["-wrap-ttl=60s", "-field=wrapping_token"])
        .output()
        .expect("the server's command runs");
    assert!(wrapped.status.success(), "{}", said(&wrapped));
    let token = String::from_utf8(wrapped.stdout).expect("a token is text");
    let token = token.trim();
    fs::write(site.path("wrapped"), token).expect("a file in our folder");
    let enroll = || {
        let mut command = site.server.landfast();
        command
            .env_remove("VAULT_TOKEN")
            .args(["enroll", "--json", "--rotate-key", "--auth", "wrapped"])
            .args(["--node-name", NODE, "--key-type", "rsa", "--token-file"])
            .arg(site.path("wrapped"))
            .arg("--certificate")
            .arg(site.path("pki/server.pem"))
            .arg("--private-key")
            .arg(site.path("pki/server.key"));
        command
    };
    assert_eq!(json_of(&mut enroll())["outcome"], "issued");
    let openssl = Openssl::new();
    let bits = |file: &str| openssl.text("x509", file).contains("2048 bit");
    assert!(bits(&site.certificate()));

    let (code, told) = failure(&mut enroll());
    assert_eq!(code, 1);
    assert!(told.contains("works once"), "{told}");
    assert!(!told.contains(token), "{told}");

    // A new key without a word about its kind is an RSA key again.
    assert_eq!(site.enroll(&["--rotate-key"])["keyTypeChanged"], false);
    assert!(bits(&site.certificate()));
    let changed = site.enroll(&["--rotate-key", "--key-type", "ec"]);
    assert_eq!(changed["keyTypeChanged"], true);
}
