//! The documents of `landfast generate`, as AWS's own tools read them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Openssl, PLUGIN_NAME, Python, Server};

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
    model = session.get_service_model(service)
    operation = next(name for name in model.operation_names if name.lower() == ''.join(words))
    shape = model.operation_model(operation).input_shape
    given = json.loads(file.read_text())
    report = botocore.validate.ParamValidator().validate(given, shape).generate_report()
    unknown = set(given) - set(shape.members)
    enums = [k for k, v in given.items() if k in shape.members
             and getattr(shape.members[k], 'enum', None) and v not in shape.members[k].enum]
    if report or unknown or enums:
        sys.exit(f'{file.name}: {report} unknown {unknown} not in the enumeration {enums}')
print(len(files), 'requests fit')";

/// The fields of `NodeConfig` that nodeadm knows for hybrid nodes, and which of
/// them it wants.
///
/// Source: eks-hybrid, api/v1alpha1.
const NODE_CONFIG: &str = "import sys, yaml
anywhere = {'nodeName!', 'trustAnchorArn!', 'profileArn!', 'roleArn!', 'certificatePath', 'privateKeyPath', 'awsConfigPath'}
schema = {'apiVersion!': str, 'kind!': str, 'metadata': dict, 'spec!': {
    'cluster!': {'name!': str, 'region!': str, 'apiServerEndpoint': str, 'certificateAuthority': str, 'cidr': str, 'enableOutpost': bool, 'id': str},
    'containerd': {'config': str}, 'kubelet': {'config': dict, 'flags': list},
    'hybrid!': {'enableCredentialsFile': bool, 'iamRolesAnywhere!': dict.fromkeys(anywhere, str)}}}
def check(value, shape, path):
    if not isinstance(shape, dict):
        assert isinstance(value, shape) and value != '', path
        return
    known = {key.rstrip('!'): inner for key, inner in shape.items()}
    assert set(value) <= set(known), (path, set(value) - set(known))
    missing = {key[:-1] for key in shape if key.endswith('!')} - set(value)
    assert not missing, (path, missing)
    for key, inner in value.items():
        check(inner, known[key], path + '.' + key)
config = yaml.safe_load(open(sys.argv[1]))
check(config, schema, '')
assert config['apiVersion'] == 'node.eks.aws/v1alpha1'
print(config['kind'], config['spec']['cluster']['name'], config['spec']['hybrid']['iamRolesAnywhere']['nodeName'], 'fits')";

#[test]
fn awss_tools_take_the_documents() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = generate(dir.path(), &description(), &["--node", "node-1.example"]);
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(written.lines().count(), 11, "{written}");

    let requests = dir.path().join("out/aws");
    let requests = requests.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", MODELS, requests]);
    assert!(content, "{said}");
    assert!(said.contains("8 requests fit"), "{said}");

    let template = dir.path().join("out/cloudformation.json");
    let file = template.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("cfn-lint", &["--regions", "us-west-2", "--", file]);
    assert!(content, "{said}");
    assert!(said.trim().is_empty(), "{said}");

    let file = dir.path().join("out/nodeconfig-node-1.example.yaml");
    let file = file.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", NODE_CONFIG, file]);
    assert!(content, "{said}");
    assert_eq!(said.trim(), "NodeConfig prod node-1.example fits");

    let text = fs::read_to_string(file).expect("it was written");
    fs::write(file, text.replace("roleArn", "roleARN")).expect("our own file");
    let (content, _) = Python::run("python", &["-c", NODE_CONFIG, file]);
    assert!(!content, "proof that the schema looks");
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

