//! The example of an engine with an outside system: its own tests, and that nothing is lost, whenever plugin or server is killed.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use self::service::{Service, When};
use crate::support::{Client, Release, Server, kill_all, on_both_releases, until};

#[path = "../../examples/service-users/main.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod plugin;
mod service;

const EXAMPLE: &str = "service-users";
/// Age at which the write-ahead log undoes what was begun.
const UNDO: Duration = Duration::from_secs(1);
/// The most that a lease of the role `short` lives.
const SHORT: Duration = Duration::from_secs(20);

/// A server with the engine, the service, and what clients were told.
struct World {
    server: Server,
    client: Client,
    service: Service,
    /// Names by the ids of the leases that were given and not revoked.
    held: BTreeMap<String, String>,
    /// When the last lease of the role `short` may have been made.
    last_short: Instant,
}

impl World {
    fn new(server: Server) -> Self {
        let service = Service::start();
        server.register_example("secret", EXAMPLE);
        let client = server.client();
        let options = json!({ "url": service.url(), "undo_after": "1s" });
        let mount = json!({ "type": EXAMPLE, "options": options });
        client.write("sys/mounts/users", mount).ok();
        let role = json!({ "group": "readers", "ttl": "1h", "max_ttl": "2h" });
        client.write("users/role/long", role).ok();
        let times = format!("{}s", SHORT.as_secs());
        let role = json!({ "group": "readers", "ttl": times, "max_ttl": times });
        client.write("users/role/short", role).ok();
        Self {
            server,
            client,
            service,
            held: BTreeMap::new(),
            last_short: Instant::now(),
        }
    }

    fn dev(release: Release) -> Self {
        Self::new(Server::bare_dev(release))
    }

