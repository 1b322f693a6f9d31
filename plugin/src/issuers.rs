//! The issuers of a mount: looking them up, choosing one to sign, and keeping their chains.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use landfast_pki::chain::{self, Signatures};
use landfast_pki::ext::KeyUsage;
use landfast_pki::{Certificate, PublicKey};
use landfast_sdk::logical::{Error, Write};

use crate::ca_key::CaKey;
use crate::entry;
use crate::entry::config::IssuersConfig;
use crate::entry::issuer::{self, IssuerEntry, Usage};
use crate::fault::internal;
use crate::keys;
use crate::mount::{Mount, take_up};
use crate::names::{DEFAULT, check_length, is_name};
use crate::store::Entry;

/// An issuer, read and parsed.
#[derive(Debug)]
pub(crate) struct LoadedIssuer {
    /// As stored.
    pub(crate) entry: IssuerEntry,
    /// The parsed certificate.
    pub(crate) certificate: Certificate,
    chain: OnceLock<Chain>,
    size: usize,
}

/// The chain of an issuer, parsed at its first use: whoever asks for it needs no token.
#[derive(Debug, Default)]
struct Chain {
    certificates: Vec<Certificate>,
    root: Option<Certificate>,
}

/// All issuers of a mount. They are few, so they are read together and kept until one of them changes.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    by_id: BTreeMap<String, Arc<LoadedIssuer>>,
    names: HashMap<String, String>,
    /// Who signed whom, remembered by the mount.
    signatures: Arc<Signatures>,
    /// Ids of those that cannot be read, with the reason. They keep their places: the others go on, and the way back may read them.
    unreadable: BTreeMap<String, String>,
}

impl LoadedIssuer {
    /// The issuer's id.
    pub(crate) fn id(&self) -> &str {
        &self.entry.id
    }

    /// Parses an entry. The certificate was checked when it came in, so a fault here is one of storage.
    pub(crate) fn new(mut entry: IssuerEntry) -> Result<Self, Error> {
        let certificate = parse(&entry)?;
        // Before version 1 CRL signing went without asking the certificate, and OCSP signing came with it.
        if entry.version == 0 {
            if entry.usage.allows(Usage::CRL_SIGNING) {
                entry.usage = entry.usage.with(Usage::OCSP_SIGNING);
                if !may_sign_crls(&certificate) {
                    entry.usage = entry.usage.without(Usage::CRL_SIGNING);
                }
            }
            entry.version = 1;
        }
        Ok(Self {
            size: entry.size(),
            entry,
            certificate,
            chain: OnceLock::new(),
        })
    }

    /// The chain, its own certificate first. What another product stored and cannot be read is left out.
    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.parsed_chain().certificates
    }

    /// The self-signed end of the chain, if the mount knows it.
    pub(crate) fn root(&self) -> Option<&Certificate> {
        self.parsed_chain().root.as_ref()
    }

    fn parsed_chain(&self) -> &Chain {
        self.chain.get_or_init(|| {
            let texts = self.entry.ca_chain.iter();
            let certificates: Vec<Certificate> = texts
                .filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok())
                .collect();
            let root = certificates
                .iter()
                .find(|one| one.is_self_signed())
                .cloned();
            Chain { certificates, root }
        })
    }

    /// `id:ID / name:NAME`, or the id alone: how texts of the built-in engine name an issuer.
    pub(crate) fn label(&self) -> String {
        if self.entry.name.is_empty() {
            format!("id:{}", self.entry.id)
        } else {
            format!("id:{} / name:{}", self.entry.id, self.entry.name)
        }
    }

    /// Whether the certificate names itself as its issuer and is signed by its own key.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.certificate.is_self_signed()
    }
}

impl Issuers {
    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<LoadedIssuer>> {
        self.by_id.values()
    }

