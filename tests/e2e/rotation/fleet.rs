//! Fifty nodes move to ML-DSA keys and CAs and back, while all of them open sessions: none may be refused.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_node::provider::{Options, Provider};
use landfast_node::session::{Endpoint, SessionRequest};
use serde_json::{Value, json};

use super::{Stop, anchor, crl, new_issuer_of};
use crate::node::{Lab, Site, json_of};
use crate::support::{Server, until};

const NODES: usize = 50;
/// As many nodes renew at a time, and as many open sessions.
const AT_ONCE: usize = 2;

/// One node: its pair, who opens its sessions, and what became of them.
struct Node {
    name: String,
    folder: PathBuf,
    /// What `landfast credential-process` and `serve` run. It reads the pair anew for each session.
    provider: Provider,
    opened: AtomicUsize,
    /// Of its certificates, the present one last.
    serials: Mutex<Vec<String>>,
}

struct Fleet<'a> {
    site: &'a Site,
    lab: &'a Lab,
    nodes: Vec<Node>,
    asked: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

impl<'a> Fleet<'a> {
    /// The nodes, each with a role of its own and without a certificate.
    fn new(site: &'a Site, lab: &'a Lab) -> Self {
        let arn = |name| Arn::parse(&lab.text(name)).expect("an ARN");
        let endpoint = Endpoint::at(&lab.text("endpoint"), "us-west-2").expect("a local address");
        let node = |number| {
            let name = format!("node-{number}");
            let body = json!({"preset": "hybrid-node", "node_name": name, "key_type": "any"});
            site.client.write(&format!("pki/roles/{name}"), body).ok();
            let folder = site.path(&name);
            fs::create_dir(&folder).expect("a fresh folder");
            let options = Options {
                certificate: folder.join("server.pem"),
                private_key: folder.join("server.key"),
                intermediates: None,
                passphrase: None,
                request: SessionRequest {
                    trust_anchor: arn("trustAnchorArn"),
                    profile: arn("profileArn"),
                    role: arn("roleArn"),
                    duration: None,
                    session_name: Some(name.clone()),
                },
                endpoint: endpoint.clone(),
                authorities: None,
                skip_verify: false,
                cache: None,
            };
            Node {
                name,
                folder,
                provider: Provider::new(options),
                opened: AtomicUsize::default(),
                serials: Mutex::default(),
            }
        };
        Self {
            site,
            lab,
            nodes: (1..=NODES).map(node).collect(),
            asked: AtomicUsize::default(),
            refused: Mutex::default(),
        }
    }

