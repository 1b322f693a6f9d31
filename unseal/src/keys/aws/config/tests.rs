//! Which key, where it is called, and what is wrong with a stanza.

use proptest::prelude::*;

use super::*;

mod authors;
mod credentials;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/56a8845f-5459-443d-a710-41dc72237c19";
const ROLE: &str = "arn:aws:iam::123456789012:role/unseal";

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn parse(stanza: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<AwsConfig, Error> {
    AwsConfig::parse(
        &map(stanza),
        &map(environment).into_iter().collect(),
        &ParseOptions::default(),
    )
}

fn refusal(stanza: &[(&str, &str)], environment: &[(&str, &str)]) -> String {
    parse(stanza, environment)
        .expect_err("must be refused")
        .to_string()
}

fn known(name: &str, source: &'static str) -> RegionChoice {
    RegionChoice::Known {
        name: name.to_owned(),
        source,
    }
}

fn sources(config: &AwsConfig) -> Vec<&'static str> {
    config
        .credentials
        .sources
        .iter()
        .map(Source::describe)
        .collect()
}

#[test]
fn the_key_comes_from_the_environment_then_the_stanza_then_the_caller() {
    let key = |stanza: &[_], environment: &[_], option| {
        let options = ParseOptions {
            key_id: option,
            author: Author::Operator,
            ..ParseOptions::default()
        };
        AwsConfig::parse(
            &map(stanza),
            &map(environment).into_iter().collect(),
            &options,
        )
        .expect("parses")
        .key
        .expect("a key")
        .to_string()
    };
    let all = [
        ("AWSKMS_WRAPPER_KEY_ID", "alias/one"),
        ("VAULT_AWSKMS_SEAL_KEY_ID", "alias/two"),
    ];
    assert_eq!(
        key(&[("kms_key_id", "alias/three")], &all, Some("alias/four")),
        "alias/one"
    );
    assert_eq!(
        key(
            &[("kms_key_id", "alias/three")],
            &all[1..],
            Some("alias/four")
        ),
        "alias/two"
    );
    assert_eq!(
        key(&[("kms_key_id", "alias/three")], &[], Some("alias/four")),
        "alias/three"
    );
    assert_eq!(key(&[], &[], Some("alias/four")), "alias/four");
    assert_eq!(
        refusal(&[], &[]),
        "key id not found in env or config for aws kms wrapper configuration"
    );
    assert!(
        parse(&[("key_not_required", "1")], &[])
            .expect("parses")
            .key
            .is_none()
    );
}

#[test]
fn the_region_comes_from_the_stanza_before_the_environment() {
    let region =
        |stanza: &[_], environment: &[_]| parse(stanza, environment).expect("parses").region;
    let environment = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-2"),
    ];
    let stanza = [("kms_key_id", "alias/x"), ("region", "eu-central-1")];
    assert_eq!(
        region(&stanza, &environment),
        known("eu-central-1", "the seal stanza")
    );
    assert_eq!(
        region(&stanza[..1], &environment),
        known("eu-west-1", "AWS_REGION")
    );
    assert_eq!(
        region(&stanza[..1], &environment[1..]),
        known("eu-west-2", "AWS_DEFAULT_REGION")
    );
    assert_eq!(region(&stanza[..1], &[]), RegionChoice::Discover);
    // A key is in the Region of its ARN, whatever the machine's is.
    for environment in [&environment[..], &[]] {
        assert_eq!(
            region(&[("kms_key_id", ARN)], environment),
            known("eu-central-1", "the key's ARN")
        );
    }
}

#[test]
fn a_region_other_than_the_keys_is_worth_a_warning() {
    let config = parse(&[("kms_key_id", ARN), ("region", "us-west-2")], &[]).expect("parses");
    assert_eq!(config.region, known("us-west-2", "the seal stanza"));
    assert!(
        config.warnings[0].contains("eu-central-1") && config.warnings[0].contains("us-west-2")
    );
}

