//! Certificate revocation lists: when they are built, and which one is in force.
//!
//! A complete CRL and a delta CRL belong to each pair of issuer key and subject. Rebuilds coalesce: whoever needs one takes a
//! ticket, and one build serves everybody whose ticket is older than it. A delta CRL lists what the last complete one does
//! not; the built-in engine's write-ahead list is kept for it, and not needed here.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use jiff::SignedDuration;
use landfast_pki::SerialNumber;
use landfast_pki::crl::Crl;
use landfast_sdk::logical::{Error, RawBody, parse_duration_nanos};

use crate::authority::Change;
use crate::entry;
use crate::entry::config::CrlConfig;
use crate::entry::crl::CrlBook;
use crate::entry::time::StoredTime;
use crate::fault::internal;
use crate::mount::Mount;
use crate::store::Entry;
use crate::{issuers, keys};

pub(crate) use bodies::{Form, body};
pub(crate) use signer::{algorithm, template};
pub(crate) use state::CrlState;
pub(crate) use wal::noted;

mod bodies;
mod build;
mod figures;
mod groups;
mod index;
mod revocations;
mod signer;
mod state;
#[cfg(test)]
mod tests;
mod wal;

use figures::Figures;
use groups::Places;
use state::Served;

/// DER of a CRL, as it lies in storage.
#[derive(Debug)]
pub(crate) struct CrlBytes(pub(crate) Bytes);

/// Which CRL of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Everything that is revoked.
    Complete,
    /// What was revoked since the last complete CRL.
    Delta,
}

impl Kind {
    /// Where the CRL with this id is stored.
    fn key(self, id: &str) -> String {
        match self {
            Self::Complete => CrlBook::complete_key(id),
            Self::Delta => CrlBook::delta_key(id),
        }
    }
}

/// How much a rebuild does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Complete and delta CRLs; nothing while CRLs are disabled.
    All,
    /// As `All`, but builds empty CRLs while they are disabled: after a change of issuers or of the switch itself.
    Forced,
    /// Delta CRLs only.
    Delta,
    /// As `All`, but only what is [`build::behind`].
    Behind,
}

impl Scope {
    /// Whether a build leaves no CRL behind that it could have built.
    fn is_complete(self) -> bool {
        matches!(self, Self::All | Self::Forced)
    }
}

impl Entry for CrlBytes {
    fn decode(_key: &str, bytes: &[u8]) -> Result<Self, String> {
        Ok(Self(bytes.to_vec().into()))
    }
}

/// The CRL settings.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<CrlConfig>, Error> {
    mount.load_or_default(CrlConfig::KEY).await
}

/// The present CRL of an issuer; `None` when none was built yet.
pub(crate) async fn current(
    mount: &Mount,
    issuer_id: &str,
    kind: Kind,
) -> Result<Option<Arc<CrlBytes>>, Error> {
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    let Some(id) = book.issuer_id_crl_map.get(issuer_id) else {
        return Ok(None);
    };
    mount.load(&kind.key(id)).await
}

/// Each issuer that has CRLs, with the id under which they are stored.
///
/// # Errors
/// When storage fails.
pub(crate) async fn ids(mount: &Mount) -> Result<Vec<(String, String)>, Error> {
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    let ids = book.issuer_id_crl_map.iter();
    Ok(ids.map(|(of, id)| (of.clone(), id.clone())).collect())
}

/// A CRL in numbers, by its id; `None` when it is not there. They are known from its building, else storage is read the first time only.
///
/// # Errors
/// When storage fails, or what it has is no CRL.
pub(crate) async fn figures(
    mount: &Mount,
    crl_id: &str,
    kind: Kind,
) -> Result<Option<Figures>, Error> {
    /// A CRL of more bytes than this takes milliseconds to read.
    const LARGE: usize = 256 << 10;
    let key = kind.key(crl_id);
    let ticket = match mount.crl.figures.find(&key) {
        Ok(known) => return Ok(Some(known)),
        Err(ticket) => ticket,
    };
    // Not by the cache: nobody may ever want the whole of it.
    let Some(bytes) = mount
        .storage()
        .get(&key)
        .await?
        .map(|der| CrlBytes(der.into()))
    else {
        return Ok(None);
    };
    let count = || read(&bytes).map(|crl| Figures::of(&crl, crl.entries().count(), None));
    let figures = mount.heavy.run_if(bytes.0.len() > LARGE, count).await?;
    mount.crl.figures.keep(ticket, key, figures);
    Ok(Some(figures))
}

