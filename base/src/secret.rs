//! Values that must not leak.

#[cfg(feature = "fields")]
mod passage;

use std::fmt;

use zeroize::Zeroize;

#[cfg(feature = "fields")]
pub use self::passage::{Passed, notice, noticing, passed, shown, stored, storing};

use crate::equal;

/// A value that is wiped when dropped, cannot be cloned or serialised by accident, and prints as `[secret]`.
///
/// Reading it is a visible call, so that a review can find every place where the value leaves its box. With the feature `fields` it is read
/// from requests and from storage as its value is, and the functions `stored` and `shown` are the two ways back.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    ///
    /// What the caller copied before is the caller's to wipe.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, for reading into it: no copy that is not wiped is made on the way.
    pub const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Compares without telling by its duration where the two differ.
    pub fn matches(&self, other: &[u8]) -> bool {
        equal(self.0.as_ref(), other)
    }
}

impl<T: Zeroize + Default> Secret<T> {
    /// Hands the value out for a reply that has to carry it. What happens to it then is the caller's to answer for.
    pub fn into_reply(mut self) -> T {
        std::mem::take(&mut self.0)
    }
}

impl<T: Zeroize + Default> Default for Secret<T> {
    fn default() -> Self {
        Self(T::default())
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(feature = "fields")]
impl<'de, T: Zeroize + serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Before it is read: what fails half way has been in the text all the same.
        passage::notice();
        T::deserialize(deserializer).map(Self)
    }
}

/// The schema of the value, with the mark by which servers and their consoles know what is not shown.
#[cfg(feature = "fields")]
impl<T: Zeroize + schemars::JsonSchema> schemars::JsonSchema for Secret<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Secret_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = generator.subschema_for::<T>();
        let mark = serde_json::json!({ "sensitive": true });
        schema.insert("x-vault-displayAttrs".to_owned(), mark);
        schema
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        let secret = Secret::new(String::from("hunter2"));
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn comparison_looks_at_length_and_content() {
        let secret = Secret::new(b"abc".to_vec());
        assert!(secret.matches(b"abc"));
        assert!(!secret.matches(b"abd"));
        assert!(!secret.matches(b"ab"));
    }

    #[test]
    fn a_secret_is_wiped_when_it_is_dropped() {
        use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

        struct Told(Arc<AtomicBool>);
        impl Zeroize for Told {
            fn zeroize(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let wiped = Arc::new(AtomicBool::new(false));
        let secret = Secret::new(Told(Arc::clone(&wiped)));
        assert!(!wiped.load(Ordering::Relaxed));
        drop(secret);
        assert!(wiped.load(Ordering::Relaxed));
    }

    #[test]
    fn into_reply_moves_the_bytes() {
        assert_eq!(Secret::new(vec![1, 2, 3]).into_reply(), vec![1, 2, 3]);
    }
}
