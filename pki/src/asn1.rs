//! The few DER constructions the crate writes, and helpers to read.
//!
//! Writing goes into one growing buffer: a nested value is written in place and its length patched afterwards, so
//! that a whole TBSCertificate costs one allocation. Reading uses the `der` crate's bounded, panic-free reader.

use der::asn1::BitStringRef;
use der::{Decode, Header, Reader, SliceReader};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::Oid;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The identifier octet of context tag `number` around a primitive value.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The identifier octet of context tag `number` around a constructed value.
pub(crate) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// Writes DER front to back.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Behind what is there.
    pub(crate) const fn on(der: Vec<u8>) -> Self {
        Self(der)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Encoded DER, as it is.
    pub(crate) fn raw(&mut self, der: &[u8]) {
        self.0.extend_from_slice(der);
    }

    pub(crate) fn tlv(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    /// A value whose content is what `content` writes.
    pub(crate) fn nested(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.0.push(tag);
        self.0.push(0);
        let start = self.0.len();
        content(self);
        let length = self.0.len() - start;
        if length < 0x80 {
            self.0[start - 1] = length as u8;
        } else {
            let bytes = length.to_be_bytes();
            let significant = &bytes[(length.leading_zeros() / 8) as usize..];
            self.0[start - 1] = 0x80 | significant.len() as u8;
            self.0.splice(start..start, significant.iter().copied());
        }
    }

    pub(crate) fn sequence(&mut self, content: impl FnOnce(&mut Self)) {
        self.nested(SEQUENCE, content);
    }

    pub(crate) fn oid(&mut self, oid: &Oid) {
        self.tlv(OBJECT_IDENTIFIER, oid.as_bytes());
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.tlv(BOOLEAN, &[if value { 0xff } else { 0 }]);
    }

    pub(crate) fn octet_string(&mut self, value: &[u8]) {
        self.tlv(OCTET_STRING, value);
    }

    /// A bit string of whole octets.
    pub(crate) fn bit_string(&mut self, value: &[u8]) {
        self.0.push(BIT_STRING);
        self.length(value.len() + 1);
        self.0.push(0);
        self.0.extend_from_slice(value);
    }

    /// A non-negative INTEGER from its big-endian octets.
    pub(crate) fn unsigned(&mut self, big_endian: &[u8]) {
        let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
        let digits = &big_endian[zeros..];
        self.0.push(INTEGER);
        let pad = digits.first().is_none_or(|byte| *byte >= 0x80);
        self.length(digits.len() + usize::from(pad));
        if pad {
            self.0.push(0);
        }
        self.0.extend_from_slice(digits);
    }

    pub(crate) fn number(&mut self, value: u64) {
        self.unsigned(&value.to_be_bytes());
    }

    /// UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5), cut to seconds.
    ///
    /// [`FOREVER`] and what follows it is written as the last second of 9999.
    pub(crate) fn time(&mut self, time: Timestamp) {
        if time.as_second() >= FOREVER.as_second() {
            return self.tlv(GENERALIZED_TIME, LAST_SECOND);
        }
        let date = TimeZone::UTC.to_datetime(time);
        let year = date.year().unsigned_abs();
        self.date(date, (1950..2050).contains(&year));
    }

    /// GeneralizedTime whatever the year, cut to seconds.
    pub(crate) fn generalized_time(&mut self, time: Timestamp) {
        if time.as_second() >= FOREVER.as_second() {
            return self.tlv(GENERALIZED_TIME, LAST_SECOND);
        }
        self.date(TimeZone::UTC.to_datetime(time), false);
    }

    fn date(&mut self, date: DateTime, short: bool) {
        let year = date.year().unsigned_abs();
        self.0.push(if short { UTC_TIME } else { GENERALIZED_TIME });
        self.length(if short { 13 } else { 15 });
        if !short {
            self.digits(year / 100);
        }
        self.digits(year % 100);
        for part in [
            date.month(),
            date.day(),
            date.hour(),
            date.minute(),
            date.second(),
        ] {
            self.digits(part.unsigned_abs().into());
        }
        self.0.push(b'Z');
    }

    fn digits(&mut self, value: u16) {
        self.0.push(b'0' + (value / 10 % 10) as u8);
        self.0.push(b'0' + (value % 10) as u8);
    }

    fn length(&mut self, length: usize) {
        if length < 0x80 {
            self.0.push(length as u8);
        } else {
            let bytes = length.to_be_bytes();
            let significant = &bytes[(length.leading_zeros() / 8) as usize..];
            self.0.push(0x80 | significant.len() as u8);
            self.0.extend_from_slice(significant);
        }
    }
}

/// The tag and the length of a value of this length.
pub(crate) fn header(tag: u8, length: usize) -> Vec<u8> {
    let mut w = Writer::with_capacity(10);
    w.0.push(tag);
    w.length(length);
    w.finish()
}

/// How many octets a value of this length takes with its tag and length.
pub(crate) fn tlv_len(length: usize) -> usize {
    let octets = if length < 0x80 {
        0
    } else {
        (usize::BITS - length.leading_zeros()).div_ceil(8) as usize
    };
    2 + octets + length
}

/// DER of what `content` writes.
pub(crate) fn encode(content: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    content(&mut writer);
    writer.finish()
}

/// Reads all of `der` with `read`; trailing bytes are an error.
pub(crate) fn decode<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    let mut reader = SliceReader::new(der)?;
    let value = read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// The tag of the next value, or none at the end.
pub(crate) fn peek(reader: &SliceReader<'_>) -> Option<u8> {
    reader.peek_byte()
}

/// The content of the next value, which must carry exactly this identifier octet.
pub(crate) fn value<'a>(reader: &mut SliceReader<'a>, tag: u8) -> der::Result<&'a [u8]> {
    if reader.peek_byte() != Some(tag) {
        return Err(reader.error(der::ErrorKind::Failed));
    }
    let header = Header::decode(reader)?;
    reader.read_slice(header.length())
}

