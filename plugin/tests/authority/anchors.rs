//! Trust anchors for IAM Roles Anywhere, and the role for nodes.

use landfast_pki::Certificate;
use landfast_plugin::Mount;
use landfast_sdk::logical::{Alias, Entity};
use landfast_sdk::testing::{FixedSystem, Harness};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::*;

async fn chain() -> (Harness<Mount>, Pair, Pair) {
    let mount = mount().await;
    let root = root("Root");
    let child = intermediate("Child", &root);
    adopt(&mount, &child).await;
    adopt(&mount, &root).await;
    (mount, root, child)
}

#[tokio::test]
async fn the_anchor_is_the_issuing_ca_unless_told_otherwise() {
    let (mount, root, child) = chain().await;
    let reply = ok(mount.read("trust-anchor").await);
    assert_eq!(reply.data["trust_anchor"], child.certificate.pem());
    assert_eq!(
        reply.data["expiration"],
        child.certificate.not_after().as_second()
    );
    assert!(reply.warnings[0].starts_with("CA-07: "), "{reply:?}");
    let both = ok(mount
        .read_with("trust-anchor", json!({ "anchor": "both" }))
        .await)
    .data;
    assert_eq!(
        both["trust_anchor"],
        format!("{}{}", child.certificate.pem(), root.certificate.pem())
    );
    let top = ok(mount
        .read_with("trust-anchor", json!({ "anchor": "root" }))
        .await);
    assert_eq!(top.data["trust_anchor"], root.certificate.pem());
    assert!(
        top.warnings
            .iter()
            .any(|text| text.starts_with("CA-09: EKS hybrid nodes send no chain")),
        "{top:?}"
    );
    let id = mount.read("config/issuers").await.data["default"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        ok(mount.read(&format!("issuer/{id}/trust-anchor")).await).data,
        reply.data
    );
    let open = &mount.special_paths().unauthenticated;
    for path in [
        "trust-anchor",
        "trust-anchor/raw",
        "issuer/+/trust-anchor",
        "issuer/+/trust-anchor/raw",
    ] {
        assert!(open.contains(&path.to_owned()), "{path} in {open:?}");
    }
}

#[tokio::test]
async fn the_raw_anchor_is_a_file_for_aws() {
    let (mount, _, child) = chain().await;
    let pem = mount.read("trust-anchor/raw").await;
    assert_eq!(
        (pem.status, pem.content_type.as_str()),
        (200, "application/x-pem-file")
    );
    assert_eq!(
        Certificate::from_pem(pem.raw.unwrap().as_slice()).unwrap(),
        child.certificate
    );
    let fields = json!({ "format": "cli", "name": "hybrid nodes", "leaf_days": 1 });
    let reply = mount
        .read_with("issuer/default/trust-anchor/raw", fields)
        .await;
    assert_eq!(reply.content_type, "application/json");
    let input: Value = serde_json::from_str(&reply.text()).unwrap();
    assert_eq!(input["name"], "hybrid nodes");
    assert_eq!(input["enabled"], true);
    assert_eq!(
        input["source"]["sourceData"]["x509CertificateData"],
        child.certificate.pem()
    );
    assert_eq!(input["notificationSettings"].as_array().unwrap().len(), 2);
    let id = "11111111-2222-4333-8444-555555555555";
    let update = json!({ "format": "cli", "trust_anchor_id": id });
    let input: Value =
        serde_json::from_str(&mount.read_with("trust-anchor/raw", update).await.text()).unwrap();
    assert_eq!(input["trustAnchorId"], id);
    for format in [
        "pem_line",
        "pem_body",
        "cloudformation",
        "terraform",
        "terraform_json",
        "eks_parameters",
    ] {
        let reply = mount
            .read_with("trust-anchor/raw", json!({ "format": format }))
            .await;
        assert_eq!(reply.status, 200, "{format}: {reply:?}");
        assert!(
            reply.text().ends_with('\n') && reply.text().len() > 300,
            "{format}"
        );
    }
}

