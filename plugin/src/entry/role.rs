//! `role/NAME`: what a role looks like in storage.
//!
//! The layout is that of the built-in `pki` engine of OpenBao 2.7.2, down to the order of the members, so that a mount can change
//! hands in both directions. Storage names differ from API names (`allowed_domains_list`, `key_usage_list`, durations in
//! nanoseconds, …); the API side is in `paths/roles.rs`.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use landfast_sdk::logical::parse_duration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::other::Other;

/// A role as stored, after entries of older layouts were brought up to date by [`RoleEntry::decode`].
///
/// What a stored role does not say is off, but for what was on before there was a switch for it. A new role is [`RoleEntry::fresh`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleEntry {
    lease_max: String,
    lease: String,
    max_ttl: String,
    ttl: String,
    /// Lifetime of a certificate when the request names none; zero means the mount's default.
    #[serde(with = "nanoseconds")]
    pub ttl_duration: Duration,
    /// Longest lifetime a request may ask for; zero means the mount's maximum.
    #[serde(with = "nanoseconds")]
    pub max_ttl_duration: Duration,
    /// Whether `localhost` and `localdomain` are accepted names.
    pub allow_localhost: bool,
    allowed_base_domain: String,
    /// Domains that the `allow_*` switches refer to.
    #[serde(deserialize_with = "list")]
    pub allowed_domains_list: Vec<String>,
    /// Whether `{{identity.…}}` in the domains is filled in from the caller's entity.
    pub allowed_domains_template: bool,
    /// Whether a value filled into a template may contain `*`.
    pub allow_globs_in_identity_templates: bool,
    allow_base_domain: bool,
    /// Whether a name may equal one of the domains.
    pub allow_bare_domains: bool,
    /// Whether a name may equal the display name of the caller's token. Readable, never writable.
    pub allow_token_displayname: bool,
    /// Whether a name may lie under one of the domains.
    pub allow_subdomains: bool,
    /// Whether a domain containing `*` is a pattern.
    pub allow_glob_domains: bool,
    /// Whether wildcard names are accepted at all.
    #[serde(default = "yes", deserialize_with = "yes_unless_told")]
    pub allow_wildcard_certificates: bool,
    /// Whether every name is accepted.
    pub allow_any_name: bool,
    /// Whether names must be host names.
    pub enforce_hostnames: bool,
    /// Whether IP addresses may be subject alternative names.
    pub allow_ip_sans: bool,
    /// Networks that such addresses must lie in; empty means any.
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub allowed_ip_sans_cidr: Vec<Network>,
    /// Extended key usage serverAuth.
    pub server_flag: bool,
    /// Extended key usage clientAuth.
    pub client_flag: bool,
    /// Extended key usage codeSigning.
    pub code_signing_flag: bool,
    /// Extended key usage emailProtection.
    pub email_protection_flag: bool,
    /// Whether `sign` takes the common name from the CSR.
    pub use_csr_common_name: bool,
    /// Whether `sign` takes the alternative names from the CSR.
    pub use_csr_sans: bool,
    /// `rsa`, `ec`, `ed25519`, `mldsa` or `any`.
    pub key_type: String,
    /// Key size in bits, 0 where the type has one size only.
    pub key_bits: i64,
    /// Whether an RSA issuer signs with PSS.
    pub use_pss: bool,
    /// Hash size of the signature in bits, 0 to follow the issuer's key.
    pub signature_bits: i64,
    /// Key usage names, as written.
    #[serde(deserialize_with = "list")]
    pub key_usage_list: Vec<String>,
    /// Extended key usage names, as written.
    #[serde(deserialize_with = "list")]
    pub extended_key_usage_list: Vec<String>,
    /// Subject OU values.
    #[serde(deserialize_with = "list")]
    pub ou_list: Vec<String>,
    /// Subject O values.
    #[serde(deserialize_with = "list")]
    pub organization_list: Vec<String>,
    /// Subject C values.
    #[serde(deserialize_with = "list")]
    pub country: Vec<String>,
    /// Subject L values.
    #[serde(deserialize_with = "list")]
    pub locality: Vec<String>,
    /// Subject ST values.
    #[serde(deserialize_with = "list")]
    pub province: Vec<String>,
    /// Subject street values.
    #[serde(deserialize_with = "list")]
    pub street_address: Vec<String>,
    /// Subject postalCode values.
    #[serde(deserialize_with = "list")]
    pub postal_code: Vec<String>,
    /// Whether a certificate comes with a lease whose revocation revokes it.
    #[serde(default = "yes")]
    pub generate_lease: bool,
    /// Whether issued certificates are left out of storage.
    pub no_store: bool,
    /// Whether a common name is required.
    pub require_cn: bool,
    /// Shapes that the common name may have: `email`, `hostname`, or `disabled` alone.
    #[serde(deserialize_with = "list")]
    pub cn_validations: Vec<String>,
    /// `OID;UTF8:glob` patterns of accepted other names.
    #[serde(deserialize_with = "list")]
    pub allowed_other_sans: Vec<String>,
    /// Globs of accepted subject serial numbers.
    #[serde(deserialize_with = "list")]
    pub allowed_serial_numbers: Vec<String>,
    /// Names or globs of accepted subject user ids.
    #[serde(deserialize_with = "list")]
    pub allowed_user_ids: Vec<String>,
    /// Globs of accepted URIs.
    #[serde(deserialize_with = "list")]
    pub allowed_uri_sans: Vec<String>,
    /// Whether `{{identity.…}}` in the URI globs is filled in from the caller's entity.
    pub allowed_uri_sans_template: bool,
    /// Policy OIDs, or JSON objects with `oid`, `cps` and `notice`.
    #[serde(deserialize_with = "list")]
    pub policy_identifiers: Vec<String>,
    /// Extended key usage OIDs.
    #[serde(deserialize_with = "list")]
    pub ext_key_usage_oids: Vec<String>,
    /// Whether leaves carry a critical `CA:FALSE`.
    pub basic_constraints_valid_for_non_ca: bool,
    /// How far the start of validity lies before the time of issue.
    #[serde(with = "nanoseconds")]
    pub not_before_duration: Duration,
    /// Fixed start of validity, RFC 3339; empty for none.
    pub not_before: String,
    /// What a request may do about the start: `permit`, `duration` or `forbid`.
    pub not_before_bound: String,
    /// Fixed end of validity, RFC 3339; empty for none.
    pub not_after: String,
    /// What a request may do about the end: `permit`, `ttl-limited`, `forbid` or a latest time.
    pub not_after_bound: String,
    /// Reference of the issuer that signs: a name, an id or `default`.
    pub issuer: String,
    /// Whether a common name must be the name of an EKS node, in its one spelling. Ours: the built-in engine does not know it, and
    /// drops it when it writes the role.
    #[serde(
        rename = "landfast_node_names",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub node_names: bool,
    /// Whether the entry does not say what a `*` in a value of a template is: Vault stores no `allow_globs_in_identity_templates`.
    #[serde(skip)]
    pub globs_unsaid: bool,
    #[serde(flatten, skip_serializing)]
    older: Older,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl RoleEntry {
    /// A role of which nothing was said, by the defaults of the API.
    pub fn fresh() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            allow_localhost: true,
            allow_wildcard_certificates: true,
            allow_ip_sans: true,
            enforce_hostnames: true,
            server_flag: true,
            client_flag: true,
            use_csr_common_name: true,
            use_csr_sans: true,
            key_type: "rsa".to_owned(),
            key_usage_list: words(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
            require_cn: true,
            cn_validations: words(&["email", "hostname"]),
            not_before_duration: Duration::from_secs(30),
            not_before_bound: "permit".to_owned(),
            not_after_bound: "permit".to_owned(),
            issuer: "default".to_owned(),
            ..Self::default()
        }
    }

    /// Storage key of the role `name`.
    pub fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Reads a stored role. Members that older servers wrote under other names are moved to where they belong now.
    ///
    /// # Errors
    /// When the bytes are not the JSON of a role.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut role: Self = super::decode(bytes)?;
        role.modernise();
        let said = br#""allow_globs_in_identity_templates""#;
        role.globs_unsaid = !bytes.windows(said.len()).any(|window| window == said);
        Ok(role)
    }

    /// The bytes to store: one line of JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a role has only text keys");
        bytes.push(b'\n');
        bytes
    }

    fn modernise(&mut self) {
        let older = std::mem::take(&mut self.older);
        for (now, text) in [
            (&mut self.ttl_duration, [&mut self.ttl, &mut self.lease]),
            (
                &mut self.max_ttl_duration,
                [&mut self.max_ttl, &mut self.lease_max],
            ),
        ] {
            for text in text {
                let old = std::mem::take(text);
                if now.is_zero() && !old.is_empty() {
                    *now = parse_duration(&old).unwrap_or_default();
                }
            }
        }
        if std::mem::take(&mut self.allow_base_domain) {
            self.allow_bare_domains = true;
        }
        if self.allowed_domains_list.is_empty() {
            self.allowed_domains_list = older.allowed_domains.into_list();
        }
        let base = std::mem::take(&mut self.allowed_base_domain);
        if !base.is_empty() && !self.allowed_domains_list.contains(&base) {
            self.allowed_domains_list.push(base);
        }
        for (now, old) in [
            (&mut self.key_usage_list, older.key_usage),
            (&mut self.ou_list, older.ou),
            (&mut self.organization_list, older.organization),
        ] {
            if now.is_empty() {
                *now = old.into_list();
            }
        }
        if self.cn_validations.is_empty() {
            self.cn_validations = vec!["email".into(), "hostname".into()];
        }
        for (text, default) in [
            (&mut self.issuer, "default"),
            (&mut self.not_before_bound, "permit"),
            (&mut self.not_after_bound, "permit"),
        ] {
            if text.is_empty() {
                *text = default.into();
            }
        }
        if self.key_bits == 0 {
            self.key_bits = default_key_bits(&self.key_type);
        }
    }
}

