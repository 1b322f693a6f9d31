//! From the order to the certificate.

use landfast_pki::{Certificate, KeySpec, PrivateKey, SerialNumber, Subject};
use landfast_sdk::logical::Storage;
use serde_json::{Value, json};

use crate::client::{Client, b64, body, common_name, csr, csr_by, csr_of, problem};
use crate::served;

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

fn purposes(certificate: &Certificate) -> Vec<String> {
    certificate
        .ext_key_usage()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn a_certificate_is_for_the_names_that_were_shown() {
    let mount = served(json!({})).await;
    for (directory, names) in [
        (
            "acme/",
            &[
                "b.example.net",
                "a.example.net",
                "*.example.net",
                "10.1.2.3",
                "2001:db8::1",
            ][..],
        ),
        ("roles/web/acme/", &["a.example.com", "*.example.com"]),
        ("issuer/default/acme/", &["one.test"]),
        ("issuer/default/roles/web/acme/", &["example.com"]),
    ] {
        let client = Client::registered(&mount, directory).await;
        let chain = Certificate::all_from_pem(client.obtain(names).await.as_bytes()).unwrap();
        let [leaf, root] = chain.as_slice() else {
            panic!("{} certificates", chain.len())
        };
        leaf.verify_issued_by(root).unwrap();
        let san = leaf.subject_alt_names();
        let mut got: Vec<String> = san
            .dns
            .iter()
            .cloned()
            .chain(san.ips.iter().map(ToString::to_string))
            .collect();
        let mut wanted: Vec<_> = names.iter().map(ToString::to_string).collect();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted, "{directory}");
        assert_eq!(purposes(leaf), [SERVER_AUTH], "{directory}");
        // The role wants a common name, and takes the wildcard; without a role there is none.
        let name = leaf.subject().common_name();
        let expected = names
            .iter()
            .find(|name| name.starts_with('*'))
            .or_else(|| names.first());
        assert_eq!(
            name.as_deref(),
            expected.filter(|_| directory.contains("roles/")).copied(),
            "{directory}"
        );
        // Ninety days at most, whatever the mount says.
        let life = leaf.not_after().duration_since(leaf.not_before());
        assert!(
            life <= jiff::SignedDuration::from_hours(90 * 24 + 1),
            "{life:?}"
        );
        let stored = mount.read(&format!("cert/{}", leaf.serial().colon())).await;
        assert_eq!(stored.status, 200);
    }
}

