//! Clients that people use: the server's own command line, and its agent.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Openssl, Release, Server, VERSION, tools, until};

/// Two mounts of type `pki`: the built-in engine, and ours in its place.
fn stand_in() -> Server {
    let server = Server::bare_dev(Release::Current);
    server.mount("builtin", "pki");
    server.register("pki", VERSION);
    server.mount("landfst", "pki");
    let client = server.client();
    let running = |mount: &str| {
        client
            .read(&format!("sys/mounts/{mount}"))
            .ok()
            .text("running_plugin_version")
    };
    assert_ne!(running("builtin"), VERSION);
    assert_eq!(running("landfst"), VERSION);
    server
}

fn on_both(client: &Client, path: &str, body: &Value) {
    for mount in ["builtin", "landfst"] {
        client.write(&format!("{mount}/{path}"), body.clone()).ok();
    }
}

fn health(server: &Server, mount: &str) -> Value {
    let output = server
        .cli()
        .args(["pki", "health-check", "-format=json", mount])
        .stdin(Stdio::null())
        .output()
        .expect("the server's client runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.replace(mount, "MOUNT");
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "health-check {mount}: {error}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Every finding as check, resource kind and status: identifiers, times and
/// counted durations differ from one mount to the other.
fn statuses(report: &Value) -> Vec<String> {
    let mut found: Vec<String> = report
        .as_object()
        .expect("a report by check")
        .iter()
        .flat_map(|(check, findings)| {
            findings
                .as_array()
                .into_iter()
                .flatten()
                .map(move |finding| format!("{check}: {}", finding["status"]))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_health_check_finds_the_same_as_for_the_built_in() {
    let server = stand_in();
    let client = server.client();
    let both = |server: &Server| [health(server, "builtin"), health(server, "landfst")];
    on_both(
        &client,
        "root/generate/internal",
        &json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"}),
    );
    on_both(
        &client,
        "root/generate/internal",
        &json!({"common_name": "Second", "key_type": "mldsa", "key_bits": 65, "ttl": "8760h"}),
    );
    for role in [
        ("plain", json!({"allowed_domains": "example.com"})),
        (
            "globs",
            json!({"allowed_domains": "*.example.com", "allow_glob_domains": true}),
        ),
        (
            "nostore",
            json!({"no_store": true, "allow_localhost": false}),
        ),
        ("any", json!({"allow_any_name": true, "key_type": "ec"})),
        (
            "mldsa",
            json!({"allowed_domains": "example.com", "key_type": "mldsa"}),
        ),
    ] {
        on_both(&client, &format!("roles/{}", role.0), &role.1);
    }
    on_both(
        &client,
        "issue/any",
        &json!({"common_name": "a.example.com"}),
    );
    let [theirs, ours] = both(&server);
    assert_eq!(statuses(&theirs), statuses(&ours), "{theirs:#}\n{ours:#}");
    let text = ours.to_string();
    assert!(!text.contains("invalid_version"), "{text}");
    assert!(statuses(&ours).len() > 8, "few checks ran: {ours:#}");

    on_both(
        &client,
        "config/crl",
        &json!({"expiry": "72h", "auto_rebuild": true}),
    );
    for mount in ["builtin", "landfst"] {
        client.read(&format!("{mount}/crl/rotate")).ok();
    }
    on_both(
        &client,
        "config/auto-tidy",
        &json!({"enabled": true, "tidy_cert_store": true, "interval_duration": "1h"}),
    );
    let [theirs, ours] = both(&server);
    assert_eq!(statuses(&theirs), statuses(&ours), "{theirs:#}\n{ours:#}");
}

#[test]
fn the_command_line_issues_an_intermediate_across_mounts() {
    let server = stand_in();
    let client = server.client();
    client
        .write(
            "landfst/root/generate/internal",
            json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h", "issuer_name": "root"}),
        )
        .ok();
    let run = |arguments: &[&str]| {
        let output = server
            .cli()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the server's client runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    };
    server.mount("sub", "pki");
    run(&[
        "pki",
        "issue",
        "-issuer_name=sub",
        "/landfst/issuer/root",
        "/sub/",
        "common_name=Sub",
        "key_type=ec",
        "key_bits=256",
        "ttl=720h",
    ]);
    run(&[
        "pki",
        "reissue",
        "-issuer_name=again",
        "/landfst/issuer/root",
        "/sub/issuer/sub",
        "/sub/",
        "common_name=Sub",
    ]);
    let again = client.read("sub/issuer/again").ok();
    assert!(again.text("certificate").contains("BEGIN CERTIFICATE"));
    let listed = run(&[
        "pki",
        "list-intermediates",
        "-format=json",
        "/landfst/issuer/root",
    ]);
    assert!(listed.contains("sub/issuer/"), "{listed}");
    let verified = run(&[
        "pki",
        "verify-sign",
        "-format=json",
        "/landfst/issuer/root",
        "/sub/issuer/sub",
    ]);
    let verified: Value = serde_json::from_str(&verified).expect("-format=json prints JSON");
    assert_eq!(verified["signature_match"], json!(true), "{verified}");
    assert_eq!(verified["path_match"], json!(true), "{verified}");
}

#[test]
fn every_method_of_hvac_is_answered_alike() {
    let server = stand_in();
    let openssl = Openssl::new();
    let csr = openssl.file("csr.pem", openssl.csr("csr.a.test"));
    let (own, _) = openssl.authority_on("P-256", "Self");
    let own = openssl.file("own.pem", &own);
    let python = tools().join("hvac/bin/python");
    let pictures = ["builtin", "landfst"].map(|mount| {
        server.mount(&format!("{mount}-sub"), "pki");
        let output = Command::new(&python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/e2e/clients/hvac_pki.py"
            ))
            .args([server.address(), mount])
            .args([&csr, &own])
            .env("VAULT_TOKEN", "root")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| {
                panic!("{}: {error}: run scripts/tools.sh hvac", python.display())
            });
        assert!(output.status.success(), "{output:?}");
        let steps: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        steps
    });
    let [theirs, ours] = &pictures;
    assert!(theirs.len() >= 40, "{} calls", theirs.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(theirs.len(), ours.len());
}

/// An agent, ended with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn agent(server: &Server, config: &str) -> Agent {
    let file = server.dir().join("agent.hcl");
    fs::write(&file, config).expect("a file in a fresh folder");
    let log = fs::File::create(server.dir().join("agent.log")).expect("a file in a fresh folder");
    let mut command: Command = server.cli();
    let child = command
        .arg("agent")
        .arg(format!("-config={}", file.display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle can be cloned"))
        .stderr(log)
        .spawn()
        .expect("the agent starts");
    Agent(child)
}

#[test]
fn an_agent_template_writes_a_certificate_and_renews_it() {
    let server = stand_in();
    let client = server.client();
    client
        .write(
            "landfst/root/generate/internal",
            json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"}),
        )
        .ok();
    client
        .write(
            "landfst/roles/one",
            json!({"allow_any_name": true, "key_type": "ec", "ttl": "6s", "not_before_duration": "1s"}),
        )
        .ok();
    let dir = server.dir();
    let token = dir.join("token");
    fs::write(&token, client.token()).expect("a file in a fresh folder");
    let target = dir.join("node.pem");
    let config = format!(
        r#"
auto_auth {{
  method "token_file" {{ config = {{ token_file_path = {token:?} }} }}
}}
template_config {{ static_secret_render_interval = "1s" exit_on_retry_failure = true }}
template {{
  destination = {target:?}
  contents = <<-EOT
  {{{{- with pkiCert "landfst/issue/one" "common_name=one.example.com" -}}}}
  {{{{ .Cert }}}}{{{{ .CA }}}}{{{{ .Key }}}}
  {{{{- end -}}}}
  EOT
}}
"#
    );
    let _agent = agent(&server, &config);
    let said = || fs::read_to_string(dir.join("agent.log")).unwrap_or_default();
    let written = |other_than: &str| {
        fs::read_to_string(&target)
            .ok()
            .filter(|text| text != other_than && text.contains("PRIVATE KEY"))
    };
    let first = until("the agent's first file", Duration::from_secs(20), || {
        written("")
    });
    let second = until("the agent's renewed file", Duration::from_secs(30), || {
        written(&first)
    });
    let openssl = Openssl::new();
    let ca = client.read("landfst/cert/ca").ok().text("certificate");
    openssl
        .verify(&second, "", &ca, None)
        .unwrap_or_else(|error| panic!("{error}\n{}", said()));
    let serials = client.list("landfst/certs").ok().texts("keys");
    assert!(serials.len() >= 3, "root and two leaves: {serials:?}");
}
