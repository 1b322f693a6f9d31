//! What the environment says to every program that calls AWS: endpoints, authorities,
//! proxies.

use std::net::TcpListener;
use std::sync::mpsc;

use super::*;

/// A command without an endpoint, with the node's identity where it takes one.
fn command(node: &Node, words: &[&str], identity: bool) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("HOME", node.dir.path())
        .current_dir(node.dir.path())
        .args(words)
        .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")]);
    if identity {
        command
            .args(["--certificate", &data("pki/rsa-leaf.crt")])
            .args(["--private-key", &data("pki/rsa-leaf.key")])
            .args(["--profile-arn", node.lab.text("profileArn")])
            .args(["--role-arn", node.lab.text("roleArn")]);
    }
    command
}

/// Every command that calls AWS, and comes to an end.
fn callers(node: &Node) -> Vec<(&'static str, Command)> {
    let (anchor, list) = (data("pki/rsa-int.crt"), data("crl/rsa-int-empty.crl.pem"));
    let session = ["--role-session-name", NODE];
    let mut all = vec![
        (
            "credential-process",
            command(
                node,
                &[&["credential-process", "--no-cache"][..], &session].concat(),
                true,
            ),
        ),
        (
            "update",
            command(
                node,
                &[
                    &["update", "--once", "--credentials-file", "shared"][..],
                    &session,
                ]
                .concat(),
                true,
            ),
        ),
        (
            "doctor",
            command(node, &["doctor", "--online", "--node-name", NODE], true),
        ),
        (
            "trust-anchor sync",
            command(node, &["trust-anchor", "sync", "--pem", &anchor], false),
        ),
        (
            "crl sync",
            command(node, &["crl", "sync", "--crl", &list], false),
        ),
    ];
    for (_, command) in &mut all {
        command
            .env("AWS_ACCESS_KEY_ID", node.lab.text("accessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", node.lab.text("secretAccessKey"));
    }
    all
}

/// The endpoint that a variable names, with the authorities of another, and no proxy
/// for this machine.
#[test]
fn the_variables_of_aws_are_obeyed_by_every_command() {
    let node = Node::new(&["--tls", "--ca-out", "lab-ca.pem"]);
    for url in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ROLESANYWHERE"] {
        for (name, mut command) in callers(&node) {
            command
                .env(url, node.lab.text("endpoint"))
                // Nobody listens on port 1, and nobody is to be asked there.
                .env("HTTPS_PROXY", "http://127.0.0.1:1");
            let told = |output: &Output| {
                String::from_utf8_lossy(&output.stdout).into_owned() + &said(output)
            };
            let stranger = run(&mut command);
            let text = told(&stranger);
            assert_ne!(stranger.status.code(), Some(0), "{name}: {text}");
            let known = run(command.env("AWS_CA_BUNDLE", "lab-ca.pem"));
            let text = told(&known);
            let code = known.status.code();
            if name == "crl sync" {
                // The list of the vectors is old by now; that is seen after AWS was asked.
                assert!(matches!(code, Some(0 | 4 | 5)), "{name}: {text}");
            } else {
                assert_eq!(code, Some(0), "{name}: {text}");
            }
            let broken = run(command.env("AWS_CA_BUNDLE", data("pki/rsa-leaf.key")));
            let text = told(&broken);
            if name != "doctor" {
                assert_eq!(broken.status.code(), Some(1), "{name}: {text}");
                assert!(
                    text.contains("holds no certificates in PEM"),
                    "{name}: {text}"
                );
            }
        }
    }
}

/// A proxy that hears where it is asked to, and hangs up.
fn deaf_proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let mut line = String::new();
            if BufReader::new(client).read_line(&mut line).is_ok() {
                let _ = tell.send(line);
            }
        }
    });
    (address, told)
}

/// Where a command goes first that is to go by a proxy.
#[track_caller]
fn first_call(command: &mut Command) -> String {
    let (proxy, told) = deaf_proxy();
    let mut child = command
        .env("HTTPS_PROXY", proxy)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary under test runs");
    let line = told.recv_timeout(Duration::from_secs(60));
    let _ = child.kill();
    let _ = child.wait();
    line.expect("the proxy is asked")
}

#[test]
fn the_proxy_of_the_environment_is_used_by_every_command() {
    let node = Node::new(&[]);
    for (name, mut command) in callers(&node) {
        let line = first_call(&mut command);
        let public = "CONNECT rolesanywhere.us-west-2.amazonaws.com:443 ";
        assert!(line.starts_with(public), "{name}: {line}");
    }
    let serve = ["serve", "--port", "0"];
    let line = first_call(&mut command(&node, &serve, true));
    assert!(line.contains("rolesanywhere.us-west-2"), "{line}");

    // Which of the public endpoints, said by variables.
    for (variable, host) in [
        (
            "AWS_USE_FIPS_ENDPOINT",
            "rolesanywhere-fips.us-west-2.amazonaws.com",
        ),
        (
            "AWS_USE_DUALSTACK_ENDPOINT",
            "rolesanywhere.us-west-2.api.aws",
        ),
    ] {
        for (name, mut command) in callers(&node) {
            let line = first_call(command.env(variable, "true"));
            assert!(
                line.starts_with(&format!("CONNECT {host}:443 ")),
                "{name}: {line}"
            );
        }
    }

    // What NO_PROXY names is asked without it: here a name that nobody has.
    let (proxy, told) = deaf_proxy();
    let (_, mut command) = callers(&node).swap_remove(0);
    let output = run(command
        .env("HTTPS_PROXY", proxy)
        .env("NO_PROXY", "landfast.invalid")
        .env("AWS_ENDPOINT_URL", "https://landfast.invalid"));
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(told.try_recv().is_err(), "{}", said(&output));
}

