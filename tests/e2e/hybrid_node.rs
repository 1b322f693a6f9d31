//! The main road: a CA, a role, a certificate for a hybrid node, and the
//! files that the node needs. Chains and CRLs are verified by openssl and by
//! rustls-webpki.

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;

use crate::support::{Client, Openssl, PLUGIN_NAME, Server, webpki_verify};

const NODE: &str = "one.hybrid-node.eks";

/// Root, intermediate that signs, and the role of the nodes.
struct Authority {
    server: Server,
    client: Client,
    root: String,
    intermediate: String,
}

fn authority() -> Authority {
    let server = Server::dev();
    let client = server.client();
    for mount in ["root", "pki"] {
        server.mount(mount, PLUGIN_NAME);
    }
    let root = client
        .write(
            "root/root/generate/internal",
            json!({"common_name": "hybrid-node.eks", "key_type": "ec", "ttl": "87600h"}),
        )
        .ok()
        .text("certificate");
    let csr = client
        .write(
            "pki/intermediate/generate/internal",
            json!({"common_name": "hybrid-node.eks nodes", "key_type": "ec"}),
        )
        .ok()
        .text("csr");
    let intermediate = client
        .write(
            "root/root/sign-intermediate",
            json!({"csr": csr, "common_name": "hybrid-node.eks nodes", "ttl": "43800h"}),
        )
        .ok()
        .text("certificate");
    client
        .write(
            "pki/intermediate/set-signed",
            json!({"certificate": format!("{intermediate}\n{root}\n")}),
        )
        .ok();
    client
        .write(
            "pki/roles/hybrid-node",
            json!({
                "allowed_domains": "hybrid-node.eks", "allow_subdomains": true, "key_type": "ec",
                "key_usage": "DigitalSignature", "server_flag": false, "ttl": "24h", "max_ttl": "72h",
            }),
        )
        .ok();
    Authority {
        server,
        client,
        root,
        intermediate,
    }
}

#[test]
fn a_node_gets_its_certificate_with_one_root() {
    let server = Server::dev();
    let client = server.client();
    client
        .write("sys/mounts/pki", json!({"type": PLUGIN_NAME}))
        .ok();
    client
        .write("sys/mounts/pki/tune", json!({"max_lease_ttl": "87600h"}))
        .ok();
    let root = client
        .write(
            "pki/root/generate/internal",
            json!({"common_name": "hybrid-node.eks", "ttl": "87600h"}),
        )
        .ok()
        .text("certificate");
    client
        .write(
            "pki/config/urls",
            json!({
                "issuing_certificates": format!("{}/v1/pki/ca", client.address()),
                "crl_distribution_points": format!("{}/v1/pki/crl", client.address()),
            }),
        )
        .ok();
    client
        .write(
            "pki/roles/hybrid-node",
            json!({"allowed_domains": "hybrid-node.eks", "allow_subdomains": true, "max_ttl": "72h"}),
        )
        .ok();
    let issued = client
        .write("pki/issue/hybrid-node", json!({"common_name": NODE}))
        .ok();
    let [leaf, issuer] = ["certificate", "issuing_ca"].map(|field| issued.text(field));
    assert_eq!(issuer.trim(), root.trim());
    let openssl = Openssl::new();
    openssl
        .verify(&leaf, "", &issuer, None)
        .expect("the leaf chains to the root");
    let text = openssl.text("x509", &leaf);
    for part in [
        "CN = one.hybrid-node.eks",
        "DNS:one.hybrid-node.eks",
        "/v1/pki/crl",
        "/v1/pki/ca",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }

    // A name of somebody else's zone.
    client
        .write(
            "pki/issue/hybrid-node",
            json!({"common_name": "one.other.example"}),
        )
        .refused(
            400,
            "common name one.other.example not allowed by this role",
        );
}

