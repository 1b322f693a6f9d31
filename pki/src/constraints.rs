//! Whether names lie within name constraints (RFC 5280 section 4.2.1.10).
//!
//! Readers differ: for Go a host in a constraint on mail or URIs stands for the hosts below it too, for OpenSSL and RFC 5280 it
//! does not. A name counts as permitted where all of them permit it, and as excluded where one of them excludes it.

use std::fmt;
use std::net::IpAddr;

use crate::ext::{GeneralNames, NameConstraints, Subtrees};
use crate::issue::uri_host;
use crate::{Certificate, Name, Oid};

/// A name that no verifier would take under the constraints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    kind: &'static str,
    name: String,
    excluded: bool,
    constraints: Vec<String>,
}

/// The kind of name, the name, and the constraint that it breaks.
impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let side = if self.excluded {
            "excluded"
        } else {
            "permitted"
        };
        let shown = self
            .constraints
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>();
        let Self { kind, name, .. } = self;
        write!(
            f,
            "the {kind} {name} is outside of the issuer's name constraints ({side}: {}",
            shown.join(", ")
        )?;
        match self.constraints.len().saturating_sub(SHOWN) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// The first name of a certificate that lies outside, if any does: alternative names, the subject, mail addresses in it, and
/// its common name where that stands in for a DNS name, as OpenSSL reads it.
pub fn outside(certificate: &Certificate, constraints: &NameConstraints) -> Option<Outside> {
    let (names, subject) = (certificate.subject_alt_names(), certificate.subject());
    let rules = Rules(constraints);
    let dns = names.dns.iter().map(|name| rules.dns(name));
    let emails = names.emails.iter().map(|name| rules.email(name));
    let uris = names.uris.iter().map(|name| rules.uri(name));
    let ips = names.ips.iter().map(|ip| rules.ip(*ip));
    let found = dns.chain(emails).chain(uris).chain(ips).flatten().next();
    found.or_else(|| rules.subject(subject, names)).or_else(|| {
        names
            .directories()
            .iter()
            .find_map(|name| rules.directory(name))
    })
}

struct Rules<'a>(&'a NameConstraints);

impl Rules<'_> {
    fn dns(&self, name: &str) -> Option<Outside> {
        let lists = |subtrees: &Subtrees| subtrees.dns.clone();
        let comparable = is_comparable(name);
        self.check("DNS name", name, lists, |base, excludes| {
            let matches = is_domain_of(name, base) || excludes && may_stand_for(name, base);
            if comparable { matches } else { excludes }
        })
    }

    fn email(&self, address: &str) -> Option<Outside> {
        let (user, domain) = address.rsplit_once('@').unwrap_or_default();
        let lists = |subtrees: &Subtrees| subtrees.emails.clone();
        self.check("mail address", address, lists, |base, lenient| {
            match base.rsplit_once('@') {
                Some((own, at)) => own == user && at.eq_ignore_ascii_case(domain),
                None => is_host_of(domain, base, lenient),
            }
        })
    }

    /// A URI without a host, or with an address for one, cannot be held against constraints on URIs and is refused by readers.
    fn uri(&self, uri: &str) -> Option<Outside> {
        let lists = |subtrees: &Subtrees| subtrees.uris.clone();
        let name = uri_host(uri).filter(|host| host.parse::<IpAddr>().is_err());
        self.check("URI", uri, lists, |base, excludes| match name {
            Some(host) => is_host_of(host, base, excludes),
            None => excludes,
        })
    }

    fn ip(&self, ip: IpAddr) -> Option<Outside> {
        let lists = |subtrees: &Subtrees| subtrees.ips.clone();
        self.check("IP address", &ip.to_string(), lists, |range, _| {
            contains(*range, ip)
        })
    }

    fn subject(&self, subject: &Name, names: &GeneralNames) -> Option<Outside> {
        if subject.is_empty() {
            return None;
        }
        let mail = subject.values(&EMAIL_ADDRESS);
        let stands_in =
            |name: &String| names.dns.is_empty() && name.contains('.') && are_labels(name);
        let common = subject.common_name().filter(stands_in);
        self.directory(subject)
            .or_else(|| mail.iter().find_map(|address| self.email(address)))
            .or_else(|| common.and_then(|name| self.dns(&name)))
    }

    fn directory(&self, name: &Name) -> Option<Outside> {
        let lists = |subtrees: &Subtrees| subtrees.directories.clone();
        let shown = name.to_string();
        self.check("name", &shown, lists, |base, _| is_under(name, base))
    }

    /// `matches` is told whether it is asked for an excluded subtree.
    fn check<T: Shown>(
        &self,
        kind: &'static str,
        name: &str,
        list: impl Fn(&Subtrees) -> Vec<T>,
        matches: impl Fn(&T, bool) -> bool,
    ) -> Option<Outside> {
        let NameConstraints {
            permitted,
            excluded,
        } = self.0;
        let outside = |excluded, constraints| {
            Some(Outside {
                kind,
                name: name.to_owned(),
                excluded,
                constraints,
            })
        };
        let excluded = list(excluded);
        if let Some(one) = excluded.iter().find(|base| matches(base, true)) {
            return outside(true, vec![one.shown()]);
        }
        let permitted = list(permitted);
        if permitted.is_empty() || permitted.iter().any(|base| matches(base, false)) {
            return None;
        }
        outside(false, permitted.iter().map(Shown::shown).collect())
    }
}

