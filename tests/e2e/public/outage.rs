//! The secrets server is sealed, killed, slow, and comes back.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::{Openssl, until};

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// An OCSP request for a certificate of a mount, without a nonce.
pub(super) fn question(front: &Front, mount: &str, certificate: &str) -> String {
    let ca = front.curl(&format!("/{mount}/ca/pem"), &[]);
    let ca = String::from_utf8(body(&ca).to_vec()).expect("PEM");
    let openssl = Openssl::new();
    let leaf = openssl.file("leaf.pem", certificate).display().to_string();
    let question = openssl.ocsp_request(&ca, &["-cert", &leaf]);
    let file = front::file(front, "question.der", question);
    format!("@{}", file.display())
}

pub(super) fn post(front: &Front, mount: &str, question: &str) -> Vec<u8> {
    let kind = "content-type: application/ocsp-request";
    front.curl(
        &format!("/{mount}/ocsp"),
        &["--header", kind, "--data-binary", question],
    )
}

/// What is valid is given out, and what nobody asked before is not there.
fn holds_out(front: &Front, mount: &str, known: &str, list: &[u8]) {
    for path in ["crl", "crl/pem", "ca", "chain", "chain/p7c"] {
        let got = front.curl(&format!("/{mount}/{path}"), &[]);
        assert_eq!(status(&got), 200, "{mount} {path}");
    }
    assert_eq!(body(&front.curl(&format!("/{mount}/crl"), &[])), list);
    assert_eq!(
        status(&post(front, mount, known)),
        200,
        "{mount}: what was asked before"
    );
}

/// A refusal that says when to come again.
#[track_caller]
pub(super) fn is_later(got: &[u8]) {
    assert_eq!(status(got), 503);
    let seconds = header(got, "retry-after").and_then(|value| value.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| (1..=60).contains(&seconds)));
}

#[test]
fn sealed_killed_or_slow_what_is_valid_stays_and_it_mends_by_itself() {
    for release in [Release::Current, Release::Previous] {
        let server = server(release);
        let client = server.client();
        let road = Road::to(server.address());
        let front = Front::start(&config(&road.url()));
        let mut kept = Vec::new();
        for (mount, _) in MOUNTS {
            let (known, fresh) = (issue(&client, mount).0, issue(&client, mount).0);
            let list = body(&front.curl(&format!("/{mount}/crl"), &[])).to_vec();
            let known = std::fs::read(question(&front, mount, &known).trim_start_matches('@'))
                .expect("a file");
            let fresh = std::fs::read(question(&front, mount, &fresh).trim_start_matches('@'))
                .expect("a file");
            let [known, fresh] = [("known", known), ("fresh", fresh)].map(|(name, der)| {
                format!(
                    "@{}",
                    front::file(&front, &format!("{mount}-{name}.der"), der).display()
                )
            });
            assert_eq!(status(&post(&front, mount, &known)), 200);
            kept.push((mount, known, fresh, list));
        }
        let pid = i32::try_from(server.pid())
            .ok()
            .and_then(Pid::from_raw)
            .expect("it runs");
        let seal = || client.write("sys/seal", json!({})).ok();
        let stop = || kill_process(pid, Signal::STOP).expect("it runs");
        let begin: [(&str, &dyn Fn()); 3] = [
            ("sealed", &|| drop(seal())),
            ("killed", &|| road.cut()),
            ("slow", &stop),
        ];
        let end: [&dyn Fn(); 3] = [
            &|| server.unseal(),
            &|| road.lead_to(server.address()),
            &|| kill_process(pid, Signal::CONT).expect("it runs"),
        ];
        for ((what, begin), end) in begin.into_iter().zip(end) {
            begin();
            for (mount, known, fresh, list) in &kept {
                // What is kept is a second old at the most, and then asked for again.
                until("the outage to be noticed", PATIENCE, || {
                    front.curl(&format!("/{mount}/crl"), &[]);
                    let state = front.observed("/health");
                    let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
                    let stale = front
                        .audit()
                        .iter()
                        .rev()
                        .take(3)
                        .any(|line| line["source"] == "stale");
                    (stale || state["mounts"][format!("/{mount}")]["server"] == "cannot be asked")
                        .then_some(())
                });
                holds_out(&front, mount, known, list);
                if what != "slow" {
                    let later = post(&front, mount, fresh);
                    is_later(&later);
                    // tryLater (RFC 6960 section 4.2.1).
                    assert_eq!(body(&later), [0x30, 3, 10, 1, 3], "{what} {mount}");
                    is_later(&front.curl(&format!("/{mount}/crl/delta"), &[]));
                }
            }
            end();
            for (mount, ..) in &kept {
                let (certificate, serial) = until("the mount", PATIENCE, || {
                    let body = json!({"common_name": "b.test"});
                    let made = client.write(&format!("{mount}/issue/web"), body);
                    (made.status == 200)
                        .then(|| (made.text("certificate"), made.text("serial_number")))
                });
                revoke(&client, mount, &serial);
                until("an answer about what is new", PATIENCE, || {
                    let file = question(&front, mount, &certificate);
                    let got = post(&front, mount, &file);
                    (status(&got) == 200).then_some(())
                });
                let serial = serial.replace(':', "").to_uppercase();
                until("the list with the revocation", PATIENCE, || {
                    let list = front.curl(&format!("/{mount}/crl/pem"), &[]);
                    let text =
                        Openssl::new().text("crl", &String::from_utf8(body(&list).to_vec()).ok()?);
                    text.contains(&serial).then_some(())
                });
            }
            for (mount, _, _, list) in &mut kept {
                *list = until("the newest list", PATIENCE, || {
                    let theirs = client.with_token("").read(&format!("{mount}/crl")).bytes;
                    let ours = front.curl(&format!("/{mount}/crl"), &[]);
                    (body(&ours) == theirs).then_some(theirs)
                });
            }
        }
    }
}

