//! Sudden ends: whatever a client was told to have is in storage afterwards,
//! and the next request works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::{Client, PLUGIN_NAME, Release, Server, until};

/// A server on raft storage whose mount `pki` has a root and a role.
pub(crate) fn prepared() -> Server {
    let server = Server::raft(Release::Current, "");
    server.register(PLUGIN_NAME, "");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    client
        .write(
            "pki/root/generate/internal",
            json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"}),
        )
        .ok();
    client
        .write(
            "pki/roles/one",
            json!({"allow_any_name": true, "key_type": "ec"}),
        )
        .ok();
    server
}

/// Issues and now and then revokes, until told to stop. Answers the serial
/// numbers of what it was given, and of what it was told to be revoked.
fn load(client: &Client, stop: &AtomicBool, given: &Mutex<(Vec<String>, Vec<String>)>) {
    let ask = |path: &str, body: serde_json::Value| {
        client
            .try_call("POST", path, Some(body.to_string().into_bytes()))
            .ok()
            .filter(|reply| reply.status == 200)
    };
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        let Some(reply) = ask("pki/issue/one", json!({"common_name": "a.example.com"})) else {
            // The plugin is gone: the host starts another.
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let serial = reply.text("serial_number");
        given
            .lock()
            .expect("no panic under the lock")
            .0
            .push(serial.clone());
        if count % 10 == 0 && ask("pki/revoke", json!({"serial_number": serial})).is_some() {
            given
                .lock()
                .expect("no panic under the lock")
                .1
                .push(serial);
        }
    }
}

/// Asserts that everything that was promised is there.
fn settled(client: &Client, given: &(Vec<String>, Vec<String>)) {
    let mut stored = client.list("pki/certs").ok().texts("keys");
    stored.sort_unstable();
    for serial in &given.0 {
        assert!(
            stored.binary_search(serial).is_ok(),
            "{serial} was given and is not stored"
        );
    }
    let sample = given.0.len().min(5);
    for serial in &given.0[given.0.len() - sample..] {
        client.read(&format!("pki/cert/{serial}")).ok();
    }
    let crl = client.read("pki/cert/crl").ok().text("certificate");
    let shown = crate::support::Openssl::new().text("crl", &crl);
    for serial in &given.1 {
        let hex = serial.replace(':', "").to_uppercase();
        let hex = hex.trim_start_matches('0');
        assert!(
            shown.contains(hex),
            "{serial} was revoked and is not on the CRL"
        );
        let read = client.read(&format!("pki/cert/{serial}")).ok();
        assert_ne!(read.data()["revocation_time"], json!(0), "{serial}");
    }
    client
        .write("pki/issue/one", json!({"common_name": "next.example.com"}))
        .ok();
}

/// Runs `trouble` while three clients work, and answers what they were given.
fn under_load(
    client: &Client,
    trouble: impl FnOnce(&dyn Fn() -> usize),
) -> (Vec<String>, Vec<String>) {
    let stop = AtomicBool::new(false);
    let given = Mutex::new((Vec::new(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| load(client, &stop, &given));
        }
        let count = || given.lock().expect("no panic under the lock").0.len();
        // Whatever happens here, the clients must end, or the test hangs.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trouble(&count)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    given.into_inner().expect("no panic under the lock")
}

/// Waits until `more` certificates were given since now.
fn progress(count: &dyn Fn() -> usize, more: usize) {
    let start = count();
    until("certificates under load", Duration::from_secs(60), || {
        (count() >= start + more).then_some(())
    });
}

/// Ends the plugins at once.
pub(crate) fn kill_plugins(server: &Server) {
    for pid in server.plugins() {
        let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("not zero");
        // It may have ended since it was listed.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
fn a_killed_plugin_loses_no_certificate() {
    let server = prepared();
    let client = server.client();
    let given = under_load(&client, |count| {
        for _ in 0..4 {
            progress(count, 40);
            kill_plugins(&server);
        }
        progress(count, 40);
    });
    assert!(
        given.0.len() >= 200 && !given.1.is_empty(),
        "{}, {}",
        given.0.len(),
        given.1.len()
    );
    settled(&client, &given);
}

#[test]
fn a_reload_under_load_loses_no_certificate() {
    let server = prepared();
    let client = server.client();
    let given = under_load(&client, |count| {
        for _ in 0..4 {
            progress(count, 40);
            client
                .write("sys/plugins/reload/backend", json!({"plugin": PLUGIN_NAME}))
                .ok();
        }
        progress(count, 40);
    });
    settled(&client, &given);
    until("one process is left", Duration::from_secs(20), || {
        (server.plugins().len() == 1).then_some(())
    });
}

#[test]
fn a_killed_server_loses_no_certificate() {
    let mut server = prepared();
    let orphans = server.plugins();
    let client = server.client();
    let given = under_load(&client, |count| {
        progress(count, 60);
        let pid =
            Pid::from_raw(i32::try_from(server.pid()).expect("a process id")).expect("not zero");
        kill_process(pid, Signal::KILL).expect("our own child can be killed");
    });
    server.restart();
    settled(&server.client(), &given);
    until(
        "the dead server's plugins end",
        Duration::from_secs(20),
        || {
            orphans
                .iter()
                .all(|pid| {
                    std::fs::read_to_string(format!("/proc/{pid}/stat"))
                        .map_or(true, |stat| stat.contains(") Z "))
                })
                .then_some(())
        },
    );
}

#[test]
fn tidying_goes_on_after_a_kill() {
    let server = prepared();
    let client = server.client();
    let issue = |ttl: &str| {
        let body = json!({"common_name": "a.example.com", "ttl": ttl});
        client
            .write("pki/issue/one", body)
            .ok()
            .text("serial_number")
    };
    let keep: Vec<_> = (0..5).map(|_| issue("1h")).collect();
    for _ in 0..30 {
        issue("1s");
    }
    let revoked = json!({"serial_number": keep[0]});
    client.write("pki/revoke", revoked).ok();
    let body = json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1s", "pause_duration": "150ms"});
    std::thread::sleep(Duration::from_secs(3));
    client.write("pki/tidy", body).ok();
    let deleted = || {
        let status = client.read("pki/tidy-status").ok();
        status.data()["cert_store_deleted_count"].as_u64()
    };
    let half = until("some to be deleted", Duration::from_secs(30), || {
        deleted().filter(|count| *count >= 5)
    });
    kill_plugins(&server);
    // The next request starts the plugin, which goes on by itself, within the minute at the latest.
    let status = until("the run to end", Duration::from_secs(120), || {
        let status = client.try_call("GET", "pki/tidy-status", None).ok()?;
        (status.status == 200 && status.text("state") == "Finished").then_some(status)
    });
    assert!(half < 30, "it was killed midway");
    assert!(
        status.data()["cert_store_deleted_count"].as_u64() >= Some(29),
        "{status:?}"
    );
    let mut stored = client.list("pki/certs").ok().texts("keys");
    stored.sort_unstable();
    assert_eq!(stored.len(), keep.len() + 1, "the root too");
    assert!(
        keep.iter()
            .all(|serial| stored.binary_search(serial).is_ok())
    );
    assert_eq!(
        client.list("pki/certs/revoked").ok().texts("keys"),
        keep[..1]
    );
}