/// When the CRLs of this kind were last built.
pub(crate) async fn last_modified(mount: &Mount, kind: Kind) -> Result<StoredTime, Error> {
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    Ok(match kind {
        Kind::Complete => book.last_modified,
        Kind::Delta => book.delta_last_modified,
    })
}

/// Gives up the DER of the present CRL of an issuer, for who has it in another form.
fn release(mount: &Mount, book: &CrlBook, issuer_id: &str, kind: Kind) {
    if let Some(id) = book.issuer_id_crl_map.get(issuer_id) {
        mount.release(&kind.key(id));
    }
}

/// The present CRL of the issuer that `reference` means.
///
/// # Errors
/// The issuer is unknown or has no CRL; both error values, as everywhere for issuers.
pub(crate) async fn of(mount: &Mount, reference: &str, kind: Kind) -> Result<Arc<CrlBytes>, Error> {
    let issuer = issuers::load(mount, reference).await?;
    let found = current(mount, issuer.id(), kind).await?;
    found.ok_or_else(|| missing(issuer.id(), reference))
}

/// As [`of`], as the body of an answer.
///
/// # Errors
/// As [`of`].
pub(crate) async fn body_of(
    mount: &Mount,
    reference: &str,
    kind: Kind,
    form: Form,
) -> Result<Arc<RawBody>, Error> {
    let issuer = issuers::load(mount, reference).await?;
    let found = body(mount, issuer.id(), kind, form).await?;
    found.ok_or_else(|| missing(issuer.id(), reference))
}

fn missing(id: &str, reference: &str) -> Error {
    Error::failed(format!(
        "unable to find CRL for issuer: id:{id}/ref:{reference}"
    ))
}

