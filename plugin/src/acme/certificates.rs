//! The certificate of an order, and which account it was made for: `acme/accounts/KID/certs/SERIAL`.

use landfast_acme::problem::{Kind, Problem};
use landfast_pki::acme::{AcmeRequest, check_names, prepare};
use landfast_pki::{Certificate, Csr, SerialNumber};
use landfast_sdk::logical::{Error, Write};

use crate::acme::accounts::{self, Account};
use crate::acme::directory::Directory;
use crate::acme::orders::Order;
use crate::acme::stored::{self, read};
use crate::acme::{Refused, problem};
use crate::entry::acme::{OrderStatus, TrackedEntry};
use crate::entry::other::Other;
use crate::entry::time::StoredTime;
use crate::metrics::IssuedBy;
use crate::signing::Authority;
use crate::{Mount, certificates, ends, entry};

/// Reads a certification request, and holds it against the order and the account that made it.
///
/// # Errors
/// It is not one, asks for other names, or is for the account's own key (RFC 8555 section 11.1).
pub(crate) fn read_request(der: &[u8], order: &Order, account: &Account) -> Result<Csr, Refused> {
    let csr = Csr::from_der(der).map_err(|cause| {
        problem(
            Kind::Malformed,
            format_args!("failed to parse csr: {cause}"),
        )
    })?;
    check_names(&csr, &order.dns(), &order.ips())
        .map_err(|misfit| problem(Kind::BadCsr, misfit))?;
    if account.key()?.is(csr.public_key()) {
        return Err(problem(
            Kind::BadCsr,
            "certificate public key must not match account key",
        ));
    }
    Ok(csr)
}

/// Makes the certificate of an order that is ready, and puts it and the order on record together. To be called with the order held
/// ([`Acme::writing`](crate::acme::state::Acme::writing)).
///
/// # Errors
/// The directory's rules refuse it. When the key cannot sign, or storage fails; the order is then as it was.
pub(crate) async fn make(
    mount: &Mount,
    directory: &Directory,
    order: &mut Order,
    csr: &Csr,
) -> Result<Certificate, Refused> {
    let authority = Authority::load(mount, directory.issuer.id()).await?;
    let lifetimes = match directory.role() {
        Some(role) => role.lifetimes(mount, std::time::Duration::ZERO).await?,
        None => mount.lifetimes(std::time::Duration::ZERO).await?,
    };
    let request = AcmeRequest {
        csr,
        dns: &order.dns(),
        ips: &order.ips(),
        mount: lifetimes,
    };
    let now = mount.now();
    let prepared = prepare(
        &directory.rules(now)?,
        &authority.signing.rules,
        &request,
        now,
        certificates::new_serial()?,
    )
    .map_err(|refusal| match mount.refuse(refusal) {
        Error::BadRequest(why) | Error::Failed(why) => {
            problem(Kind::BadCsr, format_args!("refusing to sign CSR: {why}"))
        }
        other => other.into(),
    })?;
    let certificate = authority.sign(mount, prepared).await?;
    let serial = certificate.serial().dash();
    order.entry.status = OrderStatus::Valid;
    order.entry.cert_serial_number.clone_from(&serial);
    order.entry.cert_expiry = StoredTime(certificate.not_after());
    directory.issuer.id().clone_into(&mut order.entry.issuer_id);
    let account = &order.entry.account_id;
    let tracked = TrackedEntry {
        order: order.id.clone(),
        replaced_by: String::new(),
        other: Other::default(),
    };
    mount
        .save(vec![
            certificates::write(&certificate),
            Write::put(tracked_key(account, &serial), entry::encode(&tracked)),
            order.write(),
        ])
        .await?;
    // The client fetches it next.
    mount
        .acme
        .recent
        .keep(&certificates::key(&serial), certificate.der());
    ends::note(mount, &certificate).await;
    mount.metrics.issued.count(IssuedBy::Acme);
    Ok(certificate)
}

/// Where it is stored that a certificate was made for an account.
pub(crate) fn tracked_key(account: &str, serial: &str) -> String {
    format!("{}/certs/{serial}", accounts::key(account))
}

/// What is on record of a certificate that was made for the account.
///
/// # Errors
/// When storage fails.
pub(crate) async fn load(
    mount: &Mount,
    account: &str,
    serial: &SerialNumber,
) -> Result<Option<TrackedEntry>, Error> {
    read(mount, &tracked_key(account, &serial.dash())).await
}

/// The certificate of an order and the chain above it, as PEM.
///
/// # Errors
/// There is none, or its parts are not on record any more. When storage fails.
pub(crate) async fn chain(mount: &Mount, order: &Order) -> Result<String, Refused> {
    let entry = &order.entry;
    let missing = |what: &str| {
        problem(
            Kind::ServerInternal,
            format_args!("{what} of the order is not on record any more"),
        )
    };
    if entry.issuer_id.is_empty() || entry.cert_serial_number.is_empty() {
        return Err(Problem::new(
            Kind::ServerInternal,
            "order is missing required fields to load certificate",
        )
        .into());
    }
    let der = stored::bytes(mount, &certificates::key(&entry.cert_serial_number)).await?;
    let der = der.ok_or_else(|| missing("the certificate"))?;
    let issuer = crate::issuers::find(mount, &entry.issuer_id).await?;
    let issuer = issuer.ok_or_else(|| missing("the issuer"))?;
    let mut text = landfast_pki::pem::encode("CERTIFICATE", &der);
    for pem in [&issuer.entry.certificate].into_iter().chain(
        issuer
            .entry
            .ca_chain
            .iter()
            .filter(|one| one.trim() != issuer.entry.certificate.trim()),
    ) {
        text.push_str(pem.trim_end());
        text.push('\n');
    }
    Ok(text)
}
