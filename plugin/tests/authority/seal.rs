//! Sealed CA keys through the path table, wrapped by key files: what lies in storage, what opens, and what a crash leaves.

use std::collections::BTreeMap;

use landfast_pki::crl::Crl;
use landfast_plugin::Mount;
use landfast_sdk::logical::{ReplicationState, Storage};
use landfast_sdk::testing::{FaultyStorage, FixedSystem, Harness, HttpReply, MemoryStorage};
use landfast_unseal::keys::local::LocalKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

/// A folder with the key files `one` and `two`.
fn key_files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        LocalKey::create(&folder.path().join(name)).unwrap();
    }
    folder
}

fn allowed(mount: Harness<Mount>, folder: &TempDir) -> Harness<Mount> {
    mount.backend().use_key_directory(folder.path());
    mount
}

async fn restarted(mount: Harness<Mount>, folder: &TempDir) -> Harness<Mount> {
    allowed(later(mount, now()).await, folder)
}

async fn seal_by(mount: &Harness<Mount>, file: &str) -> HttpReply {
    let request = match file {
        "none" => json!({ "type": "none" }),
        file => json!({ "type": "local", "key_file": file }),
    };
    mount.update("config/seal", request).await
}

/// Runs a migration to its end.
async fn migrate(mount: &Harness<Mount>, request: Value) -> HttpReply {
    let mut reply = ok(mount.update("seal/migrate", request).await);
    for _ in 0..200 {
        if reply.data["migration_state"] != "running" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        reply = ok(mount.read("seal/status").await);
    }
    reply
}

fn entries(mount: &Harness<Mount>) -> BTreeMap<String, Vec<u8>> {
    mount.storage().memory().snapshot()
}

/// The stored entries of keys.
fn key_entries(mount: &Harness<Mount>) -> Vec<Value> {
    let all = entries(mount);
    let keys = all.iter().filter(|(key, _)| key.starts_with("config/key/"));
    keys.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
        .collect()
}

/// Whether no entry has the private key, in PEM, its base64 or its raw number.
fn hides(mount: &Harness<Mount>, pair: &Pair) -> bool {
    let pem = pair.key_pem();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = pair
        .key
        .to_der(landfast_pki::KeyEncoding::Pkcs8)
        .unwrap()
        .expose()
        .clone();
    // The private number of a P-256 key follows "04 20" in PKCS#8 and SEC 1 alike.
    let at = der.windows(2).rposition(|two| two == [4, 32]).unwrap() + 2;
    let number = &der[at..at + 32];
    let marks = [&body.as_bytes()[8..40], number, b"PRIVATE KEY"];
    entries(mount).values().all(|bytes| {
        marks
            .iter()
            .all(|mark| !bytes.windows(mark.len()).any(|part| part == *mark))
    })
}

/// Whether the CA signs: a new CRL is its own.
async fn signs(mount: &Harness<Mount>, root: &Pair) {
    ok(mount.read("crl/rotate").await);
    let issuers = mount.list("issuers").await;
    let mut issuers = issuers.keys().into_iter();
    let crl = loop {
        let issuer = issuers.next().expect("an issuer of this key");
        let certificate =
            ok(mount.read(&format!("issuer/{issuer}")).await).data["certificate"].clone();
        if certificate == root.certificate.pem() {
            break ok(mount.read(&format!("issuer/{issuer}/crl/der")).await)
                .raw
                .unwrap();
        }
    };
    Crl::from_der(&crl)
        .unwrap()
        .verify(&root.certificate)
        .unwrap();
}

