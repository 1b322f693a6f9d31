//! What a configuration may reach, by who wrote it.

use super::*;

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
