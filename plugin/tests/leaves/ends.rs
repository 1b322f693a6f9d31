//! What tidying knows of the ends of certificates: it reads those that it does not know, once, and deletes the right ones whatever became of its notes.

use std::sync::Arc;

use landfast_pki::Certificate;
use landfast_plugin::Mount;
use landfast_sdk::logical::Storage;
use landfast_sdk::testing::{Fault, FaultyStorage, Harness, MemoryStorage};
use serde_json::{Value, json};

use crate::support::{certificate, issue};
use crate::tidy::{Moving, ended, leaf, over, revoke, stored, tidy, with_clock};

fn both() -> Value {
    json!({"tidy_cert_store": true, "tidy_revoked_certs": true})
}

/// So many certificates that end in an hour, and so many that live on.
async fn some(
    mount: &Harness<Mount>,
    short: usize,
    long: usize,
) -> (Vec<Certificate>, Vec<Certificate>) {
    let mut made = (Vec::new(), Vec::new());
    for _ in 0..short {
        made.0.push(leaf(mount, "1h").await);
    }
    for _ in 0..long {
        made.1.push(leaf(mount, "900h").await);
    }
    made
}

async fn restarted(mount: Harness<Mount>, clock: &Arc<Moving>) -> Harness<Mount> {
    let mount = mount.reload().await;
    mount.backend().use_clock(Arc::clone(clock) as _);
    mount
}

/// What a run deletes, and how many entries of storage it reads.
async fn counted(mount: &Harness<Mount>, body: Value) -> (u64, usize) {
    mount.read("tidy-status").await;
    mount.storage().reset_calls();
    let status = tidy(mount, body).await;
    assert_eq!(status["state"], "Finished", "{status}");
    let gone = status["cert_store_deleted_count"].as_u64().unwrap();
    (gone, mount.storage().calls().gets)
}

async fn are_stored(mount: &Harness<Mount>, which: &[Certificate], there: bool, what: &str) {
    let names = stored(mount, "certs/").await;
    for one in which {
        assert_eq!(names.contains(&one.serial().dash()), there, "{what}");
    }
}

/// Reads of a run that are not of certificates: the record of tidying, the entries of ends and what builds CRLs.
const OTHERS: usize = 12;

