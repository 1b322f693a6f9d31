//! A write of storage that fails, before it took effect or after: nothing that was acknowledged is lost, and the client gets through by asking again.

use std::cell::Cell;

use landfast_pki::Certificate;
use landfast_sdk::logical::Storage;
use landfast_sdk::testing::{Fault, FaultyStorage, HttpReply, MemoryStorage};
use serde_json::json;

use crate::client::{Client, b64, binding, body, csr, problem};
use crate::served_on;

/// The storage, and whether it failed.
struct Watched<'a> {
    storage: &'a FaultyStorage,
    struck: Cell<bool>,
}

impl Watched<'_> {
    /// Whether a step is to be done again: the server said that it failed, and nothing else.
    fn failed(&self, reply: &HttpReply) -> bool {
        if reply.status < 500 {
            return false;
        }
        assert!(self.heal(), "{}", reply.text());
        assert_eq!(problem(reply), "serverInternal");
        true
    }

    /// Mends the storage, if it failed.
    fn heal(&self) -> bool {
        let struck = self.storage.struck();
        if struck {
            self.struck.set(true);
            self.storage.heal();
        }
        struck
    }
}

/// One life of a client while write `at` fails; says whether there was such a write.
async fn live(at: usize, fault: Fault, transactions: bool) -> bool {
    let memory = if transactions {
        MemoryStorage::new()
    } else {
        MemoryStorage::new().without_transactions()
    };
    let mount = served_on(
        FaultyStorage::over(memory),
        json!({ "eab_policy": "always-required" }),
    )
    .await;
    let storage = mount.storage();
    let eab = mount.update("acme/new-eab", json!({})).await.data;
    let spare = mount.update("acme/new-eab", json!({})).await.data;
    storage.fail_at(at, fault);
    let watched = Watched {
        storage,
        struck: Cell::new(false),
    };

    let mut client = Client::new(&mount, "acme/");
    let bound = |client: &Client<'_>, eab: &serde_json::Value| {
        let (id, key) = (eab["id"].as_str().unwrap(), eab["key"].as_str().unwrap());
        json!({ "externalAccountBinding": binding(&client.key, &client.url("new-account"), id, key) })
    };
    let asked = bound(&client, &eab);
    let mut made = client.register(asked.clone()).await;
    if watched.failed(&made) {
        made = client.register(asked).await;
        if made.status == 401 {
            // Without transactions the external account may be used up, and is never good twice.
            assert!(!transactions, "{}", made.text());
            let asked = bound(&client, &spare);
            made = client.register(asked).await;
        }
    }
    assert!(matches!(made.status, 200 | 201), "{}", made.text());
    assert!(
        !mount
            .list("eab")
            .await
            .keys()
            .contains(&eab["id"].as_str().unwrap())
    );

    let mut order = client.order(&["a.test", "b.test"]).await;
    if watched.failed(&order) {
        order = client.order(&["a.test", "b.test"]).await;
    }
    let location = json!(order.headers["Location"][0]);
    for url in body(&order)["authorizations"].as_array().unwrap() {
        let authorization = client.follow(url, "").await;
        let challenge = body(&authorization)["challenges"][0]["url"].clone();
        let reply = client.follow(&challenge, "{}").await;
        if watched.failed(&reply) {
            let again = client.follow(&challenge, "{}").await;
            // It may be on its way, or done, already.
            assert!(
                again.status == 200 || problem(&again) == "malformed",
                "{}",
                again.text()
            );
        }
    }
    for _ in 0..600 {
        watched.heal();
        if body(&client.follow(&location, "").await)["status"] == "ready" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let done = client.finalize(&order, &csr(&["a.test", "b.test"])).await;
    if watched.failed(&done) {
        let again = client.finalize(&order, &csr(&["a.test", "b.test"])).await;
        assert!(
            again.status == 200 || problem(&again) == "orderNotReady",
            "{}",
            again.text()
        );
    }
    let order = body(&client.follow(&location, "").await);
    assert_eq!(order["status"], "valid", "{order}");
    let chain = client.follow(&order["certificate"], "").await;
    let leaf = Certificate::from_pem(chain.text().as_bytes()).unwrap();

    let payload = json!({ "certificate": b64(leaf.der()) }).to_string();
    let mut revoked = client.post("revoke-cert", &payload).await;
    if watched.failed(&revoked) {
        revoked = client.post("revoke-cert", &payload).await;
        assert!(
            revoked.status == 200 || problem(&revoked) == "alreadyRevoked",
            "{}",
            revoked.text()
        );
    }
    let url = json!(client.account);
    let gone = json!({ "status": "deactivated" }).to_string();
    let reply = client.follow(&url, &gone).await;
    if watched.failed(&reply) {
        let again = client.follow(&url, &gone).await;
        assert!(
            again.status == 200 || problem(&again) == "unauthorized",
            "{}",
            again.text()
        );
    }
    assert_eq!(
        storage
            .list("acme/account-thumbprints/")
            .await
            .unwrap()
            .len(),
        1
    );
    watched.struck.get()
}

#[tokio::test]
async fn a_client_gets_through_whichever_write_fails() {
    for transactions in [true, false] {
        for fault in [Fault::Before, Fault::After] {
            let mut at = 1;
            while live(at, fault, transactions).await {
                at += 1;
            }
            // Account, order, two challenges, two validations, certificate, revocation and its CRL, the end.
            assert!(at > 8, "{at} writes only");
        }
    }
}