/// The storage prefix that all roles share.
pub const PREFIX: &str = "role/";

/// Key size that a role of type `kind` gets when it names none; 0 for types with one size and for `any`.
pub fn default_key_bits(kind: &str) -> i64 {
    match kind {
        "rsa" => 2048,
        "ec" => 256,
        "mldsa" => 44,
        _ => 0,
    }
}

/// An IP network in the form in which it is stored: the address as text, the mask as base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// First address of the network.
    pub address: IpAddr,
    /// Number of leading bits that all its addresses share.
    pub prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8` or `2001:db8::/32`; host bits are cleared. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let well_formed = !prefix.is_empty()
            && prefix.len() <= 3
            && prefix.bytes().all(|digit| digit.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| well_formed)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= width).then(|| Self {
            address: masked(address, prefix),
            prefix,
        })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mask = match masked_ones(self.address, self.prefix) {
            IpAddr::V4(mask) => BASE64.encode(mask.octets()),
            IpAddr::V6(mask) => BASE64.encode(mask.octets()),
        };
        StoredNetwork {
            ip: self.address.to_string(),
            mask,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let stored = StoredNetwork::deserialize(deserializer)?;
        let address: IpAddr = stored.ip.parse().map_err(D::Error::custom)?;
        let mask = BASE64.decode(&stored.mask).map_err(D::Error::custom)?;
        let prefix: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
        let prefix = u8::try_from(prefix).map_err(D::Error::custom)?;
        Ok(Self {
            address: masked(address, prefix),
            prefix,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredNetwork {
    #[serde(rename = "IP")]
    ip: String,
    #[serde(rename = "Mask")]
    mask: String,
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match (address, masked_ones(address, prefix)) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => (address & mask).into(),
        (IpAddr::V6(address), IpAddr::V6(mask)) => (address & mask).into(),
        _ => address,
    }
}

fn masked_ones(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(
            u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0)
                .into(),
        ),
        IpAddr::V6(_) => IpAddr::V6(
            u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0)
                .into(),
        ),
    }
}

/// Members that servers before the list forms wrote; read, never written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Older {
    allowed_domains: TextOrList,
    key_usage: TextOrList,
    ou: TextOrList,
    organization: TextOrList,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum TextOrList {
    Text(String),
    List(Vec<String>),
    Nothing(()),
}

impl TextOrList {
    fn into_list(self) -> Vec<String> {
        match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
            Self::List(list) => list,
            Self::Nothing(()) => Vec::new(),
        }
    }
}

impl Default for TextOrList {
    fn default() -> Self {
        Self::Nothing(())
    }
}

/// Go writes an empty list as `null` in places; both mean nothing.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

fn yes() -> bool {
    true
}

fn yes_unless_told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(true))
}

mod nanoseconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let nanoseconds = Option::<i64>::deserialize(deserializer)?.unwrap_or_default();
        Ok(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or_default(),
        ))
    }
}

#[cfg(test)]
mod tests;
