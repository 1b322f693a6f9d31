//! CAs with ML-DSA keys through the path table: how they are stored and sealed, what they sign, and what a broken one holds up.

use landfast_pki::{Certificate, KeySpec, MlDsa, PrivateKey, SignatureAlgorithm};
use landfast_plugin::Mount;
use landfast_sdk::logical::Storage;
use landfast_sdk::testing::Harness;
use landfast_unseal::keys::local::LocalKey;
use serde_json::{Value, json};

use crate::support::*;

fn ml_dsa(bits: u32) -> PrivateKey {
    PrivateKey::generate(KeySpec::parse("mldsa", bits).unwrap()).unwrap()
}

/// The stored entries of keys.
fn key_entries(mount: &Harness<Mount>) -> Vec<Value> {
    let all = mount.storage().memory().snapshot();
    let keys = all.iter().filter(|(key, _)| key.starts_with("config/key/"));
    keys.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap())
        .collect()
}

async fn rotates(mount: &Harness<Mount>, id: &str, root: &Certificate) {
    ok(mount.read("crl/rotate").await);
    let crl = crl(mount, &format!("issuer/{id}/crl/der")).await;
    crl.verify(root).unwrap();
}

#[tokio::test]
async fn roots_of_each_size_are_made_stored_and_sign() {
    for set in MlDsa::ALL {
        let mount = mount().await;
        let made = ok(mount
            .update(
                "root/generate/exported",
                json!({ "common_name": "Root", "key_type": "mldsa", "key_bits": set.bits(), "ttl": "2400h",
                    "signature_bits": 7, "use_pss": true }),
            )
            .await);
        let text = |field: &str| made.data[field].as_str().unwrap().to_owned();
        let root = Certificate::from_pem(text("certificate").as_bytes()).unwrap();
        assert_eq!(root.public_key().ml_dsa(), Some(set));
        root.verify_issued_by(&root).unwrap();
        // As the built-in engine stores it: what is shown, with a final newline.
        let [entry] = &key_entries(&mount)[..] else {
            panic!("one key");
        };
        assert_eq!(entry["private_key_type"], "mldsa");
        assert_eq!(
            entry["private_key"],
            format!("{}\n", text("private_key").trim_end())
        );

        let mount = at(mount.reload().await, now());
        let issuer = ok(mount.read(&format!("issuer/{}", text("issuer_id"))).await).data;
        let name = SignatureAlgorithm::MlDsa(set).name();
        assert_eq!(issuer["revocation_signature_algorithm"], name);
        rotates(&mount, &text("issuer_id"), &root).await;
        ok(mount
            .update(
                "roles/r",
                json!({ "key_type": "mldsa", "key_bits": set.bits(), "allow_any_name": true }),
            )
            .await);
        let issued = ok(mount
            .update("issue/r", json!({ "common_name": "a.test" }))
            .await);
        let leaf = issued.data["certificate"].as_str().unwrap();
        let leaf = Certificate::from_pem(leaf.as_bytes()).unwrap();
        leaf.verify_issued_by(&root).unwrap();
        let listed = ok(mount.list("certs/detailed").await).data;
        let details = &listed["key_info"][leaf.serial().colon()];
        assert_eq!(
            (&details["key_type"], &details["key_bits"]),
            (&json!("mldsa"), &json!(set.bits()))
        );
        let page = mount.read("metrics").await.text();
        let key = text("key_id");
        assert!(
            page.lines()
                .any(|line| line.contains("signatures_total") && line.contains(&key)),
            "{page}"
        );
    }
}

#[tokio::test]
async fn a_sealed_key_signs_and_is_given_back_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    LocalKey::create(&folder.path().join("one")).unwrap();
    let mount = mount().await;
    mount.backend().use_key_directory(folder.path());
    let root = root_with("Root", ml_dsa(87));
    let id = adopt(&mount, &root).await;
    let [clear] = &key_entries(&mount)[..] else {
        panic!("one key");
    };
    let seed = root.key.to_der(landfast_pki::KeyEncoding::Pkcs8).unwrap();
    let seed = seed.expose()[seed.expose().len() - 32..].to_vec();
    for (seal, sealed) in [
        (json!({ "type": "local", "key_file": "one" }), 1),
        (json!({ "type": "none" }), 0),
    ] {
        ok(mount.update("config/seal", seal).await);
        ok(mount.update("seal/migrate", json!({})).await);
        let mut status = ok(mount.read("seal/status").await).data;
        for _ in 0..200 {
            if status["migration_state"] != "running" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            status = ok(mount.read("seal/status").await).data;
        }
        assert_eq!(status["keys_sealed"], sealed, "{status}");
        rotates(&mount, &id, &root.certificate).await;
        let stored = mount.storage().memory().snapshot();
        let shown = |bytes: &[u8]| bytes.windows(32).any(|octets| octets == seed);
        assert!(!stored.values().any(|bytes| shown(bytes)));
        assert_eq!(&key_entries(&mount)[0] == clear, sealed == 0);
    }
}

/// An entry that no longer holds a key, or one whose form has no seed, is told by name and holds up nobody.
#[tokio::test]
async fn a_broken_key_holds_up_nobody() {
    for private in [
        "-----BEGIN PRIVATE KEY-----\nMDICAQAwCwYJYIZIAWUDBAMRBCAOFibapX7uoY9vkI9Wg2kmBgIjXJ156H/uEU2z6X3/LQ==\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMDQCAQAwCwYJYIZIAWUDBAMRBCIEIA4WJtqlfu6hj2+Qj1aDaSYGAiNcnXnof+4RTbPpff8t\n-----END PRIVATE KEY-----\n",
        "PEM",
    ] {
        let mount = mount().await;
        let (root, other) = (
            root_with("Root", ml_dsa(44)),
            root_with("Other", ml_dsa(65)),
        );
        let root_id = adopt(&mount, &root).await;
        let other_id = adopt(&mount, &other).await;
        let key = ok(mount.read(&format!("issuer/{other_id}")).await).data["key_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let entry =
            json!({ "id": key, "name": "", "private_key_type": "mldsa", "private_key": private });
        let at_key = format!("config/key/{key}");
        let bytes = entry.to_string().into_bytes();
        mount.storage().put(&at_key, bytes.clone()).await.unwrap();
        let mount = at(mount.reload().await, now());
        let reply = ok(mount.read("crl/rotate").await);
        assert!(reply.warnings[0].contains(&key), "{reply:?}");
        let crl = crl(&mount, &format!("issuer/{root_id}/crl/der")).await;
        crl.verify(&root.certificate).unwrap();
        adopt(&mount, &root_with("Third", ml_dsa(87))).await;
        let stored = mount.storage().get(&at_key).await.unwrap();
        assert_eq!(stored.as_deref(), Some(&bytes[..]), "it stays as it is");
    }
}

#[tokio::test]
async fn the_trust_anchor_says_what_is_not_known() {
    let mount = mount().await;
    adopt(&mount, &root_with("Root", ml_dsa(65))).await;
    let reply = ok(mount.read("trust-anchor").await);
    assert!(
        reply
            .warnings
            .iter()
            .any(|warning| warning.contains("could not be confirmed")),
        "{reply:?}"
    );
}
