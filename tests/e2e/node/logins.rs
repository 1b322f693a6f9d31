//! Ways to log in, on a real server: with the node's own certificate, and with
//! tokens of other issuers, whose endpoints are played here.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::support::Python;

/// A command on the node without a login yet.
fn node(site: &Site, command: &str, login: &[&str]) -> Command {
    let mut node = site.server.landfast();
    node.env_remove("VAULT_TOKEN")
        .env("HOME", site.dir.path())
        .args([command, "--json", "--node-name", NODE])
        .arg("--certificate")
        .arg(site.path("pki/server.pem"))
        .arg("--private-key")
        .arg(site.path("pki/server.key"))
        .args(login);
    node
}

#[test]
fn the_nodes_own_certificate_logs_in_until_it_ends() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file in a fresh folder");
        path.to_str().expect("a text").to_owned()
    };
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .expect("an address is a name")
        .self_signed(&key)
        .expect("a certificate");
    let authority = file("tls.pem", &own.pem());
    let port = {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        socket.local_addr().expect("a bound socket").port()
    };
    let stanza = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = {authority:?}\n  tls_key_file = {:?}\n}}",
        file("tls.key", &key.serialize_pem())
    );
    let server = Server::raft(Release::Current, &stanza);
    server.register(PLUGIN_NAME, "");
    let site = Site::new(server);
    site.client
        .write("sys/auth/cert", json!({"type": "cert"}))
        .ok();
    site.client
        .write(
            "auth/cert/certs/nodes",
            json!({"certificate": site.issuing, "allowed_common_names": NODE, "token_policies": "node"}),
        )
        .ok();
    let address = format!("https://127.0.0.1:{port}");
    let by_certificate = |command: &str, more: &[&str]| {
        let login = [
            "--auth",
            "cert",
            "--address",
            &address,
            "--ca-cert",
            &authority,
        ];
        node(&site, command, &[&login[..], more].concat())
    };

    // Plain HTTP to a server of HTTPS.
    let plain = address.replace("https://", "http://");
    fs::write(site.path("token"), "s.any").expect("a file in our folder");
    let token = site.path("token");
    let login = [
        "--address",
        &plain,
        "--token-file",
        token.to_str().expect("a text"),
    ];
    let (_, told) = failure(&mut node(&site, "enroll", &login));
    assert!(told.contains("give its address as https://"), "{told}");

    // A bare machine has nothing to show yet.
    let (code, told) = failure(&mut by_certificate("enroll", &[]));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("server.pem"), "{told}");

    let first = site.enroll(&[]);
    let renewed = json_of(&mut by_certificate("renew", &["--now"]));
    assert_eq!(renewed["outcome"], "issued");
    assert_eq!(renewed["newKey"], false);
    assert_ne!(renewed["serialNumber"], first["serialNumber"]);
    let named = json_of(&mut by_certificate(
        "renew",
        &["--now", "--auth-role", "nodes"],
    ));
    assert_eq!(named["outcome"], "issued");

    // While the machine was off, its certificate ended. Another way leads back.
    let short = site.enroll(&["--rotate-key", "--ttl", "1s"]);
    until("the end of a short life", Duration::from_secs(10), || {
        let end: jiff::Timestamp = short["notAfter"].as_str()?.parse().ok()?;
        (jiff::Timestamp::now() > end).then_some(())
    });
    let (code, told) = failure(&mut by_certificate("renew", &[]));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("enrol by another --auth"), "{told}");
    let back = json_of(site.node("renew").args(["--node-name", NODE]));
    assert_eq!(back["outcome"], "issued");
    assert_eq!(
        json_of(&mut by_certificate("renew", &[]))["outcome"],
        "kept"
    );
}

/// A signed token (RFC 7519) with these claims, and the key that checks it.
pub(crate) fn token(key: &rcgen::KeyPair, mut claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_secs();
    claims["iat"] = now.into();
    claims["exp"] = (now + 600).into();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let signer = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der())
        .expect("our own key");
    let signature = signer.sign(&SystemRandom::new(), text.as_bytes());
    let signature = signature.expect("our own key signs");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// What a server answers to a login says little: the cause and the next step are told.
