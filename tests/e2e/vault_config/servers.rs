//! The servers' files, on real servers.

use super::*;
use crate::support::in_dev_mode;

/// What is left to do when the stanza has registered the plugin.
fn mount(server: &Running, home: &Path) {
    let line = format!("MOUNT_ONLY=1 {}", script("openbao/register.sh"));
    run(&mut server.shell(&line, home));
    // A second run finds it mounted.
    run(&mut server.shell(&line, home));
    assert_eq!(
        server
            .client
            .read("sys/mounts/pki")
            .ok()
            .text("running_plugin_version"),
        "v0.1.0"
    );
    let body = json!({"common_name": "Nodes", "key_type": "ec", "ttl": "8760h"});
    let path = "pki/root/generate/internal";
    assert!(
        server
            .client
            .write(path, body)
            .ok()
            .text("certificate")
            .contains("BEGIN")
    );
}

#[test]
fn one_server_with_plugin_and_audit_by_stanzas() {
    for release in [Release::Current, Release::Previous] {
        let site = Site::new(&["bao-1"]);
        let home = tempfile::tempdir().expect("a folder");
        let beside = [("plugins.hcl", site.plugins()), ("audit.hcl", site.audit())];
        let mut server = Running::start(&site, release, "openbao/single.hcl", &beside);
        let key = server.init_shamir();
        mount(&server, home.path());

        // Both devices are there, and the file has what was asked.
        let devices = server.client.read("sys/audit").ok();
        for device in ["file/", "journal/"] {
            assert!(devices.data()[device].is_object(), "{device}");
        }
        let log = fs::read_to_string(site.text("audit.log")).expect("the device wrote it");
        assert!(log.contains("\"path\":\"pki/root/generate/internal\""));
        let mode = fs::metadata(site.text("audit.log")).expect("it is there");
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
        assert_eq!(mode & 0o777, 0o600);
        // Nobody makes another by the API.
        let device = json!({"type": "file", "options": {"file_path": site.text("other.log")}});
        let refused = server.client.write("sys/audit/other", device);
        assert!(refused.status >= 400, "{refused:?}");

        let metrics = server.client.read("sys/metrics?format=prometheus").ok();
        let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
        assert!(metrics.contains("# TYPE"), "{metrics}");

        // TLS 1.2 is not spoken.
        let address = server.client.address().replace("https://", "");
        let old = Command::new("openssl")
            .args(["s_client", "-connect", &address, "-tls1_2"])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        assert!(!old.status.success());

        // Everything is there after a restart, with no registration by hand.
        let token = server.client.token().to_owned();
        drop(server);
        let mut server = Running::start(&site, release, "openbao/single.hcl", &beside);
        server.unseal(&key);
        server.with_token(&token);
        server.client.read("pki/issuer/default").ok();
        assert!(server.client.read("sys/audit").ok().data()["file/"].is_object());
    }
}

