//! What is decided before the server is asked. What the server decides is tested in front of real ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::RETRY_AFTER;
use landfast_pki::GeneralNames;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::testing::{Maker, attribute, names};
use super::*;
use crate::config::Config;
use crate::mounts::{Mount, Mounts};

/// EST in front of a server that nobody runs.
fn est(change: impl FnOnce(&mut Value)) -> Est {
    let mut text = json!({
        "listeners": [{"address": "127.0.0.1:0", "tls": {"certificate": "a", "key": "b", "client_ca": "c"}}],
        // The discard port of this machine, where nothing listens.
        "server": {"address": "http://127.0.0.1:9"},
        "mounts": {"/": {"mount": "pki"}},
        "est": {"default_label": "both", "labels": {
            "both": {"mount": "/", "role": "r", "certificate": {}, "basic": {"method": "userpass"}, "csr_attributes": ["names"]},
            "cert": {"mount": "/", "role": "r", "certificate": {}},
            "keys": {"mount": "/", "role": "r", "basic": {"method": "approle"}, "server_keys": true},
        }},
    });
    change(&mut text);
    let config: Config = serde_json::from_value(text).unwrap();
    config.check().unwrap();
    let mounts = Mounts::new(&config).unwrap();
    let site = |mount: &Arc<Mount>| Arc::new(Site::new(mount.clone(), &config.limits, None));
    let sites: Vec<_> = mounts.iter().map(site).collect();
    Est::new(config.est.as_ref().unwrap(), &sites).unwrap()
}

/// A request, good but for what a test makes of it.
struct Ask {
    method: Method,
    path: String,
    kind: &'static str,
    authorization: Option<&'static str>,
    body: Bytes,
    visitor: Visitor,
}

const BASIC: &str = "Basic cHJpbnRlci03OnB3";

fn ask(path: &str, csr: Option<&Csr>) -> Ask {
    Ask {
        method: if csr.is_some() {
            Method::POST
        } else {
            Method::GET
        },
        path: format!("/.well-known/est/{path}"),
        kind: "application/pkcs10",
        authorization: Some(BASIC),
        body: csr.map(|csr| body::encode(csr.der())).unwrap_or_default(),
        visitor: Visitor {
            remote: "192.0.2.7:4711".parse().unwrap(),
            secure: true,
            chain: Vec::new(),
        },
    }
}

impl Ask {
    async fn of(self, est: &Est) -> (u16, String, Reply) {
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(self.path)
            .header("content-type", self.kind);
        if let Some(value) = self.authorization {
            request = request.header("authorization", value);
        }
        let mut request = Request::in_memory(request.body(self.body).unwrap(), self.visitor);
        let reply = est.answer(&mut request).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        (reply.status.as_u16(), text, reply)
    }

    fn showing(mut self, certificate: &Certificate) -> Self {
        self.visitor.chain = vec![CertificateDer::from(certificate.der().to_vec())];
        self
    }
}

fn csr() -> Csr {
    Maker::new().request("printer-7", &names(&["printer-7"]), &[])
}

#[track_caller]
fn is(answer: &(u16, String, Reply), status: u16, text: &str) {
    assert!(
        answer.0 == status && answer.1.contains(text),
        "{} {}",
        answer.0,
        answer.1
    );
}

#[tokio::test]
async fn unknown_paths_and_labels_are_found_by_nobody() {
    let est = est(|_| {});
    is(&ask("", None).of(&est).await, 404, "nothing at this path");
    is(
        &ask("fullcmc", None).of(&est).await,
        404,
        "nothing at this path",
    );
    is(
        &ask("other/cacerts", None).of(&est).await,
        404,
        "no such label",
    );
    is(&ask("/cacerts", None).of(&est).await, 404, "no such label");
    is(
        &ask("..%2fboth/cacerts", None).of(&est).await,
        404,
        "no such label",
    );
}

#[tokio::test]
async fn without_a_default_label_a_path_needs_one() {
    let est = est(|text| text["est"]["default_label"] = Value::Null);
    is(&ask("csrattrs", None).of(&est).await, 404, "no such label");
    is(&ask("both/csrattrs", None).of(&est).await, 200, "");
}

#[tokio::test]
async fn plain_http_is_refused() {
    let est = est(|_| {});
    let mut ask = ask("simpleenroll", Some(&csr()));
    ask.visitor.secure = false;
    is(&ask.of(&est).await, 403, "over HTTPS only");
}

#[tokio::test]
async fn each_operation_has_one_method() {
    let est = est(|_| {});
    for (path, method, allowed) in [
        ("cacerts", Method::POST, "GET"),
        ("simpleenroll", Method::GET, "POST"),
        ("csrattrs", Method::DELETE, "GET"),
    ] {
        let mut ask = ask(path, None);
        ask.method = method;
        let answer = ask.of(&est).await;
        is(&answer, 405, allowed);
        assert_eq!(answer.2.headers["allow"], allowed);
    }
}

#[tokio::test]
async fn wishes_for_requests_are_public_and_their_absence_is_204() {
    let est = est(|_| {});
    let mut ask_both = ask("csrattrs", None);
    ask_both.authorization = None;
    let (status, text, reply) = ask_both.of(&est).await;
    assert_eq!(
        (status, &reply.headers["content-type"]),
        (200, &"application/csrattrs".parse().unwrap())
    );
    assert_eq!(STANDARD.decode(text.trim()).unwrap()[0], 0x30);
    is(&ask("cert/csrattrs", None).of(&est).await, 204, "");
}

