//! CA keys that the mount seals by AWS KMS, on real servers with raft storage.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::fake_aws::{
    ACCESS_KEY, FakeAws, Fault, MULTI_REGION_KEY, OTHER_KEY, REGION, UNSEAL_KEY, arn,
};
use super::host::fake;
use crate::support::{Client, PLUGIN_NAME, Release, Server, TakeOver, until};

/// A request may take this long while AWS KMS is away; the limits of one attempt and of a server under load are in it.
const BOUND: Duration = Duration::from_secs(20);

/// Longer than the pause after a failure.
const RECOVERY: Duration = Duration::from_secs(20);

/// A server with a mount `pki` that knows the way to the stand-in.
pub(super) fn server(fake: &FakeAws) -> Server {
    let server = Server::raft(Release::Current, "raw_storage_endpoint = true\n");
    server.register(PLUGIN_NAME, "");
    mount(&server, fake, "pki");
    server
}

fn mount(server: &Server, fake: &FakeAws, path: &str) {
    server.mount(path, PLUGIN_NAME);
    connect(&server.client(), fake, path);
}

fn connect(client: &Client, fake: &FakeAws, path: &str) {
    let settings = json!({
        "region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "secret",
    });
    client.write(&format!("{path}/config/kms"), settings).ok();
}

pub(super) fn seal_by(client: &Client, path: &str, key: &str) {
    let settings = json!({"type": "awskms", "kms_key_id": key});
    client.write(&format!("{path}/config/seal"), settings).ok();
}

/// A root and a role that admits every name; answers with the private key in DER and the certificate.
pub(super) fn root(client: &Client, path: &str, kind: &str) -> (Vec<u8>, String) {
    let made = client
        .write(
            &format!("{path}/root/generate/exported"),
            json!({"common_name": "Root", "key_type": kind, "ttl": "8760h"}),
        )
        .ok();
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    client.write(&format!("{path}/roles/one"), role).ok();
    let pem = made.text("private_key");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    (
        STANDARD.decode(body).expect("PEM"),
        made.text("certificate"),
    )
}

fn issue(client: &Client, path: &str) -> crate::support::Reply {
    let request = json!({"common_name": "a.example.com"});
    client.write(&format!("{path}/issue/one"), request)
}

/// Runs a migration to its end.
pub(super) fn migrate(client: &Client, path: &str) -> Value {
    client
        .write(&format!("{path}/seal/migrate"), json!({}))
        .ok();
    until("the end of a migration", RECOVERY, || {
        let status = status(client, path);
        (status["migration_state"] != "running").then_some(status)
    })
}

fn status(client: &Client, path: &str) -> Value {
    let status = client.read(&format!("{path}/seal/status")).ok();
    status.data().clone()
}