    /// Kills the plugin, whoever calls it.
    fn killer(&self) -> impl FnOnce() + Send + 'static {
        let server = self.server.pid();
        move || kill_all(server, EXAMPLE)
    }

    /// Asks for a user once. Whether there was an answer.
    fn ask(&mut self, role: &str) -> Option<(String, String)> {
        if role == "short" {
            self.last_short = Instant::now();
        }
        let reply = self.client.read(&format!("users/creds/{role}"));
        if reply.status != 200 {
            return None;
        }
        let lease = reply.body["lease_id"].as_str().expect("a lease").to_owned();
        let name = reply.text("username");
        self.held.insert(lease.clone(), name.clone());
        Some((lease, name))
    }

    /// A user for sure: the request that finds the plugin dead may fail.
    fn user(&mut self, role: &str) -> (String, String) {
        until("a user", Duration::from_secs(20), || self.ask(role))
    }

    /// Revokes a lease until the server says that it has.
    fn revoke(&mut self, lease: &str) {
        let body = json!({ "lease_id": lease, "sync": true });
        until("the lease ends", Duration::from_secs(20), || {
            let reply = self.client.write("sys/leases/revoke", body.clone());
            (reply.status == 204 || reply.status == 200).then_some(())
        });
        self.held.remove(lease);
    }

    /// Waits until the plugin is there, which undoes what is due. A server whose plugin dies while it starts it may go on asking the dead one; then
    /// an operator has to reload the plugin, and so does this.
    fn alive(&self) {
        let mut begun = Instant::now();
        until("the plugin is back", Duration::from_secs(40), || {
            if begun.elapsed() > Duration::from_secs(2) {
                begun = Instant::now();
                let mounts = json!({ "mounts": "users/" });
                self.client.write("sys/plugins/reload/backend", mounts);
            }
            (self.client.read("users/health").status == 200).then_some(())
        });
    }

    /// Asks until the plugin was killed over it. Whether there was an answer.
    fn ask_to_the_end(&mut self, role: &str, when: When) -> bool {
        let struck = self.service.plan("PUT", role, when, self.killer());
        until("a kill", Duration::from_secs(20), || {
            let answered = self.ask(role).is_some();
            let struck = struck.recv_timeout(Duration::from_millis(200));
            struck.is_ok().then_some(answered)
        })
    }

    /// One kill at a step of a lease. Whether there was an answer.
    fn round(&mut self, number: u64) -> bool {
        self.alive();
        let random = |most: u64| Duration::from_micros(number.wrapping_mul(7919) % most);
        match number % 10 {
            // At any moment of a request, from before the entry of the log.
            0 | 1 => {
                let (kill, after) = (self.killer(), random(6000));
                let killing = thread::spawn(move || {
                    thread::sleep(after);
                    kill();
                });
                let answered = self.ask("short").is_some();
                killing.join().expect("it kills");
                answered
            }
            // The entry is there, and the user is not, or is.
            2 | 3 => {
                let when = [When::Before, When::After][usize::from(number % 10 == 3)];
                // A server that sees the process end asks the next one once more.
                self.ask_to_the_end("long", when)
            }
            // The user is there: before the lease is on record, after it, before the answer, after it.
            4..=6 => self.ask_to_the_end("short", When::Answered(random(4000))),
            // In a revocation: before the user goes, after it, and with the entry of the log there or gone.
            step => {
                let (lease, name) = self.user("long");
                let when = match step {
                    7 => When::Before,
                    8 => When::After,
                    _ => When::Answered(random(3000)),
                };
                let struck = self.service.plan("DELETE", &name, when, self.killer());
                self.revoke(&lease);
                struck.recv_timeout(Duration::from_secs(9)).expect("a kill");
                assert!(!self.service.has(&name));
                true
            }
        }
    }

    /// Starts the plugin anew, which undoes what is due.
    fn recover(&self) {
        thread::sleep(UNDO + Duration::from_millis(1100));
        kill_all(self.server.pid(), EXAMPLE);
        self.alive();
    }

    /// The same, and it is killed in that, at a call to the service.
    fn recover_killed(&mut self, when: When) {
        until("a kill in a recovery", Duration::from_secs(60), || {
            // What this leaves is due only then, unless everything is slow.
            self.ask_to_the_end("long", When::After);
            thread::sleep(UNDO + Duration::from_millis(1100));
            kill_all(self.server.pid(), EXAMPLE);
            let killer = self.killer();
            let struck = self.service.plan("DELETE", "long", when, killer);
            self.alive();
            struck.recv_timeout(Duration::from_millis(200)).ok()
        });
    }

    /// The ids of the leases of a role that the server has.
    fn leases(&self, role: &str) -> Vec<String> {
        let folder = format!("users/creds/{role}/");
        let listed = self.client.list(&format!("sys/leases/lookup/{folder}"));
        if listed.status == 404 {
            return Vec::new();
        }
        let keys = listed.ok().texts("keys");
        keys.iter().map(|key| format!("{folder}{key}")).collect()
    }

    /// No lease without a user, and no user without a lease but of `short`, of which some may have died with the answer.
    fn settled(&self) {
        let mut wanted: Vec<_> = self
            .held
            .keys()
            .filter(|id| id.contains("/long/"))
            .collect();
        wanted.sort();
        let mut leases = self.leases("long");
        leases.sort();
        assert_eq!(leases.iter().collect::<Vec<_>>(), wanted);
        let users = self.service.users();
        let listed = self.leases("short");
        for id in listed {
            let reply = self
                .client
                .write("sys/leases/lookup", json!({ "lease_id": id }));
            // Others may end in between.
            if reply.status == 200 && reply.data()["ttl"].as_i64() > Some(2) {
                // Only a server that died has given leases that no client knows.
                let name = self.held.get(&id);
                assert!(
                    name.is_none_or(|name| users.contains(name)),
                    "{id} has no user"
                );
            }
        }
        for (lease, name) in &self.held {
            let long = lease.contains("/long/");
            assert!(!long || users.contains(name), "{lease} has no user");
        }
        for name in users.iter().filter(|name| name.starts_with("long-")) {
            let leased = self.held.values().any(|held| held == name);
            assert!(leased, "{name} has no lease");
        }
    }

    /// When the last lease is over, there are the users of the others, and no more.
    fn ended(&mut self) {
        let end = self.last_short + SHORT + UNDO;
        thread::sleep(end.saturating_duration_since(Instant::now()));
        self.recover();
        self.settled();
        self.held.retain(|lease, _| lease.contains("/long/"));
        let users: Vec<_> = self.service.users().into_iter().collect();
        let mut held: Vec<_> = self.held.values().cloned().collect();
        held.sort();
        assert_eq!(users, held);
        let all = json!({ "sync": true });
        let revoked = || {
            self.client
                .write("sys/leases/revoke-prefix/users", all.clone())
        };
        until("all leases end", Duration::from_secs(20), || {
            (revoked().status < 300).then_some(())
        });
        assert!(self.service.users().is_empty());
    }
}

