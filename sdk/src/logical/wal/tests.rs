use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::logical::{Cx, Named, Response, Setup, Table, path};
use crate::testing::{Fault, FaultyStorage, Harness, HttpReply, MemoryStorage, logged};

/// What no transaction of the storage holds: users somewhere else, and a clock.
#[derive(Default)]
struct Outside {
    users: Mutex<BTreeSet<String>>,
    time: AtomicU64,
    /// Names for which nothing works.
    broken: Mutex<BTreeSet<String>>,
}

impl Outside {
    /// One of its own for each test, which outlives the mounts.
    fn of(name: &str) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<String, Arc<Outside>>>> = LazyLock::new(Mutex::default);
        Arc::clone(ALL.lock().unwrap().entry(name.to_owned()).or_default())
    }

    fn has(&self, name: &str) -> bool {
        self.users.lock().unwrap().contains(name)
    }

    fn is_broken(&self, name: &str) -> bool {
        self.broken.lock().unwrap().contains(name)
    }

    fn drop_user(&self, name: &str) -> Result<()> {
        if self.is_broken(name) {
            return Err(Error::internal("the database is away", "no route"));
        }
        self.users.lock().unwrap().remove(name);
        Ok(())
    }

    fn later(&self, by: Duration) {
        self.time.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}

struct Users {
    outside: Arc<Outside>,
    wal: Wal,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Backend for Users {
    async fn new(setup: Setup) -> Result<Self> {
        let outside = Outside::of(&setup.config["outside"]);
        let clock = Arc::clone(&outside);
        let now = move || {
            UNIX_EPOCH + Duration::from_secs(1_800_000_000 + clock.time.load(Ordering::Relaxed))
        };
        let wal = Wal::new(setup.storage).clock(now);
        Ok(Self { outside, wal })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("user/{name}", "A user of the database.").update(Self::create),
        ])
    }

    fn wal(&self) -> Option<&Wal> {
        Some(&self.wal)
    }

    async fn undo(self: Arc<Self>, entry: WalEntry) -> Result<()> {
        assert_eq!(entry.kind, "user");
        self.outside.drop_user(&entry.data_as::<Named>()?.name)
    }

    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        self.outside
            .drop_user(&lease.internal_as::<Named>()?.name)?;
        self.wal.settle(&lease).await?;
        Ok(Response::none())
    }
}

use super::Entry as WalEntry;

impl Users {
    async fn create(self: Arc<Self>, _: Cx, user: Named) -> Result<Response> {
        let outside = Arc::clone(&self.outside);
        let effect = async {
            outside.users.lock().unwrap().insert(user.name.clone());
            // It is done, and the word of it was lost.
            if outside.is_broken(&user.name) || user.name == "lost" {
                return Err(Error::failed("the connection broke"));
            }
            Ok(())
        };
        let ((), begun) = self.wal.guard(&self, "user", &user, effect).await?;
        let lease = begun.lease(HOUR, 2 * HOUR, &user).await?;
        Ok(Response::null().lease(lease))
    }
}

async fn mounted(name: &str, storage: FaultyStorage) -> (Harness<Users>, Arc<Outside>) {
    let builder = Harness::<Users>::builder().storage(storage);
    let users = builder.option("outside", name).start().await.unwrap();
    (users, Outside::of(name))
}

fn lease_of(reply: &HttpReply) -> LeaseContext {
    let lease = reply.lease.as_ref().unwrap();
    LeaseContext {
        max_ttl: lease.max_ttl,
        internal: serde_json::from_str(&lease.internal_data).unwrap(),
        ..LeaseContext::default()
    }
}

fn entries(users: &Harness<Users>) -> usize {
    let all = users.storage().memory().snapshot();
    all.keys().filter(|key| key.starts_with("wal/")).count()
}

/// A crash at each write, with the write lost and with its answer lost.
#[tokio::test]
async fn a_crash_at_any_step_leaves_no_user_for_good_and_takes_none_of_a_lease() {
    let mut answered = 0;
    for transactions in [true, false] {
        for (at, fault) in (1..=5).flat_map(|at| [(at, Fault::Before), (at, Fault::After)]) {
            let case = format!("{transactions} {at} {fault:?}");
            let memory = MemoryStorage::new();
            let memory = if transactions {
                memory
            } else {
                memory.without_transactions()
            };
            let (users, outside) = mounted(&case, FaultyStorage::over(memory)).await;
            users.storage().fail_at(at, fault);
            let reply = users.update("user/ann", json!({})).await;
            users.storage().heal();
            let users = users.reload().await;
            outside.later(MIN_AGE);
            assert_eq!(users.periodic().await.status, 204, "{case}");
            if reply.status == 200 {
                answered += 1;
                assert!(outside.has("ann"), "{case}: the lease has its user");
                // As long as the server may revoke it, and longer.
                outside.later(2 * HOUR);
                users.periodic().await;
                assert!(outside.has("ann"), "{case}");
                assert_eq!(users.revoke("user/ann", lease_of(&reply)).await.status, 204);
            }
            outside.later(3 * HOUR);
            users.periodic().await;
            assert!(!outside.has("ann"), "{case}: nobody ends it");
            assert_eq!(entries(&users), 0, "{case}");
        }
    }
    assert!(answered > 2, "the faults come late enough");
}

