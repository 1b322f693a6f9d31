//! The AWS KMS wrapper against a stand-in: calls, faults, credentials, Regions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, signature};
use base64::Engine;
use landfast_unseal::keys::aws::{AwsConfig, AwsKms, AwsSigner, Session, seal};
use landfast_unseal::{
    Blob, BlobInfo, Class, Context, Digest, Envelope, Environment, Error, KeyEncryptionKey,
    KmsSigner, Limits, ParseOptions, SigningScheme,
};

#[path = "aws/credentials.rs"]
mod credentials;
#[path = "support/fake_aws.rs"]
mod fake_aws;
#[path = "aws/network.rs"]
mod network;

use fake_aws::{ACCESS_KEY, FakeAws, Fault, MULTI_REGION_KEY, OTHER_KEY, REGION, UNSEAL_KEY, arn};

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
async fn passing_faults_are_retried_within_the_limits() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Error("KMSInternalException", 500),
        Fault::Error("KeyUnavailableException", 400),
        Fault::Error("DependencyTimeoutException", 503),
        Fault::Reset,
        Fault::Hang,
    ] {
        fake.take_operations();
        fake.fail("Encrypt", fault.clone(), 2);
        seal.encrypt(b"x", b"")
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(fake.take_operations().len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn lasting_faults_end_in_bounded_time_with_their_class() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    let blob = seal.encrypt(b"x", b"").await.expect("encrypts");
    for (fault, class, attempts) in [
        (
            Fault::Error("ThrottlingException", 400),
            Class::Throttled,
            4,
        ),
        (Fault::Error("KMSInternalException", 500), Class::Outage, 4),
        (
            Fault::Error("AccessDeniedException", 400),
            Class::Refused,
            1,
        ),
        (Fault::Error("DisabledException", 400), Class::Refused, 1),
        (
            Fault::Error("KMSInvalidStateException", 400),
            Class::Refused,
            1,
        ),
        (Fault::Error("NotFoundException", 400), Class::Refused, 1),
        (
            Fault::Error("InvalidCiphertextException", 400),
            Class::Data,
            1,
        ),
        (Fault::Error("IncorrectKeyException", 400), Class::Data, 1),
        (Fault::Hang, Class::Outage, 4),
        (Fault::Reset, Class::Outage, 4),
        (Fault::Garbage, Class::Outage, 4),
    ] {
        fake.take_operations();
        fake.fail("Decrypt", fault.clone(), usize::MAX);
        let began = Instant::now();
        let error = seal.decrypt(&blob, b"").await.expect_err("fails");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        assert_eq!(error.class(), class, "{fault:?}: {error}");
        assert!(fake.take_operations().len() <= attempts, "{fault:?}");
        fake.heal();
    }
    assert!(seal.decrypt(&blob, b"").await.is_ok(), "recovers by itself");
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

#[tokio::test]
async fn the_start_survives_an_outage_and_a_missing_look_up_permission() {
    let fake = FakeAws::start().await;
    let blob = open(&fake, &[])
        .await
        .encrypt(b"x", b"")
        .await
        .expect("encrypts");
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Hang,
        Fault::Reset,
    ] {
        fake.fail("DescribeKey", fault, usize::MAX);
        let seal = open(&fake, &[]).await;
        assert_eq!(seal.key_id(), "alias/bao-unseal");
        assert_eq!(
            seal.decrypt(&blob, b"").await.expect("opens").expose(),
            b"x"
        );
        assert!(
            refusal(&fake, &[("start_without_kms", "false")])
                .await
                .class()
                .is_transient()
        );
        fake.heal();
    }
    fake.deny(ACCESS_KEY, "DescribeKey");
    assert!(open(&fake, &[]).await.decrypt(&blob, b"").await.is_ok());
    fake.heal();

    fake.take_operations();
    let blind = open(&fake, &[("key_not_required", "1"), ("kms_key_id", "")]).await;
    assert_eq!(fake.take_operations(), [""; 0]);
    assert!(blind.decrypt(&blob, b"").await.is_ok());
    assert!(
        blind
            .encrypt(b"x", b"")
            .await
            .expect_err("no key")
            .to_string()
            .contains("kms_key_id")
    );
}

#[tokio::test]
async fn an_unreachable_service_does_not_keep_the_server_down() {
    let fake = FakeAws::start().await;
    fake.stop();
    tokio::task::yield_now().await;
    let began = Instant::now();
    let seal = open(&fake, &[]).await;
    assert!(began.elapsed() < Duration::from_secs(3));
    let error = seal.encrypt(b"x", b"").await.expect_err("down");
    assert_eq!(error.class(), Class::Outage);
    assert!(error.to_string().contains("connection failed"), "{error}");
}

#[tokio::test]
async fn another_region_decrypts_while_the_first_is_out() {
    let fake = FakeAws::start().await;
    let fallbacks = format!("eu-west-1={url},us-east-1={url}", url = fake.url());
    let multi = [
        ("kms_key_id", MULTI_REGION_KEY),
        ("fallback_regions", fallbacks.as_str()),
    ];
    let seal = open(&fake, &[&multi[..], &[("strict_key", "true")]].concat()).await;
    let blob = seal.encrypt(b"x", b"").await.expect("encrypts");
    fake.fail_in(
        REGION,
        "Decrypt",
        Fault::Error("KMSInternalException", 500),
        usize::MAX,
    );
    fake.fail_in("eu-west-1", "Decrypt", Fault::Hang, usize::MAX);
    assert_eq!(
        seal.decrypt(&blob, b"")
            .await
            .expect("us-east-1 opens")
            .expose(),
        b"x"
    );
    let last = fake.calls().pop().expect("a call");
    assert_eq!(
        (last.region.as_str(), last.key_id),
        ("us-east-1", Some(arn("us-east-1", MULTI_REGION_KEY)))
    );

    // Encrypt stays at home, so that the key id does not wander, and a refusal is no outage.
    fake.fail_in(
        REGION,
        "Encrypt",
        Fault::Error("KMSInternalException", 500),
        usize::MAX,
    );
    assert_eq!(
        seal.encrypt(b"x", b"").await.expect_err("out").class(),
        Class::Outage
    );
    fake.heal();
    let other = seal.encrypt(b"y", b"").await.expect("encrypts");
    fake.take_operations();
    fake.set_state(MULTI_REGION_KEY, "Disabled");
    assert!(
        seal.decrypt(&other, b"")
            .await
            .expect_err("disabled")
            .to_string()
            .contains("DisabledException")
    );
    assert_eq!(fake.take_operations(), ["Decrypt"]);
    // What was opened a moment ago opens without asking, but only with the same additional data.
    assert_eq!(
        seal.decrypt(&blob, b"").await.expect("remembered").expose(),
        b"x"
    );
    assert!(seal.decrypt(&blob, b"other").await.is_err());
    assert_eq!(fake.take_operations(), [""; 0]);
}

#[tokio::test]
async fn signatures_of_every_kind_verify() {
    let fake = FakeAws::start().await;
    // The stand-in's code for ML-DSA is slow where nothing is optimised.
    let session = Arc::new(
        Session::open(config(&fake, &[]), Limits::default())
            .await
            .expect("opens"),
    );
    let message = vec![b'x'; 10_000];
    use signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
        RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    };
    let cases: [(
        &str,
        SigningScheme,
        &'static dyn signature::VerificationAlgorithm,
    ); 5] = [
        (
            "alias/ca-p256",
            SigningScheme::Ecdsa(Digest::Sha256),
            &ECDSA_P256_SHA256_ASN1,
        ),
        (
            "alias/ca-p384",
            SigningScheme::Ecdsa(Digest::Sha384),
            &ECDSA_P384_SHA384_ASN1,
        ),
        (
            "alias/ca-p521",
            SigningScheme::Ecdsa(Digest::Sha512),
            &ECDSA_P521_SHA512_ASN1,
        ),
        (
            "alias/ca-rsa",
            SigningScheme::RsaPkcs1(Digest::Sha256),
            &RSA_PKCS1_2048_8192_SHA256,
        ),
        (
            "alias/ca-rsa",
            SigningScheme::RsaPss(Digest::Sha384),
            &RSA_PSS_2048_8192_SHA384,
        ),
    ];
    for (alias, scheme, verifier) in cases {
        let key = config(&fake, &[("kms_key_id", alias)]).key.expect("a key");
        let signer = AwsSigner::open(session.clone(), &key).await.expect(alias);
        fake.take_operations();
        let hash = match scheme.digest().expect("a digest") {
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        };
        let digest = digest::digest(hash, &message);
        let made = signer
            .sign_digest(scheme, digest.as_ref())
            .await
            .expect(alias);
        assert_eq!(fake.take_operations(), ["Sign"]);
        let public = signature::ParsedPublicKey::new(verifier, signer.public_key_der())
            .expect("a public key");
        public.verify_sig(&message, &made).expect("verifies");
        assert!(
            signer
                .sign_digest(scheme, &digest.as_ref()[1..])
                .await
                .is_err()
        );
    }
    let p256 = config(&fake, &[("kms_key_id", "alias/ca-p256")])
        .key
        .expect("a key");
    let p256 = AwsSigner::open(session.clone(), &p256)
        .await
        .expect("opens");
    assert!(
        p256.sign_digest(SigningScheme::Ecdsa(Digest::Sha384), &[0; 48])
            .await
            .is_err()
    );
    // An ML-DSA key signs the representative of a message and no digest.
    let ml_dsa = config(&fake, &[("kms_key_id", "alias/ca-mldsa")])
        .key
        .expect("a key");
    let ml_dsa = AwsSigner::open(session.clone(), &ml_dsa)
        .await
        .expect("opens");
    assert_eq!(ml_dsa.schemes(), [SigningScheme::MlDsa]);
    fake.take_operations();
    let made = ml_dsa.sign_digest(SigningScheme::MlDsa, &[7; 64]).await;
    assert_eq!(made.expect("signs").len(), 3309);
    let calls = fake.calls();
    assert_eq!(calls[0].parameters["MessageType"], "EXTERNAL_MU");
    for (scheme, octets) in [
        (SigningScheme::MlDsa, 63),
        (SigningScheme::MlDsa, 32),
        (SigningScheme::RsaPss(Digest::Sha512), 64),
    ] {
        let refused = ml_dsa.sign_digest(scheme, &vec![7; octets]).await;
        assert!(refused.is_err(), "{scheme:?} {octets}");
    }
    assert_eq!(fake.take_operations(), ["Sign"]);
    let symmetric = config(&fake, &[]).key.expect("a key");
    assert!(AwsSigner::open(session, &symmetric).await.is_err());
}

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