#[tokio::test]
async fn a_run_reads_no_certificate_whose_end_is_known() {
    let (mount, clock) = with_clock().await;
    let (short, long) = some(&mount, 40, 40).await;
    revoke(&mount, &short[0]).await;
    clock.pass(80);
    let (gone, gets) = counted(&mount, both()).await;
    assert_eq!(gone, 40);
    assert!(gets <= OTHERS, "{gets} reads");
    are_stored(&mount, &short, false, "over").await;
    are_stored(&mount, &long, true, "valid").await;
    assert_eq!(stored(&mount, "revoked/").await, Vec::<String>::new());
    // And so after a restart, when nothing is in memory.
    let mount = restarted(mount, &clock).await;
    let (gone, gets) = counted(&mount, both()).await;
    assert_eq!(gone, 0);
    assert!(gets <= OTHERS, "{gets} reads");
    clock.pass(900);
    assert_eq!(counted(&mount, both()).await.0, 40);
    are_stored(&mount, &long, false, "over").await;
    assert_eq!(stored(&mount, "landfast/ends/").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_crash_takes_with_it_is_read_once() {
    for minute in [true, false] {
        let (mount, clock) = with_clock().await;
        let (short, long) = some(&mount, 20, 20).await;
        if minute {
            assert_eq!(mount.periodic().await.status, 204);
        }
        let mount = restarted(mount, &clock).await;
        let (_, gets) = counted(&mount, both()).await;
        assert_eq!(gets >= 40, !minute, "{gets} reads");
        let mount = restarted(mount, &clock).await;
        clock.pass(80);
        let (gone, gets) = counted(&mount, both()).await;
        assert_eq!(gone, 20);
        assert!(gets <= OTHERS, "{gets} reads");
        are_stored(&mount, &short, false, "over").await;
        are_stored(&mount, &long, true, "valid").await;
    }
}

/// As a mount that the built-in engine served for a while, or that has broken notes.
#[tokio::test]
async fn what_others_stored_is_found_beside_what_is_known() {
    let (mount, clock) = with_clock().await;
    let (mut short, mut long) = some(&mount, 10, 10).await;
    assert_eq!(mount.periodic().await.status, 204);
    // Others store and delete, and leave the notes alone.
    let before = stored(&mount, "certs/").await;
    for ttl in ["1h", "900h"] {
        for _ in 0..10 {
            let body = json!({"common_name": "a.b", "ttl": ttl});
            let one = certificate(&issue(&mount, body).await);
            if ttl == "1h" { &mut short } else { &mut long }.push(one);
        }
    }
    let mount = restarted(mount, &clock).await;
    for gone in [short.remove(0), long.remove(0)] {
        let key = format!("certs/{}", gone.serial().dash());
        mount.storage().delete(&key).await.unwrap();
    }
    let put = mount
        .storage()
        .put("landfast/ends/00000009", b"no entry".to_vec());
    put.await.unwrap();
    assert!(stored(&mount, "certs/").await.len() > before.len());
    clock.pass(80);
    let (gone, gets) = counted(&mount, both()).await;
    assert_eq!(gone, 19);
    assert!((20..=20 + OTHERS).contains(&gets), "{gets} reads");
    are_stored(&mount, &short, false, "over").await;
    are_stored(&mount, &long, true, "valid").await;
    let (gone, gets) = counted(&mount, both()).await;
    assert_eq!(gone, 0);
    assert!(gets <= OTHERS, "{gets} reads");
}

/// Revocations have a buffer of their own, and lie thick or thin among the certificates.
#[tokio::test]
async fn what_is_revoked_stays_for_as_long_as_its_revocation_has_to() {
    for every in [1, 7, 40] {
        let (mount, clock) = with_clock().await;
        let (short, _) = some(&mount, 40, 0).await;
        for one in short.iter().step_by(every) {
            revoke(&mount, one).await;
        }
        clock.pass(80);
        let body = json!({"tidy_cert_store": true, "safety_buffer": "1h", "revoked_safety_buffer": "200h", "page_size": 5});
        let (gone, _) = counted(&mount, body).await;
        let revoked = stored(&mount, "revoked/").await;
        assert_eq!(gone, 40 - revoked.len() as u64, "{every}");
        for one in &short {
            let name = one.serial().dash();
            let there = stored(&mount, "certs/").await.contains(&name);
            assert_eq!(there, revoked.contains(&name), "{every}");
        }
    }
}

/// Whatever write fails, of the notes too: the next run deletes what is over and nothing else, and so does one later.
#[tokio::test]
async fn a_fault_at_any_write_leaves_notes_that_do_no_harm() {
    for transactions in [true, false] {
        for fault in [Fault::Before, Fault::After] {
            for at in 1.. {
                if !one_fault(transactions, fault, at).await {
                    assert!(at > 4, "some writes failed");
                    break;
                }
            }
        }
    }
}

async fn one_fault(transactions: bool, fault: Fault, at: usize) -> bool {
    let memory = MemoryStorage::new();
    let memory = if transactions {
        memory
    } else {
        memory.without_transactions()
    };
    let (mount, clock) = over(FaultyStorage::over(memory)).await;
    let (mut short, long) = some(&mount, 3, 1).await;
    assert_eq!(mount.periodic().await.status, 204);
    short.push(leaf(&mount, "2h").await);
    clock.pass(80);
    mount.storage().fail_at(at, fault);
    if mount.update("tidy", both()).await.status == 202 {
        ended(&mount).await;
    }
    let struck = mount.storage().struck();
    mount.storage().heal();
    let what = format!("{transactions} {fault:?} {at}");
    are_stored(&mount, &long, true, &what).await;
    // What is stored meanwhile is noted by the process that went on.
    let later = leaf(&mount, "1h").await;
    assert_eq!(mount.periodic().await.status, 204, "{what}");
    ended(&mount).await;
    let mount = restarted(mount, &clock).await;
    clock.pass(80);
    assert_eq!(tidy(&mount, both()).await["state"], "Finished", "{what}");
    are_stored(&mount, &short, false, &what).await;
    are_stored(&mount, &[later], false, &what).await;
    are_stored(&mount, &long, true, &what).await;
    clock.pass(900);
    assert_eq!(counted(&mount, both()).await.0, 1, "{what}");
    struck
}