/// The content of the next value if it carries this identifier octet.
pub(crate) fn optional<'a>(reader: &mut SliceReader<'a>, tag: u8) -> der::Result<Option<&'a [u8]>> {
    if reader.peek_byte() == Some(tag) {
        value(reader, tag).map(Some)
    } else {
        Ok(None)
    }
}

/// The whole encoding of the next value, which must be a SEQUENCE.
pub(crate) fn raw_sequence<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    if reader.peek_byte() != Some(SEQUENCE) {
        return Err(reader.error(der::ErrorKind::Failed));
    }
    reader.tlv_bytes()
}

/// The octets of a BIT STRING that has no unused bits.
pub(crate) fn bit_octets<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let bits = BitStringRef::decode(reader)?;
    bits.as_bytes()
        .ok_or_else(|| reader.error(der::ErrorKind::Failed))
}

/// The parts of what RFC 5280 calls SIGNED: what is signed and the algorithm, both still encoded, and the signature.
pub(crate) fn signed(der: &[u8]) -> der::Result<(&[u8], &[u8], &[u8])> {
    let body = decode(der, |r| value(r, SEQUENCE))?;
    decode(body, |r| {
        Ok((raw_sequence(r)?, raw_sequence(r)?, bit_octets(r)?))
    })
}

/// The octets of a non-negative INTEGER, without the sign octet. Zero is one zero octet.
pub(crate) fn unsigned<'a>(reader: &mut SliceReader<'a>) -> der::Result<&'a [u8]> {
    let bytes = value(reader, INTEGER)?;
    match bytes {
        [0] => Ok(bytes),
        [0, next, ..] if *next >= 0x80 => Ok(&bytes[1..]),
        [first, ..] if *first != 0 && *first < 0x80 => Ok(bytes),
        _ => Err(reader.error(der::ErrorKind::Failed)),
    }
}

