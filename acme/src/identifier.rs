//! Identifiers of orders: DNS names (RFC 8555 section 9.7.7) and IP addresses (RFC 8738).

use std::fmt;
use std::net::IpAddr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use serde::{Deserialize, Serialize};

use crate::{Kind as ProblemKind, Problem, text};

/// Most identifiers of one order.
pub const MOST: usize = 100;

/// The type of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A host name, or all names one label below it.
    Dns,
    /// An IP address.
    Ip,
}

impl Kind {
    /// The type's name: `dns` or `ip`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Ip => "ip",
        }
    }
}

/// What a certificate is asked for, in the one form that it has: names in lower case and ASCII without a dot at the end, addresses as
/// RFC 5952 writes them. Two that are equal mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Identifier {
    /// The type.
    #[serde(rename = "type")]
    kind: Kind,
    /// The value; a wildcard begins with `*.`.
    value: String,
}

impl Identifier {
    /// Reads type and value as a client sends them.
    ///
    /// # Errors
    /// [`UnsupportedIdentifier`](ProblemKind::UnsupportedIdentifier) for another type, [`Malformed`](ProblemKind::Malformed) for a value
    /// that is none of its type.
    pub fn new(kind: &str, value: &str) -> Result<Self, Problem> {
        match kind {
            "dns" => name(value).map(|value| Self {
                kind: Kind::Dns,
                value,
            }),
            "ip" => address(value).map(|value| Self {
                kind: Kind::Ip,
                value: value.to_string(),
            }),
            other => {
                let other = text::shown(other);
                Err(Problem::new(
                    ProblemKind::UnsupportedIdentifier,
                    format!("unsupported identifier type {other}: use dns or ip"),
                ))
            }
        }
    }

    /// The type.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The value as it goes into a certificate, with the `*.` of a wildcard.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether it stands for all names one label below [`host`](Self::host).
    pub fn is_wildcard(&self) -> bool {
        self.value.starts_with(WILDCARD)
    }

    /// The value without the `*.` of a wildcard: what is validated, and what an authorization shows (RFC 8555 section 7.1.4).
    pub fn host(&self) -> &str {
        self.value.strip_prefix(WILDCARD).unwrap_or(&self.value)
    }

    /// The address of an identifier of type `ip`.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.kind {
            Kind::Ip => self.value.parse().ok(),
            Kind::Dns => None,
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// Type and value as they came.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Raw {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value.
    pub value: String,
}

impl TryFrom<Raw> for Identifier {
    type Error = Problem;

    fn try_from(raw: Raw) -> Result<Self, Problem> {
        Self::new(&raw.kind, &raw.value)
    }
}

/// The identifiers of a new order (RFC 8555 section 7.4), each once, in the order in which they first came.
///
/// # Errors
/// None or more than [`MOST`] of them; or all that is wrong with them, each as a subproblem.
pub fn of_order(raw: &[Raw]) -> Result<Vec<Identifier>, Problem> {
    if raw.is_empty() {
        return Err(Problem::malformed(format!(
            "missing required identifiers argument: {}",
            ProblemKind::Malformed.meaning()
        )));
    }
    if raw.len() > MOST {
        let detail = format!(
            "the order has {} identifiers, {MOST} are taken at most",
            raw.len()
        );
        return Err(Problem::malformed(detail));
    }
    let mut identifiers: Vec<Identifier> = Vec::with_capacity(raw.len());
    let mut problems = Vec::new();
    for one in raw {
        match Identifier::new(&one.kind, &one.value) {
            Ok(identifier) if identifiers.contains(&identifier) => {}
            Ok(identifier) => identifiers.push(identifier),
            Err(problem) => problems.push(problem),
        }
    }
    Problem::of_all(problems).map_or(Ok(identifiers), Err)
}

/// A host name in its one form, with the `*.` of a wildcard.
fn name(value: &str) -> Result<String, Problem> {
    let refuse = |why: &str| {
        let value = text::shown(value);
        Problem::malformed(format!("value argument ({value}) failed validation: {why}"))
    };
    let host = value.strip_prefix(WILDCARD).unwrap_or(value);
    if host.is_empty() {
        return Err(refuse("a name is missing"));
    }
    if host.len() > landfast_pki::host::MAX_NAME {
        return Err(refuse("a name has 253 octets at most"));
    }
    if host.contains('*') {
        return Err(refuse(
            "invalid wildcard: wildcard must be entire left-most label",
        ));
    }
    if host.ends_with('.') {
        return Err(refuse("leave out the dot at the end"));
    }
    if !host.is_ascii() {
        return Err(refuse(
            "failed IDNA round-tripping to ASCII: write its labels beginning with xn--",
        ));
    }
    let lower = host.to_ascii_lowercase();
    // No domain has digits only, and what looks like an address is taken for one somewhere.
    let last = lower.rsplit('.').next().unwrap_or_default();
    if lower.parse::<IpAddr>().is_ok() || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse(
            "refusing to accept argument as DNS type identifier: it looks like an IP address, which has the type ip",
        ));
    }
    // Letters, digits, hyphens inside, 63 octets in a label; labels of xn-- are what they decode to, encoded again.
    let ascii = Uts46::new().to_ascii(
        lower.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    if ascii.is_ok_and(|ascii| *ascii == *lower) {
        let wildcard = if host.len() == value.len() {
            ""
        } else {
            WILDCARD
        };
        Ok(format!("{wildcard}{lower}"))
    } else {
        Err(refuse(
            "it is no host name: labels have 1 to 63 letters, digits and inner hyphens, those of xn-- valid Punycode",
        ))
    }
}

