//! ACME renewal information (RFC 9773): when a client should replace its certificate.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use landfast_pki::{Certificate, SerialNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Problem, text};

/// The name of a certificate: its authority key identifier and its serial number, in base64url with a dot between them (RFC 9773
/// section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateId {
    authority: Vec<u8>,
    serial: SerialNumber,
}

impl CertificateId {
    /// From the key identifier of the issuer and the serial number.
    pub const fn new(authority: Vec<u8>, serial: SerialNumber) -> Self {
        Self { authority, serial }
    }

    /// That of a certificate; none if it does not name its issuer's key.
    pub fn of(certificate: &Certificate) -> Option<Self> {
        let authority = certificate.aki()?.to_vec();
        Some(Self::new(authority, certificate.serial().clone()))
    }

    /// The `keyIdentifier` of the certificate's authority key identifier.
    pub fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The serial number.
    pub const fn serial(&self) -> &SerialNumber {
        &self.serial
    }
}

impl FromStr for CertificateId {
    type Err = Problem;

    /// Reads the name. A certificate has one, so another spelling of a number is refused.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::Kind::Malformed).
    fn from_str(name: &str) -> Result<Self, Problem> {
        let wrong = |why: &str| {
            let name = text::shown(name);
            Problem::malformed(format!(
                "{name} is no certificate identifier: {why} (RFC 9773 section 4.1)"
            ))
        };
        if name.len() > MOST_TEXT {
            return Err(wrong("it is too long"));
        }
        let parts = name.split_once('.').filter(|(_, rest)| !rest.contains('.'));
        let Some((authority, serial)) = parts else {
            return Err(wrong("it has two parts with a dot between them"));
        };
        let (Some(authority), Some(serial)) = (text::decode(authority), text::decode(serial))
        else {
            return Err(wrong("its parts are base64url without padding"));
        };
        if authority.is_empty() {
            return Err(wrong("the key identifier is missing"));
        }
        // The content of a DER INTEGER that is not negative: a zero in front where the first bit is set, and only there.
        match serial.as_slice() {
            [] => Err(wrong("the serial number is missing")),
            [0x80..=0xff, ..] => Err(wrong(
                "the serial number is negative, a zero octet in front is missing",
            )),
            [0, 0x80..=0xff, ..] | [0] | [1..=0x7f, ..] => {
                Ok(Self::new(authority, SerialNumber::from_bytes(&serial)))
            }
            [0, ..] => Err(wrong(
                "the serial number has a zero octet too many in front",
            )),
        }
    }
}

impl fmt::Display for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serial = self.serial.as_bytes();
        let sign = serial.first().is_some_and(|octet| *octet >= 0x80);
        let serial = if sign {
            [&[0], serial].concat()
        } else {
            serial.to_vec()
        };
        write!(
            f,
            "{}.{}",
            text::encode(&self.authority),
            text::encode(serial)
        )
    }
}

impl Serialize for CertificateId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CertificateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse()
            .map_err(|problem: Problem| de::Error::custom(problem.detail))
    }
}

/// Why a certificate is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its life ends some day.
    Normal,
    /// It is revoked: at once.
    Revoked,
    /// Its issuer is no more the one that issues: soon.
    CaRotated,
}

/// The window in which a client should replace its certificate, `suggestedWindow` of RFC 9773 section 4.2. The client takes a random
/// moment of it, and replaces at once if that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Its begin, in whole seconds.
    pub start: Timestamp,
    /// Its end, in whole seconds and after the begin.
    pub end: Timestamp,
}

/// The window of a certificate. For [`Reason::Normal`] it does not depend on `now`: it lasts a 25th of the certificate's life and begins
/// after two thirds of it and before seven ninths, where by the fingerprint, so that those that were issued together are not replaced
/// together.
///
/// A revoked certificate has a window that has passed. After a change of issuer the window begins now and lasts until the client asks
/// again ([`retry_after`]), so that the whole fleet has moved after that time, and not all of it at once.
pub fn window(
    not_before: Timestamp,
    not_after: Timestamp,
    fingerprint: &[u8; 32],
    now: Timestamp,
    reason: Reason,
) -> Window {
    match reason {
        Reason::Normal => {
            let life = life(not_before, not_after);
            let share = u64::from_be_bytes(*fingerprint.first_chunk().expect("eight of 32 octets"));
            let spread = life / 9;
            let jitter = (u128::from(spread) * u128::from(share)) >> 64;
            let start = life / 3 * 2 + u64::try_from(jitter).unwrap_or(spread);
            from(not_before, seconds(start), (life / 25).max(1))
        }
        Reason::Revoked => from(now, -2 * HOUR, HOUR.unsigned_abs()),
        Reason::CaRotated => from(now, 0, retry_after(not_before, not_after).into()),
    }
}

/// After how many seconds a client should ask for the window again (`Retry-After`, RFC 9773 section 4.3): a hundredth of the
/// certificate's life, at least a minute and at most six hours. That is several times within a window.
pub fn retry_after(not_before: Timestamp, not_after: Timestamp) -> u32 {
    let hundredth = life(not_before, not_after) / 100;
    u32::try_from(hundredth.clamp(60, 6 * HOUR.unsigned_abs())).unwrap_or(60)
}

/// Seconds of a certificate's life, none if it ends before it begins.
fn life(not_before: Timestamp, not_after: Timestamp) -> u64 {
    u64::try_from(not_after.as_second() - not_before.as_second()).unwrap_or_default()
}

