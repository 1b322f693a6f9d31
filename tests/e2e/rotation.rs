//! A node's whole story, and the operator's side of it: the trust anchor and
//! the CRLs that AWS holds are brought in step with the engine. The lab stands
//! in for Roles Anywhere, moto for the Security Token Service and nothing else:
//! its KMS (5.2.5) hashes a digest once more before it signs.

mod fleet;
mod post_quantum;

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Lab, NODE, Site, json_of, said};
use crate::support::{Openssl, Python, Server, free_port, terminate, until};

/// What an operator's command printed, and its exit code.
fn outcome(command: &mut Command) -> (i32, String) {
    let output = command.output().expect("the binary under test runs");
    let code = output.status.code().expect("an exit code");
    (code, said(&output))
}

/// `trust-anchor sync` for these issuers: the first, and others beside it.
fn anchor(lab: &Lab, site: &Site, issuers: &[&str], more: &[&str]) -> (i32, String) {
    let mut command = lab.operator(site, ["trust-anchor", "sync"]);
    command.args(["--issuer", issuers[0]]).args(more);
    for also in &issuers[1..] {
        command.args(["--also", also]);
    }
    outcome(&mut command)
}

fn crl(lab: &Lab, site: &Site, more: &[&str]) -> (i32, String) {
    outcome(lab.operator(site, ["crl", "sync"]).args(more))
}

/// A second issuer in the mount, of the same root.
fn new_issuer(site: &Site, name: &str) {
    new_issuer_of(site, name, "ec");
}

/// The same with a key of this type.
fn new_issuer_of(site: &Site, name: &str, key_type: &str) {
    let client = &site.client;
    let body = json!({"common_name": "nodes anew", "key_type": key_type});
    let csr = client.write("pki/intermediate/generate/internal", body);
    let csr = csr.ok().text("csr");
    let body = json!({"csr": csr, "common_name": "nodes anew", "ttl": "43800h"});
    let signed = client.write("root/root/sign-intermediate", body).ok();
    let body = json!({"certificate": signed.text("certificate")});
    let set = client.write("pki/intermediate/set-signed", body).ok();
    let id = set.texts("imported_issuers").remove(0);
    client
        .write(
            &format!("pki/issuer/{id}"),
            json!({"issuer_name": name, "usage": "read-only,issuing-certificates,crl-signing"}),
        )
        .ok();
}

/// A server of moto's, which answers for AWS's public services.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    fn start() -> Self {
        let port = free_port();
        let child = Command::new(Python::program("python"))
            .args(["-m", "moto.server"])
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto runs");
        let moto = Self {
            child,
            endpoint: format!("http://127.0.0.1:{port}"),
        };
        until("moto", Duration::from_secs(60), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

/// Asks an STS who these credentials belong to, by boto and a profile whose
/// `credential_process` is ours.
const IDENTITY: &str = "import os, sys
for name in [n for n in os.environ if n.startswith('AWS_')]: del os.environ[name]
os.environ['AWS_CONFIG_FILE'], os.environ['AWS_EC2_METADATA_DISABLED'] = sys.argv[1], 'true'
import boto3
sts = boto3.Session().client('sts', endpoint_url=sys.argv[2], region_name='us-west-2')
print(sts.get_caller_identity()['Arn'])";

fn identity(site: &Site, lab: &Lab, endpoint: &str) -> String {
    let config = format!(
        "[default]\nregion = us-west-2\ncredential_process = {} credential-process --no-cache \
         --certificate {} --private-key {} --role-session-name {NODE} --endpoint {} \
         --trust-anchor-arn {} --profile-arn {} --role-arn {}\n",
        env!("CARGO_BIN_EXE_landfast"),
        site.path("pki/server.pem").display(),
        site.path("pki/server.key").display(),
        lab.text("endpoint"),
        lab.text("trustAnchorArn"),
        lab.text("profileArn"),
        lab.text("roleArn"),
    );
    let file = site.path("aws-config");
    fs::write(&file, config).expect("a file in our folder");
    let file = file.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", IDENTITY, file, endpoint]);
    assert!(content, "{said}");
    said.trim().to_owned()
}

/// Sets a flag when it goes.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens sessions all the time while `work` runs: none may be refused.
fn under_load(site: &Site, lab: &Lab, work: impl FnOnce()) {
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    let refused = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut refused = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let session: Output = site.session(lab);
                if session.status.success() {
                    opened.fetch_add(1, Ordering::Relaxed);
                } else {
                    refused.push(said(&session));
                }
            }
            refused
        });
        // The load must end with us, also when we fail.
        let guard = Stop(&stop);
        work();
        until("a session after the work", Duration::from_secs(20), || {
            (opened.load(Ordering::Relaxed) >= 3).then_some(())
        });
        drop(guard);
        load.join().expect("the load ends")
    });
    assert!(refused.is_empty(), "refused meanwhile: {refused:?}");
}

