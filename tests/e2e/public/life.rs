//! HTTPS, files that change, signals, and what the operator sees.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;

use super::*;
use crate::support::until;

/// A certificate for 127.0.0.1 in files, of a CA of its own.
pub(crate) fn make_tls(dir: &std::path::Path) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    let leaf = leaf.signed_by(&key, &ca).expect("signed");
    for (name, text) in [
        ("ca.pem", ca.pem()),
        ("tls.pem", leaf.pem()),
        ("tls.key", key.serialize_pem()),
    ] {
        std::fs::write(dir.join(name), text).expect("a file");
    }
}

#[test]
fn https_takes_up_renewed_files_and_a_reload_keeps_what_is_kept() {
    let server = server(Release::Current);
    let dir = tempfile::tempdir().expect("a folder");
    make_tls(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    let ca = file("ca.pem");
    let road = Road::to(server.address());
    let mut config = config(&road.url());
    config["listeners"] = json!([
        {"address": "127.0.0.1:0", "tls": {"certificate": file("tls.pem"), "key": file("tls.key"), "check_seconds": 1}},
        {"address": "127.0.0.1:0"},
    ]);
    let mut front = Front::start_in(dir, &config);
    assert!(
        front.addresses[0].starts_with("https://") && front.addresses[1].starts_with("http://")
    );
    let secure = |front: &Front, ca: &str| {
        Command::new("curl")
            .args([
                "--silent",
                "--noproxy",
                "*",
                "--fail",
                "--cacert",
                ca,
                "--output",
                "/dev/null",
            ])
            .arg(front.url("/ours/crl"))
            .status()
            .expect("curl runs")
            .success()
    };
    assert!(secure(&front, &ca));
    let old = front.dir().join("old.pem");
    std::fs::copy(&ca, &old).expect("a copy");
    make_tls(front.dir());
    until("the new certificate", Duration::from_secs(20), || {
        secure(&front, &ca).then_some(())
    });
    assert!(!secure(&front, &old.display().to_string()));

    // Plain HTTP where HTTPS is spoken is told so.
    let address = front.addresses[0].replace("https://", "http://");
    let told = front::curl(&format!("{address}/ours/crl"), &["--http0.9"]);
    assert!(String::from_utf8_lossy(&told).contains("HTTP request to an HTTPS server"));

    // Another path for the same mount, and the server away: what was kept is there.
    road.cut();
    front.reload(|config| config["mounts"]["/more"] = json!({"mount": "builtin"}));
    assert!(secure(&front, &ca));
    let plain = front.addresses[1].clone();
    let more = front::curl(&format!("{plain}/more/crl"), &[]);
    assert_eq!(status(&more), 503, "nobody asked for it before");
    road.lead_to(server.address());
    until("the new path", Duration::from_secs(20), || {
        (status(&front::curl(&format!("{plain}/more/crl"), &[])) == 200).then_some(())
    });
    // What cannot be used changes nothing.
    let before = front.log().matches("cannot be used").count();
    std::fs::write(front.dir().join("public.json"), "{").expect("a file");
    front.signal(Signal::HUP);
    until("a complaint", Duration::from_secs(20), || {
        (front.log().matches("cannot be used").count() > before).then_some(())
    });
    assert!(secure(&front, &ca));
}

#[test]
fn it_ends_when_told_and_says_so_to_systemd() {
    let server = server(Release::Current);
    let mut front = Front::start(&config(server.address()));
    let got = front.curl("/ours/crl", &[]);
    assert_eq!(status(&got), 200);
    front.signal(Signal::TERM);
    assert_eq!(front.exit_code(), Some(0));
    let lines = front.audit();
    let line = lines
        .iter()
        .find(|line| line["operation"] == "crl")
        .expect("its line is written before it ends");
    assert_eq!(line["bytes"], body(&got).len());
    assert_eq!(line["mount"], "/ours");
    assert!(
        line["remote"]
            .as_str()
            .is_some_and(|remote| remote.starts_with("127.0.0.1:"))
    );

    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time");
    let mut child = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args([
            "public",
            "--listen",
            "127.0.0.1:0",
            "--mount",
            "pki",
            "--address",
            server.address(),
        ])
        .env_clear()
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary under test runs");
    let mut said = [0; 64];
    let length = socket.recv(&mut said).expect("it says that it serves");
    assert!(said[..length].starts_with(b"READY=1"));
    crate::support::terminate(&mut child);
    let length = socket.recv(&mut said).expect("it says that it stops");
    assert!(said[..length].starts_with(b"STOPPING=1"));
}

#[test]
fn wrong_usage_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("public.json");
    std::fs::write(&file, json!({"listeners": [{"address": "127.0.0.1:0"}], "server": {"address": "https://x"}, "mounts": {"pki": {"mount": "pki"}}}).to_string()).expect("a file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    let config = ["--config".to_owned(), file.display().to_string()];
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let open = dir.path().join("open");
    std::fs::create_dir(&open).expect("a folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&open, mode).expect("ours");
    let open = open.display().to_string();
    for (arguments, code, wanted) in [
        (
            words(&[
                "--mount",
                "pki",
                "--address",
                "https://x",
                "--cache-dir",
                &open,
            ]),
            2,
            "others than its owner may write into it, and put another CA there: chmod go-w",
        ),
        (config.to_vec(), 2, "must be / or a path such as /name"),
        (words(&["--mount", "pki"]), 2, "--address"),
        (
            words(&[
                "--mount",
                "pki",
                "--address",
                "https://x",
                "--listen",
                &taken,
            ]),
            1,
            "give another address",
        ),
        (
            words(&[
                "--mount",
                "pki",
                "--address",
                "https://x",
                "--ca-cert",
                "/no/such/file",
            ]),
            2,
            "/no/such/file",
        ),
        (
            words(&["--mount", "pki", "--address", "https://x", "--suggest-urls"]),
            2,
            "--url",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .arg("public")
            .args(&arguments)
            .env_clear()
            .output()
            .expect("the binary under test runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}
