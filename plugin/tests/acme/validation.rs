//! Validations: begun once, tried again, given up, and gone on with elsewhere.

use std::sync::Arc;
use std::time::Duration;

use landfast_sdk::logical::{Backend, Storage};
use serde_json::{Value, json};

use crate::client::{Client, body, problem};
use crate::{StandIn, served};

/// The challenge and the authorization of an order for one name.
async fn begun(client: &Client<'_>, name: &str) -> (Value, Value) {
    let order = client.order(&[name]).await;
    let url = body(&order)["authorizations"][0].clone();
    let authorization = body(&client.follow(&url, "").await);
    (authorization["challenges"][0]["url"].clone(), url)
}

async fn on_record(mount: &landfast_sdk::testing::Harness<landfast_plugin::Mount>) -> Vec<String> {
    mount.storage().list("acme/validations/").await.unwrap()
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within two seconds: {what}");
}

#[tokio::test]
async fn reading_a_challenge_begins_nothing() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let (challenge, url) = begun(&client, "slow.test").await;
    let read = client.follow(&challenge, "").await;
    assert_eq!(body(&read)["status"], "pending");
    assert!(
        read.headers["Link"]
            .iter()
            .any(|link| link.ends_with(";rel=\"up\"")),
        "{read:?}"
    );
    assert!(on_record(&mount).await.is_empty());
    let odd = client.follow(&challenge, "{\"a\":1}").await;
    assert_eq!(problem(&odd), "malformed");
    let begun = client.follow(&challenge, "{}").await;
    assert_eq!(body(&begun)["status"], "processing");
    assert_eq!(begun.headers["Retry-After"], ["2"]);
    assert_eq!(on_record(&mount).await.len(), 1);
    // Twice is once, and only one way at a time.
    assert_eq!(client.follow(&challenge, "{}").await.status, 200);
    assert_eq!(on_record(&mount).await.len(), 1);
    let other = body(&client.follow(&url, "").await)["challenges"][1]["url"].clone();
    let refused = client.follow(&other, "{}").await;
    assert!(
        refused.text().contains("only a single challenge"),
        "{}",
        refused.text()
    );
    // Given up meanwhile.
    let gone = client
        .follow(&url, &json!({ "status": "deactivated" }).to_string())
        .await;
    assert_eq!(body(&gone)["status"], "deactivated");
    assert_eq!(problem(&client.follow(&challenge, "{}").await), "malformed");
}

#[tokio::test]
async fn who_is_ready_is_told_at_once() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let (challenge, url) = begun(&client, "a.test").await;
    mount.storage().reset_calls();
    let answer = client.follow(&challenge, "{}").await;
    assert_eq!(body(&answer)["status"], "valid");
    assert!(!answer.headers.contains_key("Retry-After"), "{answer:?}");
    // The requests before had the account and the authorization in hand.
    let calls = mount.storage().calls();
    assert_eq!((calls.total(), calls.writes()), (1, 1), "{calls:?}");
    assert!(on_record(&mount).await.is_empty());
    assert_eq!(body(&client.follow(&url, "").await)["status"], "valid");
}

#[tokio::test]
async fn what_fails_is_told_tried_again_and_given_up() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let order = client.order(&["bad.test"]).await;
    let url = body(&order)["authorizations"][0].clone();
    let challenge = body(&client.follow(&url, "").await)["challenges"][0]["url"].clone();
    client.follow(&challenge, "{}").await;
    until("the error is told", async || {
        body(&client.follow(&challenge, "").await)
            .get("error")
            .is_some()
    })
    .await;
    let told = body(&client.follow(&challenge, "").await);
    assert_eq!(told["status"], "processing");
    assert_eq!(
        told["error"]["type"],
        "urn:ietf:params:acme:error:incorrectResponse"
    );
    assert_eq!(told["error"]["detail"], "http-01: nothing is there");
    // So that a client that asks thirty times is still there for the last try, and hears why.
    let asked = client.follow(&url, "").await;
    assert_eq!(asked.headers["Retry-After"], ["5"]);
    let name = on_record(&mount).await.remove(0);
    let key = format!("acme/validations/{name}");
    let entry: Value =
        serde_json::from_slice(&mount.storage().get(&key).await.unwrap().unwrap()).unwrap();
    assert_eq!(entry["retry_count"], 1);
    // The last try, as somebody finds it who goes on with it elsewhere.
    let mut last = entry.clone();
    last["retry_count"] = 6.into();
    last["retry_after"] = "0001-01-01T00:00:00Z".into();
    mount
        .storage()
        .put(&key, last.to_string().into_bytes())
        .await
        .unwrap();
    let mount = &mount;
    mount.backend().cleanup();
    until("it is given up", async || {
        // A new process begins with what is on record.
        let again = landfast_sdk::testing::Harness::<landfast_plugin::Mount>::builder()
            .storage(landfast_sdk::testing::FaultyStorage::over(
                mount.storage().memory().clone(),
            ))
            .start::<landfast_plugin::Mount>()
            .await
            .unwrap();
        again.backend().use_validator(Arc::new(StandIn));
        again.periodic().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        mount
            .storage()
            .list("acme/validations/")
            .await
            .unwrap()
            .is_empty()
    })
    .await;
    let order = client
        .follow(&json!(order.headers["Location"][0]), "")
        .await;
    let order = body(&order);
    assert_eq!(order["status"], "invalid");
    assert_eq!(order["error"]["detail"], "http-01: nothing is there");
    assert_eq!(order["authorizations"], json!([]));
}

#[tokio::test]
async fn a_new_process_goes_on_with_what_is_on_record() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let (challenge, _) = begun(&client, "slow.test").await;
    client.follow(&challenge, "{}").await;
    // The name answers at once from here on: as if the first process had died while it waited.
    let name = on_record(&mount).await.remove(0);
    let id = client.account.clone().unwrap();
    let id = id.rsplit('/').next().unwrap();
    let authorization = name.trim_end_matches("-http-01");
    let key = format!("acme/accounts/{id}/authorizations/{authorization}");
    let text = String::from_utf8(mount.storage().get(&key).await.unwrap().unwrap()).unwrap();
    mount
        .storage()
        .put(&key, text.replace("slow.test", "fast.test").into_bytes())
        .await
        .unwrap();
    drop(client);
    mount.backend().cleanup();
    let memory = mount.storage().memory().clone();
    drop(mount);
    let again = landfast_sdk::testing::Harness::<landfast_plugin::Mount>::builder()
        .storage(landfast_sdk::testing::FaultyStorage::over(memory))
        .start::<landfast_plugin::Mount>()
        .await
        .unwrap();
    again.backend().use_validator(Arc::new(StandIn));
    again.periodic().await;
    until("it is validated", async || {
        on_record(&again).await.is_empty()
    })
    .await;
    let entry: Value =
        serde_json::from_slice(&again.storage().get(&key).await.unwrap().unwrap()).unwrap();
    assert_eq!(entry["status"], "valid");
}