#[tokio::test]
async fn an_anchor_that_aws_would_refuse_is_refused_with_advice() {
    let mount = mount().await;
    refused(
        &mount.read("trust-anchor").await,
        500,
        "no default issuer currently configured",
    );
    let id = adopt(&mount, &root_with("Ed", key("ed25519"))).await;
    let reply = mount.read("trust-anchor").await;
    assert_eq!(reply.status, 400);
    assert!(
        reply
            .error()
            .starts_with("IAM Roles Anywhere would refuse this trust anchor; CA-06: "),
        "{reply:?}"
    );
    assert!(
        reply
            .error()
            .ends_with("(make an issuer with an RSA or EC key (root/rotate with key_type=ec))"),
        "{reply:?}"
    );
    let (one, two) = (
        adopt(&mount, &root("One")).await,
        adopt(&mount, &root("Two")).await,
    );
    let three = adopt(&mount, &root("Three")).await;
    let path = format!("issuer/{one}/trust-anchor");
    let rotation = ok(mount.read_with(&path, json!({ "also": two })).await).data;
    assert_eq!(rotation["certificates"].as_array().unwrap().len(), 2);
    let reply = mount
        .read_with(&path, json!({ "also": format!("{two},{three}") }))
        .await;
    assert!(
        reply
            .error()
            .contains("CA-08: an anchor holds at most 2 certificates"),
        "{reply:?}"
    );
    ok(mount
        .read_with(
            &path,
            json!({ "also": [two, three], "max_certificates": 3 }),
        )
        .await);
    for (fields, start) in [
        (json!({ "anchor": "zz" }), "anchor: unknown content"),
        (json!({ "format": "zz" }), "format: unknown form"),
        (
            json!({ "format": "cli", "name": "a\"b" }),
            "the name of a trust anchor has",
        ),
        (
            json!({ "format": "cli", "trust_anchor_id": "a\"b" }),
            "a trust anchor id is",
        ),
        (
            json!({ "format": "pem_body", "also": two }),
            "the form pem_body holds one certificate",
        ),
    ] {
        let reply = mount.read_with(&path, fields).await;
        assert!(
            reply.status == 400 && reply.error().starts_with(start),
            "{reply:?}"
        );
    }
    refused(
        &mount.read_with(&path, json!({ "also": "zz" })).await,
        500,
        "unable to find PKI issuer for reference: zz",
    );
    let later = later(mount, now() + jiff::SignedDuration::from_hours(24 * 400)).await;
    let reply = later.read(&path).await;
    assert!(
        reply.error().contains("CA-07: ") && reply.error().contains("root/rotate with ttl"),
        "{reply:?}"
    );
    assert!(!id.is_empty());
}

/// A node that logged in by AppRole, and one that logged in by certificate.
fn nodes() -> FixedSystem {
    let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
    let alias = |accessor: &str, name: &str, metadata: &[(&str, &str)]| Alias {
        mount_accessor: accessor.into(),
        name: name.into(),
        metadata: metadata
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Alias::default()
    };
    let entity = |id: &str, alias: Alias| Entity {
        id: id.into(),
        aliases: vec![alias],
        ..Entity::default()
    };
    FixedSystem::new()
        .lease_ttls(Duration::from_secs(768 * 3600), ten_years)
        .entity(
            entity(
                "one",
                alias("auth_approle_0000000a", "f0e1", &[("role_name", "node-1")]),
            ),
            Vec::new(),
        )
        .entity(
            entity("two", alias("auth_cert_0000000b", "node-2", &[])),
            Vec::new(),
        )
}

async fn with_nodes() -> Harness<Mount> {
    let mount = at(
        Harness::<Mount>::builder()
            .mount("pki")
            .system(nodes())
            .start()
            .await
            .unwrap(),
        now(),
    );
    adopt(&mount, &root("Root")).await;
    mount
}

