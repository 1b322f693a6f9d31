//! Tidying of orders and accounts.

use landfast_plugin::Mount;
use landfast_sdk::logical::{Backend, Storage};
use landfast_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::client::Client;
use crate::served;

/// Sets members of a stored entry, as another node would.
async fn change(mount: &Harness<Mount>, key: &str, members: Value) {
    let mut entry: Value =
        serde_json::from_slice(&mount.storage().get(key).await.unwrap().unwrap()).unwrap();
    for (name, value) in members.as_object().unwrap() {
        entry[name] = value.clone();
    }
    mount
        .storage()
        .put(key, entry.to_string().into_bytes())
        .await
        .unwrap();
    mount.backend().invalidate(key);
}

/// Tidies to the end, and gives what was counted: accounts looked at, orders deleted, accounts revoked and deleted.
async fn tidy(mount: &Harness<Mount>) -> [u64; 4] {
    let plan =
        json!({ "tidy_acme": true, "safety_buffer": "1s", "acme_account_safety_buffer": "1s" });
    assert_eq!(mount.update("tidy", plan).await.status, 202);
    loop {
        let status = mount.read("tidy-status").await.data;
        if status["state"] != "Running" {
            assert_eq!(status["state"], "Finished", "{status}");
            return [
                "total_acme_account_count",
                "acme_orders_deleted_count",
                "acme_account_revoked_count",
                "acme_account_deleted_count",
            ]
            .map(|name| status[name].as_u64().unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_over_goes_and_what_is_used_stays() {
    let mount = served(json!({})).await;
    let used = Client::registered(&mount, "acme/").await;
    used.obtain(&["a.test"]).await;
    used.order(&["open.test"]).await;
    let idle = Client::registered(&mount, "acme/").await;
    let order = idle.order(&["b.test", "c.test"]).await;
    let id = idle.account.clone().unwrap();
    let account = format!("acme/accounts/{}", id.rsplit('/').next().unwrap());
    assert_eq!(tidy(&mount).await, [2, 0, 0, 0], "nothing is over yet");

    let order = order.headers["Location"][0]
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let past = "2020-01-01T00:00:00Z";
    change(
        &mount,
        &format!("{account}/orders/{order}"),
        json!({ "expires": past }),
    )
    .await;
    change(
        &mount,
        &account,
        json!({ "account-created-date": past, "account-max-cert-expiry": past }),
    )
    .await;
    assert_eq!(
        tidy(&mount).await,
        [2, 1, 1, 0],
        "the order goes, and nobody uses the account"
    );
    assert!(
        mount
            .storage()
            .list(&format!("{account}/authorizations/"))
            .await
            .unwrap()
            .is_empty()
    );
    let refused = idle.order(&["b.test"]).await;
    assert!(
        refused.text().contains("account in status: revoked"),
        "{}",
        refused.text()
    );
    assert_eq!(
        tidy(&mount).await,
        [2, 0, 0, 0],
        "its holder may find out meanwhile"
    );

    change(&mount, &account, json!({ "account-revoked-date": past })).await;
    assert_eq!(tidy(&mount).await, [2, 0, 0, 1]);
    assert_eq!(
        mount
            .storage()
            .list("acme/account-thumbprints/")
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(tidy(&mount).await, [1, 0, 0, 0]);
    assert_eq!(used.order(&["d.test"]).await.status, 201);
}

/// An account that cannot be read holds up nobody else.
#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mount = served(json!({})).await;
    Client::registered(&mount, "acme/").await;
    mount
        .storage()
        .put("acme/account-thumbprints/AAAA", b"no entry".to_vec())
        .await
        .unwrap();
    let lost = json!({ "kid": "none" }).to_string().into_bytes();
    mount
        .storage()
        .put("acme/account-thumbprints/BBBB", lost)
        .await
        .unwrap();
    assert_eq!(tidy(&mount).await, [3, 0, 0, 1]);
    assert_eq!(
        mount
            .storage()
            .list("acme/account-thumbprints/")
            .await
            .unwrap()
            .len(),
        2
    );
}
