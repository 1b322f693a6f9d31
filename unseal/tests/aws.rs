//! The AWS KMS wrapper against a stand-in: calls, faults, credentials, Regions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, signature};
use base64::Engine;
use landfast_unseal::keys::aws::{AwsConfig, AwsKms, Session, seal};
use landfast_unseal::{
    Blob, BlobInfo, Class, Context, Envelope, Environment, Error, KeyEncryptionKey, Limits,
    ParseOptions,
};

#[path = "aws/credentials.rs"]
mod credentials;
#[path = "aws/dry_runs.rs"]
mod dry_runs;
#[path = "support/fake_aws.rs"]
mod fake_aws;
#[path = "aws/ml_dsa.rs"]
mod ml_dsa_keys;
#[path = "aws/network.rs"]
mod network;
#[path = "aws/outages.rs"]
mod outages;
#[path = "aws/signing.rs"]
mod signing;

use fake_aws::{ACCESS_KEY, FakeAws, OTHER_KEY, REGION, UNSEAL_KEY, arn};

const ROLE: &str = "arn:aws:iam::123456789012:role/unseal";

fn quick() -> Limits {
    Limits {
        attempt: Duration::from_millis(400),
        call: Duration::from_millis(1500),
        attempts: 4,
        pause: Duration::from_millis(10),
    }
}

fn config(fake: &FakeAws, changes: &[(&str, &str)]) -> AwsConfig {
    let url = fake.url();
    let mut stanza: BTreeMap<String, String> = [
        ("kms_key_id", "alias/bao-unseal"),
        ("region", REGION),
        ("endpoint", url.as_str()),
        ("sts_endpoint", url.as_str()),
        ("access_key", ACCESS_KEY),
        ("secret_key", "secret"),
        ("imds", "off"),
    ]
    .into_iter()
    .chain(changes.iter().copied())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    stanza.retain(|_, value| !value.is_empty());
    AwsConfig::parse(&stanza, &Environment::empty(), &ParseOptions::default())
        .expect("a good stanza")
}

async fn open(fake: &FakeAws, changes: &[(&str, &str)]) -> Envelope<AwsKms> {
    seal(config(fake, changes), quick()).await.expect("opens")
}

async fn refusal(fake: &FakeAws, changes: &[(&str, &str)]) -> Error {
    seal(config(fake, changes), quick())
        .await
        .expect_err("must be refused")
}

/// Access keys that signed calls to KMS.
fn signers(fake: &FakeAws) -> Vec<String> {
    let calls = fake
        .calls()
        .into_iter()
        .filter(|call| call.operation == "Encrypt");
    calls.map(|call| call.access_key).collect()
}

#[tokio::test]
async fn an_unseal_costs_one_look_up_and_one_call_each() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    assert_eq!(fake.take_operations(), ["DescribeKey"]);
    assert_eq!(seal.kind(), "awskms");
    let expected = [
        ("endpoint", fake.url()),
        ("key_id", "alias/bao-unseal".into()),
        ("region", REGION.into()),
    ];
    assert_eq!(
        seal.metadata(),
        expected
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    );

    let blob = seal.encrypt(b"root key", b"").await.expect("encrypts");
    assert_eq!(blob.key_id(), Some(arn(REGION, UNSEAL_KEY).as_str()));
    assert_eq!(seal.key_id(), arn(REGION, UNSEAL_KEY));
    assert_eq!(
        seal.decrypt(&blob, b"").await.expect("decrypts").expose(),
        b"root key"
    );
    let calls: Vec<_> = fake
        .calls()
        .into_iter()
        .filter(|call| call.operation != "GetCallerIdentity")
        .collect();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[0].operation.as_str(), calls[0].key_id.as_deref()),
        ("Encrypt", Some("alias/bao-unseal"))
    );
    assert_eq!(
        (calls[1].operation.as_str(), &calls[1].key_id),
        ("Decrypt", &None)
    );
    // Nothing but what the old wrapper sent.
    let names = |call: &fake_aws::Call| {
        call.parameters
            .as_object()
            .expect("parameters")
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&calls[0]), ["KeyId", "Plaintext"]);
    assert_eq!(names(&calls[1]), ["CiphertextBlob"]);
}