#[test]
fn what_is_over_is_not_given_out_while_the_server_is_away() {
    let server = server(Release::Current);
    let client = server.client();
    let front = Front::start(&config(server.address()));
    for (mount, _) in MOUNTS {
        let long = front.curl(&format!("/{mount}/crl"), &[]);
        assert_eq!(status(&long), 200);
        let short = json!({"expiry": "8s", "ocsp_expiry": "8s"});
        client.write(&format!("{mount}/config/crl"), short).ok();
        until("a short list", PATIENCE, || {
            // On a slow machine one may be over before it is seen here, and the engines make a new one where they are told to.
            client.read(&format!("{mount}/crl/rotate")).ok();
            let got = front.curl(&format!("/{mount}/crl"), &[]);
            (status(&got) == 200 && body(&got) != body(&long)).then_some(())
        });
        assert_eq!(status(&front.curl(&format!("/{mount}/ca"), &[])), 200);
    }
    client.write("sys/seal", json!({})).ok();
    for (mount, _) in MOUNTS {
        let over = until("the end of the list", PATIENCE, || {
            let got = front.curl(&format!("/{mount}/crl"), &[]);
            (status(&got) != 200).then_some(got)
        });
        is_later(&over);
        assert_eq!(
            status(&front.curl(&format!("/{mount}/ca"), &[])),
            200,
            "the CA is valid"
        );
        // Lines are written a moment after the answer.
        until("the reason in the audit log", PATIENCE, || {
            is_later(&front.curl(&format!("/{mount}/crl"), &[]));
            let lines = front.audit();
            let told = lines.iter().any(|line| {
                let error = line["error"].as_str().unwrap_or_default();
                line["mount"] == format!("/{mount}")
                    && line["status"] == 503
                    && error.contains("answers 503")
            });
            told.then_some(())
        });
    }
    server.unseal();
    for (mount, _) in MOUNTS {
        until("a new list", PATIENCE, || {
            // The engines make a new list of one that is over when a rotation is asked for.
            client.read(&format!("{mount}/crl/rotate"));
            (status(&front.curl(&format!("/{mount}/crl"), &[])) == 200).then_some(())
        });
    }
}

#[test]
fn a_front_that_starts_before_its_server_says_later_and_then_serves() {
    let server = server(Release::Current);
    let road = Road::to(server.address());
    road.cut();
    let front = Front::start(&config(&road.url()));
    for path in ["crl", "ca", "chain", "issuer/first/crl"] {
        is_later(&front.curl(&format!("/ours/{path}"), &[]));
    }
    let metrics = front.observed("/metrics");
    assert!(
        metrics.contains("landfast_public_server_up{mount=\"/ours\"} 0"),
        "{metrics}"
    );
    road.lead_to(server.address());
    until("an answer", PATIENCE, || {
        (status(&front.curl("/ours/issuer/first/crl", &[])) == 200).then_some(())
    });
}
