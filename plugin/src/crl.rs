//! Building certificate revocation lists.
//!
//! A complete CRL and a delta CRL belong to each pair of issuer key and subject. Rebuilds coalesce: whoever needs one takes a
//! ticket, and one build serves everybody whose ticket is older than it. A delta CRL lists what the last complete one does
//! not, so no write-ahead list is needed; the built-in engine's `delta-wal/` is neither read nor written.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use landfast_pki::crl::{Crl, CrlTemplate, RevokedEntries};
use landfast_pki::{Certificate, PrivateKey, SerialNumber, SignatureAlgorithm};
use landfast_sdk::logical::{Error, Write, parse_duration_nanos};

use crate::aia;
use crate::authority::new_id;
use crate::entry;
use crate::entry::config::CrlConfig;
use crate::entry::crl::CrlBook;
use crate::entry::issuer::Usage;
use crate::entry::revoked::{self, RevokedEntry};
use crate::entry::time::StoredTime;
use crate::issuers::{self, Issuers, LoadedIssuer};
use crate::keys;
use crate::mount::{Entry, Mount, Shared, internal};
use crate::pki;

/// What a mount remembers about its CRLs between requests.
#[derive(Debug, Default)]
pub(crate) struct CrlState {
    wanted: AtomicU64,
    /// The highest ticket that a finished build has served.
    served: tokio::sync::Mutex<u64>,
    index: Mutex<Index>,
}

/// DER of a CRL, as it lies in storage.
#[derive(Debug)]
pub(crate) struct CrlBytes(pub(crate) Vec<u8>);

/// Which CRL of an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything that is revoked.
    Complete,
    /// What was revoked since the last complete CRL.
    Delta,
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
}

impl CrlState {
    /// Notes a revocation, so that the next build need not read all of them again.
    pub(crate) fn note(&self, serial: &SerialNumber, entry: &RevokedEntry) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.generation += 1;
        if let Some(revoked) = &mut index.revoked {
            Arc::make_mut(revoked).insert(serial.as_bytes().to_vec(), Revoked::new(entry.clone()));
        }
    }

    /// Forgets what was read, after a change that did not go through [`Self::note`].
    pub(crate) fn forget(&self) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.generation += 1;
        index.revoked = None;
    }

    /// Drops what depends on the storage entry `key`.
    pub(crate) fn invalidate(&self, key: &str) {
        if key.starts_with(revoked::PREFIX) {
            self.forget();
        }
    }
}