/// Everything in storage as it is behind the barrier, by path.
fn behind_the_barrier(client: &Client) -> BTreeMap<String, Vec<u8>> {
    fn walk(client: &Client, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        let listed = client.list(&format!("sys/raw/{prefix}"));
        if listed.status != 200 {
            return;
        }
        for name in listed.texts("keys") {
            let path = format!("{prefix}{name}");
            if path.ends_with('/') {
                walk(client, &path, found);
                continue;
            }
            let read = client.read(&format!("sys/raw/{path}?encoding=base64"));
            if read.status == 200 {
                let value = STANDARD.decode(read.text("value")).expect("base64");
                found.insert(path, value);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(client, "", &mut found);
    assert!(
        found.keys().any(|path| path.starts_with("logical/")),
        "{:?}",
        found.keys()
    );
    found
}

/// Where a private key shows: as DER, as the base64 of its PEM, or (P-256) as its bare number.
fn shows(entries: &BTreeMap<String, Vec<u8>>, key: &[u8]) -> Vec<String> {
    let text = STANDARD.encode(key);
    let mut marks: Vec<&[u8]> = vec![&key[..key.len().min(40)], &text.as_bytes()[..40]];
    if key.starts_with(&[0x30, 0x77, 2, 1, 1, 4, 32]) {
        marks.push(&key[7..39]);
    } else {
        // Of an RSA key the modulus is public, and comes first.
        marks[0] = &key[key.len() - 40..];
        marks[1] = &text.as_bytes()[text.len() - 60..text.len() - 8];
    }
    // Line breaks of a PEM are two characters in JSON.
    let holds = |bytes: &[u8]| {
        let flat = String::from_utf8_lossy(bytes).replace("\\n", "");
        marks.iter().any(|mark| {
            bytes.windows(mark.len()).any(|part| part == *mark)
                || std::str::from_utf8(mark).is_ok_and(|mark| flat.contains(mark))
        })
    };
    entries
        .iter()
        .filter(|(_, bytes)| holds(bytes))
        .map(|(path, _)| path.clone())
        .collect()
}

#[test]
fn storage_and_snapshots_hold_no_private_key() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    let (ec, _) = root(&client, "pki", "ec");
    let (rsa, _) = root(&client, "pki", "rsa");
    // The search finds what is there.
    let before = behind_the_barrier(&client);
    for key in [&ec, &rsa] {
        let [found] = &shows(&before, key)[..] else {
            panic!("a key in clear is in one entry: {:?}", shows(&before, key));
        };
        assert!(found.contains("/config/key/"), "{found}");
    }
    seal_by(&client, "pki", "alias/bao-unseal");
    let after = migrate(&client, "pki");
    assert_eq!(after["migration_state"], "done", "{after}");
    assert_eq!(after["keys_sealed"], 2, "{after}");
    let (third, _) = root(&client, "pki", "ec");
    issue(&client, "pki").ok();
    let sealed = behind_the_barrier(&client);
    for key in [&ec, &rsa, &third] {
        assert_eq!(shows(&sealed, key), [""; 0]);
    }
    let snapshot = client.read("sys/storage/raft/snapshot").ok().bytes;
    assert!(snapshot.len() > 1000);

    // What is in the snapshot shows when it is restored over keys in clear.
    client.delete("pki/config/seal").ok();
    assert_eq!(migrate(&client, "pki")["keys_in_clear"], 3);
    assert_eq!(shows(&behind_the_barrier(&client), &third).len(), 1);
    let restored = client.try_call("POST", "sys/storage/raft/snapshot-force", Some(snapshot));
    assert!(restored.expect("an answer").status < 300);
    until("the restored state", RECOVERY, || {
        let reply = client.try_call("GET", "pki/seal/status", None).ok()?;
        (reply.status == 200 && reply.data()["keys_sealed"] == 3).then_some(())
    });
    let restored = behind_the_barrier(&client);
    for key in [&ec, &rsa, &third] {
        assert_eq!(shows(&restored, key), [""; 0]);
    }
    issue(&client, "pki").ok();
    // What AWS KMS was told, and its log shows.
    let calls = fake.calls();
    let call = calls
        .iter()
        .find(|call| call.operation == "Decrypt")
        .expect("a Decrypt");
    assert_eq!(call.context["app"], "landfast");
    assert_eq!(call.context["purpose"], "ca-key");
    assert_eq!(call.context["mount"], status(&client, "pki")["mount"]);
    assert_eq!(call.context.len(), 5, "{:?}", call.context);
    assert!(
        calls
            .iter()
            .filter(|call| call.operation == "Decrypt")
            .all(|call| call.key_id.as_deref() == Some(&arn(REGION, UNSEAL_KEY))),
        "every Decrypt names its key"
    );
}

/// The entry of the first key of the mount at `path`, with its place below `sys/raw/`.
fn stored_key(client: &Client, path: &str) -> (String, Value) {
    let uuid = client.read(&format!("sys/mounts/{path}")).ok().text("uuid");
    let folder = format!("sys/raw/logical/{uuid}/config/key/");
    let id = client.list(&folder).ok().texts("keys").remove(0);
    let at = format!("{folder}{id}");
    let text = client.read(&at).ok().text("value");
    (at, serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_record_that_was_moved_does_not_open() {
    let fake = fake();
    let server = server(&fake);
    mount(&server, &fake, "other");
    let client = server.client();
    for path in ["pki", "other"] {
        seal_by(&client, path, "alias/bao-unseal");
        root(&client, path, "ec");
        issue(&client, path).ok();
    }
    let ((_, victim), (at, mut thief)) = (stored_key(&client, "pki"), stored_key(&client, "other"));
    let record = victim["private_key"].as_str().expect("a record").to_owned();
    let stolen: Value = serde_json::from_str(&record).expect("JSON");
    let own: Value =
        serde_json::from_str(thief["private_key"].as_str().expect("a record")).expect("JSON");
    // As it is; then with its names forged to where it lies now.
    let mut forged = record.clone();
    for field in ["mount", "key"] {
        let [theirs, ours] = [&stolen, &own].map(|record| record[field].as_str().expect("text"));
        assert_ne!(theirs, ours, "{field}");
        forged = forged.replace(theirs, ours);
    }
    for text in [record, forged] {
        thief["private_key"] = json!(text);
        client
            .write(&at, json!({"value": format!("{thief}\n")}))
            .ok();
        client
            .write("sys/plugins/reload/backend", json!({"plugin": PLUGIN_NAME}))
            .ok();
        issue(&client, "other").refused(500, "does not open here");
        issue(&client, "pki").ok();
    }
}

#[test]
fn during_an_outage_issuing_goes_on_and_after_a_restart_it_waits() {
    let fake = fake();
    let mut server = server(&fake);
    seal_by(&server.client(), "pki", "alias/bao-unseal");
    root(&server.client(), "pki", "ec");
    fake.fail("*", Fault::Hang, usize::MAX);
    issue(&server.client(), "pki").ok();

    server.restart();
    let client = server.client();
    waits(&client, &fake, &Fault::Hang);
    // All that needs no private key goes on.
    assert_eq!(client.list("pki/keys").ok().texts("keys").len(), 1);
    client.read("pki/key/default").ok();
    client.read("pki/cert/ca").ok();
    client.read("pki/crl").ok();
    assert_eq!(status(&client, "pki")["keys_sealed"], 1);
    fake.heal();
    issues_again(&client);
}

#[test]
fn whatever_is_wrong_with_aws_kms_is_named_and_mends_without_a_restart() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    seal_by(&client, "pki", "alias/bao-unseal");
    root(&client, "pki", "ec");
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Error("KMSInternalException", 500),
        Fault::Error("AccessDeniedException", 400),
        Fault::Error("DisabledException", 400),
        Fault::Reset,
        Fault::Garbage,
    ] {
        fake.fail("*", fault.clone(), usize::MAX);
        client
            .write("sys/plugins/reload/backend", json!({"plugin": PLUGIN_NAME}))
            .ok();
        waits(&client, &fake, &fault);
        fake.heal();
        issues_again(&client);
    }
    fake.fail("*", Fault::Error("AccessDeniedException", 400), usize::MAX);
    client
        .write("pki/keys/generate/internal", json!({"key_type": "ec"}))
        .refused(503, "could not be sealed");
    assert_eq!(client.list("pki/keys").ok().texts("keys").len(), 1);
}

/// A process that has not opened its key answers in time, says why, and asks AWS KMS no more than it must.
fn waits(client: &Client, fake: &FakeAws, fault: &Fault) {
    let began = Instant::now();
    let refused = issue(client, "pki");
    assert!(began.elapsed() < BOUND, "{fault:?}: {:?}", began.elapsed());
    let said = refused.errors().join(" ");
    assert_eq!(refused.status, 503, "{fault:?}: {said}");
    for part in [
        "sealed by AWS KMS",
        arn(REGION, UNSEAL_KEY).as_str(),
        "Decrypt: ",
        "opens by itself",
    ] {
        assert!(said.contains(part), "{fault:?}: {part}: {said}");
    }
    // The next one is told at once, without another call.
    let calls = fake.calls().len();
    issue(client, "pki").refused(503, "sealed by AWS KMS");
    assert_eq!(fake.calls().len(), calls, "{fault:?}");
}

fn issues_again(client: &Client) {
    until("issuing again", RECOVERY, || {
        (issue(client, "pki").status == 200).then_some(())
    });
}

#[test]
fn a_process_asks_once_for_each_key_however_many_ask_it() {
    let fake = fake();
    let mut server = server(&fake);
    seal_by(&server.client(), "pki", "alias/bao-unseal");
    root(&server.client(), "pki", "ec");
    server.restart();
    fake.take_operations();
    let client = server.client();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| issue(&client, "pki").ok());
        }
    });
    assert_eq!(fake.take_operations(), ["Decrypt"]);
    // Neither a rename nor a new issuer makes it ask again.
    client
        .write("pki/key/default", json!({"key_name": "first"}))
        .ok();
    issue(&client, "pki").ok();
    assert_eq!(fake.take_operations(), [""; 0]);
}

