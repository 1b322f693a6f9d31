//! One build of CRLs: who signs which list, and in which order it is stored.

use std::collections::HashSet;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::crl::{CrlTemplate, RevokedEntries};
use landfast_pki::{SerialNumber, SignatureAlgorithm};
use landfast_sdk::logical::{Error, StorageError, Write};

use super::figures::Figures;
use super::groups::{Group, Listed, MANY, groups, unusable};
use super::signer::{algorithm, template, told};
use super::{CrlBytes, Scope, index, length, serials, wal};
use crate::ca_key::CaKey;
use crate::entry;
use crate::entry::config::CrlConfig;
use crate::entry::crl::CrlBook;
use crate::entry::time::StoredTime;
use crate::issuers::{self, Issuers, LoadedIssuer};
use crate::keys::{self, Keys};
use crate::mount::Mount;
use crate::{aia, fault, seal};

/// What a build did.
pub(super) struct Built {
    /// An issuer that cannot sign is one, and keeps the others from nothing.
    pub(super) warnings: Vec<String>,
    /// Why CRLs are as they were although their issuers can sign: AWS KMS did not, or did not open a sealed key. The others were built and stored.
    pub(super) failure: Option<Error>,
}

/// Builds CRLs and stores them.
pub(super) async fn build(mount: &Mount, config: &CrlConfig, scope: Scope) -> Result<Built, Error> {
    let keys = keys::all(mount).await?;
    let before = mount.load_or_default::<CrlBook>(CrlBook::KEY).await?;
    let pending = wal::pending(mount, config).await?;
    if scope != Scope::Delta {
        index::associate(mount).await?;
    }
    let (groups, generation) = groups(mount, &before, config.disable).await?;
    let issuers = issuers::all(mount).await?;
    let now = mount.now();
    let mut build = Build {
        mount,
        config,
        scope,
        keys: &keys,
        before: &before,
        now,
        book: planned(&before, &groups, &issuers, scope, now),
        warnings: Vec::new(),
        failure: None,
        crls: Vec::new(),
        figures: Vec::new(),
        covered: HashSet::new(),
        covers: scope != Scope::Delta && !config.disable && !pending.is_empty(),
    };
    for (id, why) in issuers.unreadable() {
        build.warn(&format!(
            "issuer [id:{id}] can not be used by this plugin ({why}), so its CRL stays as it is; delete the issuer, or leave the mount to the built-in engine"
        ));
    }
    for group in &groups {
        build.group(group).await?;
    }
    let writes = build.writes(pending);
    let Build {
        warnings,
        failure,
        book,
        figures,
        ..
    } = build;
    let longest = writes.iter().map(Write::octets).max().unwrap_or_default();
    if let Err(error) = mount.save(writes).await {
        // Some of them may be there.
        mount.crl.figures.forget();
        return Err(stored_no_more(error, longest));
    }
    let ids = book.issuer_id_crl_map.values();
    let keys: HashSet<_> = ids
        .flat_map(|id| [CrlBook::complete_key(id), CrlBook::delta_key(id)])
        .collect();
    mount.crl.figures.built(|key| keys.contains(key), figures);
    if scope.is_complete() && failure.is_none() {
        mount.crl.index.covered(generation);
    }
    Ok(Built { warnings, failure })
}

/// Says what to do where the server's storage has a limit for entries that a CRL is beyond.
fn stored_no_more(error: Error, longest: usize) -> Error {
    match error {
        Error::Storage(StorageError::Host(why)) if why.contains("too large") => {
            Error::failed(format!(
                "a CRL of {longest} bytes is more than an entry of the server's storage may have ({why}), so the CRLs stay as they were, and what was revoked is on record: raise max_entry_size of the raft storage on every node, or let tidying remove what is over"
            ))
        }
        other => other,
    }
}

/// The book after a build but for what each new CRL adds: who has which CRL, and nothing of CRLs that nobody has any more.
fn planned(
    before: &CrlBook,
    groups: &[Group],
    issuers: &Issuers,
    scope: Scope,
    now: Timestamp,
) -> CrlBook {
    let mut book = before.clone();
    let unreadable = issuers.unreadable().filter_map(|(id, _)| {
        let crl = before.issuer_id_crl_map.get(id)?;
        Some((id.to_owned(), crl.clone()))
    });
    let members = groups.iter().flat_map(|group| {
        let ids = group.members.iter().map(|member| member.entry.id.clone());
        ids.map(|id| (id, group.crl_id.clone()))
    });
    book.issuer_id_crl_map = unreadable.chain(members).collect();
    let kept: HashSet<&String> = book.issuer_id_crl_map.values().collect();
    book.crl_number_map.retain(|id, _| kept.contains(id));
    book.last_complete_number_map
        .retain(|id, _| kept.contains(id));
    book.crl_expiration_map.retain(|id, _| kept.contains(id));
    if scope != Scope::Delta {
        book.last_modified = StoredTime(now);
    }
    book.delta_last_modified = StoredTime(now);
    book
}

