//! A role, validated once, in the form that issuing works from.

mod other_names;
mod policies;
#[cfg(test)]
mod tests;
mod uris;

use std::net::IpAddr;

use crate::ext::{Extension, KeyUsage, id};
use crate::glob::Glob;
use crate::identity::{Identity, Template};
use crate::network::Network;
use crate::policy::{NameRules, Names};
use crate::refusal::Refusal;
use crate::settings::{Settings, allows_any};
use crate::validity::{NotAfterBound, NotBeforeBound, Rules};
use crate::{KeySpec, KeyType, Oid, PublicKey, usage};

pub(crate) use other_names::OtherName;
pub(crate) use policies::{Placement, parse as parse_policies};
pub(crate) use uris::Uris;

/// A role in the form that issuing works from: patterns, ranges, usages and their encodings are
/// made once, so that a request on a cached profile parses nothing of the role again.
#[derive(Debug, Clone)]
pub struct Profile {
    settings: Settings,
    pub(crate) names: NameRules,
    pub(crate) validity: Rules,
    pub(crate) ranges: Vec<Network>,
    pub(crate) uris: Vec<Glob>,
    pub(crate) uri_templates: Vec<Template>,
    pub(crate) other_names: OtherNames,
    pub(crate) serials: Vec<Glob>,
    pub(crate) user_ids: Vec<UserIdRule>,
    key_usage: KeyUsage,
    pub(crate) purposes: Vec<Oid>,
    /// Key usage, extended key usage, basic constraints: the head of a leaf's extensions. See [`Self::head_for`].
    head: Vec<Extension>,
    pub(crate) policies: Option<(Extension, Placement)>,
}

impl Profile {
    /// Compiles a role, whether just normalised or read back from storage.
    ///
    /// # Errors
    /// A part that cannot be used at all; never for a role that passed [`Settings::normalise`].
    pub fn new(settings: Settings) -> Result<Self, Refusal> {
        let (mut uris, mut uri_templates) = (Vec::new(), Vec::new());
        for text in &settings.allowed_uri_sans {
            match Template::parse(text) {
                Some(template) if settings.allowed_uri_sans_template => {
                    uri_templates.push(template)
                }
                _ => uris.push(Glob::new(text)),
            }
        }
        let key_usage = usage::key_usage(&settings.key_usage);
        let purposes = purposes(&settings)?;
        let mut head = Vec::with_capacity(3);
        if !key_usage.is_empty() {
            head.push(Extension::key_usage(key_usage));
        }
        if !purposes.is_empty() {
            head.push(Extension::ext_key_usage(&purposes));
        }
        if settings.basic_constraints_valid_for_non_ca {
            head.push(Extension::basic_constraints(false, None));
        }
        Ok(Self {
            names: NameRules::new(&settings),
            validity: Rules {
                ttl: settings.ttl,
                max_ttl: settings.max_ttl,
                not_before_duration: settings.not_before_duration,
                not_before: settings.not_before.clone(),
                not_after: settings.not_after.clone(),
                not_before_bound: NotBeforeBound::parse(&settings.not_before_bound)
                    .or_else(|e| legacy(&settings.not_before_bound, e))?,
                not_after_bound: NotAfterBound::parse(&settings.not_after_bound)
                    .or_else(|e| legacy(&settings.not_after_bound, e))?,
            },
            ranges: settings
                .allowed_ip_sans_cidr
                .iter()
                .map(|text| Network::parse(text))
                .collect::<Result<_, _>>()?,
            uris,
            uri_templates,
            other_names: OtherNames::new(&settings.allowed_other_sans)?,
            serials: settings
                .allowed_serial_numbers
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| Glob::new(text))
                .collect(),
            user_ids: settings
                .allowed_user_ids
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| UserIdRule {
                    exact: text.clone(),
                    glob: Glob::new(text),
                })
                .collect(),
            key_usage,
            purposes,
            head,
            policies: policies::extension(&settings.policy_identifiers)?,
            settings,
        })
    }

    /// The fields this was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name rules as they stand for one caller.
    pub fn names<'a>(&'a self, identity: Option<&Identity>, display_name: &'a str) -> Names<'a> {
        let mut names = self.names.for_caller(identity, display_name);
        names.uris = self.uris(identity);
        names
    }

    /// The rules on URIs as they stand for one caller.
    pub(crate) fn uris(&self, identity: Option<&Identity>) -> Uris<'_> {
        let globs = self.settings.allow_globs_in_identity_templates;
        let templates = self.uri_templates.iter();
        let filled =
            identity.map(|identity| templates.filter_map(|one| one.fill_uri(identity, globs)));
        Uris {
            fixed: &self.uris,
            filled: filled
                .into_iter()
                .flatten()
                .map(|text| Glob::new(&text))
                .collect(),
        }
    }

    /// Whether the role lists any URI.
    pub(crate) fn lists_uris(&self) -> bool {
        !self.uris.is_empty() || !self.uri_templates.is_empty()
    }

    /// The key usage of a leaf with this key: the role's. An ML-DSA key only signs, so of the role's usages it gets those that sign
    /// (RFC 9881 section 5); where there is none, the role's go in as they are, and the lint has its say.
    pub(crate) fn key_usage_for(&self, key: &PublicKey) -> KeyUsage {
        match self.key_usage & KeyUsage::SIGNING {
            signing if key.key_type() == KeyType::MlDsa && !signing.is_empty() => signing,
            _ => self.key_usage,
        }
    }

    /// Key usage, extended key usage and basic constraints of a leaf with this key.
    pub(crate) fn head_for(&self, key: &PublicKey) -> impl Iterator<Item = Extension> {
        let usage = self.key_usage_for(key);
        self.head.iter().map(move |one| match one.oid {
            id::KEY_USAGE if usage != self.key_usage => Extension::key_usage(usage),
            _ => one.clone(),
        })
    }

    /// Whether the key usage of its leaves includes digitalSignature.
    pub fn has_digital_signature(&self) -> bool {
        self.key_usage.contains(KeyUsage::DIGITAL_SIGNATURE)
    }

    /// Whether certificates may be for this address.
    pub fn allows_ip(&self, ip: IpAddr) -> bool {
        self.settings.allow_ip_sans
            && (self.ranges.is_empty() || self.ranges.iter().any(|range| range.contains(ip)))
    }

    pub(crate) fn allows_subject_serial(&self, serial: &str) -> bool {
        self.serials.iter().any(|glob| glob.matches(serial))
    }

    /// The patterns that each user id may have to be held against.
    pub(crate) fn user_id_globs(&self) -> impl Iterator<Item = &Glob> {
        self.user_ids.iter().map(|rule| &rule.glob)
    }

    pub(crate) fn allows_user_id(&self, id: &str) -> bool {
        self.user_ids.iter().any(|rule| {
            rule.exact.eq_ignore_ascii_case(id) || rule.glob.is_wild() && rule.glob.matches(id)
        })
    }
}

