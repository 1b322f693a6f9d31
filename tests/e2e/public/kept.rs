//! What is on disk: a restart while the server is sealed.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::outage::{PATIENCE, is_later, post, question};
use super::*;
use crate::support::until;

const PATHS: [&str; 9] = [
    "crl",
    "crl/pem",
    "ca",
    "chain",
    "chain/p7c",
    "anchor",
    "issuer/first/crl",
    "issuer/first/ca",
    "issuer/first/chain",
];

/// A front that keeps what it has in `cache` in its folder.
fn front(server: &Server) -> Front {
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = config(server.address());
    config["cache_dir"] = json!(dir.path().join("cache"));
    Front::start_in(dir, &config)
}

fn files(front: &Front) -> Vec<PathBuf> {
    let all = fs::read_dir(front.dir().join("cache")).expect("it was made");
    let mut all: Vec<_> = all
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.to_string_lossy().ends_with(".new"))
        .collect();
    all.sort();
    all
}

/// The file of one thing of a mount: each says on its first line of which it is.
fn file_of(front: &Front, mount: &str, what: &str) -> Option<PathBuf> {
    files(front).into_iter().find(|path| {
        // It may be replaced at any time.
        let octets = fs::read(path).unwrap_or_default();
        let line = octets.split(|octet| *octet == b'\n').next();
        let head: serde_json::Value =
            serde_json::from_slice(line.expect("a line")).unwrap_or_default();
        head["mount"] == mount
            && head["what"]
                .as_str()
                .is_some_and(|own| own.starts_with(what))
    })
}

fn get(front: &Front, mount: &str, path: &str) -> Vec<u8> {
    front.curl(&format!("/{mount}/{path}"), &[])
}

#[test]
fn a_restart_while_the_server_is_sealed_loses_nothing_that_is_valid() {
    let server = server(Release::Current);
    let client = server.client();
    let mut front = front(&server);
    let mut asked = Vec::new();
    for (mount, _) in MOUNTS {
        let (leaf, serial) = issue(&client, mount);
        revoke(&client, mount, &serial);
        let known = question(&front, mount, &leaf);
        let answer = body(&post(&front, mount, &known)).to_vec();
        let known = fs::read(known.trim_start_matches('@')).expect("a file");
        let known = front::file(&front, &format!("{mount}.der"), known);
        let known = format!("@{}", known.display());
        let got = PATHS.map(|path| body(&get(&front, mount, path)).to_vec());
        asked.push((mount, known, answer, got));
    }
    let holds = |front: &Front| {
        for (mount, known, answer, got) in &asked {
            for (path, before) in PATHS.iter().zip(got) {
                let now = get(front, mount, path);
                assert_eq!(status(&now), 200, "{mount} {path}");
                assert_eq!(body(&now), before, "{mount} {path}");
            }
            let now = post(front, mount, known);
            assert_eq!((status(&now), body(&now)), (200, &answer[..]), "{mount}");
            is_later(&get(front, mount, "crl/delta"));
        }
    };
    // Once told to end, which writes everything at once.
    client.write("sys/seal", json!({})).ok();
    front.restart(Signal::TERM);
    holds(&front);
    let source = until("a line", PATIENCE, || {
        let lines = front.audit();
        let line = lines.iter().rev().find(|line| line["operation"] == "crl")?;
        line["source"].as_str().map(str::to_owned)
    });
    assert_eq!(source, "stale");
    // And killed: what was there before is.
    front.restart(Signal::KILL);
    holds(&front);

    // A list that was changed, a file of the other mount, one that nobody wrote: none of them is given out, and the log says so.
    let list = file_of(&front, "builtin", "crl-").expect("it was asked for");
    let mut octets = fs::read(&list).expect("a file");
    let middle = octets.len() - 20;
    octets[middle] ^= 1;
    let [ours, theirs] = ["ours", "builtin"]
        .map(|mount| file_of(&front, mount, "default").expect("it was asked for"));
    front.signal(Signal::STOP);
    fs::write(&list, octets).expect("written");
    fs::copy(&ours, &theirs).expect("copied");
    fs::write(front.dir().join("cache/notes"), "x").expect("written");
    front.restart(Signal::KILL);
    let log = front.log();
    for told in [
        "its content is not what was written",
        "it is of another mount",
        "1 files are none of this program",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    for path in ["crl", "ca", "issuer/first/crl"] {
        is_later(&get(&front, "builtin", path));
        assert_eq!(status(&get(&front, "ours", path)), 200, "{path}");
    }

    // It mends by itself, on disk too.
    server.unseal();
    for (mount, ..) in &asked {
        until("the server's own", PATIENCE, || {
            let all = PATHS.map(|path| status(&get(&front, mount, path)));
            (all == [200; 9]).then_some(())
        });
    }
    until("the files", Duration::from_secs(40), || {
        let there = ["default", "index", "issuer-", "crl-"]
            .map(|what| file_of(&front, "builtin", what).is_some());
        (there == [true; 4]).then_some(())
    });
    client.write("sys/seal", json!({})).ok();
    front.restart(Signal::TERM);
    for path in PATHS {
        assert_eq!(status(&get(&front, "builtin", path)), 200, "{path}");
    }
}

#[test]
fn what_ended_before_a_restart_is_not_there_after_it() {
    let server = server(Release::Current);
    let client = server.client();
    let mut front = front(&server);
    for (mount, _) in MOUNTS {
        let long = get(&front, mount, "crl");
        let short = json!({"expiry": "8s", "ocsp_expiry": "8s"});
        client.write(&format!("{mount}/config/crl"), short).ok();
        until("a short list", PATIENCE, || {
            client.read(&format!("{mount}/crl/rotate")).ok();
            let got = get(&front, mount, "crl");
            (status(&got) == 200 && body(&got) != body(&long)).then_some(())
        });
    }
    client.write("sys/seal", json!({})).ok();
    front.restart(Signal::TERM);
    for (mount, _) in MOUNTS {
        until("the end of the list", PATIENCE, || {
            (status(&get(&front, mount, "crl")) != 200).then_some(())
        });
    }
    front.restart(Signal::TERM);
    for (mount, _) in MOUNTS {
        is_later(&get(&front, mount, "crl"));
        assert_eq!(status(&get(&front, mount, "ca")), 200, "the CA is valid");
    }
    assert!(
        files(&front)
            .iter()
            .all(|path| !path.to_string_lossy().contains(".crl-")),
        "what is over is taken away"
    );
}
