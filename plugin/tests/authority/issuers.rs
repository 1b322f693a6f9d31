//! Issuers and keys through the path table.

use landfast_pki::ext::KeyUsage;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn an_empty_mount_answers_as_the_built_in_one() {
    let mount = mount().await;
    for (path, content_type) in [
        ("crl", "application/pkix-crl"),
        ("crl/pem", "application/x-pem-file"),
        ("crl/delta", "application/pkix-crl"),
        ("crl/delta/pem", "application/x-pem-file"),
    ] {
        let reply = mount.read(path).await;
        assert_eq!(
            (reply.status, reply.content_type.as_str()),
            (204, content_type),
            "{path}"
        );
    }
    let no_issuer = "no default issuer currently configured";
    for path in [
        "cert/crl",
        "cert/delta-crl",
        "issuer/default",
        "issuer/default/crl",
        "issuer/default/json",
    ] {
        refused(&mount.read(path).await, 500, no_issuer);
    }
    refused(
        &mount.read("key/default").await,
        500,
        "no default key currently configured",
    );
    assert_eq!(mount.list("issuers").await.status, 404);
    assert_eq!(mount.list("keys").await.status, 404);
    for gone in ["none", "default"] {
        let reply = mount.delete(&format!("issuer/{gone}")).await;
        assert_eq!((reply.status, &reply.data), (200, &Value::Null));
        assert_eq!(mount.delete(&format!("key/{gone}")).await.status, 204);
    }
    assert_eq!(
        mount.read("crl/rotate").await.data,
        json!({ "success": true })
    );
    let reply = mount.read("crl/rotate-delta").await;
    assert_eq!(
        reply.warnings,
        ["requested rebuild of delta CRL when delta CRL is not enabled; this is a no-op"]
    );
    assert_eq!(
        mount.read("config/issuers").await.data,
        json!({ "default": "", "default_follows_latest_issuer": false })
    );
    assert_eq!(
        mount.read("config/keys").await.data,
        json!({ "default": "" })
    );
    assert!(
        mount
            .storage()
            .memory()
            .snapshot()
            .keys()
            .all(|key| key == "crls/config")
    );
}

#[tokio::test]
async fn unknown_references_are_error_values() {
    let mount = mount().await;
    for path in [
        "issuer/zz",
        "issuer/zz/json",
        "issuer/zz/pem",
        "issuer/zz/der",
        "issuer/zz/crl",
        "issuer/zz/crl/pem",
    ] {
        refused(
            &mount.read(path).await,
            500,
            "unable to find PKI issuer for reference: zz",
        );
    }
    refused(
        &mount.update("issuer/zz", json!({})).await,
        500,
        "unable to find PKI issuer for reference: zz",
    );
    refused(
        &mount.update("issuer/zz/revoke", json!({})).await,
        500,
        "unable to find PKI issuer for reference: zz",
    );
    refused(
        &mount.read("key/zz").await,
        500,
        "unable to find PKI key for reference: zz",
    );
    refused(
        &mount.update("key/zz", json!({})).await,
        500,
        "unable to find PKI key for reference: zz",
    );
    let invalid = "Invalid issuer specification; must be non-empty and can't be 'default'.";
    for path in ["config/issuers", "root/replace"] {
        refused(
            &mount.update(path, json!({ "default": "default" })).await,
            400,
            invalid,
        );
        refused(
            &mount.update(path, json!({ "default": "zz" })).await,
            400,
            "Error resolving issuer reference: unable to find PKI issuer for reference: zz",
        );
    }
    refused(
        &mount.update("config/issuers", json!({})).await,
        400,
        invalid,
    );
    refused(
        &mount.update("root/replace", json!({})).await,
        400,
        "Error resolving issuer reference: unable to find PKI issuer for reference: next",
    );
    refused(
        &mount.update("config/keys", json!({})).await,
        400,
        "Invalid key specification; must be non-empty and can't be 'default'.",
    );
    refused(
        &mount
            .update("config/keys", json!({ "default": "zz" }))
            .await,
        400,
        "Error resolving issuer reference: unable to find PKI key for reference: zz",
    );
}

