//! Logins: what an auth method answers, and the tokens that a server makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Alias, CommaList, Error, Result, Ttl, secret};

/// What a login gives: the server makes a token of it.
#[derive(Clone, Default, PartialEq)]
pub struct Auth {
    /// Policies of the token. The server adds `default`, and those of the entity and its groups; `root` is refused.
    pub policies: Vec<String>,
    /// Whether the policy `default` is left out.
    pub no_default_policy: bool,
    /// Who it is, for the log of the server: it stands behind the mount's path, as in `machine-web-1`.
    pub display_name: String,
    /// Shown with the token and in the audit log; policies may use that of the alias.
    pub metadata: BTreeMap<String, String>,
    /// By which the server finds the entity, or makes it at the first login. Its name is all that is needed; the mount is filled in.
    pub alias: Option<Alias>,
    /// Groups of this mount that the entity is in from now on, by the names of their aliases.
    pub group_aliases: Vec<Alias>,
    /// Time to live of the token; zero for the mount's default.
    pub ttl: Duration,
    /// How long the token can be renewed to live; zero for the mount's maximum.
    pub max_ttl: Duration,
    /// As `max_ttl`, and no later tuning of the mount makes it longer; zero for none.
    pub explicit_max_ttl: Duration,
    /// Lets the token be renewed for ever, for so long at a time; zero for none.
    pub period: Duration,
    /// Whether the token can be renewed. Batch tokens never are.
    pub renewable: bool,
    /// How often the token can be used; 0 for as often as one likes.
    pub num_uses: u32,
    /// Addresses from which the token can be used; empty for all.
    pub bound_cidrs: Cidrs,
    /// The kind of token.
    pub token_type: TokenType,
    /// What the method needs to renew the login. The server stores it, and shows it to nobody.
    pub internal: Map<String, Value>,
}

/// Who it is and what for, without what the method stores with it, which may be secret.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("display_name", &self.display_name)
            .field("alias", &self.alias)
            .field("policies", &self.policies)
            .field("ttl", &self.ttl)
            .field("token_type", &self.token_type)
            .finish_non_exhaustive()
    }
}

impl Auth {
    /// The login of somebody by this name: the name of the alias, and the display name. It can be renewed.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            display_name: name.clone(),
            alias: Some(Alias::named(name)),
            renewable: true,
            ..Self::default()
        }
    }

    /// Gives the token its parameters, policies among them.
    #[must_use]
    pub fn with_token(self, token: &TokenParams) -> Self {
        Self {
            policies: token.token_policies.0.clone(),
            no_default_policy: token.token_no_default_policy,
            ttl: token.token_ttl.0,
            max_ttl: token.token_max_ttl.0,
            explicit_max_ttl: token.token_explicit_max_ttl.0,
            period: token.token_period.0,
            num_uses: token.token_num_uses,
            bound_cidrs: token.token_bound_cidrs.clone(),
            token_type: token.token_type,
            ..self
        }
    }

    /// Adds metadata, to the token and to the alias.
    #[must_use]
    pub fn with_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        if let Some(alias) = &mut self.alias {
            alias.metadata.insert(name.clone(), value.clone());
        }
        self.metadata.insert(name, value);
        self
    }

    /// Adds groups by the names of their aliases at this mount.
    #[must_use]
    pub fn with_groups<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.group_aliases
            .extend(names.into_iter().map(Alias::named));
        self
    }

    /// Stores what a renewal needs, which [`Login::internal_as`] gives back.
    ///
    /// # Errors
    /// The value is not a JSON object.
    pub fn with_internal(self, internal: &impl Serialize) -> Result<Self> {
        match secret::to_value(internal) {
            Ok(Value::Object(internal)) => Ok(Self { internal, ..self }),
            _ => Err(Error::internal(
                "could not encode the login",
                "its internal data is not a JSON object",
            )),
        }
    }
}

/// A login as the server keeps it, in a request to renew its token.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Login {
    /// What the method answered at the login, or at the last renewal. To renew is to answer with this, and with what has changed.
    pub auth: Auth,
    /// The extension that the client asks for; zero for the default. The server regards it whatever the method answers.
    pub increment: Duration,
    /// When the token was made, in seconds since 1970; `None` for the host's zero time.
    pub issued_at: Option<i64>,
    /// The entity of the alias.
    pub entity_id: String,
    /// The token's accessor.
    pub accessor: String,
    /// Policies that the token has of itself.
    pub token_policies: Vec<String>,
    /// Policies that it has by its entity.
    pub identity_policies: Vec<String>,
}

