//! Two nodes: what one has just stored is asked of the other at once.

use std::process::{Child, Command};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Client, PLUGIN_NAME, Release, directory, start, terminate, until};

const LIMIT: Duration = Duration::from_secs(60);

struct Node {
    address: String,
    child: Child,
    dir: TempDir,
}

impl Node {
    /// A node of its own, or one that joins another.
    fn new(name: &str, leader: Option<&str>) -> Self {
        let dir = directory();
        std::fs::create_dir(dir.path().join("raft")).expect("a fresh folder");
        let join = leader
            .map(|leader| format!("retry_join {{ leader_api_addr = {leader:?} }}"))
            .unwrap_or_default();
        let (child, address) = start(&dir, |port| {
            let config = format!(
                "storage \"raft\" {{\n  path = {:?}\n  node_id = {name:?}\n  {join}\n}}\n\
                 listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
                 api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{}\"\n\
                 plugin_directory = {:?}\n",
                dir.path().join("raft"),
                port + 1,
                dir.path().join("plugins"),
            );
            let mut command = Command::new(Release::Current.binary());
            let path = dir.path().join("server.hcl");
            command
                .arg("server")
                .arg(format!("-config={}", path.display()));
            (command, config)
        });
        Self {
            address,
            child,
            dir,
        }
    }

    fn client(&self, token: &str) -> Client {
        Client::new(&self.address, token)
    }

    /// Gives the node its key until it answers in its role: 200 as the active node, 429 as a standby.
    fn unseal(&self, key: &str, role: u16) {
        until("the node is unsealed", LIMIT, || {
            self.client("").write("sys/unseal", json!({"key": key}));
            let health = self.client("").try_call("GET", "sys/health", None).ok()?;
            (health.status == role).then_some(())
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("server.log"));
            let log = log.unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        terminate(&mut self.child);
    }
}

#[test]
fn a_standby_revokes_what_was_issued_this_moment() {
    let active = Node::new("one", None);
    let init = until("the server answers", LIMIT, || {
        let body = json!({"secret_shares": 1, "secret_threshold": 1});
        let reply = active.client("").write("sys/init", body);
        (reply.status == 200).then_some(reply)
    });
    let key = init.body["keys"][0].as_str().expect("init answers a key");
    let token = init.body["root_token"].as_str().expect("and a token");
    active.unseal(key, 200);
    let standby = Node::new("two", Some(&active.address));
    standby.unseal(key, 429);

    let client = active.client(token);
    let sha256 = Command::new("sha256sum")
        .arg(active.dir.path().join("plugins").join(PLUGIN_NAME))
        .output()
        .expect("sha256sum runs");
    let sha256 = String::from_utf8_lossy(&sha256.stdout);
    let sha256 = sha256.split_whitespace().next().expect("a sum");
    client
        .write(
            &format!("sys/plugins/catalog/secret/{PLUGIN_NAME}"),
            json!({"sha256": sha256, "command": PLUGIN_NAME}),
        )
        .ok();
    client
        .write("sys/mounts/pki", json!({"type": PLUGIN_NAME}))
        .ok();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "700h"});
    client.write("pki/root/generate/internal", root).ok();
    let other = standby.client(token);
    until("the standby serves the mount", LIMIT, || {
        (other.read("pki/cert/ca").status == 200).then_some(())
    });
    // A role, and then certificates: each is asked of the other node before that can have it.
    for number in 0..20 {
        let role = format!("r{number}");
        let body = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"});
        client.write(&format!("pki/roles/{role}"), body).ok();
        let body = json!({"common_name": "a.example.com"});
        other.write(&format!("pki/issue/{role}"), body.clone()).ok();
        let leaf = client.write(&format!("pki/issue/{role}"), body).ok();
        let body = json!({"serial_number": leaf.text("serial_number")});
        other.write("pki/revoke", body).ok();
    }
    // What nobody has is refused by the active node.
    let body = json!({"serial_number": "11:22:33"});
    other.write("pki/revoke", body).refused(400, "not found");
}
