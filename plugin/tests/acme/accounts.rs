//! Who may ask: accounts, external accounts, signatures, nonces, and changes of keys.

use serde_json::{Value, json};

use crate::client::{Client, ROOT, b64, binding, body, jwk, key, problem, sign};
use crate::served;

#[tokio::test]
async fn one_key_is_one_account() {
    let mount = served(json!({})).await;
    let mut client = Client::new(&mount, "acme/");
    let none = client.register(json!({ "onlyReturnExisting": true })).await;
    assert_eq!(
        (none.status, problem(&none)),
        (400, "accountDoesNotExist".to_owned())
    );
    let made = client
        .register(json!({ "contact": ["mailto:a@example.com"], "termsOfServiceAgreed": true }))
        .await;
    assert_eq!(made.status, 201);
    assert_eq!(body(&made)["contact"], json!(["mailto:a@example.com"]));
    let url = client.account.clone().unwrap();
    assert_eq!(body(&made)["orders"], format!("{url}/orders"));
    assert!(made.headers["Link"][0].contains("acme/directory>;rel=\"index\""));
    let known = client.register(json!({})).await;
    assert_eq!(
        (known.status, client.account.clone()),
        (200, Some(url.clone()))
    );
    // Reading changes nothing; contacts may change, and be taken away.
    let read = client.follow(&json!(url), "").await;
    assert_eq!(body(&read)["contact"], json!(["mailto:a@example.com"]));
    let other = client
        .follow(
            &json!(url),
            &json!({ "contact": ["mailto:b@example.com"] }).to_string(),
        )
        .await;
    assert_eq!(body(&other)["contact"], json!(["mailto:b@example.com"]));
    let without = client
        .follow(&json!(url), &json!({ "contact": [] }).to_string())
        .await;
    assert!(body(&without).get("contact").is_none());
    let long = client
        .follow(
            &json!(url),
            &json!({ "contact": ["x".repeat(400)] }).to_string(),
        )
        .await;
    assert_eq!(problem(&long), "invalidContact");
    // Another account is none of its business.
    let stranger = Client::registered(&mount, "acme/").await;
    let refused = stranger.follow(&json!(url), "").await;
    assert_eq!(
        (refused.status, problem(&refused)),
        (401, "unauthorized".to_owned())
    );
    // Given up for good.
    let gone = client
        .follow(&json!(url), &json!({ "status": "deactivated" }).to_string())
        .await;
    assert_eq!(body(&gone)["status"], "deactivated");
    assert_eq!(problem(&client.order(&["a.test"]).await), "unauthorized");
    assert_eq!(
        problem(&client.follow(&json!(url), "").await),
        "unauthorized"
    );
}

#[tokio::test]
async fn an_account_is_one_of_its_directory() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let mut elsewhere = Client::new(&mount, "roles/web/acme/");
    elsewhere.account.clone_from(&client.account);
    elsewhere.key = client.key;
    let refused = elsewhere.order(&["example.com"]).await;
    assert_eq!(problem(&refused), "malformed");
    assert!(
        refused.text().contains("different ACME directory"),
        "{}",
        refused.text()
    );
    // What a body says does not make it another directory.
    let body = json!({ "role": "web", "issuer_ref": "default" });
    let shown = mount.update("acme/new-nonce", body).await;
    assert_eq!(shown.status, 405);
}

#[tokio::test]
async fn what_is_signed_wrongly_is_refused_by_the_right_problem() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let url = client.url("new-order");
    let header = async |change: Value| {
        let mut header = client.header(&url).await;
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => header.as_object_mut().unwrap().remove(name),
                other => header
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), other.clone()),
            };
        }
        header
    };
    for (change, status, kind) in [
        (json!({ "nonce": "AAAA" }), 400, "badNonce"),
        (json!({ "nonce": null }), 400, "badNonce"),
        (
            json!({ "url": client.url("new-account") }),
            401,
            "unauthorized",
        ),
        (json!({ "url": null }), 400, "malformed"),
        (json!({ "alg": "HS256" }), 400, "badSignatureAlgorithm"),
        (json!({ "alg": "none" }), 400, "badSignatureAlgorithm"),
        (json!({ "jwk": jwk(&client.key) }), 400, "malformed"),
        (json!({ "kid": null }), 400, "malformed"),
        (
            json!({ "kid": format!("{ROOT}/acme/account/none") }),
            400,
            "accountDoesNotExist",
        ),
        (
            json!({ "kid": format!("{ROOT}/acme/account/../../config") }),
            400,
            "accountDoesNotExist",
        ),
        (json!({ "crit": ["b64"], "b64": false }), 400, "malformed"),
    ] {
        let signed = sign(&client.key, &header(change.clone()).await, "{}");
        let reply = client.send("new-order", signed).await;
        assert_eq!(
            (reply.status, problem(&reply)),
            (status, kind.to_owned()),
            "{change}"
        );
        assert!(reply.headers.contains_key("Replay-Nonce"), "{change}");
    }
    // Another key, and a payload that was not signed.
    let signed = sign(&key(), &header(json!({})).await, "{}");
    let reply = client.send("new-order", signed).await;
    assert_eq!(problem(&reply), "malformed", "{}", reply.text());
    let mut signed = sign(&client.key, &header(json!({})).await, "{}");
    signed["payload"] = b64("{ }").into();
    assert_eq!(
        problem(&client.send("new-order", signed).await),
        "malformed"
    );
    for member in ["protected", "payload", "signature"] {
        let mut signed = sign(&client.key, &header(json!({})).await, "{}");
        signed.as_object_mut().unwrap().remove(member);
        assert_eq!(
            problem(&client.send("new-order", signed).await),
            "malformed",
            "{member}"
        );
    }
    // A nonce is good once.
    let header = header(json!({})).await;
    let first = client
        .send("new-order", sign(&client.key, &header, "{}"))
        .await;
    assert_eq!(problem(&first), "malformed");
    assert_eq!(
        problem(
            &client
                .send("new-order", sign(&client.key, &header, "{}"))
                .await
        ),
        "badNonce"
    );
}

