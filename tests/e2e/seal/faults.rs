//! A seal whose AWS KMS misbehaves, at the start and after.

use std::time::{Duration, Instant};

use super::fake_aws::{ACCESS_KEY, Fault, UNSEAL_KEY};
use super::host::{Host, fake, seal};
use crate::support::{Release, until};

/// Longer than the five seconds between the server's own tries.
const RECOVERY: Duration = Duration::from_secs(40);

fn sealed_host(fake: &super::fake_aws::FakeAws) -> (Host, String) {
    let mut host = Host::new();
    let config = host.plugin("") + &seal(fake, "");
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("precious");
    host.stop();
    (host, config)
}

#[test]
fn a_server_that_starts_during_an_outage_unseals_after_it() {
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Error("KMSInternalException", 500),
        Fault::Reset,
        Fault::Hang,
    ] {
        let fake = fake();
        let (mut host, config) = sealed_host(&fake);
        fake.fail("*", fault.clone(), usize::MAX);
        let began = Instant::now();
        host.start(Release::Current, &config);
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        until("a sealed answer", Duration::from_secs(30), || {
            (host.health() == Some(503)).then_some(())
        });
        fake.heal();
        host.await_health(200, RECOVERY);
        assert_eq!(host.secret(), "precious", "{fault:?}");
    }
}

#[test]
fn a_key_that_is_disabled_keeps_the_server_sealed_and_says_what_to_do() {
    let fake = fake();
    let (mut host, config) = sealed_host(&fake);
    fake.set_state(UNSEAL_KEY, "Disabled");
    host.start(Release::Current, &config);
    until("the reason in the log", RECOVERY, || {
        host.log().contains("DisabledException").then_some(())
    });
    let log = host.log();
    for part in [
        "error decrypting data encryption key",
        "region eu-central-1",
        "enable the key in AWS KMS",
    ] {
        assert!(log.contains(part), "{part}");
    }
    assert_eq!(host.health(), Some(503));
    fake.set_state(UNSEAL_KEY, "Enabled");
    host.await_health(200, RECOVERY);
}

#[test]
fn permission_to_decrypt_is_enough_to_unseal() {
    let fake = fake();
    let (mut host, config) = sealed_host(&fake);
    fake.deny(ACCESS_KEY, "Encrypt");
    fake.deny(ACCESS_KEY, "DescribeKey");
    host.start(Release::Current, &config);
    host.await_active();
    assert_eq!(host.secret(), "precious");
    assert!(
        host.log().contains("allow kms:Encrypt"),
        "the missing permission is named"
    );
}

#[test]
fn an_outage_while_running_stops_snapshots_and_nothing_else() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    fake.fail("*", Fault::Error("KMSInternalException", 500), usize::MAX);
    host.write_secret("during the outage");
    assert_eq!(host.secret(), "during the outage");
    let log_before = host.log().len();
    // The server has sent its 200 before it finds out, so the archive is cut short.
    let _ = host
        .client()
        .try_call("GET", "sys/storage/raft/snapshot", None);
    until("the reason in the log", Duration::from_secs(30), || {
        host.log()[log_before..]
            .contains("KMSInternalException")
            .then_some(())
    });
    fake.heal();
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
}

#[test]
fn a_key_that_is_disabled_while_the_server_runs_is_told_once_with_what_to_do() {
    let fake = fake();
    let mut host = Host::new();
    host.start(Release::Current, &(host.plugin("") + &seal(&fake, "")));
    host.init();
    fake.set_state(UNSEAL_KEY, "Disabled");
    let told = |host: &Host| {
        let log = host.log();
        let lines = log.lines().filter(|line| line.contains("[WARN]"));
        let lines = lines.filter(|line| line.contains("the seal cannot use its key"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        // What the server itself says names no cause.
        let _ = host
            .client()
            .try_call("GET", "sys/storage/raft/snapshot", None);
    }
    let lines = until("the plugin's own line", Duration::from_secs(30), || {
        let lines = told(&host);
        (!lines.is_empty()).then_some(lines)
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["DisabledException", "enable the key in AWS KMS", UNSEAL_KEY] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    fake.set_state(UNSEAL_KEY, "Enabled");
    assert_eq!(host.client().read("sys/storage/raft/snapshot").status, 200);
    until("that it is over", Duration::from_secs(30), || {
        host.log()
            .contains("the key service serves the seal again")
            .then_some(())
    });
}

#[test]
fn mistakes_in_the_stanza_end_the_start_with_their_reason() {
    let fake = fake();
    let host = Host::new();
    let config = |more: &str| host.plugin("") + &seal(&fake, more);
    for (line, reason) in [
        ("strict_key = \"maybe\"", "strict_key must be true or false"),
        (
            "fallback_regions = \"Mars!\"",
            "is not the name of a Region",
        ),
        ("role_arn = \"admin\"", "role_arn must be the ARN of a role"),
        // The stanza names an endpoint.
        ("use_fips = \"true\"", "leave one of them out"),
    ] {
        let said = host.start_in_vain(Release::Current, &config(line));
        assert!(said.contains(reason), "{line}: {said}");
    }
    assert!(fake.calls().is_empty(), "nothing was called");
    fake.deny(ACCESS_KEY, "Decrypt");
    let missing = config("").replace("alias/bao-unseal", "alias/absent");
    let said = host.start_in_vain(Release::Current, &missing);
    assert!(
        said.contains("NotFoundException") && said.contains("alias/absent"),
        "{said}"
    );
}