impl Entry for CrlBytes {
    fn decode(_key: &str, bytes: &[u8]) -> Result<Self, String> {
        Ok(Self(bytes.to_vec()))
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
    mount
        .load(&match kind {
            Kind::Complete => CrlBook::complete_key(id),
            Kind::Delta => CrlBook::delta_key(id),
        })
        .await
}

/// The present CRL of the issuer that `reference` means.
///
/// # Errors
/// The issuer is unknown or has no CRL; both error values, as everywhere for issuers.
pub(crate) async fn of(mount: &Mount, reference: &str, kind: Kind) -> Result<Arc<CrlBytes>, Error> {
    let issuer = issuers::load(mount, reference).await?;
    current(mount, issuer.id(), kind).await?.ok_or_else(|| {
        Error::failed(format!(
            "unable to find CRL for issuer: id:{}/ref:{reference}",
            issuer.id()
        ))
    })
}

/// Rebuilds CRLs, and answers when a build that began after this call has ended. Returns warnings.
///
/// # Errors
/// When storage or a key fails. CRLs then are as they were, or some of them new.
pub(crate) async fn rebuild(mount: &Shared, scope: Scope) -> Result<Vec<String>, Error> {
    let ticket = mount.crl.wanted.fetch_add(1, Ordering::AcqRel) + 1;
    let mount = Arc::clone(mount);
    // On a task of its own: the host cancels a request by dropping it, and others may wait for this build.
    let task = tokio::spawn(async move {
        let mut served = mount.crl.served.lock().await;
        // A delta build never serves those who wait for a complete one, so only a complete one moves the mark.
        if *served >= ticket {
            return Ok(Vec::new());
        }
        let upto = mount.crl.wanted.load(Ordering::Acquire);
        let config = config(&mount).await?;
        if config.disable && scope != Scope::Forced {
            return Ok(Vec::new());
        }
        let warnings = build(&mount, &config, scope).await?;
        if scope != Scope::Delta {
            *served = upto;
        }
        Ok(warnings)
    });
    task.await
        .map_err(|stopped| internal("the CRL build did not finish", stopped))?
}

/// After a revocation: at once, or left to the periodic call, as configured.
pub(crate) async fn after_revocation(mount: &Shared) -> Result<(), Error> {
    let config = config(mount).await?;
    if !config.auto_rebuild {
        rebuild(mount, Scope::All).await?;
    }
    Ok(())
}

/// The minute's work: rebuilds what is about to run out, and delta CRLs at their interval.
pub(crate) async fn periodic(mount: &Shared) -> Result<(), Error> {
    let config = config(mount).await?;
    if config.disable {
        return Ok(());
    }
    let now = mount.now();
    let book: Arc<CrlBook> = mount.load_or_default(CrlBook::KEY).await?;
    let grace = seconds(&config.auto_rebuild_grace_period);
    let issuers = issuers::all(mount).await?;
    let keyed = issuers.iter().filter(|issuer| {
        !issuer.entry.key_id.is_empty() && issuer.entry.usage.allows(Usage::CRL_SIGNING)
    });
    let mut due = false;
    for issuer in keyed {
        let end = book
            .issuer_id_crl_map
            .get(issuer.id())
            .and_then(|id| book.crl_expiration_map.get(id));
        due |= end.is_none_or(|end| end.0 - grace <= now);
    }
    if due || uncovered(mount, &book).await? && !config.auto_rebuild {
        rebuild(mount, Scope::All).await?;
    } else if config.enable_delta
        && book.delta_last_modified.0 + seconds(&config.delta_rebuild_interval) <= now
    {
        rebuild(mount, Scope::Delta).await?;
    }
    Ok(())
}

/// Whether some revocation is on no complete CRL: a crash came between the record and the CRL.
async fn uncovered(mount: &Mount, book: &CrlBook) -> Result<bool, Error> {
    let revoked = revocations(mount).await?;
    let issuers = issuers::all(mount).await?;
    let mut listed = HashSet::new();
    for id in book.crl_number_map.keys() {
        if let Some(bytes) = mount.load::<CrlBytes>(&CrlBook::complete_key(id)).await? {
            listed.extend(serials(&bytes)?);
        }
    }
    // A self-signed issuer is on record when it is revoked, and on no list.
    let unlisted = issuers
        .iter()
        .filter(|issuer| issuers.parent_of(&issuer.certificate).is_none());
    let own: HashSet<Vec<u8>> = unlisted
        .map(|issuer| issuer.certificate.serial().as_bytes().to_vec())
        .collect();
    Ok(revoked
        .keys()
        .any(|serial| !listed.contains(serial) && !own.contains(serial)))
}

/// Whether the complete CRLs list `serial`.
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

/// A revocation as far as CRLs need it.
#[derive(Clone, Debug)]
struct Revoked {
    time: Timestamp,
    issuer_id: String,
    /// Kept only while the issuer is not known.
    certificate: Option<Vec<u8>>,
}

/// All revocations by serial number, once read.
#[derive(Debug, Default)]
struct Index {
    /// Moves with each change, so that a list read meanwhile is not kept.
    generation: u64,
    revoked: Option<Arc<BTreeMap<Vec<u8>, Revoked>>>,
}

impl Revoked {
    fn new(entry: RevokedEntry) -> Self {
        Self {
            time: entry.time(),
            certificate: entry
                .issuer_id
                .is_empty()
                .then_some(entry.certificate_bytes),
            issuer_id: entry.issuer_id,
        }
    }
}

/// Issuers that share key and subject, and so a CRL.
struct Group {
    crl_id: String,
    members: Vec<Arc<LoadedIssuer>>,
    revoked: Vec<(Vec<u8>, Timestamp)>,
}

async fn build(mount: &Mount, config: &CrlConfig, scope: Scope) -> Result<Vec<String>, Error> {
    let issuers = issuers::all(mount).await?;
    let mut book = CrlBook::clone(&*mount.load_or_default::<CrlBook>(CrlBook::KEY).await?);
    let before = book.clone();
    let mut groups = groups(&issuers, &book)?;
    let default = issuers::config(mount).await?.default.clone();
    if !config.disable {
        assign(&mut groups, &issuers, &default, &*revocations(mount).await?);
    }

    let now = mount.now();
    let mut warnings = Vec::new();
    let mut kept = HashSet::new();
    let mut crls = Vec::new();
    book.issuer_id_crl_map.clear();
    for group in groups {
        for member in &group.members {
            book.issuer_id_crl_map
                .insert(member.entry.id.clone(), group.crl_id.clone());
        }
        kept.insert(group.crl_id.clone());
        let Some(signer) = group
            .members
            .iter()
            .find(|member| member.entry.usage.allows(Usage::CRL_SIGNING))
        else {
            let ids: Vec<_> = group.members.iter().map(|member| member.id()).collect();
            let count = warnings.len() + 1;
            warnings.push(format!(
                "Warning {count} during CRL rebuild: warning from local CRL rebuild: Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {}",
                ids.join(", ")
            ));
            continue;
        };
        let key = keys::signer(mount, &signer.entry.key_id).await?;
        let algorithm = algorithm(signer, &key)?;
        let mut template = CrlTemplate {
            issuer: signer.certificate.subject().clone(),
            authority_key_id: signer
                .certificate
                .ski()
                .map_or_else(|| key.public_key().ski().to_vec(), <[u8]>::to_vec),
            number: 0,
            this_update: now,
            next_update: now + seconds(&config.expiry),
            delta_base: None,
            freshest: freshest(mount, signer).await,
        };
        let mut listed: HashSet<Vec<u8>> = HashSet::new();
        if scope == Scope::Delta {
            if let Some(bytes) = mount
                .load::<CrlBytes>(&CrlBook::complete_key(&group.crl_id))
                .await?
            {
                listed = serials(&bytes)?;
            }
        } else {
            template.number = next_number(&mut book, &group.crl_id);
            book.last_complete_number_map
                .insert(group.crl_id.clone(), template.number);
            book.crl_expiration_map
                .insert(group.crl_id.clone(), StoredTime(template.next_update));
            let entries = encoded(group.revoked.iter());
            let complete = template
                .prepare(&entries, algorithm)
                .sign(&*key)
                .map_err(pki::failed)?;
            crls.push(Write::put(
                CrlBook::complete_key(&group.crl_id),
                complete.der(),
            ));
            listed.extend(group.revoked.iter().map(|(serial, _)| serial.clone()));
        }
        template.number = next_number(&mut book, &group.crl_id);
        template.delta_base = Some(
            book.last_complete_number_map
                .get(&group.crl_id)
                .copied()
                .unwrap_or(1),
        );
        let fresh = encoded(
            group
                .revoked
                .iter()
                .filter(|(serial, _)| !listed.contains(serial)),
        );
        let delta = template
            .prepare(&fresh, algorithm)
            .sign(&*key)
            .map_err(pki::failed)?;
        crls.push(Write::put(CrlBook::delta_key(&group.crl_id), delta.der()));
    }
    // CRLs of issuers that are gone go with them.
    for id in before
        .crl_number_map
        .keys()
        .filter(|id| !kept.contains(*id))
    {
        crls.push(Write::delete(CrlBook::complete_key(id)));
        crls.push(Write::delete(CrlBook::delta_key(id)));
    }
    book.crl_number_map.retain(|id, _| kept.contains(id));
    book.last_complete_number_map
        .retain(|id, _| kept.contains(id));
    book.crl_expiration_map.retain(|id, _| kept.contains(id));
    if scope != Scope::Delta {
        book.last_modified = StoredTime(now);
    }
    book.delta_last_modified = StoredTime(now);

    // A number is used up before a CRL carries it, and a CRL is there before the book says that it is fresh: wherever a
    // crash falls, numbers stay unique and the next build is not late.
    let reserved = CrlBook {
        crl_expiration_map: before.crl_expiration_map,
        last_complete_number_map: before.last_complete_number_map,
        ..book.clone()
    };
    let mut writes = vec![Write::put(CrlBook::KEY, entry::encode(&reserved))];
    writes.extend(crls);
    writes.push(Write::put(CrlBook::KEY, entry::encode(&book)));
    mount.save(writes).await?;
    Ok(warnings)
}

/// The issuers that have a key, by key and subject, each group with the id of its CRL.
fn groups(issuers: &Issuers, book: &CrlBook) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    for issuer in issuers
        .iter()
        .filter(|issuer| !issuer.entry.key_id.is_empty())
    {
        let same = |group: &&mut Group| {
            let first = &group.members[0];
            first.entry.key_id == issuer.entry.key_id
                && first.certificate.subject() == issuer.certificate.subject()
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.members.push(Arc::clone(issuer)),
            None => groups.push(Group {
                crl_id: String::new(),
                members: vec![Arc::clone(issuer)],
                revoked: Vec::new(),
            }),
        }
    }
    for group in &mut groups {
        let known = group
            .members
            .iter()
            .find_map(|member| book.issuer_id_crl_map.get(member.id()));
        group.crl_id = match known {
            Some(id) => id.clone(),
            None => new_id()?,
        };
    }
    Ok(groups)
}