    /// Does this for each node, for some at a time.
    fn each(&self, work: impl Fn(usize, &Node) + Sync) {
        let next = AtomicUsize::default();
        let turns = || {
            while let Some((at, node)) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                self.nodes.get(at).map(|node| (at, node))
            } {
                work(at, node);
            }
        };
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(turns);
            }
        });
    }

    /// Renews by the command, as a timer does.
    fn renew(&self, node: &Node, more: &[&str]) -> Value {
        let mut command = self.site.server.landfast();
        command
            .env_remove("VAULT_TOKEN")
            .args(["renew", "--json", "--now", "--restart-unit", ""])
            .args(["--role", &node.name, "--node-name", &node.name])
            .arg("--certificate")
            .arg(node.folder.join("server.pem"))
            .arg("--private-key")
            .arg(node.folder.join("server.key"))
            .args(["--auth", "approle", "--role-id-file"])
            .arg(self.site.path("role-id"))
            .arg("--secret-id-file")
            .arg(self.site.path("secret-id"));
        let renewed = json_of(command.args(more));
        assert_eq!(renewed["outcome"], "issued", "{renewed}");
        let serial = renewed["serialNumber"].as_str().expect("a text");
        let mut serials = node.serials.lock().expect("nobody failed");
        serials.push(serial.to_owned());
        renewed
    }

    /// Opens one session after the other for all nodes in turn, until told to stop.
    fn opens_sessions(&self, next: &AtomicUsize, stop: &AtomicBool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            while !stop.load(Ordering::Relaxed) {
                let node = &self.nodes[next.fetch_add(1, Ordering::Relaxed) % NODES];
                self.asked.fetch_add(1, Ordering::Relaxed);
                match node.provider.fetch(Timestamp::now).await {
                    Ok(_) => {
                        node.opened.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        let mut refused = self.refused.lock().expect("nobody failed");
                        refused.push(format!("{}: {error}", node.name));
                    }
                }
            }
        });
    }

    /// Waits until each node has opened a session that began after now: one more than can be under way.
    fn all_open_sessions(&self) {
        let opened = || -> Vec<usize> {
            let nodes = self.nodes.iter();
            nodes
                .map(|node| node.opened.load(Ordering::Relaxed))
                .collect()
        };
        let before = opened();
        until("sessions of all nodes", Duration::from_secs(60), || {
            let pairs = opened().into_iter().zip(&before);
            let all = pairs.into_iter().all(|(now, then)| now > then + AT_ONCE);
            let refused = self.refused.lock().expect("nobody failed");
            assert!(refused.is_empty(), "{refused:?}");
            all.then_some(())
        });
    }

    /// The anchor in AWS's place gets these issuers. The command refuses that where a node would be cut off.
    fn anchored(&self, issuers: &[&str]) {
        let (code, told) = anchor(self.lab, self.site, issuers, &["--apply"]);
        assert_eq!(code, 0, "{issuers:?}: {told}");
    }

    fn sign_with(&self, issuer: &str) {
        let body = json!({"default": issuer});
        self.site.client.write("pki/config/issuers", body).ok();
    }

    /// What was replaced is revoked, and AWS is told.
    fn forget_what_was_replaced(&self) {
        for node in &self.nodes {
            let mut serials = node.serials.lock().expect("nobody failed");
            let current = serials.pop().expect("a node has a certificate");
            for serial in serials.drain(..) {
                let body = json!({"serial_number": serial});
                self.site.client.write("pki/revoke", body).ok();
            }
            serials.push(current);
        }
        let (code, told) = crl(self.lab, self.site, &["--apply"]);
        assert_eq!(code, 0, "{told}");
    }

    /// The fleet goes from one CA to another, to keys of these kinds in turn.
    fn moves(&self, from: &str, to: &str, kinds: &[&str]) {
        self.anchored(&[from, to]);
        self.sign_with(to);
        self.each(|at, node| {
            if at % 10 == 0 {
                // An ordinary renewal comes first here: the other CA certifies the key in place.
                let renewed = self.renew(node, &[]);
                assert_eq!(renewed["keyTypeChanged"], false, "{renewed}");
            }
            let kind = kinds[at % kinds.len()];
            let renewed = self.renew(node, &["--rotate-key", "--key-type", kind]);
            assert_eq!(renewed["keyTypeChanged"], true, "{renewed}");
        });
        self.all_open_sessions();
        self.forget_what_was_replaced();
        self.anchored(&[to]);
        self.all_open_sessions();
    }
}

#[test]
fn fifty_nodes_move_to_ml_dsa_and_back_and_no_session_is_refused() {
    let site = Site::new(Server::dev());
    let lab = Lab::start(&site, &site.issuing);
    let fleet = Fleet::new(&site, &lab);
    fleet.each(|_, node| {
        fleet.renew(node, &[]);
    });
    let today = site.client.read("pki/config/issuers").ok().text("default");
    new_issuer_of(&site, "quantum", "mldsa");

    let (stop, next) = (AtomicBool::new(false), AtomicUsize::default());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| fleet.opens_sessions(&next, &stop));
        }
        // The load must end with us, also when we fail.
        let _guard = Stop(&stop);
        fleet.all_open_sessions();
        fleet.moves(&today, "quantum", &["mldsa-44", "mldsa-65", "mldsa-87"]);
        fleet.moves("quantum", &today, &["ec", "ec-521"]);
    });
    let refused = fleet.refused.lock().expect("nobody failed");
    assert!(refused.is_empty(), "{refused:?}");
    let opened = |node: &Node| node.opened.load(Ordering::Relaxed);
    let least = fleet.nodes.iter().map(opened).min().expect("nodes");
    let all: usize = fleet.nodes.iter().map(opened).sum();
    assert_eq!(fleet.asked.load(Ordering::Relaxed), all);
    assert!(least > 5 * AT_ONCE, "{least} of {all}");
    println!("{all} sessions, at least {least} a node, none refused");
}
