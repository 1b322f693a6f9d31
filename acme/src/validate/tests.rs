//! Validations against listeners of this process: a DNS server, web servers and TLS servers, on loopback addresses of their own.

mod dns;
mod hosts;
mod http;
mod name_server;
mod tls_alpn;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::testing::key;

/// The address that the tests may validate. Its neighbours are loopback addresses as well and may not be.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ";

fn thumbprint() -> String {
    key("ES256").thumbprint()
}

fn authorization() -> String {
    key_authorization(TOKEN, &thumbprint())
}

fn identifier(value: &str) -> Identifier {
    let kind = if value.parse::<IpAddr>().is_ok() {
        "ip"
    } else {
        "dns"
    };
    Identifier::new(kind, value).unwrap()
}

/// Settings that reach [`HERE`] and ask this DNS server.
fn settings(resolver: SocketAddr) -> ValidatorSettings {
    ValidatorSettings {
        networks: Networks::parse([HERE.to_string()]).unwrap(),
        resolver: Some(resolver),
        http_port: 1,
        tls_port: 1,
        timeout: Duration::from_secs(10),
    }
}

async fn check(
    settings: ValidatorSettings,
    challenge: ChallengeType,
    value: &str,
) -> Result<(), Problem> {
    let validator = Validator::new(settings).unwrap();
    validator
        .check(challenge, &identifier(value), TOKEN, &thumbprint())
        .await
}

#[tokio::test]
async fn what_cannot_be_validated_so_is_refused_without_a_word_to_anybody() {
    let silent = settings("127.0.0.1:1".parse().unwrap());
    for (challenge, value) in [
        (ChallengeType::Http01, "*.a.example"),
        (ChallengeType::TlsAlpn01, "*.a.example"),
        (ChallengeType::Dns01, "127.0.0.1"),
    ] {
        let problem = check(silent.clone(), challenge, value).await.unwrap_err();
        assert_eq!(problem.kind, Kind::Malformed, "{problem}");
    }
}

#[test]
fn the_systems_configuration_of_dns_is_taken() {
    Validator::new(ValidatorSettings::default()).unwrap();
}

/// Validations run beside requests, as tasks of their own.
#[tokio::test]
async fn a_validation_can_be_a_task() {
    let validator =
        std::sync::Arc::new(Validator::new(settings("127.0.0.1:1".parse().unwrap())).unwrap());
    let task = async move {
        validator
            .check(
                ChallengeType::TlsAlpn01,
                &identifier("127.0.0.2"),
                TOKEN,
                &thumbprint(),
            )
            .await
    };
    let problem = tokio::spawn(task).await.unwrap().unwrap_err();
    assert!(problem.detail.contains("loopback"), "{problem}");
}
