//! Tells the binary which commit it is built from, for `landfast --version`.
//!
//! The same sources always give the same text: no time, no host, no network.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of.
pub(crate) const SOURCES: [&str; 18] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "acme",
    "base",
    "build.rs",
    "cel",
    "lab",
    "listen",
    "node",
    "pki",
    "plugin",
    "proto",
    "public",
    "rolesanywhere",
    "sdk",
    "src",
    "unseal",
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-env-changed=LANDFAST_COMMIT");
    for path in SOURCES
        .iter()
        .map(|source| root.join(source))
        .chain(heads(&root))
    {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let commit = commit(&root, env::var("LANDFAST_COMMIT").ok().as_deref());
    println!("cargo::rustc-env=LANDFAST_COMMIT={commit}");
}

/// The commit of the sources in `root`: what the builder says (`LANDFAST_COMMIT`), what `git archive` wrote into
/// `src/commit.txt`, or what the repository says, with `-modified` if the sources are not those of the commit. Else
/// `unknown`.
pub(crate) fn commit(root: &Path, given: Option<&str>) -> String {
    let archived = fs::read_to_string(root.join("src/commit.txt")).unwrap_or_default();
    if let Some(known) = given.into_iter().chain([archived.trim()]).find_map(short) {
        return known;
    }
    let Some(head) = git(root, &["rev-parse", "HEAD"]).as_deref().and_then(short) else {
        return "unknown".to_owned();
    };
    let changes = ["status", "--porcelain", "--untracked-files=no", "--"];
    let changes: Vec<&str> = changes.into_iter().chain(SOURCES).collect();
    match git(root, &changes).as_deref() {
        Some("") => head,
        _ => format!("{head}-modified"),
    }
}

/// The first twelve digits of a commit's id. Git's own abbreviation has another length in another clone.
fn short(id: &str) -> Option<String> {
    let digits = id.len() >= 7 && id.chars().all(|c| c.is_ascii_hexdigit());
    digits.then(|| id.chars().take(12).collect())
}

/// What changes with the commit.
fn heads(root: &Path) -> Vec<PathBuf> {
    // A path that is not there would run this script at every build.
    ["HEAD", "logs/HEAD"]
        .iter()
        .filter_map(|name| git(root, &["rev-parse", "--git-path", name]))
        .map(|path| root.join(path))
        .filter(|path| path.exists())
        .collect()
}

/// What git says of the repository whose root this is. A source archive may lie within another repository.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let run = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    let top = PathBuf::from(run(&["rev-parse", "--show-toplevel"])?);
    (fs::canonicalize(top).ok()? == fs::canonicalize(root).ok()?).then_some(())?;
    run(arguments)
}
