//! A last look at a certificate before it is signed.
//!
//! What is checked is the finished TBSCertificate as it reads back, not the request it came from:
//! a rule that some path of the issuing code forgot is still kept (GHSA-g892-p242-8g86). First
//! what RFC 5280 asks of every certificate, then what the role allows.

use jiff::{SignedDuration, Timestamp};

use crate::constraints;
use crate::ext::{GeneralNames, KeyUsage, id};
use crate::host::{is_dns_name, is_mail_name};
use crate::issue::Issuer;
use crate::name::attribute;
use crate::node_name::node_name;
use crate::policy::Names;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::validity::{LeafNotAfter, NotAfterBound};
use crate::{Certificate, KeyType, Subject, asn1, name};

mod shape;

pub use crate::finding::{Finding, Severity};
pub(crate) use shape::is_domain;
pub use shape::shape;

/// Turns the first error among the findings into a refusal, and gives the rest as warnings.
///
/// # Errors
/// [`Refusal::Lint`] naming the rule.
pub fn refuse(findings: Vec<Finding>) -> Result<Vec<String>, Refusal> {
    let mut warnings = Vec::new();
    for finding in findings {
        match finding.severity {
            Severity::Warning => warnings.push(finding.to_string()),
            Severity::Error => {
                let Finding { rule, text, .. } = finding;
                return Err(Refusal::Lint { rule, text });
            }
        }
    }
    Ok(warnings)
}

/// Checks a certificate made under a role: [`certificate`], and every name, usage and time against
/// the role and the issuer.
pub fn leaf(
    certificate: &Certificate,
    profile: &Profile,
    names: &Names<'_>,
    issuer: &Issuer,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found = issued(certificate, issuer);
    let mut refuse = |rule, text: String| found.push(Finding::error(rule, text));
    if certificate.is_ca() {
        refuse("role-no-ca", "a leaf must not be a CA".into());
    }
    let asserted = certificate.key_usage().unwrap_or_default();
    if asserted != profile.key_usage_for(certificate.public_key()) {
        refuse("role-key-usage", "the key usage is not the role's".into());
    }
    if certificate.ext_key_usage() != profile.purposes {
        refuse(
            "role-ext-key-usage",
            "the extended key usages are not the role's".into(),
        );
    }
    found.extend(names_of_role(certificate, profile, names));
    found.extend(times_of_role(certificate, profile, issuer, now));
    found
}

/// Every name against the role.
fn names_of_role(certificate: &Certificate, profile: &Profile, names: &Names<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |rule, text: String| found.push(Finding::error(rule, text));
    let subject = Subject::from_name(certificate.subject());
    let common_names = certificate.subject().values(&attribute::COMMON_NAME);
    if common_names.len() > 1 || (profile.settings().require_cn && common_names.is_empty()) {
        refuse("role-common-name", "the role wants one common name".into());
    }
    for name in &common_names {
        if !names.allow_common_name(name)
            || profile.settings().node_names && node_name(name).is_err()
        {
            refuse(
                "role-common-name",
                "the role does not allow the common name".into(),
            );
        }
    }
    let serial = &subject.serial_number;
    if !serial.is_empty() && !profile.allows_subject_serial(serial) {
        refuse(
            "role-subject-serial",
            "the role does not allow the subject's serial number".into(),
        );
    }
    if !subject.user_ids.iter().all(|id| profile.allows_user_id(id)) {
        refuse("role-user-ids", "the role does not allow a user id".into());
    }

    let san = certificate.subject_alt_names();
    if !san
        .dns
        .iter()
        .all(|name| is_dns_name(name) && names.allow(name))
    {
        refuse(
            "role-dns-names",
            "the role does not allow a DNS name".into(),
        );
    }
    if !san
        .emails
        .iter()
        .all(|name| is_mail_name(name) && names.allow(name))
    {
        refuse(
            "role-mail-names",
            "the role does not allow a mail address".into(),
        );
    }
    if !san.ips.iter().all(|ip| profile.allows_ip(*ip)) {
        refuse(
            "role-ip-addresses",
            "the role does not allow an IP address".into(),
        );
    }
    if !san.uris.iter().all(|uri| names.uris.allow(uri)) {
        refuse("role-uris", "the role does not allow a URI".into());
    }
    let other =
        |oid: &crate::Oid, value: &str| profile.other_names.check(&oid.to_string(), value).is_ok();
    if !san.other.iter().all(|name| other(&name.oid, &name.value)) || !san.rest.is_empty() {
        refuse(
            "role-other-names",
            "the role does not allow another kind of name".into(),
        );
    }
    found
}

