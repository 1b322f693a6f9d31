//! CA certificates: roots, requests for intermediates, signing them, and cross-signing.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use crate::csr::CsrTemplate;
use crate::ext::{Extension, KeyUsage, NameConstraints, Subtrees, id};
use crate::issue::{self, Access, AiaUrls, Decided, Holder, Issuer, LeafRequest};
use crate::lint;
use crate::name::{Attributes, distinct};
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::sign::Hash;
use crate::usage;
use crate::validity::{LeafNotAfter, MountTtl, parse_rfc3339, rfc3339};
use crate::verbatim::with_csr_values;
use crate::{
    Certificate, Csr, KeyType, Oid, PublicKey, SerialNumber, SignatureAlgorithm, Tbs, Template,
    Unsigned,
};

/// A request for a CA certificate, or for a CSR that asks for one; fields as the API has them.
#[derive(Debug, Clone, Default)]
#[allow(
    missing_docs,
    reason = "field names and meaning are those of the API, unless said"
)]
pub struct CaRequest {
    pub common_name: String,
    /// Names between commas, as sent.
    pub alt_names: String,
    pub ip_sans: Vec<String>,
    pub uri_sans: Vec<String>,
    pub other_sans: Vec<String>,
    pub serial_number: String,
    pub exclude_cn_from_sans: bool,
    pub attributes: Attributes,
    /// Zero: not sent, which means the mount's default.
    pub ttl: Duration,
    /// Not used: CA certificates start `not_before_duration` ago.
    pub not_before: Option<String>,
    pub not_after: Option<String>,
    /// Zero: 30 seconds.
    pub not_before_duration: Duration,
    pub signature_bits: u32,
    pub use_pss: bool,
    /// -1: no limit. `None`: no limit on a root, one less than the issuer's on an intermediate.
    pub max_path_length: Option<i64>,
    pub permitted_dns_domains: Vec<String>,
    /// Only `DigitalSignature` is taken; keyCertSign and cRLSign are always there.
    pub key_usage: Vec<String>,
    pub ext_key_usage: Vec<String>,
    /// Object identifiers, or names.
    pub ext_key_usage_oids: Vec<String>,
}

/// Prepares a self-signed root for a key.
///
/// # Errors
/// A name, a time or an encoding that cannot be had.
pub fn root(
    request: &CaRequest,
    key: &PublicKey,
    aia: &AiaUrls,
    mount: MountTtl,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    let algorithm = own_algorithm(request, key)?;
    let profile = Profile::new(request.settings(KeyUse::Own))?;
    let decided = request.decide(&profile, Holder::Key(key), mount, now)?;
    let Decided {
        subject,
        names,
        validity,
        mut warnings,
    } = decided;
    let subject = subject.to_name();
    let path_length = path_length(request.max_path_length)?;
    let constraints = request.name_constraints()?;
    let key_id = key.ski();
    let mut extensions = request.ca_head(path_length)?;
    extensions.push(Extension::subject_key_id(&key_id));
    issue::tail(
        &mut extensions,
        &Access::new(Some(&key_id), aia),
        &profile,
        &names,
        subject.is_empty(),
        constraints,
    );
    if subject.is_empty() {
        warnings.push(NO_SUBJECT.to_owned());
    }
    if lacks_aia(aia) {
        warnings.push(NO_AIA.to_owned());
    }
    if path_length == Some(0) {
        warnings.push(format!(
            "Max path length of the generated certificate is zero. {NO_MORE_CAS}"
        ));
    }
    let template = Template {
        serial,
        subject: subject.clone(),
        not_before: validity.not_before,
        not_after: validity.not_after,
        public_key: key.clone(),
        extensions,
    };
    let prepared = template.prepare(&subject, algorithm)?;
    warnings.extend(lint::refuse(lint::certificate(prepared.unsigned(), None))?);
    Ok((prepared, warnings))
}

