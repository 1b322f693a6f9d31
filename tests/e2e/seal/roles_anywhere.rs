//! Seals that call AWS KMS with the certificate of their machine: the lab stands in for IAM Roles Anywhere.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_aws::{FakeAws, REGION};
use super::host::{Host, fake};
use super::server::UnsealServer;
use crate::support::{Release, Running, until};

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");
/// The common name of the leaf, which the lab's trust policy wants as the session name.
const NODE: &str = "hybrid-node-01.example.internal";

fn data(name: &str) -> String {
    format!("{}/node/tests/data/pki/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A lab that trusts the CA of the leaf.
fn lab(listen: &str) -> Running {
    Running::start(
        Command::new(BINARY)
            .args(["lab", "--listen", listen, "--region", REGION])
            .args(["--trust-anchor", &data("rsa-int.crt")]),
    )
}

/// The session's keys with the values that the lab told. Its ARNs change with each start, so the first one's are kept.
fn keys(lab: &Running, leaf: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "roles_anywhere_trust_anchor_arn",
            lab.text("trustAnchorArn").to_owned(),
        ),
        (
            "roles_anywhere_profile_arn",
            lab.text("profileArn").to_owned(),
        ),
        ("roles_anywhere_role_arn", lab.text("roleArn").to_owned()),
        ("roles_anywhere_certificate", data(&format!("{leaf}.crt"))),
        ("roles_anywhere_private_key", data(&format!("{leaf}.key"))),
        ("roles_anywhere_session_name", NODE.to_owned()),
        ("roles_anywhere_endpoint", lab.text("endpoint").to_owned()),
    ]
}

fn stanza(fake: &FakeAws, keys: &[(&str, String)]) -> String {
    let lines: String = keys
        .iter()
        .map(|(key, value)| format!("  {key} = {value:?}\n"))
        .collect();
    format!(
        "seal \"awskms\" {{\n  region = \"{REGION}\"\n  kms_key_id = \"alias/bao-unseal\"\n  endpoint = \"{}\"\n{lines}}}\n",
        fake.url()
    )
}

/// Sessions that the lab gave.
fn sessions(lab: &Running) -> Vec<Value> {
    let endpoint = lab.text("endpoint").to_owned();
    let said = Command::new("curl")
        .args(["--silent", "--fail", &format!("{endpoint}/lab/calls")])
        .output()
        .expect("curl runs")
        .stdout;
    let said: Value = serde_json::from_slice(&said).expect("the lab's answer is JSON");
    said["calls"].as_array().expect("a list").clone()
}

/// All calls came with a session's access key, which no stanza named.
fn all_by_session(fake: &FakeAws) {
    let calls = fake.calls();
    assert!(!calls.is_empty());
    for call in calls {
        assert!(call.access_key.starts_with("ASIA"), "{call:?}");
    }
}

#[test]
fn a_server_unseals_with_the_certificate_of_its_machine() {
    let fake = fake();
    let lab = lab("127.0.0.1:0");
    let mut host = Host::new();
    let config = host.plugin("") + &stanza(&fake, &keys(&lab, "rsa-leaf"));
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("by certificate");
    host.stop();
    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "by certificate");
    all_by_session(&fake);
    assert_eq!(sessions(&lab).len(), 2, "one session for each start");

    // The credentials that AWS calls expired are replaced at once.
    fake.fail(
        "Encrypt",
        super::fake_aws::Fault::Error("ExpiredTokenException", 400),
        1,
    );
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
    assert_eq!(sessions(&lab).len(), 3);
    host.stop();

    // A certificate of another CA: the service's reason and what to do about it stand where the operator looks.
    let said = host.start_in_vain(
        Release::Current,
        &(host.plugin("") + &stanza(&fake, &keys(&lab, "ec-leaf"))),
    );
    for part in ["CreateSession: AccessDenied", "trust anchor"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_server_that_starts_before_roles_anywhere_is_there_unseals_after() {
    let fake = fake();
    let first = lab("127.0.0.1:0");
    let mut keys = keys(&first, "rsa-leaf");
    let mut host = Host::new();
    let plugin = host.plugin("");
    host.start(Release::Current, &(plugin.clone() + &stanza(&fake, &keys)));
    host.init();
    host.stop();

    // Nobody listens there yet.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let endpoint = keys.last_mut().expect("the endpoint");
    endpoint.1 = format!("http://{address}");
    host.start(Release::Current, &(plugin + &stanza(&fake, &keys)));
    until("a sealed answer", Duration::from_secs(30), || {
        (host.health() == Some(503)).then_some(())
    });
    drop(first);
    let again = lab(&address);
    // Its ARNs are new ones: a trust anchor that is unknown is refused, so the way that is shown is the one to the service.
    until("the service was asked", Duration::from_secs(30), || {
        let log = host.log();
        (log.contains("CreateSession: no session")
            && log.contains("CreateSession: ResourceNotFound"))
        .then_some(())
    });
    assert_eq!(host.health(), Some(503), "sealed, and alive");
    drop(again);
}

#[test]
fn the_unseal_server_and_the_dry_run_use_it_too() {
    let fake = fake();
    let lab = lab("127.0.0.1:0");
    let keys = keys(&lab, "rsa-leaf");
    let server = UnsealServer::start_with(&fake, |config| {
        let mut aws = json!({"region": REGION, "endpoint": fake.url()});
        for (key, value) in &keys {
            aws[*key] = json!(value);
        }
        config["aws"] = aws;
        config["metrics_listen"] = json!("127.0.0.1:0");
    });
    let mut host = Host::new();
    host.start(Release::Current, &server.by_certificate(""));
    host.init();
    host.write_secret("by its certificate");
    all_by_session(&fake);
    let metrics = server.metrics();
    assert!(
        metrics.contains("landfast_unseal_aws_credentials_expiry_timestamp_seconds"),
        "{metrics}"
    );

    let mut check = Command::new(BINARY);
    check
        .env_clear()
        .args(["unseal", "check", "--json", "kms_key_id=alias/bao-unseal"])
        .arg(format!("region={REGION}"))
        .arg(format!("endpoint={}", fake.url()));
    for (key, value) in &keys[1..] {
        check.arg(format!("{key}={value}"));
    }
    // Variables count as well as keys of the stanza.
    check.env(
        "LANDFAST_ROLES_ANYWHERE_TRUST_ANCHOR_ARN",
        lab.text("trustAnchorArn"),
    );
    let output = check.output().expect("the binary under test runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    assert_eq!(report["unseals"], true, "{report}");
    let credentials = report["steps"][2]["detail"].as_str().expect("a text");
    assert!(
        credentials.starts_with("from IAM Roles Anywhere, until "),
        "{credentials}"
    );
}
