//! The files for HashiCorp Vault: parsed, held against what Vault knows, and, where the tests run on a Vault (`VAULT_BIN`), loaded by it.

use std::collections::BTreeSet;

use super::*;
use crate::support::{Program, Python, in_dev_mode};

const FILES: [&str; 6] = [
    "cluster.hcl",
    "from-dynamodb.hcl",
    "migrate-from-dynamodb.hcl",
    "seal-awskms.hcl",
    "seal-unseal-server.hcl",
    "single.hcl",
];

/// What Vault's server knows of what the files use: a key of the top, or one of a stanza.
///
/// Source: Vault's configuration reference; `operator migrate` for the storages that it names.
const KNOWN: [&str; 42] = [
    "api_addr",
    "cluster_addr",
    "default_lease_ttl",
    "disable_mlock",
    "listener.tcp",
    "listener.tcp.address",
    "listener.tcp.cluster_address",
    "listener.tcp.tls_cert_file",
    "listener.tcp.tls_key_file",
    "listener.tcp.tls_min_version",
    "max_lease_ttl",
    "plugin_directory",
    "seal.awskms",
    "seal.awskms.kms_key_id",
    "seal.awskms.region",
    "seal.transit",
    "seal.transit.address",
    "seal.transit.disable_renewal",
    "seal.transit.key_name",
    "seal.transit.mount_path",
    "seal.transit.tls_ca_cert",
    "seal.transit.tls_client_cert",
    "seal.transit.tls_client_key",
    "storage.raft",
    "storage.raft.node_id",
    "storage.raft.path",
    "storage.raft.retry_join",
    "storage.raft.retry_join.auto_join",
    "storage.raft.retry_join.auto_join_scheme",
    "storage.raft.retry_join.leader_api_addr",
    "storage.raft.retry_join.leader_ca_cert_file",
    "storage.raft.retry_join.leader_tls_servername",
    "storage_destination.raft",
    "storage_destination.raft.node_id",
    "storage_destination.raft.path",
    "storage_source.dynamodb",
    "storage_source.dynamodb.region",
    "storage_source.dynamodb.table",
    "telemetry",
    "telemetry.disable_hostname",
    "telemetry.prometheus_retention_time",
    "ui",
];

/// Each key of a file by its way there, one a line.
const KEYS: &str = "import sys, hcl2
def walk(value, way):
    if isinstance(value, list):
        for item in value:
            walk(item, way)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.startswith('__'):
                continue
            here = way + [key.strip('\"')]
            print('.'.join(here))
            walk(item, here)
with open(sys.argv[1]) as file:
    walk(hcl2.load(file), [])";

fn keys(name: &str) -> BTreeSet<String> {
    let file = path(&format!("vault/{name}"));
    let (parsed, said) = Python::run("python", &["-c", KEYS, file.to_str().expect("a path")]);
    assert!(parsed, "{name}: {said}");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn vault_knows_every_key() {
    for name in FILES {
        let found = keys(name);
        assert!(found.len() > 3, "{name}: {found:?}");
        for key in &found {
            // The first part of a stanza's way is the stanza itself.
            let head = KNOWN
                .iter()
                .any(|known| known.starts_with(&format!("{key}.")));
            assert!(
                head || KNOWN.contains(&key.as_str()),
                "{name}: {key} is not known to Vault"
            );
        }
        // What only OpenBao has.
        for stanza in ["plugin", "audit", "initialize"] {
            assert!(!found.contains(stanza), "{name}: {stanza}");
        }
    }
}

/// With raft storage Vault wants to be told about mlock, and OpenBao knows no such line.
#[test]
fn each_server_has_its_own_lines() {
    for name in ["single.hcl", "cluster.hcl", "from-dynamodb.hcl"] {
        assert!(keys(name).contains("disable_mlock"), "{name}");
        let theirs = fs::read_to_string(path(&format!("openbao/{name}"))).expect("a file");
        let set = theirs.lines().any(|line| line.starts_with("disable_mlock"));
        assert!(!set, "{name}: OpenBao warns of it");
    }
}

/// The scripts call commands of Vault, with the flags that it has; the same command of OpenBao takes them here.
#[test]
fn the_scripts_register_mount_and_audit() {
    let site = Site::new(&["bao-1"]);
    let home = tempfile::tempdir().expect("a folder");
    let settings = match Release::Current.program() {
        Program::OpenBao => "unsafe_allow_api_audit_creation = true\n",
        Program::Vault => "",
    };
    let (child, address) = start(&site.dir, |port| {
        let config = format!("plugin_directory = {:?}\n{settings}", site.text("plugins"));
        (in_dev_mode(Release::Current, &site.dir, port), config)
    });
    let server = Running {
        child,
        client: Client::new(&address, "root"),
        dir: site.dir.path().to_owned(),
    };
    server.await_health(200);
    let bin = home.path().join("fake");
    fs::create_dir(&bin).expect("a fresh folder");
    std::os::unix::fs::symlink(Release::Current.binary(), bin.join("vault"))
        .expect("a fresh folder");
    let log = site.text("audit.log");
    let register = format!("{} {}", script("vault/register.sh"), site.text("plugins"));
    let audit = format!("AUDIT_LOG={log} {}", script("vault/audit.sh"));
    // Twice: the second run changes nothing.
    let lines = format!(
        "export PATH={}:$PATH\n{register}\n{audit}\n{register}\n{audit}",
        bin.display()
    );
    run(&mut on(&server.client, None, &lines, home.path()));
    let mounted = server.client.read("sys/mounts/pki").ok();
    assert_eq!(mounted.text("running_plugin_version"), "v0.1.0");
    // It stays with the version that it names.
    assert_eq!(mounted.text("plugin_version"), "v0.1.0");
    assert!(
        fs::read_to_string(&log)
            .expect("the device wrote it")
            .contains("\"path\"")
    );
    assert!(server.client.read("sys/audit").ok().data()["journal/"].is_object());
}

/// On a Vault of one's own, its server loads the files.
#[test]
fn a_server_starts_by_the_file_for_one_node() {
    // OpenBao reads Vault's file, too, but for the line that it warns of.
    let site = Site::new(&["vault-1"]);
    let (child, address) = start(&site.dir, |port| {
        fs::create_dir_all(site.dir.path().join("data")).expect("a folder of ours");
        let (first, second) = (
            format!("127.0.0.1:{port}"),
            format!("127.0.0.1:{}", port + 1),
        );
        let config = filled(
            "vault/single.hcl",
            &[
                ("/opt/vault/data", site.text("data")),
                ("/opt/vault/tls/", site.text("tls/")),
                ("/opt/plugins", site.text("plugins")),
                ("vault-1.example.com:8200", first.clone()),
                ("vault-1.example.com:8201", second.clone()),
                ("0.0.0.0:8200", first),
                ("0.0.0.0:8201", second),
            ],
        );
        let mut command = Command::new(Release::Current.binary());
        command
            .arg("server")
            .arg(format!("-config={}", site.text("server.hcl")));
        (command, config)
    });
    let mut server = Running {
        child,
        client: Client::trusting(&site.ca, &address.replace("http://", "https://"), ""),
        dir: site.dir.path().to_owned(),
    };
    until("an answer", LIMIT, || server.health());
    server.init_shamir();
}
