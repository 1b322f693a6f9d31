use landfast_sdk::logical::Storage as _;
use landfast_sdk::testing::{FaultyStorage, Harness};

use super::*;

/// A mount as the built-in engine left it, with one issuer and one revocation.
async fn mount() -> Harness<Mount> {
    let storage = FaultyStorage::new();
    let dump = include_str!("../../tests/data/pki-storage-2.7.2.txt");
    for part in dump.split("\n== ").skip(1) {
        let (key, value) = part.split_once('\n').unwrap();
        if !value.starts_with("BIN") {
            storage
                .put(key, value.trim_end().as_bytes().to_vec())
                .await
                .unwrap();
        }
    }
    Harness::<Mount>::builder()
        .storage(storage)
        .start()
        .await
        .unwrap()
}

async fn next_number_of(mount: &Mount) -> u64 {
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await.unwrap();
    *book.crl_number_map.values().next().unwrap()
}

#[tokio::test]
async fn one_build_serves_everybody_who_waited_for_it() {
    let harness = mount().await;
    let mount = harness.backend();
    let before = next_number_of(mount).await;
    // A build is under way while forty more are asked for.
    let building = mount.crl.served.lock().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let mount = Arc::clone(mount);
        waiting.spawn(async move { rebuild(&mount, Scope::All).await });
    }
    while mount.crl.wanted.load(Ordering::Acquire) < 40 {
        tokio::task::yield_now().await;
    }
    drop(building);
    for outcome in waiting.join_all().await {
        outcome.unwrap();
    }
    assert_eq!(
        next_number_of(mount).await,
        before + 2,
        "one complete and one delta CRL"
    );
    // Whoever comes later gets a build of their own.
    rebuild(mount, Scope::All).await.unwrap();
    assert_eq!(next_number_of(mount).await, before + 4);
}

#[tokio::test]
async fn a_failed_build_serves_nobody() {
    let harness = mount().await;
    let mount = harness.backend();
    let before = next_number_of(mount).await;
    harness
        .storage()
        .fail_at(1, landfast_sdk::testing::Fault::Before);
    assert!(rebuild(mount, Scope::All).await.is_err());
    harness.storage().heal();
    assert_eq!(next_number_of(mount).await, before);
    rebuild(mount, Scope::All).await.unwrap();
    assert_eq!(next_number_of(mount).await, before + 2);
}

#[tokio::test]
async fn revocations_are_read_once() {
    let harness = mount().await;
    let mount = harness.backend();
    rebuild(mount, Scope::All).await.unwrap();
    harness.storage().reset_calls();
    rebuild(mount, Scope::All).await.unwrap();
    let calls = harness.storage().calls();
    assert_eq!((calls.lists, calls.commits), (0, 1), "{calls:?}");
    // The host says that another node changed one.
    mount.crl.invalidate("revoked/aa");
    rebuild(mount, Scope::All).await.unwrap();
    assert_eq!(harness.storage().calls().lists, 1);
}
