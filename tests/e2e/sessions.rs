//! Sessions on a node, with the lab in the place of AWS: the commands that
//! hand credentials out, and clients that others wrote.

mod environment;
pub(crate) mod exit_codes;
mod helper;
mod inputs;
mod metadata;
mod shared;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Python, Running, terminate, until};

const BINARY: &str = env!("CARGO_BIN_EXE_landfast");
/// The common name of the vectors' RSA leaf.
const NODE: &str = "hybrid-node-01.example.internal";

fn data(name: &str) -> String {
    format!("{}/node/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A node with a certificate, and a lab that trusts its CA.
struct Node {
    lab: Running,
    dir: TempDir,
}

impl Node {
    fn new(arguments: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lf-node-")
            .tempdir()
            .expect("a folder");
        let anchor = data("pki/rsa-int.crt");
        let mut command = Command::new(BINARY);
        command
            .current_dir(dir.path())
            .args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &anchor])
            .args(arguments);
        Self {
            lab: Running::start(&mut command),
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A session command with the node's identity and the lab's ARNs.
    fn session(&self, name: &str) -> Command {
        let mut command = Command::new(BINARY);
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .args([name, "--role-session-name", NODE])
            .args(["--certificate", &data("pki/rsa-leaf.crt")])
            .args(["--private-key", &data("pki/rsa-leaf.key")])
            .args(["--endpoint", self.lab.text("endpoint")])
            .args(["--trust-anchor-arn", self.lab.text("trustAnchorArn")])
            .args(["--profile-arn", self.lab.text("profileArn")])
            .args(["--role-arn", self.lab.text("roleArn")]);
        command
    }

    /// What a Python program prints.
    fn python(&self, program: &str, environment: &[(&str, &str)]) -> (bool, String) {
        let pairs: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut arguments = vec!["-c", RUN, program];
        arguments.extend(pairs.iter().map(String::as_str));
        Python::run("python", &arguments)
    }
}

/// Runs the first argument with the environment that the others are.
const RUN: &str = "import os, sys\n\
    for name in [n for n in os.environ if n.startswith('AWS_')]: del os.environ[name]\n\
    os.environ.update(pair.split('=', 1) for pair in sys.argv[2:])\n\
    exec(sys.argv[1])";

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("the binary under test runs")
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("the output is text")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Has openssl make a node's key on P-384 and a certificate for it.
fn p384_pair(key: &str, certificate: &str) {
    let output = run(Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=node-1"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"])
        .args(["-addext", "keyUsage=critical,digitalSignature"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", key, "-out", certificate]));
    assert!(output.status.success(), "{}", said(&output));
}

/// AWS's own Python client for Roles Anywhere: its signature is accepted, and
/// refused once a header or the body is touched behind it.
#[test]
fn an_independent_client_gets_a_session_and_its_forgeries_do_not() {
    let node = Node::new(&["--tls", "--ca-out", "lab-ca.pem"]);
    let program = "
from iam_rolesanywhere_session import IAMRolesAnywhereSession
env = os.environ
def client(tamper=None):
    session = IAMRolesAnywhereSession(
        trust_anchor_arn=env['ANCHOR'], profile_arn=env['PROFILE'], role_arn=env['ROLE'],
        certificate=env['CERT'], private_key=env['KEY'], region='us-west-2',
        role_session_name=env['NODE'], endpoint=env['ENDPOINT'], verify=env['CA'])
    send = session._session.send
    def tampered(request):
        tamper(request)
        return send(request)
    if tamper:
        session._session.send = tampered
    return session.get_session().get_credentials().get_frozen_credentials()
print('got', client().access_key)
def longer(request):
    body = request.body if isinstance(request.body, str) else request.body.decode()
    request.body = body.replace('3600', '7200')
def later(request):
    stamp = request.headers['X-Amz-Date']
    del request.headers['X-Amz-Date']
    request.headers['X-Amz-Date'] = stamp[:-2] + ('0Z' if stamp[-2] != '0' else '1Z')
for forgery in (longer, later):
    try:
        client(forgery)
        print('accepted', forgery.__name__)
    except Exception as error:
        print('refused', forgery.__name__, error)
";
    let endpoint = node
        .lab
        .text("endpoint")
        .strip_prefix("https://")
        .expect("HTTPS")
        .to_owned();
    let ca = node.path("lab-ca.pem");
    let (content, said) = node.python(
        program,
        &[
            ("ANCHOR", node.lab.text("trustAnchorArn")),
            ("PROFILE", node.lab.text("profileArn")),
            ("ROLE", node.lab.text("roleArn")),
            ("CERT", &data("pki/rsa-leaf.crt")),
            ("KEY", &data("pki/rsa-leaf.key")),
            ("NODE", NODE),
            ("ENDPOINT", &endpoint),
            ("CA", ca.to_str().expect("a temporary path is text")),
        ],
    );
    assert!(content, "{said}");
    assert!(said.contains("got ASIALAB"), "{said}");
    for forgery in ["longer", "later"] {
        let refused = said
            .lines()
            .find(|line| line.starts_with(&format!("refused {forgery}")));
        let refused = refused.unwrap_or_else(|| panic!("{forgery} was not refused: {said}"));
        assert!(refused.contains("signature does not match"), "{said}");
    }
}

#[test]
fn our_own_client_trusts_the_labs_ca_and_no_other() {
    let node = Node::new(&["--tls", "--ca-out", "lab-ca.pem"]);
    let ask = |arguments: &[&str]| {
        run(node
            .session("credential-process")
            .arg("--no-cache")
            .args(arguments))
    };
    let document: Value =
        serde_json::from_str(&text(&ask(&["--ca-file", "lab-ca.pem"]))).expect("JSON");
    assert_eq!(document["Version"], 1);
    let stranger = ask(&[]);
    assert_eq!(stranger.status.code(), Some(3), "{}", said(&stranger));
}

/// A trust policy that names the real anchor lets a node in at a lab that plays
/// this anchor, and at no other.
#[test]
fn a_lab_plays_the_anchor_that_a_trust_policy_names() {
    let arn = |resource: &str| format!("arn:aws:rolesanywhere:us-west-2:111122223333:{resource}");
    let anchor = arn("trust-anchor/11111111-2222-4333-8444-555555555555");
    let profile = arn("profile/66666666-7777-4888-9999-aaaaaaaaaaaa");
    let other = arn("trust-anchor/other");
    let dir = tempfile::tempdir().expect("a folder");
    let policy = dir.path().join("trust.json");
    let statement = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow",
        "Principal": {"Service": "rolesanywhere.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {"ArnEquals": {"aws:SourceArn": anchor}},
    }]});
    fs::write(&policy, statement.to_string()).expect("a fresh folder");
    let policy = policy.to_str().expect("a temporary path is text");
    let ask = |arguments: &[&str]| {
        let node = Node::new(&[&["--trust-policy", policy], arguments].concat());
        let output = run(node.session("credential-process").arg("--no-cache"));
        (node, output)
    };
    let (node, output) = ask(&["--trust-anchor-arn", &anchor, "--profile-arn", &profile]);
    assert_eq!(node.lab.text("trustAnchorArn"), anchor);
    assert_eq!(node.lab.text("profileArn"), profile);
    let document: Value = serde_json::from_str(&text(&output)).expect("JSON");
    assert_eq!(document["Version"], 1);
    for arguments in [&["--trust-anchor-arn", &other][..], &[]] {
        let (_node, output) = ask(arguments);
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        assert!(said(&output).contains("AccessDenied"), "{}", said(&output));
    }

    let ca = data("pki/rsa-int.crt");
    let output = run(Command::new(BINARY)
        .args(["lab", "--listen", "127.0.0.1:0", "--trust-anchor", &ca])
        .args(["--trust-anchor-arn", &anchor, "--region", "eu-west-1"]));
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("--region"), "{}", said(&output));
}

