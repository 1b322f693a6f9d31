//! How issuers and keys are named, and how a request refers to one.

use landfast_sdk::logical::Error;

/// Whether a text has the shape of a role's, issuer's or key's name: word characters, with `-` and `.` inside.
pub(crate) use landfast_sdk::logical::rule::name as is_name;

/// The word that means the configured default, for issuers and keys alike.
pub(crate) const DEFAULT: &str = "default";

/// A reference as a path or a field of a request gives it: without blanks around, and `default` in any case. OpenBao folds the case in paths before it
/// looks at policies; older servers and Vault do so here.
pub(crate) fn folded(reference: &str) -> &str {
    let reference = reference.trim();
    if reference.eq_ignore_ascii_case(DEFAULT) {
        DEFAULT
    } else {
        reference
    }
}

/// For serde: see [`folded`].
pub(crate) fn reference<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    Ok(folded(&text).to_owned())
}

/// Bytes of an issuer's or key's name. It stands in every list that strangers may ask for.
const LONGEST_NAME: usize = 255;

/// Refuses the name of an issuer or a key (`what`) that is too long.
pub(crate) fn check_length(what: &str, name: &str) -> Result<(), Error> {
    if name.len() > LONGEST_NAME {
        return Err(Error::bad_request(format!(
            "{what} name has {} characters: {LONGEST_NAME} are the most",
            name.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_dots_and_dashes_inside() {
        for good in ["a", "_", "a-b", "r1.example", "A_9"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", ".a", "a b", "ä", "a/b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
