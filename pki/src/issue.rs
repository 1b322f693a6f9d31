//! Leaf certificates from the values of a request, or from a certification request.
//!
//! [`prepare`] decides everything and signs nothing: names, times and usages are settled, the
//! bytes to sign are built, and [`crate::lint`] looks at them once more before anybody signs.

mod limits;
mod names;
#[cfg(test)]
mod tests;
mod uri;

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::ext::{Extension, GeneralNames, NameConstraints};
use crate::identity::Identity;
use crate::lint;
use crate::policy::Names;
use crate::profile::{Placement, Profile};
use crate::refusal::Refusal;
use crate::validity::{self, Asked, IssuerEnd, LeafNotAfter, MountTtl, Validity};
use crate::{
    Certificate, Csr, Error, Prepared, PublicKey, SerialNumber, SignatureAlgorithm, Subject,
    Template,
};

pub use limits::MAX_NAMES;
pub(crate) use limits::within as within_limits;
pub(crate) use names::{Collected, is_dns_name, is_mail_name};
pub use uri::normalise as normalise_uri;
pub(crate) use uri::{has_dot_segments, host as uri_host};

/// Where a certificate says that its issuer, CRLs and OCSP are found; templates already filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AiaUrls {
    /// Where the issuer's certificate is fetched.
    pub issuing_certificates: Vec<String>,
    /// Where complete CRLs are fetched.
    pub crl_distribution_points: Vec<String>,
    /// Where delta CRLs are fetched.
    pub delta_crl_distribution_points: Vec<String>,
    /// OCSP responders.
    pub ocsp_servers: Vec<String>,
}

/// What an issuer contributes to the certificates it signs, encoded once.
#[derive(Debug, Clone)]
pub struct Issuer {
    certificate: Certificate,
    leaf_not_after: LeafNotAfter,
    pub(crate) access: Access,
    /// Its own name constraints, and those of the CAs above it.
    pub(crate) constraints: Vec<NameConstraints>,
}

/// The extensions that follow from the URLs and the key of an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) authority_key_id: Option<Extension>,
    pub(crate) information: Option<Extension>,
    pub(crate) crl_points: Option<Extension>,
    pub(crate) freshest_crl: Option<Extension>,
}

impl Issuer {
    /// An issuer as certificates will refer to it.
    pub fn new(certificate: Certificate, aia: &AiaUrls, leaf_not_after: LeafNotAfter) -> Self {
        let access = Access::new(certificate.ski(), aia);
        let own = certificate.name_constraints().ok().flatten();
        Self {
            certificate,
            leaf_not_after,
            access,
            constraints: own.into_iter().collect(),
        }
    }

    /// Adds the name constraints of the CAs above it, as far as the way up is the only one: where an issuer is cross-signed,
    /// one path may permit what the other does not.
    #[must_use]
    pub fn below(mut self, chain: &[Certificate]) -> Self {
        let mut current = self.certificate.clone();
        for _ in 0..chain.len() {
            let mut parents = chain
                .iter()
                .filter(|one| **one != current && one.subject() == current.issuer());
            let (Some(parent), None) = (parents.next(), parents.next()) else {
                break;
            };
            if current.is_self_issued() {
                break;
            }
            self.constraints
                .extend(parent.name_constraints().ok().flatten());
            current = parent.clone();
        }
        self
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What it does to leaves that would outlive it.
    pub fn leaf_not_after(&self) -> LeafNotAfter {
        self.leaf_not_after
    }

    pub(crate) fn end(&self) -> IssuerEnd {
        IssuerEnd {
            not_after: self.certificate.not_after(),
            behavior: self.leaf_not_after,
        }
    }
}

impl Access {
    pub(crate) fn new(issuer_key_id: Option<&[u8]>, aia: &AiaUrls) -> Self {
        let uris = |list: &[String], build: fn(&[String]) -> Extension| {
            (!list.is_empty()).then(|| build(list))
        };
        let has_information = !aia.ocsp_servers.is_empty() || !aia.issuing_certificates.is_empty();
        Self {
            authority_key_id: issuer_key_id.map(Extension::authority_key_id),
            information: has_information.then(|| {
                Extension::authority_info_access(&aia.ocsp_servers, &aia.issuing_certificates)
            }),
            crl_points: uris(
                &aia.crl_distribution_points,
                Extension::crl_distribution_points,
            ),
            freshest_crl: uris(&aia.delta_crl_distribution_points, Extension::freshest_crl),
        }
    }
}

/// Whose key is certified.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A key made for the request (`issue`).
    Key(&'a PublicKey),
    /// The key of a certification request (`sign`).
    Csr(&'a Csr),
}

impl<'a> Holder<'a> {
    pub(crate) fn public_key(self) -> &'a PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Csr(csr) => csr.public_key(),
        }
    }

