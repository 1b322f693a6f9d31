//! IAM Roles Anywhere trust anchors: which certificates go in, whether AWS can use them, and the
//! forms in which they are handed over.
//!
//! On EKS hybrid nodes the chain of a node is never sent: `nodeadm` passes no intermediates, and
//! the signing helper reads only the first certificate of the file. The CA that signs the leaves
//! must therefore be in the anchor itself; a root alone does not do.

mod forms;
pub mod tags;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use landfast_base::limits::{ANCHOR_CERTIFICATES, ANCHOR_OCTETS, OLD_ANCHOR_OCTETS};

use crate::ext::KeyUsage;
use crate::finding::Finding;
use crate::{Certificate, Curve, KeyType, pem};

pub use forms::{Anchor, Event, Form, FormError, Notification, render};

/// Which certificates of an issuer's chain an anchor holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Content {
    /// The CA that signs the leaves: what hybrid nodes need.
    #[default]
    Issuing,
    /// The root above it: for clients that send their chain.
    Root,
    /// Both.
    Both,
}

impl Content {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuing => "issuing",
            Self::Root => "root",
            Self::Both => "both",
        }
    }
}

/// Why certificates cannot be picked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// Not the name of a content.
    #[error("unknown content; one of issuing, root, both")]
    Unknown,
    /// There is no issuer.
    #[error("the chain is empty")]
    Empty,
    /// The root is not known here.
    #[error(
        "the chain ends before a self-signed root; import the root, or use the content issuing"
    )]
    NoRoot,
}

impl FromStr for Content {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        [Self::Issuing, Self::Root, Self::Both]
            .into_iter()
            .find(|content| content.name() == text)
            .ok_or(SelectError::Unknown)
    }
}

/// Picks certificates from a chain that starts with the issuing CA and goes upwards.
///
/// # Errors
/// The chain is empty, or the root is wanted and not in it.
pub fn select(content: Content, chain: &[Certificate]) -> Result<Vec<Certificate>, SelectError> {
    let issuing = chain.first().ok_or(SelectError::Empty)?;
    let root = match content {
        Content::Issuing => None,
        Content::Root | Content::Both => chain.iter().find(|one| one.is_self_signed()),
    };
    select_from(content, issuing, root)
}

/// As [`select`], where it is known which certificate of the chain is its root: nothing is verified.
///
/// # Errors
/// The root is wanted and there is none.
pub fn select_from(
    content: Content,
    issuing: &Certificate,
    root: Option<&Certificate>,
) -> Result<Vec<Certificate>, SelectError> {
    let root = || root.ok_or(SelectError::NoRoot);
    Ok(match content {
        Content::Issuing => vec![issuing.clone()],
        Content::Root => vec![root()?.clone()],
        Content::Both => {
            let root = root()?;
            let mut both = vec![issuing.clone()];
            both.extend((root != issuing).then(|| root.clone()));
            both
        }
    })
}

/// What was found about an anchor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// AWS would refuse the anchor, or sessions under it.
    pub errors: Vec<Finding>,
    /// Something an operator should know.
    pub warnings: Vec<Finding>,
}

impl Report {
    /// Whether AWS can use the anchor.
    pub fn is_usable(&self) -> bool {
        self.errors.is_empty()
    }

    fn error(&mut self, rule: &'static str, text: String) {
        self.errors.push(Finding::error(rule, text));
    }

    fn warn(&mut self, rule: &'static str, text: String) {
        self.warnings.push(Finding::warning(rule, text));
    }
}

/// What AWS grants an account, and what the anchor is for.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// Certificates in one anchor; a quota that AWS may raise.
    pub max_certificates: usize,
    /// Octets of PEM in one anchor: 204,800 in SDKs of late 2026, 16,000 in older ones.
    pub max_octets: usize,
    /// The CA that signs the leaves of hybrid nodes, which must be in the anchor.
    pub issuing: Option<&'a Certificate>,
}

impl Default for Expectations<'_> {
    fn default() -> Self {
        Self {
            max_certificates: ANCHOR_CERTIFICATES,
            max_octets: ANCHOR_OCTETS,
            issuing: None,
        }
    }
}

/// Checks the certificates of an anchor against AWS's defaults: see [`check_against`].
pub fn check(certificates: &[Certificate], now: Timestamp) -> Report {
    check_against(certificates, Expectations::default(), now)
}

/// Checks the certificates of an anchor (rules CA-01 to CA-10, and EE-09 as far as it is about the issuer).
pub fn check_against(
    certificates: &[Certificate],
    expected: Expectations<'_>,
    now: Timestamp,
) -> Report {
    let mut report = Report::default();
    if certificates.is_empty() {
        report.error(CA_08, "an anchor holds at least one certificate".into());
    }
    if certificates.len() > expected.max_certificates {
        report.error(
            CA_08,
            format!(
                "an anchor holds at most {} certificates, and these are {}",
                expected.max_certificates,
                certificates.len()
            ),
        );
    }
    let octets: usize = certificates.iter().map(|one| one.pem().len()).sum();
    if octets > expected.max_octets {
        let text = format!(
            "{octets} octets of PEM are more than {}",
            expected.max_octets
        );
        report.error(CA_08, text);
    } else if octets > OLD_ANCHOR_OCTETS {
        let text = format!(
            "{octets} octets of PEM are more than the {OLD_ANCHOR_OCTETS} that older AWS SDKs take"
        );
        report.warn(CA_08, text);
    }
    if let Some(issuing) = expected.issuing
        && !certificates.contains(issuing)
    {
        report.error(
            CA_09,
            format!("hybrid nodes send no chain, so the CA that signs their leaves ({}) must be in the anchor", issuing.subject()),
        );
    }
    let mut seen = HashSet::new();
    for certificate in certificates {
        if !seen.insert(certificate.fingerprint()) {
            report.warn(CA_10, format!("{} is there twice", certificate.subject()));
        }
        check_one(certificate, now, &mut report);
    }
    report
}