/// Puts each revocation on the list of its issuer; one whose issuer is not known goes to the default issuer's.
fn assign(
    groups: &mut [Group],
    issuers: &Issuers,
    default: &str,
    revoked: &BTreeMap<Vec<u8>, Revoked>,
) {
    for (serial, entry) in revoked {
        let parsed = entry
            .certificate
            .as_ref()
            .and_then(|der| Certificate::from_der(der).ok());
        let parent = parsed
            .as_ref()
            .and_then(|certificate| issuers.parent_of(certificate));
        // A self-signed issuer never lists itself.
        if parsed
            .as_ref()
            .is_some_and(|own| parent.is_none() && issuers.holding(own).is_some())
        {
            continue;
        }
        let known = issuers
            .by_id(&entry.issuer_id)
            .is_some_and(|issuer| !issuer.entry.key_id.is_empty());
        let id = if known {
            entry.issuer_id.as_str()
        } else {
            parent.map_or(default, |issuer| issuer.id())
        };
        let group = groups
            .iter_mut()
            .find(|group| group.members.iter().any(|member| member.id() == id));
        if let Some(group) = group {
            group.revoked.push((serial.clone(), entry.time));
        }
    }
}

/// All revocations, from memory or read now.
async fn revocations(mount: &Mount) -> Result<Arc<BTreeMap<Vec<u8>, Revoked>>, Error> {
    let generation = {
        let index = mount
            .crl
            .index
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(revoked) = &index.revoked {
            return Ok(Arc::clone(revoked));
        }
        index.generation
    };
    let mut revoked = BTreeMap::new();
    for name in mount.storage().list(revoked::PREFIX).await? {
        let key = format!("{}{name}", revoked::PREFIX);
        // A name that is no serial number is nothing that a CRL could list.
        let Ok(serial) = SerialNumber::parse(&name) else {
            continue;
        };
        let Some(bytes) = mount.storage().get(&key).await? else {
            continue;
        };
        let entry = RevokedEntry::decode(&key, &bytes).map_err(|cause| {
            internal(
                "a stored revocation could not be read",
                format_args!("{key}: {cause}"),
            )
        })?;
        revoked.insert(serial.as_bytes().to_vec(), Revoked::new(entry));
    }
    let revoked = Arc::new(revoked);
    let mut index = mount
        .crl
        .index
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if index.generation == generation {
        index.revoked = Some(Arc::clone(&revoked));
    }
    Ok(revoked)
}

