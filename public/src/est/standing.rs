//! What a mount says of a certificate that a client shows: whether it issued it, and whether it still stands.

use http::StatusCode;
use jiff::Timestamp;
use landfast_pki::{Certificate, Crl};
use serde::Deserialize;

use super::answers;
use super::label::Label;
use super::refusal::Refusal;
use crate::upstream::{Answer, Call};

/// Octets of a CRL that is read for one certificate.
const CRL_MOST: usize = 64 * 1024 * 1024;

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

#[derive(Deserialize)]
struct Issuer {
    certificate: String,
    #[serde(default)]
    ca_chain: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

/// The chain of the issuer that a label's clients are told of, itself first (RFC 7030 section 4.1.3).
///
/// # Errors
/// The server cannot be asked, or has no such issuer.
pub(crate) async fn chain(label: &Label) -> Result<Vec<Certificate>, Refusal> {
    let issuer = issuer(label, label.shown_issuer()).await?;
    let missing = || Refusal::upstream("the mount has no issuer of this name");
    let issuer = issuer.ok_or_else(missing)?;
    let mut chain: Vec<Certificate> = Vec::new();
    let pem = std::iter::once(&issuer.certificate).chain(issuer.ca_chain.iter().flatten());
    for pem in pem {
        let one = Certificate::from_pem(pem.as_bytes());
        let one =
            one.map_err(|error| Refusal::upstream(format!("an issuer's certificate: {error}")))?;
        if chain.iter().all(|other| other.der() != one.der()) {
            chain.push(one);
        }
    }
    Ok(chain)
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
    let answer = get(label, &path, None).await?;
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
    let Some((name, authority)) = signer(label, certificate).await? else {
        return Ok(Standing::Foreign);
    };
    for kind in ["crl", "crl/delta"] {
        let path = format!("{}/issuer/{name}/{kind}/der", label.mount.path);
        let answer = get(label, &path, Some(CRL_MOST)).await?;
        let there = answer.status == StatusCode::OK && !answer.body.is_empty();
        if kind == "crl/delta" && !there {
            break;
        }
        let crl = Crl::from_der(&answer.body).and_then(|crl| crl.verify(&authority).map(|()| crl));
        let crl = crl.map_err(|error| Refusal::upstream(format!("{path}: {error}")))?;
        if crl.find(certificate.serial()).is_some() {
            return Err(revoked());
        }
        if crl.next_update().is_some_and(|end| end < now) {
            return Err(Refusal::upstream(format!("{path}: the CRL is out of date")));
        }
    }
    Ok(Standing::Ours)
}

/// The issuer of the mount that signed a certificate: that of the label, or another one.
async fn signer(
    label: &Label,
    certificate: &Certificate,
) -> Result<Option<(String, Certificate)>, Refusal> {
    let signed = async |name: &str| {
        let Some(found) = issuer(label, name).await? else {
            return Ok::<_, Refusal>(None);
        };
        let authority = Certificate::from_pem(found.certificate.as_bytes()).ok();
        Ok(authority.filter(|authority| certificate.verify_issued_by(authority).is_ok()))
    };
    if let Some(authority) = signed(label.shown_issuer()).await? {
        return Ok(Some((label.shown_issuer().to_owned(), authority)));
    }
    let path = format!("{}/issuers?list=true", label.mount.path);
    let answer = get(label, &path, None).await?;
    if answer.status != StatusCode::OK {
        return Ok(None);
    }
    let all: Keys = answers::data(answer)?;
    for name in all.keys.iter().take(ISSUERS) {
        if let Some(authority) = signed(name).await? {
            return Ok(Some((name.clone(), authority)));
        }
    }
    Ok(None)
}

async fn issuer(label: &Label, name: &str) -> Result<Option<Issuer>, Refusal> {
    let path = format!("{}/issuer/{name}/json", label.mount.path);
    let answer = get(label, &path, None).await?;
    match answer.status {
        StatusCode::OK => answers::data(answer).map(Some),
        StatusCode::NOT_FOUND => Ok(None),
        _ => Err(odd(&path, &answer)),
    }
}

async fn get(label: &Label, path: &str, most: Option<usize>) -> Result<Answer, Refusal> {
    let mut call = Call::get(path);
    call.namespace = label.mount.namespace.as_deref();
    call.most = most.unwrap_or(call.most);
    Ok(label.mount.upstream.call(call).await?)
}

fn odd(path: &str, answer: &Answer) -> Refusal {
    let text = answer.error().unwrap_or_default();
    Refusal::upstream(format!("{path}: {} {text}", answer.status.as_u16()))
}

fn revoked() -> Refusal {
    Refusal::forbidden("the certificate is revoked")
}
