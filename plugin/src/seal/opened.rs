//! Opened keys in memory: one attempt at a time for each key, and a pause after one that failed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use landfast_pki::PrivateKey;
use landfast_sdk::logical::Error;
use landfast_unseal::keys::Kind;
use landfast_unseal::sealed::{Binding, Keyring, SealedKey};
use landfast_unseal::{Class, process};
use tokio::time::Instant;

/// The pause after the first failure; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// A key opens again this long after its key service came back, at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// The opened keys of a mount, by id and public half: another record under an id must be opened anew.
#[derive(Default)]
pub(super) struct Opened(Mutex<Slots>);

/// By id and public half.
type Slots = HashMap<(String, Vec<u8>), Arc<Slot>>;

impl Opened {
    /// The place of one key.
    pub(super) fn slot(&self, id: &str, public_key: &[u8]) -> Arc<Slot> {
        let place = (id.to_owned(), public_key.to_vec());
        Arc::clone(self.lock().entry(place).or_default())
    }

    /// Keys in memory.
    pub(super) fn count(&self) -> usize {
        let slots = self.lock();
        slots.values().filter(|slot| slot.is_open()).count()
    }

    /// Forgets the keys whose id is gone.
    pub(super) fn keep_only(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|(id, _), _| exists(id));
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One key: opened, not opened yet, or refused a moment ago.
#[derive(Default)]
pub(super) struct Slot {
    key: OnceLock<Arc<PrivateKey>>,
    failure: Mutex<Option<Failure>>,
    /// Held during an attempt.
    alone: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Failure {
    code: u16,
    message: String,
    pause: Duration,
    until: Instant,
}

impl Failure {
    fn error(&self) -> Error {
        Error::Status {
            code: self.code,
            message: self.message.clone(),
        }
    }
}

impl Slot {
    /// The key, or why it was refused a moment ago; `None` when it is time to try.
    pub(super) fn known(&self) -> Option<Result<Arc<PrivateKey>, Error>> {
        if let Some(key) = self.key.get() {
            return Some(Ok(Arc::clone(key)));
        }
        let failure = self.failure();
        let fresh = failure
            .as_ref()
            .filter(|failure| Instant::now() < failure.until);
        fresh.map(|failure| Err(failure.error()))
    }

    /// Whether the key is in memory.
    pub(super) fn is_open(&self) -> bool {
        self.key.get().is_some()
    }

    /// Puts the key in, for whoever has it already.
    pub(super) fn fill(&self, key: Arc<PrivateKey>) {
        process::protect_memory();
        let _ = self.key.set(key);
    }

    /// Opens the key, unless another call just did or just failed.
    pub(super) async fn open(
        &self,
        binding: &Binding,
        record: &SealedKey,
        ring: &dyn Keyring,
    ) -> Result<Arc<PrivateKey>, Error> {
        let _alone = self.alone.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let opened = match record.open(binding, ring).await {
            Ok(text) => parse(text.expose(), record),
            Err(error) => Err(error),
        };
        match opened {
            Ok(key) => {
                let key = Arc::new(key);
                self.fill(Arc::clone(&key));
                *self.failure() = None;
                Ok(key)
            }
            Err(error) => Err(self.note(record, &error)),
        }
    }

    fn note(&self, record: &SealedKey, error: &landfast_unseal::Error) -> Error {
        let mut last = self.failure();
        let pause = last.as_ref().map_or(FIRST_PAUSE, |failure| {
            (failure.pause * 2).min(LONGEST_PAUSE)
        });
        let code = status(error.class());
        let key_id = record
            .wraps()
            .first()
            .map_or("", |wrap| wrap.key_id.as_str());
        let wrapper = Kind::of(key_id).words();
        let message = if code == 503 {
            format!(
                "the CA key is sealed by {wrapper} (key {key_id}) and cannot be opened for now: {error}. It opens by itself once that is mended; \
                 nothing has to be restarted"
            )
        } else {
            format!(
                "the CA key is sealed by {wrapper} (key {key_id}) and its record does not open here: {error}"
            )
        };
        let failure = Failure {
            code,
            message,
            pause,
            until: Instant::now() + pause,
        };
        let told = failure.error();
        *last = Some(failure);
        told
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The status for a failure of a wrapper. What an operator can mend without touching this mount is 503: the same request works afterwards.
pub(super) fn status(class: Class) -> u16 {
    match class {
        Class::Data | Class::Internal => 500,
        _ => 503,
    }
}

/// The private half of an opened record.
pub(super) fn parse(text: &[u8], record: &SealedKey) -> Result<PrivateKey, landfast_unseal::Error> {
    let wrong = landfast_unseal::Error::Blob("the record holds another key than it says");
    match PrivateKey::from_pem(text) {
        Ok(key) if key.public_key().spki_der() == record.public_key() => Ok(key),
        _ => Err(wrong),
    }
}
