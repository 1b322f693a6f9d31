//! What a mount says of a certificate that a client shows: whether it issued it, and whether it still stands.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use landfast_pki::{Certificate, Crl};
use serde::Deserialize;

use super::answers;
use super::label::Label;
use super::refusal::Refusal;
use crate::site::Authority;
use crate::slot::Missing;
use crate::upstream::{Answer, Call};

/// Issuers that are looked at where the one of the label did not sign: former ones of a mount that rotates.
const ISSUERS: usize = 16;

/// Where a certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// From the mount, and it is not revoked.
    Ours,
    /// From elsewhere. Whether it stands is for the server's `cert` method to know, which has CRLs and OCSP for that.
    Foreign,
}

#[derive(Deserialize)]
struct Stored {
    certificate: String,
    #[serde(default)]
    revocation_time: i64,
}

/// Asks the mount about a certificate: first for it by its serial number, which knows a revocation at once; where it was not stored, by the signature
/// and the CRL of the issuer.
///
/// # Errors
/// It is revoked, it is an authority's, it ended, or the server cannot be asked.
pub(crate) async fn check(
    label: &Label,
    certificate: &Certificate,
    now: Timestamp,
) -> Result<Standing, Refusal> {
    if certificate.not_after() < now || certificate.not_before() > now {
        return Err(Refusal::forbidden(
            "the certificate is not valid now; enrol anew by simpleenroll",
        ));
    }
    if certificate.is_ca() {
        return Err(Refusal::forbidden(
            "the certificate is that of an authority, and no client's",
        ));
    }
    let path = format!("{}/cert/{}", label.mount.path, certificate.serial().dash());
    let answer = get(label, &path).await?;
    match answer.status {
        StatusCode::OK => {
            let stored: Stored = answers::data(answer)?;
            let same = Certificate::from_pem(stored.certificate.as_bytes());
            if same.is_ok_and(|same| same.der() == certificate.der()) {
                return match stored.revocation_time {
                    0 => Ok(Standing::Ours),
                    _ => Err(revoked()),
                };
            }
        }
        StatusCode::NOT_FOUND => {}
        _ => return Err(odd(&path, &answer)),
    }
    let Some(signer) = signer(label, certificate).await? else {
        return Ok(Standing::Foreign);
    };
    for delta in [false, true] {
        // As it is at this moment: a list that is kept may not have the revocation yet.
        let list = match label.site.newest_list(&signer, delta).await {
            Err(Missing::Absent) if delta => break,
            list => list?,
        };
        let authority = signer.certificate();
        let crl =
            Crl::from_der(list.der().body()).and_then(|crl| crl.verify(authority).map(|()| crl));
        let crl = crl.map_err(|error| Refusal::upstream(format!("a CRL: {error}")))?;
        if crl.find(certificate.serial()).is_some() {
            return Err(revoked());
        }
    }
    Ok(Standing::Ours)
}

/// The issuer of the mount that signed a certificate: that of the label, or another one.
async fn signer(
    label: &Label,
    certificate: &Certificate,
) -> Result<Option<Arc<Authority>>, Refusal> {
    let signed = async |reference: Option<&str>| match label.site.certificates(reference).await {
        Ok(found) => {
            let signed = certificate.verify_issued_by(found.value.certificate());
            Ok(signed.is_ok().then_some(found.value))
        }
        Err(Missing::Absent) => Ok(None),
        Err(missing) => Err(Refusal::from(missing)),
    };
    if let Some(authority) = signed(label.issuer.as_deref()).await? {
        return Ok(Some(authority));
    }
    let ids = match label.site.ids().await {
        Err(Missing::Absent) => return Ok(None),
        ids => ids?,
    };
    for id in ids.iter().take(ISSUERS) {
        if let Some(authority) = signed(Some(id)).await? {
            return Ok(Some(authority));
        }
    }
    Ok(None)
}

async fn get(label: &Label, path: &str) -> Result<Answer, Refusal> {
    let mut call = Call::get(path);
    call.namespace = label.mount.namespace.as_deref();
    // A standby may not know of a revocation yet.
    call.active = true;
    Ok(label.mount.upstream.call(call).await?)
}

fn odd(path: &str, answer: &Answer) -> Refusal {
    let text = answer.error().unwrap_or_default();
    Refusal::upstream(format!("{path}: {} {text}", answer.status.as_u16()))
}

fn revoked() -> Refusal {
    Refusal::forbidden("the certificate is revoked")
}
