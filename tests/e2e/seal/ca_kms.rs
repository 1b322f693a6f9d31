//! CA keys of our engine that AWS KMS keeps, with a stand-in for it, read back by openssl.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::fake_aws::{ACCESS_KEY, FakeAws, Fault, REGION, arn};
use super::host::{fake, kill};
use crate::support::{Client, Openssl, PLUGIN_NAME, Release, Reply, Server, TakeOver, until};

/// The stand-in's key `alias/ca-p256`.
pub(super) const P256: &str = "00000000-0000-4000-8000-000000000000";

pub(super) fn connect(client: &Client, mount: &str, fake: &FakeAws) {
    let connection = json!({
        "region": REGION, "endpoint": fake.url(), "access_key": ACCESS_KEY, "secret_key": "not-for-eyes",
    });
    client
        .write(&format!("{mount}/config/kms"), connection)
        .ok();
}

/// A server with the engine at `pki`, a role `web`, and the way to the stand-in.
pub(super) fn server(fake: &FakeAws) -> Server {
    let server = Server::raft(Release::Current, "");
    server.register(PLUGIN_NAME, "");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    connect(&client, "pki", fake);
    let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec"});
    client.write("pki/roles/web", role).ok();
    server
}

pub(super) fn root(client: &Client, name: &str, key: &str, more: &Value) -> Reply {
    let mut body = json!({"common_name": format!("Root {name}"), "issuer_name": name, "kms_key_id": key, "ttl": "8760h"});
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    client.write("pki/issuers/generate/root/kms", body)
}

pub(super) fn issue(client: &Client) -> Reply {
    client.write("pki/issue/web", json!({"common_name": "node.example"}))
}

/// Runs openssl, which has to be content.
#[track_caller]
pub(super) fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success() && !said.contains("failure"),
        "openssl {arguments:?}: {said}"
    );
    said
}

#[test]
fn every_kind_of_key_signs_what_openssl_accepts_with_one_call_each() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    for (name, key, more, algorithm) in [
        ("p256", "alias/ca-p256", json!({}), "ecdsa-with-SHA256"),
        ("p384", "alias/ca-p384", json!({}), "ecdsa-with-SHA384"),
        ("p521", "alias/ca-p521", json!({}), "ecdsa-with-SHA512"),
        ("rsa", "alias/ca-rsa", json!({}), "sha256WithRSAEncryption"),
        ("pss", "alias/ca-rsa", json!({"use_pss": true}), "rsassaPss"),
    ] {
        fake.take_operations();
        let made = root(&client, name, key, &more).ok();
        // Certificate, complete and delta CRL; and those of the issuers that are here already.
        let operations = fake.take_operations();
        let (first, signatures) = operations.split_first().expect("calls");
        assert_eq!(first, "GetPublicKey");
        assert!(
            signatures.len() >= 3 && signatures.iter().all(|call| call == "Sign"),
            "{signatures:?}"
        );

        let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec", "issuer_ref": name,
            "use_pss": more["use_pss"] == true});
        client.write("pki/roles/web", role).ok();
        let leaf = issue(&client).ok();
        assert_eq!(fake.take_operations(), ["Sign"], "{name}");
        let files = Openssl::new();
        let csr = files.csr("node.example");
        let signed = client
            .write(
                "pki/sign/web",
                json!({"csr": csr, "common_name": "node.example"}),
            )
            .ok();
        let body =
            json!({"csr": csr, "common_name": "node.example", "use_pss": more["use_pss"] == true});
        let verbatim = client
            .write(&format!("pki/issuer/{name}/sign-verbatim"), body)
            .ok();
        let body = json!({"csr": csr, "common_name": "Intermediate", "ttl": "4380h", "use_pss": more["use_pss"] == true});
        let below = client
            .write(&format!("pki/issuer/{name}/sign-intermediate"), body)
            .ok();
        assert_eq!(fake.take_operations(), ["Sign", "Sign", "Sign"], "{name}");
        let body = json!({"serial_number": leaf.text("serial_number")});
        client.write("pki/revoke", body).ok();

        let text = |name: &str, text: Vec<u8>| {
            let path = files.file(name, text);
            path.to_str().expect("a path of ours").to_owned()
        };
        let root = text("root.pem", made.text("certificate").into_bytes());
        openssl(&["verify", "-x509_strict", "-CAfile", &root, &root]);
        for (name, reply) in [
            ("leaf", leaf),
            ("signed", signed),
            ("verbatim", verbatim),
            ("below", below),
        ] {
            let one = text(name, reply.text("certificate").into_bytes());
            openssl(&["verify", "-x509_strict", "-CAfile", &root, &one]);
            let shown = openssl(&["x509", "-noout", "-text", "-in", &one]);
            assert!(shown.contains(algorithm), "{name}: {shown}");
        }
        for (path, revoked) in [("crl/pem", true), ("crl/delta/pem", false)] {
            let crl = client.read(&format!("pki/issuer/{name}/{path}")).bytes;
            let crl = text("crl.pem", crl);
            openssl(&["crl", "-noout", "-CAfile", &root, "-in", &crl]);
            let shown = openssl(&["crl", "-noout", "-text", "-in", &crl]);
            assert!(shown.contains(algorithm), "{path}: {shown}");
            assert_eq!(
                shown.contains("No Revoked Certificates"),
                !revoked,
                "{path}: {shown}"
            );
        }
    }
    // The digest, and not the message, goes to AWS KMS.
    fake.take_operations();
    issue(&client).ok();
    let calls = fake.calls();
    let [call] = calls.as_slice() else {
        panic!("{calls:?}")
    };
    assert_eq!(call.parameters["MessageType"], "DIGEST");
    assert!(
        call.key_id
            .as_deref()
            .expect("a key")
            .starts_with("arn:aws:kms:")
    );
    // Two roots with one key of AWS KMS share it.
    assert_eq!(client.list("pki/keys").ok().texts("keys").len(), 4);
    let log = server.log();
    assert!(!log.contains("not-for-eyes"));
    let read = client.read("pki/config/kms").ok();
    assert!(!String::from_utf8_lossy(&read.bytes).contains("not-for-eyes"));
}

