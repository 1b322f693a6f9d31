//! What a session is called and which tags it carries: Roles Anywhere derives
//! both from the certificate.
//!
//! Source: IAM Roles Anywhere user guide, "Trust model", and the STS API
//! reference for the limits.

use std::collections::BTreeMap;

use landfast_base::hex;
use landfast_pki::Certificate;
use landfast_pki::anchor::tags::{self, attributes};

/// STS takes at most this many session tags.
pub const MAX_TAGS: usize = 50;

/// The parts of a certificate that become tags, in certificate order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Attribute short names (`CN`, `O`, `OU`, …) and values of the subject.
    pub subject: Vec<(String, String)>,
    /// The same of the issuer.
    pub issuer: Vec<(String, String)>,
    /// DNS names of the subject alternative name.
    pub dns: Vec<String>,
    /// URIs of the subject alternative name.
    pub uris: Vec<String>,
    /// The attributes of its first directory name.
    pub directory_name: Vec<(String, String)>,
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
}

/// Which parts of a certificate become session tags: specifiers by certificate
/// field, as a profile holds them.
///
/// Source: IAM Roles Anywhere user guide, "Customize certificate attribute mapping".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mappings(pub BTreeMap<String, Vec<String>>);

impl Default for Mappings {
    /// Everything, as new profiles have it.
    fn default() -> Self {
        let fields = [
            ("x509Subject", &["*"][..]),
            ("x509Issuer", &["*"]),
            ("x509SAN", &["DNS", "URI", "Name/*"]),
        ];
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Self(
            fields
                .iter()
                .map(|(field, specifiers)| ((*field).to_owned(), owned(specifiers)))
                .collect(),
        )
    }
}

impl Mappings {
    /// Whether the tag with this key is made.
    pub fn cover(&self, key: &str) -> bool {
        let Some((field, name)) = key.split_once('/') else {
            return false;
        };
        self.0.get(field).is_some_and(|specifiers| {
            specifiers.iter().any(|specifier| {
                specifier == name
                    || specifier
                        .strip_suffix('*')
                        .is_some_and(|start| name.starts_with(start))
            })
        })
    }
}

/// A tag that STS refuses, named the way that Roles Anywhere names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTag {
    /// The tag's key, such as `x509SAN/DNS`.
    pub key: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Facts {
    /// Takes the facts out of a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        let names = certificate.subject_alt_names();
        Self {
            subject: attributes(certificate.subject()),
            issuer: attributes(certificate.issuer()),
            dns: names.dns.clone(),
            uris: names.uris.clone(),
            directory_name: names
                .directories()
                .first()
                .map(attributes)
                .unwrap_or_default(),
            serial: certificate.serial().as_bytes().to_vec(),
        }
    }

    /// The first common name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        self.subject
            .iter()
            .find(|(name, _)| name == "CN")
            .map(|(_, value)| value.as_str())
    }

    /// The session tags under the default attribute mappings.
    ///
    /// Repeated attributes are joined by `/`; of each kind of alternative name
    /// only the first counts.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let mut tags = BTreeMap::new();
        tags::add(&mut tags, "x509Subject", &self.subject);
        tags::add(&mut tags, "x509Issuer", &self.issuer);
        tags::add(&mut tags, "x509SAN/Name", &self.directory_name);
        for (kind, names) in [("DNS", &self.dns), ("URI", &self.uris)] {
            if let Some(first) = names.first() {
                tags.insert(format!("x509SAN/{kind}"), first.clone());
            }
        }
        tags
    }

    /// The session tags under a profile's own mappings.
    pub fn tags_under(&self, mappings: &Mappings) -> BTreeMap<String, String> {
        let mut tags = self.tags();
        tags.retain(|key, _| mappings.cover(key));
        tags
    }

    /// The tags that STS would refuse under the default mappings; a session
    /// with one of them fails.
    pub fn bad_tags(&self) -> Vec<BadTag> {
        self.bad_tags_under(&Mappings::default())
    }

    /// The same under a profile's own mappings.
    pub fn bad_tags_under(&self, mappings: &Mappings) -> Vec<BadTag> {
        let tags = self.tags_under(mappings);
        let mut bad: Vec<BadTag> = tags
            .iter()
            .filter_map(|(key, value)| {
                let reason = tags::problem(key, value)?;
                Some(BadTag {
                    key: key.clone(),
                    reason,
                })
            })
            .collect();
        if tags.len() > MAX_TAGS {
            bad.push(BadTag {
                key: String::from("x509Subject"),
                reason: "the certificate has more than 50 attributes",
            });
        }
        bad
    }

    /// The source identity of the session.
    pub fn source_identity(&self) -> String {
        match self.common_name() {
            Some(name) if name.chars().count() <= 61 => format!("CN={name}"),
            Some(name) if name.chars().count() <= 64 => name.to_owned(),
            _ => format!("ID={}", hex(&self.serial)),
        }
    }

    /// The session name when the request gives none.
    pub fn default_session_name(&self) -> String {
        hex(&self.serial)
    }
}

