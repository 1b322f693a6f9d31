//! What a path parameter may look like. A value that breaks its rule makes the path unknown, as a pattern of the built-in
//! engines would not match it.

/// A rule for a path parameter.
pub type Rule = fn(&str) -> bool;

/// Names of roles, issuers, keys: letters, digits and `_`, with `-` and `.` inside. The default rule.
#[must_use]
pub fn name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    word(*first) && word(*last) && bytes.iter().all(|b| word(*b) || matches!(b, b'-' | b'.'))
}

/// As [`name`], and `@` may be anywhere but in front: names that may be mail addresses.
#[must_use]
pub fn name_with_at(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    word(*first)
        && word(*last)
        && bytes
            .iter()
            .all(|b| word(*b) || matches!(b, b'-' | b'.' | b'@'))
}

/// Serial numbers: hexadecimal digits with `-` or `:` between.
#[must_use]
pub fn serial(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b':'))
}

/// Anything that is not empty.
#[must_use]
pub fn any(text: &str) -> bool {
    !text.is_empty()
}

/// Anything, or nothing: the tail of a path.
#[must_use]
pub fn maybe(_: &str) -> bool {
    true
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern_of_the_built_in_engines() {
        for good in ["a", "_", "9", "a-b", "a.b", "web-server.v2", "a..b", "A_1"] {
            assert!(name(good), "{good}");
        }
        for bad in [
            "", "-", ".", "-a", "a-", ".a", "a.", "a b", "a/b", "ä", "a@b", "a\n",
        ] {
            assert!(!name(bad), "{bad:?}");
        }
        assert!(name_with_at("user@example.com"));
        assert!(!name_with_at("@example.com"));
    }

    #[test]
    fn serials_are_hexadecimal() {
        assert!(serial("3c:4D-00"));
        assert!(!serial("xyz"));
        assert!(!serial(""));
    }
}