#[test]
fn data_keys_follow_an_alias_that_moves_and_any_of_several_keys_opens() {
    let fake = fake();
    let mut server = server(&fake);
    let client = server.client();
    seal_by(&client, "pki", "alias/bao-unseal");
    root(&client, "pki", "ec");
    fake.move_alias("alias/bao-unseal", OTHER_KEY);
    let moved = migrate(&client, "pki");
    assert_eq!(
        moved["wrapped_by"],
        json!([arn(REGION, OTHER_KEY)]),
        "{moved}"
    );
    assert_eq!(moved["migration_changed"], 1, "{moved}");
    fake.set_state(UNSEAL_KEY, "Disabled");
    server.restart();
    let client = server.client();
    issue(&client, "pki").ok();

    // One key under two names is no second key, and an odd Region no server's fault.
    for (further, said) in [
        (arn(REGION, OTHER_KEY), "are the same key"),
        (arn("EU/x", OTHER_KEY), "is not the name of a Region"),
    ] {
        client
            .write(
                "pki/config/seal",
                json!({"type": "awskms", "kms_key_id": OTHER_KEY, "further_kms_key_ids": further}),
            )
            .refused(400, said);
    }

    // Two keys in two Regions: the home Region may go.
    let ireland = arn("eu-west-1", MULTI_REGION_KEY);
    client
        .write(
            "pki/config/seal",
            json!({"type": "awskms", "kms_key_id": OTHER_KEY, "further_kms_key_ids": ireland}),
        )
        .ok();
    let both = migrate(&client, "pki");
    assert_eq!(
        both["wrapped_by"],
        json!([arn(REGION, OTHER_KEY), ireland]),
        "{both}"
    );
    server.restart();
    fake.fail_in(REGION, "*", Fault::Hang, usize::MAX);
    let client = server.client();
    let began = Instant::now();
    issue(&client, "pki").ok();
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

#[test]
fn a_server_that_dies_while_keys_are_sealed_loses_none_and_goes_on() {
    const KEYS: usize = 40;
    let fake = fake();
    let mut server = server(&fake);
    let client = server.client();
    let (first, _) = root(&client, "pki", "ec");
    for _ in 1..KEYS {
        client
            .write("pki/keys/generate/internal", json!({"key_type": "ec"}))
            .ok();
    }
    client
        .write(
            "pki/config/seal",
            json!({"type": "awskms", "kms_key_id": "alias/bao-unseal",
                   "further_kms_key_ids": [OTHER_KEY, arn("eu-west-1", MULTI_REGION_KEY)]}),
        )
        .ok();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = "pki/seal/migrate";
            let _ = client.try_call("POST", path, Some(b"{}".to_vec()));
        });
        until("some keys sealed", RECOVERY, || {
            let done = status(&client, "pki")["migration_done"].as_u64()?;
            (done >= 3).then_some(())
        });
        // Stands still from here, so that the end comes in the middle.
        fake.fail("*", Fault::Hang, usize::MAX);
        server.crash_and_start();
    });
    fake.heal();
    server.unseal();
    let client = server.client();
    issue(&client, "pki").ok();
    let done = until("all keys sealed", RECOVERY, || {
        let status = status(&client, "pki");
        (status["migration_state"] == "done").then_some(status)
    });
    let before = done["migration_total"].as_u64().expect("a number");
    let changed = done["migration_changed"].as_u64().expect("a number");
    assert_eq!(before, KEYS as u64);
    assert!(
        0 < changed && changed < before,
        "it died in the middle: {done}"
    );
    assert_eq!(
        (&done["keys_sealed"], &done["migration_pending"]),
        (&json!(KEYS), &json!(false))
    );
    assert_eq!(shows(&behind_the_barrier(&client), &first), [""; 0]);
    server.restart();
    issue(&server.client(), "pki").ok();
}