#[tokio::test]
async fn what_fails_is_undone_at_once_or_later() {
    let (users, outside) = mounted("fails", FaultyStorage::new()).await;
    let reply = users.update("user/lost", json!({})).await;
    assert_eq!((reply.status, reply.error()), (500, "the connection broke"));
    assert!(!outside.has("lost"));
    assert_eq!(entries(&users), 0);

    outside.broken.lock().unwrap().insert("ann".to_owned());
    let reply = users.update("user/ann", json!({})).await;
    assert_eq!(reply.error(), "the connection broke");
    assert!(outside.has("ann"));
    outside.broken.lock().unwrap().clear();
    users.periodic().await;
    assert!(outside.has("ann"), "its age is too small");
    outside.later(MIN_AGE);
    users.periodic().await;
    assert!(!outside.has("ann"));
    assert_eq!(entries(&users), 0);
}

#[test]
fn each_entry_is_undone_by_itself_and_one_that_is_not_is_told() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let log = logged(|| {
        runtime.block_on(async {
            let (users, outside) = mounted("each", FaultyStorage::new()).await;
            for name in ["ann", "bob", "cy"] {
                outside.broken.lock().unwrap().insert(name.to_owned());
                users.update(&format!("user/{name}"), json!({})).await;
            }
            *outside.broken.lock().unwrap() = ["bob".to_owned()].into();
            outside.later(MIN_AGE);
            let users = users.reload().await;
            assert!(!outside.has("ann") && outside.has("bob") && !outside.has("cy"));
            assert_eq!(
                users.periodic().await.status,
                204,
                "the rest of the work is done"
            );
            *outside.broken.lock().unwrap() = BTreeSet::new();
            users.periodic().await;
            assert!(!outside.has("bob"));
        });
    });
    let told = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(
        told("could not be undone: the database is away"),
        2,
        "{log}"
    );
    assert_eq!(told("cause=no route"), 2 + 3, "{log}");
    assert!(log.contains("tried=2"), "{log}");
    assert_eq!(told("what a crash had left was undone"), 3, "{log}");
}

#[tokio::test]
async fn what_is_under_way_is_not_undone_and_a_mount_that_goes_does_not_wait() {
    let (users, outside) = mounted("under way", FaultyStorage::new()).await;
    let backend = Arc::clone(users.backend());
    let begun = backend
        .wal
        .begin("user", &json!({ "name": "ann" }))
        .await
        .unwrap();
    outside.users.lock().unwrap().insert("ann".to_owned());
    outside.later(10 * MIN_AGE);
    users.periodic().await;
    assert!(outside.has("ann"));
    drop(begun);
    // As the host asks for it when a mount is disabled.
    let (backend, wal) = (users.backend(), &users.backend().wal);
    wal.begin("user", &json!({ "name": "bob" }))
        .await
        .map(drop)
        .unwrap();
    wal.recover(backend, true).await.unwrap();
    assert!(!outside.has("ann"));
    assert_eq!(entries(&users), 0);
}

#[tokio::test]
async fn a_node_that_may_not_write_undoes_nothing() {
    let (users, outside) = mounted("standby", FaultyStorage::new()).await;
    outside.users.lock().unwrap().insert("ann".to_owned());
    let begun = users
        .backend()
        .wal
        .begin("user", &json!({ "name": "ann" }))
        .await;
    drop(begun.unwrap());
    outside.later(MIN_AGE);
    users.storage().read_only(true);
    assert_eq!(users.periodic().await.status, 204);
    assert!(outside.has("ann"));
    users.storage().read_only(false);
    users.periodic().await;
    assert!(!outside.has("ann"));
}

#[tokio::test]
async fn a_lease_without_an_end_has_no_entry() {
    let wal = Wal::new(Arc::new(MemoryStorage::new()));
    let begun = wal.begin("user", &json!({})).await.unwrap();
    assert!(begun.lease(HOUR, Duration::ZERO, &json!({})).await.is_err());
}
