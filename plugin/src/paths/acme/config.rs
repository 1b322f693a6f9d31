//! `config/acme`: whether there is an ACME server, and who may have what from it.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use landfast_sdk::logical::{CommaList, Cx, Error, NoFields, Response, Write};

use crate::Mount;
use crate::acme::state::{DISABLE_PUBLIC, PUBLIC_IS_DISABLED, TUNE};
use crate::acme::{self, Refused, directory};
use crate::entry::acme::ValidationConfig;
use crate::entry::jobs::AcmeConfig;
use crate::entry::{self};
use crate::issuers;
use crate::mount::Shared;

/// Settings of the ACME server, which is off; what is not sent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AcmeRequest {
    /// Whether the extended key usages of a role are used, in place of serverAuth alone.
    #[schemars(extend("default" = false))]
    allow_role_ext_key_usage: Option<bool>,
    /// Issuers that may sign; `*` alone for all.
    #[schemars(extend("default" = ["*"]))]
    allowed_issuers: Option<CommaList>,
    /// Roles that may be used; `*` alone for all.
    #[schemars(extend("default" = ["*"]))]
    allowed_roles: Option<CommaList>,
    /// What a directory without a role does: `sign-verbatim`, `forbid` or `role:NAME`.
    #[schemars(extend("default" = "sign-verbatim"))]
    default_directory_policy: Option<String>,
    /// Where names are looked up, `ADDRESS:PORT`; empty for the system's resolver.
    dns_resolver: Option<String>,
    /// Who needs an external account: `not-required`, `new-account-required` or `always-required`.
    #[schemars(extend("default" = "always-required"))]
    eab_policy: Option<String>,
    /// Whether there is an ACME server.
    #[schemars(extend("default" = false))]
    enabled: Option<bool>,
}

/// `GET config/acme`.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let config = acme::config(&mount).await?;
    let response = show(&config)?;
    if !config.enabled {
        return Ok(response);
    }
    let mut warnings = Vec::new();
    if directory::root(&mount).await?.is_none() {
        warnings.push(directory::NO_PATH.to_owned());
    }
    if mount.acme.loses_nonces() {
        warnings.push(TUNE.to_owned());
    }
    Ok(response.warn_all(warnings))
}

/// `POST config/acme`. Who turns ACME on here has validation reach public addresses only, until `config/acme-validation` says otherwise.
pub(crate) async fn write(mount: Shared, _cx: Cx, request: AcmeRequest) -> Result<Response, Error> {
    let before = acme::config(&mount).await?;
    let mut config = AcmeConfig::clone(&before);
    request.apply(&mut config);
    check(&mount, &config).await?;
    let mut writes = vec![Write::put(AcmeConfig::KEY, entry::encode(&config))];
    let is_new = config.enabled && !before.enabled;
    if is_new
        && mount
            .load::<ValidationConfig>(ValidationConfig::KEY)
            .await?
            .is_none()
    {
        writes.push(Write::put(
            ValidationConfig::KEY,
            entry::encode(&ValidationConfig::default()),
        ));
    }
    mount.save(writes).await?;
    show(&config)
}

impl AcmeRequest {
    fn apply(self, config: &mut AcmeConfig) {
        if let Some(enabled) = self.enabled {
            config.enabled = enabled;
        }
        if let Some(allow) = self.allow_role_ext_key_usage {
            config.allow_role_ext_key_usage = allow;
        }
        for (field, sent) in [
            (&mut config.allowed_issuers, self.allowed_issuers),
            (&mut config.allowed_roles, self.allowed_roles),
        ] {
            if let Some(sent) = sent {
                *field = sent.0;
            }
        }
        for (field, sent) in [
            (
                &mut config.default_directory_policy,
                self.default_directory_policy,
            ),
            (&mut config.dns_resolver, self.dns_resolver),
            (&mut config.eab_policy, self.eab_policy),
        ] {
            if let Some(sent) = sent {
                *field = sent;
            }
        }
    }
}