    /// By id only.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Arc<LoadedIssuer>> {
        self.by_id.get(id)
    }

    /// The ids of all, also of those that cannot be read.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self
            .by_id
            .keys()
            .chain(self.unreadable.keys())
            .cloned()
            .collect();
        ids.sort_unstable();
        ids
    }

    /// The issuers that cannot be read, and why.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unreadable
            .iter()
            .map(|(id, why)| (id.as_str(), why.as_str()))
    }

    /// By id, else by name.
    pub(crate) fn find(&self, reference: &str) -> Option<&Arc<LoadedIssuer>> {
        self.by_id
            .get(reference)
            .or_else(|| self.by_id.get(self.names.get(reference)?))
    }

    /// The issuer that holds exactly this certificate.
    pub(crate) fn holding(&self, certificate: &Certificate) -> Option<&Arc<LoadedIssuer>> {
        self.iter()
            .find(|issuer| issuer.certificate.der() == certificate.der())
    }

    /// An issuer that signed `certificate`, which it does not hold itself.
    pub(crate) fn parent_of(&self, certificate: &Certificate) -> Option<&Arc<LoadedIssuer>> {
        let named: Vec<_> = self
            .iter()
            .filter(|issuer| {
                issuer.certificate.subject() == certificate.issuer()
                    && issuer.certificate.der() != certificate.der()
            })
            .collect();
        let candidates: Vec<_> = named.iter().map(|issuer| &issuer.certificate).collect();
        let signers = self.signatures.signers(certificate, &candidates);
        signers.first().map(|first| named[*first])
    }

    /// As [`parent_of`](Self::parent_of), for a certificate that the mount stored: it signed that itself. So its names and key identifiers tell
    /// the issuer, unless issuers with several keys answer to them.
    pub(crate) fn parent_of_stored(&self, certificate: &Certificate) -> Option<&Arc<LoadedIssuer>> {
        let Some(aki) = certificate.aki() else {
            return self.parent_of(certificate);
        };
        let mut named = self.iter().filter(|issuer| {
            issuer.certificate.subject() == certificate.issuer()
                && issuer.certificate.der() != certificate.der()
        });
        let first = named.next()?;
        let is_one = |issuer: &Arc<LoadedIssuer>| {
            issuer.certificate.ski() == Some(aki)
                && issuer.certificate.public_key().spki_der()
                    == first.certificate.public_key().spki_der()
        };
        if is_one(first) && named.all(is_one) {
            return Some(first);
        }
        self.parent_of(certificate)
    }

    /// What is said where `reference` means no issuer that can be read.
    fn missing(&self, reference: &str) -> Error {
        match self.unreadable.get(reference) {
            Some(why) => Error::failed(format!(
                "issuer [id:{reference}] can not be used by this plugin: {why}"
            )),
            None => unknown(reference),
        }
    }

    fn insert(&mut self, issuer: Arc<LoadedIssuer>) {
        if !issuer.entry.name.is_empty() {
            self.names
                .insert(issuer.entry.name.clone(), issuer.entry.id.clone());
        }
        self.by_id.insert(issuer.entry.id.clone(), issuer);
    }
}

/// All issuers of the mount.
pub(crate) async fn all(mount: &Mount) -> Result<Arc<Issuers>, Error> {
    mount
        .derive(issuer::PREFIX, async {
            let mut issuers = Issuers {
                signatures: Arc::clone(&mount.signatures),
                ..Issuers::default()
            };
            for id in mount.storage().list(issuer::PREFIX).await? {
                let key = IssuerEntry::key(&id);
                // Deleted between the two calls.
                let Some(bytes) = mount.storage().get(&key).await? else {
                    continue;
                };
                let read = IssuerEntry::decode(&key, &bytes)
                    .and_then(|entry| LoadedIssuer::new(entry).map_err(|error| reason(&error)));
                match read {
                    Ok(issuer) => issuers.insert(Arc::new(issuer)),
                    Err(why) => {
                        tracing::warn!(issuer = id, why, "a stored issuer cannot be read");
                        issuers.unreadable.insert(id, why);
                    }
                }
            }
            Ok(issuers)
        })
        .await
}

