//! Leaf certificates whose every part a program decided on (OpenBao pki: `cel/issue`, `cel/sign`).
//!
//! No role limits them, so what limits every certificate does: a leaf is no CA, the issuer and what it says of itself are ours to write, the
//! issuer's name constraints and its rule on leaves that outlive it hold, and so does [`crate::lint`].

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::ext::{Extension, GeneralNames, KeyUsage, Policy, id};
use crate::issue::{self, Holder, Issuer};
use crate::lint;
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::validity::LeafNotAfter;
use crate::{
    Certificate, KeyType, Oid, SerialNumber, SignatureAlgorithm, Subject, Template, Unsigned,
};

/// The parts of a leaf certificate that a program says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blueprint {
    /// Whose certificate it is.
    pub subject: Subject,
    /// The first second.
    pub not_before: Timestamp,
    /// The last second.
    pub not_after: Timestamp,
    /// Left out where it is empty.
    pub key_usage: KeyUsage,
    /// Extended key usages, in this order; left out where there are none.
    pub purposes: Vec<Oid>,
    /// Whether there are basic constraints, which say that it is no CA.
    pub basic_constraints: bool,
    /// Alternative names; left out where there are none.
    pub names: GeneralNames,
    /// Certificate policies; left out where there are none.
    pub policies: Vec<Oid>,
    /// Further extensions. One of a kind that is among the parts above takes its place.
    pub extra: Vec<Extension>,
    /// The subject key identifier where it is not made from the key; only with a CSR.
    pub key_id: Option<Vec<u8>>,
    /// Size of the hash under an RSA issuer: 256, 384 or 512; 0 for the usual one. Other issuers sign in their own way.
    pub signature_bits: u32,
    /// RSASSA-PSS under an RSA issuer.
    pub use_pss: bool,
}

/// Builds the bytes to sign, and tells what the caller should know.
///
/// # Errors
/// The key or the CSR is not fit for a certificate; the result would be a CA, outlive its issuer, lie outside the names that the issuer may
/// certify, or be no certificate by RFC 5280 or its readers.
pub fn prepare(
    blueprint: &Blueprint,
    holder: Holder<'_>,
    issuer: &Issuer,
    now: Timestamp,
    serial: SerialNumber,
) -> Result<(Unsigned<Certificate>, Vec<String>), Refusal> {
    let mut warnings = Vec::new();
    if let Holder::Csr(csr) = holder {
        let any_key = Settings {
            key_type: "any".to_owned(),
            ..Settings::open()
        };
        issue::check_csr_key(&Profile::new(any_key)?, csr.public_key())?;
    }
    issue::within_limits(&blueprint.names)?;
    refuse_ours(&blueprint.extra)?;
    let not_after = end(blueprint, issuer, now, &mut warnings)?;
    let chosen = algorithm(blueprint, holder, issuer)?;
    warnings.extend(chosen.1);
    if let Holder::Csr(csr) = holder {
        // Last, because it costs more than all the rest.
        csr.verify()?;
    }
    let template = Template {
        serial,
        subject: blueprint.subject.to_name(),
        not_before: blueprint.not_before,
        not_after,
        public_key: holder.public_key().clone(),
        extensions: extensions(blueprint, holder, issuer),
    };
    let prepared = template.prepare(issuer.certificate().subject(), chosen.0)?;
    if prepared.unsigned().is_ca() {
        return Err(Refusal::ProgramCa);
    }
    warnings.extend(lint::refuse(lint::issued(prepared.unsigned(), issuer))?);
    Ok((prepared, warnings))
}

/// Whether a program wants to say what is not its own to say.
fn refuse_ours(extra: &[Extension]) -> Result<(), Refusal> {
    for extension in extra {
        match extension.oid {
            id::BASIC_CONSTRAINTS | id::NAME_CONSTRAINTS => return Err(Refusal::ProgramCa),
            id::AUTHORITY_KEY_ID => {
                return Err(Refusal::ProgramExtension("authority key identifier"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The end, by the issuer's rule on leaves that would outlive it.
fn end(
    blueprint: &Blueprint,
    issuer: &Issuer,
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Timestamp, Refusal> {
    let (end, issuer_end) = (blueprint.not_after, issuer.certificate().not_after());
    if end <= now {
        return Err(crate::validity::past(end));
    }
    if end <= issuer_end {
        return Ok(end);
    }
    match issuer.leaf_not_after() {
        LeafNotAfter::Permit => Ok(end),
        LeafNotAfter::Truncate => {
            warnings.push(format!(
                "the certificate ends with its issuer at {}, before the end that the program says",
                crate::validity::rfc3339(issuer_end)
            ));
            Ok(issuer_end)
        }
        _ => Err(Refusal::BeyondIssuer {
            not_after: crate::validity::rfc3339(end),
            issuer_end: crate::validity::rfc3339(issuer_end),
        }),
    }
}

fn algorithm(
    blueprint: &Blueprint,
    holder: Holder<'_>,
    issuer: &Issuer,
) -> Result<(SignatureAlgorithm, Option<String>), Refusal> {
    let key = issuer.certificate().public_key();
    let bits = match (key.key_type(), holder) {
        (KeyType::Rsa, _) => blueprint.signature_bits,
        // Where the key is made here, others take no notice of it, whatever it is.
        (KeyType::Ec, Holder::Csr(_)) => blueprint.signature_bits,
        _ => 0,
    };
    let chosen = SignatureAlgorithm::choose(key, bits, blueprint.use_pss)?;
    Ok((chosen.algorithm, chosen.warning))
}

/// In the order of the built-in engine.
fn extensions(blueprint: &Blueprint, holder: Holder<'_>, issuer: &Issuer) -> Vec<Extension> {
    let mut list = Vec::with_capacity(10);
    if !blueprint.key_usage.is_empty() {
        list.push(Extension::key_usage(blueprint.key_usage));
    }
    if !blueprint.purposes.is_empty() {
        list.push(Extension::ext_key_usage(&blueprint.purposes));
    }
    if blueprint.basic_constraints {
        list.push(Extension::basic_constraints(false, None));
    }
    list.push(match (&blueprint.key_id, holder) {
        (Some(key_id), Holder::Csr(_)) => Extension::subject_key_id(key_id),
        _ => Extension::subject_key_id(&holder.public_key().ski()),
    });
    list.extend(issuer.access.authority_key_id.clone());
    list.extend(issuer.access.information.clone());
    if !blueprint.names.is_empty() {
        let critical = blueprint.subject.to_name().is_empty();
        list.push(Extension::subject_alt_name(&blueprint.names, critical));
    }
    if !blueprint.policies.is_empty() {
        let policies = blueprint.policies.iter().map(|oid| Policy {
            oid: *oid,
            cps: None,
            notice: None,
        });
        list.push(Extension::certificate_policies(
            &policies.collect::<Vec<_>>(),
        ));
    }
    list.extend(issuer.access.crl_points.clone());
    list.retain(|ours| blueprint.extra.iter().all(|extra| extra.oid != ours.oid));
    list.extend(blueprint.extra.iter().cloned());
    let freshest = issuer.access.freshest_crl.clone();
    list.extend(freshest.filter(|ours| blueprint.extra.iter().all(|extra| extra.oid != ours.oid)));
    issue::say_no_ca(&mut list);
    list
}