/// What other stand-ins let pass would let our mistakes pass.
#[tokio::test]
async fn the_stand_in_refuses_what_aws_refuses() {
    let fake = FakeAws::start().await;
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    let call = async |operation: &str, body: serde_json::Value| {
        let answer = client
            .post(fake.url())
            .header("x-amz-target", format!("TrentService.{operation}"))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/kms/aws4_request, Signature=0"),
            )
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        answer.json::<serde_json::Value>().await.expect("JSON")
    };
    let text = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let sealed = call(
        "Encrypt",
        serde_json::json!({"KeyId": UNSEAL_KEY, "Plaintext": text(b"root key"), "EncryptionContext": {"a": "b"}}),
    )
    .await;
    let blob = sealed["CiphertextBlob"].clone();
    let good = serde_json::json!({"CiphertextBlob": blob, "KeyId": UNSEAL_KEY, "EncryptionContext": {"a": "b"}});
    assert_eq!(
        call("Decrypt", good.clone()).await["Plaintext"],
        text(b"root key")
    );
    let with = |field: &str, value: serde_json::Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let to_sign = |length: usize, kind: &str, algorithm: &str| serde_json::json!({"KeyId": "alias/ca-p256", "Message": text(&vec![1; length]), "MessageType": kind, "SigningAlgorithm": algorithm});
    let long = serde_json::json!({"KeyId": UNSEAL_KEY, "Plaintext": text(&[0; 4097])});
    let elsewhere = arn("eu-west-1", UNSEAL_KEY);
    for (operation, body, code) in [
        (
            "Decrypt",
            with("KeyId", OTHER_KEY.into()),
            "IncorrectKeyException",
        ),
        (
            "Decrypt",
            with("KeyId", elsewhere.into()),
            "NotFoundException",
        ),
        (
            "Decrypt",
            with("EncryptionContext", serde_json::json!({})),
            "InvalidCiphertextException",
        ),
        (
            "Decrypt",
            with("CiphertextBlob", text(&[0; 96]).into()),
            "InvalidCiphertextException",
        ),
        ("Encrypt", long, "ValidationException"),
        (
            "Encrypt",
            serde_json::json!({"KeyId": "alias/ca-p256", "Plaintext": "AA=="}),
            "InvalidKeyUsageException",
        ),
        (
            "Sign",
            to_sign(31, "DIGEST", "ECDSA_SHA_256"),
            "ValidationException",
        ),
        (
            "Sign",
            to_sign(48, "DIGEST", "ECDSA_SHA_384"),
            "InvalidKeyUsageException",
        ),
        (
            "GetPublicKey",
            serde_json::json!({"KeyId": UNSEAL_KEY}),
            "UnsupportedOperationException",
        ),
        (
            "DescribeKey",
            serde_json::json!({"KeyId": "alias/none"}),
            "NotFoundException",
        ),
    ] {
        assert_eq!(
            call(operation, body.clone()).await["__type"],
            code,
            "{operation} {body}"
        );
    }
    // A digest is signed as it is, and not hashed once more.
    let hash = digest::digest(&digest::SHA256, b"message");
    let signed = call("Sign", serde_json::json!({
        "KeyId": "alias/ca-p256", "Message": text(hash.as_ref()), "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256",
    }))
    .await;
    let known = call(
        "GetPublicKey",
        serde_json::json!({"KeyId": "alias/ca-p256"}),
    )
    .await;
    let bytes = |value: &serde_json::Value| {
        let text = value.as_str().expect("a text");
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .expect("base64")
    };
    let key = bytes(&known["PublicKey"]);
    // The point is the end of a SubjectPublicKeyInfo (RFC 5480 section 2.2).
    let point = &key[key.len() - 65..];
    signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point)
        .verify(b"message", &bytes(&signed["Signature"]))
        .expect("a signature of the message");
}

#[tokio::test]
async fn recorded_blobs_open() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("data/awskms-blobs.json")).expect("vector file");
    for case in vectors["cases"].as_array().expect("cases") {
        let hex = case["blob"].as_str().expect("blob");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
            .collect();
        let opened = seal
            .decrypt(&BlobInfo::from_bytes(&bytes).expect("decodes"), b"")
            .await;
        assert_eq!(
            opened.is_err(),
            case["error"].is_string(),
            "{}",
            case["name"]
        );
    }
}