/// Whoever reads that nobody answered learns that a proxy was asked, and for which host; its password stays out of it.
#[test]
fn an_error_behind_a_proxy_names_the_proxy() {
    let node = Node::new(&[]);
    // Nobody listens on port 1.
    let proxy = "http://user:hunter2@127.0.0.1:1";
    std::thread::scope(|scope| {
        for (name, mut command) in callers(&node) {
            scope.spawn(move || {
                let output = run(command.env("HTTPS_PROXY", proxy));
                let told = String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
                assert_eq!(output.status.code(), Some(3), "{name}: {told}");
                for part in [
                    "rolesanywhere.us-west-2.amazonaws.com",
                    "by the proxy http://127.0.0.1:1",
                ] {
                    assert!(told.contains(part), "{name}: {part}: {told}");
                }
                assert!(!told.contains("hunter2"), "{name}: {told}");
            });
        }
    });
    // The server of the certificates, too.
    let mut enroll = Command::new(BINARY);
    enroll
        .env_clear()
        .env("HTTPS_PROXY", proxy)
        .env("BAO_TOKEN", "s.any")
        .current_dir(node.dir.path())
        .args(["enroll", "--address", "https://bao.example:8200"])
        .args(["--node-name", NODE, "--certificate", "new/server.pem"])
        .args(["--private-key", "new/server.key"]);
    let output = run(&mut enroll);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    for part in [
        "https://bao.example:8200",
        "by the proxy http://127.0.0.1:1",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    assert!(!said(&output).contains("hunter2"), "{}", said(&output));
}

/// Each end of the wrong scheme says which is right.
#[test]
fn an_endpoint_of_the_other_scheme_is_told_with_the_right_one() {
    let (plain, tls) = (
        Node::new(&[]),
        Node::new(&["--tls", "--ca-out", "lab-ca.pem"]),
    );
    for (node, from, to) in [
        (&plain, "http://", "https://"),
        (&tls, "https://", "http://"),
    ] {
        let wrong = node.lab.text("endpoint").replace(from, to);
        std::thread::scope(|scope| {
            for (name, mut command) in callers(node) {
                let wrong = &wrong;
                scope.spawn(move || {
                    let output = run(command.env("AWS_ENDPOINT_URL", wrong));
                    let told =
                        String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
                    assert_ne!(output.status.code(), Some(0), "{name}: {told}");
                    let part = format!("give the endpoint as {from}");
                    assert!(told.contains(&part), "{name}: {told}");
                });
            }
        });
    }
}

#[test]
fn variables_that_cannot_be_right_are_told() {
    let node = Node::new(&[]);
    for (variables, part) in [
        (
            &[("AWS_ENDPOINT_URL", "http://aws.example")][..],
            "AWS_ENDPOINT_URL takes an https:// URL",
        ),
        (
            &[("AWS_USE_FIPS_ENDPOINT", "yes")],
            "AWS_USE_FIPS_ENDPOINT must be true or false",
        ),
        (
            &[
                ("AWS_USE_FIPS_ENDPOINT", "true"),
                ("AWS_ENDPOINT_URL", "https://aws.example"),
            ],
            "AWS_ENDPOINT_URL names an endpoint, and FIPS",
        ),
    ] {
        for (name, mut command) in callers(&node).drain(..3) {
            let output = run(command.envs(variables.iter().copied()));
            assert_eq!(output.status.code(), Some(2), "{name}: {}", said(&output));
            assert!(said(&output).contains(part), "{name}: {}", said(&output));
        }
    }
}

/// A machine without CA certificates, such as a small container image, works over plain HTTP,
/// and is told what it lacks where it should believe a server.
#[test]
fn a_machine_without_ca_certificates_is_told_what_it_lacks() {
    let empty = tempfile::tempdir().expect("a folder");
    let bare = |command: &mut Command| {
        command
            .env_remove("AWS_CA_BUNDLE")
            .env("SSL_CERT_FILE", empty.path().join("none.pem"))
            .env("SSL_CERT_DIR", empty.path());
    };
    let plain = Node::new(&[]);
    let secure = Node::new(&["--tls", "--ca-out", "lab-ca.pem"]);
    for node in [&plain, &secure] {
        for (name, mut command) in callers(node) {
            bare(command.env("AWS_ENDPOINT_URL", node.lab.text("endpoint")));
            let output = run(&mut command);
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
            assert_eq!(
                text.contains("this machine has no CA certificates: install them"),
                std::ptr::eq(node, &secure),
                "{name}: {text}"
            );
            assert!(!text.contains("panicked"), "{name}: {text}");
        }
    }
    // The seal's way to AWS KMS is another client.
    let mut check = Command::new(BINARY);
    check
        .env_clear()
        .args([
            "unseal",
            "check",
            "region=eu-central-1",
            "kms_key_id=alias/a",
        ])
        .args(["access_key=AKIAEXAMPLE", "secret_key=env://SECRET"])
        .env("SECRET", "secret")
        .arg(format!("endpoint={}", secure.lab.text("endpoint")));
    bare(&mut check);
    let output = run(&mut check);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output);
    assert!(
        text.contains("endpoint not trusted")
            && text.contains("this machine has no CA certificates: install them"),
        "{text}"
    );
    // And that to the server is a third.
    let address = secure.lab.text("endpoint");
    let mut enroll = Command::new(BINARY);
    enroll
        .env_clear()
        .env("VAULT_TOKEN", "s.any")
        .args(["trust-anchor", "--address", address]);
    bare(&mut enroll);
    let text = said(&run(&mut enroll));
    assert!(
        text.contains("this machine has no CA certificates: install them")
            && text.contains("--ca-cert"),
        "{text}"
    );
}