#[tokio::test]
async fn a_new_key_is_stored_sealed_and_signs_also_after_a_restart() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    let reply = ok(seal_by(&mount, "one").await);
    assert_eq!(reply.data["type"], "local");
    assert!(reply.warnings[0].contains("laptops and tests"), "{reply:?}");
    let root = root("Root");
    adopt(&mount, &root).await;
    assert!(hides(&mount, &root));
    signs(&mount, &root).await;
    let made = ok(mount
        .update(
            "root/generate/exported",
            json!({ "common_name": "Second", "ttl": "24h" }),
        )
        .await);
    assert!(
        made.data["private_key"]
            .as_str()
            .unwrap()
            .contains("PRIVATE KEY"),
        "exported is shown once"
    );
    assert!(hides(&mount, &root));
    assert_eq!(key_entries(&mount).len(), 2);

    let mount = restarted(mount, &folder).await;
    let status = ok(mount.read("seal/status").await).data;
    assert_eq!(
        (&status["keys_sealed"], &status["keys_in_memory"]),
        (&json!(2), &json!(0))
    );
    signs(&mount, &root).await;
    assert_eq!(
        ok(mount.read("seal/status").await).data["keys_in_memory"],
        2
    );
}

#[tokio::test]
async fn a_seal_that_does_not_work_is_refused_and_nothing_is_stored() {
    let folder = key_files();
    let plain = mount().await;
    let reply = seal_by(&plain, "one").await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.error().contains("LANDFAST_KEY_DIRECTORY"),
        "{reply:?}"
    );
    let mount = allowed(mount().await, &folder);
    std::fs::write(folder.path().join("precious"), "another secret").unwrap();
    for (request, part) in [
        (json!({}), "type must be"),
        (json!({ "type": "vault" }), "type must be"),
        (json!({ "type": "local" }), "needs key_file"),
        (json!({ "type": "awskms" }), "needs kms_key_id"),
        (
            json!({ "type": "none", "key_file": "one" }),
            "takes no keys",
        ),
        (
            json!({ "type": "local", "key_file": "one", "kms_key_id": "x" }),
            "takes no keys",
        ),
        (
            json!({ "type": "local", "key_file": "/etc/passwd" }),
            "not a path",
        ),
        (
            json!({ "type": "local", "key_file": "../one" }),
            "not a path",
        ),
        (
            json!({ "type": "local", "key_file": "three" }),
            "No such file",
        ),
        (
            json!({ "type": "awskms", "kms_key_id": "no key" }),
            "kms_key_id",
        ),
    ] {
        let reply = mount.update("config/seal", request.clone()).await;
        assert_eq!(reply.status, 400, "{request}: {reply:?}");
        assert!(reply.error().contains(part), "{request}: {reply:?}");
        let hidden = folder.path().to_str().unwrap();
        assert!(!reply.error().contains(hidden), "{request}: {reply:?}");
    }
    let reply = seal_by(&mount, "precious").await;
    assert_eq!(reply.status, 400);
    assert!(!reply.error().contains("another secret"), "{reply:?}");
    assert!(entries(&mount).is_empty());
}

#[tokio::test]
async fn stored_keys_are_sealed_wrapped_anew_and_given_back_to_the_byte() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    let root = root("Root");
    adopt(&mount, &root).await;
    let [clear] = &key_entries(&mount)[..] else {
        panic!("one key");
    };
    let reply = ok(seal_by(&mount, "one").await);
    assert!(reply.warnings[1].contains("seal/migrate"), "{reply:?}");
    assert_eq!(
        &key_entries(&mount)[0],
        clear,
        "only a migration changes it"
    );

    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(status["migration_state"], "done", "{status}");
    assert_eq!(
        (&status["keys_sealed"], &status["keys_in_clear"]),
        (&json!(1), &json!(0))
    );
    assert!(hides(&mount, &root));
    let first = key_entries(&mount).remove(0);
    signs(&mount, &root).await;

    // The data key is wrapped by the other file; the ciphertext stays.
    let reply = ok(seal_by(&mount, "two").await);
    assert!(reply.warnings[1].contains("1 of 1"), "{reply:?}");
    let mount = restarted(mount, &folder).await;
    signs(&mount, &root).await;
    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(
        (&status["migration_changed"], &status["to_rewrap"]),
        (&json!(1), &json!(0))
    );
    let record = |entry: &Value| -> Value {
        serde_json::from_str(entry["private_key"].as_str().unwrap()).unwrap()
    };
    let second = key_entries(&mount).remove(0);
    assert_eq!(record(&first)["ciphertext"], record(&second)["ciphertext"]);
    assert_ne!(record(&first)["data_keys"], record(&second)["data_keys"]);
    std::fs::remove_file(folder.path().join("one")).unwrap();
    let mount = restarted(mount, &folder).await;
    signs(&mount, &root).await;
    // Nothing is left to do, unless it is asked for.
    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(status["migration_changed"], 0);
    let status = migrate(&mount, json!({ "rewrap": true })).await.data;
    assert_eq!(status["migration_changed"], 1);
    assert_ne!(
        record(&key_entries(&mount)[0])["data_keys"],
        record(&second)["data_keys"]
    );

    let reply = ok(mount.delete("config/seal").await);
    assert!(reply.warnings[0].contains("seal/migrate"), "{reply:?}");
    let mount = restarted(mount, &folder).await;
    signs(&mount, &root).await;
    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(
        (&status["keys_in_clear"], &status["type"]),
        (&json!(1), &json!("none"))
    );
    assert_eq!(
        &key_entries(&mount)[0],
        clear,
        "as the built-in engine stores it"
    );
    signs(&restarted(mount, &folder).await, &root).await;
}

