//! Seal migrations to and from the plugin.

use std::time::Duration;

use serde_json::json;

use super::host::{Host, fake, seal};
use crate::support::{Release, Server, until};

fn migrate(host: &Host, key: &str) {
    host.client()
        .call(
            "PUT",
            "sys/unseal",
            Some(json!({"key": key, "migrate": true})),
        )
        .ok();
    host.await_active();
}

#[test]
fn from_key_shares_and_back() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, "");
    host.init_shamir();
    let share = host.recovery_key.clone();
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": share})))
        .ok();
    host.await_active();
    host.write_secret("shares");
    host.stop();

    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    migrate(&host, &share);
    assert_eq!(host.secret(), "shares");
    host.stop();
    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "shares");
    host.stop();

    host.start(
        Release::Current,
        &(host.plugin("") + &seal(&fake, "disabled = true")),
    );
    migrate(&host, &share);
    host.stop();
    host.start(Release::Current, "");
    host.client()
        .call("PUT", "sys/unseal", Some(json!({"key": share})))
        .ok();
    host.await_active();
    assert_eq!(host.secret(), "shares");
}

/// A server whose transit engine wraps for others.
struct Keeper(Server);

impl Keeper {
    fn start() -> Self {
        let server = Server::bare_dev(Release::Current);
        let client = server.client();
        client
            .write("sys/mounts/transit", json!({"type": "transit"}))
            .ok();
        client.write("transit/keys/unseal", json!({})).ok();
        Self(server)
    }

    fn seal(&self, more: &str) -> String {
        let client = self.0.client();
        format!(
            "seal \"transit\" {{\n  address = \"{}\"\n  token = \"{}\"\n  key_name = \"unseal\"\n  mount_path = \"transit\"\n  \
             disable_renewal = \"true\"\n  {more}\n}}\n",
            client.address(),
            client.token()
        )
    }
}

#[test]
fn from_transit() {
    let fake = fake();
    let keeper = Keeper::start();
    let transit = |more: &str| keeper.seal(more);
    let mut host = Host::new();
    host.start(Release::Current, &transit(""));
    host.init();
    host.write_secret("transit");
    host.stop();

    let config = host.plugin("") + &seal(&fake, "");
    host.start(
        Release::Current,
        &(config.clone() + &transit("disabled = true")),
    );
    migrate(&host, &host.recovery_key.clone());
    assert_eq!(host.secret(), "transit");
    // During a migration the server shows the new seal the old one's blobs.
    let calls = fake.calls();
    assert!(calls.iter().all(|call| call.failed.is_none()), "{calls:?}");
    host.stop();

    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "transit");
}

#[test]
fn the_name_of_the_stanza_may_change_and_its_type_stays() {
    let fake = fake();
    let mut host = Host::new();
    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("renamed");
    host.stop();
    host.start(
        Release::Current,
        &config.replace("\"awskms\"", "\"unseal2\""),
    );
    host.await_active();
    assert_eq!(host.secret(), "renamed");
}

#[test]
fn to_transit_with_the_old_plugin_in_place() {
    let fake = fake();
    let keeper = Keeper::start();
    let mut host = Host::new();
    let plugin = host.plugin("");
    host.start(Release::Current, &(plugin.clone() + &seal(&fake, "")));
    host.init();
    host.write_secret("away from AWS");
    host.stop();

    // Without the plugin nobody could open the old entries, and the server says so before it starts.
    let both = seal(&fake, "disabled = true") + &keeper.seal("");
    let said = host.start_in_vain(Release::Current, &both);
    assert!(said.contains("unknown wrapper: awskms"), "{said}");

    host.start(Release::Current, &(plugin + &both));
    migrate(&host, &host.recovery_key.clone());
    assert_eq!(host.secret(), "away from AWS");
    host.stop();
    fake.take_operations();

    host.start(Release::Current, &keeper.seal(""));
    host.await_active();
    assert_eq!(host.secret(), "away from AWS");
    assert_eq!(fake.take_operations(), [""; 0], "AWS KMS is left behind");
}

#[test]
fn a_migration_needs_the_flag_and_the_old_stanza() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, "");
    host.init_shamir();
    let share = host.recovery_key.clone();
    host.stop();
    let config = host.plugin("") + &seal(&fake, "");
    host.start(Release::Current, &config);
    let reply = host
        .client()
        .call("PUT", "sys/unseal", Some(json!({"key": share})));
    assert!(
        reply.status >= 400
            && reply.errors()[0]
                .contains("migrate option not provided and seal migration is pending"),
        "{:?}",
        reply.body
    );
    migrate(&host, &share);
    host.stop();

    let said = host.start_in_vain(Release::Current, "");
    assert!(
        said.contains(
            "cannot seal migrate from \"awskms\" to Shamir, no disabled seal in configuration"
        ),
        "{said}"
    );
}

/// The manual says not to, because the server then opens its entries at each `seal-status`, which anybody may ask for.
#[test]
fn a_twin_that_is_disabled_does_not_let_strangers_spend_calls() {
    let fake = fake();
    let mut host = Host::new();
    let plugin = host.plugin("");
    host.start(Release::Current, &(plugin.clone() + &seal(&fake, "")));
    host.init();
    host.write_secret("twin");
    host.stop();
    let twins = plugin + &seal(&fake, "") + &seal(&fake, "disabled = true");
    host.start(Release::Current, &twins);
    let stranger = host.client().with_token("");
    until("it answers", Duration::from_secs(20), || {
        (host.health() == Some(503)).then_some(())
    });
    fake.take_operations();
    for _ in 0..40 {
        stranger.read("sys/seal-status").ok();
    }
    let calls = fake.take_operations();
    assert!(calls.len() <= 6, "{calls:?}");
    migrate(&host, &host.recovery_key.clone());
    assert_eq!(host.secret(), "twin");
}
