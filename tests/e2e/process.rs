//! The plugin's process on a real server: its socket, and its end while a request is under way.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, getgid, kill_process};
use serde_json::json;

use crate::support::{PLUGIN_NAME, Release, Server, until};

/// How long a host waits for a plugin that it has told to end.
const PATIENCE: Duration = Duration::from_secs(2);

fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Processor time of a process, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|text| text.parse().ok());
    number(11).unwrap_or(0) + number(12).unwrap_or(0)
}

/// Ends the plugin by `way` while it makes large RSA keys, and answers how long that took.
fn ended_at_work(server: &Server, way: impl FnOnce(u32) + Send) -> Duration {
    let client = server.client();
    client.read("pki/config/urls").ok();
    let [plugin] = server.plugins()[..] else {
        panic!("one process serves the mount");
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                // The request fails when the process goes, and that is no matter here.
                let body = json!({"key_type": "rsa", "key_bits": 8192}).to_string();
                let _ = client.try_call("POST", "pki/keys/generate/internal", Some(body.into()));
            });
        }
        let before = ticks(plugin);
        until("the plugin is at work", Duration::from_secs(20), || {
            (ticks(plugin) > before + 10).then_some(())
        });
        let began = Instant::now();
        scope.spawn(move || way(plugin));
        until("the plugin has ended", Duration::from_secs(20), || {
            (!alive(plugin)).then_some(())
        });
        began.elapsed()
    })
}

#[test]
fn it_ends_in_time_with_a_request_under_way() {
    let server = Server::raft(Release::Current, "");
    server.register(PLUGIN_NAME, "");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();

    // The operator of the machine ends it; the host starts it again for the next request.
    let took = ended_at_work(&server, |plugin| {
        let pid = i32::try_from(plugin).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process id"), Signal::TERM).expect("it runs");
    });
    assert!(took < PATIENCE, "SIGTERM: {took:?}");

    // The host ends it: it asks first and kills a process that is still there two seconds later, and then says so.
    // (A reload waits for the requests that are under way; sealing gives them up.)
    ended_at_work(&server, |_| {
        client.write("sys/seal", json!({})).ok();
    });
    let log = server.log();
    let sealing = log.find("marked as sealed").expect("the log of a sealing");
    let at = |what: &str| {
        let line = log[sealing..].lines().find(|line| line.contains(what));
        let line = line.unwrap_or_else(|| panic!("{what:?} is not in the log:\n{log}"));
        let time: jiff::Timestamp = line[..24].parse().expect("a line starts with its time");
        time
    };
    let took = at("plugin process exited").duration_since(at("cleaning up plugin client"));
    assert!(took.unsigned_abs() < PATIENCE, "seal: {took:?}");
    // The process's own last words: nobody killed it.
    at("the plugin ends");
    assert!(!log.contains("failed to exit gracefully"), "{log}");

    server.unseal();
    client.read("pki/config/urls").ok();
}

/// The sockets in a folder.
fn sockets(dir: &Path) -> Vec<fs::Metadata> {
    let entries = fs::read_dir(dir).expect("a folder of this test");
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(|metadata| metadata.file_type().is_socket())
        .collect()
}

#[test]
fn the_socket_is_for_its_owner_and_the_group_that_the_host_names() {
    let dir = tempfile::Builder::new()
        .prefix("lf-s-")
        .tempdir()
        .expect("a temporary folder");
    // Only root may give a file to a group that it is no member of.
    let (group, id) = if geteuid().is_root() {
        ("daemon".to_owned(), group_id("daemon"))
    } else {
        (getgid().as_raw().to_string(), getgid().as_raw())
    };
    for (group, mode, id) in [
        (None, 0o600, getgid().as_raw()),
        (Some(group.as_str()), 0o660, id),
    ] {
        let mut environment = vec![("PLUGIN_UNIX_SOCKET_DIR", dir.path().as_os_str())];
        environment.extend(group.map(|group| ("PLUGIN_UNIX_SOCKET_GROUP", group.as_ref())));
        let server = Server::dev_with(&environment);
        server.mount("pki", PLUGIN_NAME);
        server.client().read("pki/config/urls").ok();
        let [socket] = &sockets(dir.path())[..] else {
            panic!("one socket: that of the mount");
        };
        assert_eq!(socket.mode() & 0o777, mode, "{group:?}");
        assert_eq!(socket.gid(), id, "{group:?}");
        drop(server);
        until("the socket is removed", Duration::from_secs(10), || {
            sockets(dir.path()).is_empty().then_some(())
        });
    }
}

fn group_id(name: &str) -> u32 {
    let groups = fs::read_to_string("/etc/group").expect("a system with groups");
    let line = groups
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")));
    line.and_then(|line| line.split(':').nth(2)?.parse().ok())
        .expect("a group that every Linux has")
}

#[test]
fn a_path_too_long_for_a_socket_is_told_in_the_servers_log() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let long = dir.path().join("x".repeat(100));
    fs::create_dir(&long).expect("a fresh folder");
    for name in ["TMPDIR", "PLUGIN_UNIX_SOCKET_DIR"] {
        let server = Server::dev_with(&[(name, long.as_os_str())]);
        let began = Instant::now();
        let reply =
            server
                .client()
                .call("POST", "sys/mounts/pki", Some(json!({"type": PLUGIN_NAME})));
        assert!(reply.status >= 400, "{name}: {}", reply.body);
        assert!(began.elapsed() < Duration::from_secs(10), "{name}");
        // The answer may be there before the line, and before the process has ended.
        let limit = Duration::from_secs(10);
        let told = until("the line in the server's log", limit, || {
            let log = server.log();
            let mut lines = log.lines();
            let told =
                lines.find(|line| line.contains("more than the 107 that a unix socket can have"));
            told.map(str::to_owned)
        });
        assert!(told.contains("set TMPDIR"), "{told}");
        assert!(!server.log().contains("panicked"), "{name}");
        until("the end of the plugin", limit, || {
            server.plugins().is_empty().then_some(())
        });
        // The server is none the worse for it.
        server.client().read("sys/mounts").ok();
    }
}
