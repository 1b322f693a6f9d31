//! The page on clusters, on three nodes.

use crate::support::{Cluster, Page, Release, commands, ran, shell};

#[test]
fn clusters_md() {
    let cluster = Cluster::of(3);
    let home = tempfile::tempdir().expect("a folder");
    let bin = commands(home.path(), &Release::Current.binary(), "bao");
    let script = Page::read("docs/clusters.md").script();
    let mut command = shell(&script, home.path(), &[&bin]);
    for (name, node) in ["BAO_ADDR", "SECOND", "THIRD"].iter().zip(&cluster.nodes) {
        command.env(name, node.address());
    }
    let (printed, said) = ran(command
        .env("VAULT_ADDR", cluster.nodes[0].address())
        .env("BAO_TOKEN", cluster.token())
        .env("VAULT_TOKEN", cluster.token()));
    // A certificate of each node, and the CA that each of them answered under the other engine.
    assert_eq!(
        printed.matches("BEGIN CERTIFICATE").count(),
        6,
        "{printed}\n{said}"
    );
    let back = cluster
        .client(1)
        .read("sys/mounts/old")
        .ok()
        .text("running_plugin_version");
    assert!(
        back.ends_with(Release::Current.program().built_in()),
        "{back}"
    );
}
