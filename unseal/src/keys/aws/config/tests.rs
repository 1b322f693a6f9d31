use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::credentials::{CredentialSource, RolesAnywhere, TemporaryCredentials};

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

fn isolated(stanza: &[(&str, &str)]) -> Result<AwsConfig, Error> {
    let environment = map(&[
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_REGION", "eu-west-3"),
    ]);
    let options = ParseOptions {
        key_id: None,
        author: Author::Isolated,
        ..ParseOptions::default()
    };
    AwsConfig::parse(&map(stanza), &environment.into_iter().collect(), &options)
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
fn the_order_of_credentials_is_the_old_seals() {
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIAENV"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_ROLE_ARN", ROLE),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/v1/credentials",
        ),
    ];
    let config = parse(&[("kms_key_id", "alias/x")], &environment).expect("parses");
    assert_eq!(
        sources(&config),
        [
            "the environment",
            "the shared credentials files",
            "the web identity token",
            "the container credentials endpoint",
            "instance metadata",
        ]
    );
    assert!(config.credentials.assume.is_none());
    let stanza = [
        ("kms_key_id", "alias/x"),
        ("access_key", "AKIA"),
        ("secret_key", "s"),
    ];
    assert_eq!(
        sources(&parse(&stanza, &environment).expect("parses")),
        ["the seal stanza"]
    );
    let off = parse(&[("kms_key_id", "alias/x"), ("imds", "off")], &[]).expect("parses");
    assert_eq!(sources(&off), ["the shared credentials files"]);
    let off = parse(
        &[("kms_key_id", "alias/x")],
        &[("AWS_EC2_METADATA_DISABLED", "TRUE")],
    )
    .expect("parses");
    assert_eq!(sources(&off), ["the shared credentials files"]);
}

#[test]
fn half_of_static_credentials_is_refused_in_the_old_words() {
    let text = "static AWS client credentials haven't been properly configured (the access key or secret key were provided but not both)";
    assert_eq!(
        refusal(&[("kms_key_id", "alias/x"), ("access_key", "AKIA")], &[]),
        text
    );
    assert_eq!(
        refusal(&[("kms_key_id", "alias/x"), ("secret_key", "s3cr3t")], &[]),
        text
    );
    assert!(
        refusal(
            &[("kms_key_id", "alias/x")],
            &[("AWS_ACCESS_KEY_ID", "AKIA")]
        )
        .contains("AWS_SECRET_ACCESS_KEY")
    );
}

