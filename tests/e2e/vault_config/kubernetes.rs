//! The manifests of `kubernetes/`: held against schemas by `kubernetes.py`, and what they make clients and servers do, done here.
//!
//! There is no cluster: unseal-server.yaml and sidecar.yaml are run as processes with what stands in them; cert-manager.yaml,
//! secret-provider-class.yaml and vault-secrets-operator.yaml are turned into the requests of their clients.

use std::process::Output;

use super::*;
use crate::support::Server;

/// What the manifests say, after they were held against the schemas.
fn checked(folder: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".tools/kubernetes/bin/python");
    Command::new(&python)
        .arg(root.join("tests/e2e/vault_config/kubernetes.py"))
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/tools.sh", python.display()))
}

fn manifests() -> Value {
    let output = checked(&path("kubernetes"));
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A manifest that is wrong in one place is refused: the test of the test.
#[test]
fn a_wrong_manifest_is_refused() {
    for (file, right, wrong, told) in [
        (
            "unseal-server.yaml",
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            "may be root",
        ),
        (
            "unseal-server.yaml",
            "drop: [ALL]",
            "drop: [NET_RAW]",
            "capabilities",
        ),
        (
            "unseal-server.yaml",
            "replicas: 2",
            "replicaz: 2",
            "replicaz",
        ),
        ("sidecar.yaml", "memory: 64Mi", "storage: 64Mi", "no "),
        (
            "cert-manager.yaml",
            "    path: pki/sign/workload\n",
            "",
            "path is missing",
        ),
        (
            "cert-manager.yaml",
            "serviceAccountRef:",
            "serviceAccount:",
            "no such field",
        ),
        (
            "secret-provider-class.yaml",
            "secretKey: private_key",
            "secretKeys: private_key",
            "no such field",
        ),
        (
            "vault-secrets-operator.yaml",
            "privateKeyFormat: pkcs8",
            "privateKeyFormat: pkcs1",
            "none of",
        ),
    ] {
        let dir = directory();
        for entry in fs::read_dir(path("kubernetes")).expect("the folder") {
            let from = entry.expect("an entry").path();
            let Some(name) = from.file_name().filter(|_| from.is_file()) else {
                continue;
            };
            let mut text = fs::read_to_string(&from).expect("text");
            if name == file {
                text = put(&text, &[(right, wrong)]);
            }
            fs::write(dir.path().join(name), text).expect("a fresh folder");
        }
        let output = checked(dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(told),
            "{file}: {wrong}: {said}"
        );
    }
}

/// A token with the policy of a file: cert-manager.hcl or issue.hcl.
fn client(server: &Server, policy: &str) -> Client {
    let text = fs::read_to_string(path("kubernetes/policies").join(format!("{policy}.hcl")));
    let body = json!({"policy": text.expect("the policy")});
    server
        .client()
        .write(&format!("sys/policies/acl/{policy}"), body)
        .ok();
    let body = json!({"policies": [policy], "no_default_policy": true});
    let token = server.client().write("auth/token/create", body).ok();
    let token = token.body["auth"]["client_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    Client::new(server.client().address(), &token)
}

#[test]
fn the_three_clients_get_their_certificates_and_nothing_else() {
    let said = manifests();
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let root = json!({"common_name": "Workloads", "key_type": "ec", "ttl": "8760h"});
    server
        .client()
        .write("pki/root/generate/internal", root)
        .ok();
    let role = json!({"allowed_domains": "apps.example.com", "allow_subdomains": true, "key_type": "ec", "max_ttl": "72h"});
    server
        .client()
        .write("pki/roles/workload", role.clone())
        .ok();
    server.client().write("pki/roles/other", role).ok();

    // cert-manager has a request signed; its names and its life are those of the Certificate.
    let (manager, issue) = (client(&server, "cert-manager"), client(&server, "issue"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (sign, name) = (
        text(&said["sign"]["path"]),
        text(&said["sign"]["common_name"]),
    );
    let openssl = Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "/dev/null",
        ])
        .args(["-subj", &format!("/CN={name}")])
        .output()
        .expect("openssl runs");
    let csr = String::from_utf8(openssl.stdout).expect("PEM");
    let body = json!({"csr": csr, "common_name": name, "alt_names": name, "ttl": said["sign"]["ttl"], "exclude_cn_from_sans": "true"});
    let signed = manager.write(&sign, body.clone()).ok();
    assert!(
        signed
            .text("certificate")
            .starts_with("-----BEGIN CERTIFICATE")
    );

    // The provider takes three fields of one answer, the operator asks for PKCS#8.
    let (csi, operator) = (&said["csi"], &said["operator"]);
    let issued = issue.write(&text(&csi["path"]), csi["body"].clone()).ok();
    for key in csi["keys"].as_array().expect("a list") {
        assert!(issued.text(&text(key)).starts_with("-----BEGIN "), "{key}");
    }
    let issued = issue
        .write(&text(&operator["path"]), operator["body"].clone())
        .ok();
    assert!(
        issued
            .text("private_key")
            .starts_with("-----BEGIN PRIVATE KEY")
    );

    for (client, path) in [
        (&manager, "pki/issue/workload"),
        (&manager, "pki/sign/other"),
        (&manager, "pki/sign-verbatim"),
        (&manager, "pki/revoke"),
        (&issue, "pki/sign/workload"),
        (&issue, "pki/issue/other"),
        (&issue, "pki/revoke"),
        (&issue, "pki/roles/workload"),
    ] {
        assert_eq!(client.write(path, body.clone()).status, 403, "{path}");
    }
}

#[test]
fn the_unseal_server_and_the_sidecar_start_with_what_the_manifests_say() {
    let said = manifests();
    let dir = directory();
    let data = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("node/tests/data/pki")
            .join(name)
    };
    for (name, file) in [
        ("tls.crt", "rsa-leaf.crt"),
        ("tls.key", "rsa-leaf.key"),
        ("ca.crt", "rsa-int.crt"),
    ] {
        fs::copy(data(file), dir.path().join(name)).expect("a fresh folder");
    }
    let here = format!("{}/", dir.path().display());
    let moved = |text: &str| {
        [
            "/etc/landfast/tls/",
            "/etc/landfast/clients/",
            "/etc/landfast/pair/",
            "/var/run/secrets/aws/",
            "/run/landfast/",
        ]
        .iter()
        .fold(text.to_owned(), |text, place| text.replace(place, &here))
    };
    let ports = [
        crate::support::free_port(),
        crate::support::free_port(),
        crate::support::free_port(),
    ];
    let config = moved(&said["unseal"].to_string())
        .replace("[::]:8300", &format!("127.0.0.1:{}", ports[0]))
        .replace("[::]:8301", &format!("127.0.0.1:{}", ports[1]));
    let file = dir.path().join("unseal.json");
    fs::write(&file, config).expect("a fresh folder");
    let landfast = || Command::new(env!("CARGO_BIN_EXE_landfast"));
    let health = |url: &str| {
        let output = Command::new("curl")
            .args([
                "-s",
                "--noproxy",
                "*",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                url,
            ])
            .output();
        String::from_utf8(output.expect("curl runs").stdout).expect("a number")
    };
    let mut server = landfast()
        .args(["unseal", "serve", "--config"])
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    until("the unseal server is healthy", LIMIT, || {
        (health(&format!("http://127.0.0.1:{}/health", ports[1])) == "200").then_some(())
    });
    terminate(&mut server);

    // The path of the probes is the one above.
    let manifest = fs::read_to_string(path("kubernetes/unseal-server.yaml")).expect("the manifest");
    assert_eq!(manifest.matches("path: /health\n").count(), 3);
    let arguments = said["serve"].as_array().expect("arguments");
    let arguments = arguments
        .iter()
        .map(|one| moved(one.as_str().expect("a text")));
    let mut sidecar = landfast()
        .args(arguments)
        .args([
            "--port",
            &ports[2].to_string(),
            "--endpoint",
            "http://127.0.0.1:9",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // It asks for the token, and has no session: nobody plays AWS here.
    let url = format!("http://127.0.0.1:{}/credentials", ports[2]);
    until("the sidecar answers", LIMIT, || {
        (health(&url) == "401").then_some(())
    });
    terminate(&mut sidecar);
    assert!(dir.path().join("token").is_file());
}
