//! `landfast public` with EST, in front of a server with both engines.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Openssl, PLUGIN_NAME, Release, Server, free_port, terminate, until};

/// The built-in engine and ours. A label is named as its mount.
pub(super) const MOUNTS: [&str; 2] = ["builtin", "landfst"];

/// A server whose second listener takes certificates that a proxy forwards, and EST in front of it.
pub(super) struct Front {
    pub(super) server: Server,
    pub(super) files: Openssl,
    pub(super) port: u16,
    /// The certificates of both authorities.
    pub(super) roots: String,
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Front {
    /// Devices log in by `userpass` or by a certificate; a role of each mount lets them have their own names.
    /// Paths without a label mean our mount in front of the current release, and the built-in one in front of the other: strongSwan knows no labels.
    pub(super) fn new(release: Release) -> Self {
        let trusted = free_port();
        let server = Server::raft(release, &listener(trusted));
        server.register(PLUGIN_NAME, "");
        let files = Openssl::new();
        let client = server.client();
        prepare(&client);
        let mut roots = String::new();
        for (mount, kind) in MOUNTS.into_iter().zip(["pki", PLUGIN_NAME]) {
            server.mount(mount, kind);
            roots.push_str(&authority(&client, mount));
            roots.push('\n');
        }
        files.file("roots.pem", &roots);
        for mount in MOUNTS {
            let body = json!({"certificate": roots, "token_policies": "est", "token_ttl": "1m"});
            client.write(&format!("auth/cert/certs/{mount}"), body).ok();
        }
        client
            .write(
                "builtin/roles/front",
                json!({"allow_localhost": true, "key_type": "ec"}),
            )
            .ok();
        let own = json!({"common_name": "localhost", "ip_sans": "127.0.0.1", "ttl": "24h"});
        let own = client.write("builtin/issue/front", own).ok();
        let certificate = files.file("front.pem", own.text("certificate"));
        let key = files.file("front.key", own.text("private_key"));
        let default = MOUNTS[usize::from(release == Release::Current)];
        let mut config = config(
            trusted,
            &certificate,
            &key,
            &files.file("roots.pem", &roots),
        );
        config["est"]["default_label"] = json!(default);
        let config = files.file("public.json", config.to_string());
        let (child, port, said) =
            start(server.landfast().arg("public").arg("--config").arg(config));
        Self {
            server,
            files,
            port,
            roots,
            child,
            said,
        }
    }

    /// What it wrote, the lines of its audit log among them.
    pub(super) fn said(&self) -> String {
        self.said.lock().expect("no panic under the lock").clone()
    }

    /// The authorities that clients trust.
    pub(super) fn roots_file(&self) -> PathBuf {
        self.files.file("roots.pem", &self.roots)
    }

    /// What the server's audit log says of requests to a path.
    pub(super) fn audited(&self, path: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.server.dir().join("audit.log")).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["type"] == "response" && line["request"]["path"] == path)
            .collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- landfast public ---\n{}", self.said());
        }
        terminate(&mut self.child);
    }
}

/// A listener for the front server alone, and a log of who asked what.
fn listener(port: u16) -> String {
    format!(
        "audit \"file\" \"file\" {{\n  options = {{\n    file_path = \"audit.log\"\n  }}\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n\
           x_forwarded_for_authorized_addrs = [\"127.0.0.1\"]\n\
           x_forwarded_for_reject_not_present = false\n\
           x_forwarded_for_client_cert_header = \"Client-Cert\"\n\
           x_forwarded_for_client_cert_decoders = [\"RFC9440\"]\n}}\n"
    )
}

/// Logins, and the policy for all of them.
fn prepare(client: &Client) {
    let paths = MOUNTS.map(|mount| {
        format!(
            "path \"{mount}/sign/device\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/sign/unstored\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/issue/device\" {{ capabilities = [\"update\"] }}\n"
        )
    });
    client
        .write("sys/policies/acl/est", json!({"policy": paths.concat()}))
        .ok();
    for method in ["userpass", "cert", "approle"] {
        client
            .write(&format!("sys/auth/{method}"), json!({"type": method}))
            .ok();
    }
    for name in ["one.example.com", "two.example.com"] {
        let body = json!({"password": format!("secret-of-{name}"), "token_policies": "est", "token_ttl": "1m"});
        client
            .write(&format!("auth/userpass/users/{name}"), body)
            .ok();
    }
    let nobody = json!({"password": "secret-of-nobody", "token_ttl": "1m"});
    client
        .write("auth/userpass/users/nobody.example.com", nobody)
        .ok();
}

/// A root and two roles in a mount; the root's certificate.
fn authority(client: &Client, mount: &str) -> String {
    let body = json!({"common_name": format!("Root of {mount}"), "key_type": "ec", "ttl": "8760h"});
    let root = client
        .write(&format!("{mount}/root/generate/internal"), body)
        .ok();
    let methods = client.read("sys/auth").ok();
    let accessor = |method: &str| {
        methods.data()[format!("{method}/")]["accessor"]
            .as_str()
            .expect("a method")
            .to_owned()
    };
    let name = |method: &str| format!("{{{{identity.entity.aliases.{}.name}}}}", accessor(method));
    let role = json!({
        "allowed_domains": [name("userpass"), name("cert")], "allowed_domains_template": true, "allow_bare_domains": true,
        "key_type": "ec", "ttl": "24h", "server_flag": false,
    });
    client
        .write(&format!("{mount}/roles/device"), role.clone())
        .ok();
    let mut unstored = role;
    unstored["no_store"] = json!(true);
    client
        .write(&format!("{mount}/roles/unstored"), unstored)
        .ok();
    root.text("certificate")
}

fn config(trusted: u16, certificate: &PathBuf, key: &PathBuf, roots: &PathBuf) -> Value {
    let label = |mount: &str, role: &str| {
        json!({
            "mount": format!("/{mount}"), "role": role, "server_keys": role == "device",
            "certificate": {}, "basic": {"method": "userpass"}, "csr_attributes": ["key:ec:256", "names"],
        })
    };
    let mut labels = json!({});
    for mount in MOUNTS {
        labels[mount] = label(mount, "device");
        labels[format!("{mount}-unstored")] = label(mount, "unstored");
    }
    labels["approle"] =
        json!({"mount": "/landfst", "role": "device", "basic": {"method": "approle"}});
    json!({
        "listeners": [{"address": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key, "client_ca": roots}}],
        "server": {"address": format!("http://127.0.0.1:{trusted}")},
        "mounts": {"/builtin": {"mount": "builtin"}, "/landfst": {"mount": "landfst"}},
        "est": {"labels": labels},
    })
}

/// Starts it, and waits until it says where it listens.
fn start(command: &mut Command) -> (Child, u16, Arc<Mutex<String>>) {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test runs");
    let said = Arc::new(Mutex::new(String::new()));
    let err = child
        .stderr
        .take()
        .map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>);
    let out = child
        .stdout
        .take()
        .map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>);
    for pipe in [err, out].into_iter().flatten() {
        let said = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut said = said.lock().expect("no panic under the lock");
                said.push_str(&line);
                said.push('\n');
            }
        });
    }
    let port = until("landfast public listens", Duration::from_secs(30), || {
        let text = said.lock().expect("no panic under the lock").clone();
        assert!(
            child.try_wait().expect("our own child").is_none(),
            "it ended: {text}"
        );
        let (_, rest) = text.split_once("listening on https://127.0.0.1:")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    (child, port, said)
}