impl Login {
    /// The name of the alias; empty for a login without one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.auth.alias.as_ref().map_or("", |alias| &alias.name)
    }

    /// What the method stored with the login, as a type of its own.
    ///
    /// # Errors
    /// The login was made with something else.
    pub fn internal_as<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        secret::from_value(Value::Object(self.auth.internal.clone()))
            .map_err(|error| Error::internal("the login could not be read", error))
    }

    /// Renews by what the role says now: its times, and the policies that the login had. Other policies need another login.
    ///
    /// # Errors
    /// The role's policies have changed.
    pub fn renew_by(&self, token: &TokenParams) -> Result<Auth> {
        if plain(&self.token_policies) != plain(&token.token_policies) {
            return Err(Error::bad_request(
                "the policies have changed since the login: log in again",
            ));
        }
        Ok(Auth {
            ttl: token.token_ttl.0,
            max_ttl: token.token_max_ttl.0,
            period: token.token_period.0,
            ..self.auth.clone()
        })
    }

    /// This login with another answer of the method.
    pub(crate) fn renewed(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }
}

impl From<Auth> for Login {
    fn from(auth: Auth) -> Self {
        Self {
            auth,
            ..Self::default()
        }
    }
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// What the mount's tuning says; a service token if it says nothing.
    #[default]
    #[serde(alias = "")]
    Default,
    /// Stored by the server: it can be renewed, revoked and counted.
    Service,
    /// Not stored: all that it is stands in the token.
    Batch,
}

impl TokenType {
    /// The number of the protocol.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::Service => 1,
            Self::Batch => 2,
        }
    }

    /// The kind of a number of the protocol; those of a mount's tuning are no kinds of tokens.
    pub(crate) fn of_number(number: u32) -> Self {
        match number {
            1 => Self::Service,
            2 => Self::Batch,
            _ => Self::Default,
        }
    }
}

/// The fields that roles of auth methods have for the tokens that come of them, by the names that all methods share.
///
/// Take it beside a role's own fields (`(Role, TokenParams)` in a handler, or flattened) and say [`TokenParams::check`] before it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TokenParams {
    /// Policies of the token.
    pub token_policies: CommaList,
    /// If true, the token does not get the policy `default`.
    pub token_no_default_policy: bool,
    /// Time to live of the token; 0 for the default of the mount.
    pub token_ttl: Ttl,
    /// How long the token can be renewed to live; 0 for the maximum of the mount.
    pub token_max_ttl: Ttl,
    /// As token_max_ttl, whatever the mount is tuned to later; 0 for none.
    pub token_explicit_max_ttl: Ttl,
    /// Makes a periodic token: each renewal is for this time, and there is no last one. 0 for none.
    pub token_period: Ttl,
    /// How often the token can be used; 0 for no limit.
    pub token_num_uses: u32,
    /// Addresses or CIDR blocks from which the token can be used; empty for all.
    pub token_bound_cidrs: Cidrs,
    /// The kind of token: service, batch or default, which is what the mount says.
    pub token_type: TokenType,
}

impl TokenParams {
    /// Refuses what no token can have.
    ///
    /// # Errors
    /// A bad request that names the fields.
    pub fn check(&self) -> Result<()> {
        let batch = self.token_type == TokenType::Batch;
        let wrong = if batch && !self.token_period.is_zero() {
            "token_period cannot be set with token_type=batch: batch tokens are not renewed"
        } else if batch && self.token_num_uses > 0 {
            "token_num_uses cannot be set with token_type=batch: uses of batch tokens are not counted"
        } else if !self.token_max_ttl.is_zero() && self.token_ttl > self.token_max_ttl {
            "token_ttl cannot be longer than token_max_ttl"
        } else {
            return Ok(());
        };
        Err(Error::bad_request(wrong))
    }
}

/// Addresses and blocks of addresses, such as `10.0.0.0/8`, `192.0.2.1` or `2001:db8::/32`, each of which is one: a list, or a text split at
/// commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cidrs(CommaList);

impl Cidrs {
    /// The address alone, for a token that is good for the client that has logged in only.
    ///
    /// # Errors
    /// It is no address: a host may not know where a request came from.
    pub fn only(address: &str) -> Result<Self> {
        Self::try_from(CommaList(vec![address.to_owned()])).map_err(Error::bad_request)
    }

    /// The texts.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// What a host has stored.
    pub(crate) fn of_host(texts: Vec<String>) -> Self {
        Self(CommaList(texts))
    }
}

impl TryFrom<CommaList> for Cidrs {
    type Error = String;

    fn try_from(list: CommaList) -> Result<Self, String> {
        match list.iter().position(|text| !is_cidr(text)) {
            None => Ok(Self(list)),
            Some(at) => Err(format!("entry {} is no address or CIDR block", at + 1)),
        }
    }
}

impl<'de> Deserialize<'de> for Cidrs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = CommaList::deserialize(deserializer)?;
        Self::try_from(list).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Cidrs {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cidrs".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string" }, "x-kind": "comma-list" })
    }
}

/// Names of policies as the server has them, but for the one that it adds.
fn plain(policies: &[String]) -> BTreeSet<String> {
    let plain = policies.iter().map(|name| name.trim().to_lowercase());
    plain
        .filter(|name| !name.is_empty() && name != "default")
        .collect()
}

fn is_cidr(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    length.is_none_or(|length| {
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        digits && length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}

#[cfg(test)]
mod tests;