#[tokio::test]
async fn an_order_says_what_is_still_to_be_done() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let order = client
        .order(&["A.example.net", "*.example.net", "127.0.0.1"])
        .await;
    assert_eq!(order.status, 201);
    let shown = body(&order);
    assert_eq!(shown["status"], "pending");
    assert_eq!(
        shown["identifiers"][0],
        json!({ "type": "dns", "value": "a.example.net" })
    );
    assert_eq!(shown["authorizations"].as_array().unwrap().len(), 3);
    assert!(shown.get("certificate").is_none() && shown.get("profile").is_none());
    let kinds = [
        (
            "a.example.net",
            false,
            vec!["http-01", "dns-01", "tls-alpn-01"],
        ),
        ("example.net", true, vec!["dns-01"]),
        ("127.0.0.1", false, vec!["http-01"]),
    ];
    for (url, (name, wildcard, wanted)) in shown["authorizations"]
        .as_array()
        .unwrap()
        .iter()
        .zip(kinds)
    {
        let authorization = body(&client.follow(url, "").await);
        assert_eq!(authorization["identifier"]["value"], name);
        assert_eq!(authorization["wildcard"], wildcard);
        let offered: Vec<_> = authorization["challenges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["type"].clone())
            .collect();
        assert_eq!(offered, wanted);
    }
    // Too early, and then once.
    let early = client.finalize(&order, &csr(&["a.example.net"])).await;
    assert_eq!(
        (early.status, problem(&early)),
        (403, "orderNotReady".to_owned())
    );
    client.prove(&order).await;
    let done = client
        .finalize(
            &order,
            &csr(&["a.example.net", "*.example.net", "127.0.0.1"]),
        )
        .await;
    assert_eq!(body(&done)["status"], "valid", "{}", done.text());
    let again = client.finalize(&order, &csr(&["a.example.net"])).await;
    assert_eq!(problem(&again), "orderNotReady");
    let orders = body(&client.post("orders", "").await);
    assert_eq!(orders["orders"], json!([order.headers["Location"][0]]));
    let account = client.account.clone().unwrap();
    let same = client.follow(&json!(format!("{account}/orders")), "").await;
    assert_eq!(body(&same), orders);
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_refused_and_the_order_stays_ready() {
    let mount = served(json!({})).await;
    let mut client = Client::new(&mount, "acme/");
    let pem = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    // The account's key is that of the request.
    let der = pem.to_der(landfast_pki::KeyEncoding::Pkcs8).unwrap();
    client.key = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        der.expose(),
    )
    .unwrap();
    client.register(json!({})).await;
    let order = client.order(&["a.example.net"]).await;
    client.prove(&order).await;
    for (csr, words) in [
        (
            csr(&["b.example.net"]),
            "missing order DNS identifier a.example.net",
        ),
        (csr(&["a.example.net", "b.example.net"]), "number of DNS"),
        (csr(&["a.example.net", "10.0.0.1"]), "number of IP"),
        (
            csr_of(common_name("b.example.net"), &["a.example.net"]),
            "number of DNS",
        ),
        (
            csr_by(common_name("a.example.net"), &[], &pem),
            "must not match account key",
        ),
        (b"no request".to_vec(), "failed to parse csr"),
    ] {
        let refused = client.finalize(&order, &csr).await;
        assert_eq!(refused.status, 400, "{words}");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    // A name in the subject only, and one in capitals.
    let done = client
        .finalize(&order, &csr_of(common_name("A.example.net"), &[]))
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
}

#[tokio::test]
async fn names_that_are_not_admitted_are_told_one_by_one() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "roles/web/acme/").await;
    let refused = client.order(&["a.example.com", "a.test", "b.test"]).await;
    assert_eq!(problem(&refused), "compound");
    let parts = body(&refused)["subproblems"].clone();
    let types: Vec<_> = parts
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["urn:ietf:params:acme:error:rejectedIdentifier"; 2]);
    assert!(
        !refused.text().contains("a.example.com"),
        "{}",
        refused.text()
    );
    let other = Client::registered(&mount, "acme/").await;
    for (identifiers, kind) in [
        (json!([]), "malformed"),
        (
            json!([{ "type": "email", "value": "a@b.test" }]),
            "unsupportedIdentifier",
        ),
        (json!([{ "type": "dns", "value": "10.0.0.1" }]), "malformed"),
        (json!([{ "type": "dns", "value": "a..b" }]), "malformed"),
        (
            json!([{ "type": "dns", "value": "*.*.b.test" }]),
            "malformed",
        ),
        (json!([{ "type": "ip", "value": "a.test" }]), "malformed"),
        (json!("a.test"), "malformed"),
    ] {
        let reply = other
            .post(
                "new-order",
                &json!({ "identifiers": identifiers }).to_string(),
            )
            .await;
        assert_eq!(
            (reply.status, problem(&reply)),
            (400, kind.to_owned()),
            "{identifiers}"
        );
    }
    let many: Vec<String> = (0..101).map(|number| format!("h{number}.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(problem(&other.order(&many).await), "malformed");
    let dated = other
        .order_with(&["a.test"], json!({ "notAfter": "2030-01-01T00:00:00Z" }))
        .await;
    assert_eq!(problem(&dated), "malformed");
}

#[tokio::test]
async fn revoked_by_the_account_or_by_the_key_of_the_certificate() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let stranger = Client::registered(&mount, "acme/").await;
    let leaf = Certificate::from_pem(client.obtain(&["a.test"]).await.as_bytes()).unwrap();
    let payload = json!({ "certificate": b64(leaf.der()) }).to_string();
    let refused = stranger.post("revoke-cert", &payload).await;
    assert_eq!(
        (refused.status, problem(&refused)),
        (401, "unauthorized".to_owned())
    );
    let reasoned = json!({ "certificate": b64(leaf.der()), "reason": 8 }).to_string();
    assert_eq!(
        problem(&client.post("revoke-cert", &reasoned).await),
        "badRevocationReason"
    );
    assert_eq!(client.post("revoke-cert", &payload).await.status, 200);
    assert_eq!(
        problem(&client.post("revoke-cert", &payload).await),
        "alreadyRevoked"
    );
    let shown = mount.read(&format!("cert/{}", leaf.serial().colon())).await;
    assert_ne!(shown.data["revocation_time"], 0);

    // By the key, which needs no account.
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let order = client.order(&["b.test"]).await;
    client.prove(&order).await;
    let done = client
        .finalize(&order, &csr_by(common_name("b.test"), &["b.test"], &key))
        .await;
    let chain = client.follow(&body(&done)["certificate"], "").await;
    let leaf = Certificate::from_pem(chain.text().as_bytes()).unwrap();
    let mut holder = Client::new(&mount, "acme/");
    let payload = json!({ "certificate": b64(leaf.der()) }).to_string();
    assert_eq!(
        problem(&holder.post("revoke-cert", &payload).await),
        "unauthorized"
    );
    let der = key.to_der(landfast_pki::KeyEncoding::Pkcs8).unwrap();
    holder.key = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        der.expose(),
    )
    .unwrap();
    assert_eq!(holder.post("revoke-cert", &payload).await.status, 200);
}