/// The window that begins so many seconds after `time` and lasts so many. Time ends with the year 9999.
fn from(time: Timestamp, after: i64, lasts: u64) -> Window {
    let last = Timestamp::MAX.as_second();
    let start = time.as_second().saturating_add(after).min(last - 1);
    let end = start.saturating_add(seconds(lasts)).min(last);
    let at = |second: i64| Timestamp::from_second(second).unwrap_or(Timestamp::MIN);
    Window {
        start: at(start),
        end: at(end),
    }
}

fn seconds(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const HOUR: i64 = 3600;
/// Characters of a name: 64 octets of key identifier and serial number, and some.
const MOST_TEXT: usize = 200;

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, ToSpan};
    use landfast_base::sha256;
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The example of RFC 9773 section 4.1.
    #[test]
    fn the_name_of_the_standards_certificate() {
        let name = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        let id: CertificateId = name.parse().unwrap();
        assert_eq!(
            landfast_base::hex(id.authority()),
            "69885b6b87464041e1b37b847ba0ae2cde01c8d4"
        );
        assert_eq!(id.serial().colon(), "87:65:43:21");
        assert_eq!(id.to_string(), name);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("{name:?}"));
    }

    #[test]
    fn a_certificate_has_one_name() {
        for bad in [
            "",
            ".",
            "AQ",
            "AQ.",
            ".AQ",
            "AQ.AQ.AQ",
            "AQ.h2VDIQ",
            "AQ.AAE",
            "AQ.AAAB",
            "AQ==.AQ",
            "A+.AQ",
            "AQ.AR",
            &"A".repeat(300),
        ] {
            let problem = bad.parse::<CertificateId>().expect_err(bad);
            assert!(problem.detail.contains("RFC 9773"), "{}", problem.detail);
        }
        assert_eq!(
            "AQ.AA"
                .parse::<CertificateId>()
                .unwrap()
                .serial()
                .as_bytes(),
            [0]
        );
        assert_eq!(
            "AQ.AIA"
                .parse::<CertificateId>()
                .unwrap()
                .serial()
                .as_bytes(),
            [0x80]
        );
    }

    #[test]
    fn a_fleet_is_spread_over_ten_days_of_ninety() {
        let begin = time("2026-01-01T00:00:00Z");
        let end = begin + (90 * 24).hours();
        let windows: Vec<Window> = (0..1000_u32)
            .map(|number| {
                let fingerprint = sha256(&number.to_be_bytes());
                window(begin, end, &fingerprint, begin, Reason::Normal)
            })
            .collect();
        let starts = || windows.iter().map(|window| window.start);
        let (first, last) = (starts().min().unwrap(), starts().max().unwrap());
        assert!(first >= begin + (60 * 24).hours() && last <= begin + (70 * 24).hours());
        // Each of the ten days has its share of a hundred.
        for day in 60..70 {
            let of_day = begin + (day * 24).hours()..begin + ((day + 1) * 24).hours();
            let count = starts().filter(|start| of_day.contains(start)).count();
            assert!((60..150).contains(&count), "{count} on day {day}");
        }
        assert_eq!(retry_after(begin, end), 21_600);
    }

    #[test]
    fn what_is_revoked_is_replaced_at_once() {
        let (begin, end) = (time("2026-01-01T00:00:00Z"), time("2026-01-02T00:00:00Z"));
        let now = begin + 3.hours();
        assert!(window(begin, end, &[0; 32], now, Reason::Revoked).end < now);
        let rotated = window(begin, end, &[0; 32], now, Reason::CaRotated);
        assert_eq!(rotated.start, now);
        assert_eq!(rotated.end, now + 864.seconds());
        assert_eq!(retry_after(begin, end), 864);
        let json = serde_json::to_string(&rotated).unwrap();
        assert_eq!(
            json,
            r#"{"start":"2026-01-01T03:00:00Z","end":"2026-01-01T03:14:24Z"}"#
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(authority in prop::collection::vec(any::<u8>(), 1..64), serial in prop::collection::vec(any::<u8>(), 1..32)) {
            let id = CertificateId::new(authority, SerialNumber::from_bytes(&serial));
            prop_assert_eq!(id.to_string().parse::<CertificateId>(), Ok(id));
        }

        #[test]
        fn any_text_is_refused_or_is_the_name(name in "[A-Za-z0-9_.-]{0,60}") {
            if let Ok(id) = name.parse::<CertificateId>() {
                prop_assert_eq!(id.to_string(), name);
            }
        }

        #[test]
        fn a_window_lies_within_the_last_third(
            begin in 0_i64..4_000_000_000, life in 0_i64..300_000_000_000, fingerprint: [u8; 32], now in 0_i64..8_000_000_000,
        ) {
            let begin = Timestamp::from_second(begin).unwrap();
            let end = begin.checked_add(SignedDuration::from_secs(life)).unwrap_or(Timestamp::MAX);
            let now = Timestamp::from_second(now).unwrap();
            let life = end.as_second() - begin.as_second();
            let window = super::window(begin, end, &fingerprint, now, Reason::Normal);
            prop_assert!(window.start < window.end);
            prop_assert!(window.start.as_second() >= begin.as_second() + life / 3 * 2 || life < 3);
            prop_assert!(window.end.as_second() <= begin.as_second() + life * 5 / 6 || life < 60);
            for reason in [Reason::Revoked, Reason::CaRotated] {
                let window = super::window(begin, end, &fingerprint, now, reason);
                prop_assert!(window.start < window.end && window.start <= now);
            }
            let retry = retry_after(begin, end);
            prop_assert!((60..=21_600).contains(&retry));
        }
    }
}
