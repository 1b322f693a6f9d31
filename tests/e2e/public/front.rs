//! `landfast public` as a process, and a road to a server that can be cut.

use std::io::{self, BufRead as _, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{terminate, until};

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");

/// A running `landfast public`. Dropping it ends it.
pub(crate) struct Front {
    child: Child,
    dir: TempDir,
    config: Value,
    /// Where it listens, each with its scheme.
    pub(crate) addresses: Vec<String>,
    metrics: Option<String>,
    log: Arc<Mutex<String>>,
}

impl Front {
    /// With a configuration file, and an audit log beside it.
    pub(crate) fn start(config: &Value) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder"), config)
    }

    /// The same in a folder that may have files for it.
    pub(crate) fn start_in(dir: TempDir, config: &Value) -> Self {
        let mut config = config.clone();
        config["audit_log"] = dir.path().join("audit.log").display().to_string().into();
        let file = dir.path().join("public.json");
        std::fs::write(&file, config.to_string()).expect("a file in a fresh folder");
        let mut command = Command::new(BINARY);
        command.args(["public", "--config"]).arg(&file);
        Self::run(command, dir, config)
    }

    /// With these words in the place of a file.
    pub(crate) fn with_words(words: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("public").args(words);
        let dir = tempfile::tempdir().expect("a folder");
        Self::run(command, dir, Value::Null)
    }

    fn run(mut command: Command, dir: TempDir, config: Value) -> Self {
        let (child, said) = spawn(&mut command, &config);
        Self {
            child,
            dir,
            config,
            addresses: said.addresses,
            metrics: said.metrics,
            log: said.log,
        }
    }

    /// Ends it by a signal, and starts it again with the same configuration. It listens elsewhere then, and its log begins anew.
    pub(crate) fn restart(&mut self, signal: Signal) {
        self.signal(signal);
        self.exit_code();
        let mut command = Command::new(BINARY);
        command
            .args(["public", "--config"])
            .arg(self.dir.path().join("public.json"));
        let (child, said) = spawn(&mut command, &self.config);
        self.child = child;
        self.addresses = said.addresses;
        self.metrics = said.metrics;
        self.log = said.log;
    }

    /// Where its first listener is reached.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.addresses[0])
    }

    /// What `curl` with these arguments gets of a path: head and body.
    pub(crate) fn curl(&self, path: &str, arguments: &[&str]) -> Vec<u8> {
        curl(&self.url(path), arguments)
    }

    /// What the port of metrics says.
    pub(crate) fn observed(&self, path: &str) -> String {
        let address = self.metrics.as_deref().expect("metrics are configured");
        let got = curl(&format!("{address}{path}"), &[]);
        assert_eq!(status(&got), 200);
        String::from_utf8(body(&got).to_vec()).expect("text")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic under the lock").clone()
    }

    /// The lines of its audit log.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir().join("audit.log")).unwrap_or_default();
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    /// Changes its configuration and has it read it again.
    pub(crate) fn reload(&mut self, change: impl FnOnce(&mut Value)) {
        let before = self.log().matches("read anew").count();
        change(&mut self.config);
        let file = self.dir().join("public.json");
        std::fs::write(file, self.config.to_string()).expect("a file in its folder");
        self.signal(Signal::HUP);
        until("a reload", Duration::from_secs(20), || {
            (self.log().matches("read anew").count() > before).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it runs");
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        until("an end", Duration::from_secs(40), || {
            self.child.try_wait().expect("our own child")
        })
        .code()
    }

    /// Kilobytes of memory that it holds.
    pub(crate) fn resident(&self) -> u64 {
        let text =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }
}

/// What it says when it starts, and from then on.
struct Said {
    addresses: Vec<String>,
    metrics: Option<String>,
    log: Arc<Mutex<String>>,
}

/// Starts it, and waits until it has said where it listens.
fn spawn(command: &mut Command, config: &Value) -> (Child, Said) {
    let mut child = command
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test runs");
    let doors = config["listeners"].as_array().map_or(1, Vec::len);
    let wants_metrics = config["metrics_listen"].is_string();
    let (mut addresses, mut metrics, mut text) = (Vec::new(), None, String::new());
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    while addresses.len() < doors || metrics.is_some() != wants_metrics {
        let Some(Ok(line)) = lines.next() else {
            panic!("it ended: {text}");
        };
        if let Some((_, address)) = line.split_once(" listening on ") {
            addresses.push(address.to_owned());
        }
        if let Some((_, address)) = line.split_once(" metrics on ") {
            metrics = Some(format!("http://{address}"));
        }
        text += &format!("{line}\n");
    }
    let log = Arc::new(Mutex::new(text));
    let more = log.clone();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            *more.lock().expect("no panic under the lock") += &format!("{line}\n");
        }
    });
    let said = Said {
        addresses,
        metrics,
        log,
    };
    (child, said)
}

impl Drop for Front {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- landfast public ---\n{}", self.log());
        }
        terminate(&mut self.child);
    }
}

/// What `curl` gets: head and body.
pub(crate) fn curl(url: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "40",
            "--include",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl runs");
    assert!(
        output.status.success(),
        "curl {arguments:?} {url}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn parts(reply: &[u8]) -> (&[u8], &[u8]) {
    let end = reply.windows(4).position(|part| part == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(reply)));
    (&reply[..end], &reply[end + 4..])
}

/// The status of a reply. One of `100 Continue` before it is passed over.
pub(crate) fn status(reply: &[u8]) -> u16 {
    let (head, rest) = parts(reply);
    let head = String::from_utf8_lossy(head).into_owned();
    let code = head
        .split_whitespace()
        .nth(1)
        .and_then(|code| code.parse().ok());
    match code {
        Some(100) => status(rest),
        Some(code) => code,
        None => panic!("no status: {head}"),
    }
}

pub(crate) fn body(reply: &[u8]) -> &[u8] {
    parts(reply).1
}

/// A header of a reply.
pub(crate) fn header(reply: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(parts(reply).0).into_owned();
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

/// A port that leads to a server, or nowhere.
pub(crate) struct Road {
    port: u16,
    target: Arc<Mutex<Option<String>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Road {
    pub(crate) fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let road = Self {
            port: listener.local_addr().expect("bound").port(),
            target: Arc::default(),
            open: Arc::default(),
        };
        road.lead_to(address);
        let (target, open) = (road.target.clone(), road.open.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Held until both ends are on record, so that a cut misses none.
                let mut open = open.lock().expect("no panic under the lock");
                let address = target.lock().expect("no panic under the lock").clone();
                // Who leads nowhere is hung up on.
                let Some(Ok(server)) = address.map(TcpStream::connect) else {
                    continue;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (
                        from.try_clone().expect("a handle"),
                        to.try_clone().expect("a handle"),
                    );
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                open.extend([client, server]);
            }
        });
        road
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn lead_to(&self, address: &str) {
        let address = address.trim_start_matches("http://").to_owned();
        *self.target.lock().expect("no panic under the lock") = Some(address);
    }

    /// Ends what is open, and leads nowhere.
    pub(crate) fn cut(&self) {
        let mut open = self.open.lock().expect("no panic under the lock");
        *self.target.lock().expect("no panic under the lock") = None;
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A file of these octets in the folder of a front.
pub(crate) fn file(front: &Front, name: &str, octets: impl AsRef<[u8]>) -> PathBuf {
    let path = front.dir().join(name);
    std::fs::write(&path, octets).expect("a file in its folder");
    path
}
