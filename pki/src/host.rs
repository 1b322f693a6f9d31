//! Host names: conversion to ASCII labels and the pattern that a dNSName must fit.

use std::borrow::Cow;

use crate::refusal::Refusal;

/// Most octets in a label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// Most octets in a name (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 253;

/// Turns a name into ASCII labels (RFC 5891) without mapping: case stays, full-width letters are
/// encoded rather than folded, since what a role allows is compared byte by byte afterwards.
///
/// Labels that begin with `xn--` must be valid Punycode; every label has 1 to 63 octets and the
/// whole 1 to 253 (RFC 1035 section 2.3.4), so a trailing dot is refused. Lengths are looked at before anything is converted,
/// since converting a label takes the square of its length.
///
/// # Errors
/// [`Refusal::Idna`] with the offending label, or with the whole name if a length is wrong.
pub fn to_ascii(name: &str) -> Result<Cow<'_, str>, Refusal> {
    let bad = |label: &str| Err(Refusal::Idna(shown(label)));
    // Nearly every name is plain ASCII without Punycode; nothing is built for it.
    if name.is_ascii() && !name.contains(ACE) {
        for label in name.split('.') {
            match label.len() {
                0 => return bad(name),
                1..=MAX_LABEL => {}
                _ => return bad(label),
            }
        }
        return if name.len() > MAX_NAME {
            bad(name)
        } else {
            Ok(Cow::Borrowed(name))
        };
    }
    let mut out = String::with_capacity(name.len() + 8);
    for (i, label) in name.split('.').enumerate() {
        if label.is_empty() {
            return bad(name);
        }
        // Its ASCII form has no fewer octets than it has characters.
        if label.chars().nth(MAX_LABEL).is_some() {
            return bad(label);
        }
        if i > 0 {
            out.push('.');
        }
        let start = out.len();
        let decoded = match label.strip_prefix(ACE) {
            Some(rest) => match decode(rest) {
                Some(text) => Cow::Owned(text),
                None => return bad(rest),
            },
            None => Cow::Borrowed(label),
        };
        if decoded.is_ascii() {
            out.push_str(&decoded);
        } else {
            let Some(encoded) = idna::punycode::encode_str(&decoded) else {
                return bad(label);
            };
            out.push_str(ACE);
            out.push_str(&encoded);
        }
        if !(1..=MAX_LABEL).contains(&(out.len() - start)) {
            return bad(label);
        }
    }
    if out.len() > MAX_NAME {
        bad(&out)
    } else {
        Ok(Cow::Owned(out))
    }
}

/// Whether an ASCII name is a host name, possibly with `*.` in front and a dot behind.
pub fn is_host_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    name.split('.').all(is_label)
}

/// Whether the left-most label of a wildcard name is one star with, on either side, text that
/// could stand as a label by itself (RFC 6125 section 6.4.3).
pub fn is_wildcard_label(label: &str) -> bool {
    match label.split_once('*') {
        Some((before, after)) => {
            (before.is_empty() || is_label(before)) && (after.is_empty() || is_label(after))
        }
        None => false,
    }
}

/// Whether a text is fit for a dNSName; what a role allows is another matter.
///
/// Stricter than the built-in engine, which puts a mail address of a CSR where it was asked for,
/// and fails with an internal error on text outside of ASCII.
pub(crate) fn is_dns_name(name: &str) -> bool {
    name.is_ascii() && !name.contains('@')
}

/// Whether a text is fit for an rfc822Name.
pub(crate) fn is_mail_name(name: &str) -> bool {
    name.is_ascii() && name.contains('@')
}

/// Letters, digits and inner hyphens (RFC 1123 section 2.1). Length is [`to_ascii`]'s matter.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        }
        _ => false,
    }
}

/// As much of a text as an error repeats.
fn shown(text: &str) -> String {
    const MOST: usize = 512;
    if text.len() <= MOST {
        return text.to_owned();
    }
    let end = (0..=MOST).rev().find(|at| text.is_char_boundary(*at));
    format!("{}…", &text[..end.unwrap_or_default()])
}

