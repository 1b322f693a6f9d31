//! Changing which issuers and keys a mount has: one plan, one write.
//!
//! A request that makes or imports issuers touches keys, issuers, their chains and the two defaults. The plan collects all
//! of it, so that a transaction covers it where the host offers one. Elsewhere the order makes a crash harmless: keys
//! first (an unused key does no harm), then certificates, then issuers, and last what points at them.

use std::sync::Arc;

use jiff::Timestamp;
use landfast_base::uuid;
use landfast_pki::{Certificate, SerialNumber, go};
use landfast_sdk::logical::{Error, Write};
use tokio::sync::MutexGuard;

use crate::ca_key::CaKey;
use crate::entry;
use crate::entry::config::{IssuersConfig, KeysConfig};
use crate::entry::issuer::{AiaEntry, IssuerEntry, NotAfterBehavior, Usage};
use crate::entry::key::KeyEntry;
use crate::entry::other::Other;
use crate::entry::revoked::RevokedEntry;
use crate::entry::time::StoredTime;
use crate::issuers::{self, Issuers};
use crate::keys::{self, Keys};
use crate::mount::Mount;
use crate::{certificates, revocations, seal};

/// A change in the making. While it lives, no other change of issuers or keys can start.
pub(crate) struct Change<'a> {
    mount: &'a Mount,
    _alone: MutexGuard<'a, ()>,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) issuers_config: IssuersConfig,
    default_before: String,
    keys_config: KeysConfig,
    /// Keys to store, with their public halves.
    new_keys: Vec<(KeyEntry, Vec<u8>)>,
    /// Issuers to store, new or changed.
    entries: Vec<IssuerEntry>,
    certificates: Vec<Write>,
    revoked: Vec<(SerialNumber, RevokedEntry)>,
    issuers_config_changed: bool,
    keys_config_changed: bool,
}

/// What became of something that was handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// Its id.
    pub(crate) id: String,
    /// Whether the mount had it before.
    pub(crate) existing: bool,
}

impl<'a> Change<'a> {
    /// Waits for other changes to end, and reads the present state.
    pub(crate) async fn begin(mount: &'a Mount) -> Result<Self, Error> {
        let alone = mount.authority.lock().await;
        let issuers_config = IssuersConfig::clone(&*issuers::config(mount).await?);
        Ok(Self {
            issuers: issuers::all(mount).await?,
            keys: keys::all(mount).await?,
            default_before: issuers_config.default.clone(),
            issuers_config,
            keys_config: KeysConfig::clone(&*keys::config(mount).await?),
            mount,
            _alone: alone,
            new_keys: Vec::new(),
            entries: Vec::new(),
            certificates: Vec::new(),
            revoked: Vec::new(),
            issuers_config_changed: false,
            keys_config_changed: false,
        })
    }

    /// Takes a key in, under `name` unless the mount has it already.
    ///
    /// Issuers that lacked their key get linked to it, and the first key of a mount becomes the default.
    ///
    /// # Errors
    /// When storage or the encoding fails; `name` was checked by the caller.
    pub(crate) async fn add_key(&mut self, key: &CaKey, name: &str) -> Result<Adopted, Error> {
        let public = key.public_key();
        if let Some(id) = self.key_for(public.spki_der()).await? {
            self.mount.metrics.signatures.adopt(&id, key.tally());
            return Ok(Adopted { id, existing: true });
        }
        let id = new_id()?;
        self.mount.metrics.signatures.adopt(&id, key.tally());
        self.new_keys.push((
            keys::entry(id.clone(), name.to_owned(), key)?,
            public.spki_der().to_vec(),
        ));
        if self.keys_config.default.is_empty() {
            self.set_default_key(&id);
        }
        let mut linked = Vec::new();
        for issuer in issuers::keyless_for(&self.issuers, public) {
            let planned = self
                .entries
                .iter()
                .position(|entry| entry.id == issuer.entry.id);
            match planned {
                Some(at) => self.entries[at].key_id = id.clone(),
                None => self.entries.push(IssuerEntry {
                    key_id: id.clone(),
                    ..issuer.entry.clone()
                }),
            }
            linked.push(issuer.entry.id.clone());
        }
        for entry in &mut self.entries {
            let certificate = issuers::parse(entry)?;
            if entry.key_id.is_empty() && certificate.public_key().spki_der() == public.spki_der() {
                entry.key_id.clone_from(&id);
                linked.push(entry.id.clone());
            }
        }
        if let (true, Some(first)) = (self.issuers_config.default.is_empty(), linked.first()) {
            let first = first.clone();
            self.set_default_issuer(&first);
        }
        Ok(Adopted {
            id,
            existing: false,
        })
    }