#[test]
fn an_intermediate_in_kms_is_signed_by_another_ca_and_issues() {
    let fake = fake();
    let server = server(&fake);
    server.mount("top", PLUGIN_NAME);
    let client = server.client();
    let body = json!({"common_name": "Top", "key_type": "ec", "ttl": "8760h"});
    let top = client.write("top/root/generate/internal", body).ok();
    let body =
        json!({"common_name": "Intermediate", "kms_key_id": arn(REGION, P256), "key_name": "hsm"});
    let asked = client.write("pki/intermediate/generate/kms", body).ok();
    let body = json!({"csr": asked.text("csr"), "common_name": "Intermediate", "ttl": "4380h"});
    let signed = client.write("top/root/sign-intermediate", body).ok();
    let body = json!({"certificate": signed.text("certificate")});
    client.write("pki/intermediate/set-signed", body).ok();
    let leaf = issue(&client).ok();
    let files = Openssl::new();
    let path = |name: &str, text: String| {
        let path = files.file(name, text);
        path.to_str().expect("a path of ours").to_owned()
    };
    let top = path("top.pem", top.text("certificate"));
    let middle = path("middle.pem", signed.text("certificate"));
    let leaf = path("leaf.pem", leaf.text("certificate"));
    openssl(&[
        "verify",
        "-x509_strict",
        "-CAfile",
        &top,
        "-untrusted",
        &middle,
        &leaf,
    ]);

    let key = client.read("pki/key/hsm").ok();
    assert_eq!(key.text("kms_key_id"), arn(REGION, P256));
    assert_eq!(
        (key.text("kms_region"), key.text("key_type")),
        (REGION.to_owned(), "ec".to_owned())
    );
    let help = client
        .call("GET", "pki/keys/generate/kms?help=1", None)
        .ok();
    assert!(
        help.body["help"]
            .as_str()
            .is_some_and(|text| text.contains("AWS KMS")),
        "{:?}",
        help.body
    );
}

#[test]
fn signing_goes_on_after_a_kill_of_the_plugin_and_a_restart_of_the_server() {
    let fake = fake();
    let mut server = server(&fake);
    root(&server.client(), "p256", "alias/ca-p256", &json!({})).ok();
    fake.take_operations();
    server.plugins().into_iter().for_each(kill);
    let client = server.client();
    until(
        "a certificate by the plugin's successor",
        Duration::from_secs(20),
        || (issue(&client).status == 200).then_some(()),
    );
    server.restart();
    until(
        "a certificate after the restart",
        Duration::from_secs(20),
        || (issue(&server.client()).status == 200).then_some(()),
    );
    let client = server.client();
    for path in [
        "pki/key/default",
        "pki/issuer/default",
        "pki/config/kms",
        "pki/ca/pem",
        "pki/crl/pem",
    ] {
        assert_eq!(client.read(path).status, 200, "{path}");
    }
    // The public key is not asked for again.
    assert!(fake.take_operations().iter().all(|call| call == "Sign"));
    // An alias that moves takes no CA with it.
    fake.move_alias("alias/ca-p256", "00000000-0000-4000-8000-000000000001");
    issue(&client).ok();
    // A raft snapshot holds no private key, for there is none.
    let key = client.read("pki/key/default").ok();
    assert_eq!(key.text("kms_key_id"), arn(REGION, P256));
}

