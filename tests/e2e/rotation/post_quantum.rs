//! A fleet moves to post-quantum keys and CAs, and back: by an anchor that holds both CAs, and one node after the other.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{anchor, crl, new_issuer_of, outcome, under_load};
use crate::node::{Lab, Site, json_of, said};
use crate::support::Server;

/// Beside the site's own node, which opens sessions all the time.
const SECOND: &str = "node-2";

/// The fleet, with the serial numbers that each node got.
struct Fleet<'a> {
    site: &'a Site,
    lab: &'a Lab,
    first: RefCell<Vec<String>>,
    second: RefCell<Vec<String>>,
}

impl Fleet<'_> {
    /// The directory of the second node's pair.
    fn place(&self, name: &str) -> PathBuf {
        self.site.path("second").join(name)
    }

    /// A command of the second node.
    fn second(&self, command: &str) -> Command {
        let mut node = self.site.server.landfast();
        node.env_remove("VAULT_TOKEN")
            .env("HOME", self.site.path(""))
            .arg(command)
            .arg("--certificate")
            .arg(self.place("server.pem"))
            .arg("--private-key")
            .arg(self.place("server.key"));
        node
    }

    /// Renews the first node, which keeps what it is not told to change.
    fn renew_first(&self, more: &[&str]) -> Value {
        let renewed = json_of(
            self.site
                .node("renew")
                .args(["--now", "--restart-unit", ""])
                .args(more),
        );
        noted(&self.first, &renewed);
        renewed
    }

    fn renew_second(&self, more: &[&str]) -> Value {
        let renewed = json_of(
            self.second("renew")
                .args(["--json", "--now", "--restart-unit", "", "--role", SECOND])
                .args(["--node-name", SECOND, "--auth", "approle"])
                .arg("--role-id-file")
                .arg(self.site.path("role-id"))
                .arg("--secret-id-file")
                .arg(self.site.path("secret-id"))
                .args(more),
        );
        noted(&self.second, &renewed);
        renewed
    }

    /// The second node opens a session; the first does it all the time.
    fn second_opens(&self) {
        let lab = |name| self.lab.text(name);
        let session: Output = self
            .second("credential-process")
            .args(["--no-cache", "--role-session-name", SECOND])
            .args(["--endpoint", &lab("endpoint")])
            .args(["--trust-anchor-arn", &lab("trustAnchorArn")])
            .args(["--profile-arn", &lab("profileArn")])
            .args(["--role-arn", &lab("roleArn")])
            .output()
            .expect("the binary under test runs");
        assert!(session.status.success(), "{}", said(&session));
    }

    /// The anchor in AWS's place gets these issuers.
    fn anchored(&self, issuers: &[&str]) {
        let (code, told) = anchor(self.lab, self.site, issuers, &["--apply"]);
        assert_eq!(code, 0, "{issuers:?}: {told}");
        // What AWS takes is only told of nodes' certificates.
        let warned = told.contains("a trust anchor with an ML-DSA CA could not be confirmed");
        assert_eq!(warned, issuers.contains(&"quantum"), "{told}");
    }

    /// The renewal of a unit that was emitted for EC keys, after the second node was moved by hand: it touches nothing and says what to do.
    fn an_old_unit_refuses(&self) {
        let pair = ["server.pem", "server.key"].map(|name| fs::read(self.place(name)).ok());
        let mut unit = self.second("renew");
        unit.args(["--json", "--now", "--restart-unit", "", "--key-type", "ec"])
            .args(["--role", SECOND, "--node-name", SECOND, "--auth", "approle"])
            .arg("--role-id-file")
            .arg(self.site.path("role-id"))
            .arg("--secret-id-file")
            .arg(self.site.path("secret-id"));
        let (code, told) = outcome(&mut unit);
        assert_eq!(code, 2, "{told}");
        assert!(told.contains("the key in place is ML-DSA-87"), "{told}");
        let after = ["server.pem", "server.key"].map(|name| fs::read(self.place(name)).ok());
        assert_eq!(after, pair);
    }

    /// What was replaced is revoked, and AWS is told.
    fn forget_what_was_replaced(&self) {
        for serials in [&self.first, &self.second] {
            let mut serials = serials.borrow_mut();
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

    /// What `doctor --pqc` says of the second node under an anchor of these issuers: whether all is post-quantum, and
    /// each place with its verdict, key and signature.
    fn audit(&self, issuers: [&str; 2]) -> (bool, Vec<String>) {
        let bundle = self.site.path("audited.pem");
        let mut export = self.site.server.landfast();
        export
            .args(["trust-anchor", "--issuer", issuers[0], "--also", issuers[1]])
            .arg("--output")
            .arg(&bundle);
        let exported = export.output().expect("the binary under test runs");
        assert!(exported.status.success(), "{}", said(&exported));
        let mut doctor = self.second("doctor");
        let report = json_of(
            doctor
                .args(["--pqc", "--json", "--trust-anchor"])
                .arg(&bundle),
        );
        let audit = &report["post_quantum"];
        let told = |one: &Value| {
            let words =
                ["place", "post_quantum", "key", "signature"].map(|name| match &one[name] {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
            words.join(" ")
        };
        let certificates = audit["certificates"].as_array().expect("a list");
        assert!(
            certificates
                .iter()
                .all(|one| one["octets"].as_u64().is_some_and(|octets| octets > 300)),
            "{audit}"
        );
        (
            audit["all"].as_bool().expect("a flag"),
            certificates.iter().map(told).collect(),
        )
    }
}

fn noted(serials: &RefCell<Vec<String>>, renewed: &Value) {
    assert_eq!(renewed["outcome"], "issued", "{renewed}");
    let serial = renewed["serialNumber"].as_str().expect("a text");
    serials.borrow_mut().push(serial.to_owned());
}

/// A role for the second node beside the one for the first; the login of the first may use both.
fn with_second(site: &Site) {
    let body = json!({"preset": "hybrid-node", "node_name": SECOND, "key_type": "any"});
    site.client.write(&format!("pki/roles/{SECOND}"), body).ok();
    fs::create_dir(site.path("second")).expect("a fresh folder");
}

#[test]
fn a_fleet_moves_to_post_quantum_and_back() {
    let site = Site::new(Server::dev());
    with_second(&site);
    let lab = Lab::start(&site, &site.issuing);
    let fleet = Fleet {
        site: &site,
        lab: &lab,
        first: RefCell::default(),
        second: RefCell::default(),
    };
    fleet.renew_first(&["--node-name", crate::node::NODE]);
    fleet.renew_second(&[]);
    let old = site.client.read("pki/config/issuers").ok().text("default");
    let old = old.as_str();
    new_issuer_of(&site, "quantum", "mldsa");

    let sign_with = |issuer: &str| {
        let body = json!({"default": issuer});
        site.client.write("pki/config/issuers", body).ok();
    };
    under_load(&site, &lab, || {
        // Both CAs, before anybody has a certificate of the new one.
        fleet.anchored(&[old, "quantum"]);
        let (all, places) = fleet.audit([old, "quantum"]);
        assert!(!all);
        assert_eq!(
            places,
            [
                "anchor false P-256 ECDSA-SHA256",
                // The root signed it with ECDSA; in an anchor nobody looks at that.
                "anchor true ML-DSA-44 ECDSA-SHA256",
                "node false P-256 ECDSA-SHA256",
            ]
        );

        // The first node: under the new CA with its old key, then with a new key.
        sign_with("quantum");
        let renewed = fleet.renew_first(&[]);
        assert_eq!(renewed["keyTypeChanged"], false, "{renewed}");
        let renewed = fleet.renew_first(&["--rotate-key", "--key-type", "mldsa-65"]);
        assert_eq!(renewed["keyTypeChanged"], true, "{renewed}");
        // The other is where it was, and keeps the new CA from being alone.
        fleet.second_opens();
        let (code, told) = anchor(&lab, &site, &["quantum"], &["--apply"]);
        assert_eq!(code, 4, "{told}");
        assert!(told.contains(SECOND), "{told}");
        fleet.renew_second(&["--rotate-key", "--key-type", "mldsa-87"]);
        fleet.an_old_unit_refuses();
        fleet.second_opens();

        fleet.forget_what_was_replaced();
        fleet.anchored(&["quantum"]);
        fleet.second_opens();
        let (all, places) = fleet.audit(["quantum", "quantum"]);
        assert!(all, "{places:?}");
        assert_eq!(
            places,
            [
                "anchor true ML-DSA-44 ECDSA-SHA256",
                "node true ML-DSA-87 ML-DSA-44",
            ]
        );
    });

    under_load(&site, &lab, || {
        fleet.anchored(&["quantum", old]);
        sign_with(old);
        let renewed = fleet.renew_first(&["--rotate-key", "--key-type", "ec"]);
        assert_eq!(renewed["keyTypeChanged"], true, "{renewed}");
        fleet.second_opens();
        fleet.renew_second(&["--rotate-key", "--key-type", "ec"]);
        fleet.forget_what_was_replaced();
        fleet.anchored(&[old]);
        fleet.second_opens();
        let (_, places) = fleet.audit([old, old]);
        assert_eq!(places[1..], ["node false P-256 ECDSA-SHA256"]);
    });
}
