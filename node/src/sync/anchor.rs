//! The certificates of a trust anchor: what differs, and who would be cut off.
//!
//! Source: IAM Roles Anywhere user guide, "Trust model"; the order of a
//! rotation is old, then old and new, then new.

use jiff::Timestamp;
use landfast_pki::{Certificate, Crl};
use landfast_rolesanywhere::trust;

/// Two bundles, compared as sets: their order means nothing to AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In both.
    pub kept: Vec<Certificate>,
    /// Wanted, and not there.
    pub added: Vec<Certificate>,
    /// There, and not wanted.
    pub removed: Vec<Certificate>,
}

impl Difference {
    /// What it takes to turn `held` into `wanted`.
    pub fn of(held: &[Certificate], wanted: &[Certificate]) -> Self {
        let without = |list: &[Certificate], others: &[Certificate]| -> Vec<Certificate> {
            let rest = list.iter().filter(|one| !others.contains(one));
            rest.cloned().collect()
        };
        Self {
            kept: held
                .iter()
                .filter(|one| wanted.contains(one))
                .cloned()
                .collect(),
            added: without(wanted, held),
            removed: without(held, wanted),
        }
    }

    /// Whether there is nothing to change.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Both bundles, and what clients send between them and their leaf.
#[derive(Clone, Copy, Debug)]
pub struct Bundles<'a> {
    /// What AWS holds.
    pub held: &'a [Certificate],
    /// What it is to hold.
    pub wanted: &'a [Certificate],
    /// Intermediates that clients send; none for EKS hybrid nodes.
    pub chain: &'a [Certificate],
}

impl Bundles<'_> {
    /// Whether a leaf has a path to what AWS holds, and none to what it is to
    /// hold. A CA that was only renewed, with its key, cuts nobody off.
    pub fn cut_off(&self, leaf: &Certificate, now: Timestamp) -> bool {
        trust::path(leaf, self.chain, self.held, now).is_ok() && !self.stays_good(leaf, now)
    }

    /// Whether a leaf has a path to what AWS is to hold.
    pub fn stays_good(&self, leaf: &Certificate, now: Timestamp) -> bool {
        trust::path(leaf, self.chain, self.wanted, now).is_ok()
    }

    /// Whether one of AWS's CRLs lists the leaf: AWS refuses it already.
    pub fn is_revoked(&self, leaf: &Certificate, crls: &[Crl]) -> bool {
        let cas = || self.held.iter().chain(self.chain);
        crls.iter().any(|crl| {
            crl.issuer() == leaf.issuer()
                && crl.find(leaf.serial()).is_some()
                && cas().any(|ca| {
                    ca.subject() == crl.issuer()
                        && crl.verify_signed_by(ca.public_key()).is_ok()
                        && leaf.verify_signed_by(ca.public_key()).is_ok()
                })
        })
    }
}

/// Why AWS is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bundle breaks a rule for trust anchors.
    #[error("{rule}: {problem}")]
    Bundle {
        /// The rule.
        rule: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Leaves that are good now would be refused.
    #[error(
        "{count} unexpired and unrevoked certificates were issued by what would be removed, the last of them until {until:.0}; \
         {waiting}. Let nodes renew first (--also keeps the old CA meanwhile), revoke what was replaced, or say --strand-leaves"
    )]
    Strands {
        /// How many.
        count: usize,
        /// When the last of them ends.
        until: Timestamp,
        /// Which nodes have nothing newer, in words.
        waiting: String,
    },
    /// It is not known which leaves there are.
    #[error(
        "whether nodes still hold certificates of what would be removed cannot be told: {0}; \
         mend that, or say --strand-leaves"
    )]
    Unknown(String),
    /// The caller would cut off itself.
    #[error(
        "this machine's own certificate ({0}) was issued by what would be removed: renew it first"
    )]
    OwnLeaf(String),
}

