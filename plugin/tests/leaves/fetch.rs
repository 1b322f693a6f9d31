//! What anybody may fetch.

use landfast_pki::Certificate;
use serde_json::json;

use crate::support::{CA, certificate, empty, issue, role, with_ca};

#[tokio::test]
async fn an_empty_mount_has_nothing_and_says_so_in_kind() {
    let mount = empty().await;
    for (path, content_type) in [
        ("ca", "application/pkix-cert"),
        ("ca/pem", "application/pem-certificate-chain"),
        ("ca_chain", "application/pkix-cert"),
        ("crl", "application/pkix-crl"),
        ("crl/pem", "application/x-pem-file"),
        ("crl/delta", "application/pkix-crl"),
        ("crl/delta/pem", "application/x-pem-file"),
        ("cert/aa:bb/raw", "application/pkix-cert"),
        ("cert/aa-bb/raw/pem", "application/pem-certificate-chain"),
        ("cert/ca/raw", "application/pkix-cert"),
    ] {
        let reply = mount.read(path).await;
        assert_eq!(
            (
                reply.status,
                reply.content_type.as_str(),
                reply.text().as_str()
            ),
            (204, content_type, ""),
            "{path}"
        );
    }
    for (path, status) in [
        ("cert/ca", 400),
        ("cert/ca_chain", 400),
        ("cert/crl", 500),
        ("cert/delta-crl", 500),
        ("issuer/default", 500),
    ] {
        let reply = mount.read(path).await;
        assert_eq!(
            (reply.status, reply.error()),
            (status, "no default issuer currently configured"),
            "{path}"
        );
    }
    for path in [
        "roles",
        "certs",
        "certs/detailed",
        "certs/revoked",
        "issuers",
        "keys",
    ] {
        assert_eq!(mount.list(path).await.status, 404, "{path}");
    }
    assert_eq!(mount.read("cert/aa:bb").await.status, 404);
    for path in ["cert/zz", "cert/crl/raw", "nothing", "cert/aa/raw/der"] {
        let reply = mount.read(path).await;
        assert_eq!(
            (reply.status, reply.error()),
            (404, "unsupported path"),
            "{path}"
        );
    }
    assert_eq!(mount.read("certs").await.status, 405);
}

#[tokio::test]
async fn the_default_issuer_is_fetched_in_every_form() {
    let mount = with_ca().await;
    let ca = Certificate::from_pem(CA.as_bytes()).unwrap();
    let pem = ca.pem().trim_end().to_owned();
    assert_eq!(mount.read("ca").await.raw.as_deref(), Some(ca.der()));
    assert_eq!(
        mount.read("cert/ca/raw").await.raw.as_deref(),
        Some(ca.der())
    );
    for path in ["ca/pem", "ca_chain", "cert/ca/raw/pem"] {
        assert_eq!(mount.read(path).await.text(), pem, "{path}");
    }
    let frame = json!({"certificate": pem, "revocation_time": 0, "revocation_time_rfc3339": ""});
    assert_eq!(mount.read("cert/ca").await.data, frame);
    let chain = mount.read("cert/ca_chain").await.data;
    assert_eq!(
        (&chain["ca_chain"], &chain["certificate"]),
        (&json!(pem), &json!(pem))
    );
}

#[tokio::test]
async fn a_certificate_is_found_by_its_serial_number_in_any_spelling() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let reply = issue(&mount, json!({"common_name": "a.b"})).await;
    let leaf = certificate(&reply);
    let colon = leaf.serial().colon();
    for serial in [colon.clone(), colon.replace(':', "-"), colon.to_uppercase()] {
        let found = mount.read(&format!("cert/{serial}")).await;
        assert_eq!(
            found.data["certificate"], reply.data["certificate"],
            "{serial}"
        );
        assert_eq!(found.data["revocation_time"], 0);
    }
    assert_eq!(
        mount
            .read(&format!("cert/{colon}/raw"))
            .await
            .raw
            .as_deref(),
        Some(leaf.der())
    );
    assert_eq!(
        mount.read(&format!("cert/{colon}/raw/pem")).await.text(),
        leaf.pem().trim_end()
    );

    mount
        .update("revoke", json!({"serial_number": colon}))
        .await;
    let found = mount.read(&format!("cert/{colon}")).await.data;
    assert_eq!(found["revocation_time"], 1_795_359_600);
    assert_eq!(found["revocation_time_rfc3339"], "2026-11-22T15:00:00Z");
    assert_eq!(
        found["issuer_id"],
        mount.read("issuer/default").await.data["issuer_id"]
    );
}

#[tokio::test]
async fn certificates_are_listed_in_pages_and_in_detail() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    for name in ["a.b", "c.d", "e.f"] {
        let names = "1.x,2.x,3.x,4.x,5.x,6.x";
        issue(&mount, json!({"common_name": name, "alt_names": names})).await;
    }
    let all = mount.list("certs").await;
    let keys = all.keys();
    assert_eq!(keys.len(), 3);
    let second = mount
        .list_with("certs", json!({"after": keys[0], "limit": 1}))
        .await;
    assert_eq!(second.keys(), keys[1..2]);
    let upper = mount
        .list_with("certs", json!({"after": keys[1].to_uppercase()}))
        .await;
    assert_eq!(upper.keys(), keys[2..]);

    let detailed = mount.list_with("certs/detailed", json!({"limit": 2})).await;
    assert_eq!(detailed.keys(), keys[..2]);
    let info = &detailed.data["key_info"][keys[0]];
    let name = info["common_name"].as_str().unwrap();
    assert_eq!(
        info,
        &json!({
            "common_name": name, "issuer": "CN=root.example", "key_type": "ec", "key_bits": 256,
            "not_before": "2026-11-22T14:59:30Z", "not_after": "2026-11-22T16:00:00Z",
            "dns_names": [name, "1.x", "2.x", "3.x", "4.x"],
        })
    );
}