#[test]
fn the_endpoint_comes_from_the_old_variable_then_the_stanza_then_the_new_variables() {
    let endpoint = |stanza: &[_], environment: &[_]| {
        let stanza = [&[("kms_key_id", "alias/x")], stanza].concat();
        parse(&stanza, environment).expect("parses").endpoint
    };
    let all = [
        ("AWS_KMS_ENDPOINT", "https://one"),
        ("AWS_ENDPOINT_URL_KMS", "https://three"),
        ("AWS_ENDPOINT_URL", "https://four"),
    ];
    let stanza = [("endpoint", "https://two")];
    assert_eq!(endpoint(&stanza, &all).as_deref(), Some("https://one"));
    assert_eq!(endpoint(&stanza, &all[1..]).as_deref(), Some("https://two"));
    assert_eq!(endpoint(&[], &all[1..]).as_deref(), Some("https://three"));
    assert_eq!(endpoint(&[], &all[2..]).as_deref(), Some("https://four"));
    assert_eq!(endpoint(&[], &[]), None);
    let ignored = [
        &all[1..],
        &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")],
    ]
    .concat();
    assert_eq!(endpoint(&[], &ignored), None);
}

#[test]
fn an_endpoint_and_the_choice_of_a_fips_endpoint_exclude_each_other() {
    let stanza = [("kms_key_id", "alias/x"), ("use_fips", "true")];
    for (stanza, environment) in [
        ([&stanza[..], &[("endpoint", "https://x")]].concat(), vec![]),
        (stanza.to_vec(), vec![("AWS_ENDPOINT_URL", "https://x")]),
        (
            vec![("kms_key_id", "alias/x"), ("endpoint", "https://x")],
            vec![("AWS_USE_FIPS_ENDPOINT", "TRUE")],
        ),
        (
            [&stanza[..], &[("fallback_regions", "eu-west-1=https://x")]].concat(),
            vec![],
        ),
    ] {
        let text = refusal(&stanza, &environment);
        assert!(text.contains("leave one of them out"), "{text}");
    }
    // Not for the Security Token Service, which has no FIPS endpoint in most Regions.
    let sts = [&stanza[..], &[("sts_endpoint", "https://x")]].concat();
    assert!(parse(&sts, &[]).expect("parses").use_fips);
    let off = [
        ("kms_key_id", "alias/x"),
        ("endpoint", "https://x"),
        ("use_fips", "false"),
    ];
    assert!(parse(&off, &[("AWS_USE_FIPS_ENDPOINT", "true")]).is_ok());
}

#[test]
fn fallback_regions_need_a_multi_region_key() {
    let list = (
        "fallback_regions",
        "eu-west-1, us-east-1=http://127.0.0.1:9",
    );
    assert!(refusal(&[("kms_key_id", ARN), list], &[]).contains("mrk-"));
    let config = parse(&[("kms_key_id", "mrk-1"), list], &[]).expect("parses");
    let fallback = |region: &str, endpoint: Option<&str>| Fallback {
        region: region.to_owned(),
        endpoint: endpoint.map(str::to_owned),
    };
    assert_eq!(
        config.fallbacks,
        [
            fallback("eu-west-1", None),
            fallback("us-east-1", Some("http://127.0.0.1:9"))
        ]
    );
    assert_eq!(
        parse(&[("kms_key_id", "alias/x"), list], &[])
            .expect("parses")
            .fallbacks
            .len(),
        2
    );
}

#[test]
fn misspelt_keys_are_named_with_a_guess() {
    let config = parse(
        &[
            ("kms_key_id", "alias/x"),
            ("reigon", "eu-west-1"),
            ("zzz", "1"),
            ("purpose", "x"),
        ],
        &[],
    );
    let warnings = config.expect("parses").warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("did you mean \"region\"?"),
        "{warnings:?}"
    );
    assert!(!warnings[1].contains("did you mean"), "{warnings:?}");
}