/// The end against the role and the issuer.
fn times_of_role(
    certificate: &Certificate,
    profile: &Profile,
    issuer: &Issuer,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |rule, text: String| found.push(Finding::error(rule, text));
    let end = certificate.not_after();
    let issuer_end = issuer.certificate().not_after();
    if end > issuer_end && issuer.leaf_not_after() != LeafNotAfter::Permit {
        refuse("issuer-end", "the leaf would outlive its issuer".into());
    }
    if let NotAfterBound::Until { at, .. } = &profile.validity.not_after_bound
        && end > *at
    {
        refuse(
            "role-not-after",
            "the end lies beyond the role's not_after_bound".into(),
        );
    }
    // Where a request cannot name an end freely, max_ttl limits every certificate of the role.
    let times = &profile.validity;
    let limited = matches!(
        times.not_after_bound,
        NotAfterBound::Forbid | NotAfterBound::TtlLimited
    );
    if limited
        && times.not_after.is_empty()
        && !times.max_ttl.is_zero()
        && SignedDuration::try_from(times.max_ttl).is_ok_and(|max| end.duration_since(now) > max)
    {
        refuse(
            "role-max-ttl",
            "the certificate would live longer than max_ttl".into(),
        );
    }
    found
}

/// Checks a certificate made by an issuer, without a role: [`certificate`], and the name constraints above it.
pub fn issued(certificate: &Certificate, issuer: &Issuer) -> Vec<Finding> {
    let mut found = self::certificate(certificate, Some(issuer.certificate()));
    let mut above = issuer.constraints.iter();
    if let Some(name) = above.find_map(|one| constraints::outside(certificate, one)) {
        found.push(Finding::error("rfc5280-4.2.1.10", name.to_string()));
    }
    found
}

/// What RFC 5280 asks of any certificate, and what readers ask: `shape`.
///
/// `issuer` is `None` for a root, which refers to itself.
pub fn certificate(certificate: &Certificate, issuer: Option<&Certificate>) -> Vec<Finding> {
    let mut found = Vec::new();
    if has_control_characters(certificate) {
        found.push(Finding::error(
            CONTROL_CHARACTERS,
            "a name holds a control character, at which a reader may cut it off".to_owned(),
        ));
    }
    found.extend(shape(certificate));
    let mut refuse = |rule, text: &str| found.push(Finding::error(rule, text.to_owned()));
    let usage = certificate.key_usage();

    if certificate.version() != 3 {
        refuse(
            "rfc5280-4.1.2.1",
            "a certificate with extensions has version 3",
        );
    }
    if certificate.not_before() > certificate.not_after() {
        refuse(
            "rfc5280-4.1.2.5",
            "the certificate would end before it starts",
        );
    }
    let expected = issuer.unwrap_or(certificate);
    if certificate.issuer() != expected.subject() {
        refuse(
            "rfc5280-4.1.2.4",
            "the issuer's name is not the subject of its certificate",
        );
    }
    if let (Some(own), Some(theirs)) = (certificate.aki(), expected.ski())
        && own != theirs
    {
        refuse(
            "rfc5280-4.2.1.1",
            "the authority key identifier is not the issuer's",
        );
    }
    if certificate.is_ca() {
        if certificate.ski().is_none() {
            refuse(
                "rfc5280-4.2.1.2",
                "a CA certificate has a subject key identifier",
            );
        }
        if !usage.is_some_and(|usage| usage.contains(KeyUsage::CERT_SIGN)) {
            refuse(
                KEY_USAGE,
                "a CA certificate has a key usage with keyCertSign",
            );
        }
    } else {
        // OpenSSL takes one that does not say whether it is a CA's for a CA's.
        if certificate.basic_constraints().is_none() && signs_certificates(usage) {
            refuse(KEY_USAGE, ONLY_A_CA_SIGNS);
        }
        if certificate.path_len().is_some() {
            refuse("rfc5280-4.2.1.9", "only a CA certificate has a path length");
        }
    }
    if usage.is_some_and(KeyUsage::is_empty) {
        refuse(KEY_USAGE, "a key usage has at least one bit");
    }
    if certificate.public_key().key_type() == KeyType::MlDsa
        && usage.is_some_and(|usage| !KeyUsage::SIGNING.contains(usage))
    {
        refuse(
            SIGNING_USAGE,
            "an ML-DSA key only signs: its key usage has no bit for encryption or key agreement",
        );
    }

    let san = certificate.extension(&id::SUBJECT_ALT_NAME);
    match san {
        Some(_) if certificate.subject_alt_names().is_empty() => {
            refuse(
                "rfc5280-4.2.1.6",
                "a subject alternative name holds at least one name",
            );
        }
        Some(san) if certificate.subject().is_empty() && !san.critical => {
            refuse(
                "rfc5280-4.2.1.6",
                "with an empty subject the alternative name is critical",
            );
        }
        _ => {}
    }
    found.extend(doubtful(certificate));
    found
}

