//! The revocations of a mount as far as CRLs need them, kept small: there may be hundreds of thousands.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use landfast_pki::{Reason, SerialNumber};

use crate::entry::revoked::RevokedEntry;

/// Revocations by serial number.
#[derive(Clone, Debug, Default)]
pub(super) struct Revocations {
    /// In order.
    rows: Vec<Row>,
    /// What came since `rows` was made, in order: a place among so few is made at little cost.
    recent: Vec<Row>,
    /// Of serial numbers that are longer than RFC 5280 wants them.
    long: BTreeMap<Vec<u8>, Details>,
    /// The ids that rows name by their place.
    issuers: Vec<String>,
    places: HashMap<String, u32>,
    /// Certificates in DER, only while their issuer is not known.
    strays: HashMap<SerialNumber, Vec<u8>>,
}

/// Revocations while they are read, in any order.
#[derive(Debug, Default)]
pub(super) struct Gathered(Revocations);

/// A revocation, in 32 octets.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// The serial number, of at most 20 octets (RFC 5280 section 4.1.2.2), and zeros.
    serial: [u8; 20],
    length: u8,
    details: Details,
}

/// What a CRL says of it.
#[derive(Clone, Copy, Debug)]
struct Details {
    reason: Option<Reason>,
    /// Seconds since 1970, as finely as CRLs say it, without the two upper octets.
    time: [u8; 6],
    /// The place of the issuer's id.
    issuer: [u8; 4],
}

/// What a CRL says of a certificate: its serial number, since when it is revoked, and why if that is on record.
pub(super) type Listed<'a> = (&'a [u8], Timestamp, Option<Reason>);

/// So many recent ones are always kept apart.
const FEW: usize = 256;
/// And this part of all.
const PART: usize = 16;

impl Revocations {
    /// Adds one, or changes it; its certificate is kept unless its issuer is `known`.
    pub(super) fn insert(&mut self, serial: &SerialNumber, entry: &RevokedEntry, known: bool) {
        let details = self.details(entry);
        if known {
            self.strays.remove(serial);
        } else {
            let der = entry.certificate_bytes.clone();
            self.strays.insert(serial.clone(), der);
        }
        let Some(row) = Row::new(serial, details) else {
            self.long.insert(serial.as_bytes().to_vec(), details);
            return;
        };
        if let Ok(at) = place(&self.rows, row.octets()) {
            self.rows[at] = row;
            return;
        }
        match place(&self.recent, row.octets()) {
            Ok(at) => self.recent[at] = row,
            Err(at) => self.recent.insert(at, row),
        }
        if self.recent.len() > FEW.max(self.rows.len() / PART) {
            self.merge();
        }
    }

    /// Takes some out.
    pub(super) fn remove(&mut self, gone: &[SerialNumber]) {
        let mut short: Vec<&[u8]> = gone.iter().map(SerialNumber::as_bytes).collect();
        short.sort_unstable();
        let stays = |row: &Row| short.binary_search(&row.octets()).is_err();
        self.rows.retain(stays);
        self.recent.retain(stays);
        for serial in gone {
            self.long.remove(serial.as_bytes());
            self.strays.remove(serial);
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len() + self.recent.len() + self.long.len()
    }

    /// Whether this one is revoked.
    pub(super) fn contains(&self, serial: &SerialNumber) -> bool {
        let octets = serial.as_bytes();
        place(&self.rows, octets).is_ok()
            || place(&self.recent, octets).is_ok()
            || self.long.contains_key(octets)
    }

    /// The ids of issuers that [`iter`](Self::iter) names by their place.
    pub(super) fn issuers(&self) -> &[String] {
        &self.issuers
    }

    /// All of them in the order of their serial numbers, each with the place of its issuer's id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Listed<'_>)> {
        let short = merged(row_listed(&self.rows), row_listed(&self.recent));
        let long = self.long.iter();
        merged(short, long.map(|(serial, details)| (&**serial, *details)))
            .map(|(serial, details)| details.listed(serial))
    }

