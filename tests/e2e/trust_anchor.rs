//! The CA as a trust anchor: from the command line, and as AWS's own tools
//! read it.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Openssl, PLUGIN_NAME, Python, Server};

/// Forms whose content is the PEM as JSON text, and where it stands.
const JSON_FORMS: [(&str, &str); 3] = [
    ("cli", "/source/sourceData/x509CertificateData"),
    (
        "terraform_json",
        "/resource/aws_rolesanywhere_trust_anchor/hybrid/source/0/source_data/0/x509_certificate_data",
    ),
    ("eks_parameters", "/Parameters/CABundleCert"),
];

fn server_with(mount: &str, kind: &str, key: &str) -> (Server, String) {
    let server = Server::dev();
    server.mount(mount, kind);
    let root = server
        .client()
        .write(
            &format!("{mount}/root/generate/internal"),
            json!({"common_name": "Hybrid nodes CA", "key_type": key, "ttl": "17520h"}),
        )
        .ok()
        .text("certificate");
    (server, root)
}

fn exported(server: &Server, arguments: &[&str]) -> Output {
    server
        .landfast()
        .env_remove("VAULT_TOKEN")
        .arg("trust-anchor")
        .args(arguments)
        .output()
        .expect("the binary under test runs")
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("the output is text")
}

fn refused(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(
        output.stdout.is_empty(),
        "nothing to feed to AWS by mistake"
    );
}

#[test]
fn every_form_carries_the_ca_of_the_mount() {
    let (server, root) = server_with("pki", PLUGIN_NAME, "ec");
    let root = root.trim();
    assert_eq!(text(&exported(&server, &[])).trim(), root);
    let line = text(&exported(&server, &["--format", "pem_line"]));
    assert_eq!(line.trim().replace("\\n", "\n").trim(), root);
    let body = text(&exported(&server, &["--format", "pem_body"]));
    let bare: String = root.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(body.trim(), bare);
    for (form, pointer) in JSON_FORMS {
        let document: Value =
            serde_json::from_str(&text(&exported(&server, &["--format", form]))).expect("JSON");
        let pem = document
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{form} has nothing at {pointer}: {document:#}"));
        assert_eq!(pem.trim(), root, "{form}");
    }
    let last = bare
        .get(bare.len() - 20..)
        .expect("a certificate is longer");
    for form in ["cloudformation", "terraform"] {
        let written = text(&exported(&server, &["--format", form]));
        let joined: String = written.split_whitespace().collect();
        assert!(joined.contains(last), "{form}: {written}");
    }
}

#[test]
fn the_template_passes_cfn_lint() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ec");
    let file = server.dir().join("anchor.yaml");
    let file = file.to_str().expect("a temporary path is text");
    text(&exported(
        &server,
        &[
            "--format",
            "cloudformation",
            "--name",
            "hybrid-nodes",
            "--output",
            file,
        ],
    ));
    let (content, said) = Python::run("cfn-lint", &["--regions", "eu-central-1", "--", file]);
    assert!(content, "{said}");
    assert!(said.trim().is_empty(), "{said}");

    let broken = fs::read_to_string(file)
        .expect("the template was written")
        .replace("SourceType", "SorceType");
    fs::write(file, broken).expect("our own file");
    let (content, _) = Python::run("cfn-lint", &["--regions", "eu-central-1", "--", file]);
    assert!(!content, "cfn-lint does not look at the resource");
}

/// Whether botocore's model of an operation takes a document.
fn fits(operation: &str, document: &str, server: &Server) -> (bool, String) {
    let file = server.dir().join("input.json");
    fs::write(&file, document).expect("a file in a fresh folder");
    let check = "import sys, json, botocore.session, botocore.validate\n\
        model = botocore.session.get_session().get_service_model('rolesanywhere')\n\
        shape = model.operation_model(sys.argv[1]).input_shape\n\
        given = json.load(open(sys.argv[2]))\n\
        unknown = set(given) - set(shape.members)\n\
        report = botocore.validate.ParamValidator().validate(given, shape).generate_report()\n\
        sys.exit(report or (f'unknown: {unknown}' if unknown else 0))";
    let file = file.to_str().expect("a temporary path is text");
    Python::run("python", &["-c", check, operation, file])
}

