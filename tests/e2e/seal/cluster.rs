//! Three nodes on raft storage that unseal through one server.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake_aws::Fault;
use super::host::{Host, fake, seal};
use super::server::UnsealServer;
use crate::support::{Client, Release, terminate, until};

const LIMIT: Duration = Duration::from_secs(60);

/// A node that keeps its ports, as the others know it by them.
struct Node {
    name: &'static str,
    port: u16,
    directory: TempDir,
    child: Option<Child>,
}

impl Node {
    fn new(name: &'static str) -> Self {
        let port = loop {
            let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let port = first.local_addr().expect("bound").port();
            if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
                break port;
            }
        };
        let directory = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(directory.path().join("raft")).expect("a fresh folder");
        Self {
            name,
            port,
            directory,
            child: None,
        }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start(&mut self, seal: &str, leader: &str) {
        let config = format!(
            "storage \"raft\" {{\n  path = {:?}\n  node_id = {:?}\n  retry_join {{ leader_api_addr = {leader:?} }}\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{}\"\n{seal}\n",
            self.directory.path().join("raft"),
            self.name,
            self.port + 1,
            port = self.port,
        );
        let path = self.directory.path().join("server.hcl");
        std::fs::write(&path, config).expect("a file of ours");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))
            .expect("a file of ours");
        let child = Command::new(Release::Current.binary())
            .arg("server")
            .arg(format!("-config={}", path.display()))
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the server's binary can be started");
        self.child = Some(child);
    }

    fn stop(&mut self) {
        terminate(&mut self.child.take().expect("a running node"));
    }

    fn status(&self) -> Option<Value> {
        let reply = Client::new(&self.address(), "")
            .try_call("GET", "sys/seal-status", None)
            .ok()?;
        (reply.status == 200).then_some(reply.body)
    }

    fn await_unsealed(&self) {
        let unsealed = || (self.status()?["sealed"] == json!(false)).then_some(());
        until(&format!("node {} unsealed", self.name), LIMIT, unsealed);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log =
                std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            eprintln!("--- node {} ---", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }
}

#[test]
fn three_nodes_restart_one_by_one_through_an_outage() {
    let fake = fake();
    let server = UnsealServer::start_with(&fake, |config| {
        config["cache"] = json!({"ttl_seconds": 3600})
    });
    let seal = server.by_certificate("");
    let mut nodes = ["one", "two", "three"].map(Node::new);
    let leader = nodes[0].address();
    nodes[0].start(&seal, &leader);
    until("the first node answers", LIMIT, || nodes[0].status());
    let body = json!({"recovery_shares": 1, "recovery_threshold": 1});
    let reply = Client::new(&leader, "")
        .call("PUT", "sys/init", Some(body))
        .ok()
        .body;
    let token = reply["root_token"]
        .as_str()
        .expect("a root token")
        .to_owned();
    nodes[0].await_unsealed();
    for node in &mut nodes[1..] {
        node.start(&seal, &leader);
    }
    nodes.iter().for_each(Node::await_unsealed);

    let active = |nodes: &[Node]| {
        until("an active node", LIMIT, || {
            let is_active = |node: &&Node| {
                let reply = Client::new(&node.address(), "").try_call("GET", "sys/health", None);
                reply.is_ok_and(|reply| reply.status == 200)
            };
            nodes
                .iter()
                .find(is_active)
                .map(|node| Client::new(&node.address(), &token))
        })
    };
    let client = active(&nodes);
    client.write("sys/mounts/kv", json!({"type": "kv"})).ok();
    client.write("kv/secret", json!({"value": "shared"})).ok();
    let voters = || {
        client.read("sys/storage/raft/configuration").ok().body["data"]["config"]["servers"]
            .as_array()
            .map(Vec::len)
    };
    until("three members", LIMIT, || {
        (voters() == Some(3)).then_some(())
    });

    fake.take_operations();
    fake.fail("*", Fault::Error("KMSInternalException", 500), usize::MAX);
    for index in [2, 1, 0] {
        nodes[index].stop();
        nodes[index].start(&seal, &leader);
        nodes[index].await_unsealed();
    }
    let client = active(&nodes);
    assert_eq!(
        client.read("kv/secret").ok().body["data"]["value"],
        "shared"
    );
    assert_eq!(fake.take_operations(), [""; 0], "all from the cache");
}

/// A node that joins proves that it can decrypt what the leader encrypted: both by the plugin.
#[test]
fn a_follower_joins_with_the_plugin_as_its_seal() {
    let fake = fake();
    let host = Host::new();
    let stanzas = format!(
        "plugin_directory = {:?}\n{}{}",
        host.dir().join("plugins"),
        host.plugin(""),
        seal(&fake, "")
    );
    let mut nodes = ["one", "two"].map(Node::new);
    let leader = nodes[0].address();
    nodes[0].start(&stanzas, &leader);
    until("the first node answers", LIMIT, || nodes[0].status());
    let body = json!({"recovery_shares": 1, "recovery_threshold": 1});
    let reply = Client::new(&leader, "").call("PUT", "sys/init", Some(body));
    let reply = reply.ok().body;
    let token = reply["root_token"].as_str().expect("a root token");
    nodes[0].await_unsealed();
    let client = Client::new(&leader, token);
    until("an active node", LIMIT, || {
        let reply = client.try_call("GET", "sys/health", None).ok()?;
        (reply.status == 200).then_some(())
    });
    client.write("sys/mounts/kv", json!({"type": "kv"})).ok();
    client.write("kv/secret", json!({"value": "shared"})).ok();

    fake.take_operations();
    nodes[1].start(&stanzas, &leader);
    nodes[1].await_unsealed();
    let calls = fake.take_operations();
    let count = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert!(
        count("Encrypt") >= 1 && count("Decrypt") >= 2,
        "the challenge and the root key: {calls:?}"
    );
    let servers = || {
        client.read("sys/storage/raft/configuration").ok().body["data"]["config"]["servers"]
            .as_array()
            .map(Vec::len)
    };
    until("two members", LIMIT, || {
        (servers() == Some(2)).then_some(())
    });
    assert_eq!(nodes[1].status().expect("a status")["type"], "awskms");

    // It has the data, and comes back by its own seal.
    nodes[1].stop();
    nodes[1].start(&stanzas, &leader);
    nodes[1].await_unsealed();
    let follower = Client::new(&nodes[1].address(), token);
    until("the secret", LIMIT, || {
        let reply = follower.try_call("GET", "kv/secret", None).ok()?;
        (reply.body["data"]["value"] == "shared").then_some(())
    });
}
