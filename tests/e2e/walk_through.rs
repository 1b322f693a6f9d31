//! The walk-through page, as it is written, on a real server.

use crate::support::{Release, Server, free_port, script_of, shell};

#[test]
fn the_page_runs_as_written() {
    let server = Server::bare_dev(Release::Current);
    let client = server.client();
    // The page's port may be taken here.
    let script = script_of("walk-through.md").replace("9912", &free_port().to_string());
    let dir = tempfile::tempdir().expect("a folder");
    let bao = Release::Current.binary();
    // The page calls the server's command by its name; that of Vault has another.
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a fresh folder");
    std::os::unix::fs::symlink(bao, bin.join("bao")).expect("a fresh folder");
    let output = shell(&script, dir.path(), &[&bin])
        .env("BAO_ADDR", client.address())
        .env("VAULT_ADDR", client.address())
        .env("BAO_TOKEN", client.token())
        .env("VAULT_TOKEN", client.token())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}\n{said}");
    // Four sessions were opened, in every state of the anchor; the last one
    // was refused.
    assert_eq!(
        printed.matches("\"AccessKeyId\":\"ASIALAB").count(),
        4,
        "{printed}"
    );
    assert!(printed.contains("nodeconfig-node-1.yaml"), "{printed}");
    assert_eq!(printed.matches(": applied\n").count(), 4, "{printed}");
    assert!(said.contains("unexpired and unrevoked"), "{said}");
    assert!(said.contains("Certificate revoked"), "{said}");
    assert!(said.contains("if the node is to come back"), "{said}");
}
