//! How nodes log in: the scripts run, and `landfast enroll` after them.

use super::*;
use crate::node::logins::{REVIEWER, cluster, token};
use crate::support::{Python, Server};

/// A server with landfast at `pki/`, a root CA and the policies.
fn prepare(server: &Server, home: &Path) -> Client {
    let client = server.client();
    server.register(PLUGIN_NAME, "");
    server.mount("pki", PLUGIN_NAME);
    let root = json!({"common_name": "Nodes", "key_type": "ec", "ttl": "8760h"});
    let made = client.write("pki/root/generate/internal", root).ok();
    fs::write(home.join("CA.pem"), made.text("certificate")).expect("a folder of ours");
    run(&mut on(&client, None, &script("policies/apply.sh"), home));
    client
}

/// `landfast` as a node that has no token.
fn landfast(server: &Server, home: &Path, arguments: &[&str]) -> (bool, String) {
    let output = server
        .landfast()
        .env_remove("VAULT_TOKEN")
        .env("HOME", home)
        .current_dir(home)
        .args(arguments)
        .args([
            "--certificate",
            "pair/server.pem",
            "--private-key",
            "pair/server.key",
        ])
        .output()
        .expect("the binary under test runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn by_approle_and_then_by_certificate() {
    let home = tempfile::tempdir().expect("a folder");
    // The same server, with TLS for the login by certificate.
    let site = Site::new(&["bao-1"]);
    let port = crate::support::free_port();
    let stanza = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = {:?}\n  tls_key_file = {:?}\n}}",
        site.text("tls/bao-1.pem"),
        site.text("tls/bao-1.key")
    );
    let server = Server::raft(Release::Current, &stanza);
    let home = home.path();
    let client = prepare(&server, home);
    let approle = script("logins/approle.sh");
    // Twice: a second run changes nothing.
    run(&mut on(
        &client,
        None,
        &format!("{approle}\n{approle}\n{approle} node-1 node-2"),
        home,
    ));
    let by_approle = |command: &str, id: &str, name: &str| {
        let (role, secret) = (format!("{id}.role-id"), format!("{id}.secret-id"));
        let login = [
            "--auth",
            "approle",
            "--role-id-file",
            &role,
            "--secret-id-file",
            &secret,
        ];
        landfast(
            &server,
            home,
            &[&[command, "--node-name", name][..], &login[..]].concat(),
        )
    };
    let (enrolled, said) = by_approle("enroll", "node-1", "node-1");
    assert!(enrolled, "{said}");
    let mode = fs::metadata(home.join("node-1.secret-id")).expect("the script wrote it");
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Another node's name is not to be had by this login.
    let (enrolled, said) = by_approle("renew", "node-2", "node-1");
    assert!(enrolled, "not due: {said}");
    fs::rename(home.join("pair"), home.join("kept")).expect("our own folder");
    let (enrolled, said) = by_approle("enroll", "node-2", "node-1");
    assert!(!enrolled, "{said}");
    let _ = fs::remove_dir_all(home.join("pair"));
    fs::rename(home.join("kept"), home.join("pair")).expect("our own folder");

    // From here on the node needs no other secret than its pair.
    run(&mut on(
        &client,
        None,
        &format!("{} CA.pem", script("logins/cert.sh")),
        home,
    ));
    let address = format!("https://127.0.0.1:{port}");
    let ca = site.text("tls/ca.pem");
    let by_certificate = [
        "renew",
        "--now",
        "--auth",
        "cert",
        "--role",
        "hybrid-node-cert",
        "--address",
        &address,
        "--ca-cert",
        &ca,
    ];
    let before = fs::read_to_string(home.join("pair/server.pem")).expect("the certificate");
    let (renewed, said) = landfast(&server, home, &by_certificate);
    assert!(renewed, "{said}");
    let after = fs::read_to_string(home.join("pair/server.pem")).expect("the certificate");
    assert_ne!(before, after);
    let (renewed, said) = landfast(
        &server,
        home,
        &[&by_certificate[..], &["--node-name", "node-2"]].concat(),
    );
    assert!(!renewed, "{said}");
}

