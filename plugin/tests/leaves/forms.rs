//! What certificates and answers look like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use landfast_pki::{Certificate, KeyType, PrivateKey};
use serde_json::{Value, json};

use crate::support::{CA, CSR, certificate, issue, role, with_ca};

#[tokio::test]
async fn pem_is_trimmed_and_chains_to_the_issuer() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let reply = issue(&mount, json!({"common_name": "a.example.com"})).await;
    let leaf = certificate(&reply);
    let ca = Certificate::from_pem(CA.as_bytes()).unwrap();
    leaf.verify_issued_by(&ca).unwrap();
    let text = |name: &str| reply.data[name].as_str().unwrap();
    for name in ["certificate", "issuing_ca", "private_key"] {
        assert!(
            text(name).starts_with("-----BEGIN ") && text(name).ends_with("-----"),
            "{name}"
        );
    }
    assert_eq!(reply.data["ca_chain"], json!([text("issuing_ca")]));
    assert_eq!(text("serial_number"), leaf.serial().colon());
    assert_eq!(reply.data["expiration"], leaf.not_after().as_second());
    assert_eq!(reply.data["not_before"], leaf.not_before().as_second());
    let key = PrivateKey::from_pem(text("private_key").as_bytes()).unwrap();
    assert_eq!(key.public_key().spki_der(), leaf.public_key().spki_der());
}

#[tokio::test]
async fn der_is_base64_throughout() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let reply = issue(
        &mount,
        json!({"common_name": "a.example.com", "format": "der"}),
    )
    .await;
    let der = |value: &Value| BASE64.decode(value.as_str().unwrap()).unwrap();
    let leaf = Certificate::from_der(&der(&reply.data["certificate"])).unwrap();
    let ca = Certificate::from_der(&der(&reply.data["issuing_ca"])).unwrap();
    leaf.verify_issued_by(&ca).unwrap();
    assert_eq!(der(&reply.data["ca_chain"][0]), ca.der());
    let key = PrivateKey::from_der(&der(&reply.data["private_key"])).unwrap();
    assert_eq!(key.public_key().spki_der(), leaf.public_key().spki_der());
}

