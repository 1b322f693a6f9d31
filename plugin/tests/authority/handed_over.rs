//! What an operator meets who comes from, or goes back to, the engine of a server.

use landfast_plugin::Mount;
use landfast_sdk::logical::{Product, ReplicationState, Storage as _};
use landfast_sdk::testing::{FixedSystem, Harness};
use serde_json::{Value, json};

use super::support::*;

/// A mount on Vault, or on OpenBao.
async fn on(vault: bool) -> Harness<Mount> {
    let product = if vault {
        Product::Vault
    } else {
        Product::OpenBao
    };
    let system = FixedSystem::new().product(product);
    let mount = Harness::<Mount>::builder().mount("pki").system(system);
    at(mount.start().await.unwrap(), now())
}

#[tokio::test]
async fn a_byte_order_mark_loses_no_certificate() {
    let mount = mount().await;
    let (one, two) = (root("One"), root("Two"));
    let bundle = format!("\u{feff}{}\u{feff}{}", one.bundle(), two.bundle());
    let reply = ok(mount
        .update("issuers/import/bundle", json!({"pem_bundle": bundle}))
        .await);
    assert_eq!(
        reply.data["imported_issuers"].as_array().unwrap().len(),
        2,
        "{reply:?}"
    );
    assert_eq!(
        reply.data["imported_keys"].as_array().unwrap().len(),
        2,
        "{reply:?}"
    );
    // Anything else that would be left out is refused as a whole.
    let three = root("Three");
    for bundle in [
        format!("x {}", three.bundle()),
        three.bundle().replacen("MI", "M*", 1),
        format!(
            "{}-----BEGIN CERTIFICATE-----\nAAAA\n{}",
            three.bundle(),
            root("Four").bundle()
        ),
    ] {
        let reply = mount
            .update("issuers/import/bundle", json!({"pem_bundle": bundle}))
            .await;
        assert!(
            reply.status == 400 && reply.error().contains("could not be read"),
            "{reply:?}"
        );
    }
    assert_eq!(
        ok(mount.list("keys").await).data["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn an_encrypted_key_is_called_encrypted() {
    let mount = mount().await;
    let body = "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhRpzbmfTpUrwICCAAw";
    let key = format!(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"
    );
    let old = format!(
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,78A6\n\n{body}\n-----END EC PRIVATE KEY-----\n"
    );
    for key in [key, old] {
        for (path, bundle) in [
            (
                "issuers/import/bundle",
                format!("{}{key}", root("R").certificate.pem()),
            ),
            ("keys/import", key.clone()),
        ] {
            let reply = mount.update(path, json!({"pem_bundle": bundle})).await;
            assert_eq!(reply.status, 400, "{path}");
            for part in ["is encrypted", "openssl pkey"] {
                assert!(reply.error().contains(part), "{path}: {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn one_issuer_too_many_of_a_kind_is_refused() {
    let mount = mount().await;
    let key = key("ec");
    let make = || {
        let pem = key.to_pem(landfast_pki::KeyEncoding::Traditional).unwrap();
        root_with(
            "Root",
            landfast_pki::PrivateKey::from_pem(pem.expose().as_bytes()).unwrap(),
        )
    };
    let seven: String = (0..7).map(|_| make().certificate.pem()).collect();
    let reply = mount
        .update("issuers/import/cert", json!({"pem_bundle": seven}))
        .await;
    let said = "Error parsing issuer 6: error building issuer chains: excessively reissued certificate: 7 entries";
    assert!(
        reply.status == 400 && reply.error().starts_with(said),
        "{reply:?}"
    );
    for _ in 0..6 {
        adopt(&mount, &make()).await;
    }
    let reply = mount
        .update(
            "issuers/import/cert",
            json!({"pem_bundle": make().certificate.pem()}),
        )
        .await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test]
async fn default_is_meant_in_any_case() {
    let mount = mount().await;
    adopt(&mount, &root("Root")).await;
    ok(mount
        .update("roles/r", json!({"key_type": "ec", "allow_any_name": true}))
        .await);
    // The harness folds paths as OpenBao 2.7 does; a field is what other servers leave to us everywhere.
    let csr = ok(mount
        .update(
            "intermediate/generate/internal",
            json!({"common_name": "S", "key_type": "ec"}),
        )
        .await);
    for reference in ["default", "DEFAULT", " Default "] {
        let body = json!({"csr": csr.data["csr"], "common_name": "S", "issuer_ref": reference});
        ok(mount.update("root/sign-intermediate", body).await);
        ok(mount
            .update(
                "root/generate/existing",
                json!({"common_name": "X", "key_ref": reference}),
            )
            .await);
    }
    for reference in ["", "  "] {
        let body = json!({"csr": csr.data["csr"], "common_name": "S", "issuer_ref": reference});
        refused(
            &mount.update("root/sign-intermediate", body).await,
            400,
            "missing issuer reference",
        );
        let body = json!({"certificate": root("Y").certificate.pem(), "issuer_ref": reference});
        refused(
            &mount.update("root/sign-self-issued", body).await,
            400,
            "missing issuer reference",
        );
        for path in [
            "root/generate/existing",
            "intermediate/generate/existing",
            "intermediate/cross-sign",
        ] {
            refused(
                &mount
                    .update(path, json!({"common_name": "X", "key_ref": reference}))
                    .await,
                400,
                "failed to lookup public key from existing key: missing argument key_ref for existing type",
            );
        }
    }
    ok(mount
        .patch("issuer/default", json!({"issuer_name": "named"}))
        .await);
    let patched = ok(mount
        .patch("issuer/default", json!({"manual_chain": ["self", ""]}))
        .await);
    // The empty name is that of the first issuer without one.
    assert_eq!(patched.data["manual_chain"].as_array().unwrap().len(), 2);
    let refused = mount
        .patch("issuer/default", json!({"manual_chain": [""]}))
        .await;
    assert!(
        refused.status == 400 && refused.error().starts_with("expected first cert"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn usages_follow_the_certificate() {
    let mount = mount().await;
    let id = adopt(&mount, &root("Root")).await;
    let path = format!("issuer/{id}");
    for usage in [
        json!([""]),
        json!("issuing-certificates,"),
        json!(["ocsp-signing", ""]),
    ] {
        for reply in [
            mount.patch(&path, json!({"usage": usage})).await,
            mount
                .update(&path, json!({"issuer_name": "a", "usage": usage}))
                .await,
        ] {
            assert!(
                reply.status == 400
                    && reply
                        .error()
                        .starts_with("Unable to parse specified usages: ["),
                "{reply:?}"
            );
        }
    }
    assert!(
        ok(mount.read(&path).await).data["usage"]
            .as_str()
            .unwrap()
            .contains("crl-signing")
    );
    assert_eq!(
        ok(mount.patch(&path, json!({"usage": ""})).await).data["usage"],
        "read-only"
    );
    // One whose usage is taken away is named at each revocation.
    ok(mount
        .patch(&path, json!({"usage": "issuing-certificates"}))
        .await);
    ok(mount
        .update(
            "roles/r",
            json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"}),
        )
        .await);
    for _ in 0..2 {
        let leaf = ok(mount.update("issue/r", json!({"common_name": "a.b"})).await);
        let revoked = ok(mount
            .update(
                "revoke",
                json!({"serial_number": leaf.data["serial_number"]}),
            )
            .await);
        assert_eq!(
            revoked.warnings,
            [format!(
                "Warning 1 during CRL rebuild: warning from local CRL rebuild: Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {id}"
            )]
        );
    }
}

/// The names in `delta-wal/`, and what they hold.
async fn wal(mount: &Harness<Mount>) -> Vec<(String, Value)> {
    let mut list = Vec::new();
    for name in mount.storage().list("delta-wal/").await.unwrap() {
        let bytes = mount
            .storage()
            .get(&format!("delta-wal/{name}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'));
        list.push((name, serde_json::from_slice(&bytes).unwrap()));
    }
    list
}

#[tokio::test]
async fn the_list_of_what_waits_for_a_complete_crl_is_the_built_in_engines() {
    let mount = mount().await;
    adopt(&mount, &root("Root")).await;
    ok(mount
        .update(
            "roles/r",
            json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"}),
        )
        .await);
    let revoke = async || {
        let leaf = ok(mount.update("issue/r", json!({"common_name": "a.b"})).await);
        let serial = leaf.data["serial_number"].as_str().unwrap().to_owned();
        ok(mount
            .update("revoke", json!({"serial_number": serial}))
            .await);
        serial
    };
    revoke().await;
    assert_eq!(wal(&mount).await, [], "without delta CRLs there is no list");
    ok(mount
        .update(
            "config/crl",
            json!({"auto_rebuild": true, "enable_delta": true}),
        )
        .await);
    let serial = revoke().await;
    let (dash, last) = (serial.replace(':', "-"), json!({"serial": serial}));
    let revoked = vec![
        (dash.clone(), json!({})),
        ("last-revoked-serial".to_owned(), last.clone()),
    ];
    assert_eq!(wal(&mount).await, revoked);
    ok(mount.read("crl/rotate-delta").await);
    let built = ("last-build-serial".to_owned(), last.clone());
    let mut listed = [revoked, vec![built.clone()]].concat();
    listed.sort_by(|one, two| one.0.cmp(&two.0));
    assert_eq!(wal(&mount).await, listed, "a delta CRL lists it");
    ok(mount.read("crl/rotate").await);
    listed.retain(|(name, _)| *name != dash);
    assert_eq!(wal(&mount).await, listed, "a complete CRL lists it");
}

#[tokio::test]
async fn a_revoked_issuer_is_on_the_complete_crl_at_once_and_can_be_read() {
    let mount = mount().await;
    let parent = root("Root");
    let parent_id = adopt(&mount, &parent).await;
    let sub = intermediate("Sub", &parent);
    let id = adopt(&mount, &sub).await;
    ok(mount
        .update("config/crl", json!({"auto_rebuild": true}))
        .await);
    ok(mount
        .update(&format!("issuer/{id}/revoke"), json!({}))
        .await);
    let crl = async |mount: &Harness<Mount>| {
        let reply = mount.read(&format!("issuer/{parent_id}/crl/der")).await;
        landfast_pki::Crl::from_der(&reply.raw.unwrap()).unwrap()
    };
    assert!(crl(&mount).await.find(sub.certificate.serial()).is_some());
    let revoked = ok(mount.list("certs/revoked").await);
    assert_eq!(revoked.data["keys"], json!([sub.serial()]));
    let read = ok(mount.read(&format!("cert/{}", sub.serial())).await);
    assert_ne!(read.data["revocation_time"], 0);
    // The built-in engine leaves no such record of an imported issuer: what the issuer says counts as well.
    for key in [
        format!("revoked/{}", sub.certificate.serial().dash()),
        format!("certs/{}", sub.certificate.serial().dash()),
    ] {
        mount.storage().delete(&key).await.unwrap();
    }
    let mount = at(mount.reload().await, now());
    ok(mount.read("crl/rotate").await);
    assert!(crl(&mount).await.find(sub.certificate.serial()).is_some());
}

#[tokio::test]
async fn a_revocation_of_an_issuer_that_is_gone_finds_its_issuer() {
    let mount = mount().await;
    let root = root("Root");
    let id = adopt(&mount, &root).await;
    let leaf = leaf("leaf", &root);
    ok(mount
        .update("revoke", json!({"certificate": leaf.certificate.pem()}))
        .await);
    let key = format!("revoked/{}", leaf.certificate.serial().dash());
    let mut mount = mount;
    for wrong in ["", "gone"] {
        let bytes = mount.storage().get(&key).await.unwrap().unwrap();
        let mut entry: Value = serde_json::from_slice(&bytes).unwrap();
        entry["issuer_id"] = json!(wrong);
        entry["zz_unknown"] = json!(1);
        let bytes = entry.to_string().into_bytes();
        mount.storage().put(&key, bytes).await.unwrap();
        mount = at(mount.reload().await, now());
        ok(mount.read("crl/rotate").await);
        let bytes = mount.storage().get(&key).await.unwrap().unwrap();
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            (&entry["issuer_id"], &entry["zz_unknown"]),
            (&json!(id), &json!(1))
        );
    }
}

#[tokio::test]
async fn a_standby_hands_on_what_it_does_not_know() {
    let system = FixedSystem::new().replication(ReplicationState(0x4000));
    let mount = Harness::<Mount>::builder().mount("pki").system(system);
    let mount = at(mount.start().await.unwrap(), now());
    for (path, body) in [
        ("revoke", json!({"serial_number": "11:22:33"})),
        ("issue/r", json!({"common_name": "a.b"})),
    ] {
        let reply = mount.update(path, body).await;
        assert!(
            reply.error().contains("cannot write to readonly storage"),
            "{path}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn vault_is_told_of_limits_that_it_does_not_know() {
    for (vault, wanted) in [(true, 1), (false, 0)] {
        let mount = on(vault).await;
        adopt(&mount, &root("Root")).await;
        let role = json!({"key_type": "ec", "not_after_bound": "forbid", "allowed_ip_sans_cidr": "10.0.0.0/8"});
        let reply = ok(mount.update("roles/r", role).await);
        assert_eq!(reply.warnings.len(), wanted, "{reply:?}");
        if vault {
            for field in ["not_after_bound", "allowed_ip_sans_cidr"] {
                assert!(reply.warnings[0].contains(field), "{reply:?}");
            }
            assert!(!reply.warnings[0].contains("not_before_bound"), "{reply:?}");
        }
        assert_eq!(
            ok(mount.update("roles/s", json!({"key_type": "ec"})).await)
                .warnings
                .len(),
            0
        );
    }
}

#[tokio::test]
async fn an_empty_end_is_none_on_vault() {
    for (vault, wanted) in [(true, 200), (false, 400)] {
        let mount = on(vault).await;
        adopt(&mount, &root("Root")).await;
        ok(mount
            .update(
                "roles/r",
                json!({"key_type": "ec", "allow_any_name": true, "ttl": "1h"}),
            )
            .await);
        let made = mount
            .update(
                "intermediate/generate/internal",
                json!({"common_name": "S", "key_type": "ec"}),
            )
            .await;
        let csr = ok(made).data["csr"].clone();
        for empty in [json!(""), Value::Null] {
            for (path, body) in [
                ("issue/r", json!({"common_name": "a.b"})),
                ("sign/r", json!({"common_name": "a.b", "csr": csr})),
                ("sign-verbatim", json!({"csr": csr, "ttl": "1h"})),
                (
                    "root/generate/internal",
                    json!({"common_name": "X", "key_type": "ec", "ttl": "1h"}),
                ),
                (
                    "root/sign-intermediate",
                    json!({"common_name": "X", "csr": csr, "ttl": "1h"}),
                ),
                (
                    "intermediate/generate/internal",
                    json!({"common_name": "X", "key_type": "ec"}),
                ),
            ] {
                let mut body = body;
                body["not_after"] = empty.clone();
                let reply = mount.update(path, body).await;
                assert_eq!(reply.status, wanted, "{path} {empty}: {reply:?}");
            }
        }
    }
}

/// What a client is told of a certificate: 0x80 good, 0xa1 revoked, 0x82 unknown (RFC 6960 section 4.2.1).
async fn ocsp(mount: &Harness<Mount>, issuer: &landfast_pki::Certificate, serial: &[u8]) -> u8 {
    use base64::Engine as _;
    let tlv = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
    let sha1 = [
        0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00,
    ];
    let name = landfast_base::sha1(issuer.subject().der());
    let key = landfast_base::sha1(issuer.public_key().key_bits());
    // A serial number is positive.
    let padded = if serial[0] < 0x80 {
        serial.to_vec()
    } else {
        [&[0], serial].concat()
    };
    let id = [&sha1[..], &tlv(4, &name), &tlv(4, &key), &tlv(2, &padded)].concat();
    let id = tlv(0x30, &id);
    let wrap = |inner: &[u8]| tlv(0x30, inner);
    let request = wrap(&wrap(&wrap(&wrap(&id))));
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(request);
    let answer = mount.read(&format!("ocsp/{text}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let der = answer.raw.unwrap();
    let at = der
        .windows(id.len())
        .position(|window| window == id)
        .unwrap();
    der[at + id.len()]
}

/// As OpenBao 2.7.2 has it.
#[tokio::test]
async fn ocsp_believes_the_issuer_on_record() {
    let mount = mount().await;
    let (one, two) = (root("One"), root("Two"));
    adopt(&mount, &one).await;
    let other = adopt(&mount, &two).await;
    let leaf = leaf("leaf", &one);
    let serial = leaf.certificate.serial().as_bytes().to_vec();
    assert_eq!(ocsp(&mount, &one.certificate, &serial).await, 0x80);
    ok(mount
        .update("revoke", json!({"certificate": leaf.certificate.pem()}))
        .await);
    assert_eq!(ocsp(&mount, &one.certificate, &serial).await, 0xa1);
    let key = format!("revoked/{}", leaf.certificate.serial().dash());
    let stored: Value =
        serde_json::from_slice(&mount.storage().get(&key).await.unwrap().unwrap()).unwrap();
    let mut mount = mount;
    for (issuer, told) in [("gone", 0x82), (other.as_str(), 0x82), ("", 0xa1)] {
        let mut entry = stored.clone();
        entry["issuer_id"] = json!(issuer);
        let bytes = entry.to_string().into_bytes();
        mount.storage().put(&key, bytes).await.unwrap();
        mount = at(mount.reload().await, now());
        assert_eq!(
            ocsp(&mount, &one.certificate, &serial).await,
            told,
            "{issuer:?}"
        );
    }
    // Where the issuer is not here, the next build of CRLs finds out whose certificate it is.
    let mut entry = stored.clone();
    entry["issuer_id"] = json!("gone");
    let bytes = entry.to_string().into_bytes();
    mount.storage().put(&key, bytes).await.unwrap();
    let mount = at(mount.reload().await, now());
    ok(mount.read("crl/rotate").await);
    assert_eq!(ocsp(&mount, &one.certificate, &serial).await, 0xa1);
}

#[tokio::test]
async fn what_takes_several_clusters_is_refused_on_vault() {
    let fields = [
        "unified_crl",
        "unified_crl_on_existing_paths",
        "cross_cluster_revocation",
    ];
    let mount = on(true).await;
    for field in fields {
        for on in [json!(true), json!("true"), json!(1)] {
            let reply = mount.update("config/crl", json!({ field: on })).await;
            let said = format!("{field} can not be true");
            assert!(
                reply.status == 400 && reply.error().contains(&said),
                "{reply:?}"
            );
        }
        ok(mount.update("config/crl", json!({ field: false })).await);
        assert_eq!(ok(mount.read("config/crl").await).data[field], json!(false));
    }
    // OpenBao knows none of them.
    let mount = on(false).await;
    for field in fields {
        let reply = ok(mount.update("config/crl", json!({ field: true })).await);
        assert_eq!(
            reply.warnings,
            [format!(
                "Endpoint ignored these unrecognized parameters: [{field}]"
            )]
        );
        assert!(reply.data.get(field).is_none(), "{reply:?}");
    }
}
