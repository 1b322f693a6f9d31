//! A server on raft storage whose seal changes between its starts.

use std::future::Future;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::fake_aws::{ACCESS_KEY, FakeAws, REGION};
use crate::support::{
    Client, PLUGIN_NAME, Release, directory, plugins_below, start, terminate, until,
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be started")
});

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

pub(crate) fn fake() -> FakeAws {
    block_on(FakeAws::start())
}

/// Storage, plugin directory, and the server that runs on them at the moment.
pub(crate) struct Host {
    dir: TempDir,
    /// What the storage stanza says: `raft` or `file`.
    storage: &'static str,
    child: Option<Child>,
    address: String,
    pub(super) token: String,
    pub(super) recovery_key: String,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            dir: directory(),
            storage: "raft",
            child: None,
            address: String::new(),
            token: String::new(),
            recovery_key: String::new(),
        }
    }

    /// On file storage, which the previous release still has; in the folder `file`.
    pub(super) fn on_files() -> Self {
        let mut host = Self::new();
        host.storage = "file";
        host
    }

    /// The plugin stanza that makes the binary under test the seal `awskms`, with lines to add.
    pub(crate) fn plugin(&self, more: &str) -> String {
        let file = self.dir.path().join("plugins").join(PLUGIN_NAME);
        let sum = Command::new("sha256sum")
            .arg(file)
            .output()
            .expect("sha256sum runs")
            .stdout;
        let sum = String::from_utf8(sum).expect("a sum is text");
        let sum = sum.split(' ').next().expect("a sum");
        format!(
            "plugin \"kms\" \"awskms\" {{\n  command = \"{PLUGIN_NAME}\"\n  sha256sum = \"{sum}\"\n  {more}\n}}\n"
        )
    }

    /// Starts a server; `stanzas` are added to its configuration.
    pub(crate) fn start(&mut self, release: Release, stanzas: &str) {
        assert!(self.child.is_none(), "one server at a time on one storage");
        let (child, address) = start(&self.dir, |port| self.prepare(release, stanzas, port));
        self.child = Some(child);
        self.address = address;
    }

    /// Starts a server without waiting for anything; it cannot be asked.
    pub(super) fn start_unheard(&mut self, release: Release, stanzas: &str) {
        let (mut command, config) = self.prepare(release, stanzas, 1);
        std::fs::write(self.dir.path().join("server.hcl"), config)
            .expect("a file in a folder of ours");
        let child = command
            .env("HOME", self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("the server's binary can be started"));
    }

    /// Starts a server that is to refuse, and returns what it said.
    pub(super) fn start_in_vain(&self, release: Release, stanzas: &str) -> String {
        let (mut command, config) = self.prepare(release, stanzas, 1);
        std::fs::write(self.dir.path().join("server.hcl"), config)
            .expect("a file in a folder of ours");
        let output = command
            .env("HOME", self.dir.path())
            .output()
            .expect("the server's binary can be started");
        assert!(!output.status.success(), "it started");
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// Writes the configuration anew and has the server read it.
    pub(super) fn reload(&self, release: Release, stanzas: &str) {
        let port = self
            .address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("an address");
        let (_, config) = self.prepare(release, stanzas, port);
        std::fs::write(self.dir.path().join("server.hcl"), config)
            .expect("a file in a folder of ours");
        self.signal(rustix::process::Signal::HUP);
    }

    fn prepare(&self, release: Release, stanzas: &str, port: u16) -> (Command, String) {
        let kind = self.storage;
        let folder = self.dir.path().join(kind);
        std::fs::create_dir_all(&folder).expect("a folder of ours");
        let node = if kind == "raft" {
            "node_id = \"one\""
        } else {
            ""
        };
        let config = format!(
            "storage {kind:?} {{\n  path = {folder:?}\n  {node}\n}}\n\
             listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"https://127.0.0.1:{}\"\n\
             plugin_directory = {:?}\n{stanzas}\n",
            port + 1,
            self.dir.path().join("plugins"),
        );
        let mut command = Command::new(release.binary());
        command.arg("server").arg(format!(
            "-config={}",
            self.dir.path().join("server.hcl").display()
        ));
        (command, config)
    }

    /// Initialises the server and waits until it is active.
    pub(crate) fn init(&mut self) {
        let body = json!({"recovery_shares": 1, "recovery_threshold": 1});
        self.init_with(body, "recovery_keys_base64");
        self.await_active();
    }

    /// Initialises a server whose key is split among people.
    pub(super) fn init_shamir(&mut self) {
        self.init_with(
            json!({"secret_shares": 1, "secret_threshold": 1}),
            "keys_base64",
        );
    }

    fn init_with(&mut self, body: Value, keys: &str) {
        let reply = self.client().call("PUT", "sys/init", Some(body)).ok().body;
        self.token = reply["root_token"]
            .as_str()
            .expect("a root token")
            .to_owned();
        self.recovery_key = reply[keys][0].as_str().expect("a key").to_owned();
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, &self.token)
    }

    /// Asks for the raft snapshot, or brings one.
    pub(super) fn curl(&self, arguments: &[&str]) {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail"])
            .args(["--header", &format!("X-Vault-Token: {}", self.token)])
            .args(arguments)
            .arg(format!("{}/v1/sys/storage/raft/snapshot", self.address))
            .output()
            .expect("curl runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Health of the server: 200 active, 501 not initialised, 503 sealed.
    pub(super) fn health(&self) -> Option<u16> {
        self.client()
            .try_call("GET", "sys/health", None)
            .ok()
            .map(|reply| reply.status)
    }

    pub(crate) fn await_active(&self) {
        self.await_health(200, Duration::from_secs(40));
    }

    pub(crate) fn await_health(&self, wanted: u16, limit: Duration) {
        until(&format!("health {wanted}"), limit, || {
            (self.health() == Some(wanted)).then_some(())
        });
    }

    /// A secret of the test, by the built-in kv engine.
    pub(super) fn write_secret(&self, value: &str) {
        let client = self.client();
        if !client.read("sys/mounts/kv").status.eq(&200) {
            client.write("sys/mounts/kv", json!({"type": "kv"})).ok();
        }
        client.write("kv/secret", json!({"value": value})).ok();
    }

    pub(super) fn secret(&self) -> String {
        self.client().read("kv/secret").ok().body["data"]["value"]
            .as_str()
            .expect("the secret")
            .to_owned()
    }

    pub(super) fn stop(&mut self) {
        terminate(&mut self.child.take().expect("a running server"));
    }

    /// Ends the server as a crash would.
    pub(super) fn crash(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().expect("our own child can be killed");
        child.wait().expect("our own child can be awaited");
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.as_ref().expect("a running server").id();
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("our own child");
    }

    /// The plugin processes below the server.
    pub(super) fn plugins(&self) -> Vec<u32> {
        plugins_below(self.child.as_ref().expect("a running server").id())
    }

    /// Puts another file in the place of the plugin: as good as the old one, with another checksum.
    pub(super) fn replace_plugin(&self) {
        let folder = self.dir.path().join("plugins");
        let (file, fresh) = (folder.join(PLUGIN_NAME), self.dir.path().join("fresh"));
        std::fs::copy(&file, &fresh).expect("the binary under test can be copied");
        // What follows an ELF file's sections is nobody's.
        let mut end = std::fs::File::options()
            .append(true)
            .open(&fresh)
            .expect("a file of ours");
        std::io::Write::write_all(&mut end, b"another version").expect("a file of ours");
        drop(end);
        std::fs::rename(fresh, file).expect("a folder of ours");
    }

    /// Size of the file that a process runs, which [`Host::replace_plugin`] changes.
    pub(super) fn binary_of(&self, pid: u32) -> u64 {
        let file = std::fs::metadata(format!("/proc/{pid}/exe"));
        file.expect("a process of our own").len()
    }

    /// The folder of the storage (`raft`) and the configuration (`server.hcl`).
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// What the servers of this host have logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("--- end of the server's log ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }
}

/// The stanza of a seal by AWS KMS, with lines to add.
pub(crate) fn seal(fake: &FakeAws, more: &str) -> String {
    seal_by(fake, "alias/bao-unseal", more)
}

/// As [`seal`], by another key.
pub(super) fn seal_by(fake: &FakeAws, key: &str, more: &str) -> String {
    format!(
        "seal \"awskms\" {{\n  region = \"{REGION}\"\n  kms_key_id = \"{key}\"\n  endpoint = \"{}\"\n  \
         access_key = \"{ACCESS_KEY}\"\n  secret_key = \"secret\"\n  {more}\n}}\n",
        fake.url()
    )
}

/// Whether a process is alive.
pub(super) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Ends a process as the kernel would when memory runs out.
pub(super) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)
        .expect("a plugin of our own server");
}