#[tokio::test]
async fn whoever_says_nothing_of_itself_is_asked_to() {
    let est = est(|_| {});
    let nobody = |path: &str| {
        let mut ask = ask(path, Some(&csr()));
        ask.authorization = None;
        ask
    };
    let answer = nobody("simpleenroll").of(&est).await;
    is(&answer, 401, "HTTP Basic");
    assert_eq!(
        answer.2.headers["www-authenticate"],
        "Basic realm=\"est\", charset=\"UTF-8\""
    );
    // Where no password helps none is asked for.
    let answer = nobody("cert/simpleenroll").of(&est).await;
    is(&answer, 403, "client certificate");
    assert!(!answer.2.headers.contains_key("www-authenticate"));
    is(
        &ask("cert/simpleenroll", Some(&csr())).of(&est).await,
        403,
        "client certificate",
    );
    for broken in ["Digest username=\"a\"", "Basic !", "Basic YS9iOmM="] {
        let mut ask = nobody("simpleenroll");
        ask.authorization = Some(broken);
        is(&ask.of(&est).await, 401, "not that of HTTP Basic");
    }
}

#[tokio::test]
async fn bodies_are_bounded_typed_and_well_formed() {
    let est = est(|_| {});
    let with = |change: &dyn Fn(&mut Ask)| {
        let mut ask = ask("simpleenroll", Some(&csr()));
        change(&mut ask);
        ask
    };
    let large = |ask: &mut Ask| ask.body = Bytes::from(vec![b'A'; body::MOST + 1]);
    is(&with(&large).of(&est).await, 413, "too large");
    is(
        &with(&|ask| ask.kind = "application/json").of(&est).await,
        415,
        "application/pkcs10",
    );
    is(
        &with(&|ask| ask.body = Bytes::from_static(b"!"))
            .of(&est)
            .await,
        400,
        "not base64",
    );
    is(
        &with(&|ask| ask.body = body::encode(b"\x30\x03\x02\x01"))
            .of(&est)
            .await,
        400,
        "no PKCS#10",
    );
    is(
        &with(&|ask| ask.body = Bytes::new()).of(&est).await,
        400,
        "empty",
    );
    let pem = Bytes::from(csr().pem());
    is(
        &with(&|ask| ask.body = pem.clone()).of(&est).await,
        400,
        "PEM",
    );
}

#[tokio::test]
async fn a_request_proves_that_its_key_is_there() {
    let est = est(|_| {});
    let mut der = csr().der().to_vec();
    let last = der.len() - 1;
    der[last] ^= 1;
    let forged = Csr::from_der(&der).unwrap();
    is(
        &ask("simpleenroll", Some(&forged)).of(&est).await,
        400,
        "does not prove",
    );
    // Where the server makes the key, that of the request counts for nothing: only the server is missing.
    is(
        &ask("keys/serverkeygen", Some(&forged)).of(&est).await,
        503,
        "",
    );
}

#[tokio::test]
async fn what_is_not_checked_is_not_taken_for_checked() {
    let est = est(|_| {});
    let challenge = attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 7], b"\x0c\x01x");
    let linked = Maker::new().request("a", &GeneralNames::default(), &[challenge]);
    is(
        &ask("simpleenroll", Some(&linked)).of(&est).await,
        400,
        "challengePassword",
    );
    let decrypt = attribute(
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 37],
        b"\x04\x01x",
    );
    let wrapped = Maker::new().request("a", &GeneralNames::default(), &[decrypt]);
    is(
        &ask("keys/serverkeygen", Some(&wrapped)).of(&est).await,
        400,
        "not encrypted beyond TLS",
    );
}

#[tokio::test]
async fn keys_are_made_only_where_the_label_says_so() {
    let est = est(|_| {});
    is(
        &ask("serverkeygen", Some(&csr())).of(&est).await,
        403,
        "no keys are made here",
    );
}

#[tokio::test]
async fn a_renewal_needs_the_old_certificate_and_its_names() {
    let est = est(|_| {});
    is(
        &ask("simplereenroll", Some(&csr())).of(&est).await,
        403,
        "to be renewed",
    );
    let maker = Maker::new();
    let old = maker.certificate("printer-7", &names(&["printer-7"]));
    let other = maker.request("printer-8", &names(&["printer-8"]), &[]);
    let same = maker.request("printer-7", &names(&["printer-7"]), &[]);
    is(
        &ask("simplereenroll", Some(&other))
            .showing(&old)
            .of(&est)
            .await,
        400,
        "subject",
    );
    is(
        &ask("simplereenroll", Some(&same))
            .showing(&old)
            .of(&est)
            .await,
        503,
        "",
    );
}

#[tokio::test]
async fn while_the_server_is_away_clients_are_told_when_to_come_back() {
    let est = est(|_| {});
    for ask in [ask("cacerts", None), ask("simpleenroll", Some(&csr()))] {
        let answer = ask.of(&est).await;
        is(&answer, 503, "try again later");
        assert!(answer.2.headers.contains_key(RETRY_AFTER));
        let shown = format!("{:?}", answer.2);
        assert!(!shown.contains("cHJpbnRlci03OnB3"), "{shown}");
    }
}
