//! The unseal server, and stock servers that unseal and sign through it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fake_aws::{ACCESS_KEY, FakeAws, Fault, OTHER_KEY, REGION, UNSEAL_KEY, arn};
use super::host::{Host, fake};
use crate::support::{MlDsa, Openssl, Release, terminate, until};

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");
const RECOVERY: Duration = Duration::from_secs(40);

/// `landfast unseal serve` as a process, with its certificates and its token.
pub(super) struct UnsealServer {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    child: Option<Child>,
    port: u16,
    metrics: Option<String>,
    token: String,
    config: Value,
    environment: Vec<(&'static str, PathBuf)>,
}

impl UnsealServer {
    pub(super) fn start(fake: &FakeAws) -> Self {
        Self::start_with(fake, |_| {})
    }

    /// The same with a change of its configuration.
    pub(super) fn start_with(fake: &FakeAws, change: impl FnOnce(&mut Value)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let directory = tempfile::tempdir().expect("a temporary folder");
        let said = Command::new(BINARY)
            .args(["unseal", "token"])
            .output()
            .expect("the binary under test runs")
            .stdout;
        let said = String::from_utf8(said).expect("text");
        let mut words = said.split_whitespace();
        let (token, hash) = (
            words.nth(1).expect("a token").to_owned(),
            words.nth(1).expect("a hash").to_owned(),
        );
        let file = |name: &str| directory.path().join(name);
        let mut config = json!({
            "listen": "127.0.0.1:0",
            "tls": {"certificate": file("server.pem"), "key": file("server.key"), "client_ca": file("ca.pem")},
            "audit_log": file("audit.log"),
            "aws": {"region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "secret"},
            "clients": {
                "metal": {
                    "certificates": ["dns:bao-1.metal.example"],
                    "keys": {"transit/unseal": [arn(REGION, UNSEAL_KEY)]},
                    "signing_keys": {"transit/ca": ["alias/ca-p384"], "transit/quantum": ["alias/ca-mldsa-87"]},
                },
                "token": {"tokens": [{"sha256": hash, "ttl_seconds": 20}], "keys": {"transit/by-token": [arn(REGION, UNSEAL_KEY)]}},
            },
        });
        change(&mut config);
        let mut server = Self {
            directory,
            authority,
            child: None,
            port: 0,
            metrics: None,
            token,
            config,
            environment: Vec::new(),
        };
        server.write("ca.pem", &server.authority.pem());
        server.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
        server.issue(
            "client",
            SanType::DnsName("bao-1.metal.example".try_into().expect("a name")),
        );
        server.run();
        server
    }

    /// Ends it and starts it again with a variable in its environment.
    fn restart_with(&mut self, name: &'static str, value: PathBuf) {
        self.stop();
        self.environment.push((name, value));
        self.run();
    }

    /// What its metrics say.
    pub(super) fn metrics(&self) -> String {
        let address = self.metrics.as_deref().expect("metrics are configured");
        let output = Command::new("curl")
            .args(["--silent", "--fail", &format!("http://{address}/metrics")])
            .output()
            .expect("curl runs");
        String::from_utf8(output.stdout).expect("metrics are text")
    }

    fn run(&mut self) {
        self.write("config.json", &self.config.to_string());
        let config = self.directory.path().join("config.json");
        let mut child = Command::new(BINARY)
            .args(["unseal", "serve", "--config"])
            .arg(config)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut log = String::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("the unseal server ended: {log}")
            };
            log += &line;
            if let Some((_, address)) = line.split_once(" listening on ") {
                self.port = address
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse().ok())
                    .expect("a port");
                // A client's stanza names the port: it stays over a restart.
                self.config["listen"] = json!(format!("127.0.0.1:{}", self.port));
                if self.config["metrics_listen"].is_null() {
                    break;
                }
            }
            if let Some((_, address)) = line.split_once(" metrics on ") {
                self.metrics = Some(address.to_owned());
                break;
            }
        }
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| eprintln!("unseal server: {line}"))
        });
        self.child = Some(child);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).expect("a file in a folder of ours");
    }

    fn issue(&self, name: &str, subject: SanType) {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = vec![subject];
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &self.authority)
            .expect("a certificate");
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    /// Writes a list of revoked certificates with this one in it.
    fn revoke(&self, name: &str) {
        let pem = std::fs::read_to_string(self.directory.path().join(name)).expect("our own file");
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM");
        let serial = pem
            .parse_x509()
            .expect("a certificate")
            .raw_serial()
            .to_vec();
        let now = SystemTime::now();
        let list = CertificateRevocationListParams {
            this_update: (now - Duration::from_secs(60)).into(),
            next_update: (now + Duration::from_secs(3600)).into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: (now - Duration::from_secs(60)).into(),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority).expect("a list");
        self.write("clients.crl", &list.pem().expect("PEM"));
    }

    fn stop(&mut self) {
        terminate(&mut self.child.take().expect("a running server"));
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The stanza of a server that shows its certificate.
    pub(super) fn by_certificate(&self, more: &str) -> String {
        format!(
            "seal \"transit\" {{\n  address = \"https://127.0.0.1:{}\"\n  mount_path = \"transit\"\n  key_name = \"unseal\"\n  \
             tls_ca_cert = {:?}\n  tls_client_cert = {:?}\n  tls_client_key = {:?}\n  {more}\n}}\n",
            self.port,
            self.file("ca.pem"),
            self.file("client.pem"),
            self.file("client.key"),
        )
    }

    fn by_token(&self) -> String {
        format!(
            "seal \"transit\" {{\n  address = \"https://127.0.0.1:{}\"\n  mount_path = \"transit\"\n  key_name = \"by-token\"\n  \
             tls_ca_cert = {:?}\n  token = {:?}\n}}\n",
            self.port,
            self.file("ca.pem"),
            self.token,
        )
    }

    /// The certificate that it shows, in PEM.
    fn shown(&self) -> String {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port)])
            .args(["-cert", &self.file("client.pem")])
            .args(["-key", &self.file("client.key")])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let begin = said.find("-----BEGIN").expect("a certificate");
        let end = said.find("-----END").expect("a certificate");
        said[begin..end].to_owned()
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap_or_default()
    }

    fn reload(&self) {
        self.write("config.json", &self.config.to_string());
        let pid = self
            .child
            .as_ref()
            .expect("a running server")
            .id()
            .cast_signed();
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("our own child");
    }
}