/// The algorithm that the issuer is told to sign CRLs with, else the natural one of its key.
fn algorithm(issuer: &LoadedIssuer, key: &PrivateKey) -> Result<SignatureAlgorithm, Error> {
    let stored = u32::try_from(issuer.entry.revocation_signature_algorithm).unwrap_or(0);
    let told = SignatureAlgorithm::from_storage_number(stored);
    match told.filter(|algorithm| algorithm.fits(key.public_key()).is_ok()) {
        Some(algorithm) => Ok(algorithm),
        None => Ok(SignatureAlgorithm::choose(key.public_key(), 0, false)
            .map_err(pki::failed)?
            .algorithm),
    }
}

fn encoded<'a>(revoked: impl Iterator<Item = &'a (Vec<u8>, Timestamp)>) -> RevokedEntries {
    let mut entries = RevokedEntries::new();
    for (serial, time) in revoked {
        entries.push(&SerialNumber::from_bytes(serial), *time);
    }
    entries
}

/// Where delta CRLs are. A CRL without the pointer serves better than none, so a fault in the URLs only leaves it out.
async fn freshest(mount: &Mount, issuer: &LoadedIssuer) -> Vec<String> {
    aia::of(mount, issuer)
        .await
        .map(|aia| aia.delta_crl_distribution_points)
        .unwrap_or_default()
}

/// The number for the next CRL; the book keeps the one after it.
fn next_number(book: &mut CrlBook, id: &str) -> u64 {
    let next = book.crl_number_map.entry(id.to_owned()).or_insert(1);
    *next += 1;
    *next - 1
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
fn seconds(text: &str) -> SignedDuration {
    SignedDuration::from_nanos(parse_duration_nanos(text).unwrap_or_default())
}

/// The warning for a request whose own work is done although the CRLs could not be rebuilt; the periodic call tries again.
pub(crate) fn not_built(error: Error) -> Vec<String> {
    tracing::warn!(%error, "CRLs could not be rebuilt");
    vec!["the CRLs could not be rebuilt after this change; they are rebuilt within minutes, or by crl/rotate".to_owned()]
}

#[cfg(test)]
mod tests;