#[tokio::test]
async fn the_role_for_nodes_admits_the_name_that_the_login_proves() {
    let mount = with_nodes().await;
    let reply = ok(mount
        .update(
            "roles/nodes",
            json!({ "preset": "hybrid-node", "mount_accessor": "auth_approle_0000000a" }),
        )
        .await);
    assert!(reply.warnings.is_empty(), "{reply:?}");
    assert_eq!(
        reply.data["allowed_domains"],
        json!(["{{identity.entity.aliases.auth_approle_0000000a.metadata.role_name}}"])
    );
    for (field, value) in [
        ("key_type", json!("ec")),
        ("key_bits", json!(256)),
        ("ttl", json!(24 * 3600)),
        ("max_ttl", json!(72 * 3600)),
        ("allow_any_name", json!(false)),
        ("server_flag", json!(false)),
        ("client_flag", json!(true)),
        ("key_usage", json!(["DigitalSignature"])),
        ("not_after_bound", json!("forbid")),
        ("not_before_duration", json!(300)),
        ("landfast_node_names", json!(true)),
    ] {
        assert_eq!(reply.data[field], value, "{field}");
    }
    assert_eq!(mount.read("roles/nodes").await.data, reply.data);
    ok(mount
        .update(
            "roles/certs",
            json!({ "preset": "hybrid-node", "login": "cert", "mount_accessor": "auth_cert_0000000b" }),
        )
        .await);
    ok(mount
        .update(
            "roles/single",
            json!({ "preset": "hybrid-node", "node_name": "node-7", "no_store": true, "issuer_ref": "default" }),
        )
        .await);

    let mount = mount.as_entity("one");
    let leaf = ok(mount
        .update("issue/nodes", json!({ "common_name": "node-1" }))
        .await)
    .data;
    let leaf = Certificate::from_pem(leaf["certificate"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(leaf.dns_names(), ["node-1"]);
    for name in ["node-2", "NODE-1", "x.node-1", "*.node-1", "f0e1"] {
        let reply = mount
            .update("issue/nodes", json!({ "common_name": name }))
            .await;
        assert_eq!(reply.status, 400, "{name}: {reply:?}");
    }
    let reply = mount
        .update(
            "issue/nodes",
            json!({ "common_name": "node-1", "not_after": "2030-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(
        mount
            .update("issue/certs", json!({ "common_name": "node-2" }))
            .await
            .status,
        400
    );
    let mount = mount.as_entity("two");
    ok(mount
        .update("issue/certs", json!({ "common_name": "node-2" }))
        .await);
    ok(mount
        .update("issue/single", json!({ "common_name": "node-7" }))
        .await);
    let mount = mount.as_entity("");
    assert_eq!(
        mount
            .update("issue/nodes", json!({ "common_name": "node-1" }))
            .await
            .status,
        400
    );
}

/// An accessor as servers make them.
const NODES: &str = "auth_approle_0000000a";

#[tokio::test]
async fn a_role_for_nodes_takes_the_keys_that_it_is_told() {
    let mount = with_nodes().await;
    for (sent, shown) in [
        (json!({}), ("ec", 256)),
        (json!({ "key_type": "ec", "key_bits": 256 }), ("ec", 256)),
        (json!({ "key_type": "mldsa" }), ("mldsa", 44)),
        (
            json!({ "key_type": "mldsa", "key_bits": 65 }),
            ("mldsa", 65),
        ),
        (json!({ "key_type": "any" }), ("any", 0)),
    ] {
        let mut body = json!({ "preset": "hybrid-node", "mount_accessor": NODES });
        let more = sent.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let reply = ok(mount.update("roles/nodes", body).await);
        let (kind, bits) = shown;
        assert_eq!(reply.data["key_type"], kind, "{sent}");
        assert_eq!(reply.data["key_bits"], bits, "{sent}");
        // What makes it one for nodes does not depend on that.
        assert_eq!(reply.data["key_usage"], json!(["DigitalSignature"]));
        assert_eq!(reply.data["landfast_node_names"], true);
        assert!(reply.warnings.is_empty(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_role_for_nodes_that_binds_nobody_is_refused() {
    let mount = with_nodes().await;
    for (fields, start) in [
        (json!({}), "a role for nodes must be bound to who they are"),
        (json!({ "node_name": "a1,b1" }), "RL-02: "),
        (json!({ "node_name": "Node_1" }), "node_name: "),
        (
            json!({ "node_name": "node-1", "mount_accessor": NODES }),
            "send mount_accessor or node_name, not both",
        ),
        (json!({ "mount_accessor": "a}}b" }), "an accessor has"),
        (
            json!({ "mount_accessor": NODES, "login": "token" }),
            "an alias of auth method token does not carry a node name",
        ),
        (
            json!({ "mount_accessor": NODES, "ttl": 0 }),
            "ttl and max_ttl of nodes must be greater than zero",
        ),
        (
            json!({ "mount_accessor": NODES, "ttl": "80h" }),
            "\"ttl\" value must be less than \"max_ttl\" value",
        ),
        // What no node could use is no role for nodes.
        (
            json!({ "mount_accessor": null }),
            "a role for nodes must be",
        ),
        (json!({ "mount_accessor": "null" }), "mount_accessor is no"),
        (json!({ "mount_accessor": "foo" }), "mount_accessor is no"),
        (
            json!({ "mount_accessor": "auth_approle_0000000g" }),
            "mount_accessor is no accessor of a mount of approle",
        ),
        (
            json!({ "mount_accessor": NODES, "login": "cert" }),
            "mount_accessor is no accessor of a mount of cert",
        ),
        // Nor is it made wider in passing.
        (
            json!({ "mount_accessor": NODES, "allow_any_name": true, "use_pss": true }),
            "preset=hybrid-node gives allow_any_name, use_pss itself",
        ),
        // Of keys, those that nodes have, and no curve but the usual one.
        (
            json!({ "mount_accessor": NODES, "key_type": "rsa" }),
            "key_type of a role for nodes is one of ec, mldsa, any",
        ),
        (
            json!({ "mount_accessor": NODES, "key_type": "mldsa", "key_bits": 64 }),
            "key_bits: unsupported bit length for ML-DSA key: 64",
        ),
        (
            json!({ "mount_accessor": NODES, "key_bits": 521 }),
            "preset=hybrid-node gives key_bits itself",
        ),
        (
            json!({ "mount_accessor": NODES, "key_type": "any", "key_bits": 87 }),
            "preset=hybrid-node gives key_bits itself",
        ),
        (
            json!({ "preset": "other", "mount_accessor": NODES }),
            "the one preset is hybrid-node",
        ),
        (
            json!({ "preset": "", "mount_accessor": NODES }),
            "login, mount_accessor and node_name belong to preset=hybrid-node",
        ),
    ] {
        let mut body = json!({ "preset": "hybrid-node" });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let reply = mount.update("roles/nodes", body).await;
        assert!(
            reply.status == 400 && reply.error().starts_with(start),
            "{start}: {reply:?}"
        );
    }
    assert_eq!(mount.read("roles/nodes").await.status, 404);
    let long = ok(mount
        .update(
            "roles/nodes",
            json!({ "preset": "hybrid-node", "login": "oidc", "mount_accessor": "auth_jwt_0000000a", "max_ttl": "100h" }),
        )
        .await);
    assert!(
        long.warnings[0].starts_with("certificates may live longer than 72 hours"),
        "{long:?}"
    );
    let patched = mount
        .patch("roles/nodes", json!({ "preset": "hybrid-node" }))
        .await;
    assert_eq!(patched.status, 400, "{patched:?}");
    // An ordinary write replaces the role, and shows nothing of ours.
    let plain = ok(mount
        .update("roles/nodes", json!({ "allow_any_name": true }))
        .await)
    .data;
    assert_eq!(plain.get("landfast_node_names"), None);
}