#[test]
fn the_chain_is_leaf_intermediates_issuer() {
    let Authority {
        server: _server,
        client,
        root,
        intermediate,
    } = authority();
    let issued = client
        .write("pki/issue/hybrid-node", json!({"common_name": NODE}))
        .ok();
    let leaf = issued.text("certificate");
    let chain = issued.texts("ca_chain");
    assert_eq!(chain.len(), 2, "{chain:?}");
    assert_eq!(chain[0].trim(), intermediate.trim());
    assert_eq!(chain[1].trim(), root.trim());
    assert_eq!(issued.text("issuing_ca").trim(), intermediate.trim());

    let reply = client
        .write(
            "pki/issue/hybrid-node",
            json!({"common_name": NODE, "remove_roots_from_chain": true}),
        )
        .ok();
    assert_eq!(reply.texts("ca_chain").len(), 1);
    let bundle = client
        .write(
            "pki/issue/hybrid-node",
            json!({"common_name": NODE, "format": "pem_bundle"}),
        )
        .ok()
        .text("certificate");
    let blocks: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .collect::<Result<_, _>>()
        .expect("a bundle is PEM");
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[1..], [der(&intermediate), der(&root)]);

    let openssl = Openssl::new();
    openssl
        .verify(&leaf, &intermediate, &root, None)
        .expect("openssl builds the chain");
    webpki_verify(&leaf, &intermediate, &root, None).expect("webpki builds the chain");
    webpki_verify(&leaf, "", &root, None).expect_err("without the intermediate there is no chain");
}

#[test]
fn a_revoked_node_is_refused_by_openssl_and_webpki() {
    let Authority {
        server: _server,
        client,
        root,
        intermediate,
    } = authority();
    let issue = || {
        let reply = client
            .write("pki/issue/hybrid-node", json!({"common_name": NODE}))
            .ok();
        (reply.text("certificate"), reply.text("serial_number"))
    };
    let (good, _) = issue();
    let (lost, serial) = issue();
    client
        .write("pki/revoke", json!({"serial_number": serial}))
        .ok();
    let crl = client.read("pki/issuer/default/crl").ok().text("crl");
    let openssl = Openssl::new();
    openssl
        .verify(&good, &intermediate, &root, Some(&crl))
        .expect("openssl accepts the other certificate");
    let refusal = openssl
        .verify(&lost, &intermediate, &root, Some(&crl))
        .expect_err("openssl refuses the revoked one");
    assert!(refusal.contains("certificate revoked"), "{refusal}");
    webpki_verify(&good, &intermediate, &root, Some(&crl)).expect("webpki accepts the other one");
    let refusal = webpki_verify(&lost, &intermediate, &root, Some(&crl))
        .expect_err("webpki refuses the revoked one");
    assert!(matches!(refusal, webpki::Error::CertRevoked), "{refusal:?}");
}

#[test]
fn a_node_gets_its_own_name_only() {
    let Authority { server, client, .. } = authority();
    client
        .write("sys/auth/approle", json!({"type": "approle"}))
        .ok();
    let accessor = client.read("sys/auth/approle").ok().text("accessor");
    client
        .write(
            "pki/roles/own-name",
            json!({"preset": "hybrid-node", "mount_accessor": accessor}),
        )
        .ok();
    client
        .write(
            "sys/policies/acl/node",
            json!({"policy": "path \"pki/sign/own-name\" { capabilities = [\"update\"] }"}),
        )
        .ok();
    let node = login(&server, "node-1", "node");
    let openssl = Openssl::new();
    let sign = |caller: &Client, name: &str| {
        caller.write("pki/sign/own-name", json!({"csr": openssl.csr(name)}))
    };
    let certificate = sign(&node, "node-1").ok().text("certificate");
    let text = openssl.text("x509", &certificate);
    assert!(text.contains("TLS Web Client Authentication"), "{text}");
    assert!(!text.contains("TLS Web Server Authentication"), "{text}");
    for foreign in ["node-2", "x.node-1", "*.node-1", "node-1.example.com"] {
        sign(&node, foreign).refused(400, "not allowed by this role");
    }
    // Another spelling would be another session name at AWS.
    let reply = sign(&node, "NODE-1");
    assert_eq!(reply.status, 400, "{:?}", reply.errors());
    // The root token has no entity, so the template allows it nothing.
    sign(&client, "node-1").refused(400, "not allowed by this role");
}

/// An AppRole for one node, and a caller who has logged in with it.
fn login(server: &Server, node: &str, policy: &str) -> Client {
    let client = server.client();
    let role = format!("auth/approle/role/{node}");
    client.write(&role, json!({"token_policies": policy})).ok();
    let role_id = client.read(&format!("{role}/role-id")).ok().text("role_id");
    let secret_id = client
        .write(&format!("{role}/secret-id"), json!({}))
        .ok()
        .text("secret_id");
    let login = client
        .with_token("")
        .write(
            "auth/approle/login",
            json!({"role_id": role_id, "secret_id": secret_id}),
        )
        .ok();
    let token = login.body["auth"]["client_token"]
        .as_str()
        .expect("a login answers a token");
    client.with_token(token)
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM of a certificate")
}