    pub(crate) fn csr(self) -> Option<&'a Csr> {
        match self {
            Self::Key(_) => None,
            Self::Csr(csr) => Some(csr),
        }
    }
}

/// A request for a certificate, its fields as the API has them.
#[derive(Debug, Clone, Copy)]
#[allow(
    missing_docs,
    reason = "field names and meaning are those of the API, unless said"
)]
pub struct LeafRequest<'a> {
    /// Whose key is certified.
    pub holder: Holder<'a>,
    pub common_name: &'a str,
    /// Names between commas, as sent.
    pub alt_names: &'a str,
    pub ip_sans: &'a [String],
    pub uri_sans: &'a [String],
    pub other_sans: &'a [String],
    pub user_ids: &'a [String],
    pub serial_number: &'a str,
    pub exclude_cn_from_sans: bool,
    /// Zero: not sent.
    pub ttl: Duration,
    pub not_before: Option<&'a str>,
    pub not_after: Option<&'a str>,
    /// The caller, for templates; `None` without an entity.
    pub identity: Option<&'a Identity>,
    /// Display name of the caller's token.
    pub display_name: &'a str,
    /// Lease durations of the mount.
    pub mount: MountTtl,
}

impl<'a> LeafRequest<'a> {
    /// A request that says nothing but whose key it is.
    pub fn new(holder: Holder<'a>, mount: MountTtl) -> Self {
        Self {
            holder,
            common_name: "",
            alt_names: "",
            ip_sans: &[],
            uri_sans: &[],
            other_sans: &[],
            user_ids: &[],
            serial_number: "",
            exclude_cn_from_sans: false,
            ttl: Duration::ZERO,
            not_before: None,
            not_after: None,
            identity: None,
            display_name: "",
            mount,
        }
    }

