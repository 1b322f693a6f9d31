//! Tidying: what goes, what stays, and what a fault, a cancellation or a restart leaves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::Certificate;
use landfast_plugin::{Clock, Mount};
use landfast_sdk::logical::{ReplicationState, Storage};
use landfast_sdk::testing::{Fault, FaultyStorage, Harness, HttpReply};
use serde_json::{Value, json};

use crate::support::{CA, certificate, issue, role, system};

/// A clock that the test moves.
pub(crate) struct Moving(Mutex<Timestamp>);

impl Clock for Moving {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl Moving {
    fn new() -> Arc<Self> {
        let start = "2026-11-22T15:00:00Z".parse().unwrap();
        Arc::new(Self(Mutex::new(start)))
    }

    pub(crate) fn pass(&self, hours: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_hours(hours);
    }
}

pub(crate) async fn with_clock() -> (Harness<Mount>, Arc<Moving>) {
    over(FaultyStorage::new()).await
}

pub(crate) async fn over(storage: FaultyStorage) -> (Harness<Mount>, Arc<Moving>) {
    let mount = Harness::<Mount>::builder()
        .system(system())
        .storage(storage);
    let mount: Harness<Mount> = mount.start().await.unwrap();
    let clock = Moving::new();
    mount.backend().use_clock(Arc::clone(&clock) as _);
    let ca = mount.update("config/ca", json!({"pem_bundle": CA})).await;
    assert_eq!(ca.status, 200, "{:?}", ca.errors);
    role(&mount, json!({"max_ttl": "1000h"})).await;
    (mount, clock)
}

pub(crate) async fn leaf(mount: &Harness<Mount>, ttl: &str) -> Certificate {
    certificate(&issue(mount, json!({"common_name": "a.b", "ttl": ttl})).await)
}

pub(crate) async fn revoke(mount: &Harness<Mount>, leaf: &Certificate) {
    let serial = leaf.serial().colon();
    let reply = mount
        .update("revoke", json!({"serial_number": serial}))
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Begins a run and waits for its end.
pub(crate) async fn tidy(mount: &Harness<Mount>, body: Value) -> Value {
    let reply = mount.update("tidy", body).await;
    assert_eq!(reply.status, 202, "{reply:?}");
    ended(mount).await
}

/// The status once no run is under way.
pub(crate) async fn ended(mount: &Harness<Mount>) -> Value {
    for _ in 0..2_000 {
        let status = mount.read("tidy-status").await.data;
        if !["Running", "Cancelling"].contains(&status["state"].as_str().unwrap()) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("tidying does not end");
}

pub(crate) async fn stored(mount: &Harness<Mount>, prefix: &str) -> Vec<String> {
    mount.storage().list(prefix).await.unwrap()
}

fn names(of: &[&Certificate]) -> Vec<String> {
    let mut names: Vec<_> = of.iter().map(|leaf| leaf.serial().dash()).collect();
    names.sort_unstable();
    names
}

/// On the present CRL.
async fn listed(mount: &Harness<Mount>, leaf: &Certificate) -> bool {
    let crl = mount.read("cert/crl").await.data;
    let der = landfast_pki::pem::blocks(crl["certificate"].as_str().unwrap().as_bytes());
    let crl = landfast_pki::crl::Crl::from_der(&der[0].contents).unwrap();
    crl.find(leaf.serial()).is_some()
}

#[tokio::test]
async fn what_is_long_past_its_end_goes_and_nothing_else() {
    let (mount, clock) = with_clock().await;
    let (short, long) = (leaf(&mount, "1h").await, leaf(&mount, "900h").await);
    let (short_revoked, long_revoked) = (leaf(&mount, "1h").await, leaf(&mount, "900h").await);
    for one in [&short_revoked, &long_revoked] {
        revoke(&mount, one).await;
    }
    let all = [&short, &long, &short_revoked, &long_revoked];
    let ca = stored(&mount, "certs/").await.len() - all.len();

    // Over, but not for long enough; then without a word of what to tidy.
    clock.pass(2);
    for body in [
        json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "2h"}),
        json!({"safety_buffer": "1s"}),
    ] {
        let status = tidy(&mount, body).await;
        assert_eq!(status["state"], "Finished", "{status}");
        assert_eq!(status["cert_store_deleted_count"], 0);
        assert_eq!(stored(&mount, "certs/").await.len(), all.len() + ca);
    }

    // Revocations have a buffer of their own.
    clock.pass(2);
    let body = json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "2h",
        "revoked_safety_buffer": "40h", "page_size": 5});
    let status = tidy(&mount, body).await;
    assert_eq!(
        (
            &status["cert_store_deleted_count"],
            &status["revoked_cert_deleted_count"]
        ),
        (&json!(1), &json!(0))
    );
    assert_eq!(stored(&mount, "certs/").await.len(), all.len() + ca - 1);
    assert!(
        !stored(&mount, "certs/")
            .await
            .contains(&short.serial().dash())
    );
    assert!(listed(&mount, &short_revoked).await && listed(&mount, &long_revoked).await);
    let told = mount.read("metrics").await.text();
    for line in [
        "landfast_pki_tidy_deleted_total{kind=\"certificate\"} 1\n",
        "landfast_pki_tidy_deleted_total{kind=\"revocation\"} 0\n",
        "landfast_pki_tidy_runs_total{outcome=\"finished\"} 3\n",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }

    clock.pass(40);
    let status = tidy(
        &mount,
        json!({"tidy_revocation_list": true, "safety_buffer": "2h"}),
    )
    .await;
    // The certificate goes with its revocation, and is not counted apart, as in the built-in engine.
    assert_eq!(
        (
            &status["cert_store_deleted_count"],
            &status["revoked_cert_deleted_count"]
        ),
        (&json!(0), &json!(1))
    );
    assert_eq!(stored(&mount, "revoked/").await, names(&[&long_revoked]));
    assert!(!listed(&mount, &short_revoked).await && listed(&mount, &long_revoked).await);
    let left = stored(&mount, "certs/").await;
    for (leaf, there) in [
        (&short, false),
        (&long, true),
        (&short_revoked, false),
        (&long_revoked, true),
    ] {
        assert_eq!(left.contains(&leaf.serial().dash()), there);
    }
}