/// Prepares a CSR by which a key asks to become an intermediate.
///
/// # Errors
/// A name that cannot be had, or a hash that the key has not.
pub fn intermediate_csr(
    request: &CaRequest,
    key: &PublicKey,
    add_basic_constraints: bool,
    mount: MountTtl,
    now: Timestamp,
) -> Result<(Unsigned<Tbs<Csr>>, Vec<String>), Refusal> {
    let algorithm = own_algorithm(request, key)?;
    let profile = Profile::new(request.settings(KeyUse::Own))?;
    let timeless = CaRequest {
        not_after: None,
        not_before: None,
        ttl: Duration::ZERO,
        ..request.clone()
    };
    // Any lifetime does: it is left out.
    let mount = MountTtl {
        default: HOUR,
        max: mount.max.max(HOUR),
    };
    let decided = timeless.decide(&profile, Holder::Key(key), mount, now)?;
    // A CSR has no times; what cannot be meant is a mistake all the same.
    if let Some(text) = request.not_after.as_deref() {
        parse_rfc3339(text)?;
        if !request.ttl.is_zero() {
            return Err(Refusal::TtlAndNotAfter);
        }
    }
    let mut extensions = Vec::new();
    if !decided.names.is_empty() {
        extensions.push(Extension::subject_alt_name(&decided.names, false));
    }
    if add_basic_constraints {
        extensions.push(Extension::basic_constraints(true, None));
    }
    let subject = decided.subject.to_name();
    let template = CsrTemplate {
        subject,
        public_key: key.clone(),
        extensions,
    };
    Ok((template.prepare(algorithm)?, decided.warnings))
}

/// How to sign an intermediate.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntermediateOptions<'a> {
    /// Subject and extensions as the CSR has them.
    pub use_csr_values: bool,
    /// Subject key identifier in hexadecimal, for cross-signing; empty: of the key.
    pub skid: &'a str,
}

/// Prepares an intermediate CA certificate from a CSR.
///
/// It may outlive the issuer, with a warning, unless the issuer always refuses that.
///
/// # Errors
/// The issuer may not issue CAs, a name or time cannot be had, or the CSR is not signed by its key.
pub fn sign_intermediate(
    request: &CaRequest,
    csr: &Csr,
    options: IntermediateOptions<'_>,
    issuer: &Issuer,
    mount: MountTtl,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    let holder = Holder::Csr(csr);
    // It is not used, but what cannot be meant is a mistake all the same.
    let start = request.not_before.as_deref();
    if let Some(text) = start.filter(|text| !text.is_empty()) {
        parse_rfc3339(text)?;
    }
    let profile = Profile::new(request.settings(KeyUse::Csr))?;
    issue::check_csr_key(&profile, csr.public_key())?;
    let decided = request.decide(&profile, holder, mount, now)?;
    let (algorithm, warning) = issue::algorithm(&profile, issuer, holder)?;
    let limit = issuer.certificate().path_len();
    if limit == Some(0) {
        return Err(Refusal::PathLength);
    }
    let path_length = match request.max_path_length {
        Some(_) => path_length(request.max_path_length)?,
        None => limit.map(|limit| limit - 1),
    };
    let key_id = match key_id(options.skid)? {
        Some(given) => given,
        None => csr.public_key().ski().to_vec(),
    };
    if options.use_csr_values {
        issue::within_limits(csr.subject_alt_names())?;
    }
    csr.verify()?;

    let mut extensions = request.ca_head(path_length)?;
    extensions.push(Extension::subject_key_id(&key_id));
    let constraints = request.name_constraints()?;
    let subject = if options.use_csr_values {
        let others = decided.names.other.clone();
        extensions = with_csr_values(extensions, constraints, &issuer.access, csr, others);
        csr.subject().clone()
    } else {
        let subject = decided.subject.to_name();
        let critical = subject.is_empty();
        issue::tail(
            &mut extensions,
            &issuer.access,
            &profile,
            &decided.names,
            critical,
            constraints,
        );
        subject
    };

    let mut warnings = Vec::new();
    let (end, issuer_end) = (decided.validity.not_after, issuer.certificate().not_after());
    // Both made in one second with one lifetime end together: a certificate counts whole seconds.
    if end.as_second() > issuer_end.as_second() {
        if issuer.leaf_not_after() == LeafNotAfter::AlwaysErr {
            return Err(Refusal::BeyondIssuer {
                not_after: rfc3339(end),
                issuer_end: rfc3339(issuer_end),
            });
        }
        warnings.push(BEYOND_ISSUER.to_owned());
    }
    if subject.is_empty() {
        warnings.push(NO_SUBJECT.to_owned());
    }
    if issuer.access.information.is_none() && issuer.access.crl_points.is_none() {
        warnings.push(NO_AIA.to_owned());
    }
    warnings.extend(path_length_warning(path_length, limit));
    warnings.extend(decided.warnings);
    warnings.extend(warning);

    let template = Template {
        serial,
        subject,
        not_before: decided.validity.not_before,
        not_after: end,
        public_key: csr.public_key().clone(),
        extensions,
    };
    let prepared = template.prepare(issuer.certificate().subject(), algorithm)?;
    warnings.extend(lint::refuse(lint::issued(prepared.unsigned(), issuer))?);
    Ok((prepared, warnings))
}

