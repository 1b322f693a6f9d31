//! `preset=hybrid-node` of `roles/NAME`: the role that EKS hybrid nodes need, in one request.
//!
//! Under the trust policy of EKS the common name becomes the node's name, so that this role decides who is which node. It
//! admits the name that the caller's login proves, in its one spelling, and nothing else.
//!
//! It is a write of `roles/NAME` and of no other path, so that a policy that guards a role guards it from this too.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::hybrid::{self, Login};
use landfast_pki::lint::{Finding, Severity};
use landfast_pki::{KeySpec, Settings};
use landfast_sdk::logical::{CommaList, Cx, Error, Response};

use super::{RoleName, Sent, describe, put};
use crate::entry::role::RoleEntry;
use crate::mount::Shared;
use crate::role::Role;

/// What a preset makes a role from.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PresetRequest {
    /// `hybrid-node`: write the role that EKS hybrid nodes need. Beside it `ttl`, `max_ttl`, `no_store` and `issuer_ref` may be sent, and
    /// `key_type`, one of `ec`, `mldsa` (with `key_bits` 44, 65 or 87 as the least) and `any`; the preset gives everything else.
    #[serde(default)]
    #[schemars(extend("enum" = ["hybrid-node"]))]
    preset: String,
    /// With `preset`: how nodes log in, one of `approle` (one AppRole a node, named like it), `cert`, `jwt`, `kerberos`, `ldap`, `oidc`,
    /// `radius`, `userpass`.
    #[schemars(extend("default" = "approle", "enum" = ["approle", "cert", "jwt", "kerberos", "ldap", "oidc", "radius", "userpass"]))]
    login: Option<String>,
    /// With `preset`: accessor of the auth mount where nodes log in (`auth list` shows it). The node's name is then the one that the
    /// login proves.
    mount_accessor: Option<String>,
    /// With `preset`, instead of an accessor: the name of the one node that this role is for.
    #[serde(default)]
    node_name: CommaList,
}

impl PresetRequest {
    /// Whether a preset is asked for.
    ///
    /// # Errors
    /// For a preset that does not exist, and for its fields without it.
    pub(super) fn is_asked(&self) -> Result<bool, Error> {
        match self.preset.as_str() {
            "hybrid-node" => Ok(true),
            "" if self.login.is_none()
                && self.mount_accessor.is_none()
                && self.node_name.is_empty() =>
            {
                Ok(false)
            }
            "" => Err(Error::bad_request(
                "login, mount_accessor and node_name belong to preset=hybrid-node: send that too, or leave them out",
            )),
            _ => Err(Error::bad_request("the one preset is hybrid-node")),
        }
    }

    fn accessor(&self) -> Option<&str> {
        self.mount_accessor
            .as_deref()
            .filter(|text| !text.is_empty())
    }

    fn login(&self) -> &str {
        self.login.as_deref().unwrap_or("approle")
    }
}

/// `POST roles/NAME preset=hybrid-node`: makes the role or replaces it as a whole, and shows it.
pub(super) async fn write(
    mount: &Shared,
    name: &str,
    sent: &Sent,
    preset: &PresetRequest,
) -> Result<Response, Error> {
    let mut asked = Settings {
        ttl: ONE_DAY,
        max_ttl: LONG,
        key_type: hybrid::NODE_KEYS[0].to_owned(),
        ..Settings::default()
    };
    // A fault in the rest is told after those in what makes a role one for nodes.
    let _ = sent.apply(&mut asked);
    let (ttl, max_ttl) = (asked.ttl, asked.max_ttl);
    if ttl.is_zero() || max_ttl.is_zero() {
        return Err(Error::bad_request(
            "ttl and max_ttl of nodes must be greater than zero",
        ));
    }
    let allowed = allowed(preset)?;
    let mut made = role(preset, allowed, ttl, max_ttl);
    if asked.key_type != made.key_type {
        (made.key_type, made.key_bits) = other_key(&asked)?;
    }
    let settings = with_sent(made, sent)?;
    let entry = RoleEntry {
        settings,
        ..RoleEntry::default()
    };
    let mut warnings = check(&entry, preset)?;
    if max_ttl > LONG {
        warnings.push(format!(
            "certificates may live longer than {} hours; IAM Roles Anywhere learns of a revocation only from a CRL that somebody imports",
            LONG.as_secs() / 3600
        ));
    }
    put(mount, name, entry)
        .await
        .map(|response| response.warn_all(warnings))
}

/// `POST roles/NAME/hybrid-node`, where the preset used to be: a policy on `roles/NAME` does not cover this path, so it writes nothing.
pub(crate) async fn moved(_mount: Shared, _cx: Cx, request: RoleName) -> Result<Response, Error> {
    Err(Error::bad_request(format!(
        "the preset for nodes is a field now: write roles/{0} with preset=hybrid-node and the same fields as here, by the right to write roles/{0}",
        request.name
    )))
}