#[tokio::test]
async fn profiles_are_the_roles_that_are_allowed() {
    let mount = served(json!({ "default_directory_policy": "sign-verbatim" })).await;
    mount
        .update(
            "roles/short",
            json!({ "allow_any_name": true, "key_type": "any", "ttl": "1h", "require_cn": false }),
        )
        .await;
    mount
        .update(
            "roles/hidden",
            json!({ "allow_any_name": true, "no_store": true }),
        )
        .await;
    let shown: Value = serde_json::from_str(&mount.read("acme/directory").await.text()).unwrap();
    let profiles: Vec<_> = shown["meta"]["profiles"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(profiles, ["short", "web"]);
    let client = Client::registered(&mount, "acme/").await;
    let order = client
        .order_with(&["a.test"], json!({ "profile": "short" }))
        .await;
    assert_eq!(body(&order)["profile"], "short", "{}", order.text());
    client.prove(&order).await;
    let done = client.finalize(&order, &csr(&["a.test"])).await;
    assert_eq!(body(&done)["profile"], "short");
    let chain = client.follow(&body(&done)["certificate"], "").await;
    let leaf = Certificate::from_pem(chain.text().as_bytes()).unwrap();
    let life = leaf.not_after().duration_since(leaf.not_before());
    assert!(life < jiff::SignedDuration::from_hours(2), "{life:?}");
    // The rules of the profile's role count.
    assert_eq!(
        problem(
            &client
                .order_with(&["a.test"], json!({ "profile": "web" }))
                .await
        ),
        "rejectedIdentifier"
    );
    for profile in ["hidden", "none", "../web", "*"] {
        let refused = client
            .order_with(&["a.test"], json!({ "profile": profile }))
            .await;
        assert_eq!(problem(&refused), "invalidProfile", "{profile}");
    }
    let other = Client::registered(&mount, "roles/web/acme/").await;
    assert_eq!(
        problem(
            &other
                .order_with(&["example.com"], json!({ "profile": "web" }))
                .await
        ),
        "invalidProfile"
    );
}

/// Whoever waits for an order hears of what was written below the server.
#[tokio::test]
async fn an_authorization_is_what_storage_says() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let order = client.order(&["a.test"]).await;
    let url = json!(order.headers["Location"][0]);
    assert_eq!(body(&client.follow(&url, "").await)["status"], "pending");
    let account = client.account.clone().unwrap();
    let last = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let authorization = body(&order)["authorizations"][0].clone();
    let key = format!(
        "acme/accounts/{}/authorizations/{}",
        last(&account),
        last(authorization.as_str().unwrap())
    );
    let stored = mount.storage().get(&key).await.unwrap().unwrap();
    let mut entry: Value = serde_json::from_slice(&stored).unwrap();
    entry["status"] = json!("valid");
    let changed = entry.to_string().into_bytes();
    mount.storage().put(&key, changed).await.unwrap();
    assert_eq!(body(&client.follow(&url, "").await)["status"], "ready");
    let done = client.finalize(&order, &csr(&["a.test"])).await;
    assert_eq!(done.status, 200, "{}", done.text());
}