#[test]
fn a_nodes_whole_story() {
    let site = Site::new(Server::dev());
    site.enroll(&[]);
    let lab = Lab::start(&site, &site.issuing);
    let (code, told) = anchor(&lab, &site, &["default"], &[]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(": in sync"), "{told}");

    // Credentials that others take. Moto takes any; the lab only those that
    // it gave, signed with.
    let moto = Moto::start();
    assert!(identity(&site, &lab, &moto.endpoint).starts_with("arn:aws:"));
    let own = identity(&site, &lab, &lab.text("endpoint"));
    let expected = "arn:aws:sts::111122223333:assumed-role/hybrid-node/node-1";
    assert_eq!(own, expected);
    drop(moto);

    let renew = || {
        let mut node = site.node("renew");
        let renewed = json_of(node.args(["--node-name", NODE, "--now"]));
        renewed["serialNumber"].as_str().expect("a text").to_owned()
    };
    under_load(&site, &lab, || {
        for _ in 0..8 {
            renew();
        }
    });

    rotate(&site, &lab, &renew);
    revoke(&site, &lab, &renew());
}

/// Another CA, with both in the anchor meanwhile. The load goes on.
fn rotate(site: &Site, lab: &Lab, renew: &dyn Fn() -> String) {
    let issuers = site.client.read("pki/config/issuers").ok();
    let old = issuers.text("default");
    new_issuer(site, "next");
    under_load(site, lab, || {
        // The new one alone would refuse the node: not even asked of AWS.
        let (code, told) = anchor(lab, site, &["next"], &["--apply"]);
        assert_eq!(code, 4, "{told}");
        assert!(told.contains("unexpired and unrevoked"), "{told}");
        assert!(
            told.contains("1 nodes have no other yet (node-1)"),
            "{told}"
        );

        let both = ["next", old.as_str()];
        let (code, told) = anchor(lab, site, &both, &[]);
        assert_eq!(code, 5, "{told}");
        assert!(told.contains("  + "), "{told}");
        let (code, told) = anchor(lab, site, &both, &["--apply", "--json"]);
        assert_eq!(code, 0, "{told}");
        let report: Value = serde_json::from_str(&told[told.find('{').expect("JSON")..])
            .expect("--json prints JSON");
        assert_eq!(report["state"], "applied");
        assert_eq!(anchor(lab, site, &both, &[]).0, 0);

        // Its own certificate is not cut off, whatever is said.
        let own = site.path("pki/server.pem");
        let own = own.to_str().expect("text");
        let arguments = ["--strand-leaves", "--apply", "--certificate", own];
        let (code, told) = anchor(lab, site, &["next"], &arguments);
        assert_eq!(code, 4, "{told}");
        assert!(told.contains("this machine's own certificate"), "{told}");

        let next = json!({"default": "next"});
        site.client.write("pki/config/issuers", next).ok();
        renew();
        // What was replaced is still good for a thief: said, and refused.
        let (code, told) = anchor(lab, site, &["next"], &["--apply"]);
        assert_eq!(code, 4, "{told}");
        assert!(told.contains("every node has a certificate"), "{told}");
        let current = Openssl::new().text("x509", &site.certificate());
        for serial in site.client.list("pki/certs").ok().texts("keys") {
            let text = site.client.read(&format!("pki/cert/{serial}"));
            let text = text.ok().text("certificate");
            let shown = Openssl::new().text("x509", &text);
            if shown.contains("CN = node-1") && shown != current {
                let body = json!({"serial_number": serial});
                site.client.write("pki/revoke", body).ok();
            }
        }
        // Two CAs, two lists.
        let (code, told) = crl(lab, site, &["--apply"]);
        assert_eq!(code, 0, "{told}");
        assert_eq!(told.matches("\n  import").count(), 2, "{told}");
        let (code, told) = anchor(lab, site, &["next"], &["--apply"]);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("  - "), "{told}");
    });
}

