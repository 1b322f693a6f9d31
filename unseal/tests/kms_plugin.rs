//! The KMS plugin as OpenBao drives it: seals and External Keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use landfast_sdk::kms::{
    Error, Hash, Kms, KmsOptions, Plugin, SaltLength, SignInput, SignOptions, WrapperOptions,
};
use landfast_unseal::keys::local::LocalKey;
use landfast_unseal::kms_plugin::{KmsPlugin, SHARE_IDENTITY};
use landfast_unseal::{Blob, Environment, Limits};
use serde_json::{Map, Value, json};

#[path = "support/fake_aws.rs"]
mod fake_aws;

use fake_aws::{ACCESS_KEY, FakeAws, REGION, UNSEAL_KEY, arn};

fn plugin(environment: &[(&str, &str)]) -> KmsPlugin {
    let environment: Environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    KmsPlugin::new(environment).limits(Limits {
        attempt: Duration::from_millis(400),
        call: Duration::from_millis(1500),
        attempts: 4,
        pause: Duration::from_millis(10),
    })
}

fn stanza(fake: &FakeAws, changes: &[(&str, &str)]) -> WrapperOptions {
    let url = fake.url();
    let base = [
        ("kms_key_id", "alias/bao-unseal"),
        ("region", REGION),
        ("endpoint", url.as_str()),
        ("access_key", ACCESS_KEY),
        ("secret_key", "secret"),
    ];
    let pairs = base.into_iter().chain(changes.iter().copied());
    let config: HashMap<String, String> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    WrapperOptions {
        config,
        allow_environment: true,
        ..WrapperOptions::default()
    }
}

fn external(fake: &FakeAws, changes: &[(&str, Value)]) -> KmsOptions {
    let mut config = Map::new();
    config.insert("endpoint".into(), json!(fake.url()));
    config.insert("region".into(), json!(REGION));
    config.insert("access_key".into(), json!(ACCESS_KEY));
    config.insert("secret_key".into(), json!("secret"));
    config.extend(
        changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    KmsOptions {
        config,
        allow_environment: false,
    }
}

async fn opened(fake: &FakeAws) -> Arc<dyn Kms> {
    plugin(&[]).open(external(fake, &[])).await.expect("opens")
}

fn key(name: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), json!(name))])
}

fn text<T>(result: Result<T, Error>) -> String {
    result.err().expect("must be refused").to_string()
}

fn input<'a>(data: &'a [u8], options: SignOptions<'a>) -> SignInput<'a> {
    SignInput {
        data,
        prehashed: false,
        hash: Some(Hash::Sha256),
        options,
    }
}

#[tokio::test]
async fn a_seal_stanza_becomes_a_wrapper() {
    let fake = FakeAws::start().await;
    let made = plugin(&[])
        .wrapper(stanza(&fake, &[]))
        .await
        .expect("a wrapper");
    assert_eq!(made.metadata["key_id"], "alias/bao-unseal");
    let (wrapper, none) = (made.wrapper, WrapperOptions::default());
    assert_eq!(wrapper.kind(), "awskms");
    let blob = wrapper.encrypt(b"root key", &none).await.expect("encrypts");
    assert_eq!(
        blob.key_info.as_ref().expect("key info").key_id,
        arn(REGION, UNSEAL_KEY)
    );
    assert_eq!(
        wrapper.key_id().await.expect("a key"),
        arn(REGION, UNSEAL_KEY)
    );
    assert_eq!(
        *wrapper.decrypt(&blob, &none).await.expect("decrypts"),
        b"root key"
    );
    let aad = WrapperOptions {
        aad: b"other".to_vec(),
        ..WrapperOptions::default()
    };
    assert!(text(wrapper.decrypt(&blob, &aad).await).contains("message authentication failed"));
}

