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

/// Ids in the shape of a UUID: letters and digits, 8, 4, 4, 4 and 12 of them, with `-` between.
#[must_use]
pub fn id(text: &str) -> bool {
    let parts = text.split('-').map(|part| {
        let plain = part.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then_some(part.len())
    });
    parts.eq([8, 4, 4, 4, 12].map(Some))
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
    fn ids_have_the_shape_of_a_uuid() {
        assert!(id("b5a7a4cf-9b53-4f8c-8a36-0123456789ab"));
        assert!(id("ZZZZZZZZ-9b53-4f8c-8a36-0123456789ab"));
        for bad in [
            "",
            "x",
            "b5a7a4cf9b534f8c8a360123456789ab",
            "b5a7a4cf-9b53-4f8c-8a36-0123456789a",
            "b5a7a4cf-9b53-4f8c-8a36-0123456789abc",
            "b5a7a4cf-9b53-4f8c-8a36-0123456789ab-",
            "b5a7a4c_-9b53-4f8c-8a36-0123456789ab",
        ] {
            assert!(!id(bad), "{bad:?}");
        }
    }

    #[test]
    fn serials_are_hexadecimal() {
        assert!(serial("3c:4D-00"));
        assert!(!serial("xyz"));
        assert!(!serial(""));
    }
}
