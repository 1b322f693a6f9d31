//! When a certificate is to be renewed (RFC 9773).
//!
//! Nothing is stored for it: the window follows from the certificate, its revocation, and whether its issuer still is the one that signs.

use landfast_acme::ari::{self, CertificateId, Reason};
use landfast_acme::problem::{Kind, Problem};
use landfast_pki::Certificate;
use landfast_sdk::logical::Write;

use crate::acme::directory::Directory;
use crate::acme::orders::{self, Order};
use crate::acme::{Refused, certificates as tracked, problem};
use crate::entry::acme::OrderStatus;
use crate::{Mount, certificates, entry, issuers, revocations};

/// When the certificate with the name `id` is to be renewed, and after how many seconds that is worth being asked again.
///
/// # Errors
/// The name is none, or no certificate of the mount has it. When storage fails.
pub(crate) async fn window(
    mount: &Mount,
    directory: &Directory,
    id: &str,
) -> Result<(ari::Window, u32), Refused> {
    let id: CertificateId = id.parse()?;
    let certificate = find(mount, &id).await?.ok_or_else(|| {
        let mut unknown = Problem::malformed("no certificate of this mount has this name");
        unknown.status = 404;
        unknown
    })?;
    let reason = if revocations::load(mount, certificate.serial())
        .await?
        .is_some()
    {
        Reason::Revoked
    } else if issuers::all(mount)
        .await?
        .parent_of(&certificate)
        .is_some_and(|issuer| {
            // Another certificate for the same key and name is the same CA for whoever checks the leaf.
            issuer.certificate.public_key().spki_der()
                != directory.issuer.certificate.public_key().spki_der()
        })
    {
        Reason::CaRotated
    } else {
        Reason::Normal
    };
    let (begin, end) = (certificate.not_before(), certificate.not_after());
    let window = ari::window(begin, end, &certificate.fingerprint(), mount.now(), reason);
    Ok((window, ari::retry_after(begin, end)))
}

async fn find(mount: &Mount, id: &CertificateId) -> Result<Option<Certificate>, Refused> {
    let found = certificates::load(mount, id.serial()).await?;
    Ok(found.filter(|certificate| certificate.aki() == Some(id.authority())))
}

/// Holds an order that is to replace a certificate against it (RFC 9773 section 5), and gives what is to be written so that the certificate is
/// marked. To be called with the certificate held ([`Acme::writing`](crate::acme::state::Acme::writing)).
///
/// # Errors
/// The certificate is unknown, was made for another account, has none of the order's names, or is replaced already.
pub(crate) async fn replace(mount: &Mount, order: &Order) -> Result<Write, Refused> {
    let account = &order.entry.account_id;
    let id: CertificateId = order.entry.replaces.parse()?;
    let unknown = || {
        problem(
            Kind::Malformed,
            "replaces names no certificate that was made for this account",
        )
    };
    let certificate = find(mount, &id).await?.ok_or_else(unknown)?;
    let mut record = tracked::load(mount, account, certificate.serial())
        .await?
        .ok_or_else(unknown)?;
    let has = certificate.subject_alt_names();
    let shared = has
        .dns
        .iter()
        .any(|name| order.dns().contains(&name.to_ascii_lowercase()))
        || has.ips.iter().any(|ip| order.ips().contains(ip));
    if !shared {
        return Err(problem(
            Kind::Malformed,
            "the certificate that replaces names has none of the order's identifiers",
        ));
    }
    if !record.replaced_by.is_empty() {
        match orders::load(mount, account, &record.replaced_by).await {
            Ok(other) if other.status(mount, mount.now()).await? != OrderStatus::Invalid => {
                return Err(problem(
                    Kind::AlreadyReplaced,
                    format_args!(
                        "order {} replaces this certificate: order without replaces",
                        other.id
                    ),
                ));
            }
            Ok(_) | Err(Refused::Problem(_)) => {}
            Err(other) => return Err(other),
        }
    }
    record.replaced_by.clone_from(&order.id);
    Ok(Write::put(
        tracked::tracked_key(account, &certificate.serial().dash()),
        entry::encode(&record),
    ))
}
