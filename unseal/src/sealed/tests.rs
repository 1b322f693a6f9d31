use std::collections::BTreeMap;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::keys::local::LocalKey;

const PRIVATE: &[u8] =
    b"-----BEGIN EC PRIVATE KEY-----\nnot a real one\n-----END EC PRIVATE KEY-----\n";

/// Keys by their names; those that are away refuse.
#[derive(Default)]
struct Ring {
    keys: BTreeMap<String, Arc<dyn KeyEncryptionKey>>,
    away: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Keyring for Ring {
    async fn find(&self, wrap: &Wrap) -> Result<Arc<dyn KeyEncryptionKey>, Error> {
        if self.away.lock().unwrap().contains(&wrap.key_id) {
            return Err(too_late(wrap));
        }
        let known = self.keys.get(&wrap.key_id).cloned();
        known.ok_or_else(|| Error::Config(format!("{} is not known", wrap.key_id)))
    }
}

/// A ring of local keys, and the same keys in a list.
fn keys(count: usize) -> (Ring, Vec<Arc<dyn KeyEncryptionKey>>) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut ring = Ring::default();
    let mut list = Vec::new();
    for at in 0..count {
        let key = LocalKey::create(&directory.path().join(at.to_string())).expect("creates");
        let key: Arc<dyn KeyEncryptionKey> = Arc::new(key);
        ring.keys.insert(key.key_id(), key.clone());
        list.push(key);
    }
    (ring, list)
}

fn here() -> Binding {
    Binding::ca_key("mount-1", "key-1")
}

async fn sealed(keys: &[Arc<dyn KeyEncryptionKey>]) -> SealedKey {
    SealedKey::seal(keys, here(), b"public", PRIVATE)
        .await
        .expect("seals")
}

#[tokio::test]
async fn a_record_opens_after_storage_and_shows_no_private_byte() {
    let (ring, list) = keys(1);
    let text = sealed(&list).await.encode();
    assert!(SealedKey::is_record(&text), "{text}");
    assert!(!text.contains("EC PRIVATE") && !text.contains(&STANDARD.encode(&PRIVATE[..24])));
    let record = SealedKey::decode(&text).expect("decodes");
    let opened = record.open(&here(), &ring).await.expect("opens");
    assert_eq!(opened.expose(), PRIVATE);
    assert_eq!(record.public_key(), b"public");
    assert!(record.is_wrapped_by(&[list[0].key_id()]));
    assert!(!format!("{record:?}").contains(&STANDARD.encode(&record.ciphertext)));
}

#[tokio::test]
async fn a_record_opens_neither_elsewhere_nor_with_its_names_changed() {
    let (ring, list) = keys(1);
    let record = sealed(&list).await;
    for there in [
        Binding::ca_key("mount-2", "key-1"),
        Binding::ca_key("mount-1", "key-2"),
        Binding {
            purpose: "other".to_owned(),
            ..here()
        },
    ] {
        let refused = record.open(&there, &ring).await.expect_err("moved");
        assert_eq!(refused.class(), Class::Data);
        // Somebody also makes the record say that it belongs there: now the key service and the cipher refuse.
        let forged = SealedKey {
            binding: there.clone(),
            ..record.clone()
        };
        let refused = forged.open(&there, &ring).await.expect_err("forged");
        assert_eq!(refused.class(), Class::Data);
        // Even a data key that somebody wrapped anew for there does not open the ciphertext.
        let data_key = record.data_key(&here(), &ring).await.expect("opens");
        let wrap = list[0]
            .wrap(data_key.expose(), &there.context())
            .await
            .expect("wraps");
        let rewrapped = SealedKey {
            wraps: vec![wrap.into()],
            ..forged
        };
        let refused = rewrapped.open(&there, &ring).await.expect_err("rewrapped");
        assert!(matches!(refused, Error::Authentication), "{refused}");
    }
}

#[tokio::test]
async fn another_public_key_or_any_changed_byte_closes_the_record() {
    let (ring, list) = keys(1);
    let record = sealed(&list).await;
    let mut changed = vec![
        SealedKey {
            public_key: b"another".to_vec(),
            ..record.clone()
        },
        SealedKey {
            nonce: [0; NONCE_LEN],
            ..record.clone()
        },
    ];
    for at in [0, record.ciphertext.len() - 1] {
        let mut other = record.clone();
        other.ciphertext[at] ^= 1;
        changed.push(other);
    }
    for other in changed {
        let refused = other.open(&here(), &ring).await.expect_err("changed");
        assert!(matches!(refused, Error::Authentication), "{refused}");
    }
}

#[tokio::test]
async fn any_of_several_keys_opens_and_none_means_the_error_of_the_first() {
    let (ring, list) = keys(3);
    let record = sealed(&list).await;
    assert_eq!(record.wraps().len(), 3);
    let ids: Vec<_> = list.iter().map(|key| key.key_id()).collect();
    for here_only in &ids {
        *ring.away.lock().unwrap() = ids.iter().filter(|id| *id != here_only).cloned().collect();
        let opened = record.open(&here(), &ring).await.expect("opens");
        assert_eq!(opened.expose(), PRIVATE);
    }
    // One that does not open alone is found out while the key is still at hand.
    let refused = record.verify(&here(), &ring).await;
    assert_eq!(refused.expect_err("two are away").class(), Class::Outage);
    ring.away.lock().unwrap().clear();
    record.verify(&here(), &ring).await.expect("all open");
    *ring.away.lock().unwrap() = ids.iter().cloned().collect();
    let refused = record.open(&here(), &ring).await.expect_err("all away");
    assert_eq!(refused.class(), Class::Outage);
    assert!(refused.to_string().contains(&ids[0]), "{refused}");
}

