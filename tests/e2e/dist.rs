//! What `make dist` gives out: the same each time, complete, and a package that comes and goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs a program to its good end.
fn ran(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn said(command: &mut Command) -> String {
    String::from_utf8_lossy(&ran(command).stdout).into_owned()
}

/// Everything out of the binary under test, in a new folder.
fn dist(mask: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("umask {mask}; exec scripts/dist.sh");
    ran(Command::new("bash")
        .args(["-c", &script])
        .current_dir(root)
        .env("LANDFAST", env!("CARGO_BIN_EXE_landfast"))
        .env("DIST_DIR", folder.path().join("dist"))
        .env_remove("SOURCE_DATE_EPOCH"));
    folder
}

/// The only file with this ending.
fn only(folder: &Path, end: &str) -> PathBuf {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found = paths.filter(|path| path.to_string_lossy().ends_with(end));
    let path = found
        .next()
        .unwrap_or_else(|| panic!("no {end} in {}", folder.display()));
    assert!(found.next().is_none(), "several {end}");
    path
}

#[test]
fn what_is_given_out_is_complete_and_the_same_each_time() {
    let (first, second) = (dist("022"), dist("077"));
    let (first, second) = (first.path().join("dist"), second.path().join("dist"));
    let sums = |folder: &Path| fs::read_to_string(folder.join("SHA256SUMS")).expect("sums");
    assert_eq!(
        sums(&first),
        sums(&second),
        "another umask and another folder"
    );
    assert_eq!(sums(&first).lines().count(), 3, "{}", sums(&first));
    ran(Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&first));

    let archive = only(&first, ".tar.gz");
    let listed = said(Command::new("tar").arg("-tvzf").arg(&archive));
    let version = env!("CARGO_PKG_VERSION");
    let arch = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    for file in [
        "landfast",
        "landfast.cdx.json",
        "THIRD-PARTY-LICENSES.txt",
        "LICENSE",
        "CHANGELOG.md",
        "man/landfast.1",
        "man/landfast-credential-process.1",
        "completions/landfast.bash",
        "completions/_landfast",
        "completions/landfast.fish",
        "systemd/landfast-unseal.service",
        "systemd/landfast-renew.timer",
    ] {
        let path = format!(" landfast-{version}-linux-{arch}/{file}\n");
        assert!(listed.contains(&path), "{path}: {listed}");
    }
    assert!(
        listed.lines().all(|line| line.contains(" 0/0 ")),
        "{listed}"
    );

    installs_and_removes_cleanly(&only(&first, ".deb"));

    // What was unpacked works, and registers itself with the sum that was given out.
    let folder = tempfile::tempdir().expect("a temporary folder");
    ran(Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path()));
    let unpacked = folder
        .path()
        .join(format!("landfast-{version}-linux-{arch}"));
    let registered = said(Command::new(unpacked.join("landfast")).args(["register", "--json"]));
    let registered: Value = serde_json::from_str(&registered).expect("JSON");
    let sum = registered["sha256"].as_str().expect("a sum");
    assert!(
        sums(&first).contains(&format!("{sum}  landfast-{version}")),
        "{sum}"
    );

    let bill: Value = serde_json::from_str(
        &fs::read_to_string(unpacked.join("landfast.cdx.json")).expect("an SBOM"),
    )
    .expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["version"], version);
    let named = |name: &str| {
        let components = bill["components"].as_array().expect("a list");
        components.iter().any(|one| one["name"] == name)
    };
    assert!(
        named("aws-lc-rs") && named("tokio") && !named("proptest"),
        "what is linked, and no more"
    );
    let texts = fs::read_to_string(unpacked.join("THIRD-PARTY-LICENSES.txt")).expect("texts");
    assert!(texts.contains("\naws-lc-sys ") && texts.contains("Apache License"));
}

/// Files below a folder with their content, but for what dpkg keeps for itself.
fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .strip_prefix(root)
                .expect("below it")
                .display()
                .to_string();
            if name == "var/lib/dpkg" || name == "var/log" {
                continue;
            }
            if path.is_dir() {
                found.insert(name, Vec::new());
                todo.push(path);
            } else {
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// The package comes and goes, on a root of its own: nothing of this machine is touched.
fn installs_and_removes_cleanly(package: &Path) {
    let root = tempfile::tempdir().expect("a temporary folder");
    for folder in [
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "var/lib/dpkg/triggers",
    ] {
        fs::create_dir_all(root.path().join(folder)).expect("a fresh folder");
    }
    fs::write(root.path().join("var/lib/dpkg/status"), "").expect("a fresh folder");
    let before = tree(root.path());
    let dpkg = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", root.path().display()))
            // No libc6 lies there, and scripts run outside, told of the root.
            .args([
                "--force-depends",
                "--force-script-chrootless",
                "--force-not-root",
            ])
            .args(arguments);
        said(&mut command)
    };
    let path = package.to_str().expect("a temporary path is text");
    dpkg(&["--install", path]);
    let status = dpkg(&["--status", "landfast"]);
    assert!(status.contains("Status: install ok installed"), "{status}");
    assert!(status.contains("Depends: libc6 (>= 2."), "{status}");
    assert!(
        dpkg(&["--verify", "landfast"]).is_empty(),
        "files are as the package has them"
    );

    let there = |file: &str| root.path().join(file);
    let version = said(Command::new(there("usr/bin/landfast")).arg("--version"));
    assert!(version.starts_with("landfast "), "{version}");
    let unit = fs::read_to_string(there("usr/lib/systemd/system/landfast-unseal.service"))
        .expect("a unit");
    assert!(
        unit.contains("ExecStart=/usr/bin/landfast ") && !unit.contains("/usr/local/"),
        "{unit}"
    );
    let page = said(Command::new("zcat").arg(there("usr/share/man/man1/landfast-enroll.1.gz")));
    assert!(page.contains(".SH \"EXIT STATUS\""), "{page}");

    // What the shell offers behind `landfast en`.
    let completion = there("usr/share/bash-completion/completions/landfast");
    let script = format!(
        "source {}; COMP_WORDS=(landfast en); COMP_CWORD=1; _landfast landfast en landfast; echo \"${{COMPREPLY[@]}}\"",
        completion.display()
    );
    assert_eq!(
        said(Command::new("bash").args(["-c", &script])).trim(),
        "enroll"
    );

    dpkg(&["--purge", "landfast"]);
    assert_eq!(tree(root.path()), before, "nothing stays");
}

/// The manual pages are clean roff, in the eyes of the program that shows them.
#[test]
fn manual_pages_are_without_warnings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    ran(Command::new(env!("CARGO_BIN_EXE_landfast"))
        .arg("manual")
        .arg(folder.path()));
    let pages = fs::read_dir(folder.path().join("man")).expect("pages");
    let mut seen = 0;
    for page in pages {
        let page = page.expect("an entry").path();
        let output = ran(Command::new("groff")
            // "cannot adjust line" is about the width of the paper.
            .args(["-man", "-Tutf8", "-ww", "-W", "break", "-z"])
            .arg(&page));
        assert!(output.stderr.is_empty(), "{}: {output:?}", page.display());
        seen += 1;
    }
    assert!(seen > 20, "{seen} pages");
    let shown = said(
        Command::new("groff")
            .args(["-man", "-Tascii"])
            .arg(folder.path().join("man/landfast-lab.1")),
    );
    assert!(
        shown.contains("curl http://127.0.0.1:9912/lab/calls"),
        "{shown}"
    );
}