#[tokio::test]
async fn an_import_links_keys_and_can_be_repeated() {
    let mount = mount().await;
    let root = root("Root");
    let reply = mount
        .update(
            "issuers/import/bundle",
            json!({ "pem_bundle": root.bundle() }),
        )
        .await;
    let issuer = reply.data["imported_issuers"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let key = reply.data["imported_keys"][0].as_str().unwrap().to_owned();
    assert_eq!(
        reply.data,
        json!({ "imported_issuers": [issuer], "imported_keys": [key], "existing_issuers": null, "existing_keys": null,
            "mapping": { &issuer: key } })
    );
    assert!(
        reply.warnings[0]
            .starts_with("This mount hasn't configured any authority information access")
    );
    let again = mount
        .update("config/ca", json!({ "pem_bundle": root.bundle() }))
        .await;
    assert_eq!(
        again.data,
        json!({ "imported_issuers": null, "imported_keys": null, "existing_issuers": [issuer], "existing_keys": [key],
            "mapping": { &issuer: key } })
    );
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        issuer.as_str()
    );
    assert_eq!(
        mount.read("config/keys").await.data["default"],
        key.as_str()
    );
    let shown = mount.read(&format!("issuer/{issuer}")).await.data;
    assert_eq!(
        shown,
        json!({
            "issuer_id": issuer, "issuer_name": "", "key_id": key, "certificate": root.certificate.pem(),
            "ca_chain": [root.certificate.pem()], "manual_chain": null, "leaf_not_after_behavior": "err",
            "usage": "crl-signing,issuing-certificates,ocsp-signing,read-only", "revocation_signature_algorithm": "",
            "revoked": false, "issuing_certificates": [], "crl_distribution_points": [],
            "delta_crl_distribution_points": [], "ocsp_servers": [],
        })
    );
    let listed = mount.list("issuers").await.data;
    assert_eq!(
        listed["key_info"][&issuer],
        json!({ "issuer_name": "", "is_default": true, "key_id": key, "serial_number": root.serial() })
    );
    assert_eq!(
        mount.list("keys").await.data["key_info"][&key],
        json!({ "key_name": "", "is_default": true })
    );
    // The certificate of an issuer is public.
    assert_eq!(
        mount.read("issuer/default/pem").await.text(),
        root.certificate.pem()
    );
    assert_eq!(
        mount.read("issuer/default/der").await.raw.unwrap(),
        root.certificate.der()
    );
    let unauthenticated = &mount.special_paths().unauthenticated;
    for path in [
        "issuers/",
        "issuer/+/pem",
        "issuer/+/crl/delta/der",
        "crl",
        "crl/delta/pem",
    ] {
        assert!(
            unauthenticated
                .iter()
                .any(|known| known.trim_end_matches('/') == path.trim_end_matches('/')),
            "{path} in {unauthenticated:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_comes_later_finds_its_issuer() {
    let mount = mount().await;
    let root = root("Root");
    let pem = json!({ "pem_bundle": root.certificate.pem() });
    let reply = ok(mount.update("issuers/import/cert", pem).await);
    let issuer = reply.data["imported_issuers"][0]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(reply.data["mapping"][&issuer], "");
    assert_eq!(mount.read("config/issuers").await.data["default"], "");
    refused(
        &mount.read(&format!("issuer/{issuer}/crl")).await,
        500,
        &format!("unable to find CRL for issuer: id:{issuer}/ref:{issuer}"),
    );
    let set = ok(mount
        .update("config/issuers", json!({ "default": issuer }))
        .await);
    assert!(
        set.warnings[0].starts_with("This selected default issuer has no key associated with it.")
    );

    let reply = ok(mount
        .update(
            "keys/import",
            json!({ "pem_bundle": root.key_pem(), "key_name": "kk" }),
        )
        .await);
    assert_eq!(reply.data["key_name"], "kk");
    let shown = mount.read("issuer/default").await.data;
    assert_eq!(shown["key_id"], reply.data["key_id"]);
    assert_eq!(mount.read("issuer/default/crl").await.status, 200);
    let again = mount
        .update(
            "keys/import",
            json!({ "pem_bundle": root.key_pem(), "key_name": "other" }),
        )
        .await;
    assert_eq!(again.data["key_name"], "kk");
    assert_eq!(
        again.warnings,
        ["Key already imported, use key/ endpoint to update name."]
    );
}

#[tokio::test]
async fn faulty_bundles_are_refused_and_leave_nothing() {
    let mount = mount().await;
    let (root, leaf_of) = (root("Root"), root("Other"));
    let leaf = leaf("leaf", &leaf_of);
    let padding = "x".repeat(100);
    let too_short = "provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file";
    let bundle = |text: String| json!({ "pem_bundle": text });
    for (text, error) in [
        (String::new(), "'pem_bundle' and 'certificate' parameters were empty".to_owned()),
        ("x".into(), too_short.into()),
        (padding.clone(), "error when parsing block 1: invalid PEM data".into()),
        (format!("{}{padding}", root.certificate.pem()), "error when parsing block 2: invalid PEM data".into()),
        (
            root.bundle(),
            "private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle".into(),
        ),
        (
            format!("{}{}", root.certificate.pem(), leaf.certificate.pem()),
            format!("Error parsing issuer 1: Refusing to import non-CA certificate\n{}", leaf.certificate.pem()),
        ),
    ] {
        refused(&mount.update("issuers/import/cert", bundle(text)).await, 400, &error);
    }
    let broken = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        "A".repeat(64)
    );
    let reply = mount
        .update(
            "issuers/import/bundle",
            bundle(format!("{}{broken}", root.certificate.pem())),
        )
        .await;
    assert!(
        reply
            .error()
            .starts_with("Error parsing key 0: failed to parse PEM block: "),
        "{reply:?}"
    );
    assert!(!reply.error().contains("AAAA"), "{reply:?}");
    for (text, error) in [
        ("x".to_owned(), too_short),
        (padding, "error when parsing block 1: invalid PEM data"),
        (
            format!("{0}{0}", root.key_pem()),
            "only a single key can be present within the pem_bundle for importing",
        ),
    ] {
        refused(&mount.update("keys/import", bundle(text)).await, 400, error);
    }
    assert!(mount.storage().memory().snapshot().is_empty());
}

#[tokio::test]
async fn chains_follow_the_issuers() {
    let mount = mount().await;
    let root = root("Root");
    let child = intermediate("Child", &root);
    let child_id = adopt(&mount, &child).await;
    let chain = |reply: &landfast_sdk::testing::HttpReply| reply.data["ca_chain"].clone();
    let alone = mount.read(&format!("issuer/{child_id}")).await;
    assert_eq!(chain(&alone), json!([child.certificate.pem()]));

    let root_id = adopt(&mount, &root).await;
    let grown = mount.read(&format!("issuer/{child_id}")).await;
    assert_eq!(
        chain(&grown),
        json!([child.certificate.pem(), root.certificate.pem()])
    );

    let path = format!("issuer/{child_id}");
    refused(
        &mount.patch(&path, json!({ "manual_chain": root_id })).await,
        400,
        &format!(
            "expected first cert in chain to be a self-reference, but was: {root_id}/{root_id}"
        ),
    );
    refused(
        &mount.patch(&path, json!({ "manual_chain": "zz" })).await,
        500,
        "unable to find PKI issuer for reference: zz",
    );
    let manual = ok(mount
        .patch(&path, json!({ "manual_chain": ["self"] }))
        .await);
    assert_eq!(manual.data["manual_chain"], json!([child_id]));
    assert_eq!(chain(&manual), json!([child.certificate.pem()]));
    let computed = ok(mount.patch(&path, json!({ "manual_chain": [] })).await);
    assert_eq!(computed.data["manual_chain"], Value::Null);
    assert_eq!(
        chain(&computed),
        json!([child.certificate.pem(), root.certificate.pem()])
    );

    ok(mount.delete(&format!("issuer/{root_id}")).await);
    let shrunk = mount.reload().await.read(&path).await;
    assert_eq!(chain(&shrunk), json!([child.certificate.pem()]));
}

#[tokio::test]
async fn issuer_fields_are_checked_in_the_known_words() {
    let mount = mount().await;
    let id = adopt(&mount, &root("Root")).await;
    let other = adopt(&mount, &root("Other")).await;
    ok(mount
        .patch(
            &format!("issuer/{other}"),
            json!({ "issuer_name": "taken" }),
        )
        .await);
    let path = format!("issuer/{id}");
    for (fields, status, error) in [
        (
            json!({ "issuer_name": "default" }),
            400,
            "reserved keyword 'default' can not be used as issuer name",
        ),
        (
            json!({ "issuer_name": "a b" }),
            400,
            "issuer name contained invalid characters",
        ),
        (
            json!({ "issuer_name": "taken" }),
            400,
            "issuer name already in use",
        ),
        (
            json!({ "leaf_not_after_behavior": "zz" }),
            400,
            "Unknown value for field `leaf_not_after_behavior`. Possible values are `err`, `truncate`, and `permit`.",
        ),
        (
            json!({ "usage": "zz" }),
            400,
            "Unable to parse specified usages: [zz] - valid values are crl-signing,issuing-certificates,ocsp-signing,read-only",
        ),
        (
            json!({ "revocation_signature_algorithm": "sha256withrsa" }),
            500,
            "unable to use issuer of type ECDSA to sign with SHA256-RSA key type",
        ),
        (
            json!({ "issuing_certificates": "notaurl" }),
            400,
            "invalid URL found in Authority Information Access (AIA) parameter issuing_certificates: notaurl",
        ),
        (
            json!({ "delta_crl_distribution_points": "notaurl" }),
            400,
            "invalid URL found in Authority Information Access (AIA) parameter delta_crl_distribution_points: notaurl",
        ),
    ] {
        refused(&mount.patch(&path, fields.clone()).await, status, error);
        refused(&mount.update(&path, fields).await, status, error);
    }
    let reply = mount
        .patch(&path, json!({ "revocation_signature_algorithm": "zz" }))
        .await;
    assert!(
        reply
            .error()
            .starts_with("Unknown signature algorithm value: zz - valid values are "),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_write_resets_what_a_patch_keeps() {
    let mount = mount().await;
    let path = format!("issuer/{}", adopt(&mount, &root("Root")).await);
    let set = json!({
        "issuer_name": "r", "leaf_not_after_behavior": "truncate", "usage": "issuing-certificates",
        "revocation_signature_algorithm": "ecdsawithsha256", "crl_distribution_points": "http://c/1,http://c/2",
        "delta_crl_distribution_points": "http://d", "enable_aia_url_templating": true,
    });
    let reply = ok(mount.update(&path, set).await).data;
    assert_eq!(reply["usage"], "issuing-certificates,read-only");
    assert_eq!(reply["revocation_signature_algorithm"], "ECDSAWithSHA256");
    assert_eq!(
        reply["crl_distribution_points"],
        json!(["http://c/1", "http://c/2"])
    );
    assert_eq!(reply["delta_crl_distribution_points"], json!(["http://d"]));
    assert_eq!(reply["ocsp_servers"], Value::Null);
    assert_eq!(reply["enable_aia_url_templating"], true);

    let reply = ok(mount
        .patch(&path, json!({ "enable_aia_url_templating": false }))
        .await)
    .data;
    assert_eq!(
        (&reply["issuer_name"], &reply["enable_aia_url_templating"]),
        (&json!("r"), &json!(false))
    );
    assert_eq!(mount.read("issuer/r").await.data, reply);

    let reply = ok(mount.update(&path, json!({})).await).data;
    assert_eq!(reply["issuer_name"], "");
    assert_eq!(
        reply["usage"],
        "crl-signing,issuing-certificates,ocsp-signing,read-only"
    );
    assert_eq!(reply["revocation_signature_algorithm"], "");
    assert_eq!(reply["leaf_not_after_behavior"], "err");
    assert_eq!(reply["crl_distribution_points"], json!([]));
    assert_eq!(reply.get("enable_aia_url_templating"), None);
    refused(
        &mount.read("issuer/r").await,
        500,
        "unable to find PKI issuer for reference: r",
    );
}

#[tokio::test]
async fn a_certificate_that_may_not_sign_crls_is_not_asked_to() {
    let mount = mount().await;
    let top = root("Root");
    let life = jiff::SignedDuration::from_hours(24);
    let quiet = signed("Quiet", key("ec"), &top, KeyUsage::CERT_SIGN, true, life);
    let id = adopt(&mount, &quiet).await;
    let shown = mount.read(&format!("issuer/{id}")).await.data;
    assert_eq!(
        shown["usage"],
        "issuing-certificates,ocsp-signing,read-only"
    );
    let lacks = "This issuer's underlying certificate lacks the CRLSign KeyUsage value; unable to set CRLSigningUsage on this issuer as a result.";
    let path = format!("issuer/{id}");
    for body in [
        json!({ "usage": "crl-signing" }),
        json!({ "usage": "issuing-certificates,crl-signing", "issuer_name": "a" }),
    ] {
        refused(&mount.patch(&path, body.clone()).await, 400, lacks);
        refused(&mount.update(&path, body).await, 400, lacks);
    }
    // A write that sends no usage means all of them; a patch means none of it.
    let name = json!({ "issuer_name": "a" });
    refused(&mount.update(&path, name.clone()).await, 400, lacks);
    ok(mount.patch(&path, name).await);
    assert_eq!(mount.read(&path).await.data["usage"], shown["usage"]);
    let reply = mount.read("crl/rotate").await;
    assert!(
        reply.warnings[0].ends_with(&format!(
            "refusing to rebuild CRL for this group of issuers: {id}"
        )),
        "{reply:?}"
    );
}

#[tokio::test]
async fn deleting_the_default_issuer_warns_and_keeps_the_key() {
    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    ok(mount
        .patch(&format!("issuer/{id}"), json!({ "issuer_name": "r1" }))
        .await);
    ok(mount
        .update(
            "roles/a",
            json!({ "issuer_ref": id, "allow_any_name": true }),
        )
        .await);
    ok(mount
        .update("roles/b", json!({ "allow_any_name": true }))
        .await);
    let reply = mount.delete("issuer/r1").await;
    assert_eq!((reply.status, &reply.data), (200, &Value::Null));
    assert_eq!(
        reply.warnings,
        [
            format!("1 roles reference {id}"),
            format!(
                "Deleted issuer {id} (via issuer_ref r1); this was configured as the default issuer. Operations without an explicit issuer will not work until a new default is configured."
            ),
            "1 roles reference default".to_owned(),
        ]
    );
    assert_eq!(mount.read("config/issuers").await.data["default"], "");
    assert_eq!(mount.read("key/default").await.status, 200);
    let left = mount.storage().memory().snapshot();
    assert!(
        !left
            .keys()
            .any(|key| key.starts_with("crls/") && key != "crls/config"),
        "{:?}",
        left.keys()
    );
    assert_eq!(adopt(&mount, &root).await.len(), id.len());
    assert_eq!(
        mount.read("config/issuers").await.data["default"]
            .as_str()
            .unwrap()
            .len(),
        36
    );
}

#[tokio::test]
async fn the_newest_issuer_becomes_the_default_where_that_is_wanted() {
    let mount = mount().await;
    let first = adopt(&mount, &root("First")).await;
    let second = adopt(&mount, &root("Second")).await;
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        first.as_str()
    );
    let reply = ok(mount
        .update("root/replace", json!({ "default": second }))
        .await);
    assert_eq!(
        reply.data,
        json!({ "default": second, "default_follows_latest_issuer": false })
    );
    ok(mount
        .update(
            "config/issuers",
            json!({ "default": first, "default_follows_latest_issuer": true }),
        )
        .await);
    let third = adopt(&mount, &root("Third")).await;
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        third.as_str()
    );
    let two = format!("{}{}", root("Fourth").bundle(), root("Fifth").bundle());
    let reply = ok(mount
        .update("issuers/import/bundle", json!({ "pem_bundle": two }))
        .await);
    assert!(
        reply.warnings[0].starts_with("Default issuer left unchanged"),
        "{reply:?}"
    );
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        third.as_str()
    );
}

