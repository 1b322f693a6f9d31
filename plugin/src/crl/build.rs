//! One build of CRLs: who signs which list, and in which order it is stored.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::SignatureAlgorithm;
use landfast_pki::crl::{Crl, CrlTemplate, RevokedEntries};
use landfast_sdk::logical::{Error, StorageError, Write};

use super::bodies::FOLDER;
use super::figures::Figures;
use super::groups::{Group, MANY, Places, grouped, unusable};
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
    let issuers = issuers::all(mount).await?;
    let groups = grouped(&issuers, &before)?;
    let (lists, generation) =
        lists(mount, config, scope, &before, &groups, &issuers, &pending).await?;
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
    };
    for (id, why) in issuers.unreadable() {
        build.warn(&format!(
            "issuer [id:{id}] can not be used by this plugin ({why}), so its CRL stays as it is; delete the issuer, or leave the mount to the built-in engine"
        ));
    }
    for (group, list) in groups.iter().zip(lists) {
        build.group(group, list).await;
    }
    let complete = build.complete();
    let writes = build.writes(pending);
    let Build {
        warnings,
        failure,
        book,
        figures,
        ..
    } = build;
    let longest = writes.iter().map(Write::octets).max().unwrap_or_default();
    let changes = mount.crl.changes.load(Ordering::Acquire);
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
    // Whoever asks for a new CRL need not wait for storage. Only who holds the lock of builds writes CRLs, but for another node.
    let ticket = mount.ticket();
    if mount.crl.changes.load(Ordering::Acquire) == changes {
        for (key, der) in complete {
            mount.keep(ticket, &key, &Arc::new(der));
        }
    }
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
    /// Serial numbers on the new complete CRLs that the [write-ahead list](wal) waits for.
    covered: HashSet<Vec<u8>>,
}

/// What is to be listed for a group.
#[derive(Default)]
struct List {
    /// On the CRL that is to be built: the complete one, or the delta CRL if only that is.
    entries: RevokedEntries,
    /// Of them, what the [write-ahead list](wal) waits for.
    awaited: Vec<Vec<u8>>,
    /// Nothing is to be built.
    skip: bool,
}

/// What is to be listed for each group, and the generation of the revocations.
async fn lists(
    mount: &Mount,
    config: &CrlConfig,
    scope: Scope,
    book: &CrlBook,
    groups: &[Group],
    issuers: &Issuers,
    pending: &wal::Pending,
) -> Result<(Vec<List>, u64), Error> {
    let (revoked, generation) = index::all(mount, &mount.crl.index).await?;
    let mut lists: Vec<List> = groups.iter().map(|_| List::default()).collect();
    if config.disable {
        return Ok((lists, generation));
    }
    let default = issuers::config(mount).await?.default.clone();
    let many = revoked.len() >= MANY;
    let place = || Places::new(groups, issuers, &default, &revoked);
    let places = mount.heavy.run_if(many, place).await;
    if scope == Scope::Behind {
        let behind = behind(mount, config, book, groups, &places).await?;
        for (list, behind) in lists.iter_mut().zip(behind) {
            list.skip = !behind;
        }
    }
    let mut old = Vec::new();
    if scope == Scope::Delta {
        for group in groups {
            old.push(listed(mount, group).await?);
        }
    }
    let awaited = match scope {
        Scope::Delta => HashSet::new(),
        _ => pending.serials(),
    };
    if many && scope != Scope::Delta {
        // Whoever asks for the present CRLs meanwhile has them read again: large ones are not held beside the new ones.
        mount.release(FOLDER);
        for group in groups {
            mount.release(&CrlBook::complete_key(&group.crl_id));
        }
    }
    let fill = || {
        let mut counts = vec![0; groups.len()];
        places.each(|group, _| counts[group] += 1);
        for (list, count) in lists.iter_mut().zip(counts) {
            if !list.skip && scope != Scope::Delta {
                list.entries = RevokedEntries::with_capacity(count);
            }
        }
        places.each(|group, (serial, time, reason)| {
            let list = &mut lists[group];
            let is_old = old.get(group).is_some_and(|old| old.contains(serial));
            if list.skip || is_old {
                return;
            }
            list.entries.push_octets(serial, time, reason);
            if awaited.contains(serial) {
                list.awaited.push(serial.to_vec());
            }
        });
    };
    mount.heavy.run_if(many, fill).await;
    Ok((lists, generation))
}

