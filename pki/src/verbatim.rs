//! `sign-verbatim`: what a certification request asks for, as it asks for it.
//!
//! No rule on names applies, and the request's extensions win over ours, so this is a privilege of
//! whoever runs the CA. Two things stay ours: whether the subject is a CA, and who the issuer is.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::ext::{Extension, GeneralNames, OtherName, id};
use crate::issue::{self, Access, Holder, Issuer, LeafRequest};
use crate::lint;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::{Certificate, Csr, SerialNumber, Template, Unsigned};

/// A request for `sign-verbatim`.
#[derive(Debug, Clone)]
pub struct VerbatimRequest<'a> {
    /// The certification request.
    pub csr: &'a Csr,
    /// The fields it has in common with others. Of its names only `other_sans` are used.
    pub fields: LeafRequest<'a>,
    /// The role named in the path: its times and its basic constraints apply.
    pub role: Option<&'a Profile>,
    /// Key usages where the CSR asks for none, by name.
    pub key_usage: Vec<String>,
    /// Purposes where the CSR asks for none, by name.
    pub ext_key_usage: Vec<String>,
    /// Further purposes, as object identifiers.
    pub ext_key_usage_oids: Vec<String>,
    /// Hash under an RSA issuer.
    pub signature_bits: u32,
    /// RSASSA-PSS under an RSA issuer.
    pub use_pss: bool,
    /// Basic constraints that say "no CA"; `None`: as the role has it, else no.
    pub basic_constraints_valid_for_non_ca: Option<bool>,
}

/// Decides on a certificate for `sign-verbatim` and builds the bytes to sign.
///
/// # Errors
/// The times are not allowed, the key is too weak, the CSR is not signed by its key, or the result
/// would not be a certificate.
pub fn prepare(
    request: &VerbatimRequest<'_>,
    issuer: &Issuer,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    let csr = request.csr;
    let profile = Profile::new(settings(request))?;
    let fields = LeafRequest {
        holder: Holder::Csr(csr),
        ..request.fields
    };
    issue::check_csr_key(&profile, csr.public_key())?;
    // The names of the CSR go in as they are; here they only have to make sense. A start is not
    // looked at, not even for its form.
    let asked = LeafRequest {
        not_before: None,
        ..fields
    };
    let end = Some(issuer.end());
    let decided = issue::decide(&profile, &profile.names(None, ""), end, &asked, now)?;
    let mut warnings = decided.warnings;
    let (algorithm, warning) = issue::algorithm(&profile, issuer, fields.holder)?;
    warnings.extend(warning);
    issue::csr_warnings(&profile, &fields, csr, &mut warnings);
    csr.verify()?;

    let mut extensions: Vec<_> = profile.head_for(csr.public_key()).collect();
    extensions.push(Extension::subject_key_id(&csr.public_key().ski()));
    let extensions = with_csr_values(extensions, None, &issuer.access, csr, decided.names.other);
    let template = Template {
        serial,
        subject: csr.subject().clone(),
        not_before: decided.validity.not_before,
        not_after: decided.validity.not_after,
        public_key: csr.public_key().clone(),
        extensions,
    };
    let prepared = template.prepare(issuer.certificate().subject(), algorithm)?;
    let (usage, grave) = lint::issued(prepared.unsigned(), issuer)
        .into_iter()
        .partition::<Vec<_>, _>(|finding| lint::is_about_usage(finding.rule));
    let doubts = lint::refuse(grave)?;
    warnings.extend(usage.iter().map(ToString::to_string));
    warnings.extend(doubts);
    Ok((prepared, warnings))
}

fn settings(request: &VerbatimRequest<'_>) -> Settings {
    let role = request.role.map(Profile::settings);
    Settings {
        signature_bits: request.signature_bits.into(),
        use_pss: request.use_pss,
        key_usage: request.key_usage.clone(),
        ext_key_usage: request.ext_key_usage.clone(),
        // Nothing is asked for by an empty element.
        ext_key_usage_oids: request
            .ext_key_usage_oids
            .iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect(),
        server_flag: false,
        client_flag: false,
        basic_constraints_valid_for_non_ca: request
            .basic_constraints_valid_for_non_ca
            .or_else(|| role.map(|role| role.basic_constraints_valid_for_non_ca))
            .unwrap_or_default(),
        ttl: role.map(|role| role.ttl).unwrap_or_default(),
        max_ttl: role.map(|role| role.max_ttl).unwrap_or_default(),
        not_before_duration: role
            .map(|role| role.not_before_duration)
            .unwrap_or_default(),
        ..Settings::open()
    }
}

/// Joins the extensions of a CSR to ours, in the order of the built-in engine: ours, as far as the
/// CSR does not ask for the same type, then the CSR's in its order.
///
/// `head` ends with the subject key identifier. With `others`, the alternative name is built anew
/// from the names of the CSR and these. Basic constraints and the authority key identifier are
/// never the CSR's to say.
pub(crate) fn with_csr_values(
    head: Vec<Extension>,
    constraints: Option<Extension>,
    access: &Access,
    csr: &Csr,
    others: Vec<OtherName>,
) -> Vec<Extension> {
    let ours = |extension: &Extension| {
        matches!(extension.oid, id::BASIC_CONSTRAINTS | id::AUTHORITY_KEY_ID)
    };
    let replaced =
        |extension: &Extension| !ours(extension) && csr.extension(&extension.oid).is_some();
    let must_be_critical = csr.subject().is_empty();
    let mut list = head;
    list.extend(access.authority_key_id.clone());
    list.extend(access.information.clone());
    list.extend(constraints);
    list.extend(access.crl_points.clone());
    list.retain(|extension| !replaced(extension));
    for extension in csr.extensions().iter().filter(|extension| !ours(extension)) {
        let is_names = extension.oid == id::SUBJECT_ALT_NAME;
        if is_names && !others.is_empty() {
            continue;
        }
        let critical = extension.critical || is_names && must_be_critical;
        list.push(Extension {
            critical,
            ..extension.clone()
        });
    }
    if !others.is_empty() {
        let from_csr = csr.subject_alt_names();
        let names = GeneralNames {
            other: others,
            rest: Vec::new(),
            ..from_csr.clone()
        };
        list.push(Extension::subject_alt_name(&names, must_be_critical));
    }
    let freshest = access.freshest_crl.clone();
    list.extend(freshest.filter(|extension| !replaced(extension)));
    list
}
