//! Clusters: what a standby does by itself, and what it leaves to the active node.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::{Cluster, until};

#[test]
fn a_standby_revokes_what_was_issued_this_moment() {
    let cluster = Cluster::of(2);
    cluster.mount("pki");
    let (client, other) = (cluster.client(0), cluster.client(1));
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

/// Nanoseconds that the threads of these processes had a processor, by the scheduler's own count. What a thread had that ended is not in it.
fn on_processor(pids: &[u32]) -> u64 {
    let threads = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let spent = pids.iter().flat_map(threads).map(|thread| {
        let path = thread.expect("a thread").path().join("schedstat");
        let text = fs::read_to_string(path).unwrap_or_default();
        let first = text.split_whitespace().next();
        first.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
    });
    spent.sum()
}

/// `no_store` needs no write, so issuing grows with the nodes: whoever is asked signs.
#[test]
fn the_node_that_is_asked_signs_what_is_not_stored() {
    const CERTIFICATES: u32 = 150;
    let cluster = Cluster::of(3);
    cluster.mount("pki");
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h", "no_store": true});
    cluster.client(0).write("pki/roles/fleet", role).ok();
    let body = json!({"common_name": "a.example.com"});
    for asked in 0..3 {
        let client = cluster.client(asked);
        until("the node has the role", Duration::from_secs(20), || {
            (client.write("pki/issue/fleet", body.clone()).status == 200).then_some(())
        });
    }
    let pids: Vec<_> = cluster.nodes.iter().map(|node| node.plugins()).collect();
    assert!(
        pids.iter().all(|pids| pids.len() == 1),
        "a process each: {pids:?}"
    );
    for asked in 0..3 {
        let client = cluster.client(asked);
        // What a node did before, such as starting the plugin, is not what it does for this.
        until("the plugins are idle", Duration::from_secs(20), || {
            let before = on_processor(&pids.concat());
            std::thread::sleep(Duration::from_millis(200));
            (on_processor(&pids.concat()).saturating_sub(before) < 2_000_000).then_some(())
        });
        let before: Vec<_> = pids.iter().map(|pids| on_processor(pids)).collect();
        for _ in 0..CERTIFICATES {
            client.write("pki/issue/fleet", body.clone()).ok();
        }
        let used: Vec<_> = pids
            .iter()
            .zip(before)
            .map(|(pids, before)| on_processor(pids).saturating_sub(before))
            .collect();
        for (node, spent) in used.iter().enumerate() {
            // Making a key and signing takes more than 50 µs on any machine that runs this.
            assert!(
                if node == asked {
                    *spent > u64::from(CERTIFICATES) * 50_000
                } else {
                    *spent < used[asked] / 4
                },
                "node {asked} was asked; nanoseconds of each: {used:?}"
            );
        }
    }
    // Stored ones are the active node's work, through whomever they are asked.
    let role = json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"});
    cluster.client(0).write("pki/roles/stored", role).ok();
    let leaf = cluster.client(2).write("pki/issue/stored", body).ok();
    let serial = leaf.text("serial_number");
    cluster.client(0).read(&format!("pki/cert/{serial}")).ok();
}
