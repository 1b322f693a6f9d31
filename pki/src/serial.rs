//! Certificate serial numbers.

use std::fmt;

use crate::Error;

/// A non-negative serial number in as few octets as it needs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialNumber(Vec<u8>);

impl SerialNumber {
    /// A random number of 20 octets below 2^159 (RFC 5280 section 4.1.2.2 allows 20 octets in DER).
    ///
    /// The first octet is never zero, so that every form of the number has 20 pairs.
    ///
    /// # Errors
    /// The random generator failed.
    pub fn random() -> Result<Self, Error> {
        let mut octets = [0; 20];
        landfast_base::fill(&mut octets)?;
        octets[0] &= 0x7f;
        while octets[0] == 0 {
            landfast_base::fill(&mut octets[..1])?;
            octets[0] &= 0x7f;
        }
        Ok(Self(octets.to_vec()))
    }

    /// From the number's big-endian octets; zeros in front are dropped.
    pub fn from_bytes(octets: &[u8]) -> Self {
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        if zeros == octets.len() {
            Self(vec![0])
        } else {
            Self(octets[zeros..].to_vec())
        }
    }

    /// From hexadecimal pairs with `:` or `-` between them, in any case.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > 3 * 64 {
            return Err(Error::Serial);
        }
        let octets: Result<Vec<u8>, Error> = text
            .split([':', '-'])
            .map(|pair| {
                let hex = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
                let octet = hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten();
                octet.ok_or(Error::Serial)
            })
            .collect();
        Ok(Self::from_bytes(&octets?))
    }

    /// The octets, big-endian.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Lower-case pairs joined by `:`, as answers show it.
    pub fn colon(&self) -> String {
        self.joined(b':')
    }

    /// Lower-case pairs joined by `-`, as storage keys have it.
    pub fn dash(&self) -> String {
        self.joined(b'-')
    }

    fn joined(&self, separator: u8) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(self.0.len() * 3);
        for (index, octet) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(separator.into());
            }
            text.push(DIGITS[usize::from(octet >> 4)].into());
            text.push(DIGITS[usize::from(octet & 15)].into());
        }
        text
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.colon())
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({})", self.colon())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_serials_have_twenty_pairs_and_stay_below_two_to_the_159() {
        for _ in 0..2000 {
            let serial = SerialNumber::random().unwrap();
            assert_eq!(serial.as_bytes().len(), 20);
            assert!((1..0x80).contains(&serial.as_bytes()[0]));
            assert_eq!(serial.colon().len(), 59);
        }
    }

    #[test]
    fn both_separators_and_any_case_are_read() {
        let serial = SerialNumber::parse("0A:bc:Ff").unwrap();
        assert_eq!(serial, SerialNumber::parse("0a-BC-ff").unwrap());
        assert_eq!(serial.colon(), "0a:bc:ff");
        assert_eq!(serial.dash(), "0a-bc-ff");
        assert_eq!(SerialNumber::parse("00:01").unwrap().as_bytes(), [1]);
        assert_eq!(SerialNumber::parse("00").unwrap().colon(), "00");
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "", ":", "a", "abc", "0x12", "aa:", "+1", "aa bb", "zz", "aa:b", "é9",
        ] {
            assert!(SerialNumber::parse(text).is_err(), "{text}");
        }
        assert!(SerialNumber::parse(&"aa:".repeat(10_000)).is_err());
    }
}