/// Kills at each step in turn, and looks after each twenty-five.
fn killed(release: Release, rounds: u64) {
    let mut world = World::dev(release);
    let mut answered = 0;
    for number in 0..rounds {
        answered += u64::from(world.round(number));
        if number % 25 == 24 {
            let when = [When::Before, When::After][usize::from(number % 50 == 49)];
            world.recover_killed(when);
            world.recover();
            world.settled();
        }
    }
    world.ended();
    assert!(
        answered >= rounds * 3 / 10 && answered < rounds,
        "{answered}"
    );
}

#[test]
fn three_hundred_kills_of_the_plugin_lose_nothing() {
    killed(Release::Current, 250);
}

#[test]
fn kills_of_the_plugin_lose_nothing_on_the_previous_release() {
    killed(Release::Previous, 50);
}

/// The server dies, and its plugin with it.
#[test]
fn kills_of_the_server_lose_nothing() {
    let mut world = World::new(Server::raft(Release::Current, ""));
    let mut kept = world.user("long");
    let ms = |ms| When::Answered(Duration::from_millis(ms));
    for (method, when) in [
        ("PUT", When::Before),
        ("PUT", When::After),
        ("PUT", ms(1)),
        ("PUT", ms(4)),
        ("DELETE", When::Before),
        ("DELETE", When::After),
    ] {
        let server = world.server.pid();
        let name = if method == "PUT" { "short" } else { &*kept.1 };
        let struck = world.service.plan(method, name, when, move || {
            let pid = i32::try_from(server).ok();
            let pid = pid
                .and_then(rustix::process::Pid::from_raw)
                .expect("a process");
            let kill = rustix::process::Signal::KILL;
            rustix::process::kill_process(pid, kill).expect("our own child");
        });
        let (verb, path, body) = match method {
            "PUT" => ("GET", "users/creds/short", None),
            _ => {
                let body = json!({ "lease_id": kept.0, "sync": true });
                let body = body.to_string().into_bytes();
                ("POST", "sys/leases/revoke", Some(body))
            }
        };
        world.last_short = Instant::now();
        // The connection breaks, or the answer came first.
        let _ = world.client.try_call(verb, path, body);
        struck.recv_timeout(Duration::from_secs(9)).expect("a kill");
        world.server.restart();
        world.client = world.server.client();
        if method == "DELETE" {
            let (lease, _) = kept;
            world.revoke(&lease);
            kept = world.user("long");
        }
        world.recover();
        world.settled();
    }
    world.ended();
}

/// Whoever hangs up gets no lease, and leaves no user.
fn a_client_that_hangs_up_leaves_no_user(release: Release) {
    let world = World::dev(release);
    let ((came, comes), (go, goes)) = (channel(), channel::<()>());
    world.service.plan("PUT", "long", When::Held, move || {
        let _ = came.send(());
        let _ = goes.recv();
    });
    let mut asking = world.server.cli();
    let mut asking = asking
        .args(["read", "users/creds/long"])
        .spawn()
        .expect("it runs");
    comes
        .recv_timeout(Duration::from_secs(20))
        .expect("a question");
    asking.kill().expect("our own child");
    asking.wait().expect("our own child");
    // The server sees the end of the connection, and gives the request up.
    thread::sleep(Duration::from_millis(500));
    assert!(world.service.users().is_empty());
    go.send(()).expect("the service waits");
    until(
        "the plugin tells that it ended the lease",
        Duration::from_secs(10),
        || {
            let log = world.server.log();
            log.contains("the client has gone, and its lease was ended")
                .then_some(())
        },
    );
    assert!(world.service.users().is_empty());
    assert!(world.leases("long").is_empty());
}