#[tokio::test]
async fn stanza_mistakes_reach_the_operator_in_the_old_words() {
    let fake = FakeAws::start().await;
    let refused =
        async |changes: &[(&str, &str)]| text(plugin(&[]).wrapper(stanza(&fake, changes)).await);
    assert!(
        refused(&[("secret_key", "")])
            .await
            .starts_with("static AWS client credentials")
    );
    assert!(
        refused(&[("kms_key_id", "")])
            .await
            .starts_with("key id not found in env or config")
    );
    assert!(
        refused(&[("kms_key_id", "alias/none")])
            .await
            .starts_with("error fetching AWS KMS wrapping key information: ")
    );
    assert!(
        fake.calls()
            .iter()
            .all(|call| call.key_id.as_deref() == Some("alias/none")),
        "only the last one calls"
    );
}

#[tokio::test]
async fn the_environment_counts_only_where_the_host_allows_it() {
    let fake = FakeAws::start().await;
    let plugin = plugin(&[("AWSKMS_WRAPPER_KEY_ID", "alias/bao-unseal-2")]);
    let made = plugin.wrapper(stanza(&fake, &[])).await.expect("a wrapper");
    assert_eq!(made.metadata["key_id"], "alias/bao-unseal-2");
    let closed = WrapperOptions {
        allow_environment: false,
        ..stanza(&fake, &[])
    };
    let made = plugin.wrapper(closed).await.expect("a wrapper");
    assert_eq!(made.metadata["key_id"], "alias/bao-unseal");
}

#[tokio::test]
async fn a_key_file_serves_a_laptop() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("key");
    LocalKey::create(&path).expect("creates");
    let local = |more: &[(&str, &str)]| {
        let pairs = [("local_key_file", path.to_str().expect("UTF-8"))]
            .into_iter()
            .chain(more.iter().copied());
        let config = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        WrapperOptions {
            config,
            ..WrapperOptions::default()
        }
    };
    let wrapper = plugin(&[])
        .wrapper(local(&[]))
        .await
        .expect("a wrapper")
        .wrapper;
    let none = WrapperOptions::default();
    let blob = wrapper.encrypt(b"x", &none).await.expect("encrypts");
    assert_eq!(
        (wrapper.kind(), wrapper.key_id().await.expect("a key")),
        (
            "landfast-local",
            blob.key_info.clone().expect("key info").key_id
        )
    );
    assert_eq!(
        *wrapper.decrypt(&blob, &none).await.expect("decrypts"),
        b"x"
    );
    assert!(
        text(
            plugin(&[])
                .wrapper(local(&[("region", "eu-central-1")]))
                .await
        )
        .contains("region")
    );
}

#[tokio::test]
async fn external_keys_sign_and_verify_without_asking_again_for_the_key() {
    let fake = FakeAws::start().await;
    let session = opened(&fake).await;
    let message = vec![b'm'; 20_000];
    for (name, options) in [
        ("alias/ca-p256", SignOptions::None),
        ("alias/ca-p256", SignOptions::Pss(SaltLength::Auto)),
        ("alias/ca-rsa", SignOptions::None),
        ("alias/ca-rsa", SignOptions::Pss(SaltLength::Hash)),
    ] {
        session.key(key(name)).await.expect(name);
        fake.take_operations();
        let found = session.key(key(name)).await.expect(name);
        assert!(
            !found
                .export_public()
                .await
                .expect("a public key")
                .is_empty()
        );
        let signature = found.sign(input(&message, options)).await.expect("signs");
        found
            .verify(input(&message, options), &signature)
            .await
            .expect("verifies");
        assert!(matches!(
            found.verify(input(b"other", options), &signature).await,
            Err(Error::InvalidSignature)
        ));
        assert!(matches!(
            found.verify(input(&message, options), b"").await,
            Err(Error::InvalidSignature)
        ));
        assert_eq!(fake.take_operations(), ["Sign"], "{name}");
        assert!(text(found.encrypt(b"x", b"").await).contains("cannot encrypt"));
    }
}

