//! Where the credentials of a seal come from, and what happens when they change or end.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use landfast_unseal::keys::aws::seal;
use landfast_unseal::keys::aws::{CredentialPlan, Source};
use landfast_unseal::{Class, CredentialSource, Error, Secret, TemporaryCredentials};

use super::fake_aws::{ACCESS_KEY, EXPIRED_ACCESS_KEY, FakeAws, Fault};
use super::{ROLE, config, open, quick, refusal, signers};

#[tokio::test]
async fn roles_are_assumed_with_an_external_id_and_renewed() {
    let fake = FakeAws::start().await;
    // Half of their life is the longest that short-lived credentials are kept.
    fake.role_life(Duration::from_secs(2));
    let seal = open(
        &fake,
        &[
            ("role_arn", ROLE),
            ("role_external_id", "ext"),
            ("role_session_name", "me"),
        ],
    )
    .await;
    seal.encrypt(b"x", b"").await.expect("encrypts");
    assert_eq!(signers(&fake), ["ASIASESSION000000001"]);
    let assumed = fake
        .calls()
        .into_iter()
        .find(|call| call.operation == "AssumeRole")
        .expect("assumed");
    assert_eq!(assumed.access_key, ACCESS_KEY);
    let parameter = |name: &str| assumed.parameters[name].as_str().expect(name).to_owned();
    assert_eq!(
        [
            parameter("RoleArn"),
            parameter("RoleSessionName"),
            parameter("ExternalId")
        ],
        [ROLE, "me", "ext"]
    );

    let renewed = async {
        while signers(&fake).last().map(String::as_str) == Some("ASIASESSION000000001") {
            seal.encrypt(b"x", b"").await.expect("encrypts");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed)
        .await
        .expect("renewed before expiry");
}

#[tokio::test]
async fn a_web_identity_token_is_read_at_each_exchange() {
    let fake = FakeAws::start().await;
    let directory = tempfile::tempdir().expect("temporary directory");
    let token = directory.path().join("token");
    std::fs::write(&token, "first\n").expect("writes");
    let changes = [
        ("access_key", ""),
        ("secret_key", ""),
        ("shared_creds_filename", ""),
        ("role_arn", ROLE),
        ("web_identity_token_file", token.to_str().expect("UTF-8")),
    ];
    let mut parsed = config(&fake, &changes);
    // The machine's own shared files are not part of this test.
    parsed
        .credentials
        .sources
        .retain(|source| source.describe() == "the web identity token");
    let seal = seal(parsed, quick()).await.expect("opens");
    seal.encrypt(b"x", b"").await.expect("encrypts");
    assert_eq!(
        signers(&fake),
        ["ASIASESSION000000001"],
        "assumed once, and not again on top of itself"
    );

    std::fs::write(&token, "second").expect("writes");
    fake.fail("Encrypt", Fault::Error("ExpiredTokenException", 400), 1);
    seal.encrypt(b"x", b"")
        .await
        .expect("new credentials cure an expired token");
    let calls = fake.calls();
    let tokens: Vec<_> = calls
        .iter()
        .filter_map(|call| call.parameters["WebIdentityToken"].as_str())
        .collect();
    assert_eq!(tokens, ["first", "second"]);
}

#[tokio::test]
async fn static_keys_in_files_follow_the_files() {
    let fake = FakeAws::start().await;
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("access");
    std::fs::write(&path, format!("{ACCESS_KEY}\n")).expect("writes");
    let url = format!("file://{}", path.display());
    let seal = open(&fake, &[("access_key", &url)]).await;
    seal.encrypt(b"x", b"").await.expect("encrypts");
    // The service refuses the old key: the file is read again at once.
    std::fs::write(&path, "AKIAEXAMPLEROTATED00").expect("writes");
    fake.fail(
        "Encrypt",
        Fault::Error("UnrecognizedClientException", 400),
        1,
    );
    seal.encrypt(b"x", b"").await.expect("encrypts");
    assert_eq!(
        signers(&fake).last().map(String::as_str),
        Some("AKIAEXAMPLEROTATED00")
    );

    std::fs::remove_file(&path).expect("removes");
    let text = refusal(&fake, &[("access_key", &url)]).await.to_string();
    assert!(text.contains(path.to_str().expect("UTF-8")), "{text}");
}

#[tokio::test]
async fn a_profile_with_a_credential_process_serves() {
    let fake = FakeAws::start().await;
    let directory = tempfile::tempdir().expect("temporary directory");
    let program = directory.path().join("credentials.sh");
    let json = r#"{"Version":1,"AccessKeyId":"AKIAFROMPROCESS00000","SecretAccessKey":"s"}"#;
    std::fs::write(&program, format!("#!/bin/sh\necho '{json}'\n")).expect("writes");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let file = directory.path().join("credentials");
    let text = format!(
        "[seal]\ncredential_process = {}\n[keys]\naws_access_key_id = AKIAINFILE0000000000\naws_secret_access_key = s\n",
        program.display()
    );
    std::fs::write(&file, text).expect("writes");
    let stanza = |profile: &'static str| {
        [
            ("access_key", ""),
            ("secret_key", ""),
            ("shared_creds_filename", file.to_str().expect("UTF-8")),
            ("shared_creds_profile", profile),
        ]
    };
    open(&fake, &stanza("seal"))
        .await
        .encrypt(b"x", b"")
        .await
        .expect("encrypts");
    open(&fake, &stanza("keys"))
        .await
        .encrypt(b"x", b"")
        .await
        .expect("encrypts");
    assert_eq!(
        signers(&fake),
        ["AKIAFROMPROCESS00000", "AKIAINFILE0000000000"]
    );
    let text = refusal(&fake, &stanza("missing")).await.to_string();
    assert!(text.contains("profile"), "{text}");
}

