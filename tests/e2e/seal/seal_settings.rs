//! `config/seal` and what may not become of it, on a real server.

use serde_json::json;

use super::fake_aws::{Fault, OTHER_KEY, REGION, UNSEAL_KEY, arn};
use super::host::fake;
use super::sealed_keys::{migrate, root, server};

#[test]
fn a_seal_that_cannot_work_is_refused_for_good_and_one_that_waits_is_not() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    let ask = |key: &str| {
        let settings = json!({"type": "awskms", "kms_key_id": key});
        client.write("pki/config/seal", settings)
    };
    for (key, part) in [
        ("alias/nobody", "NotFoundException"),
        ("alias/ca-p256", "InvalidKeyUsageException"),
    ] {
        ask(key).refused(400, part);
        ask(key).refused(400, "nothing was stored");
    }
    for (fault, status, part) in [
        (
            Fault::Error("AccessDeniedException", 400),
            400,
            "allow kms:GenerateDataKey",
        ),
        (Fault::Error("DisabledException", 400), 400, "enable"),
        (
            Fault::Error("ThrottlingException", 400),
            503,
            "nothing was stored",
        ),
        (
            Fault::Error("KMSInternalException", 500),
            503,
            "nothing was stored",
        ),
    ] {
        fake.fail("*", fault.clone(), usize::MAX);
        ask("alias/bao-unseal").refused(status, part);
        fake.heal();
    }
    assert_eq!(
        client.read("pki/config/seal").ok().data()["type"],
        "none",
        "nothing was stored"
    );
    ask("alias/bao-unseal").ok();
}

/// Both names were other keys when they were set.
#[test]
fn two_names_that_became_one_key_are_not_migrated_to() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    let settings = json!({
        "type": "awskms", "kms_key_id": "alias/bao-unseal", "further_kms_key_ids": OTHER_KEY,
    });
    client.write("pki/config/seal", settings).ok();
    root(&client, "pki", "ec");
    fake.move_alias("alias/bao-unseal", OTHER_KEY);
    let status = migrate(&client, "pki");
    assert_eq!(status["migration_state"], "waiting", "{status}");
    let why = status["migration_last_error"].as_str().expect("a reason");
    assert!(
        why.contains("are the same key") && why.contains(&arn(REGION, OTHER_KEY)),
        "{why}"
    );
    let config = client.read("pki/config/seal").ok();
    assert_eq!(
        config.data()["wrapped_by"],
        json!([arn(REGION, UNSEAL_KEY), arn(REGION, OTHER_KEY)]),
        "as it was"
    );
    fake.move_alias("alias/bao-unseal", UNSEAL_KEY);
    assert_eq!(migrate(&client, "pki")["migration_state"], "done");
}
