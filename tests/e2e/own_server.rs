//! A server of one's own is one variable, and what is left out on Vault is named.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::support::Release;

/// The names of these tests.
fn names() -> BTreeSet<String> {
    let output = Command::new(std::env::current_exe().expect("the test program"))
        .args(["--list", "--format=terse"])
        .output()
        .expect("the test program runs");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines()
        .filter_map(|line| line.strip_suffix(": test").map(str::to_owned))
        .collect()
}

#[test]
fn each_variable_takes_a_server_of_ones_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = dir.path().join("my server");
    if fs::hard_link(Release::Current.binary(), &own).is_err() {
        fs::copy(Release::Current.binary(), &own).expect("room for a server");
    }
    for variable in ["BAO_BIN", "VAULT_BIN"] {
        let run = || {
            let output = Command::new(std::env::current_exe().expect("the test program"))
                .args([
                    "--exact",
                    "lifecycle::several_mounts_share_one_process_and_no_state",
                ])
                .env_remove("BAO_BIN")
                .env_remove("VAULT_BIN")
                .env(variable, &own)
                .output()
                .expect("the test program runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.success(), text)
        };
        let (passed, text) = run();
        assert!(passed && text.contains("1 passed"), "{variable}: {text}");
        // That server it is, and no other.
        let away = dir.path().join("away");
        fs::rename(&own, &away).expect("our own file");
        let (passed, text) = run();
        assert!(!passed && text.contains("my server"), "{variable}: {text}");
        fs::rename(&away, &own).expect("our own file");
    }
}

#[test]
fn what_is_left_out_on_vault_is_there_and_has_a_reason() {
    let names = names();
    for line in include_str!("not-on-vault.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (name, reason) = line.split_once(' ').expect("a name and a reason");
        assert!(reason.trim().len() > 10, "{line}");
        let begins = names.iter().any(|known| known.starts_with(name));
        assert!(begins, "no test begins with {name}");
        // `--skip` looks for the text anywhere.
        let elsewhere: Vec<_> = names
            .iter()
            .filter(|known| known.contains(name) && !known.starts_with(name))
            .collect();
        assert!(elsewhere.is_empty(), "{name} also leaves out {elsewhere:?}");
    }
}

#[test]
fn the_script_names_what_it_leaves_out_on_vault() {
    let dir = tempfile::tempdir().expect("a folder");
    let cargo = dir.path().join("cargo");
    fs::write(&cargo, "#!/bin/sh\necho \"cargo $*\"\n").expect("a fresh folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&cargo, mode).expect("our own file");
    let run = |server: &str| {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test.sh"))
            .env_remove("BAO_BIN")
            .env_remove("VAULT_BIN")
            .env("CARGO", &cargo)
            .env(server, "/opt/a/server")
            .output()
            .expect("the script runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let vault = run("VAULT_BIN");
    assert!(
        vault.contains("test: left out on Vault: compat:: (they compare"),
        "{vault}"
    );
    assert!(vault.contains(" --skip compat:: --skip "), "{vault}");
    assert_eq!(run("BAO_BIN"), "cargo test --locked --workspace --\n");
}