    /// Takes a CA certificate in, under `name` unless the mount has it already.
    ///
    /// It is linked to its key if that is known, and becomes the default issuer if there is none and its key is known.
    ///
    /// # Errors
    /// When storage fails; `name` was checked by the caller.
    pub(crate) async fn add_issuer(
        &mut self,
        certificate: &Certificate,
        name: &str,
    ) -> Result<Adopted, Error> {
        if let Some(existing) = self.issuers.holding(certificate) {
            return Ok(Adopted {
                id: existing.entry.id.clone(),
                existing: true,
            });
        }
        let pem = certificate.pem();
        if let Some(planned) = self.entries.iter().find(|entry| entry.certificate == pem) {
            return Ok(Adopted {
                id: planned.id.clone(),
                existing: true,
            });
        }
        self.readable_on_the_way_back(certificate)?;
        let id = new_id()?;
        let key_id = self
            .key_for(certificate.public_key().spki_der())
            .await?
            .unwrap_or_default();
        // A certificate whose key usage forbids signing CRLs is not asked to.
        let usage = if issuers::may_sign_crls(certificate) {
            Usage::ALL
        } else {
            Usage::ALL.without(Usage::CRL_SIGNING)
        };
        if self.issuers_config.default.is_empty() && !key_id.is_empty() {
            self.set_default_issuer(&id);
        }
        self.entries.push(IssuerEntry {
            id: id.clone(),
            name: name.to_owned(),
            key_id,
            certificate: pem,
            ca_chain: Vec::new(),
            manual_chain: None,
            serial_number: certificate.serial().colon(),
            not_after_behavior: NotAfterBehavior::Err,
            usage,
            revocation_signature_algorithm: 0,
            revoked: false,
            revocation_time: 0,
            revocation_time_utc: StoredTime::never(),
            aia_uris: None,
            last_modified: StoredTime(self.mount.now()),
            version: 1,
            other: Other::default(),
        });
        Ok(Adopted {
            id,
            existing: false,
        })
    }

    /// Refuses an issuer with which the built-in engine could not go on: one that it cannot read, or one too many of a key and name.
    fn readable_on_the_way_back(&self, certificate: &Certificate) -> Result<(), Error> {
        go::check_ca(certificate).map_err(crate::fault::refused)?;
        if !certificate.is_self_issued() {
            return Ok(());
        }
        let same = |other: &Certificate| {
            other.is_self_issued()
                && other.subject() == certificate.subject()
                && other.public_key().spki_der() == certificate.public_key().spki_der()
        };
        let present = self
            .issuers
            .iter()
            .filter(|issuer| same(&issuer.certificate))
            .count();
        let planned = self.entries.iter().filter(|entry| {
            self.issuers.by_id(&entry.id).is_none()
                && issuers::parse(entry).is_ok_and(|other| same(&other))
        });
        let number = present + planned.count() + 1;
        if number > MOST_OF_A_KIND {
            return Err(Error::bad_request(format!(
                "error building issuer chains: excessively reissued certificate: {number} entries"
            )));
        }
        Ok(())
    }

    /// Plans the new state of an issuer.
    pub(crate) fn set_issuer(&mut self, entry: IssuerEntry) {
        match self
            .entries
            .iter_mut()
            .find(|planned| planned.id == entry.id)
        {
            Some(planned) => *planned = entry,
            None => self.entries.push(entry),
        }
    }

    /// An issuer as it will be: planned, else present.
    pub(crate) fn issuer(&self, id: &str) -> Option<&IssuerEntry> {
        let planned = self.entries.iter().find(|entry| entry.id == id);
        planned.or_else(|| self.issuers.by_id(id).map(|issuer| &issuer.entry))
    }

    /// Also stores a certificate under its serial number.
    pub(crate) fn store_certificate(&mut self, certificate: &Certificate) {
        self.certificates.push(certificates::write(certificate));
    }

