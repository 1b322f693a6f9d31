//! ML-DSA keys that AWS KMS keeps, with a stand-in for it: of our engine's CAs, and of the server's own engines. Others check what is signed.

use serde_json::{Value, json};

use super::ca_kms::{connect, server};
use super::external_keys::host_with_keys;
use super::fake_aws::FakeAws;
use super::host::fake;
use crate::support::{MlDsa, PLUGIN_NAME, ocsp_request};

const SIZES: [u32; 3] = [44, 65, 87];

/// More than the 4,096 octets that AWS KMS takes as a message.
fn long_list() -> Value {
    let revoked: Vec<_> = (1..200)
        .map(|at| json!({"serial_number": format!("01:{at:02x}"), "revocation_time": "2026-01-01T00:00:00Z"}))
        .collect();
    json!({"crl_number": 9, "next_update": "72h", "revoked_certs": revoked})
}

/// What was called since the last look. Each signature has to be asked for by the representative of what is signed (FIPS 204), whose length is
/// always the same.
fn operations(fake: &FakeAws) -> Vec<String> {
    let calls = fake.calls();
    for call in calls.iter().filter(|call| call.operation == "Sign") {
        assert_eq!(call.parameters["MessageType"], "EXTERNAL_MU");
        assert_eq!(call.parameters["SigningAlgorithm"], "ML_DSA_SHAKE_256");
    }
    fake.take_operations()
}

#[test]
fn a_ca_signs_everything_with_one_call_each_whatever_its_size() {
    let (fake, others) = (fake(), MlDsa::new());
    let server = server(&fake);
    let client = server.client();
    for size in SIZES {
        let mount = format!("pki-{size}");
        server.mount(&mount, PLUGIN_NAME);
        connect(&client, &mount, &fake);
        let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec"});
        client.write(&format!("{mount}/roles/web"), role).ok();
        operations(&fake);
        let root = json!({"common_name": format!("Root {size}"), "kms_key_id": format!("alias/ca-mldsa-{size}"), "ttl": "8760h"});
        let root = client.write(&format!("{mount}/root/generate/kms"), root);
        let root = root.ok().text("certificate");
        // The certificate, a complete and a delta CRL.
        assert_eq!(operations(&fake), ["GetPublicKey", "Sign", "Sign", "Sign"]);
        let key = client.read(&format!("{mount}/key/default")).ok();
        assert_eq!(key.text("key_type"), "mldsa");

        let leaf = json!({"common_name": "node.example"});
        let leaf = client.write(&format!("{mount}/issue/web"), leaf).ok();
        assert_eq!(operations(&fake), ["Sign"]);
        let certificate = leaf.text("certificate");
        let long = format!("{mount}/issuer/default/sign-revocation-list");
        let long = client.write(&long, long_list()).ok().text("crl");
        assert_eq!(operations(&fake), ["Sign"]);
        let question = ocsp_request(&root, &certificate);
        let answer = client.ocsp(&mount, &question).bytes;
        assert_eq!(client.ocsp(&mount, &question).bytes, answer);
        assert_eq!(operations(&fake), ["Sign"]);
        let serial = json!({"serial_number": leaf.text("serial_number")});
        client.write(&format!("{mount}/revoke"), serial).ok();
        assert_eq!(operations(&fake), ["Sign", "Sign"]);
        let revoked = client.ocsp(&mount, &question).bytes;
        let crl = client.read(&format!("{mount}/issuer/default/crl")).ok();
        assert_eq!(operations(&fake), ["Sign"]);

        let crl = crl.text("crl");
        let said = others.check(
            &root,
            &[
                root.as_bytes(),
                certificate.as_bytes(),
                long.as_bytes(),
                crl.as_bytes(),
                &answer,
                &revoked,
            ],
        );
        for part in ["199 revoked list", "1 revoked list", "GOOD", "REVOKED"] {
            assert!(said.contains(part), "{size}: {part}: {said}");
        }
    }
}

/// The built-in engine hands the message over and its hash as none, so it knows nothing of representatives.
#[test]
fn the_servers_own_engines_sign_with_ml_dsa_keys() {
    let (fake, others) = (fake(), MlDsa::new());
    let host = host_with_keys(&fake);
    let client = host.client();
    let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec"});
    client.write("pki/roles/web", role).ok();
    for size in SIZES {
        let key = format!("mldsa{size}");
        let body = json!({"common_name": key, "external_key_ref": format!("aws:{key}"), "issuer_name": key, "ttl": "8760h"});
        let root = client.write("pki/issuers/generate/root/kms", body).ok();
        let root = root.text("certificate");
        operations(&fake);
        let leaf = json!({"common_name": "node.example"});
        let leaf = client.write(&format!("pki/issuer/{key}/issue/web"), leaf);
        let leaf = leaf.ok().text("certificate");
        assert_eq!(operations(&fake), ["Sign"]);
        let long = format!("pki/issuer/{key}/sign-revocation-list");
        let long = client.write(&long, long_list()).ok().text("crl");
        let crl = client.read(&format!("pki/issuer/{key}/crl")).ok();
        let said = others.check(
            &root,
            &[
                root.as_bytes(),
                leaf.as_bytes(),
                long.as_bytes(),
                crl.text("crl").as_bytes(),
            ],
        );
        assert!(said.contains("199 revoked list"), "{said}");

        let body = json!({"type": "external-key", "external_key_ref": format!("aws:{key}")});
        client.write(&format!("transit/keys/{key}"), body).ok();
        let sign = |more: Value| {
            let mut body = json!({"input": "aGVsbG8="});
            for (name, value) in more.as_object().expect("an object") {
                body[name] = value.clone();
            }
            client.write(&format!("transit/sign/{key}"), body)
        };
        let signature = sign(json!({})).ok().text("signature");
        operations(&fake);
        let verify = |input: &str| {
            let body = json!({"input": input, "signature": signature});
            let read = client.write(&format!("transit/verify/{key}"), body).ok();
            read.body["data"]["valid"] == true
        };
        assert!(verify("aGVsbG8=") && !verify("b3RoZXI="));
        // A digest in the message's place would be signed as if it were the message.
        for more in [
            json!({"hash_algorithm": "sha2-256"}),
            json!({"prehashed": true}),
        ] {
            let refused = sign(more.clone());
            let said = refused.errors().join("");
            assert!(
                said.contains("signs the message and no digest"),
                "{more}: {said}"
            );
        }
        assert_eq!(operations(&fake), [""; 0], "verifying calls nobody");
    }
}
