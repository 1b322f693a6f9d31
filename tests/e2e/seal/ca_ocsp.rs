//! OCSP answers of CA keys that AWS KMS keeps or seals, with a stand-in for it, read back by openssl.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ca_kms::{P256, issue, root, server};
use super::fake_aws::Fault;
use super::host::fake;
use crate::support::{Client, Openssl, Reply, until};

/// What the mount answers about a certificate, as openssl asks and reads it.
struct Asker {
    client: Client,
    openssl: Openssl,
    root: String,
}

impl Asker {
    fn new(client: &Client, root: String) -> Self {
        Self {
            client: client.clone(),
            openssl: Openssl::new(),
            root,
        }
    }

    fn ask(&self, certificate: &str) -> Reply {
        let file = self.openssl.file("asked.pem", certificate);
        let file = file.to_str().expect("a path of ours");
        let request = self.openssl.ocsp_request(&self.root, &["-cert", file]);
        self.client.ocsp("pki", &request)
    }

    fn ask_serial(&self, serial: &str) -> Reply {
        let request = self.openssl.ocsp_request(&self.root, &["-serial", serial]);
        self.client.ocsp("pki", &request)
    }

    /// The status that openssl believes.
    #[track_caller]
    fn status(&self, certificate: &str) -> String {
        let reply = self.ask(certificate);
        assert_eq!(reply.status, 200);
        let status = self
            .openssl
            .ocsp_status(&self.root, certificate, &reply.bytes);
        status.unwrap_or_else(|said| panic!("{said}"))
    }
}

#[test]
fn every_kind_of_key_signs_answers_that_openssl_believes_and_one_serves_many_clients() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    for (name, key, more, algorithm) in [
        ("p256", "alias/ca-p256", json!({}), "ecdsa-with-SHA256"),
        ("p384", "alias/ca-p384", json!({}), "ecdsa-with-SHA384"),
        ("rsa", "alias/ca-rsa", json!({}), "sha256WithRSAEncryption"),
        ("pss", "alias/ca-rsa", json!({"use_pss": true}), "rsassaPss"),
    ] {
        let made = root(&client, name, key, &more).ok();
        let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec", "issuer_ref": name,
            "use_pss": more["use_pss"] == true});
        client.write("pki/roles/web", role).ok();
        let leaf = issue(&client).ok();
        let certificate = leaf.text("certificate");
        let asker = Asker::new(&client, made.text("certificate"));
        fake.take_operations();
        for _ in 0..5 {
            assert_eq!(asker.status(&certificate), "good", "{name}");
        }
        assert_eq!(
            fake.take_operations(),
            ["Sign"],
            "{name}: one signature for all of them"
        );
        let shown = asker.openssl.ocsp_text(&asker.ask(&certificate).bytes);
        assert!(shown.contains(algorithm), "{name}: {shown}");

        let body = json!({"serial_number": leaf.text("serial_number")});
        client.write("pki/revoke", body).ok();
        fake.take_operations();
        assert_eq!(asker.status(&certificate), "revoked", "{name}: at once");
        assert_eq!(asker.status(&certificate), "revoked", "{name}");
        assert_eq!(fake.take_operations(), ["Sign"], "{name}");
    }
    let request = fake.calls();
    assert!(
        request
            .iter()
            .all(|call| call.parameters["MessageType"] == "DIGEST"),
        "{request:?}"
    );
}

