//! Which names a role admits (OpenBao pki: name matching of roles).
//!
//! A name is host-like or a mail address. Its *host* is the part after the `@`, or all of it; for
//! a wildcard name the host loses its left-most label. Shape is checked on the host first
//! (`enforce_hostnames`), then one of the role's permissions must fit.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::glob::Glob;
use crate::host::{self, MAX_NAME};
use crate::identity::{Identity, Template};
use crate::profile::Uris;
use crate::settings::Settings;

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
    domains: Domains,
    templates: Vec<Template>,
    common_name: CommonName,
}

/// What `cn_validations` asks of a common name besides being admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommonName {
    Unchecked,
    Shape { email: bool, hostname: bool },
}

/// Entries of `allowed_domains`, arranged so that a name need not be held against each of them.
#[derive(Debug, Clone, Default)]
struct Domains {
    /// All entries, in lower case.
    texts: HashSet<Box<str>>,
    /// Those with a star, where `allow_glob_domains` is on.
    globs: Vec<DomainGlob>,
}

/// An entry with a star, for mail addresses as it is written, for host names without regard to case.
#[derive(Debug, Clone)]
struct DomainGlob {
    written: Glob,
    folded: Glob,
}

/// The rules as they stand for one caller: templates are filled, nothing is parsed any more.
#[derive(Debug)]
pub struct Names<'a> {
    rules: &'a NameRules,
    filled: Domains,
    display_name: &'a str,
    pub(crate) uris: Uris<'a>,
}

impl NameRules {
    pub(crate) fn new(settings: &Settings) -> Self {
        let globs = settings.allow_glob_domains;
        let (mut domains, mut templates) = (Domains::default(), Vec::new());
        for text in settings
            .allowed_domains
            .iter()
            .filter(|text| !text.is_empty())
        {
            match Template::parse(text) {
                Some(template) if settings.allowed_domains_template => templates.push(template),
                _ => domains.add(text, globs),
            }
        }
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
            templates,
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
        let mut filled = Domains::default();
        if let Some(identity) = identity {
            let texts = self.templates.iter();
            for text in texts.filter_map(|one| one.fill(identity, self.globs_in_templates)) {
                filled.add(&text, self.glob_domains);
            }
        }
        Names {
            rules: self,
            filled,
            display_name,
            uris: Uris::default(),
        }
    }
}

impl Domains {
    fn add(&mut self, text: &str, globs: bool) {
        let lower = text.to_ascii_lowercase();
        if globs && text.contains('*') {
            self.globs.push(DomainGlob {
                written: Glob::new(text),
                folded: Glob::new(&lower),
            });
        }
        self.texts.insert(lower.into());
    }

    /// Case does not matter in the names of hosts (RFC 4343), so neither in domains. It does in the part of a mail address
    /// before the `@`. Case is ASCII's: Unicode folding would let the Kelvin sign pass for a `k`.
    fn admit(&self, rules: &NameRules, parts: &Parts<'_>) -> bool {
        let host = parts.lower_host();
        let bare = rules.bare_domains
            && (self.texts.contains(&*parts.lower) || parts.is_mail && self.texts.contains(host));
        bare || rules.subdomains
            && (parts.wildcard_label.is_some() && self.texts.contains(host)
                || above(host).any(|domain| self.texts.contains(domain)))
            || self.admit_by_glob(parts)
    }

    fn admit_by_glob(&self, parts: &Parts<'_>) -> bool {
        if self.globs.is_empty() {
            return false;
        }
        if !parts.is_mail {
            return self
                .globs
                .iter()
                .any(|glob| glob.folded.matches(&parts.lower));
        }
        let user = &parts.name[..parts.name.len() - parts.host.len()];
        let folded = format!("{user}{}", parts.lower_host());
        let mut globs = self.globs.iter();
        globs.any(|glob| glob.written.matches(parts.name) || glob.written.matches(&folded))
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
        if rules.any_name
            || (rules.localhost && self.is_local(&parts))
            || (rules.token_display_name && self.is_display_name(&parts))
        {
            return true;
        }
        // No domain can mean what is too long for a name; it would only take time.
        let domains = [&rules.domains, &self.filled];
        parts.name.len() <= LONGEST && domains.iter().any(|one| one.admit(rules, &parts))
    }

    /// The patterns that each name may have to be held against.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Glob> {
        let globs = self.rules.domains.globs.iter().chain(&self.filled.globs);
        globs.map(|glob| &glob.written)
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

    fn is_local(&self, parts: &Parts<'_>) -> bool {
        let host = parts.lower_host();
        ["localhost", "localdomain"].iter().any(|local| {
            host == *local && (parts.wildcard_label.is_none() || self.rules.subdomains)
                || self.rules.subdomains && is_below(host, local)
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
}

/// A name taken apart.
struct Parts<'a> {
    name: &'a str,
    /// The name in lower case.
    lower: Cow<'a, str>,
    /// The end of the name: without the user of a mail address, without the left-most label of a wildcard name.
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
        let lower = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
        if !host.contains('*') {
            return Some(Self {
                name,
                lower,
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
            lower,
            host: rest,
            is_mail,
            wildcard_label: Some(label),
        })
    }

    fn lower_host(&self) -> &str {
        &self.lower[self.lower.len() - self.host.len()..]
    }

    fn is_well_formed(&self) -> bool {
        let host = self.host.is_empty()
            || host::to_ascii(self.host).is_ok_and(|ascii| host::is_host_name(&ascii));
        host && self.wildcard_label.is_none_or(host::is_wildcard_label)
    }
}

/// What stands behind each dot of a name.
fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[at + 1..])
}

/// The longest text that is held against domains: a name of the longest kind in characters of four octets.
const LONGEST: usize = 4 * MAX_NAME;

/// Whether `name` is `LABELS.domain`.
fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some()
}

#[cfg(test)]
mod tests;
