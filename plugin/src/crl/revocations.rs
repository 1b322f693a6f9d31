//! The revocations of a mount as far as CRLs need them, kept small: there may be hundreds of thousands.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use landfast_pki::{Reason, SerialNumber};

use crate::entry::revoked::RevokedEntry;

/// Revocations by serial number.
#[derive(Clone, Debug, Default)]
pub(super) struct Revocations {
    rows: BTreeMap<Serial, Row>,
    /// The ids that rows name by their place.
    issuers: Vec<String>,
    places: HashMap<String, u32>,
    /// Certificates in DER, only while their issuer is not known.
    strays: HashMap<SerialNumber, Vec<u8>>,
}

/// Revocations while they are read. A map that is made of all rows at once has full nodes.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    all: Revocations,
    rows: Vec<(Serial, Row)>,
}

/// A revocation.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Seconds since 1970, as finely as CRLs say it.
    time: i64,
    /// The place of the issuer's id.
    issuer: u32,
    reason: Option<Reason>,
}

/// What a CRL says of a certificate: its serial number, since when it is revoked, and why if that is on record.
pub(super) type Listed<'a> = (&'a [u8], Timestamp, Option<Reason>);

/// A serial number, in place where it is as short as RFC 5280 section 4.1.2.2 wants it.
#[derive(Clone, Debug)]
enum Serial {
    Short { length: u8, octets: [u8; 20] },
    Long(Box<[u8]>),
}

impl Revocations {
    /// Adds one, or changes it; its certificate is kept unless its issuer is `known`.
    pub(super) fn insert(&mut self, serial: &SerialNumber, entry: &RevokedEntry, known: bool) {
        let row = self.row(entry);
        self.rows.insert(serial.into(), row);
        if known {
            self.strays.remove(serial);
        } else {
            let der = entry.certificate_bytes.clone();
            self.strays.insert(serial.clone(), der);
        }
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, serial: &SerialNumber) {
        self.rows.remove(&serial.into());
        self.strays.remove(serial);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether this one is revoked.
    pub(super) fn contains(&self, serial: &SerialNumber) -> bool {
        self.rows.contains_key(&serial.into())
    }

    /// The ids of issuers that [`iter`](Self::iter) names by their place.
    pub(super) fn issuers(&self) -> &[String] {
        &self.issuers
    }

    /// All of them in the order of their serial numbers, each with the place of its issuer's id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Listed<'_>)> {
        self.rows.iter().map(|(serial, row)| {
            let time = Timestamp::from_second(row.time).unwrap_or_default();
            (row.issuer as usize, (serial.octets(), time, row.reason))
        })
    }

    /// Those whose issuer is not known, with their certificates in DER.
    pub(super) fn strays(&self) -> impl Iterator<Item = (&SerialNumber, &[u8])> {
        self.strays
            .iter()
            .map(|(serial, der)| (serial, der.as_slice()))
    }

    fn row(&mut self, entry: &RevokedEntry) -> Row {
        let place = match self.places.get(&entry.issuer_id) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.issuers.len()).unwrap_or(u32::MAX);
                self.issuers.push(entry.issuer_id.clone());
                self.places.insert(entry.issuer_id.clone(), place);
                place
            }
        };
        Row {
            time: entry.time().as_second(),
            issuer: place,
            reason: entry.reason(),
        }
    }
}

impl Gathered {
    /// Adds one; its certificate is kept unless its issuer is `known`.
    pub(super) fn add(&mut self, serial: SerialNumber, entry: RevokedEntry, known: bool) {
        let row = self.all.row(&entry);
        self.rows.push((Serial::from(&serial), row));
        if !known {
            self.all.strays.insert(serial, entry.certificate_bytes);
        }
    }

    /// All of them.
    pub(super) fn complete(mut self) -> Revocations {
        self.all.rows = self.rows.into_iter().collect();
        self.all
    }
}

impl Serial {
    fn octets(&self) -> &[u8] {
        match self {
            Self::Short { length, octets } => &octets[..usize::from(*length).min(octets.len())],
            Self::Long(octets) => octets,
        }
    }
}

impl From<&SerialNumber> for Serial {
    fn from(serial: &SerialNumber) -> Self {
        let bytes = serial.as_bytes();
        let mut octets = [0; 20];
        match octets.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self::Short {
                    length: bytes.len() as u8,
                    octets,
                }
            }
            None => Self::Long(bytes.into()),
        }
    }
}

impl PartialEq for Serial {
    fn eq(&self, other: &Self) -> bool {
        self.octets() == other.octets()
    }
}

impl Eq for Serial {}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Serial {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.octets().cmp(other.octets())
    }
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
        all.remove(&serial);
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn a_revocation_takes_little() {
        assert!(size_of::<(Serial, Row)>() <= 40);
    }
}
