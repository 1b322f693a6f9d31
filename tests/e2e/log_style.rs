//! Commands that stay have one style of log: a line says one thing, with its time, its level and its text; in the journal,
//! which knows the time, without it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::terminate;

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");
/// Longer than any of them takes to say the first thing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that stays, and a part of a line that it comes to say.
struct Stays {
    name: &'static str,
    arguments: Vec<String>,
    says: &'static str,
}

/// Every one of them, in a situation in which there is something to say.
fn all(folder: &Path) -> Vec<Stays> {
    let data = |name: &str| format!("{}/node/tests/data/pki/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| folder.join(name).display().to_string();
    let arn = |rest: &str| format!("arn:aws:rolesanywhere:us-west-2:111122223333:{rest}");
    // Nobody listens on port 1.
    let session = [
        "--endpoint",
        "http://127.0.0.1:1",
        "--role-arn",
        "arn:aws:iam::111122223333:role/hybrid-node",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        "--trust-anchor-arn".to_owned(),
        arn("trust-anchor/11111111-2222-4333-8444-555555555555"),
        "--profile-arn".to_owned(),
        arn("profile/66666666-7777-4888-9999-aaaaaaaaaaaa"),
        "--certificate".to_owned(),
        data("rsa-leaf.crt"),
        "--private-key".to_owned(),
        data("rsa-leaf.key"),
    ]);
    let session: Vec<String> = session.collect();
    let of = |words: &[&str], more: &[String]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(more.iter().cloned()).collect()
    };

    let seal = Command::new(BINARY)
        .args(["unseal", "init-key", &file("seal.key")])
        .output()
        .expect("the binary under test runs");
    assert!(seal.status.success(), "{seal:?}");
    let tls = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=unseal"])
        .args(["-keyout", &file("tls.key"), "-out", &file("tls.pem")])
        .output()
        .expect("openssl runs");
    assert!(tls.status.success(), "{tls:?}");
    let config = json!({
        "listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", "audit_log": file("audit.log"),
        "tls": {"certificate": file("tls.pem"), "key": file("tls.key")},
        "clients": {"one": {
            "tokens": [{"sha256": "0".repeat(64)}],
            "keys": {"transit/unseal": [{"local_key_file": file("seal.key")}]},
        }},
    });
    fs::write(folder.join("unseal.json"), config.to_string()).expect("our own folder");
    let open = file("open.key");
    fs::copy(file("tls.key"), &open).expect("our own folder");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).expect("our own file");
    let config = json!({
        "listeners": [{"address": "127.0.0.1:0", "tls": {"certificate": file("tls.pem"), "key": open}}],
        "server": {"address": "http://127.0.0.1:1"},
        "mounts": {"/": {"mount": "pki"}},
        "audit_log": file("public.log"),
    });
    fs::write(folder.join("public.json"), config.to_string()).expect("our own folder");
    // A secret that everybody can read is told, by the commands that only warn.
    fs::write(folder.join("token"), "s.any").expect("our own folder");
    vec![
        Stays {
            name: "lab",
            arguments: of(
                &["lab", "--listen", "127.0.0.1:0", "--trust-anchor"],
                &[data("rsa-int.crt")],
            ),
            says: "",
        },
        Stays {
            name: "public",
            arguments: of(&["public", "--config"], &[file("public.json")]),
            says: "listening on",
        },
        Stays {
            name: "renew --daemon",
            arguments: of(
                &[
                    "renew",
                    "--daemon",
                    "--node-name",
                    "node-1",
                    "--address",
                    "http://127.0.0.1:1",
                ],
                &[
                    "--token-file".to_owned(),
                    file("token"),
                    "--certificate".to_owned(),
                    file("pki/server.pem"),
                    "--private-key".to_owned(),
                    file("pki/server.key"),
                ],
            ),
            says: "not renewed",
        },
        Stays {
            name: "serve",
            arguments: of(&["serve", "--port", "0", "--no-cache"], &session),
            says: "trying again",
        },
        Stays {
            name: "unseal serve",
            arguments: of(&["unseal", "serve", "--config"], &[file("unseal.json")]),
            says: "metrics on",
        },
        Stays {
            name: "update",
            arguments: of(
                &["update", "--no-cache", "--credentials-file"],
                &[&[file("shared")], &session[..]].concat(),
            ),
            says: "trying again",
        },
    ]
}