/// Whether one of the complete CRLs lists `serial`.
pub(crate) async fn lists(mount: &Mount, serial: &SerialNumber) -> Result<bool, Error> {
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    for id in book.crl_number_map.keys() {
        if let Some(bytes) = mount.load::<CrlBytes>(&CrlBook::complete_key(id)).await?
            && read(&bytes)?.find(serial).is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// After another issuer became the default: `crl` and `crl/delta` are other CRLs now, so that nobody's copy of them is young enough. Returns warnings.
///
/// # Errors
/// When storage fails.
pub(crate) async fn default_moved(mount: &Mount) -> Result<Vec<String>, Error> {
    let served = mount.crl.served.lock().await;
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    if book.issuer_id_crl_map.is_empty() {
        return Ok(Vec::new());
    }
    let now = StoredTime(mount.now());
    let dated = CrlBook {
        last_modified: now,
        delta_last_modified: now,
        ..CrlBook::clone(&book)
    };
    mount.put(CrlBook::KEY, entry::encode(&dated)).await?;
    drop(served);
    // The interval of delta CRLs counts from this date: they must not be late for it.
    if !config(mount).await?.enable_delta {
        return Ok(Vec::new());
    }
    let built = rebuild(mount, Scope::Delta).await;
    Ok(built.unwrap_or_else(not_built))
}

/// Rebuilds CRLs, and answers when a build that began after this call has ended. Returns warnings.
///
/// # Errors
/// When storage or a key fails. CRLs then are as they were, or some of them new. AWS KMS fails only those that it signs.
pub(crate) async fn rebuild(mount: &Mount, scope: Scope) -> Result<Vec<String>, Error> {
    let ticket = mount.crl.wanted.fetch_add(1, Ordering::AcqRel) + 1;
    let mut served = mount.crl.served.lock().await;
    if served.ticket >= ticket {
        return match &served.failure {
            Some((code, message)) => Err(Error::Status {
                code: *code,
                message: message.clone(),
            }),
            None => Ok(Vec::new()),
        };
    }
    let upto = mount.crl.wanted.load(Ordering::Acquire);
    let config = config(mount).await?;
    if config.disable && scope != Scope::Forced {
        return Ok(Vec::new());
    }
    // Apart, so that the many who change something do not carry the room for it.
    let built = Box::pin(build::build(mount, &config, scope)).await?;
    let failure = match &built.failure {
        Some(Error::Status { code, message }) => Some((*code, message.clone())),
        _ => None,
    };
    // A build of some CRLs does not serve those who wait for all.
    if scope.is_complete() && (built.failure.is_none() || failure.is_some()) {
        *served = Served {
            ticket: upto,
            failure,
        };
    }
    match built.failure {
        Some(failure) => Err(failure),
        None => Ok(built.warnings),
    }
}

/// Takes issuers away, and builds the CRLs of those that stay anew. Returns warnings.
///
/// # Errors
/// When storage or a key fails. The issuers may be gone then all the same; the periodic call builds what is missing.
pub(crate) async fn remove_issuers(
    mount: &Mount,
    change: Change<'_>,
    ids: &[String],
) -> Result<Vec<String>, Error> {
    change.commit(ids, &[]).await?;
    mount.crl.forget();
    rebuild(mount, Scope::Forced).await
}

/// After the revocation of a certificate: at once, or left to the periodic call, as configured. Returns warnings.
pub(crate) async fn after_revocation(mount: &Mount) -> Result<Vec<String>, Error> {
    if config(mount).await?.auto_rebuild {
        return Ok(Vec::new());
    }
    rebuild(mount, Scope::All).await
}

/// The minute's work: rebuilds what is about to run out or was left behind by a crash, and delta CRLs at their interval.
pub(crate) async fn periodic(mount: &Mount) -> Result<(), Error> {
    let config = config(mount).await?;
    if config.disable {
        return Ok(());
    }
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    if is_due(mount, &config, &book).await? {
        rebuild(mount, Scope::Behind).await?;
    } else if config.enable_delta
        && mount.now().duration_since(book.delta_last_modified.0)
            >= length(&config.delta_rebuild_interval)
    {
        rebuild(mount, Scope::Delta).await?;
    }
    Ok(())
}

/// Whether a complete CRL that can be built [is behind](build::behind).
async fn is_due(mount: &Mount, config: &CrlConfig, book: &CrlBook) -> Result<bool, Error> {
    let keys = keys::all(mount).await?;
    let issuers = issuers::all(mount).await?;
    let mut groups = groups::grouped(&issuers, book)?;
    groups.retain(|group| group.signer(&keys).is_ok());
    let look = !config.auto_rebuild && !mount.crl.index.is_covered();
    if !look {
        let lead = build::lead(config);
        let mut groups = groups.iter();
        return Ok(groups.any(|group| build::runs_out(mount, book, group, lead)));
    }
    let (revoked, generation) = index::all(mount, &mount.crl.index).await?;
    let default = issuers::config(mount).await?.default.clone();
    let many = revoked.len() >= groups::MANY;
    let place = || Places::new(&groups, &issuers, &default, &revoked);
    let places = mount.heavy.run_if(many, place).await;
    let behind = build::behind(mount, config, book, &groups, &places).await?;
    if behind.contains(&true) {
        return Ok(true);
    }
    mount.crl.index.covered(generation);
    Ok(false)
}

/// The warning for a request whose own work is done although the CRLs could not be rebuilt; the periodic call tries again.
pub(crate) fn not_built(error: Error) -> Vec<String> {
    tracing::warn!(%error, "CRLs could not be rebuilt");
    vec!["the CRLs could not be rebuilt after this change; they are rebuilt within minutes, or by crl/rotate".to_owned()]
}

/// PEM label of a CRL (RFC 7468 section 6).
pub(crate) const LABEL: &str = "X509 CRL";
/// Content type of a CRL as DER.
pub(crate) const DER_TYPE: &str = "application/pkix-crl";
/// Content type of a CRL as PEM.
pub(crate) const PEM_TYPE: &str = "application/x-pem-file";

fn read(bytes: &CrlBytes) -> Result<Crl, Error> {
    Crl::from_der(&bytes.0).map_err(|cause| internal("a stored CRL could not be read", cause))
}

fn serials(bytes: &CrlBytes) -> Result<HashSet<Vec<u8>>, Error> {
    Ok(read(bytes)?
        .entries()
        .map(|entry| entry.serial.as_bytes().to_vec())
        .collect())
}

/// A stored duration; they were checked when they were written.
pub(crate) fn length(text: &str) -> SignedDuration {
    SignedDuration::from_nanos(parse_duration_nanos(text).unwrap_or_default())
}
