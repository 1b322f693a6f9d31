use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde_json::json;

use super::*;
use crate::logical::{Cx, Named, Response, Setup, Table, path};
use crate::testing::{Fault, FaultyStorage, FixedSystem, Harness, MemoryStorage, logged};

/// What no transaction of the storage holds: users somewhere else.
#[derive(Default)]
struct Outside {
    users: Mutex<BTreeSet<String>>,
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
}

struct Users {
    outside: Arc<Outside>,
    wal: Wal,
}

const HOUR: Duration = Duration::from_secs(3600);
/// At which an entry is undone for sure: times are whole seconds.
const AGE: Duration = Duration::from_secs(MIN_AGE.as_secs() + 1);

impl Backend for Users {
    async fn new(setup: Setup) -> Result<Self> {
        let outside = Outside::of(&setup.config["outside"]);
        let wal = Wal::of(&setup);
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

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        // As an engine would that knows nothing of entries.
        let user: Named = lease.internal_as()?;
        Ok(Response::none().lease(Lease::renewable(HOUR, &user)?))
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
            let users = users.crash().await;
            users.later(AGE);
            assert_eq!(users.periodic().await.status, 204, "{case}");
            if reply.status == 200 {
                answered += 1;
                assert!(outside.has("ann"), "{case}: the lease has its user");
                // To the last moment of the lease.
                users.later(2 * HOUR - AGE);
                users.periodic().await;
                assert!(outside.has("ann"), "{case}");
                assert_eq!(
                    users
                        .revoke("user/ann", users.lease_of(&reply))
                        .await
                        .status,
                    204
                );
            }
            users.later(3 * HOUR);
            users.periodic().await;
            assert!(!outside.has("ann"), "{case}: nobody ends it");
            assert_eq!(users.wal_entries().len(), 0, "{case}");
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
    assert_eq!(users.wal_entries().len(), 0);

    outside.broken.lock().unwrap().insert("ann".to_owned());
    let reply = users.update("user/ann", json!({})).await;
    assert_eq!(reply.error(), "the connection broke");
    assert!(outside.has("ann"));
    outside.broken.lock().unwrap().clear();
    users.periodic().await;
    assert!(outside.has("ann"), "its age is too small");
    users.later(AGE);
    users.periodic().await;
    assert!(!outside.has("ann"));
    assert_eq!(users.wal_entries().len(), 0);
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
            users.later(AGE);
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
    users.later(10 * MIN_AGE);
    users.periodic().await;
    assert!(outside.has("ann"));
    drop(begun);
    // As the host asks for it when a mount is disabled.
    let (backend, wal) = (users.backend(), &users.backend().wal);
    wal.begin("user", &json!({ "name": "bob" }))
        .await
        .map(drop)
        .unwrap();
    wal.recover(backend, true, &FixedSystem::new())
        .await
        .unwrap();
    assert!(!outside.has("ann"));
    assert_eq!(users.wal_entries().len(), 0);
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
    users.later(AGE);
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

#[tokio::test]
async fn no_renewal_outlives_the_entry() {
    let (users, outside) = mounted("renewal", FaultyStorage::new()).await;
    let reply = users.update("user/ann", json!({})).await;
    let lease = users.lease_of(&reply);
    users.later(HOUR);
    let renewed = users.renew("user/ann", lease.clone()).await;
    let again = users.lease_of(&renewed);
    assert_eq!(renewed.lease.unwrap().max_ttl, 2 * HOUR);
    assert_eq!(again.internal[OF_LEASE], lease.internal[OF_LEASE]);
    // An engine that says a limit of its own has it, if it is less.
    let mut own = Lease::default().with_max_ttl(HOUR);
    users.backend().wal.keep(&lease, &mut own);
    assert_eq!(own.max_ttl, HOUR);
    assert_eq!(users.revoke("user/ann", again).await.status, 204);
    assert!(!outside.has("ann"));
    assert_eq!(users.wal_entries(), []);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let (users, outside) = mounted("gone", FaultyStorage::new()).await;
    // The entry; the lease's entry in the place of the first.
    for at in [1, 2] {
        users.storage().hold_at(at);
        {
            let request = users.update("user/ann", json!({}));
            tokio::pin!(request);
            tokio::select! {
                _ = &mut request => panic!("the write waits"),
                () = users.storage().held() => {}
            }
        }
        users.storage().release();
        users.idle().await;
        assert!(!outside.has("ann"), "{at}");
        assert_eq!(users.wal_entries(), [], "{at}");
    }
}

#[tokio::test]
async fn a_mount_that_is_disabled_leaves_nothing() {
    let storage = FaultyStorage::new();
    let (users, outside) = mounted("disabled", storage.clone()).await;
    // Killed after the entry of the lease was there, and before the answer.
    storage.fail_at(2, Fault::After);
    assert_eq!(users.update("user/ann", json!({})).await.status, 500);
    let users = users.crash().await;
    users.periodic().await;
    assert!(outside.has("ann") && users.wal_entries().len() == 1);
    let builder = Harness::<Users>::builder().storage(storage);
    let builder = builder.system(FixedSystem::new().tainted());
    let users = builder.option("outside", "disabled").start::<Users>();
    let users = users.await.unwrap();
    users.periodic().await;
    assert!(!outside.has("ann"));
    assert_eq!(users.wal_entries(), []);
}

#[tokio::test]
async fn more_entries_than_a_page_are_undone_in_one_go() {
    let (users, _) = mounted("pages", FaultyStorage::new()).await;
    for at in 0..2 * PAGE {
        let user = json!({ "name": at.to_string() });
        drop(users.backend().wal.begin("user", &user).await.unwrap());
    }
    users.later(AGE);
    users.periodic().await;
    assert_eq!(users.wal_entries(), []);
}