/// The configured default and its rule.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<IssuersConfig>, Error> {
    mount.load_or_default(IssuersConfig::KEY).await
}

/// The issuer that `reference` (an id, a name, or `default`) means.
///
/// # Errors
/// An error *value*, not a 404: Terraform tells by its text that an issuer is gone.
pub(crate) async fn load(mount: &Mount, reference: &str) -> Result<Arc<LoadedIssuer>, Error> {
    if let Some(found) = find(mount, reference).await? {
        return Ok(found);
    }
    let issuers = all(mount).await?;
    if reference != DEFAULT {
        return Err(issuers.missing(reference));
    }
    let config = config(mount).await?;
    Err(match config.default.as_str() {
        "" => Error::failed(NO_DEFAULT),
        default => issuers.missing(default),
    })
}

/// As [`load`], with `None` for a reference that means nothing.
pub(crate) async fn find(
    mount: &Mount,
    reference: &str,
) -> Result<Option<Arc<LoadedIssuer>>, Error> {
    let issuers = all(mount).await?;
    let found = if reference == DEFAULT {
        issuers.by_id(&config(mount).await?.default)
    } else {
        issuers.find(reference)
    };
    if let Some(issuer) = found {
        take_up(issuer.size).await;
    }
    Ok(found.cloned())
}

/// The issuer and its key, for signing certificates, in the words that the signing paths use.
///
/// # Errors
/// The issuer is unknown, has no key here, or may not be used for issuing; all of them error values.
pub(crate) async fn for_issuing(
    mount: &Mount,
    reference: &str,
) -> Result<(Arc<LoadedIssuer>, CaKey), Error> {
    let fetch = |error: Error| match error {
        Error::Failed(text) => Error::failed(format!(
            "could not fetch the CA certificate (was one set?): {text}"
        )),
        other => other,
    };
    let issuer = load(mount, reference).await.map_err(fetch)?;
    if issuer.entry.key_id.is_empty() {
        return Err(fetch(Error::failed(NO_KEY)));
    }
    ensure_usage(&issuer, Usage::ISSUING)
        .map_err(|why| Error::failed(format!("error fetching CA certificate: {why}")))?;
    let key = keys::signer(mount, &issuer.entry.key_id)
        .await
        .map_err(fetch)?;
    Ok((issuer, key))
}

/// Refuses an issuer that may not be used as `wanted`, with the reason.
pub(crate) fn ensure_usage(issuer: &LoadedIssuer, wanted: Usage) -> Result<(), String> {
    if issuer.entry.usage.allows(wanted) {
        return Ok(());
    }
    Err(format!(
        "error while attempting to use issuer {}: requested usage {} for issuer [{}] but only had usage {}",
        issuer.entry.id,
        wanted.name(),
        issuer.label(),
        issuer.entry.usage,
    ))
}

/// Why an issuer without a key signs nothing.
pub(crate) const NO_KEY: &str =
    "unable to fetch corresponding key for issuer ID; unable to use this issuer for signing";

/// The certificate of an entry.
pub(crate) fn parse(entry: &IssuerEntry) -> Result<Certificate, Error> {
    Certificate::from_pem(entry.certificate.as_bytes()).map_err(|cause| {
        internal(
            "a stored issuer could not be read",
            format_args!("{}: {cause}", entry.id),
        )
    })
}

/// The cause of a failure, for a text that names what failed.
fn reason(error: &Error) -> String {
    match error {
        Error::Internal { log, .. } => log.clone(),
        other => other.to_string(),
    }
}

/// Whether `child` names `parent` as its issuer and `parent`'s key verifies it.
pub(crate) fn signed_by(child: &Certificate, parent: &Certificate) -> bool {
    child.issuer() == parent.subject() && child.verify_signed_by(parent.public_key()).is_ok()
}

/// Whether the certificate's key usage lets its key sign CRLs. One without the extension does not: RFC 5280 section 5.1.1.2 would let it, but Go
/// does not sign for it, and the built-in engine builds no CRL of a mount that has such an issuer with that usage.
pub(crate) fn may_sign_crls(certificate: &Certificate) -> bool {
    certificate
        .key_usage()
        .is_some_and(|usage| usage.contains(KeyUsage::CRL_SIGN))
}