/// The rule that a misspelt key breaks is told with what was meant.
#[test]
fn a_rule_that_hits_first_does_not_hide_the_guess() {
    for (pairs, parts) in [
        (
            &[("kms_key", "alias/x")][..],
            &["key id not found", "did you mean \"kms_key_id\"?"][..],
        ),
        (
            &[
                ("kms_key_id", "alias/x"),
                ("aws_region", "x"),
                ("use_fips", "maybe"),
            ],
            &["use_fips must be true or false", "did you mean \"region\"?"],
        ),
        (
            &[("local_keyfile", "seal.key")],
            &["key id not found", "did you mean \"local_key_file\"?"],
        ),
    ] {
        let refused = refusal(pairs, &[]);
        for part in parts {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
    let names: Vec<String> = (0..40).map(|number| format!("unknown{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let refused = refusal(&many, &[]);
    assert_eq!(refused.matches("is not known").count(), 5, "{refused}");
}

#[test]
fn bad_values_are_refused_before_anything_is_called() {
    for (key, value, part) in [
        ("region", "EU Central", "Region"),
        ("region", "eu/west", "Region"),
        ("endpoint", "kms.example.com", "URL"),
        ("endpoint", "ftp://kms.example.com", "scheme"),
        (
            "endpoint",
            "https://user:pw@kms.example.com",
            "user or password",
        ),
        ("endpoint", "https://kms.example.com:99999", "its port"),
        ("endpoint", "https://kms.example.com:", "its port"),
        ("endpoint", "https://[::1]:0", "its port"),
        ("sts_endpoint", "https://kms.example.com:0", "its port"),
        ("endpoint", "https://kms.example.com/?a=b", "a query"),
        ("endpoint", "https://kms.example.com/#a", "a fragment"),
        ("strict_key", "maybe", "true or false"),
        ("kms_key_id", "alias/", "does not name"),
    ] {
        let mut stanza = vec![("kms_key_id", "alias/x"), (key, value)];
        stanza.dedup_by_key(|pair| pair.0);
        let stanza: Vec<_> = if key == "kms_key_id" {
            vec![(key, value)]
        } else {
            stanza
        };
        let text = refusal(&stanza, &[]);
        assert!(text.contains(part), "{key}={value}: {text}");
        assert!(!text.contains("pw"), "{text}");
    }
}

#[test]
fn plain_http_is_worth_a_warning_unless_it_stays_on_the_machine() {
    let warnings = |url| {
        parse(&[("kms_key_id", "alias/x"), ("endpoint", url)], &[])
            .expect("parses")
            .warnings
            .len()
    };
    assert_eq!(warnings("http://127.0.0.1:8080"), 0);
    assert_eq!(warnings("http://[::1]:8080"), 0);
    assert_eq!(warnings("http://localhost"), 0);
    assert_eq!(warnings("http://kms.internal"), 1);
    assert_eq!(warnings("https://kms.internal"), 0);
}

#[test]
fn debug_output_holds_no_secret() {
    let stanza = [
        ("kms_key_id", "alias/x"),
        ("access_key", "AKIASECRETID"),
        ("secret_key", "TOPSECRET"),
        ("session_token", "TOKENVALUE"),
    ];
    let text = format!(
        "{:?}",
        parse(
            &stanza,
            &[
                ("AWS_SECRET_ACCESS_KEY", "ENVSECRET"),
                ("AWS_ACCESS_KEY_ID", "a")
            ]
        )
    );
    for secret in ["AKIASECRETID", "TOPSECRET", "TOKENVALUE", "ENVSECRET"] {
        assert!(!text.contains(secret), "{text}");
    }
}

proptest! {
    #[test]
    fn no_stanza_makes_the_parser_panic(
        keys in proptest::collection::vec((proptest::sample::select(KNOWN.to_vec()), ".{0,40}"), 0..8),
    ) {
        let stanza = keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let _ = AwsConfig::parse(&stanza, &Environment::empty(), &ParseOptions::default()).map(|config| config.warnings.len());
    }

    #[test]
    fn no_error_repeats_a_credential(secret in "[A-Za-z0-9]{20,40}", broken in "[ -~]{0,12}") {
        let stanza = map(&[("kms_key_id", "alias/x"), ("secret_key", &secret), ("region", &broken)]);
        if let Err(error) = AwsConfig::parse(&stanza, &Environment::empty(), &ParseOptions::default()) {
            prop_assert!(!error.to_string().contains(&secret));
        }
    }
}

#[test]
fn only_a_few_different_fallback_regions_are_taken() {
    let with = |list: &str| {
        parse(
            &[
                ("kms_key_id", "alias/x"),
                ("region", "eu-central-1"),
                ("fallback_regions", list),
            ],
            &[],
        )
    };
    let regions = |count: usize| {
        let names: Vec<_> = (1..=count).map(|n| format!("eu-west-{n}")).collect();
        names.join(",")
    };
    assert_eq!(with(&regions(8)).expect("parses").fallbacks.len(), 8);
    for count in [9, 15_000] {
        let text = with(&regions(count)).expect_err("too many").to_string();
        assert!(text.contains("more than 8 Regions"), "{text}");
    }
    let twice = with("eu-west-1, eu-west-2, eu-west-1=https://kms.example.org");
    let text = twice.expect_err("twice").to_string();
    assert!(text.contains("eu-west-1 more than once"), "{text}");
}