#[test]
fn the_shared_file_is_written_once_and_read_by_boto() {
    let node = Node::new(&[]);
    let once = |arguments: &[&str]| {
        run(node
            .session("update")
            .args(["--once", "--credentials-file", "shared"])
            .args(arguments))
    };
    text(&once(&["--profile", "hybrid"]));
    let file = node.path("shared");
    let mode = fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = file.to_str().expect("a temporary path is text").to_owned();
    let (content, said_by_boto) = node.python(
        "import botocore.session\n\
         print(botocore.session.Session(profile='hybrid').get_credentials().access_key)",
        &[("AWS_SHARED_CREDENTIALS_FILE", &file)],
    );
    assert!(content, "{said_by_boto}");
    assert!(said_by_boto.contains("ASIALAB"), "{said_by_boto}");

    fs::write(&file, "[default]\naws_access_key_id = AKIATHEIRS\n").expect("our own file");
    let refused = once(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("left alone"), "{}", said(&refused));
    assert!(said(&refused).contains("--force"), "{}", said(&refused));
    text(&once(&["--force"]));
    assert!(
        fs::read_to_string(&file)
            .expect("the file")
            .contains("ASIALAB")
    );
}

#[test]
fn an_update_outlives_trouble() {
    let node = Node::new(&[]);
    let mut child = node
        .session("update")
        .args(["--credentials-file", "shared"])
        .spawn()
        .expect("the binary under test runs");
    let file = node.path("shared");
    until("a written file", Duration::from_secs(20), || {
        file.exists().then_some(())
    });
    assert!(matches!(child.try_wait(), Ok(None)), "it goes on");
    terminate(&mut child);
    assert_eq!(child.wait().expect("our own child").code(), Some(0));

    // Nobody listens on port 1.
    let mut child = Command::new(BINARY)
        .env_clear()
        .env("HOME", node.dir.path())
        .args([
            "update",
            "--credentials-file",
            "never",
            "--endpoint",
            "http://127.0.0.1:1",
        ])
        .args([
            "--certificate",
            &data("pki/rsa-leaf.crt"),
            "--private-key",
            &data("pki/rsa-leaf.key"),
        ])
        .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")])
        .args([
            "--profile-arn",
            node.lab.text("profileArn"),
            "--role-arn",
            node.lab.text("roleArn"),
        ])
        .current_dir(node.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary under test runs");
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    while !told.contains("trying again") {
        assert_ne!(
            lines.read_line(&mut told).expect("a pipe can be read"),
            0,
            "{told}"
        );
    }
    assert!(
        matches!(child.try_wait(), Ok(None)),
        "one failure does not end it: {told}"
    );
    terminate(&mut child);
}

#[test]
fn boto_finds_both_endpoints() {
    let node = Node::new(&[]);
    let serve =
        Running::start(
            node.session("serve")
                .args(["--port", "0", "--token-file", "token"]),
        );
    let endpoint = serve.text("endpoint");
    let program = "import botocore.session\n\
        found = botocore.session.Session().get_credentials()\n\
        print(found.method, found.get_frozen_credentials().access_key)";
    let metadata = until("the metadata service", Duration::from_secs(30), || {
        let (content, said) = node.python(
            program,
            &[
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint),
                ("HOME", "/nonexistent"),
            ],
        );
        content.then_some(said)
    });
    assert!(metadata.contains("iam-role ASIALAB"), "{metadata}");
    let token = node.path("token");
    let uri = format!("{endpoint}/credentials");
    let (content, container) = node.python(
        program,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
            (
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                token.to_str().expect("text"),
            ),
            ("HOME", "/nonexistent"),
        ],
    );
    assert!(content, "{container}");
    assert!(container.contains("container-role ASIALAB"), "{container}");
}

