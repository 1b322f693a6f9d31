//! The seal, External Keys and CA keys against a stand-in for AWS KMS that others wrote. Ours, which the other tests use, could share our mistakes.
//!
//! Theirs has its own: ministack 1.5.33 ignores `KeyId` at Decrypt, so nothing here shows that a blob opens with its own key only. Ours
//! refuses another key, as AWS does.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::ca_kms::openssl;
use super::host::Host;
use crate::support::{Client, Openssl, PLUGIN_NAME, Release, Server, terminate, until};

const REGION: &str = "eu-central-1";

/// A server of ministack's, which plays AWS KMS.
pub(crate) struct Ministack {
    child: Child,
    pub(crate) url: String,
    _directory: TempDir,
}

impl Ministack {
    pub(crate) fn start() -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/.tools/kms/bin/ministack");
        assert!(
            std::path::Path::new(program).is_file(),
            "no stand-in at {program}: run `make tools` to fetch it"
        );
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let directory = tempfile::tempdir().expect("a temporary folder");
        let log = std::fs::File::create(directory.path().join("log")).expect("a file of ours");
        let child = Command::new(program)
            .current_dir(directory.path())
            .env("HOME", directory.path())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .envs([
                ("SERVICES", "kms,sts"),
                ("SFTP_ENABLED", "0"),
                ("IOT_MTLS_ENABLED", "0"),
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the stand-in starts");
        let started = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            _directory: directory,
        };
        until("the stand-in", Duration::from_secs(60), || {
            started.try_call("ListKeys", &json!({}))
        });
        started
    }

