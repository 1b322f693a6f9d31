//! OpenBao servers as child processes, each with a plugin directory that
//! holds the `landfast` binary under test, gone when the test ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use super::client::{Asked, Log};
use super::{Client, Program};

/// The name that the plugin has in the catalogue and as a mount type.
pub(crate) const PLUGIN_NAME: &str = "landfast";

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");
const ROOT_TOKEN: &str = "root";

/// Which of the pinned servers to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    Current,
    Previous,
}

impl Release {
    /// The server's binary: `BAO_BIN` or `VAULT_BIN` if set, for both releases,
    /// else what `make tools` fetched.
    ///
    /// # Panics
    ///
    /// When there is none. Without a server nothing here was tested, so it is
    /// a failure and not a skip.
    pub(crate) fn binary(self) -> PathBuf {
        for variable in ["BAO_BIN", "VAULT_BIN"] {
            if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
                return PathBuf::from(path);
            }
        }
        let version = match self {
            Self::Current => "2.7.2",
            Self::Previous => "2.6.2",
        };
        let path = tools().join("openbao").join(version).join("bao");
        assert!(
            path.is_file(),
            "no server at {}: run `make tools` to fetch it, or set BAO_BIN to a server of your own",
            path.display()
        );
        path
    }
}

impl Release {
    /// Which of the two servers it is.
    pub(crate) fn program(self) -> Program {
        Program::of(&self.binary())
    }
}

/// A running server. Dropping it ends it, and with it its plugins.
pub(crate) struct Server {
    release: Release,
    child: Child,
    dir: TempDir,
    address: String,
    token: String,
    unseal_key: Option<String>,
    log: Log,
}

impl Server {
    /// A dev server (in memory, unsealed, root token) of the current release,
    /// with the plugin registered as [`PLUGIN_NAME`].
    pub(crate) fn dev() -> Self {
        Self::dev_of(Release::Current)
    }

    /// The same with a choice of release.
    pub(crate) fn dev_of(release: Release) -> Self {
        let server = Self::bare_dev(release);
        server.register(PLUGIN_NAME, "");
        server
    }

    /// A dev server with these variables, which the plugin gets too.
    pub(crate) fn dev_with(environment: &[(&str, &OsStr)]) -> Self {
        let server = Self::bare_dev_with(Release::Current, environment, "");
        server.register(PLUGIN_NAME, "");
        server
    }

    /// A dev server with `settings` in its configuration.
    pub(crate) fn dev_on(settings: &str) -> Self {
        let server = Self::bare_dev_with(Release::Current, &[], settings);
        server.register(PLUGIN_NAME, "");
        server
    }

    /// A dev server that knows no plugin yet.
    pub(crate) fn bare_dev(release: Release) -> Self {
        Self::bare_dev_with(release, &[], "")
    }

    /// The same of the current release, with `settings` in its configuration.
    pub(crate) fn bare_dev_on(settings: &str) -> Self {
        Self::bare_dev_with(Release::Current, &[], settings)
    }

    fn bare_dev_with(release: Release, environment: &[(&str, &OsStr)], settings: &str) -> Self {
        let dir = directory();
        let (child, address) = start(&dir, |port| {
            let mut command = in_dev_mode(release, &dir, port);
            command.envs(environment.iter().copied());
            let plugins = dir.path().join("plugins");
            let config = format!("plugin_directory = {plugins:?}\n{settings}");
            (command, config)
        });
        let server = Self {
            release,
            child,
            dir,
            address,
            token: ROOT_TOKEN.to_owned(),
            unseal_key: None,
            log: Log::default(),
        };
        server.await_health(&[200]);
        server
    }

    /// A server on raft storage, initialised and unsealed, that survives
    /// [`Server::restart`]. `stanza` is added to its configuration.
    pub(crate) fn raft(release: Release, stanza: &str) -> Self {
        let dir = directory();
        fs::create_dir(dir.path().join("raft")).expect("a fresh folder");
        fs::write(dir.path().join("extra.hcl"), stanza).expect("a file in a fresh folder");
        let (child, address) = start_raft(release, &dir);
        let mut server = Self {
            release,
            child,
            dir,
            address,
            token: String::new(),
            unseal_key: None,
            log: Log::default(),
        };
        server.await_health(&[501]);
        let reply = server
            .client()
            .write(
                "sys/init",
                json!({"secret_shares": 1, "secret_threshold": 1}),
            )
            .ok();
        server.unseal_key = reply.body["keys"][0].as_str().map(str::to_owned);
        server.token = reply.body["root_token"]
            .as_str()
            .expect("init answers a root token")
            .to_owned();
        server.unseal();
        server
    }

    /// Ends the server as a crash would and starts it again on the same storage.
    pub(crate) fn restart(&mut self) {
        self.crash_and_start();
        self.unseal();
    }

