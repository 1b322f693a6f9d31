//! `roles/NAME/hybrid-node`: writes the role that EKS hybrid nodes need, in one request.
//!
//! Under the trust policy of EKS the common name becomes the node's name, so that this role decides who is which node. It
//! admits the name that the caller's login proves, in its one spelling, and nothing else.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::hybrid::{self, Login};
use landfast_pki::lint::{Finding, Severity};
use landfast_sdk::logical::{CommaList, Cx, Error, Response, Ttl};

use crate::entry::role::RoleEntry;
use crate::mount::Shared;
use crate::paths::roles;
use crate::role::Role;
use crate::{issuers, pki};

/// What the role is to be bound to.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct HybridRequest {
    /// Name of the role.
    name: String,
    /// Issuer that signs: a name, an id, or `default`.
    #[serde(default = "default_issuer")]
    issuer_ref: String,
    /// How nodes log in: `approle` (one AppRole a node, named like it), `cert`, `jwt`, `kerberos`, `ldap`, `oidc`, `radius` or
    /// `userpass`.
    #[serde(default = "approle")]
    #[schemars(extend("enum" = ["approle", "cert", "jwt", "kerberos", "ldap", "oidc", "radius", "userpass"]))]
    login: String,
    /// Longest lifetime of a certificate. A certificate that gets lost is good for as long.
    #[serde(default = "three_days")]
    max_ttl: Ttl,
    /// Accessor of the auth mount where nodes log in (`auth list` shows it). The node's name is then the one that the login proves.
    #[serde(default)]
    mount_accessor: String,
    /// Instead of an accessor: the name of the one node that this role is for.
    #[serde(default)]
    node_name: CommaList,
    /// Keep no copy of issued certificates. They are then revocable only by whoever has the certificate.
    #[serde(default)]
    no_store: bool,
    /// Lifetime of a certificate.
    #[serde(default = "one_day")]
    ttl: Ttl,
}

/// `POST roles/NAME/hybrid-node`: makes the role or replaces it as a whole, and shows it.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    request: HybridRequest,
) -> Result<Response, Error> {
    let (ttl, max_ttl) = (request.ttl.0, request.max_ttl.0);
    if ttl.is_zero() || max_ttl.is_zero() {
        return Err(Error::bad_request(
            "ttl and max_ttl of nodes must be greater than zero",
        ));
    }
    let allowed = match (
        request.mount_accessor.as_str(),
        request.node_name.0.as_slice(),
    ) {
        ("", []) => {
            return Err(Error::bad_request(
                "a role for nodes must be bound to who they are: send mount_accessor for the names that logins prove, or node_name for a role for one node",
            ));
        }
        ("", [only]) => {
            hybrid::node_name(only)
                .map_err(|why| Error::bad_request(format!("node_name: {why}")))?;
            vec![only.clone()]
        }
        ("", _) => {
            return Err(Error::bad_request(
                "RL-02: with several names in one role each node could become any of them; send mount_accessor, or write one role a node",
            ));
        }
        (accessor, []) => {
            let login = Login::for_method(&request.login, accessor);
            vec![
                login
                    .map_err(|why| Error::bad_request(why.to_string()))?
                    .template(),
            ]
        }
        (_, _) => {
            return Err(Error::bad_request(
                "send mount_accessor or node_name, not both",
            ));
        }
    };
    let entry = entry(&request, allowed, ttl, max_ttl);
    let mut warnings = check(&entry, &request)?;
    if max_ttl > LONG {
        warnings.push(format!(
            "certificates may live longer than {} hours; IAM Roles Anywhere learns of a revocation only from a CRL that somebody imports",
            LONG.as_secs() / 3600
        ));
    }
    roles::put(&mount, &request.name, entry)
        .await
        .map(|response| response.warn_all(warnings))
}

fn entry(
    request: &HybridRequest,
    allowed: Vec<String>,
    ttl: Duration,
    max_ttl: Duration,
) -> RoleEntry {
    // The fields come from the recommended role; only whose names it admits is different for a fixed name.
    let login = Login::AliasName {
        accessor: request.mount_accessor.clone(),
    };
    let recommended = hybrid::node_role(&login, ttl, max_ttl);
    let mut role = RoleEntry::fresh();
    role.ttl_duration = ttl;
    role.max_ttl_duration = max_ttl;
    role.allow_localhost = recommended.allow_localhost;
    role.allowed_domains_template = !request.mount_accessor.is_empty();
    role.allowed_domains_list = allowed;
    role.allow_bare_domains = recommended.allow_bare_domains;
    role.allow_wildcard_certificates = recommended.allow_wildcard_certificates;
    role.allow_ip_sans = recommended.allow_ip_sans;
    role.server_flag = recommended.server_flag;
    role.client_flag = recommended.client_flag;
    role.cn_validations = recommended.cn_validations;
    role.key_type = recommended.key_type;
    role.key_bits = recommended.key_bits.into();
    role.key_usage_list = recommended.key_usage;
    role.not_before_duration = recommended.not_before_duration;
    role.not_before_bound = recommended.not_before_bound;
    role.not_after_bound = recommended.not_after_bound;
    role.no_store = request.no_store;
    role.issuer = request.issuer_ref.clone();
    role.node_names = true;
    role
}

/// Holds the role against the rules for nodes before it is stored.
fn check(entry: &RoleEntry, request: &HybridRequest) -> Result<Vec<String>, Error> {
    let profile = Role::new(entry.clone()).profile.map_err(pki::refusal)?;
    let nodes: Vec<_> = request
        .node_name
        .iter()
        .map(|name| (name.as_str(), None))
        .collect();
    let findings = hybrid::check_role(&profile, &nodes);
    let said = |finding: &Finding| format!("{}: {}", finding.rule, finding.text);
    if let Some(error) = findings
        .iter()
        .find(|finding| finding.severity == Severity::Error)
    {
        return Err(Error::bad_request(said(error)));
    }
    Ok(findings.iter().map(said).collect())
}

fn default_issuer() -> String {
    issuers::DEFAULT.into()
}

fn approle() -> String {
    "approle".into()
}

fn one_day() -> Ttl {
    Ttl(Duration::from_secs(24 * 3600))
}

fn three_days() -> Ttl {
    Ttl(LONG)
}

const LONG: Duration = Duration::from_secs(72 * 3600);
