//! A role, validated once, in the form that issuing works from.

mod other_names;
mod policies;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

use crate::ext::{Extension, KeyUsage};
use crate::glob::Glob;
use crate::identity::{Identity, Template};
use crate::policy::{NameRules, Names};
use crate::refusal::{Quoted, Refusal};
use crate::validity::{NotAfterBound, NotBeforeBound, Rules};
use crate::{KeySpec, Oid, issue, usage};

pub(crate) use other_names::OtherName;
pub(crate) use policies::Placement;

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
        if !is_any(&self.allowed_other_sans) {
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
        policies::parse(&self.policy_identifiers)?;
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

/// A role in the form that issuing works from: patterns, ranges, usages and their encodings are
/// made once, so that a request on a cached profile parses nothing of the role again.
#[derive(Debug, Clone)]
pub struct Profile {
    settings: Settings,
    pub(crate) names: NameRules,
    pub(crate) validity: Rules,
    pub(crate) ranges: Vec<Cidr>,
    pub(crate) uris: Vec<Glob>,
    pub(crate) uri_templates: Vec<Template>,
    pub(crate) other_names: OtherNames,
    pub(crate) serials: Vec<Glob>,
    pub(crate) user_ids: Vec<UserIdRule>,
    pub(crate) key_usage: KeyUsage,
    pub(crate) purposes: Vec<Oid>,
    /// Key usage, extended key usage, basic constraints: the head of a leaf's extensions.
    pub(crate) head: Vec<Extension>,
    pub(crate) policies: Option<(Extension, Placement)>,
    /// Whether a common name must be a node name of EKS.
    pub(crate) node_names: bool,
}

impl Profile {
    /// Compiles a role, whether just normalised or read back from storage.
    ///
    /// # Errors
    /// A part that cannot be used at all; never for a role that passed [`Settings::normalise`].
    pub fn new(settings: Settings) -> Result<Self, Refusal> {
        let (mut uris, mut uri_templates) = (Vec::new(), Vec::new());
        for text in &settings.allowed_uri_sans {
            match Template::parse(text) {
                Some(template) if settings.allowed_uri_sans_template => {
                    uri_templates.push(template)
                }
                _ => uris.push(Glob::new(text)),
            }
        }
        let key_usage = usage::key_usage(&settings.key_usage);
        let purposes = purposes(&settings)?;
        let mut head = Vec::with_capacity(3);
        if !key_usage.is_empty() {
            head.push(Extension::key_usage(key_usage));
        }
        if !purposes.is_empty() {
            head.push(Extension::ext_key_usage(&purposes));
        }
        if settings.basic_constraints_valid_for_non_ca {
            head.push(Extension::basic_constraints(false, None));
        }
        Ok(Self {
            names: NameRules::new(&settings),
            validity: Rules {
                ttl: settings.ttl,
                max_ttl: settings.max_ttl,
                not_before_duration: settings.not_before_duration,
                not_before: settings.not_before.clone(),
                not_after: settings.not_after.clone(),
                not_before_bound: NotBeforeBound::parse(&settings.not_before_bound)
                    .or_else(|e| legacy(&settings.not_before_bound, e))?,
                not_after_bound: NotAfterBound::parse(&settings.not_after_bound)
                    .or_else(|e| legacy(&settings.not_after_bound, e))?,
            },
            ranges: settings
                .allowed_ip_sans_cidr
                .iter()
                .map(|text| Cidr::parse(text))
                .collect::<Result<_, _>>()?,
            uris,
            uri_templates,
            other_names: OtherNames::new(&settings.allowed_other_sans)?,
            serials: settings
                .allowed_serial_numbers
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| Glob::new(text))
                .collect(),
            user_ids: settings
                .allowed_user_ids
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| UserIdRule {
                    exact: text.clone(),
                    glob: Glob::new(text),
                })
                .collect(),
            key_usage,
            purposes,
            head,
            node_names: false,
            policies: policies::extension(&settings.policy_identifiers)?,
            settings,
        })
    }

    /// The same, for nodes of EKS only: a common name must be a node name (see
    /// [`crate::hybrid::node_name`]). Among others this keeps `NODE-1` from standing in for
    /// `node-1`, which a bare domain would let it.
    #[must_use]
    pub fn for_node_names(self) -> Self {
        Self {
            node_names: true,
            ..self
        }
    }

    /// The fields this was made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name rules as they stand for one caller.
    pub fn names<'a>(&'a self, identity: Option<&Identity>, display_name: &'a str) -> Names<'a> {
        let mut names = self.names.for_caller(identity, display_name);
        names.uris = self.uris(identity);
        names
    }

    /// The rules on URIs as they stand for one caller.
    pub(crate) fn uris(&self, identity: Option<&Identity>) -> Uris<'_> {
        let globs = self.settings.allow_globs_in_identity_templates;
        let templates = self.uri_templates.iter();
        let filled =
            identity.map(|identity| templates.filter_map(|one| one.fill_uri(identity, globs)));
        Uris {
            fixed: &self.uris,
            filled: filled
                .into_iter()
                .flatten()
                .map(|text| Glob::new(&text))
                .collect(),
        }
    }

    /// Whether the role lists any URI.
    pub(crate) fn lists_uris(&self) -> bool {
        !self.uris.is_empty() || !self.uri_templates.is_empty()
    }

    /// Whether the key usage of its leaves includes digitalSignature.
    pub fn has_digital_signature(&self) -> bool {
        self.key_usage.contains(KeyUsage::DIGITAL_SIGNATURE)
    }

    pub(crate) fn allows_ip(&self, ip: IpAddr) -> bool {
        self.settings.allow_ip_sans
            && (self.ranges.is_empty() || self.ranges.iter().any(|range| range.contains(ip)))
    }

    pub(crate) fn allows_subject_serial(&self, serial: &str) -> bool {
        self.serials.iter().any(|glob| glob.matches(serial))
    }

    /// The patterns that each user id may have to be held against.
    pub(crate) fn user_id_globs(&self) -> impl Iterator<Item = &Glob> {
        self.user_ids.iter().map(|rule| &rule.glob)
    }

    pub(crate) fn allows_user_id(&self, id: &str) -> bool {
        self.user_ids.iter().any(|rule| {
            rule.exact.eq_ignore_ascii_case(id) || rule.glob.is_wild() && rule.glob.matches(id)
        })
    }
}