    /// Records that `certificate` is revoked, unless that is on record, and stores it if it came from elsewhere: what is listed as revoked can be
    /// read.
    ///
    /// # Errors
    /// When storage fails.
    pub(crate) async fn revoke(
        &mut self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<(), Error> {
        let serial = certificate.serial();
        if certificates::der(self.mount, serial).await?.is_none() {
            self.store_certificate(certificate);
        }
        let stored = revocations::stored(self.mount, &serial.dash()).await?;
        if stored.is_none() {
            let entry = RevokedEntry::new(certificate.der().to_vec(), now, String::new());
            self.certificates.push(revocations::write(serial, &entry));
            self.revoked.push((serial.clone(), entry));
        }
        Ok(())
    }

    /// Makes `id` the default issuer.
    pub(crate) fn set_default_issuer(&mut self, id: &str) {
        self.issuers_config_changed |= self.issuers_config.default != id;
        self.issuers_config.default = id.to_owned();
    }

    /// Whether another issuer will be the default, or none any more.
    pub(crate) fn moves_default(&self) -> bool {
        self.issuers_config.default != self.default_before
    }

    /// Dates the issuers that become the default or cease to be it: what `ca` answers is another certificate, and nobody's copy of it is young
    /// enough, however old both certificates are.
    fn date_defaults(&mut self, gone: &[String]) {
        if !self.moves_default() {
            return;
        }
        let now = StoredTime(self.mount.now());
        let ids = [&self.default_before, &self.issuers_config.default];
        let stay = ids.into_iter().filter(|id| !gone.contains(id));
        let dated: Vec<_> = stay
            .filter_map(|id| self.issuer(id).cloned())
            .map(|entry| IssuerEntry {
                last_modified: now,
                ..entry
            })
            .collect();
        for entry in dated {
            self.set_issuer(entry);
        }
    }

    /// Sets whether new issuers become the default.
    pub(crate) fn set_follow_latest(&mut self, follow: bool) {
        self.issuers_config_changed |= self.issuers_config.default_follows_latest_issuer != follow;
        self.issuers_config.default_follows_latest_issuer = follow;
    }

    /// Makes `id` the default key.
    pub(crate) fn set_default_key(&mut self, id: &str) {
        self.keys_config_changed |= self.keys_config.default != id;
        self.keys_config.default = id.to_owned();
    }

    /// The id of the default key, or empty.
    pub(crate) fn default_key(&self) -> &str {
        &self.keys_config.default
    }

    /// Carries the plan out, deleting the issuers and keys named.
    ///
    /// # Errors
    /// When storage fails; the plan may then have taken effect in part, up to some point of the order. When a new key cannot be sealed, although the
    /// mount's keys are; then nothing was stored.
    pub(crate) async fn commit(mut self, issuers: &[String], keys: &[String]) -> Result<(), Error> {
        self.date_defaults(issuers);
        let entries = self.new_keys.iter_mut().map(|(key, _)| key);
        let sealed = seal::seal_new(self.mount, entries).await?;
        let mut writes: Vec<Write> = self
            .new_keys
            .iter()
            .map(|(key, _)| Write::put(KeyEntry::key(&key.id), key.encode()))
            .collect();
        writes.extend(self.certificates);
        let (before, changed) = (&self.issuers, self.entries);
        let plan = || issuers::writes(before, changed, issuers);
        let issuer_writes = self.mount.heavy.run(plan).await?;
        let configs = [
            (
                self.issuers_config_changed,
                IssuersConfig::KEY,
                entry::encode(&self.issuers_config),
            ),
            (
                self.keys_config_changed,
                KeysConfig::KEY,
                entry::encode(&self.keys_config),
            ),
        ];
        let configs = configs.into_iter().filter(|(changed, ..)| *changed);
        let configs = configs.map(|(_, key, value)| Write::put(key, value));
        let deleting = !issuers.is_empty() || !keys.is_empty();
        // What points at something is written after it, and removed before it.
        if deleting {
            writes.extend(configs);
            writes.extend(issuer_writes);
        } else {
            writes.extend(issuer_writes);
            writes.extend(configs);
        }
        writes.extend(keys.iter().map(|id| Write::delete(KeyEntry::key(id))));
        if writes.is_empty() {
            return Ok(());
        }
        self.mount.save(writes).await?;
        for (id, key) in &sealed {
            seal::remember(self.mount, id, key);
        }
        for (serial, entry) in &self.revoked {
            self.mount.crl.note(serial, entry);
        }
        Ok(())
    }

    async fn key_for(&self, spki: &[u8]) -> Result<Option<String>, Error> {
        if let Some((key, _)) = self.new_keys.iter().find(|(_, public)| public == spki) {
            return Ok(Some(key.id.clone()));
        }
        Ok(self
            .keys
            .with_public(self.mount, spki)
            .await?
            .map(|key| key.id.clone()))
    }
}

/// Self-issued certificates of one name and key that the built-in engine takes.
const MOST_OF_A_KIND: usize = 6;

/// The warning that certificates will not say where issuers, CRLs and OCSP are found, when the mount names no place.
pub(crate) async fn missing_aia(mount: &Mount) -> Result<Option<String>, Error> {
    let urls = mount.load_or_default::<AiaEntry>(AiaEntry::KEY).await?;
    Ok(urls.is_empty().then(|| {
        "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information."
            .to_owned()
    }))
}

/// A random id in the shape of a UUID.
///
/// # Errors
/// When there is no randomness.
pub(crate) fn new_id() -> Result<String, Error> {
    let random = landfast_base::random::<16>();
    let random = random.map_err(|error| crate::fault::failed(error.into()))?;
    Ok(uuid(&random))
}