/// Whether a text may be a role session name: 2 to 64 word characters and
/// `+=,.@-`.
pub fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn repeated_attributes_are_joined_and_only_first_names_count() {
        let facts = Facts {
            subject: pairs(&[("OU", "Hybrid"), ("OU", "Nodes"), ("CN", "node-1")]),
            issuer: pairs(&[("CN", "CA")]),
            dns: vec!["node-1".into(), "*.bad".into()],
            uris: vec!["spiffe://x/y".into()],
            ..Facts::default()
        };
        let tags = facts.tags();
        assert_eq!(tags["x509Subject/OU"], "Hybrid/Nodes");
        assert_eq!(tags["x509SAN/DNS"], "node-1");
        assert_eq!(tags["x509Issuer/CN"], "CA");
        assert!(facts.bad_tags().is_empty());
    }

    #[test]
    fn a_value_outside_the_character_set_is_named_by_its_key() {
        let facts = Facts {
            subject: pairs(&[("CN", "node (1)")]),
            dns: vec!["*.example".into()],
            ..Facts::default()
        };
        let keys: Vec<String> = facts.bad_tags().into_iter().map(|bad| bad.key).collect();
        assert_eq!(keys, ["x509SAN/DNS", "x509Subject/CN"]);
    }

    #[test]
    fn what_is_not_mapped_becomes_no_tag() {
        let facts = Facts {
            subject: pairs(&[("CN", "node-1"), ("OU", "(x)")]),
            dns: vec!["*.example".into()],
            directory_name: pairs(&[("CN", "d")]),
            ..Facts::default()
        };
        assert_eq!(facts.tags_under(&Mappings::default()), facts.tags());
        let mut narrow = Mappings::default();
        narrow.0.insert("x509Subject".into(), vec!["CN".into()]);
        narrow.0.insert("x509SAN".into(), vec!["Name/*".into()]);
        let keys: Vec<String> = facts.tags_under(&narrow).into_keys().collect();
        assert_eq!(keys, ["x509SAN/Name/CN", "x509Subject/CN"]);
        assert!(facts.bad_tags_under(&narrow).is_empty());
        assert_eq!(facts.bad_tags().len(), 2);
    }

    #[test]
    fn the_source_identity_follows_the_length_of_the_common_name() {
        let named = |length: usize| Facts {
            subject: pairs(&[("CN", &"n".repeat(length))]),
            serial: vec![0x0a, 0xff],
            ..Facts::default()
        };
        assert_eq!(
            named(61).source_identity(),
            format!("CN={}", "n".repeat(61))
        );
        assert_eq!(named(62).source_identity(), "n".repeat(62));
        assert_eq!(named(65).source_identity(), "ID=0aff");
        assert_eq!(
            Facts {
                serial: vec![7],
                ..Facts::default()
            }
            .source_identity(),
            "ID=07"
        );
    }

    #[test]
    fn session_names_are_bounded() {
        assert!(is_session_name("node-1.example"));
        for bad in ["n", "node 1", "node/1", &"n".repeat(65)] {
            assert!(!is_session_name(bad), "{bad}");
        }
    }
}