#[test]
fn failures_name_cause_and_remedy_take_bounded_time_and_pass() {
    let fake = fake();
    let server = server(&fake);
    let client = server.client();
    root(&client, "p256", "alias/ca-p256", &json!({})).ok();
    let leaf = issue(&client).ok().text("serial_number");
    let stored = client.list("pki/certs").ok().texts("keys").len();

    // What an operator has to mend.
    let refused = |what: &str, words: &[&str]| {
        let reply = issue(&client);
        let said = reply.errors().join(" ");
        assert_eq!(reply.status, 500, "{what}: {said}");
        for word in words {
            assert!(said.contains(word), "{what}: {word:?} is not in {said}");
        }
        assert_eq!(
            client.list("pki/certs").ok().texts("keys").len(),
            stored,
            "{what}"
        );
        said
    };
    let key = arn(REGION, P256);
    fake.deny(ACCESS_KEY, "Sign");
    refused(
        "denied",
        &[
            "AccessDeniedException",
            &key,
            REGION,
            "principal",
            "allow kms:Sign",
        ],
    );
    fake.heal();
    fake.set_state(P256, "Disabled");
    refused("disabled", &["DisabledException", &key, "enable the key"]);
    fake.set_state(P256, "PendingDeletion");
    refused(
        "to be deleted",
        &["KMSInvalidStateException", &key, "cancel"],
    );
    fake.set_state(P256, "Enabled");
    fake.fail("Sign", Fault::Error("NotFoundException", 400), 1);
    refused("gone", &["NotFoundException", &key, "account and Region"]);

    // What passes by itself.
    for (what, fault, limit) in [
        ("throttled", Fault::Error("ThrottlingException", 400), 5),
        ("out of order", Fault::Error("KMSInternalException", 500), 5),
        ("reset", Fault::Reset, 5),
        ("silent", Fault::Hang, 16),
    ] {
        fake.fail("Sign", fault, 1000);
        let start = Instant::now();
        let reply = issue(&client);
        let took = start.elapsed();
        let said = reply.errors().join(" ");
        assert_eq!(reply.status, 503, "{what}: {said}");
        assert!(
            said.contains("try again later") && said.contains(&key),
            "{what}: {said}"
        );
        assert!(took < Duration::from_secs(limit), "{what}: {took:?}");
        if what == "throttled" {
            assert!(said.contains("request quota"), "{said}");
            // A revocation is on record although its CRL cannot be signed now.
            let revoked = client.write("pki/revoke", json!({"serial_number": leaf}));
            assert_eq!(revoked.status, 503);
            assert!(
                revoked.errors().join(" ").contains("on record"),
                "{:?}",
                revoked.errors()
            );
            assert_eq!(
                client.list("pki/certs/revoked").ok().texts("keys"),
                std::slice::from_ref(&leaf)
            );
        }
        // Nothing that only reads depends on AWS KMS.
        for path in [
            "pki/key/default",
            "pki/issuer/default",
            "pki/ca/pem",
            "pki/crl/pem",
        ] {
            assert_eq!(client.read(path).status, 200, "{what}: {path}");
        }
        fake.heal();
        issue(&client).ok();
    }
    client
        .write("pki/revoke", json!({"serial_number": leaf}))
        .ok();
    let crl = client.read("pki/crl/pem").bytes;
    let files = Openssl::new();
    let crl = files.file("crl.pem", crl);
    let shown = openssl(&[
        "crl",
        "-noout",
        "-text",
        "-in",
        crl.to_str().expect("a path of ours"),
    ]);
    assert!(!shown.contains("No Revoked Certificates"), "{shown}");

    // A root that cannot be had leaves nothing half made.
    fake.fail("Sign", Fault::Error("ThrottlingException", 400), 1000);
    let before = [
        client.list("pki/issuers").bytes.len(),
        client.list("pki/keys").bytes.len(),
    ];
    let reply = root(&client, "p384", "alias/ca-p384", &json!({}));
    assert_eq!(reply.status, 503, "{:?}", reply.errors());
    fake.heal();
    assert_eq!(
        [
            client.list("pki/issuers").bytes.len(),
            client.list("pki/keys").bytes.len()
        ],
        before
    );
    let reply = root(&client, "none", "alias/nobody", &json!({}));
    assert_eq!(reply.status, 400);
    assert!(
        reply.errors().join(" ").contains("NotFoundException"),
        "{:?}",
        reply.errors()
    );
    let reply = root(&client, "seal", "alias/bao-unseal", &json!({}));
    assert_eq!(reply.status, 400, "{:?}", reply.errors());
}