/// Roles stored before the bounds existed have an empty text there, which bounds nothing.
fn legacy<T: Default>(stored: &str, refusal: Refusal) -> Result<T, Refusal> {
    if stored.is_empty() {
        Ok(T::default())
    } else {
        Err(refusal)
    }
}

/// An address range in the notation of RFC 4632.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let digits = prefix.bytes().all(|b| b.is_ascii_digit());
            let prefix: u8 = digits.then(|| prefix.parse().ok())??;
            let width = if address.is_ipv4() { 32 } else { 128 };
            (prefix <= width).then(|| Self {
                network: mask(address, prefix),
                prefix,
            })
        });
        parsed.ok_or_else(|| Refusal::Cidr(text.to_owned()))
    }

    /// An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) counts as what it is.
    fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.network.is_ipv4() && mask(ip, self.prefix) == self.network
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

fn mask(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & bits).into())
        }
        IpAddr::V6(v6) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & bits).into())
        }
    }
}

/// `allowed_uri_sans` as it stands for one caller.
#[derive(Debug, Default)]
pub(crate) struct Uris<'a> {
    fixed: &'a [Glob],
    filled: Vec<Glob>,
}

impl Uris<'_> {
    /// Whether a URI may stand in the certificate.
    ///
    /// With `.` or `..` as a segment only where it is listed as it stands, or where every URI is: the prefix before a star
    /// would say nothing of where the URI leads.
    pub(crate) fn allow(&self, uri: &str) -> bool {
        let dots = issue::has_dot_segments(uri);
        let mut globs = self.fixed.iter().chain(&self.filled);
        globs.any(|glob| glob.matches(uri) && (!dots || !glob.is_wild() || glob.is_any()))
    }

    /// The patterns that each URI may have to be held against.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Glob> {
        self.fixed.iter().chain(&self.filled)
    }
}