/// A build at work.
struct Build<'a> {
    mount: &'a Mount,
    config: &'a CrlConfig,
    scope: Scope,
    keys: &'a Keys,
    before: &'a CrlBook,
    now: Timestamp,
    /// As [`planned`], and then with each new CRL.
    book: CrlBook,
    warnings: Vec<String>,
    failure: Option<Error>,
    /// What is to be written of new CRLs.
    crls: Vec<Write>,
    /// What is to be known of them.
    figures: Vec<(String, Figures)>,
    /// Serial numbers on the new complete CRLs, if the [write-ahead list](wal) waits for them.
    covered: HashSet<Vec<u8>>,
    covers: bool,
}

impl Build<'_> {
    /// Has the CRLs of a group signed, if that is to be and can be.
    async fn group(&mut self, group: &Group) -> Result<(), Error> {
        let signer = match group.signer(self.keys) {
            Ok(signer) => signer,
            Err(why) => {
                self.warn(&why);
                return Ok(());
            }
        };
        if self.scope == Scope::Behind
            && !is_behind(self.mount, self.config, self.before, group).await?
        {
            return Ok(());
        }
        let Some((key, algorithm)) = self.key(signer).await else {
            return Ok(());
        };
        let next_update = later(self.now, length(&self.config.expiry));
        let mut template = CrlTemplate {
            freshest: freshest(self.mount, signer).await,
            ..template(signer, key.public_key(), self.now, next_update)
        };
        let mut complete = None;
        let listed = if self.scope == Scope::Delta {
            listed(self.mount, group).await?
        } else {
            template.number = next_number(&mut self.book, &group.crl_id);
            let begun = Instant::now();
            let prepare = || template.prepare(&encoded(group.revoked.iter()), algorithm);
            let many = group.revoked.len() >= MANY;
            let prepared = self.mount.heavy.run_if(many, prepare).await;
            match key.sign(self.mount, prepared).await {
                Ok(signed) => {
                    let took = Some(begun.elapsed());
                    let figures = Figures::of(&signed, group.revoked.len(), took);
                    complete = Some((template.number, signed, figures));
                }
                Err(error) => {
                    self.note(error);
                    return Ok(());
                }
            }
            let serials = group.revoked.iter().map(|(serial, ..)| serial.clone());
            serials.collect()
        };
        let base = complete.as_ref().map(|(number, ..)| *number);
        let last = self.book.last_complete_number_map.get(&group.crl_id);
        template.delta_base = Some(base.or_else(|| last.copied()).unwrap_or(1));
        template.number = next_number(&mut self.book, &group.crl_id);
        let begun = Instant::now();
        let fresh = group.revoked.iter();
        let fresh = encoded(fresh.filter(|(serial, ..)| !listed.contains(serial)));
        let prepared = template.prepare(&fresh, algorithm);
        let delta = key.sign(self.mount, prepared).await;
        // A complete CRL that is signed already is worth storing for itself: the delta CRL in force only lists too much then.
        if let Some((number, complete, figures)) = complete {
            let id = &group.crl_id;
            self.book
                .last_complete_number_map
                .insert(id.clone(), number);
            self.book
                .crl_expiration_map
                .insert(id.clone(), StoredTime(template.next_update));
            let key = CrlBook::complete_key(id);
            self.crls.push(Write::put(key.clone(), complete.der()));
            self.figures.push((key, figures));
        }
        match delta {
            Ok(delta) => {
                let key = CrlBook::delta_key(&group.crl_id);
                self.crls.push(Write::put(key.clone(), delta.der()));
                let figures = Figures::of(&delta, fresh.len(), Some(begun.elapsed()));
                self.figures.push((key, figures));
            }
            Err(error) => self.note(error),
        }
        if self.covers {
            self.covered.extend(listed);
        }
        Ok(())
    }

    /// The key of `signer`, and how it signs; `None`, with the reason kept, where it cannot sign now.
    async fn key(&mut self, signer: &LoadedIssuer) -> Option<(CaKey, SignatureAlgorithm)> {
        let id = &signer.entry.key_id;
        let out = self.failure.as_ref().is_some_and(fault::passes);
        if out && seal::is_closed(self.mount, self.keys, id) {
            return None;
        }
        let key = match keys::signer(self.mount, id).await {
            Ok(key) => key,
            Err(error) => {
                // What the entry did not show may have come out now.
                let key = self.keys.find(id);
                match key.and_then(|key| Some((key, key.obstacle()?))) {
                    Some((key, why)) => self.warn(&unusable(signer, key, why)),
                    // A sealed key that does not open for now, say.
                    None => self.note(error),
                }
                return None;
            }
        };
        // Each try may take its whole time, and whoever waits for this build waits for all of them.
        if out && matches!(key, CaKey::Kms(..)) {
            return None;
        }
        let algorithm = match algorithm(signer, key.public_key()) {
            Ok(algorithm) => algorithm,
            Err(error) => {
                self.note(error);
                return None;
            }
        };
        if let Some(told) = told(signer).filter(|told| *told != algorithm) {
            self.warnings.push(format!(
                "the CRL of issuer {} is signed with {algorithm}: its revocation_signature_algorithm {told} cannot be used with its key here",
                signer.label()
            ));
        }
        Some((key, algorithm))
    }

    /// What is to be written. A number is used up before a CRL carries it, and a CRL is there before the book says that it is fresh: wherever a
    /// crash falls, numbers stay unique and the next build is not late.
    fn writes(&mut self, pending: wal::Pending) -> Vec<Write> {
        let reserved = CrlBook {
            crl_expiration_map: self.before.crl_expiration_map.clone(),
            last_complete_number_map: self.before.last_complete_number_map.clone(),
            ..self.book.clone()
        };
        let mut writes = vec![Write::put(CrlBook::KEY, entry::encode(&reserved))];
        writes.append(&mut self.crls);
        // CRLs of issuers that are gone go with them.
        let kept: HashSet<&String> = self.book.issuer_id_crl_map.values().collect();
        let ids = self.before.crl_number_map.keys();
        for id in ids.filter(|id| !kept.contains(id)) {
            writes.push(Write::delete(CrlBook::complete_key(id)));
            writes.push(Write::delete(CrlBook::delta_key(id)));
        }
        let all = self.failure.is_none() && !self.config.disable;
        writes.extend(pending.built(&self.covered, all));
        writes.push(Write::put(CrlBook::KEY, entry::encode(&self.book)));
        writes
    }

    /// Adds a warning in the frame that the built-in engine gives it.
    fn warn(&mut self, why: &str) {
        let count = self.warnings.len() + 1;
        self.warnings.push(format!(
            "Warning {count} during CRL rebuild: warning from local CRL rebuild: {why}"
        ));
    }

    /// Remembers why a CRL is not there. That AWS KMS is away outweighs the rest, because it saves the others from finding that out.
    fn note(&mut self, error: Error) {
        if !self.failure.as_ref().is_some_and(fault::passes) {
            self.failure = Some(error);
        }
    }
}

