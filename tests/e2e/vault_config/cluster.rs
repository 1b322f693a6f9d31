//! Three nodes with TLS that unseal through the unseal server, by the folder's files alone.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;

use super::*;
use crate::seal::fake_aws::{UNSEAL_KEY, arn};

const NODES: [&str; 3] = ["bao-1", "bao-2", "bao-3"];

/// `landfast unseal serve` by `unseal.json`.
struct Unseal {
    child: Child,
    port: u16,
}

impl Unseal {
    fn start(site: &Site, fake: &FakeAws) -> Self {
        // A CA of its own for clients, as the file has it.
        let clients: Vec<_> = NODES
            .iter()
            .map(|name| format!("{name}.example.com"))
            .collect();
        for (folder, names) in [
            ("unseal", &["unseal.example.com,127.0.0.1".to_owned()][..]),
            ("clients", &clients[..]),
        ] {
            let output = Command::new(path("make-tls.sh"))
                .arg(site.dir.path().join(folder))
                .args(names)
                .output()
                .expect("bash runs");
            assert!(output.status.success(), "{output:?}");
        }
        let aws = json!({"region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "secret"});
        let config = filled(
            "unseal/unseal.json",
            &[
                ("0.0.0.0:8300", "127.0.0.1:0".to_owned()),
                ("127.0.0.1:8301", "127.0.0.1:0".to_owned()),
                ("/etc/landfast/unseal/", site.text("unseal/")),
                ("/etc/landfast/clients/", site.text("clients/")),
                ("/var/log/landfast/unseal.log", site.text("unseal.log")),
                ("{ \"region\": \"eu-central-1\" }", aws.to_string()),
                (
                    "arn:aws:kms:eu-central-1:111122223333:key/KEY_ID",
                    arn(REGION, UNSEAL_KEY),
                ),
            ],
        );
        let file = site.dir.path().join("unseal.json");
        fs::write(&file, config).expect("a folder of ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&file, mode).expect("our own file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .args(["unseal", "serve", "--config"])
            .arg(&file)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut log = String::new();
        let port = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("the unseal server ended: {log}")
            };
            if let Some((_, address)) = line.split_once(" listening on ") {
                break address
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse().ok());
            }
            log += &line;
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            port: port.expect("a port"),
        }
    }

    /// `seal-unseal-server.hcl` for one of the nodes.
    fn seal(&self, site: &Site, node: &str, name: &str) -> String {
        let own = format!("{}{node}", site.text("clients/"));
        filled(
            name,
            &[
                (
                    "https://unseal.example.com:8300",
                    format!("https://127.0.0.1:{}", self.port),
                ),
                ("/etc/openbao/unseal/ca.pem", site.text("unseal/ca.pem")),
                ("/etc/openbao/unseal/bao-1", own),
            ],
        )
    }
}

impl Drop for Unseal {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

#[test]
fn one_server_unseals_through_the_unseal_server() {
    for release in [Release::Current, Release::Previous] {
        let site = Site::new(&["bao-1"]);
        let fake = crate::seal::host::fake();
        let unseal = Unseal::start(&site, &fake);
        let seal = unseal.seal(&site, "bao-1", "openbao/seal-unseal-server.hcl");
        let beside = [("seal.hcl", seal)];
        let mut server = Running::start(&site, release, "openbao/single.hcl", &beside);
        server.init_sealed();
        drop(server);
        let server = Running::start(&site, release, "openbao/single.hcl", &beside);
        server.await_health(200);
        let log = fs::read_to_string(site.text("unseal.log")).expect("the audit log");
        assert!(log.contains("dns:bao-1.example.com"), "{log}");
    }
}

/// A node of the cluster, which keeps its ports.
struct Node {
    name: &'static str,
    port: u16,
    child: Option<Child>,
}

impl Node {
    fn start(&mut self, site: &Site, ports: [u16; 3], seal: &str) {
        let folder = site.dir.path().join(self.name);
        let configuration = folder.join("server.d");
        fs::create_dir_all(&configuration).expect("a folder of ours");
        fs::create_dir_all(folder.join("data")).expect("a folder of ours");
        // What is to be done on each node: its own name in the lines that say so.
        let text = fs::read_to_string(path("openbao/cluster.hcl")).expect("a file");
        let own = |line: &str| match line.ends_with("# own name") {
            true => line.replace("bao-1", self.name),
            false => line.to_owned(),
        };
        assert_eq!(
            text.lines()
                .filter(|line| line.ends_with("# own name"))
                .count(),
            5
        );
        let text: Vec<_> = text.lines().map(own).collect();
        let first = format!("127.0.0.1:{}", self.port);
        let second = format!("127.0.0.1:{}", self.port + 1);
        let mut pairs = vec![
            (
                "/var/lib/openbao".to_owned(),
                folder.join("data").display().to_string(),
            ),
            ("/etc/openbao/tls/".to_owned(), site.text("tls/")),
            ("/opt/plugins".to_owned(), site.text("plugins")),
            ("0.0.0.0:8200".to_owned(), first),
            ("0.0.0.0:8201".to_owned(), second.clone()),
            (format!("{}.example.com:8201", self.name), second),
        ];
        for (name, port) in NODES.iter().zip(ports) {
            pairs.push((
                format!("{name}.example.com:8200"),
                format!("127.0.0.1:{port}"),
            ));
        }
        let pairs: Vec<_> = pairs.iter().map(|(old, new)| (old.as_str(), new)).collect();
        fs::write(
            configuration.join("server.hcl"),
            put(&text.join("\n"), &pairs),
        )
        .expect("a folder of ours");
        fs::write(configuration.join("plugins.hcl"), site.plugins()).expect("a folder of ours");
        fs::write(configuration.join("seal.hcl"), seal).expect("a folder of ours");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .expect("a folder of ours");
        let child = Command::new(Release::Current.binary())
            .args(["server", "-config"])
            .arg(&configuration)
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the server's binary can be started");
        self.child = Some(child);
    }