/// What to say of a path length under an issuer whose own is `limit`.
fn path_length_warning(path_length: Option<u32>, limit: Option<u32>) -> Option<String> {
    if path_length == Some(0) {
        return Some(format!(
            "Max path length of the signed certificate is zero. {NO_MORE_CAS}"
        ));
    }
    let limit = limit.filter(|limit| path_length.is_none_or(|length| length >= *limit))?;
    Some(format!(
        "max_path_length is not below the {limit} of the issuer; the issuer's limit applies all the same."
    ))
}

/// Prepares a copy of a self-issued CA certificate under another issuer: same serial, names, key
/// and times, the issuer's identifiers and URLs.
///
/// Extensions that are not understood are left out, with a warning.
///
/// # Errors
/// The certificate is no CA's, is not self-issued, or has a key of another type than the issuer
/// where the caller wants them to match.
pub fn self_issued(
    certificate: &Certificate,
    issuer: &Issuer,
    require_matching_algorithms: bool,
    now: Timestamp,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    if !certificate.is_ca() {
        return Err(Refusal::NotCa);
    }
    if !certificate.is_self_issued() {
        return Err(Refusal::NotSelfIssued);
    }
    let (given, signer) = (certificate.public_key(), issuer.certificate().public_key());
    if require_matching_algorithms && given.key_type() != signer.key_type() {
        return Err(Refusal::AlgorithmMismatch {
            given: go_name(given),
            signer: go_name(signer),
        });
    }
    let algorithm = match certificate.signature_algorithm() {
        Ok(own) if own.fits(signer).is_ok() => own,
        _ => SignatureAlgorithm::choose(signer, 0, false)?.algorithm,
    };

    let copy = |oid: &Oid| {
        certificate.extension(oid).map(|one| Extension {
            oid: one.oid,
            critical: one.critical,
            value: one.value.to_vec(),
        })
    };
    let access = &issuer.access;
    let extensions: Vec<Extension> = [
        copy(&id::KEY_USAGE),
        copy(&id::EXT_KEY_USAGE),
        copy(&id::BASIC_CONSTRAINTS),
        copy(&id::SUBJECT_KEY_ID),
        access.authority_key_id.clone(),
        access.information.clone(),
        copy(&id::SUBJECT_ALT_NAME),
        copy(&id::CERTIFICATE_POLICIES),
        copy(&id::NAME_CONSTRAINTS),
        access.crl_points.clone(),
    ]
    .into_iter()
    .flatten()
    .collect();
    // What the issuer says of itself is replaced, whether or not it says anything.
    let replaced = [
        id::AUTHORITY_KEY_ID,
        id::AUTHORITY_INFO_ACCESS,
        id::CRL_DISTRIBUTION_POINTS,
        id::FRESHEST_CRL,
    ];
    let mut warnings: Vec<_> = certificate
        .extensions()
        .filter(|one| !replaced.contains(&one.oid) && extensions.iter().all(|e| e.oid != one.oid))
        .map(|one| format!("the extension {} was left out", one.oid))
        .collect();
    // Whoever asks gets it, as in the built-in engine: an end that is past gives nothing to anybody.
    if certificate.not_after() <= now {
        warnings.push(format!(
            "the certificate is over since {}, and so is its copy",
            rfc3339(certificate.not_after())
        ));
    }

    let template = Template {
        serial: certificate.serial().clone(),
        subject: certificate.subject().clone(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        public_key: given.clone(),
        extensions,
    };
    let prepared = template.prepare(issuer.certificate().subject(), algorithm)?;
    // The holder's certificate stays what it is; it only has to be one that readers take.
    warnings.extend(lint::refuse(lint::shape(prepared.unsigned()))?);
    Ok((prepared, warnings))
}

/// Which names a request may take from where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyUse {
    /// A key of the mount: everything comes from the request.
    Own,
    /// A CSR: the common name may come from it.
    Csr,
}

