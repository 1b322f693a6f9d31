//! Which names a role admits (OpenBao pki: name matching of roles).
//!
//! A name is host-like or a mail address. Its *host* is the part after the `@`, or all of it; for
//! a wildcard name the host loses its left-most label. Shape is checked on the host first
//! (`enforce_hostnames`), then one of the role's permissions must fit.

use crate::glob::Glob;
use crate::host;
use crate::identity::{Identity, Template};
use crate::profile::Settings;

/// The part of a role that decides on names, compiled.
#[derive(Debug, Clone)]
pub(crate) struct NameRules {
    any_name: bool,
    bare_domains: bool,
    subdomains: bool,
    glob_domains: bool,
    wildcard_certificates: bool,
    localhost: bool,
    token_display_name: bool,
    enforce_hostnames: bool,
    globs_in_templates: bool,
    domains: Vec<Domain>,
    common_name: CommonName,
}

/// What `cn_validations` asks of a common name besides being admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommonName {
    Unchecked,
    Shape { email: bool, hostname: bool },
}

#[derive(Debug, Clone)]
enum Domain {
    Fixed(Entry),
    Template(Template),
}

#[derive(Debug, Clone)]
struct Entry {
    text: String,
    /// Only with `allow_glob_domains`, and only if the entry has a star.
    glob: Option<Glob>,
}

/// The rules as they stand for one caller: templates are filled, nothing is parsed any more.
#[derive(Debug)]
pub struct Names<'a> {
    rules: &'a NameRules,
    filled: Vec<Entry>,
    display_name: &'a str,
}

impl NameRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let globs = settings.allow_glob_domains;
        let domains = settings
            .allowed_domains
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| match Template::parse(text) {
                Some(template) if settings.allowed_domains_template => Domain::Template(template),
                _ => Domain::Fixed(Entry::new(text.clone(), globs)),
            })
            .collect();
        let has = |word: &str| settings.cn_validations.iter().any(|v| v == word);
        let common_name = match settings.cn_validations.as_slice() {
            [] => CommonName::Shape {
                email: true,
                hostname: true,
            },
            [only] if only == "disabled" => CommonName::Unchecked,
            _ => CommonName::Shape {
                email: has("email"),
                hostname: has("hostname"),
            },
        };
        Self {
            any_name: settings.allow_any_name,
            bare_domains: settings.allow_bare_domains,
            subdomains: settings.allow_subdomains,
            glob_domains: globs,
            wildcard_certificates: settings.allow_wildcard_certificates,
            localhost: settings.allow_localhost,
            token_display_name: settings.allow_token_displayname,
            enforce_hostnames: settings.enforce_hostnames,
            globs_in_templates: settings.allow_globs_in_identity_templates,
            domains,
            common_name,
        }
    }

    /// Fills the templates for a caller. Without an entity, and where a value is missing or would
    /// carry meaning of its own, an entry admits nothing.
    pub(crate) fn for_caller<'a>(
        &'a self,
        identity: Option<&Identity>,
        display_name: &'a str,
    ) -> Names<'a> {
        let mut filled = Vec::new();
        if let Some(identity) = identity {
            for domain in &self.domains {
                if let Domain::Template(template) = domain
                    && let Some(text) = template.fill(identity, self.globs_in_templates)
                {
                    filled.push(Entry::new(text, self.glob_domains));
                }
            }
        }
        Names {
            rules: self,
            filled,
            display_name,
        }
    }
}

impl Entry {
    fn new(text: String, globs: bool) -> Self {
        let glob = (globs && text.contains('*')).then(|| Glob::new(&text));
        Self { text, glob }
    }
}

