//! The OCSP responder beside the built-in one: equal answers but for keys, times and signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::with_root;
use crate::support::{Openssl, Pair};

/// A pair whose root `root` issued a certificate that is good and one that is revoked, of each mount.
struct Setting {
    pair: Pair,
    openssl: Openssl,
    root: [String; 2],
    good: [String; 2],
    revoked: [String; 2],
    /// Of the revoked one.
    serial: [String; 2],
}

impl Setting {
    fn new() -> Self {
        let pair = with_root(json!({}));
        let role = json!({"allow_any_name": true, "key_type": "ec", "issuer_ref": "root"});
        pair.both("POST", "roles/one", Some(&role)).ok();
        let certificate = |name: &str| {
            let body = json!({"common_name": name});
            pair.both("POST", "issue/one", Some(&body)).ok()
        };
        let (good, revoked) = (certificate("a.example.com"), certificate("b.example.com"));
        let mut pair = pair;
        let serial = revoked.text("serial_number");
        pair.same_with(
            "POST",
            |_| "revoke".to_owned(),
            |i| json!({"serial_number": serial[i]}),
        );
        Self {
            root: pair
                .both("GET", "issuer/root", None)
                .ok()
                .text("certificate"),
            good: good.text("certificate"),
            revoked: revoked.text("certificate"),
            serial,
            openssl: Openssl::new(),
            pair,
        }
    }

    /// A request about serial numbers or files, for each mount.
    fn ask(&self, certificates: &[&[String; 2]], more: &[&str]) -> [Vec<u8>; 2] {
        self.ask_of(&self.root, certificates, more)
    }