#[test]
fn the_command_line_forms_fit_the_models_of_aws() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "rsa");
    let create = text(&exported(
        &server,
        &["--format", "cli", "--name", "hybrid-nodes"],
    ));
    let (fit, said) = fits("CreateTrustAnchor", &create, &server);
    assert!(fit, "{said}");
    let id = "11111111-2222-4333-8444-555555555555";
    let update = text(&exported(
        &server,
        &["--format", "cli", "--trust-anchor-id", id],
    ));
    let (fit, said) = fits("UpdateTrustAnchor", &update, &server);
    assert!(fit, "{said}");
    let (fit, _) = fits("UpdateTrustAnchor", &create, &server);
    assert!(!fit, "an update needs an id");
}

#[test]
fn a_mount_of_the_built_in_engine_is_exported_as_well() {
    let (server, root) = server_with("builtin", "pki", "ec");
    let pem = text(&exported(&server, &["--mount", "builtin"]));
    assert_eq!(pem.trim(), root.trim());
}

#[test]
fn an_intermediate_brings_its_root_only_when_asked() {
    let (server, root) = server_with("root", PLUGIN_NAME, "ec");
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let csr = client
        .write(
            "pki/intermediate/generate/internal",
            json!({"common_name": "Nodes", "key_type": "ec"}),
        )
        .ok()
        .text("csr");
    let signed = client
        .write(
            "root/root/sign-intermediate",
            json!({"csr": csr, "common_name": "Nodes", "ttl": "8800h"}),
        )
        .ok()
        .text("certificate");
    client
        .write(
            "pki/intermediate/set-signed",
            json!({"certificate": format!("{signed}\n{root}")}),
        )
        .ok();
    let export = |anchor: &str| {
        text(&exported(
            &server,
            &["--issuer", "default", "--anchor", anchor],
        ))
    };
    client
        .write(
            "pki/config/issuers",
            json!({"default": issuer_of(&server, "pki", &signed)}),
        )
        .ok();
    assert_eq!(export("issuing").trim(), signed.trim());
    assert_eq!(export("root").trim(), root.trim());
    assert_eq!(
        export("both").trim(),
        format!("{}\n{}", signed.trim(), root.trim())
    );
}

#[test]
fn the_engine_answers_what_the_command_prints() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ec");
    let nobody = server.client().with_token("");
    for form in [
        "pem",
        "pem_line",
        "pem_body",
        "cli",
        "cloudformation",
        "terraform",
        "terraform_json",
        "eks_parameters",
    ] {
        let printed = text(&exported(
            &server,
            &["--format", form, "--name", "nodes", "--leaf-days", "3"],
        ));
        let query = format!("format={form}&name=nodes&leaf_days=3");
        let raw = nobody.read(&format!("pki/trust-anchor/raw?{query}")).ok();
        assert_eq!(String::from_utf8_lossy(&raw.bytes), printed, "{form}");
        let framed = nobody
            .read(&format!("pki/issuer/default/trust-anchor?{query}"))
            .ok();
        assert_eq!(framed.text("trust_anchor").trim(), printed.trim(), "{form}");
    }
    nobody
        .read("pki/trust-anchor?format=zz")
        .refused(400, "format");
    nobody
        .read("pki/trust-anchor?anchor=zz")
        .refused(400, "anchor");
}

#[test]
fn the_engine_refuses_what_aws_would_refuse_and_warns() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ed25519");
    let client = server.client();
    client.read("pki/trust-anchor").refused(400, "CA-06");
    client
        .write(
            "pki/root/rotate/internal",
            json!({"common_name": "Short", "key_type": "ec", "issuer_name": "short", "ttl": "720h"}),
        )
        .ok();
    let short = client.read("pki/issuer/short/trust-anchor").ok();
    assert!(
        short.warnings().join(" ").contains("CA-07"),
        "{:?}",
        short.warnings()
    );
    client
        .read("pki/issuer/nobody/trust-anchor")
        .refused(500, "unable to find PKI issuer");
}

