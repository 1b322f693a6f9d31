//! certbot and acme-tiny, as their users call them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use landfast_pki::Certificate;
use serde_json::json;
use tempfile::TempDir;

use super::client::{open_networks, serve};
use super::dns::Dns;
use crate::support::{Server, tools};

fn command(name: &str) -> Command {
    let program = tools().join("acme/bin").join(name);
    assert!(
        program.exists(),
        "no {name} at {}: run `make tools`",
        program.display()
    );
    Command::new(program)
}

/// Runs to the end.
///
/// # Panics
/// When it is not content, with all that it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("the client can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// certbot with its files below `home`, and the directory of the role `web`.
fn certbot(home: &Path, server: &Server, verb: &str) -> Command {
    let mut certbot = command("certbot");
    certbot.arg(verb);
    for (option, dir) in [
        ("--config-dir", "config"),
        ("--work-dir", "work"),
        ("--logs-dir", "logs"),
    ] {
        certbot.arg(option).arg(home.join(dir));
    }
    certbot
        .args([
            "--non-interactive",
            "--agree-tos",
            "--register-unsafely-without-email",
            "--server",
        ])
        .arg(format!(
            "{}/v1/pki/roles/web/acme/directory",
            server.address()
        ));
    certbot
}

fn served() -> (Server, Dns) {
    let (server, dns) = (Server::dev(), Dns::start());
    server.mount("pki", "landfast");
    serve(&server, "pki", &dns);
    open_networks(&server, "pki");
    (server, dns)
}

fn names(certificate: &Certificate) -> Vec<&str> {
    certificate.dns_names().iter().map(String::as_str).collect()
}

#[test]
fn certbot_gets_renews_and_revokes_by_dns() {
    let (server, dns) = served();
    let home = TempDir::new().expect("a directory");
    let hook = home.path().join("hook.sh");
    let text = format!(
        "#!/bin/sh\necho \"$CERTBOT_VALIDATION\" >> {:?}/\"_acme-challenge.$CERTBOT_DOMAIN\"\n",
        dns.records()
    );
    fs::write(&hook, text).expect("a hook");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("a program");
    let manual = |verb: &str| {
        let mut certbot = certbot(home.path(), &server, verb);
        certbot
            .args([
                "--manual",
                "--preferred-challenges",
                "dns",
                "--manual-auth-hook",
            ])
            .arg(&hook);
        certbot
    };
    run(manual("certonly").args(["-d", "example.com", "-d", "*.example.com"]));
    let live = home.path().join("config/live/example.com");
    let first = fs::read(live.join("fullchain.pem")).expect("a chain");
    let leaf = Certificate::from_pem(&first).expect("a certificate");
    assert_eq!(names(&leaf), ["*.example.com", "example.com"]);
    // certbot asks for renewal information, and waits; an operator's revocation moves the window up. It asks again hours later only, so each is
    // shown on a certificate of its own.
    run(manual("certonly").args(["-d", "other.example.com"]));
    let waits =
        run(certbot(home.path(), &server, "renew").args(["--cert-name", "other.example.com"]));
    assert!(waits.contains("not yet due"), "{waits}");
    server
        .client()
        .write(
            "pki/revoke",
            json!({ "serial_number": leaf.serial().colon() }),
        )
        .ok();
    let mut renew = certbot(home.path(), &server, "renew");
    run(renew.args(["--cert-name", "example.com", "--no-random-sleep-on-renew"]));
    let second = fs::read(live.join("fullchain.pem")).expect("a chain");
    assert_ne!(
        first, second,
        "renewed ahead of time, by renewal information"
    );
    run(certbot(home.path(), &server, "revoke").args([
        "--cert-name",
        "example.com",
        "--no-delete-after-revoke",
    ]));
    let leaf = Certificate::from_pem(&second).expect("a certificate");
    let shown = server
        .client()
        .read(&format!("pki/cert/{}", leaf.serial().colon()))
        .ok();
    assert_ne!(shown.data()["revocation_time"], 0);
    run(&mut certbot(home.path(), &server, "unregister"));
}

/// Validation by HTTP asks port 80, so whoever runs this must be allowed to listen there.
#[test]
fn certbot_and_acme_tiny_get_certificates_by_http() {
    let (server, _dns) = served();
    let home = TempDir::new().expect("a directory");
    run(certbot(home.path(), &server, "certonly").args([
        "--standalone",
        "-d",
        "a.example.com",
        "-d",
        "b.example.com",
    ]));
    let chain =
        fs::read(home.path().join("config/live/a.example.com/fullchain.pem")).expect("a chain");
    assert_eq!(
        names(&Certificate::from_pem(&chain).expect("a certificate")),
        ["a.example.com", "b.example.com"]
    );

    // acme-tiny puts files where a web server has them.
    let web = home.path().join("web/.well-known/acme-challenge");
    fs::create_dir_all(&web).expect("a directory");
    let mut site = Command::new("python3")
        .args([
            "-m",
            "http.server",
            "80",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(home.path().join("web"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("Python can be started");
    let path = |name: &str| home.path().join(name);
    for (name, arguments) in [
        ("account.key", vec!["genrsa", "-out"]),
        (
            "leaf.csr",
            vec![
                "req",
                "-new",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=tiny.example.com",
                "-addext",
                "subjectAltName=DNS:tiny.example.com",
                "-keyout",
                "leaf.key",
                "-out",
            ],
        ),
    ] {
        let done = Command::new("openssl")
            .args(arguments)
            .arg(path(name))
            .current_dir(home.path())
            .output();
        assert!(done.expect("openssl").status.success(), "{name}");
    }
    let chain = run(command("acme-tiny")
        .arg("--account-key")
        .arg(path("account.key"))
        .arg("--csr")
        .arg(path("leaf.csr"))
        .arg("--acme-dir")
        .arg(&web)
        .args(["--disable-check", "--quiet", "--directory-url"])
        .arg(format!(
            "{}/v1/pki/roles/web/acme/directory",
            server.address()
        )));
    let _ = site.kill();
    let _ = site.wait();
    let leaf = Certificate::from_pem(chain.as_bytes()).expect("a certificate");
    assert_eq!(names(&leaf), ["tiny.example.com"]);
    assert_eq!(
        leaf.subject().common_name().as_deref(),
        Some("tiny.example.com")
    );
}
