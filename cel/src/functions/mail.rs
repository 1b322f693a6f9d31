//! `check_valid_email`: whether a text is one mail address (RFC 5322 section 3.4), with or without the name of its owner. Comments are not
//! taken.

use cel::common::types::{CelBool, CelString};
use cel::{DeclarationError, Env, add_overload};

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    add_overload!(env, fn check: (CelString<'_>) -> CelBool, name = "check_valid_email", id = "check_valid_email_string")
}

fn check(text: &CelString<'_>) -> CelBool {
    CelBool::from(is_address(text.inner()))
}

fn is_address(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let Some(inner) = text.strip_suffix('>') else {
        return is_spec(text);
    };
    // The last bracket: one within the owner's quoted name is none.
    let Some((owner, spec)) = inner.rsplit_once('<') else {
        return false;
    };
    is_phrase(owner.trim_matches([' ', '\t'])) && is_spec(spec.trim_matches([' ', '\t']))
}

/// `local@domain`.
fn is_spec(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local = is_dot_atom(local) || quoted(local) == Some("");
    local && (is_dot_atom(domain) || is_literal(domain))
}

/// Words before an address: atoms, dots and quoted texts; there may be none.
fn is_phrase(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.starts_with('"') {
            match quoted(rest) {
                Some(after) => rest = after,
                None => return false,
            }
            continue;
        }
        let end = rest
            .find(|c: char| !is_atom(c) && c != '.')
            .unwrap_or(rest.len());
        if end == 0 {
            return rest.is_empty();
        }
        rest = &rest[end..];
    }
    true
}

/// What follows a quoted text.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(&inner[at + 1..]),
            _ if c.is_control() && c != '\t' => return None,
            _ => {}
        }
    }
    None
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atom))
}

fn is_literal(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.parse::<std::net::Ipv4Addr>().is_ok())
}

/// RFC 5322 section 3.2.3, and what RFC 6532 adds.
fn is_atom(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "a@b.c",
            " a@b ",
            "Me <a@b.c>",
            "\"M. <E>\" <a.b+c@d>",
            "\"a b\"@c.d",
            "é@b.c",
            "a@[10.0.0.1]",
            "<a@b>",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "", "a", "@b", "a@", "a@b.", ".a@b", "a..b@c", "a b@c", "a@b, c@d", "a@b c", "Me a@b>",
            "<a@b", "a@b\n", "\"a@b", "a@[x]",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
