//! A value that must not leak by accident.

use std::fmt;

use zeroize::Zeroize;

/// Bytes or text that are wiped when dropped, cannot be cloned or serialized, and print nothing.
///
/// Reading is the visible call [`Secret::expose`], so that a review can find every place that touches key material.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of the value; the caller must not keep a copy.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself.
    pub fn expose(&self) -> &T {
        &self.0
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

impl Secret<String> {
    /// The text for reading into, so that no unwiped copy is made on the way.
    pub(crate) fn inner_mut(&mut self) -> &mut String {
        &mut self.0
    }
}

impl Secret<Vec<u8>> {
    /// Hands the bytes out for a reply that has to carry them. What happens to them then is the caller's to answer for.
    pub fn into_reply(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_content() {
        let secret = Secret::new(String::from("hunter2"));
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn into_reply_moves_the_bytes() {
        assert_eq!(Secret::new(vec![1, 2, 3]).into_reply(), vec![1, 2, 3]);
    }
}