#[tokio::test]
async fn a_bundle_is_key_certificate_and_chain() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let fields = json!({"common_name": "a.b", "format": "pem_bundle", "private_key_format": "pkcs8", "remove_roots_from_chain": true});
    let reply = issue(&mount, fields).await;
    let bundle = reply.data["certificate"].as_str().unwrap();
    let labels: Vec<_> = bundle
        .lines()
        .filter_map(|line| line.strip_prefix("-----BEGIN "))
        .collect();
    assert_eq!(
        labels,
        [
            "EC PRIVATE KEY-----",
            "CERTIFICATE-----",
            "CERTIFICATE-----"
        ]
    );
    assert!(!bundle.contains("\n\n") && !bundle.ends_with('\n'));
    assert!(
        reply.data["private_key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
    assert_eq!(reply.data.get("ca_chain"), None);

    let reply = mount
        .update("sign/r", json!({"csr": CSR, "format": "pem_bundle"}))
        .await;
    let bundle = reply.data["certificate"].as_str().unwrap();
    assert_eq!(bundle.matches("-----BEGIN CERTIFICATE-----").count(), 2);
    assert!(!bundle.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn every_kind_of_key_is_made() {
    let mount = with_ca().await;
    for (kind, bits, label, expected) in [
        ("rsa", 2048, "RSA PRIVATE KEY", KeyType::Rsa),
        ("ec", 256, "EC PRIVATE KEY", KeyType::Ec),
        ("ec", 384, "EC PRIVATE KEY", KeyType::Ec),
        ("ec", 521, "EC PRIVATE KEY", KeyType::Ec),
        ("ed25519", 0, "PRIVATE KEY", KeyType::Ed25519),
        ("mldsa", 44, "PRIVATE KEY", KeyType::MlDsa),
        ("mldsa", 65, "PRIVATE KEY", KeyType::MlDsa),
        ("mldsa", 87, "PRIVATE KEY", KeyType::MlDsa),
    ] {
        role(&mount, json!({"key_type": kind, "key_bits": bits})).await;
        let reply = issue(&mount, json!({"common_name": "a.b"})).await;
        let key = certificate(&reply).public_key().clone();
        assert_eq!(key.key_type(), expected);
        assert!(bits == 0 || key.bits() == bits, "{kind} {bits}");
        assert_eq!(reply.data["private_key_type"], kind);
        assert!(
            reply.data["private_key"]
                .as_str()
                .unwrap()
                .starts_with(&format!("-----BEGIN {label}-----"))
        );
    }
}

#[tokio::test]
async fn validity_follows_the_clock_and_the_role() {
    let mount = with_ca().await;
    role(&mount, json!({"not_before_duration": "5m"})).await;
    let leaf = certificate(&issue(&mount, json!({"common_name": "a.b"})).await);
    assert_eq!(leaf.not_before().to_string(), "2026-11-22T14:55:00Z");
    assert_eq!(leaf.not_after().to_string(), "2026-11-22T16:00:00Z");

    let reply = issue(
        &mount,
        json!({"common_name": "a.b", "not_after": "9999-12-31T23:59:59Z"}),
    )
    .await;
    assert_eq!(reply.status, 400);
    mount
        .update(
            "issuer/default",
            json!({"leaf_not_after_behavior": "permit"}),
        )
        .await;
    let reply = issue(
        &mount,
        json!({"common_name": "a.b", "not_after": "9999-12-31T23:59:59Z"}),
    )
    .await;
    assert_eq!(reply.data["expiration"], 253_402_300_799_i64);
}

#[tokio::test]
async fn a_mount_without_a_role_ttl_uses_its_own() {
    let mount = with_ca().await;
    role(&mount, json!({"ttl": 0, "max_ttl": 0})).await;
    let leaf = certificate(&issue(&mount, json!({"common_name": "a.b"})).await);
    assert_eq!(
        leaf.not_after().as_second() - leaf.not_before().as_second(),
        768 * 3600 + 30
    );
    let reply = issue(&mount, json!({"common_name": "a.b", "ttl": "90000h"})).await;
    assert_eq!(
        reply.warnings,
        [
            "TTL \"90000h0m0s\" is longer than permitted maxTTL \"87600h0m0s\", so maxTTL is being used"
        ]
    );
}

#[tokio::test]
async fn the_role_names_the_issuer_unless_the_path_does() {
    let mount = with_ca().await;
    mount
        .update("issuer/default", json!({"issuer_name": "one"}))
        .await;
    role(&mount, json!({"issuer_ref": "one"})).await;
    let fields = json!({"common_name": "a.b", "issuer_ref": "nobody"});
    assert_eq!(issue(&mount, fields.clone()).await.status, 200);
    for path in [
        "issuer/one/issue/r",
        "issuer/default/issue/r",
        "issuer/DEFAULT/issue/r",
    ] {
        assert_eq!(
            mount
                .update(path, json!({"common_name": "a.b"}))
                .await
                .status,
            200,
            "{path}"
        );
    }
    let reply = mount
        .update("issuer/nobody/issue/r", json!({"common_name": "a.b"}))
        .await;
    assert_eq!(
        (reply.status, reply.error()),
        (
            500,
            "could not fetch the CA certificate (was one set?): unable to find PKI issuer for reference: nobody"
        )
    );
}

#[tokio::test]
async fn a_lease_revokes_its_certificate() {
    let mount = with_ca().await;
    role(&mount, json!({"generate_lease": true})).await;
    let reply = issue(&mount, json!({"common_name": "a.b"})).await;
    let serial = certificate(&reply).serial().colon();
    let lease = reply.lease.unwrap();
    assert_eq!((lease.ttl.as_secs(), lease.renewable), (3600, false));
    let internal: Value = serde_json::from_str(&lease.internal_data).unwrap();
    assert_eq!(
        internal,
        json!({"secret_type": "pki", "serial_number": serial})
    );

    let context = landfast_sdk::logical::LeaseContext {
        internal: internal.as_object().unwrap().clone(),
        ..Default::default()
    };
    assert!(
        mount
            .revoke("issue/r", context.clone())
            .await
            .errors
            .is_empty()
    );
    let path = format!("cert/{serial}");
    assert_ne!(mount.read(&path).await.data["revocation_time"], 0);
    // The host tries again when it did not hear the answer.
    assert!(mount.revoke("issue/r", context).await.errors.is_empty());
}

#[tokio::test]
async fn sign_verbatim_takes_the_request_as_it_is_but_makes_no_ca() {
    let mount = with_ca().await;
    let csr = include_str!("../data/csr-full.pem");
    let reply = mount
        .update("sign-verbatim", json!({"csr": csr, "ttl": "1h"}))
        .await;
    let leaf = certificate(&reply);
    assert!(!leaf.is_ca());
    assert_eq!(leaf.dns_names(), ["csr.example.com", "other.example.com"]);
    assert!(
        leaf.extensions()
            .any(|extension| extension.oid.to_string() == "1.2.3.4.5")
    );
    let subject = leaf.subject().to_string();
    assert!(
        subject.contains("Csr Org") && subject.contains("csr-ou"),
        "{subject}"
    );
    assert_eq!(
        mount
            .read(&format!("cert/{}", leaf.serial().colon()))
            .await
            .status,
        200
    );

    role(&mount, json!({"no_store": true})).await;
    let leaf = certificate(&mount.update("sign-verbatim/r", json!({"csr": csr})).await);
    assert_eq!(leaf.not_after().to_string(), "2026-11-22T16:00:00Z");
    assert_eq!(
        mount
            .read(&format!("cert/{}", leaf.serial().colon()))
            .await
            .status,
        404
    );
}