fn what_waits_is_dropped_when_the_client_has_gone(release: Release) {
    let world = World::dev(release);
    let (comes, goes) = world.service.hang();
    let mut asking = world.server.cli();
    let mut asking = asking
        .args(["read", "users/health"])
        .spawn()
        .expect("it runs");
    comes
        .recv_timeout(Duration::from_secs(20))
        .expect("a question");
    let begun = Instant::now();
    asking.kill().expect("our own child");
    asking.wait().expect("our own child");
    goes.recv_timeout(Duration::from_secs(5))
        .expect("the plugin hangs up too");
    // Its own patience is ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(world.client.read("users/health").ok().data()["status"], 204);
}

/// What a kill has left goes with the mount.
fn a_mount_that_is_disabled_leaves_no_user(release: Release) {
    let mut world = World::dev(release);
    let options = json!({ "url": world.service.url(), "undo_after": "1h" });
    let mount = json!({ "type": EXAMPLE, "options": options });
    world.client.delete("sys/mounts/users").ok();
    world.client.write("sys/mounts/users", mount).ok();
    let role = json!({ "group": "readers", "ttl": "1h" });
    world.client.write("users/role/long", role).ok();
    let struck = world
        .service
        .plan("PUT", "long", When::After, world.killer());
    // A server that sees the process end asks the next one once more.
    world.ask("long");
    struck.recv_timeout(Duration::from_secs(9)).expect("a kill");
    world.user("long");
    assert_eq!(world.service.users().len(), world.held.len() + 1);
    world.client.delete("sys/mounts/users").ok();
    assert!(world.service.users().is_empty());
}

fn a_lease_is_renewed_to_its_limit_and_no_further(release: Release) {
    let mut world = World::dev(release);
    let (lease, name) = world.user("long");
    let renew = |increment: &str| {
        let body = json!({ "lease_id": lease, "increment": increment });
        world.client.write("sys/leases/renew", body).ok()
    };
    let renewed = renew("90m");
    assert_eq!(renewed.body["lease_duration"], 5400);
    for _ in 0..2 {
        let renewed = renew("24h");
        let left = renewed.body["lease_duration"].as_u64().expect("a number");
        assert!((7100..=7200).contains(&left), "{left}");
    }
    let lease = lease.clone();
    world.revoke(&lease);
    assert!(!world.service.has(&name));
}

fn the_tuning_of_the_mount_counts_at_once(release: Release) {
    let world = World::dev(release);
    let lease = || {
        let reply = world.client.read("users/creds/long").ok();
        (reply.body["lease_duration"].clone(), reply.warnings())
    };
    assert_eq!(lease(), (json!(3600), Vec::new()));
    let tuned = json!({ "max_lease_ttl": "30m", "default_lease_ttl": "10m" });
    world.client.write("sys/mounts/users/tune", tuned).ok();
    let (seconds, warnings) = lease();
    assert_eq!(seconds, 1800);
    let cut = "the TTL of 1h0m0s is longer than what is left of the limit, and was cut to 30m0s";
    assert!(
        warnings.iter().any(|warning| warning == cut),
        "{warnings:?}"
    );
}

on_both_releases! {
    the_tuning_of_the_mount_counts_at_once
    a_client_that_hangs_up_leaves_no_user
    what_waits_is_dropped_when_the_client_has_gone
    a_mount_that_is_disabled_leaves_no_user
    a_lease_is_renewed_to_its_limit_and_no_further
}
