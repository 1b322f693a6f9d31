//! A role as the mount keeps it: the stored entry, and the profile that the rules of `landfast-pki` work from.

use std::sync::Arc;
use std::time::Duration;

use landfast_pki::validity::MountTtl;
use landfast_pki::{Profile, Refusal, Settings};
use landfast_sdk::logical::Error;

use crate::entry::role::RoleEntry;
use crate::store::Entry;
use crate::{Mount, fault};

/// A role, read and compiled once.
pub(crate) struct Role {
    /// As stored.
    pub(crate) entry: RoleEntry,
    /// What certificates are made by; a role that another product stored may have parts that cannot be used here, and then reads
    /// but does not issue.
    profile: Result<Profile, Refusal>,
}

impl Role {
    /// Compiles an entry.
    pub(crate) fn new(entry: RoleEntry) -> Self {
        Self {
            profile: Profile::new(settings(&entry)).map(|profile| {
                if entry.node_names {
                    profile.for_node_names()
                } else {
                    profile
                }
            }),
            entry,
        }
    }

    /// What certificates are made by.
    ///
    /// # Errors
    /// When the role has parts that cannot be used here.
    pub(crate) fn profile(&self) -> Result<&Profile, Error> {
        self.profile
            .as_ref()
            .map_err(|refusal| fault::refusal(refusal.clone()))
    }

    /// The mount's lifetimes, as far as they matter to a request that asks for one.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(crate) async fn lifetimes(
        &self,
        mount: &Mount,
        asked: Duration,
    ) -> Result<MountTtl, Error> {
        let RoleEntry {
            ttl_duration,
            max_ttl_duration,
            ..
        } = self.entry;
        mount
            .lifetimes_beside(asked, ttl_duration, max_ttl_duration)
            .await
    }
}

impl Entry for Role {
    fn decode(_key: &str, bytes: &[u8]) -> Result<Self, String> {
        RoleEntry::decode(bytes)
            .map(Self::new)
            .map_err(|cause| cause.to_string())
    }
}

/// The role `name`.
///
/// # Errors
/// When there is none.
pub(crate) async fn load(mount: &Mount, name: &str) -> Result<Arc<Role>, Error> {
    match mount.load::<Role>(&RoleEntry::key(name)).await? {
        Some(role) => Ok(role),
        None => Err(mount
            .absent(Error::BadRequest(format!("unknown role: {name}")))
            .await),
    }
}

/// The fields of a role that the rules look at.
pub(crate) fn settings(role: &RoleEntry) -> Settings {
    Settings {
        ttl: role.ttl_duration,
        max_ttl: role.max_ttl_duration,
        not_before_duration: role.not_before_duration,
        not_before: role.not_before.clone(),
        not_before_bound: role.not_before_bound.clone(),
        not_after: role.not_after.clone(),
        not_after_bound: role.not_after_bound.clone(),
        allow_any_name: role.allow_any_name,
        allow_bare_domains: role.allow_bare_domains,
        allow_glob_domains: role.allow_glob_domains,
        allow_globs_in_identity_templates: role.allow_globs_in_identity_templates,
        allow_ip_sans: role.allow_ip_sans,
        allow_localhost: role.allow_localhost,
        allow_subdomains: role.allow_subdomains,
        allow_token_displayname: role.allow_token_displayname,
        allow_wildcard_certificates: role.allow_wildcard_certificates,
        allowed_domains: role.allowed_domains_list.clone(),
        allowed_domains_template: role.allowed_domains_template,
        allowed_ip_sans_cidr: role
            .allowed_ip_sans_cidr
            .iter()
            .map(ToString::to_string)
            .collect(),
        allowed_other_sans: role.allowed_other_sans.clone(),
        allowed_serial_numbers: role.allowed_serial_numbers.clone(),
        allowed_uri_sans: role.allowed_uri_sans.clone(),
        allowed_uri_sans_template: role.allowed_uri_sans_template,
        allowed_user_ids: role.allowed_user_ids.clone(),
        enforce_hostnames: role.enforce_hostnames,
        cn_validations: role.cn_validations.clone(),
        require_cn: role.require_cn,
        use_csr_common_name: role.use_csr_common_name,
        use_csr_sans: role.use_csr_sans,
        key_type: role.key_type.clone(),
        key_bits: bits(role.key_bits),
        signature_bits: bits(role.signature_bits),
        use_pss: role.use_pss,
        key_usage: role.key_usage_list.clone(),
        ext_key_usage: role.extended_key_usage_list.clone(),
        ext_key_usage_oids: role.ext_key_usage_oids.clone(),
        server_flag: role.server_flag,
        client_flag: role.client_flag,
        code_signing_flag: role.code_signing_flag,
        email_protection_flag: role.email_protection_flag,
        basic_constraints_valid_for_non_ca: role.basic_constraints_valid_for_non_ca,
        policy_identifiers: role.policy_identifiers.clone(),
        ou: role.ou_list.clone(),
        organization: role.organization_list.clone(),
        country: role.country.clone(),
        locality: role.locality.clone(),
        province: role.province.clone(),
        street_address: role.street_address.clone(),
        postal_code: role.postal_code.clone(),
    }
}

/// A size that cannot be one (the API takes any number) becomes a size that no key has.
fn bits(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(u32::MAX)
}
