//! CEL roles through the path table: storage calls, failing storage, what another server stored, bounds.

use landfast_plugin::Mount;
use landfast_sdk::logical::Storage;
use landfast_sdk::testing::{Fault, Harness};
use serde_json::{Value, json};

use crate::support::{CSR, certificate, empty, stop_clock, with_ca};

const PROGRAM: &str = "ValidationOutput{key_type: 'ec', template: CertTemplate{Subject: PKIX.Name{CommonName: request.name}, \
    DNSNames: [request.name], NotBefore: now, NotAfter: now + duration('1h')}}";

async fn write(mount: &Harness<Mount>, expression: &str) {
    let program = json!({"cel_program": {"expression": expression}});
    let reply = mount.update("cel/roles/c", program).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
}

#[tokio::test]
async fn a_program_makes_a_certificate_for_a_key_and_for_a_csr() {
    let mount = with_ca().await;
    write(&mount, PROGRAM).await;
    for path in ["cel/issue/c", "cel/sign/c"] {
        let reply = mount.update(path, json!({"name": "a.b", "csr": CSR})).await;
        let leaf = certificate(&reply);
        assert_eq!(leaf.dns_names(), ["a.b"], "{path}");
        assert_eq!(
            reply.data["private_key"].as_str().unwrap().is_empty(),
            path == "cel/sign/c"
        );
        let kept = mount.read(&format!("cert/{}", leaf.serial().colon())).await;
        assert_eq!(kept.status, 200, "{path}");
        assert!(reply.warnings.is_empty(), "{path}: {:?}", reply.warnings);
    }
}

#[tokio::test]
async fn a_warm_program_writes_once_and_reads_nothing() {
    let mount = with_ca().await;
    write(&mount, PROGRAM).await;
    let request = json!({"name": "a.b", "csr": CSR});
    certificate(&mount.update("cel/issue/c", request.clone()).await);
    for path in ["cel/issue/c", "cel/sign/c"] {
        mount.storage().reset_calls();
        certificate(&mount.update(path, request.clone()).await);
        let calls = mount.storage().calls();
        assert_eq!((calls.puts, calls.total()), (1, 1), "{path}: {calls:?}");
    }
    // What is written anew decides at once.
    write(&mount, "'changed'").await;
    let reply = mount.update("cel/issue/c", request).await;
    assert_eq!((reply.status, reply.error()), (500, "changed"));
}

#[tokio::test]
async fn nobody_gets_a_certificate_that_is_not_on_record() {
    for fault in [Fault::Before, Fault::After] {
        for path in ["cel/issue/c", "cel/sign/c"] {
            let mount = with_ca().await;
            write(&mount, PROGRAM).await;
            let request = json!({"name": "a.b", "csr": CSR});
            mount.storage().fail_at(1, fault);
            let reply = mount.update(path, request.clone()).await;
            assert_eq!(reply.status, 500, "{fault:?}");
            assert!(!format!("{reply:?}").contains("BEGIN"), "{fault:?}");
            mount.storage().heal();
            let mount = mount.reload().await;
            stop_clock(&mount);
            certificate(&mount.update(path, request).await);
        }
    }
}

#[tokio::test]
async fn a_failed_write_leaves_the_role_before_or_the_new_one() {
    for fault in [Fault::Before, Fault::After] {
        let mount = empty().await;
        write(&mount, "'before'").await;
        mount.storage().fail_at(1, fault);
        let program = json!({"cel_program": {"expression": "'after'"}});
        assert_eq!(mount.patch("cel/roles/c", program).await.status, 500);
        mount.storage().heal();
        let told = mount.read("cel/roles/c").await.data;
        let mount = mount.reload().await;
        assert_eq!(told, mount.read("cel/roles/c").await.data, "{fault:?}");
        let expected = match fault {
            Fault::Before => "'before'",
            _ => "'after'",
        };
        assert_eq!(told["cel_program"]["expression"], expected, "{fault:?}");
    }
}

#[tokio::test]
async fn a_refusal_writes_nothing_and_a_role_that_is_wrong_is_not_stored() {
    let mount = with_ca().await;
    write(&mount, "'no'").await;
    mount.storage().reset_calls();
    let reply = mount.update("cel/issue/c", json!({})).await;
    assert_eq!((reply.status, reply.error()), (500, "no"));
    for expression in ["1 +", "nope", ""] {
        let program = json!({"cel_program": {"expression": expression}});
        assert_eq!(mount.update("cel/roles/d", program).await.status, 500);
    }
    assert_eq!(mount.storage().calls().writes(), 0);
}

/// What another server stored may be larger than what is taken here, and may have fields that are not known.
#[tokio::test]
async fn a_stored_role_is_shown_kept_and_refused_by_its_size() {
    let mount = with_ca().await;
    let large = format!("'{}'", "x".repeat(70_000));
    let entry = json!({"name": "c", "later": {"a": 1}, "validation_program": {"expression": large, "newer": true}});
    let key = "cel/role/c";
    let storage = mount.storage();
    storage
        .put(key, entry.to_string().into_bytes())
        .await
        .unwrap();
    let shown = mount.read("cel/roles/c").await;
    assert_eq!(shown.data["cel_program"]["expression"], large);
    let reply = mount.update("cel/issue/c", json!({})).await;
    assert_eq!(reply.status, 500);
    assert!(
        reply.error().contains("at most 65536 are taken"),
        "{reply:?}"
    );
    write(&mount, "'no'").await;
    let stored = mount.storage().get(key).await.unwrap().unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored["later"], json!({"a": 1}));
    assert_eq!(
        stored["validation_program"],
        json!({"expression": "'no'", "newer": true})
    );
}

#[tokio::test]
async fn work_without_end_is_refused() {
    let mount = with_ca().await;
    for expression in [
        "lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, true)))",
        "lists.range(1000).exists(a, lists.range(1000).exists(b, lists.range(1000).exists(c, false)))",
        // The error is swallowed, and what follows counts all the same.
        "lists.range(100000).map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').size() > 1 || true",
        "request.list.map(x, request.list.map(y, request.list)).size() == 1",
        "request.long.replace('a', request.long) == ''",
        "request.list.join(request.long) == ''",
        "lists.range(10000).distinct().size() == 1",
        "sets.contains(lists.range(10000), lists.range(10000))",
        "request.list.all(x, request.long.matches('^(a|b|[ab])*$'))",
    ] {
        write(&mount, expression).await;
        let request = json!({"list": vec!["x"; 10_000], "long": "a".repeat(5000)});
        let reply = mount.update("cel/issue/c", request).await;
        assert_eq!(reply.status, 500, "{expression}");
        assert!(
            reply.error().contains("the program does too much"),
            "{expression}: {reply:?}"
        );
    }
}
