//! The plugin in the place of the seal that was once built in, and back.

use std::time::Duration;

use super::fake_aws::{Call, Fault, MULTI_REGION_KEY, OTHER_KEY, REGION, UNSEAL_KEY, arn};
use super::host::{Host, alive, fake, kill, seal, seal_by};
use crate::support::{Release, until};

#[test]
fn data_of_the_built_in_seal_opens_without_a_rewrap() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Previous, &seal(&fake, ""));
    host.init();
    host.write_secret("from the built-in seal");
    host.stop();
    fake.take_operations();

    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.await_active();
    assert_eq!(host.secret(), "from the built-in seal");
    // The second probe follows the step to active, a moment after health says so.
    let enough = || (fake.calls().len() >= 4).then_some(());
    until("four calls", Duration::from_secs(10), enough);
    assert_eq!(
        fake.take_operations(),
        ["DescribeKey", "Decrypt", "Encrypt", "Encrypt"]
    );
    assert!(!host.log().contains("upgrading stored keys"), "rewrapped");
    let status = host.client().read("sys/seal-status").ok().body;
    assert_eq!(status["type"], "awskms");
}

#[test]
fn data_that_the_plugin_wrapped_opens_with_the_built_in_seal() {
    let fake = fake();
    let mut host = Host::new();
    // On the older release the plugin stands in front of the built-in of the same name.
    host.start(Release::Previous, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    assert_eq!(host.plugins().len(), 1, "the plugin is the seal");
    host.write_secret("from the plugin");
    host.stop();

    host.start(Release::Previous, &seal(&fake, ""));
    host.await_active();
    assert!(host.plugins().is_empty(), "the built-in is the seal");
    assert_eq!(host.secret(), "from the plugin");
    assert!(!host.log().contains("upgrading stored keys"), "rewrapped");
}

#[test]
fn a_moved_alias_and_another_key_rewrap_and_then_the_old_key_can_go() {
    let fake = fake();
    let mut host = Host::new();
    let plugin = host.plugin("");
    host.start(Release::Current, &(plugin.clone() + &seal(&fake, "")));
    host.init();
    host.write_secret("precious");
    host.stop();

    fake.move_alias("alias/bao-unseal", OTHER_KEY);
    host.start(
        Release::Current,
        &(plugin.clone() + &seal(&fake, "strict_key = true")),
    );
    host.await_active();
    until("both blobs rewrapped", Duration::from_secs(20), || {
        let log = host.log();
        (log.contains("upgrading stored keys") && log.contains("upgrading recovery key"))
            .then_some(())
    });
    assert!(
        host.log().contains("wrapped by another key"),
        "the plugin says so"
    );
    host.stop();
    fake.set_state(UNSEAL_KEY, "PendingDeletion");

    host.start(
        Release::Current,
        &(plugin + &seal_by(&fake, &arn(REGION, OTHER_KEY), "")),
    );
    host.await_active();
    assert_eq!(host.secret(), "precious");
}

#[test]
fn a_killed_plugin_comes_back_and_a_killed_server_leaves_none() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    let before = host.plugins();
    before.iter().copied().for_each(kill);
    // The next use of the seal, a snapshot's checksum, starts it again. One that meets the death itself may fail.
    until("a snapshot", Duration::from_secs(20), || {
        let snapshot = host
            .client()
            .try_call("GET", "sys/storage/raft/snapshot", None);
        let whole = snapshot.is_ok_and(|reply| reply.status == 200) && host.plugins().len() == 1;
        (whole && host.plugins() != before).then_some(())
    });
    let after = host.plugins();
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");

    host.crash();
    until("no orphan", Duration::from_secs(10), || {
        (!alive(after[0])).then_some(())
    });
}