#[test]
fn a_socket_has_its_permissions_and_goes_with_the_command() {
    let node = Node::new(&[]);
    let socket = node.path("socket");
    let serve = Running::start(node.session("serve").args([
        "--unix-socket",
        "socket",
        "--socket-mode",
        "660",
    ]));
    let mode = fs::metadata(&socket)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    let ask = |socket: &PathBuf| {
        let mut stream = UnixStream::connect(socket).expect("somebody listens");
        stream
            .write_all(b"GET /credentials HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("a socket takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    // Whoever may write to it may ask.
    let answer = until("credentials", Duration::from_secs(10), || {
        Some(ask(&socket)).filter(|answer| !answer.starts_with("HTTP/1.1 503"))
    });
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"AccessKeyId\":\"ASIALAB"), "{answer}");
    // With a token file, the token is asked for as well.
    let guarded = Running::start(node.session("serve").args([
        "--unix-socket",
        "guarded",
        "--token-file",
        "token",
        "--no-metadata",
    ]));
    let answer = ask(&node.path("guarded"));
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    drop(guarded);
    let nothing = run(node.session("serve").arg("--no-metadata"));
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    assert!(
        said(&nothing).contains("--token-file"),
        "{}",
        said(&nothing)
    );
    let second = run(node.session("serve").args(["--unix-socket", "socket"]));
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    drop(serve);
    assert!(!socket.exists());
    let open = run(node.session("serve").args(["--listen", "0.0.0.0:0"]));
    assert_eq!(open.status.code(), Some(2), "{}", said(&open));
    let portless = run(node.session("serve").args(["--listen", "127.0.0.1"]));
    assert_eq!(portless.status.code(), Some(2), "{}", said(&portless));
    assert!(
        said(&portless).contains("an IP address and a port"),
        "{}",
        said(&portless)
    );
}

#[test]
fn doctor_tells_a_refused_node_from_a_good_one() {
    let doctor = |arguments: &[&str]| {
        run(Command::new(BINARY)
            .env_clear()
            .args(["doctor", "--certificate", &data("pki/rsa-leaf.crt")])
            .args(["--private-key", &data("pki/rsa-leaf.key")])
            .args(arguments))
    };
    let good = text(&doctor(&[
        "--trust-anchor",
        &data("pki/rsa-int.crt"),
        "--node-name",
        NODE,
    ]));
    assert!(
        good.contains("the CA that issued the certificate is in the trust anchor"),
        "{good}"
    );
    let refused = doctor(&[
        "--trust-anchor",
        &data("pki/rsa-root.crt"),
        "--error",
        "Untrusted signing certificate",
        "--json",
    ]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    let report: Value = serde_json::from_slice(&refused.stdout).expect("--json prints JSON");
    assert_eq!(report["findings"][0]["rule"], "CA-09");
    assert_eq!(report["cause"]["confirmed_by"][0], "CA-09");
    assert_eq!(
        doctor(&["--role", "/nonexistent/role.json"]).status.code(),
        Some(1)
    );
}
