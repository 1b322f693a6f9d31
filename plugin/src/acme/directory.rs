//! A directory: the issuer that signs for its clients, and the role that says what they may have.

use std::sync::Arc;

use jiff::Timestamp;
use landfast_acme::problem::{Kind, Problem};
use landfast_pki::{Profile, acme as rules};
use landfast_sdk::logical::Error;

use crate::acme::state::PUBLIC_IS_DISABLED;
use crate::acme::{self, Refused, problem};
use crate::entry::acme::AccountEntry;
use crate::entry::config::ClusterConfig;
use crate::entry::issuer::Usage;
use crate::entry::jobs::AcmeConfig;
use crate::entry::role::{self, RoleEntry};
use crate::issuers::{self, LoadedIssuer};
use crate::role::Role;
use crate::{Mount, fault, names};

/// A directory as a request finds it.
pub(crate) struct Directory {
    /// Its path in the mount, such as `roles/web/acme/`: what accounts and external accounts belong to.
    pub(crate) path: String,
    /// The URL of the mount, without a slash at its end.
    root: String,
    /// The settings.
    pub(crate) config: Arc<AcmeConfig>,
    /// Who needs an external account.
    pub(crate) eab: EabPolicy,
    /// Who signs.
    pub(crate) issuer: Arc<LoadedIssuer>,
    /// By which role; none where every name goes.
    role: Option<Arc<Role>>,
    /// Its name.
    role_name: String,
    /// Whether the path names a role; a profile may do so elsewhere.
    is_of_role: bool,
    /// Whether the path names an issuer, whatever issuer roles have.
    is_of_issuer: bool,
}

/// Who needs an external account (`eab_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EabPolicy {
    /// Nobody.
    NotRequired,
    /// Who makes an account.
    NewAccount,
    /// Every account that is used.
    Always,
}

impl EabPolicy {
    fn of(config: &AcmeConfig) -> Self {
        match config.eab_policy.as_str() {
            "not-required" => Self::NotRequired,
            "new-account-required" => Self::NewAccount,
            // Whatever somebody wrote into storage.
            _ => Self::Always,
        }
    }

    /// Whether new accounts need one.
    pub(crate) fn for_new(self) -> bool {
        self != Self::NotRequired
    }

    /// Refuses an account that may not be used.
    ///
    /// # Errors
    /// It is bound to no external account and has to be.
    pub(crate) fn check(self, account: &AccountEntry) -> Result<(), Refused> {
        if self == Self::Always && account.eab.is_none() {
            return Err(Problem::from(Kind::ExternalAccountRequired).into());
        }
        Ok(())
    }
}

/// What the path of a request says, by its parts: a body cannot say otherwise.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Up to and with `acme/`.
    pub(crate) directory: &'a str,
    issuer: Option<&'a str>,
    role: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Reads a path of the four kinds of directories.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        let (issuer, role, before) = match parts.as_slice() {
            ["acme", ..] => (None, None, 0),
            ["roles", role, "acme", ..] => (None, Some(*role), 2),
            ["issuer", issuer, "acme", ..] => (Some(*issuer), None, 2),
            ["issuer", issuer, "roles", role, "acme", ..] => (Some(*issuer), Some(*role), 4),
            _ => return None,
        };
        let length: usize = parts[..=before].iter().map(|part| part.len() + 1).sum();
        Some(Self {
            directory: path.get(..length)?,
            issuer,
            role,
        })
    }
}