#[tokio::test]
async fn whatever_write_fails_each_key_is_there_in_one_form() {
    let folder = key_files();
    let root = root("Root");
    // From what to what.
    for (from, to) in [("none", "one"), ("one", "two"), ("one", "none")] {
        at_every_write(
            async |transactions| {
                let mount = allowed(on(transactions).await, &folder);
                ok(seal_by(&mount, from).await);
                adopt(&mount, &root).await;
                ok(seal_by(&mount, to).await);
                mount
            },
            async |mount: Harness<Mount>| {
                let reply = mount.update("seal/migrate", json!({})).await;
                (mount, reply)
            },
            async |mount: Harness<Mount>, reply: HttpReply| {
                let mount = allowed(mount, &folder);
                assert_eq!(key_entries(&mount).len(), 1);
                signs(&mount, &root).await;
                if reply.status == 200 {
                    // The wish was stored: the work goes on without the caller.
                    ok(mount.periodic().await);
                }
                let status = migrate(&mount, json!({})).await.data;
                assert_eq!(
                    status["migration_state"], "done",
                    "{from} to {to}: {status}"
                );
                assert_eq!(status["migration_pending"], false);
                assert_eq!(hides(&mount, &root), to != "none");
                signs(&allowed(later(mount, now()).await, &folder), &root).await;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_new_key_is_stored_sealed_or_not_at_all() {
    let folder = key_files();
    let root = root("Root");
    at_every_write(
        async |transactions| {
            let mount = allowed(on(transactions).await, &folder);
            ok(seal_by(&mount, "one").await);
            mount
        },
        async |mount: Harness<Mount>| {
            let bundle = json!({ "pem_bundle": root.bundle() });
            let reply = mount.update("issuers/import/bundle", bundle).await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            let mount = allowed(mount, &folder);
            assert!(hides(&mount, &root));
            if reply.status != 200 {
                let bundle = json!({ "pem_bundle": root.bundle() });
                ok(mount.update("issuers/import/bundle", bundle).await);
            }
            assert!(hides(&mount, &root));
            signs(&mount, &root).await;
        },
    )
    .await;
    // Nor without its wrapping key.
    let mount = allowed(on(true).await, &folder);
    ok(seal_by(&mount, "one").await);
    std::fs::remove_file(folder.path().join("one")).unwrap();
    let reply = mount
        .update("keys/generate/internal", json!({ "key_type": "ec" }))
        .await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(key_entries(&mount).len(), 0);
}

#[tokio::test]
async fn a_migration_that_was_interrupted_goes_on_by_itself() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    let root = root("Root");
    adopt(&mount, &root).await;
    ok(seal_by(&mount, "one").await);
    let away = folder.path().join("away");
    std::fs::rename(folder.path().join("one"), &away).unwrap();
    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(status["migration_state"], "waiting", "{status}");
    assert_eq!(status["keys_in_clear"], 1);
    assert!(
        status["migration_last_error"]
            .as_str()
            .unwrap()
            .contains("one"),
        "{status}"
    );

    let mount = restarted(mount, &folder).await;
    assert_eq!(
        ok(mount.read("seal/status").await).data["migration_pending"],
        true
    );
    std::fs::rename(&away, folder.path().join("one")).unwrap();
    ok(mount.periodic().await);
    sealed_soon(&mount).await;
    assert!(hides(&mount, &root));
}

#[tokio::test]
async fn a_migration_that_panicked_has_failed_says_why_and_is_tried_again() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    let root = root("Root");
    adopt(&mount, &root).await;
    ok(seal_by(&mount, "one").await);
    mount.storage().panic_at_list();
    let status = migrate(&mount, json!({})).await.data;
    assert_eq!(status["migration_state"], "failed", "{status}");
    let why = status["migration_last_error"].as_str().unwrap();
    assert!(why.contains("injected panic"), "{why}");
    assert!(status["migration_finished"].is_string(), "{status}");
    assert_eq!(status["migration_pending"], true);

    ok(mount.periodic().await);
    sealed_soon(&mount).await;
    assert!(hides(&mount, &root));
}

async fn sealed_soon(mount: &Harness<Mount>) {
    for _ in 0..200 {
        if ok(mount.read("seal/status").await).data["migration_state"] == "done" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}", mount.read("seal/status").await);
}

#[tokio::test]
async fn without_its_wrapping_key_a_sealed_key_is_listed_read_and_deleted_but_does_not_sign() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    ok(seal_by(&mount, "one").await);
    let root = root("Root");
    let issuer = adopt(&mount, &root).await;
    let spare = ok(mount
        .update(
            "keys/generate/internal",
            json!({ "key_type": "ec", "key_name": "spare" }),
        )
        .await);
    let (file, away) = (folder.path().join("one"), folder.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    // What is in memory goes on, also after the key was renamed.
    ok(mount
        .update("key/default", json!({ "key_name": "renamed" }))
        .await);
    signs(&mount, &root).await;

    let mount = restarted(mount, &folder).await;
    let reply = mount.read("crl/rotate").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    for part in [
        "a key file",
        "local:",
        "put that file back",
        "opens by itself",
    ] {
        assert!(reply.error().contains(part), "{part}: {reply:?}");
    }
    assert_eq!(mount.list("keys").await.keys().len(), 2);
    assert_eq!(ok(mount.read("key/renamed").await).data["key_type"], "ec");
    ok(mount
        .update("key/spare", json!({ "key_name": "other" }))
        .await);
    ok(mount
        .delete(&format!("key/{}", spare.data["key_id"].as_str().unwrap()))
        .await);
    ok(mount.read(&format!("issuer/{issuer}")).await);
    ok(mount.read("crl").await);
    let status = ok(mount.read("seal/status").await).data;
    assert_eq!(
        (&status["keys_sealed"], &status["keys_in_memory"]),
        (&json!(1), &json!(0))
    );

    // Back again, without a restart and within the pause after a failure.
    std::fs::rename(&away, &file).unwrap();
    let began = std::time::Instant::now();
    while mount.read("crl/rotate").await.status == 503 {
        assert!(began.elapsed().as_secs() < 10, "it does not open again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    signs(&mount, &root).await;
}

#[tokio::test]
async fn a_key_that_does_not_open_keeps_no_other_issuer_from_its_crl() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    let [open, closed] = [root("Open"), root("Closed")];
    ok(seal_by(&mount, "one").await);
    adopt(&mount, &closed).await;
    ok(seal_by(&mount, "none").await);
    adopt(&mount, &open).await;
    std::fs::remove_file(folder.path().join("one")).unwrap();
    let mount = restarted(mount, &folder).await;
    let number = async |root: &Pair| {
        let issuers = mount.list("issuers").await;
        for issuer in issuers.keys() {
            let crl = mount.read(&format!("issuer/{issuer}/crl/der")).await;
            let crl = Crl::from_der(&ok(crl).raw.unwrap()).unwrap();
            if crl.verify(&root.certificate).is_ok() {
                return crl.number();
            }
        }
        panic!("no CRL");
    };
    let before = [number(&open).await, number(&closed).await];
    let reply = mount.read("crl/rotate").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(number(&open).await > before[0], "the other one is new");
    assert_eq!(number(&closed).await, before[1]);
}

#[tokio::test]
async fn a_record_in_another_keys_place_does_not_open() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    ok(seal_by(&mount, "one").await);
    let roots = [root("One"), root("Two")];
    for root in &roots {
        adopt(&mount, root).await;
    }
    let memory = mount.storage().memory().clone();
    let mut keys: Vec<_> = entries(&mount)
        .into_iter()
        .filter(|(key, _)| key.starts_with("config/key/"))
        .collect();
    let (thief_at, thief) = keys.pop().unwrap();
    let (_, victim) = keys.pop().unwrap();
    let mut forged: Value = serde_json::from_slice(&thief).unwrap();
    let stolen: Value = serde_json::from_slice(&victim).unwrap();
    let id = thief_at.strip_prefix("config/key/").unwrap();
    let record = stolen["private_key"].as_str().unwrap();
    let own = stolen["id"].as_str().unwrap();
    for text in [record.to_owned(), record.replace(own, id)] {
        forged["private_key"] = json!(text);
        memory
            .put(&thief_at, forged.to_string().into_bytes())
            .await
            .unwrap();
        let fresh = FaultyStorage::over(memory.clone());
        let moved = allowed(
            at(
                started(Harness::<Mount>::builder().storage(fresh)).await,
                now(),
            ),
            &folder,
        );
        let csr = json!({ "common_name": "x.example", "key_ref": id });
        let reply = moved.update("intermediate/generate/existing", csr).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.error().contains("does not open here"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_node_that_may_not_write_opens_but_changes_nothing() {
    let folder = key_files();
    let first = allowed(mount().await, &folder);
    let root = root("Root");
    adopt(&first, &root).await;
    ok(seal_by(&first, "one").await);
    first.storage().read_only(true);
    let reply = first.update("seal/migrate", json!({})).await;
    assert!(
        reply.error().contains("cannot write to readonly storage"),
        "{reply:?}"
    );
    first.storage().heal();

    // A wish that the active node stored is not a standby's to carry out.
    let memory: MemoryStorage = first.storage().memory().clone();
    let wish = entries(&first)["landfast/config/seal"].clone();
    let wish = String::from_utf8(wish)
        .unwrap()
        .replace("\"pending\":false", "\"pending\":true");
    memory
        .put("landfast/config/seal", wish.into_bytes())
        .await
        .unwrap();
    let before = memory.snapshot();
    let standby = Harness::<Mount>::builder()
        .storage(FaultyStorage::over(memory.clone()))
        .system(FixedSystem::new().replication(ReplicationState(0x4000)));
    let standby: Harness<Mount> = standby.mount("pki").start().await.unwrap();
    let standby = allowed(at(standby, now()), &folder);
    ok(standby.periodic().await);
    let status = ok(standby.read("seal/status").await).data;
    assert_eq!(
        (&status["migration_pending"], &status["migration_state"]),
        (&json!(true), &json!("idle"))
    );
    assert_eq!(memory.snapshot(), before);
    // The active node does it at its next minute.
    let active = restarted(first, &folder).await;
    ok(active.periodic().await);
    sealed_soon(&active).await;
    assert!(hides(&active, &root));
}

#[tokio::test]
async fn status_warns_of_keys_in_clear_that_old_versions_left() {
    let folder = key_files();
    let mount = allowed(mount().await, &folder);
    assert!(ok(mount.read("seal/status").await).warnings.is_empty());
    let bundle = b"{}".to_vec();
    mount
        .storage()
        .put("config/ca_bundle.bak", bundle)
        .await
        .unwrap();
    let warnings = ok(mount.read("seal/status").await).warnings;
    assert!(warnings[0].contains("config/ca_bundle.bak"), "{warnings:?}");
}