/// Revoked in the engine, then known to AWS: the next session is refused.
fn revoke(site: &Site, lab: &Lab, serial: &str) {
    assert_eq!(crl(lab, site, &["--apply"]).0, 0);
    let body = json!({"serial_number": serial});
    site.client.write("pki/revoke", body).ok();
    let still = site.session(lab);
    assert!(still.status.success(), "AWS knows nothing yet");
    let (code, told) = crl(lab, site, &["--json"]);
    assert_eq!(code, 5, "{told}");
    assert!(told.contains("\"step\": \"update\""), "{told}");
    assert!(site.session(lab).status.success(), "nothing was changed");
    let (code, told) = crl(lab, site, &["--apply"]);
    assert_eq!(code, 0, "{told}");
    let refused = site.session(lab);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("Certificate revoked"));
    assert_eq!(crl(lab, site, &[]).0, 0, "in sync");
}

#[test]
fn what_aws_would_refuse_is_refused_here() {
    let site = Site::new(Server::dev());
    let lab = Lab::start(&site, &site.issuing);
    new_issuer(&site, "next");
    new_issuer(&site, "third");
    let (code, told) = anchor(&lab, &site, &["default", "next", "third"], &["--apply"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("CA-08"), "{told}");

    // A name that no session tag can carry: AWS would take it, and then
    // refuse every node of it.
    let root = json!({"common_name": "nodes (2031)", "issuer_name": "odd", "key_type": "ec", "ttl": "87600h"});
    site.client.write("pki/root/generate/internal", root).ok();
    let (code, told) = anchor(&lab, &site, &["odd", "default"], &[]);
    assert_eq!(code, 5, "{told}");
    assert!(
        told.contains("EE-09") && told.contains("x509Issuer/CN"),
        "{told}"
    );

    // A list of somebody else, of changes, of yesterday.
    let openssl = Openssl::new();
    let data = |name: &str| format!("{}/node/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let foreign = data("crl/rsa-int-empty.crl.pem");
    let (code, told) = crl(&lab, &site, &["--crl", &foreign, "--apply"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("its CRL is not at hand"), "{told}");
    let config = json!({"expiry": "72h", "auto_rebuild": true, "enable_delta": true});
    site.client.write("pki/config/crl", config).ok();
    site.client.read("pki/crl/rotate-delta").ok();
    let delta = site.client.read("pki/issuer/default/crl/delta").ok();
    let delta = openssl.file("delta.pem", delta.text("crl"));
    let delta = delta.to_str().expect("text");
    let (code, told) = crl(&lab, &site, &["--crl", delta, "--apply"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("delta CRL"), "{told}");

    // A server that was set back sends a lower number.
    let old = site.client.read("pki/issuer/default/crl").ok().text("crl");
    site.client.read("pki/crl/rotate").ok();
    assert_eq!(crl(&lab, &site, &["--apply"]).0, 0);
    let old = openssl.file("old.pem", old);
    let old = old.to_str().expect("text");
    let (code, told) = crl(&lab, &site, &["--crl", old, "--apply"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("--allow-older"), "{told}");
    let (code, told) = crl(&lab, &site, &["--crl", old, "--apply", "--allow-older"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn trouble_with_aws_has_its_code_and_its_word() {
    let site = Site::new(Server::dev());
    let lab = Lab::start(&site, &site.issuing);
    let sync = || lab.operator(&site, ["trust-anchor", "sync"]);
    let (code, told) = outcome(sync().env("AWS_SECRET_ACCESS_KEY", "another"));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("InvalidSignatureException"), "{told}");
    assert!(!told.contains("another"), "{told}");
    let (code, told) = outcome(
        sync()
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY"),
    );
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("no AWS credentials"), "{told}");
    let other = lab
        .text("trustAnchorArn")
        .replace("trust-anchor/", "trust-anchor/0");
    let (code, told) = outcome(
        site.server
            .landfast()
            .env("AWS_ACCESS_KEY_ID", lab.text("accessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", lab.text("secretAccessKey"))
            .args(["trust-anchor", "sync", "--trust-anchor-arn", &other])
            .args(["--endpoint", &lab.text("endpoint")]),
    );
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("compare the ARN"), "{told}");
    let (code, told) = outcome(sync().args(["--endpoint", "http://127.0.0.1:1"]));
    assert_eq!(code, 2, "one endpoint only: {told}");

    // Throttled, out of order, broken off: tried again, by AWS's rules.
    let faults = |names: &str| {
        let url = format!("{}/lab/faults", lab.text("endpoint"));
        let body = format!("{{\"control\": [{names}]}}");
        let sent = Command::new("curl")
            .args(["-fsS", "-o", "/dev/null", "-d", &body, &url])
            .status();
        assert!(sent.expect("curl runs").success());
    };
    faults("\"throttle\", \"unavailable\", \"drop\"");
    let (code, told) = outcome(&mut sync());
    assert_eq!(code, 0, "{told}");
    faults("\"truncate\"");
    let (code, told) = outcome(&mut sync());
    assert_ne!(code, 0, "half an answer is none: {told}");
    assert!(told.contains("GetTrustAnchor"), "{told}");
}

/// Without a server: the CA comes from a file, and who would be cut off from
/// what AWS has seen itself.
#[test]
fn a_file_is_compared_with_what_aws_saw() {
    let site = Site::new(Server::dev());
    site.enroll(&[]);
    let lab = Lab::start(&site, &site.issuing);
    let openssl = Openssl::new();
    let own = openssl.file("own.pem", &site.issuing);
    let next = openssl.file("next.pem", openssl.authority("next").0);
    let sync = |file: &std::path::Path, more: &[&str]| {
        let mut command = lab.operator(&site, ["trust-anchor", "sync"]);
        command.env_remove("VAULT_ADDR").env_remove("VAULT_TOKEN");
        outcome(command.arg("--pem").arg(file).args(more))
    };
    let (code, told) = sync(&own, &[]);
    assert_eq!(code, 0, "{told}");
    // AWS has seen nobody yet.
    assert_eq!(sync(&next, &[]).0, 5);
    assert!(site.session(&lab).status.success());
    let (code, told) = sync(&next, &["--apply"]);
    assert_eq!(code, 4, "{told}");
    assert!(
        told.contains("1 nodes have no other yet (node-1)"),
        "{told}"
    );
    // What cannot be told is refused, too.
    let url = format!("{}/lab/faults", lab.text("endpoint"));
    let slow = ["\"slow:0\"", "\"truncate\""].join(",");
    let body = format!("{{\"control\": [{slow}]}}");
    let sent = Command::new("curl")
        .args(["-fsS", "-o", "/dev/null", "-d", &body, &url])
        .status();
    assert!(sent.expect("curl runs").success());
    let (code, told) = sync(&next, &["--apply", "--json"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("cannot be told"), "{told}");
    assert!(site.session(&lab).status.success(), "nothing was changed");
    // Told twice, it is done.
    let (code, told) = sync(&next, &["--apply", "--strand-leaves"]);
    assert_eq!(code, 0, "{told}");
    let refused = site.session(&lab);
    assert!(said(&refused).contains("Untrusted signing certificate"));
}