#[test]
fn a_login_that_cannot_work_says_why() {
    let site = Site::new(Server::dev());
    let approle = |more: &[&str]| {
        let login = ["--auth", "approle", "--role-id", "nobody's"];
        failure(&mut node(&site, "enroll", &[&login[..], more].concat()))
    };
    // Nobody enabled the method.
    let secret = site.path("secret-id");
    let secret = ["--secret-id-file", secret.to_str().expect("a text")];
    for mount in ["elsewhere", "a/b"] {
        let (code, told) = approle(&[&["--auth-mount", mount], &secret[..]].concat());
        assert_eq!(code, 1, "{told}");
        for part in [
            &format!("auth/{mount}/login"),
            "no method is enabled there",
            "bao auth enable",
            "--auth-mount",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    // No secret id, under a role id that is there and under one that is not.
    let role_id = site.path("role-id");
    let role_id = fs::read_to_string(role_id).expect("it was written");
    let known = ["--auth", "approle", "--role-id", role_id.trim()];
    for (code, told) in [approle(&[]), failure(&mut node(&site, "enroll", &known))] {
        assert_eq!(code, 1, "{told}");
        for part in [
            "no secret id was sent",
            "--secret-id-file",
            "auth/approle/role/NAME/secret-id",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
    // With one, under a role id that is not there.
    let (code, told) = approle(&secret);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("look at the role id"), "{told}");

    // A token that has ended, one that never was, and one whose policies do not do.
    let token = site.path("token");
    let create = |body: Value| {
        let made = site.client.write("auth/token/create", body).ok();
        made.body["auth"]["client_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    };
    let enroll = |content: &str| {
        fs::write(&token, content).expect("a file in our folder");
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&token, private).expect("our own file");
        let login = [
            "--token-file",
            token.to_str().expect("a text"),
            "--rotate-key",
        ];
        node(&site, "enroll", &login)
    };
    let short = create(json!({"policies": ["node"], "ttl": "1s"}));
    let (code, told) = until("the end of a token", Duration::from_secs(20), || {
        let output = enroll(&short).output().expect("the binary under test runs");
        (!output.status.success()).then(|| (output.status.code(), said(&output)))
    });
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("it has ended") && told.contains("log in again"),
        "{told}"
    );
    let (_, told) = failure(&mut enroll("s.never"));
    assert!(
        told.contains("it has ended") && !told.contains("s.never"),
        "{told}"
    );
    let (code, told) = failure(&mut enroll(&create(
        json!({"policies": ["default"], "ttl": "5m"}),
    )));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("policies must allow update"), "{told}");
    assert!(!told.contains("it has ended"), "{told}");
}

#[test]
fn tokens_of_other_issuers_log_in() {
    let site = Site::new(Server::dev());
    let key = rcgen::KeyPair::generate().expect("a key");
    let jwt = site.path("jwt");
    let path = jwt.to_str().expect("a text").to_owned();

    site.client
        .write("sys/auth/jwt", json!({"type": "jwt"}))
        .ok();
    site.client
        .write(
            "auth/jwt/config",
            json!({"jwt_validation_pubkeys": [key.public_key_pem()], "bound_issuer": "https://ci.example"}),
        )
        .ok();
    site.client
        .write(
            "auth/jwt/role/node",
            json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"],
                   "bound_subject": NODE, "token_policies": ["node"]}),
        )
        .ok();
    let claims =
        |subject: &str| json!({"iss": "https://ci.example", "aud": "vault", "sub": subject});
    let login = ["--auth", "jwt", "--auth-role", "node", "--jwt-file", &path];
    fs::write(&jwt, token(&key, claims(NODE)) + "\n").expect("a file in our folder");
    let first = json_of(&mut node(&site, "enroll", &login));
    assert_eq!(first["outcome"], "issued");
    let stranger = token(&key, claims("node-2"));
    fs::write(&jwt, &stranger).expect("a file in our folder");
    let (code, told) = failure(&mut node(
        &site,
        "renew",
        &[&login[..], &["--now"]].concat(),
    ));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("auth/jwt/login"), "{told}");
    assert!(!told.contains(&stranger), "no token is echoed: {told}");

    // Kubernetes: the server asks the cluster what the token is worth.
    let (cluster, asked) = cluster();
    site.client
        .write("sys/auth/kubernetes", json!({"type": "kubernetes"}))
        .ok();
    site.client
        .write(
            "auth/kubernetes/config",
            json!({"kubernetes_host": cluster, "token_reviewer_jwt": REVIEWER,
                   "disable_local_ca_jwt": true, "kubernetes_ca_cert": site.root}),
        )
        .ok();
    site.client
        .write(
            "auth/kubernetes/role/node",
            json!({"bound_service_account_names": NODE, "bound_service_account_namespaces": "nodes",
                   "token_policies": "node"}),
        )
        .ok();
    let account = |name: &str| {
        token(
            &key,
            json!({"iss": "https://kubernetes.default.svc", "aud": ["vault"],
                   "sub": format!("system:serviceaccount:nodes:{name}"),
                   "kubernetes.io": {"namespace": "nodes", "serviceaccount": {"name": name, "uid": "1-2-3"}}}),
        )
    };
    let login = [
        "--auth",
        "kubernetes",
        "--auth-role",
        "node",
        "--jwt-file",
        &path,
        "--now",
    ];
    let good = account(NODE);
    fs::write(&jwt, &good).expect("a file in our folder");
    let renewed = json_of(&mut node(&site, "renew", &login));
    assert_eq!(renewed["outcome"], "issued");
    assert_ne!(renewed["serialNumber"], first["serialNumber"]);
    let review = asked.recv_timeout(Duration::from_secs(5));
    assert_eq!(review.expect("the cluster was asked"), good);

    fs::write(&jwt, account("node-2")).expect("a file in our folder");
    let (code, told) = failure(&mut node(&site, "renew", &login));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("auth/kubernetes/login"), "{told}");
}

