//! What `unseal check` does with a stanza.

use std::collections::BTreeMap;

use landfast_unseal::{Class, Environment, ParseOptions};

use super::fake_aws::{ACCESS_KEY, FakeAws, REGION, UNSEAL_KEY};
use super::quick;

#[tokio::test]
async fn a_dry_run_names_what_works_and_what_is_missing() {
    let fake = FakeAws::start().await;
    let url = fake.url();
    let stanza: BTreeMap<String, String> = [
        ("kms_key_id", "alias/bao-unseal"),
        ("region", REGION),
        ("endpoint", url.as_str()),
        ("sts_endpoint", url.as_str()),
        ("access_key", ACCESS_KEY),
        ("secret_key", "secret"),
        ("regoin", "typo"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let (nothing, options) = (Environment::empty(), ParseOptions::default());
    let run = async || landfast_unseal::keys::check(&stanza, &nothing, &options, quick()).await;
    let report = run().await;
    assert_eq!(report.verdict(), Ok(()));
    assert!(report.warnings[0].contains("regoin"));
    let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(
        names,
        [
            "stanza",
            "region",
            "credentials",
            "identity",
            "look up the key",
            "encrypt",
            "decrypt"
        ]
    );
    assert_eq!(
        report.steps[2].outcome.as_deref().expect("works"),
        "from the seal stanza"
    );

    fake.deny(ACCESS_KEY, "DescribeKey");
    assert_eq!(run().await.verdict(), Ok(()), "not needed to unseal");
    fake.deny(ACCESS_KEY, "Decrypt");
    let report = run().await;
    assert_eq!(report.verdict(), Err(Class::Refused));
    let (_, text) = report
        .steps
        .last()
        .expect("steps")
        .outcome
        .as_ref()
        .expect_err("denied");
    assert!(text.contains("allow kms:Decrypt"), "{text}");

    // What cannot be used does not look well.
    let fake = FakeAws::start().await;
    fake.set_state(UNSEAL_KEY, "Disabled");
    let mut stanza = stanza;
    stanza.insert("endpoint".to_owned(), fake.url());
    stanza.insert("sts_endpoint".to_owned(), fake.url());
    let report = landfast_unseal::keys::check(&stanza, &nothing, &options, quick()).await;
    let looked_up = report
        .steps
        .iter()
        .find(|step| step.name == "look up the key");
    let (_, text) = looked_up
        .expect("tried")
        .outcome
        .as_ref()
        .expect_err("disabled");
    assert!(
        text.contains("Disabled") && text.contains("enable the key"),
        "{text}"
    );
    assert_eq!(report.verdict(), Err(Class::Refused));
}

#[tokio::test]
async fn a_dry_run_of_a_key_file_tries_the_file() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("key");
    let stanza = |more: &[(&str, &str)]| -> BTreeMap<String, String> {
        let file = ("local_key_file", path.to_str().expect("UTF-8"));
        let all = more.iter().copied().chain([file]);
        all.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (nothing, options) = (Environment::empty(), ParseOptions::default());
    let run = async |stanza: &BTreeMap<String, String>| {
        landfast_unseal::keys::check(stanza, &nothing, &options, quick()).await
    };
    let report = run(&stanza(&[])).await;
    assert_eq!(report.verdict(), Err(Class::Config), "no such file");
    landfast_unseal::keys::local::LocalKey::create(&path).expect("creates");
    let report = run(&stanza(&[("health_check_interval", "1h")])).await;
    assert_eq!(report.verdict(), Ok(()));
    assert!(report.warnings[0].contains("meant for tests"));
    let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    assert_eq!(names, ["stanza", "key file", "encrypt", "decrypt"]);
    let report = run(&stanza(&[("region", REGION)])).await;
    assert_eq!(report.verdict(), Err(Class::Config));
    assert_eq!(report.steps.len(), 1);
}