/// The entry of `allowed_domains` that binds the role.
fn allowed(preset: &PresetRequest) -> Result<String, Error> {
    match (preset.accessor(), preset.node_name.0.as_slice()) {
        (None, []) => Err(Error::bad_request(
            "a role for nodes must be bound to who they are: send mount_accessor for the names that logins prove, or node_name for a role for one node",
        )),
        (None, [only]) => {
            hybrid::node_name(only)
                .map_err(|why| Error::bad_request(format!("node_name: {why}")))?;
            Ok(only.clone())
        }
        (None, _) => Err(Error::bad_request(
            "RL-02: with several names in one role each node could become any of them; send mount_accessor, or write one role a node",
        )),
        (Some(accessor), []) => {
            let login = preset.login();
            let found = Login::for_method(login, accessor)
                .map_err(|why| Error::bad_request(why.to_string()))?;
            if !is_accessor(accessor, login) {
                return Err(Error::bad_request(format!(
                    "mount_accessor is no accessor of a mount of {login}, which looks like auth_{login}_1a2b3c4d: take it from `auth list`, and say with \
                     login which method nodes use",
                )));
            }
            Ok(found.template())
        }
        (Some(_), _) => Err(Error::bad_request(
            "send mount_accessor or node_name, not both",
        )),
    }
}

/// Whether a text has the form that servers give accessors of this method: `auth`, its type, and eight hexadecimal digits.
fn is_accessor(text: &str, login: &str) -> bool {
    let parts = text
        .strip_prefix("auth_")
        .and_then(|rest| rest.rsplit_once('_'));
    let Some((kind, digits)) = parts else {
        return false;
    };
    // One method under two names.
    let same = |name: &str| kind == name && ["jwt", "oidc"].contains(&login);
    (kind == login || same("jwt") || same("oidc"))
        && digits.len() == 8
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `key_type` and `key_bits` of a role whose nodes have other keys than the usual ones.
///
/// # Errors
/// When nodes have no such keys.
fn other_key(asked: &Settings) -> Result<(String, i64), Error> {
    let kind = asked.key_type.as_str();
    if !hybrid::NODE_KEYS.contains(&kind) {
        return Err(Error::bad_request(format!(
            "key_type of a role for nodes is one of {}",
            hybrid::NODE_KEYS.join(", ")
        )));
    }
    if kind == "any" {
        return Ok((kind.to_owned(), 0));
    }
    let spec = KeySpec::parse(kind, asked.key_bits)
        .map_err(|why| Error::bad_request(format!("key_bits: {why}")))?;
    Ok((kind.to_owned(), spec.bits.into()))
}

/// The preset's role with what was sent beside it.
///
/// # Errors
/// When something was sent that the preset gives otherwise: a role for nodes is not made wider in passing.
fn with_sent(made: Settings, sent: &Sent) -> Result<Settings, Error> {
    let mut role = made.clone();
    sent.apply(&mut role)?;
    let (before, after) = (describe(&made), describe(&role));
    let foreign: Vec<_> = after
        .iter()
        .filter(|(name, value)| !OPEN.contains(&name.as_str()) && before.get(*name) != Some(*value))
        .map(|(name, _)| name.as_str())
        .collect();
    if foreign.is_empty() {
        return Ok(role);
    }
    Err(Error::bad_request(format!(
        "preset=hybrid-node gives {} itself: leave it out, or write the role without a preset",
        foreign.join(", ")
    )))
}

fn role(preset: &PresetRequest, allowed: String, ttl: Duration, max_ttl: Duration) -> Settings {
    // The recommended role; only whose names it admits is different for a fixed name.
    let login = Login::AliasName {
        accessor: preset.accessor().unwrap_or_default().to_owned(),
    };
    Settings {
        allowed_domains: vec![allowed],
        allowed_domains_template: preset.accessor().is_some(),
        ..hybrid::node_role(&login, ttl, max_ttl)
    }
}

/// Holds the role against the rules for nodes before it is stored.
fn check(entry: &RoleEntry, preset: &PresetRequest) -> Result<Vec<String>, Error> {
    let role = Role::new(entry.clone());
    let profile = role.profile()?;
    let nodes: Vec<_> = preset
        .node_name
        .iter()
        .map(|name| (name.as_str(), None))
        .collect();
    let findings = hybrid::check_role(profile, &nodes);
    let said = |finding: &Finding| format!("{}: {}", finding.rule, finding.text);
    if let Some(error) = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        return Err(Error::bad_request(said(error)));
    }
    Ok(findings.iter().map(said).collect())
}

/// Fields of a role that may be sent beside the preset.
const OPEN: [&str; 4] = ["issuer_ref", "max_ttl", "no_store", "ttl"];

const ONE_DAY: Duration = Duration::from_secs(24 * 3600);

const LONG: Duration = Duration::from_secs(72 * 3600);