    fn ask_of(
        &self,
        issuer: &[String; 2],
        certificates: &[&[String; 2]],
        more: &[&str],
    ) -> [Vec<u8>; 2] {
        [0, 1].map(|i| {
            let mut arguments: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
            for (at, certificate) in certificates.iter().enumerate() {
                let path = self
                    .openssl
                    .file(&format!("asked-{at}.pem"), &certificate[i]);
                arguments.extend([
                    "-cert".to_owned(),
                    path.to_str().expect("a path of ours").to_owned(),
                ]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.openssl.ocsp_request(&issuer[i], &arguments)
        })
    }

    /// Compares the answers, which have this status and contain this word.
    #[track_caller]
    fn same(&mut self, what: &str, requests: &[Vec<u8>; 2], status: u16, word: &str) {
        let (both, posted) = self.pair.ocsp(requests);
        assert_eq!(
            (both.theirs.status, posted.status),
            (status, status),
            "{what}"
        );
        let show = |reply: &crate::support::Reply| {
            let text = self.openssl.ocsp_text(&reply.bytes);
            format!(
                "{} {:?} {:?}\n{}",
                reply.status,
                reply.header("content-type"),
                reply.header("cache-control"),
                masked(&text)
            )
        };
        let (theirs, ours, posted) = (show(&both.theirs), show(&both.ours), show(&posted));
        assert!(theirs.contains(word), "{what}: {word:?} is not in {theirs}");
        assert_eq!(theirs, posted, "{what}: GET and POST differ");
        self.pair.equal(what, &theirs, &ours);
    }

    fn set(&self, path: &str, body: Value) {
        self.pair.both("POST", path, Some(&body)).ok();
    }
}

/// The text of a response without key hashes, serial numbers, signatures and the hour; the time from one update to the next is kept.
fn masked(text: &str) -> String {
    let time = |line: &str| {
        let (_, time) = line.split_once(": ").expect("a name and a time");
        jiff::fmt::strtime::parse("%b %d %H:%M:%S %Y GMT", time.trim())
            .and_then(|time| time.to_datetime())
            .unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let mut this_update = None;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_octets =
            line.len() > 3 && line.split(':').all(|pair| pair.len() <= 2) && line.contains(':');
        let shown = match line.split_once(": ") {
            Some(("Issuer Key Hash", hash)) => format!("Issuer Key Hash of {}", hash.len()),
            Some(("Serial Number", serial)) if serial.len() > 10 => "Serial Number …".to_owned(),
            Some(("Produced At", _)) => {
                assert_eq!(time(line).second(), 0, "a whole minute");
                "Produced At …".to_owned()
            }
            Some(("This Update", _)) => {
                this_update = Some(time(line));
                "This Update …".to_owned()
            }
            Some(("Next Update", _)) => {
                let from = this_update.expect("it comes before");
                let length = time(line).duration_since(from);
                format!("Next Update {} s later", length.as_secs())
            }
            Some(("Revocation Time", _)) => {
                time(line);
                "Revocation Time …".to_owned()
            }
            // Long hashes go on in a line of their own.
            _ if is_octets || line.bytes().all(|byte| byte.is_ascii_hexdigit()) => continue,
            _ => line.to_owned(),
        };
        lines.push(shown);
    }
    lines.join("\n")
}

#[test]
fn a_certificate_is_good_revoked_or_unknown_alike() {
    let mut at = Setting::new();
    for hash in ["-sha1", "-sha256", "-sha384", "-sha512"] {
        let good = at.ask(&[&at.good], &[hash]);
        at.same(hash, &good, 200, "Cert Status: good");
        let revoked = at.ask(&[&at.revoked], &[hash]);
        at.same(hash, &revoked, 200, "Cert Status: revoked");
    }
    let both = at.ask(&[&at.revoked, &at.good], &[]);
    at.same(
        "two, the revoked one first",
        &both,
        200,
        "Cert Status: revoked",
    );
    let both = at.ask(&[&at.good, &at.revoked], &[]);
    at.same("two, the good one first", &both, 200, "Cert Status: good");
    for serial in [
        "0x1234",
        "0",
        "0x00ff",
        "-1234",
        "0x0102030405060708090a0b0c0d0e0f101112131415161718",
    ] {
        let strange = at.ask(&[], &["-serial", serial]);
        at.same(serial, &strange, 200, "Cert Status: good");
    }
    let (foreign, _) = at.openssl.authority("Somebody else");
    let foreign = [foreign.clone(), foreign];
    let unknown = at.ask_of(&foreign, &[], &["-serial", "0x1234"]);
    at.same("another CA", &unknown, 200, "Cert Status: unknown");
    at.pair
        .both(
            "POST",
            "issuers/import/cert",
            Some(&json!({"pem_bundle": foreign[0]})),
        )
        .ok();
    at.same(
        "a CA without its key",
        &unknown,
        200,
        "Cert Status: unknown",
    );
    // A nonce is passed over.
    let nonce = at.ask(&[&at.good], &["-nonce"]);
    assert_ne!(nonce[0].len(), at.ask(&[&at.good], &[])[0].len());
    at.same("nonce", &nonce, 200, "Cert Status: good");
    // What is true is true of the issuer itself.
    let own = at.ask(&[&at.root], &[]);
    at.same("the root", &own, 200, "Cert Status: good");
    at.set("issuer/root/revoke", json!({}));
    at.same("the revoked root", &own, 200, "Cert Status: revoked");
    let good = at.ask(&[&at.good], &[]);
    at.same("of the revoked root", &good, 200, "Cert Status: good");
    at.pair.finish();
}

#[test]
fn an_answer_that_is_refused_is_refused_alike() {
    let mut at = Setting::new();
    let good = at.ask(&[&at.good], &[]);
    let revoked = at.ask(&[&at.revoked], &[]);
    let trailing = good.clone().map(|der| [&der[..], &[0]].concat());
    let many = ["-serial"; 64]
        .map(|word| [word, "0x1234567890123456789012345678901234567890"])
        .concat();
    let large = at.ask(&[], &many);
    for (what, requests) in [
        ("junk", [b"junk".to_vec(), b"junk".to_vec()]),
        ("trailing", trailing),
        ("too large", large),
        ("cut", good.clone().map(|der| der[..der.len() - 1].to_vec())),
    ] {
        at.same(what, &requests, 400, "malformedrequest");
    }
    at.pair.same("GET", "ocsp/!!!", Value::Null);
    at.pair.same("GET", "ocsp/", Value::Null);
    for (method, path) in [
        ("GET", "ocsp"),
        ("LIST", "ocsp"),
        ("LIST", "ocsp/aaaa"),
        ("DELETE", "ocsp/aaaa"),
        ("DELETE", "ocsp"),
    ] {
        at.pair.same(method, path, Value::Null);
    }

    at.set("config/crl", json!({"ocsp_disable": true}));
    at.same("switched off", &good, 401, "unauthorized");
    at.same(
        "switched off, junk",
        &[b"junk".to_vec(), b"junk".to_vec()],
        401,
        "unauthorized",
    );
    at.set(
        "config/crl",
        json!({"ocsp_disable": false, "disable": true}),
    );
    at.same("no CRLs", &revoked, 200, "Cert Status: revoked");
    at.set("config/crl", json!({"disable": false}));

    let (foreign, _) = at.openssl.authority("Somebody else");
    let unknown = at.ask_of(&[foreign.clone(), foreign], &[], &["-serial", "0x1234"]);
    for usage in [
        "read-only,issuing-certificates,crl-signing",
        "ocsp-signing",
        "read-only,ocsp-signing",
    ] {
        at.set(
            "issuer/root",
            json!({"issuer_name": "root", "usage": usage}),
        );
        let (status, word) = if usage.contains("ocsp") {
            (200, "Cert Status: ")
        } else {
            (401, "unauthorized")
        };
        for (what, requests) in [
            ("good", &good),
            ("revoked", &revoked),
            ("unknown", &unknown),
        ] {
            at.same(&format!("{what}, {usage}"), requests, status, word);
        }
    }
    at.pair.finish();
}

#[test]
fn the_time_to_the_next_update_and_the_algorithm_are_alike() {
    let mut at = Setting::new();
    let good = at.ask(&[&at.good], &[]);
    for (expiry, word) in [
        ("1h", "Next Update 3600 s"),
        ("90s", "Next Update 90 s"),
        ("0", "This Update"),
        ("0s", "This Update"),
        ("240h", "Next Update 864000 s"),
    ] {
        at.set("config/crl", json!({"ocsp_expiry": expiry}));
        let (theirs, _) = at.pair.ocsp(&good);
        let shown = masked(&at.openssl.ocsp_text(&theirs.ours.bytes));
        assert!(shown.contains(word), "{expiry}: {shown}");
        at.same(expiry, &good, 200, "Cert Status: good");
    }
    at.set("config/crl", json!({"ocsp_expiry": "12h"}));

    for (name, fields, algorithms) in [
        (
            "p384",
            json!({"key_type": "ec", "key_bits": 384}),
            vec![("", "ecdsa-with-SHA384")],
        ),
        (
            "p521",
            json!({"key_type": "ec", "key_bits": 521}),
            vec![("", "ecdsa-with-SHA512")],
        ),
        (
            "rsa",
            json!({"key_type": "rsa"}),
            vec![
                ("", "sha256With"),
                ("SHA384WithRSA", "sha384With"),
                ("SHA512WithRSAPSS", "sha512With"),
            ],
        ),
        (
            "pss",
            json!({"key_type": "rsa", "use_pss": true}),
            vec![("", "sha256With")],
        ),
    ] {
        let mut body = json!({"common_name": name, "issuer_name": name, "ttl": "8760h"});
        super::merge(&mut body, fields);
        let root = at
            .pair
            .both("POST", "issuers/generate/root/internal", Some(&body))
            .ok()
            .text("certificate");
        let question = at.ask_of(&root, &[], &["-serial", "0x1234"]);
        for (wish, algorithm) in algorithms {
            if !wish.is_empty() {
                let body = json!({"issuer_name": name, "revocation_signature_algorithm": wish});
                at.set(&format!("issuer/{name}"), body);
            }
            at.same(&format!("{name} {wish}"), &question, 200, algorithm);
        }
        // The serial number of another issuer's revoked certificate.
        let of_another = [0, 1].map(|i| {
            let serial = format!("0x{}", at.serial[i].replace(':', ""));
            at.openssl.ocsp_request(&root[i], &["-serial", &serial])
        });
        let what = format!("{name}, revoked by another");
        at.same(&what, &of_another, 200, "Cert Status: unknown");
    }
    at.pair.finish();
}

/// A mount that has no issuer answers nothing.
#[test]
fn a_mount_without_issuer_refuses_alike() {
    let openssl = Openssl::new();
    let (foreign, _) = openssl.authority("Somebody else");
    let request = openssl.ocsp_request(&foreign, &["-serial", "0x1234"]);
    let pair = Pair::new();
    let (both, _) = pair.ocsp(&[request.clone(), request]);
    assert_eq!((both.theirs.status, both.ours.status), (401, 401));
    assert_eq!(both.theirs.bytes, both.ours.bytes);
}

/// An issuer that was deleted and imported again: the record of the revocation has its old id.
#[test]
fn a_revocation_outlives_the_id_of_its_issuer() {
    let pair = Pair::new();
    let body = json!({"common_name": "Moved", "key_type": "ec", "ttl": "8760h"});
    let made = pair
        .both("POST", "root/generate/exported", Some(&body))
        .ok();
    let (root, key, id) = (
        made.text("certificate"),
        made.text("private_key"),
        made.text("issuer_id"),
    );
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let leaf = pair
        .both("POST", "issue/one", Some(&json!({"common_name": "a"})))
        .ok();
    let (serial, certificate) = (leaf.text("serial_number"), leaf.text("certificate"));
    let mut pair = pair;
    pair.same_with(
        "POST",
        |_| "revoke".to_owned(),
        |i| json!({"serial_number": serial[i]}),
    );
    pair.same_with("DELETE", |i| format!("issuer/{}", id[i]), |_| Value::Null);
    let again = pair.same_with(
        "POST",
        |_| "issuers/import/bundle".to_owned(),
        |i| json!({"pem_bundle": format!("{}\n{}", root[i], key[i])}),
    );
    let new = [&again.theirs, &again.ours].map(|reply| reply.texts("imported_issuers")[0].clone());
    pair.same_with(
        "POST",
        |_| "config/issuers".to_owned(),
        |i| json!({"default": new[i]}),
    );
    let openssl = Openssl::new();
    let questions = [0, 1].map(|i| {
        let file = openssl.file("asked.pem", &certificate[i]);
        openssl.ocsp_request(&root[i], &["-cert", file.to_str().expect("a path of ours")])
    });
    let (both, _) = pair.ocsp(&questions);
    for reply in [&both.theirs, &both.ours] {
        let said = openssl.ocsp_text(&reply.bytes);
        assert!(said.contains("Cert Status: revoked"), "{said}");
    }
    pair.finish();
}

/// Differences that are ours on purpose, or the host's.
#[test]
fn what_differs_is_known() {
    let at = Setting::new();
    let good = at.ask(&[&at.good], &[]);
    // The host gives no plugin the body of a POST.
    let posted = at.pair.ocsp_by_post(&good[0]);
    assert_eq!((posted.theirs.status, posted.ours.status), (200, 400));
    assert_eq!(posted.ours.bytes, [0x30, 3, 10, 1, 1]);
    // The URL-safe alphabet, without padding.
    let text = ["0x12fbefbeff", "0x1200fbefbeff", "0x120000fbefbeff"]
        .map(|serial| at.ask(&[], &["-serial", serial]))
        .map(|question| question.map(|der| URL_SAFE_NO_PAD.encode(der)))
        .into_iter()
        .find(|text| text.iter().all(|text| text.contains(['-', '_'])))
        .expect("one of three alignments needs them");
    let ask = |i: usize, mount| {
        let path = format!("{mount}/ocsp/{}", text[i]);
        at.pair.server().client().with_token("").read(&path)
    };
    assert_eq!(ask(0, "builtin").status, 400);
    let ours = ask(1, "landfst");
    assert_eq!(ours.status, 200);
    assert!(
        at.openssl
            .ocsp_text(&ours.bytes)
            .contains("Cert Status: good")
    );
    // An Ed25519 key signs answers.
    let body = json!({"common_name": "Edwards", "issuer_name": "edwards", "key_type": "ed25519", "ttl": "8760h"});
    let made = at
        .pair
        .both("POST", "issuers/generate/root/internal", Some(&body))
        .ok();
    let root = made.text("certificate");
    let (both, _) = at.pair.ocsp(&at.ask_of(&root, &[&root], &[]));
    assert_eq!((both.theirs.status, both.ours.status), (500, 200));
    let status = at.openssl.ocsp_status(&root[1], &root[1], &both.ours.bytes);
    assert_eq!(status, Ok("good".to_owned()));
}