#[tokio::test]
async fn an_external_account_is_good_for_one_account_of_its_directory() {
    let mount = served(json!({ "eab_policy": "always-required" })).await;
    let shown = body(&mount.read("acme/directory").await);
    assert_eq!(shown["meta"]["externalAccountRequired"], true);
    let mut client = Client::new(&mount, "acme/");
    let without = client.register(json!({})).await;
    assert_eq!(
        (without.status, problem(&without)),
        (401, "externalAccountRequired".to_owned())
    );
    let made = mount.update("acme/new-eab", json!({})).await.data;
    assert!(
        made["key"].as_str().unwrap().starts_with("vault-eab-0-"),
        "{made}"
    );
    assert_eq!(made["acme_directory"], "acme/directory");
    let (id, mac) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let elsewhere = mount.update("roles/web/acme/new-eab", json!({})).await.data;
    assert_eq!(elsewhere["acme_directory"], "roles/web/acme/directory");
    let listed = mount.list("eab").await;
    assert_eq!(listed.keys().len(), 2);
    assert!(
        listed.data["key_info"][id].get("key").is_none(),
        "{listed:?}"
    );

    let url = client.url("new-account");
    let wrong = "vault-eab-0-AAAA";
    let (other_id, other_mac) = (
        elsewhere["id"].as_str().unwrap(),
        elsewhere["key"].as_str().unwrap(),
    );
    for (binding, kind) in [
        (binding(&client.key, &url, id, wrong), "unauthorized"),
        (binding(&client.key, &url, "none", mac), "unauthorized"),
        (binding(&client.key, &url, "../eab", mac), "unauthorized"),
        (
            binding(&client.key, &client.url("new-order"), id, mac),
            "unauthorized",
        ),
        (binding(&key(), &url, id, mac), "malformed"),
        (
            binding(&client.key, &url, other_id, other_mac),
            "unauthorized",
        ),
        (json!({}), "malformed"),
    ] {
        let refused = client
            .register(json!({ "externalAccountBinding": binding }))
            .await;
        assert_eq!(problem(&refused), kind, "{binding}");
    }
    let bound = binding(&client.key, &url, id, mac);
    let made = client
        .register(json!({ "externalAccountBinding": bound.clone() }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(body(&made)["externalAccountBinding"], bound);
    assert_eq!(client.order(&["a.test"]).await.status, 201);
    let mut second = Client::new(&mount, "acme/");
    let again = binding(&second.key, &url, id, mac);
    let used = second
        .register(json!({ "externalAccountBinding": again }))
        .await;
    assert_eq!(problem(&used), "unauthorized");
    assert_eq!(mount.list("eab").await.keys(), [other_id]);
    assert_eq!(mount.delete(&format!("eab/{other_id}")).await.status, 200);
    let warned = mount.delete(&format!("eab/{other_id}")).await;
    assert!(warned.warnings[0].contains("No key id found"), "{warned:?}");

    // Accounts without one stay out, where always; and may stay, where it is for new ones.
    mount
        .update("config/acme", json!({ "eab_policy": "not-required" }))
        .await;
    let old = Client::registered(&mount, "acme/").await;
    mount
        .update(
            "config/acme",
            json!({ "eab_policy": "new-account-required" }),
        )
        .await;
    assert_eq!(old.order(&["a.test"]).await.status, 201);
    mount
        .update("config/acme", json!({ "eab_policy": "always-required" }))
        .await;
    assert_eq!(
        problem(&old.order(&["a.test"]).await),
        "externalAccountRequired"
    );
}

#[tokio::test]
async fn a_key_is_changed_by_both_keys() {
    let mount = served(json!({})).await;
    let mut client = Client::registered(&mount, "acme/").await;
    let stranger = Client::registered(&mount, "acme/").await;
    let account = client.account.clone().unwrap();
    let url = client.url("key-change");
    let inner = |new, change: Value| {
        let mut header = json!({ "alg": "ES256", "jwk": jwk(new), "url": url });
        let mut payload = json!({ "account": account, "oldKey": jwk(&client.key) });
        for (name, value) in change.as_object().unwrap() {
            let target = if name == "url" || name == "nonce" {
                &mut header
            } else {
                &mut payload
            };
            target[name] = value.clone();
        }
        sign(new, &header, &payload.to_string()).to_string()
    };
    let new = key();
    for change in [
        json!({ "account": stranger.account }),
        json!({ "oldKey": jwk(&stranger.key) }),
        json!({ "url": client.url("new-order") }),
        json!({ "nonce": "x" }),
    ] {
        let refused = client
            .post("key-change", &inner(&new, change.clone()))
            .await;
        assert_eq!(problem(&refused), "malformed", "{change}");
    }
    let taken = client
        .post("key-change", &inner(&stranger.key, json!({})))
        .await;
    assert_eq!(taken.status, 409);
    assert_eq!(
        taken.headers["Location"][0],
        stranger.account.clone().unwrap()
    );
    let changed = client.post("key-change", &inner(&new, json!({}))).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(
        problem(&client.order(&["a.test"]).await),
        "malformed",
        "by the old key"
    );
    client.key = new;
    assert_eq!(client.order(&["a.test"]).await.status, 201);
    let url = client.account.clone();
    assert_eq!(
        client
            .register(json!({ "onlyReturnExisting": true }))
            .await
            .status,
        200
    );
    assert_eq!(client.account, url);
}
