//! Nodes whose keys and CAs are post-quantum (ML-DSA): from the key to the session.

use std::fs;

use serde_json::{Value, json};

use super::{Lab, NODE, Site, failure, json_of, said};
use crate::support::{MlDsa, Server};

/// The role of the nodes by the preset, for keys of this kind.
fn preset(site: &Site, key: Value) {
    let mut body = json!({"preset": "hybrid-node", "node_name": NODE});
    let key = key.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(key);
    site.client.write("pki/roles/hybrid-node", body).ok();
}

/// What the node's certificate and key are, in the words of AWS's helper.
fn key_type(site: &Site) -> String {
    let shown = site
        .server
        .landfast()
        .args(["read-certificate-data", "--certificate"])
        .arg(site.path("pki/server.pem"))
        .output()
        .expect("the binary under test runs");
    assert!(shown.status.success(), "{}", said(&shown));
    let shown: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    shown["keyType"].as_str().expect("a text").to_owned()
}

/// The lab opens a session for the node.
fn opens(site: &Site, lab: &Lab) {
    let session = site.session(lab);
    assert!(session.status.success(), "{}", said(&session));
    let credentials: Value = serde_json::from_slice(&session.stdout).expect("JSON");
    assert!(credentials["SessionToken"].is_string());
}

/// The PEM of the leaf alone.
fn leaf(site: &Site) -> String {
    let file = site.certificate();
    let end = "-----END CERTIFICATE-----\n";
    let at = file.find(end).expect("PEM of a certificate");
    file[..at + end.len()].to_owned()
}

#[test]
fn a_post_quantum_node_lives_as_others_do() {
    let site = Site::with(Server::dev(), &json!({"key_type": "mldsa", "key_bits": 65}));
    preset(&site, json!({"key_type": "mldsa"}));
    let lab = Lab::start(&site, &site.issuing);
    let others = MlDsa::new();

    for set in ["44", "65", "87"] {
        let kind = format!("mldsa-{set}");
        let first = site.enroll(&["--rotate-key", "--key-type", &kind]);
        assert_eq!(first["newKey"], true, "{first}");
        assert_eq!(first["warnings"], json!([]), "{first}");
        assert_eq!(key_type(&site), format!("ML-DSA-{set}"));
        // By somebody else's eyes: what the CA signed, and the key of the pair.
        others.check(&site.issuing, &[leaf(&site).as_bytes()]);
        opens(&site, &lab);
        // The seed with the expanded key, as AWS's helper wants it: the seed alone has 128 octets.
        assert!(site.key().len() > 3000, "the seed alone");

        // Nobody says which kind: the same key, then a new one of its kind.
        let key = site.key();
        let renewed = json_of(site.node("renew").arg("--now"));
        assert_eq!(renewed["newKey"], false, "{renewed}");
        assert_eq!(site.key(), key);
        let rotated = json_of(site.node("renew").arg("--rotate-key"));
        assert_eq!(rotated["newKey"], true, "{rotated}");
        assert_eq!(rotated["keyTypeChanged"], false, "{rotated}");
        assert_ne!(site.key(), key);
        assert_eq!(key_type(&site), format!("ML-DSA-{set}"));
        opens(&site, &lab);
    }

    // Revoked: the CA's list, signed with ML-DSA too, ends the sessions.
    let last = json_of(site.node("renew").arg("--now"));
    let body = json!({"serial_number": last["serialNumber"]});
    site.client.write("pki/revoke", body).ok();
    let mut sync = lab.operator(&site, ["crl", "sync"]);
    assert_eq!(
        json_of(sync.args(["--apply", "--json"]))["state"],
        "applied"
    );
    let refused = site.session(&lab);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("Certificate revoked"));
}

#[test]
fn a_key_that_the_role_does_not_take_is_named() {
    let site = Site::new(Server::dev());
    preset(&site, json!({"key_type": "mldsa", "key_bits": 65}));
    let enroll = |arguments: &[&str]| {
        let mut node = site.node("enroll");
        node.args(["--node-name", NODE]).args(arguments);
        node
    };

    // Neither the usual key nor a smaller one; nothing is left behind.
    for (arguments, part) in [
        (&[][..], "role requires keys of type mldsa"),
        (
            &["--key-type", "mldsa-44"],
            "role requires a minimum of a 65-bit key",
        ),
    ] {
        let (code, told) = failure(&mut enroll(arguments));
        assert_eq!(code, 4, "{told}");
        for part in [part, "--rotate-key and --key-type", "key_bits"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!site.path("pki/server.pem").exists());
    }

    // An EC CA certifies ML-DSA keys as well.
    let lab = Lab::start(&site, &site.issuing);
    json_of(&mut enroll(&["--key-type", "mldsa-65"]));
    opens(&site, &lab);
    let file = fs::read(site.path("pki/server.pem")).expect("the certificate is there");
    for (kind, found) in [("mldsa-87", "ML-DSA-87"), ("ec", "P-256")] {
        let (code, told) = failure(&mut enroll(&["--key-type", kind]));
        assert_eq!(code, 2, "{told}");
        for part in ["the key in place is ML-DSA-65", found, "--rotate-key"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    assert_eq!(
        fs::read(site.path("pki/server.pem")).expect("it stays"),
        file
    );
}
