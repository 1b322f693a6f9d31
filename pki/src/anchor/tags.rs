//! Session tags: Roles Anywhere makes them of a certificate's names, and STS refuses some values.
//!
//! Source: IAM Roles Anywhere user guide, "Trust model", and the STS API reference for the limits.

use std::collections::BTreeMap;

use crate::Name;

/// STS takes tag keys of at most this many characters.
pub const MAX_KEY: usize = 128;
/// STS takes tag values of at most this many characters.
pub const MAX_VALUE: usize = 256;

/// Attribute short names as Roles Anywhere writes them, with values; an attribute without a short name keeps its OID.
pub fn attributes(name: &Name) -> Vec<(String, String)> {
    name.rdns()
        .into_iter()
        .flatten()
        .map(|attribute| {
            let oid = attribute.oid.to_string();
            let short = SHORT_NAMES
                .iter()
                .find(|(known, _)| *known == oid)
                .map_or(oid.as_str(), |(_, short)| short);
            (short.to_owned(), attribute.value)
        })
        .collect()
}

/// Adds the tags of a name below `field`, such as `x509Issuer`; repeated attributes are joined by `/`.
pub fn add(tags: &mut BTreeMap<String, String>, field: &str, attributes: &[(String, String)]) {
    for (name, value) in attributes {
        tags.entry(format!("{field}/{name}"))
            .and_modify(|joined| {
                joined.push('/');
                joined.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
}

/// Why STS refuses a tag; `None` if it takes it.
pub fn problem(key: &str, value: &str) -> Option<&'static str> {
    if key.chars().count() > MAX_KEY {
        Some("the key is longer than 128 characters")
    } else if value.chars().count() > MAX_VALUE {
        Some("the value is longer than 256 characters")
    } else if !value.chars().all(allowed) {
        Some("the value holds a character other than letters, digits, blanks and _ . : / = + - @")
    } else {
        None
    }
}

/// The first tag that a CA's name becomes, as the issuer of every leaf, and that STS refuses: its key, and why.
pub(super) fn refused(issuer: &Name) -> Option<(String, &'static str)> {
    let mut tags = BTreeMap::new();
    add(&mut tags, "x509Issuer", &attributes(issuer));
    tags.into_iter()
        .find_map(|(key, value)| problem(&key, &value).map(|reason| (key, reason)))
}

/// RFC 4519 attribute types by OID.
const SHORT_NAMES: [(&str, &str); 13] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

fn allowed(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}