fn decode(punycode: &str) -> Option<String> {
    // The delimiter announces at least one digit after it.
    if punycode.ends_with('-') || !punycode.is_ascii() {
        return None;
    }
    idna::punycode::decode_to_string(punycode)
}

const ACE: &str = "xn--";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every row was put to OpenBao 2.7.2 as `alt_names`.
    #[test]
    fn conversion_as_the_server_does_it() {
        let long = "a".repeat(64);
        let five = [&*"a".repeat(60); 5].join(".");
        let text = |s: &str| Err(format!("idna: invalid label \"{s}\""));
        for (input, want) in [
            ("a.example.com", Ok("a.example.com".to_owned())),
            ("a.example.com.", text("a.example.com.")),
            ("a..b", text("a..b")),
            ("*.", text("*.")),
            ("", text("")),
            ("*", Ok("*".to_owned())),
            ("xn--abc-", text("abc-")),
            ("xn--99999", text("99999")),
            ("xn---", text("-")),
            ("xn--0", text("0")),
            ("xn--ÿ", text("ÿ")),
            ("xn--a", Ok("xn--a".to_owned())),
            ("xn--mnchen-3ya.de", Ok("xn--mnchen-3ya.de".to_owned())),
            ("münchen.de", Ok("xn--mnchen-3ya.de".to_owned())),
            ("MÜNCHEN.de", Ok("xn--MNCHEN-psa.de".to_owned())),
            ("XN--MNCHEN-3YA.de", Ok("XN--MNCHEN-3YA.de".to_owned())),
            ("faß.de", Ok("xn--fa-hia.de".to_owned())),
            ("ＡＢ.com", Ok("xn--ph7cc.com".to_owned())),
            ("a。b", Ok("xn--ab-r13a".to_owned())),
            ("a b", Ok("a b".to_owned())),
            (&format!("{long}.com"), text(&long)),
            (&five, text(&five)),
        ] {
            let got = to_ascii(input)
                .map(Cow::into_owned)
                .map_err(|e| e.to_string());
            assert_eq!(got, want, "{input}");
        }
    }

    #[test]
    fn host_name_pattern() {
        for good in [
            "a",
            "a.b",
            "*.a",
            "a.",
            "1.2.3.4",
            "ab--c.com",
            "XN--X",
            "a-b.c",
        ] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in [
            "", "*", "*.", "*.*.a", "a.*", "b*z.x", "-a.com", "a-.com", "a_b", "a..b", ".a", "a b",
            "ü",
        ] {
            assert!(!is_host_name(bad), "{bad}");
        }
        for good in ["*", "*a", "a*", "b*z"] {
            assert!(is_wildcard_label(good), "{good}");
        }
        for bad in ["", "a", "-*", "*-", "a_*", "*.a"] {
            assert!(!is_wildcard_label(bad), "{bad}");
        }
    }

    /// A megabyte in one label used to take a minute. Nothing of it is converted now, so a thousand such names are nothing.
    #[test]
    fn long_labels_are_refused_before_they_are_converted() {
        let megabyte = 1 << 20;
        let names = [
            "ü".repeat(megabyte / 2),
            format!("xn--{}", "a".repeat(megabyte)),
            format!("ü{}", "a".repeat(megabyte)),
            format!("{}.example", "ü".repeat(64)),
            "a".repeat(megabyte),
        ];
        for name in &names {
            let text = to_ascii(name).unwrap_err().to_string();
            assert!(text.starts_with("idna: invalid label "), "{text}");
            assert!(text.len() < 600, "{} octets of error", text.len());
        }
        let fits = "ü".repeat(50);
        assert!(to_ascii(&fits).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics_and_yields_ascii(name in ".*") {
            let _ = is_host_name(&name);
            if let Ok(ascii) = to_ascii(&name) {
                prop_assert!(ascii.is_ascii());
                prop_assert!(ascii.len() <= 253);
            }
        }

        #[test]
        fn is_idempotent(name in "[a-zü.ß-]{1,20}") {
            if let Ok(once) = to_ascii(&name) {
                let twice = to_ascii(&once).map(Cow::into_owned);
                prop_assert_eq!(twice, Ok(once.into_owned()));
            }
        }
    }
}