#[test]
fn by_the_account_of_a_pod() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let server = Server::bare_dev(Release::Current);
    let client = prepare(&server, home);
    let (host, asked) = cluster();
    fs::write(home.join("reviewer.jwt"), REVIEWER).expect("a fresh folder");
    let line = format!(
        "KUBERNETES_HOST={host} KUBERNETES_CA=CA.pem REVIEWER=reviewer.jwt {}",
        script("logins/kubernetes.sh")
    );
    run(&mut on(&client, None, &line, home));
    let key = rcgen::KeyPair::generate().expect("a key");
    let account = |name: &str, namespace: &str| {
        let claims = json!({"iss": "https://kubernetes.default.svc", "aud": ["vault"],
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": format!("uid-{name}")}}});
        let jwt = token(&key, claims);
        fs::write(home.join("jwt"), &jwt).expect("our own folder");
        jwt
    };
    let enroll = |name: &str| {
        let login = [
            "--auth",
            "kubernetes",
            "--auth-role",
            "node",
            "--jwt-file",
            "jwt",
            "--role",
            "hybrid-node-kubernetes",
        ];
        landfast(
            &server,
            home,
            &[&["enroll", "--node-name", name][..], &login[..]].concat(),
        )
    };
    let shown = account("node-1", "nodes");
    let (enrolled, said) = enroll("node-1");
    assert!(enrolled, "{said}");
    assert_eq!(
        asked.recv_timeout(LIMIT).expect("the cluster was asked"),
        shown
    );
    let _ = fs::remove_dir_all(home.join("pair"));
    // Not another account's name, and nobody of another namespace.
    let (enrolled, said) = enroll("node-2");
    assert!(!enrolled, "{said}");
    account("node-1", "default");
    let (enrolled, said) = enroll("node-1");
    assert!(!enrolled, "{said}");
}

/// Vault's AWS method is not to be had here: the calls are recorded, and held against the fields that it has.
///
/// Source: Vault's API documentation, "AWS auth method".
#[test]
fn by_aws_identity_with_the_fields_that_vault_has() {
    const CLIENT: &[&str] = &["iam_server_id_header_value"];
    const ROLE: &[&str] = &[
        "auth_type",
        "bound_iam_principal_arn",
        "resolve_aws_unique_ids",
        "token_policies",
        "token_ttl",
        "token_max_ttl",
    ];
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let bin = home.join("fake");
    fs::create_dir(&bin).expect("a fresh folder");
    let program = "#!/bin/bash\n[[ \"$*\" == *policy* ]] && cat >> \"$HOME/policies\"\nprintf '%s\\n' \"$*\" >> \"$HOME/calls\"\n[[ $* == 'auth list'* ]] && echo '{}'\nexit 0\n";
    fs::write(bin.join("vault"), program).expect("a fresh folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.join("vault"), mode).expect("our own file");
    let line = format!(
        "ACCOUNT=111122223333 {} node-1",
        script("logins/aws-iam.sh")
    );
    run(&mut shell(&line, home, &[&bin]));
    let calls = fs::read_to_string(home.join("calls")).expect("it was called");
    let fields = |path: &str| -> Vec<String> {
        let line = calls
            .lines()
            .find_map(|line| line.strip_prefix(&format!("write {path} ")));
        let line = line.unwrap_or_else(|| panic!("{path} was not written: {calls}"));
        line.split_whitespace()
            .map(|field| field.split('=').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(fields("auth/aws/config/client"), CLIENT);
    for field in fields("auth/aws/role/node-1") {
        assert!(ROLE.contains(&field.as_str()), "{field}");
    }
    assert!(calls.contains("bound_iam_principal_arn=arn:aws:iam::111122223333:role/node-1"));

    // What is of our engine, and the policy, a real server takes.
    let server = Server::bare_dev(Release::Current);
    let client = prepare(&server, home);
    let role = calls
        .lines()
        .find(|line| line.starts_with("write pki/roles/node-1"));
    let role = role.expect("a role for the node");
    run(&mut on(&client, None, &format!("bao {role}"), home));
    let policy = fs::read_to_string(home.join("policies")).expect("it was written");
    client
        .write("sys/policies/acl/node-1", json!({"policy": policy}))
        .ok();
    let made = client
        .write("auth/token/create", json!({"policies": ["node-1"]}))
        .ok();
    let node = client.with_token(made.body["auth"]["client_token"].as_str().expect("a token"));
    let csr = crate::support::Openssl::new().csr("node-1");
    node.write(
        "pki/sign/node-1",
        json!({"csr": csr, "common_name": "node-1"}),
    )
    .ok();
    node.write("pki/sign/hybrid-node", json!({"csr": csr}))
        .refused(403, "");
}

/// What the files of Terraform are made of.
const TERRAFORM: &str = "import sys, json, hcl2
with open(sys.argv[1]) as file:
    print(json.dumps(hcl2.load(file)))";

/// Resources and their fields, of those that the files use.
///
/// Source: documentation of the provider hashicorp/vault 5.11.
const RESOURCES: [(&str, &[&str]); 9] = [
    ("vault_policy", &["name", "policy"]),
    ("vault_auth_backend", &["type", "path"]),
    (
        "vault_generic_endpoint",
        &["path", "data_json", "ignore_absent_fields"],
    ),
    (
        "vault_approle_auth_backend_role",
        &[
            "backend",
            "role_name",
            "token_policies",
            "token_ttl",
            "token_max_ttl",
            "secret_id_num_uses",
        ],
    ),
    (
        "vault_cert_auth_backend_role",
        &[
            "backend",
            "name",
            "certificate",
            "allowed_common_names",
            "token_policies",
            "token_ttl",
            "token_max_ttl",
        ],
    ),
    (
        "vault_kubernetes_auth_backend_config",
        &[
            "backend",
            "kubernetes_host",
            "kubernetes_ca_cert",
            "disable_local_ca_jwt",
        ],
    ),
    (
        "vault_kubernetes_auth_backend_role",
        &[
            "backend",
            "role_name",
            "bound_service_account_names",
            "bound_service_account_namespaces",
            "audience",
            "alias_name_source",
            "token_policies",
            "token_ttl",
            "token_max_ttl",
        ],
    ),
    (
        "vault_aws_auth_backend_client",
        &["backend", "iam_server_id_header_value"],
    ),
    (
        "vault_aws_auth_backend_role",
        &[
            "backend",
            "role",
            "auth_type",
            "bound_iam_principal_arns",
            "resolve_aws_unique_ids",
            "token_policies",
            "token_ttl",
            "token_max_ttl",
        ],
    ),
];

/// A text of a parsed file, which may stand between quotes.
fn bare(text: &str) -> &str {
    text.trim_matches('"')
}

#[test]
fn terraform_says_the_same() {
    for (name, login) in [
        ("approle", "vault_approle_auth_backend_role"),
        ("cert", "vault_cert_auth_backend_role"),
        ("kubernetes", "vault_kubernetes_auth_backend_role"),
        ("aws-iam", "vault_aws_auth_backend_role"),
    ] {
        let file = path(&format!("logins/terraform/{name}/main.tf"));
        let (parsed, said) =
            Python::run("python", &["-c", TERRAFORM, file.to_str().expect("a path")]);
        assert!(parsed, "{name}: {said}");
        let document: Value = serde_json::from_str(&said).expect("JSON");
        let mut found = Vec::new();
        for block in document["resource"].as_array().expect("resources") {
            for (kind, named) in block.as_object().expect("a resource") {
                let kind = bare(kind);
                let known = RESOURCES.iter().find(|(known, _)| *known == kind);
                let (_, fields) =
                    known.unwrap_or_else(|| panic!("{name}: {kind} is not in the table"));
                for body in named.as_object().expect("a name").values() {
                    for field in body.as_object().expect("fields").keys() {
                        let field = bare(field);
                        let own =
                            field.starts_with("__") || ["for_each", "depends_on"].contains(&field);
                        assert!(
                            own || fields.contains(&field),
                            "{name}: {kind} has no field {field}"
                        );
                    }
                }
                found.push(kind.to_owned());
            }
        }
        assert!(found.iter().any(|kind| kind == login), "{name}: {found:?}");
        let text = fs::read_to_string(&file).expect("a file");
        // The script and the file set the same lives and bounds.
        let shell = fs::read_to_string(path(&format!("logins/{name}.sh"))).expect("a script");
        assert!(shell.contains("token_ttl=5m token_max_ttl=30m"), "{name}");
        assert!(
            !text.contains("secret_id_") || text.contains("secret_id_num_uses = 0"),
            "{name}"
        );
        for line in ["token_ttl", "token_max_ttl"] {
            let value = if line == "token_ttl" { "300" } else { "1800" };
            let set = text.lines().any(|text| {
                let mut words = text.split_whitespace();
                words.next() == Some(line) && words.nth(1) == Some(value)
            });
            assert!(set, "{name}: {line}");
        }
    }
}
