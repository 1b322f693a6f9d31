//! Two users: root enrols and renews in directories of another user.

use std::os::unix::fs::{chown, symlink};
use std::path::Path;

use super::*;

/// `nobody`: neither root nor anybody else of this machine.
const OTHER: u32 = 65_534;

/// Without root these tests would pass by looking at nothing, so they fail.
fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test works as root in directories of another user: run it as root, as CI does"
    );
}

fn give(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("root may give everything away");
}

fn refused(command: &mut Command, code: i32, part: &str) {
    let (found, told) = failure(command);
    assert_eq!(found, code, "{told}");
    assert!(told.contains(part), "{part}: {told}");
}

/// Nobody listens at this address: what is refused is refused before.
const NOWHERE: [&str; 4] = ["--address", "http://127.0.0.1:1", "--node-name", NODE];

#[test]
fn secrets_keys_and_hooks_of_another_user_are_refused_before_a_server_is_asked() {
    needs_root();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let landfast = |command: &str| {
        let mut landfast = Command::new(env!("CARGO_BIN_EXE_landfast"));
        landfast
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .arg(command)
            .args(NOWHERE);
        landfast.arg("--certificate").arg(path("pki/server.pem"));
        landfast.arg("--private-key").arg(path("pki/server.key"));
        landfast
    };
    let own = path("token");
    fs::write(&own, "s.own").expect("a fresh folder");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).expect("our own file");
    refused(
        landfast("enroll").arg("--token-file").arg(&own),
        3,
        "no answer from",
    );

    // A token, a role id, a secret id and a signed token, as they are and behind a link.
    let foreign = path("foreign");
    fs::write(&foreign, "s.foreign").expect("a fresh folder");
    give(&foreign);
    let link = path("link");
    symlink(&foreign, &link).expect("a fresh name");
    for file in [&foreign, &link] {
        let file = file.to_str().expect("a text");
        for login in [
            &["--token-file", file][..],
            &["--auth", "wrapped", "--token-file", file],
            &["--auth", "approle", "--role-id-file", file],
            &[
                "--auth",
                "approle",
                "--role-id",
                "r",
                "--secret-id-file",
                file,
            ],
            &["--auth", "jwt", "--auth-role", "r", "--jwt-file", file],
        ] {
            for command in ["enroll", "renew"] {
                refused(landfast(command).args(login), 1, "belongs to user 65534");
            }
        }
    }

    let token = ["--token-file", own.to_str().expect("a text")];
    // A hook that another user may change.
    let hook = path("hook.sh");
    fs::write(&hook, "#!/bin/sh\ntouch \"$0.ran\"\n").expect("a fresh folder");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("our own file");
    let with_hook = || {
        let mut renew = landfast("renew");
        renew.args(token).arg("--hook").arg(&hook);
        renew
    };
    refused(&mut with_hook(), 3, "no answer from");
    give(&hook);
    refused(&mut with_hook(), 4, "belongs to user 65534");
    assert!(!path("hook.sh.ran").exists());

    // A key that another user put there is not certified.
    fs::create_dir(path("pki")).expect("a fresh folder");
    let data = format!("{}/node/tests/data/pki/ec-leaf", env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [("crt", "pem"), ("key", "key")] {
        let to = path(&format!("pki/server.{to}"));
        fs::copy(format!("{data}.{from}"), &to).expect("a fresh folder");
        give(&to);
    }
    refused(landfast("renew").args(token), 4, "EE-06");
    refused(
        landfast("renew").args(token).arg("--rotate-key"),
        3,
        "no answer from",
    );

    // Links that another user put where the pair is to be: root's own files would be
    // copied for all to read.
    let theirs = path("theirs");
    fs::create_dir(&theirs).expect("a fresh folder");
    give(&theirs);
    for name in ["server.pem", "server.key"] {
        symlink(&own, theirs.join(name)).expect("a fresh name");
    }
    let mut led = Command::new(env!("CARGO_BIN_EXE_landfast"));
    led.env_clear().arg("enroll").args(NOWHERE).args(token);
    led.arg("--rotate-key").arg("--certificate");
    led.arg(theirs.join("server.pem")).arg("--private-key");
    refused(led.arg(theirs.join("server.key")), 1, "is not followed");

    // A store that is theirs, or leads elsewhere.
    let store = path("pki/.landfast");
    fs::create_dir(&store).expect("a fresh folder");
    give(&store);
    refused(
        landfast("enroll").args(token).arg("--rotate-key"),
        1,
        "belongs to user 65534",
    );
    fs::remove_dir(&store).expect("an empty folder");
    symlink(dir.path(), &store).expect("a fresh name");
    refused(
        landfast("enroll").args(token).arg("--rotate-key"),
        1,
        "is a link",
    );
}

/// Who may not write where the pair is to be hears it before the server signs anything.
#[test]
fn a_directory_that_cannot_be_written_is_told_before_a_server_is_asked() {
    use std::os::unix::process::CommandExt as _;

    needs_root();
    // Another user may not even reach the place where the binary was built.
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path(), open).expect("our own folder");
    let binary = dir.path().join("landfast");
    fs::copy(env!("CARGO_BIN_EXE_landfast"), &binary).expect("a fresh folder");
    let token = dir.path().join("token");
    fs::write(&token, "s.theirs").expect("a fresh folder");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("our own file");
    give(&token);
    for below in ["", "iam/pki/"] {
        let file = |name: &str| dir.path().join(format!("{below}{name}"));
        let mut enroll = Command::new(&binary);
        enroll.env_clear().uid(OTHER).gid(OTHER).arg("enroll");
        enroll.args(NOWHERE).arg("--token-file").arg(&token);
        enroll.arg("--certificate").arg(file("server.pem"));
        enroll.arg("--private-key").arg(file("server.key"));
        refused(
            &mut enroll,
            1,
            "nothing can be written here (Permission denied",
        );
    }
}

/// The directory is another user's: root serves it, warns, and is not led out
/// of it when a hook fails.
#[test]
fn root_renews_in_a_directory_of_another_user_and_rolls_back_there_only() {
    needs_root();
    let site = Site::new(Server::dev());
    fs::create_dir(site.path("pki")).expect("a fresh folder");
    give(&site.path("pki"));
    let first = site.enroll(&[]);
    let told = first["warnings"].to_string();
    assert!(told.contains("EE-06") && told.contains("65534"), "{told}");
    let good = site.certificate();
    let renew = || {
        let mut renew = site.node("renew");
        renew.args(["--now", "--hook", "false"]);
        renew
    };
    refused(&mut renew(), 1, "the former pair is back in place");
    assert_eq!(site.certificate(), good);

    // The owner replaces the store by a link to a tree of root's.
    let victim = tempfile::tempdir().expect("a temporary folder");
    for name in ["0000000000000001", "0000000000000002"] {
        let version = victim.path().join(name);
        fs::create_dir(&version).expect("a fresh folder");
        fs::write(version.join("kept"), "kept").expect("a fresh folder");
    }
    symlink("0000000000000002", victim.path().join("current")).expect("a fresh name");
    let store = site.path("pki/.landfast");
    fs::rename(&store, site.path("pki/aside")).expect("the owner may");
    symlink(victim.path(), &store).expect("a fresh name");
    refused(&mut renew(), 1, "is a link");
    for name in ["0000000000000001", "0000000000000002"] {
        assert!(victim.path().join(name).join("kept").exists(), "{name}");
    }
    assert_eq!(fs::read_dir(victim.path()).expect("a folder").count(), 3);
}
