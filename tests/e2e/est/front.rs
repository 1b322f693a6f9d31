//! `landfast public` with EST, in front of a server with both engines.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    Client, Cluster, Openssl, PLUGIN_NAME, Release, Server, free_port, terminate, until,
};

/// The built-in engine and ours. A label is named as its mount.
pub(super) const MOUNTS: [&str; 2] = ["builtin", "landfst"];

/// EST in front of a server, or of a node of several, whose second listener takes certificates that a proxy forwards.
pub(super) struct Front<S = Server> {
    pub(super) server: S,
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
        let client = server.client();
        let default = MOUNTS[usize::from(release == Release::Current)];
        Self::before(server, &client, "", trusted, |config| {
            config["est"]["default_label"] = json!(default);
        })
    }

    /// The same with all of it in a namespace below another one: the front is told of the upper one for its server, and of the lower one for its mounts.
    pub(super) fn in_a_namespace() -> Self {
        let trusted = free_port();
        let server = Server::raft(Release::Current, &listener(trusted));
        server.register(PLUGIN_NAME, "");
        let client = server.client();
        for path in ["sys/namespaces/team", "team/sys/namespaces/inner"] {
            client.write(path, json!({})).ok();
        }
        Self::before(server, &client, "team/inner/", trusted, |config| {
            config["server"]["namespace"] = json!("team");
            for mount in MOUNTS {
                config["mounts"][format!("/{mount}")]["namespace"] = json!("inner");
            }
        })
    }
}

impl Front<Cluster> {
    /// The same in front of a cluster: the server's address is that of a standby. `others` says whether the front knows the other node too.
    pub(super) fn before_a_standby(others: bool) -> Self {
        let trusted = [free_port(), free_port()];
        let cluster = Cluster::with(2, |at| listener(trusted[at]));
        let (client, standby) = (cluster.client(0), cluster.client(1));
        let front = Self::before(cluster, &client, "", trusted[1], |config| {
            if others {
                let active = format!("http://127.0.0.1:{}", trusted[0]);
                config["server"]["other_nodes"] = json!([active]);
            }
        });
        for mount in MOUNTS {
            until("the standby has it all", Duration::from_secs(60), || {
                (standby.read(&format!("{mount}/roles/unstored")).status == 200).then_some(())
            });
        }
        front
    }
}

impl<S> Front<S> {
    /// `place` is the namespace, with a slash behind it; `trusted` the port of the listener; `change` what the configuration has besides.
    fn before(
        server: S,
        client: &Client,
        place: &str,
        trusted: u16,
        change: impl FnOnce(&mut Value),
    ) -> Self {
        let files = Openssl::new();
        prepare(client, place);
        let mut roots = String::new();
        for (mount, kind) in MOUNTS.into_iter().zip(["pki", PLUGIN_NAME]) {
            let body = json!({"type": kind, "config": {"max_lease_ttl": "87600h"}});
            client
                .write(&format!("{place}sys/mounts/{mount}"), body)
                .ok();
            roots.push_str(&authority(client, place, mount));
            roots.push('\n');
        }
        files.file("roots.pem", &roots);
        for mount in MOUNTS {
            let body = json!({"certificate": roots, "token_policies": "est", "token_ttl": "1m"});
            client
                .write(&format!("{place}auth/cert/certs/{mount}"), body)
                .ok();
        }
        client
            .write(
                &format!("{place}builtin/roles/front"),
                json!({"allow_localhost": true, "key_type": "ec"}),
            )
            .ok();
        let own = json!({"common_name": "localhost", "ip_sans": "127.0.0.1", "ttl": "24h"});
        let own = client
            .write(&format!("{place}builtin/issue/front"), own)
            .ok();
        let certificate = files.file("front.pem", own.text("certificate"));
        let key = files.file("front.key", own.text("private_key"));
        let mut config = config(
            trusted,
            &certificate,
            &key,
            &files.file("roots.pem", &roots),
        );
        change(&mut config);
        let config = files.file("public.json", config.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfast"));
        command
            .env_clear()
            .arg("public")
            .arg("--config")
            .arg(config);
        let (child, port, said) = start(&mut command);
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
}

impl Front {
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

impl<S> Drop for Front<S> {
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
fn prepare(client: &Client, place: &str) {
    let paths = MOUNTS.map(|mount| {
        format!(
            "path \"{mount}/sign/device\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/sign/unstored\" {{ capabilities = [\"update\"] }}\n\
             path \"{mount}/issue/device\" {{ capabilities = [\"update\"] }}\n"
        )
    });
    client
        .write(
            &format!("{place}sys/policies/acl/est"),
            json!({"policy": paths.concat()}),
        )
        .ok();
    for method in ["userpass", "cert", "approle"] {
        client
            .write(
                &format!("{place}sys/auth/{method}"),
                json!({"type": method}),
            )
            .ok();
    }
    for name in ["one.example.com", "two.example.com"] {
        let body = json!({"password": format!("secret-of-{name}"), "token_policies": "est", "token_ttl": "1m"});
        client
            .write(&format!("{place}auth/userpass/users/{name}"), body)
            .ok();
    }
    let nobody = json!({"password": "secret-of-nobody", "token_ttl": "1m"});
    client
        .write(
            &format!("{place}auth/userpass/users/nobody.example.com"),
            nobody,
        )
        .ok();
}

/// A root and two roles in a mount; the root's certificate.
fn authority(client: &Client, place: &str, mount: &str) -> String {
    let body = json!({"common_name": format!("Root of {mount}"), "key_type": "ec", "ttl": "8760h"});
    let root = client
        .write(&format!("{place}{mount}/root/generate/internal"), body)
        .ok();
    let methods = client.read(&format!("{place}sys/auth")).ok();
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
        .write(&format!("{place}{mount}/roles/device"), role.clone())
        .ok();
    let mut unstored = role;
    unstored["no_store"] = json!(true);
    client
        .write(&format!("{place}{mount}/roles/unstored"), unstored)
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