    fn try_call(&self, operation: &str, body: &Value) -> Option<Value> {
        let scope = format!("AKIAEXAMPLE/20260101/{REGION}/kms/aws4_request");
        let output = Command::new("curl")
            .args(["--silent", "--fail", &self.url])
            .args(["--header", &format!("X-Amz-Target: TrentService.{operation}")])
            .args(["--header", "Content-Type: application/x-amz-json-1.1"])
            .args([
                "--header",
                &format!("Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"),
            ])
            .args(["--data", &body.to_string()])
            .output()
            .expect("curl runs");
        let done = output.status.success();
        done.then(|| serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    fn call(&self, operation: &str, body: &Value) -> Value {
        let answer = self.try_call(operation, body);
        answer.unwrap_or_else(|| panic!("{operation} failed"))
    }

    fn key(&self, alias: &str, more: Value) -> String {
        let key = self.call("CreateKey", &more)["KeyMetadata"]["Arn"].clone();
        self.call(
            "CreateAlias",
            &json!({"AliasName": alias, "TargetKeyId": key}),
        );
        key.as_str().expect("an ARN").to_owned()
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}

fn root(client: &Client, key: &str) -> String {
    let body = json!({"common_name": format!("Root {key}"), "external_key_ref": format!("aws:{key}"), "ttl": "8760h"});
    let reply = client.write("pki/issuers/generate/root/kms", body).ok();
    reply.text("certificate")
}

#[test]
fn a_stand_in_of_others_unseals_and_signs() {
    let kms = Ministack::start();
    let key = kms.key("alias/bao-unseal", json!({}));
    let mut host = Host::new();
    let config = format!(
        "{}seal \"awskms\" {{\n  region = \"{REGION}\"\n  kms_key_id = \"alias/bao-unseal\"\n  endpoint = \"{}\"\n  \
         access_key = \"AKIAEXAMPLE\"\n  secret_key = \"secret\"\n}}\n",
        host.plugin(""),
        kms.url
    );
    host.start(Release::Current, &config);
    host.init();
    host.write_secret("elsewhere");

    let client = host.client();
    let access = json!({"plugin": "awskms", "region": REGION, "endpoint": kms.url, "access_key": "AKIAEXAMPLE", "secret_key": "x"});
    client.write("sys/external-keys/configs/aws", access).ok();
    client
        .write(
            "sys/mounts/pki",
            json!({"type": "pki", "config": {"max_lease_ttl": "87600h"}}),
        )
        .ok();
    let openssl = Openssl::new();
    for (name, spec) in [
        ("p256", "ECC_NIST_P256"),
        ("p384", "ECC_NIST_P384"),
        ("rsa", "RSA_2048"),
    ] {
        kms.key(
            &format!("alias/{name}"),
            json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"}),
        );
        let path = format!("sys/external-keys/configs/aws/keys/{name}");
        client
            .write(&path, json!({"name": format!("alias/{name}")}))
            .ok();
        client.write(&format!("{path}/grants/pki"), json!({})).ok();
        let file = openssl.file(&format!("{name}.pem"), root(&client, name));
        let output = Command::new("openssl")
            .args(["verify", "-x509_strict", "-check_ss_sig", "-CAfile"])
            .arg(&file)
            .arg(&file)
            .output()
            .expect("openssl runs");
        assert!(output.status.success(), "{name}: {output:?}");
    }
    host.stop();

    kms.call("DisableKey", &json!({"KeyId": key}));
    host.start(Release::Current, &config);
    until("the reason in the log", Duration::from_secs(30), || {
        host.log().contains("DisabledException").then_some(())
    });
    kms.call("EnableKey", &json!({"KeyId": key}));
    host.await_active();
    assert_eq!(host.secret(), "elsewhere");
    assert!(
        !host.log().contains("upgrading stored keys"),
        "the key's ARN is the same"
    );
}

#[test]
fn our_engine_signs_with_keys_of_a_stand_in_of_others() {
    let kms = Ministack::start();
    let mut server = Server::raft(Release::Current, "");
    server.register(PLUGIN_NAME, "");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let access = json!({"region": REGION, "endpoint": kms.url, "access_key": "AKIAEXAMPLE", "secret_key": "x"});
    client.write("pki/config/kms", access).ok();
    let files = Openssl::new();
    let file = |name: &str, text: &[u8]| {
        let path = files.file(name, text);
        path.to_str().expect("a path of ours").to_owned()
    };
    for (name, spec, pss) in [
        ("p256", "ECC_NIST_P256", false),
        ("p384", "ECC_NIST_P384", false),
        ("rsa", "RSA_2048", false),
        ("pss", "RSA_2048", true),
    ] {
        let alias = format!("alias/{name}");
        let key = kms.key(&alias, json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"}));
        let body = json!({"common_name": format!("Root {name}"), "issuer_name": name, "kms_key_id": alias, "use_pss": pss, "ttl": "8760h"});
        let made = client.write("pki/issuers/generate/root/kms", body).ok();
        let kept = client
            .read(&format!("pki/key/{}", made.text("key_id")))
            .ok();
        assert_eq!(kept.text("kms_key_id"), key);
        let role = json!({"allow_any_name": true, "ttl": "1h", "key_type": "ec", "issuer_ref": name, "use_pss": pss});
        client.write("pki/roles/web", role).ok();
        let body = json!({"common_name": "node.example"});
        let leaf = client.write("pki/issue/web", body).ok();
        let crl = client.read(&format!("pki/issuer/{name}/crl/pem")).bytes;
        let root = file("root.pem", made.text("certificate").as_bytes());
        let leaf = file("leaf.pem", leaf.text("certificate").as_bytes());
        let crl = file("crl.pem", &crl);
        openssl(&[
            "verify",
            "-x509_strict",
            "-check_ss_sig",
            "-CAfile",
            &root,
            &root,
        ]);
        openssl(&["verify", "-x509_strict", "-CAfile", &root, &leaf]);
        openssl(&["crl", "-noout", "-CAfile", &root, "-in", &crl]);
    }

    // The role's issuer is the last one: its key is switched off and on.
    let key = kms.call("DescribeKey", &json!({"KeyId": "alias/pss"}))["KeyMetadata"]["Arn"].clone();
    let issue = |server: &Server| {
        let body = json!({"common_name": "node.example"});
        server.client().write("pki/issue/web", body)
    };
    kms.call("DisableKey", &json!({"KeyId": key}));
    let refused = issue(&server);
    let said = refused.errors().join(" ");
    assert!(
        refused.status == 500 && said.contains("DisabledException"),
        "{said}"
    );
    kms.call("EnableKey", &json!({"KeyId": key}));
    issue(&server).ok();
    server.restart();
    until(
        "a certificate after the restart",
        Duration::from_secs(20),
        || (issue(&server).status == 200).then_some(()),
    );
}
