//! Where credentials come from.

use std::sync::Arc;

use super::*;
use crate::credentials::{CredentialSource, RolesAnywhere, TemporaryCredentials};

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