    fn client(&self, site: &Site, token: &str) -> Client {
        Client::trusting(&site.ca, &format!("https://127.0.0.1:{}", self.port), token)
    }

    fn health(&self, site: &Site) -> Option<u16> {
        let reply = self
            .client(site, "")
            .try_call("GET", "sys/health", None)
            .ok()?;
        Some(reply.status)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }
}

fn ports() -> [u16; 3] {
    let mut found = Vec::new();
    let mut held = Vec::new();
    while found.len() < 3 {
        let first = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("a bound socket").port();
        if port < u16::MAX
            && let Ok(second) = TcpListener::bind(("127.0.0.1", port + 1))
        {
            found.push(port);
            held.extend([first, second]);
        }
    }
    [found[0], found[1], found[2]]
}

#[test]
fn three_nodes_find_each_other_and_lose_one() {
    let site = Site::new(&NODES);
    let home = tempfile::tempdir().expect("a folder");
    let fake = crate::seal::host::fake();
    let unseal = Unseal::start(&site, &fake);
    let ports = ports();
    let mut nodes: Vec<_> = NODES
        .iter()
        .zip(ports)
        .map(|(name, port)| Node {
            name,
            port,
            child: None,
        })
        .collect();
    let seals: Vec<_> = NODES
        .iter()
        .map(|name| unseal.seal(&site, name, "openbao/seal-unseal-server.hcl"))
        .collect();
    nodes[0].start(&site, ports, &seals[0]);
    until("the first node", LIMIT, || nodes[0].health(&site));
    let body = json!({"recovery_shares": 1, "recovery_threshold": 1});
    let reply = nodes[0].client(&site, "").write("sys/init", body).ok().body;
    let token = reply["root_token"]
        .as_str()
        .expect("a root token")
        .to_owned();
    let active = |nodes: &[Node]| {
        until("an active node", LIMIT, || {
            nodes
                .iter()
                .position(|node| node.child.is_some() && node.health(&site) == Some(200))
        })
    };
    active(&nodes);
    for at in [1, 2] {
        nodes[at].start(&site, ports, &seals[at]);
    }
    let client = nodes[0].client(&site, &token);
    until("three voters", LIMIT, || {
        let reply = client
            .try_call("GET", "sys/storage/raft/configuration", None)
            .ok()?;
        let servers = reply.body["data"]["config"]["servers"].as_array()?.clone();
        let voters = servers
            .iter()
            .filter(|server| server["voter"] == json!(true))
            .count();
        (voters == 3).then_some(())
    });
    // Standbys answer 429 once they can.
    for at in [1, 2] {
        until(nodes[at].name, LIMIT, || {
            (nodes[at].health(&site) == Some(429)).then_some(())
        });
    }
    let line = format!("MOUNT_ONLY=1 {}", script("openbao/register.sh"));
    run(&mut on(
        &client,
        Some(&site.dir.path().join("tls/ca.pem")),
        &line,
        home.path(),
    ));
    let root = json!({"common_name": "Nodes", "key_type": "ec", "ttl": "8760h"});
    client.write("pki/root/generate/internal", root).ok();
    let role = json!({"allow_any_name": true, "key_type": "ec", "no_store": true, "ttl": "1h"});
    client.write("pki/roles/any", role).ok();

    // The active node is lost: another one takes over, and signs.
    let lost = active(&nodes);
    let mut child = nodes[lost].child.take().expect("a running node");
    child.kill().expect("our own child");
    child.wait().expect("our own child");
    let next = active(&nodes);
    assert_ne!(next, lost);
    let issue = json!({"common_name": "node-1"});
    let client = nodes[next].client(&site, &token);
    until("a certificate", LIMIT, || {
        (client.write("pki/issue/any", issue.clone()).status == 200).then_some(())
    });
    // It comes back, unseals by itself, and follows.
    nodes[lost].start(&site, ports, &seals[lost]);
    until("the lost node", LIMIT, || {
        (nodes[lost].health(&site) == Some(429)).then_some(())
    });
}
