//! A mount that changes hands with accounts, open orders and external accounts in it, in both directions; and clusters.

use std::time::Duration;

use landfast_pki::Certificate;
use serde_json::json;

use super::client::{Acme, HEADERS, csr, serve};
use super::dns::Dns;
use super::jws::binding;
use crate::support::{Cluster, Release, Server, TakeOver, until};

/// Whether the mount answers ACME at all; it takes a moment after a change of hands.
fn await_directory(server: &Server, path: &str) {
    let client = server.client().with_token("");
    until("the directory is there", Duration::from_secs(20), || {
        (client.read(&format!("{path}/directory")).status == 200).then_some(())
    });
}

#[test]
fn accounts_and_open_orders_outlive_a_change_of_hands() {
    for release in [Release::Current, Release::Previous] {
        let (server, dns) = (Server::dev_of(release), Dns::start());
        let hands = TakeOver::mount(&server);
        serve(&server, "pki", &dns);
        let operator = server.client();
        let client = Acme::new(&server, "pki/acme").registered();
        let by_role = Acme::new(&server, "pki/roles/web/acme").registered();
        let first = client.obtain(&["a.test"], &dns);
        let open = client.order(&["open.test"]).ok();
        let ready = client.order(&["ready.test", "*.ready.test"]).ok();
        client.prove(&ready, &dns);
        let eab = operator.write("pki/acme/new-eab", json!({})).ok();

        hands.to_ours(&server);
        await_directory(&server, "pki/acme");
        // Private networks go as they did; this machine itself has to be allowed.
        let read = operator.read("pki/config/acme").ok();
        assert_eq!(read.data()["enabled"], true);
        let networks = operator.read("pki/config/acme-validation").ok();
        assert_eq!(networks.data()["networks"], json!(["public", "private"]));
        // What was ready is finalized, what was open is validated, by DNS, which connects to nobody.
        let done = client
            .finalize(&ready, &csr(&["ready.test", "*.ready.test"], ""))
            .ok();
        assert_eq!(done.body["status"], "valid");
        client.prove(&open, &dns);
        client.finalize(&open, &csr(&["open.test"], "")).ok();
        by_role.obtain(&["b.example.com"], &dns);
        let leaf = Certificate::from_pem(first.as_bytes()).expect("a certificate");
        let payload = json!({ "certificate": super::jws::b64(leaf.der()) }).to_string();
        client.post("revoke-cert", &payload).ok();
        let mut bound = Acme::new(&server, "pki/acme");
        let asked = binding(
            &bound.key,
            &bound.url("new-account"),
            &eab.text("id"),
            &eab.text("key"),
        );
        assert_eq!(
            bound
                .register(json!({ "externalAccountBinding": asked }))
                .status,
            201
        );
        let fresh = Acme::new(&server, "pki/acme").registered();
        let pending = fresh.order(&["back.test"]).ok();
        let replaceable = fresh.obtain(&["kept.test"], &dns);
        let spare = operator.write("pki/roles/web/acme/new-eab", json!({})).ok();

        hands.back(&server);
        await_directory(&server, "pki/acme");
        for account in [&client, &fresh, &bound] {
            account.obtain(&["c.test"], &dns);
        }
        fresh.prove(&pending, &dns);
        fresh.finalize(&pending, &csr(&["back.test"], "")).ok();
        assert!(fresh.obtain(&["kept.test"], &dns) != replaceable);
        assert_eq!(
            operator.list("pki/eab").ok().texts("keys"),
            [spare.text("id")]
        );
        let mut last = Acme::new(&server, "pki/roles/web/acme");
        let asked = binding(
            &last.key,
            &last.url("new-account"),
            &spare.text("id"),
            &spare.text("key"),
        );
        assert_eq!(
            last.register(json!({ "externalAccountBinding": asked }))
                .status,
            201
        );
    }
}

/// An order through one standby is finalized through another.
#[test]
fn a_client_may_ask_any_node() {
    let (cluster, dns) = (Cluster::of(3), Dns::start());
    cluster.mount("pki");
    let active = cluster.client(0);
    let write = |path: &str, body| active.write(path, body).ok();
    write(
        "sys/mounts/pki/tune",
        json!({ "allowed_response_headers": HEADERS }),
    );
    write(
        "pki/root/generate/internal",
        json!({ "common_name": "Root", "key_type": "ec", "ttl": "700h" }),
    );
    write(
        "pki/config/cluster",
        json!({ "path": format!("{}/v1/pki", active.address()) }),
    );
    write(
        "pki/config/acme",
        json!({ "enabled": true, "dns_resolver": dns.address() }),
    );
    let (one, two) = (cluster.client(1), cluster.client(2));
    for node in [&one, &two] {
        until("the node has the settings", Duration::from_secs(20), || {
            (node.with_token("").read("pki/acme/directory").status == 200).then_some(())
        });
    }
    let mut client = Acme::of(one, "pki/acme")
        .named(active.address())
        .registered();
    let order = client.order(&["a.test"]).ok();
    client.prove(&order, &dns);
    client.by(&two);
    let done = client.finalize(&order, &csr(&["a.test"], "")).ok();
    client.by(&active);
    let chain = client.follow(&done.body["certificate"], "").ok();
    Certificate::from_pem(&chain.bytes).expect("a certificate");
}
