//! Renewal information (RFC 9773), and orders that replace certificates.

use jiff::{SignedDuration, Timestamp};
use landfast_pki::Certificate;
use serde_json::json;

use crate::client::{Client, b64, body, csr, problem};
use crate::served;

/// The name of a certificate as RFC 9773 section 4.1 makes it.
fn id(certificate: &Certificate) -> String {
    let serial = certificate.serial().as_bytes();
    // As in DER: a zero in front of what would be negative.
    let padded = if serial[0] >= 0x80 {
        [&[0], serial].concat()
    } else {
        serial.to_vec()
    };
    format!("{}.{}", b64(certificate.aki().unwrap()), b64(padded))
}

async fn window(client: &Client<'_>, certificate: &Certificate) -> (Timestamp, Timestamp, u64) {
    let reply = client
        .mount
        .read(&format!("acme/renewal-info/{}", id(certificate)))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let shown = body(&reply)["suggestedWindow"].clone();
    let time = |name: &str| shown[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    (
        time("start"),
        time("end"),
        reply.headers["Retry-After"][0].parse().unwrap(),
    )
}

async fn obtained(client: &Client<'_>, name: &str) -> Certificate {
    Certificate::from_pem(client.obtain(&[name]).await.as_bytes()).unwrap()
}

#[tokio::test]
async fn the_window_moves_up_when_the_certificate_cannot_stay() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let first = obtained(&client, "a.test").await;
    let second = obtained(&client, "b.test").await;
    let (start, end, again) = window(&client, &first).await;
    assert!(
        first.not_before() < start && start < end && end < first.not_after(),
        "{start} {end}"
    );
    assert!(
        start > Timestamp::now() + SignedDuration::from_hours(24),
        "not yet: {start}"
    );
    assert!((60..=6 * 3600).contains(&again), "{again}");
    assert_ne!(
        window(&client, &second).await.0,
        start,
        "the fleet is spread"
    );
    // Revoked: at once.
    mount
        .update("revoke", json!({ "serial_number": first.serial().colon() }))
        .await;
    assert!(window(&client, &first).await.1 < Timestamp::now());
    // Another CA: soon.
    let root = json!({ "common_name": "Next", "key_type": "ec", "issuer_name": "next" });
    mount.update("root/rotate/internal", root).await;
    assert_eq!(
        mount
            .update("config/issuers", json!({ "default": "next" }))
            .await
            .status,
        200
    );
    let (start, end, _) = window(&client, &second).await;
    assert!(
        start <= Timestamp::now() && end <= Timestamp::now() + SignedDuration::from_hours(7),
        "{start} {end}"
    );
    for (name, status) in [
        ("a.b.c", 400),
        ("nothing", 400),
        ("AAAA.AQ", 404),
        ("", 404),
    ] {
        let reply = mount.read(&format!("acme/renewal-info/{name}")).await;
        assert_eq!(reply.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_by_one_order() {
    let mount = served(json!({})).await;
    let client = Client::registered(&mount, "acme/").await;
    let stranger = Client::registered(&mount, "acme/").await;
    let old = obtained(&client, "a.test").await;
    let replaces = json!({ "replaces": id(&old) });
    let refused = stranger.order_with(&["a.test"], replaces.clone()).await;
    assert_eq!(problem(&refused), "malformed");
    let refused = client.order_with(&["b.test"], replaces.clone()).await;
    assert!(
        refused.text().contains("none of the order's identifiers"),
        "{}",
        refused.text()
    );
    let order = client
        .order_with(&["a.test", "b.test"], replaces.clone())
        .await;
    assert_eq!(
        (order.status, &body(&order)["replaces"]),
        (201, &replaces["replaces"])
    );
    client.prove(&order).await;
    assert_eq!(
        client
            .finalize(&order, &csr(&["a.test", "b.test"]))
            .await
            .status,
        200
    );
    let again = client.order_with(&["a.test"], replaces).await;
    assert_eq!(
        (again.status, problem(&again)),
        (409, "alreadyReplaced".to_owned())
    );
    let plain = client.order(&["a.test"]).await;
    assert_eq!(plain.status, 201);
    let odd = client
        .order_with(&["a.test"], json!({ "replaces": "x" }))
        .await;
    assert_eq!(problem(&odd), "malformed");
}