impl Build<'_> {
    /// Has the CRLs of a group signed, if that is to be and can be.
    async fn group(&mut self, group: &Group, list: List) {
        let signer = match group.signer(self.keys) {
            Ok(signer) => signer,
            Err(why) => return self.warn(&why),
        };
        if list.skip {
            return;
        }
        let Some((key, algorithm)) = self.key(signer).await else {
            return;
        };
        let next_update = later(self.now, length(&self.config.expiry));
        let mut template = CrlTemplate {
            freshest: freshest(self.mount, signer).await,
            ..template(signer, key.public_key(), self.now, next_update)
        };
        let mut complete = None;
        let mut fresh = list.entries;
        if self.scope != Scope::Delta {
            // Nothing that was revoked is newer than the complete CRL.
            let entries = std::mem::take(&mut fresh);
            template.number = next_number(&mut self.book, &group.crl_id);
            let (begun, count) = (Instant::now(), entries.len());
            let prepare = || template.prepare(entries, algorithm);
            let prepared = self.mount.heavy.run_if(count >= MANY, prepare).await;
            match key.sign(self.mount, prepared).await {
                Ok(signed) => {
                    let figures = Figures::of(&signed, count, Some(begun.elapsed()));
                    complete = Some((template.number, signed, figures));
                }
                Err(error) => return self.note(error),
            }
        }
        let base = complete.as_ref().map(|(number, ..)| *number);
        let last = self.book.last_complete_number_map.get(&group.crl_id);
        template.delta_base = Some(base.or_else(|| last.copied()).unwrap_or(1));
        template.number = next_number(&mut self.book, &group.crl_id);
        let (begun, count) = (Instant::now(), fresh.len());
        let prepared = template.prepare(fresh, algorithm);
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
            self.put(CrlBook::complete_key(id), complete, figures);
        }
        match delta {
            Ok(delta) => {
                let figures = Figures::of(&delta, count, Some(begun.elapsed()));
                self.put(CrlBook::delta_key(&group.crl_id), delta, figures);
            }
            Err(error) => self.note(error),
        }
        self.covered.extend(list.awaited);
    }

    /// Has a CRL written and told of.
    fn put(&mut self, key: String, crl: Crl, figures: Figures) {
        self.crls.push(Write::put(key.clone(), crl.into_der()));
        self.figures.push((key, figures));
    }

    /// The new CRLs.
    fn complete(&self) -> Vec<(String, CrlBytes)> {
        let crls = self.crls.iter().filter_map(|write| match write {
            Write::Put { key, value } => Some((key.clone(), CrlBytes(value.clone()))),
            Write::Delete { .. } => None,
        });
        crls.collect()
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

/// How long before its end a complete CRL is built anew.
pub(super) fn lead(config: &CrlConfig) -> SignedDuration {
    let grace = length(&config.auto_rebuild_grace_period);
    // The grace period binds nobody who rebuilds at once, and may then be longer than a CRL's life.
    if config.auto_rebuild {
        grace
    } else {
        grace.min(length(&config.expiry) / 3)
    }
}

/// Whether the complete CRL of a group is missing, or runs out within `lead`.
pub(super) fn runs_out(mount: &Mount, book: &CrlBook, group: &Group, lead: SignedDuration) -> bool {
    let end = book.crl_expiration_map.get(&group.crl_id);
    end.is_none_or(|end| end.0.duration_since(mount.now()) <= lead)
}

/// Of which groups the complete CRL is missing, about to run out, or lacks a revocation that belonged on it at once.
pub(super) async fn behind(
    mount: &Mount,
    config: &CrlConfig,
    book: &CrlBook,
    groups: &[Group],
    places: &Places<'_>,
) -> Result<Vec<bool>, Error> {
    let lead = lead(config);
    let ends = groups.iter();
    let mut behind: Vec<_> = ends
        .map(|group| runs_out(mount, book, group, lead))
        .collect();
    if config.auto_rebuild {
        return Ok(behind);
    }
    let mut any = vec![false; groups.len()];
    places.each(|group, _| any[group] = true);
    let mut old = Vec::new();
    for ((group, any), behind) in groups.iter().zip(any).zip(&behind) {
        old.push(match any && !behind {
            true => Some(listed(mount, group).await?),
            false => None,
        });
    }
    places.each(|group, (serial, ..)| {
        let lacks = |old: &HashSet<Vec<u8>>| !old.contains(serial);
        behind[group] |= old[group].as_ref().is_some_and(lacks);
    });
    Ok(behind)
}

/// What the complete CRL of a group lists now.
async fn listed(mount: &Mount, group: &Group) -> Result<HashSet<Vec<u8>>, Error> {
    let key = CrlBook::complete_key(&group.crl_id);
    let present = mount.load::<CrlBytes>(&key).await?;
    let listed = present.map(|bytes| serials(&bytes)).transpose()?;
    Ok(listed.unwrap_or_default())
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