#[tokio::test]
async fn a_revoked_certificate_goes_before_its_revocation_only_where_that_may_stay() {
    let (mount, clock) = with_clock().await;
    let one = leaf(&mount, "1h").await;
    revoke(&mount, &one).await;
    clock.pass(80);
    let status = tidy(&mount, json!({"tidy_cert_store": true})).await;
    assert_eq!(
        (
            &status["cert_store_deleted_count"],
            &status["revoked_cert_deleted_count"]
        ),
        (&json!(1), &json!(0))
    );
    assert_eq!(stored(&mount, "revoked/").await, names(&[&one]));
    assert!(listed(&mount, &one).await);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_unless_it_is_asked_for() {
    let (mount, _clock) = with_clock().await;
    let put =
        async |key: &str, value: &[u8]| mount.storage().put(key, value.to_vec()).await.unwrap();
    put("certs/aa-bb", b"no certificate").await;
    put("certs/aa-cc", b"").await;
    put(
        "revoked/aa-dd",
        br#"{"certificate_bytes":"bm8=","revocation_time":1}"#,
    )
    .await;
    put("revoked/aa-ee", b"").await;
    let both = json!({"tidy_cert_store": true, "tidy_revoked_certs": true});
    let status = tidy(&mount, both.clone()).await;
    assert_eq!(status["state"], "Finished", "{status}");
    assert_eq!(
        (
            &status["cert_store_deleted_count"],
            &status["revoked_cert_deleted_count"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(stored(&mount, "revoked/").await, ["aa-dd"]);
    let mut more = both.clone();
    more["tidy_invalid_certs"] = json!(true);
    let status = tidy(&mount, more.clone()).await;
    assert_eq!(
        (
            &status["cert_store_deleted_count"],
            &status["revoked_cert_deleted_count"]
        ),
        (&json!(1), &json!(1))
    );
    assert_eq!(status["tidy_invalid_certs"], true);
    assert_eq!(stored(&mount, "revoked/").await, Vec::<String>::new());
    assert!(!stored(&mount, "certs/").await.contains(&"aa-bb".to_owned()));

    // Asked for alone it reaches revocations too.
    put(
        "revoked/aa-dd",
        br#"{"certificate_bytes":"bm8=","revocation_time":1}"#,
    )
    .await;
    let status = tidy(&mount, json!({"tidy_invalid_certs": true})).await;
    assert_eq!(status["revoked_cert_deleted_count"], 1, "{status}");
    assert_eq!(stored(&mount, "revoked/").await, Vec::<String>::new());

    // Not even JSON: nobody knows what it was, and no CRL can be built beside it.
    put("revoked/aa-ff", b"no record").await;
    let status = tidy(&mount, more).await;
    assert_eq!(status["state"], "Error");
    let error = status["error"].as_str().unwrap();
    assert!(
        error.starts_with("error decoding revocation entry for serial \"aa-ff\""),
        "{error}"
    );
    assert_eq!(stored(&mount, "revoked/").await, ["aa-ff"]);
}

/// The next run builds the CRLs that the failed one did not come to, or the minute's work does.
#[tokio::test]
async fn a_run_that_fails_after_it_deleted_revocations_leaves_the_crls_to_be_built() {
    for by_hand in [true, false] {
        let (mount, clock) = with_clock().await;
        let (gone, kept) = (leaf(&mount, "1h").await, leaf(&mount, "900h").await);
        for one in [&gone, &kept] {
            revoke(&mount, one).await;
        }
        clock.pass(80);
        // Behind every serial number, and no record.
        let wrong = "revoked/ff-ff-ff";
        let put = mount.storage().put(wrong, b"no record".to_vec());
        put.await.unwrap();
        let body = json!({"tidy_revoked_certs": true, "pause_duration": "1ns"});
        let status = tidy(&mount, body).await;
        assert_eq!(status["state"], "Error", "{status}");
        assert_eq!(status["revoked_cert_deleted_count"], 1);
        mount.storage().delete(wrong).await.unwrap();
        assert!(listed(&mount, &gone).await, "nobody has built one");

        let mount = mount.reload().await;
        mount.backend().use_clock(Arc::clone(&clock) as _);
        if by_hand {
            let status = tidy(&mount, json!({"tidy_cert_store": true})).await;
            assert_eq!(status["state"], "Finished", "{status}");
        } else {
            assert_eq!(mount.periodic().await.status, 204);
        }
        let on_the_crl = (listed(&mount, &gone).await, listed(&mount, &kept).await);
        assert_eq!(on_the_crl, (false, true), "by hand: {by_hand}");
        let record = mount.storage().get("landfast/tidy").await.unwrap().unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record.get("rebuild"), None, "once is enough");
    }
}

#[tokio::test]
async fn a_run_can_be_cancelled_and_there_is_one_at_a_time() {
    let (mount, clock) = with_clock().await;
    for _ in 0..3 {
        leaf(&mount, "1h").await;
    }
    let before = stored(&mount, "certs/").await.len();
    clock.pass(80);
    let idle = mount.update("tidy-cancel", json!({})).await;
    assert_eq!(
        idle.warnings,
        ["Tidy operation cannot be cancelled as none is currently running."]
    );
    let slow = json!({"tidy_cert_store": true, "pause_duration": "1h"});
    assert_eq!(mount.update("tidy", slow.clone()).await.status, 202);
    let second = mount.update("tidy", slow).await;
    assert_eq!(
        (second.status, &second.warnings[..]),
        (200, &["Tidy operation already in progress.".to_owned()][..])
    );
    let running = mount.read("tidy-status").await.data;
    assert_eq!(
        (&running["state"], &running["pause_duration"]),
        (&json!("Running"), &json!("1h0m0s"))
    );
    while mount.read("tidy-status").await.data["message"].is_null() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = mount.update("tidy-cancel", json!({})).await.data;
    assert_eq!(told["state"], "Cancelling");
    let status = ended(&mount).await;
    assert_eq!(
        (&status["state"], &status["error"]),
        (&json!("Cancelled"), &Value::Null)
    );
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Tidying certificate store: checking entry")
    );
    assert!(stored(&mount, "certs/").await.len() >= before - 1);
    // Off the record: nothing goes on by itself.
    assert_eq!(mount.periodic().await.status, 204);
    assert_eq!(mount.read("tidy-status").await.data["state"], "Cancelled");
}

#[tokio::test]
async fn a_closed_mount_goes_on_after_the_restart() {
    let (mount, clock) = with_clock().await;
    for _ in 0..3 {
        leaf(&mount, "1h").await;
    }
    let keep = leaf(&mount, "900h").await;
    clock.pass(80);
    let slow = json!({"tidy_cert_store": true, "pause_duration": "20ms"});
    assert_eq!(mount.update("tidy", slow).await.status, 202);
    let mount = mount.reload().await;
    mount.backend().use_clock(Arc::clone(&clock) as _);
    assert_eq!(mount.read("tidy-status").await.data["state"], "Inactive");
    assert_eq!(mount.periodic().await.status, 204);
    let status = ended(&mount).await;
    assert_eq!(status["state"], "Finished", "{status}");
    assert_eq!(status["cert_store_deleted_count"], 3, "{status}");
    assert!(
        stored(&mount, "certs/")
            .await
            .contains(&keep.serial().dash())
    );
    assert_eq!(mount.periodic().await.status, 204);
    assert_eq!(
        ended(&mount).await["time_started"],
        status["time_started"],
        "done once"
    );
}

#[tokio::test]
async fn it_tidies_by_itself_when_the_interval_is_over() {
    let (mount, clock) = with_clock().await;
    leaf(&mount, "1h").await;
    let without = mount
        .update("config/auto-tidy", json!({"enabled": true}))
        .await;
    assert_eq!(without.status, 400);
    assert!(
        without
            .error()
            .starts_with("Auto-tidy enabled but no tidy operations were requested.")
    );
    let on = json!({"enabled": true, "tidy_cert_store": true, "interval_duration": "12h",
        "maintain_stored_certificate_counts": true});
    let written = mount.update("config/auto-tidy", on).await;
    assert_eq!(
        (written.status, &written.data["enabled"]),
        (200, &json!(true))
    );
    let state = async || {
        assert_eq!(mount.periodic().await.status, 204);
        ended(&mount).await
    };
    // Not as soon as the process starts.
    assert_eq!(state().await["state"], "Inactive");
    clock.pass(11);
    assert_eq!(state().await["state"], "Inactive");
    clock.pass(1);
    let first = state().await;
    assert_eq!(
        (&first["state"], &first["cert_store_deleted_count"]),
        (&json!("Finished"), &json!(0))
    );
    clock.pass(11);
    assert_eq!(state().await["time_started"], first["time_started"]);
    clock.pass(90);
    let second = state().await;
    assert_eq!(second["cert_store_deleted_count"], 1);
    let stored = stored(&mount, "certs/").await.len();
    assert_eq!(second["current_cert_store_count"], stored);
    // A run by hand moves the next one.
    clock.pass(6);
    let manual = tidy(&mount, json!({})).await;
    clock.pass(7);
    assert_eq!(state().await["time_started"], manual["time_started"]);
    clock.pass(5);
    assert_ne!(state().await["time_started"], manual["time_started"]);
    // Off is off, and an interval of zero is none.
    for off in [
        json!({"interval_duration": 0}),
        json!({"enabled": false, "interval_duration": "1h"}),
    ] {
        let before = ended(&mount).await["time_started"].clone();
        assert_eq!(mount.update("config/auto-tidy", off).await.status, 200);
        clock.pass(100);
        assert_eq!(state().await["time_started"], before);
    }
}

#[tokio::test]
async fn an_expired_issuer_goes_and_its_key_stays() {
    let (mount, clock) = with_clock().await;
    let root = mount
        .update(
            "root/generate/internal",
            json!({"common_name": "R", "ttl": "10h", "key_type": "ec"}),
        )
        .await;
    assert_eq!(root.status, 200, "{root:?}");
    let id = root.data["issuer_id"].as_str().unwrap().to_owned();
    clock.pass(20);
    let tidied = json!({"tidy_expired_issuers": true, "issuer_safety_buffer": "9h"});
    // The default stays, whatever its age.
    mount.update("config/issuers", json!({"default": id})).await;
    tidy(&mount, tidied.clone()).await;
    assert_eq!(mount.read(&format!("issuer/{id}")).await.status, 200);
    let others = mount.list("issuers").await;
    let other = others
        .keys()
        .into_iter()
        .find(|other| *other != id)
        .unwrap()
        .to_owned();
    mount
        .update("config/issuers", json!({"default": other}))
        .await;
    let late = json!({"tidy_expired_issuers": true, "issuer_safety_buffer": "11h"});
    tidy(&mount, late).await;
    assert_eq!(mount.read(&format!("issuer/{id}")).await.status, 200);
    let keys = mount.list("keys").await.keys().len();
    assert_eq!(tidy(&mount, tidied).await["state"], "Finished");
    assert_eq!(mount.list("issuers").await.keys(), [other]);
    assert_eq!(mount.list("keys").await.keys().len(), keys);
}

#[tokio::test]
async fn the_bundle_of_old_servers_is_moved_once_it_is_old() {
    let (mount, clock) = with_clock().await;
    let tidied = json!({"tidy_move_legacy_ca_bundle": true, "issuer_safety_buffer": "9h"});
    assert_eq!(
        tidy(&mount, tidied.clone()).await["state"],
        "Finished",
        "none is there"
    );
    let put = async |key: &str, value: &str| mount.storage().put(key, value.into()).await.unwrap();
    put("config/ca_bundle", r#"{"private_key_type":"ec"}"#).await;
    let status = tidy(&mount, tidied.clone()).await;
    assert_eq!(
        status["error"],
        "refusing to tidy with an empty legacy migration log but present CA bundle"
    );
    let now = clock.now();
    put(
        "config/legacyMigrationBundleLog",
        &format!(r#"{{"hash":"x","created":"{now}"}}"#),
    )
    .await;
    for (hours, there) in [(8, true), (2, false), (1, false)] {
        clock.pass(hours);
        assert_eq!(tidy(&mount, tidied.clone()).await["state"], "Finished");
        let left = mount.storage().get("config/ca_bundle").await.unwrap();
        assert_eq!(left.is_some(), there);
    }
    let moved = mount
        .storage()
        .get("config/ca_bundle.bak")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(moved, br#"{"private_key_type":"ec"}"#);
}

#[tokio::test]
async fn a_revocation_finds_its_issuer_again() {
    let (mount, _clock) = with_clock().await;
    let one = leaf(&mount, "900h").await;
    revoke(&mount, &one).await;
    let key = format!("revoked/{}", one.serial().dash());
    let entry = mount.storage().get(&key).await.unwrap().unwrap();
    let mut lost: Value = serde_json::from_slice(&entry).unwrap();
    let issuer = lost["issuer_id"].take();
    lost["issuer_id"] = json!("gone");
    mount
        .storage()
        .put(&key, lost.to_string().into())
        .await
        .unwrap();
    let status = tidy(
        &mount,
        json!({"tidy_revoked_cert_issuer_associations": true}),
    )
    .await;
    assert_eq!(status["missing_issuer_cert_count"], 1);
    let entry = mount.storage().get(&key).await.unwrap().unwrap();
    let found: Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!(found["issuer_id"], issuer);
    let status = tidy(
        &mount,
        json!({"tidy_revoked_cert_issuer_associations": true}),
    )
    .await;
    assert_eq!(status["missing_issuer_cert_count"], 0);
}

/// Whatever write fails, and whether it took effect: nothing that is needed is gone, and the next run ends where one without a fault does.
#[tokio::test]
async fn a_fault_at_any_write_loses_nothing() {
    for transactions in [true, false] {
        for fault in [Fault::Before, Fault::After] {
            for at in 1.. {
                if !one_fault(transactions, fault, at).await {
                    assert!(at > 3, "some writes failed");
                    break;
                }
            }
        }
    }
}

async fn one_fault(transactions: bool, fault: Fault, at: usize) -> bool {
    let memory = landfast_sdk::testing::MemoryStorage::new();
    let memory = if transactions {
        memory
    } else {
        memory.without_transactions()
    };
    let (mount, clock) = over(FaultyStorage::over(memory)).await;
    for _ in 0..2 {
        leaf(&mount, "1h").await;
    }
    let (gone, kept) = (leaf(&mount, "1h").await, leaf(&mount, "900h").await);
    revoke(&mount, &gone).await;
    revoke(&mount, &kept).await;
    let valid = leaf(&mount, "900h").await;
    clock.pass(80);
    let body =
        json!({"tidy_cert_store": true, "tidy_revoked_certs": true, "pause_duration": "1ns"});
    mount.storage().fail_at(at, fault);
    let reply: HttpReply = mount.update("tidy", body.clone()).await;
    if reply.status == 202 {
        ended(&mount).await;
    }
    let struck = mount.storage().struck();
    mount.storage().heal();
    let what = format!("{transactions} {fault:?} {at}");
    let holds = async |mount: &Harness<Mount>| {
        let certificates = stored(mount, "certs/").await;
        for needed in [&kept, &valid] {
            assert!(certificates.contains(&needed.serial().dash()), "{what}");
        }
        assert!(
            stored(mount, "revoked/")
                .await
                .contains(&kept.serial().dash()),
            "{what}"
        );
    };
    holds(&mount).await;
    let mount = mount.reload().await;
    mount.backend().use_clock(Arc::clone(&clock) as _);
    mount.periodic().await;
    ended(&mount).await;
    assert_eq!(tidy(&mount, body).await["state"], "Finished", "{what}");
    holds(&mount).await;
    assert_eq!(stored(&mount, "revoked/").await, names(&[&kept]), "{what}");
    let left = stored(&mount, "certs/").await;
    assert!(!left.contains(&gone.serial().dash()), "{what}");
    let periodic = mount.periodic().await;
    assert_eq!(periodic.status, 204, "{what}: {periodic:?}");
    let on_the_crl = (listed(&mount, &kept).await, listed(&mount, &gone).await);
    assert_eq!(on_the_crl, (true, false), "{what}");
    struck
}

#[tokio::test]
async fn a_standby_has_the_active_node_answer() {
    let standby: Harness<Mount> = Harness::<Mount>::builder()
        .system(system().replication(ReplicationState(0x4000)))
        .start()
        .await
        .unwrap();
    for reply in [
        standby
            .update("tidy", json!({"tidy_cert_store": true}))
            .await,
        standby.update("tidy-cancel", json!({})).await,
        standby.read("tidy-status").await,
    ] {
        assert!(
            reply.error().contains("cannot write to readonly storage"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn bad_requests_begin_nothing() {
    let (mount, _clock) = with_clock().await;
    for (body, text) in [
        (
            json!({"safety_buffer": 0}),
            "safety_buffer must be greater than zero",
        ),
        (
            json!({"revoked_safety_buffer": 0}),
            "revokedSafetyBuffer must be greater than zero",
        ),
        (
            json!({"issuer_safety_buffer": 0}),
            "issuer_safety_buffer must be greater than zero",
        ),
        (
            json!({"acme_account_safety_buffer": 0}),
            "acme_account_safety_buffer must be greater than zero",
        ),
        (
            json!({"page_size": 4}),
            "page_size must be greater than five",
        ),
        (
            json!({"pause_duration": "-1s"}),
            "received invalid, negative pause_duration",
        ),
    ] {
        let reply = mount.update("tidy", body).await;
        assert_eq!((reply.status, reply.error()), (400, text));
    }
    assert_eq!(mount.read("tidy-status").await.data["state"], "Inactive");
}