#[tokio::test]
async fn external_keys_encrypt_but_do_not_open_the_blobs_of_a_seal() {
    let fake = FakeAws::start().await;
    let found = opened(&fake)
        .await
        .key(key("alias/bao-unseal"))
        .await
        .expect("a key");
    let large = vec![7; 100_000];
    let sealed = found.encrypt(&large, b"aad").await.expect("encrypts");
    assert_eq!(
        *found.decrypt(&sealed, b"aad").await.expect("decrypts"),
        large
    );
    assert!(text(found.decrypt(&sealed, b"").await).contains("authentication failed"));
    assert!(found.decrypt(b"nonsense", b"").await.is_err());
    assert!(text(found.sign(input(b"x", SignOptions::None)).await).contains("cannot sign"));

    let seal = plugin(&[])
        .wrapper(stanza(&fake, &[]))
        .await
        .expect("a wrapper")
        .wrapper;
    let blob = seal
        .encrypt(b"root key", &WrapperOptions::default())
        .await
        .expect("encrypts");
    let info = blob.key_info.expect("key info");
    let stolen = landfast_unseal::BlobInfo {
        ciphertext: blob.ciphertext,
        iv: blob.iv,
        key_info: Some(landfast_unseal::blob::KeyInfo {
            mechanism: info.mechanism,
            key_id: info.key_id,
            wrapped_key: info.wrapped_key,
        }),
    };
    assert!(
        text(found.decrypt(&stolen.to_bytes(), b"").await).contains("InvalidCiphertextException")
    );
}

#[tokio::test]
async fn external_configurations_bring_their_own_credentials() {
    let fake = FakeAws::start().await;
    let ambient = [
        ("AWS_ACCESS_KEY_ID", "AKIASERVER"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let bare = |more: &[(&str, Value)]| {
        let mut options = external(&fake, &[]);
        for name in ["access_key", "secret_key", "endpoint"] {
            options.config.remove(name);
        }
        options.config.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        options
    };
    let refused = text(plugin(&ambient).open(bare(&[])).await);
    assert!(
        refused.contains("credentials must be configured")
            && refused.contains("use_server_identity")
            && !refused.contains("web_identity"),
        "names what exists here: {refused}"
    );
    let own = [("use_server_identity", json!(true))];
    assert!(text(plugin(&ambient).open(bare(&own)).await).contains(SHARE_IDENTITY));
    let url = fake.url();
    let shared = [
        ambient[0],
        ambient[1],
        (SHARE_IDENTITY, "true"),
        ("AWS_KMS_ENDPOINT", url.as_str()),
    ];
    let session = plugin(&shared)
        .open(bare(&own))
        .await
        .expect("lent by the operator");
    session.key(key("alias/ca-p256")).await.expect("a key");
    assert!(
        fake.calls()
            .iter()
            .all(|call| call.access_key == "AKIASERVER")
    );
}

#[tokio::test]
async fn mistakes_in_external_configurations_are_named() {
    let fake = FakeAws::start().await;
    for (name, value, part) in [
        ("acces_key", json!("x"), "did you mean \"access_key\"?"),
        ("aws_region", json!("x"), "did you mean \"region\"?"),
        ("zzz", json!("x"), "unknown key \"zzz\"; known are"),
        ("region", json!(5), "region must be a text"),
        ("region", json!("Nowhere!"), "not the name of a Region"),
        ("secret_key", json!("file:///etc/passwd"), "secret_key"),
    ] {
        let refused = text(plugin(&[]).open(external(&fake, &[(name, value)])).await);
        assert!(refused.contains(part), "{refused}");
    }
    let session = opened(&fake).await;
    for config in [
        json!({}),
        json!({"name": 5}),
        json!({"name": "alias/ca-p256", "version": 1}),
    ] {
        let refused = text(
            session
                .key(config.as_object().expect("an object").clone())
                .await,
        );
        assert!(refused.contains("give the key's name"), "{refused}");
    }
    assert!(fake.calls().is_empty());
    assert!(text(session.key(key("alias/none")).await).contains("NotFoundException"));
    let sensitive = plugin(&[]).sensitive_fields();
    assert!(
        sensitive.kms.contains(&"secret_key".to_owned())
            && sensitive.kms.contains(&"session_token".to_owned())
    );
}