#[tokio::test]
async fn what_lies_in_storage_is_the_built_in_engines() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let leaf =
        Certificate::from_pem(client.obtain(&["a.test", "10.0.0.1"]).await.as_bytes()).unwrap();
    let account = client.account.clone().unwrap();
    let id = account.rsplit('/').next().unwrap();
    let storage = mount.storage();
    let read = async |key: &str| -> Value {
        serde_json::from_slice(&storage.get(key).await.unwrap().unwrap()).unwrap()
    };
    let entry = read(&format!("acme/accounts/{id}")).await;
    let members: Vec<_> = entry
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "account-created-date",
            "account-max-cert-expiry",
            "account-revoked-date",
            "acme-directory",
            "contact",
            "eab",
            "jwk",
            "status",
            "terms-of-service-agreed"
        ]
    );
    let tracked = read(&format!(
        "acme/accounts/{id}/certs/{}",
        leaf.serial().dash()
    ))
    .await;
    let order = read(&format!(
        "acme/accounts/{id}/orders/{}",
        tracked["order"].as_str().unwrap()
    ))
    .await;
    let members: Vec<_> = order
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "account-id",
            "authorization-ids",
            "cert-expiry",
            "cert-serial-number",
            "expires",
            "identifiers",
            "issuer-id",
            "status"
        ]
    );
    assert_eq!(order["cert-serial-number"], leaf.serial().dash());
    assert_eq!(
        order["identifiers"][1],
        json!({ "type": "ip", "value": "10.0.0.1", "original_value": "10.0.0.1", "is_wildcard": false, "is_ipv6": false })
    );
    let authorization = order["authorization-ids"][0].as_str().unwrap();
    let authorization = read(&format!(
        "acme/accounts/{id}/authorizations/{authorization}"
    ))
    .await;
    let members: Vec<_> = authorization
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        [
            "account_id",
            "challenges",
            "expires",
            "id",
            "identifier",
            "status",
            "wildcard"
        ]
    );
    let members: Vec<_> = authorization["challenges"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, ["challenge_fields", "status", "type", "validated"]);
    assert!(storage.list("acme/validations/").await.unwrap().is_empty());
    assert_eq!(
        SerialNumber::parse(order["cert-serial-number"].as_str().unwrap())
            .unwrap()
            .dash(),
        leaf.serial().dash()
    );
}

/// The key of a request may be of any kind that the role takes.
#[tokio::test]
async fn a_request_with_an_ml_dsa_key_is_finalized() {
    let mount = served(json!({})).await;
    for bits in [44, 65, 87] {
        let key = PrivateKey::generate(KeySpec::parse("mldsa", bits).unwrap()).unwrap();
        let client = Client::registered(&mount, "acme/").await;
        let order = client.order(&["a.example.net"]).await;
        client.prove(&order).await;
        let csr = csr_by(Subject::default().to_name(), &["a.example.net"], &key);
        let done = client.finalize(&order, &csr).await;
        assert_eq!(done.status, 200, "{}", done.text());
        let chain = client.follow(&body(&done)["certificate"], "").await.text();
        let leaf = &Certificate::all_from_pem(chain.as_bytes()).unwrap()[0];
        assert_eq!(leaf.public_key(), key.public_key());
        let usage = leaf.key_usage().unwrap();
        assert!(landfast_pki::KeyUsage::SIGNING.contains(usage), "{usage:?}");
    }
}
