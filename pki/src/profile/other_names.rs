//! The notation `OID;UTF8:value` for other names (RFC 5280 section 4.2.1.6, otherName).

use crate::refusal::Quoted;

/// One other name, or a pattern for one, as requests and roles write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OtherName<'a> {
    pub(crate) oid: &'a str,
    pub(crate) value: &'a str,
}

impl<'a> OtherName<'a> {
    /// # Errors
    /// The reason, in the words of the built-in engine.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{why} in other SAN {}", Quoted(text)));
        let Some((oid, rest)) = text.split_once(';') else {
            return refuse("expected a semicolon");
        };
        let Some((kind, value)) = rest.split_once(':') else {
            return refuse("expected a colon");
        };
        if !["utf8", "utf-8"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known))
        {
            return refuse("only utf8 other SANs are supported; found non-supported type");
        }
        Ok(Self { oid, value })
    }
}
