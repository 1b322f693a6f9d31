//! `landfast/ends/NUMBER`: when stored certificates end, some thousands in an entry. The built-in engine looks at none below `landfast/`.

use jiff::Timestamp;
use landfast_pki::{Certificate, SerialNumber};

/// Storage prefix; the rest of the key is a number of eight digits.
pub const PREFIX: &str = "landfast/ends/";

/// Certificates in one entry at most, which then has 192 KiB: less than any storage of a server takes.
pub const MOST: usize = 8192;

/// Storage key of the entry with this number.
pub fn key(number: u32) -> String {
    format!("{PREFIX}{number:08}")
}

/// When one certificate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Big-endian, with zeros in front.
    serial: [u8; OCTETS],
    /// Seconds since 1970, or [`FAR`].
    end: u32,
}

/// Octets of a serial number at most (RFC 5280 section 4.1.2.2).
const OCTETS: usize = 20;

/// An end in the year 2106 or later, for which there is no room.
const FAR: u32 = u32::MAX;

/// In front of the records; another number is another layout.
const VERSION: u8 = 1;

const RECORD: usize = OCTETS + 4;

impl End {
    /// What is to be known of `certificate`; `None` where its serial number is longer than the rule has it, or it ended before 1970.
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let end = certificate.not_after().as_second();
        Some(Self {
            serial: padded(certificate.serial())?,
            end: u32::try_from(end.max(0)).unwrap_or(FAR),
        })
    }

    /// When the certificate ends at the soonest.
    pub fn time(self) -> Timestamp {
        Timestamp::from_second(self.end.into()).unwrap_or(Timestamp::MAX)
    }

    /// Whether it ends just then. What ends in 2106 or later does not.
    pub fn is_exact(self) -> bool {
        self.end != FAR
    }
}

/// The number in as many octets as every record has.
fn padded(serial: &SerialNumber) -> Option<[u8; OCTETS]> {
    let octets = serial.as_bytes();
    let mut padded = [0; OCTETS];
    padded[OCTETS.checked_sub(octets.len())?..].copy_from_slice(octets);
    Some(padded)
}

/// Puts records into the order in which [`find`] looks for them, each certificate once. Of two ends the later one is believed.
pub fn sort(ends: &mut Vec<End>) {
    ends.sort_unstable_by_key(|one| (one.serial, std::cmp::Reverse(one.end)));
    ends.dedup_by_key(|one| one.serial);
}

/// The place of a certificate among sorted records.
pub fn find(ends: &[End], serial: &SerialNumber) -> Option<usize> {
    let wanted = padded(serial)?;
    ends.binary_search_by_key(&wanted, |one| one.serial).ok()
}

/// The entry that holds these.
pub fn encode(ends: &[End]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + ends.len() * RECORD);
    bytes.push(VERSION);
    for one in ends {
        bytes.extend_from_slice(&one.serial);
        bytes.extend_from_slice(&one.end.to_be_bytes());
    }
    bytes
}

/// Reads an entry; `None` for bytes that are none, or of another layout.
pub fn decode(bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = End>> {
    let (version, records) = bytes.split_first()?;
    let (records, rest) = records.as_chunks::<RECORD>();
    if *version != VERSION || !rest.is_empty() {
        return None;
    }
    Some(records.iter().map(|record| {
        let (mut serial, mut end) = ([0; OCTETS], [0; 4]);
        serial.copy_from_slice(&record[..OCTETS]);
        end.copy_from_slice(&record[OCTETS..]);
        End {
            serial,
            end: u32::from_be_bytes(end),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(serial: &[u8], end: u32) -> End {
        End {
            serial: padded(&SerialNumber::from_bytes(serial)).unwrap(),
            end,
        }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let ends = [end(&[1], 7), end(&[0x7f; 20], FAR), end(&[2; 19], 0)];
        let bytes = encode(&ends);
        assert_eq!(bytes.len(), 1 + 3 * 24);
        assert_eq!(decode(&bytes).unwrap().collect::<Vec<_>>(), ends);
        assert_eq!(decode(&encode(&[])).unwrap().len(), 0);
    }

    #[test]
    fn what_is_no_entry_is_not_read_as_one() {
        let whole = encode(&[end(&[1], 7)]);
        let other = [&[2], &whole[1..]].concat();
        for wrong in [&[][..], &whole[..24], &other, b"{}\n"] {
            assert!(decode(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_certificate_is_found_by_its_number_and_the_later_end_counts() {
        let number = |octets: &[u8]| SerialNumber::from_bytes(octets);
        let mut ends = vec![
            end(&[9, 9], 5),
            end(&[1], 7),
            end(&[9, 9], 8),
            end(&[0x70; 20], FAR),
        ];
        sort(&mut ends);
        assert_eq!(ends.len(), 3);
        let time = |octets: &[u8]| {
            let at = find(&ends, &number(octets))?;
            Some((ends[at].time().as_second(), ends[at].is_exact()))
        };
        assert_eq!(time(&[1]), Some((7, true)));
        assert_eq!(time(&[9, 9]), Some((8, true)));
        assert_eq!(time(&[0x70; 20]), Some((FAR.into(), false)));
        assert_eq!(time(&[9]), None);
        assert_eq!(time(&[1; 21]), None, "longer than the rule has it");
    }
}