/// How a constraint is written in a text.
trait Shown {
    fn shown(&self) -> String;
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for Name {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for (IpAddr, u8) {
    fn shown(&self) -> String {
        format!("{}/{}", self.0, self.1)
    }
}

/// The domain itself and what is below it; with a dot in front, only what is below it.
fn is_domain_of(name: &str, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    let Some(start) = name.len().checked_sub(base.len()) else {
        return false;
    };
    let ends = name.is_char_boundary(start) && name[start..].eq_ignore_ascii_case(base);
    ends && (start == 0 && !base.starts_with('.')
        || start > 0 && (base.starts_with('.') || name[..start].ends_with('.')))
}

/// Labels between dots, of letters, digits, underscores, and hyphens inside.
fn are_labels(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// Whether webpki holds a DNS name against constraints: hyphens inside of labels only, a star as the whole first label with two
/// others behind it, and no number at the end.
fn is_comparable(name: &str) -> bool {
    let (rest, fewest) = name.strip_prefix("*.").map_or((name, 1), |rest| (rest, 2));
    let last = rest.rsplit('.').next().unwrap_or_default();
    are_labels(rest)
        && rest.split('.').count() >= fewest
        && !last.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a wildcard name stands for names of the domain among others: then webpki refuses it where the domain is excluded.
fn may_stand_for(name: &str, base: &str) -> bool {
    let rest = base.strip_prefix('.').unwrap_or(base).split_once('.');
    match (name.strip_prefix("*."), rest) {
        (Some(parent), Some((_, above))) => parent.eq_ignore_ascii_case(above),
        _ => false,
    }
}

/// As [`is_domain_of`], but a host stands for itself alone, unless `below`.
fn is_host_of(name: &str, base: &str, below: bool) -> bool {
    if below || base.starts_with('.') || base.is_empty() {
        is_domain_of(name, base)
    } else {
        name.eq_ignore_ascii_case(base)
    }
}

fn contains((network, prefix): (IpAddr, u8), ip: IpAddr) -> bool {
    let shared = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => (network.to_bits() ^ ip.to_bits()).leading_zeros(),
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits() ^ ip.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= prefix.into()
}

/// Whether the name starts with the parts of `base`; case and blanks around do not count (RFC 5280 section 7.1).
fn is_under(name: &Name, base: &Name) -> bool {
    let (name, base) = (name.rdns(), base.rdns());
    let same = |one: &str, two: &str| one.trim().eq_ignore_ascii_case(two.trim());
    base.len() <= name.len()
        && base.iter().zip(&name).all(|(base, own)| {
            base.len() == own.len()
                && base.iter().all(|part| {
                    own.iter()
                        .any(|one| one.oid == part.oid && same(&one.value, &part.value))
                })
        })
}

/// emailAddress (PKCS#9).
const EMAIL_ADDRESS: Oid = Oid::new_unwrap("1.2.840.113549.1.9.1");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains() {
        for (name, base, want) in [
            ("a.test", "a.test", true),
            ("x.A.test", "a.TEST", true),
            ("xa.test", "a.test", false),
            ("a.test", ".a.test", false),
            ("x.a.test", ".a.test", true),
            ("x.y.a.test", ".a.test", true),
            ("*.a.test", "a.test", true),
            ("test", "a.test", false),
            ("any", "", true),
            ("ü.test", "a.test", false),
        ] {
            assert_eq!(is_domain_of(name, base), want, "{name} under {base}");
        }
        for good in ["a", "a_b.test", "*.a.test", "1.a"] {
            assert!(is_comparable(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "*.test",
            "f*.a.test",
            "-a.test",
            "a-.test",
            "a..test",
            "1.2.3.4",
            "a b.test",
        ] {
            assert!(!is_comparable(bad), "{bad}");
        }
        assert!(may_stand_for("*.a.test", "x.A.test") && !may_stand_for("*.a.test", "a.test"));
        assert!(!may_stand_for("*.a.test", "x.y.a.test") && !may_stand_for("a.test", "x.a.test"));
        assert!(!is_host_of("x.a.test", "a.test", false) && is_host_of("x.a.test", "a.test", true));
    }

    fn constraints(permitted: Subtrees, excluded: Subtrees) -> NameConstraints {
        NameConstraints {
            permitted,
            excluded,
        }
    }

    #[test]
    fn each_kind_of_name_is_held_against_its_own_constraints() {
        let list = |text: &str| vec![text.to_owned()];
        let permitted = Subtrees {
            dns: list("a.test"),
            emails: list(".a.test"),
            uris: list(".a.test"),
            ips: vec![("10.0.0.0".parse().unwrap(), 8)],
            ..Subtrees::default()
        };
        let permits = constraints(permitted.clone(), Subtrees::default());
        let excludes = constraints(Subtrees::default(), permitted);
        let (permits, excludes) = (Rules(&permits), Rules(&excludes));
        let ip = |rules: &Rules<'_>, text: &str| rules.ip(text.parse().unwrap()).is_none();
        assert!(permits.dns("x.a.test").is_none() && permits.dns("b.test").is_some());
        assert!(excludes.dns("x.a.test").is_some() && excludes.dns("b.test").is_none());
        assert!(permits.email("u@x.a.test").is_none() && permits.email("u@a.test").is_some());
        assert!(permits.uri("x://h.a.test:1/").is_none() && permits.uri("x://b.test/").is_some());
        // Nothing to hold against them.
        for uri in ["urn:x:y", "x://10.0.0.1/", "x:///a"] {
            assert!(
                permits.uri(uri).is_some() && excludes.uri(uri).is_some(),
                "{uri}"
            );
        }
        assert!(ip(&permits, "10.1.1.1") && !ip(&permits, "11.1.1.1") && !ip(&permits, "::1"));
        assert!(!ip(&excludes, "10.1.1.1") && ip(&excludes, "11.1.1.1"));
        assert_eq!(
            permits.dns("b.test").unwrap().to_string(),
            "the DNS name b.test is outside of the issuer's name constraints (permitted: a.test)"
        );
    }

    #[test]
    fn directories_are_compared_part_by_part() {
        let name = |organization: &str, common: &str| {
            let subject = crate::Subject {
                attributes: crate::Attributes {
                    organization: vec![organization.to_owned()],
                    ..crate::Attributes::default()
                },
                common_name: common.to_owned(),
                ..crate::Subject::default()
            };
            subject.to_name()
        };
        let base = name("Example", "");
        let permits = constraints(
            Subtrees {
                directories: vec![base],
                ..Subtrees::default()
            },
            Subtrees::default(),
        );
        assert!(Rules(&permits).directory(&name("EXAMPLE ", "x")).is_none());
        assert!(Rules(&permits).directory(&name("Other", "x")).is_some());
        // Without another constraint nothing else is constrained.
        assert!(Rules(&permits).dns("any").is_none());
    }
}
