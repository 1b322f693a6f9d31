//! Exit codes: what `--help` says can be had, and nothing else is.

use std::collections::BTreeSet;
use std::net::TcpListener;

use super::*;

/// The codes that a command's help names.
pub(crate) fn in_help(command: &str) -> BTreeSet<i32> {
    let help = text(&run(Command::new(BINARY).args([command, "--help"])));
    let (_, codes) = help
        .split_once("Exit codes:\n")
        .unwrap_or_else(|| panic!("{command}: no exit codes: {help}"));
    codes
        .lines()
        .map_while(|line| line.trim_start().split_once("  ")?.0.parse().ok())
        .collect()
}

/// A code, and arguments that end with it.
type Case = (i32, Vec<String>);

/// The flags of a session that works, with some of them replaced or added.
fn session(node: &Node, flags: &[(&str, &str)]) -> Vec<String> {
    let named = ("--role-session-name", NODE);
    identity(node, &[&[named], flags].concat())
}

/// The same without a session name, which `doctor` takes from the certificate.
fn identity(node: &Node, flags: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec![
        ("--certificate", data("pki/rsa-leaf.crt")),
        ("--private-key", data("pki/rsa-leaf.key")),
        ("--endpoint", node.lab.text("endpoint").to_owned()),
        (
            "--trust-anchor-arn",
            node.lab.text("trustAnchorArn").to_owned(),
        ),
        ("--profile-arn", node.lab.text("profileArn").to_owned()),
        ("--role-arn", node.lab.text("roleArn").to_owned()),
    ];
    all.retain(|(flag, _)| flags.iter().all(|(other, _)| other != flag));
    all.extend(
        flags
            .iter()
            .map(|(flag, value)| (*flag, (*value).to_owned())),
    );
    all.into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
}

/// The code of a command that ends by itself, or at SIGTERM once it is ready.
fn code(node: &Node, arguments: &[String], stays: bool) -> i32 {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("HOME", node.dir.path())
        .current_dir(node.dir.path())
        .args(arguments);
    if !stays {
        let output = run(&mut command);
        return output.status.code().unwrap_or_else(|| panic!("{output:?}"));
    }
    let mut running = Running::start(&mut command);
    terminate(&mut running.child);
    let status = running.child.wait().expect("our own child");
    status.code().expect("it ends by itself")
}

#[test]
fn every_code_in_the_help_can_be_had_and_no_other() {
    let good = Node::new(&[]);
    let nobody = good.path("nobody.json");
    fs::write(&nobody, r#"{"Version": "2012-10-17", "Statement": []}"#).expect("our own folder");
    let refusing = Node::new(&["--trust-policy", nobody.to_str().expect("a text")]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("it listens").to_string();
    let words = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let with =
        |command: &[&str], more: &[(&str, &str)]| [words(command), session(&good, more)].concat();
    let gone = ("--certificate", "/nonexistent/server.pem");
    let dead = ("--endpoint", "http://127.0.0.1:1");
    let process = &["credential-process", "--no-cache"][..];
    let update = &["update", "--once", "--credentials-file", "shared"][..];
    let (anchor, key) = (data("pki/rsa-int.crt"), data("pki/rsa-leaf.key"));
    let lab = |anchor: &str, listen: &str, more: &[&str]| {
        [
            words(&["lab", "--trust-anchor", anchor, "--listen", listen]),
            words(more),
        ]
        .concat()
    };
    let online =
        |more: &[(&str, &str)]| [words(&["doctor", "--online"]), identity(&good, more)].concat();
    fs::write(
        good.path("hybrid.json"),
        format!(
            r#"{{"cluster": "prod", "region": "us-west-2", "account": "111122223333", "trust_anchor": "{}", "nodes": "node-*"}}"#,
            good.lab.text("trustAnchorArn")
        ),
    )
    .expect("our own folder");
    let cases: [(&str, Vec<Case>); 8] = [
        (
            "credential-process",
            vec![
                (0, with(process, &[])),
                (1, with(process, &[gone])),
                (1, [words(process), session(&refusing, &[])].concat()),
                (2, with(process, &[("--region", "us west")])),
                (3, with(process, &[dead])),
            ],
        ),
        (
            "update",
            vec![
                (0, with(update, &[])),
                (1, with(update, &[gone])),
                (2, with(update, &[("--profile", "a]")])),
                (3, with(update, &[dead])),
            ],
        ),
        (
            "serve",
            vec![
                (0, with(&["serve", "--port", "0"], &[])),
                (1, with(&["serve", "--listen", &taken], &[])),
                (2, with(&["serve", "--listen", "0.0.0.0:0"], &[])),
            ],
        ),
        (
            "generate",
            vec![
                (
                    0,
                    words(&["generate", "hybrid.json", "--output-dir", "out"]),
                ),
                (1, words(&["generate", "none.json", "--output-dir", "out"])),
                (2, words(&["generate", "hybrid.json"])),
            ],
        ),
        (
            "lab",
            vec![
                (0, lab(&anchor, "127.0.0.1:0", &[])),
                (1, lab("none.pem", "127.0.0.1:0", &[])),
                (2, lab(&anchor, "127.0.0.1:0", &["--region", "nowhere"])),
                (4, lab(&anchor, "0.0.0.0:0", &[])),
            ],
        ),
        (
            "doctor",
            vec![
                (0, online(&[])),
                (1, words(&["doctor", "--role", "none.json"])),
                (2, words(&["doctor", "--online"])),
                (3, online(&[dead])),
                (4, online(&[gone])),
            ],
        ),
        (
            "sign-string",
            vec![
                (0, words(&["sign-string", "--private-key", &key])),
                (1, words(&["sign-string", "--private-key", &anchor])),
                (2, words(&["sign-string", "--format", "xml"])),
            ],
        ),
        (
            "read-certificate-data",
            vec![
                (
                    0,
                    words(&["read-certificate-data", "--certificate", &anchor]),
                ),
                (1, words(&["read-certificate-data", "--certificate", &key])),
                (2, words(&["read-certificate-data", "--certificate"])),
            ],
        ),
    ];
    for (command, cases) in cases {
        let had: BTreeSet<i32> = cases.iter().map(|(code, _)| *code).collect();
        assert_eq!(in_help(command), had, "{command}");
        for (wanted, arguments) in cases {
            let stays = wanted == 0 && ["serve", "lab"].contains(&command);
            let code = code(&good, &arguments, stays);
            assert_eq!(code, wanted, "{arguments:?}");
        }
    }
}
