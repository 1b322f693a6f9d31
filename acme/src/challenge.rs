//! Challenges (RFC 8555 section 8, RFC 8737): their kinds, and what a client has to show.

use std::fmt;
use std::str::FromStr;

use landfast_base::{NoRandomness, random, sha256};
use landfast_pki::Oid;
use serde::{Deserialize, Serialize};

use crate::identifier::{Identifier, Kind};
use crate::{Problem, text};

/// Where a client of [`ChallengeType::Http01`] puts its key authorization (RFC 8555 section 8.3), before the token.
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";

/// What stands before the name whose TXT record a client of [`ChallengeType::Dns01`] sets (RFC 8555 section 8.4).
pub const DNS_LABEL: &str = "_acme-challenge.";

/// The protocol that a client of [`ChallengeType::TlsAlpn01`] speaks (RFC 8737 section 6.2).
pub const ALPN_PROTOCOL: &[u8] = b"acme-tls/1";

/// The extension acmeIdentifier of its certificate (RFC 8737 section 6.1).
pub const ACME_IDENTIFIER: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.1.31");

/// The kind of a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChallengeType {
    /// A file on a web server (RFC 8555 section 8.3).
    #[serde(rename = "http-01")]
    Http01,
    /// A TXT record (RFC 8555 section 8.4).
    #[serde(rename = "dns-01")]
    Dns01,
    /// A certificate in a TLS handshake (RFC 8737).
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
}

impl ChallengeType {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Http01, Self::Dns01, Self::TlsAlpn01];

    /// The name in a URL and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// Those that prove control of an identifier, as the built-in engine offers them: for a wildcard only DNS (RFC 8555 section
    /// 7.4.1), for an address only HTTP.
    pub fn offered(identifier: &Identifier) -> &'static [Self] {
        match identifier.kind() {
            Kind::Ip => &[Self::Http01],
            Kind::Dns if identifier.is_wildcard() => &[Self::Dns01],
            Kind::Dns => Self::ALL,
        }
    }
}

impl fmt::Display for ChallengeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ChallengeType {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self, Problem> {
        let found = Self::ALL.iter().copied().find(|one| one.name() == name);
        found.ok_or_else(|| {
            let name = text::shown(name);
            Problem::malformed(format!("there is no challenge of the type {name}"))
        })
    }
}

/// A token of 192 random bits in base64url (RFC 8555 section 8.3 asks for 128).
///
/// # Errors
/// The random generator failed.
pub fn token() -> Result<String, NoRandomness> {
    random::<24>().map(text::encode)
}

/// What proves that the account's key answers: the token and the key's thumbprint (RFC 8555 section 8.1).
pub fn key_authorization(token: &str, thumbprint: &str) -> String {
    format!("{token}.{thumbprint}")
}

/// The value of the TXT record for it (RFC 8555 section 8.4).
pub fn dns_value(key_authorization: &str) -> String {
    text::encode(sha256(key_authorization.as_bytes()))
}

/// The DER of the extension acmeIdentifier for it: an OCTET STRING with the digest (RFC 8737 section 3).
pub fn tls_alpn_value(key_authorization: &str) -> [u8; 34] {
    let mut value = [0; 34];
    value[..2].copy_from_slice(&[0x04, 32]);
    value[2..].copy_from_slice(&sha256(key_authorization.as_bytes()));
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_depends_on_the_identifier() {
        let offered = |kind: &str, value: &str| {
            let identifier = Identifier::new(kind, value).unwrap();
            let names: Vec<_> = ChallengeType::offered(&identifier)
                .iter()
                .map(|one| one.name())
                .collect();
            names.join(" ")
        };
        assert_eq!(offered("dns", "a.example"), "http-01 dns-01 tls-alpn-01");
        assert_eq!(offered("dns", "*.a.example"), "dns-01");
        assert_eq!(offered("ip", "192.0.2.1"), "http-01");
    }

    #[test]
    fn tokens_do_not_repeat() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in ChallengeType::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
            assert_eq!(
                serde_json::to_string(kind).unwrap(),
                format!("{:?}", kind.name())
            );
        }
        assert!("HTTP-01".parse::<ChallengeType>().is_err());
    }

    /// Computed with `printf %s TOKEN.THUMBPRINT | openssl dgst -sha256`.
    #[test]
    fn values_are_those_that_others_compute() {
        let authorization = key_authorization(
            "DGyRejmCefe7v4NfDGDKfA",
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        );
        assert_eq!(
            authorization,
            "DGyRejmCefe7v4NfDGDKfA.NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(
            dns_value(&authorization),
            "Bs72Q7B-BSSQo4oDjA2qBR07GB6sc3hiG9zqaqvHx7U"
        );
        let value = tls_alpn_value(&authorization);
        assert_eq!(
            landfast_base::hex(&value),
            "042006cef643b07e052490a38a038c0daa051d3b181eac7378621bdcea6aabc7c7b5"
        );
    }
}