/// What RFC 5280 does not allow and does no harm: whoever asks for it gets it, and is told.
fn doubtful(certificate: &Certificate) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut warn = |rule, text: &str| found.push(Finding::warning(rule, text.to_owned()));
    let says_no_ca = certificate.basic_constraints().is_some() && !certificate.is_ca();
    if says_no_ca && signs_certificates(certificate.key_usage()) {
        warn(KEY_USAGE, ONLY_A_CA_SIGNS);
    }
    if certificate.subject().is_empty()
        && certificate.extension(&id::SUBJECT_ALT_NAME).is_none()
        && !certificate.is_ca()
    {
        warn(
            "rfc5280-4.1.2.6",
            "the certificate names nobody: it has neither a subject nor a subject alternative name",
        );
    }
    found
}

fn signs_certificates(usage: Option<KeyUsage>) -> bool {
    usage.is_some_and(|usage| usage.contains(KeyUsage::CERT_SIGN))
}

const ONLY_A_CA_SIGNS: &str = "only a CA certificate asserts keyCertSign";

/// Whether a name of the subject, or an alternative name, holds one. A NUL made some readers take
/// `bank.example` out of `bank.example\0.evil.example` (CVE-2009-2408).
fn has_control_characters(certificate: &Certificate) -> bool {
    let controls = |text: &str| text.chars().any(char::is_control);
    let san = certificate.subject_alt_names();
    let in_name = |name: &crate::Name| name.rdns().iter().flatten().any(|one| controls(&one.value));
    in_name(certificate.subject())
        || san.directories().iter().any(in_name)
        || [&san.dns, &san.emails, &san.uris]
            .into_iter()
            .flatten()
            .any(|name| controls(name))
        || san.other.iter().any(|name| controls(&name.value))
        || other_texts(san).iter().any(|text| controls(text))
}

/// The texts of other names that are no UTF8String, such as a UPN as an IA5String from a CSR.
fn other_texts(names: &GeneralNames) -> Vec<String> {
    let text = |encoded: &Vec<u8>| {
        let body = asn1::decode(encoded, |r| asn1::value(r, asn1::context_constructed(0))).ok()?;
        let value = asn1::decode(body, |r| {
            asn1::oid(r)?;
            asn1::value(r, asn1::context_constructed(0))
        });
        Some(name::text(value.ok()?))
    };
    names.rest.iter().filter_map(text).collect()
}

const CONTROL_CHARACTERS: &str = "no-control-characters";

/// Whether a rule is one on key usages, which `sign-verbatim` leaves to whoever asks for them.
pub(crate) fn is_about_usage(rule: &str) -> bool {
    [KEY_USAGE, SIGNING_USAGE].contains(&rule)
}

/// RFC 5280 section 4.2.1.3.
pub(crate) const KEY_USAGE: &str = "rfc5280-4.2.1.3";
/// RFC 9881 section 5.
const SIGNING_USAGE: &str = "rfc9881-5";

#[cfg(test)]
mod tests;