impl CaRequest {
    /// The role that the built-in engine uses for its own CAs: everything goes.
    fn settings(&self, key: KeyUse) -> Settings {
        Settings {
            use_csr_common_name: key == KeyUse::Csr && self.common_name.is_empty(),
            use_csr_sans: false,
            signature_bits: self.signature_bits.into(),
            use_pss: self.use_pss,
            not_before_duration: self.not_before_duration,
            attributes: self.attributes.clone(),
            ..Settings::open()
        }
    }

    fn decide(
        &self,
        profile: &Profile,
        holder: Holder<'_>,
        mount: MountTtl,
        now: Timestamp,
    ) -> Result<Decided, Refusal> {
        let fields = LeafRequest {
            common_name: &self.common_name,
            alt_names: &self.alt_names,
            ip_sans: &self.ip_sans,
            uri_sans: &self.uri_sans,
            other_sans: &self.other_sans,
            serial_number: &self.serial_number,
            exclude_cn_from_sans: self.exclude_cn_from_sans,
            ttl: self.ttl,
            not_after: self.not_after.as_deref(),
            ..LeafRequest::new(holder, mount)
        };
        let mut decided = issue::decide(profile, &profile.names(None, ""), None, &fields, now)?;
        if self
            .not_before
            .as_deref()
            .is_some_and(|text| !text.is_empty())
        {
            decided.warnings.push(NOT_BEFORE_UNUSED.to_owned());
        }
        Ok(decided)
    }

    /// Key usage, purposes, basic constraints.
    fn ca_head(&self, path_length: Option<u32>) -> Result<Vec<Extension>, Refusal> {
        let asked = usage::key_usage(&self.key_usage) & KeyUsage::DIGITAL_SIGNATURE;
        let mut purposes = usage::ext_key_usage(&self.ext_key_usage);
        let mut more = Vec::new();
        for text in self
            .ext_key_usage_oids
            .iter()
            .filter(|text| !text.is_empty())
        {
            // The built-in engine reads this list as names, so both forms are in use.
            let named = usage::ext_key_usage(std::slice::from_ref(text));
            match named.as_slice() {
                [] => more
                    .push(usage::oid(text).ok_or_else(|| Refusal::ExtKeyUsageOid(text.clone()))?),
                _ => more.extend(named),
            }
        }
        purposes = usage::distinct(purposes, more);
        let mut head = vec![Extension::key_usage(
            KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN | asked,
        )];
        if !purposes.is_empty() {
            head.push(Extension::ext_key_usage(&purposes));
        }
        head.push(Extension::basic_constraints(true, path_length));
        Ok(head)
    }

