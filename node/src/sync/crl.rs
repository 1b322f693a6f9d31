//! Revocation lists of a trust anchor: which of them AWS lacks, and which may
//! go there.
//!
//! AWS holds two lists for an anchor, as it holds two certificates. A list is
//! replaced under its id; none is ever deleted here.

use jiff::Timestamp;
use landfast_base::limits::{ANCHOR_CRLS, CRL_OCTETS};
use landfast_pki::{Certificate, Crl};

/// A list that AWS holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its id, which stays.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it takes part.
    pub enabled: bool,
    /// The list; none where it cannot be read.
    pub list: Option<Crl>,
}

/// What is to be done about the list of one certificate of the anchor.
#[derive(Clone, Debug)]
pub struct Item {
    /// The certificate that signs the list.
    pub issuer: Certificate,
    /// The list that AWS is to hold; none where nobody knows one.
    pub list: Option<Crl>,
    /// The step.
    pub step: Step,
    /// Why it may not be done.
    pub refusals: Vec<Refusal>,
}

/// A step towards agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// AWS holds this very list.
    Keep,
    /// There is no list to send.
    Unknown,
    /// A new list.
    Import,
    /// The list under this id is replaced.
    Update {
        /// The id.
        id: String,
        /// Whether it must be enabled, too.
        enable: bool,
    },
    /// The list is there and switched off.
    Enable {
        /// The id.
        id: String,
    },
}

impl Step {
    /// Whether there is something to do.
    pub const fn changes(&self) -> bool {
        !matches!(self, Self::Keep | Self::Unknown)
    }

    /// The step in a word.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Unknown => "unknown",
            Self::Import => "import",
            Self::Update { .. } => "update",
            Self::Enable { .. } => "enable",
        }
    }
}

/// Why a list does not go to AWS (rule CR-01).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than AWS takes.
    #[error(
        "CR-01: {0} octets of PEM are more than the {CRL_OCTETS} that AWS takes: tidy expired entries away, and issue shorter lives"
    )]
    Size(usize),
    /// A list of changes.
    #[error("CR-01: a delta CRL; AWS takes complete lists")]
    Delta,
    /// Over.
    #[error("CR-01: its nextUpdate ({0:.0}) has passed: let the engine make it anew (crl/rotate)")]
    Ended(Timestamp),
    /// AWS holds a later one.
    #[error(
        "AWS holds number {held} and this is number {ours}: a server that was restored forgets revocations; say --allow-older if it is right"
    )]
    Older {
        /// The number that AWS holds.
        held: u64,
        /// The number of this list.
        ours: u64,
    },
    /// Two lists are there already, of CAs that are still in the anchor.
    #[error(
        "the trust anchor has two CRLs already, and both are needed: delete one that is there twice"
    )]
    Full,
}

/// Whether `ca` made this list: name and signature.
pub fn made_by(list: &Crl, ca: &Certificate) -> bool {
    list.issuer() == ca.subject() && list.verify_signed_by(ca.public_key()).is_ok()
}

/// One item for each certificate of the anchor, in its order. `ours` are the
/// lists at hand; of several by one issuer the one with the highest number
/// counts.
///
/// A list that AWS holds and whose issuer has left the anchor is replaced
/// before a new one is imported.
pub fn plan(
    anchor: &[Certificate],
    held: &[Held],
    ours: &[Crl],
    allow_older: bool,
    now: Timestamp,
) -> Vec<Item> {
    let by = |one: &Held, ca: &Certificate| one.list.as_ref().is_some_and(|list| made_by(list, ca));
    let mut spare: Vec<&Held> = held
        .iter()
        .filter(|one| !anchor.iter().any(|ca| by(one, ca)))
        .collect();
    let mut room = ANCHOR_CRLS.saturating_sub(held.len());
    anchor
        .iter()
        .map(|ca| {
            let list = ours
                .iter()
                .filter(|list| made_by(list, ca))
                .max_by_key(|list| list.number());
            let there: Vec<&Held> = held.iter().filter(|one| by(one, ca)).collect();
            let (step, mut refusals) = match list {
                None => (Step::Unknown, Vec::new()),
                Some(list) => step(list, &there, &mut spare, &mut room, allow_older),
            };
            // What is there already is as old as it is.
            if let Some(list) = list {
                refusals.extend(check(list, now));
            }
            Item {
                issuer: ca.clone(),
                list: list.cloned(),
                step,
                refusals,
            }
        })
        .collect()
}

