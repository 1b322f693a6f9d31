//! A role's fields, and what is checked of them when they are written.

use std::time::Duration;

use crate::profile::{Cidr, OtherName, parse_policies};
use crate::refusal::Refusal;
use crate::validity::{NotAfterBound, NotBeforeBound};
use crate::{KeySpec, usage};

/// A role's fields as the API has them; `Default` is a role with nothing set.
///
/// What only concerns a mount (issuer reference, storing, leases) is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "field names and meaning are those of the role API"
)]
pub struct Settings {
    pub ttl: Duration,
    pub max_ttl: Duration,
    pub not_before_duration: Duration,
    pub not_before: String,
    pub not_before_bound: String,
    pub not_after: String,
    pub not_after_bound: String,

    pub allow_any_name: bool,
    pub allow_bare_domains: bool,
    pub allow_glob_domains: bool,
    pub allow_globs_in_identity_templates: bool,
    pub allow_ip_sans: bool,
    pub allow_localhost: bool,
    pub allow_subdomains: bool,
    pub allow_token_displayname: bool,
    pub allow_wildcard_certificates: bool,
    pub allowed_domains: Vec<String>,
    pub allowed_domains_template: bool,
    pub allowed_ip_sans_cidr: Vec<String>,
    pub allowed_other_sans: Vec<String>,
    pub allowed_serial_numbers: Vec<String>,
    pub allowed_uri_sans: Vec<String>,
    pub allowed_uri_sans_template: bool,
    pub allowed_user_ids: Vec<String>,
    pub enforce_hostnames: bool,
    pub cn_validations: Vec<String>,
    pub require_cn: bool,
    pub use_csr_common_name: bool,
    pub use_csr_sans: bool,

    pub key_type: String,
    pub key_bits: u32,
    pub signature_bits: u32,
    pub use_pss: bool,

    pub key_usage: Vec<String>,
    pub ext_key_usage: Vec<String>,
    pub ext_key_usage_oids: Vec<String>,
    pub server_flag: bool,
    pub client_flag: bool,
    pub code_signing_flag: bool,
    pub email_protection_flag: bool,
    pub basic_constraints_valid_for_non_ca: bool,
    pub policy_identifiers: Vec<String>,

    pub ou: Vec<String>,
    pub organization: Vec<String>,
    pub country: Vec<String>,
    pub locality: Vec<String>,
    pub province: Vec<String>,
    pub street_address: Vec<String>,
    pub postal_code: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let list = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        Self {
            ttl: Duration::ZERO,
            max_ttl: Duration::ZERO,
            not_before_duration: Duration::from_secs(30),
            not_before: String::new(),
            not_before_bound: "permit".into(),
            not_after: String::new(),
            not_after_bound: "permit".into(),
            allow_any_name: false,
            allow_bare_domains: false,
            allow_glob_domains: false,
            allow_globs_in_identity_templates: false,
            allow_ip_sans: true,
            allow_localhost: true,
            allow_subdomains: false,
            allow_token_displayname: false,
            allow_wildcard_certificates: true,
            allowed_domains: Vec::new(),
            allowed_domains_template: false,
            allowed_ip_sans_cidr: Vec::new(),
            allowed_other_sans: Vec::new(),
            allowed_serial_numbers: Vec::new(),
            allowed_uri_sans: Vec::new(),
            allowed_uri_sans_template: false,
            allowed_user_ids: Vec::new(),
            enforce_hostnames: true,
            cn_validations: list(&["email", "hostname"]),
            require_cn: true,
            use_csr_common_name: true,
            use_csr_sans: true,
            key_type: "rsa".into(),
            key_bits: 2048,
            signature_bits: 0,
            use_pss: false,
            key_usage: list(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
            ext_key_usage: Vec::new(),
            ext_key_usage_oids: Vec::new(),
            server_flag: true,
            client_flag: true,
            code_signing_flag: false,
            email_protection_flag: false,
            basic_constraints_valid_for_non_ca: false,
            policy_identifiers: Vec::new(),
            ou: Vec::new(),
            organization: Vec::new(),
            country: Vec::new(),
            locality: Vec::new(),
            province: Vec::new(),
            street_address: Vec::new(),
            postal_code: Vec::new(),
        }
    }
}

impl Settings {
    /// Checks a role being written and fills in what follows from the rest: default `key_bits`,
    /// network addresses of ranges, lower case in `cn_validations`.
    ///
    /// Not checked, as in the built-in engine: names of usages, fixed times.
    ///
    /// # Errors
    /// The first fault, in the order in which the built-in engine looks for them.
    pub fn normalise(&mut self) -> Result<(), Refusal> {
        if !allows_any(&self.allowed_other_sans) {
            for element in &self.allowed_other_sans {
                OtherName::parse(element).map_err(Refusal::AllowedOtherSans)?;
            }
        }
        for text in &mut self.allowed_ip_sans_cidr {
            *text = Cidr::parse(text)?.to_string();
        }
        NotAfterBound::parse(&self.not_after_bound)?;
        NotBeforeBound::parse(&self.not_before_bound)?;
        if !self.max_ttl.is_zero() && self.ttl > self.max_ttl {
            return Err(Refusal::RoleTtl);
        }
        self.normalise_key()?;
        // Only the form, as in the built-in engine: see [`Self::unusable_purposes`].
        let bad = |oid: &&String| !usage::looks_like_oid(oid);
        if let Some(oid) = self.ext_key_usage_oids.iter().find(bad) {
            return Err(Refusal::ExtKeyUsageOid(oid.clone()));
        }
        parse_policies(&self.policy_identifiers)?;
        self.cn_validations = cn_validations(&self.cn_validations)?;
        Ok(())
    }

    /// Elements of `ext_key_usage_oids` that have the form of an object identifier and cannot be encoded as one, such as
    /// `4.3.2.1`. A role may hold them, and then issues nothing.
    pub fn unusable_purposes(&self) -> Vec<&str> {
        let oids = self.ext_key_usage_oids.iter().map(String::as_str);
        oids.filter(|oid| usage::oid(oid).is_none()).collect()
    }

    fn normalise_key(&mut self) -> Result<(), Refusal> {
        if self.key_type == "any" {
            return Ok(());
        }
        // Ed25519 has one size; whatever number comes with it is kept and never looked at.
        let bits = if self.key_type == "ed25519" {
            0
        } else {
            self.key_bits
        };
        let spec = KeySpec::parse(&self.key_type, bits).map_err(|e| Refusal::Key(e.to_string()))?;
        if self.key_bits == 0 {
            self.key_bits = spec.bits;
        }
        Ok(())
    }
}

/// Whether `allowed_other_sans` allows all.
pub(crate) fn allows_any(allowed_other_sans: &[String]) -> bool {
    matches!(allowed_other_sans, [only] if only == "*")
}

fn cn_validations(words: &[String]) -> Result<Vec<String>, Refusal> {
    if words.is_empty() {
        return Ok(vec!["email".into(), "hostname".into()]);
    }
    let mut seen: Vec<String> = Vec::new();
    for word in words {
        let lower = word.to_lowercase();
        if !["disabled", "email", "hostname"].contains(&lower.as_str()) {
            return Err(Refusal::CnValidations(format!("unknown type: `{word}`")));
        }
        if seen.contains(&lower) {
            return Err(Refusal::CnValidations(format!(
                "`{lower}` specified multiple times"
            )));
        }
        seen.push(lower);
    }
    if seen.len() > 1 && seen.iter().any(|word| word == "disabled") {
        return Err(Refusal::CnValidations(
            "cannot specify `disabled` along with `email` or `hostname`".into(),
        ));
    }
    Ok(seen)
}