/// A name for a new or renamed issuer.
///
/// # Errors
/// The name is reserved, malformed, too long, or another issuer's.
pub(crate) fn check_name(issuers: &Issuers, name: &str, own_id: &str) -> Result<(), Error> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Err(Error::bad_request(
            "reserved keyword 'default' can not be used as issuer name",
        ));
    }
    if !is_name(name) {
        return Err(Error::bad_request(
            "issuer name contained invalid characters",
        ));
    }
    check_length("issuer", name)?;
    match issuers.find(name) {
        Some(other) if other.id() != own_id => {
            Err(Error::bad_request("issuer name already in use"))
        }
        _ => Ok(()),
    }
}

/// The writes that store `changed` issuers and drop `removed` ones, with the chains of all others brought up to date.
///
/// Chains depend on every issuer of the mount, so an issuer that comes or goes may change the entries of others.
pub(crate) fn writes(
    before: &Issuers,
    changed: Vec<IssuerEntry>,
    removed: &[String],
) -> Result<Vec<Write>, Error> {
    let mut entries: BTreeMap<String, (IssuerEntry, bool)> = before
        .iter()
        .filter(|issuer| !removed.contains(&issuer.entry.id))
        .map(|issuer| (issuer.entry.id.clone(), (issuer.entry.clone(), false)))
        .collect();
    for entry in changed {
        entries.insert(entry.id.clone(), (entry, true));
    }
    rebuild_chains(before, &mut entries)?;
    let puts = entries.into_values().filter(|(_, touched)| *touched);
    let puts =
        puts.map(|(entry, _)| Write::put(IssuerEntry::key(&entry.id), entry::encode(&entry)));
    Ok(removed
        .iter()
        .map(|id| Write::delete(IssuerEntry::key(id)))
        .chain(puts)
        .collect())
}

fn rebuild_chains(
    before: &Issuers,
    entries: &mut BTreeMap<String, (IssuerEntry, bool)>,
) -> Result<(), Error> {
    let mut certificates = Vec::with_capacity(entries.len());
    for (entry, _) in entries.values() {
        let known = before.by_id(&entry.id);
        let certificate = match known.filter(|one| one.entry.certificate == entry.certificate) {
            Some(known) => known.certificate.clone(),
            None => parse(entry)?,
        };
        certificates.push((entry.id.clone(), certificate));
    }
    let manual = entries
        .values()
        .filter_map(|(entry, _)| Some((entry.id.clone(), entry.manual_chain.clone()?)));
    let chains = chain::build_with(&certificates, &manual.collect(), &before.signatures);
    let pems: HashMap<String, String> = entries
        .values()
        .map(|(entry, _)| (entry.id.clone(), entry.certificate.clone()))
        .collect();
    for (entry, touched) in entries.values_mut() {
        let ids = chains.get(&entry.id).map_or(&[][..], Vec::as_slice);
        let chain: Vec<String> = ids.iter().filter_map(|id| pems.get(id).cloned()).collect();
        if entry.ca_chain != chain {
            entry.ca_chain = chain;
            *touched = true;
        }
    }
    Ok(())
}

/// The id under which `public` is known among the issuers' keys: links certificates to keys.
pub(crate) fn keyless_for<'a>(
    issuers: &'a Issuers,
    public: &PublicKey,
) -> impl Iterator<Item = &'a Arc<LoadedIssuer>> {
    let spki = public.spki_der().to_vec();
    issuers.iter().filter(move |issuer| {
        issuer.entry.key_id.is_empty() && issuer.certificate.public_key().spki_der() == spki
    })
}

pub(crate) fn unknown(reference: &str) -> Error {
    Error::failed(format!(
        "unable to find PKI issuer for reference: {reference}"
    ))
}

pub(crate) const NO_DEFAULT: &str = "no default issuer currently configured";
