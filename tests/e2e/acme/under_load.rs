//! A mount that changes hands while it is used: certificates are issued and revoked and CRLs fetched all the time, ACME orders are open,
//! delta CRLs and tidying are on. Whatever somebody was told is so afterwards.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Acme, csr, serve};
use super::dns::Dns;
use crate::support::{Client, Openssl, Release, Server, TakeOver, until};

/// What clients were told to have.
#[derive(Default)]
struct Told {
    issued: Mutex<Vec<String>>,
    revoked: Mutex<Vec<String>>,
    crls: AtomicUsize,
    stop: AtomicBool,
}

impl Told {
    fn counts(&self) -> [usize; 3] {
        let length = |list: &Mutex<Vec<String>>| list.lock().expect("no panic under it").len();
        [
            length(&self.issued),
            length(&self.revoked),
            self.crls.load(Ordering::Relaxed),
        ]
    }

    /// Waits until so much more of each was done.
    fn progress(&self, what: &str, more: usize) {
        let start = self.counts();
        until(what, Duration::from_secs(90), || {
            let now = self.counts();
            (0..3).all(|at| now[at] >= start[at] + more).then_some(())
        });
    }
}

/// Issues, and revokes every second one, until told to stop.
fn issue(client: &Client, told: &Told) {
    let ask = |path: &str, body: Value| {
        let body = body.to_string().into_bytes();
        let reply = client.try_call("POST", path, Some(body)).ok();
        reply.filter(|reply| reply.status == 200)
    };
    let mut count = 0;
    while !told.stop.load(Ordering::Relaxed) {
        count += 1;
        let Some(leaf) = ask("pki/issue/fleet", json!({"common_name": "a.example.com"})) else {
            // The mount is changing hands.
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let serial = leaf.text("serial_number");
        let mut issued = told.issued.lock().expect("no panic under it");
        issued.push(serial.clone());
        drop(issued);
        if count % 2 == 0 && ask("pki/revoke", json!({"serial_number": serial})).is_some() {
            told.revoked.lock().expect("no panic under it").push(serial);
        }
    }
}

/// Fetches CRLs, and has them built anew now and then. What comes is a CRL.
fn fetch(client: &Client, told: &Told) {
    for at in 0_usize.. {
        if told.stop.load(Ordering::Relaxed) {
            return;
        }
        let path = ["crl/pem", "crl/delta/pem", "issuer/default/crl/pem"][at % 3];
        let reply = client.try_call("GET", &format!("pki/{path}"), None);
        if let Some(reply) = reply.ok().filter(|reply| reply.status == 200) {
            let text = String::from_utf8_lossy(&reply.bytes);
            assert!(text.starts_with("-----BEGIN X509 CRL-----"), "{text}");
            told.crls.fetch_add(1, Ordering::Relaxed);
        }
        if at % 40 == 0 {
            let path = ["pki/crl/rotate-delta", "pki/crl/rotate"][at / 40 % 2];
            let _ = client.try_call("GET", path, None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn bare(serial: &str) -> String {
    let hex = serial.replace(':', "").to_lowercase();
    hex.trim_start_matches('0').to_owned()
}

/// The serial numbers on these CRLs of the mount.
fn listed(client: &Client, openssl: &Openssl, paths: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in paths {
        let crl = client.read(&format!("pki/{path}")).ok();
        let text = openssl.text("crl", &String::from_utf8_lossy(&crl.bytes));
        let lines = text.lines().map(str::trim);
        found.extend(
            lines
                .filter_map(|line| line.strip_prefix("Serial Number: "))
                .map(bare),
        );
    }
    found
}

/// Asserts that all that was told so far is so.
fn settled(client: &Client, told: &Told, who: &str) {
    let openssl = Openssl::new();
    let stored = client.list("pki/certs").ok().texts("keys");
    let stored: BTreeSet<_> = stored.into_iter().collect();
    let issued = told.issued.lock().expect("no panic under it");
    let lost: Vec<_> = issued
        .iter()
        .filter(|serial| !stored.contains(*serial))
        .collect();
    assert!(lost.is_empty(), "{who}: issued and not stored: {lost:?}");
    let revoked = told.revoked.lock().expect("no panic under it");
    for serial in revoked.iter() {
        let read = client.read(&format!("pki/cert/{serial}")).ok();
        assert_ne!(read.data()["revocation_time"], json!(0), "{who}: {serial}");
    }
    let on_record = client.list("pki/certs/revoked").ok().texts("keys");
    let on_record: BTreeSet<_> = on_record.into_iter().collect();
    assert!(revoked.iter().all(|serial| on_record.contains(serial)));
    let missing = |paths: &[&str]| {
        let listed = listed(client, &openssl, paths);
        let mut revoked = revoked.iter();
        revoked
            .find(|serial| !listed.contains(&bare(serial)))
            .cloned()
    };
    client.read("pki/crl/rotate-delta").ok();
    let both = ["crl/pem", "crl/delta/pem"];
    assert_eq!(missing(&both), None, "{who}: on neither CRL");
    client.read("pki/crl/rotate").ok();
    assert_eq!(missing(&["crl/pem"]), None, "{who}: not on the CRL");
}

/// Certificates that tidying takes away.
fn short_lived(client: &Client) -> Vec<String> {
    let made = (0..5).map(|_| {
        let body = json!({"common_name": "short.example.com", "ttl": "1s"});
        let leaf = client.write("pki/issue/fleet", body).ok();
        leaf.text("serial_number")
    });
    made.collect()
}

/// Waits until whoever has the mount has tidied these away by itself.
fn await_tidied(client: &Client, who: &str, short: &[String]) {
    until(&format!("{who} to tidy"), Duration::from_secs(180), || {
        let stored = client.list("pki/certs").ok().texts("keys");
        let gone = short.iter().all(|serial| !stored.contains(serial));
        gone.then_some(())
    });
}

fn there_and_back(release: Release) {
    let (server, dns) = (Server::bare_dev(release), Dns::start());
    let hands = TakeOver::mount(&server);
    serve(&server, "pki", &dns);
    let operator = server.client();
    let write = |path: &str, body: Value| operator.write(&format!("pki/{path}"), body).ok();
    write(
        "config/crl",
        json!({"auto_rebuild": true, "enable_delta": true, "delta_rebuild_interval": "1m"}),
    );
    write(
        "config/auto-tidy",
        json!({"enabled": true, "interval_duration": "2s", "tidy_cert_store": true, "tidy_acme": true, "safety_buffer": "1s",
            "tidy_revoked_cert_issuer_associations": true, "maintain_stored_certificate_counts": true}),
    );
    write(
        "roles/fleet",
        json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h"}),
    );
    let account = Acme::new(&server, "pki/acme").registered();
    let by_role = Acme::new(&server, "pki/roles/web/acme").registered();
    let ready = account.order(&["ready.test"]).ok();
    account.prove(&ready, &dns);
    let open = account.order(&["open.test"]).ok();
    let long = by_role.order(&["long.example.com"]).ok();

    let told = Told::default();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| issue(&server.client(), &told));
        }
        scope.spawn(|| fetch(&server.client(), &told));
        // Whatever happens here, the clients must end, or the test hangs.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            told.progress("theirs at work", 40);
            hands.to_ours(&server);
            let short = short_lived(&operator);
            told.progress("ours at work", 40);
            let done = account.finalize(&ready, &csr(&["ready.test"], "")).ok();
            assert_eq!(done.body["status"], "valid");
            account.prove(&open, &dns);
            by_role.obtain(&["b.example.com"], &dns);
            await_tidied(&operator, "ours", &short);
            told.progress("ours still at work", 40);
            hands.back(&server);
            let short = short_lived(&operator);
            told.progress("theirs at work again", 40);
            account.finalize(&open, &csr(&["open.test"], "")).ok();
            by_role.prove(&long, &dns);
            by_role
                .finalize(&long, &csr(&["long.example.com"], ""))
                .ok();
            await_tidied(&operator, "theirs", &short);
            // Once more, and without a pause.
            hands.to_ours(&server);
            hands.back(&server);
            hands.to_ours(&server);
            told.progress("ours at last", 40);
        }));
        told.stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    settled(&operator, &told, "ours");
    hands.back(&server);
    until("the mount answers", Duration::from_secs(20), || {
        (operator.read("pki/cert/crl").status == 200).then_some(())
    });
    settled(&operator, &told, "theirs");
    account.obtain(&["last.test"], &dns);
    let [issued, revoked, crls] = told.counts();
    println!("{issued} issued, {revoked} revoked, {crls} CRLs fetched");
}

#[test]
fn a_mount_changes_hands_under_load() {
    there_and_back(Release::Current);
}

#[test]
fn a_mount_changes_hands_under_load_on_the_previous_release() {
    there_and_back(Release::Previous);
}
