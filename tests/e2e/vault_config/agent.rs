//! `bao agent` and `bao proxy` by the folder's files: they write certificates and settings, and write them anew when they change.

use super::*;
use crate::support::Server;

/// The agent's machine: its files, and the server that it asks.
struct Machine {
    server: Server,
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let server = Server::dev();
        let client = server.client();
        server.mount("pki", PLUGIN_NAME);
        let root = json!({"common_name": "Services", "key_type": "ec", "ttl": "8760h"});
        client.write("pki/root/generate/internal", root).ok();
        let role = json!({"allowed_domains": "service.example.com", "allow_bare_domains": true, "key_type": "ec", "max_ttl": "72h"});
        client.write("pki/roles/service", role).ok();
        let dir = tempfile::tempdir().expect("a folder");
        run(&mut on(
            &client,
            None,
            &script("policies/apply.sh"),
            dir.path(),
        ));
        // Twice: a second run changes nothing but the secret id.
        let login = format!("{0} role\n{0} role", script("agent/login.sh"));
        run(&mut on(&client, None, &login, dir.path()));
        for name in ["role-id", "secret-id"] {
            let made = dir.path().join(format!("role.{name}"));
            fs::rename(made, dir.path().join(name)).expect("the script wrote it");
        }
        let machine = Self { server, dir };
        machine.setting("one");
        machine
    }

    fn setting(&self, value: &str) {
        // The development server has the kv engine (version 2) at secret/.
        let data = json!({"data": {"GREETING": value, "QUOTED": "a \"b\"\nINJECTED=1"}});
        self.server
            .client()
            .write("secret/data/services/service", data)
            .ok();
    }

    fn text(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(name)).ok()
    }

    fn start(&self, kind: &str, config: String) -> Daemon {
        let file = self.dir.path().join(format!("{kind}.hcl"));
        fs::write(&file, config).expect("our own folder");
        let log = fs::File::create(self.dir.path().join("log")).expect("our own folder");
        let child = Command::new(Release::Current.binary())
            .arg(kind)
            .arg(format!("-config={}", file.display()))
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the server's binary can be started");
        Daemon(child, self.dir.path().join("log"))
    }
}

struct Daemon(Child, PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.1).unwrap_or_default());
        }
        terminate(&mut self.0);
    }
}

/// What both files have of the server, and what is here in its place: no TLS, for it is on this machine.
fn server(machine: &Machine) -> [(&'static str, String); 3] {
    [
        (
            "https://bao.example.com:8200",
            machine.server.client().address().to_owned(),
        ),
        ("  ca_cert = \"/etc/openbao-agent/ca.pem\"\n", String::new()),
        ("/etc/openbao-agent/", machine.text("")),
    ]
}

#[test]
fn files_are_there_at_boot_and_follow_every_change() {
    let machine = Machine::new();
    let folder = machine.text("run");
    for name in ["service.ctmpl", "settings.ctmpl"] {
        let mut pairs = vec![];
        if name == "service.ctmpl" {
            pairs.extend([
                ("/run/service", folder.clone()),
                ("ttl=24h", "ttl=10s".to_owned()),
            ]);
        }
        let text = filled(&format!("agent/{name}"), &pairs);
        fs::write(machine.dir.path().join(name), text).expect("our own folder");
    }
    // As systemd makes it: the agent makes what is below.
    fs::create_dir(machine.dir.path().join("run")).expect("our own folder");
    let noted = |name: &str| format!("\"sh\", \"-c\", \"echo >> {}\"", machine.text(name));
    let mut pairs = server(&machine).to_vec();
    pairs.extend([
        ("/run/service", folder),
        ("interval = \"5m\"", "interval = \"1s\"".to_owned()),
        (
            "\"systemctl\", \"try-reload-or-restart\", \"service.service\"",
            noted("reloaded"),
        ),
        (
            "\"systemctl\", \"try-restart\", \"service.service\"",
            noted("restarted"),
        ),
    ]);
    let config = filled("agent/agent.hcl", &pairs);
    let _agent = machine.start("agent", config);

    let first = until("the first certificate", LIMIT, || {
        machine.read("run/tls/cert.pem")
    });
    until("the serial's file", LIMIT, || {
        machine.read("run/tls/serial")
    });
    for (name, wanted) in [
        ("key.pem", 0o600),
        ("cert.pem", 0o644),
        ("ca.pem", 0o644),
        ("serial", 0o640),
    ] {
        let file = fs::metadata(machine.dir.path().join("run/tls").join(name)).expect(name);
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
        assert_eq!(mode & 0o777, wanted, "{name}");
    }
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(machine.dir.path().join("run/tls"))
            .output()
            .expect("openssl runs");
        let said = String::from_utf8(output.stdout).expect("text");
        output.status.success().then_some(said)
    };
    let chain = [
        "verify",
        "-partial_chain",
        "-no_check_time",
        "-CAfile",
        "ca.pem",
        "cert.pem",
    ];
    until("a certificate of its CA", LIMIT, || openssl(&chain));

    let settings = |value: &str| {
        until(value, LIMIT, || {
            let text = machine.read("run/settings.env")?;
            text.contains(&format!("GREETING=\"{value}\"\n"))
                .then_some(text)
        })
    };
    let text = settings("one");
    assert_eq!(text.lines().count(), 2, "a value begins no line: {text}");
    until("the service was told", LIMIT, || machine.read("restarted"));

    // The certificate is replaced before it ends, the setting when it was changed.
    until("the next certificate", LIMIT, || {
        machine
            .read("run/tls/cert.pem")
            .filter(|text| *text != first)
    });
    until("its key", LIMIT, || {
        let certified = openssl(&["x509", "-in", "cert.pem", "-pubkey", "-noout"])?;
        (openssl(&["pkey", "-in", "key.pem", "-pubout"])? == certified).then_some(())
    });
    until("the service was told twice", LIMIT, || {
        (machine.read("reloaded")?.lines().count() >= 2).then_some(())
    });
    machine.setting("two");
    settings("two");
}

#[test]
fn the_proxy_asks_with_its_own_token_and_answers_no_browser() {
    let machine = Machine::new();
    let port = crate::support::free_port();
    let mut pairs = server(&machine).to_vec();
    pairs.push((
        "address     = \"127.0.0.1:8100\"",
        format!("address     = \"127.0.0.1:{port}\""),
    ));
    let _proxy = machine.start("proxy", filled("agent/proxy.hcl", &pairs));
    let client = Client::new(&format!("http://127.0.0.1:{port}"), "");
    let header = [("X-Vault-Request", "true")];
    until("an answer with the proxy's token", LIMIT, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        let reply = client.read_with("secret/data/services/service", &header);
        (reply.status == 200 && reply.data()["data"]["GREETING"] == "one").then_some(())
    });
    let other = client.read_with("secret/data/services/other/x", &header);
    assert_eq!(other.status, 403, "no more than the policy");
    let page = client.read("secret/data/services/service");
    assert_eq!(page.status, 412, "{page:?}");
}
