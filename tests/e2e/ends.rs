//! Tidying by what is known of the ends of certificates, where plugins die and mounts change hands.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::kill::{kill_plugins, prepared};
use crate::support::{Client, Release, Server, TakeOver, until};

/// What was issued: what ends at once, and what lives on.
#[derive(Default)]
struct Issued {
    over: BTreeSet<String>,
    valid: BTreeSet<String>,
}

impl Issued {
    /// Issues so many of each.
    fn more(&mut self, client: &Client, many: usize) {
        for (ttl, into) in [("1s", &mut self.over), ("1h", &mut self.valid)] {
            for _ in 0..many {
                let body = json!({"common_name": "a.example.com", "ttl": ttl});
                // A plugin that was just killed is started by the next request, which may fail.
                let serial = until("a certificate", Duration::from_secs(20), || {
                    let body = body.to_string().into_bytes();
                    let reply = client.try_call("POST", "pki/issue/one", Some(body)).ok()?;
                    (reply.status == 200).then(|| reply.text("serial_number"))
                });
                into.insert(serial);
            }
        }
    }

    /// Tidies, and asserts that what is over is gone and nothing else.
    fn tidied(&mut self, client: &Client, gone: usize) {
        thread::sleep(Duration::from_secs(3));
        let before = stored(client);
        assert!(self.over.is_subset(&before) && self.valid.is_subset(&before));
        let body =
            json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1s"});
        client.write("pki/tidy", body).ok();
        let status = until("the run to end", Duration::from_secs(60), || {
            let status = client.read("pki/tidy-status").ok();
            (status.text("state") == "Finished").then_some(status)
        });
        assert_eq!(
            status.data()["cert_store_deleted_count"],
            json!(gone),
            "{status:?}"
        );
        let after = stored(client);
        assert_eq!(
            before.difference(&after).cloned().collect::<BTreeSet<_>>(),
            self.over
        );
        self.over.clear();
    }
}

fn stored(client: &Client) -> BTreeSet<String> {
    client
        .list("pki/certs")
        .ok()
        .texts("keys")
        .into_iter()
        .collect()
}

#[test]
fn what_a_killed_plugin_had_not_noted_is_tidied_all_the_same() {
    let server = prepared();
    let client = server.client();
    let mut issued = Issued::default();
    for round in 1..=2 {
        // With notes in memory, which go with the process, and with some that the next one makes.
        issued.more(&client, 20);
        kill_plugins(&server);
        issued.more(&client, 10);
        issued.tidied(&client, 30);
        assert_eq!(issued.valid.len(), 30 * round);
        // The notes of the run are all that the next process has.
        kill_plugins(&server);
    }
}

#[test]
fn a_mount_that_changes_hands_is_tidied_by_whoever_has_it() {
    let server = Server::raft(Release::Current, "");
    let mount = TakeOver::mount(&server);
    let client = server.client();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    client.write("pki/root/generate/internal", root).ok();
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    client.write("pki/roles/one", role).ok();
    let mut issued = Issued::default();
    // The built-in engine's, which nothing is noted of, and ours beside them.
    issued.more(&client, 10);
    mount.to_ours(&server);
    issued.more(&client, 10);
    issued.tidied(&client, 20);
    issued.more(&client, 10);
    // The built-in engine deletes what ours noted, and stores what it did not.
    mount.back(&server);
    issued.more(&client, 10);
    issued.tidied(&client, 20);
    issued.more(&client, 10);
    mount.to_ours(&server);
    issued.more(&client, 10);
    issued.tidied(&client, 20);
}