impl Drop for UnsealServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&mut child);
        }
    }
}

#[test]
fn both_releases_unseal_by_certificate_and_survive_an_outage() {
    for release in [Release::Previous, Release::Current] {
        let fake = fake();
        let mut server = UnsealServer::start(&fake);
        let mut host = Host::new();
        host.start(release, &server.by_certificate(""));
        host.init();
        host.write_secret("metal");
        host.stop();

        // AWS is away when the host starts: its first Encrypt decides whether the process lives, so it has to be up again by then; a
        // failing Decrypt it survives.
        fake.fail(
            "Decrypt",
            Fault::Error("KMSInternalException", 500),
            usize::MAX,
        );
        host.start(release, &server.by_certificate(""));
        until("a sealed answer", RECOVERY, || {
            (host.health() == Some(503)).then_some(())
        });
        fake.heal();
        host.await_health(200, RECOVERY);
        assert_eq!(host.secret(), "metal");

        // The unseal server restarts below a running host.
        server.stop();
        server.run();
        assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
        assert!(
            server
                .audit()
                .contains("\"identity\":\"dns:bao-1.metal.example\"")
        );
    }
}

#[test]
fn a_token_unseals_renews_and_a_rotated_key_rewraps() {
    let fake = fake();
    let mut server = UnsealServer::start(&fake);
    let mut host = Host::new();
    host.start(Release::Current, &server.by_token());
    host.init();
    host.write_secret("token");
    until("a renewal", RECOVERY, || {
        server
            .audit()
            .contains("\"operation\":\"renew-self\"")
            .then_some(())
    });
    host.stop();

    server.config["clients"]["token"]["keys"]["transit/by-token"] =
        json!([arn(REGION, UNSEAL_KEY), arn(REGION, OTHER_KEY)]);
    server.reload();
    host.start(Release::Current, &server.by_token());
    host.await_active();
    until("both blobs rewrapped", RECOVERY, || {
        let log = host.log();
        (log.contains("upgrading stored keys") && log.contains("upgrading recovery key"))
            .then_some(())
    });
    host.stop();

    // Nothing needs the old key any more.
    fake.set_state(UNSEAL_KEY, "Disabled");
    host.start(Release::Current, &server.by_token());
    host.await_active();
    assert_eq!(host.secret(), "token");
}

#[test]
fn a_broken_configuration_leaves_the_server_as_it_is() {
    let fake = fake();
    let mut server = UnsealServer::start(&fake);
    let mut host = Host::new();
    host.start(Release::Current, &server.by_certificate(""));
    host.init();
    let good = server.config.clone();
    server.config["clients"]["metal"]["keys"]["transit/unseal"] = json!(["alias/moves"]);
    server.reload();
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
    server.config = good;
    server.config["clients"]["metal"]["certificates"] = json!(["dns:bao-2.metal.example"]);
    server.reload();
    until("the certificate is nobody's", RECOVERY, || {
        let _ = host
            .client()
            .try_call("GET", "sys/storage/raft/snapshot", None);
        server.audit().contains("\"status\":403").then_some(())
    });
}