    /// Those whose issuer is not known, with their certificates in DER.
    pub(super) fn strays(&self) -> impl Iterator<Item = (&SerialNumber, &[u8])> {
        self.strays
            .iter()
            .map(|(serial, der)| (serial, der.as_slice()))
    }

    fn details(&mut self, entry: &RevokedEntry) -> Details {
        let place = match self.places.get(&entry.issuer_id) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.issuers.len()).unwrap_or(u32::MAX);
                self.issuers.push(entry.issuer_id.clone());
                self.places.insert(entry.issuer_id.clone(), place);
                place
            }
        };
        Details::new(entry.time(), place, entry.reason())
    }

    /// Puts the recent ones among the others, from the end on, where there is room.
    fn merge(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        let mut from = self.rows.len();
        self.rows.reserve_exact(recent.len() + recent.len() / 2);
        self.rows.extend_from_slice(&recent);
        let mut to = self.rows.len();
        for row in recent.into_iter().rev() {
            let at = place(&self.rows[..from], row.octets()).unwrap_or_else(|at| at);
            let after = from - at;
            self.rows.copy_within(at..from, to - after);
            to -= after + 1;
            self.rows[to] = row;
            from = at;
        }
    }
}

impl Gathered {
    /// Adds one; its certificate is kept unless its issuer is `known`.
    pub(super) fn add(&mut self, serial: SerialNumber, entry: RevokedEntry, known: bool) {
        let Self(all) = self;
        let details = all.details(&entry);
        match Row::new(&serial, details) {
            Some(row) => all.rows.push(row),
            None => drop(all.long.insert(serial.as_bytes().to_vec(), details)),
        }
        if !known {
            all.strays.insert(serial, entry.certificate_bytes);
        }
    }

    /// All of them.
    pub(super) fn complete(self) -> Revocations {
        let Self(mut all) = self;
        all.rows
            .sort_unstable_by(|one, other| one.octets().cmp(other.octets()));
        all.rows
            .dedup_by(|one, other| one.octets() == other.octets());
        all.rows.shrink_to_fit();
        all
    }
}

impl Row {
    /// `None` where the serial number is too long.
    fn new(serial: &SerialNumber, details: Details) -> Option<Self> {
        let octets = serial.as_bytes();
        let mut serial = [0; 20];
        serial.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self {
            serial,
            length: u8::try_from(octets.len()).ok()?,
            details,
        })
    }

    fn octets(&self) -> &[u8] {
        &self.serial[..usize::from(self.length).min(self.serial.len())]
    }
}

impl Details {
    fn new(time: Timestamp, issuer: u32, reason: Option<Reason>) -> Self {
        let [time @ .., _, _] = time.as_second().to_le_bytes();
        Self {
            reason,
            time,
            issuer: issuer.to_le_bytes(),
        }
    }

    fn listed(self, serial: &[u8]) -> (usize, Listed<'_>) {
        let [a, b, c, d, e, f] = self.time;
        // The sign is that of the highest octet that is kept.
        let sign = if f & 0x80 == 0 { 0 } else { 0xff };
        let time = i64::from_le_bytes([a, b, c, d, e, f, sign, sign]);
        let time = Timestamp::from_second(time).unwrap_or_default();
        let issuer = u32::from_le_bytes(self.issuer) as usize;
        (issuer, (serial, time, self.reason))
    }
}

/// Where a serial number is, or would be.
fn place(rows: &[Row], octets: &[u8]) -> Result<usize, usize> {
    rows.binary_search_by(|row| row.octets().cmp(octets))
}

fn row_listed(rows: &[Row]) -> impl Iterator<Item = (&[u8], Details)> {
    rows.iter().map(|row| (row.octets(), row.details))
}