fn step(
    list: &Crl,
    there: &[&Held],
    spare: &mut Vec<&Held>,
    room: &mut usize,
    allow_older: bool,
) -> (Step, Vec<Refusal>) {
    let same = |one: &&&Held| {
        let held = one.list.as_ref();
        held.is_some_and(|held| held.der() == list.der())
    };
    if let Some(one) = there.iter().find(same) {
        let step = if one.enabled {
            Step::Keep
        } else {
            Step::Enable { id: one.id.clone() }
        };
        return (step, Vec::new());
    }
    let mut refusals = Vec::new();
    if let Some(one) = there.first() {
        let number = one.list.as_ref().and_then(Crl::number);
        if let (Some(held), Some(ours)) = (number, list.number())
            && held > ours
            && !allow_older
        {
            refusals.push(Refusal::Older { held, ours });
        }
        return (update(one), refusals);
    }
    if !spare.is_empty() {
        return (update(spare.remove(0)), refusals);
    }
    if *room == 0 {
        refusals.push(Refusal::Full);
    }
    *room = room.saturating_sub(1);
    (Step::Import, refusals)
}

fn update(one: &Held) -> Step {
    Step::Update {
        id: one.id.clone(),
        enable: !one.enabled,
    }
}

/// What CR-01 says of a list by itself.
fn check(list: &Crl, now: Timestamp) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let octets = list.pem().len();
    if octets > CRL_OCTETS {
        refusals.push(Refusal::Size(octets));
    }
    if list.is_delta() {
        refusals.push(Refusal::Delta);
    }
    if let Some(end) = list.next_update().filter(|end| *end < now) {
        refusals.push(Refusal::Ended(end));
    }
    refusals
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn data(name: &str) -> Vec<u8> {
        std::fs::read(Path::new("tests/data").join(name)).unwrap()
    }

    fn crl(name: &str) -> Crl {
        Crl::from_pem(&data(&format!("crl/{name}.crl.pem"))).unwrap()
    }

    fn ca(name: &str) -> Certificate {
        Certificate::from_pem(&data(&format!("pki/{name}.crt"))).unwrap()
    }

    fn held(id: &str, list: &str, enabled: bool) -> Held {
        Held {
            id: id.into(),
            name: id.into(),
            enabled,
            list: Some(crl(list)),
        }
    }

    fn steps(anchor: &[Certificate], held: &[Held], ours: &[Crl]) -> Vec<Step> {
        let now = crl("rsa-int-empty").this_update();
        let items = plan(anchor, held, ours, true, now);
        items.into_iter().map(|item| item.step).collect()
    }

    #[test]
    fn each_certificate_of_the_anchor_gets_its_own_list() {
        let anchor = [ca("rsa-int"), ca("rsa-root"), ca("ec-int")];
        let ours = [crl("rsa-root-empty"), crl("rsa-int-revokes-leaf")];
        let update = |id: &str, enable| Step::Update {
            id: id.into(),
            enable,
        };
        assert_eq!(
            steps(&anchor, &[], &ours),
            [Step::Import, Step::Import, Step::Unknown]
        );
        assert_eq!(
            steps(&anchor, &[held("a", "rsa-int-empty", false)], &ours),
            [update("a", true), Step::Import, Step::Unknown]
        );
        assert_eq!(
            steps(
                &anchor,
                &[
                    held("a", "rsa-int-revokes-leaf", true),
                    held("b", "rsa-root-empty", false)
                ],
                &ours
            ),
            [Step::Keep, Step::Enable { id: "b".into() }, Step::Unknown]
        );
        // The list of a CA that left makes room for that of the one that came.
        assert_eq!(
            steps(&anchor[1..2], &[held("old", "rsa-int-empty", true)], &ours),
            [update("old", false)]
        );
    }

    #[test]
    fn a_third_list_is_refused() {
        let now = crl("rsa-int-empty").this_update();
        let anchor = [ca("rsa-int"), ca("rsa-root")];
        let twice = [
            held("a", "rsa-int-empty", true),
            held("b", "rsa-int-empty", true),
        ];
        let items = plan(&anchor, &twice, &[crl("rsa-root-empty")], false, now);
        assert_eq!(items[1].step, Step::Import);
        assert_eq!(items[1].refusals, [Refusal::Full]);
    }

    #[test]
    fn a_list_that_is_over_or_older_stays_here() {
        let anchor = [ca("rsa-int")];
        let (older, newer) = (crl("rsa-int-empty"), crl("rsa-int-revokes-leaf"));
        let now = newer.this_update();
        let there = [held("a", "rsa-int-revokes-leaf", true)];
        let ours = std::slice::from_ref(&older);
        let refused = |allow| plan(&anchor, &there, ours, allow, now).remove(0);
        assert_eq!(
            refused(false).refusals,
            [Refusal::Older { held: 7, ours: 6 }]
        );
        assert!(refused(true).refusals.is_empty());
        let ended = crl("rsa-int-expired");
        let later = ended.next_update().unwrap() + jiff::SignedDuration::from_secs(1);
        let item = plan(&anchor, &[], &[ended], false, later).remove(0);
        assert!(matches!(item.refusals[..], [Refusal::Ended(_)]));
    }

    #[test]
    fn a_list_of_the_same_name_and_another_key_is_nobodys() {
        let stranger = [ca("rsa-other-root")];
        assert_eq!(
            steps(&stranger, &[], &[crl("rsa-root-empty")]),
            [Step::Unknown]
        );
    }
}