impl Refusal {
    /// The refusal over these leaves, if there are any. `renewed` are the leaves
    /// that stay good.
    pub fn over(stranded: &[&Certificate], renewed: &[&Certificate]) -> Option<Self> {
        let until = stranded.iter().map(|leaf| leaf.not_after()).max()?;
        let mut names: Vec<String> = stranded
            .iter()
            .filter(|leaf| {
                !renewed
                    .iter()
                    .any(|other| other.subject() == leaf.subject())
            })
            .map(|leaf| {
                let name = leaf.subject().common_name();
                name.unwrap_or_else(|| "one without a name".to_owned())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let waiting = if names.is_empty() {
            "every node has a certificate of another issuer already".to_owned()
        } else {
            let more = if names.len() > 3 { ", …" } else { "" };
            let count = names.len();
            names.truncate(3);
            format!(
                "{count} nodes have no other yet ({}{more})",
                names.join(", ")
            )
        };
        Some(Self::Strands {
            count: stranded.len(),
            until,
            waiting,
        })
    }

    /// Whether `--strand-leaves` takes it away.
    pub const fn is_about_leaves(&self) -> bool {
        matches!(self, Self::Strands { .. } | Self::Unknown(_))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn data(name: &str) -> Vec<u8> {
        std::fs::read(Path::new("tests/data").join(name)).unwrap()
    }

    fn read(name: &str) -> Certificate {
        Certificate::from_pem(&data(name)).unwrap()
    }

    fn now() -> Timestamp {
        "2026-09-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_order_of_a_bundle_means_nothing() {
        let (a, b, c) = (
            read("pki/rsa-root.crt"),
            read("pki/rsa-int.crt"),
            read("pki/ec-root.crt"),
        );
        let both = [a.clone(), b.clone()];
        assert!(Difference::of(&both, &[b.clone(), a.clone()]).is_empty());
        let changed = Difference::of(&both, &[c.clone(), b.clone()]);
        assert_eq!((changed.kept, changed.added), (vec![b], vec![c]));
        assert_eq!(changed.removed, [a]);
    }

    #[test]
    fn who_would_be_cut_off() {
        let leaf = read("pki/rsa-leaf.crt");
        let (int, root) = (read("pki/rsa-int.crt"), read("pki/rsa-root.crt"));
        let next = [read("pki/rsa-root-next.crt")];
        let (held, wanted) = ([int.clone()], [int, next[0].clone()]);
        let cut_off = |held, wanted, chain| {
            let bundles = Bundles {
                held,
                wanted,
                chain,
            };
            bundles.cut_off(&leaf, now())
        };
        // Step 1 of a rotation cuts nobody off, step 3 whoever did not renew.
        assert!(!cut_off(&held, &wanted, &[]));
        assert!(cut_off(&wanted, &next, &[]));
        // The root does for those who send their chain, and for no others.
        let roots = [root];
        assert!(cut_off(&held, &roots, &[]));
        assert!(!cut_off(&held, &roots, &held));
        // Who has no path today loses nothing.
        assert!(!cut_off(&next, &roots, &[]));
    }

    #[test]
    fn a_revoked_leaf_does_not_count_unless_its_own_issuer_says_so() {
        let leaf = read("pki/rsa-leaf.crt");
        let held = [read("pki/rsa-int.crt")];
        let bundles = Bundles {
            held: &held,
            wanted: &[],
            chain: &[],
        };
        let crl = |name: &str| Crl::from_pem(&data(name)).unwrap();
        let listed = [crl("crl/rsa-int-revokes-leaf.crl.pem")];
        assert!(bundles.is_revoked(&leaf, &listed));
        assert!(!bundles.is_revoked(&leaf, &[crl("crl/rsa-int-empty.crl.pem")]));
        let stranger = [read("pki/ec-int.crt")];
        let other = Bundles {
            held: &stranger,
            ..bundles
        };
        assert!(!other.is_revoked(&leaf, &listed));
    }

    #[test]
    fn a_refusal_counts_leaves_and_names_who_waits() {
        let leaf = read("pki/rsa-leaf.crt");
        assert_eq!(Refusal::over(&[], &[&leaf]), None);
        let refusal = Refusal::over(&[&leaf, &leaf], &[]).unwrap();
        assert!(refusal.is_about_leaves());
        let text = refusal.to_string();
        assert!(text.starts_with("2 unexpired"), "{text}");
        assert!(
            text.contains("1 nodes have no other yet (hybrid-node-01.example.internal)"),
            "{text}"
        );
        let text = Refusal::over(&[&leaf], &[&leaf]).unwrap().to_string();
        assert!(text.contains("every node has a certificate"), "{text}");
    }
}