#[tokio::test]
async fn rewrapping_changes_the_wraps_and_nothing_else() {
    let (ring, list) = keys(2);
    let record = sealed(&list[..1]).await;
    let moved = record
        .rewrap(&here(), &ring, &list[1..])
        .await
        .expect("rewraps");
    assert!(moved.is_wrapped_by(&[list[1].key_id()]) && !moved.is_wrapped_by(&[list[0].key_id()]));
    assert_eq!(
        (&moved.ciphertext, moved.nonce, &moved.public_key),
        (&record.ciphertext, record.nonce, &record.public_key)
    );
    *ring.away.lock().unwrap() = [list[0].key_id()].into();
    let opened = moved.open(&here(), &ring).await.expect("opens");
    assert_eq!(opened.expose(), PRIVATE);
    assert!(record.rewrap(&here(), &ring, &[]).await.is_err());
}

#[tokio::test]
async fn a_key_service_that_never_answers_does_not_hold_the_others_up() {
    #[derive(Debug)]
    struct Silent;
    #[async_trait]
    impl KeyEncryptionKey for Silent {
        fn key_id(&self) -> String {
            "silent".to_owned()
        }
        async fn wrap(&self, _: &[u8], _: &Context) -> Result<WrappedKey, Error> {
            std::future::pending().await
        }
        async fn unwrap(
            &self,
            _: &[u8],
            _: &Context,
            _: Option<&str>,
        ) -> Result<Secret<Vec<u8>>, Error> {
            std::future::pending().await
        }
    }
    let (mut ring, list) = keys(1);
    let silent: Arc<dyn KeyEncryptionKey> = Arc::new(Silent);
    ring.keys.insert("silent".to_owned(), silent.clone());
    let mut record = sealed(&list).await;
    record.wraps.insert(
        0,
        Wrap {
            key_id: "silent".to_owned(),
            region: None,
            data_key: vec![1],
        },
    );
    let opened = record.open(&here(), &ring).await.expect("the other opens");
    assert_eq!(opened.expose(), PRIVATE);
    record.wraps.truncate(1);
    let refused = record.open(&here(), &ring).await.expect_err("silent");
    assert_eq!(refused.class(), Class::Outage);
    let refused = try_out(&*silent, "mount-1").await.expect_err("silent");
    assert_eq!(refused.class(), Class::Outage);
    assert_eq!(
        try_out(&*list[0], "mount-1").await.expect("works"),
        list[0].key_id()
    );
}

#[tokio::test]
async fn records_of_later_versions_and_damaged_ones_are_told_apart() {
    let (_ring, list) = keys(1);
    let text = sealed(&list).await.encode();
    let later = text.replace("\"format\":1", "\"format\":2");
    let refused = SealedKey::decode(&later).expect_err("later").to_string();
    assert!(refused.contains("another version"), "{refused}");
    for damaged in [
        text[..text.len() - 1].to_owned(),
        text.replace("\"app\":\"landfast\"", "\"app\":\"other\""),
        text.replace("\"nonce\":\"", "\"nonce\":\"AAAA"),
        text.replace("\"public_key\":\"", "\"public_key\":\"AAAA"),
        text.replace("\"data_keys\":[{", "\"data_keys\":[],\"x\":[{"),
    ] {
        let refused = SealedKey::decode(&damaged)
            .expect_err("damaged")
            .to_string();
        assert!(refused.contains("damaged"), "{refused}");
    }
    assert!(SealedKey::decode("-----BEGIN EC PRIVATE KEY-----").is_err());
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_alike(
        names in prop::array::uniform2("[ -~]{0,40}"),
        public_key in prop::collection::vec(any::<u8>(), 0..200),
        wraps in prop::collection::vec(("[!-~]{1,90}", prop::option::of("[a-z0-9-]{1,20}"), prop::collection::vec(any::<u8>(), 0..200)), 1..=MOST_WRAPS),
        nonce in any::<[u8; NONCE_LEN]>(),
        ciphertext in prop::collection::vec(any::<u8>(), TAG_LEN + 1..400),
    ) {
        let [mount, key] = names;
        let record = SealedKey {
            binding: Binding::ca_key(mount, key),
            public_key,
            wraps: wraps.into_iter().map(|(key_id, region, data_key)| Wrap { key_id, region, data_key }).collect(),
            nonce,
            ciphertext,
        };
        prop_assert_eq!(SealedKey::decode(&record.encode()).expect("reads"), record);
    }

    #[test]
    fn no_text_ends_the_reader(text in "\\PC{0,300}") {
        let _ = SealedKey::decode(&text);
        let _ = SealedKey::decode(&format!("{START}{text}"));
    }
}