    /// As [`Server::restart`], but leaves it sealed.
    pub(crate) fn crash_and_start(&mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be awaited");
        let (child, address) = start_raft(self.release, &self.dir);
        self.child = child;
        self.address = address;
        self.await_health(&[503]);
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, &self.token).noted_in(&self.log)
    }

    /// What its clients asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().expect("no panic under the lock").clone()
    }

    /// Writes the plugin into the catalogue under a name. An empty version
    /// leaves it to the plugin to report its own.
    pub(crate) fn register(&self, name: &str, version: &str) {
        let mut body = json!({"sha256": self.sha256(), "command": PLUGIN_NAME});
        if !version.is_empty() {
            body["version"] = json!(version);
        }
        self.client()
            .write(&format!("sys/plugins/catalog/secret/{name}"), body)
            .ok();
    }

    /// Puts an example of the repository into the plugin directory, and into the catalogue as a plugin of this type.
    pub(crate) fn register_example(&self, kind: &str, name: &str) {
        // Cargo builds examples along with the tests, beside the binary.
        let built = Path::new(BINARY).with_file_name("examples").join(name);
        let installed = self.dir.path().join("plugins").join(name);
        // It may run already, under another type.
        if !installed.exists() {
            fs::copy(&built, &installed).unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; run `cargo build --example {name}`",
                    built.display()
                )
            });
        }
        let entry = json!({ "sha256": sha256_of(&installed), "command": name });
        self.client()
            .write(&format!("sys/plugins/catalog/{kind}/{name}"), entry)
            .ok();
    }

    /// Mounts a type at a path, with long leases allowed.
    pub(crate) fn mount(&self, path: &str, kind: &str) {
        self.client()
            .write(
                &format!("sys/mounts/{path}"),
                json!({"type": kind, "config": {"max_lease_ttl": "87600h"}}),
            )
            .ok();
    }

    /// SHA-256 of the binary in the plugin directory, in hex.
    pub(crate) fn sha256(&self) -> String {
        sha256_of(&self.dir.path().join("plugins").join(PLUGIN_NAME))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The server's own command line client, with address and token set.
    pub(crate) fn cli(&self) -> Command {
        let mut command = Command::new(self.release.binary());
        command.env_clear().env("HOME", self.dir.path());
        for (name, value) in [("ADDR", &self.address), ("TOKEN", &self.token)] {
            command.env(format!("BAO_{name}"), value);
            command.env(format!("VAULT_{name}"), value);
        }
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// The `landfast` binary under test, with address and token set.
    pub(crate) fn landfast(&self) -> Command {
        let mut command = Command::new(BINARY);
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("VAULT_ADDR", &self.address)
            .env("VAULT_TOKEN", &self.token);
        command
    }

    /// A folder that lives as long as the server.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The plugin processes below the server.
    pub(crate) fn plugins(&self) -> Vec<u32> {
        plugins_below(self.child.id())
    }

    /// The processes of a plugin by the name of its file, of which the kernel keeps 15 letters.
    pub(crate) fn processes(&self, name: &str) -> Vec<u32> {
        below(self.child.id(), name)
    }

    /// Ends the processes of a plugin at once, and waits until they have gone.
    pub(crate) fn kill(&self, name: &str) {
        kill_all(self.child.id(), name);
    }

    /// What the server has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Unseals a raft server that was restarted or sealed.
    pub(crate) fn unseal(&self) {
        let key = match &self.unseal_key {
            Some(key) => key.clone(),
            // A dev server prints it when it starts.
            None => self
                .log()
                .lines()
                .find_map(|line| Some(line.trim().strip_prefix("Unseal Key: ")?.to_owned()))
                .expect("init answered a key, or the dev server printed one"),
        };
        self.client().write("sys/unseal", json!({"key": key})).ok();
        self.await_health(&[200]);
    }

    /// Waits for one of these answers of `sys/health`: 200 active, 501 not
    /// initialised, 503 sealed.
    fn await_health(&self, wanted: &[u16]) {
        let client = self.client();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = client
                .try_call("GET", "sys/health", None)
                .map(|reply| reply.status);
            if status.as_ref().is_ok_and(|status| wanted.contains(status)) {
                return;
            }
            assert!(
                Instant::now() < end,
                "the server is not ready ({status:?}):\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.len().saturating_sub(6000);
            let tail = (tail..log.len()).find(|at| log.is_char_boundary(*at));
            eprintln!(
                "--- end of the server's log ---\n{}",
                &log[tail.unwrap_or(0)..]
            );
        }
        // A polite end lets the server end its plugins.
        terminate(&mut self.child);
    }
}

/// The repository's `.tools` folder.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools")
}

/// SHA-256 of a file, in hex.
fn sha256_of(file: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .expect("sha256sum runs");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .next()
        .expect("sha256sum prints a sum")
        .to_owned()
}