#[test]
fn an_outage_means_try_later_in_bounded_time_and_passes() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    let made = root(&client, "p256", "alias/ca-p256", &json!({})).ok();
    let [kept, fresh] = [(); 2].map(|()| issue(&client).ok().text("certificate"));
    let asker = Asker::new(&client, made.text("certificate"));
    assert_eq!(asker.status(&kept), "good");
    for (what, fault) in [
        ("throttled", Fault::Error("ThrottlingException", 400)),
        ("out of order", Fault::Error("KMSInternalException", 500)),
        ("reset", Fault::Reset),
        ("silent", Fault::Hang),
    ] {
        fake.fail("Sign", fault, 1000);
        let start = Instant::now();
        let reply = asker.ask(&fresh);
        let took = start.elapsed();
        assert_eq!(
            (reply.status, &reply.bytes[..]),
            (503, &[0x30, 3, 10, 1, 3][..]),
            "{what}"
        );
        assert!(
            asker.openssl.ocsp_text(&reply.bytes).contains("trylater"),
            "{what}"
        );
        assert!(took < Duration::from_secs(7), "{what}: {took:?}");
        assert_eq!(
            asker.status(&kept),
            "good",
            "{what}: what is signed is given"
        );
        fake.heal();
    }
    fake.set_state(P256, "Disabled");
    let reply = asker.ask(&fresh);
    assert_eq!(
        (reply.status, &reply.bytes[..]),
        (500, &[0x30, 3, 10, 1, 2][..])
    );
    fake.set_state(P256, "Enabled");
    assert_eq!(asker.status(&fresh), "good");
}

#[test]
fn a_flood_of_made_up_questions_holds_up_no_issuing() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    let made = root(&client, "p256", "alias/ca-p256", &json!({})).ok();
    let asker = Asker::new(&client, made.text("certificate"));
    let leaf = issue(&client).ok().text("certificate");
    let questions: Vec<Vec<u8>> = (0..120)
        .map(|number| {
            asker
                .openssl
                .ocsp_request(&asker.root, &["-serial", &format!("{}", 1000 + number)])
        })
        .collect();
    // One signature that takes long keeps back all who ask about what is not on record, and nobody else.
    fake.take_operations();
    fake.fail("Sign", Fault::Hang, 1);
    // All at once: whoever asks after it has ended is answered.
    let together = Arc::new(Barrier::new(questions.len()));
    let flood: Vec<_> = questions
        .into_iter()
        .map(|question| {
            let (client, together) = (client.clone(), Arc::clone(&together));
            thread::spawn(move || {
                together.wait();
                client.ocsp("pki", &question).status
            })
        })
        .collect();
    until("the flood", Duration::from_secs(5), || {
        fake.take_operations()
            .contains(&"Sign".to_owned())
            .then_some(())
    });
    for _ in 0..5 {
        let start = Instant::now();
        issue(&client).ok();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!(asker.status(&leaf), "good", "of a certificate on record");
    // The same for its second attempt, so that a client of the flood that comes late finds it held up as well.
    fake.fail("Sign", Fault::Hang, 1);
    let statuses: Vec<u16> = flood
        .into_iter()
        .map(|one| one.join().expect("an answer"))
        .collect();
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    let answered = statuses.iter().filter(|status| **status == 200).count();
    assert!(
        answered < 10,
        "{answered} signatures for made up serial numbers"
    );
    assert_eq!(asker.ask_serial("1000").status, 200);
}

#[test]
fn a_sealed_key_signs_answers_from_memory() {
    let fake = fake();
    let mut server = server(&fake);
    let client = server.client();
    let seal = json!({"type": "awskms", "kms_key_id": "alias/bao-unseal"});
    client.write("pki/config/seal", seal).ok();
    let body = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    let made = client.write("pki/root/generate/internal", body).ok();
    let certificate = issue(&client).ok().text("certificate");
    let status: Value = client.read("pki/seal/status").ok().data().clone();
    assert_eq!(status["keys_sealed"], 1, "{status}");
    let asker = Asker::new(&client, made.text("certificate"));
    fake.take_operations();
    assert_eq!(asker.status(&certificate), "good");
    assert_eq!(fake.take_operations(), [""; 0]);

    // After a restart the key opens when AWS KMS is back; until then clients may try later.
    fake.fail("Decrypt", Fault::Error("KMSInternalException", 500), 1000);
    server.restart();
    let asker = Asker::new(&server.client(), asker.root);
    let reply = until("an answer of the mount", Duration::from_secs(20), || {
        Some(asker.ask(&certificate)).filter(|reply| reply.bytes.len() == 5)
    });
    assert_eq!(
        (reply.status, &reply.bytes[..]),
        (503, &[0x30, 3, 10, 1, 3][..])
    );
    fake.heal();
    until("the key", Duration::from_secs(20), || {
        (asker.ask(&certificate).status == 200).then_some(())
    });
    assert_eq!(asker.status(&certificate), "good");
}