#[test]
fn a_profile_of_the_environment_beats_the_stanzas() {
    let stanza = [
        ("kms_key_id", "alias/x"),
        ("shared_creds_profile", "stanza"),
        ("shared_creds_filename", "/a"),
    ];
    let profile = |environment: &[_]| match parse(&stanza, environment)
        .expect("parses")
        .credentials
        .sources
        .remove(0)
    {
        Source::Profile {
            file,
            profile,
            required,
        } => (file, profile, required),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        profile(&[]),
        (Some("/a".into()), Some("stanza".into()), true)
    );
    let (file, name, _) = profile(&[
        ("AWS_PROFILE", "env"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/b"),
    ]);
    assert_eq!((file, name), (Some("/a".into()), Some("env".into())));
}

#[test]
fn a_role_is_always_assumed_with_what_was_found() {
    let role = [
        ("kms_key_id", "alias/x"),
        ("role_arn", ROLE),
        ("role_external_id", "ext"),
    ];
    let config = parse(&role, &[]).expect("parses");
    let assume = config.credentials.assume.expect("a role");
    assert_eq!(
        (assume.role_arn.as_str(), assume.external_id.as_deref()),
        (ROLE, Some("ext"))
    );
    assert_eq!(assume.session_name, "landfast-unseal");

    // On a workload identity, the workload's own role is taken first.
    let own = "arn:aws:iam::123456789012:role/workload";
    let environment = [("AWS_ROLE_ARN", own), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")];
    let config = parse(&role, &environment).expect("parses");
    let web = config
        .credentials
        .sources
        .iter()
        .find_map(|source| match source {
            Source::WebIdentity { role_arn, .. } => Some(role_arn.as_str()),
            _ => None,
        });
    assert_eq!(
        (web, config.credentials.assume.map(|role| role.role_arn)),
        (Some(own), Some(ROLE.to_owned()))
    );
}

#[test]
fn role_mistakes_are_named() {
    let refused = |pairs: &[(&'static str, &'static str)]| {
        refusal(&[&[("kms_key_id", "alias/x")], pairs].concat(), &[])
    };
    assert!(refused(&[("role_external_id", "x")]).contains("role_arn"));
    assert!(refused(&[("web_identity_token_file", "/t")]).contains("role_arn"));
    for role in [
        "role/x",
        "arn:aws:iam::123456789012:user/x",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:sts:::role/x",
    ] {
        assert!(
            refused(&[("role_arn", role)]).contains("ARN of a role"),
            "{role}"
        );
    }
}

#[test]
fn static_keys_may_lie_elsewhere() {
    let stanza = [
        ("kms_key_id", "alias/x"),
        ("access_key", "env://THE_KEY"),
        ("secret_key", "file:///run/secret"),
    ];
    let config = parse(&stanza, &[("THE_KEY", "AKIAENV")]).expect("parses");
    let [Source::Stanza(keys, _)] = config.credentials.sources.as_slice() else {
        panic!("{config:?}")
    };
    assert!(matches!(&keys.access_key, SecretText::Inline(value) if value.expose() == "AKIAENV"));
    assert!(
        matches!(&keys.secret_key, SecretText::File(path) if path.as_os_str() == "/run/secret")
    );
    assert!(refusal(&stanza, &[]).contains("THE_KEY"));
}

#[test]
fn without_the_environment_only_the_stanza_counts() {
    let stanza = [
        ("kms_key_id", ARN),
        ("access_key", "AKIA"),
        ("secret_key", "s"),
    ];
    let config = isolated(&stanza).expect("parses");
    assert_eq!(config.region, known("eu-central-1", "the key's ARN"));
    assert_eq!(sources(&config), ["the seal stanza"]);
    assert!(!config.imds && !config.shared_files);
    let config = isolated(&[
        ("kms_key_id", "alias/x"),
        ("access_key", "AKIA"),
        ("secret_key", "s"),
    ])
    .expect("parses");
    assert_eq!(config.region, known(DEFAULT_REGION, "the default"));
    assert!(isolated(&stanza[..1]).is_err());
    let by_environment = [
        ("kms_key_id", ARN),
        ("access_key", "env://A"),
        ("secret_key", "s"),
    ];
    assert!(
        isolated(&by_environment)
            .expect_err("refused")
            .to_string()
            .contains("environment")
    );
    // The same switch as a key of the stanza, as releases up to 2.5 had it.
    let own = parse(
        &[&stanza[..], &[("disallow_env_vars", "true")]].concat(),
        &[("AWS_REGION", "eu-west-3")],
    );
    assert_eq!(
        own.expect("parses").region,
        known("eu-central-1", "the key's ARN")
    );
}

#[test]
fn a_tenant_reaches_nothing_of_the_server() {
    let tenant = |changes: &[(&str, &str)]| {
        let stanza = [
            &[
                ("kms_key_id", ARN),
                ("access_key", "AKIA"),
                ("secret_key", "s"),
            ],
            changes,
        ]
        .concat();
        let options = ParseOptions {
            key_id: None,
            author: Author::Tenant,
            ..ParseOptions::default()
        };
        AwsConfig::parse(
            &map(&stanza),
            &map(&[("X", "y")]).into_iter().collect(),
            &options,
        )
    };
    assert_eq!(
        sources(&tenant(&[]).expect("parses")),
        ["the configuration"]
    );
    for (key, value) in [
        ("shared_creds_filename", "/tmp/credentials"),
        ("shared_creds_profile", "x"),
        ("web_identity_token_file", "/etc/passwd"),
        ("roles_anywhere_certificate", "/etc/shadow"),
        ("secret_key", "file:///etc/shadow"),
        ("session_token", " file:///etc/shadow"),
        ("access_key", "env://X"),
        ("region", "env://X"),
    ] {
        let text = tenant(&[(key, value)]).expect_err(key).to_string();
        assert!(text.starts_with(key) && !text.contains(value), "{text}");
    }
}

#[test]
fn the_servers_identity_is_not_sent_elsewhere() {
    let lent = |changes: &[(&str, &str)]| {
        let environment = map(&[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
        ]);
        let options = ParseOptions {
            key_id: None,
            author: Author::TenantWithServerIdentity,
            ..ParseOptions::default()
        };
        AwsConfig::parse(
            &map(&[&[("kms_key_id", ARN)], changes].concat()),
            &environment.into_iter().collect(),
            &options,
        )
    };
    assert_eq!(sources(&lent(&[]).expect("parses"))[0], "the environment");
    for key in ["endpoint", "sts_endpoint", "web_identity_token_file"] {
        assert!(lent(&[(key, "https://example.com")]).is_err(), "{key}");
    }
    assert!(lent(&[("session_token", "file:///etc/shadow")]).is_err());
    let replica = ("kms_key_id", "mrk-1");
    assert!(lent(&[replica, ("fallback_regions", "eu-west-1")]).is_ok());
    assert!(
        lent(&[
            replica,
            ("fallback_regions", "eu-west-1=https://example.com")
        ])
        .is_err()
    );
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

#[derive(Debug)]
struct Lent(RolesAnywhere);

#[async_trait::async_trait]
impl CredentialSource for Lent {
    fn describe(&self) -> &'static str {
        "a test"
    }

    async fn credentials(&self) -> Result<TemporaryCredentials, Error> {
        Err(Error::Config(self.0.role_arn.clone()))
    }
}

fn lent(stanza: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<AwsConfig, Error> {
    let options = ParseOptions {
        roles_anywhere: Some(|session| Ok(Arc::new(Lent(session.clone())))),
        ..ParseOptions::default()
    };
    let stanza = [&[("kms_key_id", ARN)], stanza].concat();
    AwsConfig::parse(
        &map(&stanza),
        &map(environment).into_iter().collect(),
        &options,
    )
}

const SESSION: [(&str, &str); 3] = [
    ("roles_anywhere_trust_anchor_arn", "anchor"),
    ("roles_anywhere_profile_arn", "profile"),
    ("roles_anywhere_role_arn", "role"),
];

#[test]
fn a_roles_anywhere_session_is_asked_for_by_name_and_nothing_else_is() {
    let ambient = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("LANDFAST_ROLES_ANYWHERE_SESSION_NAME", "bao-1"),
        ("LANDFAST_ROLES_ANYWHERE_ROLE_ARN", "another"),
    ];
    let config = lent(&SESSION, &ambient).expect("parses");
    assert_eq!(sources(&config), ["a test"]);
    let plan = format!("{:?}", config.credentials);
    for part in [
        "role_arn: \"role\"",
        "session_name: Some(\"bao-1\")",
        "/etc/iam/pki/server.pem",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    // Variables alone do too, but not against credentials of the stanza.
    let variables = [
        ("LANDFAST_ROLES_ANYWHERE_TRUST_ANCHOR_ARN", "anchor"),
        ("LANDFAST_ROLES_ANYWHERE_PROFILE_ARN", "profile"),
        ("LANDFAST_ROLES_ANYWHERE_ROLE_ARN", "role"),
    ];
    let keys = [("access_key", "AKIA"), ("secret_key", "s")];
    let of = |stanza: &[_]| sources(&lent(stanza, &variables).expect("parses"));
    assert_eq!(of(&[]), ["a test"]);
    assert_eq!(of(&keys), ["the seal stanza"]);
}

#[test]
fn mistakes_in_a_roles_anywhere_session_are_named() {
    let text = |stanza: &[_]| {
        let stanza = [&SESSION, stanza].concat();
        lent(&stanza, &[]).expect_err("refused").to_string()
    };
    for (key, value, reason) in [
        ("access_key", "AKIA", "leave one kind of credentials out"),
        (
            "shared_creds_profile",
            "x",
            "leave one kind of credentials out",
        ),
        ("roles_anywhere_session_duration", "60", "900 and 43200"),
        ("roles_anywhere_session_duration", "soon", "900 and 43200"),
        ("roles_anywhere_endpoint", "ftp://x", "its scheme"),
    ] {
        let said = text(&[(key, value)]);
        assert!(said.contains(key) && said.contains(reason), "{said}");
    }
    let said = lent(&SESSION[1..], &[]).expect_err("refused").to_string();
    assert!(
        said.starts_with("roles_anywhere_trust_anchor_arn is missing"),
        "{said}"
    );
    // Nobody opens sessions here, and a tenant may not use the server's certificate.
    assert!(
        refusal(&[&[("kms_key_id", ARN)], SESSION.as_slice()].concat(), &[])
            .contains("cannot be had")
    );
    let typo = lent(
        &[&SESSION, [("roles_anywhere_certificat", "x")].as_slice()].concat(),
        &[],
    );
    assert!(typo.expect("parses").warnings[0].contains("\"roles_anywhere_certificate\""));
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

#[test]
fn credentials_that_fit_into_no_header_are_refused_and_not_repeated() {
    let stanza = |changed: &'static str, value: &str| {
        let good = [
            ("kms_key_id", "alias/x"),
            ("access_key", "AKIA"),
            ("secret_key", "secret"),
            ("session_token", "token"),
        ];
        let given = good.map(|(key, good)| (key, if key == changed { value } else { good }));
        parse(&given, &[("ODD", "hunter2\u{1}x")])
    };
    stanza("", "").expect("parses");
    for key in ["access_key", "secret_key", "session_token"] {
        for value in [
            "hunter2\nx",
            "hunter2\0",
            "hunter2 x",
            "hunter2é",
            "hunter2\u{7f}",
            "env://ODD",
        ] {
            let text = stanza(key, value).expect_err(value).to_string();
            assert!(
                text.starts_with(key)
                    && text.contains("visible ASCII")
                    && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_session_token_needs_its_keys() {
    let alone = [("kms_key_id", "alias/x"), ("session_token", "token")];
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    for environment in [&environment[..], &[]] {
        let text = refusal(&alone, environment);
        assert!(text.contains("without access_key and secret_key"), "{text}");
    }
}
