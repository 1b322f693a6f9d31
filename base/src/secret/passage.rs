//! Secrets on their way in and out of text: who may write one, and whether one was in it, so that buffers can be wiped.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use zeroize::Zeroize;

use super::Secret;

thread_local! {
    /// Whether a secret was read or written since [`noticing`] began.
    static NOTICED: Cell<bool> = const { Cell::new(false) };
    /// Whether what is written goes to storage.
    static STORING: Cell<bool> = const { Cell::new(false) };
}

/// Puts the flag back when the work is done, or has panicked.
struct StoredBefore(bool);

impl Drop for StoredBefore {
    fn drop(&mut self) {
        STORING.set(self.0);
    }
}

/// Does what may read or write secrets, and tells whether there was one: then its buffers are to be wiped.
pub fn noticing<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let before = NOTICED.replace(false);
    let done = work();
    let noticed = NOTICED.get();
    // An outer one has seen what an inner one has.
    NOTICED.set(noticed || before);
    (done, noticed)
}

/// Whether there was a secret since the innermost [`noticing`] began.
pub fn passed() -> bool {
    NOTICED.get()
}

/// As [`noticing`], and [`stored`] may write: for encoders of what is stored.
pub fn storing<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let _back = StoredBefore(STORING.replace(true));
    noticing(work)
}

/// Notes that a secret was read or written, for [`noticing`].
pub fn notice() {
    NOTICED.set(true);
}

/// Writes a secret to storage: `#[serde(serialize_with = "stored")]` on the field of a type that is stored. Anywhere else it is an error, so
/// that a type that is stored cannot be shown in an answer by accident.
///
/// It is also for an `Option`, a `Vec`, or a map of secrets.
///
/// # Errors
/// What is written does not go to storage; and those of the serializer.
pub fn stored<T: Passed, S: Serializer>(secret: &T, serializer: S) -> Result<S::Ok, S::Error> {
    if STORING.get() {
        secret.pass(serializer)
    } else {
        Err(S::Error::custom(
            "a secret that is for storage was about to be shown",
        ))
    }
}

/// Shows a secret, wherever it is written to: `#[serde(serialize_with = "shown")]` on the field of an answer.
///
/// # Errors
/// Those of the serializer.
pub fn shown<T: Passed, S: Serializer>(secret: &T, serializer: S) -> Result<S::Ok, S::Error> {
    secret.pass(serializer)
}

/// What [`stored`] and [`shown`] write: a secret, and an `Option`, a `Vec` or a map of them.
pub trait Passed {
    /// Writes the value itself.
    ///
    /// # Errors
    /// Those of the serializer.
    fn pass<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
}

impl<T: Zeroize + Serialize> Passed for Secret<T> {
    fn pass<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        notice();
        self.expose().serialize(serializer)
    }
}

impl<T: Passed> Passed for Option<T> {
    fn pass<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(secret) => serializer.serialize_some(&Item(secret)),
            None => serializer.serialize_none(),
        }
    }
}

impl<T: Passed> Passed for Vec<T> {
    fn pass<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Item))
    }
}

impl<T: Passed> Passed for BTreeMap<String, T> {
    fn pass<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, secret)| (name, Item(secret))))
    }
}

struct Item<'a, T>(&'a T);

impl<T: Passed> Serialize for Item<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.pass(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Deserialize, Serialize)]
    struct Account {
        user: String,
        #[serde(serialize_with = "stored")]
        password: Secret<String>,
        #[serde(default, serialize_with = "stored")]
        former: Vec<Secret<String>>,
        #[serde(default, serialize_with = "stored")]
        token: Option<Secret<String>>,
        #[serde(default, serialize_with = "stored")]
        keys: BTreeMap<String, Secret<String>>,
    }

    #[derive(Serialize)]
    struct Made {
        #[serde(serialize_with = "shown")]
        password: Secret<String>,
    }

    fn account() -> serde_json::Value {
        json!({ "user": "ann", "password": "hunter2", "former": ["hunter1"], "token": null,
            "keys": { "a": "b" } })
    }

    #[test]
    fn a_secret_is_written_to_storage_and_nowhere_else() {
        let (read, noticed) = noticing(|| serde_json::from_value::<Account>(account()).unwrap());
        assert!(noticed);
        let (written, noticed) = storing(|| serde_json::to_value(&read).unwrap());
        assert!(noticed);
        assert_eq!(written, account());
        let error = serde_json::to_string(&read).unwrap_err().to_string();
        assert_eq!(error, "a secret that is for storage was about to be shown");
        let password = Secret::new("hunter2".to_owned());
        let made = serde_json::to_value(Made { password }).unwrap();
        assert_eq!(made, json!({ "password": "hunter2" }));
    }

    #[test]
    fn who_looks_on_from_outside_sees_it_too_and_a_panic_leaves_nothing_behind() {
        let read = || serde_json::from_str::<Secret<String>>("\"a\"").unwrap();
        let ((_, inner), outer) = noticing(|| noticing(|| read().matches(b"a")));
        assert_eq!((inner, outer), (true, true));
        let (inner, outer) = noticing(|| {
            drop(read());
            noticing(|| ()).1
        });
        assert_eq!((inner, outer), (false, true));
        assert!(std::panic::catch_unwind(|| storing(|| panic!("on purpose"))).is_err());
        assert!(
            serde_json::to_string(&serde_json::from_value::<Account>(account()).unwrap()).is_err()
        );
        // What is no text of the wanted kind was noticed all the same.
        let (wrong, noticed) = noticing(|| serde_json::from_str::<Secret<u8>>("\"a\"").is_err());
        assert!(wrong && noticed);
    }
}