impl Directory {
    /// The directory that `path` leads to, if ACME is on and its settings allow this issuer and role.
    ///
    /// # Errors
    /// ACME is off, or the directory is none of those that may be used. When storage fails.
    pub(crate) async fn load(mount: &Mount, path: &str) -> Result<Self, Refused> {
        let config = acme::config(mount).await?;
        let eab = EabPolicy::of(&config);
        if !config.enabled || (*PUBLIC_IS_DISABLED && eab != EabPolicy::Always) {
            return Err(Refused::Off);
        }
        let place = Place::of(path).ok_or_else(|| {
            problem(
                Kind::ServerInternal,
                format!("unable to determine acme base folder path: {path}"),
            )
        })?;
        let root = root(mount)
            .await?
            .ok_or_else(|| Problem::new(Kind::ServerInternal, NO_PATH))?;
        let (role, role_name) = match place.role {
            Some(name) => (Some(allowed_role(mount, &config, name).await?), name),
            None => default_role(mount, &config).await?,
        };
        let issuer = match (place.issuer, &role) {
            (Some(reference), _) => names::folded(reference).to_owned(),
            (None, Some(role)) => role.entry.settings.issuer.clone(),
            (None, None) => String::new(),
        };
        let issuer = issuer_for(mount, &config, &issuer).await?;
        Ok(Self {
            path: place.directory.to_owned(),
            root,
            eab,
            issuer,
            role_name: role_name.to_owned(),
            role,
            is_of_role: place.role.is_some(),
            is_of_issuer: place.issuer.is_some(),
            config: Arc::clone(&config),
        })
    }

    /// The URL of something below the directory.
    pub(crate) fn url(&self, below: &str) -> String {
        format!("{}/{}{below}", self.root, self.path)
    }

    /// The URL of a path of the mount.
    pub(crate) fn url_of(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }

    /// The name of the role, for texts; empty where every name goes.
    pub(crate) fn role_name(&self) -> &str {
        &self.role_name
    }

    /// The role.
    pub(crate) fn role(&self) -> Option<&Arc<Role>> {
        self.role.as_ref()
    }

    /// The rules of certificates that are made at `now`.
    ///
    /// # Errors
    /// The role has parts that cannot be used here.
    pub(crate) fn rules(&self, now: Timestamp) -> Result<Profile, Refused> {
        let settings = self.role.as_ref().map(|role| &role.entry.settings);
        rules::profile(settings, self.config.allow_role_ext_key_usage, now)
            .map_err(|refusal| fault::refusal(refusal).into())
    }

    /// The profiles of the directory (draft-ietf-acme-profiles): the roles that `config/acme` allows, where neither the path nor the default policy names one.
    ///
    /// # Errors
    /// When storage fails.
    pub(crate) async fn profiles(&self, mount: &Mount) -> Result<Vec<String>, Refused> {
        if self.is_of_role {
            return Ok(Vec::new());
        }
        let names = if self.config.allowed_roles == [ANY] {
            let page = mount
                .storage()
                .list_page(role::PREFIX, "", Some(MOST_PROFILES))
                .await;
            page.map_err(Error::from)?
        } else {
            self.config.allowed_roles.clone()
        };
        let mut usable = Vec::new();
        for name in names.into_iter().take(MOST_PROFILES) {
            let role = mount.load::<Role>(&RoleEntry::key(&name)).await?;
            if role.is_some_and(|role| !role.entry.settings.no_store) {
                usable.push(name);
            }
        }
        Ok(usable)
    }

    /// The directory with the role that an order's profile names.
    ///
    /// # Errors
    /// The directory has no such profile. When storage fails.
    pub(crate) async fn with_profile(
        mut self,
        mount: &Mount,
        profile: &str,
    ) -> Result<Self, Refused> {
        if profile.is_empty() {
            return Ok(self);
        }
        if self.is_of_role {
            return Err(problem(
                Kind::InvalidProfile,
                format!(
                    "the directory of a role has no profiles: ask without the profile {profile}"
                ),
            ));
        }
        let role = match allowed_role(mount, &self.config, profile).await {
            Ok(role) => role,
            Err(Refused::Problem(problem)) => {
                return Err(crate::acme::problem(
                    Kind::InvalidProfile,
                    format!("there is no profile {profile}: {}", problem.detail),
                ));
            }
            Err(other) => return Err(other),
        };
        if !self.is_of_issuer {
            self.issuer = issuer_for(mount, &self.config, &role.entry.settings.issuer).await?;
        }
        profile.clone_into(&mut self.role_name);
        self.role = Some(role);
        Ok(self)
    }
}

/// The URL of the mount as `config/cluster` has it, without a slash at its end.
///
/// # Errors
/// When storage fails.
pub(crate) async fn root(mount: &Mount) -> Result<Option<String>, Error> {
    let cluster = mount
        .load_or_default::<ClusterConfig>(ClusterConfig::KEY)
        .await?;
    let path = cluster.path.trim_end_matches('/');
    Ok((!path.is_empty()).then(|| path.to_owned()))
}