    pub(crate) fn asked(&self) -> Asked<'a> {
        Asked {
            ttl: self.ttl,
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}

/// Reads the `csr` field of a request. That its maker has the key is checked by [`prepare`].
///
/// # Errors
/// The field is empty, or holds no PEM block or no certification request.
pub fn read_csr(text: &str) -> Result<Csr, Refusal> {
    if text.is_empty() {
        return Err(Refusal::CsrEmpty);
    }
    Csr::from_pem(text.as_bytes()).map_err(|error| match error {
        Error::Pem => Refusal::CsrNoPem,
        Error::Malformed { why, .. } => Refusal::CsrSyntax(why),
        other => Refusal::CsrSyntax(other.to_string()),
    })
}

/// Decides on a leaf certificate and builds the bytes to sign.
///
/// Besides, it returns what the caller should be told.
///
/// # Errors
/// The role, the issuer or RFC 5280 does not allow it; the text is the caller's.
pub fn prepare(
    profile: &Profile,
    issuer: &Issuer,
    request: &LeafRequest<'_>,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Prepared, Vec<String>), Refusal> {
    if let Holder::Csr(csr) = request.holder {
        check_csr_key(profile, csr.public_key())?;
    }
    let names = profile.names(request.identity, request.display_name);
    let mut decided = decide(profile, &names, Some(issuer.end()), request, now)?;
    decided.subject.user_ids = names::user_ids(profile, request)?;
    let (algorithm, warning) = algorithm(profile, issuer, request.holder)?;
    decided.warnings.extend(warning);
    if let Holder::Csr(csr) = request.holder {
        // What was asked for in vain is told before what became of the rest, as by the built-in engine.
        let mut first = Vec::new();
        csr_warnings(profile, request, csr, &mut first);
        first.append(&mut decided.warnings);
        decided.warnings = first;
        // Last, because it costs more than all the rest.
        csr.verify()?;
    }

    let subject = decided.subject.to_name();
    let critical = subject.is_empty();
    let public_key = request.holder.public_key().clone();
    let extensions = leaf_extensions(profile, issuer, &public_key, &decided.names, critical);
    let template = Template {
        serial,
        subject,
        not_before: decided.validity.not_before,
        not_after: decided.validity.not_after,
        public_key,
        extensions,
    };
    let prepared = template.prepare(issuer.certificate.subject(), algorithm)?;
    lint::refuse(lint::leaf(
        prepared.unsigned(),
        profile,
        &names,
        issuer,
        now,
    ))?;
    Ok((prepared, decided.warnings))
}

/// What a request comes to before anything is encoded.
pub(crate) struct Decided {
    pub(crate) subject: Subject,
    pub(crate) names: GeneralNames,
    pub(crate) validity: Validity,
    pub(crate) warnings: Vec<String>,
}

/// Names, subject and times, in the order in which the built-in engine looks at them.
pub(crate) fn decide(
    profile: &Profile,
    rules: &Names<'_>,
    issuer: Option<IssuerEnd>,
    request: &LeafRequest<'_>,
    now: Timestamp,
) -> Result<Decided, Refusal> {
    let Collected {
        common_name,
        subject_serial,
        names,
        mut warnings,
    } = names::collect(profile, rules, request)?;
    let fixed_start = request.holder.csr().is_none();
    let mut validity = validity::decide(
        &profile.validity,
        request.asked(),
        request.mount,
        issuer,
        fixed_start,
        now,
    )?;
    warnings.append(&mut validity.warnings);
    let settings = profile.settings();
    let subject = Subject {
        common_name,
        serial_number: subject_serial,
        user_ids: Vec::new(),
        ou: distinct(&settings.ou),
        organization: distinct(&settings.organization),
        country: distinct(&settings.country),
        locality: distinct(&settings.locality),
        province: distinct(&settings.province),
        street_address: distinct(&settings.street_address),
        postal_code: distinct(&settings.postal_code),
    };
    Ok(Decided {
        subject,
        names,
        validity,
        warnings,
    })
}

/// The extensions in the order of the built-in engine; the SAN goes behind the rest if it holds
/// other names, as there.
fn leaf_extensions(
    profile: &Profile,
    issuer: &Issuer,
    key: &PublicKey,
    names: &GeneralNames,
    critical: bool,
) -> Vec<Extension> {
    let mut list = Vec::with_capacity(11);
    list.extend_from_slice(&profile.head);
    list.push(Extension::subject_key_id(&key.ski()));
    tail(&mut list, &issuer.access, profile, names, critical, None);
    list
}

/// What follows the subject key identifier in every certificate.
pub(crate) fn tail(
    list: &mut Vec<Extension>,
    access: &Access,
    profile: &Profile,
    names: &GeneralNames,
    critical: bool,
    constraints: Option<Extension>,
) {
    let mut san = (!names.is_empty()).then(|| Extension::subject_alt_name(names, critical));
    let policies = |place| {
        profile
            .policies
            .as_ref()
            .filter(|(_, placement)| *placement == place)
            .map(|(extension, _)| extension.clone())
    };
    list.extend(access.authority_key_id.clone());
    list.extend(access.information.clone());
    if names.other.is_empty() {
        list.extend(san.take());
    }
    list.extend(policies(Placement::AfterNames));
    list.extend(constraints);
    list.extend(access.crl_points.clone());
    list.extend(san);
    list.extend(policies(Placement::Last));
    list.extend(access.freshest_crl.clone());
}

/// How the issuer signs.
pub(crate) fn algorithm(
    profile: &Profile,
    issuer: &Issuer,
    holder: Holder<'_>,
) -> Result<(SignatureAlgorithm, Option<String>), Refusal> {
    let settings = profile.settings();
    let key = issuer.certificate.public_key();
    // On an EC issuer, `issue` ignores `signature_bits` without a word.
    let is_ec = key.key_type() == crate::KeyType::Ec;
    let bits = match (holder, settings.signature_bits) {
        (Holder::Key(_), _) if is_ec => 0,
        // A role may hold any number; what names no hash means the default.
        (_, bits @ (256 | 384 | 512)) => bits,
        _ => 0,
    };
    let chosen = SignatureAlgorithm::choose(key, bits, settings.use_pss)?;
    Ok((chosen.algorithm, chosen.warning))
}

/// Whether the key in a CSR is one that the role certifies.
pub(crate) fn check_csr_key(profile: &Profile, key: &PublicKey) -> Result<(), Refusal> {
    use crate::KeyType;

    let settings = profile.settings();
    let actual = key.bits();
    if key.key_type() == KeyType::Rsa && actual > MAX_RSA {
        return Err(Refusal::CsrKeyTooLong(actual));
    }
    let minimum = match (settings.key_type.as_str(), key.key_type()) {
        ("any", KeyType::Rsa) if actual < MIN_RSA => return Err(Refusal::WeakRsa),
        ("any", KeyType::Rsa | KeyType::Ec | KeyType::Ed25519) => 0,
        ("rsa", KeyType::Rsa) | ("ec", KeyType::Ec) => settings.key_bits,
        ("ed25519", KeyType::Ed25519) => 0,
        ("any", KeyType::Other) => {
            return Err(Refusal::CsrSyntax(
                "the public key is of an unsupported type".into(),
            ));
        }
        (wanted, _) => return Err(Refusal::CsrKeyType(wanted.to_owned())),
    };
    let floor = if key.key_type() == KeyType::Rsa {
        MIN_RSA
    } else {
        0
    };
    let required = minimum.max(floor);
    if actual < required {
        return Err(Refusal::CsrKeyBits { required, actual });
    }
    Ok(())
}

pub(crate) fn csr_warnings(
    profile: &Profile,
    request: &LeafRequest<'_>,
    csr: &Csr,
    warnings: &mut Vec<String>,
) {
    let settings = profile.settings();
    if settings.use_csr_common_name && !request.common_name.is_empty() {
        warnings.push(CN_IGNORED.to_owned());
    }
    if settings.use_csr_sans && !request.alt_names.is_empty() {
        warnings.push(ALT_NAMES_IGNORED.to_owned());
    }
    if !settings.basic_constraints_valid_for_non_ca && has_basic_constraints(csr) {
        warnings.push(BASIC_CONSTRAINTS_IGNORED.to_owned());
    }
}

pub(crate) fn has_basic_constraints(csr: &Csr) -> bool {
    csr.extensions()
        .iter()
        .any(|one| one.oid == crate::ext::id::BASIC_CONSTRAINTS)
}

/// The first of each value, in order.
pub(crate) fn distinct(values: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let values = values.iter().filter(|value| !value.is_empty());
    values
        .filter(|value| seen.insert(*value))
        .cloned()
        .collect()
}

const MIN_RSA: u32 = 2048;
/// What the cryptography library verifies a signature of.
const MAX_RSA: u32 = 8192;
pub(crate) const CN_IGNORED: &str = "the common_name field was provided but the role is set with \"use_csr_common_name\" set to true";
pub(crate) const ALT_NAMES_IGNORED: &str =
    "the alt_names field was provided but the role is set with \"use_csr_sans\" set to true";
const BASIC_CONSTRAINTS_IGNORED: &str =
    "specified CSR contained a Basic Constraints extension that was ignored during issuance";