/// What it says until it has said the awaited, and a moment longer.
fn lines(stays: &Stays, folder: &Path, variables: &[(&str, &str)]) -> Vec<String> {
    let mut child = Command::new(BINARY)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied())
        .current_dir(folder)
        .args(&stays.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test runs");
    let (tell, told) = mpsc::channel();
    let pipe = BufReader::new(child.stderr.take().expect("a pipe"));
    std::thread::spawn(move || {
        for line in pipe.lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let mut lines = Vec::new();
    let end = Instant::now() + PATIENCE;
    while !lines.iter().any(|line: &String| line.contains(stays.says)) && !stays.says.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok(line) => lines.push(line),
            Err(_) => panic!("{}: {:?} was not said: {lines:#?}", stays.name, stays.says),
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(
        matches!(child.try_wait(), Ok(None)),
        "{}: it has ended: {lines:#?}",
        stays.name
    );
    terminate(&mut child);
    lines.extend(told.iter());
    lines
}

/// The level of a line in the style of all.
fn level(line: &str, with_time: bool) -> Option<&str> {
    let rest = if with_time {
        let (time, rest) = line.split_once(' ')?;
        time.parse::<jiff::Timestamp>().ok()?;
        rest
    } else {
        line
    };
    // Levels end at one column: those of four letters have a blank in front.
    let (level, text) = rest.trim_start().split_once(' ')?;
    let known = ["ERROR", "WARN", "INFO", "DEBUG"].contains(&level);
    let column = rest.len() - rest.trim_start().len() + level.len();
    (known && column == 5 && !text.trim().is_empty()).then_some(level)
}

#[test]
fn every_line_of_every_command_that_stays_has_one_shape() {
    let dir = tempfile::tempdir().expect("a folder");
    let stays = all(dir.path());
    let mut seen = BTreeSet::new();
    for (variables, with_time) in [
        (&[][..], true),
        (&[("LANDFAST_LOG", "debug")], true),
        (&[("JOURNAL_STREAM", "8:1")], false),
    ] {
        for one in &stays {
            for line in lines(one, dir.path(), variables) {
                let level = level(&line, with_time);
                let level = level.unwrap_or_else(|| panic!("{} {variables:?}: {line:?}", one.name));
                seen.insert((one.name, level.to_owned()));
            }
        }
    }
    // Each was heard, and at more than one level; the lab has nothing to say.
    for one in stays.iter().filter(|one| !one.says.is_empty()) {
        let levels = seen.iter().filter(|(name, _)| *name == one.name).count();
        assert!(levels > 1, "{}: {seen:?}", one.name);
    }
}

/// A command that stays and is not in the list above would have a style of its own.
#[test]
fn every_command_that_stays_is_listed() {
    let dir = tempfile::tempdir().expect("a folder");
    let listed: BTreeSet<_> = all(dir.path()).iter().map(|one| one.name).collect();
    // What the sources wait for a signal with.
    let mut found = BTreeSet::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let stays = ["runtime::stopped()", "daemon::run(", "Server::bind("];
        if stays.iter().any(|sign| text.contains(sign)) {
            let name = path.file_stem().expect("a name").to_string_lossy();
            found.insert(match &*name {
                "renew" => "renew --daemon".to_owned(),
                "unseal" => "unseal serve".to_owned(),
                name => name.to_owned(),
            });
        }
    }
    assert_eq!(
        listed
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        found
    );
}