#[test]
fn stock_openbao_signs_with_aws_keys_through_it() {
    let fake = fake();
    let server = UnsealServer::start(&fake);
    let mut host = Host::new();
    host.start(Release::Current, &server.by_certificate(""));
    host.init();
    let client = host.client();
    let pem = |name: &str| {
        std::fs::read_to_string(server.directory.path().join(name)).expect("our own file")
    };
    let config = json!({
        "plugin": "transit",
        "address": format!("https://127.0.0.1:{}", server.port),
        "token": "unused",
        "mount_path": "transit",
        "tls_ca_cert_bytes": pem("ca.pem"),
        "tls_client_cert_bytes": pem("client.pem"),
        "tls_client_key_bytes": pem("client.key"),
    });
    client.write("sys/external-keys/configs/metal", config).ok();
    client.write("sys/mounts/pki", json!({"type": "pki"})).ok();
    for key in ["ca", "quantum"] {
        let path = format!("sys/external-keys/configs/metal/keys/{key}");
        client.write(&path, json!({"name": key, "version": 1})).ok();
        client.write(&format!("{path}/grants/pki"), json!({})).ok();
        fake.take_operations();
        let body = json!({"common_name": "Root on metal", "external_key_ref": format!("metal:{key}"), "issuer_name": key});
        let root = client.write("pki/issuers/generate/root/kms", body).ok();
        let root = root.text("certificate");
        if key == "quantum" {
            MlDsa::new().check(&root, &[root.as_bytes()]);
        } else {
            let openssl = Openssl::new();
            openssl
                .verify(&root, &root, &root, None)
                .expect("a root that signed itself");
        }
        assert!(fake.take_operations().contains(&"Sign".to_owned()));
    }
    // What is signed goes there whole, for nobody hashes it on the way: up to the length of a body.
    let list = |octets: usize| {
        let extension = json!({"id": "1.3.6.1.4.1.55555.1", "critical": false, "value": STANDARD.encode(vec![7; octets])});
        let body = json!({"crl_number": 9, "next_update": "72h", "revoked_certs": [], "extensions": [extension]});
        client.write("pki/issuer/quantum/sign-revocation-list", body)
    };
    let quantum = client.read("pki/issuer/quantum").ok().text("certificate");
    let crl = list(45_000).ok().text("crl");
    MlDsa::new().check(&quantum, &[crl.as_bytes()]);
    let refused = list(50_000);
    let said = refused.errors().join("");
    assert!(said.contains("request body too large"), "{said}");
}

/// Renewed files of the server, its clients' CA and the list of revoked certificates, below a running host.
#[test]
fn renewed_tls_files_are_taken_up_without_a_restart() {
    let fake = fake();
    let mut server = UnsealServer::start(&fake);
    let mut host = Host::new();
    host.start(Release::Current, &server.by_certificate(""));
    host.init();
    let pid = server.child.as_ref().expect("a running server").id();
    let before = server.shown();
    server.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    server.reload();
    until("the new certificate", RECOVERY, || {
        (server.shown() != before).then_some(())
    });
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);

    // The client's certificate is revoked: its next connection ends at the handshake.
    server.revoke("client.pem");
    server.config["tls"]["client_crl"] = json!(server.file("clients.crl"));
    server.reload();
    host.stop();
    let said = host.start_in_vain(Release::Current, &server.by_certificate(""));
    assert!(
        said.contains("revoked") || said.contains("bad certificate"),
        "{said}"
    );
    assert_eq!(server.child.as_ref().expect("a running server").id(), pid);
}

#[test]
fn renewed_tls_files_are_taken_up_by_themselves() {
    let fake = fake();
    let server = UnsealServer::start_with(&fake, |config| {
        config["tls"]["check_seconds"] = json!(1);
    });
    let first = server.shown();
    server.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    let second = until("the new certificate", Duration::from_secs(10), || {
        Some(server.shown()).filter(|shown| *shown != first)
    });
    // Files that cannot be used change nothing, and good ones after them do.
    server.write("server.pem", "not yet written");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.shown(), second);
    server.issue("server", SanType::IpAddress([127, 0, 0, 1].into()));
    until("the next certificate", Duration::from_secs(10), || {
        (server.shown() != second).then_some(())
    });
}

#[test]
fn systemd_is_told_of_each_step() {
    let fake = fake();
    let mut server = UnsealServer::start(&fake);
    let path = server.directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket in a folder of ours");
    let limit = Some(Duration::from_secs(20));
    socket.set_read_timeout(limit).expect("a limit");
    let told = || {
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
    };
    server.restart_with("NOTIFY_SOCKET", path);
    assert_eq!(told(), "READY=1");
    server.reload();
    assert!(told().starts_with("RELOADING=1"));
    assert_eq!(told(), "READY=1");
    server.stop();
    assert_eq!(told(), "STOPPING=1");
}
