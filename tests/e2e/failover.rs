//! Clusters of three that lose their active node at once: what was acknowledged is there, and what was begun is finished by the next one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Cluster, Openssl, until};

/// How long the next node may take to be active and to serve the mount.
const TURNOVER: Duration = Duration::from_secs(90);

fn prepared() -> Cluster {
    let cluster = Cluster::of(3);
    cluster.mount("pki");
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"});
    cluster.client(0).write("pki/roles/one", role).ok();
    // A node that has just joined may not vote, and two that do not elect nobody.
    until("all three vote", TURNOVER, || {
        let path = "sys/storage/raft/configuration";
        let known = cluster.client(0).read(path).ok();
        let nodes = known.data()["config"]["servers"].as_array().cloned()?;
        let voters = nodes.iter().filter(|node| node["voter"] == true).count();
        (voters == 3).then_some(())
    });
    for node in 1..3 {
        let client = cluster.client(node);
        until("the node has the role", TURNOVER, || {
            (client.read("pki/roles/one").status == 200).then_some(())
        });
    }
    cluster
}

/// The node that is active after the first was killed, once it serves the mount.
fn successor(cluster: &Cluster) -> Client {
    let client = cluster.client(cluster.active());
    until("the next node serves the mount", TURNOVER, || {
        let reply = client.try_call("GET", "pki/tidy-status", None).ok()?;
        (reply.status == 200).then_some(())
    });
    client
}

#[test]
fn tidying_goes_on_at_the_next_active_node() {
    const SHORT: usize = 40;
    let mut cluster = prepared();
    let client = cluster.client(0);
    let issue = |ttl: &str| {
        let body = json!({"common_name": "a.example.com", "ttl": ttl});
        let reply = client.write("pki/issue/one", body).ok();
        reply.text("serial_number")
    };
    let keep: Vec<_> = (0..5).map(|_| issue("1h")).collect();
    for _ in 0..SHORT {
        issue("1s");
    }
    let revoked = json!({"serial_number": keep[0]});
    client.write("pki/revoke", revoked).ok();
    thread::sleep(Duration::from_secs(3));
    let body = json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1s", "pause_duration": "150ms"});
    client.write("pki/tidy", body).ok();
    let deleted = |reply: &Value| reply["data"]["cert_store_deleted_count"].as_u64();
    let half = until("some to be deleted", Duration::from_secs(30), || {
        let status = client.read("pki/tidy-status").ok();
        deleted(&status.body).filter(|count| *count >= 5)
    });
    cluster.kill(0);
    assert!(half < SHORT as u64 / 2, "it was killed midway: {half}");

    let next = successor(&cluster);
    let status = until("the run to end", Duration::from_secs(150), || {
        let status = next.try_call("GET", "pki/tidy-status", None).ok()?;
        (status.status == 200 && status.text("state") == "Finished").then_some(status)
    });
    // What was deleted in the moment of the end may be in nobody's count.
    assert!(
        deleted(&status.body) >= Some(SHORT as u64 - 1),
        "{}",
        status.body
    );
    let stored = next.list("pki/certs").ok().texts("keys");
    assert_eq!(stored.len(), keep.len() + 1, "the root too: {stored:?}");
    assert!(keep.iter().all(|serial| stored.contains(serial)));
    let revoked = next.list("pki/certs/revoked").ok().texts("keys");
    assert_eq!(revoked, keep[..1]);
    let body = json!({"common_name": "next.example.com"});
    next.write("pki/issue/one", body).ok();
}

/// What clients were told to have.
#[derive(Default)]
struct Told {
    issued: Vec<String>,
    revoked: Vec<String>,
}