/// What the server shows to the cluster.
pub(crate) const REVIEWER: &str = "reviewer-token";

/// A cluster that reviews tokens: it takes every one as what its claims say.
/// Each token that was asked about comes out of the channel.
///
/// Source: Kubernetes API reference, TokenReview v1.
pub(crate) fn cluster() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("a bound socket"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { break };
            let Some(token) = review(stream) else {
                continue;
            };
            if tell.send(token).is_err() {
                break;
            }
        }
    });
    (address, told)
}

fn review(mut stream: TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let length = lower.split("content-length:").nth(1)?;
    let length: usize = length.lines().next()?.trim().parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked: Value = serde_json::from_slice(&body).ok()?;
    let token = asked["spec"]["token"].as_str()?.to_owned();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let allowed = head.starts_with("POST /apis/authentication.k8s.io/v1/tokenreviews")
        && lower.contains(&format!("authorization: bearer {REVIEWER}"));
    let answer = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": {"authenticated": allowed, "audiences": asked["spec"]["audiences"], "user": {
            "username": claims["sub"], "uid": claims["kubernetes.io"]["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", "system:serviceaccounts:nodes"],
        }},
    })
    .to_string();
    write!(
        stream,
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()?;
    Some(token)
}

/// The AWS login, which OpenBao does not have, in front of a real server: it
/// judges the signed request as STS would, by botocore's own code, and hands
/// the rest through.
const FRONT: &str = r#"
import base64, http.server, json, os, re, sys, urllib.error, urllib.request
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

upstream, token, secret = sys.argv[1:4]

def judge(login):
    decode = lambda name: base64.b64decode(login[name]).decode()
    if login.get('role') != 'node':
        return 'no such role'
    url, body = decode('iam_request_url'), decode('iam_request_body')
    if login['iam_http_request_method'] != 'POST' or url not in ('https://sts.amazonaws.com/', 'https://sts.eu-west-1.amazonaws.com/'):
        return 'not a request for STS'
    if body != 'Action=GetCallerIdentity&Version=2011-06-15':
        return 'not GetCallerIdentity'
    headers = {name.lower(): values[0] for name, values in json.loads(decode('iam_request_headers')).items()}
    if headers.get('x-vault-aws-iam-server-id') != 'vault.example':
        return 'signed for another server'
    found = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=AKIDNODE/(\d{8})/([a-z0-9-]+)/sts/aws4_request, '
                         r'SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})', headers.pop('authorization'))
    if not found:
        return 'no authorization'
    _, region, signed, signature = found.groups()
    if ('eu-west-1' in url) != (region == 'eu-west-1'):
        return 'another region'
    request = AWSRequest('POST', url, data=body, headers=headers)
    request.context['timestamp'] = headers['x-amz-date']
    auth = SigV4Auth(Credentials('AKIDNODE', secret), 'sts', region)
    if auth.signed_headers(auth.headers_to_sign(request)) != signed:
        return 'unsigned headers'
    if auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) != signature:
        return 'the signature does not match'