/// The generated roles and profiles, of nodes and of servers, are what `doctor` wants to see.
#[test]
fn doctor_has_nothing_against_what_generate_writes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    assert!(generate(dir.path(), &description(), &[]).status.success());
    for (profile, role) in [
        ("4-rolesanywhere-create-profile", "1-iam-create-role"),
        ("7-rolesanywhere-create-profile", "6-iam-create-role"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
            .current_dir(dir.path())
            .args(["doctor", "--profile", &format!("out/aws/{profile}.json")])
            .args(["--role", &format!("out/aws/{role}.json"), "--json"])
            .output()
            .expect("the binary under test runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
        assert!(output.status.success(), "{report}");
        assert_eq!(report["findings"], json!([]));
    }
}

/// A reader that has seen enough, such as `head`, is no failure; a full disk is
/// one, in plain words.
#[test]
fn standard_output_may_be_closed_or_full() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("hybrid.json"), description().to_string()).expect("a fresh folder");
    let generate = &["generate", "hybrid.json", "--output-dir", "out"][..];
    let profile = "out/aws/4-rolesanywhere-create-profile.json";
    let doctor = &["doctor", "--json", "--profile", profile][..];
    let ca = format!(
        "{}/node/tests/data/pki/rsa-int.crt",
        env!("CARGO_MANIFEST_DIR")
    );
    let lab = &["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &ca][..];
    let run = |arguments: &[&str], stdout: Stdio| {
        Command::new(env!("CARGO_BIN_EXE_landfast"))
            .current_dir(dir.path())
            .args(arguments)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .output()
            .expect("the binary under test runs")
    };
    for arguments in [generate, doctor] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = run(arguments, writer.into());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
    let last = dir.path().join("out/main.tf.json");
    assert!(last.exists(), "what nobody reads is written all the same");
    for arguments in [generate, doctor, lab] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let output = run(arguments, full.expect("Linux has it").into());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("standard output: No space left"), "{said}");
    }
}

/// What stands between `${` and `}` in Terraform's JSON is read by an HCL
/// parser, like a whole file in HCL.
const HCL: &str = "import sys, json, hcl2
def walk(value):
    if isinstance(value, dict):
        return sum(walk(one) for one in value.values())
    if isinstance(value, list):
        return sum(walk(one) for one in value)
    if isinstance(value, str) and '${' in value:
        hcl2.loads('x = ' + json.dumps(value) + '\\n')
        return 1
    return 0
for name in sys.argv[1:]:
    text = open(name).read()
    if name.endswith('.json'):
        parsed = json.loads(text)
        assert set(parsed) <= {'resource', 'output', 'terraform'}, parsed
        print(name, walk(parsed), 'templates')
    else:
        print(name, sorted(hcl2.loads(text)))";

#[test]
fn an_hcl_parser_reads_the_terraform_files() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    assert!(generate(dir.path(), &description(), &[]).status.success());
    let main = dir.path().join("out/main.tf.json");
    let main = main.to_str().expect("a temporary path is text");
    let anchor = dir.path().join("anchor.tf");
    let ca = format!(
        "{}/node/tests/data/pki/rsa-int.crt",
        env!("CARGO_MANIFEST_DIR")
    );
    let output = Command::new(env!("CARGO_BIN_EXE_landfast"))
        .args(["trust-anchor", "--pem", &ca, "--leaf-days", "3"])
        .args(["--format", "terraform", "--output"])
        .arg(&anchor)
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{output:?}");
    let anchor = anchor.to_str().expect("a temporary path is text");
    let (content, said) = Python::run("python", &["-c", HCL, main, anchor]);
    assert!(content, "{said}");
    assert!(said.contains("main.tf.json 12 templates"), "{said}");
    assert!(said.contains("'output', 'resource'"), "{said}");

    fs::write(anchor, "resource \"x\" {").expect("our own file");
    let (content, _) = Python::run("python", &["-c", HCL, anchor]);
    assert!(!content, "proof that the parser looks");
}