#[test]
fn certificates_are_made_once_and_keys_are_for_their_owner() {
    let dir = tempfile::tempdir().expect("a folder");
    let make = |names: &[&str]| {
        let output = Command::new(path("make-tls.sh"))
            .arg("tls")
            .args(names)
            .current_dir(dir.path())
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let read = |name: &str| fs::read_to_string(dir.path().join("tls").join(name)).expect(name);
    assert_eq!(
        make(&["bao-1.example.com,10.0.0.1,fd00::1", "bao-2.example.com"]),
        "tls/ca.pem\ntls/bao-1.pem\ntls/bao-2.pem\n"
    );
    let kept = [read("ca.pem"), read("bao-1.pem"), read("bao-1.key")];
    let again = make(&["bao-1.example.com", "bao-3.example.com"]);
    assert_eq!(again, "tls/bao-3.pem\n", "only what is not there yet");
    assert_eq!(kept, [read("ca.pem"), read("bao-1.pem"), read("bao-1.key")]);
    for (name, wanted) in [
        ("", 0o700),
        ("ca.key", 0o600),
        ("bao-1.key", 0o600),
        ("bao-1.pem", 0o644),
    ] {
        let file = fs::metadata(dir.path().join("tls").join(name)).expect(name);
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
        assert_eq!(mode & 0o777, wanted, "{name}");
    }
    for name in ["bao-1", "bao-2", "bao-3"] {
        let output = Command::new("openssl")
            .args([
                "verify",
                "-x509_strict",
                "-purpose",
                "sslserver",
                "-CAfile",
                "ca.pem",
            ])
            .arg(format!("{name}.pem"))
            .current_dir(dir.path().join("tls"))
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
    }
    let (_, pem) = x509_parser::pem::parse_x509_pem(read("bao-1.pem").as_bytes())
        .map(|(rest, pem)| (rest.len(), pem))
        .expect("PEM");
    let names = pem.parse_x509().expect("a certificate");
    let names = names
        .subject_alternative_name()
        .expect("readable")
        .expect("names");
    assert_eq!(names.value.general_names.len(), 3, "{names:?}");
    // Without names it says how it is used.
    let output = Command::new(path("make-tls.sh"))
        .output()
        .expect("bash runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("make-tls.sh DIRECTORY NAME"));
}

#[test]
fn register_by_hand_does_what_the_stanza_does() {
    let site = Site::new(&["bao-1"]);
    let home = tempfile::tempdir().expect("a folder");
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &[]);
    server.init_shamir();
    let line = format!("{} {}", script("openbao/register.sh"), site.text("plugins"));
    run(&mut server.shell(&line, home.path()));
    assert_eq!(
        server
            .client
            .read("sys/plugins/catalog/secret/landfast?version=v0.1.0")
            .ok()
            .text("sha256"),
        site.sum()
    );
    mount(&server, home.path());
}

#[test]
fn a_file_with_another_sum_is_not_started() {
    let site = Site::new(&["bao-1"]);
    let wrong = filled(
        "openbao/plugins-file.hcl",
        &[("SHA256_OF_THE_FILE", "0".repeat(64))],
    );
    let beside = [("plugins.hcl", wrong)];
    let mut server = Running::start(&site, Release::Current, "openbao/single.hcl", &beside);
    // Refused where it is registered, or at the latest where it is mounted.
    let body = json!({"secret_shares": 1, "secret_threshold": 1});
    let reply = server.client.write("sys/init", body).ok().body;
    let key = json!({"key": reply["keys"][0]});
    let _ = server
        .client
        .try_call("POST", "sys/unseal", Some(key.to_string().into_bytes()));
    server.with_token(reply["root_token"].as_str().expect("a root token"));
    let mounted = server
        .client
        .write("sys/mounts/pki", json!({"type": "landfast"}));
    assert!(mounted.status >= 400, "{mounted:?}");
}

#[test]
fn the_seal_by_the_plugin_opens_by_itself() {
    for release in [Release::Current, Release::Previous] {
        let site = Site::new(&["bao-1"]);
        let home = tempfile::tempdir().expect("a folder");
        let fake = crate::seal::host::fake();
        let beside = [
            ("plugins.hcl", site.plugins()),
            ("seal.hcl", site.seal("openbao/seal-awskms.hcl", &fake)),
        ];
        // As the file says, it is tried before.
        let seal = home.path().join("seal.hcl");
        fs::write(&seal, &beside[1].1).expect("a fresh folder");
        let check = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .env_clear()
            .args(["unseal", "check", "--config"])
            .arg(&seal)
            .output()
            .expect("the binary under test runs");
        assert!(check.status.success(), "{check:?}");

        let mut server = Running::start(&site, release, "openbao/single.hcl", &beside);
        server.init_sealed();
        mount(&server, home.path());
        let token = server.client.token().to_owned();
        drop(server);
        let mut server = Running::start(&site, release, "openbao/single.hcl", &beside);
        server.await_health(200);
        server.with_token(&token);
        server.client.read("pki/issuer/default").ok();
        assert_eq!(
            server.client.read("sys/seal-status").ok().body["type"],
            "awskms"
        );
    }
}

#[test]
fn the_layout_of_the_dynamodb_years_runs_on_raft() {
    let site = Site::new(&["bao-1"]);
    let home = tempfile::tempdir().expect("a folder");
    let fake = crate::seal::host::fake();
    let (child, address) = start(&site.dir, |port| {
        let folder = site.dir.path().join("server.d");
        fs::create_dir_all(&folder).expect("a folder of ours");
        fs::create_dir_all(site.dir.path().join("data")).expect("a folder of ours");
        // The other nodes are not there: their names are nobody's.
        let text = put(
            &site.seal("openbao/from-dynamodb.hcl", &fake),
            &own_paths(&site, port, "data"),
        );
        let text = put(
            &text,
            &[
                ("alias/vault-unseal", "alias/bao-unseal"),
                ("https://bao-2.example.com:8200", "https://127.0.0.1:1"),
                ("https://bao-3.example.com:8200", "https://127.0.0.1:2"),
            ],
        );
        fs::write(folder.join("server.hcl"), text).expect("a folder of ours");
        fs::write(folder.join("plugins.hcl"), site.plugins()).expect("a folder of ours");
        let mut command = Command::new(Release::Current.binary());
        command.args(["server", "-config"]).arg(folder);
        (command, String::new())
    });
    let address = address.replace("http://", "https://");
    let mut server = Running {
        child,
        client: Client::trusting(&site.ca, &address, ""),
        dir: site.dir.path().to_owned(),
    };
    until("an answer", LIMIT, || server.health());
    server.init_sealed();
    mount(&server, home.path());
}

#[test]
fn the_file_for_development_stays_on_this_machine() {
    let dir = directory();
    let second = crate::support::free_port();
    let (child, address) = start(&dir, |port| {
        let plugins = dir.path().join("plugins").display().to_string();
        let config = filled(
            "openbao/development.hcl",
            &[
                ("/opt/plugins", plugins),
                ("127.0.0.1:8210", format!("127.0.0.1:{second}")),
            ],
        );
        (in_dev_mode(Release::Current, &dir, port), config)
    });
    let server = Running {
        child,
        client: Client::new(&address, "root"),
        dir: dir.path().to_owned(),
    };
    server.await_health(200);
    let other = Client::new(&format!("http://127.0.0.1:{second}"), "root");
    let body = json!({"sha256": sum(&dir.path().join("plugins").join(PLUGIN_NAME)), "command": PLUGIN_NAME});
    other
        .write("sys/plugins/catalog/secret/landfast", body)
        .ok();
    other
        .write("sys/mounts/pki", json!({"type": "landfast"}))
        .ok();
}