/// A small non-negative INTEGER.
pub(crate) fn number(reader: &mut SliceReader<'_>) -> der::Result<u64> {
    let bytes = unsigned(reader)?;
    if bytes.len() > 8 {
        return Err(reader.error(der::ErrorKind::Failed));
    }
    Ok(bytes
        .iter()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// A BOOLEAN; only the two DER forms.
pub(crate) fn boolean(reader: &mut SliceReader<'_>) -> der::Result<bool> {
    match value(reader, BOOLEAN)? {
        [0] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(reader.error(der::ErrorKind::Failed)),
    }
}

pub(crate) fn oid(reader: &mut SliceReader<'_>) -> der::Result<Oid> {
    Oid::decode(reader)
}

/// UTCTime or GeneralizedTime in the forms of RFC 5280 section 4.1.2.5: to the second and in UTC.
///
/// Times past [`FOREVER`] are read as it.
pub(crate) fn time(reader: &mut SliceReader<'_>) -> der::Result<Timestamp> {
    let (text, short) = match optional(reader, UTC_TIME)? {
        Some(text) => (text, true),
        None => (value(reader, GENERALIZED_TIME)?, false),
    };
    instant(text, short).ok_or_else(|| reader.error(der::ErrorKind::DateTime))
}

fn instant(text: &[u8], short: bool) -> Option<Timestamp> {
    let (year, rest) = match (short, text.len()) {
        (true, 13) => match two(text, 0)? {
            year @ 0..50 => (2000 + year, 2),
            year => (1900 + year, 2),
        },
        (false, 15) => (two(text, 0)? * 100 + two(text, 2)?, 4),
        _ => return None,
    };
    if text.last() != Some(&b'Z') {
        return None;
    }
    let part = |index: usize| i8::try_from(two(text, rest + 2 * index)?).ok();
    let date = DateTime::new(year, part(0)?, part(1)?, part(2)?, part(3)?, part(4)?, 0).ok()?;
    Some(TimeZone::UTC.to_timestamp(date).unwrap_or(FOREVER))
}

fn two(text: &[u8], at: usize) -> Option<i16> {
    match text.get(at..at + 2)? {
        [tens @ b'0'..=b'9', units @ b'0'..=b'9'] => {
            Some(i16::from(tens - b'0') * 10 + i16::from(units - b'0'))
        }
        _ => None,
    }
}

/// The end of time: a certificate with this end has no well-defined expiration (RFC 5280 section 4.1.2.5).
///
/// It stands for the last second of 9999 in encodings. The time library ends a day earlier, so that local times can
/// be shown in every zone.
pub const FOREVER: Timestamp = Timestamp::MAX;

const LAST_SECOND: &[u8] = b"99991231235959Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_beyond_127_and_255_octets_take_the_long_form() {
        for length in [0_usize, 127, 128, 255, 256, 65_535, 65_536] {
            let body = vec![7; length];
            let plain = encode(|w| w.octet_string(&body));
            let nested = encode(|w| w.nested(OCTET_STRING, |w| w.raw(&body)));
            assert_eq!(plain, nested);
            assert_eq!(plain.len(), tlv_len(length));
            assert_eq!(
                decode(&plain, |r| value(r, OCTET_STRING).map(<[u8]>::to_vec)).unwrap(),
                body
            );
        }
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        assert_eq!(encode(|w| w.unsigned(&[])), [2, 1, 0]);
        assert_eq!(encode(|w| w.unsigned(&[0, 0])), [2, 1, 0]);
        assert_eq!(encode(|w| w.unsigned(&[0, 0x7f])), [2, 1, 0x7f]);
        assert_eq!(encode(|w| w.unsigned(&[0x80])), [2, 2, 0, 0x80]);
        assert!(decode(&[2, 1, 0x80], |r| unsigned(r).map(<[u8]>::to_vec)).is_err());
        assert!(decode(&[2, 2, 0, 1], |r| unsigned(r).map(<[u8]>::to_vec)).is_err());
    }

    #[test]
    fn times_change_form_in_2050() {
        for (text, form) in [
            ("1950-01-01T00:00:00Z", UTC_TIME),
            ("1999-12-31T23:59:59Z", UTC_TIME),
            ("2049-12-31T23:59:59Z", UTC_TIME),
            ("2050-01-01T00:00:00Z", GENERALIZED_TIME),
            ("1949-12-31T23:59:59Z", GENERALIZED_TIME),
        ] {
            let time: Timestamp = text.parse().unwrap();
            let der = encode(|w| w.time(time));
            assert_eq!(der[0], form, "{text}");
            assert_eq!(decode(&der, super::time).unwrap(), time);
        }
    }

    #[test]
    fn the_last_second_of_9999_is_for_ever() {
        let der = encode(|w| w.time(FOREVER));
        assert_eq!(der[2..], *b"99991231235959Z");
        assert_eq!(decode(&der, super::time).unwrap(), FOREVER);
        let last_but_one = encode(|w| w.time("9999-12-30T21:59:59Z".parse().unwrap()));
        assert_eq!(last_but_one[2..], *b"99991230215959Z");
    }

    #[test]
    fn impossible_times_are_refused() {
        for text in [
            "990231000000Z",
            "9912310000Z",
            "991231000000+",
            "9912310000600",
            "99123100000xZ",
        ] {
            let der = encode(|w| w.tlv(UTC_TIME, text.as_bytes()));
            assert!(decode(&der, super::time).is_err(), "{text}");
        }
    }
}
