//! What a certificate authority owes EKS hybrid nodes: node names, and a role that binds a login
//! to one of them.
//!
//! Under the trust policy that EKS documents, the CA alone decides who is which node: the common
//! name becomes the role session name, and that the node name. A role for nodes must therefore
//! tie the caller's identity to the name it may have.

use std::time::Duration;

use crate::finding::Finding;
use crate::identity::Identity;
use crate::profile::Profile;
use crate::settings::Settings;

pub use crate::node_name::{NotANodeName, node_name};

/// Where a node's identity carries its name, which depends on how it logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The alias name is the node name: userpass, certificate, JWT and others.
    AliasName {
        /// Accessor of the auth mount.
        accessor: String,
    },
    /// AppRole: the alias name is the role id, a UUID, so each node has an AppRole of its own,
    /// named like the node; its name is in the alias metadata.
    AppRole {
        /// Accessor of the auth mount.
        accessor: String,
    },
}

/// An auth mount that says nothing a node name could be bound to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// Aliases of this method carry no name of the node's own.
    #[error(
        "an alias of auth method {0} does not carry a node name; use approle, cert, jwt, oidc, ldap, kerberos, radius or userpass"
    )]
    Method(String),
    /// Not the accessor of an auth mount.
    #[error("an accessor has letters, digits, hyphens and underscores only")]
    Accessor,
}

impl Login {
    /// The kind of login for an auth method, by its type as `sys/auth` shows it.
    ///
    /// # Errors
    /// The method's aliases cannot name a node, or the accessor is not one.
    pub fn for_method(method: &str, accessor: &str) -> Result<Self, LoginError> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if accessor.is_empty() || !accessor.bytes().all(valid) {
            return Err(LoginError::Accessor);
        }
        let accessor = accessor.to_owned();
        match method {
            "approle" => Ok(Self::AppRole { accessor }),
            "cert" | "jwt" | "oidc" | "ldap" | "kerberos" | "radius" | "userpass" => {
                Ok(Self::AliasName { accessor })
            }
            _ => Err(LoginError::Method(method.to_owned())),
        }
    }

    /// The entry of `allowed_domains` that admits a node's own name and no other.
    pub fn template(&self) -> String {
        match self {
            Self::AliasName { accessor } => {
                format!("{{{{identity.entity.aliases.{accessor}.name}}}}")
            }
            Self::AppRole { accessor } => {
                format!("{{{{identity.entity.aliases.{accessor}.metadata.role_name}}}}")
            }
        }
    }
}

/// The kinds of keys that a role for nodes may want, by their names in the API, beginning with the one that it wants when nobody says
/// otherwise: `any` is for a fleet on its way from one to the other.
pub const NODE_KEYS: [&str; 3] = ["ec", "mldsa", "any"];

/// The recommended role for hybrid nodes.
///
/// P-256 keys (the first of [`NODE_KEYS`]), client authentication only, digitalSignature only, the node's own name and nothing
/// else in it, a short life, and five minutes of backdating for drifting clocks. The end cannot be
/// chosen by the node, nor the spelling of its name.
pub fn node_role(login: &Login, ttl: Duration, max_ttl: Duration) -> Settings {
    Settings {
        key_type: "ec".into(),
        key_bits: 256,
        allowed_domains: vec![login.template()],
        allowed_domains_template: true,
        allow_bare_domains: true,
        allow_wildcard_certificates: false,
        allow_ip_sans: false,
        allow_localhost: false,
        cn_validations: vec!["hostname".into()],
        server_flag: false,
        client_flag: true,
        key_usage: vec!["DigitalSignature".into()],
        not_after_bound: "forbid".into(),
        not_before_bound: "forbid".into(),
        not_before_duration: Duration::from_secs(300),
        node_names: true,
        ttl,
        max_ttl,
        ..Settings::default()
    }
}

/// Checks a role that is meant for hybrid nodes.
///
/// `nodes` are names that must get a certificate, each with the identity it logs in with.
pub fn check_role(profile: &Profile, nodes: &[(&str, Option<&Identity>)]) -> Vec<Finding> {
    let settings = profile.settings();
    let mut findings = Vec::new();
    let mut error = |rule, text: String| findings.push(Finding::error(rule, text));
    if !profile.has_digital_signature() {
        error(
            RL_01,
            "key_usage lacks DigitalSignature, which IAM Roles Anywhere requires".into(),
        );
    }
    if settings.key_type == "ed25519" {
        error(
            RL_01,
            "key_type ed25519 is not a key that IAM Roles Anywhere accepts".into(),
        );
    }
    for (node, identity) in nodes {
        if let Err(why) = node_name(node) {
            error(RL_03, format!("{node}: {why}"));
        } else if !profile.names(*identity, "").allow_common_name(node) {
            error(
                RL_03,
                format!("{node}: allowed_domains does not admit this name"),
            );
        }
    }
    for (set, what) in [
        (settings.allow_any_name, "allow_any_name"),
        (
            settings.allow_wildcard_certificates,
            "allow_wildcard_certificates",
        ),
        (settings.allow_subdomains, "allow_subdomains"),
        (settings.allow_glob_domains, "allow_glob_domains"),
        (settings.allow_ip_sans, "allow_ip_sans"),
    ] {
        if set {
            let text = format!("{what} is set: a holder may carry names other than its own");
            findings.push(Finding::warning(RL_02, text));
        }
    }
    if !settings.allowed_domains_template && settings.allowed_domains.len() > 1 {
        let text = "allowed_domains lists several names without an identity template: each caller may become any of them";
        findings.push(Finding::warning(RL_02, text.into()));
    }
    findings
}

/// Role makes leaves that IAM Roles Anywhere refuses.
const RL_01: &str = "RL-01";
/// Role lets a holder become another node.
const RL_02: &str = "RL-02";
/// Role does not admit the node names.
const RL_03: &str = "RL-03";

#[cfg(test)]
mod tests;
