//! The plugin without a server, beside a service that is a socket of the test.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use landfast_sdk::testing::{Fault, FaultyStorage, FixedSystem, Harness};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Names of the users that the service has.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<BTreeSet<String>>>);

impl Service {
    /// Serves for as long as the test runs.
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let service = Self::default();
        let serving = service.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().answer(stream));
            }
        });
        (service, url)
    }

    async fn answer(self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let (mut first, mut length) = (String::new(), 0);
        stream.read_line(&mut first).await?;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let line = line.trim().to_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or_default();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let mut words = first.split_whitespace();
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let name = path.strip_prefix("/users/").unwrap_or_default();
        let status = match method {
            Some("PUT") if name.starts_with("bad-") => "409 Conflict",
            Some("PUT") if self.users().insert(name.to_owned()) => "204 No Content",
            Some("DELETE") if self.users().remove(name) => "204 No Content",
            Some("GET") => "200 OK",
            _ => "404 Not Found",
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.shutdown().await
    }

    fn users(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.users().len()
    }
}

/// A mount whose role `readers` gives users for an hour, and for two at most.
async fn mounted() -> (Harness<Users>, Service) {
    let (service, url) = Service::start().await;
    let system = FixedSystem::new().lease_ttls(HOUR, 24 * HOUR);
    let builder = Harness::<Users>::builder().option("url", url);
    let users: Harness<Users> = builder.system(system).start().await.expect("it starts");
    let role = json!({ "group": "readers", "ttl": "1h", "max_ttl": "2h" });
    assert_eq!(users.update("role/readers", role).await.status, 204);
    (users, service)
}

#[tokio::test]
async fn a_user_lives_as_long_as_its_lease() {
    let (users, service) = mounted().await;
    let reply = users.read("creds/readers").await;
    let name = reply.data["username"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("readers-") && service.users().contains(&name));
    let lease = users.lease_of(&reply);
    assert_eq!(
        (lease.kind(), lease.ttl, lease.max_ttl),
        ("user", HOUR, 2 * HOUR)
    );
    users.later(HOUR + HOUR / 2);
    let renewed = users.renew("creds/readers", lease.clone()).await;
    assert_eq!(renewed.lease.expect("a lease").ttl, HOUR / 2);
    assert_eq!(renewed.warnings.len(), 1);
    assert_eq!(users.revoke("creds/readers", lease).await.status, 204);
    assert_eq!((service.count(), users.wal_entries().len()), (0, 0));
    assert_eq!(users.read("health").await.data["status"], 200);
}

#[tokio::test]
async fn what_does_not_work_is_told_and_undone() {
    let (users, service) = mounted().await;
    let reply = users.read("creds/writers").await;
    assert_eq!(
        (reply.status, reply.error()),
        (400, "there is no such role")
    );
    users
        .update("role/bad", json!({ "group": "readers" }))
        .await;
    let reply = users.read("creds/bad").await;
    assert_eq!(reply.error(), "the service answers 409 Conflict");
    assert_eq!((service.count(), users.wal_entries().len()), (0, 0));
}

/// The process dies at each write, with the write lost and with its answer lost.
#[tokio::test]
async fn a_crash_at_any_write_leaves_nothing() {
    let mut answered = 0;
    for (at, fault) in (1..=3).flat_map(|at| [(at, Fault::Before), (at, Fault::After)]) {
        let (users, service) = mounted().await;
        let storage: &FaultyStorage = users.storage();
        storage.fail_at(at, fault);
        let reply = users.read("creds/readers").await;
        let users = users.crash().await;
        if reply.status == 200 {
            answered += 1;
            users.periodic().await;
            assert_eq!(service.count(), 1, "{at} {fault:?}: the lease has its user");
        }
        users.later(3 * HOUR);
        users.periodic().await;
        assert_eq!(
            (service.count(), users.wal_entries().len()),
            (0, 0),
            "{at} {fault:?}"
        );
    }
    assert!(answered > 0, "the faults come late enough");
}