/// One element of `allowed_user_ids`.
#[derive(Debug, Clone)]
pub(crate) struct UserIdRule {
    exact: String,
    glob: Glob,
}

/// `allowed_other_sans`.
#[derive(Debug, Clone)]
pub(crate) enum OtherNames {
    Any,
    Listed(Vec<(String, Glob)>),
}

impl OtherNames {
    fn new(elements: &[String]) -> Result<Self, Refusal> {
        if is_any(elements) {
            return Ok(Self::Any);
        }
        let parse = |element: &String| {
            let name = OtherName::parse(element).map_err(Refusal::AllowedOtherSans)?;
            Ok((name.oid.to_owned(), Glob::new(name.value)))
        };
        elements
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }

    /// The patterns that each other name may have to be held against.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Glob> {
        let listed = match self {
            Self::Any => &[][..],
            Self::Listed(listed) => listed,
        };
        listed.iter().map(|(_, glob)| glob)
    }

    pub(crate) fn check(&self, oid: &str, value: &str) -> Result<(), Refusal> {
        let Self::Listed(listed) = self else {
            return Ok(());
        };
        let mut of_type = listed.iter().filter(|(listed, _)| listed == oid).peekable();
        if of_type.peek().is_none() {
            return Err(Refusal::OtherNameOid(oid.to_owned()));
        }
        if of_type.any(|(_, glob)| glob.matches(value)) {
            Ok(())
        } else {
            Err(Refusal::OtherName {
                oid: oid.to_owned(),
                value: value.to_owned(),
            })
        }
    }
}

fn is_any(allowed_other_sans: &[String]) -> bool {
    matches!(allowed_other_sans, [only] if only == "*")
}

fn purposes(settings: &Settings) -> Result<Vec<Oid>, Refusal> {
    let mut names: Vec<&str> = settings.ext_key_usage.iter().map(String::as_str).collect();
    for (flag, name) in [
        (settings.server_flag, "ServerAuth"),
        (settings.client_flag, "ClientAuth"),
        (settings.code_signing_flag, "CodeSigning"),
        (settings.email_protection_flag, "EmailProtection"),
    ] {
        if flag {
            names.push(name);
        }
    }
    let oids = settings.ext_key_usage_oids.iter();
    let oids: Vec<Oid> = oids
        .map(|text| usage::oid(text).ok_or_else(|| Refusal::ExtKeyUsageOid(text.clone())))
        .collect::<Result<_, _>>()?;
    Ok(usage::distinct(usage::ext_key_usage(&names), oids))
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

/// What a request for `issue` says about the key to make, under a role of key type `any`.
///
/// # Errors
/// The role needs the request to name a key and it does not, or names one that cannot be made.
pub fn requested_key(key_type: &str, key_bits: i64) -> Result<KeySpec, Refusal> {
    if key_type.is_empty() {
        return Err(Refusal::KeyTypeAny);
    }
    KeySpec::parse(key_type, key_bits).map_err(|e| Refusal::IssueKey(e.to_string()))
}

/// Splits the `policy_identifiers` field as it was sent.
///
/// A text that is a JSON array of policies becomes one element for each; every other text is a
/// list between commas (OpenBao pki: roles).
pub fn split_policy_identifiers(text: &str) -> Vec<String> {
    policies::split(text)
}

impl From<crate::Error> for Refusal {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::RequestSignature => Self::CsrSignature,
            crate::Error::RequestAlgorithm(oid) => Self::CsrAlgorithm(oid),
            other => Self::Encoding(other.to_string()),
        }
    }
}

impl Refusal {
    pub(crate) fn policy_identifier(element: &str, oid: &str, json: &str) -> Self {
        Self::PolicyIdentifier {
            element: element.to_owned(),
            oid_error: format!("{} is no number", Quoted(oid)),
            json_error: json.to_owned(),
        }
    }
}
