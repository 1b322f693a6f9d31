//! What comes with a configuration besides its keys: the environment, who wrote it, and how long its service may take.

use std::collections::HashMap;
use std::time::Duration;

use landfast_base::Secret;

use crate::credentials::OpenRolesAnywhere;

/// Environment variables as a value, so that parsing can be tested and the environment can be shut out.
#[derive(Debug, Default)]
pub struct Environment(HashMap<String, Secret<String>>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        std::env::vars_os().filter_map(text).collect()
    }

    /// No variables at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The variable's value; an empty one counts as not set.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.expose().as_str())
            .filter(|value| !value.is_empty())
    }

    /// Whether a variable says true, in capitals or not.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.var(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The first of several variables that is set, with its name.
    pub(crate) fn first<'a>(&self, names: &[&'a str]) -> Option<(&'a str, &str)> {
        names.iter().find_map(|name| Some((*name, self.var(name)?)))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }
}

/// What comes with a stanza besides its keys.
#[derive(Debug, Default)]
pub struct ParseOptions<'a> {
    /// The caller's key id, which `kms_key_id` overrides.
    pub key_id: Option<&'a str>,
    /// Who wrote the configuration.
    pub author: Author,
    /// Who opens sessions of IAM Roles Anywhere. Without it, a configuration cannot ask for one.
    pub roles_anywhere: Option<OpenRolesAnywhere>,
}

/// Who wrote a configuration, which decides what it may reach.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The operator of the server: the environment, the user's files and instance metadata count too.
    #[default]
    Operator,
    /// The operator, who wants nothing to count but the configuration.
    Isolated,
    /// Somebody who may use the server but not read its files: as [`Author::Isolated`], and no value may name a file or a variable.
    Tenant,
    /// As [`Author::Tenant`], but the operator lends the server's own identity: environment, files and instance metadata count for
    /// credentials, and the configuration may not send what they sign elsewhere.
    TenantWithServerIdentity,
}

impl Author {
    /// The configuration in the words of a message.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Operator | Self::Isolated => "the seal stanza",
            Self::Tenant | Self::TenantWithServerIdentity => "the configuration",
        }
    }
}

/// Time and tries that a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One request and its answer.
    pub attempt: Duration,
    /// A call with its retries, pauses and, for Decrypt, the other Regions.
    pub call: Duration,
    /// Requests per Region.
    pub attempts: u32,
    /// Pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(3),
            call: Duration::from_secs(10),
            attempts: 4,
            pause: Duration::from_millis(200),
        }
    }
}
