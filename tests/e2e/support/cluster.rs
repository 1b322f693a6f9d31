//! Nodes that share raft storage.

use std::process::{Child, Command};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::server::plugins_below;
use super::{Client, PLUGIN_NAME, Release, directory, start, terminate, until};

const LIMIT: Duration = Duration::from_secs(60);

/// One node of a [`Cluster`].
pub(crate) struct Node {
    address: String,
    child: Child,
    dir: TempDir,
}

impl Node {
    /// A node of its own, or one that joins another, with `settings` in its configuration.
    fn new(name: &str, leader: Option<&str>, settings: &str) -> Self {
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
                 plugin_directory = {:?}\n{settings}\n",
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

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The folder from which the node takes plugins.
    pub(crate) fn plugin_directory(&self) -> std::path::PathBuf {
        self.dir.path().join("plugins")
    }

    /// The plugin processes of this node.
    pub(crate) fn plugins(&self) -> Vec<u32> {
        plugins_below(self.child.id())
    }

    /// Gives the node its key until it answers in its role: 200 as the active node, 429 as a standby.
    fn unseal(&self, key: &str, role: u16) {
        let client = Client::new(&self.address, "");
        until("the node is unsealed", LIMIT, || {
            client.write("sys/unseal", json!({"key": key}));
            let health = client.try_call("GET", "sys/health", None).ok()?;
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

/// Unsealed nodes with the plugin in their catalogue. The first is the active one.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    token: String,
}

impl Cluster {
    pub(crate) fn of(count: usize) -> Self {
        Self::with(count, |_| String::new())
    }

    /// The same with settings for each node, by its number.
    pub(crate) fn with(count: usize, settings: impl Fn(usize) -> String) -> Self {
        let active = Node::new("n0", None, &settings(0));
        let client = Client::new(&active.address, "");
        let init = until("the server answers", LIMIT, || {
            let body = json!({"secret_shares": 1, "secret_threshold": 1});
            let reply = client.write("sys/init", body);
            (reply.status == 200).then_some(reply)
        });
        let key = init.body["keys"][0].as_str().expect("init answers a key");
        let token = init.body["root_token"].as_str().expect("and a token");
        active.unseal(key, 200);
        let joining =
            (1..count).map(|at| Node::new(&format!("n{at}"), Some(&active.address), &settings(at)));
        let standbys: Vec<_> = joining.collect();
        standbys.iter().for_each(|node| node.unseal(key, 429));
        let mut nodes = vec![active];
        nodes.extend(standbys);
        let cluster = Self {
            token: token.to_owned(),
            nodes,
        };
        let sha256 = Command::new("sha256sum")
            .arg(cluster.nodes[0].plugin_directory().join(PLUGIN_NAME))
            .output()
            .expect("sha256sum runs");
        let sha256 = String::from_utf8_lossy(&sha256.stdout);
        let sha256 = sha256.split_whitespace().next().expect("a sum");
        let entry = json!({"sha256": sha256, "command": PLUGIN_NAME});
        let path = format!("sys/plugins/catalog/secret/{PLUGIN_NAME}");
        cluster.client(0).write(&path, entry).ok();
        cluster
    }

    /// A mount with a root, that every node serves.
    pub(crate) fn mount(&self, path: &str) {
        let client = self.client(0);
        let kind = json!({"type": PLUGIN_NAME});
        client.write(&format!("sys/mounts/{path}"), kind).ok();
        let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "700h"});
        let generate = format!("{path}/root/generate/internal");
        client.write(&generate, root).ok();
        for at in 1..self.nodes.len() {
            let client = self.client(at);
            until("the standby serves the mount", LIMIT, || {
                (client.read(&format!("{path}/cert/ca")).status == 200).then_some(())
            });
        }
    }

    /// A client with the root token, of this node.
    pub(crate) fn client(&self, node: usize) -> Client {
        Client::new(&self.nodes[node].address, &self.token)
    }

    /// Ends a node's server at once, as a machine ends that loses its power. Its plugin finds out by itself.
    pub(crate) fn kill(&mut self, node: usize) {
        let child = &mut self.nodes[node].child;
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be awaited");
    }

    /// The node that is active now, once there is one.
    pub(crate) fn active(&self) -> usize {
        until("a node is active", LIMIT, || {
            (0..self.nodes.len()).find(|&at| {
                let client = Client::new(self.nodes[at].address(), "");
                let health = client.try_call("GET", "sys/health", None);
                health.is_ok_and(|health| health.status == 200)
            })
        })
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}
