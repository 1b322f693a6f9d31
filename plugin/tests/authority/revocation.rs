//! Revoking, and the CRL that lists what was revoked.

use std::io::Write as _;
use std::process::Command;

use jiff::SignedDuration;
use landfast_pki::Certificate;
use landfast_sdk::testing::Fault;
use serde_json::{Value, json};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use crate::support::*;

#[tokio::test]
async fn a_revoked_certificate_is_on_the_next_crl() {
    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    let leaf = leaf("leaf", &root);
    leaf.store(&mount).await;
    let first = crl(&mount, "crl").await;
    first.verify(&root.certificate).unwrap();
    assert_eq!((first.number(), listed(&first).len()), (Some(1), 0));
    assert_eq!(first.this_update(), now());
    assert_eq!(
        first.next_update(),
        Some(now() + SignedDuration::from_hours(72))
    );
    assert_eq!(first.aki(), root.certificate.ski());

    let shouted = leaf.serial().to_uppercase().replace(':', "-");
    let reply = ok(mount
        .update("revoke", json!({ "serial_number": shouted }))
        .await);
    let revoked = json!({
        "revocation_time": now().as_second(), "revocation_time_rfc3339": "2026-11-22T12:00:00Z", "state": "revoked",
    });
    assert_eq!(reply.data, revoked);

    let second = crl(&mount, "crl").await;
    second.verify(&root.certificate).unwrap();
    // The delta CRL between them took a number of its own.
    assert_eq!(
        (second.number(), listed(&second)),
        (Some(3), one(&leaf.serial()))
    );
    assert_eq!(second.entries().next().unwrap().reason, None);
    let delta = crl(&mount, "crl/delta").await;
    assert_eq!(
        (delta.number(), delta.delta_base(), listed(&delta).len()),
        (Some(4), Some(3), 0)
    );

    let again = mount
        .update("revoke", json!({ "serial_number": leaf.serial() }))
        .await;
    assert_eq!(again.data, revoked);
    assert_eq!(crl(&mount, "crl").await.number(), Some(3));
    for path in [
        format!("issuer/{id}/crl/der"),
        "issuer/default/crl/der".to_owned(),
    ] {
        assert_eq!(crl(&mount, &path).await.der(), second.der());
    }
    assert_eq!(mount.read("crl/pem").await.text(), second.pem().trim_end());
    assert_eq!(
        mount.read("issuer/default/crl/pem").await.text(),
        second.pem()
    );
    assert_eq!(
        mount.read("issuer/default/crl").await.data,
        json!({ "crl": second.pem() })
    );
    assert_eq!(
        mount.read("cert/crl").await.data,
        json!({ "certificate": second.pem().trim_end(), "revocation_time": 0, "revocation_time_rfc3339": "" })
    );
    assert_eq!(mount.list("certs/revoked").await.keys(), [leaf.serial()]);
    assert_eq!(crl(&mount.reload().await, "crl").await.der(), second.der());
}