/// Whether the complete CRL of a group is missing, about to run out, or lacks a revocation that belonged on it at once.
pub(super) async fn is_behind(
    mount: &Mount,
    config: &CrlConfig,
    book: &CrlBook,
    group: &Group,
) -> Result<bool, Error> {
    let grace = length(&config.auto_rebuild_grace_period);
    // The grace period binds nobody who rebuilds at once, and may then be longer than a CRL's life.
    let lead = if config.auto_rebuild {
        grace
    } else {
        grace.min(length(&config.expiry) / 3)
    };
    let end = book.crl_expiration_map.get(&group.crl_id);
    if end.is_none_or(|end| end.0.duration_since(mount.now()) <= lead) {
        return Ok(true);
    }
    if config.auto_rebuild || group.revoked.is_empty() {
        return Ok(false);
    }
    let listed = listed(mount, group).await?;
    Ok(!group
        .revoked
        .iter()
        .all(|(serial, ..)| listed.contains(serial)))
}

/// What the complete CRL of a group lists now.
async fn listed(mount: &Mount, group: &Group) -> Result<HashSet<Vec<u8>>, Error> {
    let key = CrlBook::complete_key(&group.crl_id);
    let present = mount.load::<CrlBytes>(&key).await?;
    let listed = present.map(|bytes| serials(&bytes)).transpose()?;
    Ok(listed.unwrap_or_default())
}

fn encoded<'a>(revoked: impl Iterator<Item = &'a Listed>) -> RevokedEntries {
    let mut entries = RevokedEntries::new();
    for (serial, time, reason) in revoked {
        entries.push_because(&SerialNumber::from_bytes(serial), *time, *reason);
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

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_storage_is_told_with_a_way_on() {
        let refused = |text: &str| {
            let error = Error::Storage(StorageError::from_host(text.to_owned()));
            stored_no_more(error, 1_950_153).to_string()
        };
        let told =
            refused("put failed due to value being too large; got 86 bytes, max 1048576 bytes");
        assert!(told.contains("a CRL of 1950153 bytes"), "{told}");
        assert!(told.contains("on record: raise max_entry_size"), "{told}");
        assert_eq!(
            refused("no space left on device"),
            "no space left on device"
        );
    }
}