class Front(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        if self.path == '/v1/auth/aws/login':
            problem = judge(json.loads(body))
            if problem:
                return self.answer(400, {'errors': [problem]})
            return self.answer(200, {'auth': {'client_token': token}})
        headers = {name: value for name, value in self.headers.items() if name.lower().startswith(('x-vault', 'content-type'))}
        try:
            with urllib.request.urlopen(urllib.request.Request(upstream + self.path, body, headers, method='POST')) as reply:
                self.answer(reply.status, json.load(reply))
        except urllib.error.HTTPError as error:
            self.answer(error.code, json.load(error))
    def answer(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(('127.0.0.1', 0), Front)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[test]
fn an_aws_identity_logs_in_by_a_signed_request() {
    let site = Site::new(Server::dev());
    let made = site
        .client
        .write(
            "auth/token/create",
            json!({"policies": ["node"], "ttl": "5m"}),
        )
        .ok();
    let token = made.body["auth"]["client_token"].as_str().expect("a token");
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let mut front = Daemon(Python::start(
        FRONT,
        &[site.client.address(), token, secret],
    ));
    let mut port = String::new();
    BufReader::new(front.0.stdout.take().expect("a pipe"))
        .read_line(&mut port)
        .expect("the front says its port");
    let address = format!("http://127.0.0.1:{}", port.trim());
    let login = |secret: &str, more: &[&str]| {
        let login = [
            "--address",
            &address,
            "--auth",
            "aws",
            "--auth-role",
            "node",
            "--rotate-key",
        ];
        let mut node = node(&site, "enroll", &[&login[..], more].concat());
        node.env("AWS_ACCESS_KEY_ID", "AKIDNODE")
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        node
    };
    let server_id = ["--aws-server-id", "vault.example"];
    for more in [&[][..], &["--aws-region", "eu-west-1"]] {
        let enrolled = json_of(&mut login(secret, &[&server_id[..], more].concat()));
        assert_eq!(enrolled["outcome"], "issued");
    }
    let (code, told) = failure(&mut login("another", &server_id));
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("the signature does not match"), "{told}");
    let (_, told) = failure(&mut login(secret, &["--aws-server-id", "other.example"]));
    assert!(told.contains("signed for another server"), "{told}");

    // Nobody knows the machine: it says where credentials are looked for.
    let mut bare = login(secret, &server_id);
    bare.env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let (code, told) = failure(&mut bare);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("AWS_PROFILE"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    // Instance metadata that answers nonsense, which the SDK warns of at length.
    bare.env_remove("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address);
    let (code, told) = failure(&mut bare);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("AWS_PROFILE"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn a_wrapped_secret_id_is_opened_once_and_only_if_the_role_made_it() {
    let site = Site::new(Server::dev());
    site.client
        .write(
            "auth/approle/role/node-2",
            json!({"token_policies": "node"}),
        )
        .ok();
    let wrap = |arguments: &[&str]| {
        let output = site
            .server
            .cli()
            .args(["write", "-wrap-ttl=60s", "-field=wrapping_token"])
            .args(arguments)
            .output()
            .expect("the server's command runs");
        assert!(output.status.success(), "{}", said(&output));
        let token = String::from_utf8(output.stdout).expect("a token is text");
        fs::write(site.path("wrapped"), &token).expect("a file in our folder");
        token.trim().to_owned()
    };
    let (role_id, wrapped) = (site.path("role-id"), site.path("wrapped"));
    let login = |more: &[&str]| {
        let login = [
            "--auth",
            "approle",
            "--role-id-file",
            role_id.to_str().expect("a text"),
            "--secret-id-wrapped",
            "--secret-id-file",
            wrapped.to_str().expect("a text"),
            "--rotate-key",
        ];
        node(&site, "enroll", &[&login[..], more].concat())
    };
    let of = |name: &str| format!("auth/approle/role/{name}/secret-id");
    for more in [&[][..], &["--auth-role", NODE]] {
        let token = wrap(&["-f", &of(NODE)]);
        assert_eq!(json_of(&mut login(more))["outcome"], "issued");
        let (code, told) = failure(&mut login(more));
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("works once"), "{told}");
        assert!(!told.contains(&token), "no token is echoed: {told}");
    }

    // Somebody opened it and wrapped the same again, or another thing.
    let token = wrap(&["sys/wrapping/wrap", "secret_id=swapped"]);
    let (code, told) = failure(&mut login(&[]));
    assert_eq!(code, 4, "{told}");
    assert!(
        told.contains("sys/wrapping/wrap") && told.contains("auth/approle/role/NAME/secret-id"),
        "{told}"
    );
    let left = site
        .client
        .write("sys/wrapping/lookup", json!({"token": token}));
    assert_eq!(left.status, 200, "it is left for whoever looks into it");

    // A secret id of another role.
    wrap(&["-f", &of("node-2")]);
    let (code, told) = failure(&mut login(&["--auth-role", NODE]));
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("role/node-2/secret-id"), "{told}");
    let (code, told) = failure(&mut login(&[]));
    assert_eq!(code, 1, "the server keeps roles apart: {told}");

    let service = ["--emit", "systemd", "--address", "https://v:8200"];
    let mut emit = site.words("enroll");
    let (code, told) = failure(emit.arg("--secret-id-wrapped").args(service));
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("works once"), "{told}");
}