    fn name_constraints(&self) -> Result<Option<Extension>, Refusal> {
        let dns = distinct(&self.permitted_dns_domains);
        if let Some(bad) = dns.iter().find(|domain| !lint::is_domain(domain)) {
            return Err(Refusal::PermittedDomain(bad.clone()));
        }
        let permitted = Subtrees {
            dns,
            ..Subtrees::default()
        };
        let constraints = NameConstraints {
            permitted,
            ..NameConstraints::default()
        };
        Ok((!constraints.is_empty()).then(|| Extension::name_constraints(&constraints, true)))
    }
}

fn own_algorithm(request: &CaRequest, key: &PublicKey) -> Result<SignatureAlgorithm, Refusal> {
    let bits = match key.key_type() {
        KeyType::Rsa => Hash::from_signature_bits(request.signature_bits)
            .map_err(|e| Refusal::Key(e.to_string()))?
            .bits(),
        // The hash follows from the curve, whatever was asked.
        _ => 0,
    };
    Ok(SignatureAlgorithm::choose(key, bits, request.use_pss)?.algorithm)
}

/// The field's -1 stands for none.
fn path_length(field: Option<i64>) -> Result<Option<u32>, Refusal> {
    match field {
        None | Some(-1) => Ok(None),
        // No chain is that long; what is larger means no limit, as it does in the built-in engine.
        Some(length) if length > 0 => Ok(Some(u32::try_from(length).unwrap_or(u32::MAX))),
        Some(0) => Ok(Some(0)),
        Some(_) => Err(Refusal::MaxPathLength),
    }
}

/// Hexadecimal with colons, hyphens or blanks between; `None` if there is nothing.
fn key_id(text: &str) -> Result<Option<Vec<u8>>, Refusal> {
    let digits: Vec<char> = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | ' '))
        .collect();
    if let Some(bad) = digits.iter().find(|c| !c.is_ascii_hexdigit()) {
        let why = format!(
            "encoding/hex: invalid byte: U+{:04X} '{bad}'",
            u32::from(*bad)
        );
        return Err(Refusal::Skid(why));
    }
    if digits.len() % 2 == 1 {
        return Err(Refusal::Skid("encoding/hex: odd length hex string".into()));
    }
    let value = |c: char| c.to_digit(16).unwrap_or_default() as u8;
    let octets: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| value(pair[0]) << 4 | value(pair[1]))
        .collect();
    Ok((!octets.is_empty()).then_some(octets))
}

fn lacks_aia(aia: &AiaUrls) -> bool {
    aia.issuing_certificates.is_empty()
        && aia.crl_distribution_points.is_empty()
        && aia.ocsp_servers.is_empty()
}

fn go_name(key: &PublicKey) -> &'static str {
    match key.key_type() {
        KeyType::Rsa => "RSA",
        KeyType::Ec => "ECDSA",
        KeyType::Ed25519 => "Ed25519",
        KeyType::MlDsa => "ML-DSA",
        KeyType::Other => "unknown",
    }
}

/// Warning of a CA certificate without URLs in it.
pub const NO_AIA: &str = "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.";
/// Warning of a CA certificate without a name.
pub const NO_SUBJECT: &str = "This issuer certificate was generated without a Subject; this makes it likely that issuing leaf certs with this certificate will cause TLS validation libraries to reject this certificate.";
/// Warning of an intermediate that outlives its issuer.
pub const BEYOND_ISSUER: &str = "The expiration time for the signed certificate is after the CA's expiration time. If the new certificate is not treated as a root, validation paths with the certificate past the issuing CA's expiration time will fail.";
const HOUR: Duration = Duration::from_secs(3600);
const NO_MORE_CAS: &str = "This certificate cannot be used to issue intermediate CA certificates.";
const NOT_BEFORE_UNUSED: &str =
    "not_before was not used: a CA certificate starts not_before_duration ago.";
