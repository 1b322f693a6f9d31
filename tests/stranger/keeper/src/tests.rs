//! The engine without a server.

use std::fs;
use std::time::Duration;

use landfast_sdk::logical::LeaseContext;
use landfast_sdk::testing::{Fault, FaultyStorage, FixedSystem, Harness, HttpReply, MemoryStorage};
use serde_json::json;
use tempfile::TempDir;

use super::*;

async fn mounted(storage: MemoryStorage) -> (Harness<Keeper>, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let keeper = Harness::<Keeper>::builder()
        .storage(FaultyStorage::over(storage))
        .system(FixedSystem::new().lease_ttls(Duration::from_secs(60), Duration::from_secs(600)))
        .mount("keeper")
        .start::<Keeper>()
        .await
        .expect("it starts");
    let config = json!({ "folder": folder.path(), "length": "32" });
    assert_eq!(keeper.update("config", config).await.status, 204);
    let role = json!({ "prefix": "r-", "ttl": "30s", "groups": "a, b" });
    assert_eq!(keeper.update("roles/readers", role).await.status, 204);
    (keeper, folder)
}

fn accounts(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("the folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    entries
        .map(|entry| name(entry).into_string().expect("text"))
        .collect()
}

fn lease_of(reply: &HttpReply) -> LeaseContext {
    let lease = reply.lease.clone().expect("a lease");
    LeaseContext {
        ttl: lease.ttl,
        renewable: lease.renewable,
        internal: serde_json::from_str(&lease.internal_data).expect("JSON"),
        ..LeaseContext::default()
    }
}

#[tokio::test]
async fn an_account_ends_with_its_lease() {
    for storage in [
        MemoryStorage::new(),
        MemoryStorage::new().without_transactions(),
    ] {
        let (keeper, folder) = mounted(storage).await;
        let reply = keeper.read("creds/readers").await;
        let name = reply.data["name"].as_str().expect("a name").to_owned();
        assert!(name.starts_with("r-"), "{name}");
        assert_eq!(reply.data["password"].as_str().map(str::len), Some(32));
        assert_eq!(reply.data["groups"], json!(["a", "b"]));
        assert_eq!(accounts(&folder), [name]);
        let keeper = keeper.reload().await;
        let renewed = keeper.renew("creds/readers", lease_of(&reply)).await;
        let renewed = renewed.lease.expect("a lease");
        assert_eq!(
            (renewed.ttl.as_secs(), renewed.max_ttl.as_secs()),
            (30, 600)
        );
        let revoked = keeper.revoke("creds/readers", lease_of(&reply)).await;
        assert_eq!(revoked.status, 204, "{revoked:?}");
        assert_eq!(accounts(&folder), [""; 0]);
    }
}

#[tokio::test]
async fn what_fails_half_way_is_ended_at_the_next_start() {
    let (keeper, folder) = mounted(MemoryStorage::new()).await;
    // The second write of a new account is the one that keeps it.
    keeper.storage().fail_at(2, Fault::Before);
    let reply = keeper.read("creds/readers").await;
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(accounts(&folder).len(), 1);
    keeper.storage().heal();
    let keeper = keeper.reload().await;
    assert_eq!(accounts(&folder), [""; 0]);
    assert_eq!(keeper.periodic().await.status, 204);
}

#[tokio::test]
async fn a_static_account_gets_other_passwords() {
    let (keeper, folder) = mounted(MemoryStorage::new()).await;
    let written = keeper
        .update("static/admin", json!({ "period": "24h" }))
        .await;
    assert_eq!(written.status, 204, "{written:?}");
    let first = keeper.read("static-creds/admin").await.data["password"].clone();
    let outside = || fs::read_to_string(folder.path().join("admin")).expect("a file");
    assert_eq!(first, outside());
    assert_eq!(keeper.update("rotate/admin", json!({})).await.status, 204);
    let second = keeper.read("static-creds/admin").await.data["password"].clone();
    assert_ne!(first, second);
    assert_eq!(second, outside());
    assert_eq!(keeper.periodic().await.status, 204);
    assert_eq!(second, outside());
    assert_eq!(keeper.delete("static/admin").await.status, 204);
    assert_eq!(keeper.read("static-creds/admin").await.status, 404);
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let (keeper, folder) = mounted(MemoryStorage::new()).await;
    let bad = keeper
        .update("config", json!({ "folder": "/", "length": 8 }))
        .await;
    assert_eq!((bad.status, bad.error()), (400, "length is at least 16"));
    let bad = keeper
        .update("roles/a", json!({ "ttl": "2h", "max_ttl": 60 }))
        .await;
    assert_eq!(
        (bad.status, bad.error()),
        (400, "ttl is longer than max_ttl")
    );
    let bad = keeper.read("creds/nobody").await;
    assert_eq!((bad.status, bad.error()), (400, "no such role"));
    let patched = keeper
        .patch("config", json!({ "folder": folder.path().join("no") }))
        .await;
    assert_eq!(patched.warnings, ["the folder is not there yet"]);
    assert_eq!(keeper.read("config").await.data["length"], 32);
    assert_eq!(keeper.read("health").await.status, 503);
    assert_eq!(keeper.list("roles").await.keys(), ["readers"]);
    assert!(keeper.help("roles/readers").await["help"].is_string());
}