/// The issuer's documents as a relying party reads them: PyJWT verifies a
/// token by `keys.json`, and the key ids are computed anew.
const RELYING_PARTY: &str = "import sys, json, base64, hashlib, jwt
from cryptography.hazmat.primitives import serialization as s
out, *keys = sys.argv[1:]
found = json.load(open(out + '/oidc/.well-known/openid-configuration'))
assert found['jwks_uri'] == found['issuer'] + '/keys.json'
ring = jwt.PyJWKSet.from_json(open(out + '/oidc/keys.json').read())
assert len(ring.keys) == len(keys)
for name in keys:
    private = s.load_pem_private_key(open(name, 'rb').read(), None)
    der = private.public_key().public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    kid = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b'=').decode()
    key = ring[kid]
    assert key.algorithm_name in found['id_token_signing_alg_values_supported'], key.algorithm_name
    token = jwt.encode({'iss': found['issuer'], 'aud': 'sts.amazonaws.com', 'sub': 'system:serviceaccount:default:app'},
        private, algorithm=key.algorithm_name, headers={'kid': kid})
    claims = jwt.decode(token, key, audience='sts.amazonaws.com', issuer=found['issuer'], algorithms=[key.algorithm_name])
    print('verified', claims['sub'], key.algorithm_name)";

/// The manifests, structurally: what the driver, the provider and Kubernetes ask for.
const MANIFESTS: &str = "import sys, json, yaml
out = sys.argv[1]
load = lambda name: list(yaml.safe_load_all(open(out + '/' + name)))
kind, = load('csi/secret-provider-class.yaml')
assert (kind['apiVersion'], kind['kind']) == ('secrets-store.csi.x-k8s.io/v1', 'SecretProviderClass')
parameters = kind['spec']['parameters']
assert kind['spec']['provider'] == 'vault' and all(isinstance(v, str) for v in parameters.values())
objects = yaml.safe_load(parameters['objects'])
assert [o['objectName'] for o in objects] == ['tls.crt', 'tls.key', 'ca.crt']
account, pod = load('csi/pod.yaml')
assert pod['spec']['serviceAccountName'] == account['metadata']['name']
volume, = pod['spec']['volumes']
assert volume['csi']['driver'] == 'secrets-store.csi.k8s.io' and volume['csi']['readOnly']
assert volume['csi']['volumeAttributes']['secretProviderClass'] == kind['metadata']['name']
mount, = pod['spec']['containers'][0]['volumeMounts']
assert mount['name'] == volume['name'] and mount['readOnly']
assert len({x['metadata']['namespace'] for x in (kind, account, pod)}) == 1
patch, = load('eksa-cluster-patch.yaml')
assert patch['spec']['podIamConfig']['serviceAccountIssuer'] == 'https://oidc.example/prod'
secret, = load('webhook-secret.yaml')
assert secret['type'] == 'kubernetes.io/tls' and sorted(secret['data']) == ['tls.crt', 'tls.key']
bundle, = json.load(open(out + '/webhook-cabundle-patch.json'))
print(json.dumps({'objects': objects, 'crt': secret['data']['tls.crt'], 'ca': bundle['value']}))";