/// Two ordered lists as one.
fn merged<'a>(
    one: impl Iterator<Item = (&'a [u8], Details)>,
    other: impl Iterator<Item = (&'a [u8], Details)>,
) -> impl Iterator<Item = (&'a [u8], Details)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((first, _)), Some((second, _))) if first > second => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(issuer: &str) -> RevokedEntry {
        RevokedEntry::new(
            vec![0x30, 0],
            Timestamp::from_second(1_700_000_000).unwrap(),
            issuer.to_owned(),
        )
    }

    #[test]
    fn serial_numbers_of_any_length_are_found_in_order() {
        let serials = [&[1][..], &[1, 2], &[0x7f; 20], &[0x7f; 21], &[0x80; 40]]
            .map(SerialNumber::from_bytes);
        let mut read = Gathered::default();
        for serial in serials.iter().rev() {
            read.add(serial.clone(), entry("a"), true);
        }
        let all = read.complete();
        let found: Vec<_> = all
            .iter()
            .map(|(_, (octets, ..))| octets.to_vec())
            .collect();
        let expected: Vec<_> = serials.iter().map(|one| one.as_bytes().to_vec()).collect();
        assert_eq!(found, expected);
        assert!(serials.iter().all(|one| all.contains(one)));
        assert!(!all.contains(&SerialNumber::from_bytes(&[1, 3])));
    }

    #[test]
    fn a_certificate_is_kept_until_its_issuer_is_known() {
        let serial = SerialNumber::from_bytes(&[5]);
        let mut all = Revocations::default();
        all.insert(&serial, &entry("gone"), false);
        assert_eq!(all.strays().count(), 1);
        all.insert(&serial, &entry("here"), true);
        assert_eq!((all.len(), all.strays().count()), (1, 0));
        let (place, _) = all.iter().next().unwrap();
        assert_eq!(all.issuers()[place], "here");
        all.remove(&[serial]);
        assert_eq!((all.len(), all.strays().count()), (0, 0));
    }

    #[test]
    fn times_and_reasons_come_back() {
        let mut all = Revocations::default();
        let seconds = [0, -1, -62_135_596_800, 1_700_000_000, 253_402_207_200];
        for (n, second) in (1_u8..).zip(seconds) {
            let at = Timestamp::from_second(second).unwrap();
            let reason = (second > 0).then_some(Reason::KeyCompromise);
            let entry = RevokedEntry::new(vec![0x30, 0], at, "a".to_owned()).because(reason);
            all.insert(&SerialNumber::from_bytes(&[n]), &entry, true);
            assert_eq!(entry.time().as_second(), second);
        }
        let found: Vec<_> = all
            .iter()
            .map(|(_, (_, time, _))| time.as_second())
            .collect();
        assert_eq!(found, seconds);
        let reasons: Vec<_> = all
            .iter()
            .map(|(_, (.., reason))| reason.is_some())
            .collect();
        assert_eq!(reasons, [false, false, false, true, true]);
    }

    proptest::proptest! {
        /// Beside a map that is known to be one, through many merges.
        #[test]
        fn it_is_a_map_in_order(
            begun in proptest::collection::vec(proptest::collection::vec(1..=255_u8, 1..23), 0..40),
            steps in proptest::collection::vec((proptest::collection::vec(1..=9_u8, 1..5), proptest::bool::weighted(0.8)), 0..1500),
        ) {
            let mut known = std::collections::BTreeMap::new();
            let mut gathered = Gathered::default();
            for serial in &begun {
                gathered.add(SerialNumber::from_bytes(serial), entry("a"), true);
                known.insert(serial.clone(), "a");
            }
            let mut all = gathered.complete();
            for (serial, adds) in &steps {
                let number = SerialNumber::from_bytes(serial);
                if *adds {
                    all.insert(&number, &entry("b"), true);
                    known.insert(serial.clone(), "b");
                } else {
                    all.remove(std::slice::from_ref(&number));
                    known.remove(serial);
                }
                proptest::prop_assert_eq!(all.contains(&number), *adds);
            }
            let found: Vec<_> = all.iter().map(|(issuer, (serial, ..))| (serial.to_vec(), all.issuers()[issuer].as_str())).collect();
            let known: Vec<_> = known.into_iter().collect();
            proptest::prop_assert_eq!(all.len(), known.len());
            proptest::prop_assert_eq!(found, known);
        }
    }

    #[test]
    fn a_revocation_takes_little() {
        assert_eq!(size_of::<Row>(), 32);
    }
}