/// An address. One of IPv4 in the clothes of IPv6 is not what a certificate has.
fn address(value: &str) -> Result<IpAddr, Problem> {
    let refuse = |why: &str| {
        let value = text::shown(value);
        Problem::malformed(format!("value argument ({value}) failed validation: {why}"))
    };
    let address: IpAddr = value.parse().map_err(|_| refuse("failed parsing as IP"))?;
    if address.to_canonical() != address {
        return Err(refuse("write an IPv4 address as four numbers"));
    }
    Ok(address)
}

const WILDCARD: &str = "*.";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dns(value: &str) -> Result<String, String> {
        let identifier = Identifier::new("dns", value).map_err(|problem| problem.detail)?;
        Ok(identifier.value().to_owned())
    }

    #[test]
    fn names_have_one_form() {
        for (value, want) in [
            ("example.com", "example.com"),
            ("Example.COM", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
            ("XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de"),
            ("r3---sn-a.example", "r3---sn-a.example"),
            ("1.2.3.4.example", "1.2.3.4.example"),
        ] {
            assert_eq!(dns(value).as_deref(), Ok(want), "{value}");
        }
        let wildcard = Identifier::new("dns", "*.example.com").unwrap();
        assert!(wildcard.is_wildcard());
        assert_eq!(wildcard.host(), "example.com");
        let plain = Identifier::new("dns", "example.com").unwrap();
        assert!(!plain.is_wildcard() && plain.ip().is_none());
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["abcdefg"; 40].join(".");
        for value in [
            "",
            "*",
            "*.",
            ".",
            "*.*.example",
            "a*.example",
            "*a.example",
            "a.*.example",
            "a..b",
            ".a",
            "a.",
            "münchen.de",
            "ＡＢ.com",
            "xn--a.example",
            "xn--99999.example",
            "xn--.example",
            "xn--abc-.example",
            "a_b.example",
            "a b.example",
            "a@b.example",
            "-a.example",
            "a-.example",
            "a\n.example",
            "a/b.example",
            "127.0.0.1",
            "*.127.0.0.1",
            "0x7f.1",
            "2130706433",
            "::1",
            "[::1]",
            "a:80",
            "example.1",
            &long_label,
            &long_name,
        ] {
            let refused = Identifier::new("dns", value);
            let problem = refused.expect_err(value);
            assert_eq!(problem.kind, ProblemKind::Malformed, "{value}");
        }
    }

    #[test]
    fn addresses_have_one_form() {
        for (value, want) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
        ] {
            let identifier = Identifier::new("ip", value).unwrap();
            assert_eq!(identifier.value(), want);
            assert_eq!(identifier.ip(), want.parse().ok());
            assert!(!identifier.is_wildcard());
        }
        for value in [
            "",
            "192.0.2",
            "192.0.2.01",
            "192.0.2.1/32",
            "::ffff:192.0.2.1",
            "fe80::1%eth0",
            "[::1]",
            "a.example",
        ] {
            assert!(Identifier::new("ip", value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_order_has_each_once_and_says_all_that_is_wrong() {
        let raw = |pairs: &[(&str, &str)]| -> Vec<Raw> {
            let one = |pair: &(&str, &str)| Raw {
                kind: pair.0.to_owned(),
                value: pair.1.to_owned(),
            };
            pairs.iter().map(one).collect()
        };
        let good = [
            ("dns", "b.example"),
            ("ip", "192.0.2.1"),
            ("dns", "B.example"),
            ("dns", "*.b.example"),
        ];
        let values: Vec<String> = of_order(&raw(&good))
            .unwrap()
            .iter()
            .map(Identifier::to_string)
            .collect();
        assert_eq!(values, ["b.example", "192.0.2.1", "*.b.example"]);

        let bad = [("dns", "b.example"), ("uri", "x:y"), ("dns", "-")];
        let problem = of_order(&raw(&bad)).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Compound);
        let kinds: Vec<_> = problem.subproblems.iter().map(|one| one.kind).collect();
        assert_eq!(
            kinds,
            [ProblemKind::UnsupportedIdentifier, ProblemKind::Malformed]
        );

        assert_eq!(of_order(&[]).unwrap_err().kind, ProblemKind::Malformed);
        let many = vec![("dns", "a.example"); MOST + 1];
        assert!(of_order(&raw(&many)).unwrap_err().detail.contains("101"));
    }

    #[test]
    fn json_is_checked_as_it_is_read() {
        let identifier: Identifier =
            serde_json::from_str(r#"{"type":"dns","value":"A.example"}"#).unwrap();
        let text = serde_json::to_string(&identifier).unwrap();
        assert_eq!(text, r#"{"type":"dns","value":"a.example"}"#);
        assert!(serde_json::from_str::<Identifier>(r#"{"type":"dns","value":"-"}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_has_a_form_that_stays(kind in "(dns|ip)", value in ".{0,80}") {
            if let Ok(once) = Identifier::new(&kind, &value) {
                let twice = Identifier::new(&kind, once.value());
                prop_assert_eq!(twice, Ok(once));
            }
        }

        #[test]
        fn a_name_that_passes_is_a_host_name(value in "(\\*\\.)?[a-zA-Z0-9.*_-]{1,40}") {
            if let Ok(identifier) = Identifier::new("dns", &value) {
                prop_assert!(landfast_pki::host::is_host_name(identifier.value()));
                prop_assert_eq!(identifier.value(), value.to_ascii_lowercase());
                prop_assert!(identifier.host().parse::<IpAddr>().is_err());
            }
        }

        #[test]
        fn an_address_comes_back(address: IpAddr) {
            let identifier = Identifier::new("ip", &address.to_string());
            prop_assume!(address.to_canonical() == address);
            prop_assert_eq!(identifier.unwrap().ip(), Some(address));
        }
    }
}