/// The server waits for the plugin, the plugin for AWS KMS, and the server dies.
#[test]
fn a_server_that_is_killed_while_its_seal_opens_leaves_no_plugin() {
    let fake = fake();
    let mut host = Host::new();
    fake.fail("*", Fault::Hang, usize::MAX);
    host.start_unheard(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    until("the look-up of the key", Duration::from_secs(20), || {
        let asked = |call: &Call| call.operation == "DescribeKey";
        fake.calls().iter().any(asked).then_some(())
    });
    let plugins = host.plugins();
    assert_eq!(plugins.len(), 1, "{plugins:?}");
    host.crash();
    // Well before the plugin's own limits would end what it is about.
    until("no orphan", Duration::from_secs(2), || {
        (!alive(plugins[0])).then_some(())
    });
}

#[test]
fn a_reload_starts_a_new_plugin_under_the_same_seal() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    let before = host.plugins();
    host.reload(
        Release::Current,
        &(host.plugin("env = [\"ROUND=2\"]") + &seal(&fake, "")),
    );
    until("the old plugin is gone", Duration::from_secs(20), || {
        (!alive(before[0])).then_some(())
    });
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
    assert_eq!(host.plugins().len(), 1);
    assert_ne!(host.plugins(), before);
}

#[test]
fn a_new_binary_is_taken_up_by_a_reload_and_no_other_change_is() {
    let fake = fake();
    let mut host = Host::new();
    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("kept");
    let before = host.plugins();
    let old = host.binary_of(before[0]);

    // A new file under the old sum: what runs goes on, and nothing takes its place once it is gone.
    host.replace_plugin();
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
    before.iter().copied().for_each(kill);
    until("the death in the log", Duration::from_secs(20), || {
        host.log().contains("plugin process exited").then_some(())
    });
    let _ = host
        .client()
        .try_call("GET", "sys/storage/raft/snapshot", None);
    assert!(
        host.plugins().is_empty(),
        "a file of another sum is not run"
    );
    assert_eq!(host.secret(), "kept");

    // The new sum, and a key that does not exist: the seal is made with the options of the server's start.
    fake.take_operations();
    host.reload(
        Release::Current,
        &(host.plugin("") + &seal_by(&fake, "alias/absent", "")),
    );
    until("a snapshot", Duration::from_secs(20), || {
        let snapshot = host
            .client()
            .try_call("GET", "sys/storage/raft/snapshot", None);
        snapshot
            .is_ok_and(|reply| reply.status == 200 && host.plugins().len() == 1)
            .then_some(())
    });
    let calls = fake.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.key_id.as_deref() != Some("alias/absent")),
        "{calls:?}"
    );
    assert_ne!(host.binary_of(host.plugins()[0]), old);
    assert_eq!(host.secret(), "kept");
}

#[test]
fn a_replica_in_another_region_opens_rewraps_and_stands_in() {
    let fake = fake();
    let mut host = Host::new();
    let plugin = host.plugin("");
    let in_region = |region: &str, more: &str| {
        let stanza = seal_by(&fake, MULTI_REGION_KEY, more);
        plugin.clone() + &stanza.replace(REGION, region)
    };
    host.start(Release::Current, &in_region(REGION, ""));
    host.init();
    host.write_secret("everywhere");
    host.stop();

    // The home Region is out at the start: another opens.
    let url = fake.url();
    let fallback = format!("fallback_regions = \"us-east-1={url},eu-west-1={url}\"");
    let out = Fault::Error("KMSInternalException", 500);
    fake.fail_in(REGION, "*", out.clone(), usize::MAX);
    fake.fail_in("us-east-1", "*", out, usize::MAX);
    host.start(Release::Current, &in_region(REGION, &fallback));
    host.await_active();
    assert_eq!(host.secret(), "everywhere");
    assert!(
        host.log().contains("served by a fallback Region"),
        "the log says which"
    );
    host.stop();
    fake.heal();

    // The replica's ARN is another one, so a server that moves to it wraps anew, once.
    host.start(Release::Current, &in_region("eu-west-1", ""));
    host.await_active();
    until("both blobs rewrapped", Duration::from_secs(20), || {
        (host.log().matches("upgrading stored keys").count() == 1).then_some(())
    });
    host.stop();
    host.start(
        Release::Current,
        &in_region("eu-west-1", "strict_key = true"),
    );
    host.await_active();
    assert_eq!(host.secret(), "everywhere");
    assert_eq!(host.log().matches("upgrading stored keys").count(), 1);
}
