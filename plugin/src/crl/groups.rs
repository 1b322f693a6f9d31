//! Issuers that share a CRL, and what each such CRL has to list.

use std::sync::Arc;

use jiff::Timestamp;
use landfast_pki::{Certificate, Reason};
use landfast_sdk::logical::Error;

use super::index;
use super::state::Revocations;
use crate::authority::new_id;
use crate::entry::crl::CrlBook;
use crate::entry::issuer::Usage;
use crate::issuers::{self, Issuers, LoadedIssuer};
use crate::keys::{Keys, LoadedKey};
use crate::mount::Mount;

/// So many revocations keep a thread for milliseconds.
pub(super) const MANY: usize = 2_000;

/// A certificate on a CRL: its serial number, since when it is revoked, and why.
pub(super) type Listed = (Vec<u8>, Timestamp, Option<Reason>);

/// Issuers that share key and subject, and so a CRL.
pub(super) struct Group {
    pub(super) crl_id: String,
    pub(super) members: Vec<Arc<LoadedIssuer>>,
    pub(super) revoked: Vec<Listed>,
}

impl Group {
    /// The member that signs, if any may and its key can be used here.
    pub(super) fn signer(&self, keys: &Keys) -> Result<&Arc<LoadedIssuer>, String> {
        let ids = || {
            self.members
                .iter()
                .map(|member| member.id())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let allowed = self
            .members
            .iter()
            .find(|member| member.entry.usage.allows(Usage::CRL_SIGNING));
        let signer = allowed.ok_or_else(|| {
            format!(
                "Issuer equivalency set with associated keys lacked an issuer with CRL Signing KeyUsage; refusing to rebuild CRL for this group of issuers: {}",
                ids()
            )
        })?;
        let Some(key) = keys.find(&signer.entry.key_id) else {
            return Err(format!(
                "the key {} of these issuers is not here, and their CRL stays as it is: {}",
                signer.entry.key_id,
                ids()
            ));
        };
        match key.obstacle() {
            Some(why) => Err(unusable(signer, key, why)),
            None => Ok(signer),
        }
    }
}

/// What is said of an issuer whose key cannot sign its CRL, and how to end it.
pub(super) fn unusable(signer: &LoadedIssuer, key: &LoadedKey, why: &str) -> String {
    format!(
        "key [{}] can not be used by this plugin ({why}), so the CRL of issuer [{}] stays as it is; replace this CA, or take crl-signing out of the usage of the issuer, or leave the mount to the built-in engine",
        key.label(),
        signer.label()
    )
}

/// The groups with what each has to list, nothing where `empty` says so, and the generation of the revocations.
pub(super) async fn groups(
    mount: &Mount,
    book: &CrlBook,
    empty: bool,
) -> Result<(Vec<Group>, u64), Error> {
    let issuers = issuers::all(mount).await?;
    let mut groups = grouped(&issuers, book)?;
    let (revoked, generation) = index::all(mount, &mount.crl.index).await?;
    if !empty {
        let default = issuers::config(mount).await?.default.clone();
        let assign = || assign(&mut groups, &issuers, &default, &revoked);
        mount.heavy.run_if(revoked.len() >= MANY, assign).await;
    }
    Ok((groups, generation))
}

/// The issuers that have a key, by key and subject, each group with the id of its CRL.
fn grouped(issuers: &Issuers, book: &CrlBook) -> Result<Vec<Group>, Error> {
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
            None => {
                groups.push(Group {
                    crl_id: String::new(),
                    members: vec![Arc::clone(issuer)],
                    revoked: Vec::new(),
                });
            }
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
fn assign(groups: &mut [Group], issuers: &Issuers, default: &str, revoked: &Revocations) {
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
            group
                .revoked
                .push((serial.clone(), entry.time, entry.reason));
        }
    }
    // The built-in engine keeps no record of a revoked issuer that was imported but what the issuer itself says.
    for issuer in issuers.iter().filter(|issuer| issuer.entry.revoked) {
        let serial = issuer.certificate.serial().as_bytes();
        if revoked.contains_key(serial) {
            continue;
        }
        let parent = issuers.parent_of(&issuer.certificate);
        let group = parent.and_then(|parent| {
            groups
                .iter_mut()
                .find(|group| group.members.iter().any(|one| one.id() == parent.id()))
        });
        if let Some(group) = group {
            let time = issuer.entry.revoked_at();
            group.revoked.push((serial.to_vec(), time, None));
        }
    }
}
