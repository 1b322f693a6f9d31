//! The way to AWS: proxies, CAs, endpoints that do not exist or do not answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfast_unseal::keys::aws::{AwsConfig, seal};
use landfast_unseal::{Class, Environment, Error, ParseOptions, keys};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fake_aws::{ACCESS_KEY, FakeAws, REGION, UNSEAL_KEY, arn};
use crate::quick;

/// Nobody listens there.
const DEAD: &str = "http://127.0.0.1:1";

fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn stanza(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [
        ("kms_key_id", "alias/bao-unseal"),
        ("region", REGION),
        ("access_key", ACCESS_KEY),
        ("secret_key", "secret"),
        ("start_without_kms", "false"),
    ];
    let mut stanza: BTreeMap<_, _> = texts(&[&base[..], changes].concat()).into_iter().collect();
    stanza.retain(|_, value| !value.is_empty());
    stanza
}

fn environment(pairs: &[(&str, &str)]) -> Environment {
    texts(pairs).into_iter().collect()
}

async fn start(changes: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<(), Error> {
    let options = ParseOptions::default();
    let config = AwsConfig::parse(&stanza(changes), &environment(variables), &options)?;
    seal(config, quick()).await.map(drop)
}

async fn refusal(changes: &[(&str, &str)], variables: &[(&str, &str)]) -> (Class, String) {
    let error = start(changes, variables)
        .await
        .expect_err("must be refused");
    (error.class(), error.to_string())
}

#[tokio::test]
async fn an_endpoint_on_this_machine_is_reached_without_the_proxy() {
    let fake = FakeAws::start().await;
    let dead = [
        ("HTTP_PROXY", DEAD),
        ("HTTPS_PROXY", DEAD),
        ("ALL_PROXY", DEAD),
    ];
    let url = fake.url();
    start(&[("endpoint", &url), ("sts_endpoint", &url)], &dead)
        .await
        .expect("no proxy is asked");
    assert_eq!(fake.take_operations(), ["DescribeKey"]);
    let (class, text) = refusal(&[("endpoint", "http://kms.internal")], &dead).await;
    assert_eq!(class, Class::Outage);
    assert!(
        text.contains("endpoint http://kms.internal by the proxy http://127.0.0.1:1"),
        "{text}"
    );
}

#[tokio::test]
async fn who_cannot_be_reached_is_named_with_the_way_there() {
    let secret = "http://user:hunter2@127.0.0.1:1";
    let dead = [("HTTPS_PROXY", secret)];
    let (class, text) = refusal(&[], &dead).await;
    assert_eq!(class, Class::Outage);
    assert!(
        text.contains(
            "endpoint https://kms.eu-central-1.amazonaws.com by the proxy http://127.0.0.1:1"
        ) && !text.contains("hunter2"),
        "{text}"
    );
    let role = [("role_arn", crate::ROLE)];
    let (_, text) = refusal(&role, &dead).await;
    assert!(
        text.contains("AssumeRole")
            && text.contains(
                "endpoint https://sts.eu-central-1.amazonaws.com by the proxy http://127.0.0.1:1"
            ),
        "{text}"
    );
    let dual = [dead[0], ("AWS_USE_DUALSTACK_ENDPOINT", "true")];
    let (_, text) = refusal(&[], &dual).await;
    assert!(
        text.contains("https://kms.eu-central-1.api.aws by"),
        "{text}"
    );
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_elsewhere() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", proxy.local_addr().expect("bound"));
    let asked = tokio::spawn(async move {
        let (mut stream, _) = proxy.accept().await.expect("a connection");
        let mut line = vec![0; 64];
        let size = stream.read(&mut line).await.expect("reads");
        String::from_utf8_lossy(&line[..size]).into_owned()
    });
    let variables = [("HTTP_PROXY", url.as_str())];
    refusal(&[("endpoint", "http://kms.internal")], &variables).await;
    let line = asked.await.expect("no panic");
    assert!(
        line.starts_with("POST http://kms.internal/ HTTP/1.1"),
        "{line}"
    );
}

#[tokio::test]
async fn fips_endpoints_that_do_not_exist_end_the_start() {
    let fips = [("AWS_USE_FIPS_ENDPOINT", "true"), ("HTTPS_PROXY", DEAD)];
    for (changes, part) in [
        (
            vec![("endpoint", "https://kms.internal")],
            "leave one of them out",
        ),
        (
            vec![("region", "cn-north-1")],
            "no FIPS endpoint in cn-north-1",
        ),
        (
            vec![("role_arn", crate::ROLE)],
            "no FIPS endpoint in eu-central-1",
        ),
    ] {
        let (class, text) = refusal(&changes, &fips).await;
        assert!(class == Class::Config && text.contains(part), "{text}");
    }
    // AWS KMS itself has one in every other Region.
    let (class, text) = refusal(&[], &fips).await;
    assert!(
        class == Class::Outage && text.contains("https://kms-fips.eu-central-1.amazonaws.com"),
        "{text}"
    );
}

/// An endpoint with TLS that knows one key. Says how often it was asked.
async fn tls_endpoint(
    authority: &CertifiedIssuer<'static, KeyPair>,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("a pair");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|size| size > 0) {
                count.fetch_add(1, Ordering::Relaxed);
                let arn = arn(REGION, UNSEAL_KEY);
                let body = format!(r#"{{"KeyMetadata":{{"KeyId":"{UNSEAL_KEY}","Arn":"{arn}"}}}}"#);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (address, asked)
}

#[tokio::test]
async fn an_unknown_ca_is_a_mistake_and_a_bundle_mends_it() {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let authority = authority.expect("a CA");
    let (address, asked) = tls_endpoint(&authority).await;
    let url = format!("https://localhost:{}", address.port());
    let endpoint = [
        ("endpoint", url.as_str()),
        // An outage would let the server start.
        ("start_without_kms", "true"),
    ];
    let (class, text) = refusal(&endpoint, &[]).await;
    assert_eq!(class, Class::Config, "{text}");
    assert!(
        text.contains(&url) && text.contains("AWS_CA_BUNDLE"),
        "{text}"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("ca.pem");
    let path = bundle.display().to_string();
    let variables = [("AWS_CA_BUNDLE", path.as_str())];
    for (content, part) in [
        (None, "No such file"),
        (Some(&b"no PEM"[..]), "holds no CA certificates in PEM"),
        (
            Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "no CA's",
        ),
        (Some(authority.der()), "openssl x509 -inform DER"),
    ] {
        if let Some(content) = content {
            std::fs::write(&bundle, content).expect("writes");
        }
        let (class, text) = refusal(&endpoint, &variables).await;
        assert!(
            class == Class::Config && text.contains(part) && text.contains("AWS_CA_BUNDLE"),
            "{text}"
        );
    }
    std::fs::write(&bundle, authority.pem()).expect("writes");
    start(&endpoint, &variables)
        .await
        .expect("the CA is trusted");
    assert!(asked.load(Ordering::Relaxed) > 0);
}

/// Each end of the wrong scheme says which is right.
#[tokio::test]
async fn an_endpoint_of_the_other_scheme_is_told_with_the_right_one() {
    let strict = [("start_without_kms", "false")];
    let fake = FakeAws::start().await;
    let secure = fake.url().replace("http://", "https://");
    let (_, text) = refusal(&[strict[0], ("endpoint", secure.as_str())], &[]).await;
    assert!(text.contains("give the endpoint as http://"), "{text}");

    let params = CertificateParams::new(Vec::new()).expect("parameters");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"));
    let (address, asked) = tls_endpoint(&authority.expect("a CA")).await;
    let plain = format!("http://{address}");
    let (_, text) = refusal(&[strict[0], ("endpoint", plain.as_str())], &[]).await;
    assert!(text.contains("give the endpoint as https://"), "{text}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_dry_run_says_who_named_the_region() {
    let fake = FakeAws::start().await;
    let url = fake.url();
    let key = format!("arn:aws:kms:eu-west-1:123456789012:key/{UNSEAL_KEY}");
    for (changes, variables, wanted) in [
        (vec![], vec![], "eu-central-1, from the seal stanza"),
        (
            vec![("region", ""), ("kms_key_id", key.as_str())],
            vec![("AWS_REGION", "eu-west-3")],
            "eu-west-1, from the key's ARN",
        ),
        (
            vec![("region", "")],
            vec![("AWS_REGION", "eu-west-3")],
            "eu-west-3, from AWS_REGION",
        ),
        (
            vec![("region", ""), ("disallow_env_vars", "true")],
            vec![],
            "us-east-1, from the default",
        ),
    ] {
        let own = [("endpoint", url.as_str()), ("sts_endpoint", url.as_str())];
        let report = keys::check(
            &stanza(&[&own[..], &changes[..]].concat()),
            &environment(&variables),
            &ParseOptions::default(),
            quick(),
        )
        .await;
        let region = report.steps.iter().find(|step| step.name == "region");
        let said = region.expect("a step").outcome.as_ref().expect("settled");
        assert_eq!(said, wanted);
        assert_eq!(
            report.warnings.is_empty(),
            !wanted.contains("default"),
            "{:?}",
            report.warnings
        );
    }
}