/// The processes below `server` that run the binary under test.
pub(crate) fn plugins_below(server: u32) -> Vec<u32> {
    below(server, PLUGIN_NAME)
}

/// Octets of a process that are its own, without the pages of its program.
pub(crate) fn private_memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: usize = kib.and_then(|kib| kib.parse().ok()).expect("a number");
    kib << 10
}

/// The processes below `server` that run a plugin with this file name.
fn below(server: u32, name: &str) -> Vec<u32> {
    let name = &name[..name.len().min(15)];
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
                return false;
            };
            // "pid (name) state parent …", and a name may hold anything.
            let Some((head, rest)) = stat.rsplit_once(')') else {
                return false;
            };
            let mut rest = rest.split_whitespace();
            let alive = rest.next() != Some("Z");
            let parent = rest.next().and_then(|parent| parent.parse().ok());
            alive && parent == Some(server) && head.ends_with(name)
        })
        .collect()
}

/// Ends these at once, and waits until they have gone.
pub(crate) fn kill_all(server: u32, name: &str) {
    for pid in below(server, name) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            // It may have ended since it was listed.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    super::until("the processes have gone", Duration::from_secs(10), || {
        below(server, name).is_empty().then_some(())
    });
}

/// A folder with `plugins/landfast` in it. The file is its own inode or a hard
/// link, never a symbolic link: the server refuses one that leads elsewhere.
pub(crate) fn directory() -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix("lf-e2e-")
        .tempdir()
        .expect("a temporary folder");
    let plugins = dir.path().join("plugins");
    fs::create_dir(&plugins).expect("a fresh folder");
    let target = plugins.join(PLUGIN_NAME);
    if fs::hard_link(BINARY, &target).is_err() {
        fs::copy(BINARY, &target).expect("the binary under test can be copied");
    }
    dir
}

/// A server in dev mode on this port, with [`ROOT_TOKEN`] and the file that [`start`] writes.
pub(crate) fn in_dev_mode(release: Release, dir: &TempDir, port: u16) -> Command {
    let mut command = Command::new(release.binary());
    command
        .args(["server", "-dev", "-dev-no-store-token"])
        .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .arg(format!(
            "-config={}",
            dir.path().join("server.hcl").display()
        ));
    command
}

fn start_raft(release: Release, dir: &TempDir) -> (Child, String) {
    start(dir, |port| {
        let extra = fs::read_to_string(dir.path().join("extra.hcl")).unwrap_or_default();
        let config = format!(
            "storage \"raft\" {{\n  path = {:?}\n  node_id = \"one\"\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\n\
             cluster_addr = \"https://127.0.0.1:{}\"\n\
             plugin_directory = {:?}\n{extra}\n",
            dir.path().join("raft"),
            port + 1,
            dir.path().join("plugins"),
        );
        let mut command = Command::new(release.binary());
        command.arg("server").arg(format!(
            "-config={}",
            dir.path().join("server.hcl").display()
        ));
        (command, config)
    })
}

/// Starts a server on a free pair of ports (the second is for its cluster),
/// with what `prepare` makes of the first. Another process may take a port
/// between the look and the start, so a server that ends at once is tried
/// again on other ports.
pub(crate) fn start(dir: &TempDir, prepare: impl Fn(u16) -> (Command, String)) -> (Child, String) {
    for _ in 0..8 {
        let port = free_pair();
        let (mut command, config) = prepare(port);
        fs::write(dir.path().join("server.hcl"), config).expect("a file in a fresh folder");
        let log = File::options()
            .create(true)
            .append(true)
            .open(dir.path().join("server.log"))
            .expect("a log file in a fresh folder");
        let mut child = command
            .env("HOME", dir.path())
            .env("BAO_LOG_LEVEL", "debug")
            .env("VAULT_LOG_LEVEL", "debug")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if child.try_wait().expect("our own child").is_some() {
                break;
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (child, format!("http://127.0.0.1:{port}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        terminate(&mut child);
    }
    let log = fs::read_to_string(dir.path().join("server.log")).unwrap_or_default();
    panic!("the server does not start:\n{log}");
}

fn free_pair() -> u16 {
    // One test at a time looks, so that two of them do not find the same pair.
    static LAST: Mutex<u16> = Mutex::new(0);
    let mut last = LAST.lock().expect("no test panics while looking");
    loop {
        let first = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = first.local_addr().expect("a bound socket").port();
        if port == u16::MAX || port.abs_diff(*last) < 2 {
            continue;
        }
        if TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            *last = port;
            return port;
        }
    }
}

pub(crate) fn terminate(child: &mut Child) {
    // Its number may be another process's by now.
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A failure means that it has ended already.
        let _ = kill_process(pid, Signal::TERM);
    }
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}
