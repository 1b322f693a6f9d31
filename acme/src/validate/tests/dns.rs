use super::name_server::Zone;
use super::*;
use crate::challenge::dns_value;

const NAME: &str = "_acme-challenge.a.example";

async fn with(zone: Zone, value: &str) -> Result<(), Problem> {
    let (resolver, _) = zone.serve().await;
    check(settings(resolver), ChallengeType::Dns01, value).await
}

#[tokio::test]
async fn one_of_the_records_has_the_value() {
    let value = dns_value(&authorization());
    let zone = || Zone::default().text(NAME, &[&["another"], &[&value], &["v=spf1 -all"]]);
    assert_eq!(with(zone(), "a.example").await, Ok(()));
    assert_eq!(
        with(zone(), "*.a.example").await,
        Ok(()),
        "a wildcard is validated as its host"
    );
    let (begin, end) = value.split_at(20);
    assert_eq!(
        with(Zone::default().text(NAME, &[&[begin, end]]), "a.example").await,
        Ok(())
    );
}

#[tokio::test]
async fn aliases_are_followed() {
    let value = dns_value(&authorization());
    let zone = Zone::default()
        .alias(NAME, "a.validation.example")
        .alias("a.validation.example", "b.validation.example")
        .text("b.validation.example", &[&[&value]]);
    assert_eq!(with(zone, "a.example").await, Ok(()));
}

#[tokio::test]
async fn many_records_come_over_tcp() {
    let value = dns_value(&authorization());
    let long = "x".repeat(200);
    let mut texts: Vec<Vec<&str>> = vec![vec![&*long]; 20];
    texts.push(vec![&*value]);
    let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
    assert_eq!(
        with(Zone::default().text(NAME, &texts), "a.example").await,
        Ok(())
    );
}

#[tokio::test]
async fn other_records_are_told_with_what_is_missing() {
    let value = dns_value(&authorization());
    for texts in [
        &["another"][..],
        &[&value[1..]],
        &[&value, "x"],
        &["\"", &value],
    ] {
        let problem = with(Zone::default().text(NAME, &[texts]), "a.example")
            .await
            .unwrap_err();
        assert_eq!(problem.kind, Kind::IncorrectResponse);
        assert!(
            problem.detail.contains(&value) && problem.detail.contains("1 records"),
            "{problem}"
        );
    }
    let elsewhere = Zone::default()
        .text("a.example", &[&[&value]])
        .host(NAME, &["127.0.0.1"]);
    let problem = with(elsewhere, "a.example").await.unwrap_err();
    assert!(problem.detail.contains("has no TXT record"), "{problem}");
}

#[tokio::test]
async fn a_record_that_was_set_a_moment_ago_counts() {
    let value = dns_value(&authorization());
    let (resolver, _) = Zone::default()
        .text(NAME, &[])
        .text(NAME, &[&[&value]])
        .serve()
        .await;
    let validator = Validator::new(settings(resolver)).unwrap();
    let again = async || {
        validator
            .check(
                ChallengeType::Dns01,
                &identifier("a.example"),
                TOKEN,
                &thumbprint(),
            )
            .await
    };
    assert!(again().await.is_err());
    assert_eq!(again().await, Ok(()));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(silent.local_addr().unwrap());
    settings.timeout = Duration::from_secs(1);
    let problem = check(settings, ChallengeType::Dns01, "a.example")
        .await
        .unwrap_err();
    assert!(
        [Kind::Dns, Kind::Connection].contains(&problem.kind),
        "{problem}"
    );
}
