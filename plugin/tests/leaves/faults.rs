//! Storage: how often it is called, and what is left when it fails.

use landfast_sdk::testing::Fault;
use serde_json::json;

use crate::support::{CSR, certificate, issue, role, stop_clock, with_ca};

#[tokio::test]
async fn a_warm_issue_writes_once_and_reads_nothing() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    issue(&mount, json!({"common_name": "a.b"})).await;
    for path in ["issue/r", "sign/r", "issuer/default/issue/r"] {
        mount.storage().reset_calls();
        assert_eq!(
            mount
                .update(path, json!({"common_name": "a.b", "csr": CSR}))
                .await
                .status,
            200
        );
        let calls = mount.storage().calls();
        assert_eq!((calls.puts, calls.total()), (1, 1), "{path}: {calls:?}");
    }
}

#[tokio::test]
async fn a_warm_issue_without_storing_calls_nothing() {
    let mount = with_ca().await;
    role(&mount, json!({"no_store": true})).await;
    issue(&mount, json!({"common_name": "a.b"})).await;
    mount.storage().reset_calls();
    let leaf = certificate(&issue(&mount, json!({"common_name": "a.b"})).await);
    assert_eq!(mount.storage().calls().total(), 0);
    assert_eq!(
        mount
            .read(&format!("cert/{}", leaf.serial().colon()))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_refused_request_writes_nothing() {
    let mount = with_ca().await;
    role(&mount, json!({"allow_any_name": false})).await;
    mount.storage().reset_calls();
    assert_eq!(
        issue(&mount, json!({"common_name": "a.b"})).await.status,
        400
    );
    assert_eq!(mount.storage().calls().writes(), 0);
}

#[tokio::test]
async fn nobody_gets_a_certificate_that_is_not_on_record() {
    for fault in [Fault::Before, Fault::After] {
        let mount = with_ca().await;
        role(&mount, json!({})).await;
        mount.storage().fail_at(1, fault);
        let reply = issue(&mount, json!({"common_name": "a.b"})).await;
        assert_eq!(reply.status, 500, "{fault:?}");
        assert!(!format!("{reply:?}").contains("BEGIN"), "{fault:?}");
        mount.storage().heal();
        let mount = mount.reload().await;
        stop_clock(&mount);
        let leaf = certificate(&issue(&mount, json!({"common_name": "a.b"})).await);
        let mount = mount.reload().await;
        assert_eq!(
            mount
                .read(&format!("cert/{}", leaf.serial().colon()))
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn a_standby_passes_the_text_on_by_which_the_host_forwards() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    mount.storage().read_only(true);
    for path in ["issue/r", "roles/r", "config/urls"] {
        let reply = mount.update(path, json!({"common_name": "a.b"})).await;
        assert!(
            reply.error().contains("cannot write to readonly storage"),
            "{path}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn what_the_host_invalidates_is_read_anew() {
    let mount = with_ca().await;
    role(&mount, json!({"no_store": true})).await;
    issue(&mount, json!({"common_name": "a.b"})).await;
    for (key, gets) in [
        ("role/r", 1),
        ("urls", 1),
        ("config/cluster", 1),
        ("config/issuers", 1),
    ] {
        mount.engine().invalidate(key);
        mount.storage().reset_calls();
        assert_eq!(
            issue(&mount, json!({"common_name": "a.b"})).await.status,
            200
        );
        assert_eq!(mount.storage().calls().gets, gets, "{key}");
    }
}