#[tokio::test]
async fn a_moved_alias_and_a_strict_key() {
    let fake = FakeAws::start().await;
    let old = open(&fake, &[])
        .await
        .encrypt(b"x", b"")
        .await
        .expect("encrypts");
    fake.move_alias("alias/bao-unseal", OTHER_KEY);
    for strict in ["false", "true"] {
        let seal = open(&fake, &[("strict_key", strict)]).await;
        assert_eq!(seal.key_id(), arn(REGION, OTHER_KEY));
        assert_eq!(
            seal.decrypt(&old, b"")
                .await
                .expect("the old key still opens")
                .expose(),
            b"x"
        );
    }
    // A blob whose name and wrapped key do not belong together.
    let mut forged = old;
    forged.key_info.as_mut().expect("key info").key_id = arn(REGION, OTHER_KEY);
    let seal = open(&fake, &[("strict_key", "true")]).await;
    let error = seal.decrypt(&forged, b"").await.expect_err("refused");
    assert_eq!(error.class(), Class::Data);
    assert!(
        error.to_string().contains("IncorrectKeyException"),
        "{error}"
    );
    assert!(open(&fake, &[]).await.decrypt(&forged, b"").await.is_ok());
}

#[tokio::test]
async fn a_data_key_for_a_record_is_made_by_aws_and_bound_to_its_context() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    fake.take_operations();
    let context = Context::none().with("mount", "a");
    let made = seal.key().generate_data_key(&context).await.expect("makes");
    assert_eq!(fake.take_operations(), ["GenerateDataKey"]);
    assert_eq!(made.plaintext.expose().len(), 32);
    assert_eq!(made.wrapped.key_id, arn(REGION, UNSEAL_KEY));
    let open = |context| {
        let pin = Some(made.wrapped.key_id.as_str());
        seal.key().unwrap(&made.wrapped.ciphertext, context, pin)
    };
    let opened = open(&context).await.expect("opens");
    assert_eq!(opened.expose(), made.plaintext.expose());
    let elsewhere = Context::none().with("mount", "b");
    let refused = open(&elsewhere).await.expect_err("another context");
    assert_eq!(refused.class(), Class::Data);
}

#[tokio::test]
async fn context_binds_a_wrapped_key() {
    let fake = FakeAws::start().await;
    let session = Arc::new(
        Session::open(config(&fake, &[]), quick())
            .await
            .expect("opens"),
    );
    let kms = AwsKms::new(session, config(&fake, &[]).key);
    let context = Context::none().with("mount", "a").with("key", "b");
    let wrapped = kms.wrap(&[7; 32], &context).await.expect("wraps");
    assert_eq!(
        kms.unwrap(&wrapped.ciphertext, &context, Some(&wrapped.key_id))
            .await
            .expect("unwraps")
            .expose(),
        &[7; 32]
    );
    let refused = kms
        .unwrap(&wrapped.ciphertext, &Context::none(), None)
        .await
        .expect_err("refused");
    assert!(
        refused.to_string().contains("InvalidCiphertextException"),
        "{refused}"
    );
    assert_eq!(
        fake.calls()[0].context,
        BTreeMap::from([("mount".into(), "a".into()), ("key".into(), "b".into())])
    );
}

#[tokio::test]
async fn errors_name_cause_key_region_principal_and_next_step() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    seal.key().session().identify().await.expect("an identity");
    fake.deny(ACCESS_KEY, "Encrypt");
    let text = seal
        .encrypt(b"x", b"")
        .await
        .expect_err("denied")
        .to_string();
    for part in [
        "error encrypting data: Encrypt: AccessDeniedException",
        "key alias/bao-unseal",
        "region eu-central-1",
        "principal arn:aws:sts::123456789012:assumed-role/test/AKIAEXAMPLEUNSEAL000",
        "allow kms:Encrypt",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused_at_the_start() {
    let fake = FakeAws::start().await;
    for (stanza, part) in [
        (
            ("kms_key_id", "alias/none"),
            "error fetching AWS KMS wrapping key information: DescribeKey: NotFoundException",
        ),
        (
            ("kms_key_id", "alias/ca-p256"),
            "not a symmetric encryption key",
        ),
        (
            (
                "kms_key_id",
                "arn:aws:kms:us-east-1:123456789012:key/56a8845f-5459-443d-a710-41dc72237c19",
            ),
            "NotFoundException",
        ),
    ] {
        let text = refusal(&fake, &[stanza]).await.to_string();
        assert!(text.contains(part), "{text}");
    }
}
