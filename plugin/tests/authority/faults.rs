//! Every write can fail, before or after it took effect, and then the mount is loaded anew: nothing that was promised may be
//! missing, and nothing half done may be in the way.

use landfast_pki::Certificate;
use landfast_pki::crl::Crl;
use landfast_plugin::Mount;
use landfast_sdk::testing::{Harness, HttpReply};
use serde_json::{Value, json};

use crate::support::*;

async fn crl_of(mount: &Harness<Mount>, path: &str) -> Crl {
    Crl::from_der(&ok(mount.read(path).await).raw.unwrap()).unwrap()
}

#[tokio::test]
async fn an_import_that_was_answered_is_there() {
    let root = root("Root");
    let bundle = json!({ "pem_bundle": root.bundle() });
    at_every_write(
        on,
        async |mount: Harness<Mount>| {
            let reply = mount.update("issuers/import/bundle", bundle.clone()).await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            if reply.status == 200 {
                let id = reply.data["imported_issuers"][0].as_str().unwrap();
                assert_eq!(mount.read("config/issuers").await.data["default"], id);
                assert_eq!(
                    mount.read(&format!("issuer/{id}")).await.data["ca_chain"],
                    json!([root.certificate.pem()])
                );
            }
            // Whatever was left behind, the import can be repeated and gives a working issuer.
            let again = ok(mount.update("issuers/import/bundle", bundle.clone()).await);
            let mapping = again.data["mapping"].as_object().unwrap();
            let (id, key) = mapping.iter().next().unwrap();
            assert_eq!(mapping.len(), 1);
            assert_eq!(mount.list("issuers").await.keys(), [id.as_str()]);
            assert_eq!(mount.list("keys").await.keys(), [key.as_str().unwrap()]);
            ok(mount.periodic().await);
            crl_of(&mount, &format!("issuer/{id}/crl/der"))
                .await
                .verify(&root.certificate)
                .unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_revocation_that_was_answered_is_on_the_crl() {
    let root = root("Root");
    let leaf = leaf("leaf", &root);
    let request = json!({ "certificate": leaf.certificate.pem() });
    at_every_write(
        async |transactions| {
            let mount = on(transactions).await;
            adopt(&mount, &root).await;
            mount
        },
        async |mount: Harness<Mount>| {
            let reply = mount.update("revoke", request.clone()).await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            let lists = |crl: &Crl| crl.find(leaf.certificate.serial()).is_some();
            let before = crl_of(&mount, "crl").await;
            before.verify(&root.certificate).unwrap();
            if reply.status == 200 {
                assert!(lists(&before));
            }
            // The caller tries again and gets the promise.
            let again = ok(mount.update("revoke", request.clone()).await);
            assert_eq!(again.data["state"], "revoked");
            let after = crl_of(&mount, "crl").await;
            assert!(lists(&after));
            assert!(after.der() == before.der() || after.number() > before.number());
        },
    )
    .await;
}

#[tokio::test]
async fn a_recorded_revocation_reaches_the_crl_without_its_caller() {
    let root = root("Root");
    let leaf = leaf("leaf", &root);
    at_every_write(
        async |transactions| {
            let mount = on(transactions).await;
            adopt(&mount, &root).await;
            mount
        },
        async |mount: Harness<Mount>| {
            let reply = mount
                .update("revoke", json!({ "certificate": leaf.certificate.pem() }))
                .await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, _reply: HttpReply| {
            let key = format!("revoked/{}", leaf.certificate.serial().dash());
            let recorded = mount.storage().memory().snapshot().contains_key(&key);
            ok(mount.periodic().await);
            assert_eq!(
                crl_of(&mount, "crl")
                    .await
                    .find(leaf.certificate.serial())
                    .is_some(),
                recorded
            );
        },
    )
    .await;
}

#[tokio::test]
async fn crl_numbers_never_repeat() {
    let root = root("Root");
    at_every_write(
        async |transactions| {
            let mount = on(transactions).await;
            adopt(&mount, &root).await;
            mount
        },
        async |mount: Harness<Mount>| {
            let reply = mount.read("crl/rotate").await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, _reply: HttpReply| {
            let seen = [
                crl_of(&mount, "crl").await.number(),
                crl_of(&mount, "crl/delta").await.number(),
            ];
            ok(mount.read("crl/rotate").await);
            let next = crl_of(&mount, "crl").await.number();
            assert!(
                seen.iter().all(|number| next > *number),
                "{next:?} after {seen:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_revoked_issuer_that_was_answered_stays_revoked() {
    let root = root("Root");
    let child = intermediate("Child", &root);
    at_every_write(
        async |transactions| {
            let mount = on(transactions).await;
            adopt(&mount, &root).await;
            let id = adopt(&mount, &child).await;
            ok(mount
                .patch(&format!("issuer/{id}"), json!({ "issuer_name": "child" }))
                .await);
            mount
        },
        async |mount: Harness<Mount>| {
            let reply = mount.update("issuer/child/revoke", json!({})).await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            if reply.status == 200 {
                assert_eq!(mount.read("issuer/child").await.data["revoked"], true);
                assert!(
                    crl_of(&mount, "crl")
                        .await
                        .find(child.certificate.serial())
                        .is_some()
                );
            }
            ok(mount.update("issuer/child/revoke", json!({})).await);
            ok(mount.periodic().await);
            assert!(
                crl_of(&mount, "crl")
                    .await
                    .find(child.certificate.serial())
                    .is_some()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_deleted_issuer_leaves_no_pointer_behind() {
    let root = root("Root");
    let child = intermediate("Child", &root);
    at_every_write(
        async |transactions| {
            let mount = on(transactions).await;
            adopt(&mount, &root).await;
            adopt(&mount, &child).await;
            mount
        },
        async |mount: Harness<Mount>| {
            let reply = mount.delete("issuer/default").await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            let default = mount.read("config/issuers").await.data["default"].clone();
            let left = mount.list("issuers").await;
            assert!(
                default == "" || left.keys().contains(&default.as_str().unwrap()),
                "{default} of {left:?}"
            );
            if reply.status == 200 {
                assert_eq!(left.keys().len(), 1);
            }
            for id in left.keys() {
                let shown = mount.read(&format!("issuer/{id}")).await.data;
                let own = shown["certificate"].as_str().unwrap();
                assert_eq!(shown["ca_chain"][0], own);
                Certificate::from_pem(own.as_bytes()).unwrap();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_standby_passes_the_hosts_text_on() {
    let mount = on(true).await;
    let root = root("Root");
    adopt(&mount, &root).await;
    mount.storage().read_only(true);
    for (path, fields) in [
        (
            "issuers/import/bundle",
            json!({ "pem_bundle": support_bundle() }),
        ),
        (
            "revoke",
            json!({ "certificate": leaf("leaf", &root).certificate.pem() }),
        ),
        ("config/crl", json!({ "expiry": "24h" })),
        ("keys/generate/internal", json!({ "key_type": "ec" })),
        ("issuer/default", json!({ "issuer_name": "r" })),
    ] {
        let reply = mount.update(path, fields).await;
        assert!(
            reply.error().contains("cannot write to readonly storage"),
            "{path}: {reply:?}"
        );
    }
    assert_eq!(
        mount.read("issuer/default").await.data["issuer_name"],
        Value::String(String::new())
    );
}

fn support_bundle() -> String {
    root("Other").bundle()
}

#[tokio::test]
async fn a_root_that_was_answered_is_there() {
    let fields =
        json!({ "common_name": "r", "key_type": "ec", "issuer_name": "r", "key_name": "k" });
    at_every_write(
        on,
        async |mount: Harness<Mount>| {
            let reply = mount.update("root/generate/internal", fields.clone()).await;
            (mount, reply)
        },
        async |mount: Harness<Mount>, reply: HttpReply| {
            if reply.status == 200 {
                let issuer = mount.read("issuer/r").await.data;
                assert_eq!(issuer["issuer_id"], reply.data["issuer_id"]);
                assert_eq!(issuer["key_id"], mount.read("key/k").await.data["key_id"]);
                assert_eq!(
                    mount.read("config/issuers").await.data["default"],
                    issuer["issuer_id"]
                );
                let serial = reply.data["serial_number"]
                    .as_str()
                    .unwrap()
                    .replace(':', "-");
                assert!(
                    mount
                        .storage()
                        .memory()
                        .snapshot()
                        .contains_key(&format!("certs/{serial}"))
                );
            } else {
                // What a lost attempt left behind is whole or not in the way.
                let again = json!({ "common_name": "r", "key_type": "ec" });
                ok(mount.update("root/generate/internal", again).await);
            }
            for id in mount.list("issuers").await.keys() {
                let issuer = mount.read(&format!("issuer/{id}")).await.data;
                assert_eq!(
                    mount
                        .read(&format!("key/{}", issuer["key_id"].as_str().unwrap()))
                        .await
                        .status,
                    200
                );
            }
            ok(mount.periodic().await);
            crl_of(&mount, "crl").await;
        },
    )
    .await;
}
