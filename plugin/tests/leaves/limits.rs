//! What is refused before it is signed, or before it costs anything, and in which words.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use landfast_pki::ext::{Extension, GeneralNames, OtherName};
use landfast_pki::name::Subject;
use landfast_pki::{Csr, KeySpec, Oid, PrivateKey, SignatureAlgorithm};
use landfast_plugin::Mount;
use landfast_sdk::testing::{Harness, HttpReply};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::support::{certificate, issue, role, with_ca};

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("these tests need the openssl command");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All paths that sign a CSR.
async fn sign_everywhere(mount: &Harness<Mount>, csr: &str) -> [HttpReply; 4] {
    let fields = |more: Value| {
        let mut fields = json!({"csr": csr, "common_name": "a.example.com"});
        fields
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        fields
    };
    [
        mount.update("sign/r", fields(json!({}))).await,
        mount.update("sign-verbatim", fields(json!({}))).await,
        mount
            .update("root/sign-intermediate", fields(json!({})))
            .await,
        mount
            .update(
                "root/sign-intermediate",
                fields(json!({"use_csr_values": true})),
            )
            .await,
    ]
}

#[tokio::test]
async fn requests_signed_with_sha1_are_signed() {
    let mount = with_ca().await;
    role(&mount, json!({"key_type": "any"})).await;
    let request = |kind: &[&str], digest: &str| {
        let file = tempfile(&openssl(&[&["genpkey", "-algorithm"], kind].concat(), ""));
        let path = file.path().to_str().unwrap().to_owned();
        openssl(
            &[
                "req",
                "-new",
                "-key",
                &path,
                "-subj",
                "/CN=a.example.com",
                digest,
            ],
            "",
        )
    };
    let p384 = ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let sha1 = request(&["RSA"], "-sha1");
    for reply in sign_everywhere(&mount, &sha1).await {
        certificate(&reply);
    }
    // A signature that is not that of the key proves nothing.
    let mut der = Csr::from_pem(sha1.as_bytes()).unwrap().der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let forged = Csr::from_der(&der).unwrap().pem();
    for reply in sign_everywhere(&mount, &forged).await {
        assert_eq!(
            (reply.status, reply.error()),
            (400, "request signature invalid")
        );
    }
    for (kind, digest, oid) in [
        (&["RSA"][..], "-sha224", "1.2.840.113549.1.1.14"),
        (&p384, "-sha1", "1.2.840.10045.4.1"),
    ] {
        for reply in sign_everywhere(&mount, &request(kind, digest)).await {
            assert_eq!(reply.status, 400, "{reply:?}");
            assert!(
                reply.error().contains(oid) && reply.error().contains("sign it with"),
                "{reply:?}"
            );
        }
    }
}

