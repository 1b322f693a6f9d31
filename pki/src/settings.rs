//! A role's fields, and what is checked of them when they are written.

use std::time::Duration;

use crate::name::Attributes;
use crate::network::Network;
use crate::profile::{OtherName, parse_policies};
use crate::refusal::Refusal;
use crate::validity::{NotAfterBound, NotBeforeBound};
use crate::{KeySpec, usage};

/// Declares a struct whose fields stand beside their defaults.
macro_rules! with_defaults {
    (
        $(#[$outer:meta])*
        pub struct $name:ident { $($(#[$inner:meta])* pub $field:ident: $kind:ty = $default:expr,)* }
    ) => {
        $(#[$outer])*
        pub struct $name { $($(#[$inner])* pub $field: $kind,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

with_defaults! {
/// A role: what the API takes, and what a mount stores. `Default` is a role of which nothing was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "names and meaning are those of the role API, where each has its sentence"
)]
pub struct Settings {
    pub ttl: Duration = Duration::ZERO,
    pub max_ttl: Duration = Duration::ZERO,
    pub not_before_duration: Duration = Duration::from_secs(30),
    pub not_before: String = String::new(),
    pub not_before_bound: String = "permit".into(),
    pub not_after: String = String::new(),
    pub not_after_bound: String = "permit".into(),

    pub allow_any_name: bool = false,
    pub allow_bare_domains: bool = false,
    pub allow_glob_domains: bool = false,
    pub allow_globs_in_identity_templates: bool = false,
    pub allow_ip_sans: bool = true,
    pub allow_localhost: bool = true,
    pub allow_subdomains: bool = false,
    pub allow_token_displayname: bool = false,
    pub allow_wildcard_certificates: bool = true,
    pub allowed_domains: Vec<String> = Vec::new(),
    pub allowed_domains_template: bool = false,
    /// As [`Network`] shows them.
    pub allowed_ip_sans_cidr: Vec<String> = Vec::new(),
    pub allowed_other_sans: Vec<String> = Vec::new(),
    pub allowed_serial_numbers: Vec<String> = Vec::new(),
    pub allowed_uri_sans: Vec<String> = Vec::new(),
    pub allowed_uri_sans_template: bool = false,
    pub allowed_user_ids: Vec<String> = Vec::new(),
    pub enforce_hostnames: bool = true,
    pub cn_validations: Vec<String> = list(&["email", "hostname"]),
    pub require_cn: bool = true,
    pub use_csr_common_name: bool = true,
    pub use_csr_sans: bool = true,

    pub key_type: String = "rsa".into(),
    /// Any number; 0: the usual size of the type.
    pub key_bits: i64 = 0,
    /// Any number; what names no hash means the one that fits the issuer's key.
    pub signature_bits: i64 = 0,
    pub use_pss: bool = false,

    pub key_usage: Vec<String> = list(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
    pub ext_key_usage: Vec<String> = Vec::new(),
    pub ext_key_usage_oids: Vec<String> = Vec::new(),
    pub server_flag: bool = true,
    pub client_flag: bool = true,
    pub code_signing_flag: bool = false,
    pub email_protection_flag: bool = false,
    pub basic_constraints_valid_for_non_ca: bool = false,
    pub policy_identifiers: Vec<String> = Vec::new(),
    pub attributes: Attributes = Attributes::default(),

    /// Whether a common name must be a node name of EKS (see [`crate::hybrid::node_name`]). Among
    /// others this keeps `NODE-1` from standing in for `node-1`, which a bare domain would let it.
    /// Ours: the built-in engine drops it when it writes the role.
    pub node_names: bool = false,

    // What only concerns a mount, and no rule looks at.
    /// Reference of the issuer that signs: a name, an id or `default`.
    pub issuer: String = "default".into(),
    pub generate_lease: bool = false,
    pub no_store: bool = false,
}
}

fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

impl Settings {
    /// A role by which every name and every key goes, as the built-in engine uses it where no role
    /// rules.
    pub(crate) fn open() -> Self {
        let any = || list(&["*"]);
        Self {
            allow_any_name: true,
            enforce_hostnames: false,
            require_cn: false,
            cn_validations: list(&["disabled"]),
            allowed_other_sans: any(),
            allowed_serial_numbers: any(),
            allowed_uri_sans: any(),
            allowed_user_ids: any(),
            key_type: "any".into(),
            ..Self::default()
        }
    }

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
        self.normalise_networks()?;
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

    /// Network addresses of `allowed_ip_sans_cidr`; part of [`Self::normalise`].
    ///
    /// # Errors
    /// An element is no network.
    pub fn normalise_networks(&mut self) -> Result<(), Refusal> {
        for text in &mut self.allowed_ip_sans_cidr {
            *text = Network::parse(text)?.to_string();
        }
        Ok(())
    }

    /// Elements of `ext_key_usage_oids` that have the form of an object identifier and cannot be encoded as one, such as
    /// `4.3.2.1`. A role may hold them, and then issues nothing.
    pub fn unusable_purposes(&self) -> Vec<&str> {
        let oids = self.ext_key_usage_oids.iter().map(String::as_str);
        oids.filter(|oid| usage::oid(oid).is_none()).collect()
    }

    /// The least size of a key in bits. What cannot be a size is one that no key has.
    pub(crate) fn key_bits(&self) -> u32 {
        u32::try_from(self.key_bits).unwrap_or(u32::MAX)
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
            self.key_bits = spec.bits.into();
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
        return Ok(list(&["email", "hostname"]));
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