impl Names<'_> {
    /// Whether a DNS name or mail address may stand in the certificate.
    pub fn allow(&self, name: &str) -> bool {
        let Some(parts) = Parts::split(name) else {
            return false;
        };
        let rules = self.rules;
        // This beats `allow_any_name`.
        if parts.wildcard_label.is_some() && !rules.wildcard_certificates {
            return false;
        }
        if rules.enforce_hostnames && !parts.is_well_formed() {
            return false;
        }
        rules.any_name
            || (rules.localhost && self.is_local(&parts))
            || (rules.token_display_name && self.is_display_name(&parts))
            || self.entries().any(|entry| self.admits(entry, &parts))
    }

    /// Whether a common name may stand in the subject.
    ///
    /// With `cn_validations` = `disabled` everything may; the name still has to pass
    /// [`Self::allow`] where it also becomes a subject alternative name.
    pub fn allow_common_name(&self, name: &str) -> bool {
        match self.rules.common_name {
            CommonName::Unchecked => true,
            CommonName::Shape { email, hostname } => {
                let shape = if name.contains('@') { email } else { hostname };
                shape && self.allow(name)
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let fixed = self.rules.domains.iter().filter_map(|domain| match domain {
            Domain::Fixed(entry) => Some(entry),
            Domain::Template(_) => None,
        });
        fixed.chain(&self.filled)
    }

    fn is_local(&self, parts: &Parts<'_>) -> bool {
        ["localhost", "localdomain"].iter().any(|local| {
            parts.host == *local && (parts.wildcard_label.is_none() || self.rules.subdomains)
                || self.rules.subdomains && is_below(parts.host, local)
        })
    }

    /// Legacy: the display name of the caller's token.
    fn is_display_name(&self, parts: &Parts<'_>) -> bool {
        let display = self.display_name;
        if display.is_empty() {
            return false;
        }
        if parts.name == display {
            return true;
        }
        let domain = match display.split_once('@') {
            Some((_, domain)) if parts.is_mail && !domain.contains('@') => domain,
            _ => display,
        };
        self.rules.subdomains
            && (is_below(parts.host, domain)
                || parts.wildcard_label.is_some() && parts.host == display)
    }

    /// Case matters for subdomains and globs and not for bare domains, as in the built-in engine.
    /// Case is ASCII's: Unicode folding would let the Kelvin sign pass for a `k`.
    fn admits(&self, entry: &Entry, parts: &Parts<'_>) -> bool {
        let rules = self.rules;
        let text = entry.text.as_str();
        let bare = rules.bare_domains
            && (parts.name.eq_ignore_ascii_case(text)
                || parts.is_mail && parts.host.eq_ignore_ascii_case(text));
        bare || rules.subdomains
            && (is_below(parts.host, text)
                || parts.wildcard_label.is_some() && parts.host.eq_ignore_ascii_case(text))
            || entry
                .glob
                .as_ref()
                .is_some_and(|glob| glob.matches(parts.name))
    }
}

/// A name taken apart.
struct Parts<'a> {
    name: &'a str,
    host: &'a str,
    is_mail: bool,
    /// The left-most label of a wildcard name.
    wildcard_label: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// `None` for what no flag can allow: nothing at all, more than one `@`, an empty side of it,
    /// a wildcard in a mail address, a second star, a star outside of the left-most label or in
    /// front of the root.
    fn split(name: &'a str) -> Option<Self> {
        let (host, is_mail) = match name.split_once('@') {
            None => (name, false),
            Some(("", _) | (_, "")) => return None,
            Some((_, domain)) if domain.contains('@') => return None,
            Some((_, domain)) => (domain, true),
        };
        if name.is_empty() {
            return None;
        }
        if !host.contains('*') {
            return Some(Self {
                name,
                host,
                is_mail,
                wildcard_label: None,
            });
        }
        let (label, rest) = host.split_once('.').unwrap_or((host, ""));
        if is_mail || host.ends_with('.') || rest.contains('*') || label.matches('*').count() != 1 {
            return None;
        }
        Some(Self {
            name,
            host: rest,
            is_mail,
            wildcard_label: Some(label),
        })
    }

    fn is_well_formed(&self) -> bool {
        let host = self.host.is_empty()
            || host::to_ascii(self.host).is_ok_and(|ascii| host::is_host_name(&ascii));
        host && self.wildcard_label.is_none_or(host::is_wildcard_label)
    }
}

/// Whether `name` is `LABELS.domain`.
fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some()
}

#[cfg(test)]
mod tests;