/// What is said where `config/cluster` has no path.
pub(crate) const NO_PATH: &str =
    "ACME feature requires local cluster 'path' field configuration to be set";

/// The role of directories whose path names none.
async fn default_role<'a>(
    mount: &Mount,
    config: &'a AcmeConfig,
) -> Result<(Option<Arc<Role>>, &'a str), Refused> {
    let policy = config.default_directory_policy.as_str();
    match policy.strip_prefix("role:") {
        Some(name) => Ok((Some(usable_role(mount, name).await?), name)),
        None if policy == "sign-verbatim" => Ok((None, "")),
        None => Err(problem(
            Kind::ServerInternal,
            "default directory not allowed by ACME policy",
        )),
    }
}

async fn allowed_role(
    mount: &Mount,
    config: &AcmeConfig,
    name: &str,
) -> Result<Arc<Role>, Refused> {
    let role = usable_role(mount, name).await?;
    if config.allowed_roles != [ANY] && !config.allowed_roles.iter().any(|allowed| allowed == name)
    {
        return Err(problem(
            Kind::ServerInternal,
            "specified role not allowed by ACME policy",
        ));
    }
    Ok(role)
}

/// A role that ACME can issue by: one whose certificates are stored.
///
/// # Errors
/// There is none of this name, or its certificates are not stored. When storage fails.
pub(crate) async fn usable_role(mount: &Mount, name: &str) -> Result<Arc<Role>, Refused> {
    let found = match names::is_name(name) {
        true => mount.load::<Role>(&RoleEntry::key(name)).await?,
        false => None,
    };
    let Some(role) = found else {
        return Err(problem(Kind::Malformed, "role does not exist"));
    };
    if role.entry.settings.no_store {
        return Err(problem(
            Kind::ServerInternal,
            "role can not be used as NoStore is set to true",
        ));
    }
    Ok(role)
}

async fn issuer_for(
    mount: &Mount,
    config: &AcmeConfig,
    reference: &str,
) -> Result<Arc<LoadedIssuer>, Refused> {
    let reference = if reference.is_empty() {
        names::DEFAULT
    } else {
        reference
    };
    let Some(issuer) = issuers::find(mount, reference).await? else {
        return Err(problem(Kind::Malformed, "issuer does not exist"));
    };
    if !issuer.entry.usage.allows(Usage::ISSUING) || issuer.entry.key_id.is_empty() {
        return Err(problem(
            Kind::ServerInternal,
            "issuer missing proper issuance usage or key",
        ));
    }
    if config.allowed_issuers == [ANY] {
        return Ok(issuer);
    }
    for allowed in &config.allowed_issuers {
        if issuers::find(mount, allowed)
            .await?
            .is_some_and(|found| found.id() == issuer.id())
        {
            return Ok(issuer);
        }
    }
    Err(problem(
        Kind::ServerInternal,
        "specified issuer not allowed by ACME policy",
    ))
}

const ANY: &str = "*";

/// Profiles that a directory shows, at most: anybody may ask for it.
const MOST_PROFILES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_the_path_says() {
        let place = |path| Place::of(path).map(|place| (place.directory, place.issuer, place.role));
        assert_eq!(place("acme/directory"), Some(("acme/", None, None)));
        assert_eq!(place("acme/account/1/orders"), Some(("acme/", None, None)));
        assert_eq!(
            place("roles/web/acme/new-nonce"),
            Some(("roles/web/acme/", None, Some("web")))
        );
        // Names that look like paths of ACME.
        assert_eq!(
            place("roles/acme/acme/new-nonce"),
            Some(("roles/acme/acme/", None, Some("acme")))
        );
        assert_eq!(
            place("issuer/acme/acme/directory"),
            Some(("issuer/acme/acme/", Some("acme"), None))
        );
        assert_eq!(
            place("issuer/a/roles/acme/acme/order/1"),
            Some(("issuer/a/roles/acme/acme/", Some("a"), Some("acme")))
        );
        for none in [
            "",
            "roles/web",
            "issuer/a/roles/b/c/acme/directory",
            "certs",
        ] {
            assert_eq!(place(none), None, "{none}");
        }
    }
}
