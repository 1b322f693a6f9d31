//! Issuers that share a CRL, and what each such CRL has to list.

use std::collections::HashMap;
use std::sync::Arc;

use landfast_pki::{Certificate, SerialNumber};
use landfast_sdk::logical::Error;

use super::revocations::{Listed, Revocations};
use crate::authority::new_id;
use crate::entry::crl::CrlBook;
use crate::entry::issuer::Usage;
use crate::issuers::{Issuers, LoadedIssuer};
use crate::keys::{Keys, LoadedKey};

/// So many revocations keep a thread for milliseconds.
pub(super) const MANY: usize = 2_000;

/// Issuers that share key and subject, and so a CRL.
pub(super) struct Group {
    pub(super) crl_id: String,
    pub(super) members: Vec<Arc<LoadedIssuer>>,
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

/// The issuers that have a key, by key and subject, each group with the id of its CRL.
pub(super) fn grouped(issuers: &Issuers, book: &CrlBook) -> Result<Vec<Group>, Error> {
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

/// Whose list each revocation belongs on.
pub(super) struct Places<'a> {
    issuers: &'a Issuers,
    revoked: &'a Revocations,
    /// By the place of an issuer's id among those of the revocations; none where the mount has no such issuer with a key.
    by_issuer: Vec<Option<usize>>,
    /// Of certificates that tell their issuer themselves. Without one they are on no list.
    strays: HashMap<&'a SerialNumber, Option<usize>>,
    /// By the id of an issuer.
    groups: HashMap<&'a str, usize>,
    default: Option<usize>,
}

impl<'a> Places<'a> {
    /// Of these revocations on the lists of these groups; one whose issuer is not known goes to the default issuer's.
    pub(super) fn new(
        groups: &'a [Group],
        issuers: &'a Issuers,
        default: &str,
        revoked: &'a Revocations,
    ) -> Self {
        let members = groups.iter().enumerate().flat_map(|(place, group)| {
            let ids = group.members.iter().map(|member| member.id());
            ids.map(move |id| (id, place))
        });
        let groups: HashMap<_, _> = members.collect();
        let place = |id: &str| groups.get(id).copied();
        let by_issuer: Vec<_> = revoked.issuers().iter().map(|id| place(id)).collect();
        let default = place(default);
        let strays = revoked.strays().filter_map(|(serial, der)| {
            let own = Certificate::from_der(der).ok()?;
            match issuers.parent_of(&own) {
                Some(parent) => Some((serial, place(parent.id()))),
                // A self-signed issuer never lists itself.
                None if issuers.holding(&own).is_some() => Some((serial, None)),
                None => Some((serial, default)),
            }
        });
        Self {
            strays: strays.collect(),
            issuers,
            revoked,
            by_issuer,
            groups,
            default,
        }
    }

    /// Shows each revocation, with the number of its group.
    pub(super) fn each(&self, mut show: impl FnMut(usize, Listed<'a>)) {
        let rows = self.revoked.iter();
        for (issuer, listed) in rows {
            let known = self.by_issuer.get(issuer).copied().flatten();
            let place = if self.strays.is_empty() {
                known.or(self.default)
            } else {
                let stray = self.strays.get(&SerialNumber::from_bytes(listed.0));
                match (stray, known) {
                    (Some(None), _) => None,
                    (_, Some(known)) => Some(known),
                    (Some(found), None) => *found,
                    (None, None) => self.default,
                }
            };
            if let Some(place) = place {
                show(place, listed);
            }
        }
        // The built-in engine keeps no record of a revoked issuer that was imported but what the issuer itself says.
        for issuer in self.issuers.iter().filter(|issuer| issuer.entry.revoked) {
            let serial = issuer.certificate.serial();
            if self.revoked.contains(serial) {
                continue;
            }
            let parent = self.issuers.parent_of(&issuer.certificate);
            if let Some(place) = parent.and_then(|parent| self.groups.get(parent.id())) {
                show(*place, (serial.as_bytes(), issuer.entry.revoked_at(), None));
            }
        }
    }
}