/// Roles stored before the bounds existed have an empty text there, which bounds nothing.
fn legacy<T: Default>(stored: &str, refusal: Refusal) -> Result<T, Refusal> {
    if stored.is_empty() {
        Ok(T::default())
    } else {
        Err(refusal)
    }
}

/// One element of `allowed_user_ids`.
#[derive(Debug, Clone)]
pub(crate) struct UserIdRule {
    exact: String,
    glob: Glob,
}

/// `allowed_other_sans`.
#[derive(Debug, Clone)]
pub(crate) enum OtherNames {
    Any,
    Listed(Vec<(String, Glob)>),
}

impl OtherNames {
    fn new(elements: &[String]) -> Result<Self, Refusal> {
        if allows_any(elements) {
            return Ok(Self::Any);
        }
        let parse = |element: &String| {
            let name = OtherName::parse(element).map_err(Refusal::AllowedOtherSans)?;
            Ok((name.oid.to_owned(), Glob::new(name.value)))
        };
        elements
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }

    /// The patterns that each other name may have to be held against.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Glob> {
        let listed = match self {
            Self::Any => &[][..],
            Self::Listed(listed) => listed,
        };
        listed.iter().map(|(_, glob)| glob)
    }

    pub(crate) fn check(&self, oid: &str, value: &str) -> Result<(), Refusal> {
        let Self::Listed(listed) = self else {
            return Ok(());
        };
        let mut of_type = listed.iter().filter(|(listed, _)| listed == oid).peekable();
        if of_type.peek().is_none() {
            return Err(Refusal::OtherNameOid(oid.to_owned()));
        }
        if of_type.any(|(_, glob)| glob.matches(value)) {
            Ok(())
        } else {
            Err(Refusal::OtherName {
                oid: oid.to_owned(),
                value: value.to_owned(),
            })
        }
    }
}

fn purposes(settings: &Settings) -> Result<Vec<Oid>, Refusal> {
    let mut names: Vec<&str> = settings.ext_key_usage.iter().map(String::as_str).collect();
    for (flag, name) in [
        (settings.server_flag, "ServerAuth"),
        (settings.client_flag, "ClientAuth"),
        (settings.code_signing_flag, "CodeSigning"),
        (settings.email_protection_flag, "EmailProtection"),
    ] {
        if flag {
            names.push(name);
        }
    }
    let oids = settings.ext_key_usage_oids.iter();
    let oids: Vec<Oid> = oids
        .map(|text| usage::oid(text).ok_or_else(|| Refusal::ExtKeyUsageOid(text.clone())))
        .collect::<Result<_, _>>()?;
    Ok(usage::distinct(usage::ext_key_usage(&names), oids))
}

/// What a request for `issue` says about the key to make, under a role of key type `any`.
///
/// # Errors
/// The role needs the request to name a key and it does not, or names one that cannot be made.
pub fn requested_key(key_type: &str, key_bits: i64) -> Result<KeySpec, Refusal> {
    if key_type.is_empty() {
        return Err(Refusal::KeyTypeAny);
    }
    KeySpec::parse(key_type, key_bits).map_err(|e| Refusal::IssueKey(e.to_string()))
}

/// Splits the `policy_identifiers` field as it was sent.
///
/// A text that is a JSON array of policies becomes one element for each; every other text is a
/// list between commas (OpenBao pki: roles).
pub fn split_policy_identifiers(text: &str) -> Vec<String> {
    policies::split(text)
}
