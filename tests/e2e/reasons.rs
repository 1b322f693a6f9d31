//! Reasons for revocations on a real server, read by openssl.

use serde_json::json;

use crate::support::{Openssl, PLUGIN_NAME, Server};

#[test]
fn openssl_reads_why_a_certificate_is_revoked() {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    let root = client.write("pki/root/generate/internal", root).ok();
    let root = root.text("certificate");
    let role = json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h"});
    client.write("pki/roles/any", role).ok();
    let openssl = Openssl::new();
    let issue = || {
        let name = json!({"common_name": "a.example.com"});
        client.write("pki/issue/any", name).ok()
    };
    let ask = |certificate: &str| {
        let file = openssl.file("asked.pem", certificate);
        let file = file.to_str().expect("a path of ours");
        let request = openssl.ocsp_request(&root, &["-cert", file]);
        let reply = client.ocsp("pki", &request).ok();
        let status = openssl.ocsp_status(&root, certificate, &reply.bytes);
        assert_eq!(status.expect("an answer that openssl believes"), "revoked");
        openssl.ocsp_text(&reply.bytes)
    };

    let (why, silent, key) = (issue(), issue(), issue());
    let body = json!({"serial_number": why.text("serial_number"), "reason": "superseded"});
    let reply = client.write("pki/revoke", body).ok();
    assert_eq!(reply.text("revocation_reason"), "superseded");
    assert!(reply.warnings().is_empty(), "{:?}", reply.warnings());
    let body = json!({"serial_number": silent.text("serial_number")});
    client.write("pki/revoke", body).ok();
    let body = json!({"certificate": key.text("certificate"), "private_key": key.text("private_key"), "reason": "keyCompromise"});
    client.write("pki/revoke-with-key", body).ok();
    let body = json!({"serial_number": issue().text("serial_number"), "reason": "certificateHold"});
    client
        .write("pki/revoke", body)
        .refused(400, "what is revoked stays revoked");

    let shown = client.read(&format!("pki/cert/{}", why.text("serial_number")));
    assert_eq!(shown.ok().text("revocation_reason"), "superseded");
    let crl = client.read("pki/cert/crl").ok().text("certificate");
    let text = openssl.text("crl", &crl);
    assert_eq!(text.matches("X509v3 CRL Reason Code:").count(), 2, "{text}");
    assert!(!text.contains("Reason Code: critical"), "{text}");
    for (leaf, reason) in [
        (&why, Some("Superseded")),
        (&silent, None),
        (&key, Some("Key Compromise")),
    ] {
        let serial = leaf.text("serial_number").replace(':', "").to_uppercase();
        let entry = text
            .split("Serial Number: ")
            .find(|entry| entry.starts_with(&serial))
            .expect("it is listed");
        let told = entry.lines().find_map(|line| {
            ["Superseded", "Key Compromise"]
                .into_iter()
                .find(|reason| line.trim() == *reason)
        });
        assert_eq!(told, reason, "{entry}");
    }
    let certificate = |leaf: &crate::support::Reply| leaf.text("certificate");
    assert!(ask(&certificate(&why)).contains("Revocation Reason: superseded (0x4)"));
    assert!(ask(&certificate(&key)).contains("Revocation Reason: keyCompromise (0x1)"));
    let silent = ask(&certificate(&silent));
    assert!(!silent.contains("Revocation Reason"), "{silent}");
    // A CRL with reasons is one that openssl checks chains by.
    let refused = openssl.verify(&certificate(&why), "", &root, Some(&crl));
    assert!(refused.unwrap_err().contains("certificate revoked"));
}
