//! The folder `vault-config/`, which people copy into production: every file of it is loaded, run or read here, and says why each line
//! is there. `vault-config/compose/` has its own tests.

mod agent;
mod cluster;
mod dialect;
mod initialize;
mod kubernetes;
mod logins;
mod policies;
mod prometheus;
mod public;
mod registry;
mod servers;
mod systemd;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::seal::fake_aws::{ACCESS_KEY, FakeAws, REGION};
use crate::support::{
    Client, PLUGIN_NAME, Release, directory, ran, replaced, shell, start, terminate, until,
};

/// How long a server may take to become what a test waits for.
const LIMIT: Duration = Duration::from_secs(60);

/// Where a file of the folder is.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("vault-config")
        .join(name)
}

/// A file of the folder with its texts replaced, such as a path of `/etc`.
fn filled<T: AsRef<str>>(name: &str, pairs: &[(&str, T)]) -> String {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    put(&text, pairs)
}

/// A text with others in their place; each has to be there.
fn put<T: AsRef<str>>(text: &str, pairs: &[(&str, T)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(old, new)| (*old, new.as_ref()))
        .collect();
    replaced(text, &pairs)
}

/// A script of the folder as a command line.
fn script(name: &str) -> String {
    path(name).display().to_string()
}

/// A folder for one or more servers: binary, TLS for names of the files, and configuration.
struct Site {
    dir: TempDir,
    ca: String,
}

impl Site {
    /// With certificates for these names, which all are this machine's.
    fn new(names: &[&str]) -> Self {
        let dir = directory();
        let servers: Vec<_> = names
            .iter()
            .map(|name| format!("{name}.example.com,127.0.0.1"))
            .collect();
        let output = Command::new(path("make-tls.sh"))
            .arg(dir.path().join("tls"))
            .args(&servers)
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        let ca = fs::read_to_string(dir.path().join("tls/ca.pem")).expect("the script made it");
        Self { dir, ca }
    }

    fn text(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// SHA-256 of the binary in the plugin directory.
    fn sum(&self) -> String {
        sum(&self.dir.path().join("plugins").join(PLUGIN_NAME))
    }

    /// `plugins-file.hcl` for the binary under test.
    fn plugins(&self) -> String {
        filled(
            "openbao/plugins-file.hcl",
            &[("SHA256_OF_THE_FILE", self.sum())],
        )
    }

    /// `audit.hcl`, with a log file here.
    fn audit(&self) -> String {
        let log = self.text("audit.log");
        filled("openbao/audit.hcl", &[("/var/log/openbao/audit.log", &log)])
    }

    /// A seal by AWS KMS as the file has it, by the stand-in.
    fn seal(&self, name: &str, fake: &FakeAws) -> String {
        let region = format!(
            "  region     = \"{REGION}\"\n  endpoint = \"{}\"\n  access_key = \"{ACCESS_KEY}\"\n  secret_key = \"secret\"\n",
            fake.url()
        );
        let sum = self.sum();
        let line = "  region     = \"eu-central-1\"\n";
        filled(name, &[("SHA256_OF_THE_FILE", sum), (line, region)])
    }
}

fn sum(file: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .expect("sha256sum runs");
    let text = String::from_utf8(output.stdout).expect("a sum is text");
    text.split(' ').next().expect("a sum").to_owned()
}

/// A server that runs by files of the folder. It ends with the test.
struct Running {
    child: Child,
    client: Client,
    dir: PathBuf,
}

impl Running {
    /// Starts a server on a folder of configuration: `server` is one of ours with its paths and ports, the others stand beside it.
    fn start(site: &Site, release: Release, server: &str, beside: &[(&str, String)]) -> Self {
        let (child, address) = start(&site.dir, |port| {
            let folder = site.dir.path().join("server.d");
            fs::create_dir_all(&folder).expect("a folder of ours");
            fs::create_dir_all(site.dir.path().join("data")).expect("a folder of ours");
            let text = filled(server, &own_paths(site, port, "data"));
            fs::write(folder.join("server.hcl"), text).expect("a folder of ours");
            for (name, text) in beside {
                fs::write(folder.join(name), text).expect("a folder of ours");
            }
            let mut command = Command::new(release.binary());
            command.args(["server", "-config"]).arg(folder);
            (command, String::new())
        });
        let address = address.replace("http://", "https://");
        let running = Self {
            child,
            client: Client::trusting(&site.ca, &address, ""),
            dir: site.dir.path().to_owned(),
        };
        until("an answer", LIMIT, || running.health());
        running
    }

    fn health(&self) -> Option<u16> {
        let reply = self.client.try_call("GET", "sys/health", None).ok()?;
        Some(reply.status)
    }

    fn await_health(&self, wanted: u16) {
        until(&format!("health {wanted}"), LIMIT, || {
            (self.health() == Some(wanted)).then_some(())
        });
    }

    fn with_token(&mut self, token: &str) {
        self.client = self.client.with_token(token);
    }

    /// Initialises a server with key shares, and unseals it; its key.
    fn init_shamir(&mut self) -> String {
        let body = json!({"secret_shares": 1, "secret_threshold": 1});
        let reply = self.client.write("sys/init", body).ok().body;
        let key = reply["keys"][0].as_str().expect("a key").to_owned();
        self.unseal(&key);
        self.with_token(reply["root_token"].as_str().expect("a root token"));
        key
    }

    fn unseal(&self, key: &str) {
        self.client.write("sys/unseal", json!({"key": key})).ok();
        self.await_health(200);
    }

    /// Initialises a server whose seal opens by itself.
    fn init_sealed(&mut self) {
        let body = json!({"recovery_shares": 1, "recovery_threshold": 1});
        let reply = self.client.write("sys/init", body).ok().body;
        self.with_token(reply["root_token"].as_str().expect("a root token"));
        self.await_health(200);
    }

    /// A shell with the server's address, CA and token, and its client under the name `bao`.
    fn shell(&self, script: &str, home: &Path) -> Command {
        on(
            &self.client,
            Some(&self.dir.join("tls/ca.pem")),
            script,
            home,
        )
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- end of the server's log ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
        terminate(&mut self.child);
    }
}

/// What stands in a server's file for one machine, and what is in its place here.
fn own_paths(site: &Site, port: u16, data: &str) -> [(&'static str, String); 7] {
    let (first, second) = (
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{}", port + 1),
    );
    [
        ("/var/lib/openbao", site.text(data)),
        ("/etc/openbao/tls/", site.text("tls/")),
        ("/opt/plugins", site.text("plugins")),
        ("https://bao-1.example.com:8200", format!("https://{first}")),
        (
            "https://bao-1.example.com:8201",
            format!("https://{second}"),
        ),
        ("0.0.0.0:8200", first),
        ("0.0.0.0:8201", second),
    ]
}

/// A shell for a script, with a server's address and token, and its client as `bao`.
fn on(client: &Client, ca: Option<&Path>, script: &str, home: &Path) -> Command {
    let bin = home.join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).expect("a fresh folder");
        let server = Release::Current.binary();
        std::os::unix::fs::symlink(server, bin.join("bao")).expect("a fresh folder");
    }
    let mut command = shell(script, home, &[&bin]);
    for kind in ["BAO", "VAULT"] {
        command.env(format!("{kind}_ADDR"), client.address());
        if !client.token().is_empty() {
            command.env(format!("{kind}_TOKEN"), client.token());
        }
        if let Some(ca) = ca {
            command.env(format!("{kind}_CACERT"), ca);
        }
    }
    command
}

/// Runs a script of ours to its end.
fn run(command: &mut Command) -> String {
    ran(command).0
}