async fn check(mount: &Mount, config: &AcmeConfig) -> Result<(), Error> {
    let bad = Error::BadRequest;
    if !["not-required", "new-account-required", "always-required"]
        .contains(&config.eab_policy.as_str())
    {
        return Err(bad(
            "invalid eab policy name provided, valid values are 'not-required', 'new-account-required', 'always-required'".into(),
        ));
    }
    let policy = config.default_directory_policy.as_str();
    let default_role = policy.strip_prefix("role:");
    match default_role {
        Some("") => {
            return Err(bad(format!(
                "invalid default_directory_policy: no role specified by policy {policy}"
            )));
        }
        None if !["sign-verbatim", "forbid"].contains(&policy) => {
            return Err(bad(format!(
                "invalid default_directory_policy: string {policy} not a valid Default Directory Policy"
            )));
        }
        _ => {}
    }
    if !config.dns_resolver.is_empty() {
        resolver(&config.dns_resolver)
            .map_err(|why| bad(format!("failed to parse DNS resolver address: {why}")))?;
    }
    for (name, kind, list) in [
        ("allowed_roles", "role", &config.allowed_roles),
        ("allowed_issuers", "issuer", &config.allowed_issuers),
    ] {
        if list.is_empty() {
            return Err(bad(format!(
                "{name} must take a non-zero length value; specify '*' as the value to allow anything or specify enabled=false to disable ACME entirely"
            )));
        }
        if let (Some(at), true) = (list.iter().position(|item| item == "*"), list.len() > 1) {
            return Err(bad(format!("cannot use '*' as {kind} name at index {at}")));
        }
    }
    let all_roles = config.allowed_roles == ["*"];
    for name in config.allowed_roles.iter().filter(|_| !all_roles) {
        usable(mount, name).await?.map_err(|why| {
            bad(format!(
                "allowed_role {name} is not a valid acme role: {why}"
            ))
        })?;
    }
    if let Some(name) = default_role {
        if !all_roles && !config.allowed_roles.iter().any(|role| role == name) {
            return Err(bad(format!(
                "default directory policy {policy} was not specified in allowed_roles: [{}]",
                config.allowed_roles.join(" ")
            )));
        }
        usable(mount, name).await?.map_err(|why| {
            bad(format!(
                "default directory policy role {name} is not a valid ACME role: {why}"
            ))
        })?;
    }
    let all_issuers = config.allowed_issuers == ["*"];
    for name in config.allowed_issuers.iter().filter(|_| !all_issuers) {
        if issuers::find(mount, name).await.ok().flatten().is_none() {
            return Err(bad(format!(
                "failed validating allowed_issuers: unable to fetch issuer: {name}: unable to find PKI issuer for reference: {name}"
            )));
        }
    }
    if config.enabled {
        if directory::root(mount).await?.is_none() {
            return Err(bad(directory::NO_PATH.to_owned()));
        }
        if *PUBLIC_IS_DISABLED && config.eab_policy != "always-required" {
            return Err(bad(format!(
                "{DISABLE_PUBLIC} env var is enabled, ACME EAB policy needs to be 'always-required' with ACME enabled"
            )));
        }
    }
    Ok(())
}

/// Why ACME could not issue by a role, if so.
async fn usable(mount: &Mount, name: &str) -> Result<Result<(), String>, Error> {
    match directory::usable_role(mount, name).await {
        Ok(_) => Ok(Ok(())),
        Err(Refused::Problem(problem)) => Ok(Err(problem.detail)),
        Err(Refused::Error(error)) => Err(error),
        Err(Refused::Off) => Err(Error::UnsupportedPath),
    }
}

/// `ADDRESS:PORT`, where an IPv6 address stands in brackets.
fn resolver(text: &str) -> Result<(), String> {
    let (host, _port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("address {text}: missing port in address"))?;
    let host = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inner) => inner,
        None if host.contains(':') => {
            return Err(format!("address {text}: too many colons in address"));
        }
        None => host,
    };
    if host.is_empty() {
        return Err("got empty address".into());
    }
    match host.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("expected IPv4/IPv6 address, likely got hostname".into()),
    }
}

fn show(config: &AcmeConfig) -> Result<Response, Error> {
    Response::data(&json!({
        "enabled": config.enabled,
        "allowed_issuers": config.allowed_issuers,
        "allowed_roles": config.allowed_roles,
        "allow_role_ext_key_usage": config.allow_role_ext_key_usage,
        "default_directory_policy": config.default_directory_policy,
        "dns_resolver": config.dns_resolver,
        "eab_policy": config.eab_policy,
    }))
}
