use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::keys::key::WrappedKey;

const BLOBS: &str = include_str!("../../tests/data/awskms-blobs.json");
const KEYS: &str = include_str!("../../tests/data/kms-keys.json");
const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/56a8845f-5459-443d-a710-41dc72237c19";

/// Opens and makes ciphertexts of the stand-in that the vectors were recorded with: key id, nonce, tag, ciphertext.
#[derive(Debug)]
struct RecordedKms {
    id: String,
    material: Secret<Vec<u8>>,
    calls: Mutex<Vec<Option<String>>>,
}

impl RecordedKms {
    fn new() -> Self {
        let keys: Value = serde_json::from_str(KEYS).expect("vector file");
        let material = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            keys[0]["material"].as_str().expect("material"),
        );
        Self {
            id: keys[0]["id"].as_str().expect("id").into(),
            material: Secret::new(material.expect("base64")),
            calls: Mutex::default(),
        }
    }

    fn seal(self) -> Envelope<Self> {
        Envelope::new(Arc::new(self), "awskms", BTreeMap::new())
    }
}

#[async_trait]
impl KeyEncryptionKey for RecordedKms {
    fn key_id(&self) -> String {
        ARN.into()
    }

    async fn wrap(&self, key: &[u8], context: &Context) -> Result<WrappedKey, Error> {
        assert!(context.is_empty(), "seal blobs carry no encryption context");
        let nonce = crypto::random_nonce()?;
        let sealed = crypto::seal(&self.material, nonce, key, b"")?;
        let (ciphertext, tag) = sealed.split_at(sealed.len() - crypto::TAG_LEN);
        Ok(WrappedKey {
            key_id: ARN.into(),
            ciphertext: [self.id.as_bytes(), &nonce, tag, ciphertext].concat(),
        })
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &Context,
        pin: Option<&str>,
    ) -> Result<Secret<Vec<u8>>, Error> {
        assert!(context.is_empty(), "seal blobs carry no encryption context");
        self.calls
            .lock()
            .expect("no panic under the lock")
            .push(pin.map(str::to_owned));
        let body = wrapped
            .strip_prefix(self.id.as_bytes())
            .filter(|body| body.len() >= 28);
        let body = body.ok_or(Error::Blob("not a ciphertext of this key"))?;
        crypto::open(
            &self.material,
            &[&body[..12], &body[28..], &body[12..28]].concat(),
            b"",
        )
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("runtime")
        .block_on(future)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

fn blob(name_part: &str) -> BlobInfo {
    let vectors: Value = serde_json::from_str(BLOBS).expect("vector file");
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases
        .iter()
        .find(|case| case["name"].as_str().expect("name").contains(name_part));
    BlobInfo::from_bytes(&unhex(case.expect("case")["blob"].as_str().expect("blob")))
        .expect("decodes")
}

#[tokio::test]
async fn every_recorded_blob_opens_or_fails_as_it_should() {
    let vectors: Value = serde_json::from_str(BLOBS).expect("vector file");
    let seal = RecordedKms::new().seal();
    for case in vectors["cases"].as_array().expect("cases") {
        let name = case["name"].as_str().expect("name");
        let bytes = unhex(case["blob"].as_str().expect("blob"));
        let blob = BlobInfo::from_bytes(&bytes).expect(name);
        let opened = seal.decrypt(&blob, b"").await;
        match (case["want"].as_str(), case["error"].as_str()) {
            (Some(want), _) => assert_eq!(*opened.expect(name).expose(), unhex(want), "{name}"),
            (None, Some(error)) => {
                let error = error
                    .trim_start_matches("contains '")
                    .trim_end_matches('\'');
                let text = opened.expect_err(name).to_string();
                assert!(text.contains(error), "{name}: {text}");
            }
            // A blob of a real server: its plaintext is a recovery key of 32 bytes.
            (None, None) => assert_eq!(opened.expect(name).expose().len(), 32, "{name}"),
        }
    }
}

#[tokio::test]
async fn recorded_envelopes_are_written_back_byte_for_byte() {
    for name in ["split iv", "written by 2.6.2"] {
        let blob = blob(name);
        assert_eq!(
            BlobInfo::from_bytes(&blob.to_bytes()).expect("decodes"),
            blob
        );
        let vectors: Value = serde_json::from_str(BLOBS).expect("vector file");
        let hex: String = blob
            .to_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let cases = vectors["cases"].as_array().expect("cases");
        assert!(
            cases.iter().any(|case| case["blob"] == hex.as_str()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_fresh_blob_has_the_old_layout() {
    let seal = RecordedKms::new().seal();
    let blob = seal.encrypt(&[7; 32], b"").await.expect("encrypts");
    let info = blob.key_info.as_ref().expect("key info");
    assert_eq!((info.mechanism, info.key_id.as_str()), (ENVELOPE, ARN));
    assert_eq!(
        (blob.ciphertext.len(), blob.iv.len(), info.wrapped_key.len()),
        (48, 12, 96)
    );
    // As long as the recovery key blob that 2.6.2 writes with the same stand-in.
    assert_eq!(blob.to_bytes().len(), 247);
    assert_eq!(
        seal.decrypt(&blob, b"").await.expect("decrypts").expose(),
        &[7; 32]
    );
}

#[tokio::test]
async fn empty_plaintext_is_legal() {
    let seal = RecordedKms::new().seal();
    let blob = seal.encrypt(b"", b"").await.expect("encrypts");
    assert!(
        seal.decrypt(&blob, b"")
            .await
            .expect("decrypts")
            .expose()
            .is_empty()
    );
}

#[tokio::test]
async fn additional_data_binds() {
    let seal = RecordedKms::new().seal();
    let blob = seal.encrypt(b"x", b"mount").await.expect("encrypts");
    let error = seal
        .decrypt(&blob, b"")
        .await
        .expect_err("other additional data");
    assert_eq!(
        error.to_string(),
        "error decrypting data: cipher: message authentication failed"
    );
}

#[tokio::test]
async fn what_cannot_be_ours_never_reaches_the_key_service() {
    let seal = RecordedKms::new().seal();
    let good = blob("split iv");
    let info = |change: fn(&mut KeyInfo)| {
        let mut blob = good.clone();
        change(blob.key_info.as_mut().expect("key info"));
        blob
    };
    let transit = BlobInfo {
        ciphertext: b"vault:v1:AAAA".to_vec(),
        ..BlobInfo::default()
    };
    let cases = [
        ("transit", transit),
        ("empty", BlobInfo::default()),
        ("no wrapped key", info(|info| info.wrapped_key.clear())),
        ("mechanism", info(|info| info.mechanism = 2)),
        (
            "short",
            BlobInfo {
                ciphertext: vec![0; 10],
                ..good.clone()
            },
        ),
    ];
    for (name, blob) in cases {
        let error = seal.decrypt(&blob, b"").await.expect_err(name);
        assert_eq!(error.class(), crate::Class::Data, "{name}");
    }
    assert!(seal.key().calls.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn strict_key_pins_to_the_key_that_the_blob_names() {
    let blob = blob("split iv");
    let open = RecordedKms::new().seal();
    open.decrypt(&blob, b"").await.expect("decrypts");
    assert_eq!(*open.key().calls.lock().expect("lock"), [None]);

    let strict = RecordedKms::new().seal().strict_key(true);
    strict.decrypt(&blob, b"").await.expect("decrypts");
    let mut nameless = blob;
    nameless.key_info.as_mut().expect("key info").key_id.clear();
    assert!(matches!(
        strict.decrypt(&nameless, b"").await,
        Err(Error::Blob(_))
    ));
    assert_eq!(
        *strict.key().calls.lock().expect("lock"),
        [Some(ARN.to_owned())]
    );
}

proptest! {
    #[test]
    fn any_plaintext_comes_back(plaintext: Vec<u8>, aad: Vec<u8>) {
        let seal = RecordedKms::new().seal();
        let blob = block_on(seal.encrypt(&plaintext, &aad)).expect("encrypts");
        let opened = block_on(seal.decrypt(&blob, &aad)).expect("decrypts");
        prop_assert_eq!(opened.expose(), &plaintext);
    }

    #[test]
    fn a_changed_byte_never_opens(at in 0usize..247, bit in 0u8..8) {
        let seal = RecordedKms::new().seal();
        let mut bytes = block_on(seal.encrypt(&[9; 32], b"")).expect("encrypts").to_bytes();
        let key_name_and_tags = BlobInfo::from_bytes(&bytes).expect("decodes");
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = BlobInfo::from_bytes(&bytes) {
            let same_secret_parts = changed.ciphertext == key_name_and_tags.ciphertext
                && changed.iv == key_name_and_tags.iv
                && changed.mechanism() == key_name_and_tags.mechanism()
                && changed.key_info.as_ref().map(|i| &i.wrapped_key)
                    == key_name_and_tags.key_info.as_ref().map(|i| &i.wrapped_key);
            // The key's name is not authenticated: it is a hint for the server.
            prop_assert_eq!(block_on(seal.decrypt(&changed, b"")).is_ok(), same_secret_parts);
        }
    }
}
