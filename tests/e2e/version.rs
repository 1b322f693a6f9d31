//! `landfast --version` names the commit, wherever the sources come from.

use std::fs;
use std::path::Path;
use std::process::Command;

#[path = "../../build.rs"]
#[allow(dead_code)] // Its `main` is cargo's to run.
mod build;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.com",
            "-C",
        ])
        .arg(folder)
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned()
}

/// A repository with the file that `git archive` writes the commit into, and its commit.
fn repository() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fs::create_dir(root.join("src")).expect("a fresh folder");
    for (name, source) in [
        (".gitattributes", include_str!("../../.gitattributes")),
        ("src/commit.txt", include_str!("../../src/commit.txt")),
        ("src/main.rs", "fn main() {}\n"),
    ] {
        fs::write(root.join(name), source).expect("a fresh folder");
    }
    git(root, &["init", "--quiet"]);
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "--message", "One"]);
    let commit = git(root, &["rev-parse", "HEAD"])[..12].to_owned();
    (folder, commit)
}

#[test]
fn the_binary_names_its_version_and_its_commit() {
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .arg("--version")
        .output()
        .expect("the binary under test runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let wanted = format!(
        "landfast {} (commit {})\n",
        env!("CARGO_PKG_VERSION"),
        env!("LANDFAST_COMMIT")
    );
    assert_eq!(text, wanted);
}

/// A crate that is left out could be changed without a word of it.
#[test]
fn every_crate_of_the_workspace_is_a_source() {
    let manifest = include_str!("../../Cargo.toml");
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "));
    let members: Vec<String> =
        serde_json::from_str(members.expect("a workspace")).expect("a list of texts");
    assert!(members.len() > 10, "{members:?}");
    for member in members {
        assert!(build::SOURCES.contains(&member.as_str()), "{member}");
    }
}

#[test]
fn a_repository_names_its_commit_and_whether_it_was_changed() {
    let (folder, commit) = repository();
    assert_eq!(build::commit(folder.path(), None), commit);
    fs::write(folder.path().join("notes"), "not a source").expect("our own folder");
    assert_eq!(build::commit(folder.path(), None), commit);
    fs::write(folder.path().join("src/main.rs"), "fn main() { }\n").expect("our own folder");
    assert_eq!(
        build::commit(folder.path(), None),
        format!("{commit}-modified")
    );
    let given = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(build::commit(folder.path(), Some(given)), "0123456789ab");
}

#[test]
fn a_source_archive_names_its_commit_without_git() {
    let (folder, commit) = repository();
    // The archive is unpacked inside of another repository, whose commit is not ours.
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a fresh folder");
    let archive = folder.path().join("sources.tar");
    git(
        folder.path(),
        &[
            "archive",
            "--output",
            archive.to_str().expect("text"),
            "HEAD",
        ],
    );
    let status = Command::new("tar")
        .arg("-xf")
        .arg(&archive)
        .arg("-C")
        .arg(&unpacked)
        .status();
    assert!(status.expect("tar runs").success());
    assert_eq!(build::commit(&unpacked, None), commit);
    // Sources that nobody put a commit into.
    fs::remove_file(unpacked.join("src/commit.txt")).expect("it is there");
    assert_eq!(build::commit(&unpacked, None), "unknown");
}
