//! `role/NAME`: what a role looks like in storage.
//!
//! The layout is that of the built-in `pki` engine of OpenBao 2.7.2, down to the order of the members, so that a mount can change
//! hands in both directions. Storage names differ from API names (`allowed_domains_list`, `key_usage_list`, durations in
//! nanoseconds, …): `rows` has both.

use landfast_pki::Settings;
use landfast_sdk::logical::parse_duration;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::other::Other;

mod rows;

pub(crate) use rows::{At, KEY_TYPES, Kind, ROWS, Row};

/// A role as stored, after entries of older layouts were brought up to date by [`RoleEntry::decode`].
///
/// `Default` is a role of which nothing was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoleEntry {
    /// What the role says.
    pub settings: Settings,
    /// Whether the entry does not say what a `*` in a value of a template is: Vault stores no `allow_globs_in_identity_templates`.
    pub globs_unsaid: bool,
    /// Whether the entry has the layout of an older server.
    pub is_former: bool,
    /// Fields of other versions.
    pub other: Other,
}

impl RoleEntry {
    /// Storage key of the role `name`.
    pub fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Reads a stored role. Members that older servers wrote under other names are moved to where they belong now.
    ///
    /// What an entry does not say is off, but for what was on before there was a switch for it.
    ///
    /// # Errors
    /// When the bytes are not the JSON of a role.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<Self> {
        let other: Other = super::decode(bytes)?;
        let mut role = Self {
            globs_unsaid: !other.has("allow_globs_in_identity_templates"),
            is_former: !other.has("generate_lease") || FORMER.iter().any(|name| other.says(name)),
            settings: Settings::default(),
            other,
        };
        for row in ROWS {
            row.restore(&mut role.settings, &mut role.other)?;
        }
        role.modernise()?;
        Ok(role)
    }

    /// The bytes to store: one line of JSON.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(self)
    }

    fn modernise(&mut self) -> serde_json::Result<()> {
        let Self {
            settings, other, ..
        } = self;
        for (now, former) in [
            (&mut settings.ttl, ["ttl", "lease"]),
            (&mut settings.max_ttl, ["max_ttl", "lease_max"]),
        ] {
            for name in former {
                let old: String = other.take(name)?;
                if now.is_zero() && !old.is_empty() {
                    *now = parse_duration(&old).unwrap_or_default();
                }
            }
        }
        settings.allow_bare_domains |= other.take::<bool>("allow_base_domain")?;
        for (now, name) in [
            (&mut settings.allowed_domains, "allowed_domains"),
            (&mut settings.key_usage, "key_usage"),
            (&mut settings.attributes.ou, "ou"),
            (&mut settings.attributes.organization, "organization"),
        ] {
            let old: TextOrList = other.take(name)?;
            if now.is_empty() {
                *now = old.into_list();
            }
        }
        let base: String = other.take("allowed_base_domain")?;
        if !base.is_empty() && !settings.allowed_domains.contains(&base) {
            settings.allowed_domains.push(base);
        }
        let fresh = Settings::default();
        if settings.cn_validations.is_empty() {
            settings.cn_validations = fresh.cn_validations;
        }
        for (text, default) in [
            (&mut settings.issuer, fresh.issuer),
            (&mut settings.not_before_bound, fresh.not_before_bound),
            (&mut settings.not_after_bound, fresh.not_after_bound),
        ] {
            if text.is_empty() {
                *text = default;
            }
        }
        if settings.key_bits == 0 {
            settings.key_bits = match settings.key_type.as_str() {
                "rsa" => 2048,
                "ec" => 256,
                "mldsa" => 44,
                _ => 0,
            };
        }
        Ok(())
    }
}

impl Serialize for RoleEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for row in ROWS {
            if let Some(value) = row.stored_value(&self.settings) {
                map.serialize_entry(row.stored, &value)?;
            }
        }
        for (name, value) in self.other.members() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Members under which older servers stored what has another name now.
const FORMER: [&str; 10] = [
    "ttl",
    "lease",
    "max_ttl",
    "lease_max",
    "allow_base_domain",
    "allowed_base_domain",
    "allowed_domains",
    "key_usage",
    "ou",
    "organization",
];

/// The storage prefix that all roles share.
pub const PREFIX: &str = "role/";

/// How servers before the list forms wrote a list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum TextOrList {
    Text(String),
    List(Vec<String>),
}

impl TextOrList {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Self::List(list) => list,
        }
    }
}

impl Default for TextOrList {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

#[cfg(test)]
mod tests;