#[test]
fn the_built_in_engine_refuses_a_sealed_key_and_takes_it_when_it_is_unsealed() {
    let fake = fake();
    let server = Server::raft(Release::Current, "raw_storage_endpoint = true\n");
    let mount = TakeOver::mount(&server);
    let client = server.client();
    let (key, certificate) = root(&client, "pki", "ec");
    mount.to_ours(&server);
    connect(&client, &fake, "pki");
    let (_, in_clear) = stored_key(&client, "pki");
    seal_by(&client, "pki", "alias/bao-unseal");
    assert_eq!(migrate(&client, "pki")["keys_sealed"], 1);

    mount.back(&server);
    issue(&client, "pki").refused(500, "rror decoding private key");
    client
        .read("pki/cert/ca")
        .refused(500, "Error decoding private key");
    assert_eq!(client.list("pki/keys").ok().texts("keys").len(), 1);
    let issuer = client.read("pki/issuer/default").ok();
    assert_eq!(issuer.text("certificate").trim(), certificate.trim());
    // It renames a key by writing the whole entry: the record must live through that.
    let (_, before) = stored_key(&client, "pki");
    let _ = client.write("pki/key/default", json!({"key_name": "renamed"}));
    let (_, after) = stored_key(&client, "pki");
    assert_eq!(before["private_key"], after["private_key"]);

    mount.to_ours(&server);
    issue(&client, "pki").ok();
    client
        .write("pki/config/seal", json!({"type": "none"}))
        .ok();
    assert_eq!(migrate(&client, "pki")["keys_in_clear"], 1);
    let (_, given_back) = stored_key(&client, "pki");
    assert_eq!(given_back["private_key"], in_clear["private_key"]);
    assert_eq!(shows(&behind_the_barrier(&client), &key).len(), 1);
    mount.back(&server);
    issue(&client, "pki").ok();
}