/// Issues and revokes, by whichever of these nodes answers, until told to stop.
fn work(nodes: &[Client], first: usize, stop: &AtomicBool, told: &Mutex<Told>) {
    let mut at = first;
    let mut ask = |path: &str, body: Value| {
        let body = body.to_string().into_bytes();
        let reply = nodes[at % nodes.len()].try_call("POST", path, Some(body));
        let reply = reply.ok().filter(|reply| reply.status == 200);
        if reply.is_none() {
            at += 1;
            thread::sleep(Duration::from_millis(20));
        }
        reply
    };
    while !stop.load(Ordering::Relaxed) {
        let body = json!({"common_name": "a.example.com"});
        let Some(leaf) = ask("pki/issue/one", body) else {
            continue;
        };
        let serial = leaf.text("serial_number");
        let mut now = told.lock().expect("no panic under the lock");
        now.issued.push(serial.clone());
        drop(now);
        if ask("pki/revoke", json!({"serial_number": serial})).is_some() {
            let mut now = told.lock().expect("no panic under the lock");
            now.revoked.push(serial);
        }
    }
}

/// The serial numbers on the present CRL of a node, in the form of the API without leading zeros.
fn listed(client: &Client, openssl: &Openssl) -> BTreeSet<String> {
    let crl = client.read("pki/cert/crl").ok().text("certificate");
    let text = openssl.text("crl", &crl);
    let lines = text.lines().map(str::trim);
    lines
        .filter_map(|line| line.strip_prefix("Serial Number: "))
        .map(bare)
        .collect()
}

fn bare(serial: &str) -> String {
    let hex = serial.replace(':', "").to_lowercase();
    hex.trim_start_matches('0').to_owned()
}

#[test]
fn crls_are_complete_after_the_active_node_dies_while_they_are_built() {
    let mut cluster = prepared();
    let nodes: Vec<_> = (0..3).map(|at| cluster.client(at)).collect();
    let (stop, told) = (AtomicBool::new(false), Mutex::new(Told::default()));
    let revoked = || told.lock().expect("no panic under the lock").revoked.len();
    let more = |what: &str, count: usize| {
        let wanted = revoked() + count;
        until(what, Duration::from_secs(120), || {
            (revoked() >= wanted).then_some(())
        });
    };
    thread::scope(|scope| {
        for at in 0..4 {
            let (nodes, stop, told) = (&nodes, &stop, &told);
            scope.spawn(move || work(nodes, at, stop, told));
        }
        // Whatever happens here, the clients must end, or the test hangs.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            more("revocations before", 40);
            // Every revocation builds the CRL anew, so one is being built at any moment.
            cluster.kill(0);
            more("revocations after", 20);
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    let told = told.into_inner().expect("no panic under the lock");
    let next = successor(&cluster);
    let stored = next.list("pki/certs").ok().texts("keys");
    let stored: BTreeSet<_> = stored.into_iter().collect();
    let lost: Vec<_> = told
        .issued
        .iter()
        .filter(|serial| !stored.contains(*serial))
        .collect();
    assert!(lost.is_empty(), "issued and not stored: {lost:?}");
    let openssl = Openssl::new();
    // Whoever was told of a revocation finds it on the CRL at once.
    let now = listed(&next, &openssl);
    let lost: Vec<_> = told
        .revoked
        .iter()
        .filter(|serial| !now.contains(&bare(serial)))
        .collect();
    assert!(
        lost.is_empty(),
        "revoked and not on the CRL of {} entries: {lost:?}",
        now.len()
    );
    // And what was put on record in the moment of the end, and told nobody, comes with the minute's work.
    let recorded = next.list("pki/certs/revoked").ok().texts("keys");
    assert!(recorded.len() >= told.revoked.len());
    until("all that is on record", Duration::from_secs(150), || {
        let now = listed(&next, &openssl);
        recorded
            .iter()
            .all(|serial| now.contains(&bare(serial)))
            .then_some(())
    });
    // The other standby has the same CRL.
    let active = cluster.active();
    let other = cluster.client(3 - active);
    until("the standby's CRL", TURNOVER, || {
        let same = listed(&other, &openssl) == listed(&next, &openssl);
        same.then_some(())
    });
}