#[tokio::test]
async fn keys_are_made_named_and_guarded() {
    let mount = mount().await;
    let made = ok(mount
        .update(
            "keys/generate/internal",
            json!({ "key_type": "ec", "key_name": "k1" }),
        )
        .await);
    assert_eq!(made.data["key_type"], "ec");
    assert_eq!(made.data.get("private_key"), None);
    let shown = mount.read("key/k1").await.data;
    assert_eq!(shown["subject_key_id"].as_str().unwrap().len(), 59);
    let exported = ok(mount
        .update("keys/generate/exported", json!({ "key_type": "ed25519" }))
        .await)
    .data;
    assert!(
        exported["private_key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
    for (path, fields, status, error) in [
        (
            "keys/generate/internal",
            json!({ "key_type": "ec", "key_name": "k1" }),
            400,
            "key name already in use",
        ),
        (
            "keys/generate/internal",
            json!({ "key_type": "zz" }),
            400,
            "Validation for key_type, key_bits failed: unknown key type zz",
        ),
        (
            "keys/generate/internal",
            json!({ "key_type": "ec", "key_bits": 1 }),
            400,
            "Validation for key_type, key_bits failed: unsupported bit length for EC key: 1",
        ),
        (
            "keys/generate/internal",
            json!({ "key_type": "any" }),
            500,
            "unknown key type: any",
        ),
        (
            "keys/generate/exported",
            json!({ "external_key_ref": "a:b" }),
            400,
            "cannot specify \"external_key_ref\" on non-kms typed key generation request",
        ),
        (
            "keys/generate/kms",
            json!({}),
            400,
            "must specify \"kms_key_id\" on \"kms\"-typed generation requests: the id, ARN or alias of a key in AWS KMS",
        ),
        (
            "keys/generate/kms",
            json!({ "external_key_ref": "a:b" }),
            400,
            "\"external_key_ref\" names a key in the server's own store, which no plugin can use: give \"kms_key_id\", the id, ARN or alias of a key in AWS KMS",
        ),
        (
            "key/k1",
            json!({ "key_name": "default" }),
            400,
            "reserved keyword 'default' can not be used as key name",
        ),
        (
            "key/k1",
            json!({ "key_name": "a b" }),
            400,
            "new key name outside of valid character limits",
        ),
    ] {
        refused(&mount.update(path, fields).await, status, error);
    }
    ok(mount.update("key/k1", json!({ "key_name": "k2" })).await);
    refused(
        &mount.read("key/k1").await,
        500,
        "unable to find PKI key for reference: k1",
    );
    assert_eq!(
        mount.read("key/k2").await.data["key_id"],
        made.data["key_id"]
    );

    let issuer = adopt(&mount, &root("Root")).await;
    let used = mount.read(&format!("issuer/{issuer}")).await.data["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    refused(
        &mount.delete(&format!("key/{used}")).await,
        400,
        &format!("Failed to Delete Key.  Key in Use by Issuer: {issuer}"),
    );
    let default = made.data["key_id"].as_str().unwrap();
    let reply = mount.delete("key/k2").await;
    assert_eq!(
        reply.warnings,
        [format!(
            "Deleted key {default} (via key_ref k2); this was configured as the default key. Operations without an explicit key will not work until a new default is configured."
        )]
    );
    assert_eq!(mount.delete("key/k2").await.status, 204);
    let shown = serde_json::to_string(&mount.list("keys").await.data).unwrap();
    assert!(!shown.contains("PRIVATE"));
}

/// A CA without the extension: the built-in engine asks it for no CRL, and builds none of the whole mount where somebody else did.
#[tokio::test]
async fn a_certificate_that_says_nothing_of_its_use_signs_no_crls() {
    let mount = mount().await;
    let key = key("ec");
    let name = landfast_pki::name::Subject::common_name("Silent").to_name();
    let template = landfast_pki::Template {
        serial: landfast_pki::SerialNumber::random().unwrap(),
        subject: name.clone(),
        not_before: now(),
        not_after: now() + jiff::SignedDuration::from_hours(24),
        public_key: key.public_key().clone(),
        extensions: vec![landfast_pki::Extension::basic_constraints(true, None)],
    };
    let algorithm = landfast_pki::SignatureAlgorithm::choose(key.public_key(), 0, false);
    let prepared = template
        .prepare(&name, algorithm.unwrap().algorithm)
        .unwrap();
    let certificate = prepared.sign(&key).unwrap();
    let id = adopt(&mount, &Pair { certificate, key }).await;
    assert_eq!(
        mount.read(&format!("issuer/{id}")).await.data["usage"],
        "issuing-certificates,ocsp-signing,read-only"
    );
}

/// Names stand in lists that strangers may ask for again and again.
#[tokio::test]
async fn names_have_an_end() {
    let mount = mount().await;
    let root =
        json!({ "common_name": "Root", "key_type": "ec", "issuer_name": "one", "key_name": "one" });
    ok(mount.update("root/generate/internal", root).await);
    let (longest, longer) = ("n".repeat(255), "n".repeat(256));
    for (path, field, what) in [
        ("issuer/default", "issuer_name", "issuer"),
        ("key/default", "key_name", "key"),
    ] {
        refused(
            &mount.update(path, json!({ field: longer })).await,
            400,
            &format!("{what} name has 256 characters: 255 are the most"),
        );
        let named = ok(mount.update(path, json!({ field: longest })).await);
        assert_eq!(named.data[field], longest.as_str());
    }
    for field in ["issuer_name", "key_name"] {
        let root = json!({ "common_name": "Root", "key_type": "ec", field: longer });
        let reply = mount.update("root/generate/internal", root).await;
        assert_eq!(reply.status, 400, "{field}");
    }
}
