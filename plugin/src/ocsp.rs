//! Answers to OCSP requests: which issuer signs, what it says, and for how long an answer is kept.
//!
//! Anybody may ask, and a key in AWS KMS makes each answer cost a call. So the answers of such keys are kept for a few minutes and given again
//! until anything changes that they could depend on, and only a part of the mount's signatures is for them: see [`kms::in_turn`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::{
    CertStatus, Certificate, OcspFailure, OcspRequest, OcspTemplate, SerialNumber, ocsp,
};
use landfast_sdk::logical::Error;
use tokio::time::timeout;

use crate::ca_key::CaKey;
use crate::entry::issuer::Usage;
use crate::entry::kms::SERVICE;
use crate::entry::revoked::RevokedEntry;
use crate::fault::unavailable;
use crate::issuers::{self, Issuers, LoadedIssuer};
use crate::kms;
use crate::metrics::Ocsp;
use crate::mount::Mount;
use crate::names::DEFAULT;
use crate::{certificates, crl, keys, revocations};

mod answers;

pub(crate) use answers::{Answers, Asker};

/// How long a client waits for a signature of AWS KMS; it gives up by itself soon after.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a client gets no answer.
pub(crate) enum Refusal {
    /// As the protocol has it.
    Failure(OcspFailure),
    /// What the log gets to read; the client learns that something broke, or that it may try later.
    Error(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<OcspFailure> for Refusal {
    fn from(failure: OcspFailure) -> Self {
        Self::Failure(failure)
    }
}

/// The signed answer to a request in DER, and what it says.
///
/// # Errors
/// The responder is off, the request cannot be read, no issuer may sign the answer, or its key cannot be used now.
pub(crate) async fn answer(mount: &Mount, request: &[u8]) -> Result<(Arc<[u8]>, Ocsp), Refusal> {
    let ticket = mount.ocsp.ticket();
    let config = crl::config(mount).await?;
    if config.ocsp_disable {
        return Err(OcspFailure::Unauthorized.into());
    }
    let request = OcspRequest::from_der(request).map_err(|_| OcspFailure::MalformedRequest)?;
    let now = mount.now();
    if let Some(kept) = mount.ocsp.find(&request, now) {
        return Ok((kept, Ocsp::Kept));
    }

    let (issuer, status) = decide(mount, &request).await?;
    let told = match status {
        CertStatus::Good => Ocsp::Good,
        CertStatus::Revoked(..) => Ocsp::Revoked,
        CertStatus::Unknown => Ocsp::Unknown,
    };
    let key = keys::signer(mount, &issuer.entry.key_id).await?;
    let validity = crl::length(&config.ocsp_expiry);
    let template = OcspTemplate {
        request: &request,
        responder: &issuer.certificate,
        status,
        this_update: now,
        next_update: (!validity.is_zero())
            .then(|| now.checked_add(validity).unwrap_or(Timestamp::MAX)),
    };
    let algorithm = crl::algorithm(&issuer, key.public_key())?;
    if let CaKey::Local(..) = key {
        let prepared = template.prepare(ocsp::without_pss(algorithm));
        let signed = key.sign_for_stranger(mount, prepared).await?;
        return Ok((signed.into(), told));
    }
    // The policy of a key in AWS KMS may allow the algorithm of its CRLs and no other.
    let prepared = template.prepare(algorithm);
    let asker = asker(mount, &request, status).await?;
    let until = now.checked_add(life(validity)).unwrap_or(now);
    let work = async {
        // Another client may have asked the same meanwhile.
        if let Some(kept) = mount.ocsp.find(&request, now) {
            return Ok((kept, Ocsp::Kept));
        }
        let signed: Arc<[u8]> = key.sign(mount, prepared).await?.into();
        mount.ocsp.keep(ticket, asker, request, until, &signed);
        Ok((signed, told))
    };
    match timeout(PATIENCE, kms::in_turn(mount, asker, work)).await {
        Ok(signed) => Ok(signed?),
        Err(_) => Err(Refusal::Error(unavailable(format!(
            "{SERVICE} did not sign an OCSP answer within {PATIENCE:?}"
        )))),
    }
}

/// Who signs the answer, and what it says.
async fn decide(
    mount: &Mount,
    request: &OcspRequest,
) -> Result<(Arc<LoadedIssuer>, CertStatus), Refusal> {
    let issuers = issuers::all(mount).await?;
    let revoked = match request.serial() {
        Some(serial) => revocation(mount, &issuers, &serial).await?,
        None => None,
    };
    let mut forbidden = false;
    for issuer in issuers.iter().filter(|issuer| has_key(issuer)) {
        // The question first: it is cheap to compare, and whose the entry is may take a signature to tell.
        let listed = || {
            let entry = revoked.as_ref();
            entry.is_none_or(|entry| is_of(&issuers, issuer, entry))
        };
        if !request.is_about(&issuer.certificate) || !listed() {
            continue;
        }
        // Another certificate of the same CA may be allowed to.
        if !issuer.entry.usage.allows(Usage::OCSP_SIGNING) {
            forbidden = true;
            continue;
        }
        let status = match &revoked {
            Some(entry) => CertStatus::Revoked(entry.time(), entry.reason()),
            None => CertStatus::Good,
        };
        return Ok((Arc::clone(issuer), status));
    }
    let default = issuers::find(mount, DEFAULT).await?;
    let usable = default.filter(|issuer| {
        !forbidden && has_key(issuer) && issuer.entry.usage.allows(Usage::OCSP_SIGNING)
    });
    let default = usable.ok_or(OcspFailure::Unauthorized)?;
    Ok((default, CertStatus::Unknown))
}

fn has_key(issuer: &LoadedIssuer) -> bool {
    !issuer.entry.key_id.is_empty()
}

async fn revocation(
    mount: &Mount,
    issuers: &Issuers,
    serial: &SerialNumber,
) -> Result<Option<RevokedEntry>, Error> {
    if let Some(entry) = revocations::load(mount, serial).await? {
        return Ok(Some(entry));
    }
    // A revoked issuer that was imported may have no other record than its own.
    let mut issuers = issuers.iter().filter(|issuer| issuer.entry.revoked);
    let own = issuers.find(|issuer| issuer.certificate.serial() == serial);
    Ok(own.map(|own| {
        let der = own.certificate.der().to_vec();
        RevokedEntry::new(der, own.entry.revoked_at(), String::new())
    }))
}

/// Whether `issuer` is the one whose certificate was revoked. Where the record names none, the signature tells; where it names one that is not here,
/// nobody is, as in the built-in engine, until a build of CRLs finds out whose certificate it is.
fn is_of(issuers: &Issuers, issuer: &LoadedIssuer, entry: &RevokedEntry) -> bool {
    if let Some(recorded) = issuers.by_id(&entry.issuer_id) {
        return recorded.certificate.subject() == issuer.certificate.subject()
            && recorded.certificate.public_key().spki_der()
                == issuer.certificate.public_key().spki_der();
    }
    if !entry.issuer_id.is_empty() {
        return false;
    }
    match Certificate::from_der(&entry.certificate_bytes) {
        Ok(certificate) => issuers::signed_by(&certificate, &issuer.certificate),
        // Better revoked once too often.
        Err(_) => true,
    }
}

/// Whether the client asks about a certificate that is on record here.
async fn asker(mount: &Mount, request: &OcspRequest, status: CertStatus) -> Result<Asker, Error> {
    let known = match (status, request.serial()) {
        (CertStatus::Revoked(..), _) => true,
        (CertStatus::Good, Some(serial)) => certificates::der(mount, &serial).await?.is_some(),
        _ => false,
    };
    Ok(if known { Asker::Known } else { Asker::Stranger })
}

/// How long an answer is given again.
fn life(validity: SignedDuration) -> SignedDuration {
    const LONGEST: SignedDuration = SignedDuration::from_mins(5);
    if validity.is_zero() {
        return LONGEST;
    }
    (validity / 4).min(LONGEST)
}
