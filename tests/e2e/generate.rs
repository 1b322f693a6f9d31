//! The documents of `landfast generate`, as AWS's own tools read them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::Python;

fn generate(dir: &Path, description: &Value, arguments: &[&str]) -> Output {
    fs::write(dir.join("hybrid.json"), description.to_string()).expect("a fresh folder");
    Command::new(env!("CARGO_BIN_EXE_landfast"))
        .current_dir(dir)
        .args(["generate", "hybrid.json", "--output-dir", "out"])
        .args(arguments)
        .output()
        .expect("the binary under test runs")
}

fn description() -> Value {
    json!({
        "cluster": "prod", "region": "us-west-2", "account": "111122223333", "nodes": "node-*.example",
        "trust_anchor": "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555",
        "profile_arn": "arn:aws:rolesanywhere:us-west-2:111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa",
        "seal": "vault-*", "session_seconds": 43200,
    })
}

/// Validates each request by the model that the file's name tells, and says
/// which fields the model does not know.
const MODELS: &str = "import sys, json, pathlib, botocore.session, botocore.validate
session = botocore.session.get_session()
files = sorted(pathlib.Path(sys.argv[1]).glob('*.json'))
for file in files:
    _, service, *words = file.stem.split('-')
    operation = ''.join(word.capitalize() for word in words)
    shape = session.get_service_model(service).operation_model(operation).input_shape
    given = json.loads(file.read_text())
    report = botocore.validate.ParamValidator().validate(given, shape).generate_report()
    unknown = set(given) - set(shape.members)
    enums = [k for k, v in given.items() if k in shape.members
             and getattr(shape.members[k], 'enum', None) and v not in shape.members[k].enum]
    if report or unknown or enums:
        sys.exit(f'{file.name}: {report} unknown {unknown} not in the enumeration {enums}')
print(len(files), 'requests fit')";

#[test]
fn awss_tools_take_the_documents() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = generate(dir.path(), &description(), &["--node", "node-1.example"]);
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(written.lines().count(), 9, "{written}");

    let requests = dir.path().join("out/aws");
    let requests = requests.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", MODELS, requests]);
    assert!(content, "{said}");
    assert!(said.contains("6 requests fit"), "{said}");

    let template = dir.path().join("out/cloudformation.json");
    let file = template.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("cfn-lint", &["--regions", "us-west-2", "--", file]);
    assert!(content, "{said}");
    assert!(said.trim().is_empty(), "{said}");

    let config = "import sys, yaml
config = yaml.safe_load(open(sys.argv[1]))
anywhere = config['spec']['hybrid']['iamRolesAnywhere']
print(config['kind'], config['spec']['cluster']['name'], anywhere['nodeName'], sorted(anywhere))";
    let file = dir.path().join("out/nodeconfig-node-1.example.yaml");
    let file = file.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", config, file]);
    assert!(content, "{said}");
    assert!(
        said.starts_with(
            "NodeConfig prod node-1.example ['certificatePath', 'nodeName', 'privateKeyPath', \
             'profileArn', 'roleArn', 'trustAnchorArn']"
        ),
        "{said}"
    );
}

/// Proof that the tools look: a field with a wrong name has a finding.
#[test]
fn a_broken_document_is_not_taken() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    assert!(generate(dir.path(), &description(), &[]).status.success());
    let out = dir.path().join("out");
    let spoil = |name: &str, from: &str| {
        let path = out.join(name);
        let text = fs::read_to_string(&path).expect("it was written");
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, "Wrong")).expect("our own file");
        path.to_str().expect("a temporary path is text").to_owned()
    };
    let template = spoil("cloudformation.json", "AcceptRoleSessionName");
    let (content, _) = Python::run("cfn-lint", &["--regions", "us-west-2", "--", &template]);
    assert!(!content, "cfn-lint does not look at the profile");
    spoil("aws/1-iam-create-role.json", "MaxSessionDuration");
    let requests = out.join("aws");
    let requests = requests.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", MODELS, requests]);
    assert!(!content && said.contains("1-iam-create-role"), "{said}");
}

#[test]
fn a_wrong_description_writes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = description();
    wrong["account"] = json!("1111");
    for (description, arguments) in [
        (&wrong, &[][..]),
        (&description(), &["--node", "stranger.example"]),
    ] {
        let output = generate(dir.path(), description, arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!dir.path().join("out").exists());
    }
}

/// The generated role and profile are what `doctor` wants to see.
#[test]
fn doctor_has_nothing_against_what_generate_writes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    assert!(generate(dir.path(), &description(), &[]).status.success());
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .current_dir(dir.path())
        .args([
            "doctor",
            "--profile",
            "out/aws/4-rolesanywhere-create-profile.json",
        ])
        .args(["--role", "out/aws/1-iam-create-role.json", "--json"])
        .output()
        .expect("the binary under test runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    assert!(output.status.success(), "{report}");
    assert_eq!(report["findings"], json!([]));
}