#[tokio::test]
async fn other_readers_accept_the_crl() {
    let mount = mount().await;
    for root in [
        root("Ec"),
        root_with("Rsa", key("rsa")),
        root_with("Ed", key("ed25519")),
    ] {
        let id = adopt(&mount, &root).await;
        let leaf = leaf("leaf", &root);
        leaf.store(&mount).await;
        ok(mount
            .update("revoke", json!({ "serial_number": leaf.serial() }))
            .await);
        let der = mount
            .read(&format!("issuer/{id}/crl/der"))
            .await
            .raw
            .unwrap();

        let (rest, parsed) = CertificateRevocationList::from_der(&der).unwrap();
        assert!(rest.is_empty());
        let serials: Vec<_> = parsed
            .iter_revoked_certificates()
            .map(|entry| entry.raw_serial_as_string())
            .collect();
        assert_eq!(serials, [leaf.serial()]);

        let folder = tempfile::tempdir().unwrap();
        let (crl, ca) = (folder.path().join("crl.der"), folder.path().join("ca.pem"));
        std::fs::File::create(&crl)
            .unwrap()
            .write_all(&der)
            .unwrap();
        std::fs::write(&ca, root.certificate.pem()).unwrap();
        let output = Command::new("openssl")
            .args(["crl", "-inform", "DER", "-noout", "-verify", "-in"])
            .arg(&crl)
            .arg("-CAfile")
            .arg(&ca)
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && said.contains("verify OK"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_was_never_stored_can_be_revoked() {
    let mount = mount().await;
    let (root, foreign) = (root("Root"), root("Foreign"));
    adopt(&mount, &root).await;
    let leaf = leaf("leaf", &root);
    refused(
        &mount
            .update("revoke", json!({ "serial_number": leaf.serial() }))
            .await,
        400,
        &format!("certificate with serial {} not found.", leaf.serial()),
    );
    let reply = ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    assert_eq!(reply.data["state"], "revoked");
    assert_eq!(listed(&crl(&mount, "crl").await), one(&leaf.serial()));
    // It is stored now, so its serial number will do from here on.
    let again = ok(mount
        .update("revoke", json!({ "serial_number": leaf.serial() }))
        .await);
    assert_eq!(again.data, reply.data);

    let not_ours = "unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key re-imported if revocation is necessary";
    let strange = support_leaf(&foreign);
    refused(
        &mount
            .update("revoke", json!({ "certificate": strange }))
            .await,
        500,
        not_ours,
    );
    // A certificate that only names our issuer is not ours either.
    let forged = support_leaf(&root_with("Root", key("ec")));
    refused(
        &mount
            .update("revoke", json!({ "certificate": forged }))
            .await,
        500,
        not_ours,
    );
    assert_eq!(listed(&crl(&mount, "crl").await), one(&leaf.serial()));
}

fn support_leaf(issuer: &Pair) -> String {
    leaf("x", issuer).certificate.pem()
}

#[tokio::test]
async fn revocation_requests_are_checked_in_the_known_words() {
    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    let leaf = leaf("leaf", &root);
    leaf.store(&mount).await;
    let serial = leaf.serial();
    let own = format!("adding issuer (id: {id}) to its own CRL is not allowed");
    for (path, fields, status, error) in [
        (
            "revoke",
            json!({}),
            400,
            "The serial number or certificate to revoke must be provided.",
        ),
        (
            "revoke",
            json!({ "serial_number": "" }),
            400,
            "The serial number must be provided",
        ),
        (
            "revoke",
            json!({ "serial_number": "aa", "certificate": "x" }),
            400,
            "Must provide either the certificate or the serial to revoke; not both.",
        ),
        (
            "revoke",
            json!({ "serial_number": "zz" }),
            400,
            "certificate with serial zz not found.",
        ),
        (
            "revoke",
            json!({ "certificate": "x" }),
            500,
            "provided certificate data was too short; perhaps a path was passed to the API rather than the contents of a PEM file",
        ),
        (
            "revoke",
            json!({ "certificate": "x".repeat(100) }),
            500,
            "certificate contains no PEM data",
        ),
        (
            "revoke",
            json!({ "certificate": root.certificate.pem() }),
            400,
            own.as_str(),
        ),
        (
            "revoke-with-key",
            json!({}),
            400,
            "The serial number or certificate to revoke must be provided.",
        ),
        (
            "revoke-with-key",
            json!({ "serial_number": serial }),
            400,
            "Must have private key to revoke via the /revoke-with-key path.",
        ),
        (
            "revoke-with-key",
            json!({ "serial_number": serial, "private_key": "x" }),
            400,
            "Provided data for private_key was too short; perhaps a path was passed to the API rather than the contents of a PEM file?",
        ),
        (
            "revoke-with-key",
            json!({ "serial_number": serial, "private_key": "x".repeat(100) }),
            500,
            "provided key PEM block contained no data or failed to parse",
        ),
        (
            "revoke-with-key",
            json!({ "serial_number": serial, "private_key": root.key_pem() }),
            500,
            "provided private key does not match certificate's public key",
        ),
        (
            "revoke-with-key",
            json!({ "serial_number": serial, "private_key": root_with("x", key("ed25519")).key_pem() }),
            500,
            "provided private key type does not match certificate's public key type",
        ),
    ] {
        refused(&mount.update(path, fields).await, status, error);
    }
    assert_eq!(listed(&crl(&mount, "crl").await).len(), 0);
    let proof = json!({ "serial_number": serial, "private_key": leaf.key_pem() });
    assert_eq!(
        ok(mount.update("revoke-with-key", proof).await).data["state"],
        "revoked"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_revoked_only_where_allowed() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    let old = leaf_for("old", &root, SignedDuration::from_secs(-1));
    old.store(&mount).await;
    let fields = json!({ "serial_number": old.serial() });
    let reply = mount.update("revoke", fields.clone()).await;
    assert_eq!((reply.status, &reply.data), (200, &Value::Null));
    assert_eq!(
        reply.warnings,
        [format!(
            "certificate with serial {} already expired; refusing to add to CRL. Enable 'AllowExpiredCertRevocation' to allow revoking expired certificates.",
            old.serial()
        )]
    );
    ok(mount
        .update(
            "config/crl",
            json!({ "allow_expired_cert_revocation": true }),
        )
        .await);
    assert_eq!(
        ok(mount.update("revoke", fields).await).data["state"],
        "revoked"
    );
}

#[tokio::test]
async fn issuers_with_one_key_and_name_share_a_crl() {
    let mount = mount().await;
    let first = root("Root");
    let again = root_with("Root", copy(&first));
    let renamed = root_with("Renamed", copy(&first));
    let ids = [
        adopt(&mount, &first).await,
        adopt(&mount, &again).await,
        adopt(&mount, &renamed).await,
    ];
    let leaf = leaf("leaf", &first);
    ok(mount
        .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
        .await);
    let mut found = Vec::new();
    for id in &ids {
        found.push(crl(&mount, &format!("issuer/{id}/crl/der")).await);
    }
    assert_eq!(found[0].der(), found[1].der());
    assert_eq!(listed(&found[0]), one(&leaf.serial()));
    assert_eq!(listed(&found[2]).len(), 0);
    found[0].verify(&again.certificate).unwrap();
    found[2].verify(&renamed.certificate).unwrap();
}

/// A stored certificate is believed to be of this mount, and its key identifier tells of which issuer; names alone do not.
#[tokio::test]
async fn a_stored_certificate_is_on_the_crl_of_the_key_that_signed_it() {
    let mount = mount().await;
    let pairs = [root("Root"), root("Root"), root_without_key_id("Root")];
    let mut ids = Vec::new();
    for pair in &pairs {
        ids.push(adopt(&mount, pair).await);
    }
    for (pair, id) in pairs.iter().zip(&ids) {
        let leaf = leaf("leaf", pair);
        leaf.store(&mount).await;
        ok(mount
            .update("revoke", json!({ "serial_number": leaf.serial() }))
            .await);
        let list = crl(&mount, &format!("issuer/{id}/crl/der")).await;
        assert_eq!(listed(&list), one(&leaf.serial()));
        list.verify(&pair.certificate).unwrap();
    }
}

#[tokio::test]
async fn a_revocation_that_storage_may_have_taken_is_looked_for_there() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    let leaf = leaf("leaf", &root);
    leaf.store(&mount).await;
    // All revocations are known.
    ok(mount.read("crl/rotate").await);
    let fields = json!({ "serial_number": leaf.serial() });
    mount.storage().fail_at(1, Fault::After);
    let failed = mount.update("revoke", fields.clone()).await;
    assert_eq!(failed.status, 500, "{failed:?}");
    mount.storage().heal();
    ok(mount.update("revoke", fields).await);
    assert_eq!(
        listed(&crl(&mount, "crl").await),
        one(&leaf.serial()),
        "what was taken is listed"
    );
}

#[tokio::test]
async fn a_new_crl_is_answered_without_reading_it() {
    let mount = mount().await;
    adopt(&mount, &root("Root")).await;
    ok(mount.read("crl/rotate").await);
    mount.storage().reset_calls();
    crl(&mount, "crl").await;
    crl(&mount, "crl/delta").await;
    // Which CRLs there are is read, but none of them.
    assert_eq!(mount.storage().calls().gets, 1);
}

fn copy(pair: &Pair) -> landfast_pki::PrivateKey {
    landfast_pki::PrivateKey::from_pem(pair.key_pem().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_revoked_issuer_signs_no_more_and_is_on_its_parents_crl() {
    let mount = mount().await;
    let root = root("Root");
    let child = intermediate("Child", &root);
    let (root_id, child_id) = (adopt(&mount, &root).await, adopt(&mount, &child).await);
    refused(
        &mount
            .update("revoke", json!({ "certificate": child.certificate.pem() }))
            .await,
        400,
        &format!("adding issuer (id: {child_id}) to its own CRL is not allowed"),
    );
    let path = format!("issuer/{child_id}");
    let reply = ok(mount.update(&format!("{path}/revoke"), json!({})).await);
    assert!(reply.warnings.is_empty(), "{reply:?}");
    assert_eq!(reply.data["revoked"], true);
    assert_eq!(
        reply.data["revocation_time_rfc3339"],
        "2026-11-22T12:00:00Z"
    );
    assert_eq!(reply.data["usage"], "crl-signing,ocsp-signing,read-only");
    assert_eq!(
        listed(&crl(&mount, &format!("issuer/{root_id}/crl/der")).await),
        one(&child.serial())
    );
    assert_eq!(
        listed(&crl(&mount, &format!("{path}/crl/der")).await).len(),
        0
    );
    assert_eq!(
        ok(mount.update(&format!("{path}/revoke"), json!({})).await).data,
        reply.data
    );
    let locked = "This issuer was revoked; unable to modify its usage to include certificate signing again. Reissue this certificate (preferably with a new key) and modify that entry instead.";
    refused(
        &mount
            .patch(&path, json!({ "usage": "issuing-certificates" }))
            .await,
        400,
        locked,
    );
    // A write that sends no usage asks for all of them.
    refused(&mount.update(&path, json!({})).await, 400, locked);

    let reply = ok(mount
        .update(&format!("issuer/{root_id}/revoke"), json!({}))
        .await);
    assert_eq!(reply.warnings.len(), 3, "{reply:?}");
    assert_eq!(
        listed(&crl(&mount, &format!("issuer/{root_id}/crl/der")).await),
        one(&child.serial())
    );
}

#[tokio::test]
async fn revocations_of_the_built_in_engine_are_honoured() {
    use landfast_sdk::logical::Storage as _;
    let mount = mount().await;
    let dump = include_str!("../data/pki-storage-2.7.2.txt");
    for part in dump.split("\n== ").skip(1) {
        let (key, value) = part.split_once('\n').unwrap();
        if !value.starts_with("BIN") {
            mount
                .storage()
                .put(key, value.trim_end().as_bytes().to_vec())
                .await
                .unwrap();
        }
    }
    let mount = later(mount, "2026-11-22T13:12:23Z".parse().unwrap()).await;
    let shown = mount.read("issuer/r1").await.data;
    assert_eq!(shown["revocation_signature_algorithm"], "ECDSAWithSHA256");
    let issuer = Certificate::from_pem(shown["certificate"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(mount.read("key/k1").await.data["key_id"], shown["key_id"]);
    assert_eq!(
        mount.list("issuers").await.data["keys"],
        json!([shown["issuer_id"]])
    );
    // The CRL itself is missing from the text dump; the numbers go on where they stood.
    ok(mount.read("crl/rotate").await);
    let crl = crl(&mount, "crl").await;
    crl.verify(&issuer).unwrap();
    assert_eq!(crl.number(), Some(5));
    assert_eq!(
        listed(&crl),
        one("18:84:de:ae:3a:41:b9:6a:74:33:f4:d7:35:50:7e:fb:48:3f:af:f3")
    );
}

/// As the built-in engine: a certificate in its last two seconds counts as expired.
#[tokio::test]
async fn a_certificate_in_its_last_two_seconds_is_not_revoked() {
    let mount = mount().await;
    let root = root("Root");
    adopt(&mount, &root).await;
    for (left, revoked) in [(0, false), (1, false), (2, true), (3, true)] {
        let leaf = leaf_for("leaf", &root, SignedDuration::from_secs(left));
        leaf.store(&mount).await;
        let reply = ok(mount
            .update("revoke", json!({ "serial_number": leaf.serial() }))
            .await);
        assert_eq!(
            reply.data["state"] == "revoked",
            revoked,
            "{left} seconds left: {reply:?}"
        );
        assert_eq!(reply.warnings.is_empty(), revoked, "{reply:?}");
    }
}