#[test]
fn without_credentials_of_its_own_a_mount_uses_the_servers_identity_at_aws_only() {
    let fake = fake();
    let server = Server::raft(Release::Current, "");
    let env = [
        format!("AWS_ENDPOINT_URL_KMS={}", fake.url()),
        format!("AWS_ACCESS_KEY_ID={ACCESS_KEY}"),
        "AWS_SECRET_ACCESS_KEY=secret".to_owned(),
        format!("AWS_REGION={REGION}"),
    ];
    let body = json!({"sha256": server.sha256(), "command": PLUGIN_NAME, "env": env});
    let client = server.client();
    client
        .write(&format!("sys/plugins/catalog/secret/{PLUGIN_NAME}"), body)
        .ok();
    server.mount("pki", PLUGIN_NAME);
    let reply = root(&client, "p256", "alias/ca-p256", &json!({}));
    let said = reply.errors().join(" ");
    assert!(
        reply.status == 400 && said.contains("use_server_identity=true"),
        "{said}"
    );
    assert_eq!(fake.calls().len(), 0, "nobody has lent the identity yet");
    let lent = json!({"options": {"use_server_identity": "true"}});
    client.write("sys/mounts/pki/tune", lent).ok();
    let reload = json!({"mounts": ["pki/"]});
    client.write("sys/plugins/reload/backend", reload).ok();
    root(&client, "p256", "alias/ca-p256", &json!({})).ok();
    let calls = fake.calls();
    assert!(
        calls.iter().all(|call| call.access_key == ACCESS_KEY),
        "{calls:?}"
    );
    for (field, value) in [
        ("endpoint", "http://127.0.0.1:9"),
        ("sts_endpoint", "http://127.0.0.1:9"),
        ("fallback_regions", "eu-west-1=http://127.0.0.1:9"),
        ("shared_creds_filename", "/etc/shadow"),
        ("web_identity_token_file", "/etc/shadow"),
        ("role_external_id", "file:///etc/shadow"),
    ] {
        let reply = client.write("pki/config/kms", json!({field: value}));
        assert_eq!(reply.status, 400, "{field}: {:?}", reply.errors());
    }
}

#[test]
fn the_built_in_engine_refuses_such_a_key_and_reads_the_rest() {
    let fake = fake();
    let server = Server::bare_dev(Release::Current);
    let mount = TakeOver::mount(&server);
    mount.to_ours(&server);
    let client = server.client();
    connect(&client, "pki", &fake);
    let body =
        json!({"common_name": "Local", "issuer_name": "local", "key_type": "ec", "ttl": "8760h"});
    client.write("pki/root/generate/internal", body).ok();
    root(
        &client,
        "p256",
        "alias/ca-p256",
        &json!({"key_name": "hsm"}),
    )
    .ok();
    let role = json!({"allow_any_name": true, "key_type": "ec", "issuer_ref": "p256"});
    client.write("pki/roles/web", role).ok();
    issue(&client).ok();
    fake.take_operations();

    mount.back(&server);
    let refused = |reply: Reply, words: &str| {
        let said = reply.errors().join(" ");
        assert!(reply.status == 500 && said.contains(words), "{said}");
    };
    refused(
        issue(&client),
        "unable to fetch corresponding key for issuer",
    );
    refused(client.read("pki/key/hsm"), "failed parsing key entry bytes");
    let body = json!({"common_name": "New", "key_type": "ec", "ttl": "8760h"});
    refused(
        client.write("pki/root/generate/internal", body),
        "no data found in PEM block",
    );
    // The issuer whose key is gone keeps the built-in from building any CRL, until it may sign none.
    refused(
        client.read("pki/crl/rotate"),
        "unable to build CRL for issuer",
    );
    let usage = json!({"usage": "read-only,issuing-certificates"});
    client.call("PATCH", "pki/issuer/p256", Some(usage)).ok();
    client.read("pki/crl/rotate").ok();
    // Whatever needs no such key works.
    client.read("pki/issuer/p256").ok();
    assert_eq!(client.list("pki/keys").ok().texts("keys").len(), 2);
    let body = json!({"common_name": "node.example"});
    client.write("pki/issuer/local/issue/web", body).ok();
    assert_eq!(fake.take_operations(), [""; 0]);

    // And back again nothing is lost.
    mount.to_ours(&server);
    issue(&client).ok();
}