#[test]
fn pods_get_their_issuer_their_webhook_and_their_certificates() {
    let server = Server::dev();
    let client = server.client();
    server.mount("pki", PLUGIN_NAME);
    let root = json!({"common_name": "pods", "key_type": "ec", "ttl": "87600h"});
    client.write("pki/root/generate/internal", root).ok();
    let role = json!({
        "allowed_domains": "default.svc", "allow_subdomains": true, "key_type": "ec",
        "key_usage": "DigitalSignature", "ttl": "24h", "max_ttl": "72h",
    });
    client.write("pki/roles/pods", role).ok();
    let ca = client.read("pki/cert/ca").ok().text("certificate");

    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    fs::write(path("ca.pem"), &ca).expect("a fresh folder");
    // The webhook's certificate comes from the mount, by the command for nodes.
    let output = server
        .landfast()
        .args(["enroll", "--role", "pods", "--key-type", "ec"])
        .args(["--node-name", "pod-identity-webhook.default.svc"])
        .args(["--certificate", &path("webhook.pem")])
        .args(["--private-key", &path("webhook.key")])
        .output()
        .expect("the binary under test runs");
    assert!(output.status.success(), "{output:?}");
    for (name, options) in [
        (
            "rsa",
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ),
        (
            "ec",
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ),
    ] {
        let key = path(&format!("{name}.key"));
        for arguments in [
            [&["genpkey"][..], options, &["-out", &key]].concat(),
            [
                "pkey",
                "-in",
                &key,
                "-pubout",
                "-out",
                &path(&format!("{name}.pub")),
            ]
            .to_vec(),
        ] {
            let output = Command::new("openssl").args(&arguments).output();
            assert!(output.expect("openssl runs").status.success());
        }
    }
    let mut description = description();
    description["service_accounts"] = json!({
        "issuer": "https://oidc.example/prod", "public_keys": ["rsa.pub", "ec.pub"],
        "endpoint_chain": "ca.pem", "subjects": ["default/app", "kube-system/x"],
        "webhook": {"certificate": "webhook.pem", "private_key": "webhook.key", "ca": "ca.pem"},
    });
    description["csi"] = json!({
        "vault_address": client.address(), "auth_role": "app", "role": "pods",
        "common_name": "app.default.svc", "name": "app", "image": "registry.example/app:1",
    });
    let output = generate(dir.path(), &description, &[]);
    assert!(output.status.success(), "{output:?}");
    let out = path("out");

    let arguments = ["-c", RELYING_PARTY, &out, &path("rsa.key"), &path("ec.key")];
    let (content, said) = Python::run("python", &arguments);
    assert!(content, "{said}");
    assert_eq!(
        said.matches("verified system:serviceaccount:default:app")
            .count(),
        2
    );
    let (content, said) = Python::run("python", &["-c", MODELS, &path("out/aws")]);
    assert!(content && said.contains("9 requests fit"), "{said}");
    let template = path("out/cloudformation-pods.json");
    let (content, said) = Python::run("cfn-lint", &["--regions", "us-west-2", "--", &template]);
    assert!(content && said.trim().is_empty(), "{said}");
    let terraform = path("out/pods.tf.json");
    let policy = path("out/csi/vault-policy.hcl");
    let (content, said) = Python::run("python", &["-c", HCL, &terraform, &policy]);
    assert!(content && said.contains("['path']"), "{said}");

    let request = fs::read_to_string(path("out/aws/9-iam-create-open-id-connect-provider.json"));
    let request: Value = serde_json::from_str(&request.expect("it was written")).expect("JSON");
    let output = Command::new("openssl")
        .args([
            "x509",
            "-noout",
            "-fingerprint",
            "-sha1",
            "-in",
            &path("ca.pem"),
        ])
        .output()
        .expect("openssl runs");
    let shown = String::from_utf8_lossy(&output.stdout)
        .to_lowercase()
        .replace(':', "");
    let thumbprint = request["ThumbprintList"][0].as_str().expect("a text");
    assert!(
        shown.trim().ends_with(&format!("={thumbprint}")),
        "{shown} {request}"
    );

    let (content, said) = Python::run("python", &["-c", MANIFESTS, &out]);
    assert!(content, "{said}");
    let found: Value = serde_json::from_str(&said).expect("JSON");
    // The request of the class, as the provider makes it.
    for object in found["objects"].as_array().expect("a list") {
        let (path, key) = (&object["secretPath"], &object["secretKey"]);
        let path = path.as_str().expect("a text");
        let answer = client.call("PUT", path, Some(object["secretArgs"].clone()));
        let text = answer.ok().text(key.as_str().expect("a text"));
        assert!(text.starts_with("-----BEGIN "), "{key}: {text}");
    }
    let decode = |field: &str| {
        use base64::Engine as _;
        let text = found[field].as_str().expect("a text");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text);
        String::from_utf8(bytes.expect("base64")).expect("PEM")
    };
    let served = decode("crt");
    let verified = Openssl::new().verify(&served, &served, &decode("ca"), None);
    verified.expect("the API server trusts the webhook");
    let secret = fs::metadata(path("out/webhook-secret.yaml")).expect("it was written");
    let mode = std::os::unix::fs::PermissionsExt::mode(&secret.permissions());
    assert_eq!(mode & 0o777, 0o600);

    // Not its key: nothing is written.
    description["service_accounts"]["webhook"]["private_key"] = json!("ec.key");
    fs::remove_dir_all(path("out")).expect("our own folder");
    let output = generate(dir.path(), &description, &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("webhook.private_key"), "{said}");
    assert!(!Path::new(&path("out")).exists());
}