fn check_one(certificate: &Certificate, now: Timestamp, report: &mut Report) {
    let name = certificate.subject().to_string();
    if certificate.version() != 3 {
        report.error(CA_01, format!("{name}: not an X.509 v3 certificate"));
    }
    match certificate.basic_constraints() {
        Some(constraints) if constraints.ca => {}
        Some(_) => report.error(
            CA_02,
            format!("{name}: basicConstraints say that it is no CA"),
        ),
        None => report.error(CA_02, format!("{name}: no basicConstraints with CA:true")),
    }
    match certificate.key_usage() {
        None => report.error(
            CA_03,
            format!("{name}: no keyUsage; it must be there with keyCertSign"),
        ),
        Some(usage) if !usage.contains(KeyUsage::CERT_SIGN) => {
            report.error(CA_03, format!("{name}: keyUsage lacks keyCertSign"));
        }
        Some(usage) if !usage.contains(KeyUsage::CRL_SIGN) => {
            report.warn(
                CA_04,
                format!("{name}: keyUsage lacks cRLSign, so its CRLs cannot be imported"),
            );
        }
        Some(_) => {}
    }
    if certificate.signature_algorithm().is_err() {
        report.error(
            CA_05,
            format!("{name}: not signed with SHA-256 or stronger by RSA, ECDSA, Ed25519 or ML-DSA"),
        );
    }
    let key = certificate.public_key();
    match key.key_type() {
        KeyType::Rsa if key.bits() < 2048 => {
            report.error(
                CA_06,
                format!("{name}: an RSA key of {} bits is too small", key.bits()),
            );
        }
        KeyType::Ec if key.curve() == Some(Curve::P224) => report.error(
            CA_06,
            format!("{name}: an EC key on P-224 is too small; take P-256, P-384 or P-521"),
        ),
        KeyType::Rsa | KeyType::Ec => {}
        KeyType::Ed25519 => report.error(
            CA_06,
            format!("{name}: IAM Roles Anywhere takes RSA, EC and ML-DSA keys, not Ed25519"),
        ),
        KeyType::MlDsa => report.warn(
            CA_06,
            format!("{name}: IAM Roles Anywhere takes ML-DSA certificates; that it takes a trust anchor with an ML-DSA CA could not be confirmed: try it before you rely on it"),
        ),
        KeyType::Other => {
            report.error(
                CA_06,
                format!("{name}: a key of a type that is not supported here"),
            );
        }
    }
    let (start, end) = (certificate.not_before(), certificate.not_after());
    if end < now {
        report.error(CA_07, format!("{name}: expired at {end}"));
    } else if start > now {
        report.error(CA_07, format!("{name}: not valid before {start}"));
    } else if end.duration_since(now) < YEAR {
        let days = end.duration_since(now).as_hours() / 24;
        report.warn(
            CA_07,
            format!("{name}: ends in {days} days; for a longer life raise the mount's max-lease-ttl and give ttl when the next one is made"),
        );
    }
    if let Some((key, reason)) = tags::refused(certificate.subject()) {
        report.warn(
            EE_09,
            format!("the name {name} cannot become the session tag {key}: {reason}; sessions fail unless the profile's attribute mappings leave it out"),
        );
    }
}

/// Reads a PEM bundle as people have it: text around the blocks, CRLF, repetitions and private
/// keys are tolerated, and reported under CA-10.
///
/// Nothing of a private key is kept or repeated.
pub fn read_bundle(text: &str) -> (Vec<Certificate>, Report) {
    let mut report = Report::default();
    let mut certificates: Vec<Certificate> = Vec::new();
    for (i, block) in pem::blocks(text.as_bytes()).into_iter().enumerate() {
        let number = i + 1;
        if block.label.ends_with("PRIVATE KEY") {
            report.warn(
                CA_10,
                format!("block {number} is a private key, which no anchor needs; it was left out"),
            );
            continue;
        }
        if !block.label.ends_with("CERTIFICATE") {
            report.warn(
                CA_10,
                format!("block {number} is no certificate and was left out"),
            );
            continue;
        }
        match Certificate::from_der(&block.contents) {
            Err(_) => report.error(CA_01, format!("block {number} is not an X.509 certificate")),
            Ok(one) if certificates.contains(&one) => {
                report.warn(
                    CA_10,
                    format!("{} is there twice and was kept once", one.subject()),
                );
            }
            Ok(one)
                if !one.is_ca() && one.extension(&crate::ext::id::SUBJECT_ALT_NAME).is_some() =>
            {
                report.warn(
                    CA_10,
                    format!("{} looks like a leaf and was left out", one.subject()),
                );
            }
            Ok(one) => certificates.push(one),
        }
    }
    (certificates, report)
}

impl Anchor {
    /// An anchor of these certificates.
    pub fn of(name: impl Into<String>, certificates: &[Certificate]) -> Self {
        Self::new(name, certificates.iter().map(Certificate::pem).collect())
    }
}

const YEAR: SignedDuration = SignedDuration::from_hours(365 * 24);

const CA_01: &str = "CA-01";
const CA_02: &str = "CA-02";
const CA_03: &str = "CA-03";
const CA_04: &str = "CA-04";
const CA_05: &str = "CA-05";
const CA_06: &str = "CA-06";
const CA_07: &str = "CA-07";
const CA_08: &str = "CA-08";
const CA_09: &str = "CA-09";
const CA_10: &str = "CA-10";
const EE_09: &str = "EE-09";
