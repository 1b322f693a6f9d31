//! Every command of every page runs as it is written, or says why it does not.
//! Real servers, and stand-ins for what belongs to AWS: the lab for Roles
//! Anywhere, ministack for AWS KMS.

mod clusters;
mod first_steps;
mod keys;
mod roads;

use std::path::Path;
use std::process::Command;

use crate::support::{Page, Release, Server, commands, shell};

/// The pages with commands, each with the test that runs them: those of
/// docs/compose.md want Docker, and tests/compose/test.py runs them.
const PAGES: [&str; 15] = [
    "README.md",
    "docs/auto-unseal.md",
    "docs/acme.md",
    "docs/ca-keys.md",
    "docs/clusters.md",
    "docs/compose.md",
    "docs/est.md",
    "docs/install.md",
    "docs/nodes.md",
    "docs/operators.md",
    "docs/post-quantum.md",
    "docs/public.md",
    "docs/roles-anywhere.md",
    "docs/vault.md",
    "docs/walk-through.md",
];

/// Pages whose commands are those that run the tests.
const OTHERS: [&str; 1] = ["CONTRIBUTING.md"];

/// What a line of a block begins with when it is a command.
const COMMANDS: [&str; 14] = [
    "aws ",
    "bao ",
    "cargo ",
    "curl ",
    "git ",
    "install ",
    "kubectl ",
    "landfast ",
    "make ",
    "openssl ",
    "pip ",
    "sudo ",
    "systemctl ",
    "vault ",
];

/// A shell for a page, with the server's address and token, and with its command under `bao`.
fn on(server: &Server, script: &str, home: &Path) -> Command {
    with(server, "bao", script, home)
}

/// The same with the server's command under this name.
fn with(server: &Server, name: &str, script: &str, home: &Path) -> Command {
    let client = server.client();
    let bin = commands(home, &Release::Current.binary(), name);
    let mut command = shell(script, home, &[&bin]);
    for (name, value) in [("ADDR", client.address()), ("TOKEN", client.token())] {
        command.env(format!("BAO_{name}"), value);
        command.env(format!("VAULT_{name}"), value);
    }
    command
}

#[test]
fn no_command_of_a_page_is_left_untried_without_a_reason() {
    for path in PAGES.iter().chain(&OTHERS) {
        for block in Page::read(path).blocks() {
            let place = format!("{path}:{}", block.line);
            let (language, more) = block.info.split_once(' ').unwrap_or((&block.info, ""));
            assert!(
                ["sh", "text", "json", "hcl", "ini", "rust"].contains(&language),
                "{place}: no language, or one that readers of this page do not know: {:?}",
                block.info
            );
            assert!(
                language != "sh" || PAGES.contains(path),
                "{place}: no test runs this page"
            );
            let command = block
                .text
                .lines()
                .find(|line| COMMANDS.iter().any(|name| line.starts_with(name)));
            if let Some(command) = command
                && language != "sh"
            {
                assert!(
                    more.strip_prefix("not run: ")
                        .is_some_and(|reason| reason.len() > 5),
                    "{place}: {command:?} is not run, and the block does not say why (```text not run: …)"
                );
            }
        }
    }
}

/// A page that is in neither list is read by nobody here.
#[test]
fn every_page_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("the pages are in the repository");
    let pages = docs
        .map(|entry| {
            entry
                .expect("a readable folder")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"));
    for page in pages.chain(["README.md".to_owned()]) {
        let known = PAGES.iter().chain(&OTHERS).any(|listed| *listed == page);
        let text = std::fs::read_to_string(root.join(&page)).expect("a page");
        assert!(
            known || !text.contains("```"),
            "{page} has blocks, and is in no list of this test"
        );
    }
}