#[tokio::test]
async fn without_credentials_the_start_fails_fast_and_says_what_was_tried() {
    let fake = FakeAws::start().await;
    let mut parsed = config(&fake, &[("access_key", ""), ("secret_key", "")]);
    parsed.credentials.sources.clear();
    let error = seal(parsed, quick()).await.expect_err("refused");
    assert_eq!(error.class(), Class::Credentials);
    assert!(
        error.to_string().contains("no valid providers in chain"),
        "{error}"
    );
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn expired_credentials_are_told_apart_and_tried_once_more() {
    let fake = FakeAws::start().await;
    let error = refusal(&fake, &[("access_key", EXPIRED_ACCESS_KEY)]).await;
    assert_eq!(error.class(), Class::Credentials);
    assert_eq!(fake.take_operations(), ["DescribeKey", "DescribeKey"]);
}

#[derive(Debug)]
struct Elsewhere;

#[async_trait]
impl CredentialSource for Elsewhere {
    fn describe(&self) -> &'static str {
        "a test"
    }

    async fn credentials(&self) -> Result<TemporaryCredentials, Error> {
        let secret = |text: &str| Secret::new(text.to_owned());
        Ok(TemporaryCredentials {
            access_key: secret("ASIAFROMELSEWHERE000"),
            secret_key: secret("s"),
            session_token: secret("t"),
            expires: jiff::Timestamp::now() + Duration::from_secs(3600),
        })
    }
}

#[tokio::test]
async fn credentials_may_come_from_another_part_of_landfast() {
    let fake = FakeAws::start().await;
    let mut parsed = config(&fake, &[]);
    parsed.credentials = CredentialPlan {
        sources: vec![Source::External(Arc::new(Elsewhere))],
        assume: None,
    };
    let seal = seal(parsed, quick()).await.expect("opens");
    seal.encrypt(b"x", b"").await.expect("encrypts");
    assert_eq!(signers(&fake), ["ASIAFROMELSEWHERE000"]);
    let (origin, expires) = seal
        .key()
        .session()
        .credentials_origin()
        .await
        .expect("used");
    assert_eq!((origin, expires.is_some()), ("a test", true));
}
