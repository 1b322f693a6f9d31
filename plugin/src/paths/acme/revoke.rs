//! `revoke-cert` (RFC 8555 section 7.6): by the account that has the certificate, or by the certificate's key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landfast_acme::problem::Kind;
use landfast_pki::{Certificate, Reason};
use landfast_sdk::logical::{Cx, Error, Response};
use serde::Deserialize;

use super::answer::Answer;
use super::session::{Session, Signed, Who, serve};
use crate::acme::{Refused, because, certificates as tracked, problem};
use crate::mount::Shared;
use crate::paths::revoke;
use crate::{certificates, revocations};

#[derive(Deserialize)]
struct Wish {
    certificate: Option<String>,
    reason: Option<i64>,
}

/// `POST revoke-cert`.
pub(crate) async fn revoke(mount: Shared, cx: Cx, signed: Signed) -> Result<Response, Error> {
    serve(&mount, &cx, signed, async |session| {
        put_on_record(&mount, &session).await
    })
    .await
}

async fn put_on_record(mount: &Shared, session: &Session) -> Result<Answer, Refused> {
    let wish: Wish = session.payload()?;
    let text = wish.certificate.ok_or_else(|| {
        because(
            Kind::Malformed,
            "bad request was lacking required field 'certificate'",
        )
    })?;
    let der = URL_SAFE_NO_PAD.decode(text).map_err(|cause| {
        because(
            Kind::Malformed,
            format_args!("failed to base64 decode certificate: {cause}"),
        )
    })?;
    let certificate = Certificate::from_der(&der).map_err(|cause| {
        because(
            Kind::Malformed,
            format_args!("failed to parse certificate: {cause}"),
        )
    })?;
    let reason = match wish.reason.unwrap_or_default() {
        0 => None,
        code => match u8::try_from(code).ok().and_then(Reason::from_code) {
            Some(reason) => Some(reason),
            None => {
                return Err(because(
                    Kind::BadRevocationReason,
                    format_args!("{code} is no reason that is taken (RFC 5280 section 5.3.1)"),
                ));
            }
        },
    };
    if certificate.not_after() < mount.now() {
        return Err(is_over());
    }
    let Some(stored) = certificates::der(mount, certificate.serial()).await? else {
        return Err(because(
            Kind::ServerInternal,
            "unable to revoke certificate: no global cert entry found",
        ));
    };
    if stored != der {
        return Err(because(
            Kind::Malformed,
            "unable to revoke certificate: supplied certificate does not match CA's stored value",
        ));
    }
    if revocations::load(mount, certificate.serial())
        .await?
        .is_some()
    {
        return Err(because(
            Kind::AlreadyRevoked,
            "unable to revoke certificate",
        ));
    }
    may(mount, session, &certificate).await?;
    match revoke::stored(mount, certificate, reason).await? {
        Some(shown) => Ok(Answer::json(200, &shown)),
        None => Err(is_over()),
    }
}

fn is_over() -> Refused {
    because(Kind::Malformed, "refusing to revoke expired certificate")
}

/// Refuses who has neither the certificate's key nor its account.
async fn may(mount: &Shared, session: &Session, certificate: &Certificate) -> Result<(), Refused> {
    match &session.who {
        Who::Key(key) if key.is(certificate.public_key()) => Ok(()),
        Who::Key(_) => Err(because(
            Kind::Unauthorized,
            "unable to revoke certificate: the key that signed is not that of the certificate",
        )),
        Who::Account(..) => {
            let account = session.account()?;
            match tracked::load(mount, &account.id, certificate.serial()).await? {
                Some(_) => Ok(()),
                None => Err(problem(
                    Kind::Unauthorized,
                    "unable to revoke certificate: no certificate with this serial was issued for this account",
                )),
            }
        }
    }
}