/// A root whose ttl was cut by the mount: command and engine say when it ends, and what to do for the next one.
#[test]
fn a_root_that_the_mount_cut_short_is_told_with_its_end() {
    let server = Server::dev();
    server.mount("short", PLUGIN_NAME);
    let client = server.client();
    client
        .write("sys/mounts/short/tune", json!({"max_lease_ttl": "768h"}))
        .ok();
    let root = json!({"common_name": "Short", "key_type": "ec", "ttl": "87600h"});
    let made = client.write("short/root/generate/internal", root).ok();
    assert!(
        !made.warnings().is_empty(),
        "the cut is told: {}",
        made.body
    );
    let output = exported(&server, &["--mount", "short"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = client.read("short/trust-anchor").ok();
    for told in [said, answer.warnings().join("\n")] {
        for part in [
            "CA-07: ",
            "Short: ends in 3",
            " days; ",
            "raise the mount's max-lease-ttl",
            "give ttl",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("without ttl"), "{told}");
    }
}

#[test]
fn an_old_and_a_new_ca_go_together() {
    let (server, old) = server_with("pki", PLUGIN_NAME, "ec");
    let client = server.client();
    let ids = client.list("pki/issuers").ok().texts("keys");
    let new = client
        .write(
            "pki/root/rotate/internal",
            json!({"common_name": "New", "key_type": "ec", "issuer_name": "new", "ttl": "17520h"}),
        )
        .ok()
        .text("certificate");
    let both = text(&exported(&server, &["--issuer", "new", "--also", &ids[0]]));
    assert_eq!(both.trim(), format!("{}\n{}", new.trim(), old.trim()));
}

fn issuer_of(server: &Server, mount: &str, certificate: &str) -> String {
    let client = server.client();
    let ids = client.list(&format!("{mount}/issuers")).ok().texts("keys");
    ids.into_iter()
        .find(|id| {
            let issuer = client.read(&format!("{mount}/issuer/{id}")).ok();
            issuer.text("certificate").trim() == certificate.trim()
        })
        .expect("the certificate is an issuer of the mount")
}

#[test]
fn what_aws_would_refuse_is_refused_first() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ed25519");
    refused(&exported(&server, &["--format", "cli"]), 4, "CA-06");
    let openssl = Openssl::new();
    let (leaf, _) = openssl.leaf("leaf.example.com");
    let file = openssl.file("leaf-only.pem", leaf);
    let file = file.to_str().expect("a temporary path is text");
    refused(&exported(&server, &["--pem", file]), 4, "CA-02");
    refused(&exported(&server, &["--issuer", "nobody"]), 1, "nobody");
    refused(&exported(&server, &["--mount", "nowhere"]), 1, "nowhere");
    refused(
        &exported(&server, &["--address", "http://127.0.0.1:1"]),
        3,
        "127.0.0.1:1",
    );
    refused(
        &exported(&server, &["--address", "vault.example"]),
        2,
        "URL",
    );
    refused(
        &exported(&server, &["--pem", "/nonexistent/ca.pem"]),
        1,
        "ca.pem",
    );
    refused(&exported(&server, &["--format", "yaml"]), 2, "yaml");
}

#[test]
fn a_ca_whose_name_no_session_can_carry_is_warned_of() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ec");
    let root = json!({"common_name": "nodes (2031)", "issuer_name": "odd", "key_type": "ec", "ttl": "87600h"});
    let client = server.client();
    client.write("pki/root/generate/internal", root).ok();
    let told = client.read("pki/issuer/odd/trust-anchor").ok().warnings();
    let told: Vec<_> = told
        .iter()
        .filter(|text| text.starts_with("EE-09: "))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("x509Issuer/CN"), "{told:?}");
    assert!(client.read("pki/trust-anchor").ok().warnings().is_empty());

    // The command says the same, from the same rule.
    let output = exported(&server, &["--issuer", "odd"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains(told[0].as_str()));
    let output = exported(&server, &["--issuer", "odd", "--json"]);
    assert!(text(&output).contains("\"EE-09\""));
}

#[test]
fn a_file_works_without_a_server_and_loses_its_key() {
    let (server, _) = server_with("pki", PLUGIN_NAME, "ec");
    let openssl = Openssl::new();
    let (certificate, key) = openssl.authority("From a file");
    let file = openssl.file(
        "bundle.pem",
        format!("text before\r\n{key}{certificate}{certificate}"),
    );
    let file = file.to_str().expect("a temporary path is text");
    let output = exported(&server, &["--pem", file, "--json"]);
    let document: Value = serde_json::from_str(&text(&output)).expect("--json prints JSON");
    let pem = document["document"].as_str().expect("a document");
    assert_eq!(pem.trim(), certificate.trim());
    assert_eq!(
        document["certificates"][0]["subject"],
        json!("CN=From a file")
    );
    let warnings = document["warnings"].to_string();
    assert!(
        warnings.contains("private key") && warnings.contains("twice"),
        "{warnings}"
    );
    assert!(!document.to_string().contains("PRIVATE KEY"));
}