fn tempfile(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

/// A UPN that ends at a NUL for some readers.
#[tokio::test]
async fn control_characters_of_other_names_are_refused_on_every_path() {
    let mount = with_ca().await;
    role(
        &mount,
        json!({"allowed_other_sans": "*", "use_csr_sans": true}),
    )
    .await;
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false)
        .unwrap()
        .algorithm;
    let csr = |value: &str| {
        let names = GeneralNames {
            other: vec![OtherName {
                oid: Oid::new("1.3.6.1.4.1.311.20.2.3").unwrap(),
                value: value.to_owned(),
            }],
            ..GeneralNames::default()
        };
        let subject = Subject::common_name("a.example.com").to_name();
        Csr::build(subject, &names, &[] as &[Extension], algorithm, &key)
            .unwrap()
            .pem()
    };
    for (value, good) in [
        ("u@example.com", true),
        ("u@example.com\0@evil.test", false),
        ("u\nx", false),
    ] {
        for (at, reply) in sign_everywhere(&mount, &csr(value))
            .await
            .into_iter()
            .enumerate()
        {
            // Without use_csr_values an intermediate has no names of the CSR.
            let good = good || at == 2;
            assert_eq!(reply.status == 200, good, "{at} {value:?}: {reply:?}");
            assert!(
                good || reply.error().contains("no-control-characters"),
                "{reply:?}"
            );
        }
        let sans = json!([format!("1.3.6.1.4.1.311.20.2.3;UTF8:{value}")]);
        for (path, name) in [
            ("issue/r", "a.example.com"),
            ("root/sign-intermediate", "CA"),
        ] {
            let mut fields = json!({"common_name": name, "other_sans": sans});
            if path != "issue/r" {
                fields["csr"] = csr("plain").into();
            }
            let reply = mount.update(path, fields).await;
            assert_eq!(reply.status == 200, good, "{path} {value:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_the_callers_mistake() {
    let mount = with_ca().await;
    role(&mount, json!({"key_type": "any"})).await;
    for (key, text) in [
        (json!({"key_type": "dsa"}), "unknown key type dsa"),
        (
            json!({"key_type": "mldsa", "key_bits": 64}),
            "unsupported bit length for ML-DSA key: 64",
        ),
        (
            json!({"key_type": "rsa", "key_bits": 1000}),
            "RSA keys < 2048 bits are unsafe and not supported: got 1000",
        ),
        (json!({"key_type": "rsa", "key_bits": -1}), "got -1"),
        (
            json!({"key_type": "ec", "key_bits": 5}),
            "unsupported bit length for EC key: 5",
        ),
    ] {
        let mut fields = key.clone();
        fields["common_name"] = "a.example.com".into();
        let reply = issue(&mount, fields).await;
        assert_eq!(reply.status, 400, "{key}: {reply:?}");
        assert!(reply.error().contains(text), "{key}: {reply:?}");
    }
}

#[tokio::test]
async fn a_role_with_an_identifier_that_cannot_be_encoded_is_stored_and_told() {
    let mount = with_ca().await;
    let fields = json!({"allow_any_name": true, "key_type": "ec", "ext_key_usage_oids": ["1.2.3", "4.3.2.1"]});
    let reply = mount.update("roles/r", fields).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(
        reply.warnings[0].starts_with("ext_key_usage_oids: 4.3.2.1 cannot be encoded"),
        "{reply:?}"
    );
    assert_eq!(
        mount.read("roles/r").await.data["ext_key_usage_oids"],
        json!(["1.2.3", "4.3.2.1"])
    );
    let reply = issue(&mount, json!({"common_name": "a.example.com"})).await;
    assert_eq!(
        (reply.status, reply.error()),
        (
            400,
            "\"4.3.2.1\" could not be parsed as a valid oid for an extended key usage"
        )
    );
    let reply = mount
        .update("roles/r", json!({"ext_key_usage_oids": "1.2.x"}))
        .await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_leaf_outside_of_its_issuers_name_constraints_is_refused() {
    let mount = with_ca().await;
    role(&mount, json!({"key_type": "ec"})).await;
    for bad in [".", "a..b", "é.test"] {
        let fields =
            json!({"common_name": "Bad", "key_type": "ec", "permitted_dns_domains": [bad]});
        let reply = mount.update("root/generate/internal", fields).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.error().contains(bad), "{reply:?}");
    }
    let fields = json!({"common_name": "Narrow", "key_type": "ec", "issuer_name": "narrow", "permitted_dns_domains": ["a.test", ".b.test"], "ttl": "1000h"});
    assert_eq!(
        mount.update("root/generate/internal", fields).await.status,
        200
    );
    let path = "issuer/narrow/issue/r";
    certificate(
        &mount
            .update(
                path,
                json!({"common_name": "x.a.test", "alt_names": "y.b.test"}),
            )
            .await,
    );
    let reply = mount
        .update(
            path,
            json!({"common_name": "x.a.test", "alt_names": "b.test"}),
        )
        .await;
    assert_eq!(
        (reply.status, reply.error()),
        (
            400,
            "the certificate would break the rule rfc5280-4.2.1.10: the DNS name b.test is outside of the issuer's name constraints (permitted: a.test, .b.test)"
        )
    );
}

/// Ten times as much in one field takes at most thirty times as much of a processor: a loop over pairs would take a hundred times.
#[tokio::test]
async fn no_field_of_a_request_costs_the_square_of_its_length() {
    let mount = with_ca().await;
    role(
        &mount,
        json!({
            "allow_any_name": true, "enforce_hostnames": false, "allowed_uri_sans": "*", "allowed_other_sans": "*",
            "allowed_user_ids": "*", "allowed_serial_numbers": "*",
        }),
    )
    .await;
    let texts = |octets: usize| {
        vec![
            "a".repeat(octets),
            "ü".repeat(octets / 2),
            "a.".repeat(octets / 2),
            format!("xn--{}", "a".repeat(octets)),
            (0..octets / 8)
                .map(|n| format!("h{n:06}"))
                .collect::<Vec<_>>()
                .join(","),
        ]
    };
    let fields = [
        "common_name",
        "alt_names",
        "ip_sans",
        "uri_sans",
        "other_sans",
        "user_ids",
        "serial_number",
        "not_after",
        "format",
    ];
    // The whole request runs on this thread, whatever else the machine does meanwhile.
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let mut slow = Vec::new();
    for field in fields {
        for at in 0..texts(0).len() {
            let mut took = [Duration::MAX; 2];
            for (slot, octets) in [100_000, 1_000_000].into_iter().enumerate() {
                let mut body = json!({"common_name": "a.example.com"});
                body[field] = texts(octets).swap_remove(at).into();
                for _ in 0..3 {
                    let start = now();
                    let reply = issue(&mount, body.clone()).await;
                    took[slot] = took[slot].min(now() - start);
                    assert!(
                        reply.status == 200 || reply.status == 400,
                        "{field}: {}",
                        reply.status
                    );
                }
            }
            assert!(took[1] > Duration::from_micros(100), "not here: {took:?}");
            let times = took[1].as_secs_f64() / took[0].as_secs_f64();
            if times > 30.0 && took[1] > Duration::from_millis(200) {
                slow.push(format!("{field}, text {at}: {took:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

#[tokio::test]
async fn an_import_has_a_limit() {
    let mount = with_ca().await;
    let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let reply = mount
        .update("config/ca", json!({"pem_bundle": block.repeat(257)}))
        .await;
    assert_eq!(
        (reply.status, reply.error()),
        (
            400,
            "the bundle has 257 blocks, and at most 256 are taken: import it in parts"
        )
    );
}
